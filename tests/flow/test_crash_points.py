"""A process that stops at any instant of a remote write: before the call, after it, before the commit.

What was under way is found by looking, whoever comes later. Leases and quarantines run out at once here: the rows
are aged instead of waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from addon.connectors.fortnox.accounting import FortnoxAccounting
from addon.services import delivery, runs, undoing
from addon.store.models import DeliveryRow
from tests.flow.house import Bed, House
from tests.support.town import WHO, time_goes_by

STEPS = (
    "create_customer",
    "create_invoice",
    "round_invoice",
    "book_invoice",
    "credit_invoice",
    "date_credit_note",
    "create_payment",
    "book_payment",
    "post_voucher",
)


class Stop(BaseException):
    """The process is gone. No handler of ours may catch it."""


class Stops:
    """Where the process is still to stop, once each; `struck` are the places where it did."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.left = set(STEPS)
        self.struck: list[str] = []
        self.lock = threading.Lock()

    def at(self, point: str, kind: str) -> None:
        with self.lock:
            if point != self.point or kind not in self.left:
                return
            self.left.discard(kind)
            self.struck.append(kind)
        raise Stop(f"{point} {kind}")


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Stops]:
    """Lets the process die at a point of its way to the accounting system and back."""

    def begin(point: str) -> Stops:
        stops = Stops(point)
        perform, look_up, recorded = FortnoxAccounting.perform, FortnoxAccounting.look_up, delivery._recorded

        def performing(system: Any, step: Any, known: Any) -> Any:
            stops.at("before the call", step.kind)
            answer = perform(system, step, known)
            stops.at("after the call", step.kind)
            return answer

        def looking(system: Any, step: Any, known: Any) -> Any:
            found = look_up(system, step, known)
            stops.at("while looking", step.kind)
            return found

        def recording(work: Any, session: Any, claimed: Any, *arguments: Any) -> Any:
            result = recorded(work, session, claimed, *arguments)
            stops.at("before the commit", claimed.step.kind)
            return result

        monkeypatch.setattr(FortnoxAccounting, "perform", performing)
        monkeypatch.setattr(FortnoxAccounting, "look_up", looking)
        monkeypatch.setattr(delivery, "_recorded", recording)
        return stops

    return begin


def runs_until_it_is_done(house: House, most: int = 30, run_id: int | None = None) -> int:
    """Run, die, and be started again; how many times it died. With `run_id`: that run, until it has ended."""
    for deaths in range(most):
        try:
            view = runs.run_to_end(house.town.services, house.company_id, run_id=run_id, patience_s=200)
            assert view.state == "done", view
        except Stop:
            time_goes_by(house.town, house.company_id)
        else:
            return deaths
    raise AssertionError(f"not done after {most} deaths")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "database"),
    [
        ("before the call", "sqlite"),
        ("after the call", "sqlite"),
        ("before the commit", "sqlite"),
        pytest.param("after the call", "postgres", marks=pytest.mark.postgres),
    ],
    indirect=["database"],
)
def test_wherever_the_process_stops_each_document_stands_once(
    bed: Bed, stopping: Callable[[str], Stops], point: str
) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.books.settings.rounds_to_whole_krona = True
    charge = house.sells("2026-03-02", 1_000_30)
    house.refunds(charge, "2026-03-04")
    house.sells("2026-03-03", 400_00)
    house.opens("plus")
    stops = stopping(point)
    deaths = runs_until_it_is_done(house)
    assert sorted(stops.struck) == sorted(STEPS)
    assert deaths > 3
    assert len(house.books.customers) == 2
    assert len(house.books.invoices) == 3
    assert len(house.books.payments) == 3
    house.all_is_well()


UNDOING = {"create_invoice", "book_invoice", "credit_invoice", "create_payment", "book_payment", "post_voucher"}
"""Steps that an undo of a sale, a credit note and a payout is made of, at the least."""


