"""The pages' questions on PostgreSQL, asked as the application's role behind row-level security."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event, insert

from addon.bootstrap import build
from addon.config import load_settings
from addon.core.delivery import PartState
from addon.core.holds import HoldReason
from addon.services import pages
from addon.services.context import Services
from addon.services.pages import Cursor, NotHere, TransactionFilter
from addon.store.database import Database
from addon.store.migrate import migrate
from addon.store.models import MovementRow
from tests.web.factory import NOW, Filled, fill


@pytest.fixture
def services(new_postgres_database: Callable[..., Any]) -> Iterator[Services]:
    owner_url, app_url = new_postgres_database(migrate)
    settings = load_settings({"KVITT_ENV": "sandbox", "DATABASE_URL": app_url, "DATABASE_OWNER_URL": owner_url})
    built = build(settings, now=lambda: NOW, nudge=lambda company_id: None)
    yield built
    built.db.close()


@pytest.fixture
def filled(services: Services) -> Filled:
    return fill(services)


def refs(services: Services, company_id: int, **asked: Any) -> list[str]:
    return [line.ref for line in pages.transactions(services, company_id, TransactionFilter(**asked), rows=200).lines]


def test_every_page_answers(services: Services, filled: Filled) -> None:
    company = filled.company
    assert pages.frame(services, company).held == len(HoldReason) + 1
    assert {card.currency for card in pages.overview(services, company).cards} == {"SEK", "EUR", "USD"}
    assert len(pages.inbox(services, company).groups) == len(HoldReason)
    assert pages.payouts(services, company).lines and pages.activity(services, company).lines
    assert pages.proposed(services, company).kinds and pages.progress(services, company).red
    for number in filled.movements.values():
        assert pages.transaction(services, company, number).parts
    for number in filled.payouts.values():
        pages.payout(services, company, number)
    for number in filled.runs.values():
        pages.run(services, company, number)


def test_search_and_filters_find_the_same_as_on_sqlite(services: Services, filled: Filled) -> None:
    for text in ("txn_3", "ch_3", "10237", "#10237", "buyer3@exam", "1045", "1 148,70"):
        assert "txn_3" in refs(services, filled.company, search=text), text
    for text in ("%", "_", "SECRET-1", "1023%", "\\", "ÿÿÿ", "\U0010ffff\U0010ffff\U0010ffff"):
        assert refs(services, filled.company, search=text) == [], text
    assert refs(services, filled.company, state=PartState.SET_ASIDE) == ["txn_aside"]


def test_paging_meets_every_row_once(services: Services, filled: Filled) -> None:
    everything = refs(services, filled.company)
    met: list[str] = []
    cursor = None
    while True:
        page = pages.transactions(services, filled.company, None, cursor, rows=9)
        met += [line.ref for line in page.lines]
        if page.listing.older is None:
            break
        cursor = Cursor.parse(page.listing.older)
    assert met == everything


def test_another_companys_things_are_not_there(services: Services, filled: Filled) -> None:
    for ask, number in (
        (pages.transaction, filled.other_movement),
        (pages.payout, filled.other_payout),
        (pages.run, filled.other_run),
    ):
        with pytest.raises(NotHere):
            ask(services, filled.company, number)


def test_the_beginning_of_an_order_number_is_found_by_the_index(services: Services, filled: Filled) -> None:
    """LIKE would be no use here: under row-level security it may not take part in an index scan."""
    with services.db.company(filled.company) as session:
        blank = {"connection_id": filled.connection, "kind": "sale", "amount_minor": 100, "net_minor": 100}
        blank |= {"currency": "SEK", "occurred_at": NOW, "booking_date": NOW.date(), "value": {}, "raw": {}}
        blank |= {"fetched_at": NOW, "source_ref": "", "original_ref": "", "payout_ref": "", "presented_currency": ""}
        session.execute(
            insert(MovementRow),
            [
                {**blank, "ref": f"many_{n}", "order_number": f"{20000 + n}", "buyer": f"b{n}@x.com"}
                for n in range(4000)
            ],
        )
    owner = Database(services.db.owner_url)
    with owner.engine.begin() as connection:
        connection.exec_driver_sql("analyze")
    owner.close()
    asked: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(services.db.engine, "before_cursor_execute", note)
    refs(services, filled.company, search="1023")
    statement, parameters = next(each for each in asked if "~>=~" in each[0])
    with services.db.company_reading(filled.company) as session:
        cursor = session.connection().connection.cursor()
        cursor.execute("explain " + statement, parameters)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    for index in ("ix_movements_order", "ix_movements_buyer"):
        conditions = [part.split("\n")[1] for part in plan.split(index)[1:]]
        assert any("~>=~" in condition and "Index Cond" in condition for condition in conditions), plan
