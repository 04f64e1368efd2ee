"""e-conomic as an accounting system: how each step is made there, and how what an earlier attempt left is found.

Drafts of invoices and draft entries of a journal of our own stand unbooked until a second call books them, and our key
is written into all of them, so everything can be found again and nothing is booked by accident. Booking entries
answers with nothing: what stands there is read back each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar, assert_never
from urllib.parse import quote

from addon.connectors.economic import mending, nudging, translate
from addon.connectors.economic.client import (
    ACCOUNTS,
    BOOKED_ENTRIES,
    DOCUMENTS,
    JOURNALS,
    EconomicClient,
    NotThere,
)
from addon.connectors.economic.journal import (
    JOURNAL_FIRST,
    JOURNAL_LAST,
    JOURNAL_NAME,
    MOST_AGAIN,
    MOST_BOOKED,
    UNBOOKED,
    Entries,
    code_of,
    digits,
    payment_parts,
    seen,
    takes_everything,
)
from addon.connectors.economic.memory import Memory
from addon.connectors.economic.registers import (
    OPEN_TERMS,
    Registers,
    demanding_accounts,
    invoicing,
    read_registers,
    rounding_groups,
)
from addon.connectors.economic.translate import DRAFT, Row
from addon.connectors.http import Unreadable
from addon.core.accounts import AccountRole
from addon.core.books import (
    Books,
    BooksCurrency,
    Code,
    CustomerView,
    Feature,
    Identity,
    InvoiceView,
    Ledger,
    LedgerEntry,
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
    Customer,
    DateCreditNote,
    Invoice,
    MailInvoice,
    PostVoucher,
    RoundInvoice,
    Step,
    UpdateCustomer,
)
from addon.core.holds import HoldReason
from addon.core.invoicing import Choice
from addon.core.money import Money
from addon.ports.accounting import AccountingCapabilities, Known
from addon.ports.errors import AlreadyDone, BadReply, OutcomeUnknown, PortError, Rejected, TryLater

CAPABILITIES: Final = AccountingCapabilities(
    name="economic",
    decimals=2,
    key_length=translate.KEY_LENGTH,
    voucher_fence=True,
    foreign_vouchers=False,
    idempotency_window_s=3600,
    books_together=MOST_BOOKED,
)
MOST_CANDIDATES: Final = 40
_FLAGS: Final = (
    "balancingBehavior",
    "isStandingJournal",
    "requireAdminApproval",
    "lockVatCodes",
    "allowPartialBooking",
    "repeatText",
)
_PLACES: Final[Mapping[OrderField, tuple[str, ...]]] = {
    OrderField.ORDER_NUMBER: ("references.other",),
    # There is one field for references; whatever else a shop tells of an order stands in the notes.
    OrderField.YOUR_REFERENCE: ("references.other", "notes.heading", "notes.textLine1"),
    OrderField.OUR_REFERENCE: ("notes.heading",),
    OrderField.EXTERNAL_REFERENCE: ("notes.textLine2",),
    OrderField.OCR: ("notes.textLine1",),
}
CANNOT: Final = (Feature.MAIL_INVOICE, Feature.ORDER, Feature.COST_CENTRE, Feature.PROJECT)
"""What is not offered: an invoice is sent only in the call that books it; orders and departments are not written."""
_SUPER_USER: Final = "SuperUser"
_MISSING_MODULES: Final = "AccessDeniedAgreementMissingModules"
_ALREADY_ATTACHED: Final = "DocumentAlreadyAttachedToVoucher"
_MISSING_DRAFT: Final = "E06000"

T = TypeVar("T")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a company may choose of its own registers; None: the likeliest that is there."""

    layout: int | None = None
    payment_terms: int | None = None
    customer_group: int | None = None
    rounding_group: int | None = None

    @staticmethod
    def of(settings: Mapping[str, str]) -> Choices:
        """The choices as settings write them; what is no number is left to chance, and shown red."""
        numbers = {key: int(text) for key, text in settings.items() if text.isascii() and text.isdigit()}
        return Choices(
            numbers.get(Choice.LAYOUT),
            numbers.get(Choice.PAYMENT_TERMS),
            numbers.get(Choice.CUSTOMER_GROUP),
            numbers.get(Choice.ROUNDING_GROUP),
        )

    def chosen(self, choice: Choice) -> str:
        """A choice as it is written in the registers; empty where there is none."""
        number = {
            Choice.LAYOUT: self.layout,
            Choice.PAYMENT_TERMS: self.payment_terms,
            Choice.CUSTOMER_GROUP: self.customer_group,
            Choice.ROUNDING_GROUP: self.rounding_group,
        }[choice]
        return "" if number is None else str(number)


