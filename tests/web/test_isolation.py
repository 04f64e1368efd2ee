"""Each company alone: every route and every task with another company's numbers, and not a byte of it is touched."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import NoResultFound
from werkzeug.datastructures import MultiDict

from addon.bootstrap import build
from addon.config import load_settings
from addon.core.grants import Grant
from addon.jobs import queue, tasks
from addon.services import connections, due, installation, runs
from addon.services.context import Services
from addon.store.database import NoCompanyEntered
from addon.store.migrate import migrate
from addon.store.models import (
    OPEN_TABLES,
    AccountRuleRow,
    Base,
    CheckRow,
    Company,
    CompanyWork,
    Connection,
    DocumentRow,
    MovementRow,
    OfCompany,
    PartRow,
    PayoutRow,
    ProofRow,
    ProviderAccount,
    RunRow,
    StatementRow,
)
from addon.web.access import Audience
from tests.support.town import new_sqlite
from tests.web import walk
from tests.web.conftest import House, make_app
from tests.web.factory import NOW, Filled, fill
from tests.web.test_access import token_of

SECRETS = ("SECRET", "Grannen", "txn_secret", "po_secret", "acct_1Grann", "6,66", "666,00", "Okänd regel")
"""Words that stand in the neighbour's rows only."""

OF_THE_NEIGHBOUR = {
    "movement_id": MovementRow,
    "payout_id": PayoutRow,
    "run_id": RunRow,
    "connection_id": Connection,
    "check_id": CheckRow,
    "rule_id": AccountRuleRow,
    "statement_id": StatementRow,
}
"""A variable in an address → whose numbers it takes. A new one must be entered here, or the walk fails."""

OTHER_VARIABLES = {"form": "csv", "provider": "stripe", "system": "fortnox", "token": "a-link-that-nobody-was-sent"}
FIELDS = {
    "part": PartRow,
    "document": DocumentRow,
    "connection": Connection,
    "run": RunRow,
    "one": DocumentRow,
    "rule": AccountRuleRow,
}
"""A field of a form or query → whose numbers it takes."""


def _fill_more(services: Services, filled: Filled) -> None:
    """What the neighbour has besides, so that each kind of number exists."""
    with services.db.company(filled.other) as session:
        session.add_all(
            [
                CheckRow(code="currency", ok=False, stops=False, subject="JPY", repair={"remedy": "x"}, checked_at=NOW),
                AccountRuleRow(position=1, value={"name": "Okänd regel"}, changed_at=NOW),
                StatementRow(
                    connection_id=filled.other_connection,
                    currency="SEK",
                    since=NOW.date(),
                    until=NOW.date(),
                    made_at=NOW,
                    holds=True,
                    fingerprint="secret",
                    value={},
                ),
                ProofRow(
                    connection_id=filled.other_connection,
                    currency="SEK",
                    at=NOW,
                    opening_minor=0,
                    provider_minor=66600,
                    ledger_minor=66600,
                    not_booked_minor=0,
                    difference_minor=0,
                ),
                DocumentRow(
                    connection_id=filled.other_connection,
                    key="stripe/SECRET/invoice",
                    kind="sale",
                    state="proposed",
                    booking_date=NOW.date(),
                    total_minor=66600,
                    currency="SEK",
                    source_ref="SECRET",
                    rule="",
                    payload={},
                    fingerprint="x",
                    planned_at=NOW,
                    clearing_account="",
                    clearing_currency="SEK",
                    clearing_minor=0,
                ),
            ]
        )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def neighbours(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[House, Filled]]:
    """Two companies on each kind of database; on PostgreSQL under the role that owns nothing."""
    if request.param == "postgres":
        new_database: Callable[..., tuple[str, str]] = request.getfixturevalue("new_postgres_database")
        owner_url, url = new_database(migrate)
    else:
        url = owner_url = new_sqlite(request.getfixturevalue("empty_database"), tmp_path)
    settings = load_settings(
        {"KVITT_ENV": "sandbox", "DATABASE_URL": url, "DATABASE_OWNER_URL": owner_url, "FORTNOX_CALLS_PER_5_S": "0"}
    )
    services = build(settings, now=lambda: NOW, nudge=lambda company_id: None)
    filled = fill(services)
    _fill_more(services, filled)
    yield House(make_app(services, settings), services, settings), filled
    services.db.close()


def rows_of(services: Services, company_id: int) -> dict[str, list[dict[str, Any]]]:
    """Everything that the database has of a company, row by row."""
    found: dict[str, list[dict[str, Any]]] = {}
    with services.db.company_reading(company_id) as session:
        for mapper in Base.registry.mappers:
            if not (issubclass(mapper.class_, OfCompany) or mapper.class_ in (CompanyWork, ProviderAccount)):
                continue
            mine = select(mapper.class_).where(mapper.class_.company_id == company_id)
            found[mapper.class_.__tablename__] = sorted(
                (
                    {column.key: getattr(row, column.key) for column in mapper.column_attrs}
                    for row in session.scalars(mine)
                ),
                key=str,
            )
        company = session.get_one(Company, company_id)
        found["companies"] = [{column.key: getattr(company, column.key) for column in Company.__mapper__.column_attrs}]
    return found


def numbers_of(services: Services, company_id: int) -> dict[type[Any], int]:
    """A number of each kind that a company has."""
    found: dict[type[Any], int] = {}
    with services.db.company_reading(company_id) as session:
        for table in {*OF_THE_NEIGHBOUR.values(), *FIELDS.values()}:
            number = session.scalars(select(table.id).order_by(table.id)).first()
            assert number is not None, f"the neighbour has no {table.__tablename__}"
            found[table] = number
    return found


