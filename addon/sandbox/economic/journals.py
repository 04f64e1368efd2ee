"""Journals, their draft entries, booking them, and files at vouchers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from addon.sandbox.clock import Clock
from addon.sandbox.economic import chart
from addon.sandbox.economic.books import (
    CUSTOMER_INVOICE,
    CUSTOMER_PAYMENT,
    FINANCE_VOUCHER,
    HUNDRED,
    MANUAL_INVOICE,
    Day,
    Entry,
    Line,
)
from addon.sandbox.economic.errors import Trouble
from addon.sandbox.economic.sales import Sales
from addon.sandbox.economic.switches import Switches
from addon.sandbox.economic.wire import ZERO, cents

LONGEST_TEXT = 250
JOURNAL_FLAGS = (
    "balancingBehavior",
    "autoApprove",
    "isStandingJournal",
    "requireAdminApproval",
    "lockVatCodes",
    "allowPartialBooking",
    "requireBalancePerVoucherId",
    "repeatText",
)


@dataclass(slots=True)
class Journal:
    """A journal ("kassekladde") with its number range; `flags` as the service names them."""

    number: int
    name: str
    minimum: int
    maximum: int | None
    allowed_type: int
    next_voucher: int
    flags: dict[str, bool]
    customer_contra: int | None = None
    version: int = 1


@dataclass(slots=True)
class DraftEntry:
    """An entry that is not booked yet; `amount` as the interface sees it, `rate` for 100 units or None."""

    number: int
    journal: int
    voucher: int
    type: int
    date: date
    account: int | None
    amount: Decimal
    currency: str
    rate: Decimal | None
    contra: int | None
    vat_code: str
    contra_vat_code: str
    text: str
    customer: int | None
    invoice: str
    due_date: Day | None
    approved: bool
    version: int = 1
    by_person: bool = False


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file at a voucher."""

    number: int
    year: str
    voucher: int
    name: str
    content: bytes
    note: str
    booked: bool


class BookingRefused(Exception):
    """Nothing was booked: (entry number, trouble kind) of each entry in the way."""

    def __init__(self, reasons: Sequence[tuple[int, str]]) -> None:
        super().__init__(f"{len(reasons)} entries cannot be booked")
        self.reasons = tuple(reasons)