@dataclass(frozen=True, slots=True)
class _Registers:
    """What invoices need to name, read once. One that is missing holds what names it, and nothing else."""

    base_currency: str
    read: Registers
    choices: Choices

    def _taken(self, choice: Choice, what: str) -> int:
        named, chosen = invoicing(self.read, {}), self.choices.chosen(choice)
        if named.fault_of(choice, chosen):
            about = f"{what} {chosen}".strip()
            raise Rejected("", f"e-conomic has no {about} that can be used", HoldReason.CODE_NOT_READY.value)
        proposed = named.proposed(choice)
        return int(chosen) if chosen or proposed is None else int(proposed.code)

    @property
    def layout(self) -> int:
        return self._taken(Choice.LAYOUT, "layout")

    @property
    def terms(self) -> int:
        return self._taken(Choice.PAYMENT_TERMS, "terms of payment")

    @property
    def customer_group(self) -> int:
        return self._taken(Choice.CUSTOMER_GROUP, "customer group")

    def rounding_group(self, zone: int) -> int | None:
        """The group chosen for roundings, else one without VAT everywhere, else one without VAT in this zone."""
        if self.choices.rounding_group is not None:
            return self.choices.rounding_group
        everywhere = (int(one.code) for one in rounding_groups(self.read) if one.open)
        here = (group for (group, where), (_, rate) in self.groups.items() if where == zone and rate == 0)
        return next(everywhere, next(here, None))

    @property
    def groups(self) -> Mapping[tuple[int, int], tuple[str, Decimal]]:
        """Sales account and VAT rate by product group and VAT zone."""
        return self.read.sold

    @property
    def zones(self) -> frozenset[int]:
        return self.read.zones


