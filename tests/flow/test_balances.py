"""What lies on a foreign balance is read in several statements, and somebody may write between them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from addon.core.money import Money
from addon.core.plan import Carrying
from addon.core.plan.situation import Holding
from addon.services import holdings, runs
from addon.store.models import Connection, DocumentRow
from tests.flow.house import Bed


def whole(holding: Holding) -> Carrying:
    """All that a balance holds."""
    found = holding.base
    for posting in holding.postings:
        balance, books = found.balance, found.books
        found = Carrying(
            Money(balance.minor + posting.balance_minor, balance.currency),
            Money(books.minor + posting.books_minor, books.currency),
        )
    return found


@pytest.mark.postgres
@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_value_that_is_told_while_a_balance_is_read_counts_once(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another slice, whose time ran out in the midst of a call, records what it came to."""
    house = bed.house(balance_currencies=("sek", "eur"))
    for day in range(2, 5):
        house.sells(f"2026-03-{day:02}", 100_00 * day, "eur")
    house.opens()
    house.runs()
    database = house.town.services.db
    query = select(DocumentRow).where(DocumentRow.kind == "sale").order_by(DocumentRow.id).limit(1)
    with database.company(house.company_id) as session:
        document = session.scalars(query).one()
        worth, document.clearing_books_minor = document.clearing_books_minor, None
    sums = holdings.carried_in_all

    def told_meanwhile(*given: Any) -> dict[str, Carrying]:
        found = sums(*given)
        with database.company(house.company_id) as other:
            other.scalars(query).one().clearing_books_minor = worth
        return found

    monkeypatch.setattr(holdings, "carried_in_all", told_meanwhile)
    monkeypatch.setattr(holdings, "_cuts", lambda *_: {"EUR": datetime(2026, 3, 1, tzinfo=UTC)})
    with database.company(house.company_id) as session:
        connection = session.scalars(select(Connection)).one()
        policy = runs._policy_loader(house.town.services, house.company_id, connection.id)(session)
        held = holdings.load_holdings(session, connection, (), policy, {})["EUR"]
        assert whole(held) == sums(session, connection.id, "SEK", {})["EUR"]
        assert held.base == Carrying(Money.zero("EUR"), Money.zero("SEK"))
