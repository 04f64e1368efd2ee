"""The settings of companies and connections: their names, what they may be, their defaults, and changing them.

All values are kept as text and read by one function each, so that the command line, the settings page and the
database speak of the same thing. A change is saved whole or not at all, and is logged with old and new value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from addon.core.accounts import AccountRole
from addon.core.books import Feature, OrderField
from addon.core.currencies import MINOR_UNITS
from addon.core.dates import next_daily_run
from addon.core.fee_vat import USUAL_FEES, FeeEntity, FeeRules, FeeVat
from addon.core.fixings import CurrencyRules, RateChoice
from addon.core.invoicing import Choice
from addon.core.kinds import DEFAULT_KIND_RULES, BankSide, BouncedPayment, KindRules, LostDispute
from addon.core.records import FeeKind
from addon.core.rules import LockedRule, Mode
from addon.core.saleform import Articles, SaleDocument, SaleForm
from addon.core.settlement import USUAL_STYLE, SettlementBy, SettlementContra, SettlementLines, SettlementStyle
from addon.core.vat import (
    EU_VAT_TERRITORY,
    STANDARD,
    EuBusiness,
    InvalidNumber,
    OddVat,
    OssRule,
    Supply,
    VatRules,
    read_rules,
)
from addon.core.written import figure_of
from addon.services import activity, vat_rates
from addon.services.context import Services
from addon.store.database import company_of, held
from addon.store.models import BooksRow, Company, CompanySettings, CompanyWork, Connection, DocumentRow, PartRow

Scope = Literal["company", "connection"]
Kind = Literal["text", "choice", "yes_no", "number", "amount", "date", "time", "zone", "account", "list"]


class UnknownConnection(LookupError):
    """The company has no connection of this number."""


@dataclass(frozen=True, slots=True)
class SettingFault:
    """Why a value was not taken: a sentence for the person who gave it."""

    key: str
    value: str
    problem: str

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `parse` turns its text into its value and raises `ValueError` with a sentence."""

    key: str
    scope: Scope
    kind: Kind
    default: str
    choices: tuple[str, ...]
    parse: Callable[[str], Any]


# --- reading text ---------------------------------------------------------------------------------------------


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return parse


def _yes_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text == "yes"


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


def _tolerance(text: str) -> Decimal:
    try:
        value = Decimal(text.replace(",", "."))
    except InvalidOperation:
        raise ValueError("must be an amount from 0.00 to 1.00") from None
    if not value.is_finite() or not 0 <= value <= 1 or value != value.quantize(Decimal("0.01")):
        raise ValueError("must be an amount from 0.00 to 1.00")
    return value


