"""The books of one company in the storm, asked past Kvitt: what stands there for it, and what is not as it should be.

One class for each simulated accounting system. What stands is counted by what our rows know it by: see `known`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from addon.sandbox.economic import EconomicAgreement
from addon.sandbox.fortnox.company import FortnoxCompany
from addon.sandbox.world import World
from addon.services import installation
from addon.store.models import DeliveryRow
from tests.support.town import WHO, Town

WRITES: Final = ("POST", "PUT", "DELETE")


class Ledger(ABC):
    """What the laws and the selling need of a company's books."""

    system: str
    zone: ZoneInfo
    known: Mapping[str, tuple[str, ...]]
    """By kind of thing (invoice, payment, voucher), the kinds of our writes that made it."""
    by_key: frozenset[str] = frozenset()
    """The kinds of things that are counted by our keys; the others by the references that their writes came to."""

    def __init__(self, world: World, books: Any, provider: str) -> None:
        self.world = world
        self.books = books
        self.prefix = f"{provider}/"

    def known_to(self, session: Session, what: str) -> Counter[str]:
        """How often our rows say that each of these was written."""
        column = DeliveryRow.key if what in self.by_key else DeliveryRow.reference
        query = select(column).where(
            DeliveryRow.kind.in_(self.known[what]), DeliveryRow.state == "booked", DeliveryRow.reference != ""
        )
        return Counter(session.scalars(query))

    @abstractmethod
    def install(self, town: Town) -> int:
        """Install Kvitt from there; the company's id."""

    @abstractmethod
    def invoices(self) -> Counter[str]:
        """Invoices and credit notes that stand there for us."""

    @abstractmethod
    def payments(self) -> Counter[str]:
        """Payments that stand there for us."""

    @abstractmethod
    def vouchers(self) -> Sequence[tuple[str, str]]:
        """Vouchers that stand there for us: reference and key."""

    @abstractmethod
    def invoice_keys(self) -> Counter[str]:
        """The keys of our invoices, credit notes left out."""

    @abstractmethod
    def unsound(self) -> Iterator[str]:
        """What does not balance, or was begun for us and lies about unbooked or unpaid, in words."""

    @abstractmethod
    def invoiced(self, order: str, amount: Decimal, on: date) -> int:
        """The shop's other plug-in has booked an invoice, or for less than nought a credit note; its number."""

    @abstractmethod
    def credited(self, number: int, order: str, amount: Decimal, on: date) -> None:
        """The other plug-in has booked a credit note for an invoice."""

    @abstractmethod
    def calls(self) -> Sequence[Any]:
        """All calls that came in there."""

    @abstractmethod
    def removed(self) -> int:
        """How many unbooked copies were taken away."""

    @abstractmethod
    def told(self) -> Iterator[object]:
        """All that stands there, for an investigation."""

    def day(self, at: datetime) -> date:
        """The date there."""
        return at.astimezone(self.zone).date()

    def writes(self) -> int:
        """Writes to the books since the count began."""
        return sum(call.method in WRITES and "/oauth-v1/" not in call.path for call in self.calls())


class FortnoxLedger(Ledger):
    """A company in the simulated Fortnox."""

    system = "fortnox"
    zone = ZoneInfo("Europe/Stockholm")
    known: Mapping[str, tuple[str, ...]] = {
        "invoice": ("create_invoice", "credit_invoice"),
        "payment": ("create_payment",),
        "voucher": ("post_voucher",),
    }
    books: FortnoxCompany

    def install(self, town: Town) -> int:
        code = self.world.fortnox.give_consent(self.books.database_number)
        redirect = f"{self.world.kvitt_public_url}/oauth/fortnox/callback"
        token = installation.receive(town.services, "fortnox", code, redirect)
        return installation.confirm(town.services, token, WHO)

    def _ours(self) -> list[Any]:
        return [
            invoice
            for invoice in self.books.invoices.values()
            if invoice.text("ExternalInvoiceReference1").startswith(self.prefix)
            and not invoice.cancelled
            and not invoice.by_person
        ]

    def invoices(self) -> Counter[str]:
        return Counter(str(invoice.number) for invoice in self._ours())

    def invoice_keys(self) -> Counter[str]:
        return Counter(invoice.text("ExternalInvoiceReference1") for invoice in self._ours() if invoice.total > 0)

    def payments(self) -> Counter[str]:
        return Counter(str(payment.number) for payment in self.books.payments.values() if not payment.by_person)

    def vouchers(self) -> Sequence[tuple[str, str]]:
        return [
            ("/".join(map(str, voucher.key)), voucher.description.rpartition("(")[2].rstrip(")"))
            for voucher in self.books.ledger
            if not voucher.by_person and voucher.reference_type == "MANUAL"
        ]

    def unsound(self) -> Iterator[str]:
        self.books.check()
        for invoice in self._ours():
            if not invoice.booked or invoice.balance:
                yield f"invoice {invoice.number} is {'open' if invoice.booked else 'unbooked'}: {invoice.balance}"
        for payment in self.books.payments.values():
            if not payment.booked:
                yield f"payment {payment.number} is unbooked"

    def invoiced(self, order: str, amount: Decimal, on: date) -> int:
        customer = self._customer(order)
        made = self.books.person_creates_invoice(
            amount, customer=customer, invoice_date=on, booked=True, your_order_number=order
        )
        return int(made.number)

    def _customer(self, order: str) -> str:
        return self.books.person_creates_customer(f"Buyer {order}", CountryCode="SE").number

    def credited(self, number: int, order: str, amount: Decimal, on: date) -> None:
        credit = self.books.person_credits_invoice(number, booked=False)
        self.books.person_edits_invoice(credit.number, InvoiceDate=on.isoformat())
        self.books.person_books_invoice(credit.number)

    def calls(self) -> Sequence[Any]:
        return list(self.world.fortnox.calls)

    def removed(self) -> int:
        cancelled = sum(
            invoice.cancelled and invoice.text("ExternalInvoiceReference1").startswith(self.prefix)
            for invoice in self.books.invoices.values()
        )
        deleted = sum(
            call.method == "DELETE" and call.company == self.books.database_number and call.status < 300
            for call in self.calls()
        )
        return cancelled + deleted

    def told(self) -> Iterator[object]:
        yield from self.books.invoices.values()
        yield from self.books.payments.values()
        yield from self.books.ledger
        yield from self.calls()


