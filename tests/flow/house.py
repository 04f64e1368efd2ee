"""One company in the simulated world, spoken of as its bookkeeper would: it sells, refunds, runs, and is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from addon.core.delivery import PartState
from addon.sandbox.fortnox.faults import Fault
from addon.sandbox.fortnox.sales import Invoice
from addon.sandbox.world import Business, World
from addon.services import booking, prerequisites, runs, settings
from addon.services.reconciliation import Identity
from addon.services.runs import RunView
from addon.store.models import Connection, DeliveryRow, DocumentRow, MovementRow, PartRow
from tests.support.town import WHO, Town, at, town

HALF_A_SECOND = timedelta(seconds=0.5)
"""The provider's times are whole seconds; ours never are, so that a second is never cut in two."""
NOW = at("2026-03-20 10:00") + HALF_A_SECOND
"""A Friday. Payouts of the sales before it have arrived."""
START = "2026-03-01"
TWO_DECIMALS = Decimal("0.01")


@dataclass
class House:
    """A company with its books, its Stripe account and its Kvitt."""

    town: Town
    business: Business
    company_id: int = 0
    orders: int = 1000
    written: dict[str, str] = field(default_factory=dict)
    provider: str = "stripe"
    """What our keys begin with."""

    # --- what happens outside -----------------------------------------------------------------------------

    @property
    def books(self) -> Any:
        return self.business.fortnox

    @property
    def stripe(self) -> Any:
        return self.business.stripe

    @property
    def world(self) -> World:
        return self.town.world

    def sells(self, day: str, amount: int, currency: str = "sek", *, order: str | None = None, **more: Any) -> str:
        """A buyer pays: `amount` in smallest units; `order` None gives the next number, "" none. The charge."""
        self.orders += 1
        number = str(self.orders) if order is None else order
        more.setdefault("email", f"buyer{number or self.orders}@example.com")
        more.setdefault("name", f"Buyer {number or self.orders}")
        metadata = {"order_id": number} if number else {}
        return self.stripe.charge(amount, currency, metadata=metadata, at=instant(day), **more)

    def refunds(self, charge: str, day: str, amount: int | None = None, **more: Any) -> str:
        return self.stripe.refund(charge, amount, at=instant(day), **more)

    def invoices(self, order: str, kronor: str | int, day: str, **more: Any) -> int:
        """The shop's other plug-in writes a booked invoice; its number."""
        more.setdefault("your_order_number", order)
        invoice = self.books.person_creates_invoice(
            Decimal(kronor), customer=f"Buyer {order}", invoice_date=instant(day).date(), **more
        )
        return invoice.number

    def fault(self, kind: str, match: str, **more: Any) -> Fault:
        """Something fails at this company's Fortnox."""
        return self.world.fortnox.faults.add(Fault(kind, match, company=self.books.database_number, **more))

    def time(self, day: str) -> None:
        """Let it be that day: payouts happen, tokens grow old."""
        self.world.clock.set(instant(day) + HALF_A_SECOND)
        self.world.catch_up()

    # --- what Kvitt is told ---------------------------------------------------------------------------------

    def opens(self, mode: str = "plus", start: str = START, **company: str) -> int:
        """Install Kvitt, connect Stripe, choose, repair."""
        self.world.catch_up()
        self.company_id = self.town.set_up(self.business, mode, start, **company)
        return self.company_id

    def sets(self, **changes: str) -> None:
        faults = settings.change(self.town.services, self.company_id, WHO, changes)
        assert not faults, faults

    def checks(self) -> None:
        prerequisites.check(self.town.services, self.company_id)

    def repairs(self) -> None:
        """Press Check again and every Repair button there is."""
        self.checks()
        prerequisites.repair_all(self.town.services, self.company_id, WHO)

    def runs(self, state: str = "done") -> RunView:
        """Run to the end; the run must end as said."""
        view = self.town.run(self.company_id)
        assert view.state == state, view
        return view

    def previews(self) -> runs.Preview:
        return runs.preview(self.town.services, self.company_id)

    def approves(self) -> int:
        return booking.approve(self.town.services, self.company_id, None, WHO)

    def retries(self, reason: str = "") -> int:
        """Press "Try again" at everything that is held, or held for a reason."""
        return booking.retry(self.town.services, self.company_id, self.part_ids(PartState.HELD, reason), WHO)

    def sets_aside(self, reason: str = "", where: str = "") -> int:
        ids = self.part_ids(PartState.HELD, reason)
        return booking.set_aside(self.town.services, self.company_id, ids, WHO, where)

    # --- what there is --------------------------------------------------------------------------------------

    @contextmanager
    def rows(self) -> Iterator[Any]:
        with self.town.services.db.company_reading(self.company_id) as session:
            yield session

    @property
    def connection_id(self) -> int:
        with self.rows() as session:
            return int(session.scalars(select(Connection.id)).one())

    def part_ids(self, state: PartState, reason: str = "") -> list[int]:
        query = select(PartRow.id).where(PartRow.state == state.value).order_by(PartRow.id)
        if reason:
            query = query.where(PartRow.reason == reason)
        with self.rows() as session:
            return list(session.scalars(query))

    def parts(self) -> dict[str, int]:
        return self.town.parts(self.company_id)

    def held(self) -> list[str]:
        """The reasons of what is held, sorted."""
        return sorted(reason for _, reason, _ in self.town.held(self.company_id))

    def waiting(self) -> list[str]:
        with self.rows() as session:
            return sorted(session.scalars(select(PartRow.reason).where(PartRow.state == "waiting")))

    def documents(self, kind: str = "") -> list[DocumentRow]:
        return self.town.documents(self.company_id, kind)

    def kinds(self) -> Counter[str]:
        """How many booked documents of each kind."""
        return Counter(row.kind for row in self.documents() if row.state == "booked")

    def our_invoices(self) -> list[Invoice]:
        """Invoices and credit notes that Kvitt has made, cancelled ones left out."""
        return [
            invoice
            for invoice in self.books.invoices.values()
            if invoice.text("ExternalInvoiceReference1").startswith(f"{self.provider}/") and not invoice.cancelled
        ]

    def writes(self) -> int:
        """Writes that reached Fortnox since the count began."""
        calls = list(self.world.fortnox.calls)
        return sum(call.method in ("POST", "PUT", "DELETE") and call.path.startswith("/3/") for call in calls)

    def reads(self) -> int:
        calls = list(self.world.fortnox.calls)
        return sum(call.method == "GET" and call.path.startswith("/3/") for call in calls)

    def journal(self, *accounts: int, series: str = "") -> str:
        """The ledger as text, a line a voucher: date, series, rows. Only vouchers that touch the accounts, if given."""
        lines = []
        for voucher in self.books.ledger:
            sums: Counter[int] = Counter()
            for row in voucher.rows:
                sums[row.account] += row.amount
            if accounts and not set(accounts) & set(sums):
                continue
            if series and voucher.series != series:
                continue
            rows = "  ".join(f"{number} {amount:.2f}" for number, amount in sorted(sums.items()) if amount)
            lines.append(f"{voucher.date} {voucher.series}  {rows}")
        return "\n".join(sorted(lines))

    def clearing(self, currency: str = "SEK") -> int:
        """The number of the clearing account."""
        with self.rows() as session:
            row = session.scalars(select(Connection)).one()
            return int(row.settings[f"accounts.clearing:{currency}"])

    # --- the laws -------------------------------------------------------------------------------------------

    def identities(self) -> dict[str, Identity]:
        return {proved.identity.currency: proved for proved in self.town.prove(self.company_id)}

    def proves(self) -> dict[str, Identity]:
        """The clearing identity holds in every balance currency, to the smallest unit and to the öre."""
        proved = self.identities()
        for currency, entry in proved.items():
            identity = entry.identity
            assert not identity.difference, (currency, identity)
            assert identity.ledger_books == identity.documents_books, (currency, identity)
        return proved

    def nothing_twice(self) -> None:
        """Each document stands once: no key is in the books twice, none of ours lies about unbooked."""
        keys = Counter(
            (invoice.text("ExternalInvoiceReference1"), invoice.total < 0) for invoice in self.our_invoices()
        )
        assert not [key for key, number in keys.items() if number > 1], keys
        taken_back = {row.vouchers[0] for row in self.documents("correction") if row.state == "booked"}
        texts = Counter(
            voucher.description
            for voucher in self.books.ledger
            if f"({self.provider}/" in voucher.description and "/".join(map(str, voucher.key)) not in taken_back
        )
        assert not [text for text, number in texts.items() if number > 1], texts
        for payment in self.books.payments.values():
            assert payment.booked, payment
        with self.rows() as session:
            numbers = list(session.scalars(select(DeliveryRow.reference).where(DeliveryRow.kind == "create_payment")))
        assert len(set(numbers)) == len(numbers), numbers

    def all_is_well(self) -> None:
        """Every law that can be asked of the books and of our rows."""
        self.proves()
        self.books.check()
        self.nothing_twice()
        for invoice in self.our_invoices():
            assert invoice.booked, invoice
            assert invoice.balance == 0, invoice
        assert not self.town.undelivered(self.company_id), self.town.undelivered(self.company_id)
        assert self.parts().keys() <= {"booked", "waiting", "held", "set_aside"}, self.parts()
        with self.rows() as session:
            parts = select(func.sum(PartRow.amount_minor)).scalar_subquery()
            movements = select(func.sum(MovementRow.net_minor)).scalar_subquery()
            lost, booked = session.execute(select(parts - movements, func.count(DocumentRow.id))).one()
            assert not lost
            assert (
                session.scalar(
                    select(func.count(PartRow.id)).where(PartRow.state == "booked", PartRow.document_id.is_(None))
                )
                == 0
            )
        assert booked is not None


