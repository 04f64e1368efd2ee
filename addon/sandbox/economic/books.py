"""Real double-entry books: accounts, years and periods, booked entries, and the matching of open ones."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from addon.sandbox.clock import Clock
from addon.sandbox.economic import chart
from addon.sandbox.economic.errors import Trouble
from addon.sandbox.economic.switches import Switches
from addon.sandbox.economic.wire import ZERO, cents

Day = date
COPENHAGEN = ZoneInfo("Europe/Copenhagen")
HUNDRED = Decimal(100)

CUSTOMER_INVOICE, CUSTOMER_PAYMENT, FINANCE_VOUCHER, SYSTEM_ENTRY, MANUAL_INVOICE = 1, 2, 5, 9, 10


class BooksBroken(AssertionError):
    """The simulated books contradict themselves."""


@dataclass(slots=True)
class Account:
    """An account of the chart; `kind` as the old host names it."""

    number: int
    name: str
    kind: str = "status"
    side: str = "debit"
    vat_code: str = ""
    barred: bool = False
    blocked: bool = False
    currency: str = ""
    version: int = 1
    needs_department: bool = False


@dataclass(frozen=True, slots=True)
class VatCode:
    """A VAT account: its rate, and where the tax goes; a contra account makes it reverse charge."""

    code: str
    name: str
    rate: Decimal
    account: int
    contra_account: int | None
    vat_type: int


@dataclass(slots=True)
class Period:
    """A month of a year."""

    number: int
    year: str
    from_date: date
    to_date: date
    closed: bool = False
    barred: bool = False


@dataclass(slots=True)
class Year:
    """An accounting year, named `2026` or `2025/2026`."""

    name: str
    from_date: date
    to_date: date
    closed: bool = False
    version: int = 1


@dataclass(slots=True)
class Line:
    """One row of a posting that is being made: amounts positive for debit, `base` in the base currency."""

    account: int
    amount: Decimal
    currency: str
    base: Decimal
    text: str
    type: int
    customer: int | None = None
    invoice: int | None = None
    due_date: date | None = None
    vat_code: str = ""
    date: date | None = None


@dataclass(slots=True)
class Entry:
    """A booked entry. `remainder` is what is open of a customer's, in its currency; None for all others."""

    number: int
    posting: int
    account: int
    amount: Decimal
    currency: str
    base: Decimal
    date: date
    text: str
    type: int
    voucher: int
    year: str
    customer: int | None
    invoice: int | None
    due_date: Day | None
    vat_code: str
    remainder: Decimal | None
    base_remainder: Decimal
    booked_at: datetime
    journal: int | None
    by_person: bool


