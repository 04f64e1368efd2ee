"""What providers announce is a nudge: twice, at once, out of order, too early or never, the books end up the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import func, select

from addon.services import connections, runs
from addon.store.models import MovementRow, RunRow, WebhookEvent
from tests.flow.house import Bed, House
from tests.flow.test_plus import on_both_databases


def announced(house: House, ref: str, kind: str = "charge.succeeded") -> int | None:
    """What the webhook's page does with a signed event."""
    services = house.town.services
    company_id = connections.receive_event(services, "stripe", ref, kind, house.stripe.id)
    if company_id is not None:
        runs.want(services, company_id, "webhook")
    return company_id


def count(house: House, what: type[RunRow] | type[MovementRow]) -> int:
    with house.rows() as session:
        return session.scalar(select(func.count()).select_from(what)) or 0


@on_both_databases
def test_two_webhooks_at_once_and_many_times_make_one_run(bed: Bed) -> None:
    house = bed.house("plus", balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda n: announced(house, f"evt_{n % 2}"), range(8)))
    assert len([company for company in taken if company]) == 2, "each event counts once"
    with house.town.services.db.open_reading() as session:
        assert session.scalar(select(func.count()).select_from(WebhookEvent)) == 2
    house.runs()
    assert house.kinds()["sale"] == 1
    assert count(house, MovementRow) >= 1
    house.all_is_well()


def test_a_refund_that_is_announced_before_its_sale_is_booked_after_it(plus: House) -> None:
    plus.opens()
    charge = plus.sells("2026-03-02", 1_000_00)
    plus.refunds(charge, "2026-03-04", 300_00)
    announced(plus, "evt_refund", "charge.refunded")
    announced(plus, "evt_sale")
    plus.runs()
    assert (plus.kinds()["sale"], plus.kinds()["refund"]) == (1, 1)
    plus.all_is_well()


def test_an_event_that_comes_before_its_movement_can_be_read_loses_nothing(plus: House) -> None:
    """The provider lists the movement a minute later, with the time at which it happened."""
    plus.opens()
    announced(plus, "evt_early")
    plus.runs()
    assert count(plus, MovementRow) == 0
    happened = plus.world.clock.now() - timedelta(minutes=4)
    plus.sells(happened.strftime("%Y-%m-%d %H:%M:%S"), 1_000_00)
    plus.runs()
    assert plus.kinds()["sale"] == 1
    plus.all_is_well()


def test_an_event_that_never_comes_is_missed_until_the_daily_run_and_no_longer(plus: House) -> None:
    plus.opens()
    plus.runs()
    plus.sells("2026-03-20 10:30", 1_000_00)
    plus.time("2026-03-21 05:00")
    plus.runs()
    assert plus.kinds()["sale"] == 1
    plus.all_is_well()