def instant(day: str) -> datetime:
    """Noon UTC of a day, or the instant that is said: "2026-03-02 10:00"."""
    return at(day if " " in day else f"{day} 12:00")


@dataclass
class Bed:
    """A town for a test, and houses in it. Time stands still unless the test turns the clock."""

    town: Town
    _houses: int = 0

    @property
    def world(self) -> World:
        return self.town.world

    def house(self, mode: str = "", **more: Any) -> House:
        """A company; with a mode it is opened at once."""
        self._houses += 1
        more.setdefault("balance_currencies", ("sek", "eur"))
        company = {name: more.pop(name) for name in list(more) if name in settings.SETTINGS}
        business = self.world.add_business(f"Company {self._houses} AB", f"55667{self._houses}-8899", **more)
        business.fortnox.add_series("V", "Kvitt")  # what Kvitt would make; tests/flow/test_registration.py lets it
        house = House(self.town, business)
        if mode:
            house.opens(mode, **company)
        return house


@contextmanager
def bed(database_url: str, owner_url: str | None = None, world: World | None = None, **more: Any) -> Iterator[Bed]:
    """A town whose clock stands at `NOW`, unless another world is given; `more` as for `town`."""
    world = world or World.build(webhooks=False, fortnox_call_limit=0, stopped_at=NOW)
    with town(database_url, owner_url, world, **more) as made:
        # The served world lets time pass every second, which would pay sales out while a test still enters them.
        made.running._stop.set()
        made.running._ticker.join(5)
        yield Bed(made)
