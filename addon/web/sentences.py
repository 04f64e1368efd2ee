"""Sentences that are kept as text, in the language of whoever reads them.

The core says in English by which rule a document was made, runs note what they are doing, and settings say what is
wrong with a value. These are stored or handed on as text, so the pages know them again by their shape: each template
here is such a sentence with placeholders, and a text that fits one is said in its translation. What fits none stays as
it is; a test sees to it that the sentences of all goldens fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Final

from flask_babel import get_locale, gettext

from addon.core.currencies import MINOR_UNITS
from addon.core.money import InexactAmount, Money
from addon.web import filters, words


def _(text: str) -> str:
    """Marks a template for the catalogues; it is translated when it is shown."""
    return text


RULES: Final[tuple[str, ...]] = (
    # How sales become documents.
    _("Plus: the sale becomes an invoice and its payment."),
    _("Plus: an invoice cannot hold %(rates)s, so the sale becomes a voucher."),
    _("Plus: the whole refund becomes a credit note on invoice %(number)s, at the original's rate, VAT and accounts."),
    _(
        "Plus: the partial refund becomes a credit note on invoice %(number)s, at the original's rate, VAT and "
        "accounts."
    ),
    _("Plus: the sale is a voucher, so its refund is one too, at the original's rate, VAT and accounts."),
    _("Basic: order number %(order)s stands on %(what)s %(number)s, which is open with this amount."),
    _(
        "Basic: order number %(order)s stands on %(what)s %(number)s, which is open with this amount, but for "
        "%(rest)s within the tolerance, which goes to rounding."
    ),
    _(
        "Basic: order number %(order)s stands on %(what)s %(number)s, which is open with the amount of "
        "%(count)s payments."
    ),
    _(
        "Basic: order number %(order)s stands on %(what)s %(number)s, which is open with the amount of "
        "%(count)s payments, but for %(rest)s within the tolerance, which goes to rounding."
    ),
    _("Basic: the amount is exactly what is open on all invoices and credit notes of order %(order)s: %(named)s."),
    _("Basic: a person chose %(what)s %(number)s for this payment."),
    _("Basic: a person chose %(what)s %(number)s for this payment; %(rest)s of difference goes to rounding."),
    _("Basic: a person chose %(what)s %(number)s for this payment; %(rest)s stays open."),
    _("As you have set, %(numbers)s is booked first: it was not yet."),
    _(
        "Settlement: one voucher for each payout and month of sale, dated the day the payout was made or the last "
        "of the month of sale, whichever is earlier."
    ),
    _("Settlement: payments that no payout's list names have one voucher for each closed day."),
    _("And other VAT treatments."),
    _("Against the one account that was chosen."),
    _("A refund goes back at the VAT, rate and accounts of its sale."),
    _(
        "The sale is from before the start, so Kvitt has no invoice of it: a person chose a credit note that stands "
        "by itself, at %(percent)s %% VAT."
    ),
    # A company's own rules.
    _('By your rule "%(name)s".'),
    _('By your rule "%(name)s": %(told)s.'),
    _('The same way as its sale, by your rule "%(name)s": against account %(number)s.'),
    # The VAT of a sale.
    _("The buyer's country is not known: %(rate)s."),
    _("A buyer in %(country)s: %(rate)s."),
    _("A business in %(country)s (EU), but sales without VAT to EU businesses are not set up: %(rate)s."),
    _("A consumer in %(country)s (EU), and OSS is not set up: %(rate)s."),
    _("A buyer in %(country)s, outside the EU: export without VAT."),
    _("A buyer in %(country)s, outside the EU, but the company has chosen to charge VAT there: %(rate)s."),
    _("The VAT number %(number)s is not valid."),
    _("A service to a consumer in %(country)s (EU) is taxed where the seller is: %(rate)s."),
    _("A service to a consumer in %(country)s is taxed where the seller is: %(rate)s."),
    _("A business with a VAT number of %(country)s buys like any buyer there: %(rate)s."),
    _("A consumer in %(country)s (EU), below the OSS threshold: %(rate)s."),
    _("A consumer in %(country)s (EU): OSS, %(rate)s in %(place)s."),
    _("A consumer in %(country)s (EU): OSS, %(rate)s."),
    _("A consumer in %(country)s (EU): OSS, over the threshold, %(rate)s in %(place)s."),
    _("A consumer in %(country)s (EU): OSS, over the threshold, %(rate)s."),
    _("A business in %(country)s (EU), VAT number %(number)s valid on %(day)s: %(what)s without VAT, reverse charge."),
    _("%(provider)s worked out no VAT: a buyer outside the EU."),
    _("%(provider)s's own tax line: %(rate)s in %(country)s."),
    # Fees, payouts and what else moves a balance.
    _("One fee voucher for each closed day."),
    _("VAT on fees: %(treatments)s."),
    _(
        "Fees that other companies took out of the payments, such as a platform's: one voucher for each closed day, "
        "on an account of their own and without VAT rows, since their own invoices decide the VAT."
    ),
    _("A payout is booked when it has been paid, on the day it arrived, and only when its lines make up its amount."),
    _(
        "A payout that failed or was cancelled before it was booked is booked on the day the balance was debited; "
        "its reversal takes it back."
    ),
    _("A payout that failed or was cancelled is taken back by a reversing voucher of the same amounts."),
    _(
        "One balance was changed into another: what left is taken off at what it was carried at, what came stands "
        "at %(value)s, and the rest is exchange difference."
    ),
    _("At the end of the financial year a balance in another currency is valued at the rate of its last day."),
    _("The account is carried at that value from then on; nothing is reversed."),
    _(
        "What the provider owed when Kvitt starts, payouts under way included, comes into the books once, the day "
        "before the start where that day is open, against the account that a person chose."
    ),
    _("Money that the company put into its balance from the bank, or that went back: bank against clearing account."),
    _("Money between accounts at the provider goes to the account that a person chose for it."),
    _("A platform's fee income goes to the account that a person chose for it, as it stands and without VAT rows."),
    _("An advance or loan of the provider, or its repayment, goes to the account that a person chose for it."),
    _("A contribution taken from the balance goes to the account that a person chose for it."),
    _("The provider says no more than that it adjusted the balance: it goes to the account that a person chose."),
    _("What the provider holds back is still owed: it moves to an account of its own and back, never to a cost."),
    # Disputes, and what comes back.
    _("A buyer's bank withdrew the payment: it moves to the account for disputes until it is decided."),
    _("A dispute is not a loss, and the invoice stays paid."),
    _("A dispute's money came back: the account for disputes is relieved at what it was charged with."),
    _("The dispute was lost and the goods are gone: a loss, by the company's setting."),
    _("Output VAT stays until the loss is established."),
    _(
        "The dispute was lost and the sale is undone, by the company's setting: a voucher takes its rows back "
        "against the account for disputes."
    ),
    _(
        "The dispute was lost and the sale is undone, by the company's setting: a credit note on invoice "
        "%(number)s, settled against the account for disputes."
    ),
    _(
        "The dispute was lost and the sale is undone, by the company's setting: its rows are taken back against the "
        "account for disputes, at the sale's VAT, rate and accounts."
    ),
    _("The payment bounced after it was booked: the buyer owes it again."),
    _("The claim stands on an account of its own, since the invoice is settled in the customer ledger."),
    _("The claim stands on an account of its own, since the invoice %(number)s is settled in the customer ledger."),
    _("The refund never reached the buyer: the money is back, and the buyer still has it coming."),
    _("The debt stands on an account of its own, since the credit note is settled in the customer ledger."),
    _("The debt stands on an account of its own, since the credit note %(number)s is settled in the customer ledger."),
    _("The sale is credited already, by the refund that came back: this one pays what the buyer had coming."),
    _(
        "The sale is booked already, by the payment that bounced: this one, of the same order and amount, pays what "
        "the buyer owed."
    ),
    # Undone.
    _("Undone by %(who)s: it takes %(what)s back, on the same accounts and at its rate."),
    _(
        "The accounting system carried out a request after Kvitt had rightly given it up: the invoice stands twice, "
        "and a credit note takes number %(number)s back."
    ),
)
"""By which rule a document was made (`Document.rule`), a sentence each."""

PHRASES: Final[tuple[str, ...]] = (
    _("its own rate, %(rate)s"),
    _("the company's own rate, %(rate)s"),
    _("%(rate)s for %(category)s, as on %(day)s"),
    _("%(fees)s exempt as a financial service"),
    _("%(fees)s EU reverse charge with its basis"),
    _("%(fees)s as charged by the provider"),
    _("%(fees)s reverse charge from outside the EU with its basis"),
    _("payment fees"),
    _("dispute fees"),
    _("currency conversion"),
    _("card schemes"),
    _("other services"),
    _("anything else"),
    _("exempt as a financial service"),
    _("EU reverse charge with its basis"),
    _("as charged by the provider"),
    _("reverse charge from outside the EU with its basis"),
    _("account %(number)s"),
    _("against account %(number)s"),
    _("cost centre %(code)s"),
    _("project %(code)s"),
    _("VAT %(code)s"),
    _("goods"),
    _("services"),
    _("invoice"),
    _("credit note"),
    _("invoice %(number)s"),
    _("credit note %(number)s"),
    _("voucher %(number)s"),
    _("a person"),
    _("what was paid for it"),
    _("its value on the day"),
)
"""What stands in the sentences' places."""