class EconomicAccounting:
    """One agreement's books. Safe to share between the threads of one slice of work."""

    def __init__(
        self,
        client: EconomicClient,
        choices: Choices | None = None,
        *,
        now: Callable[[], datetime] = _now,
        nudge_url: str = "",
        memory: Memory | None = None,
    ) -> None:
        self._client = client
        self._choices = choices or Choices()
        self._now = now
        self._nudge_url = nudge_url
        self._memory = memory or Memory()
        self._entries = Entries(client, self._memory, now, lambda: self._registers().base_currency, self.get_invoice)

    @property
    def capabilities(self) -> AccountingCapabilities:
        """What e-conomic can hold and tell."""
        return CAPABILITIES

    # --- The company and its books ------------------------------------------------------------------------

    def fetch_identity(self) -> Identity:
        """Who the company is; the cheapest call that proves a grant."""
        return seen("GET self", translate.identity, self._client.get("self"))

    def fetch_books(self, first_day: date, last_day: date) -> Books:
        """Read all that a run needs. Whether the books are kept by invoices is not told by any call: a person is asked.

        A month that is closed or barred counts only up to today, so that one barred ahead of time does not move all.
        """
        document = self._client.get("self")
        identity = seen("GET self", translate.identity, document)
        if _SUPER_USER not in _roles(document):
            return _closed_books(identity, missing_scopes=(_SUPER_USER,))
        try:
            return self._fetch_open_books(identity, first_day, last_day)
        except Rejected as refusal:
            if refusal.code == _MISSING_MODULES:
                return _closed_books(identity, missing_licences=(refusal.message,))
            raise

    def _fetch_open_books(self, identity: Identity, first_day: date, last_day: date) -> Books:
        years = tuple(
            year for year in self._entries.fetch_years() if year.first_day <= last_day and first_day <= year.last_day
        )
        demanding = demanding_accounts(self._client)
        chart = [seen("GET accounts", translate.chart_account, row) for row in self._client.rows("accounts")]
        known = self._registers(anew=True).read
        closed = self._entries.closed_periods()
        return Books(
            identity=identity,
            years=years,
            accounts=tuple(
                replace(
                    one,
                    year_ref=year.ref,
                    needs_cost_centre=demanding.get(one.number, (False, False))[0],
                    needs_project=demanding.get(one.number, (False, False))[1],
                )
                for year in years
                for one in chart
            ),
            series=tuple(self._series(years)),
            invoice_series="invoices",
            payment_series="payments",
            predefined=tuple((AccountRole.CUSTOMER_CLAIMS.value, number) for number in known.claims[:1]),
            # Any account may be the other side of a payment: there is nothing to add for it.
            payment_modes=tuple((one.number, one.number) for one in chart if one.active),
            currencies=tuple(
                BooksCurrency(translate.text(row, "code"), None, automatic=True)
                for row in self._client.rows("currencies")
            ),
            locked_through=max((last for _, last in closed if last <= self._now().date()), default=None),
            system="economic",
            remedies=mending.REMEDIES,
            closed_months=_joined(closed, first_day, last_day),
            invoicing=invoicing(known, {one.number: one.vat_code for one in chart}),
            nudges=nudging.standing(self._client, self._nudge_url),
            nudge_address=self._nudge_url,
            cannot=CANNOT,
        )

    def _series(self, years: Sequence[FinancialYear]) -> Iterator[Series]:
        """Journals, which are the same in every year."""
        journals = self._entries.journals()
        for year in years:
            for row in journals:
                yield Series(
                    code_of(row),
                    translate.text(row, "name"),
                    takes_everything(row),
                    year.ref,
                    row.get("requireAdminApproval") is True,
                    mending.is_nearly_full(row),
                )

    def repair(self, repair: Repair) -> None:
        """Carry out what a person asked for with the Repair button. Raises `Rejected` for what has no call."""
        name = translate.clean(repair.name, 50) or repair.subject
        match repair.remedy:
            case Remedy.CREATE_SERIES:
                self._create_journal(repair.subject)
            case Remedy.CREATE_ACCOUNT:
                flags = ("isBarred", "isBlockedForDirectEntries", "isDepartmentMandatory", "isUnitMandatory")
                body = {
                    "number": digits(repair.subject),
                    "name": name,
                    "type": 2,
                    **dict.fromkeys(flags, False),
                }
                self._client.tell("POST", f"{ACCOUNTS}/Accounts", body, f"account/{repair.subject}")
            case Remedy.ACTIVATE_ACCOUNT:
                path = f"{ACCOUNTS}/Accounts"
                account = dict(self._client.ask(f"{path}/{digits(repair.subject)}"))
                account |= {"isBarred": False, "isBlockedForDirectEntries": False}
                # The version that was read goes along: somebody else's change in between is not written over.
                version = translate.text(account, "objectVersion")
                self._client.tell("PUT", path, account, f"account/{repair.subject}/{version}")
            case Remedy.MEND_SERIES:
                mending.mend_journal(self._client, self._entries.journals(), f"{JOURNAL_NAME} {repair.subject}", _FLAGS)
                self._entries.forget_journals()
            case Remedy.CREATE_PRODUCT_GROUP:
                known = self._registers(anew=True).read
                mending.create_product_group(self._client, known, repair, self._now())
                self._registers(anew=True)
            case Remedy.OPEN_PRODUCT:
                path = f"products/{_in_path(repair.subject)}"
                mending.open_product(self._client, path, f"open/{repair.subject}/{self._now().isoformat()}")
            case Remedy.REGISTER_WEBHOOK:
                self.begin_nudges()
            case Remedy.ADD_CURRENCY | Remedy.ADD_PAYMENT_MODE:
                raise Rejected("", f"e-conomic lets a person do this, not us: {repair.subject}")
            case _:
                assert_never(repair.remedy)

    def begin_nudges(self) -> None:
        """Have e-conomic tell us when an invoice is booked. Raises `Rejected` where another app holds that event."""
        if self._nudge_url:
            nudging.begin(self._client, self._nudge_url, self._now())

    def end_nudges(self) -> None:
        """Have e-conomic tell us nothing any more."""
        if self._nudge_url:
            nudging.end(self._client, self._nudge_url, self._now())

    def _create_journal(self, code: str) -> None:
        """A journal of our own, so that booking never sweeps up what a bookkeeper has half finished."""
        body = {
            "name": f"{JOURNAL_NAME} {code}",
            "autoApprove": True,
            "requireBalancePerVoucherId": True,
            **dict.fromkeys(_FLAGS, False),
            "minimumVoucherNumber": JOURNAL_FIRST,
            "maximumVoucherNumber": JOURNAL_LAST,
            "allowedEntryType": 0,
        }
        self._client.tell("POST", f"{JOURNALS}/journals", body, f"journal/{body['name']}")
        self._entries.forget_journals()

    def with_registers(self, books: Books, registers: Sequence[Register], scopes: Sequence[str]) -> Books:
        """The same books with payment terms; what Kvitt does not use of e-conomic is named as closed."""
        codes: list[Code] = []
        if Register.PAYMENT_TERMS in registers:
            codes = [
                Code(
                    Register.PAYMENT_TERMS,
                    translate.text(row, "paymentTermsNumber"),
                    translate.text(row, "paymentTermsType") in OPEN_TERMS,
                )
                for row in self._client.rows("payment-terms")
            ]
        closed = [one.value for one in registers if one is not Register.PAYMENT_TERMS]
        closed += [scope for scope in scopes if scope != "article"]
        return replace(
            books,
            codes=tuple(codes),
            registers=tuple(one for one in registers if one is Register.PAYMENT_TERMS),
            unreadable=(*books.unreadable, *(name for name in closed if name not in books.unreadable)),
        )

    def fetch_articles(self, changed_since: datetime | None) -> Iterator[str]:
        """Numbers of products, all or those changed since an instant."""
        text = "" if changed_since is None else f"lastUpdated$gte:{changed_since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        for row in self._client.rows("products", text):
            yield translate.text(row, "productNumber")

    def fetch_orders(self, key_prefix: str, changed_since: datetime | None) -> Iterator[str]:
        """None: Kvitt writes no orders here (`CreateOrder` is refused)."""
        return iter(())

    def get_order(self, number: str) -> OrderView:
        """Kvitt writes no orders here. Raises `Rejected`."""
        raise Rejected("", f"no order {number} of ours is in e-conomic")

    def fetch_customers(self, changed_since: datetime | None) -> Iterator[CustomerView]:
        """Customers that are not barred, all or those changed since an instant."""
        text = "" if changed_since is None else f"lastUpdated$gte:{changed_since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        for row in self._client.rows("customers", text):
            if row.get("barred") is not True:
                yield seen("GET customers", translate.customer_view, row)

    # --- What invoices name -------------------------------------------------------------------------------

    def _registers(self, *, anew: bool = False) -> _Registers:
        memory = self._memory
        with memory.lock:
            if memory.read is None or anew:
                memory.read = self.fetch_identity().currency, read_registers(self._client)
            return _Registers(*memory.read, self._choices)

    def _zone_and_groups(self, invoice: Invoice) -> tuple[int, list[int]]:
        """The VAT zone in which every row finds a product group with its account and rate, and those groups."""
        known = self._registers()
        for zone in translate.ZONES[invoice.customer.vat]:
            if zone not in known.zones:
                continue
            groups = [self._group_for(known, zone, line.account.number, line.vat_percent) for line in invoice.lines]
            if None not in groups:
                return zone, [group for group in groups if group is not None]
        wanted = sorted({f"{line.account.number} at {line.vat_percent} %" for line in invoice.lines})
        message = f"no product group sells on account {', '.join(wanted)} for {invoice.customer.vat.value}"
        raise Rejected("", message, HoldReason.ACCOUNT_NOT_READY.value)

    @staticmethod
    def _group_for(known: _Registers, zone: int, account: str, percent: int) -> int | None:
        wanted = (account, Decimal(percent))
        fits = (number for (number, where), found in known.groups.items() if where == zone and found == wanted)
        return next(fits, None)

    def _product(self, group: int) -> str:
        """The number of our product in a group, made when it is first needed."""
        number = f"KVITT-{group}"
        self._ensure_product(number, "Salg", group)
        return number

    def _ensure_product(self, number: str, name: str, group: int) -> None:
        with self._memory.lock:
            if number in self._memory.products:
                return
            try:
                self._client.get(f"products/{_in_path(number)}")
            except NotThere:
                body = {"productNumber": number, "name": name, "productGroup": {"productGroupNumber": group}}
                self._client.send("POST", "products", body, f"product/{number}")
            self._memory.products.add(number)

    def _rounding_product(self, zone: int) -> None:
        """The product without VAT that takes what net prices cannot reach."""
        known = self._registers()
        group = known.rounding_group(zone)
        if group is None:
            message = "no product group is without VAT, which rounding rows need"
            raise Rejected("", message, HoldReason.ACCOUNT_NOT_READY.value)
        self._ensure_product(translate.ROUNDING_PRODUCT, "Øredifference", group)

    def _invoice_body(self, invoice: Invoice, customer_number: str) -> dict[str, Any]:
        known = self._registers()
        zone, groups = self._zone_and_groups(invoice)
        rows = [
            translate.priced(line, line.article or self._product(group))
            for line, group in zip(invoice.lines, groups, strict=True)
        ]
        total = translate.ledger_amount(invoice.total)
        sent = translate.rows_of(rows, total, "Øredifference")
        if len(sent) > len(rows):
            self._rounding_product(zone)
        return translate.draft_body(
            invoice,
            customer_number=customer_number,
            zone=zone,
            terms=int(invoice.payment_terms or known.terms),
            layout=known.layout,
            rows=sent,
            base_currency=known.base_currency,
        )

    # --- Writing ------------------------------------------------------------------------------------------

    def perform(self, step: Step, known: Known) -> StepAnswer:
        """Make one write. Raises `AlreadyDone` where it was done before, and the other errors of the ports."""
        match step:
            case CreateCustomer():
                return self._create_customer(step.customer, step.key)
            case UpdateCustomer():
                return self._update_customer(step.customer, known.customer_number, step.key)
            case CreateArticle():
                return self._create_article(step)
            case CreateInvoice():
                body = self._invoice_body(step.invoice, known.customer_number)
                return self._create_draft(body, step.key)
            case RoundInvoice():
                number = _draft_number(_invoice(known).number)
                customer = _invoice(known).customer_number
                body = self._invoice_body(step.invoice, customer)
                return self._write_draft("PUT", f"invoices/drafts/{number}", body, step.key)
            case BookInvoice():
                return self._book_invoice(step, _invoice(known))
            case CreditInvoice():
                return self._credit(step, _invoice(known).number)
            case DateCreditNote():
                return self._date_credit_note(step, known)
            case CreatePayment():
                return self._entries.enter_payment(
                    step.settlement, _invoice(known), step.key, left=known.left_to_person
                )
            case BookPayment() | PostVoucher():
                (came,) = self._entries.book([(step, known)])
                if isinstance(came, PortError):
                    raise came
                return came
            case AwaitInvoice() | AwaitPayment():
                raise Rejected("", f"{step.kind} is for a person to do")
            case CreateOrder() | MailInvoice():
                # An invoice can be sent there only in the call that books it, and orders are not written.
                raise Rejected("", f"{step.kind} is not done in e-conomic", HoldReason.REJECTED.value)
            case _:
                assert_never(step)

    def perform_together(self, work: Sequence[tuple[Step, Known]]) -> Sequence[StepAnswer | PortError]:
        """Book payments and vouchers by one call, after the vouchers were entered; what each came to."""
        return self._entries.book(work)

    def _create_customer(self, customer: Customer, key: str) -> StepAnswer:
        known = self._registers()
        zone = next((zone for zone in translate.ZONES[customer.vat] if zone in known.zones), 1)
        body = translate.customer_body(customer, known.customer_group, zone, known.terms, known.base_currency)
        answer = self._client.send("POST", "customers", body, key).body
        return StepAnswer(_written("POST customers", translate.customer_view, answer).number)

    def _update_customer(self, customer: Customer, number: str, key: str) -> StepAnswer:
        """Replace a customer by itself with another name and VAT number: what is not sent there is cleared."""
        path = f"customers/{int(number)}"
        row = self._client.get(path)
        known = self._registers()
        body = translate.customer_body(customer, known.customer_group, 1, known.terms, known.base_currency)
        kept = {
            name: value for name, value in row.items() if name not in _DERIVED and name not in ("name", "vatNumber")
        }
        changed = {name: body[name] for name in ("name", "vatNumber") if name in body}
        self._client.send("PUT", path, {**kept, **changed}, key)
        return StepAnswer(number)

    def _create_article(self, step: CreateArticle) -> StepAnswer:
        known = self._registers()
        group = next((n for (n, _), (account, _) in known.groups.items() if account == step.account.number), None)
        if group is None:
            message = f"no product group sells on account {step.account.number}"
            raise Rejected("", message, HoldReason.ACCOUNT_NOT_READY.value)
        self._ensure_product(step.number, translate.clean(step.description, 300) or step.number, group)
        return StepAnswer(step.number)

    def _create_draft(self, body: Row, key: str) -> StepAnswer:
        """Make a draft. An answer out of their memory may be about one that a person has since taken away."""
        sent = self._client.send("POST", "invoices/drafts", body, key)
        view = _written("POST invoices/drafts", translate.invoice_view, sent.body)
        for _ in range(MOST_AGAIN):
            if not sent.remembered or self._is_there(f"invoices/drafts/{_draft_number(view.number)}"):
                return _invoice_answer(view)
            sent = self._client.send("POST", "invoices/drafts", body, f"{key}/again/{view.number}")
            view = _written("POST invoices/drafts", translate.invoice_view, sent.body)
        raise TryLater("every draft that was made within the hour has been taken away again")

    def _is_there(self, path: str) -> bool:
        try:
            self._client.get(path)
        except NotThere:
            return False
        return True

    def _write_draft(self, method: str, path: str, body: Row, key: str) -> StepAnswer:
        answer = self._client.send(method, path, body, key).body
        return _invoice_answer(_written(f"{method} {path}", translate.invoice_view, answer))

    def _book_invoice(self, step: BookInvoice, invoice: InvoiceView) -> StepAnswer:
        if not invoice.number.startswith(DRAFT):
            return _invoice_answer(self.get_invoice(invoice.number))
        body = {"draftInvoice": {"draftInvoiceNumber": _draft_number(invoice.number)}}
        try:
            answer = self._client.send("POST", "invoices/booked", body, step.key).body
        except Rejected as refusal:
            # A draft that is gone was booked by us, or by a person, or taken away: its key tells.
            booked = self._booked_of(invoice) if refusal.code in ("", _MISSING_DRAFT) else None
            if booked is not None:
                return _invoice_answer(booked)
            if self._is_there(f"invoices/drafts/{_draft_number(invoice.number)}"):
                raise
            gone = HoldReason.WAITED_FOR_GONE.value
            raise Rejected(refusal.code, f"the draft {invoice.number} was taken away", gone) from refusal
        return _invoice_answer(_written("POST invoices/booked", translate.invoice_view, answer))

    def _booked_of(self, draft: InvoiceView) -> InvoiceView | None:
        """The booked invoice that came of a draft: by key and sign."""
        if not draft.our_key:
            return None
        found = [view for view in self._with_key("booked", draft.our_key) if _same_sign(view.total, draft.total)]
        return found[0] if found else None

    def _credit(self, step: CreditInvoice, number: str) -> StepAnswer:
        """There is no credit action: the same rows are drafted with their quantities turned, at the original's rate."""
        row = self._client.get(f"invoices/booked/{int(number)}")
        original = seen("GET invoices/booked", translate.invoice_view, row)
        try:
            body = translate.credit_body(row, step.credit_date, _credit_heading(number), step.key, step.text)
        except Unreadable as error:
            raise BadReply(f"GET invoices/booked/{number}: {error}") from error
        note = self._create_draft(body, step.key)
        return StepAnswer(note.reference, invoice=replace(original, credit_number=note.reference))

    def _date_credit_note(self, step: DateCreditNote, known: Known) -> StepAnswer:
        """Nothing is left to write where the note has had its date and our key from the beginning."""
        number = _draft_number(_credit_number(known))
        path = f"invoices/drafts/{number}"
        row = self._client.get(path)
        note = seen("GET invoices/drafts", translate.invoice_view, row)
        if note.our_key == step.document_key and note.invoice_date == step.credit_date:
            return _invoice_answer(note)
        try:
            body = translate.draft_again(row)
        except Unreadable as error:
            raise BadReply(f"GET {path}: {error}") from error
        body["date"] = step.credit_date.isoformat()
        body["notes"] = {**body.get("notes", {}), **translate.keyed_notes(step.document_key, step.text)}
        return self._write_draft("PUT", path, body, step.key)

    # --- Looking for what an earlier attempt left ---------------------------------------------------------

    def look_up(self, step: Step, known: Known) -> StepAnswer | None:
        """Find what an earlier attempt at a step left; None if nothing is there.

        A voucher whose entries stand in the journal unbooked is booked: the second call, which was never made.
        """
        match step:
            case CreateCustomer():
                return self._find_customer(step.customer)
            case UpdateCustomer() | CreateArticle():
                return None  # the same again does no harm
            case CreateInvoice():
                found = self._copies(step.invoice.key, step.invoice.total)
                return _invoice_answer(found[0]) if found else None
            case RoundInvoice():
                view = self.get_invoice(_invoice(known).number)
                return _invoice_answer(view) if view.total == step.invoice.total else None
            case BookInvoice() | AwaitInvoice():
                booked = self._booked_of(_invoice(known))
                return _invoice_answer(booked) if booked is not None else None
            case CreditInvoice():
                return self._find_credit_note(step, _invoice(known).number)
            case DateCreditNote():
                note = self.get_invoice(_credit_number(known))
                dated = note.our_key == step.document_key and note.invoice_date == step.credit_date
                return _invoice_answer(note) if dated else None
            case CreatePayment():
                return self._entries.find_payment(step.settlement, _invoice(known), step.key)
            case BookPayment():
                return self._entries.find_booked(payment_parts(known.payment_number)[1], step)
            case AwaitPayment():
                return self._entries.find_left(known.payment_number, step.payment_key)
            case PostVoucher():
                return self._entries.find_voucher(step, known)
            case CreateOrder() | MailInvoice():
                return None
            case _:
                assert_never(step)

    def _find_customer(self, customer: Customer) -> StepAnswer | None:
        """By organisation number, e-mail address or name, the first that is told, exactly; oldest first."""
        email, name = customer.email.strip().lower(), translate.clean(customer.name, translate.NAME_LENGTH)
        if customer.organisation_number:
            field, wanted = "corporateIdentificationNumber", customer.organisation_number
        else:
            field, wanted = ("email", email) if email else ("name", name)
        known = self._registers()
        zone = next((zone for zone in translate.ZONES[customer.vat] if zone in known.zones), 1)
        for row in self._client.rows("customers", f"{field}$eq:{translate.escaped(wanted)}"):
            same = translate.text(row, field).strip().lower() == wanted.lower()
            if same and row.get("barred") is not True and translate.whole(row, "vatZone", "vatZoneNumber") == zone:
                return StepAnswer(translate.text(row, "customerNumber"))
        return None

    def _with_key(self, where: str, key: str) -> list[InvoiceView]:
        """Drafts or booked invoices under exactly this key, oldest first."""
        text = f"notes.textLine2$like:{translate.escaped(key)}"
        views = [
            seen(f"GET {where}", translate.invoice_view, row) for row in self._client.rows(f"invoices/{where}", text)
        ]
        return sorted((view for view in views if view.our_key == key), key=lambda view: _age(view.number))

    def _copies(self, key: str, total: Money) -> list[InvoiceView]:
        """All that stands under a key with the sign of a total: what is booked first, then drafts."""
        found = [*self._with_key("booked", key), *self._with_key("drafts", key)]
        return [view for view in found if _same_sign(view.total, total)]

    def _find_credit_note(self, step: CreditInvoice, number: str) -> StepAnswer | None:
        heading = _credit_heading(number)
        for where in ("drafts", "booked"):
            for row in self._client.rows(f"invoices/{where}", f"notes.heading$eq:{translate.escaped(heading)}"):
                note = seen(f"GET invoices/{where}", translate.invoice_view, row)
                if translate.text(row, "notes", "heading") == heading and note.total == step.total:
                    original = self.get_invoice(number)
                    return StepAnswer(note.number, invoice=replace(original, credit_number=note.number))
        return None

    # --- The fence ----------------------------------------------------------------------------------------

    def find_copies(self, step: Step, known: Known) -> Sequence[str]:
        """References of all that stands under a booking step's key, booked or not, oldest first."""
        match step:
            case BookInvoice():
                view = _invoice(known)
                key = step.invoice.key if step.invoice is not None else view.our_key
                total = step.invoice.total if step.invoice is not None else step.credit_total or view.total
                return [copy.number for copy in self._copies(key, total)] if key else []
            case BookPayment():
                return self._entries.copies_of_payment(known.payment_number, step.payment_key)
            case PostVoucher():
                return self._entries.copies_of_voucher(step, known.series)
            case _:
                return []

    def remove_copy(self, step: Step, reference: str) -> None:
        """Delete a draft, or draft entries of a payment or a voucher; what is booked stays. Raises `Rejected`."""
        match step:
            case BookInvoice() | CreateInvoice() if reference.startswith(DRAFT):
                # Never without a number: that deletes every draft of the agreement.
                path = f"invoices/drafts/{_draft_number(reference)}"
                self._client.send("DELETE", path, None, f"{step.key}/remove/{reference}")
            case BookPayment() | CreatePayment() if not reference.startswith("booked-"):
                self._entries.remove(payment_parts(reference)[0], step.key)
            case PostVoucher() if reference.startswith(UNBOOKED):
                self._entries.remove([digits(reference.removeprefix(UNBOOKED))], step.key)
            case _:
                raise Rejected("", f"{step.kind} leaves nothing that e-conomic lets us take away")

    # --- Reading ------------------------------------------------------------------------------------------

    def find_invoices(self, order_number: str, places: Sequence[OrderField]) -> tuple[InvoiceView, ...]:
        """Invoices and credit notes that have exactly this text in one of the places, first place with a hit.

        In a note it may be one word of several. Raises `Rejected` where too many come near.
        """
        wanted = order_number.strip()
        asked: set[str] = set()
        for place in dict.fromkeys(places) if wanted else ():
            if place is OrderField.INVOICE_NUMBER and (found := self._numbered(wanted)):
                return found
            for path in [path for path in _PLACES.get(place, ()) if path not in asked]:
                asked.add(path)
                if found := self._at(wanted, path):
                    return found
        return ()

    def _at(self, wanted: str, path: str) -> tuple[InvoiceView, ...]:
        in_note = path.startswith("notes.")
        text = f"{path}${'like' if in_note else 'eq'}:{translate.escaped(wanted)}"
        found = []
        for near, row in enumerate(self._client.rows("invoices/booked", text)):
            if near >= MOST_CANDIDATES:
                message = f"more than {MOST_CANDIDATES} invoices come near order number {wanted}"
                raise Rejected("", message, HoldReason.SEVERAL_INVOICES.value)
            value = translate.text(row, *path.split(".")).strip()
            if value == wanted or (in_note and wanted in value.split()):
                found.append(seen("GET invoices/booked", translate.invoice_view, row))
        return tuple(found)

    def _numbered(self, wanted: str) -> tuple[InvoiceView, ...]:
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 10):
            return ()
        try:
            return (self.get_invoice(wanted),)
        except NotThere:
            return ()

    def get_invoice(self, number: str) -> InvoiceView:
        """One invoice as it stands now; a draft that was booked meanwhile is not there. Raises `Rejected`."""
        path = (
            f"invoices/drafts/{_draft_number(number)}"
            if number.startswith(DRAFT)
            else f"invoices/booked/{digits(number)}"
        )
        return seen(f"GET {path}", translate.invoice_view, self._client.get(path))

    def newest_change(self, since: datetime) -> datetime | None:
        """The instant of asking, always: e-conomic does not tell when a booked invoice was last touched."""
        return self._now()

    def fetch_invoices(self, key_prefix: str, changed_since: datetime | None) -> Iterator[InvoiceView]:
        """Booked invoices and drafts whose key begins with a prefix, all of them: lists do not tell of changes."""
        for where in ("booked", "drafts"):
            yield from self._prefixed(where, key_prefix)

    def _prefixed(self, where: str, key_prefix: str) -> Iterator[InvoiceView]:
        text = f"notes.textLine2$like:{translate.escaped(key_prefix)}"
        for row in self._client.rows(f"invoices/{where}", text):
            view = seen(f"GET invoices/{where}", translate.invoice_view, row)
            if view.our_key.startswith(key_prefix):
                yield view

    def fetch_open_invoices(self, key_prefix: str) -> Iterator[InvoiceView]:
        """Booked invoices and credit notes under keys of this prefix that have a balance left."""
        return (view for view in self._prefixed("unpaid", key_prefix) if view.balance)

    def fetch_invoices_dated(self, first_day: date, last_day: date) -> Iterator[InvoiceView]:
        """Invoices dated in some days, whoever made them."""
        text = f"date$gte:{first_day.isoformat()}$and:date$lte:{last_day.isoformat()}"
        for where in ("booked", "drafts"):
            for row in self._client.rows(f"invoices/{where}", text):
                yield seen(f"GET invoices/{where}", translate.invoice_view, row)

    def fetch_payments(self, invoice_number: str) -> tuple[PaymentView, ...]:
        """All booked payments of an invoice, whoever made them."""
        entries = self._entries
        return tuple(entries.payment_view(row, invoice_number) for row in entries.payments_of(invoice_number))

    def fetch_vouchers(self, series: str, year_ref: str) -> Iterator[VoucherView]:
        """Vouchers of a journal in a year."""
        year = self._year(year_ref)
        text = (
            f"type$eq:{translate.VOUCHER_ENTRY}$and:date$gte:{year.first_day.isoformat()}"
            f"$and:date$lte:{year.last_day.isoformat()}"
        )
        rows = list(self._client.items(f"{BOOKED_ENTRIES}/booked-entries", text))
        return (view for view in self._entries.voucher_views(rows) if view.reference.startswith(f"{series}/"))

    def _year(self, year_ref: str) -> FinancialYear:
        found = next((year for year in self._entries.fetch_years() if year.ref == year_ref), None)
        if found is None:
            message = f"e-conomic has no accounting year {year_ref}"
            raise Rejected("", message, HoldReason.NO_FINANCIAL_YEAR.value)
        return found

    def fetch_ledger(self, year_ref: str, accounts: Sequence[str], vouchers: frozenset[str] | None = None) -> Ledger:
        """All rows on these accounts, or of these vouchers, in a year; openings are what was booked before it."""
        year = self._year(year_ref)
        first, last = year.first_day.isoformat(), year.last_day.isoformat()
        within = f"date$gte:{first}$and:date$lte:{last}"
        path, currency = f"{BOOKED_ENTRIES}/booked-entries", self._registers().base_currency
        if vouchers is not None:
            rows = self._client.items(path, within)
            entries = [
                self._ledger_entry(row, currency) for row in rows if self._entries.voucher_reference(row) in vouchers
            ]
            return Ledger(tuple(entries))
        if not accounts:
            return Ledger(())
        chosen = f"accountNumber$in:[{','.join(str(digits(number)) for number in accounts)}]"
        entries = [self._ledger_entry(row, currency) for row in self._client.items(path, f"{chosen}$and:{within}")]
        sums = {number: Money.zero(currency) for number in accounts}
        for row in self._client.items(path, f"{chosen}$and:date$lt:{first}"):
            entry = self._ledger_entry(row, currency)
            sums[entry.account] = sums[entry.account] + entry.amount
        return Ledger(tuple(entries), tuple((number, amount) for number, amount in sums.items() if amount))

    def _ledger_entry(self, row: Row, currency: str) -> LedgerEntry:
        reference = self._entries.voucher_reference(row)
        return seen("GET booked-entries", lambda one: translate.ledger_entry(one, currency, reference), row)

    # --- Files --------------------------------------------------------------------------------------------

    def upload_file(self, name: str, mime_type: str, content: bytes, voucher: str = "") -> str:
        """Attach a file to a booked voucher: there is no place where files lie by themselves. Raises `AlreadyDone`."""
        _, number, year = voucher.split("/", 2)
        fields = {"VoucherNumber": number, "AccountingYear": year, "Note": translate.clean(name, 250)}
        try:
            path = f"{DOCUMENTS}/AttachedDocuments"
            answer = self._client.upload(path, fields, name, mime_type, content, f"file/{voucher}/{name}")
        except Rejected as refusal:
            if refusal.code == _ALREADY_ATTACHED:
                raise AlreadyDone(refusal.code, refusal.message, refusal.reason) from refusal
            raise
        return _written("POST AttachedDocuments", lambda row: str(translate.whole(row, "number")), answer)

    def connect_file(self, file_ref: str, voucher: str) -> None:
        """Nothing is left to do: a file is attached when it is uploaded."""

    def file_connected(self, file_ref: str) -> bool:
        """Whether a file is still at its voucher."""
        try:
            self._client.ask(f"{DOCUMENTS}/AttachedDocuments/{digits(file_ref)}")
        except NotThere:
            return False
        return True


