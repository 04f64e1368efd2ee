"""The system behind the port: each step is one write, which can be looked for by our key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Final, assert_never
from urllib.parse import quote

from addon.core.books import (
    Books,
    CustomerView,
    Identity,
    InvoiceView,
    Ledger,
    OrderField,
    OrderView,
    PaymentView,
    Register,
    Remedy,
    Repair,
    StepAnswer,
    VoucherView,
)
from addon.core.documents import (
    AwaitInvoice,
    AwaitPayment,
    BookInvoice,
    BookPayment,
    CreateArticle,
    CreateCustomer,
    CreateInvoice,
    CreateOrder,
    CreatePayment,
    CreditInvoice,
    Customer,
    DateCreditNote,
    MailInvoice,
    PostVoucher,
    RoundInvoice,
    Step,
    UpdateCustomer,
)
from addon.core.money import Money
from addon.ports.accounting import AccountingCapabilities, Known
from addon.ports.errors import AlreadyDone, PortError, Rejected

from . import translate
from .client import ALREADY_BOOKED, ALREADY_CREDITED, NOT_THERE, Client
from .translate import seen, written

CAPABILITIES: Final = AccountingCapabilities(
    name="ledger",
    decimals=2,
    key_length=translate.KEY_LENGTH,
    voucher_fence=False,
    foreign_vouchers=False,
    idempotency_window_s=0,
)


class TemplateAccounting:
    """One company's books. Implements `AccountingSystem`; safe to share between threads."""

    def __init__(self, client: Client, *, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now

    @property
    def capabilities(self) -> AccountingCapabilities:
        """What these books can hold and tell."""
        return CAPABILITIES

    # --- The company and its books ------------------------------------------------------------------------

    def fetch_identity(self) -> Identity:
        """Who the company is; the cheapest call that proves a connection."""
        return seen(translate.identity, self._client.get("/company"))

    def fetch_books(self, first_day: date, last_day: date) -> Books:
        """All that a run needs, in three calls."""
        company = self._client.get("/company")
        accounts, series = list(self._client.rows("/accounts")), list(self._client.rows("/series"))
        found = seen(lambda row: translate.books(row, accounts, series), company)
        return replace(
            found, years=tuple(one for one in found.years if one.first_day <= last_day and first_day <= one.last_day)
        )

    def with_registers(self, books: Books, registers: Sequence[Register], scopes: Sequence[str]) -> Books:
        """The same books: there are no registers to choose from."""
        return books

    def repair(self, repair: Repair) -> None:
        """Carry out what a person asked for with the Repair button. Raises `Rejected` for what a person must do."""
        subject = quote(repair.subject, safe="")
        match repair.remedy:
            case Remedy.ACTIVATE_ACCOUNT:
                self._client.send("PUT", f"/accounts/{subject}", {"active": True})
            case Remedy.CREATE_ACCOUNT:
                self._client.send("PUT", f"/accounts/{subject}", {"name": repair.name, "active": True})
            case Remedy.CREATE_SERIES:
                self._client.send("PUT", f"/series/{subject}", {"name": repair.name})
            case _:
                raise Rejected("", f"a person does this there: {repair.subject}")

    def fetch_articles(self, changed_since: datetime | None) -> Iterator[str]:
        """None: rows are free text."""
        return iter(())

    def fetch_orders(self, key_prefix: str, changed_since: datetime | None) -> Iterator[str]:
        """None: there are no orders."""
        return iter(())

    def get_order(self, number: str) -> OrderView:
        """Raises `Rejected`: there are no orders."""
        raise Rejected(NOT_THERE, "there are no orders")

    def fetch_customers(self, changed_since: datetime | None) -> Iterator[CustomerView]:
        """All customers, in pages: no list tells when one was changed."""
        return (seen(translate.customer, row) for row in self._client.rows("/customers"))

    # --- Writing ------------------------------------------------------------------------------------------

    def perform(self, step: Step, known: Known) -> StepAnswer:
        """Make one write. Raises `AlreadyDone` where it was done before, and the other errors of the ports."""
        match step:
            case CreateCustomer():
                return self._write_customer("POST", "/customers", step.customer)
            case UpdateCustomer():
                return self._write_customer("PUT", f"/customers/{known.customer_number}", step.customer)
            case CreateInvoice():
                return self._write_invoice(
                    "POST", "/invoices", translate.invoice_body(step.invoice, known.customer_number)
                )
            case BookInvoice():
                return self._book_invoice(_invoice(known).number)
            case CreditInvoice():
                return self._credit(_invoice(known))
            case DateCreditNote():
                dated = {"date": step.credit_date.isoformat(), "reference": step.document_key, "text": step.text}
                return self._write_invoice("PUT", f"/invoices/{_credit_number(known)}", dated)
            case CreatePayment():
                body = translate.payment_body(step.settlement, _invoice(known).number)
                return _paid(written(translate.payment, self._client.send("POST", "/payments", body)))
            case BookPayment():
                return self._book_payment(known.payment_number)
            case PostVoucher():
                body = translate.voucher_body(step.voucher, step.key, known.series)
                return _posted(written(translate.voucher, self._client.send("POST", "/vouchers", body)))
            case CreateArticle() | CreateOrder() | MailInvoice() | RoundInvoice():
                raise Rejected("", f"{step.kind} cannot be done in these books")
            case AwaitInvoice() | AwaitPayment():
                raise Rejected("", f"{step.kind} is for a person to do")
            case _:
                assert_never(step)

    def perform_together(self, work: Sequence[tuple[Step, Known]]) -> Sequence[StepAnswer | PortError]:
        """One after the other: no call books several."""
        answers: list[StepAnswer | PortError] = []
        for step, known in work:
            try:
                answers.append(self.perform(step, known))
            except PortError as error:
                answers.append(error)
        return answers

    def _write_customer(self, method: str, path: str, customer: Customer) -> StepAnswer:
        told = self._client.send(method, path, translate.customer_body(customer))
        return StepAnswer(written(translate.customer, told).number)

    def _write_invoice(self, method: str, path: str, body: object = None) -> StepAnswer:
        return _invoiced(written(translate.invoice, self._client.send(method, path, body)))

    def _book_invoice(self, number: str) -> StepAnswer:
        try:
            return self._write_invoice("POST", f"/invoices/{number}/book")
        except Rejected as refusal:
            if refusal.code != ALREADY_BOOKED:
                raise
            return _invoiced(self.get_invoice(number))

    def _credit(self, original: InvoiceView) -> StepAnswer:
        """Make the credit note. The answer has the original, which from now on names its credit note."""
        try:
            told = self._client.send("POST", f"/invoices/{original.number}/credit")
        except Rejected as refusal:
            if refusal.code == ALREADY_CREDITED:
                raise AlreadyDone(refusal.code, refusal.message, refusal.reason) from refusal
            raise
        note = written(translate.invoice, told)
        return StepAnswer(note.number, invoice=replace(original, credit_number=note.number))

    def _book_payment(self, number: str) -> StepAnswer:
        try:
            return _paid(written(translate.payment, self._client.send("POST", f"/payments/{number}/book")))
        except Rejected as refusal:
            if refusal.code != ALREADY_BOOKED:
                raise
            return _paid(self._payment(number))

    # --- Looking for what an earlier attempt left ---------------------------------------------------------

    def look_up(self, step: Step, known: Known) -> StepAnswer | None:
        """Find what an earlier attempt at a step left; None if nothing is there."""
        match step:
            case CreateCustomer():
                return self._find_customer(step.customer)
            case CreateInvoice():
                return next((_invoiced(one) for one in self._with_key(step.invoice.key, step.invoice.total)), None)
            case BookInvoice() | AwaitInvoice():
                invoice = self.get_invoice(_invoice(known).number)
                return _invoiced(invoice) if invoice.booked else None
            case CreditInvoice():
                original = self.get_invoice(_invoice(known).number)
                return StepAnswer(original.credit_number, invoice=original) if original.credit_number else None
            case DateCreditNote():
                note = self.get_invoice(_credit_number(known))
                return _invoiced(note) if note.our_key == step.document_key else None
            case CreatePayment():
                return next((_paid(one) for one in self._paid_by(step.settlement.key, _invoice(known).number)), None)
            case BookPayment() | AwaitPayment():
                payment = self._payment(known.payment_number)
                return _paid(payment) if payment.booked else None
            case PostVoucher():
                return next((_posted(one) for one in self._vouchers_with_key(step, known)), None)
            case UpdateCustomer() | CreateArticle() | CreateOrder() | MailInvoice() | RoundInvoice():
                return None  # the same again does no harm, or it is never done
            case _:
                assert_never(step)

    def _find_customer(self, wanted: Customer) -> StepAnswer | None:
        """By organisation number, e-mail address or name, the first that is told; their search is exact."""
        body = translate.customer_body(wanted)
        name = next(name for name in ("organisation_number", "email", "name") if body[name])
        rows = (seen(translate.customer, row) for row in self._client.rows("/customers", **{name: body[name]}))
        return next((StepAnswer(row.number) for row in rows), None)

    def _with_key(self, key: str, total: Money) -> list[InvoiceView]:
        """What stands under exactly this key with the sign of a total, oldest first."""
        rows = [seen(translate.invoice, row) for row in self._client.rows("/invoices", reference=key)]
        return [row for row in rows if (row.total.minor < 0) == (total.minor < 0)]

    def _paid_by(self, key: str, invoice_number: str) -> list[PaymentView]:
        rows = [row for row in self._client.rows("/payments", invoice=invoice_number) if row.get("reference") == key]
        return [seen(translate.payment, row) for row in rows]

    def _vouchers_with_key(self, step: PostVoucher, known: Known) -> list[VoucherView]:
        found = self.fetch_vouchers(known.series, known.year_ref)
        return [one for one in found if one.text.endswith(f"({step.key})")]

    # --- The fence ----------------------------------------------------------------------------------------

    def find_copies(self, step: Step, known: Known) -> Sequence[str]:
        """References of all that stands under a booking step's key, booked or not, oldest first."""
        match step:
            case BookInvoice():
                view = _invoice(known)
                key = step.invoice.key if step.invoice is not None else view.our_key
                total = step.invoice.total if step.invoice is not None else step.credit_total or view.total
                return [copy.number for copy in self._with_key(key, total)] if key else []
            case BookPayment():
                told = self._client.get(f"/payments/{known.payment_number}")
                mine = seen(translate.payment, told)
                return [copy.number for copy in self._paid_by(str(told.get("reference")), mine.invoice_number)]
            case PostVoucher():
                return [voucher.reference for voucher in self._vouchers_with_key(step, known)]
            case _:
                return []

    def remove_copy(self, step: Step, reference: str) -> None:
        """Delete a draft or an unbooked payment; what is booked stays. Raises `Rejected`."""
        match step:
            case BookInvoice() | CreateInvoice():
                self._client.send("DELETE", f"/invoices/{quote(reference, safe='')}")
            case BookPayment() | CreatePayment():
                self._client.send("DELETE", f"/payments/{quote(reference, safe='')}")
            case _:
                raise Rejected("", f"{step.kind} leaves nothing that can be taken away")

    # --- Reading ------------------------------------------------------------------------------------------

    def find_invoices(self, order_number: str, places: Sequence[OrderField]) -> tuple[InvoiceView, ...]:
        """Invoices and credit notes that have exactly this text in one of the places, first place with a hit."""
        wanted = order_number.strip()
        for place in places if wanted else ():
            if place is OrderField.ORDER_NUMBER:
                rows = self._client.rows("/invoices", order_number=wanted)
                found = tuple(seen(translate.invoice, row) for row in rows)
            elif place is OrderField.INVOICE_NUMBER:
                found = self._numbered(wanted)
            else:
                found = ()
            if found:
                return found
        return ()

    def _numbered(self, wanted: str) -> tuple[InvoiceView, ...]:
        try:
            return (self.get_invoice(wanted),) if wanted.isascii() and wanted.isdigit() else ()
        except Rejected as refusal:
            if refusal.code == NOT_THERE:
                return ()
            raise

    def get_invoice(self, number: str) -> InvoiceView:
        """One invoice as it stands now. Raises `Rejected` if it is not there."""
        return seen(translate.invoice, self._client.get(f"/invoices/{quote(number, safe='')}"))

    def newest_change(self, since: datetime) -> datetime | None:
        """The instant of asking, if an invoice was changed since the instant given."""
        asked_at = self._now()
        told = self._client.get("/invoices", changed_since=since.isoformat())
        return asked_at if told.get("rows") else None

    def fetch_invoices(self, key_prefix: str, changed_since: datetime | None) -> Iterator[InvoiceView]:
        """Invoices whose key begins with a prefix."""
        since = {"changed_since": changed_since.isoformat()} if changed_since is not None else {}
        rows = self._client.rows("/invoices", reference_begins=key_prefix, **since)
        return (seen(translate.invoice, row) for row in rows)

    def fetch_open_invoices(self, key_prefix: str) -> Iterator[InvoiceView]:
        """Booked invoices and credit notes under keys of this prefix that have a balance left."""
        rows = self._client.rows("/invoices", reference_begins=key_prefix, open="yes")
        return (seen(translate.invoice, row) for row in rows)

    def fetch_invoices_dated(self, first_day: date, last_day: date) -> Iterator[InvoiceView]:
        """Invoices dated in some days, whoever made them."""
        days = {"from": first_day.isoformat(), "through": last_day.isoformat()}
        return (seen(translate.invoice, row) for row in self._client.rows("/invoices", **days))

    def fetch_payments(self, invoice_number: str) -> tuple[PaymentView, ...]:
        """All payments of an invoice, booked or not."""
        rows = self._client.rows("/payments", invoice=invoice_number)
        return tuple(seen(translate.payment, row) for row in rows)

    def _payment(self, number: str) -> PaymentView:
        return seen(translate.payment, self._client.get(f"/payments/{quote(number, safe='')}"))

    def fetch_vouchers(self, series: str, year_ref: str) -> Iterator[VoucherView]:
        """Vouchers of a series and year."""
        rows = self._client.rows("/vouchers", series=series, year=year_ref)
        return (seen(translate.voucher, row) for row in rows)

    def fetch_ledger(self, year_ref: str, accounts: Sequence[str], vouchers: frozenset[str] | None = None) -> Ledger:
        """All rows on these accounts, or of these vouchers, in a year; openings are what was booked before it."""
        if vouchers is not None:
            rows = self._client.rows("/entries", year=year_ref, vouchers=",".join(sorted(vouchers))) if vouchers else ()
            return Ledger(tuple(seen(translate.entry, row) for row in rows))
        if not accounts:
            return Ledger(())
        wanted = ",".join(accounts)
        entries = tuple(
            seen(translate.entry, row) for row in self._client.rows("/entries", year=year_ref, accounts=wanted)
        )
        told = self._client.get("/openings", year=year_ref, accounts=wanted)
        opening = seen(lambda row: [(one, translate.amount(row, one)) for one in accounts], told)
        return Ledger(entries, tuple((number, amount) for number, amount in opening if amount))

    # --- Files --------------------------------------------------------------------------------------------

    def upload_file(self, name: str, mime_type: str, content: bytes, voucher: str) -> str:
        """Raises `Rejected`: these books take no files, and the description says so."""
        raise Rejected("", "these books take no files")

    def connect_file(self, file_ref: str, voucher: str) -> None:
        """Raises `Rejected`."""
        raise Rejected("", "these books take no files")

    def file_connected(self, file_ref: str) -> bool:
        """Never."""
        return False


def _invoice(known: Known) -> InvoiceView:
    if known.invoice is None:
        raise ValueError("this step needs the invoice that an earlier step answered with")
    return known.invoice


def _credit_number(known: Known) -> str:
    return _invoice(known).credit_number or _invoice(known).number


def _invoiced(view: InvoiceView) -> StepAnswer:
    return StepAnswer(view.number, invoice=view, voucher=view.voucher)


def _paid(view: PaymentView) -> StepAnswer:
    return StepAnswer(view.number, payment=view, voucher=view.voucher)


def _posted(view: VoucherView) -> StepAnswer:
    return StepAnswer(view.reference, voucher=view.reference)
