"""Fortnox as an accounting system: how each step is made there, and how what an earlier attempt left is
found.

Calls are scarce (25 in five seconds), so a step is one call and its own answer is the read-back. Facts
about the company that steps can use but do not need (units of currencies, modes of payment) are kept from
`fetch_books`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Final, TypeVar, assert_never
from urllib.parse import quote

from addon.connectors.fortnox import sie, translate
from addon.connectors.fortnox.client import FortnoxClient, LicenceMissing, RightMissing, ScopeMissing
from addon.connectors.http import Unreadable
from addon.core.books import (
    Books,
    BooksCurrency,
    ChartAccount,
    Code,
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
    Series,
    StepAnswer,
    VoucherView,
)
from addon.core.dates import FinancialYear
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
    CustomerVat,
    DateCreditNote,
    Invoice,
    MailInvoice,
    PostVoucher,
    RoundInvoice,
    Settlement,
    Step,
    UpdateCustomer,
)
from addon.core.holds import HoldReason
from addon.core.money import Money
from addon.ports.accounting import AccountingCapabilities, Known
from addon.ports.errors import AlreadyDone, BadReply, OutcomeUnknown, PortError, Rejected

SCOPES: Final = (
    "companyinformation",
    "settings",
    "bookkeeping",
    "customer",
    "invoice",
    "payment",
    "currency",
    "inbox",
    "connectfile",
    "article",
    "order",
    "costcenter",
    "project",
)
"""What Kvitt asks a company's consent for: the least that its work needs. Inbox and connectfile are for evidence at
vouchers; the last four are used only where a company chooses rows with articles, orders, cost centres or projects,
since a consent cannot be widened without a new installation."""

PREREQUISITES: Final = (
    "invoicing method (ACCRUAL) in each financial year that is booked in",
    "a financial year for each booking date",
    "a manual voucher series for Kvitt's vouchers in each of them",
    "series chosen for customer invoices and for incoming payments",
    "each mapped account there, active and without mandatory cost centre or project",
    "each currency of the sales added",
    "a licence that includes integrations, customer invoices and bookkeeping",
)
"""What must hold before anything is booked, for the documentation; the checks themselves are made from
`Books`."""

CAPABILITIES: Final = AccountingCapabilities(
    name="fortnox",
    decimals=2,
    key_length=translate.KEY_LENGTH,
    voucher_fence=False,
    foreign_vouchers=False,
    idempotency_window_s=0,
)
MOST_CANDIDATES: Final = 40
"""How many invoices are looked at for one order number: their search finds parts of words, "7" finds
thousands."""

_FILTER: Final = {
    OrderField.ORDER_NUMBER: "yourordernumber",
    OrderField.YOUR_REFERENCE: "yourreference",
    OrderField.OUR_REFERENCE: "ourreference",
    OrderField.EXTERNAL_REFERENCE: "externalinvoicereference1",
    OrderField.OCR: "ocr",
}
_IN_LIST_ROWS: Final = frozenset({OrderField.EXTERNAL_REFERENCE, OrderField.OCR})
_NOT_MARKED_READY: Final = "2003498"
"""Fortnox: an invoice that is booked must be marked as ready ("klarmarkerad"); with the warehouse module only."""
_QUOTED_PER_ONE: Final = frozenset({"EUR", "USD", "NOK", "DKK", "GBP"})
_WRITTEN_REGISTERS: Final = {"customer": "customers", "invoice": "invoices", "payment": "invoicepayments"}
"""Registers that are only written to during a run, by scope: tried out beforehand."""
_NOT_THERE: Final = frozenset({"2000434"})
_NO_FILE: Final = "2000704"
"""A file, or the connection of one, that is not there."""
MAILED: Final = "mailed"
NOT_MAILED: Final = "not_mailed"
_REGISTERS: Final[dict[Register, tuple[str, str, str, Callable[[translate.Row], Code]]]] = {
    Register.PAYMENT_TERMS: ("termsofpayments", "TermsOfPayments", "settings", translate.terms_code),
    Register.COST_CENTRES: ("costcenters", "CostCenters", "costcenter", translate.cost_centre),
    Register.PROJECTS: ("projects", "Projects", "project", translate.project),
}
"""Where each register stands: path, wrapper, scope, and how its rows are read."""

T = TypeVar("T")


def _now() -> datetime:
    return datetime.now(UTC)


class FortnoxAccounting:
    """One company's books in Fortnox. Safe to share between the threads of one slice of work."""

    def __init__(self, client: FortnoxClient, *, now: Callable[[], datetime] = _now) -> None:
        self._client = client
        self._now = now
        self._units: dict[str, int] = {}
        self._mode_of_account: dict[str, str] = {}
        self._account_of_mode: dict[str, str] = {}

    @property
    def capabilities(self) -> AccountingCapabilities:
        """What Fortnox can hold and tell."""
        return CAPABILITIES

    # --- The company and its books ------------------------------------------------------------------------

    def fetch_identity(self) -> Identity:
        """Who the company is; the cheapest call that proves a connection."""
        return self._client.get_object("companyinformation", "CompanyInformation", translate.identity)

    def fetch_books(self, first_day: date, last_day: date) -> Books:
        """Read all that a run needs. A part that is refused for want of scope, licence or right is named,
        not fatal."""
        reading = _Reading()
        identity = reading.part("companyinformation", self.fetch_identity, Identity("", "", ""))
        locked = reading.part("settings", self._fetch_locked_through, None)
        named_series = dict(reading.rows("settings", self._fetch_predefined_series))
        named_accounts = dict(reading.rows("settings", self._fetch_predefined_accounts))
        modes = reading.rows("settings", self._fetch_modes)
        currencies = reading.rows("currency", self._fetch_currencies)
        for scope, register in _WRITTEN_REGISTERS.items():
            reading.part(scope, partial(self._try_out, register), None)
        years = [
            year
            for year in reading.rows("bookkeeping", self._fetch_years)
            if year.first_day <= last_day and first_day <= year.last_day
        ]
        accounts: list[ChartAccount] = []
        series: list[Series] = []
        for year in years:
            accounts += reading.rows("bookkeeping", partial(self._fetch_accounts, year.ref))
            series += reading.rows("bookkeeping", partial(self._fetch_series, year.ref))
        self._units.update({one.code: one.rate.unit for one in currencies if one.rate is not None})
        self._account_of_mode = dict(modes)
        self._mode_of_account = {account: code for code, account in reversed(modes)}
        return Books(
            identity=identity,
            years=tuple(years),
            accounts=tuple(accounts),
            series=tuple(series),
            invoice_series=named_series.get(translate.INVOICE_SERIES, ""),
            payment_series=named_series.get(translate.PAYMENT_SERIES, ""),
            predefined=tuple(
                (role.value, named_accounts[name])
                for name, role in translate.PREDEFINED_ROLES.items()
                if named_accounts.get(name)
            ),
            payment_modes=modes,
            currencies=currencies,
            locked_through=locked,
            flags=("easy_vat",) if translate.EASY_VAT_ACCOUNT in named_accounts else (),
            missing_scopes=tuple(reading.scopes),
            missing_licences=tuple(reading.licences),
            unreadable=tuple(reading.unreadable),
            system=CAPABILITIES.name,
        )

    def _try_out(self, register: str) -> None:
        """Ask for one row of a register that runs will write to: a licence or right that is missing shows now."""
        self._client.get(register, {"limit": "1"})

    def _fetch_locked_through(self) -> date | None:
        try:
            document = self._client.get("settings/lockedperiod")
        except (LicenceMissing, RightMissing):
            raise
        except Rejected:
            return None  # seen as 404 where no period is locked
        try:
            return translate.locked_through(document)
        except Unreadable as error:
            raise BadReply(f"GET settings/lockedperiod: {error}") from error

    def _fetch_predefined_series(self) -> tuple[tuple[str, str], ...]:
        view = partial(translate.named, field="VoucherSeries")
        return tuple(self._client.pages("predefinedvoucherseries", "PreDefinedVoucherSeriesCollection", view))

    def _fetch_predefined_accounts(self) -> tuple[tuple[str, str], ...]:
        view = partial(translate.named, field="Account")
        return tuple(self._client.pages("predefinedaccounts", "PreDefinedAccounts", view))

    def _fetch_modes(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._client.pages("modesofpayments", "ModesOfPayments", translate.payment_mode))

    def _fetch_currencies(self) -> tuple[BooksCurrency, ...]:
        return tuple(self._client.pages("currencies", "Currencies", translate.books_currency))

    def _fetch_years(self) -> tuple[FinancialYear, ...]:
        years = self._client.pages("financialyears", "FinancialYears", translate.financial_year)
        return tuple(sorted(years, key=lambda year: year.first_day))

    def _fetch_accounts(self, year_ref: str) -> tuple[ChartAccount, ...]:
        view = partial(translate.chart_account, year_ref=year_ref)
        return tuple(self._client.pages("accounts", "Accounts", view, {"financialyear": year_ref}))

    def _fetch_series(self, year_ref: str) -> tuple[Series, ...]:
        view = partial(translate.series, year_ref=year_ref)
        return tuple(self._client.pages("voucherseries", "VoucherSeriesCollection", view, {"financialyear": year_ref}))

    def repair(self, repair: Repair) -> None:
        """Carry out what a person asked for with the Repair button. Raises `Rejected` if Fortnox will not."""
        year = {"financialyear": repair.year_ref} if repair.year_ref else {}
        name = translate.clean_text(repair.name, translate.DESCRIPTION_LENGTH) or repair.subject
        match repair.remedy:
            case Remedy.ACTIVATE_ACCOUNT:
                path = f"accounts/{quote(repair.subject, safe='')}"
                self._client.send("PUT", path, {"Account": {"Active": True}}, year)
            case Remedy.CREATE_ACCOUNT:
                account = {"Number": _digits(repair.subject), "Description": name, "Active": True}
                self._client.send("POST", "accounts", {"Account": account}, year)
            case Remedy.CREATE_SERIES:
                series = {"Code": repair.subject, "Description": name, "Manual": True}
                self._client.send("POST", "voucherseries", {"VoucherSeries": series}, year)
            case Remedy.ADD_CURRENCY:
                currency = {"Code": repair.subject, "Description": name}
                self._client.send("POST", "currencies", {"Currency": currency})
            case Remedy.ADD_PAYMENT_MODE:
                mode = {
                    "Code": f"KV{repair.subject}",
                    "Description": name,
                    "AccountNumber": str(_digits(repair.subject)),
                }
                self._client.send("POST", "modesofpayments", {"ModeOfPayment": mode})
            case Remedy.MEND_SERIES | Remedy.CREATE_PRODUCT_GROUP | Remedy.OPEN_PRODUCT | Remedy.REGISTER_WEBHOOK:
                raise Rejected("", f"Fortnox lets a person do this, not us: {repair.subject}")
            case _:
                assert_never(repair.remedy)

    def with_registers(self, books: Books, registers: Sequence[Register], scopes: Sequence[str]) -> Books:
        """The same books with the codes of these registers, and `scopes` tried out. What is closed to us is named."""
        reading = _Reading()
        codes: list[Code] = []
        for register in registers:
            path, wrapper, scope, view = _REGISTERS[register]
            codes += reading.rows(scope, lambda: tuple(self._client.pages(path, wrapper, view)))  # noqa: B023 - called at once
        for scope in scopes:
            reading.part(scope, partial(self._try_out, f"{scope}s"), None)
        closed = {*reading.scopes, *reading.licences, *reading.unreadable}
        return replace(
            books,
            codes=tuple(codes),
            registers=tuple(one for one in registers if _REGISTERS[one][2] not in closed),
            unreadable=(*books.unreadable, *(name for name in closed if name not in books.unreadable)),
        )

    def fetch_articles(self, changed_since: datetime | None) -> Iterator[str]:
        """Numbers of articles, all or those changed since an instant, in pages."""
        return self._client.pages("articles", "Articles", translate.article_row, _changed_filter(changed_since))

    def fetch_orders(self, key_prefix: str, changed_since: datetime | None) -> Iterator[str]:
        """Numbers of orders whose key begins with a prefix, from list pages."""
        params = {"externalinvoicereference1": key_prefix, **_changed_filter(changed_since)}
        for number, key, _ in self._client.pages("orders", "Orders", translate.order_row, params):
            if key.startswith(key_prefix):
                yield number

    def get_order(self, number: str) -> OrderView:
        """One order as it stands now. Raises `Rejected` if it is not there."""
        return self._client.get_object(f"orders/{quote(number, safe='')}", "Order", translate.order_view)

    def fetch_customers(self, changed_since: datetime | None) -> Iterator[CustomerView]:
        """Active customers, all or those changed since an instant, in pages."""
        params = {"filter": "active", **_changed_filter(changed_since)}
        return self._client.pages("customers", "Customers", translate.customer_view, params)

    # --- Writing ------------------------------------------------------------------------------------------

    def perform(self, step: Step, known: Known) -> StepAnswer:
        """Make one write. Raises `AlreadyDone` where it was done before, and the other errors of the
        ports."""
        match step:
            case CreateCustomer():
                body = translate.customer_body(step.customer)
                customer = self._client.send_object("POST", "customers", "Customer", translate.customer_view, body)
                return StepAnswer(customer.number)
            case CreateInvoice():
                unit = self._unit(step.invoice)
                return self._write_invoice(
                    "POST", "invoices", translate.invoice_body(step.invoice, known.customer_number, unit)
                )
            case UpdateCustomer():
                number = quote(known.customer_number, safe="")
                body = translate.updated_customer_body(step.customer)
                return StepAnswer(
                    self._client.send_object(
                        "PUT", f"customers/{number}", "Customer", translate.customer_view, body
                    ).number
                )
            case CreateArticle():
                return self._create_article(step)
            case CreateOrder():
                body = translate.order_body(step.invoice, known.customer_number, self._unit(step.invoice))
                order = self._client.send_object("POST", "orders", "Order", translate.order_invoice_view, body)
                return StepAnswer(order.number, invoice=order)
            case MailInvoice():
                self._client.act(f"invoices/{_invoice(known).number}/email")
                return StepAnswer(MAILED)
            case AwaitInvoice() | AwaitPayment():
                raise Rejected("", f"{step.kind} is for a person to do")
            case RoundInvoice():
                number = _invoice(known).number
                return self._write_invoice("PUT", f"invoices/{number}", translate.rounded_invoice_body(step.invoice))
            case BookInvoice():
                return self._book_invoice(_invoice(known).number, ours=step.draft is None)
            case CreditInvoice():
                return self._credit(_invoice(known).number)
            case DateCreditNote():
                body = translate.credit_note_body(step.document_key, step.credit_date, step.text)
                return self._write_invoice("PUT", f"invoices/{_credit_number(known)}", body)
            case CreatePayment():
                return self._create_payment(step.settlement, _invoice(known))
            case BookPayment():
                return self._book_payment(known.payment_number)
            case PostVoucher():
                return _voucher_answer(
                    self._client.send_object(
                        "POST",
                        "vouchers",
                        "Voucher",
                        translate.voucher_view,
                        translate.voucher_body(step.voucher, step.key, known.series),
                        {"financialyear": known.year_ref},
                    )
                )
            case _:
                assert_never(step)

    def _create_article(self, step: CreateArticle) -> StepAnswer:
        body = translate.article_body(step.number, step.description, step.account)
        try:
            number = self._client.send_object("POST", "articles", "Article", translate.article_row, body)
        except Rejected as refusal:
            if refusal.code != translate.ARTICLE_EXISTS:
                raise
            number = step.number  # a person, or another document of ours, was first
        return StepAnswer(number)

    def _find_order(self, step: CreateOrder) -> StepAnswer | None:
        """The oldest order that carries the key and is not cancelled."""
        params = {"externalinvoicereference1": step.invoice.key}
        found = [
            number
            for number, key, cancelled in self._client.pages("orders", "Orders", translate.order_row, params)
            if key == step.invoice.key and not cancelled
        ]
        if not found:
            return None
        path = f"orders/{min(found, key=_age)}"
        order = self._client.get_object(path, "Order", translate.order_invoice_view)
        return StepAnswer(order.number, invoice=order)

    def _unit(self, invoice: Invoice) -> int | None:
        """For how many units Fortnox quotes an invoice's currency, asked once where it is not plain; None: unknown."""
        code = invoice.currency
        if invoice.rate is None or code == translate.BOOKS_CURRENCY:
            return None
        if code not in self._units and code in _QUOTED_PER_ONE:
            self._units[code] = 1
        if code not in self._units:
            try:
                path = f"currencies/{quote(code, safe='')}"
                self._units[code] = self._client.get_object(path, "Currency", translate.currency_unit)
            except (ScopeMissing, LicenceMissing, RightMissing):
                return None  # a wrong unit shows in the answer's rate, which is compared before booking
        return self._units[code]

    def _write_invoice(self, method: str, path: str, body: object = None) -> StepAnswer:
        invoice = self._client.send_object(method, path, "Invoice", translate.invoice_view, body)
        # The answer tells in what unit a currency is quoted: the next invoice's rate is sent in it.
        self._units[invoice.currency] = invoice.unit
        return _invoice_answer(invoice)

    def _book_invoice(self, number: str, *, ours: bool = True) -> StepAnswer:
        try:
            try:
                return self._write_invoice("PUT", f"invoices/{number}/bookkeep")
            except Rejected as refusal:
                if refusal.code != _NOT_MARKED_READY or not ours:
                    raise
                # The warehouse module waits for somebody to say that the goods have left. An invoice of ours has
                # rows of free text, which no stock hangs on, and is for goods that were paid.
                self._write_invoice("PUT", f"invoices/{number}/warehouseready")
                return self._write_invoice("PUT", f"invoices/{number}/bookkeep")
        except Rejected as refusal:
            # "Already booked" has no code that is known, so the invoice itself is asked.
            invoice = self._after_refusal(refusal, lambda: self.get_invoice(number))
            if invoice.booked:
                return _invoice_answer(invoice)
            raise

    def _create_payment(self, settlement: Settlement, invoice: InvoiceView) -> StepAnswer:
        body = translate.payment_body(settlement, invoice, self._mode_of_account)
        try:
            return _payment_answer(
                self._client.send_object("POST", "invoicepayments", "InvoicePayment", self._payment_view, body)
            )
        except AlreadyDone as refusal:
            # The invoice is paid, which does not say that this payment is there: a buyer may have paid twice.
            raise Rejected(refusal.code, refusal.message, refusal.reason) from refusal

    def _book_payment(self, number: str) -> StepAnswer:
        try:
            path = f"invoicepayments/{number}/bookkeep"
            return _payment_answer(self._client.send_object("PUT", path, "InvoicePayment", self._payment_view, {}))
        except Rejected as refusal:
            payment = self._after_refusal(refusal, lambda: self._get_payment(number))
            if payment.booked:
                return _payment_answer(payment)
            raise

    def _credit(self, number: str) -> StepAnswer:
        """Make the credit note. The answer is the original, which from now on names its credit note."""
        try:
            answer = self._write_invoice("PUT", f"invoices/{number}/credit")
        except Rejected as refusal:
            original = self._after_refusal(refusal, lambda: self.get_invoice(number))
            if original.credit_number:
                raise AlreadyDone(refusal.code, refusal.message, refusal.reason) from refusal
            raise
        original = answer.invoice or self.get_invoice(number)
        if not original.credit_number:
            original = self.get_invoice(number)
        if not original.credit_number:
            raise Rejected("", f"Fortnox made no credit note of invoice {number}", HoldReason.REJECTED.value)
        return StepAnswer(original.credit_number, invoice=original)

    def _after_refusal(self, refusal: Rejected, look: Callable[[], T]) -> T:
        """Look at what a refused action was about, unless the refusal names something else as its cause."""
        unclear = isinstance(refusal, AlreadyDone) or refusal.reason in ("", HoldReason.REJECTED.value)
        if not unclear or isinstance(refusal, LicenceMissing | RightMissing):
            raise refusal
        return look()

    # --- Looking for what an earlier attempt left ---------------------------------------------------------

    def perform_together(self, work: Sequence[tuple[Step, Known]]) -> Sequence[StepAnswer | PortError]:
        """One after the other: no call of Fortnox books several."""
        answers: list[StepAnswer | PortError] = []
        for step, known in work:
            try:
                answers.append(self.perform(step, known))
            except PortError as error:
                answers.append(error)
        return answers

    def look_up(self, step: Step, known: Known) -> StepAnswer | None:
        """Find what an earlier attempt at a step left; None if nothing is there."""
        match step:
            case CreateCustomer():
                return self._find_customer(step)
            case CreateInvoice():
                copies = self._invoices_with_key(step.invoice.key, step.invoice.total)
                return _invoice_answer(self.get_invoice(copies[0].number)) if copies else None
            case UpdateCustomer():
                return None  # the same again does no harm
            case CreateArticle():
                return None  # a second one of the number is refused, which says that it is there
            case CreateOrder():
                return self._find_order(step)
            case MailInvoice():
                # Never a second time: what may have gone out is not sent again, and says so.
                return StepAnswer(MAILED if self.get_invoice(_invoice(known).number).sent else NOT_MAILED)
            case AwaitInvoice():
                invoice = self.get_invoice(_invoice(known).number)
                return _invoice_answer(invoice) if invoice.booked else None
            case RoundInvoice():
                invoice = self.get_invoice(_invoice(known).number)
                return _invoice_answer(invoice) if invoice.total == step.invoice.total else None
            case BookInvoice():
                invoice = self.get_invoice(_invoice(known).number)
                return _invoice_answer(invoice) if invoice.booked else None
            case CreditInvoice():
                return self._find_credit_note(step, _invoice(known).number)
            case DateCreditNote():
                note = self.get_invoice(_credit_number(known))
                dated = note.our_key == step.document_key and note.invoice_date == step.credit_date
                return _invoice_answer(note) if dated else None
            case CreatePayment():
                return self._find_payment(step.settlement, _invoice(known), known.taken_payments)
            case BookPayment() | AwaitPayment():
                payment = self._get_payment(known.payment_number)
                return _payment_answer(payment) if payment.booked else None
            case PostVoucher():
                found = self._vouchers_with_key(step, known)
                return _voucher_answer(found[0]) if found else None
            case _:
                assert_never(step)

    def _find_customer(self, step: CreateCustomer) -> StepAnswer | None:
        """By organisation number, e-mail address or name, the first that is told, exactly; their search finds parts
        of words. Active ones only, oldest first."""
        wanted = step.customer
        email, name = wanted.email.strip().lower(), translate.customer_name(wanted)
        field, text = ("email", email) if email else ("name", name)
        searched = text
        if wanted.organisation_number:
            # Theirs may have a dash or not, and a search finds only what stands there in one piece.
            field, text, searched = "organisationnumber", wanted.organisation_number, wanted.organisation_number[-4:]
        found = [
            customer
            for customer in self._client.pages(
                "customers", "Customers", translate.customer_view, {field: searched, "filter": "active"}
            )
            if text == _told(customer, field)
        ]
        found.sort(key=lambda customer: _age(customer.number))
        # One buyer who is treated in two ways is two customers there: the invoice must get the right one.
        fits = (one.number for one in found if self._vat_of_customer(one.number) is step.customer.vat)
        number = next(fits, None)
        return StepAnswer(number) if number is not None else None

    def _vat_of_customer(self, number: str) -> CustomerVat | None:
        path = f"customers/{quote(number, safe='')}"
        return self._client.get_object(path, "Customer", translate.customer_vat)

    def _invoices_with_key(self, key: str, total: Money) -> list[InvoiceView]:
        """Rows of all invoices that carry a key, oldest first: not cancelled ones, nor ones of the other
        sign.

        A credit note made by the credit action may repeat its original's reference.
        """
        found = [
            invoice
            for invoice in self._client.pages(
                "invoices", "Invoices", translate.invoice_view, {"externalinvoicereference1": key}
            )
            if invoice.our_key == key and not invoice.cancelled and (invoice.total.minor < 0) == (total.minor < 0)
        ]
        return sorted(found, key=lambda invoice: _age(invoice.number))

    def _find_credit_note(self, step: CreditInvoice, number: str) -> StepAnswer | None:
        original = self.get_invoice(number)
        if not original.credit_number:
            return None
        note = self.get_invoice(original.credit_number)
        if note.cancelled or note.total != step.total:
            return None
        return StepAnswer(note.number, invoice=original)

    def _find_payment(self, settlement: Settlement, invoice: InvoiceView, taken: Sequence[str]) -> StepAnswer | None:
        """Payments carry no text of ours: they are known by invoice, amount, date and account.

        One payment of an invoice is under way at a time, so what is not booked yet is ours before what is.
        """
        books = translate.payment_amount(settlement, invoice)
        found = [
            payment
            for payment in self._payments_like(invoice.number, settlement.paid_on, books, taken)
            if payment.amount == settlement.amount and payment.account == settlement.account.number
        ]
        found.sort(key=lambda payment: (payment.booked, -_age(payment.number)[0]))
        return _payment_answer(found[0]) if found else None

    def _payments_like(
        self, invoice_number: str, paid_on: date, books: Money, taken: Sequence[str]
    ) -> list[PaymentView]:
        """Payments of an invoice on a day and of an amount; a list does not tell the account, so each is
        fetched."""
        rows = [
            row
            for row in self._client.pages(
                "invoicepayments",
                "InvoicePayments",
                translate.payment_row,
                {"invoicenumber": invoice_number},
            )
            if row.invoice_number == invoice_number and row.paid_on == paid_on and row.books_amount == books
        ]
        return [self._get_payment(row.number) for row in rows if row.number not in taken]

    def _vouchers_with_key(self, step: PostVoucher, known: Known) -> list[VoucherView]:
        """Vouchers of our series that carry the document's key on its date, oldest first."""
        found = [
            voucher
            for voucher in self.fetch_vouchers(known.series, known.year_ref)
            if translate.voucher_key(voucher.text) == step.key and voucher.booking_date == step.voucher.booking_date
        ]
        return sorted(found, key=lambda voucher: _age(voucher.reference.split("/")[1]))

    # --- The fence ----------------------------------------------------------------------------------------

    def find_copies(self, step: Step, known: Known) -> Sequence[str]:
        """References of all that stands under a booking step's key (or invoice), unbooked or booked, oldest
        first."""
        match step:
            case BookInvoice():
                view = _invoice(known)
                key = step.invoice.key if step.invoice is not None else view.our_key
                total = step.invoice.total if step.invoice is not None else step.credit_total or view.total
                return [invoice.number for invoice in self._invoices_with_key(key, total)] if key else []
            case BookPayment():
                try:
                    mine = self._get_payment(known.payment_number)
                except Rejected:
                    return []  # it may show later than it was made; if it is gone, booking it will be refused
                copies = self._payments_like(mine.invoice_number, mine.paid_on, mine.books_amount, known.taken_payments)
                same = [one for one in copies if (one.amount, one.account) == (mine.amount, mine.account)]
                return [one.number for one in sorted(same, key=lambda one: _age(one.number))]
            case PostVoucher():
                return [voucher.reference for voucher in self._vouchers_with_key(step, known)]
            case _:
                return []

    def remove_copy(self, step: Step, reference: str) -> None:
        """Cancel an unbooked invoice or delete an unbooked payment. Vouchers cannot be taken away:
        `Rejected`."""
        match step:
            case BookInvoice() | CreateInvoice():
                self._client.send("PUT", f"invoices/{reference}/cancel")
            case CreateOrder():
                self._client.send("PUT", f"orders/{reference}/cancel")
            case BookPayment() | CreatePayment():
                self._client.send("DELETE", f"invoicepayments/{reference}")
            case _:
                raise Rejected("", f"{step.kind} leaves nothing that Fortnox lets us take away")

    # --- Reading ------------------------------------------------------------------------------------------

    def find_invoices(self, order_number: str, places: Sequence[OrderField]) -> tuple[InvoiceView, ...]:
        """Invoices and credit notes that have exactly this text in one of the places, first place with a hit.

        Raises `Rejected` where so many come near that looking at each would cost a day's calls.
        """
        wanted = order_number.strip()
        if not wanted:
            return ()
        for place in places:
            found = self._invoices_at(wanted, place)
            if found:
                return found
        return ()

    def _invoices_at(self, wanted: str, place: OrderField) -> tuple[InvoiceView, ...]:
        if place is OrderField.INVOICE_NUMBER:
            return self._invoice_numbered(wanted)
        # What comes near may be anything that was ever invoiced, in a withdrawn currency for one: only of an invoice
        # that has exactly the order number is more read than the field itself.
        candidates: list[str] = []
        params = {_FILTER[place]: wanted}
        field = partial(translate.invoice_field, place=place)
        for number, text in self._client.pages("invoices", "Invoices", field, params):
            if place in _IN_LIST_ROWS and text != wanted:
                continue
            candidates.append(number)
            if len(candidates) > MOST_CANDIDATES:
                message = f"more than {MOST_CANDIDATES} invoices come near order number {wanted}"
                raise Rejected("", message, HoldReason.SEVERAL_INVOICES.value)
        view = partial(translate.invoice_with, place=place, wanted=wanted)
        found = (self._client.get_object(f"invoices/{number}", "Invoice", view) for number in candidates)
        return tuple(invoice for invoice in found if invoice is not None)

    def _invoice_numbered(self, wanted: str) -> tuple[InvoiceView, ...]:
        if not (wanted.isascii() and wanted.isdigit()):
            return ()
        try:
            invoice = self.get_invoice(wanted)
        except Rejected as refusal:
            if refusal.code in _NOT_THERE:
                return ()
            raise
        return (invoice,) if invoice.number == wanted else ()

    def get_invoice(self, number: str) -> InvoiceView:
        """One invoice as it stands now. Raises `Rejected` if it is not there."""
        path = f"invoices/{quote(number, safe='')}"
        return self._client.get_object(path, "Invoice", translate.invoice_view)

    def newest_change(self, since: datetime) -> datetime | None:
        """The instant of asking, if any invoice was changed since the instant given; None if none was.

        Lists do not tell when a row was changed. Whoever asks again from the instant returned misses
        nothing: the filter works on whole minutes and starts two minutes early.
        """
        asked_at = self._now()
        params = {**_changed_filter(since), "limit": "1"}
        document = self._client.get("invoices", params)
        rows = document.get("Invoices") if isinstance(document, dict) else None
        if not isinstance(rows, list):
            raise BadReply("GET invoices: the list Invoices is missing")
        return asked_at if rows else None

    def fetch_invoices(self, key_prefix: str, changed_since: datetime | None) -> Iterator[InvoiceView]:
        """Invoices whose key begins with a prefix, from list pages (no order number, no VAT), for the
        audit."""
        params = {"externalinvoicereference1": key_prefix, **_changed_filter(changed_since)}
        for invoice in self._client.pages("invoices", "Invoices", translate.invoice_view, params):
            if invoice.our_key.startswith(key_prefix):
                yield invoice

    def fetch_open_invoices(self, key_prefix: str) -> Iterator[InvoiceView]:
        """Booked invoices and credit notes under keys of this prefix that have a balance left, from list pages.

        The filter may let unbooked ones through, and matches parts of references.
        """
        params = {"externalinvoicereference1": key_prefix, "filter": "unpaid"}
        for invoice in self._client.pages("invoices", "Invoices", translate.invoice_view, params):
            if invoice.our_key.startswith(key_prefix) and invoice.booked and invoice.balance:
                yield invoice

    def fetch_invoices_dated(self, first_day: date, last_day: date) -> Iterator[InvoiceView]:
        """Invoices dated in some days, whoever made them, from list pages."""
        params = {"fromdate": first_day.isoformat(), "todate": last_day.isoformat()}
        return self._client.pages("invoices", "Invoices", translate.invoice_view, params)

    def fetch_payments(self, invoice_number: str) -> tuple[PaymentView, ...]:
        """All payments of an invoice, booked or not: a list and a call for each, as lists do not tell
        accounts."""
        params = {"invoicenumber": invoice_number}
        rows = self._client.pages("invoicepayments", "InvoicePayments", translate.payment_row, params)
        numbers = [row.number for row in rows if row.invoice_number == invoice_number]
        return tuple(self._get_payment(number) for number in numbers)

    def fetch_vouchers(self, series: str, year_ref: str) -> Iterator[VoucherView]:
        """Vouchers of a series and year, from list pages."""
        path = f"vouchers/sublist/{quote(series, safe='')}"
        return self._client.pages(path, "Vouchers", translate.voucher_view, {"financialyear": year_ref})

    # --- Files --------------------------------------------------------------------------------------------

    def upload_file(self, name: str, mime_type: str, content: bytes, voucher: str = "") -> str:
        """Put a file into the inbox folder for vouchers; its two numbers there, of which connections know either."""
        document = self._client.upload("inbox", {"path": "inbox_v"}, name, mime_type, content)
        try:
            return translate.read_row(translate.file_reference, document.get("File") if document else None)
        except (Unreadable, AttributeError) as error:
            raise OutcomeUnknown("POST inbox: an answer that cannot be read") from error

    def connect_file(self, file_ref: str, voucher: str) -> None:
        """Attach a stored file to a voucher. Raises `Rejected` where file or voucher are gone."""
        series, number, year = voucher.split("/", 2)
        body = {"FileId": file_ref.split(" ")[0], "VoucherNumber": number, "VoucherSeries": series}
        self._client.send("POST", "voucherfileconnections", {"VoucherFileConnection": body}, {"financialyear": year})

    def file_connected(self, file_ref: str) -> bool:
        """Whether a connection of this file is there, under either of its numbers."""
        for reference in dict.fromkeys(reversed(file_ref.split(" "))):
            try:
                self._client.get(f"voucherfileconnections/{quote(reference, safe='')}")
            except Rejected as refusal:
                if refusal.code != _NO_FILE:
                    raise
            else:
                return True
        return False

    def fetch_ledger(self, year_ref: str, accounts: Sequence[str], vouchers: frozenset[str] | None = None) -> Ledger:
        """All rows on these accounts, or of these vouchers, in a financial year, out of one SIE file."""
        with self._client.stream("sie/4", {"financialyear": year_ref}) as chunks:
            try:
                return sie.read_ledger(sie.read_lines(chunks), accounts, year_ref, translate.BOOKS_CURRENCY, vouchers)
            except Unreadable as error:
                raise BadReply(f"GET sie/4: {error}") from error

    def _get_payment(self, number: str) -> PaymentView:
        path = f"invoicepayments/{quote(number, safe='')}"
        return self._client.get_object(path, "InvoicePayment", self._payment_view)

    def _payment_view(self, row: translate.Row) -> PaymentView:
        return translate.payment_view(row, self._account_of_mode)


