"""Entries of a journal of our own: payments and vouchers, first unbooked, then booked many by one call.

Booking answers with nothing, and may leave out what it does not like: so what stands there is read back, for all at
once. One entry that cannot be booked stops the whole call: then halves of it are tried, until the bad one is alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from addon.connectors.economic import translate
from addon.connectors.economic.client import BOOKED_ENTRIES, JOURNALS, YEARS, EconomicClient, NotThere
from addon.connectors.economic.memory import Memory
from addon.connectors.economic.translate import Row
from addon.connectors.http import Unreadable
from addon.core.books import InvoiceView, PaymentView, StepAnswer, VoucherView
from addon.core.dates import FinancialYear
from addon.core.documents import BookPayment, PostVoucher, Settlement, Step
from addon.core.holds import HoldReason
from addon.ports.accounting import Known
from addon.ports.calls import concerning
from addon.ports.errors import BadReply, NeedsReconnect, OutcomeUnknown, PortError, Rejected, TryLater

JOURNAL_NAME: Final = "Kvitt"
JOURNAL_FIRST: Final = 800_001
JOURNAL_LAST: Final = 899_999
MOST_ENTRIES: Final = 500
MOST_BOOKED: Final = 100
"""How many payments and vouchers are booked by one call: what is read back of them names each invoice."""
MOST_SIGNS: Final = 5
"""How many payments are looked at for the sign that money received has."""
MOST_AGAIN: Final = 20
"""How often the same is made again within the hour for which they remember what was made."""
TURNED: Final = "/turned"
"""Ends the key of the entry that takes a payment of the wrong sign back."""
UNBOOKED: Final = "unbooked-"
"""Begins the reference of an entry of a voucher that stands unbooked."""
_ENTRIES: Final = f"{BOOKED_ENTRIES}/booked-entries"
_DRAFTS: Final = f"{JOURNALS}/draft-entries"

T = TypeVar("T")


@dataclass(slots=True)
class _One:
    """A payment or voucher among those that are booked together."""

    step: BookPayment | PostVoucher
    known: Known
    journal: int
    drafts: list[int]
    error: PortError | None = None
    """What the booking call came to; what stands there decides."""
    stands: bool = False
    """Whether its entries were seen, unbooked, after the refusal."""


@dataclass(slots=True)
class Entries:
    """The entries of one agreement's journals, in the words of the port. Safe to share between threads."""

    client: EconomicClient
    memory: Memory
    now: Callable[[], datetime]
    base_currency: Callable[[], str]
    get_invoice: Callable[[str], InvoiceView]

    # --- Journals and years ---------------------------------------------------------------------------------

    def journals(self) -> tuple[Row, ...]:
        """All journals; there is no filter on them that works."""
        with self.memory.lock:
            if self.memory.journals is None:
                self.memory.journals = tuple(self.client.items(f"{JOURNALS}/journals"))
            return self.memory.journals

    def forget_journals(self) -> None:
        """Read them anew when they are needed next."""
        with self.memory.lock:
            self.memory.journals = None

    def journal(self, series: str = "") -> int:
        """The journal of the series that the company chose, else the one of our name. Raises `Rejected`."""
        for row in self.journals():
            chosen = code_of(row) == series if series else is_our_journal(row)
            if chosen and takes_everything(row):
                return translate.whole(row, "number")
        message = f"the journal {JOURNAL_NAME} {series}".strip() + " is missing"
        raise Rejected("", message, HoldReason.ACCOUNT_NOT_READY.value)

    def fetch_years(self) -> tuple[FinancialYear, ...]:
        """Accounting years, the oldest first."""

        def view(row: Row) -> FinancialYear:
            return FinancialYear(
                translate.text(row, "year"), translate.day(row, "fromDate"), translate.day(row, "toDate"), accrual=True
            )

        years = [seen("GET accounting-years", view, row) for row in self.client.rows("accounting-years")]
        return tuple(sorted(years, key=lambda year: year.first_day))

    def _year_name(self, day: date) -> str:
        with self.memory.lock:
            if self.memory.years is None:
                self.memory.years = self.fetch_years()
            years = self.memory.years
        return next((year.ref for year in years if year.holds(day)), str(day.year))

    def voucher_reference(self, row: Row) -> str:
        """series/number/year: the journal is told by whose range the number lies in, as entries do not name it."""
        number = translate.whole(row, "voucherNumber")
        day = translate.day(row, "date")
        journals = [
            code_of(journal)
            for journal in self.journals()
            if translate.whole(journal, "minimumVoucherNumber")
            <= number
            <= int(translate.text(journal, "maximumVoucherNumber") or 999_999_999)
            and is_our_journal(journal)
        ]
        return f"{journals[0] if journals else '0'}/{number}/{self._year_name(day)}"

    # --- Entering -------------------------------------------------------------------------------------------

    def enter_payment(self, settlement: Settlement, invoice: InvoiceView, key: str, *, left: bool) -> StepAnswer:
        """An entry in our journal that names the invoice, against the clearing account. `left`: a person books it."""
        # What Basic found is known by its number only: whose invoice it is, and at what rate, must be asked.
        now = invoice if invoice.customer_number else self.get_invoice(invoice.number)
        sign = self._sign_for(key, left=left)
        journal = self.journal()
        entries = [{**entry, "journalNumber": journal} for entry in self._payment_entries(settlement, now, key, sign)]
        numbers = self._enter(entries, key)
        return payment_answer(_unbooked(numbers, now.number, settlement))

    def _payment_entries(
        self, settlement: Settlement, invoice: InvoiceView, key: str, sign: int
    ) -> list[dict[str, Any]]:
        common: dict[str, Any] = {
            "entryTypeNumber": translate.PAYMENT_ENTRY,
            "date": f"{settlement.paid_on.isoformat()}T00:00:00",
            "currency": invoice.currency,
            "customerNumber": int(invoice.customer_number),
            "customerInvoiceNumber": invoice.number,
            "text": translate.keyed(f"Faktura {invoice.number}", key),
        }
        if invoice.currency != self.base_currency():
            common["exchangeRate"] = translate.payment_rate(settlement, invoice)
        parts = [(settlement.amount, settlement.account)]
        if settlement.write_off is not None and settlement.write_off_account is not None:
            parts.append((settlement.write_off, settlement.write_off_account))
        return [
            {
                **common,
                "amount": translate.ledger_amount(amount) * sign,
                "contraAccountNumber": digits(account.number),
            }
            for amount, account in parts
        ]

    def _voucher_entries(self, step: PostVoucher, journal: int) -> list[dict[str, Any]]:
        """Every row against the account of one of them: each entry balances by itself, whatever its number."""
        base = self.base_currency()
        voucher = step.voucher
        if any(line.signed.currency != base for line in voucher.lines):
            raise Rejected("", f"vouchers here are in {base}", HoldReason.LEDGER_PRECISION.value)
        place = _contra_line(step)
        contra = voucher.lines[place]
        return [
            {
                "entryTypeNumber": translate.VOUCHER_ENTRY,
                "journalNumber": journal,
                "date": f"{voucher.booking_date.isoformat()}T00:00:00",
                "accountNumber": digits(line.account.number),
                "contraAccountNumber": digits(contra.account.number),
                "amount": translate.ledger_amount(line.signed),
                "currency": base,
                "text": translate.keyed(line.text or voucher.text, step.key),
                # A code makes e-conomic write the rows of VAT itself: fees under reverse charge.
                **({"vatCode": line.vat_code} if line.vat_code else {}),
                **({"contraVatCode": contra.vat_code} if contra.vat_code else {}),
            }
            for index, line in enumerate(voucher.lines)
            if index != place
        ]

    def _enter(self, entries: Sequence[Row], key: str) -> list[int]:
        """Put entries into our journal, all or none. Their memory may tell of ones that a person has taken away."""
        if len(entries) > MOST_ENTRIES:
            message = f"e-conomic takes {MOST_ENTRIES} entries at a time, not {len(entries)}"
            raise Rejected("", message, HoldReason.LEDGER_PRECISION.value)
        path, body = f"{_DRAFTS}/bulk", {"entries": list(entries)}
        sent = self.client.tell("POST", path, body, key)
        numbers = _entry_numbers(sent.body)
        # Each time that it was made again within the hour is remembered, too: until an answer is new, or is still true.
        for _ in range(MOST_AGAIN):
            if not (sent.remembered and any(self.draft(number) is None for number in numbers)):
                return numbers
            sent = self.client.tell("POST", path, body, f"{key}/again/{numbers[0]}")
            numbers = _entry_numbers(sent.body)
        raise TryLater("everything that was entered within the hour has been taken away again")

    def draft(self, number: int) -> Row | None:
        """An entry that is not booked; None where it was booked or taken away."""
        try:
            row = self.client.ask(f"{_DRAFTS}/{number}")
        except NotThere:
            return None
        return row if isinstance(row, Mapping) else None

    def remove(self, numbers: Iterable[int], key: str) -> None:
        """Delete unbooked entries; one that is gone is gone."""
        for number in numbers:
            try:
                self.client.tell("DELETE", f"{_DRAFTS}/{number}", None, f"{key}/remove/{number}")
            except NotThere:
                continue

    def drafts_with_key(self, journal: int, key: str) -> list[int]:
        """Numbers of the unbooked entries of a journal under a key, the oldest first."""
        rows = self.client.items(_DRAFTS, f"journalNumber$eq:{journal}")
        return sorted(translate.whole(row, "entryNumber") for row in rows if _key(row) == key)

    # --- Booking many by one call -----------------------------------------------------------------------------

    def book(self, work: Sequence[tuple[Step, Known]]) -> list[StepAnswer | PortError]:
        """Enter the vouchers, book them and the payments by one call, read back what stands there, for each."""
        found: dict[int, StepAnswer | PortError] = {}
        ready: dict[int, _One] = {}
        for place, (step, known) in enumerate(work):
            try:
                with concerning(step.key):
                    ready[place] = self._ready(step, known)
            except PortError as error:
                found[place] = error
            except Unreadable as error:
                found[place] = OutcomeUnknown(f"an answer that cannot be read: {error}")
        for journal in sorted({one.journal for one in ready.values()}):
            self._book(journal, [one for one in ready.values() if one.journal == journal and one.drafts])
        found |= self._read_back(ready)
        return [found[place] for place in range(len(work))]

    def _ready(self, step: Step, known: Known) -> _One:
        """A payment's entries, which an earlier step has made, or a voucher's, made now."""
        match step:
            case BookPayment():
                numbers, invoice_number = payment_parts(known.payment_number)
                digits(invoice_number)  # one that is none must not spoil the question that is asked for all
                return _One(step, known, self.journal(), numbers)
            case PostVoucher():
                journal = self.journal(known.series)
                return _One(step, known, journal, self._enter(self._voucher_entries(step, journal), step.key))
            case _:
                raise ValueError(f"{step.kind} is not booked together with others")

    def _book(self, journal: int, some: Sequence[_One], *, sorted_out: bool = False) -> None:
        """Book entries by one call; where that is refused, without those that cannot be booked as far as two questions
        tell, and then by halves, until what is wrong is alone."""
        if not some:
            return
        numbers = [number for one in some for number in one.drafts]
        # Booking the same entries again is refused, so the key need not outlive this call: a refusal may be mended.
        key = f"{some[0].step.key}/{self.now().isoformat()}"
        try:
            path = f"{JOURNALS}/journals/{journal}/bookdraftentries"
            self.client.tell("POST", path, {"entryNumbers": numbers}, key)
        except Rejected as refusal:
            if len(some) == 1:
                some[0].error = refusal
                return
            left = some if sorted_out else self._sorted_out(journal, some, refusal)
            if len(left) < len(some):
                self._book(journal, left, sorted_out=True)
                return
            middle = len(some) // 2
            self._book(journal, some[:middle], sorted_out=True)
            self._book(journal, some[middle:], sorted_out=True)
        except PortError as error:
            for one in some:
                one.error = error

    def _sorted_out(self, journal: int, some: Sequence[_One], refusal: Rejected) -> list[_One]:
        """Those that may be booked. The others lie in a period that was closed meanwhile, or were taken away.

        A refusal names none of the entries that it is about: a month that was closed under a hundred of them would cost
        two hundred calls by halves alone.
        """
        try:
            days = {
                translate.whole(row, "entryNumber"): translate.day(row, "date")
                for row in self.client.items(_DRAFTS, f"journalNumber$eq:{journal}")
            }
            closed = self.closed_periods()
        except (PortError, Unreadable):
            return list(some)  # the halves will tell
        left = []
        for one in some:
            here = [days[number] for number in one.drafts if number in days]
            shut = next((day for day in here if any(first <= day <= last for first, last in closed)), None)
            if len(here) < len(one.drafts):
                one.error = refusal
            elif shut is not None:
                message = f"the period of {shut.isoformat()} is closed or barred"
                one.error = Rejected(refusal.code, message, HoldReason.PERIOD_LOCKED.value)
                one.stands = True
            else:
                left.append(one)
        return left

    def closed_periods(self) -> list[tuple[date, date]]:
        """Periods that are closed or barred, the first one first."""
        return sorted(
            seen("GET periods", lambda row: (translate.day(row, "dateFrom"), translate.day(row, "dateTo")), row)
            for row in self.client.items(f"{YEARS}/accountingYears/periods")
            if row.get("isClosed") is True or row.get("isBarred") is True
        )

    def _read_back(self, ready: Mapping[int, _One]) -> dict[int, StepAnswer | PortError]:
        """What each came to. All that was told is written by now, so a question without an answer leaves it in doubt:
        "nothing happened" is said only of what the booking call itself says it of."""
        answers: dict[int, StepAnswer | PortError] = {}
        asked = {place: one for place, one in ready.items() if isinstance(one.error, Rejected | None)}
        payments: Mapping[str, list[Row]] = {}
        vouchers: Mapping[str, tuple[VoucherView, bool]] = {}
        try:
            payments = self._rows_of_payments(asked.values())
            vouchers = self._booked_vouchers([one.step for one in asked.values() if isinstance(one.step, PostVoucher)])
        except PortError as error:
            answers |= dict.fromkeys(asked, _unread(error))
        for place, one in ready.items():
            if place in answers:
                continue
            try:
                if isinstance(one.step, PostVoucher):
                    answers[place] = self._voucher_came(one, one.step, vouchers)
                else:
                    answers[place] = self._payment_came(one, one.step, payments)
            except (TryLater, NeedsReconnect) as error:
                answers[place] = error if error is one.error else _unread(error)
            except PortError as error:
                answers[place] = error
            except Unreadable as error:
                # One row that is not as it should be is in doubt, and none of those that are beside it.
                answers[place] = _unread(error)
        return answers

    def _rows_of_payments(self, some: Iterable[_One]) -> Mapping[str, list[Row]]:
        """All booked entries that name the invoices of payments, by invoice."""
        wanted = sorted(
            {payment_parts(one.known.payment_number)[1] for one in some if isinstance(one.step, BookPayment)}
        )
        return self._entries_of(wanted)

    def _entries_of(self, invoices: Sequence[str]) -> Mapping[str, list[Row]]:
        rows: dict[str, list[Row]] = {number: [] for number in invoices}
        if not invoices:
            return rows
        several = ",".join(str(digits(number)) for number in invoices)
        which = f"$in:[{several}]" if len(invoices) > 1 else f"$eq:{several}"
        for row in self.client.items(_ENTRIES, f"customerInvoiceNumber{which}"):
            rows.setdefault(translate.text(row, "customerInvoiceNumber"), []).append(row)
        return rows

    # --- Payments -------------------------------------------------------------------------------------------

    def _payment_came(self, one: _One, step: BookPayment, rows: Mapping[str, list[Row]]) -> StepAnswer:
        """The payment as it is booked. Raises what the call came to where it is not."""
        if one.error is not None and not isinstance(one.error, Rejected):
            raise one.error
        invoice_number = payment_parts(one.known.payment_number)[1]
        found = self._settled(rows[invoice_number], invoice_number, step)
        if found is not None:
            return payment_answer(found)
        if one.stands and one.error is not None:
            raise one.error
        standing = [number for number in one.drafts if self.draft(number) is not None]
        if isinstance(one.error, Rejected):
            if standing:
                raise one.error
            message = f"the unbooked payment of invoice {invoice_number} was taken away"
            raise Rejected(one.error.code, message, HoldReason.WAITED_FOR_GONE.value) from one.error
        if standing:
            raise Rejected("", f"the payment of invoice {invoice_number} is still unbooked", HoldReason.REJECTED.value)
        raise OutcomeUnknown(f"the payment of invoice {invoice_number} does not show yet")

    def booked_payment(self, invoice_number: str, key: str) -> PaymentView | None:
        """A booked payment of an invoice, by the key in its text; what was written off beside it is part of it."""
        rows = self._entries_of([invoice_number])[invoice_number]
        ours = self._with_key(rows, key)
        return self.payment_view(ours[-1], invoice_number) if ours else None

    def find_booked(self, invoice_number: str, step: BookPayment) -> StepAnswer | None:
        """The payment of a step, if it is booked. Raises `Rejected` where its side cannot be told."""
        found = self._settled(self._entries_of([invoice_number])[invoice_number], invoice_number, step)
        return payment_answer(found) if found is not None else None

    def find_left(self, reference: str, key: str) -> StepAnswer | None:
        """A payment that a person books, if they have. Raises `Rejected` where they have taken it away."""
        numbers, invoice_number = payment_parts(reference)
        found = self.booked_payment(invoice_number, key)
        if found is not None:
            return payment_answer(found)
        if numbers and self.draft(numbers[0]) is None:
            raise Rejected("", f"the unbooked payment of invoice {invoice_number} is gone")
        return None

    def payments_of(self, invoice_number: str) -> list[Row]:
        """Booked payments of an invoice, whoever made them."""
        return _payments(self._entries_of([invoice_number])[invoice_number])

    def _with_key(self, rows: Iterable[Row], key: str) -> list[Row]:
        """Payments under a key, the oldest first."""
        return sorted((row for row in _payments(rows) if _key(row) == key), key=_age)

    def _settled(self, rows: Sequence[Row], invoice_number: str, step: BookPayment) -> PaymentView | None:
        """The payment of a step among an invoice's entries: on the right side, and matched with the invoice."""
        ours = self._with_key(rows, step.payment_key)
        if not ours:
            return None
        # Another customer's invoice may stand there under the same number, entered by hand: it is not the one paid.
        rows = [row for row in rows if row.get("customerNumber") == ours[0].get("customerNumber")]
        invoice = next((row for row in rows if row.get("type") in translate.INVOICE_ENTRIES), None)
        sign = self._sign_shown_by(ours[0])
        if sign is None:
            message = f"which side the payment of invoice {invoice_number} was booked on cannot be told"
            raise Rejected("", message, HoldReason.WRONG_SIGN.value)
        if invoice is None or not translate.decimal(invoice, "amount"):
            return self.payment_view(ours[0], invoice_number)
        right = [row for row in ours if _received(row, invoice) == sign]
        if not right:
            self._turn(ours, invoice_number, step)
            rows = self._entries_of([invoice_number])[invoice_number]
            right = [row for row in self._with_key(rows, step.payment_key) if _received(row, invoice) == sign]
            if not right:
                raise OutcomeUnknown(f"the turned payment of invoice {invoice_number} does not show yet")
            invoice = next((row for row in rows if row.get("type") in translate.INVOICE_ENTRIES), invoice)
        elif wrong := [row for row in ours if row not in right and _is_open(row)]:
            self._fill(wrong, self._booked_with(wrong[0], f"{step.payment_key}{TURNED}"), step)
        self._match([*right, invoice], step.key)
        return self.payment_view(right[0], invoice_number)

    def _match(self, rows: Sequence[Row], key: str) -> None:
        """Let entries of both sides that are still open fill one another, where booking has not done so by itself."""
        left = [row for row in rows if _is_open(row)]
        if len(left) > 1 and left[-1] is rows[-1]:
            entries = sorted(translate.whole(row, "entryNumber") for row in left)
            self.client.tell("POST", f"{_ENTRIES}/match", {"entryIds": entries}, f"{key}/match/{entries[-1]}")

    def payment_view(self, row: Row, invoice_number: str) -> PaymentView:
        """A booked payment. Raises `BadReply`."""
        sign = self.sign() or -1
        base = self.base_currency()

        def view(one: Row) -> PaymentView:
            money = translate.amount(one, translate.text(one, "currencyCode"), "amount")
            books = translate.amount(one, base, "amountInBaseCurrency")
            return PaymentView(
                f"booked-{translate.whole(one, 'entryNumber')}/{invoice_number}",
                invoice_number,
                money if sign > 0 else -money,
                books if sign > 0 else -books,
                translate.day(one, "date"),
                "",
                booked=True,
                voucher=self.voucher_reference(one),
            )

        return seen("GET booked-entries", view, row)

    def find_payment(self, settlement: Settlement, invoice: InvoiceView, key: str) -> StepAnswer | None:
        """A payment is known by the key in its text, booked or not."""
        booked = self.booked_payment(invoice.number, key)
        if booked is not None:
            return payment_answer(booked)
        expected = 2 if settlement.write_off is not None and settlement.write_off_account is not None else 1
        drafts = self.drafts_with_key(self.journal(), key)
        # More than it has entries: a request that came late made them again, which the fence takes away.
        if drafts:
            return payment_answer(_unbooked(drafts[:expected], invoice.number, settlement))
        if invoice.booked and not self.get_invoice(invoice.number).balance:
            # A person may have taken our key out of the payment, or have entered it by hand: not a second one.
            message = f"the invoice {invoice.number} is paid already"
            raise Rejected("", message, HoldReason.ALREADY_PAID.value)
        return None

    def copies_of_payment(self, reference: str, key: str) -> list[str]:
        """This payment, and others under its key that stand unbooked."""
        numbers, invoice_number = payment_parts(reference)
        others = [number for number in self.drafts_with_key(self.journal(), key) if number not in numbers]
        return [reference, *(payment_reference([number], invoice_number) for number in others)]

    # --- The sign of money received ---------------------------------------------------------------------------

    def _sign_for(self, key: str, *, left: bool) -> int:
        """Which sign money received has, told by a payment that is there; else one payment goes ahead and shows it.

        What a person books they have seen: then all are entered with the likelier sign. Raises `TryLater`.
        """
        memory = self.memory
        with memory.lock:
            waits = memory.receipt_sign is None and memory.first_payment not in ("", key)
            if waits:
                memory.sign_asked = False  # the first one may be booked by now, by whoever looked it up
            if waits and self.sign() is None:
                raise TryLater("the first payment shows which sign payments have; the others wait for it", 1)
            sign = self.sign()
            if sign is not None:
                return sign
            if not left:
                memory.first_payment = key
            return -1

    def sign(self) -> int | None:
        """The sign that money received has there, if a payment has been booked; None if there is none."""
        memory = self.memory
        with memory.lock:
            if memory.receipt_sign is None and not memory.sign_asked:
                memory.receipt_sign = self._read_sign()
                memory.sign_asked = True
            return memory.receipt_sign

    def _sign_shown_by(self, payment: Row) -> int | None:
        """The sign, as this payment shows it where nothing else has."""
        memory = self.memory
        with memory.lock:
            if self.sign() is None:
                memory.receipt_sign = self._sign_in_voucher(payment)
            return memory.receipt_sign

    def _read_sign(self) -> int | None:
        """Compare payments with the other side of their vouchers, whose sign is certain: debit is positive."""
        rows = self.client.items(_ENTRIES, f"type$eq:{translate.PAYMENT_ENTRY}")
        payments = (row for row in rows if translate.text(row, "customerNumber"))
        told = (self._sign_in_voucher(row) for row, _ in zip(payments, range(MOST_SIGNS), strict=False))
        return next((sign for sign in told if sign is not None), None)

    def _sign_in_voucher(self, payment: Row) -> int | None:
        day = translate.day(payment, "date").isoformat()
        number = translate.whole(payment, "voucherNumber")
        customers = others = Decimal(0)
        for row in self.client.items(_ENTRIES, f"voucherNumber$eq:{number}$and:date$eq:{day}"):
            amount = translate.decimal(row, "amountInBaseCurrency")
            if row.get("type") == translate.PAYMENT_ENTRY and translate.text(row, "customerNumber"):
                customers += amount
            else:
                others += amount
        if not customers or abs(customers) != abs(others):
            return None
        return -1 if customers == -others else 1

    def _turn(self, wrong: Sequence[Row], invoice_number: str, step: BookPayment) -> None:
        """Correct in the open a payment that was booked on the wrong side: it is taken back and entered anew.

        Three entries stand there in the end, of which two fill one another. Each call finds what the last one left.
        """
        turned = f"{step.payment_key}{TURNED}"
        back = self._booked_with(wrong[0], turned)
        if not back:
            journal = self.journal()
            numbers = self.drafts_with_key(journal, turned)
            if numbers:
                numbers = [*self.drafts_with_key(journal, step.payment_key), *numbers]
            else:
                numbers = self._enter(self._turned_entries(wrong, invoice_number, step, turned), turned)
            path = f"{JOURNALS}/journals/{journal}/bookdraftentries"
            key = f"{turned}/{self.now().isoformat()}"
            self.client.tell("POST", path, {"entryNumbers": numbers}, key)
            back = self._booked_with(wrong[0], turned)
        if not back:
            raise OutcomeUnknown(f"the correction of the payment of invoice {invoice_number} does not show yet")
        self._fill(wrong, back, step)

    def _fill(self, wrong: Sequence[Row], back: Sequence[Row], step: BookPayment) -> None:
        for one, other in zip(wrong, back, strict=False):
            self._match([one, other], f"{step.payment_key}{TURNED}")

    def _booked_with(self, wrong: Row, key: str) -> list[Row]:
        text = f"customerNumber$eq:{translate.whole(wrong, 'customerNumber')}$and:type$eq:{translate.PAYMENT_ENTRY}"
        return sorted((row for row in self.client.items(_ENTRIES, text) if _key(row) == key), key=_age)

    def _turned_entries(
        self, wrong: Sequence[Row], invoice_number: str, step: BookPayment, turned: str
    ) -> list[dict[str, Any]]:
        """Each entry with the other sign, and one that takes the wrong one back and names no invoice."""
        right, back = [], []
        told = translate.keyed(f"Tilbageført: betaling af faktura {invoice_number} med forkert fortegn", turned)
        for row in wrong:
            common: dict[str, Any] = {
                "entryTypeNumber": translate.PAYMENT_ENTRY,
                "journalNumber": self.journal(),
                "date": f"{translate.day(row, 'date').isoformat()}T00:00:00",
                "currency": translate.text(row, "currencyCode"),
                "customerNumber": translate.whole(row, "customerNumber"),
                "amount": -translate.decimal(row, "amount"),
                "contraAccountNumber": self._contra_of(row),
            }
            if common["currency"] != self.base_currency():
                rate = translate.decimal(row, "amountInBaseCurrency") * 100 / translate.decimal(row, "amount")
                common["exchangeRate"] = rate.quantize(Decimal("0.000001"))
            text = translate.keyed(f"Faktura {invoice_number}", step.payment_key)
            right.append({**common, "customerInvoiceNumber": invoice_number, "text": text})
            back.append({**common, "text": told})
        return [*right, *back]

    def _contra_of(self, payment: Row) -> int:
        """The account on the other side of a payment."""
        day, number = translate.day(payment, "date").isoformat(), translate.whole(payment, "voucherNumber")
        amount = translate.decimal(payment, "amount")
        for row in self.client.items(_ENTRIES, f"voucherNumber$eq:{number}$and:date$eq:{day}"):
            same = translate.text(row, "text") == translate.text(payment, "text")
            if (
                same
                and not translate.text(row, "customerNumber")
                and abs(translate.decimal(row, "amount")) == abs(amount)
            ):
                return translate.whole(row, "accountNumber")
        raise BadReply("the other side of a payment is missing")

    # --- Vouchers -------------------------------------------------------------------------------------------

    def _voucher_came(
        self, one: _One, step: PostVoucher, vouchers: Mapping[str, tuple[VoucherView, bool]]
    ) -> StepAnswer:
        """The voucher as it is booked; what was refused is taken out of the journal again. Raises what else it came to.

        Its entries lie there by now: whatever is not known of booking them, they must be looked for.
        """
        if isinstance(one.error, TryLater | NeedsReconnect):
            raise OutcomeUnknown(f"the voucher's entries are there, unbooked: {one.error}") from one.error
        if one.error is not None and not isinstance(one.error, Rejected):
            raise one.error
        view, whole = vouchers.get(step.key, (None, False))
        if view is not None and whole:
            return voucher_answer(view)
        standing = one.drafts if one.stands else [number for number in one.drafts if self.draft(number) is not None]
        if view is not None or not standing:
            raise OutcomeUnknown("the voucher does not show yet, or not the whole of it")
        try:
            self.remove(standing, f"{step.key}/{self.now().isoformat()}")
        except PortError as error:
            raise OutcomeUnknown(f"the voucher's entries could not be taken away again: {error}") from error
        raise one.error or Rejected("", "the voucher's entries were left unbooked", HoldReason.REJECTED.value)

    def find_voucher(self, step: PostVoucher, known: Known) -> StepAnswer | None:
        """What an earlier attempt left of a voucher. Entries that stand unbooked are booked: the call never made.

        More than the voucher has were made by a request that came late: they are taken away.
        """
        journal = self.journal(known.series)
        drafts = self.drafts_with_key(journal, step.key)
        booked, whole = self._booked_vouchers([step]).get(step.key, (None, False))
        if drafts:
            lacking = 0 if whole else len(step.voucher.lines) - 1
            if len(drafts) < lacking or (booked is not None and not whole):
                message = "a person has booked or taken away a part of the voucher's entries: take away the rest"
                raise Rejected("", message, HoldReason.TOUCHED.value)
            self.remove(drafts[lacking:], f"{step.key}/{self.now().isoformat()}")
            one = _One(step, known, journal, drafts[:lacking])
            self._book(journal, [one] if lacking else [])
            if one.error is not None:
                raise one.error
            booked, _ = self._booked_vouchers([step]).get(step.key, (None, False))
            if booked is None:
                raise OutcomeUnknown("the voucher does not show yet")
        return voucher_answer(booked) if booked is not None else None

    def _booked_vouchers(self, steps: Sequence[PostVoucher]) -> Mapping[str, tuple[VoucherView, bool]]:
        """Booked vouchers by their keys, and whether all entries of each are booked."""
        if not steps:
            return {}
        rows = self._voucher_rows(steps)
        views = {translate.key_of(view.text): view for view in reversed(self.voucher_views(rows))}
        on_accounts = Counter((_key(row), translate.text(row, "accountNumber")) for row in rows)
        found = {}
        for step in steps:
            contra = step.voucher.lines[_contra_line(step)].account.number
            if step.key in views:
                whole = on_accounts[step.key, contra] >= _rows_on_contra(step)
                found[step.key] = (views[step.key], whole)
        return found

    def copies_of_voucher(self, step: PostVoucher, series: str) -> list[str]:
        """All that stands under a voucher's key: vouchers that are booked, the oldest first, then unbooked entries.

        Entries of one voucher may have got numbers of their own: only what is whole by itself counts as one.
        """
        rows = [row for row in self._voucher_rows([step]) if _key(row) == step.key]
        wanted = _rows_on_contra(step)
        contra = step.voucher.lines[_contra_line(step)].account.number
        there = Counter(self.voucher_reference(row) for row in rows if translate.text(row, "accountNumber") == contra)
        whole = [reference for reference, number in there.items() if number >= wanted]
        booked = whole or [view.reference for view in self.voucher_views(rows)]
        drafts = self.drafts_with_key(self.journal(series), step.key)
        return [*sorted(booked), *(f"{UNBOOKED}{number}" for number in drafts)]

    def _voucher_rows(self, steps: Sequence[PostVoucher]) -> list[Row]:
        """Entries of vouchers on the days of these steps."""
        days = [step.voucher.booking_date.isoformat() for step in steps]
        first, last = min(days), max(days)
        when = f"date$eq:{first}" if first == last else f"date$gte:{first}$and:date$lte:{last}"
        return list(self.client.items(_ENTRIES, f"type$eq:{translate.VOUCHER_ENTRY}$and:{when}"))

    def voucher_views(self, rows: Iterable[Row]) -> list[VoucherView]:
        """One for each voucher, the oldest first; entries of one key may have got numbers of their own."""
        views: dict[str, VoucherView] = {}
        for row in sorted(rows, key=lambda row: translate.whole(row, "entryNumber")):
            reference = self.voucher_reference(row)
            view = VoucherView(reference, translate.day(row, "date"), translate.text(row, "text"))
            views.setdefault(translate.key_of(view.text) or reference, view)
        return list(views.values())


