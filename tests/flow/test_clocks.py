"""Clocks that disagree: ours, the provider's, the database's."""

from dataclasses import replace
from datetime import timedelta

import pytest

from addon.services import runs
from tests.flow.house import Bed


@pytest.mark.parametrize("behind_s", [-30, 30])
def test_a_machine_whose_clock_is_wrong_notes_the_right_opening_and_proves_the_right_balance(
    bed: Bed, behind_s: int
) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-02-26", 900_00)
    services = house.town.services
    skewed = replace(services, now=lambda: house.world.clock.now() - timedelta(seconds=behind_s))
    house.town = replace(house.town, services=skewed)
    house.sells("2026-03-20 09:59:50", 1_000_00)
    house.opens("plus")
    house.runs()
    house.proves()
    house.sells("2026-03-20 09:59:55", 500_00)
    assert all(not one.identity.difference for one in runs.prove(skewed, house.company_id))
    house.time("2026-03-21 11:00")
    house.runs()
    house.all_is_well()
