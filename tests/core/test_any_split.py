"""The same history gives the same vouchers, to the fingerprint, however it was fetched and whenever it was planned.

Once all of it is fetched in one go, weeks later; once day by day, while payouts are on their way and on some days
nothing is booked. Foreign balances are the hard part: what leaves them is worth the average of what lies there.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.core.fixings import CurrencyRules, RateChoice, StandIn
from addon.core.money import Money
from addon.core.records import Buyer, Fee, Itemisation, Movement, MovementKind, PartKind, Payout, PayoutState
from addon.core.rules import Mode
from addon.store.codec import fingerprint
from tests.core.samples import OFFICIAL, fixing, local, sample_policy
from tests.core.simulation import Company

FIRST = date(2026, 3, 2)
DAYS = 8
LATE = FIRST + timedelta(days=DAYS + 14)
ANNA = Buyer("Anna Berg", "anna@example.se", "SE")
RATES = tuple(
    fixing("EUR", FIRST + timedelta(days=day), str(Decimal("11.00") + Decimal(day * day % 5) / 10), source="riksbank")
    for day in range(-9, DAYS + 14)
)


@dataclass(frozen=True)
class Told:
    """What the provider tells: movements with the payout they stand in, and the payouts."""

    movements: tuple[tuple[Movement, str], ...]
    payouts: tuple[Payout, ...]


def sale(number: int, at: datetime, minor: int, fee: int) -> Movement:
    fees = (Fee(PartKind.FEE, Money(fee, "EUR")),) if fee else ()
    return Movement(
        f"txn_{number}",
        MovementKind.SALE,
        Money(minor, "EUR"),
        at,
        source_ref=f"ch_{number}",
        presented=Money(minor, "EUR"),
        fees=fees,
        buyer=ANNA,
    )


KINDS = ("sale", "sale", "sale", "fee", "payout", "manual", "conversion")
LISTED = ("sale", "sale", "fee", "payout")
"""In Settlement what no payout's list names has other rules, which go by how long it has waited."""


@st.composite
def histories(draw: st.DrawFn, kinds: tuple[str, ...] = KINDS) -> Told:
    """Sales and fees in euro, and what takes euro away: payouts with and without a list, and conversions."""
    movements: list[tuple[Movement, str]] = []
    payouts: list[Payout] = []
    balance, unpaid = 0, list[int]()
    minutes = sorted(draw(st.lists(st.integers(0, DAYS * 1440 - 1), min_size=3, max_size=14)))
    for number, minute in enumerate(minutes):
        at = local(FIRST, time(0, 0)) + timedelta(minutes=minute)
        what = draw(st.sampled_from(kinds))
        part = draw(st.sampled_from((1, 1, 2, 3)))
        if what == "sale" or balance <= 200:
            minor, fee = draw(st.integers(300, 90_000)), draw(st.sampled_from((0, 37, 111)))
            movements.append((sale(number, at, minor, fee), ""))
            unpaid.append(len(movements) - 1)
            balance += minor - fee
        elif what == "fee":
            minor = draw(st.sampled_from((100, balance)))
            movements.append((Movement(f"txn_{number}", MovementKind.FEE, Money(-minor, "EUR"), at), ""))
            unpaid.append(len(movements) - 1)
            balance -= minor
        elif what == "conversion":
            gone = balance // part
            home = Money(gone * 11, "SEK")
            for ref, amount in ((f"txn_{number}", Money(-gone, "EUR")), (f"txn_{number}x", home)):
                movements.append((Movement(ref, MovementKind.CONVERSION, amount, at, source_ref=f"cv_{number}"), ""))
            balance -= gone
            unpaid.clear()
        else:
            listed = what == "payout" and bool(unpaid)
            paid = sum(movements[place][0].net().minor for place in unpaid) if listed else balance // part
            if paid <= 0:
                continue
            ref = f"po_{number}"
            for place in unpaid if listed else ():
                movements[place] = (movements[place][0], ref)
            unpaid.clear()  # what a payout by hand may have taken stands in no later one's list
            arrives = at.date() + timedelta(days=draw(st.integers(1, 4)))
            kind = Itemisation.COMPLETE if listed else Itemisation.NONE
            payouts.append(Payout(ref, Money(paid, "EUR"), PayoutState.PAID, at, arrives, kind))
            taken = Movement(f"txn_{number}", MovementKind.PAYOUT, Money(-paid, "EUR"), at, source_ref=ref)
            movements.append((taken, ref if listed else ""))
            balance -= paid
    return Told(tuple(movements), tuple(payouts))


