"""One seed's story: what happens to a company and to its Kvitt, drawn by lot, and the laws that hold throughout."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from addon.core.delivery import DeliveryState, PartState
from addon.jobs import schedule
from addon.sandbox.fortnox.errors import ApiError
from addon.sandbox.fortnox.faults import Fault as FortnoxFault
from addon.sandbox.stripe import NotPossible
from addon.sandbox.stripe.faults import Fault as StripeFault
from addon.services import due, runs
from addon.store.models import DocumentRow, MovementRow, PartRow, ProofRow, RunRow
from tests.flow.house import House
from tests.simulation.virtual import Death, Process, Virtual
from tests.support.town import Town

FORTNOX_FAULTS = (
    "lost_before",
    "lost_after",
    "error_500_before",
    "error_500_after",
    "html_502_before",
    "html_502_after",
    "truncated_json",
    "unauthorized",
    "internal_1000029",
    "internal_1000029_after",
    "rate_limited",
    "slow",
    "zombie",
)
FORTNOX_CALLS = (
    "POST /3/customers$",
    "POST /3/invoices$",
    "PUT /3/invoices/[0-9]+/bookkeep$",
    "PUT /3/invoices/[0-9]+/credit$",
    "POST /3/invoicepayments$",
    "PUT /3/invoicepayments/[0-9]+/bookkeep$",
    "POST /3/vouchers$",
    "GET /3/",
    "POST /oauth-v1/token$",
)


class Story:
    """A company in Plus, whose Kvitt runs in processes that come and go."""

    def __init__(self, here: Virtual, seed: int) -> None:
        self.here = here
        self.chance = random.Random(f"story/{seed}")
        self.worker = here.process()
        business = here.world.add_business("Fjällbutiken AB", "556677-8899", balance_currencies=("sek",))
        town = Town(here.world, None, self.worker.services)  # type: ignore[arg-type]
        self.house = House(town, business)
        self.charges: list[str] = []
        self.disputes: list[str] = []
        self.meddled = False
        """Whether a person has changed a document of ours: then some of it may be left to them."""
        business.fortnox.person_adds_currency("EUR")
        self.house.opens("plus")

    # --- what may happen -----------------------------------------------------------------------------------

    def steps(self) -> tuple[tuple[Callable[[], None], int], ...]:
        """What may happen, and how often each does beside the others."""
        return (
            (self.sale, 6),
            (self.refund, 3),
            (self.dispute, 1),
            (self.days_go_by, 3),
            (self.fault, 6),
            (self.work, 5),
            (self.work_and_die, 8),
            (self.work_in_two_processes, 3),
            (self.clocks_differ, 1),
            (self.repeat_a_nudge, 1),
            (self.person_meddles, 1),
            (self.period_is_locked_for_a_while, 1),
        )

    def step(self) -> None:
        """One thing happens; then the laws that hold at every moment are looked at."""
        does, weights = zip(*self.steps(), strict=True)
        self.chance.choices(does, weights)[0]()
        self.laws()

    def sale(self) -> None:
        amount, currency = self.chance.randint(50, 5_000) * 100, self.chance.choice(("sek", "sek", "eur"))
        buyer = self.chance.randint(1, 4)
        at = self.here.world.clock.now() - timedelta(seconds=60)
        charge = self.house.stripe.charge(
            amount,
            currency,
            email=f"b{buyer}@example.com",
            name=f"Buyer {buyer}",
            metadata={"order_id": str(1000 + len(self.charges))},
            at=at,
        )
        self.charges.append(charge)
        self.here.told(f"sale {charge}")

    def refund(self) -> None:
        if self.charges:
            charge = self.chance.choice(self.charges)
            part = self.chance.choice((None, 10_00, 1_00))
            try:
                self.house.stripe.refund(charge, part)
            except NotPossible:
                return
            self.here.told(f"refund of {charge}: {part or 'all'}")

    def dispute(self) -> None:
        if self.disputes and self.chance.random() < 0.6:
            closes = self.chance.choice((self.house.stripe.win, self.house.stripe.lose))
            try:
                closes(self.disputes.pop())
            except NotPossible:
                return
        elif self.charges:
            try:
                self.disputes.append(self.house.stripe.dispute(self.chance.choice(self.charges)))
            except NotPossible:
                return
            self.here.told("dispute")

    def days_go_by(self) -> None:
        days = self.chance.choice((0.02, 0.2, 1, 1, 3))
        self.here.passes(days * 86_400)
        self.here.told(f"{days} days later")

    def fault(self) -> None:
        if self.chance.random() < 0.2:
            kind = self.chance.choice(("lost_before", "lost_after"))
            self.here.world.stripe.faults.add(StripeFault(kind, "GET /v1/"))  # type: ignore[arg-type]
            self.here.told(f"Stripe: {kind}")
            return
        kind, call = self.chance.choice(FORTNOX_FAULTS), self.chance.choice(FORTNOX_CALLS)
        seconds = {"slow": 20, "zombie": self.chance.choice((5, 300, 2000, 40_000)), "rate_limited": 5}.get(kind, 0)
        self.here.world.fortnox.faults.add(FortnoxFault(kind, call, seconds=seconds))
        self.here.told(f"Fortnox: {kind} {seconds} at {call}")

    def work(self) -> None:
        self.sweep()
        self.slices(self.worker, self.chance.randint(1, 4))

    def work_and_die(self) -> None:
        self.sweep()
        self.worker.left = self.chance.randint(0, 90)
        self.slices(self.worker, 3)
        self.worker.left = None

    def work_in_two_processes(self) -> None:
        """In the middle of a call of one, another begins: at once, or when the first one's lease has run out."""
        self.sweep()
        other = self.here.process(skew_s=self.chance.choice((-90, -3, 0, 3, 90)))
        asleep_s = self.chance.choice((0, 0, 5, 70, 181, 900))

        def meanwhile() -> None:
            self.here.told(f"another process comes {asleep_s} s later")
            self.here.passes(asleep_s)
            self.slices(other, 2)

        self.here.meanwhile = meanwhile
        self.slices(self.worker, 2)
        self.here.meanwhile = None

    def clocks_differ(self) -> None:
        """The database's clock is put right, or wrong."""
        self.here.database_ahead = timedelta(seconds=self.chance.choice((-30, 0, 2, 45)))
        self.here.told(f"the database's clock is {self.here.database_ahead} ahead")

    def repeat_a_nudge(self) -> None:
        for _ in range(3):
            self.alive(lambda: runs.want(self.worker.services, self.house.company_id, "webhook"))

    def person_meddles(self) -> None:
        books = self.house.books
        ours = [one for one in self.house.our_invoices() if not one.booked]
        pending = [number for number, payment in books.payments.items() if not payment.booked]
        try:
            if ours and self.chance.random() < 0.7:
                invoice = self.chance.choice(ours)
                does = self.chance.choice((books.person_books_invoice, books.person_cancels_invoice))
                does(invoice.number)
            elif pending:
                books.person_deletes_payment(self.chance.choice(pending))
            else:
                return
        except ApiError:
            return
        self.meddled = True
        self.here.told("a person meddles")

    def period_is_locked_for_a_while(self) -> None:
        self.house.books.lock_period(self.here.world.fortnox.today() - timedelta(days=self.chance.randint(0, 20)))
        self.work()
        self.house.books.lock_period(None)
        self.here.told("the period was locked for a while")

    # --- Kvitt ---------------------------------------------------------------------------------------------

    def alive(self, does: Callable[[], Any]) -> bool:
        """Do it in the worker; one that dies of it is replaced."""
        try:
            does()
        except Death:
            return False
        finally:
            self.replace_the_dead()
        return True

    def replace_the_dead(self) -> None:
        """A worker that died is started again, on whichever machine."""
        if self.worker.dead:
            self.worker = self.here.process(skew_s=self.chance.choice((-20, 0, 20)))
            self.house.town.services = self.worker.services

    def sweep(self) -> None:
        """The clock ticks."""
        self.alive(lambda: schedule.tick(self.worker.services, None))

    def slices(self, process: Process, most: int) -> None:
        """What a worker does with a nudge."""
        try:
            for _ in range(most):
                if not due.has_work(process.services, self.house.company_id):
                    return
                result = runs.run_slice(process.services, self.house.company_id)
                if result.busy or not result.more:
                    return
                if result.retry_in_s > 60:
                    due.come_back(process.services, self.house.company_id, result.retry_in_s)
                    return
                due.wish(process.services, self.house.company_id)
                self.here.passes(result.retry_in_s)
        except Death:
            return
        finally:
            self.replace_the_dead()

    # --- the end -------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """No more faults: what is late arrives, nights go by, a person presses what there is to press."""
        world = self.here.world
        world.fortnox.faults.clear()
        world.stripe.faults.clear()
        self.here.database_ahead = timedelta(0)
        world.fortnox.run_zombies()
        self.nights(1)
        self.house.retries()
        self.nights(1)
        if self.meddled:
            self.house.sets_aside()
            self.nights(1)

    def nights(self, number: int) -> None:
        """So many daily runs, each to its end."""
        for _ in range(number):
            self.here.passes(86_400)
            runs.want(self.worker.services, self.house.company_id, "clock")
            for _ in range(60):
                self.sweep()
                self.slices(self.worker, 20)
                if not due.has_work(self.worker.services, self.house.company_id):
                    break
                self.here.passes(200)

    # --- the laws ------------------------------------------------------------------------------------------

    def laws(self) -> None:
        """What holds at every moment, in the rows and in the books."""
        self.house.books.check()
        booked = Counter(
            (invoice.text("ExternalInvoiceReference1"), invoice.total < 0)
            for invoice in self.house.our_invoices()
            if invoice.booked
        )
        if not self.meddled:
            assert not [key for key, number in booked.items() if number > 1], booked
        with self.house.rows() as session:
            parts = session.scalar(select(func.coalesce(func.sum(PartRow.amount_minor), 0)))
            nets = session.scalar(select(func.coalesce(func.sum(MovementRow.net_minor), 0)))
            assert parts == nets, "a part is lost, or counted twice"
            query = select(PartRow.state, DocumentRow.state).outerjoin(
                DocumentRow, DocumentRow.id == PartRow.document_id
            )
            states = {(state, document) for state, document in session.execute(query.distinct())}
            differences = list(session.scalars(select(ProofRow.difference_minor).where(ProofRow.difference_minor != 0)))
        assert {state for state, _ in states} <= {state.value for state in PartState}, states
        for state, document in states:
            if state == PartState.BOOKED.value:
                assert document == DeliveryState.BOOKED.value, states
        assert not differences, "books and provider do not agree"

    def ends_well(self) -> None:
        """What holds when the dust has settled."""
        house = self.house
        self.laws()
        with house.rows() as session:
            open_runs = list(session.scalars(select(RunRow.id).where(RunRow.state == "running")))
            unexplained = list(session.scalars(select(PartRow.id).where(PartRow.state == "held", PartRow.reason == "")))
            stuck = list(session.scalars(select(PartRow.id).where(PartRow.state.in_(("open", "planned")))))
        assert not open_runs, "a run that does not end"
        assert not unexplained
        assert not stuck, "parts that nobody decides about"
        house.proves()
        if self.meddled:
            return
        house.all_is_well()
        assert not house.held(), house.town.held(house.company_id)
