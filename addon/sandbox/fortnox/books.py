"""The general ledger of one simulated company: years, accounts, series, vouchers that balance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import chart
from addon.sandbox.fortnox.errors import (
    NO_FINANCIAL_YEAR,
    PREDEFINED_MISSING,
    PROJECT_MANDATORY,
    SERIES_NOT_MANUAL,
    SERIES_UNKNOWN,
    TRANSACTION_TEXT_MANDATORY,
    VOUCHER_NOT_LAST,
    VOUCHER_ROW_INVALID,
    VOUCHER_TOO_FEW_ROWS,
    VOUCHER_UNBALANCED,
    ApiError,
)
from addon.sandbox.fortnox.wire import ZERO

STOCKHOLM = ZoneInfo("Europe/Stockholm")


class BooksBroken(AssertionError):
    """The simulated books contradict themselves: a fault of the simulator or of what was posted by hand."""


@dataclass(slots=True)
class FinancialYear:
    """A financial year; `id` counts from 1 in each company and is what `?financialyear=` carries."""

    id: int
    from_date: date
    to_date: date
    method: str


@dataclass(slots=True)
class Account:
    """An account of one financial year's chart."""

    number: int
    description: str
    vat_code: str = ""
    active: bool = True
    sru: int | None = None
    cost_center_settings: str = "ALLOWED"
    project_settings: str = "ALLOWED"
    transaction_information_settings: str = "ALLOWED"
    cost_center: str = ""
    project: str = ""
    transaction_information: str = ""
    brought_forward: Decimal | None = None
    modified_at: datetime | None = None


@dataclass(slots=True)
class Series:
    """A voucher series of one financial year."""

    code: str
    description: str
    manual: bool
    next_number: int = 1


@dataclass(frozen=True, slots=True)
class VoucherRow:
    """A line of a voucher, in SEK; one side is normally zero."""

    account: int
    debit: Decimal
    credit: Decimal
    text: str = ""
    cost_center: str = ""
    project: str = ""
    quantity: Decimal = ZERO

    @property
    def amount(self) -> Decimal:
        """Debit less credit."""
        return self.debit - self.credit


@dataclass(slots=True)
class Voucher:
    """A voucher in the ledger; series, number and year id name it."""

    series: str
    number: int
    year_id: int
    date: date
    description: str
    rows: tuple[VoucherRow, ...]
    reference_type: str
    reference_number: str
    created_at: datetime
    comments: str = ""
    cost_center: str = ""
    project: str = ""
    by_person: bool = False

    @property
    def key(self) -> tuple[str, int, int]:
        """Series, number, year id."""
        return self.series, self.number, self.year_id


@dataclass(slots=True)
class ModeOfPayment:
    """A way of being paid and the account it lands on."""

    code: str
    description: str
    account: int


@dataclass(slots=True)
class VatRate:
    """A VAT percentage that the company knows and the account its output VAT goes to."""

    percent: int
    account: int


def row(account: int, amount: Decimal, text: str = "", cost_center: str = "", project: str = "") -> VoucherRow:
    """A voucher line from a signed amount: positive is debit."""
    return VoucherRow(account, max(amount, ZERO), max(-amount, ZERO), text, cost_center, project)


@dataclass(slots=True)
class Settings:
    """What a company's administrator has set; all may be changed at any time."""

    rounds_to_whole_krona: bool = False
    """SEK invoice totals are rounded to whole kronor, the difference to ROUNDOFF."""
    warehouse: bool = False
    """With the warehouse module an invoice must be marked ready before it can be booked."""
    easy_vat: bool = False
    """EasyVat companies refuse odd VAT rates on rows without an account (2004167)."""
    opening_balances_carried: bool = True
    """False: payments in another year than their invoice's are refused until the old year is carried over."""
    default_administration_fee: Decimal = ZERO
    """Invoice fee without VAT that is added when the invoice does not say."""
    default_freight: Decimal = ZERO
    """Freight without VAT that is added when the invoice does not say."""
    default_terms_of_payment: str = "30"
    account_locked_for_unpaid_invoice: bool = False
    """Consent redirects come back without code and state."""
    no_right_fields: set[str] = field(default_factory=set)
    """Fields of customers and invoices that are answered as `API_NORIGHT`."""