# --- Small words --------------------------------------------------------------------------------------------------


def seen(what: str, view: Callable[[Row], T], row: object) -> T:
    """Read an answer to a question. Raises `BadReply`."""
    if not isinstance(row, Mapping):
        raise BadReply(f"{what}: an object is missing")
    try:
        return view(row)
    except Unreadable as error:
        raise BadReply(f"{what}: {error}") from error


def digits(number: str) -> int:
    """A number of theirs. Raises `Rejected` for what is none."""
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise Rejected("", f"{number!r} is no number in e-conomic", HoldReason.ACCOUNT_NOT_READY.value)
    return int(number)


def takes_everything(journal: Row) -> bool:
    """Whether a journal takes entries of all types."""
    return journal.get("allowedEntryType") in (None, 0) and journal.get("isStandingJournal") is not True


def is_our_journal(journal: Row) -> bool:
    """Whether a journal is one that Kvitt has made."""
    return translate.text(journal, "name").startswith(f"{JOURNAL_NAME} ")


def code_of(journal: Row) -> str:
    """What a journal is called among series: the word after our name for ours, its number for all others."""
    name = translate.text(journal, "name")
    return name.removeprefix(f"{JOURNAL_NAME} ") if is_our_journal(journal) else str(translate.whole(journal, "number"))