_DERIVED: Final = (
    "balance",
    "dueAmount",
    "lastUpdated",
    "contacts",
    "templates",
    "totals",
    "deliveryLocations",
    "invoices",
    "metaData",
    "self",
)
"""What a customer shows that cannot be sent."""


def _written(what: str, view: Callable[[Row], T], row: object) -> T:
    """Read the answer to a write. Raises `OutcomeUnknown`."""
    if not isinstance(row, Mapping):
        raise OutcomeUnknown(f"{what}: an object is missing")
    try:
        return view(row)
    except Unreadable as error:
        raise OutcomeUnknown(f"{what}: {error}") from error


def _roles(document: object) -> frozenset[str]:
    """The roles of our app in an agreement."""
    application = document.get("application") if isinstance(document, Mapping) else None
    roles = application.get("requiredRoles") if isinstance(application, Mapping) else None
    return frozenset(translate.text(role, "name").replace(" ", "") for role in roles or () if isinstance(role, Mapping))


def _closed_books(
    identity: Identity, missing_scopes: tuple[str, ...] = (), missing_licences: tuple[str, ...] = ()
) -> Books:
    """Books of which nothing could be read, and why."""
    return Books(
        identity,
        (),
        (),
        (),
        "",
        "",
        (),
        (),
        (),
        None,
        missing_scopes=missing_scopes,
        missing_licences=missing_licences,
        system="economic",
        cannot=CANNOT,
    )


