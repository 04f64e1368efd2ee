"""Fetch, interrupted: no page of a payout's list counts twice, none is left out, and no part changes its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from sqlalchemy import select

from addon.core.money import Money
from addon.core.records import Fee, Itemisation, Movement, MovementKind, PartKind, Payout, PayoutState
from addon.ports.payments import Fetched, Page, PayoutItem
from addon.services.ingest import Fetch, fetch_step, store_movements, store_payouts
from addon.store.models import PartRow, PayoutRow
from tests.flow.house import House, instant

KRONA = 100


@dataclass
class Lists:
    """A provider's lists of payouts, a line a page; a cursor is a line's place in its own list."""

    lines: Mapping[str, list[int]]
    read: list[tuple[str, str | None]] = field(default_factory=list)

    def fetch_payout_items(self, payout_ref: str, cursor: str | None) -> Page[PayoutItem]:
        self.read.append((payout_ref, cursor))
        place = int(cursor or 0)
        lines = self.lines[payout_ref]
        more = str(place + 1) if place + 1 < len(lines) else None
        return Page((PayoutItem(f"{payout_ref}/{place}", Money(lines[place], "SEK")),), more)


def _payout(ref: str, kronor: int, day: str) -> Fetched[Payout]:
    amount = Money(kronor * KRONA, "SEK")
    payout = Payout(
        ref, amount, PayoutState.PAID, instant(day), date.fromisoformat(day), Itemisation.COMPLETE, automatic=True
    )
    return Fetched(payout, {})


def _sums(house: House) -> dict[str, int | None]:
    with house.rows() as session:
        return {row.ref: row.items_minor if row.items_read else None for row in session.scalars(select(PayoutRow))}


def test_each_line_of_a_payout_counts_once_wherever_the_reading_stops(plus: House) -> None:
    plus.opens()
    services, company, connection = plus.town.services, plus.company_id, plus.connection_id
    lists = Lists({"po_1": [100 * KRONA, 20 * KRONA, 3 * KRONA], "po_2": [50 * KRONA, 5 * KRONA]})
    with services.db.company(company) as session:
        payouts = [_payout("po_1", 123, "2026-03-05"), _payout("po_2", 55, "2026-03-06")]
        store_payouts(session, company, connection, payouts, services.now())
    state = Fetch("items")
    for _ in range(100):
        # Every step is made twice, as after a crash between its commit and the note of how far it had come.
        fetch_step(services, company, connection, lists, Fetch.from_json(state.to_json()))  # type: ignore[arg-type]
        state = fetch_step(services, company, connection, lists, Fetch.from_json(state.to_json()))  # type: ignore[arg-type]
        if state.stage == "done":
            break
    assert _sums(plus) == {"po_1": 123 * KRONA, "po_2": 55 * KRONA}


def test_a_list_that_did_not_prove_its_payout_is_read_again(plus: House) -> None:
    plus.opens()
    services, company, connection = plus.town.services, plus.company_id, plus.connection_id
    short, whole = Lists({"po_1": [100 * KRONA]}), Lists({"po_1": [100 * KRONA, 23 * KRONA]})
    for lists, expected in ((short, 100 * KRONA), (whole, 123 * KRONA)):
        with services.db.company(company) as session:
            store_payouts(session, company, connection, [_payout("po_1", 123, "2026-03-05")], services.now())
        state = Fetch("items")
        while state.stage != "done":
            state = fetch_step(services, company, connection, lists, state)  # type: ignore[arg-type]
        assert _sums(plus) == {"po_1": expected}
    with services.db.company(company) as session:
        store_payouts(session, company, connection, [_payout("po_1", 123, "2026-03-05")], services.now())
    assert _sums(plus) == {"po_1": 123 * KRONA}, "what is proved is not read again"


def test_a_movement_whose_fee_is_told_otherwise_later_keeps_its_parts(plus: House) -> None:
    plus.opens()
    services, company, connection = plus.town.services, plus.company_id, plus.connection_id
    amount, fee = Money(100 * KRONA, "SEK"), Money(5 * KRONA, "SEK")
    told = Movement(
        "txn_1",
        MovementKind.SALE,
        amount,
        instant("2026-03-20 09:30"),
        (Fee(PartKind.FEE, fee),),
        source_ref="ch_1",
    )
    split = (Fee(PartKind.FEE, Money(4 * KRONA, "SEK")), Fee(PartKind.FEE_TAX, Money(1 * KRONA, "SEK")))
    for movement in (told, replace(told, fees=split)):
        with services.db.company(company) as session:
            store_movements(session, company, connection, [Fetched(movement, {})], services.now())
    with services.db.company_reading(company) as session:
        assert set(session.scalars(select(PartRow.name))) == {"amount", "fee/0"}
    plus.runs()
    assert plus.kinds() == {"sale": 1}