DOINGS: Final[tuple[str, ...]] = (
    _("Planning"),
    _("Looking for invoices"),
    _("Deciding what would be booked"),
    _("Comparing the books with what was sent"),
    _("Proving that books and provider agree"),
    _("Fetching movements from %(provider)s"),
    _("Fetching payouts from %(provider)s"),
    _("Fetching disputes from %(provider)s"),
    _("Fetching items from %(provider)s"),
    _("Fetching %(year)s from %(provider)s"),
    _("Looking at %(what)s"),
    _("Booking %(number)s of %(all)s: %(what)s"),
)
"""What a run is doing now."""

FAULTS: Final[tuple[str, ...]] = (
    _("must be one of %(choices)s"),
    _("must be yes or no"),
    _("must be a whole number from %(least)s to %(most)s"),
    _("must be an amount from 0.00 to 1.00"),
    _("must be %(longest)s characters at most"),
    _("must be one line of plain text"),
    _("must be a date, year-month-day"),
    _("must be a time of day, 05:00 for example"),
    _("must be a time zone, Europe/Stockholm for example"),
    _("%(what)s is none of %(known)s, nor a rate"),
    _("must be an amount"),
    _("must be an amount with two decimals at most"),
    _("must be a year"),
    _("must be a VAT number with its country in front, SE556677889901 for example"),
    _("must be an account number"),
    _("must be the code of a voucher series, one to ten capital letters"),
    _("must be a code of your books, without spaces"),
    _("must name one place at least"),
    _("must be a list of fields, metadata.order_id for example"),
    _("must be a list of texts with one * each, SE-* for example"),
    _("must be a list of %(known)s"),
    _("must be basic, plus or settlement"),
    # Account rules.
    _("say what it must be"),
    _("at most %(most)s values of %(longest)s characters"),
    _("metadata needs the name of its field"),
    _("must be one amount, 100 or 99.50 for example"),
    _("must be a currency's three letters, SEK for example"),
    _("must be a country's two letters, SE for example"),
    _("give it a name of at most %(longest)s characters"),
    _("at most %(most)s conditions"),
    _("choose what kind of movement it is about"),
    _("what is not booked needs no account, VAT, cost centre or project"),
    _("must be a code without spaces"),
    _("at most %(longest)s characters"),
    _("say what shall be otherwise: an account, VAT, cost centre or project"),
    _("either a sales account on the invoice, or a voucher against an account"),
    _("fees have accounts and VAT of their own under Settings"),
    _("a sales account, VAT, cost centre or project alone concerns sales"),
    _("choose one of your connections"),
    _("there can be %(most)s rules at most"),
    _("there is no connection %(number)s"),
    _("the file is too long"),
    _("this is no file of rules: it must begin with the format %(format)s"),
    _("the file cannot be read as rules"),
    _("rule %(number)s: %(problem)s"),
)
"""What is wrong with a setting or an account rule."""