def payment_reference(numbers: Sequence[int], invoice_number: str) -> str:
    """Draft entries and the invoice that they pay, in one word."""
    return f"{'+'.join(str(number) for number in numbers)}/{invoice_number}"


def payment_parts(reference: str) -> tuple[list[int], str]:
    """The draft entries of a payment (none if it is booked) and its invoice."""
    entries, _, invoice_number = reference.partition("/")
    numbers = [int(part) for part in entries.removeprefix("booked-").split("+") if part.isdigit()]
    return ([] if entries.startswith("booked-") else numbers), invoice_number


def payment_answer(view: PaymentView) -> StepAnswer:
    """What a step answers with that made or booked a payment."""
    return StepAnswer(view.number, payment=view, voucher=view.voucher)


def voucher_answer(view: VoucherView) -> StepAnswer:
    """What a step answers with that wrote a voucher."""
    return StepAnswer(view.reference, voucher=view.reference)


def _contra_line(step: PostVoucher) -> int:
    """The largest row without a VAT code, the other side of all others: VAT of one would be rounded entry by entry."""
    lines = step.voucher.lines
    return max(range(len(lines)), key=lambda index: (not lines[index].vat_code, abs(lines[index].signed.minor)))


def _rows_on_contra(step: PostVoucher) -> int:
    """How many rows a booked voucher has on the account that all entries have on their other side.

    Each entry makes one, and a second one where its own account is the same; rows of VAT may stand on any other.
    """
    contra = step.voucher.lines[_contra_line(step)].account.number
    return len(step.voucher.lines) - 1 + sum(line.account.number == contra for line in step.voucher.lines) - 1