class Books:
    """The ledger of one agreement. Amounts are exact decimals; rates are for 100 units."""

    def __init__(self, clock: Clock, switches: Switches, rate_of: Callable[[str, date], Decimal], base: str) -> None:
        self.clock = clock
        self.switches = switches
        self.rate_of = rate_of
        self.base_currency = base
        self.accounts = {n: Account(n, name, kind, side, vat) for n, name, kind, side, vat in chart.ACCOUNTS}
        self.vat_codes = {
            code: VatCode(code, name, Decimal(rate), account, contra, kind)
            for code, name, rate, account, contra, kind in chart.VAT_CODES
        }
        self.currencies = {code: (name, iso) for code, name, iso in chart.CURRENCIES}
        self.years: dict[str, Year] = {}
        self.periods: list[Period] = []
        self.entries: list[Entry] = []
        self.pairs: list[tuple[int, int]] = []
        """Matched entries: the number of the younger and of the older."""
        self.exchange_gain_account = 4350
        self.exchange_loss_account = 4360
        self._posting = 0

    # -- time ------

    def today(self) -> date:
        """The date in Copenhagen by the world's clock."""
        return self.clock.now().astimezone(COPENHAGEN).date()

    def add_year(self, first: date, last: date) -> Year:
        """Open an accounting year with its months."""
        name = str(first.year) if first.year == last.year else f"{first.year}/{last.year}"
        year = Year(name, first, last)
        self.years[name] = year
        start, number = first, 1
        while start <= last:
            end = min(start.replace(day=monthrange(start.year, start.month)[1]), last)
            self.periods.append(Period(number, name, start, end))
            start, number = end + timedelta(days=1), number + 1
        return year

    def year_of(self, on: date) -> Year | None:
        """The year that a date is in."""
        return next((year for year in self.years.values() if year.from_date <= on <= year.to_date), None)

    def period_of(self, on: date) -> Period | None:
        """The month that a date is in."""
        return next((period for period in self.periods if period.from_date <= on <= period.to_date), None)

    def date_trouble(self, on: date) -> Trouble | None:
        """Why nothing can be booked on a date."""
        year, period = self.year_of(on), self.period_of(on)
        if year is None or period is None:
            return Trouble("date", "no_year", on.isoformat())
        if year.closed or period.closed:
            return Trouble("date", "year_closed", on.isoformat())
        if period.barred:
            return Trouble("date", "period_barred", on.isoformat())
        return None

    # -- accounts and rates ------

    def account_trouble(self, name: str, number: int) -> Trouble | None:
        """Why an account cannot be posted to."""
        account = self.accounts.get(number)
        if account is None:
            return Trouble(name, "account_missing", number)
        if account.kind not in ("profitAndLoss", "status"):
            return Trouble(name, "account_kind", number)
        if account.barred:
            return Trouble(name, "account_barred", number)
        if account.blocked:
            return Trouble(name, "account_blocked", number)
        return None

    def rate(self, currency: str, on: date) -> Decimal:
        """What 100 units cost in the base currency on a day, as the system itself would take it."""
        return HUNDRED if currency == self.base_currency else self.rate_of(currency, on)

    def to_base(self, amount: Decimal, rate: Decimal) -> Decimal:
        """An amount at a rate for 100 units, to the øre."""
        return (amount * rate / HUNDRED).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)

    # -- posting ------

    def post(
        self, lines: Iterable[Line], *, voucher: int, on: date, journal: int | None = None, by_person: bool = False
    ) -> list[Entry]:
        """Book lines that balance; raises BooksBroken where they do not."""
        kept = [line for line in lines if line.amount or line.base]
        if sum((line.base for line in kept), ZERO) != 0:
            raise BooksBroken(f"voucher {voucher} of {on} does not balance")
        self._posting += 1
        made = []
        for line in kept:
            day = line.date or on
            year = self.year_of(day)
            opens = line.customer is not None and line.type in (CUSTOMER_INVOICE, CUSTOMER_PAYMENT, MANUAL_INVOICE)
            entry = Entry(
                len(self.entries) + 1,
                self._posting,
                line.account,
                line.amount,
                line.currency,
                line.base,
                day,
                line.text,
                line.type,
                voucher,
                year.name if year else str(day.year),
                line.customer,
                line.invoice,
                line.due_date,
                line.vat_code,
                line.amount if opens else None,
                line.base if opens else ZERO,
                self.clock.now(),
                journal,
                by_person,
            )
            self.entries.append(entry)
            made.append(entry)
        return made

    def vat_lines(self, line: Line, code: str) -> list[Line]:
        """A gross line split into net and tax; under reverse charge the tax is added on both sides instead."""
        vat = self.vat_codes[code]
        if vat.contra_account is not None:
            tax = cents(line.amount * vat.rate / HUNDRED)
            base = cents(line.base * vat.rate / HUNDRED)
            added = [
                Line(vat.account, tax, line.currency, base, line.text, line.type, vat_code=code, date=line.date),
                Line(
                    vat.contra_account, -tax, line.currency, -base, line.text, line.type, vat_code=code, date=line.date
                ),
            ]
            return [line, *added]
        tax = cents(line.amount * vat.rate / (HUNDRED + vat.rate))
        base = cents(line.base * vat.rate / (HUNDRED + vat.rate))
        line.vat_code = code
        line.amount -= tax
        line.base -= base
        return [line, Line(vat.account, tax, line.currency, base, line.text, line.type, vat_code=code, date=line.date)]

    # -- open entries ------

    def open_invoice(self, customer: int, number: int) -> Entry | None:
        """The customer's invoice entry of a number, paid or not."""
        return next(
            (
                entry
                for entry in self.entries
                if entry.customer == customer
                and entry.invoice == number
                and entry.type in (CUSTOMER_INVOICE, MANUAL_INVOICE)
            ),
            None,
        )

    def match(self, younger: Entry, older: Entry) -> None:
        """Let two entries of one customer with opposite signs fill one another; the exchange difference is booked."""
        if younger.remainder is None or older.remainder is None or younger.remainder * older.remainder >= 0:
            return
        amount = min(abs(younger.remainder), abs(older.remainder))
        difference = self._take(younger, amount) + self._take(older, amount)
        self.pairs.append((younger.number, older.number))
        if difference:
            self._book_difference(younger, difference)

    def _take(self, entry: Entry, amount: Decimal) -> Decimal:
        """Reduce what is open by an amount; the base amount that goes with it, with the entry's sign."""
        left = entry.remainder or ZERO
        if amount == abs(left):
            base, entry.remainder, entry.base_remainder = entry.base_remainder, ZERO, ZERO
            return base
        base = cents(entry.base_remainder * amount / abs(left))
        entry.remainder = left - amount if left > 0 else left + amount
        entry.base_remainder -= base
        return base

    def _book_difference(self, entry: Entry, difference: Decimal) -> None:
        to = self.exchange_loss_account if difference > 0 else self.exchange_gain_account
        text = f"Kursdifference, faktura {entry.invoice}"
        lines = [
            Line(entry.account, -difference, self.base_currency, -difference, text, SYSTEM_ENTRY),
            Line(to, difference, self.base_currency, difference, text, SYSTEM_ENTRY),
        ]
        self.post(lines, voucher=entry.voucher, on=entry.date)

    # -- what a test reads ------

    def trial_balance(self) -> dict[int, Decimal]:
        """Account balances in the base currency, those at nought left out."""
        sums: dict[int, Decimal] = {}
        for entry in self.entries:
            sums[entry.account] = sums.get(entry.account, ZERO) + entry.base
        return {number: amount for number, amount in sorted(sums.items()) if amount}

    def balance(self, account: int) -> Decimal:
        """One account's balance in the base currency."""
        return sum((entry.base for entry in self.entries if entry.account == account), ZERO)

    def check(self) -> None:
        """Raises BooksBroken if a posting does not balance or if open entries and receivables disagree."""
        postings: dict[int, Decimal] = {}
        receivable: dict[int, Decimal] = {}
        opened: dict[int, Decimal] = {}
        for entry in self.entries:
            postings[entry.posting] = postings.get(entry.posting, ZERO) + entry.base
            if entry.remainder is not None:
                opened[entry.account] = opened.get(entry.account, ZERO) + entry.base_remainder
        for posting, amount in postings.items():
            if amount:
                raise BooksBroken(f"posting {posting} does not balance: {amount}")
        for entry in self.entries:
            if entry.account in opened and (entry.remainder is not None or entry.type == SYSTEM_ENTRY):
                receivable[entry.account] = receivable.get(entry.account, ZERO) + entry.base
        for account, amount in opened.items():
            if receivable.get(account, ZERO) != amount:
                raise BooksBroken(f"account {account}: {receivable.get(account)} booked, {amount} open")
