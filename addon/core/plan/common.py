"""Rules that several kinds of document share: dates, accounts, currencies, rates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import assert_never

from addon.core.accounts import Account, AccountNotMapped, AccountRole
from addon.core.currencies import minor_units
from addon.core.dates import booking_date
from addon.core.documents import InvoiceLine
from addon.core.fixings import fixed_on, publisher
from addon.core.holds import HoldReason
from addon.core.money import ExchangeRate, Money
from addon.core.plan.situation import CannotBook
from addon.core.records import Movement
from addon.core.rules import LockedRule, Policy, rate_for

_LONGEST_BASE_KEY = 60
"""A key has at most 80 characters, as Fortnox's ExternalInvoiceReference1 holds; the longest ending of ours has 20."""


def source_of(movement: Movement) -> str:
    """What a movement's documents are named after: the object that moved it, or the movement where none is told."""
    return movement.source_ref or movement.ref


def base_key(movement: Movement, policy: Policy) -> str:
    """What the keys of a movement's documents begin with; a reference too long for that stands as its digest."""
    key = f"{policy.provider}/{source_of(movement)}"
    if len(key) <= _LONGEST_BASE_KEY:
        return key
    return f"{policy.provider}/{hashlib.sha256(source_of(movement).encode()).hexdigest()[:40]}"


def day_of(movement: Movement, policy: Policy) -> date:
    """The company's booking date of a movement, before the locked-period rule."""
    return booking_date(movement.occurred_at, policy.zone)


def open_day(day: date, policy: Policy) -> tuple[date, str]:
    """The day to book on, and a note where the locked-period rule moved it.

    Raises `CannotBook` for a locked period (rule: hold) and for a day outside every financial year.
    """
    locked = policy.books.locked_through
    note = ""
    if locked is not None and day <= locked:
        match policy.locked_rule:
            case LockedRule.HOLD:
                raise CannotBook(HoldReason.PERIOD_LOCKED, day=day.isoformat(), locked=locked.isoformat())
            case LockedRule.NEXT_OPEN_DAY:
                note = f"belongs to {day.isoformat()}, period locked"
                day = locked + timedelta(days=1)
            case _:
                assert_never(policy.locked_rule)
    if policy.books.year_of(day) is None:
        raise CannotBook(HoldReason.NO_FINANCIAL_YEAR, day=day.isoformat())
    return day, note


def account(policy: Policy, role: AccountRole, day: date, detail: str = "") -> Account:
    """The company's account for a role, ready to be posted to on a day. Raises `CannotBook`."""
    try:
        found = policy.accounts.get(role, detail)
    except AccountNotMapped:
        raise CannotBook(HoldReason.ACCOUNT_NOT_READY, role=role.value, detail=detail, why="not_mapped") from None
    require_ready((found,), day, policy)
    return found


def require_ready(accounts: Iterable[Account], day: date, policy: Policy, codes: tuple[str, str] = ("", "")) -> None:
    """Raise `CannotBook` unless each account exists, is active and demands no cost centre or project in the day's year
    but those that its row gets: the `codes` given, else the company's own."""
    year = policy.books.year_of(day)
    if year is None:
        raise CannotBook(HoldReason.NO_FINANCIAL_YEAR, day=day.isoformat())
    for wanted in accounts:
        cost_centre, project = policy.form.codes_for(wanted.role)
        why = policy.books.fault_of(wanted.number, year.ref, codes[0] or cost_centre, codes[1] or project)
        if why:
            raise CannotBook(
                HoldReason.ACCOUNT_NOT_READY,
                account=wanted.number,
                role=wanted.role.value,
                year=f"{year.first_day.isoformat()} – {year.last_day.isoformat()}",
                why=why,
            )


def require_currency(currency: str, policy: Policy) -> None:
    """Raise `CannotBook` unless the books know a currency."""
    if policy.books.currency(currency) is None:
        raise CannotBook(HoldReason.CURRENCY_NOT_READY, currency=currency)