def _unread(error: Exception) -> OutcomeUnknown:
    return OutcomeUnknown(f"what was booked cannot be read: {error}")


def _unbooked(numbers: Sequence[int], invoice_number: str, settlement: Settlement) -> PaymentView:
    return PaymentView(
        payment_reference(numbers, invoice_number),
        invoice_number,
        settlement.amount,
        settlement.books_amount or settlement.amount,
        settlement.paid_on,
        settlement.account.number,
        booked=False,
    )


def _entry_numbers(body: object) -> list[int]:
    numbers = body.get("entryNumbers") if isinstance(body, Mapping) else None
    if not isinstance(numbers, list) or not numbers or not all(isinstance(number, int) for number in numbers):
        raise OutcomeUnknown("POST draft-entries: an answer that cannot be read")
    return numbers


def _key(row: Row) -> str:
    return translate.key_of(translate.text(row, "text"))


def _age(row: Row) -> int:
    return translate.whole(row, "entryNumber")


def _is_open(row: Row) -> bool:
    return "remainder" in row and bool(translate.decimal(row, "remainder"))


def _payments(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.get("type") == translate.PAYMENT_ENTRY and translate.text(row, "customerNumber")]


def _received(payment: Row, invoice: Row) -> int:
    """The sign that money received has where this payment settles that invoice (or credit note)."""
    received = 1 if translate.decimal(invoice, "amount") > 0 else -1
    return received if translate.decimal(payment, "amount") > 0 else -received
