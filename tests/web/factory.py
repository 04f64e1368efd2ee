"""Rows for the pages: a company that has lived for a while, and another that has not.

Written straight into the tables, so that every state a page can show is there, also those that a healthy run
passes through in a second.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from addon.core.accounts import Account, AccountRole
from addon.core.dates import booking_date
from addon.core.documents import (
    BookInvoice,
    BookPayment,
    ClearingEffect,
    CreateCustomer,
    CreateInvoice,
    CreatePayment,
    Customer,
    CustomerVat,
    Document,
    DocumentKind,
    Invoice,
    InvoiceLine,
    PartRef,
    PostVoucher,
    Settlement,
    Voucher,
    signed_line,
)
from addon.core.grants import Grant
from addon.core.holds import HoldReason, WaitReason
from addon.core.money import ExchangeRate, Money
from addon.core.reconcile import NamedDifference
from addon.core.records import (
    Buyer,
    Fee,
    Itemisation,
    Movement,
    MovementKind,
    OrderNumber,
    PartKind,
    Payout,
    PayoutState,
)
from addon.core.statement import Group, GroupTotal, OpenItem, OpenWhy, Statement
from addon.services.context import Services
from addon.store.codec import encode, fingerprint
from addon.store.models import (
    AccountingConnection,
    ActivityRow,
    BooksRow,
    CallRow,
    CheckRow,
    Company,
    CompanySettings,
    CompanyWork,
    Connection,
    DeliveryRow,
    DocumentRow,
    MovementRow,
    PartRow,
    PayoutRow,
    ProofRow,
    ProviderAccount,
    RunRow,
    StatementRow,
)
from tests.core.samples import sample_books

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
STOCKHOLM = ZoneInfo("Europe/Stockholm")
CLEARING = Account(AccountRole.CLEARING, "1686")
BANK = Account(AccountRole.BANK, "1930")
FEES = Account(AccountRole.FEE, "6570")
SALES = Account(AccountRole.SALES, "3001")
HOSTILE = '<script>alert("x")</script>\u202eevil\u2066 & “ok” \x07'
"""What a stranger may put into a name: markup, direction marks, control characters."""


NOBODY = Buyer()


def sek(minor: int) -> Money:
    return Money(minor, "SEK")


@dataclass
class Filled:
    """What the tests need to know of the two companies."""

    company: int
    other: int
    connection: int = 0
    movements: dict[str, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    documents: dict[str, int] = field(default_factory=dict)
    payouts: dict[str, int] = field(default_factory=dict)
    checks: dict[str, int] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    statements: dict[str, int] = field(default_factory=dict)
    other_movement: int = 0
    other_payout: int = 0
    other_run: int = 0
    other_connection: int = 0


def new_company(services: Services, name: str, number: str, tenant: str, **more: Any) -> int:
    with services.db.open() as session:
        company = Company(
            name=name,
            accounting="fortnox",
            tenant=tenant,
            organisation_number=number,
            created_at=NOW - timedelta(days=60),
            **{"state": "active", **more},
        )
        session.add(company)
        session.flush()
        session.add(CompanyWork(company_id=company.id, next_run_at=services.db.now(session) + timedelta(hours=18)))
        company_id = company.id
    with services.db.company(company_id) as session:
        session.add(
            AccountingConnection(
                system="fortnox",
                grant_sealed=services.box.seal_grant(Grant("token", subject=tenant)),
                connected_at=NOW - timedelta(days=60),
            )
        )
        session.add(CompanySettings(values={"accounts.fee": "6570", "accounts.sales:SE25": "3001"}))
        session.add(BooksRow(value=encode(sample_books()), read_at=NOW - timedelta(hours=4)))
    return company_id


def new_connection(services: Services, company_id: int, ref: str, mode: str = "plus", **more: Any) -> int:
    with services.db.company(company_id) as session:
        row = Connection(
            provider="stripe",
            way="connect",
            account_ref=ref,
            grant_sealed=services.box.seal_grant(Grant("unused", subject=ref)),
            mode=mode,
            start_date=date(2026, 11, 1) if mode else None,
            connected_at=NOW - timedelta(days=20),
            **{
                "account_name": "Fjällbutiken",
                "country": "SE",
                "settings": {"accounts.clearing:SEK": "1686", "accounts.bank:SEK": "1930"},
                **more,
            },
        )
        session.add(row)
        session.add(ProviderAccount(provider="stripe", account_ref=ref, company_id=company_id))
        session.flush()
        return row.id


@dataclass
class Writer:
    """Puts movements with their parts, documents and payouts into one connection."""

    session: Session
    connection: int
    number: int = 0

    def movement(
        self,
        ref: str,
        kind: MovementKind,
        amount: Money,
        at: datetime,
        *,
        fee: int = 0,
        state: str = "booked",
        reason: str = "",
        facts: dict[str, str] | None = None,
        order: str = "",
        buyer: Buyer = NOBODY,
        presented: Money | None = None,
        source: str = "",
        original: str = "",
        payout: str = "",
        document: int | None = None,
        fee_document: int | None = None,
        raw_kind: str = "",
        description: str = "",
    ) -> tuple[int, list[int]]:
        fees = (Fee(PartKind.FEE, Money(fee, amount.currency), "Stripe processing fees"),) if fee else ()
        value = Movement(
            ref,
            kind,
            amount,
            at,
            fees,
            source,
            original,
            presented,
            (OrderNumber("metadata.order_number", order),) if order else (),
            buyer,
            description,
            raw_kind,
        )
        row = MovementRow(
            connection_id=self.connection,
            ref=ref,
            kind=kind.value,
            amount_minor=amount.minor,
            net_minor=value.net().minor,
            currency=amount.currency,
            presented_minor=presented.minor if presented else None,
            presented_currency=presented.currency if presented else "",
            occurred_at=at,
            booking_date=booking_date(at, STOCKHOLM),
            source_ref=source,
            original_ref=original,
            payout_ref=payout,
            order_number=order,
            buyer=(buyer.email or buyer.name)[:320],
            value=encode(value),
            raw={"id": ref, "object": "balance_transaction", "description": description},
            fetched_at=at + timedelta(minutes=4),
        )
        self.session.add(row)
        self.session.flush()
        parts = []
        for part in value.parts():
            own = document if part.kind is PartKind.AMOUNT else fee_document
            its_state = state if part.kind is PartKind.AMOUNT else ("booked" if own else "waiting")
            part_row = PartRow(
                connection_id=self.connection,
                movement_id=row.id,
                name=part.name,
                kind=part.kind.value,
                amount_minor=part.amount.minor,
                currency=part.amount.currency,
                state=its_state,
                reason=reason if part.kind is PartKind.AMOUNT else ("" if own else WaitReason.DAY_CLOSES.value),
                facts=(facts or {}) if part.kind is PartKind.AMOUNT else {},
                document_id=own,
                changed_at=at + timedelta(hours=1),
                wait_until=(at + timedelta(days=14)).date() if its_state == "waiting" else None,
                set_aside_by="Ada" if its_state == "set_aside" else "",
                set_aside_where="A 77" if its_state == "set_aside" else "",
            )
            self.session.add(part_row)
            self.session.flush()
            parts.append(part_row.id)
        return row.id, parts

    def document(
        self, document: Document, state: str = "booked", number: str = "", vouchers: tuple[str, ...] = (), **more: Any
    ) -> int:
        effect = document.clearing[0]
        row = DocumentRow(
            connection_id=self.connection,
            key=document.key,
            kind=document.kind.value,
            booking_date=document.booking_date,
            total_minor=document.total.minor,
            currency=document.total.currency,
            rule=document.rule,
            payload=encode(document),
            fingerprint=fingerprint(document),
            state=state,
            number=number,
            clearing_account=effect.account.number,
            clearing_currency=effect.balance.currency,
            clearing_minor=effect.balance.minor,
            clearing_books_minor=effect.books.minor if effect.books else None,
            vouchers=list(vouchers),
            planned_at=NOW - timedelta(days=2),
            approved_at=NOW - timedelta(days=2) if state != "proposed" else None,
            booked_at=NOW - timedelta(days=2) if state == "booked" else None,
            **more,
        )
        self.session.add(row)
        self.session.flush()
        for seq, step in enumerate(document.steps):
            delivery = DeliveryRow(
                document_id=row.id,
                seq=seq * 10,
                key=step.key,
                kind=step.kind,
                payload=encode(step),
                state="booked" if state == "booked" else ("rejected" if state == "rejected" and seq == 1 else state),
                attempt=1,
                attempted_at=NOW - timedelta(days=2),
                reference=f"{1000 + row.id}" if state == "booked" else "",
                error_code="2000357" if state == "rejected" and seq == 1 else "",
                error_message=f"Kontot saknas {HOSTILE}" if state == "rejected" and seq == 1 else "",
            )
            self.session.add(delivery)
            self.session.flush()
            self.session.add(
                CallRow(
                    delivery_id=delivery.id,
                    at=NOW - timedelta(days=2),
                    system="fortnox",
                    method="POST" if seq % 2 == 0 else "PUT",
                    path="/3/invoices",
                    status=201 if state == "booked" else 400,
                    duration_ms=212,
                )
            )
        return row.id


def sale_document(ref: str, order: str, total: Money, books: Money, day: date, customer: str) -> Document:
    key = f"stripe/{ref}"
    who = Customer(f"{key}/customer", customer, CustomerVat.DOMESTIC, "SE", "buyer@example.com")
    invoice = Invoice(
        f"{key}/invoice",
        who,
        day,
        (InvoiceLine(f"Order {order}", total, 25, SALES),),
        total,
        (total.to_decimal() / 5).quantize(Decimal("0.01")),
        order_number=order,
        text=f"Stripe {ref}",
        rate=ExchangeRate("EUR", "SEK", Decimal("11.30"), 1, day - timedelta(days=1), "riksbank")
        if total.currency == "EUR"
        else None,
    )
    settlement = Settlement(f"{key}/payment", total, books, day, CLEARING)
    return Document(
        f"{key}/sale",
        DocumentKind.SALE,
        day,
        total,
        (PartRef(ref, "amount"),),
        (ClearingEffect(CLEARING, books, books),),
        (
            CreateCustomer(who.key, who),
            CreateInvoice(invoice.key, invoice, who.key),
            BookInvoice(f"{invoice.key}/book", invoice.key, invoice),
            CreatePayment(settlement.key, settlement, invoice.key),
            BookPayment(f"{settlement.key}/book", settlement.key),
        ),
        "Plus: a buyer in SE: the company's own rate, 25 %.",
        (("source", ref), ("order_number", order)),
    )


def voucher_document(
    key: str, kind: DocumentKind, day: date, amount: Money, lines: Any, rule: str, text: str
) -> Document:
    voucher = Voucher(key, day, text, tuple(lines))
    return Document(
        f"{key}/document",
        kind,
        day,
        amount,
        (PartRef(key, "amount"),),
        (ClearingEffect(CLEARING, amount, amount),),
        (PostVoucher(key, voucher),),
        rule,
    )


FACTS: dict[HoldReason, dict[str, str]] = {
    HoldReason.AMOUNT_DIFFERS: {"order_number": "10301", "invoice": "1044", "open": "499.00 SEK", "paid": "459.00 SEK"},
    HoldReason.SEVERAL_INVOICES: {"order_number": "10302", "invoices": "1045, 1046"},
    HoldReason.ALREADY_PAID: {"order_number": "10303", "invoice": "1047"},
    HoldReason.UNKNOWN_KIND: {"kind": "hovercraft_rental/eels", "amount": "-40.00 SEK"},
    HoldReason.KIND_NOT_BUILT: {"kind": "dispute", "raw_kind": "dispute/adjustment", "amount": "-249.00 SEK"},
    HoldReason.ACCOUNT_NOT_READY: {
        "account": "1686",
        "role": "clearing",
        "year": "2026-01-01 – 2026-12-31",
        "why": "inactive",
    },
    HoldReason.PERIOD_LOCKED: {"day": "2026-10-30", "locked": "2026-10-31"},
    HoldReason.LEDGER_PRECISION: {"amount": "1.005 KWD", "decimals": "2"},
    HoldReason.TOTAL_DIFFERS: {"number": "1050", "planned": "100.00 EUR", "made": "99.00 EUR"},
    HoldReason.REJECTED: {"code": "2000357", "message": f"Kontot saknas {HOSTILE}", "step": "create_invoice"},
}


def fill(services: Services) -> Filled:
    company = new_company(services, "Fjällbutiken AB", "556677-8899", "1001", sandbox=True)
    other = new_company(services, "Grannen AB", "559999-0000", "1002")
    filled = Filled(company, other)
    filled.connection = new_connection(services, company, "acct_1Fjall")
    filled.other_connection = new_connection(services, other, "acct_1Grann")
    with services.db.company(company) as session:
        _fill_movements(Writer(session, filled.connection), filled)
        _fill_rest(session, filled)
    with services.db.company(other) as session:
        writer = Writer(session, filled.other_connection)
        filled.other_movement, _ = writer.movement(
            "txn_secret", MovementKind.SALE, sek(66600), NOW - timedelta(days=1), order="SECRET-1", state="open"
        )
        filled.other_payout = _payout(session, filled.other_connection, "po_secret", sek(66600), PayoutState.PAID, None)
        run = RunRow(trigger="click", started_at=NOW, state="running")
        session.add(run)
        session.flush()
        filled.other_run = run.id
    return filled


def _payout(
    session: Session, connection: int, ref: str, amount: Money, state: PayoutState, items: int | None, days: int = 3
) -> int:
    at = NOW - timedelta(days=days)
    complete = Itemisation.COMPLETE if items is not None else Itemisation.PENDING
    value = Payout(ref, amount, state, at, (at + timedelta(days=2)).date(), complete)
    row = PayoutRow(
        connection_id=connection,
        ref=ref,
        amount_minor=amount.minor,
        currency=amount.currency,
        state=state.value,
        itemisation=complete.value,
        arrival_date=value.arrival_date,
        paid_out_at=at,
        items_read=items is not None,
        items_minor=items,
        value=encode(value),
        raw={"id": ref},
        fetched_at=at,
    )
    session.add(row)
    session.flush()
    return row.id


def _fill_movements(writer: Writer, filled: Filled) -> None:
    start = NOW - timedelta(days=10)
    fee_lines = (signed_line(FEES, sek(4100)), signed_line(CLEARING, sek(-4100)))
    fees = writer.document(
        voucher_document(
            "stripe/acct_1Fjall/fees/SEK/2026-11-11",
            DocumentKind.FEES,
            date(2026, 11, 11),
            sek(-4100),
            fee_lines,
            "Fees of one closed day, exempt from VAT.",
            "Stripe: fees 2026-11-11",
        ),
        number="V/12/2",
        vouchers=("V/12/2",),
    )
    filled.documents["fees"] = fees
    buyers = ("Åsa Öberg", "José Ibáñez", "山田太郎", "Zoë Müller", "Ólafur Jónsson", HOSTILE)
    for index in range(12):
        order = str(10234 + index)
        at = start + timedelta(hours=7 * index)
        total = Money(10000 + index * 1111, "EUR") if index % 3 == 0 else sek(49900 + index * 1000)
        books = sek(111870 + index * 1000) if total.currency == "EUR" else total
        document = writer.document(
            sale_document(f"ch_{index}", order, total, books, at.date(), buyers[index % 6].replace("\x07", "")),
            number=str(1042 + index),
            vouchers=(f"B/{311 + index}/2", f"C/{298 + index}/2"),
            invoice_rate="11.30" if total.currency == "EUR" else "1",
        )
        movement, parts = writer.movement(
            f"txn_{index}",
            MovementKind.SALE,
            books,
            at,
            fee=1500 + index * 17,
            order=order,
            buyer=Buyer(buyers[index % 6], f"buyer{index}@example.com", "SE"),
            presented=total,
            source=f"ch_{index}",
            payout="po_1" if index < 6 else "",
            document=document,
            fee_document=fees if index < 6 else None,
            description=f"Order {order}",
        )
        filled.movements[f"sale{index}"], filled.documents[f"sale{index}"] = movement, document
        filled.parts[f"sale{index}"] = parts[0]
    filled.movements["refund"], _ = writer.movement(
        "txn_refund",
        MovementKind.REFUND,
        sek(-51900),
        NOW - timedelta(days=4),
        state="planned",
        order="10236",
        source="re_1",
        original="ch_2",
    )
    for index, reason in enumerate(HoldReason):
        movement, parts = writer.movement(
            f"txn_held_{reason.value}",
            MovementKind.UNRECOGNISED if reason is HoldReason.UNKNOWN_KIND else MovementKind.SALE,
            sek(-4000 if reason is HoldReason.UNKNOWN_KIND else 45900 + index),
            NOW - timedelta(days=3, minutes=index),
            state="held",
            reason=reason.value,
            facts=FACTS.get(reason, {}),
            order=str(10300 + index),
            buyer=Buyer(HOSTILE, "held@example.com"),
            source=f"ch_held_{index}",
            raw_kind="hovercraft_rental/eels" if reason is HoldReason.UNKNOWN_KIND else "",
        )
        filled.movements[reason.value], filled.parts[reason.value] = movement, parts[0]
    for index, wait in enumerate(WaitReason):
        movement, _ = writer.movement(
            f"txn_wait_{wait.value}",
            MovementKind.SALE,
            sek(29900),
            NOW - timedelta(days=1, minutes=index),
            state="waiting",
            reason=wait.value,
            facts={"order_number": str(10400 + index)},
            order=str(10400 + index),
        )
        filled.movements[f"wait_{wait.value}"] = movement
    filled.movements["aside"], parts = writer.movement(
        "txn_aside", MovementKind.SALE, sek(9900), NOW - timedelta(days=5), state="set_aside", order="10500"
    )
    filled.parts["aside"] = parts[0]
    filled.movements["open"], _ = writer.movement(
        "txn_open", MovementKind.SALE, Money(1000, "JPY"), NOW - timedelta(minutes=5), state="open", order="10501"
    )
    for index in range(3):
        filled.documents[f"proposed{index}"] = writer.document(
            sale_document(f"ch_p{index}", str(10600 + index), sek(19900), sek(19900), date(2026, 11, 20), "Ada B"),
            state="proposed",
        )
    filled.documents["rejected"] = writer.document(
        sale_document("ch_r", "10700", sek(19900), sek(19900), date(2026, 11, 20), "Ada B"),
        state="rejected",
        hold_reason=HoldReason.REJECTED.value,
        hold_facts=FACTS[HoldReason.REJECTED],
    )
    filled.movements["rejected"], _ = writer.movement(
        "txn_rejected",
        MovementKind.SALE,
        sek(19900),
        NOW - timedelta(hours=20),
        state="held",
        reason=HoldReason.REJECTED.value,
        facts=FACTS[HoldReason.REJECTED],
        document=filled.documents["rejected"],
        order="10700",
    )


def _fill_rest(session: Session, filled: Filled) -> None:
    connection = filled.connection
    inside = [filled.movements[f"sale{index}"] for index in range(6)]
    total = sum(session.get_one(MovementRow, each).net_minor for each in inside)
    paid = voucher_document(
        "stripe/po_1/payout",
        DocumentKind.PAYOUT,
        date(2026, 11, 20),
        sek(-total),
        (signed_line(BANK, sek(total)), signed_line(CLEARING, sek(-total))),
        "A paid payout, on its arrival day.",
        "Stripe: payout po_1",
    )
    writer = Writer(session, connection)
    filled.documents["payout"] = writer.document(paid, number="V/13/2", vouchers=("V/13/2",))
    writer.movement(
        "txn_po_1",
        MovementKind.PAYOUT,
        sek(-total),
        NOW - timedelta(days=3),
        source="po_1",
        document=filled.documents["payout"],
    )
    filled.payouts["paid"] = _payout(session, connection, "po_1", sek(total), PayoutState.PAID, total)
    filled.payouts["differs"] = _payout(session, connection, "po_2", sek(431000), PayoutState.PAID, 430000, 5)
    filled.payouts["pending"] = _payout(session, connection, "po_3", sek(431000), PayoutState.UNDER_WAY, None, 1)
    filled.payouts["failed"] = _payout(session, connection, "po_4", sek(99000), PayoutState.FAILED, 99000, 9)
    _fill_proofs(session, filled)
    details = {"held": 0, "waiting": 0, "under_way": 431000, "planned": 0, "set_aside": 0, "holds": True, "named": []}
    session.add_all(
        [
            _proof(connection, "SEK", 1227250, 796250, 431000, 0, details),
            _proof(connection, "EUR", 98110, 94110, 4000, 0, {**details, "under_way": 0, "held": 4000}),
            _proof(
                connection,
                "USD",
                5000,
                4900,
                0,
                100,
                {
                    **details,
                    "under_way": 0,
                    "holds": False,
                    "books_currency": "SEK",
                    "named": [
                        {
                            "name": "posting_by_person",
                            "reference": "A/57/2",
                            "date": "2026-11-19",
                            "minor": 100,
                            "text": HOSTILE,
                        }
                    ],
                },
            ),
        ]
    )
    counts = {
        "fetched": 214,
        "planned": 143,
        "to_deliver": 71,
        "booked": 143,
        "waiting": 6,
        "held": 27,
        "writes": 572,
        "calls": 590,
    }
    for name, state, phase, message in (
        ("done", "done", "done", ""),
        ("failed", "failed", "books", "clearing_account"),
        ("running", "running", "deliver", ""),
    ):
        run = RunRow(
            trigger="click",
            state=state,
            phase=phase,
            message=message,
            counts=counts,
            now_doing="Booking invoice 143 of 214" if state == "running" else "",
            started_at=NOW - timedelta(minutes=4),
            finished_at=None if state == "running" else NOW - timedelta(minutes=1),
        )
        session.add(run)
        session.flush()
        filled.runs[name] = run.id
    for code, ok, stops, subject, repair, facts in (
        ("accrual_method", True, True, "2", {}, {"year": "2026-01-01 – 2026-12-31"}),
        (
            "clearing_account",
            False,
            True,
            "1686",
            {"remedy": "activate_account", "subject": "1686", "year_ref": "2", "name": "Fordringar"},
            {
                "account": "1686",
                "name": "Fordringar",
                "use": "stripe SEK",
                "year": "2026-01-01 – 2026-12-31",
                "fault": "inactive",
            },
        ),
        (
            "currency",
            False,
            False,
            "JPY",
            {"remedy": "add_currency", "subject": "JPY", "year_ref": "", "name": "JPY"},
            {"fault": "missing"},
        ),
        ("locked_period", False, False, "", {}, {"through": "2026-11-05", "start": "2026-11-01"}),
        ("invoice_series", True, True, "B", {}, {"series": "B"}),
    ):
        check = CheckRow(
            code=code, ok=ok, stops=stops, subject=subject, repair=repair, details=facts, checked_at=NOW, year_ref=""
        )
        session.add(check)
        session.flush()
        filled.checks[code] = check.id
    for index, (what, facts) in enumerate(
        (
            ("installed", {"system": "fortnox", "company": "Fjällbutiken AB"}),
            ("connected", {"provider": "stripe", "account": "acct_1Fjall", "way": "connect", "name": HOSTILE}),
            ("settings_changed", {"setting": "mode", "old": "", "new": "plus", "provider": "stripe"}),
            ("settings_changed", {"setting": "accounts.fee", "old": "", "new": "6570"}),
            ("approved", {"documents": "3"}),
            ("something_new", {"unheard": "of"}),
        )
    ):
        session.add(ActivityRow(at=NOW - timedelta(days=6 - index), who="Ada Bookkeeper", what=what, facts=facts))


def a_statement(until: date = date(2026, 10, 31)) -> Statement:
    """A month that adds up, with something of each reason open and an entry by a person with hostile words."""
    return Statement(
        currency="SEK",
        books_currency="SEK",
        accounts=("1686",),
        since=until.replace(day=1),
        until=until,
        opening=sek(50_00),
        groups=(
            GroupTotal(Group.SALES, 3, sek(1250_00)),
            GroupTotal(Group.FEES, 3, sek(-37_50)),
            GroupTotal(Group.PAYOUTS, 1, sek(-1192_50)),
        ),
        closing=sek(70_00),
        told=sek(70_00),
        ledger=sek(1262_50),
        ledger_books=sek(1212_50),
        open_items=(
            OpenItem(OpenWhy.IN_TRANSIT, "", "stripe/po_9/payout", until, sek(-1192_50), until + timedelta(days=2)),
            *(OpenItem(why, "unknown_kind", HOSTILE, until, sek(0)) for why in OpenWhy),
        ),
        named=(NamedDifference("posting_by_person", "A/57/2", until, sek(100), HOSTILE),),
        elsewhere=sek(0),
        difference=sek(0),
    )


def _fill_proofs(session: Session, filled: Filled) -> None:
    """A month of daily proofs with one that differs, and two statements."""
    details = {
        "holds": True,
        "named": [],
        "books_currency": "SEK",
        "bank": {"arrived": 9, "faults": []},
        "open_invoices": [],
    }
    for back in range(30, 0, -1):
        row = _proof(filled.connection, "SEK", 800_000 + (back * 37 % 11) * 70_000, 700_000, 100_000, 0, details)
        row.at = NOW - timedelta(days=back)
        row.difference_minor = -100 if back == 12 else 0
        session.add(row)
    open_month = a_statement()
    clean = replace(a_statement(date(2026, 9, 30)), named=(), open_items=open_month.open_items[:1])
    for name, statement in (("october", open_month), ("september", clean)):
        kept = StatementRow(
            connection_id=filled.connection,
            currency="SEK",
            since=statement.since,
            until=statement.until,
            made_at=NOW,
            made_by="" if name == "september" else "Ada Bookkeeper",
            holds=statement.holds,
            fingerprint=name,
            value=encode(statement),
        )
        session.add(kept)
        session.flush()
        filled.statements[name] = kept.id


def _proof(
    connection: int, currency: str, balance: int, ledger: int, not_booked: int, difference: int, details: dict[str, Any]
) -> ProofRow:
    return ProofRow(
        connection_id=connection,
        currency=currency,
        at=NOW - timedelta(hours=4),
        opening_minor=0,
        provider_minor=balance,
        ledger_minor=ledger,
        not_booked_minor=not_booked,
        difference_minor=difference,
        details=details,
    )
