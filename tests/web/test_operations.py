"""What whoever runs an installation asks it: does it live, is all ready, how much of what has happened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from addon.ports.calls import CallRecord
from addon.services import gauges
from addon.services.calls import CountedCalls
from addon.services.tally import Counter, Tally, Timing
from addon.store import leases
from addon.store.database import Database
from addon.store.models import CompanyWork, DeliveryRow, DocumentRow, MovementRow, PartRow
from addon.web import operations
from addon.web.limits import limiter
from tests.web.conftest import House, make_app
from tests.web.factory import NOW, Filled


@contextmanager
def read_only(db: Database) -> Iterator[None]:
    """The database answers all questions and takes no writes."""

    def refuse(connection: object) -> None:
        connection.exec_driver_sql("PRAGMA query_only=ON")  # type: ignore[attr-defined]

    event.listen(db.engine, "begin", refuse)
    try:
        yield
    finally:
        event.remove(db.engine, "begin", refuse)


@contextmanager
def full_disk(db: Database) -> Iterator[None]:
    """The database's file cannot grow."""

    def limit(connection: object, _entry: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # type: ignore[attr-defined]

    event.listen(db.engine, "connect", limit)
    db.close()
    try:
        yield
    finally:
        event.remove(db.engine, "connect", limit)
        db.close()


def numbers(house: House) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = house.client().get("/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def number(house: House, name: str, **labels: str) -> float:
    return numbers(house).get((name, frozenset(labels.items())), 0.0)


# --- /healthz, /readyz --------------------------------------------------------------------------------------


def test_all_is_ready(house: House) -> None:
    client = house.client()
    assert client.get("/healthz").text == "ok\n"
    answer = client.get("/readyz")
    assert answer.status_code == 200 and answer.json is not None
    assert (answer.json["ready"], answer.json["problems"]) == (True, [])
    assert set(answer.json["checks"]) == {"database", "writable", "queue", "unbooked"}
    assert all(check["ok"] for check in answer.json["checks"].values())


def told(house: House, path: str = "/readyz") -> list[str]:
    answer = house.client().get(path)
    assert answer.json is not None
    assert answer.status_code == (503 if answer.json["problems"] else 200)
    problems: list[str] = answer.json["problems"]
    assert "kvitt.db" not in answer.text and "Error" not in answer.text
    return problems


def test_another_versions_schema_is_not_ready(house: House) -> None:
    house.services.db.close()
    with house.services.db.engine.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = 'old'")
    assert told(house) == ["the database's schema is not this version's: run kvitt migrate"]


def test_a_database_that_is_away_is_told_without_its_address(house: House) -> None:
    away = replace(house.services, db=Database("postgresql+psycopg://ada:hemlig@127.0.0.1:9/kvitt"))
    house = House(make_app(away, house.settings), away, house.settings)
    answer = house.client().get("/readyz")
    assert answer.status_code == 503 and "hemlig" not in answer.text
    assert told(house) == ["the database does not answer"]
    assert house.client().get("/healthz").status_code == 200
    assert number(house, "kvitt_up", part="database") == 0


def test_a_read_only_database_is_told_and_pages_that_only_read_go_on(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    with read_only(house.services.db):
        assert told(house) == ["the database takes no writes: its disk is full, or it is read-only"]
        assert told(house, "/readyz?for=pages")
        assert client.get("/overview").status_code == 200
    assert told(house) == []


def test_a_full_disk_is_told_and_nothing_counted_is_lost(house: House) -> None:
    for one in range(400):
        house.services.tally.count(Counter.CALLS, system="a far end with a long name" * 4, outcome=str(one))
    with full_disk(house.services.db):
        assert told(house) == ["the database takes no writes: its disk is full, or it is read-only"]
        assert number(house, "kvitt_up", part="database") == 1
    assert told(house) == []
    assert number(house, "kvitt_calls_total", system="a far end with a long name" * 4, outcome="399") == 1


def test_a_redis_that_is_away_is_told_but_pages_go_on(house: House) -> None:
    services = replace(house.services, queued=lambda: None)
    house = House(make_app(services, house.settings), services, house.settings)
    assert told(house) == ["Redis does not answer: work waits for the clock to find it"]
    assert told(house, "/readyz?for=pages") == []
    assert number(house, "kvitt_up", part="redis") == 0


def test_work_that_nobody_takes_is_told(house: House, filled: Filled) -> None:
    db = house.services.db
    with db.open() as session:
        leases.schedule(session, filled.company, db.now(session) - timedelta(minutes=5))
    assert told(house) == []
    with db.open() as session:
        leases.schedule(session, filled.company, db.now(session) - timedelta(minutes=50))
    assert told(house) == ["work has waited for 50 minutes: are a worker and the clock running?"]
    assert number(house, "kvitt_due_companies") == 1
    assert 2990 < number(house, "kvitt_queue_age_seconds") < 3200
    with db.open() as session:
        assert leases.take(session, filled.company, "a worker", 60)
        leases.schedule(session, filled.company, None)
    assert told(house) == []


def test_a_slice_that_never_ended_is_work_that_waits(house: House, filled: Filled) -> None:
    db = house.services.db
    with db.open() as session:
        assert leases.take(session, filled.company, "a worker that died", 60)
        session.execute(
            update(CompanyWork)
            .where(CompanyWork.company_id == filled.company)
            .values(lease_until=db.now(session) - timedelta(minutes=20))
        )
    assert told(house) == ["work has waited for 20 minutes: are a worker and the clock running?"]


def test_what_should_be_booked_and_is_not_is_told(house: House, filled: Filled) -> None:
    with house.services.db.company(filled.company) as session:
        session.execute(
            update(CompanyWork)
            .where(CompanyWork.company_id == filled.company)
            .values(
                gauges={"held": {"touched": 2}, "waiting": {}, gauges.SINCE: (NOW - timedelta(hours=50)).isoformat()}
            )
        )
    assert told(house) == ["what should be booked has not been for 50 hours: see the log"]
    assert number(house, "kvitt_oldest_unbooked_seconds") == 50 * 3600
    assert number(house, "kvitt_parts", state="held", reason="touched") == 2


def test_a_document_that_needs_what_a_held_one_has_not_made_is_no_alarm(house: House, filled: Filled) -> None:
    """A second sale to a buyer whose customer the books refused waits with the first, which is in the inbox."""
    with house.services.db.company(filled.company) as session:
        held, waiting = [
            DocumentRow(
                connection_id=filled.connection,
                key=f"stripe/ch_{name}/invoice",
                kind="sale",
                state=state,
                booking_date=NOW.date(),
                total_minor=100,
                currency="SEK",
                rule="",
                payload={},
                fingerprint="x",
                planned_at=NOW,
            )
            for name, state in (("held", "rejected"), ("waiting", "approved"))
        ]
        session.add_all([held, waiting])
        session.flush()
        movement = session.scalars(select(MovementRow)).first()
        assert movement is not None
        movement.fetched_at = NOW - timedelta(days=90)
        session.add_all(
            [
                DeliveryRow(
                    document_id=held.id,
                    seq=0,
                    key="cus_1/customer",
                    kind="create_customer",
                    state="rejected",
                    payload={},
                ),
                DeliveryRow(
                    document_id=waiting.id,
                    seq=0,
                    key="stripe/ch_waiting/invoice/create",
                    kind="create_invoice",
                    state="approved",
                    payload={"customer_key": "cus_1/customer"},
                ),
                PartRow(
                    connection_id=filled.connection,
                    movement_id=movement.id,
                    name="another",
                    kind="amount",
                    amount_minor=100,
                    currency="SEK",
                    state="planned",
                    document_id=waiting.id,
                    changed_at=NOW,
                ),
            ]
        )
        session.flush()

        def since() -> str:
            gauges.note(session)
            work = session.get_one(CompanyWork, filled.company, populate_existing=True)
            return str(work.gauges[gauges.SINCE])

        long_ago = (NOW - timedelta(days=90)).isoformat()
        assert since() != long_ago
        held.state = "approved"
        session.flush()
        assert since() == long_ago, "nothing holds it now, and it should have been booked"


def test_asking_whether_all_is_ready_writes_once_in_a_while(house: House) -> None:
    client = house.client()
    client.get("/readyz")
    with read_only(house.services.db):
        assert client.get("/readyz").status_code == 200, "what was written just now proves it"
    tally = house.services.tally
    assert tally.proved_within(3600) and not tally.proved_within(0)


def test_nobody_asks_whether_all_is_ready_without_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "enabled", True)
    limiter.reset()
    client = house.app.test_client()
    monkeypatch.setattr(operations.health, "checks", lambda *given, **named: ())
    try:
        codes = [client.get("/readyz").status_code for _ in range(601)]
    finally:
        limiter.reset()
    assert (codes[0], codes[-1]) == (200, 429)
    assert client.get("/healthz").status_code == 200


# --- /metrics -----------------------------------------------------------------------------------------------


def test_numbers_for_the_operator_are_not_for_the_world(house: House) -> None:
    client = house.client()
    client.get("/")
    near = client.get("/metrics")
    assert near.status_code == 200 and "kvitt_http_responses_total" in near.text
    assert client.get("/metrics", headers={"X-Forwarded-For": "8.8.8.8"}).status_code == 404
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "8.8.8.8"}).status_code == 404


