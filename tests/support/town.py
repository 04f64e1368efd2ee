"""A whole town: the simulated world on loopback ports, and a Kvitt of real services over a real database."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from addon.bootstrap import build
from addon.config import load_settings
from addon.core.books import Check
from addon.core.delivery import DeliveryState, PartState
from addon.ports.oauth import Grant
from addon.sandbox.server import RunningWorld, serve_world
from addon.sandbox.world import Business, World
from addon.services import connections, installation, prerequisites, reconciliation, runs, settings
from addon.services.context import Services
from addon.store.database import Database
from addon.store.models import CompanyWork, DeliveryRow, DocumentRow, MovementRow, PartRow
from tests.support.engines import share_what_is_compiled
from tests.support.in_process import Nearby
from tests.support.turned import waits_pass

share_what_is_compiled()

WHO = "Test Person"


@dataclass
class Town:
    """The world, the services, and what a test asks of both."""

    world: World
    running: RunningWorld
    services: Services
    nudged: list[int] = field(default_factory=list)

    def install(self, business: Business) -> int:
        """Install Kvitt for a company from its marketplace, as the browser's round trip would; its id here."""
        fortnox = self.world.fortnox
        code = fortnox.give_consent(business.fortnox.database_number)
        redirect = f"{self.world.kvitt_public_url}/oauth/fortnox/callback"
        token = installation.receive(self.services, "fortnox", code, redirect)
        return installation.confirm(self.services, token, WHO)

    def connect(self, company_id: int, business: Business) -> int:
        """Connect the company's Stripe account by Connect; the connection's id."""
        self.world.stripe.connect(business.stripe)
        return connections.connect(
            self.services, company_id, "stripe", "connect", Grant("unused", subject=business.stripe.id), WHO
        )

    def choose(self, company_id: int, connection_id: int, **changes: str) -> None:
        """Change settings of a connection, as the settings page would."""
        faults = settings.change(self.services, company_id, WHO, changes, connection_id)
        assert not faults, faults

    def set_up(self, business: Business, mode: str, start: str, **company: str) -> int:
        """Install, connect, choose and repair: a company that is ready to run."""
        company_id = self.install(business)
        connection_id = self.connect(company_id, business)
        self.choose(company_id, connection_id, mode=mode, start_date=start)
        if company:
            faults = settings.change(self.services, company_id, WHO, company)
            assert not faults, faults
        checks = prerequisites.check(self.services, company_id)
        if any(check.repair is not None or check.stops for check in checks if not check.ok):
            self.repair(company_id)
        return company_id

    def repair(self, company_id: int) -> tuple[Check, ...]:
        """Press every Repair button there is."""
        checks = prerequisites.repair_all(self.services, company_id, WHO)
        stopping = [check for check in checks if check.stops and not check.ok]
        assert not stopping, stopping
        return checks

    def run(self, company_id: int) -> runs.RunView:
        """Run the company to the end, in this process."""
        return runs.run_to_end(self.services, company_id, patience_s=200)

    def prove(self, company_id: int) -> tuple[reconciliation.Identity, ...]:
        """The clearing identity of all the company's connections."""
        return runs.prove(self.services, company_id)

    def parts(self, company_id: int) -> dict[str, int]:
        """How many parts are in each state."""
        counts: dict[str, int] = {}
        with self.services.db.company_reading(company_id) as session:
            for state in session.scalars(select(PartRow.state)):
                counts[state] = counts.get(state, 0) + 1
        return counts

    def held(self, company_id: int) -> list[tuple[str, str, dict[str, Any]]]:
        """What is held: the movement, the reason, the facts."""
        with self.services.db.company_reading(company_id) as session:
            return [
                (ref, part.reason, part.facts)
                for ref, part in session.execute(
                    select(MovementRow.ref, PartRow)
                    .join(MovementRow, MovementRow.id == PartRow.movement_id)
                    .where(PartRow.state == PartState.HELD.value)
                    .order_by(MovementRow.id)
                )
            ]

    def documents(self, company_id: int, kind: str = "") -> list[DocumentRow]:
        """The company's documents, all or of one kind."""
        query = select(DocumentRow).order_by(DocumentRow.id)
        if kind:
            query = query.where(DocumentRow.kind == kind)
        with self.services.db.company_reading(company_id) as session:
            return list(session.scalars(query))

    def undelivered(self, company_id: int) -> list[DeliveryRow]:
        """Remote writes that are not done."""
        with self.services.db.company_reading(company_id) as session:
            return list(session.scalars(select(DeliveryRow).where(DeliveryRow.state != DeliveryState.BOOKED.value)))

    def with_services(self, **changes: Any) -> "Town":
        """The same town with other services, for example a second worker."""
        return replace(self, services=replace(self.services, **changes))


@contextmanager
def town(
    database_url: str,
    owner_url: str | None = None,
    world: World | None = None,
    settings: Mapping[str, str] | None = None,
    **replaced: Any,
) -> Iterator[Town]:
    """Serve a world and build services for it; both end with the block. Times are short, pacing is off.

    `settings` go over the environment, `replaced` over the fields of the services.
    """
    world = world or World.build(webhooks=False, fortnox_call_limit=0)
    running = serve_world(world)
    nudged: list[int] = []
    environment = {
        "KVITT_ENV": "test",
        "DATABASE_URL": database_url,
        **({"DATABASE_OWNER_URL": owner_url} if owner_url else {}),
        "FORTNOX_CALLS_PER_5_S": "0",
        "LOOKUP_QUARANTINE_S": "1",
        "LEASE_S": "60",
        **running.environment(),
        **(settings or {}),
    }
    with waits_pass(world.clock, database_url):
        services = build(load_settings(environment), now=world.clock.now, nudge=nudged.append, **replaced)
        services.outside.__dict__["_transport"] = Nearby(running)
        try:
            yield Town(world, running, services, nudged)
        finally:
            running.stop()
            services.db.close()


def new_sqlite(template: Path, folder: Path) -> str:
    """A fresh database with the schema in it; its address."""
    path = folder / "kvitt.db"
    path.write_bytes(template.read_bytes())
    return f"sqlite:///{path}"


def time_goes_by(town: Town, company_id: int) -> None:
    """Leases run out, quarantines end: the rows are aged by an hour."""
    by = timedelta(hours=1)
    with town.services.db.company(company_id) as session:
        for row in session.scalars(select(DeliveryRow).where(DeliveryRow.state.in_(("sending", "approved")))):
            row.lease_until = row.lease_until - by if row.lease_until else None
            row.not_before = row.not_before - by if row.not_before else None
        work = session.get_one(CompanyWork, company_id)
        work.lease_until = work.lease_until - by if work.lease_until else None


def at(text: str) -> datetime:
    """An instant in UTC from "2026-03-02 10:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


__all__ = ["Database", "Town", "at", "new_sqlite", "time_goes_by", "town"]