class EconomicLedger(Ledger):
    """An agreement in the simulated e-conomic."""

    system = "economic"
    zone = ZoneInfo("Europe/Copenhagen")
    known: Mapping[str, tuple[str, ...]] = {
        "invoice": ("book_invoice",),
        "payment": ("book_payment",),
        "voucher": ("post_voucher",),
    }
    by_key = frozenset({"payment"})
    books: EconomicAgreement

    def install(self, town: Town) -> int:
        theirs = self.books.person_creates_invoice(125)
        self.books.person_pays_invoice(theirs.number)  # shows which sign payments have there
        parked = installation.receive(town.services, "economic", self.world.economic.grant(self.books.number), "")
        return installation.confirm(town.services, parked, WHO)

    def _key(self, text: str) -> str:
        key = text.rpartition(" ")[2]
        return key if key.startswith(self.prefix) else ""

    def _ours(self) -> list[Any]:
        return [invoice for invoice in self.books.booked.values() if self._key(invoice.notes.get("textLine2", ""))]

    def invoices(self) -> Counter[str]:
        return Counter(str(invoice.number) for invoice in self._ours())

    def invoice_keys(self) -> Counter[str]:
        return Counter(self._key(invoice.notes["textLine2"]) for invoice in self._ours() if invoice.gross > 0)

    def payments(self) -> Counter[str]:
        """By the key of the write that booked them; entries of one payment stand in one posting."""
        postings = {
            (self._key(entry.text), entry.posting)
            for entry in self.books.entries
            if entry.type == 2 and entry.customer and self._key(entry.text)
        }
        return Counter(f"{key}/book" for key, _ in postings)

    def vouchers(self) -> Sequence[tuple[str, str]]:
        return sorted(
            {
                (f"V/{entry.voucher}/{entry.year}", self._key(entry.text))
                for entry in self.books.entries
                if entry.type == 5 and self._key(entry.text)
            }
        )

    def unsound(self) -> Iterator[str]:
        self.books.check()
        for invoice in self._ours():
            if invoice.remainder:
                yield f"invoice {invoice.number} is open: {invoice.remainder}"
        for entry in self.books.entries:
            if entry.type == 2 and entry.remainder and self._key(entry.text):
                yield f"payment {entry.number} has {entry.remainder} left: {entry.text}"
        for draft in self.books.drafts.values():
            if not draft.by_person:
                yield f"draft {draft.number} lies there: {draft.notes}"
        for left in self.books.draft_entries.values():
            if not left.by_person:
                yield f"draft entry {left.number} lies there: {left.text}"

    def invoiced(self, order: str, amount: Decimal, on: date) -> int:
        return int(self.books.person_creates_invoice(amount, order=order, on=on).number)

    def credited(self, number: int, order: str, amount: Decimal, on: date) -> None:
        self.books.person_creates_invoice(-amount, order=order, on=on, customer=self.books.booked[number].customer)

    def calls(self) -> Sequence[Any]:
        return list(self.world.economic.calls)

    def removed(self) -> int:
        return sum(
            call.method == "DELETE" and call.company == self.books.number and call.status < 300 for call in self.calls()
        )

    def told(self) -> Iterator[object]:
        yield from self.books.booked.values()
        yield from self.books.drafts.values()
        yield from self.books.draft_entries.values()
        yield from self.books.entries
        yield from self.calls()


LEDGERS: Final[Mapping[str, type[Ledger]]] = {one.system: one for one in (FortnoxLedger, EconomicLedger)}