def test_every_process_answers_for_all_of_them(house: House) -> None:
    other = replace(house.services, tally=Tally())
    house.client().get("/healthz")
    House(make_app(other, house.settings), other, house.settings).client().get("/healthz")
    other.tally.count(Counter.DELIVERIES, step="create_invoice", outcome="no_answer")
    other.tally.time(Timing.DELIVERY, 61)
    other.tally.write(other.db)
    here = {"endpoint": "operations.alive", "method": "GET", "status": "200"}
    assert number(house, "kvitt_http_responses_total", **here) == 2
    assert number(house, "kvitt_deliveries_total", step="create_invoice", outcome="no_answer") == 1
    assert number(house, "kvitt_delivery_seconds_bucket", le="60") == 0
    assert number(house, "kvitt_delivery_seconds_bucket", le="300") == 1
    assert number(house, "kvitt_delivery_seconds_bucket", le="+Inf") == 1
    assert number(house, "kvitt_delivery_seconds_sum") == 61


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "answered"), (404, "refused"), (429, "too_many"), (502, "failed"), (None, "no_answer")],
)
def test_calls_are_counted_by_how_they_ended(house: House, status: int | None, outcome: str) -> None:
    counted = CountedCalls(house.services.tally)
    counted.record(CallRecord(NOW, "fortnox", "GET", "/3/invoices", status, 1300))
    assert number(house, "kvitt_calls_total", system="fortnox", outcome=outcome) == 1
    assert number(house, "kvitt_call_seconds_bucket", system="fortnox", le="1") == 0
    assert number(house, "kvitt_call_seconds_bucket", system="fortnox", le="2.5") == 1