def _joined(closed: Sequence[tuple[date, date]], first_day: date, last_day: date) -> tuple[tuple[date, date], ...]:
    """Periods that touch some days, those that follow on each other as one."""
    joined: list[tuple[date, date]] = []
    for first, last in closed:
        if last < first_day or first > last_day:
            continue
        if joined and (first - joined[-1][1]).days == 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return tuple(joined)


def _in_path(key: str) -> str:
    """A key in an address of the old host, which has codes of its own for special characters."""
    signs = "<>*%:&/\\_ ?.#+"
    return quote("".join(f"_{signs.index(sign)}_" if sign in signs else sign for sign in key), safe="")


def _draft_number(number: str) -> int:
    if not number.startswith(DRAFT):
        raise Rejected("", f"{number} is not a draft", HoldReason.TOUCHED.value)
    return digits(number.removeprefix(DRAFT))


def _credit_heading(number: str) -> str:
    return f"Kreditnota til faktura {number}"


def _age(number: str) -> int:
    digits = number.removeprefix(DRAFT)
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _same_sign(left: Money, right: Money) -> bool:
    return (left.minor < 0) == (right.minor < 0)


def _invoice(known: Known) -> InvoiceView:
    if known.invoice is None:
        raise ValueError("this step needs the invoice that an earlier step answered with")
    return known.invoice


def _credit_number(known: Known) -> str:
    invoice = _invoice(known)
    return invoice.credit_number or invoice.number


def _invoice_answer(view: InvoiceView) -> StepAnswer:
    return StepAnswer(view.number, invoice=view, voucher=view.voucher)
