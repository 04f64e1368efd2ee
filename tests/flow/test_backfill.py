"""An earlier year: looked at without a trace, then brought in exactly once, with the identity still there."""

from datetime import datetime
from typing import Any

import pytest

from addon.connectors.stripe.source import StripeSource
from addon.services import backfill, previews, runs
from tests.flow.house import Bed, House
from tests.support.town import WHO


def brings(house: House, year: int, *, looks: bool) -> int:
    services = house.town.services
    made = runs.want_backfill(services, house.company_id, year, WHO, looks=looks)
    view = runs.run_to_end(services, house.company_id, run_id=made, patience_s=200)
    assert view.state == "done", view
    return made


def test_a_year_is_looked_at_and_brought_in_once(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    first = house.sells("2026-01-12", 1_000_00)
    house.refunds(first, "2026-02-10", 250_00)
    house.sells("2026-02-26", 400_00)
    house.sells("2026-03-10", 300_00)
    house.opens("plus", "2026-03-01")
    house.runs()
    assert house.kinds()["sale"] == 1
    before = {row.key for row in house.documents()}
    house.world.fortnox.reset_calls()
    look = brings(house, 2026, looks=True)
    assert house.writes() == 0
    assert {row.key for row in house.documents()} == before, "a look leaves nothing to be booked by accident"
    house.runs()
    assert house.writes() == 0
    seen = {one.document.key for one in previews.everything(house.town.services, house.company_id, look).documents}
    assert len([key for key in seen if key.endswith("/sale")]) == 2
    brings(house, 2026, looks=False)
    assert {row.key for row in house.documents()} - before == seen, "what was looked at is what came"
    assert house.kinds()["sale"] == 3
    house.all_is_well()
    assert house.proves()["SEK"].identity.opening.minor == 0
    with pytest.raises(backfill.CannotGoBack):
        runs.want_backfill(house.town.services, house.company_id, 2026, WHO, looks=False)
    with pytest.raises(backfill.CannotGoBack):
        runs.want_backfill(house.town.services, house.company_id, 2024, WHO, looks=True)


def test_a_start_that_moves_back_while_a_run_fetches_leaves_nothing_out(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-01-12", 1_000_00)
    house.sells("2026-03-10", 300_00)
    house.opens("plus", "2026-03-01")
    house.runs()
    services, begun = house.town.services, []
    fetch = StripeSource.fetch_movements

    def meanwhile(self: StripeSource, since: datetime, until: datetime, cursor: str | None = None) -> Any:
        page = fetch(self, since, until, cursor)
        if not begun:
            begun.append(backfill.begin(services, house.company_id, 2026, WHO))
        return page

    monkeypatch.setattr(StripeSource, "fetch_movements", meanwhile)
    house.runs()
    house.runs()
    assert begun
    assert house.kinds()["sale"] == 2
    assert house.proves()["SEK"].identity.opening.minor == 0
    house.all_is_well()