@pytest.mark.slow
@pytest.mark.parametrize("point", ["before the call", "after the call", "before the commit"])
def test_wherever_an_undo_stops_it_is_finished_and_each_document_is_taken_back_once(
    bed: Bed, stopping: Callable[[str], Stops], point: str
) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.refunds(house.sells("2026-03-02", 1_000_00), "2026-03-04", 400_00)
    house.sells("2026-03-03", 400_00)
    house.opens("plus")
    run = house.runs().id
    standing = {row.key for row in house.documents()}
    services, company = house.town.services, house.company_id
    made = runs.want_undo(services, company, run, WHO, looks=False)
    stops = stopping(point)
    deaths = runs_until_it_is_done(house, run_id=made)
    assert set(stops.struck) >= UNDOING, stops.struck
    assert deaths >= 2
    assert {row.key for row in house.documents("undo")} == {f"{key}/undo" for key in standing}
    assert not undoing.outcome(services, company, made).left
    for number in (1686, 1930, 3001, 2611, 6570):
        assert house.books.balance(number) == 0, number
    house.nothing_twice()
    house.proves()
    house.books.check()
    runs_until_it_is_done(house)
    assert {row.key for row in house.documents("undo")} == {f"{key}/undo" for key in standing}


def test_a_process_that_stops_while_it_looks_looks_again(bed: Bed, stopping: Callable[[str], Stops]) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00)
    house.opens("plus")
    house.fault("lost_after", "POST /3/invoices$")
    house.fault("lost_before", "POST /3/invoicepayments$")
    stops = stopping("while looking")
    runs_until_it_is_done(house)
    assert {"create_invoice", "create_payment"} <= set(stops.struck)
    house.all_is_well()


def test_a_wrong_invoice_is_not_booked_though_the_process_stops_before_it_is_withdrawn(
    plus: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    plus.sells("2026-03-18", 100_00, "eur")
    plus.world.fortnox.switches.currency_rate_forced_to_one = True
    plus.opens(rate_source="accounting")

    def stop(*_: Any) -> None:
        raise Stop("before the withdrawal")

    with monkeypatch.context() as patch:
        patch.setattr(delivery, "_withdraw", stop)
        with pytest.raises(Stop):
            plus.runs()
    time_goes_by(plus.town, plus.company_id)
    plus.runs()
    assert plus.held() == ["rate_differs"]
    plus.retries()
    plus.runs()
    assert plus.held() == ["rate_differs"], "found where it was left, and compared again"
    assert not plus.journal(series="B")
    plus.proves()


def test_a_crash_that_keeps_the_lease_is_waited_out_by_the_next_worker(plus: House) -> None:
    """No aging here: what the dead worker held is free when its time is over, by the database's clock."""
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    from addon.store import leases

    with plus.town.services.db.company(plus.company_id) as session:
        assert leases.take(session, plus.company_id, "a dead worker", 1.5)
    plus.runs()
    plus.all_is_well()


def test_a_worker_that_slept_through_its_lease_writes_nothing(plus: House, monkeypatch: pytest.MonkeyPatch) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    slept = iter([100.0])
    fitted = delivery._fitted
    clock = delivery.monotonic_time

    class Clock:
        """The monotonic clock of a machine that was suspended once."""

        ahead = 0.0

        def monotonic(self) -> float:
            return clock.monotonic() + self.ahead

    sleeper = Clock()

    def suspended(step: Any, known: Any, desk: Any) -> Any:
        if step.kind == "create_invoice":
            sleeper.ahead = next(slept, sleeper.ahead)
        return fitted(step, known, desk)

    monkeypatch.setattr(delivery, "monotonic_time", sleeper)
    monkeypatch.setattr(delivery, "_fitted", suspended)
    plus.runs()
    with plus.rows() as session:
        (attempts,) = session.scalars(select(DeliveryRow.attempt).where(DeliveryRow.kind == "create_invoice"))
    assert attempts == 2
    plus.all_is_well()
