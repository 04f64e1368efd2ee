"""Audit: compare what the books hold under our keys with our rows.

What landed and is unknown is adopted. What stands twice is taken away where it is unbooked; a voucher, which is
booked as soon as it exists, is taken back by a reversing voucher that names it. Each finding is in the log of
activity, for anyone to see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from addon.core.accounts import Account, AccountRole
from addon.core.books import Books, InvoiceView
from addon.core.delivery import DeliveryState
from addon.core.documents import (
    BookInvoice,
    BookPayment,
    ClearingEffect,
    CreateInvoice,
    CreatePayment,
    CreditInvoice,
    Document,
    DocumentKind,
    PostVoucher,
    Step,
    Voucher,
    signed_line,
)
from addon.core.money import Money
from addon.core.plan.situation import CannotBook
from addon.core.plan.undo import plan_credit_of_copy
from addon.core.rules import Policy
from addon.ports.accounting import AccountingSystem, Known
from addon.ports.errors import OutcomeUnknown, Rejected, TryLater
from addon.services import activity
from addon.services.booking import store_document
from addon.services.context import Services
from addon.store.bulk import among
from addon.store.codec import decode, decode_step
from addon.store.models import AccountingConnection, DeliveryRow, DocumentRow

OVERLAP = timedelta(minutes=5)
"""Their clock and ours may differ, and `lastmodified` counts minutes."""
UNSURE = "copy_unsure"
"""Whether a copy is gone is not known: it is looked at again, and this audit does not count as the last one."""
ZOMBIES_LIVE = timedelta(days=7)
"""For how long the whole audit looks at writes whose outcome was once unknown."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something that should not be: `kind` adopted, copy_removed, copy_kept, copy_unsure, booked_twice, taken_back."""

    kind: str
    key: str
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit read and found. `corrections`: vouchers that it has planned, to be delivered."""

    invoices: int
    findings: tuple[AuditFinding, ...]
    corrections: int = 0


@dataclass(frozen=True, slots=True)
class Auditor:
    """One audit at work: whose books, by what, and from when on."""

    services: Services
    company_id: int
    run_id: int | None
    system: AccountingSystem
    books: Books
    series: str
    approve: bool
    since: datetime | None
    policy_for: Callable[[Session, int], Policy] | None = None
    """The policy of a connection, for what is taken back; None: only reported."""
    hold_on: Callable[[], None] = lambda: None
    """Called before anything is taken away: many pages may have been read since the lease was last renewed."""

    def audit(self, prefixes: tuple[str, ...]) -> Audited:
        """Audit what stands under our keys: what changed since the last audit, or (`since` None) all of it.

        One call per 500 invoices. Payments and vouchers carry no field that could be searched for a key; those
        written without a doubt stand once, so only those of doubtful outcome are looked for, and the rest is in
        the ledger's read-back, see reconciliation.
        """
        started = self.services.now()
        found: dict[str, list[InvoiceView]] = defaultdict(list)
        invoices = 0
        for prefix in prefixes:
            for view in self.system.fetch_invoices(prefix, self.since):
                invoices += 1
                if not view.cancelled:
                    found[view.our_key].append(view)
        findings: list[AuditFinding] = []
        keys = sorted(found)
        for start in range(0, len(keys), 500):
            for key, made, booking in self._made(keys[start : start + 500]):
                findings += self._invoices(key, found[key], made, booking)
        stand_unbooked = self.system.capabilities.voucher_fence
        findings += self._unbooked_payments() if stand_unbooked else self._payments()
        corrections = self._copies_of_vouchers() if stand_unbooked else self._vouchers()
        findings += corrections
        with self.services.db.company(self.company_id) as session:
            if not any(finding.kind == UNSURE for finding in findings):
                session.execute(
                    update(AccountingConnection).values(audited_at=started).execution_options(synchronize_session=False)
                )
            for finding in findings:
                facts = {"key": finding.key, "numbers": ", ".join(finding.numbers), "finding": finding.kind}
                activity.record(session, activity.KVITT, "audit_finding", facts, started)
        return Audited(invoices, tuple(findings), sum(finding.kind == "taken_back" for finding in findings))

    # --- Invoices -----------------------------------------------------------------------------------------------

    def _made(self, keys: Sequence[str]) -> list[tuple[str, DeliveryRow, list[DeliveryRow]]]:
        """What we made under some keys, each with the steps that book it.

        A key that is none of ours was made for another installation of the same books: the look-up before writing
        finds it. And what a person made of our order carries its key.
        """
        with self.services.db.company_reading(self.company_id) as session:
            made = {
                row.key: row
                for row in session.scalars(select(DeliveryRow).where(among(session, DeliveryRow.key, keys)))
                if row.kind != "create_order"
            }
            documents = {row.document_id for row in made.values()}
            booking: dict[int, list[DeliveryRow]] = defaultdict(list)
            for row in session.scalars(
                select(DeliveryRow).where(
                    among(session, DeliveryRow.document_id, documents),
                    DeliveryRow.kind.in_(("book_invoice", "await_invoice")),
                )
            ):
                booking[row.document_id].append(row)
        return [(key, made[key], booking[made[key].document_id]) for key in keys if key in made]

    def _invoices(
        self, key: str, views: list[InvoiceView], delivery: DeliveryRow, booking: Sequence[DeliveryRow]
    ) -> list[AuditFinding]:
        credit = _is_credit(decode_step(delivery.payload))
        # A credit note repeats the reference of what it credits, whoever made it: not ours to touch.
        ours = [view for view in views if (view.total.minor < 0) == credit]
        if not ours:
            return []
        if delivery.state != DeliveryState.BOOKED.value:
            if delivery.state == DeliveryState.APPROVED.value and not delivery.needs_lookup:
                with self.services.db.company(self.company_id) as session:
                    _look_first(session, delivery.id)
                return [AuditFinding("adopted", key, tuple(view.number for view in ours))]
            return []
        findings: list[AuditFinding] = []
        # Where drafts are counted apart, booking gives an invoice another number than it was made with.
        known = {delivery.reference, *(step.reference for step in booking if step.reference)}
        settled = all(step.state == DeliveryState.BOOKED.value for step in booking)
        for view in sorted(ours, key=lambda view: int(view.number) if view.number.isdigit() else 0):
            if view.number in known or (view.booked and not settled):
                continue  # what is booked while we do not know of it is most likely ours: whoever booked it looks it up
            if view.booked:
                findings += self._booked_twice(delivery, key, view)
            else:
                findings.append(self._removed(BookInvoice(f"{key}/book", key), key, view.number))
        return findings

    def _booked_twice(self, delivery: DeliveryRow, key: str, view: InvoiceView) -> list[AuditFinding]:
        """Take a booked copy back by a credit note that names it; one that was touched or is being undone stays."""
        with self.services.db.company(self.company_id) as session:
            original = session.get_one(DocumentRow, delivery.document_id)
            made = next(
                (step.invoice for step in decode(Document, original.payload).steps if isinstance(step, CreateInvoice)),
                None,
            )
            found = [AuditFinding("booked_twice", key, (delivery.reference, view.number))]
            if made is None or self.policy_for is None or view.credit_number or view.balance != view.total:
                # A person has credited or paid it, or it is no invoice that the credit action takes.
                known = session.scalar(select(DocumentRow.id).where(DocumentRow.key == f"{key}/undo/{view.number}"))
                return [] if known is not None else found
            try:
                document = plan_credit_of_copy(
                    decode(Document, original.payload),
                    made,
                    view.number,
                    view.total,
                    self.policy_for(session, original.connection_id),
                )
            except CannotBook:
                return found
            if session.scalar(select(DocumentRow.id).where(DocumentRow.key == document.key)) is not None:
                return []
            store_document(
                session,
                self.company_id,
                original.connection_id,
                self.run_id,
                document,
                self.approve,
                self.services.now(),
            )
        return [*found, AuditFinding("taken_back", key, (delivery.reference, view.number))]

    def _removed(self, step: Step, key: str, reference: str) -> AuditFinding:
        self.hold_on()
        try:
            self.system.remove_copy(step, reference)
        except Rejected:
            return AuditFinding("copy_kept", key, (reference,))
        except (OutcomeUnknown, TryLater):
            # One that does not answer keeps nobody from the rest; the next audit comes by here again.
            return AuditFinding(UNSURE, key, (reference,))
        return AuditFinding("copy_removed", key, (reference,))

    # --- Payments -----------------------------------------------------------------------------------------------

    def _payments(self) -> list[AuditFinding]:
        """Take unbooked copies away that a given-up request left after its payment had been booked."""
        findings: list[AuditFinding] = []
        for delivery in self._doubtful("create_payment"):
            step = decode_step(delivery.payload)
            if not isinstance(step, CreatePayment):
                continue
            with self.services.db.company_reading(self.company_id) as session:
                number = step.invoice_number or session.scalar(
                    select(DocumentRow.number).where(DocumentRow.id == delivery.document_id)
                )
                known = set(
                    session.scalars(
                        select(DeliveryRow.reference).where(
                            DeliveryRow.kind == "create_payment", DeliveryRow.alone_on == delivery.alone_on
                        )
                    )
                )
            settlement = step.settlement
            wanted = (settlement.amount, settlement.account.number, settlement.paid_on)
            for payment in self.system.fetch_payments(number) if number else ():
                like = (payment.amount, payment.account, payment.paid_on) == wanted
                if like and not payment.booked and payment.number not in known:
                    book = BookPayment(f"{delivery.key}/book", delivery.key)
                    findings.append(self._removed(book, delivery.key, payment.number))
        return findings

    def _unbooked_payments(self) -> list[AuditFinding]:
        """The same where payments carry their keys, and stand unbooked until a call books many."""
        findings: list[AuditFinding] = []
        for delivery in self._doubtful("create_payment"):
            book = BookPayment(f"{delivery.key}/book", delivery.key)
            for reference in self.system.find_copies(book, Known(payment_number=delivery.reference)):
                if reference != delivery.reference:
                    findings.append(self._removed(book, delivery.key, reference))
        return findings

    # --- Vouchers -----------------------------------------------------------------------------------------------

    def _vouchers(self) -> list[AuditFinding]:
        """Take back vouchers that a given-up request wrote after its like had been written."""
        doubtful: dict[str, list[tuple[DeliveryRow, PostVoucher]]] = defaultdict(list)
        for delivery in self._doubtful("post_voucher"):
            step = decode_step(delivery.payload)
            year = self.books.year_of(step.voucher.booking_date) if isinstance(step, PostVoucher) else None
            if year is not None and isinstance(step, PostVoucher):
                doubtful[year.ref].append((delivery, step))
        findings: list[AuditFinding] = []
        for year_ref, entries in doubtful.items():
            standing: dict[str, list[str]] = defaultdict(list)
            for voucher in self.system.fetch_vouchers(self.series, year_ref):
                standing[voucher.text].append(voucher.reference)
            for delivery, step in entries:
                own = next((refs for refs in standing.values() if delivery.reference in refs), [])
                for reference in own:
                    if reference != delivery.reference and self._take_back(delivery, step, reference):
                        findings.append(AuditFinding("taken_back", delivery.key, (delivery.reference, reference)))
        return findings

    def _copies_of_vouchers(self) -> list[AuditFinding]:
        """The same where vouchers stand unbooked first: what was left so goes, what a person has booked is taken back.

        What is booked is named series/number/year, and nothing else is.
        """
        findings: list[AuditFinding] = []
        for delivery in self._doubtful("post_voucher"):
            step = decode_step(delivery.payload)
            if not isinstance(step, PostVoucher):
                continue
            for reference in self.system.find_copies(step, Known(series=self.series)):
                if reference == delivery.reference:
                    continue
                if "/" not in reference:
                    findings.append(self._removed(step, delivery.key, reference))
                elif self._take_back(delivery, step, reference):
                    findings.append(AuditFinding("taken_back", delivery.key, (delivery.reference, reference)))
        return findings

    def _take_back(self, delivery: DeliveryRow, step: PostVoucher, reference: str) -> bool:
        """Plan the reversing voucher; False if that was done before."""
        with self.services.db.company(self.company_id) as session:
            original = session.get_one(DocumentRow, delivery.document_id)
            document = plan_correction(
                step.voucher,
                reference,
                Account(AccountRole.CLEARING, original.clearing_account),
                original.clearing_currency,
                self.books,
            )
            if session.scalar(select(DocumentRow.id).where(DocumentRow.key == document.key)) is not None:
                return False
            row = store_document(
                session,
                self.company_id,
                original.connection_id,
                self.run_id,
                document,
                self.approve,
                self.services.now(),
            )
            row.vouchers = [reference]
            row.other_clearing_account = original.other_clearing_account
            row.other_clearing_currency = original.other_clearing_currency
            row.other_clearing_books_minor = 0 if original.other_clearing_account else None
        return True

    def _doubtful(self, kind: str) -> Sequence[DeliveryRow]:
        """Booked writes whose outcome was once unknown, of late."""
        with self.services.db.company_reading(self.company_id) as session:
            recent = self.services.db.now(session) - ZOMBIES_LIVE
            since = recent if self.since is None else max(recent, self.since)
            return session.scalars(
                select(DeliveryRow).where(
                    DeliveryRow.kind == kind,
                    DeliveryRow.doubtful.is_(True),
                    DeliveryRow.state == DeliveryState.BOOKED.value,
                    DeliveryRow.booked_at >= since,
                )
            ).all()


def plan_correction(voucher: Voucher, reference: str, clearing: Account, currency: str, books: Books) -> Document:
    """Plan the voucher that takes back a second copy of a voucher: the same rows with their sides swapped.

    It has no part of a movement, and with the copy it takes back it leaves the clearing account as it was.
    """
    home = books.identity.currency
    day = voucher.booking_date
    if books.locked_through is not None and day <= books.locked_through:
        day = books.locked_through + timedelta(days=1)
    key = f"{voucher.key}/undo/{reference.replace('/', '-')}"
    text = f"takes back {reference}, which was written twice: {voucher.text}"
    lines = tuple(signed_line(line.account, -line.signed, line.text) for line in voucher.lines)
    return Document(
        key=key,
        kind=DocumentKind.CORRECTION,
        booking_date=day,
        total=Money.zero(home),
        parts=(),
        clearing=(ClearingEffect(clearing, Money.zero(currency), Money.zero(home)),),
        steps=(PostVoucher(key, Voucher(key, day, text, lines)),),
        rule=(
            "The accounting system carried out a request after Kvitt had rightly given it up: the voucher stands "
            "twice, and a reversing voucher takes the second one back."
        ),
        facts=(("takes_back", reference),),
    )


def _is_credit(step: Step) -> bool:
    match step:
        case CreateInvoice():
            return step.invoice.total.minor < 0
        case CreditInvoice():
            return True
        case _:
            return False


def _look_first(session: Session, delivery_id: int) -> None:
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id == delivery_id, DeliveryRow.state == DeliveryState.APPROVED.value)
        .values(needs_lookup=True)
        .execution_options(synchronize_session=False)
    )


def last_audited_at(session: Session) -> datetime | None:
    """From when on an audit of what has changed must look; None: there has been none."""
    at = session.scalars(select(AccountingConnection)).one().audited_at
    return at - OVERLAP if at is not None else None


def due(audited_at: datetime | None, now: datetime) -> bool:
    """Whether the nightly whole audit is due."""
    return audited_at is None or now - audited_at > timedelta(hours=24)