OWN = CurrencyRules(RateChoice.ACCOUNTING)
STAND_IN = CurrencyRules(
    RateChoice.ACCOUNTING, stand_in=StandIn(RateChoice.RIKSBANK, RATES, date(2026, 1, 1), date(2026, 12, 31))
)


def company(rules: CurrencyRules, mode: Mode) -> Company:
    own = rules.source is RateChoice.ACCOUNTING
    policy = sample_policy(mode=mode, currency_rules=rules, rates=() if own else RATES, wait_days=40)
    return Company(policy, own_rates={"EUR": Decimal("11.10")}, own_step=Decimal("0.07"))


def vouchers(one: Company) -> dict[str, tuple[str, str]]:
    return {key: (fingerprint(landed.document), str(landed.books)) for key, landed in sorted(one.landed.items())}


def settle(one: Company) -> None:
    for days in range(30):
        if not (one.plan(LATE + timedelta(days=days)).documents or one.planned):
            return
        one.book()
    raise AssertionError("it does not come to rest")


def in_one_go(told: Told, rules: CurrencyRules, mode: Mode) -> Company:
    one = company(rules, mode)
    one.payouts = {payout.ref: payout for payout in told.payouts}
    for movement, payout_ref in told.movements:
        one.fetch(movement, payout_ref if payout_ref != movement.source_ref else "")
    settle(one)
    return one


def day_by_day(told: Told, rules: CurrencyRules, mode: Mode, booked: list[bool]) -> Company:
    one = company(rules, mode)
    for day in range(DAYS + 6):
        today = FIRST + timedelta(days=day)
        now = local(today, time(14, 0))
        for payout in told.payouts:
            if payout.created_at <= now:
                there = payout.arrival_date is not None and payout.arrival_date <= today
                one.payouts[payout.ref] = payout if there else replace(payout, state=PayoutState.UNDER_WAY)
        for movement, payout_ref in told.movements:
            if movement.occurred_at <= now:
                listed = payout_ref in one.payouts and payout_ref != movement.source_ref
                if movement.ref not in one.movements:
                    one.fetch(movement, payout_ref if listed else "")
                elif listed:
                    one.payout_of[movement.ref] = payout_ref
        one.plan(today)
        if booked[day % len(booked)]:
            one.book()
    settle(one)
    return one


quick = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
sources = st.sampled_from((OFFICIAL, OWN, STAND_IN))
breaks = st.lists(st.booleans(), min_size=1, max_size=5)


@quick
@given(histories(), sources, breaks)
def test_in_one_go_or_day_by_day_it_is_the_same(told: Told, rules: CurrencyRules, booked: list[bool]) -> None:
    whole, parts = in_one_go(told, rules, Mode.PLUS), day_by_day(told, rules, Mode.PLUS, booked)
    assert vouchers(parts) == vouchers(whole)
    assert parts.states == whole.states
    assert set(whole.states.values()) <= {"booked", "waiting", "nought"}


@quick
@given(histories(LISTED), sources, breaks)
def test_so_it_is_where_each_payout_has_its_voucher(told: Told, rules: CurrencyRules, booked: list[bool]) -> None:
    whole, parts = in_one_go(told, rules, Mode.SETTLEMENT), day_by_day(told, rules, Mode.SETTLEMENT, booked)
    assert vouchers(parts) == vouchers(whole)
    assert parts.states == whole.states
