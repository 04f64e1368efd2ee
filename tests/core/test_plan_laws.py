"""The planner's laws over made-up months: nothing lost, any order, any division into days, the same result twice.

`Company.plan` asserts on each plan: parts in are parts out exactly once, the same plan from any order, keys unique and
at most 80 characters, Σ clearing effects + held + waiting = Σ nets. `Company.book` asserts that every voucher balances,
that no invoice of ours stays open, and that the clearing account in kronor is exactly what was booked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.core.books import InvoiceView
from addon.core.dates import booking_date
from addon.core.documents import DocumentKind, PartRef
from addon.core.money import Money
from addon.core.plan import OpenMovement, PayoutFact, Situation, plan
from addon.core.plan.planner import LostPart
from addon.core.records import (
    Buyer,
    Fee,
    Itemisation,
    Movement,
    MovementKind,
    OrderNumber,
    PartKind,
    Payout,
    PayoutState,
)
from addon.core.rules import FeeVat, LockedRule, Mode, Policy
from addon.store.codec import fingerprint
from tests.core.samples import STOCKHOLM, fixing, local, money, sample_books, sample_policy
from tests.core.simulation import Company

FIRST = date(2026, 3, 26)
"""The days go over the change to summer time on the 29th, and over a month end."""
DAYS = 8
LAST = FIRST + timedelta(days=DAYS)

RATES = tuple(
    fixing(currency, FIRST + timedelta(days=day), str(Decimal(rate) + Decimal(day) / 1000), unit)
    for day in range(-3, DAYS + 1)
    for currency, rate, unit in (("EUR", "11.30", 1), ("JPY", "6.38", 100), ("KWD", "31.24", 1), ("USD", "9.58", 1))
)


@dataclass
class Month:
    """What a provider has reported: movements with the payout they belong to, and the payouts."""

    movements: list[tuple[Movement, str]] = field(default_factory=list)
    payouts: list[Payout] = field(default_factory=list)


def instants() -> st.SearchStrategy[datetime]:
    """Any minute of the days, so also around midnight and in the hour that is left out."""
    return st.integers(0, DAYS * 24 * 60 - 1).map(
        lambda minute: local(FIRST).astimezone(UTC) + timedelta(minutes=minute - 720)
    )


BUYERS = st.sampled_from(
    [
        Buyer("Anna Berg", "anna@example.se", "SE"),
        Buyer("Anna B", "ANNA@example.se ", "SE"),
        Buyer("Karl Braun", "karl@example.de", "DE"),
        Buyer("Ola Dahl", "ola@example.no", "NO"),
        Buyer("", "", ""),
        Buyer("Nobody", "", "JP"),
    ]
)


@st.composite
def months(draw: st.DrawFn) -> Month:
    """Sales in several currencies, settled in kronor or staying foreign; refunds of parts; fees; payouts; oddities."""
    month = Month()
    number = 0

    def ref() -> str:
        nonlocal number
        number += 1
        return f"txn_{draw(st.integers(0, 9))}{number:03}"

    for sale in range(draw(st.integers(0, 6))):
        at = draw(instants())
        minor = draw(st.integers(1, 500_000))
        way = draw(st.sampled_from(["SEK", "EUR", "EUR balance", "JPY", "KWD", "JPY on EUR", "other"]))
        paid, amount = _paid(way, minor)
        fee = draw(st.integers(0, 500))
        fees = (Fee(PartKind.FEE, Money(fee, amount.currency)),) if draw(st.booleans()) else ()
        source = f"ch_{sale}"
        movement = Movement(ref(), MovementKind.SALE, amount, at, fees, source, presented=paid, buyer=draw(BUYERS))
        payout = draw(st.sampled_from(["", f"po_{amount.currency}_0", f"po_{amount.currency}_1"]))
        month.movements.append((movement, payout))
        left = (paid or amount).minor
        for part in range(draw(st.integers(0, 3))):
            back = draw(st.integers(1, left)) if left else draw(st.integers(1, 100))
            left = max(0, left - back)
            given_back = Money(-back, (paid or amount).currency)
            effect = given_back if paid is None else _paid_back(given_back, amount, paid)
            month.movements.append(
                (
                    Movement(
                        ref(),
                        MovementKind.REFUND,
                        effect,
                        at + timedelta(minutes=draw(st.integers(-60, 4000))),
                        (),
                        f"re_{sale}_{part}",
                        original_ref=source,
                        presented=given_back if paid else None,
                    ),
                    "",
                )
            )
    for _ in range(draw(st.integers(0, 3))):
        currency = draw(st.sampled_from(["SEK", "EUR", "USD"]))
        amount = Money(draw(st.integers(-3000, 3000)), currency)
        month.movements.append((Movement(ref(), MovementKind.FEE, amount, draw(instants())), ""))
    for kind in draw(st.lists(st.sampled_from(sorted(MovementKind)), max_size=3)):
        if kind not in (MovementKind.PAYOUT, MovementKind.FEE):
            amount = Money(draw(st.integers(-9000, 9000)), draw(st.sampled_from(["SEK", "EUR"])))
            fees = (
                Fee(
                    draw(st.sampled_from([PartKind.FEE_TAX, PartKind.FOREIGN_FEE, PartKind.FEE])),
                    Money(7, amount.currency),
                ),
            )
            odd = Movement(ref(), kind, amount, draw(instants()), fees, "", raw_kind="odd")
            month.movements.append((odd, ""))
    for payout in range(draw(st.integers(0, 3))):
        currency = draw(st.sampled_from(["SEK", "SEK", "EUR"]))
        name = f"po_{currency}_{payout}"
        itemisation = draw(st.sampled_from([Itemisation.NONE, Itemisation.COMPLETE, Itemisation.PENDING]))
        amount = Money(draw(st.integers(-20_000, 200_000).filter(bool)), currency)
        items = Money.total((item.net() for item, of in month.movements if of == name), currency)
        if items and itemisation is Itemisation.COMPLETE and draw(st.booleans()):
            amount = items
        at = draw(instants())
        state = draw(st.sampled_from(list(PayoutState)))
        days = draw(st.sampled_from([None, 0, 1, 4]))
        arrival = None if days is None else booking_date(at, STOCKHOLM) + timedelta(days=days)
        if draw(st.integers(0, 3)):
            month.payouts.append(Payout(name, amount, state, at, arrival, itemisation))
        month.movements.append((Movement(ref(), MovementKind.PAYOUT, -amount, at, (), name), ""))
        if draw(st.booleans()):
            back = Movement(ref(), MovementKind.PAYOUT_REVERSAL, amount, at + timedelta(hours=30), (), name)
            month.movements.append((back, ""))
    return month


def _paid(way: str, minor: int) -> tuple[Money | None, Money]:
    """What the buyer paid (None: the same) and what reached the balance."""
    match way:
        case "EUR":
            return Money(minor, "EUR"), Money(minor * 112 // 10 + 1, "SEK")
        case "JPY":
            return Money(minor, "JPY"), Money(minor * 6 + 1, "SEK")
        case "KWD":
            return Money(minor, "KWD"), Money(minor * 3 + 1, "SEK")
        case "EUR balance":
            return None, Money(minor, "EUR")
        case "JPY on EUR":
            return Money(minor, "JPY"), Money(minor * 6 // 11 + 1, "EUR")
        case "other":
            return Money(minor, "SEK"), Money(minor, "SEK")
        case _:
            return None, Money(minor, "SEK")


def _paid_back(given_back: Money, amount: Money, paid: Money) -> Money:
    return Money(-max(1, -given_back.minor * amount.minor // paid.minor), amount.currency)


@dataclass(frozen=True)
class Choices:
    """What the company has chosen; a failing example shows this instead of a whole policy with its books."""

    locked: bool
    rule: LockedRule
    inactive: str
    fee_vat: FeeVat
    collective: bool
    rounds: bool

    def policy(self) -> Policy:
        books = sample_books(inactive=[self.inactive])
        return sample_policy(
            rates=RATES,
            books=replace(books, locked_through=FIRST + timedelta(days=2) if self.locked else None),
            locked_rule=self.rule,
            fee_vat=self.fee_vat,
            collective_customers=self.collective,
            rounds_to_whole=self.rounds,
            wait_days=30,
        )


choices = st.builds(
    Choices,
    locked=st.booleans(),
    rule=st.sampled_from(LockedRule),
    inactive=st.sampled_from(["", "", "6570", "3105"]),
    fee_vat=st.sampled_from(FeeVat),
    collective=st.booleans(),
    rounds=st.booleans(),
)


def opened(policy: Policy, month: Month, rounds: bool) -> Company:
    company = Company(policy, rounds=rounds)
    for payout in month.payouts:
        company.payouts[payout.ref] = payout
    return company


def settle(company: Company, today: date) -> None:
    """Run until nothing more comes of it."""
    for _ in range(12):
        before = dict(company.states)
        company.plan(today)
        company.book()
        if company.states == before:
            return
    raise AssertionError("planning never comes to rest")


def all_keys(company: Company) -> set[str]:
    return {landed.document.key for landed in company.landed.values()}


quick = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@quick
@given(months(), choices, st.booleans())
def test_all_at_once_or_day_by_day_the_same_documents(month: Month, chosen: Choices, rounds: bool) -> None:
    at_once = opened(chosen.policy(), month, rounds)
    for movement, payout in month.movements:
        at_once.fetch(movement, payout)
    settle(at_once, LAST + timedelta(days=6))

    by_day = opened(chosen.policy(), month, rounds)
    movements = sorted(month.movements, key=lambda entry: (entry[0].occurred_at, entry[0].ref))
    for offset in range(-2, DAYS + 5):
        day = FIRST + timedelta(days=offset)
        for movement, payout in movements:
            if booking_date(movement.occurred_at, STOCKHOLM) == day:
                by_day.fetch(movement, payout)
        by_day.plan(day + timedelta(days=1))
        by_day.book()
    settle(by_day, LAST + timedelta(days=6))

    assert set(by_day.movements) == set(at_once.movements)
    assert all_keys(by_day) == all_keys(at_once)
    assert by_day.states == at_once.states
    dated = {landed.document.key: landed.document.booking_date for landed in at_once.landed.values()}
    for landed in by_day.landed.values():
        assert landed.document.booking_date == dated[landed.document.key]
    for currency in at_once.currencies():
        if currency == "SEK":
            assert by_day.stands_at("1686") == at_once.stands_at("1686")


@quick
@given(months(), choices, st.data())
def test_two_halves_of_what_is_open_make_the_same_documents(month: Month, chosen: Choices, data: st.DataObject) -> None:
    whole, halves = opened(chosen.policy(), month, rounds=False), opened(chosen.policy(), month, rounds=False)
    for company in (whole, halves):
        for movement, payout in month.movements:
            company.fetch(movement, payout)
    today = LAST + timedelta(days=6)
    settle(whole, today)
    halves.plan(today, until=FIRST + timedelta(days=data.draw(st.integers(-1, DAYS))))
    halves.book()
    settle(halves, today)
    assert all_keys(halves) == all_keys(whole)
    assert halves.states == whole.states


@quick
@given(months(), choices, st.randoms(use_true_random=False))
def test_the_same_input_makes_the_same_plan_in_any_order(month: Month, chosen: Choices, random: Any) -> None:
    company = opened(replace(chosen.policy(), today=LAST), month, rounds=False)
    for movement, payout in month.movements:
        company.fetch(movement, payout)
    situation = company.situation()
    first = plan(situation, company.policy)
    shuffled = list(situation.movements)
    random.shuffle(shuffled)
    again = plan(replace(situation, movements=tuple(shuffled)), company.policy)
    assert again == first
    assert [fingerprint(document) for document in again.documents] == [
        fingerprint(document) for document in first.documents
    ]


@quick
@given(months(), choices)
def test_nothing_waits_for_ever(month: Month, chosen: Choices) -> None:
    """A year later only what is under way elsewhere still waits: a payout that the provider says so of."""
    company = opened(replace(chosen.policy(), rates=(), wait_days=14), month, rounds=False)
    company.own_rates = {
        "EUR": Decimal("11.31"),
        "JPY": Decimal("0.0641"),
        "KWD": Decimal("31.2"),
        "USD": Decimal("9.6"),
    }
    for movement, payout in month.movements:
        company.fetch(movement, payout)
    settle(company, LAST)
    company.plan(LAST + timedelta(days=365))
    company.book()
    settle(company, LAST + timedelta(days=365))
    under_way = {payout.ref for payout in month.payouts if payout.state is PayoutState.UNDER_WAY}
    for part, state in company.states.items():
        if state == "waiting":
            assert company.movements[part.movement_ref].source_ref in under_way


@quick
@given(st.data())
def test_basic_pays_no_invoice_beyond_its_total(data: st.DataObject) -> None:
    """Payments and refunds of a few orders, some paid twice, in any division into days: no balance passes nought."""
    company = Company(sample_policy(mode=Mode.BASIC, tolerance_minor=data.draw(st.sampled_from([0, 50]))))
    for number in range(4):
        total = Money(data.draw(st.integers(-5, 5).filter(bool)) * 1000, "SEK")
        company.invoices[str(number)] = InvoiceView(
            str(number),
            "SEK",
            total,
            total,
            Decimal(0),
            Decimal(1),
            1,
            booked=data.draw(st.integers(0, 9)) > 0,
            cancelled=data.draw(st.integers(0, 9)) == 0,
            invoice_date=FIRST + timedelta(days=data.draw(st.integers(0, 3))),
            order_number=data.draw(st.sampled_from(["A", "B", "C"])),
        )
    before = {number: view.balance for number, view in company.invoices.items()}
    for day in range(4):
        for index in range(data.draw(st.integers(0, 3))):
            amount = Money(
                data.draw(st.integers(-3, 5).filter(bool)) * 1000 - data.draw(st.sampled_from([0, 30])), "SEK"
            )
            kind = MovementKind.SALE if amount.minor > 0 else MovementKind.REFUND
            order = OrderNumber("metadata.order_id", data.draw(st.sampled_from(["A", "B", "C", "D"])))
            at = local(FIRST + timedelta(days=day)) + timedelta(minutes=index)
            company.fetch(
                Movement(f"txn_{day}{index}", kind, amount, at, (), f"ch_{day}{index}", order_numbers=(order,))
            )
        company.plan(FIRST + timedelta(days=day))
        if data.draw(st.booleans()):
            company.book()
    settle(company, FIRST + timedelta(days=4))
    company.book()
    for number, view in company.invoices.items():
        opening = before[number]
        assert (view.balance.minor >= 0) if opening.minor > 0 else (view.balance.minor <= 0)
        assert abs(view.balance) <= abs(opening)
        if view.balance != opening:
            assert view.booked
            assert not view.cancelled
            assert not view.balance


@quick
@given(st.data())
def test_payments_of_one_order_match_the_same_in_any_division_into_days(data: st.DataObject) -> None:
    amounts = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    balance = data.draw(st.integers(1, 12))
    ends = []
    for daily in (True, False):
        company = Company(sample_policy(mode=Mode.BASIC))
        total = Money(balance * 1000, "SEK")
        company.invoices["51"] = InvoiceView(
            "51", "SEK", total, total, Decimal(0), Decimal(1), 1, True, False, FIRST, order_number="A"
        )
        for day, amount in enumerate(amounts):
            at = local(FIRST + timedelta(days=day))
            order = (OrderNumber("metadata.order_id", "A"),)
            sale = Movement(
                f"txn_{day}", MovementKind.SALE, Money(amount * 1000, "SEK"), at, (), f"ch_{day}", order_numbers=order
            )
            company.fetch(sale)
            if daily:
                settle(company, FIRST + timedelta(days=day))
        settle(company, FIRST + timedelta(days=len(amounts)))
        ends.append((all_keys(company), company.states, company.invoices["51"].balance))
    assert ends[0] == ends[1]


# --- guards -----------------------------------------------------------------------------------------------------


def entry(movement: Movement, parts: Iterable[str] = ("amount",)) -> OpenMovement:
    return OpenMovement(movement, frozenset(parts), LAST)


SALE = Movement("txn_1", MovementKind.SALE, money("100.00 SEK"), local(FIRST), (), "ch_1")


def test_a_movement_given_twice_is_refused() -> None:
    with pytest.raises(LostPart):
        plan(Situation((entry(SALE), entry(SALE))), sample_policy())


def test_a_part_that_the_movement_does_not_have_is_refused() -> None:
    with pytest.raises(LostPart):
        plan(Situation((entry(SALE, ["amount", "fee/0"]),)), sample_policy())


def test_only_open_parts_are_planned() -> None:
    movement = replace(SALE, fees=(Fee(PartKind.FEE, money("3.00 SEK")), Fee(PartKind.FEE, money("2.00 SEK"))))
    result = plan(Situation((entry(movement, ["fee/1"]),)), sample_policy())
    assert [document.parts for document in result.documents] == [(PartRef("txn_1", "fee/1"),)]
    assert result.documents[0].total == money("-2.00 SEK")


def test_keys_stay_within_eighty_characters_whatever_the_reference() -> None:
    long = "x" * 250
    company = Company(sample_policy())
    company.fetch(replace(SALE, source_ref=f"ch_{long}"))
    company.fetch(replace(SALE, ref="txn_2", source_ref=f"ch_{long}y"))
    company.plan(LAST)
    assert len(company.planned) == 2


def test_a_movement_without_a_source_is_named_after_itself() -> None:
    company = Company(sample_policy())
    company.fetch(replace(SALE, source_ref=""))
    company.fetch(replace(SALE, source_ref="", ref="txn_2"))
    company.plan(LAST)
    assert set(company.planned) == {"stripe/txn_1/sale", "stripe/txn_2/sale"}


def test_a_buyers_country_that_is_none_makes_no_customer_of_its_own() -> None:
    company = Company(sample_policy(collective_customers=True, export_without_vat=False))
    company.fetch(replace(SALE, buyer=Buyer("A", "a@example.com", "the moon, " * 30)))
    company.plan(LAST)
    (document,) = company.planned.values()
    assert document.steps[0].key == "customer/collective/SE/SE25"


def test_unsearched_movements_of_basic_wait() -> None:
    sale = replace(SALE, order_numbers=(OrderNumber("metadata.order_id", "1001"),))
    result = plan(Situation((entry(sale),)), sample_policy(mode=Mode.BASIC, today=LAST))
    assert [wait.reason.value for wait in result.waits] == ["invoice"]


def test_two_order_numbers_that_lead_to_one_invoice_pay_it_once() -> None:
    """One finds it by its order number, the other by its OCR: the first by order number has it, in any order."""
    sales = [
        replace(SALE, ref=f"txn_{order}", source_ref=f"ch_{order}", order_numbers=(OrderNumber("description", order),))
        for order in ("2002", "1001")
    ]
    total = money("100.00 SEK")
    invoice = InvoiceView("51", "SEK", total, total, Decimal(0), Decimal(1), 1, True, False, FIRST, ocr="2002")
    for movements in (sales, sales[::-1]):
        situation = Situation(
            tuple(entry(sale) for sale in movements), matches={sale.ref: (invoice,) for sale in movements}
        )
        result = plan(situation, sample_policy(mode=Mode.BASIC))
        assert [document.key for document in result.documents] == ["stripe/ch_1001/match"]
        assert [(hold.parts[0].movement_ref, hold.reason.value) for hold in result.holds] == [
            ("txn_2002", "already_paid")
        ]


def test_the_order_of_places_decides_which_order_number() -> None:
    numbers = (
        OrderNumber("description", "2"),
        OrderNumber("metadata.order_id", "1"),
        OrderNumber("metadata.order_id", "3"),
        OrderNumber("elsewhere", "4"),
    )
    for places, wanted in ((("metadata.order_id", "description"), "1"), (("description",), "2"), (("none",), "")):
        policy = sample_policy(order_places=places)
        result = plan(Situation((entry(replace(SALE, order_numbers=numbers)),)), policy)
        assert dict(result.documents[0].facts)["order_number"] == wanted


def test_several_fixings_of_one_day_are_told_apart_by_their_source_not_their_order() -> None:
    rates = (fixing("EUR", FIRST, "11.40", source="b"), fixing("EUR", FIRST, "11.30", source="a"))
    movement = Movement("txn_1", MovementKind.FEE, money("-10.00 EUR"), local(FIRST))
    plans = [
        plan(Situation((entry(movement),)), sample_policy(rates=order, today=LAST)) for order in (rates, rates[::-1])
    ]
    assert plans[0] == plans[1]


def test_a_payout_is_not_booked_before_it_arrives() -> None:
    payout = Payout("po_1", money("100.00 SEK"), PayoutState.PAID, local(FIRST), LAST, Itemisation.NONE)
    movement = Movement("txn_1", MovementKind.PAYOUT, money("-100.00 SEK"), local(FIRST), (), "po_1")
    situation = Situation((entry(movement),), payouts={"po_1": PayoutFact(payout, None, 0)})
    early = plan(situation, sample_policy(today=LAST - timedelta(days=1)))
    assert [wait.until for wait in early.waits] == [LAST]
    on_time = plan(situation, sample_policy(today=LAST))
    assert [(document.kind, document.booking_date) for document in on_time.documents] == [(DocumentKind.PAYOUT, LAST)]
    assert plan(situation, sample_policy(today=LAST + timedelta(days=90))).documents == on_time.documents


def test_a_foreign_payout_waits_while_its_opening_has_no_value_and_is_held_when_none_comes() -> None:
    payout = Payout("po_1", money("100.00 EUR"), PayoutState.PAID, local(FIRST), FIRST, Itemisation.NONE)
    movement = Movement("txn_1", MovementKind.PAYOUT, money("-100.00 EUR"), local(FIRST), (), "po_1")
    known = Situation((entry(movement),), payouts={"po_1": PayoutFact(payout, None, 0)})
    unknown = replace(known, unvalued=frozenset({"EUR"}))
    policy = sample_policy(today=FIRST, rates=(fixing("EUR", FIRST, "11.40"),))
    assert [document.kind for document in plan(known, policy).documents] == [DocumentKind.PAYOUT]
    assert [wait.reason.value for wait in plan(unknown, policy).waits] == ["rate"]
    assert [hold.reason.value for hold in plan(unknown, replace(policy, today=LAST + timedelta(days=60))).holds] == [
        "no_rate"
    ]


def test_a_reversal_of_another_amount_than_its_payout_is_held() -> None:
    payout = Payout("po_1", money("100.00 SEK"), PayoutState.FAILED, local(FIRST), FIRST, Itemisation.NONE)
    company = Company(sample_policy())
    company.payouts["po_1"] = payout
    company.fetch(Movement("txn_1", MovementKind.PAYOUT, money("-100.00 SEK"), local(FIRST), (), "po_1"))
    back = local(FIRST + timedelta(days=1))
    company.fetch(Movement("txn_2", MovementKind.PAYOUT_REVERSAL, money("99.00 SEK"), back, (), "po_1"))
    result = company.plan(LAST)
    assert [hold.reason.value for hold in result.holds] == ["payout_not_proved"]


def test_sales_and_refunds_of_the_wrong_sign_are_held() -> None:
    company = Company(sample_policy())
    company.fetch(replace(SALE, amount=money("-100.00 SEK")))
    company.fetch(replace(SALE, ref="txn_2", source_ref="ch_2"))
    company.plan(LAST)
    company.book()
    wrong = Movement("txn_3", MovementKind.REFUND, money("5.00 SEK"), local(FIRST), (), "re_1", original_ref="ch_2")
    company.fetch(wrong)
    result = company.plan(LAST)
    assert [hold.reason.value for hold in result.holds] == ["wrong_sign", "wrong_sign"]


def test_an_amount_told_twice_and_differently_is_held() -> None:
    company = Company(sample_policy())
    company.fetch(replace(SALE, presented=money("99.00 SEK")))
    assert [hold.reason.value for hold in company.plan(LAST).holds] == ["amount_differs"]