class Books:
    """Years, charts, series and the ledger of one company; every voucher in `ledger` balances."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.settings = Settings()
        self.years: dict[int, FinancialYear] = {}
        self.accounts: dict[int, dict[int, Account]] = {}
        self.series: dict[int, dict[str, Series]] = {}
        self.ledger: list[Voucher] = []
        self.vouchers: dict[tuple[str, int, int], Voucher] = {}
        self.predefined_series: dict[str, str] = dict(chart.PREDEFINED_SERIES)
        self.predefined_accounts: dict[str, int] = dict(chart.PREDEFINED_ACCOUNTS)
        self.modes = {code: ModeOfPayment(code, name, account) for code, name, account in chart.MODES_OF_PAYMENT}
        self.vat_rates = {
            25: VatRate(25, 2611),
            12: VatRate(12, 2621),
            6: VatRate(6, 2631),
        }
        self.locked_until: date | None = None
        self.selected_year_id: int | None = None
        self._sums: dict[tuple[int, int], Decimal] = {}

    def now(self) -> datetime:
        """The world's instant."""
        return self.clock.now()

    def today(self) -> date:
        """The world's date in Sweden."""
        return self.now().astimezone(STOCKHOLM).date()

    # -- years, accounts, series ------

    def add_financial_year(self, from_date: date, to_date: date, method: str | None = None) -> FinancialYear:
        """Open a year; its chart and series are copied from the year before, or made new for the first."""
        if any(year.from_date <= to_date and from_date <= year.to_date for year in self.years.values()):
            raise ValueError("financial years must not overlap")
        year = FinancialYear(len(self.years) + 1, from_date, to_date, method or self.method())
        earlier = [other for other in self.years.values() if other.to_date < from_date]
        self.years[year.id] = year
        if earlier:
            source = max(earlier, key=lambda other: other.to_date).id
            self.accounts[year.id] = {n: self._copied(a) for n, a in self.accounts[source].items()}
            self.series[year.id] = {c: Series(s.code, s.description, s.manual) for c, s in self.series[source].items()}
        else:
            self.accounts[year.id] = {
                number: Account(number, name, code, sru=chart.SRU_BY_CLASS.get(str(number)[:2]))
                for number, name, code in chart.standard_chart()
            }
            self.series[year.id] = {code: Series(code, name, manual) for code, name, manual in chart.SERIES}
        return year

    @staticmethod
    def _copied(account: Account) -> Account:
        return Account(
            account.number,
            account.description,
            account.vat_code,
            account.active,
            account.sru,
            account.cost_center_settings,
            account.project_settings,
            account.transaction_information_settings,
        )

    def method(self) -> str:
        """The accounting method of the latest year, ACCRUAL before there is one."""
        return self.years[max(self.years)].method if self.years else "ACCRUAL"

    def year_of(self, on: date) -> FinancialYear | None:
        """The financial year that holds a date."""
        return next((y for y in self.years.values() if y.from_date <= on <= y.to_date), None)

    def need_year(self, on: date) -> FinancialYear:
        """The year that holds a date; refuses when there is none."""
        year = self.year_of(on)
        if year is None:
            raise ApiError(NO_FINANCIAL_YEAR, f"Det finns inget räkenskapsår för datumet {on.isoformat()}.")
        return year

    def selected_year(self) -> FinancialYear:
        """The year chosen in the user's settings: what calls without `financialyear` mean."""
        if self.selected_year_id is not None:
            return self.years[self.selected_year_id]
        return self.year_of(self.today()) or self.years[max(self.years)]

    def need_open(self, on: date, code: int = 2000401) -> None:
        """Refuse a posting date in the locked period."""
        until = self.locked_until
        if until is not None and on <= until:
            raise ApiError(code, f"Användaren har låst perioden t.o.m. {until.isoformat()}.")

    def predefined_account(self, name: str, purpose: str = "") -> int:
        """The number behind a predefined account; refuses when none is set."""
        number = self.predefined_accounts.get(name)
        if number is None:
            raise ApiError(PREDEFINED_MISSING, f"{purpose}Förvalt konto för {name} saknas.")
        return number

    def need_usable(self, rows: Iterable[VoucherRow], year: FinancialYear, *, missing: int = 2000423) -> None:
        """Refuse rows on missing or inactive accounts, or without what the account demands."""
        for line in rows:
            account = self.accounts[year.id].get(line.account)
            if account is None:
                raise ApiError(missing, f"Kan inte hitta kontot. ({line.account})")
            if not account.active:
                raise ApiError(2000550, f"Konto {line.account} är inte aktivt.")
            if account.cost_center_settings == "MANDATORY" and not line.cost_center:
                raise ApiError(2000946, f"Kostnadsställe är obligatoriskt på konto: {line.account}")
            if account.project_settings == "MANDATORY" and not line.project:
                raise ApiError(PROJECT_MANDATORY, f"Projekt är obligatoriskt på konto: {line.account}")
            if account.transaction_information_settings == "MANDATORY" and not line.text:
                message = f"Transaktionsinformation är obligatorisk på konto: {line.account}"
                raise ApiError(TRANSACTION_TEXT_MANDATORY, message)

    # -- posting ------

    def post(
        self,
        series: str,
        on: date,
        description: str,
        rows: Sequence[VoucherRow],
        *,
        reference_type: str = "MANUAL",
        reference_number: str = "",
        comments: str = "",
        cost_center: str = "",
        project: str = "",
        by_person: bool = False,
    ) -> Voucher:
        """Write a voucher with the next number of its series. The caller has checked locks and accounts."""
        year = self.need_year(on)
        numbers = self.series[year.id].get(series)
        if numbers is None:
            raise ApiError(SERIES_UNKNOWN, f"Ogiltig verifikationsserie angiven ({series}).")
        if sum((line.amount for line in rows), ZERO) != 0:
            raise ApiError(VOUCHER_UNBALANCED, "Verifikationen balanserar inte.")
        voucher = Voucher(
            series,
            numbers.next_number,
            year.id,
            on,
            description,
            tuple(rows),
            reference_type,
            reference_number,
            self.now(),
            comments,
            cost_center,
            project,
            by_person,
        )
        numbers.next_number += 1
        self.ledger.append(voucher)
        self.vouchers[voucher.key] = voucher
        for line in rows:
            key = year.id, line.account
            self._sums[key] = self._sums.get(key, ZERO) + line.amount
        return voucher

    def post_manual(
        self,
        year: FinancialYear,
        series: str,
        on: date,
        description: str,
        rows: Sequence[VoucherRow],
        *,
        comments: str = "",
        cost_center: str = "",
        project: str = "",
        by_person: bool = False,
    ) -> Voucher:
        """A voucher entered by hand or through the interface: all checks of `POST /3/vouchers`."""
        numbers = self.series[year.id].get(series)
        if numbers is None:
            raise ApiError(SERIES_UNKNOWN, f"Ogiltig verifikationsserie angiven ({series}).")
        if not numbers.manual:
            raise ApiError(SERIES_NOT_MANUAL, f"Verifikationsserien är inte manuell ({series})")
        if not year.from_date <= on <= year.to_date:
            message = f"Datumet {on.isoformat()} ligger utanför räkenskapsåret {year.from_date} - {year.to_date}."
            raise ApiError(NO_FINANCIAL_YEAR, message)
        self.need_open(on)
        if len(rows) < 2:
            raise ApiError(VOUCHER_TOO_FEW_ROWS, "En verifikation måste ha minst två rader.")
        for line in rows:
            if line.debit < 0 or line.credit < 0 or (line.debit and line.credit):
                raise ApiError(VOUCHER_ROW_INVALID, f"Felaktigt belopp på konto {line.account}.")
        if sum((line.amount for line in rows), ZERO) != 0:
            raise ApiError(VOUCHER_UNBALANCED, "Verifikationen balanserar inte.")
        self.need_usable(rows, year)
        return self.post(
            series,
            on,
            description,
            rows,
            comments=comments,
            cost_center=cost_center,
            project=project,
            by_person=by_person,
        )

    def delete_voucher(self, voucher: Voucher) -> None:
        """Take the last voucher of a series away again."""
        numbers = self.series[voucher.year_id][voucher.series]
        if voucher.number != numbers.next_number - 1 or voucher.reference_type != "MANUAL":
            raise ApiError(VOUCHER_NOT_LAST, "Endast den sista verifikationen i serien kan tas bort.")
        numbers.next_number -= 1
        self.ledger.remove(voucher)
        del self.vouchers[voucher.key]
        for line in voucher.rows:
            self._sums[voucher.year_id, line.account] -= line.amount

    # -- reading ------

    def balance(self, account: int, *, until: date | None = None, year_id: int | None = None) -> Decimal:
        """Debit less credit of an account: over all that is posted, to a date, or within one financial year."""
        if until is not None:
            lines = (line for v in self.ledger if v.date <= until for line in v.rows)
            return sum((line.amount for line in lines if line.account == account), ZERO)
        if year_id is not None:
            return self._sums.get((year_id, account), ZERO)
        return sum((amount for (_, number), amount in self._sums.items() if number == account), ZERO)

    def brought_forward(self, account: Account, year: FinancialYear) -> Decimal:
        """Opening balance of an account in a year: nought for income and cost."""
        if account.brought_forward is not None:
            return account.brought_forward
        if account.number >= 3000 or not self.settings.opening_balances_carried:
            return ZERO
        earlier = {y.id for y in self.years.values() if y.to_date < year.from_date}
        return sum((self._sums.get((year_id, account.number), ZERO) for year_id in earlier), ZERO)

    def trial_balance(self) -> dict[int, Decimal]:
        """Balance of every account that has moved and is not nought, by number; the values sum to nought."""
        sums: dict[int, Decimal] = {}
        for (_, number), amount in self._sums.items():
            sums[number] = sums.get(number, ZERO) + amount
        return {number: amount for number, amount in sorted(sums.items()) if amount}

    def check(self) -> None:
        """Raise BooksBroken if a voucher does not balance, numbers do not rise, or sums and vouchers disagree."""
        sums: dict[tuple[int, int], Decimal] = {}
        numbers: dict[tuple[str, int], list[int]] = {}
        for voucher in self.ledger:
            if sum((line.amount for line in voucher.rows), ZERO) != 0:
                raise BooksBroken(f"voucher {voucher.series} {voucher.number} does not balance")
            for line in voucher.rows:
                key = voucher.year_id, line.account
                sums[key] = sums.get(key, ZERO) + line.amount
            numbers.setdefault((voucher.series, voucher.year_id), []).append(voucher.number)
        for (series, year_id), used in numbers.items():
            if any(later <= earlier for earlier, later in pairwise(used)):
                raise BooksBroken(f"numbers of series {series} in year {year_id} do not rise: {used}")
        if {k: v for k, v in sums.items() if v} != {k: v for k, v in self._sums.items() if v}:
            raise BooksBroken("account sums and vouchers disagree")