def test_every_route_with_another_companys_numbers(neighbours: tuple[House, Filled]) -> None:
    house, filled = neighbours
    theirs = numbers_of(house.services, filled.other)
    before = rows_of(house.services, filled.other)
    path = {name: theirs[table] for name, table in OF_THE_NEIGHBOUR.items()} | OTHER_VARIABLES
    fields = MultiDict({name: str(theirs[table]) for name, table in FIELDS.items()})
    # Whatever a form may be asked to do, so that the neighbour's numbers get as far as they can.
    actions: tuple[dict[str, str], ...] = (
        {"action": "retry", "answer": "in_books", "currency": "SEK", "do": "enter", "mode": "basic"},
        {"action": "set_aside", "where": "x", "order": "1", "all": "1"},
    )
    walked, client, token = 0, None, ""
    for rule in walk.rules(house.app, Audience.COMPANY, Audience.PUBLIC):
        unknown = set(rule.arguments) - set(path)
        assert not unknown, f"{rule.rule}: say in OF_THE_NEIGHBOUR whose numbers {unknown} are"
        address = walk.address(rule, path)
        foreign = bool(set(rule.arguments) & set(OF_THE_NEIGHBOUR))
        for method in walk.methods(rule):
            for more in actions if method == "POST" else ({},):
                if client is None or "sign_out" in rule.endpoint:
                    client = house.client(filled.company)
                    token = token_of(client)
                data = MultiDict(fields)
                if method == "POST":
                    data.update({"csrf_token": token, **more})
                    answer = client.post(address, data=data, query_string=fields)
                else:
                    answer = client.get(address, query_string=fields)
                body = answer.get_data()
                walked += 1
                if "sign_out" in rule.endpoint:
                    client = None
                if foreign:
                    assert answer.status_code == 404, (method, address, answer.status_code)
                assert answer.status_code < 500 or answer.status_code == 503, (method, address)
                for word in SECRETS:
                    assert word.encode() not in body, (method, address, word)
    assert walked > 80
    assert rows_of(house.services, filled.other) == before


def test_every_task_with_a_number_that_is_not_its_own(
    neighbours: tuple[House, Filled], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task is given a company's number and nothing else. Whatever the number, no other company is touched."""
    house, filled = neighbours
    monkeypatch.setattr(tasks, "_services", lambda: house.services)
    monkeypatch.setattr(tasks, "die_with_parent", lambda: None)
    monkeypatch.setattr(type(house.services.db), "close", lambda self: None)
    with house.services.db.open() as session:
        session.get_one(Company, filled.company).state = "disconnected"
    named = {
        value for name, value in vars(queue).items() if isinstance(value, str) and value.startswith("addon.jobs.tasks.")
    }
    assert named == {queue.RUN_SLICE, queue.CHECK_COMPANY}, "a new task: is it among what is tried here?"
    before = rows_of(house.services, filled.other)
    for name in sorted(named):
        task = getattr(tasks, name.rpartition(".")[2])
        for number in (filled.company, 999_999, 0, -1, 2**62):
            # Whether it complains about a number that nobody has is its own affair.
            with suppress(LookupError, NoResultFound, NoCompanyEntered):
                task(number)
    assert rows_of(house.services, filled.other) == before


def test_what_finds_companies_reads_only_the_tables_outside(neighbours: tuple[House, Filled]) -> None:
    """The clock, webhooks and signing in look for a company's number: none of them reads business data for that."""
    house, filled = neighbours
    services = house.services
    token = installation.sign_in(services, filled.company, "Ada")
    read: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        read.append(statement.lower())

    business = [table for table in Base.metadata.tables if table not in OPEN_TABLES]
    pattern = re.compile(rf'\b(?:from|join|into|update)\s+"?({"|".join(business)})\b')
    finders: dict[str, Callable[[], object]] = {
        "clock": lambda: due.claim_due(services),
        "session": lambda: installation.session_company(services, token),
        "signing in": lambda: installation.sign_in(services, filled.company, "Bo"),
        "signing out": lambda: installation.sign_out(services, token),
        "parked": lambda: installation.parked(services, "x"),
        "tenant": lambda: installation.find_tenant(services, "fortnox", "1002"),
        "unsigned": lambda: installation.worth_a_look(services, "fortnox", "1002"),
        "event": lambda: connections.receive_event(services, "stripe", "evt_1", "charge.succeeded", "acct_1Grann"),
        "at work": lambda: installation.is_at_work(services, filled.other),
    }
    event.listen(services.db.engine, "before_cursor_execute", note)
    try:
        for name, find in finders.items():
            read.clear()
            find()
            assert read, name
            found = {table for statement in read for table in pattern.findall(statement)}
            assert not found, f"{name} reads {found}"
        read.clear()
        runs.want(services, filled.company, "click")
        assert any(pattern.search(statement) for statement in read), "the look at statements sees what it should"
    finally:
        event.remove(services.db.engine, "before_cursor_execute", note)


def test_an_account_is_not_taken_over_by_connecting_it_again(neighbours: tuple[House, Filled]) -> None:
    house, filled = neighbours
    before = rows_of(house.services, filled.other)
    arrival = connections._Arrival(
        "acct_1Grann", "Mine now", "SE", ("SEK",), dated_payouts=False, holds_often=False, order_places=()
    )
    with pytest.raises(connections.AccountTaken):
        connections._store(
            house.services, filled.company, "stripe", "connect", Grant("t", subject="acct_1Grann"), arrival, "Mallory"
        )
    assert rows_of(house.services, filled.other) == before
