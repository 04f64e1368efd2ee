"""A company whose books are in e-conomic, spoken of as its bookkeeper would: it sells, runs, and is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from addon.core.delivery import PartState
from addon.ports.oauth import Grant
from addon.sandbox.economic import EconomicAgreement, Fault
from addon.sandbox.stripe import StripeAccount
from addon.sandbox.world import World
from addon.services import booking, connections, installation, prerequisites, runs, settings
from addon.services.reconciliation import Identity
from addon.services.runs import RunView
from addon.store.models import Connection, DeliveryRow, DocumentRow, MovementRow, PartRow
from tests.flow.house import instant
from tests.support.town import WHO, Town, at, town

NOW = at("2026-03-20 10:00") + timedelta(seconds=0.5)
START = "2026-03-01"


@dataclass
class Firm:
    """An agreement at e-conomic, an account at Stripe and a Kvitt."""

    town: Town
    agreement: EconomicAgreement
    stripe: StripeAccount
    company_id: int = 0
    orders: int = 1000

    @property
    def world(self) -> World:
        return self.town.world

    def sells(self, day: str, amount: int, currency: str = "dkk", *, order: str | None = None, **more: Any) -> str:
        """A buyer pays; `order` None gives the next number. The charge."""
        self.orders += 1
        number = str(self.orders) if order is None else order
        more.setdefault("email", f"buyer{number}@example.com")
        more.setdefault("name", f"Buyer {number}")
        more.setdefault("country", "DK")
        metadata = {"order_id": number} if number else {}
        return self.stripe.charge(amount, currency, metadata=metadata, at=instant(day), **more)

    def refunds(self, charge: str, day: str, amount: int | None = None) -> str:
        return self.stripe.refund(charge, amount, at=instant(day))

    def earlier_payment(self) -> None:
        """Somebody paid an invoice before Kvitt came: it shows which sign payments have."""
        theirs = self.agreement.person_creates_invoice(125)
        self.agreement.person_pays_invoice(theirs.number)

    def fault(self, kind: str, match: str, **more: Any) -> Fault:
        return self.world.economic.faults.add(Fault(kind, match, company=self.agreement.number, **more))

    def opens(self, mode: str = "plus", **company: str) -> None:
        """Install with the token of a grant, connect Stripe, choose accounts, repair."""
        services, world = self.town.services, self.world
        world.catch_up()
        parked = installation.receive(services, "economic", world.economic.grant(self.agreement.number), "")
        self.company_id = installation.confirm(services, parked, WHO)
        world.stripe.connect(self.stripe)
        grant = Grant("unused", subject=self.stripe.id)
        connection_id = connections.connect(services, self.company_id, "stripe", "connect", grant, WHO)
        self.town.choose(self.company_id, connection_id, mode=mode, start_date=START)
        faults = settings.change(services, self.company_id, WHO, {"fee_vat": "exempt", **company})
        assert not faults, faults
        prerequisites.check(services, self.company_id)
        self.town.repair(self.company_id)

    def runs(self) -> RunView:
        view = self.town.run(self.company_id)
        assert view.state == "done", view
        return view

    def held(self) -> list[str]:
        return sorted(reason for _, reason, _ in self.town.held(self.company_id))

    def waiting(self) -> list[str]:
        with self.town.services.db.company_reading(self.company_id) as session:
            return sorted(session.scalars(select(PartRow.reason).where(PartRow.state == "waiting")))

    def retries(self) -> int:
        with self.town.services.db.company_reading(self.company_id) as session:
            ids = list(session.scalars(select(PartRow.id).where(PartRow.state == PartState.HELD.value)))
        return booking.retry(self.town.services, self.company_id, ids, WHO)

    def balance(self, account: int) -> Decimal:
        return self.agreement.trial_balance().get(account, Decimal(0))

    @property
    def clearing(self) -> int:
        """The number of the clearing account."""
        with self.town.services.db.company_reading(self.company_id) as session:
            return int(session.scalars(select(Connection)).one().settings["accounts.clearing:DKK"])

    @property
    def journal(self) -> int:
        return next(number for number, one in self.agreement.journals.items() if one.name == "Kvitt V")

    def unbooked(self) -> list[int]:
        """Entries of our journal that nobody has booked."""
        return [number for number, entry in self.agreement.draft_entries.items() if entry.journal == self.journal]

    def payments(self) -> list[str]:
        """The keys of our booked payments."""
        rows = [entry for entry in self.agreement.entries if entry.type == 2 and entry.customer]
        return sorted(key for key in (row.text.rpartition(" ")[2] for row in rows) if key.startswith("stripe/"))

    def proves(self) -> Identity:
        (proof,) = self.town.prove(self.company_id)
        assert not proof.identity.difference, proof.identity
        assert proof.identity.ledger_books == proof.identity.documents_books, proof.identity
        return proof

    def all_is_well(self) -> None:
        """Every document stands once, booked and paid; nothing of ours lies about; no part is lost."""
        self.proves()
        self.agreement.check()
        assert not self.unbooked()
        keys = [
            invoice.notes["textLine2"].rpartition(" ")[2] for invoice in self.agreement.booked.values() if ours(invoice)
        ]
        assert len(keys) == len(set(keys)), keys
        payments = self.payments()
        assert len(payments) == len(set(payments)), payments
        assert not [invoice for invoice in self.agreement.booked.values() if ours(invoice) and invoice.remainder]
        assert not [draft for draft in self.agreement.drafts.values() if not draft.by_person]
        left = [(row.key, row.state, row.error_message) for row in self.town.undelivered(self.company_id)]
        assert not left, left
        with self.town.services.db.company_reading(self.company_id) as session:
            parts = select(func.sum(PartRow.amount_minor)).scalar_subquery()
            movements = select(func.sum(MovementRow.net_minor)).scalar_subquery()
            lost, booked = session.execute(select(parts - movements, func.count(DocumentRow.id))).one()
            references = list(session.scalars(select(DeliveryRow.reference).where(DeliveryRow.kind == "book_payment")))
        assert not lost
        assert booked
        assert len(references) == len(set(references))


def ours(invoice: Any) -> bool:
    """Whether Kvitt has made an invoice."""
    return "stripe/" in invoice.notes.get("textLine2", "")


@contextmanager
def firm_in(database: tuple[str, str | None], world: World | None = None, **more: Any) -> Iterator[Firm]:
    """A Danish firm in a town of its own; time stands still."""
    world = world or World.build(webhooks=False, fortnox_call_limit=0, stopped_at=NOW)
    agreement = world.economic.add_agreement("Havblik ApS", "12345674", currencies=["EUR"])
    account = world.stripe.add_account("Havblik ApS", country="DK", default_currency="dkk", balance_currencies=("dkk",))
    with town(*database, world, **more) as place:
        place.running._stop.set()
        place.running._ticker.join(5)
        yield Firm(place, agreement, account)


def run_out(firm: Firm, trigger: str = "cli", most: int = 8, *, only_once: bool = False) -> None:
    """Run, slice after slice, each as soon as it may be, until nothing is left to deliver."""
    services, company = firm.town.services, firm.company_id
    for _ in range(most):
        run_id = runs.want(services, company, trigger)
        for _ in range(300):
            result = runs.run_slice(services, company, trigger)
            view = runs.view(services, company, run_id)
            if view.state != "running":
                break
            runs.monotonic_time.sleep(result.retry_in_s)
        assert view.state == "done", (view.phase, view.message)
        if only_once or not firm.town.undelivered(company):
            return
    raise AssertionError([(row.key, row.error_message) for row in firm.town.undelivered(company)])