def _text(longest: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if len(text) > longest:
            raise ValueError(f"must be {longest} characters at most")
        if any(not character.isprintable() for character in text):
            raise ValueError("must be one line of plain text")
        return text

    return parse


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a date, year-month-day") from None


def _optional_date(text: str) -> date | None:
    return _date(text) if text else None


def _time(text: str) -> time:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError("must be a time of day, 05:00 for example")
    return time.fromisoformat(text)


@cache
def _zones() -> frozenset[str]:
    """The time zones that there are. Asking looks at hundreds of files, for every session that reads settings."""
    return frozenset(available_timezones())


def _zone(text: str) -> ZoneInfo:
    if text not in _zones():
        raise ValueError("must be a time zone, Europe/Stockholm for example")
    return ZoneInfo(text)


def _sale_rules(text: str) -> str:
    """The company's rules on VAT, kept as they were written. Raises `ValueError` for what no rule can say."""
    if len(text) > 2000:
        raise ValueError("must be 2000 characters at most")
    allowed = {*vat_rates.categories(), STANDARD, *(supply.value for supply in Supply)}
    for rule in read_rules(text):
        if rule.what not in allowed and not rule.what[0].isdigit():
            raise ValueError(f"{rule.what!r} is none of {', '.join(sorted(allowed))}, nor a rate")
    return text


def _sum(text: str) -> Decimal:
    try:
        value = figure_of(text.strip() or "0")
    except ValueError:
        raise ValueError("must be an amount") from None
    if not 0 <= value < 10**9 or value != value.quantize(Decimal("0.01")):
        raise ValueError("must be an amount with two decimals at most")
    return value


def _year(text: str) -> int:
    if not re.fullmatch(r"20[0-9]{2}|", text):
        raise ValueError("must be a year")
    return int(text or 0)


def _vat_number(text: str) -> str:
    if text and not re.fullmatch(r"[A-Z]{2}[0-9A-Z+*]{2,13}", text):
        raise ValueError("must be a VAT number with its country in front, SE556677889901 for example")
    return text


def _account(text: str) -> str:
    if text and not re.fullmatch(r"[0-9]{3,9}", text):
        raise ValueError("must be an account number")
    return text


def _series(text: str) -> str:
    if text and not re.fullmatch(r"[0-9A-ZÅÄÖ]{1,10}", text):
        raise ValueError("must be the code of a voucher series, one to ten capital letters")
    return text


def _code(text: str) -> str:
    if text and not re.fullmatch(r"[^\s,;]{1,25}", text):
        raise ValueError("must be a code of your books, without spaces")
    return text


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be an instant") from None
    if at.tzinfo is None:
        raise ValueError("must be an instant with its zone")
    return at


def split_list(text: str) -> tuple[str, ...]:
    """The entries of a list written with commas, without blanks and repetitions."""
    return tuple(dict.fromkeys(entry.strip() for entry in text.split(",") if entry.strip()))


_PLACE = re.compile(r"[A-Za-z0-9_.#: -]{1,80}")


def _places(text: str) -> tuple[str, ...]:
    places = split_list(text)
    if not places:
        raise ValueError("must name one place at least")
    if len(places) > 20 or any(not _PLACE.fullmatch(place) for place in places):
        raise ValueError("must be a list of fields, metadata.order_id for example")
    return places


def _patterns(text: str) -> tuple[str, ...]:
    patterns = split_list(text)
    if len(patterns) > 20 or any(pattern.count("*") != 1 or not 2 <= len(pattern) <= 60 for pattern in patterns):
        raise ValueError("must be a list of texts with one * each, SE-* for example")
    return patterns


def _order_fields(text: str) -> tuple[OrderField, ...]:
    names = split_list(text)
    known = {field.value for field in OrderField}
    if not names or any(name not in known for name in names):
        raise ValueError(f"must be a list of {', '.join(sorted(known))}")
    return tuple(OrderField(name) for name in names)


def _mode(text: str) -> Mode | None:
    if text and text not in tuple(Mode):
        raise ValueError("must be basic, plus or settlement")
    return Mode(text) if text else None


# --- what there is --------------------------------------------------------------------------------------------

DEFAULT_ORDER_PLACES: Final = (
    "metadata.order_number",
    "metadata.order_id",
    "metadata.Order #",
    "metadata.orderId",
    "metadata.order",
    "payment_intent.metadata.order_number",
    "payment_intent.metadata.order_id",
    "payment_intent.metadata.Order #",
    "payment_intent.metadata.orderId",
    "payment_intent.metadata.order",
    "payment_intent.payment_details.order_reference",
    "description",
    "invoice_id.number",
    "invoice_id",
    "custom_field",
    "subject",
)
"""Where shops put their order number, the surest place first, for connections that were made before each provider said
its own (`SourceCapabilities.order_places`). Stored settings may rest on it, so it does not change.
"""

COMPANY_ACCOUNTS: Final = (
    "sales:SE25",
    "sales:SE12",
    "sales:SE6",
    "sales:SE0",
    "sales:EXPORT",
    "sales:DK25",
    "sales:DK0",
    "output_vat:DK25",
    "output_vat:SE25",
    "output_vat:SE12",
    "output_vat:SE6",
    "sales:EXPORT-SERVICES",
    "sales:EU-GOODS",
    "sales:EU-SERVICES",
    "fee",
    "fee_basis",
    "fee_basis:NON_EU",
    "fee_basis_contra",
    "fee_output_vat",
    "fee_input_vat",
    "fee_domestic_vat",
    "rounding",
    "exchange_gain",
    "exchange_loss",
    "disputes",
    "dispute_loss",
    "bounced_payments",
    "returned_refunds",
    "fee_tax",
    "foreign_fee",
    "transit",
    "platform_income",
    "transfers",
    "financing",
    "contributions",
    "adjustments",
    "opening_contra",
)
"""Account roles that a company maps. Customer claims are the accounting system's own and only read."""


def shown_accounts(country: str) -> tuple[str, ...]:
    """The roles that concern a company of a country: VAT of another Nordic country's home sales does not."""
    other = ":DK" if country != "DK" else ":SE"
    return tuple(role for role in COMPANY_ACCOUNTS if other not in role)


CONNECTION_ACCOUNT_ROLES: Final = (AccountRole.CLEARING.value, AccountRole.BANK.value, AccountRole.RESERVE.value)
"""Account roles that a connection maps, once for each currency."""

SEEN_CURRENCIES: Final = "seen_currencies"
"""Where a connection's row keeps which currencies its movements have had, so that old ones are not read again."""

_ACCOUNTS = "accounts."

AS_COMPANY: Final = "as_company"
"""A connection's fees are treated as the company's profile says."""
AS_PAYMENTS: Final = "as_payments"
"""A kind of fee that is treated like payment fees."""
OTHER_FEES: Final = tuple(kind for kind in FeeKind if kind is not FeeKind.PAYMENT)
"""Kinds of fees with a setting of their own beside `fee_vat`, which is that of payment fees."""
TOOLS: Final = frozenset({FeeKind.SERVICE, FeeKind.OTHER})
"""Kinds that are no moving of money, and so taxed also where payment fees are exempt."""
_CONTRA_ACCOUNT: Final = f"{_ACCOUNTS}{AccountRole.SETTLEMENT_CONTRA.value}"
"""What settlement vouchers book against, where a connection's sales are booked by somebody else."""


def _setting(
    key: str, scope: Scope, kind: Kind, default: str, parse: Callable[[str], Any], choices: tuple[str, ...] = ()
) -> Setting:
    return Setting(key, scope, kind, default, choices, parse)


def _choices(key: str, scope: Scope, default: str, *choices: str) -> Setting:
    return Setting(key, scope, "choice", default, choices, _choice(*choices))


def _all() -> dict[str, Setting]:
    settings = [
        _setting("time_zone", "company", "zone", "Europe/Stockholm", _zone),
        _setting("daily_at", "company", "time", "05:00", _time),
        _choices("approve", "company", "automatic", "automatic", "first"),
        _choices("locked_period", "company", LockedRule.HOLD.value, *(rule.value for rule in LockedRule)),
        _choices("customers", "company", "per_buyer", "per_buyer", "per_organisation", "collective"),
        _choices("existing_customers", "company", "leave", "leave", "update"),
        _choices("articles", "company", Articles.FREE_TEXT.value, *(choice.value for choice in Articles)),
        _choices("sale_document", "company", SaleDocument.BOOKED.value, *(choice.value for choice in SaleDocument)),
        _setting("mail_invoice", "company", "yes_no", "no", _yes_no, ("yes", "no")),
        _choices("payments", "company", "booked", "booked", "unbooked"),
        _setting("payment_terms", "company", "text", "", _code),
        *(_setting(choice, "company", "text", "", _code) for choice in Choice if choice is not Choice.PAYMENT_TERMS),
        _setting("cost_centre", "company", "text", "", _code),
        _setting("project", "company", "text", "", _code),
        _setting("invoice_text", "company", "text", "", _text(200)),
        _choices("default_vat_percent", "company", "25", "25", "12", "6", "0"),
        _setting("export_without_vat", "company", "yes_no", "yes", _yes_no, ("yes", "no")),
        _setting("tax_lines", "company", "yes_no", "yes", _yes_no, ("yes", "no")),
        _setting("vat_rules", "company", "text", "", _sale_rules),
        _choices("supply", "company", Supply.GOODS.value, *(supply.value for supply in Supply)),
        _choices("books_method", "company", "", "", "invoices", "payments"),
        _choices("oss", "company", OssRule.NO.value, *(rule.value for rule in OssRule)),
        _setting("oss_before", "company", "amount", "0.00", _sum),
        _setting("oss_before_year", "company", "text", "", _year),
        _choices("eu_business", "company", EuBusiness.DOMESTIC.value, *(choice.value for choice in EuBusiness)),
        _choices(
            "invalid_vat_number",
            "company",
            InvalidNumber.AS_CONSUMER.value,
            *(choice.value for choice in InvalidNumber),
        ),
        _setting("vat_number_wait_days", "company", "number", "7", _whole_number(0, 60)),
        _setting("own_vat_number", "company", "text", "", _vat_number),
        _choices("odd_vat", "company", OddVat.HOLD.value, *(choice.value for choice in OddVat)),
        _choices("fee_vat", "company", FeeVat.EU_REVERSE_CHARGE.value, *(choice.value for choice in FeeVat)),
        _choices("fee_entity", "company", FeeEntity.STRIPE_IE.value, *(entity.value for entity in FeeEntity)),
        *(
            _choices(
                f"fee_vat.{kind.value}",
                "company",
                FeeVat.EU_REVERSE_CHARGE.value if kind in TOOLS else AS_PAYMENTS,
                AS_PAYMENTS,
                *(choice.value for choice in FeeVat),
            )
            for kind in OTHER_FEES
        ),
        *(_setting(f"fee_vat_code.{choice.value}", "company", "text", "", _text(20)) for choice in FeeVat),
        _setting("fee_vat_confirmed_profile", "company", "text", "", _text(400)),
        _setting("fee_vat_confirmed_by", "company", "text", "", _text(200)),
        _setting("fee_vat_confirmed_at", "company", "text", "", _instant),
        _setting("voucher_series", "company", "text", "", _series),
        _choices("dispute_lost", "company", LostDispute.LOSS.value, *(choice.value for choice in LostDispute)),
        _choices("bounced_payment", "company", BouncedPayment.CLAIM.value, *(one.value for one in BouncedPayment)),
        _choices("bank_side", "company", BankSide.BANK.value, *(choice.value for choice in BankSide)),
        _setting("wait_days", "company", "number", "14", _whole_number(0, 180)),
        _setting("book_drafts", "company", "yes_no", "no", _yes_no, ("no", "yes")),
        _setting("tolerance", "company", "amount", "0.00", _tolerance),
        _choices("rate_source", "company", RateChoice.ACCOUNTING.value, *(choice.value for choice in RateChoice)),
        _setting("rate_stand_in", "company", "yes_no", "yes", _yes_no, ("yes", "no")),
        _setting("revalue_at_year_end", "company", "yes_no", "yes", _yes_no, ("yes", "no")),
        _choices("evidence", "company", "nightly", "nightly", "no"),
        _choices("rounds_to_whole", "company", "unknown", "unknown", "yes", "no"),
        *(_setting(_ACCOUNTS + role, "company", "account", "", _account) for role in COMPANY_ACCOUNTS),
        _setting("mode", "connection", "choice", "", _mode, tuple(mode.value for mode in Mode)),
        _setting("start_date", "connection", "date", "", _optional_date),
        _setting("order_places", "connection", "list", ",".join(DEFAULT_ORDER_PLACES), _places),
        _setting("order_fields", "connection", "list", "order_number,your_reference", _order_fields),
        _setting("order_patterns", "connection", "list", "", _patterns),
        _choices("settlement_lines", "connection", "itemised", *(choice.value for choice in SettlementLines)),
        _choices("settlement_contra", "connection", "sales", *(choice.value for choice in SettlementContra)),
        _choices("settlement_by", "connection", "payout", *(choice.value for choice in SettlementBy)),
        _setting(_CONTRA_ACCOUNT, "connection", "account", "", _account),
        _choices("fee_treatment", "connection", AS_COMPANY, AS_COMPANY, *(choice.value for choice in FeeVat)),
    ]
    return {setting.key: setting for setting in settings}


SETTINGS: Final[dict[str, Setting]] = _all()
"""All settings but the accounts of connections, which exist for each currency: see `find_setting`."""

_READ_BY_SEARCH: Final = frozenset({"order_places", "order_fields", "order_patterns"})
"""Settings that decide which invoice an order number leads to."""
_WRITTEN_BY_US: Final = frozenset({"fee_vat_confirmed_at", "fee_vat_confirmed_profile"})
_PROFILE: Final = frozenset({"fee_vat", "fee_entity", *(f"fee_vat.{kind.value}" for kind in OTHER_FEES)})
_COLUMNS: Final = frozenset({"mode", "start_date"})
"""Settings of a connection that stand in columns of its row."""


def find_setting(key: str, scope: Scope) -> Setting | None:
    """The setting of a name, `accounts.clearing:EUR` and its like included; None if there is none."""
    setting = SETTINGS.get(key)
    if setting is not None:
        return setting if setting.scope == scope else None
    role, _, currency = key.removeprefix(_ACCOUNTS).partition(":")
    of_connection = role in CONNECTION_ACCOUNT_ROLES and currency in MINOR_UNITS
    if scope == "company" and key.startswith(_ACCOUNTS) and _is_oss(role, currency):
        return _setting(key, "company", "account", "", _account)
    if scope == "connection" and key.startswith(_ACCOUNTS) and of_connection:
        return _setting(key, "connection", "account", "", _account)
    return None


_OSS_DETAIL = re.compile(r"OSS-([A-Z]{2})[0-9]{1,2}(\.[0-9]{1,2})?")


def _is_oss(role: str, detail: str) -> bool:
    """Whether a role is an account of OSS: `sales:OSS-DE19`, `output_vat:OSS-DE19`; one for each country and rate."""
    found = _OSS_DETAIL.fullmatch(detail)
    vat_or_sales = role in (AccountRole.SALES.value, AccountRole.OUTPUT_VAT.value)
    return vat_or_sales and found is not None and found.group(1) in EU_VAT_TERRITORY


# --- reading --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CompanyConfig:
    """A company's settings, read. `accounts` has keys as in `AccountMap`; `tolerance` is in major units."""

    time_zone: ZoneInfo
    daily_at: time
    approve_automatically: bool
    locked_rule: LockedRule
    collective_customers: bool
    form: SaleForm
    invoice_text: str
    default_vat_percent: int
    export_without_vat: bool
    fee_vat: FeeVat
    fee_vat_confirmed_by: str
    fee_vat_confirmed_at: datetime | None
    voucher_series: str
    wait_days: int
    tolerance: Decimal
    book_drafts: bool
    rounds_to_whole: bool | None
    """None: not known yet."""
    accounts: Mapping[str, str]
    rate_source: RateChoice = RateChoice.ACCOUNTING
    rate_stand_in: bool = True
    """Whether the central bank's fixings hold for days of which the accounting system tells no rate."""
    revalue_at_year_end: bool = True
    vat: VatRules = field(default_factory=VatRules)
    own_vat_number: str = ""
    attach_evidence: bool = True
    """Whether the provider's records are attached to vouchers, at night."""
    kind_rules: KindRules = DEFAULT_KIND_RULES
    fee_entity: FeeEntity = FeeEntity.STRIPE_IE
    fee_rules: FeeRules = USUAL_FEES
    fee_vat_confirmed_profile: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    """What was chosen of the registers that invoices name (`core.invoicing.Choice`)."""
    by_payments: bool = False
    """Whether a person said that the books go by payments, where the accounting system does not tell."""

    def fee_profile(self) -> dict[FeeKind, FeeVat]:
        """How each kind of fee is treated."""
        return {kind: self.fee_rules.treatment(kind, self.fee_vat) for kind in FeeKind}

    def fees_confirmed(self) -> bool:
        """Whether a person stands by the treatment of fees as it is now; a change asks anew."""
        return bool(self.fee_vat_confirmed_by) and self.fee_vat_confirmed_profile == profile_text(
            self.fee_entity, self.fee_profile()
        )

    def currency_rules(self) -> CurrencyRules:
        """How foreign amounts are valued, as far as the company decides it."""
        return CurrencyRules(source=self.rate_source, revalue=self.revalue_at_year_end)


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """A connection's settings, read. `mode` None: the person has not chosen yet."""

    mode: Mode | None
    start_date: date | None
    order_places: tuple[str, ...]
    order_fields: tuple[OrderField, ...]
    accounts: Mapping[str, str]
    settlement: SettlementStyle = USUAL_STYLE
    order_patterns: tuple[str, ...] = ()
    fee_treatment: FeeVat | None = None
    """How its fees for moving money are treated, where that is not the company's treatment."""

    def currencies(self) -> tuple[str, ...]:
        """The balance currencies that have a clearing account."""
        prefix = f"{AccountRole.CLEARING.value}:"
        return tuple(sorted(key.removeprefix(prefix) for key in self.accounts if key.startswith(prefix)))


def _company_row(session: Session, *, for_update: bool = False) -> CompanySettings | None:
    if for_update:
        # What was read before the lock may be old by now.
        query = select(CompanySettings).with_for_update().execution_options(populate_existing=True)
        return session.scalars(query).one_or_none()
    known: CompanySettings | None = session.info.get(CompanySettings)
    if known is None:
        known = session.scalars(select(CompanySettings)).one_or_none()
        return held(session, known) if known is not None else None
    return known


def _accounts(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        key.removeprefix(_ACCOUNTS): str(number)
        for key, number in values.items()
        if key.startswith(_ACCOUNTS) and number
    }


def read_company(session: Session) -> CompanyConfig:
    """The settings of the company that the session is bound to, defaults where nothing was set."""
    row = _company_row(session)
    return _company_config(tuple(row.values.items()) if row is not None else ())


@lru_cache(maxsize=256)
def _company_config(values: tuple[tuple[str, Any], ...]) -> CompanyConfig:
    """What stored settings say: read dozens of times in each run, and the same until somebody changes one."""
    stored = dict(values)

    def value(key: str) -> Any:
        setting = SETTINGS[key]
        return setting.parse(str(stored.get(key, setting.default)))

    rounds = value("rounds_to_whole")
    return CompanyConfig(
        time_zone=value("time_zone"),
        daily_at=value("daily_at"),
        approve_automatically=value("approve") == "automatic",
        locked_rule=LockedRule(value("locked_period")),
        collective_customers=value("customers") == "collective",
        form=SaleForm(
            document=SaleDocument(value("sale_document")),
            articles=Articles(value("articles")),
            payment_terms=value("payment_terms"),
            cost_centre=value("cost_centre"),
            project=value("project"),
            mail_invoice=value("mail_invoice"),
            payments_booked=value("payments") == "booked",
            by_organisation=value("customers") == "per_organisation",
            update_customers=value("existing_customers") == "update",
        ),
        invoice_text=value("invoice_text"),
        default_vat_percent=int(value("default_vat_percent")),
        export_without_vat=value("export_without_vat"),
        fee_vat=FeeVat(value("fee_vat")),
        fee_vat_confirmed_by=value("fee_vat_confirmed_by"),
        fee_vat_confirmed_at=value("fee_vat_confirmed_at"),
        voucher_series=value("voucher_series"),
        wait_days=value("wait_days"),
        tolerance=value("tolerance"),
        book_drafts=value("book_drafts"),
        rounds_to_whole=None if rounds == "unknown" else rounds == "yes",
        attach_evidence=value("evidence") == "nightly",
        accounts=_accounts(stored),
        rate_source=RateChoice(value("rate_source")),
        rate_stand_in=value("rate_stand_in"),
        by_payments=value("books_method") == "payments",
        choices={choice.value: text for choice in Choice if (text := value(choice))},
        revalue_at_year_end=value("revalue_at_year_end"),
        fee_entity=FeeEntity(value("fee_entity")),
        fee_rules=FeeRules(
            tuple(
                (kind, FeeVat(chosen))
                for kind in OTHER_FEES
                if (chosen := value(f"fee_vat.{kind.value}")) != AS_PAYMENTS
            ),
            tuple((choice, code) for choice in FeeVat if (code := value(f"fee_vat_code.{choice.value}"))),
        ),
        fee_vat_confirmed_profile=value("fee_vat_confirmed_profile"),
        vat=VatRules(
            rates=vat_rates.rate_table(),
            rules=read_rules(value("vat_rules")),
            supply=Supply(value("supply")),
            oss=OssRule(value("oss")),
            oss_before_minor=int(value("oss_before").scaleb(2)),
            oss_before_year=value("oss_before_year"),
            eu_business=EuBusiness(value("eu_business")),
            invalid_number=InvalidNumber(value("invalid_vat_number")),
            odd=OddVat(value("odd_vat")),
            number_wait_days=value("vat_number_wait_days"),
            tax_lines=value("tax_lines"),
        ),
        own_vat_number=value("own_vat_number"),
        kind_rules=KindRules(
            LostDispute(value("dispute_lost")), BouncedPayment(value("bounced_payment")), BankSide(value("bank_side"))
        ),
    )


def read_connection(row: Connection) -> ConnectionConfig:
    """The settings of a connection, defaults where nothing was set."""
    stored: Mapping[str, Any] = row.settings

    def value(key: str) -> Any:
        setting = SETTINGS[key]
        return setting.parse(str(stored.get(key, setting.default)))

    return ConnectionConfig(
        mode=Mode(row.mode) if row.mode else None,
        start_date=row.start_date,
        order_places=value("order_places"),
        order_fields=value("order_fields"),
        accounts=_accounts(stored),
        order_patterns=value("order_patterns"),
        settlement=SettlementStyle(
            SettlementLines(value("settlement_lines")),
            SettlementContra(value("settlement_contra")),
            SettlementBy(value("settlement_by")),
        ),
        fee_treatment=None if value("fee_treatment") == AS_COMPANY else FeeVat(value("fee_treatment")),
    )


def get_connection(session: Session, connection_id: int, *, for_update: bool = False) -> Connection:
    """A connection of the session's company. Raises `UnknownConnection`."""
    query = select(Connection).where(Connection.id == connection_id)
    row = session.scalars(query.with_for_update() if for_update else query).one_or_none()
    if row is None:
        raise UnknownConnection(f"the company has no connection {connection_id}")
    return row


def present(session: Session, row: Connection | None) -> dict[str, str]:
    """All settings of a scope with their values, as text."""
    if row is None:
        stored_row = _company_row(session)
        stored: Mapping[str, Any] = stored_row.values if stored_row is not None else {}
        scope: Scope = "company"
    else:
        stored = {
            **{key: text for key, text in row.settings.items() if find_setting(key, "connection")},
            "mode": row.mode,
            "start_date": row.start_date.isoformat() if row.start_date else "",
        }
        scope = "connection"
    present = {key: setting.default for key, setting in SETTINGS.items() if setting.scope == scope}
    present |= {key: str(text) for key, text in stored.items()}
    return present


def values(services: Services, company_id: int, connection_id: int | None = None) -> dict[str, str]:
    """All settings of a company, or of one of its connections, as text. Raises `UnknownConnection`."""
    with services.db.company_reading(company_id) as session:
        row = get_connection(session, connection_id) if connection_id is not None else None
        return present(session, row)


# --- changing -------------------------------------------------------------------------------------------------


def change(
    services: Services,
    company_id: int,
    who: str,
    changes: Mapping[str, str],
    connection_id: int | None = None,
) -> tuple[SettingFault, ...]:
    """Save settings, all or none: nothing is saved if any fault is returned. Each change is logged.

    Raises `UnknownConnection`.
    """
    scope: Scope = "company" if connection_id is None else "connection"
    wanted = {key.strip(): text.strip() for key, text in changes.items()}
    faults = [fault for key, text in wanted.items() if (fault := _fault(key, text, scope))]
    if faults:
        return tuple(faults)
    now = services.now()
    with services.db.company(company_id) as session:
        row = get_connection(session, connection_id, for_update=True) if connection_id is not None else None
        old = present(session, row)
        changed = {key: text for key, text in wanted.items() if old.get(key, "") != text}
        if row is None and (_PROFILE & changed.keys() or _confirms_anew(wanted, old)):
            # Whoever decides the fees' VAT stands by it with name and date.
            changed["fee_vat_confirmed_by"] = wanted.get("fee_vat_confirmed_by") or who
            changed["fee_vat_confirmed_at"] = now.isoformat()
            changed["fee_vat_confirmed_profile"] = _profile_of({**old, **changed})
        faults = _conflicts(session, row, {**old, **changed}, changed)
        if faults:
            return tuple(faults)
        if row is None:
            _save_company(session, changed, now)
        else:
            _save_connection(session, row, changed, now)
        for key, text in changed.items():
            if key in _WRITTEN_BY_US:
                continue
            facts = {"setting": key, "old": old.get(key, ""), "new": text}
            if row is not None:
                facts |= {"connection": str(row.id), "provider": row.provider}
            activity.record(session, who, "settings_changed", facts, now)
    return ()


def _confirms_anew(wanted: Mapping[str, str], old: Mapping[str, str]) -> bool:
    """Whether a person puts a name to the profile of fees: another name, or to one that nobody stands by yet.

    A form that holds the name and is saved for another setting's sake confirms nothing.
    """
    name = wanted.get("fee_vat_confirmed_by")
    if not name:
        return False
    return name != old.get("fee_vat_confirmed_by") or old.get("fee_vat_confirmed_profile") != _profile_of(old)


def profile_text(entity: FeeEntity, profile: Mapping[FeeKind, FeeVat]) -> str:
    """A profile of fees as it is remembered when a person confirms it."""
    return " ".join([entity.value, *(f"{kind.value}={profile[kind].value}" for kind in FeeKind)])


def _profile_of(values_by_key: Mapping[str, str]) -> str:
    """The profile of fees that settings make, remembered with the confirmation of it."""
    payments = FeeVat(values_by_key["fee_vat"])
    profile = {FeeKind.PAYMENT: payments}
    for kind in OTHER_FEES:
        chosen = values_by_key[f"fee_vat.{kind.value}"]
        profile[kind] = payments if chosen == AS_PAYMENTS else FeeVat(chosen)
    return profile_text(FeeEntity(values_by_key["fee_entity"]), profile)


def propose(session: Session, values_by_key: Mapping[str, str], row: Connection | None = None) -> None:
    """Set what a person has not set: defaults found in the books. The caller commits.

    Nothing that has a value is changed.
    """
    if row is not None:
        missing = {key: text for key, text in values_by_key.items() if not row.settings.get(key)}
        row.settings = {**row.settings, **missing}
        return
    stored = _stored(session)
    missing = {key: text for key, text in values_by_key.items() if not stored.values.get(key)}
    stored.values = {**stored.values, **missing}


def propose_once(session: Session, values_by_key: Mapping[str, str]) -> None:
    """The same for what a person may have emptied on purpose: only what was never set. The caller commits."""
    stored = _stored(session)
    stored.values = {**values_by_key, **stored.values}


def _fault(key: str, text: str, scope: Scope) -> SettingFault | None:
    setting = find_setting(key, scope)
    if setting is None or key in _WRITTEN_BY_US:
        where = "a company" if scope == "company" else "a connection"
        return SettingFault(key, text, f"is no setting of {where}")
    try:
        setting.parse(text)
    except ValueError as error:
        return SettingFault(key, text, str(error))
    return None


def _conflicts(
    session: Session, row: Connection | None, result: Mapping[str, str], changed: Mapping[str, str]
) -> list[SettingFault]:
    if row is None:
        return _beyond_the_system(session, changed)
    faults = _account_conflicts(session, row, result, changed)
    if "start_date" in changed:
        if not changed["start_date"]:
            faults.append(SettingFault("start_date", "", "must be a date"))
        elif _has_documents(session, row):
            faults.append(
                SettingFault(
                    "start_date",
                    changed["start_date"],
                    "cannot change any more: entries have been made from the date that is set",
                )
            )
    if "mode" in changed and not changed["mode"]:
        faults.append(SettingFault("mode", "", "must be basic, plus or settlement"))
    return faults


_FEATURES: Final[Mapping[Feature, tuple[str, str]]] = {
    Feature.MAIL_INVOICE: ("mail_invoice", "yes"),
    Feature.ORDER: ("sale_document", SaleDocument.ORDER.value),
    Feature.COST_CENTRE: ("cost_centre", ""),
    Feature.PROJECT: ("project", ""),
}
"""The setting, and its value, that asks for what not every accounting system can do; no value: any."""


def cannot(session: Session) -> tuple[Feature, ...]:
    """What the company's accounting system cannot do, as far as its books have been read."""
    row = session.scalars(select(BooksRow)).one_or_none()
    if row is None:
        return ()
    return tuple(Feature(name) for name in row.value.get("cannot", ()))


def offered(features: Collection[Feature], key: str, choices: tuple[str, ...]) -> tuple[str, ...] | None:
    """Which of a setting's choices a system without these features can carry out; None: the setting is of no use."""
    for feature in features:
        name, needed = _FEATURES[feature]
        if name == key:
            left = tuple(choice for choice in choices if choice != needed)
            return left if len(left) > 1 else None
    return choices


def _beyond_the_system(session: Session, changed: Mapping[str, str]) -> list[SettingFault]:
    lacking = cannot(session)
    return [
        SettingFault(key, changed[key], "is not possible in your accounting system")
        for feature, (key, needed) in _FEATURES.items()
        if feature in lacking and changed.get(key) and needed in ("", changed[key])
    ]


def _account_conflicts(
    session: Session, row: Connection, result: Mapping[str, str], changed: Mapping[str, str]
) -> list[SettingFault]:
    """A clearing account that anything else is booked on can prove nothing."""
    taken: dict[str, str] = {}
    for other in session.scalars(select(Connection).where(Connection.id != row.id)):
        for key, number in _accounts(other.settings).items():
            taken.setdefault(number, f"{other.provider} {key}")
    for key, number in read_company(session).accounts.items():
        taken.setdefault(number, key)
    faults = []
    prefix = f"{_ACCOUNTS}{AccountRole.CLEARING.value}:"
    own = {key: number for key, number in result.items() if key.startswith(_ACCOUNTS) and number}
    for key, number in own.items():
        if key not in changed:
            continue
        if key.startswith(prefix):
            twice = next((other for other, same in own.items() if same == number and other != key), None)
            user = twice.removeprefix(_ACCOUNTS) if twice else taken.get(number)
        else:
            user = next(
                (
                    other.removeprefix(_ACCOUNTS)
                    for other, same in own.items()
                    if same == number and other.startswith(prefix)
                ),
                None,
            )
        if user is not None:
            faults.append(
                SettingFault(
                    key, number, f"account {number} is used for {user}; a clearing account is for one thing only"
                )
            )
    return faults


def _has_documents(session: Session, row: Connection) -> bool:
    query = (
        select(DocumentRow.id)
        .where(DocumentRow.connection_id == row.id, DocumentRow.state.in_(("approved", "sending", "booked")))
        .limit(1)
    )
    return session.scalar(query) is not None


def _stored(session: Session) -> CompanySettings:
    row = _company_row(session, for_update=True)
    if row is None:
        row = CompanySettings(values={})
        session.add(row)
    return row


def own_company(session: Session) -> Company:
    """The company that the session is bound to."""
    return held(session, session.get_one(Company, company_of(session)))


def _save_company(session: Session, changed: Mapping[str, str], now: datetime) -> None:
    row = _stored(session)
    row.values = {**row.values, **changed}
    if "time_zone" in changed or "daily_at" in changed:
        # The clock reads these without entering the company, so they stand on its open row as well.
        config = read_company(session)
        company = own_company(session)
        company.time_zone = config.time_zone.key
        company.daily_at = config.daily_at
        plan_next_run(session, company, now)


def _save_connection(session: Session, row: Connection, changed: Mapping[str, str], now: datetime) -> None:
    row.settings = {
        **row.settings,
        **{key: text for key, text in changed.items() if key not in _COLUMNS},
    }
    if changed.keys() & _READ_BY_SEARCH:
        search_again(session, row.id)
    if "start_date" in changed:
        row.start_date = _date(changed["start_date"])
        # What was fetched began on another day, and so did the opening balance and the look at currencies.
        row.fetched_until = None
        row.opening = {}
        row.settings = {key: value for key, value in row.settings.items() if key != SEEN_CURRENCIES}
    if "mode" in changed:
        row.mode = changed["mode"]
        session.flush()
        settle_state(session, now)


def search_again(session: Session, connection_id: int) -> None:
    """Look anew for the invoices of what waits or is held: its order numbers are read in another way now."""
    session.execute(
        update(PartRow)
        .where(PartRow.connection_id == connection_id, PartRow.name == "amount", PartRow.document_id.is_(None))
        .values(searched_at=None)
        .execution_options(synchronize_session=False)
    )


def settle_state(session: Session, now: datetime) -> None:
    """Work out the company's state from its stop reason and connections. The caller commits.

    Setting up until a mode is chosen for a connection; then active, or stopped while there is a reason.
    """
    company = own_company(session)
    if company.state == "disconnected":
        plan_next_run(session, company, now)
        return
    chosen = select(Connection.id).where(Connection.mode != "", Connection.state != "disconnected").limit(1)
    if session.scalar(chosen) is None:
        company.state = "setting_up"
    else:
        company.state = "stopped" if company.stop_reason else "active"
    plan_next_run(session, company, now)


def plan_next_run(session: Session, company: Company, now: datetime) -> None:
    """Write when the company's next daily run is due; never, where it is not active. The caller commits."""
    work = session.get(CompanyWork, company.id)
    if work is None:
        work = CompanyWork(company_id=company.id)
        session.add(work)
    active = company.state in ("active", "stopped")
    work.next_run_at = next_daily_run(now, ZoneInfo(company.time_zone), company.daily_at) if active else None