class Journals(Sales):
    """What the bookkeeping side of an agreement holds and does."""

    def __init__(self, clock: Clock, switches: Switches, rate_of: Callable[[str, date], Decimal], base: str) -> None:
        super().__init__(clock, switches, rate_of, base)
        self.journals = {
            n: Journal(n, name, low, high, kind, low, dict.fromkeys(JOURNAL_FLAGS, False) | {"autoApprove": True})
            for n, name, low, high, kind in chart.JOURNALS
        }
        self.draft_entries: dict[int, DraftEntry] = {}
        self.files: dict[int, AttachedFile] = {}
        self._next_entry = 1

    # -- journals ------

    def add_journal(self, name: str, values: dict[str, Any]) -> Journal:
        """Create a journal from the service's properties."""
        number = max(self.journals, default=0) + 1
        low = values.get("minimumVoucherNumber") or 1
        journal = Journal(
            number,
            name,
            low,
            values.get("maximumVoucherNumber"),
            values.get("allowedEntryType") or 0,
            values.get("nextVoucherNumber") or low,
            {flag: bool(values.get(flag)) for flag in JOURNAL_FLAGS},
            values.get("customerContraAccount"),
        )
        self.journals[number] = journal
        return journal

    def draw_voucher_number(self, journal: Journal) -> int | None:
        """The next number of a journal; None where its range is used up."""
        if journal.maximum is not None and journal.next_voucher > journal.maximum:
            return None
        journal.next_voucher += 1
        return journal.next_voucher - 1

    # -- draft entries ------

    def entry_troubles(self, entry: DraftEntry) -> list[Trouble]:
        """What is wrong with an entry that somebody wants to make or to book."""
        troubles = []
        day = self.date_trouble(entry.date)
        if day is not None:
            troubles.append(day)
        for name, number in (("accountNumber", entry.account), ("contraAccountNumber", entry.contra)):
            trouble = self.account_trouble(name, number) if number is not None else None
            if trouble is not None:
                troubles.append(trouble)
        troubles.extend(self._kind_troubles(entry))
        troubles.extend(self._money_troubles(entry))
        journal = self.journals[entry.journal]
        if journal.allowed_type and journal.allowed_type != entry.type:
            troubles.append(Trouble("entryTypeNumber", "type_wrong", entry.type))
        if entry.voucher and not journal.minimum <= entry.voucher <= (journal.maximum or 999_999_999):
            troubles.append(Trouble("voucherNumber", "voucher_bounds", entry.voucher))
        if len(entry.text) > LONGEST_TEXT:
            troubles.append(Trouble("text", "text_long", entry.text))
        return troubles

    def _kind_troubles(self, entry: DraftEntry) -> list[Trouble]:
        if entry.type == FINANCE_VOUCHER:
            unset = entry.account is None and entry.contra is None
            return [Trouble("accountNumber", "neither_account")] if unset else []
        troubles = []
        if entry.customer is None and entry.contra is None:
            troubles.append(Trouble("customerNumber", "customer_unset"))
        elif entry.customer is not None and entry.customer not in self.customers:
            troubles.append(Trouble("customerNumber", "customer_missing", entry.customer))
        if entry.invoice and not (entry.invoice.isascii() and entry.invoice.isdigit()):
            troubles.append(Trouble("customerInvoiceNumber", "invoice_text", entry.invoice))
        if entry.type == MANUAL_INVOICE and entry.due_date is None:
            troubles.append(Trouble("dueDate", "due_date_unset"))
        return troubles

    def _money_troubles(self, entry: DraftEntry) -> list[Trouble]:
        troubles = []
        if entry.currency != self.base_currency and entry.currency not in self.currencies:
            troubles.append(Trouble("currency", "currency_missing", entry.currency))
        if entry.rate is not None:
            if entry.currency == self.base_currency and entry.rate != HUNDRED:
                troubles.append(Trouble("exchangeRate", "rate_not_hundred", entry.rate))
            elif entry.rate <= 0:
                troubles.append(Trouble("exchangeRate", "rate_wrong", entry.rate))
            elif entry.rate != round(entry.rate, 6):
                troubles.append(Trouble("exchangeRate", "rate_decimals", entry.rate))
        if entry.amount != cents(entry.amount):
            troubles.append(Trouble("amount", "amount_decimals", entry.amount))
        for name, code in (("vatCode", entry.vat_code), ("contraVatCode", entry.contra_vat_code)):
            if code and code not in self.vat_codes:
                troubles.append(Trouble(name, "vat_missing", code))
        return troubles

    def keep_entries(self, entries: Sequence[DraftEntry], *, share: bool) -> list[DraftEntry]:
        """Number the entries and keep them; those without a voucher number get one, together or each its own."""
        shared: int | None = None
        for entry in entries:
            journal = self.journals[entry.journal]
            if not entry.voucher:
                if shared is None or not share:
                    shared = self.draw_voucher_number(journal) or 0
                entry.voucher = shared
            else:
                journal.next_voucher = max(journal.next_voucher, entry.voucher + 1)
            entry.number = self._next_entry
            entry.approved = journal.flags["autoApprove"] or not journal.flags["requireAdminApproval"]
            self._next_entry += 1
            self.draft_entries[entry.number] = entry
        return list(entries)

    def range_is_used_up(self, journal: int) -> bool:
        """Whether a journal has no voucher number left."""
        found = self.journals[journal]
        return found.maximum is not None and found.next_voucher > found.maximum

    # -- booking ------

    def book_entries(self, numbers: Sequence[int], *, by_person: bool = False) -> list[Entry]:
        """Book draft entries, voucher by voucher. Raises `BookingRefused` where nothing could be booked.

        What cannot be booked stays a draft where the switch or the journal says so; the caller is not told.
        """
        vouchers: dict[tuple[int, int, str, date], list[DraftEntry]] = {}
        for number in dict.fromkeys(numbers):
            entry = self.draft_entries[number]
            flags = self.journals[entry.journal].flags
            day = entry.date.replace(day=1) if flags["balancingBehavior"] else entry.date
            year = self.year_of(entry.date)
            key = (entry.journal, entry.voucher, year.name if year else "", day)
            vouchers.setdefault(key, []).append(entry)
        good, reasons, fatal = [], [], False
        for entries in vouchers.values():
            found = self._voucher_reasons(entries)
            if found:
                reasons.extend(found)
                fatal = fatal or self._stops_all(entries, found)
            else:
                good.append(entries)
        if fatal or not good:
            raise BookingRefused(reasons)
        booked: list[Entry] = []
        for entries in good:
            booked.extend(self._book_voucher(entries, by_person))
        return booked

    def _voucher_reasons(self, entries: Sequence[DraftEntry]) -> list[tuple[int, str]]:
        reasons = []
        for entry in entries:
            troubles = self.entry_troubles(entry)
            if troubles:
                reasons.append((entry.number, troubles[0].kind))
            elif not entry.approved:
                reasons.append((entry.number, "not_approved"))
        open_side = sum((self._base(entry) for entry in entries if entry.contra is None), ZERO)
        if open_side and not reasons:
            reasons = [(entry.number, "not_balanced") for entry in entries]
        return reasons

    def _stops_all(self, entries: Sequence[DraftEntry], reasons: Sequence[tuple[int, str]]) -> bool:
        flags = self.journals[entries[0].journal].flags
        if reasons[0][1] == "not_balanced":
            return flags["requireBalancePerVoucherId"] or self.switches.unbalanced_booking == "refuse"
        if reasons[0][1] == "not_approved":
            return not flags["allowPartialBooking"]
        return True

    def _signed(self, entry: DraftEntry) -> Decimal:
        """The amount as the ledger has it: debit positive, whatever sign the interface gives a payment."""
        flips = entry.type == CUSTOMER_PAYMENT and not self.switches.money_received_is_negative
        return -entry.amount if flips and entry.customer is not None else entry.amount

    def _base(self, entry: DraftEntry) -> Decimal:
        return self.to_base(self._signed(entry), entry.rate or self.rate(entry.currency, entry.date))

    def _book_voucher(self, entries: Sequence[DraftEntry], by_person: bool) -> list[Entry]:
        lines: list[Line] = []
        for entry in entries:
            lines.extend(self._lines(entry))
        first = entries[0]
        booked = self.post(lines, voucher=first.voucher, on=first.date, journal=first.journal, by_person=by_person)
        for entry in entries:
            if not self.journals[entry.journal].flags["isStandingJournal"]:
                del self.draft_entries[entry.number]
        for made in list(booked):
            self._match_automatically(made)
        return booked

    def _lines(self, entry: DraftEntry) -> list[Line]:
        amount, base = self._signed(entry), self._base(entry)
        account = entry.account
        invoice = int(entry.invoice) if entry.invoice else None
        if entry.customer is not None and entry.type != FINANCE_VOUCHER:
            account = self.customer_groups[self.customers[entry.customer].values["customerGroup"]].account
        lines: list[Line] = []
        if account is not None:
            customer = entry.customer if entry.type != FINANCE_VOUCHER else None
            line = Line(
                account,
                amount,
                entry.currency,
                base,
                entry.text,
                entry.type,
                customer,
                invoice if customer is not None else None,
                entry.due_date,
                date=entry.date,
            )
            lines += self.vat_lines(line, entry.vat_code) if entry.vat_code else [line]
        if entry.contra is not None:
            contra = Line(entry.contra, -amount, entry.currency, -base, entry.text, entry.type, date=entry.date)
            lines += self.vat_lines(contra, entry.contra_vat_code) if entry.contra_vat_code else [contra]
        return lines

    def _match_automatically(self, made: Entry) -> None:
        """A payment that names an invoice of its customer is matched with that one invoice."""
        if made.type != CUSTOMER_PAYMENT or made.customer is None or made.invoice is None:
            return
        invoice = self.open_invoice(made.customer, made.invoice)
        if invoice is None or invoice.currency != made.currency:
            return
        other_rate = cents(invoice.amount * made.base) != cents(invoice.base * made.amount)
        if other_rate and not self.switches.matches_other_rate:
            return
        self.match(made, invoice)

    # -- what the interface shows of the ledger ------

    def seen_amount(self, entry: Entry, amount: Decimal) -> Decimal:
        """An entry's amount with the sign that the interface gives it (see `money_received_is_negative`)."""
        flips = entry.type == CUSTOMER_PAYMENT and not self.switches.money_received_is_negative
        return -amount if flips and entry.customer is not None else amount

    def visible_entries(self) -> list[Entry]:
        """The booked entries that the interface shows by now."""
        delay = self.switches.booked_delay_s
        if not delay:
            return self.entries
        now = self.clock.now()
        return [entry for entry in self.entries if (now - entry.booked_at).total_seconds() >= delay]

    def attach(self, year: str, voucher: int, name: str, content: bytes, note: str, *, booked: bool) -> AttachedFile:
        """Put a file at a voucher."""
        number = len(self.files) + 1
        self.files[number] = AttachedFile(number, year, voucher, name, content, note, booked)
        return self.files[number]

    def file_at(self, year: str, voucher: int) -> AttachedFile | None:
        """The file at a voucher."""
        return next((f for f in self.files.values() if (f.year, f.voucher) == (year, voucher)), None)

    def journal_entry_stamp(self, entry: Entry) -> datetime:
        """When an entry was booked."""
        return entry.booked_at


def is_customer_entry(entry: Entry) -> bool:
    """Whether an entry can be matched with others."""
    return entry.customer is not None and entry.type in (CUSTOMER_INVOICE, CUSTOMER_PAYMENT, MANUAL_INVOICE)