_PLACE: Final = re.compile(r"%\((\w+)\)s")
_WORDY: Final = frozenset({"what"})
"""Places that take as much as they can: a credit note 12 is a credit note with the number 12."""
_DEEPEST: Final = 3
"""How deep our own phrases stand in one another. A text may be made of nothing but such words, by anybody."""
_NAMES: Final = frozenset({"order", "name"})
"""Places of what somebody else has named: it stays as it is, though it may look like a day or an amount."""
_END: Final = re.compile(r"(?<=[.])\s+(?=[A-Z\"])")
_MONEY: Final = re.compile(r"(-?\d+(?:\.\d+)?) ([A-Z]{3})")
_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?) %")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")

_OF_A_KIND: Final = re.compile(r"(?:: |^Looking at )(\w+) ")
_KINDS: Final = {str(kind): word for kind, word in words.DOCUMENT_KINDS.items()}

Shapes = tuple[tuple[re.Pattern[str], str], ...]


@cache
def _shapes(templates: tuple[str, ...]) -> Shapes:
    """A pattern for each template, those that leave least to their placeholders first."""
    found = []
    for template in templates:
        pattern = "".join(
            f"(?P<{part}>.+{'' if part in _WORDY else '?'})" if place % 2 else re.escape(part.replace("%%", "%"))
            for place, part in enumerate(_PLACE.split(template))
        )
        found.append((len(_PLACE.sub("", template)), re.compile(pattern), template))
    found.sort(key=lambda one: -one[0])
    return tuple((pattern, template) for _length, pattern, template in found)