def test_the_numbers_name_no_company(house: House, filled: Filled) -> None:
    with house.services.db.company(filled.company) as session:
        gauges.note(session)
    house.client(filled.company).get("/overview")
    text = house.client().get("/metrics").text
    assert 'kvitt_parts{reason="' in text.replace('state="held",', "") or 'state="held"' in text
    for secret in ("Fjäll", "556", "acct_", "stripe/", "ch_", "@"):
        assert secret not in text, secret
    assert not re.search(r"company[_a-z]*=", text)


def test_a_counter_never_falls_while_the_database_is_away(house: House) -> None:
    known = {"system": "stripe", "outcome": "taken"}
    house.services.tally.count(Counter.WEBHOOKS, 3, **known)
    assert number(house, "kvitt_webhooks_total", **known) == 3
    house.services.tally.count(Counter.WEBHOOKS, **known)
    away = replace(house.services, db=Database("postgresql+psycopg://ada:hemlig@127.0.0.1:9/kvitt"))
    told = numbers(House(make_app(away, house.settings), away, house.settings))
    assert ("kvitt_webhooks_total", frozenset(known.items())) not in told
    assert number(house, "kvitt_webhooks_total", **known) == 4


def test_counts_are_written_now_and_then_and_wait_for_a_database_that_is_away(house: House) -> None:
    tally = Tally(every_s=0)
    tally.count(Counter.WEBHOOKS, system="stripe", outcome="taken")
    with read_only(house.services.db):
        tally.write_sometimes(house.services.db)
        with pytest.raises(OperationalError):
            tally.write(house.services.db)
    assert len(tally.pending()) == 1
    tally.write_sometimes(house.services.db)
    assert not tally.pending()
    patient = Tally(every_s=3600)
    patient.count(Counter.WEBHOOKS, system="stripe", outcome="taken")
    patient.write_sometimes(house.services.db)
    assert patient.pending()
    with pytest.raises(ValueError, match="short"):
        tally.count(Counter.WEBHOOKS, system="x" * 300)