def require_precision(amount: Money, policy: Policy) -> None:
    """Raise `CannotBook` for an amount finer than the ledger's documents, such as 1.005 KWD in two decimals."""
    if minor_units(amount.currency) <= policy.decimals:
        return
    value = amount.to_decimal()
    if value != value.quantize(Decimal(1).scaleb(-policy.decimals)):
        raise CannotBook(HoldReason.LEDGER_PRECISION, amount=str(amount), decimals=str(policy.decimals))


def invoice_rate(policy: Policy, currency: str, day: date) -> ExchangeRate | None:
    """The rate that invoices of a day are made at, for what else of that day goes onto the same clearing account.

    It is the last fixing before the day; where the accounting system has told none, the central bank's stands in, else
    it is the day's own. A rate of the day itself comes last, since it depends on the hour of the plan whether that is
    known by then.
    """
    return rate_for(policy, currency, day) or stand_in_rate(policy, currency, day) or _rate_of(policy, currency, day)


def value_rate(policy: Policy, currency: str, day: date) -> ExchangeRate | None:
    """The rate of a day's end, at which a balance is valued: the day's own if there is one, else the last before it."""
    return _rate_of(policy, currency, day) or rate_for(policy, currency, day) or stand_in_rate(policy, currency, day)


def stand_in_rate(policy: Policy, currency: str, day: date) -> ExchangeRate | None:
    """The central bank's fixing for a day of which the accounting system tells no rate, where the company lets us."""
    bank = policy.currency_rules.stand_in
    return bank.rate(currency, policy.books_currency, day) if bank is not None else None


def rate_words(rate: ExchangeRate) -> str:
    """A rate as it stands in the text of a voucher: with its day, and with its publisher where that is a bank."""
    who = publisher(rate.source)
    return f"{rate.rate} per {rate.unit} {rate.base} of {rate.fixed_on.isoformat()}" + (
        f", {who}" if who != rate.source else ""
    )


def rate_facts(rate: ExchangeRate | None) -> tuple[tuple[str, str], ...]:
    """What a document's record says of the rate that it was valued at; nothing where it was not."""
    if rate is None:
        return ()
    return (
        ("exchange_rate", f"{rate.rate} / {rate.unit} {rate.base}"),
        ("rate_source", rate.source),
        ("rate_day", rate.fixed_on.isoformat()),
    )


FARTHEST_FIXING_DAYS = 31
"""How far from its day a fixing may be that values an old fee or payout: with the rate of each invoice and of each
run kept, a gap this long means that the company had nothing in the currency for a month."""


def opening_rate(policy: Policy, currency: str, day: date) -> ExchangeRate | None:
    """The rate at which a balance is valued that was there at the start: the nearest there is, however far."""
    return nearest_rate(policy, currency, day, date.max.toordinal())


def nearest_rate(
    policy: Policy, currency: str, day: date, farthest_days: int = FARTHEST_FIXING_DAYS
) -> ExchangeRate | None:
    """The known rate nearest to a day, earlier ones first, for what has waited its time for a better one.

    Only for fees, openings and the bank's side of payouts: none carries VAT of a sale.
    """
    stand_in = policy.currency_rules.stand_in
    near = [
        rate
        for rate in (*policy.rates, *(stand_in.rates if stand_in is not None else ()))
        if rate.base == currency
        and rate.quote == policy.books_currency
        and abs((rate.fixed_on - day).days) <= farthest_days
    ]
    return min(
        near,
        key=lambda rate: (abs((rate.fixed_on - day).days), rate.fixed_on, rate.source, rate.unit, rate.rate),
        default=None,
    )


def _rate_of(policy: Policy, currency: str, day: date) -> ExchangeRate | None:
    return fixed_on(policy.rates, currency, policy.books_currency, day)


def vat_of(lines: Iterable[InvoiceLine]) -> Decimal:
    """VAT inside gross lines, each rounded to two decimals as the ledger does; major units."""
    cents = Decimal("0.01")
    return sum(
        (
            (line.gross.to_decimal() * line.vat_percent / (100 + line.vat_percent)).quantize(cents, ROUND_HALF_UP)
            for line in lines
        ),
        Decimal(0),
    )


def reference_text(policy: Policy, what: str, note: str = "") -> str:
    """A text for a document: the provider, what it is, and the note of a moved date."""
    return f"{policy.provider_name}: {what}{f' ({note})' if note else ''}"
