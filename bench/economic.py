"""Calls per sale at the simulated e-conomic: what each costs by itself, and what a slice books by one call."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal

from addon.ports.oauth import Grant
from addon.sandbox.world import World
from addon.services import connections, installation, prerequisites, settings
from bench.beds import START, plain_world, sqlite_town
from bench.counts import MORE, WRITES, WentWrong
from bench.rows import Row
from tests.support.town import WHO, Town

BOOKING = "/bookdraftentries"


def count_economic(more: int = MORE) -> list[Row]:
    """Plus in e-conomic: sales to a known customer, a few of them over one, and a run over finished work."""
    world = plain_world()
    agreement = world.economic.add_agreement("Havblik ApS", "12345674")
    agreement.person_pays_invoice(agreement.person_creates_invoice(125).number)
    stripe = world.stripe.add_account("Havblik ApS", country="DK", default_currency="dkk", balance_currencies=("dkk",))
    stripe.payouts_enabled = False
    stripe.charge(10_000, "dkk", email="anna@example.com", name="Anna", country="DK", at=world.clock.now())
    with sqlite_town(world) as town:
        company_id = _opened(town, world, agreement.number, stripe)

        def run(sales: int) -> Counter[str]:
            for n in range(sales):
                stripe.charge(
                    10_000 + 100 * n, "dkk", email="anna@example.com", name="Anna", country="DK", at=world.clock.now()
                )
            world.clock.advance(timedelta(minutes=1))
            world.economic.reset_calls()
            view = town.run(company_id)
            if view.state != "done" or view.counts["held"] or view.counts["to_deliver"]:
                raise WentWrong(f"{view.state} {view.message!r}, held {town.held(company_id)[:3]}")
            calls = list(world.economic.calls)
            writes = [call for call in calls if call.method in WRITES]
            return Counter(
                calls=len(calls),
                writes=len(writes),
                booking=sum(call.path.endswith(BOOKING) for call in writes),
            )

        run(0)
        few, many = run(1), run(more + 1)
        again = run(0)
    each = Decimal(many["calls"] - few["calls"]) / more
    where = f"{more} more, in one slice"
    return [
        Row("e-conomic: sale, known customer", each, "calls", "at most", 4, where),
        Row("e-conomic: booking calls for all of them", many["booking"], "calls", "at most", 1, where),
        Row("e-conomic: second run, writes", again["writes"], "calls", "exactly", 0, "Plus"),
    ]


def _opened(town: Town, world: World, agreement: int, stripe: object) -> int:
    """Install, connect, choose, repair, and book the first sale."""
    services = town.services
    parked = installation.receive(services, "economic", world.economic.grant(agreement), "")
    company_id = installation.confirm(services, parked, WHO)
    account = next(account for account in world.stripe.accounts.values() if account is stripe)
    world.stripe.connect(account)
    grant = Grant("unused", subject=account.id)
    connection_id = connections.connect(services, company_id, "stripe", "connect", grant, WHO)
    town.choose(company_id, connection_id, mode="plus", start_date=START)
    faults = settings.change(services, company_id, WHO, {"fee_vat": "exempt"})
    if faults:
        raise WentWrong(f"{faults}")
    prerequisites.check(services, company_id)
    town.repair(company_id)
    town.run(company_id)
    return company_id