class _Reading:
    """Reads the parts of a company's books one by one and notes which are refused, and for want of what."""

    def __init__(self) -> None:
        self.scopes: dict[str, None] = {}
        self.licences: dict[str, None] = {}
        self.unreadable: dict[str, None] = {}

    def part(self, scope: str, read: Callable[[], T], otherwise: T) -> T:
        """What `read` gives, or `otherwise` where the register behind `scope` is closed to us."""
        if scope in self.scopes or scope in self.licences:
            return otherwise
        try:
            return read()
        except ScopeMissing:
            self.scopes[scope] = None
        except LicenceMissing:
            self.licences[scope] = None
        except RightMissing:
            self.unreadable[scope] = None
        return otherwise

    def rows(self, scope: str, read: Callable[[], tuple[T, ...]]) -> tuple[T, ...]:
        """What a list gives, or nothing where the register behind `scope` is closed to us."""
        nothing: tuple[T, ...] = ()
        return self.part(scope, read, nothing)


def _told(customer: CustomerView, field: str) -> str:
    match field:
        case "organisationnumber":
            return "".join(digit for digit in customer.organisation_number if digit.isdecimal())
        case "email":
            return customer.email.strip().lower()
        case _:
            return customer.name


def _digits(number: str) -> int:
    if not (number.isascii() and number.isdigit() and len(number) == 4):
        raise Rejected("", f"{number!r} is no account number", HoldReason.ACCOUNT_NOT_READY.value)
    return int(number)


def _changed_filter(since: datetime | None) -> dict[str, str]:
    return {} if since is None else {"lastmodified": translate.changed_since(since)}


def _age(number: str) -> tuple[int, str]:
    """Sorts by number as a number: what was made first comes first."""
    return (int(number) if number.isascii() and number.isdigit() else 0, number)


def _invoice(known: Known) -> InvoiceView:
    if known.invoice is None:
        raise ValueError("this step needs the invoice that an earlier step answered with")
    return known.invoice


def _credit_number(known: Known) -> str:
    """The credit note's number: `CreditInvoice` answers with the original, whose field names it."""
    invoice = _invoice(known)
    return invoice.credit_number or invoice.number


def _invoice_answer(invoice: InvoiceView) -> StepAnswer:
    return StepAnswer(invoice.number, invoice=invoice, voucher=invoice.voucher)


def _payment_answer(payment: PaymentView) -> StepAnswer:
    return StepAnswer(payment.number, payment=payment, voucher=payment.voucher)


def _voucher_answer(voucher: VoucherView) -> StepAnswer:
    return StepAnswer(voucher.reference, voucher=voucher.reference)
