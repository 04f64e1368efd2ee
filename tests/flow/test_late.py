"""Requests that are carried out after they were given up: what the quarantine and the second look each take.

Quarantines are as long as in production here, and time goes on by sleeping. What comes after the second look is for
the fence, the audit and the reversing voucher: test_exactly_once.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from addon.sandbox.world import World
from addon.services import runs
from addon.store.models import AccountingConnection
from tests.flow.house import NOW, Bed, House
from tests.flow.house import bed as bed_of
from tests.support.turned import turned

WRITES = {
    "invoice": "POST /3/invoices$",
    "payment": "POST /3/invoicepayments$",
    "voucher": "POST /3/vouchers$",
}
BEFORE_THE_LOOK_UP, BETWEEN_TWO_LOOK_UPS, AFTER_BOTH_LOOK_UPS = 300, 630, 690
"""Seconds after the request: the quarantine is 600, and the second look comes 60 later."""


@pytest.fixture
def bed(database: tuple[str, str | None]) -> Iterator[Bed]:
    """A town whose time goes on by sleeping."""
    world = World.build(webhooks=False, fortnox_call_limit=0, stopped_at=NOW)
    times = {"LEASE_S": "180", "LOOKUP_QUARANTINE_S": "600"}
    with turned(world.clock), bed_of(*database, world, settings=times) as made:
        yield made


def run_once(house: House) -> None:
    """A run, slice after slice, each as soon as it may be."""
    services, company = house.town.services, house.company_id
    run_id = runs.want(services, company, "cli")
    for _ in range(100):
        result = runs.run_slice(services, company, "cli")
        if runs.view(services, company, run_id).state != "running":
            break
        runs.monotonic_time.sleep(result.retry_in_s)
    assert runs.view(services, company, run_id).state == "done"


def run_out(house: House) -> None:
    """Run until nothing is left to deliver."""
    for _ in range(6):
        run_once(house)
        if not house.town.undelivered(house.company_id):
            return
    raise AssertionError([(row.key, row.error_message) for row in house.town.undelivered(house.company_id)])


def asked(house: House, write: str) -> int:
    """How many times a write was asked for."""
    return sum(f"{call.method} {call.path}" == WRITES[write].rstrip("$") for call in house.world.fortnox.calls)


def a_sale(bed: Bed) -> House:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-20 09:00", 1_000_00)
    house.opens("plus")
    house.world.fortnox.reset_calls()
    return house


@pytest.mark.parametrize("seconds", [BEFORE_THE_LOOK_UP, BETWEEN_TWO_LOOK_UPS])
@pytest.mark.parametrize("write", ["invoice", "payment"])
def test_what_wakes_up_while_it_is_looked_for_is_found(bed: Bed, write: str, seconds: int) -> None:
    house = a_sale(bed)
    house.fault("zombie", WRITES[write], seconds=seconds)
    run_out(house)
    assert asked(house, write) == 1, "quarantine and second look: it was not asked for again"
    assert (len(house.books.invoices), len(house.books.payments)) == (1, 1)
    house.all_is_well()


@pytest.mark.parametrize("write", ["invoice", "payment"])
def test_what_wakes_up_before_a_later_try_is_found_and_no_sign_of_a_database_that_was_put_back(
    bed: Bed, write: str
) -> None:
    """Twice not there, then too many calls: it is looked for once more, for meanwhile it has shown up."""
    house = a_sale(bed)
    house.fault("zombie", WRITES[write], seconds=AFTER_BOTH_LOOK_UPS)
    house.fault("rate_limited", WRITES[write], seconds=60)
    run_out(house)
    assert asked(house, write) == 2
    assert (len(house.books.invoices), len(house.books.payments)) == (1, 1)
    with house.rows() as session:
        assert session.scalars(select(AccountingConnection)).one().lookups_first_until is None
    house.all_is_well()


@pytest.mark.parametrize("seconds", [BEFORE_THE_LOOK_UP, BETWEEN_TWO_LOOK_UPS])
def test_a_voucher_that_wakes_up_while_it_is_looked_for_is_found(bed: Bed, seconds: int) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00)
    house.opens("settlement")
    house.world.fortnox.reset_calls()
    house.fault("zombie", WRITES["voucher"], seconds=seconds)
    run_out(house)
    assert asked(house, "voucher") == len(house.documents())
    assert not house.documents("correction")
    house.all_is_well()


@pytest.mark.parametrize("write", sorted(WRITES))
def test_what_their_lists_show_only_minutes_later_is_waited_for_and_found(bed: Bed, write: str) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00)
    house.opens("plus")
    house.world.fortnox.switches.list_delay_s = 300
    house.fault("lost_after", WRITES[write])
    run_out(house)
    house.nothing_twice()
    house.books.check()
    assert not house.held() and not house.documents("correction")