def sentence(text: str) -> str:
    """The rule that a document was made by, sentence by sentence."""
    if _untranslated():
        return text
    return " ".join(_said(one, RULES) or one for one in _END.split(text))


def doing(text: str) -> str:
    """What a run is doing now."""
    if _untranslated():
        return text
    kind = _OF_A_KIND.search(text)
    if kind and kind[1] in _KINDS:
        text = f"{text[: kind.start(1)]}{_KINDS[kind[1]]}{text[kind.end(1) :]}"
    return _said(text, DOINGS) or text


def fault(text: str) -> str:
    """What is wrong with a setting or an account rule."""
    return text if _untranslated() else _said(text, FAULTS) or text


def known(text: str) -> bool:
    """Whether each sentence of a rule fits a template."""
    return all(any(shape.fullmatch(one) for shape, _text in _shapes(RULES)) for one in _END.split(text))


def _untranslated() -> bool:
    found = get_locale()
    return found is None or found.language == "en"


def _said(text: str, templates: tuple[str, ...], deep: int = 0) -> str:
    for shape, template in _shapes(templates):
        found = shape.fullmatch(text)
        if found:
            return str(gettext(template)) % _places(found.groupdict(), deep)
    return ""


def _places(values: Mapping[str, str], deep: int) -> dict[str, str]:
    return {name: value if name in _NAMES else _place(value, deep + 1) for name, value in values.items()}


def _place(value: str, deep: int) -> str:
    """What stands in a placeholder: a phrase of ours, a list of them, a figure, a day, or a name as it is."""
    if deep > _DEEPEST:
        return value
    for between in (", ", "; "):
        parts = value.split(between)
        if len(parts) > 1:
            said = [_plain(each, deep) for each in parts]
            if all(said):
                return between.join(said)
    return _plain(value, deep) or value


def _plain(value: str, deep: int) -> str:
    """A phrase, day, rate or amount as the language writes it; empty for anything else."""
    if _DAY.fullmatch(value):
        try:
            return filters.day_text(date.fromisoformat(value))
        except ValueError:
            return ""
    if found := _PERCENT.fullmatch(value):
        return f"{filters.digits(Decimal(found[1]))}{filters.NO_BREAK}%"
    found = _MONEY.fullmatch(value)
    if found and found[2] in MINOR_UNITS:
        try:
            return filters.money_text(Money.from_decimal(Decimal(found[1]), found[2]))
        except InexactAmount:
            return ""
    return _said(value, PHRASES, deep) or _said(value, FAULTS, deep)
