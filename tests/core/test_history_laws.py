"""The laws over made-up histories in every mode: what comes late, comes twice, changes its state, or is never booked.

Beside the months of `test_plan_laws`, sales here may have items with tax lines of several rates, and what was fetched
arrives in batches, in any order, while part of what was planned is booked and part still waits for a person. After
every pass `Company` asserts laws 1 and 2 (nothing lost; effects, held and waiting come to the provider's net) and
that the plan is the same from any order; after every booking law 5 (each voucher balances, the clearing account is
what the documents say).
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.core.accounts import AccountMap
from addon.core.money import Money
from addon.core.records import Movement, MovementKind, PayoutState, SaleItem
from addon.core.rules import Mode
from addon.core.settlement import SettlementBy, SettlementContra, SettlementLines, SettlementStyle
from tests.core.samples import sample_policy
from tests.core.simulation import Company
from tests.core.test_plan_laws import FIRST, LAST, Choices, Month, choices, months, opened, settle

BATCHES = 4
PERCENTS = (Decimal(25), Decimal(12), Decimal(6), Decimal(0), Decimal("25.5"))

quick = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@dataclass(frozen=True)
class History:
    """A month as it reaches us: what is fetched in which batch, and what is fetched again."""

    month: Month
    batches: tuple[tuple[int, ...], ...]
    """Which movements come when, by their place in the month; a number may stand in several."""
    first_seen_under_way: frozenset[str]
    """Payouts that the first batches still see on their way."""
    booked_after: tuple[bool, ...]


@st.composite
def histories(draw: st.DrawFn) -> History:
    month = draw(months())
    month.movements = [(_itemised(draw, movement), payout) for movement, payout in month.movements]
    numbers = range(len(month.movements))
    batches: list[list[int]] = [[] for _ in range(BATCHES)]
    for number in numbers:
        batches[draw(st.integers(0, BATCHES - 1))].append(number)
    for number in draw(st.sets(st.sampled_from(numbers), max_size=3)) if numbers else ():
        batches[-1].append(number)
    under_way = draw(st.sets(st.sampled_from([payout.ref for payout in month.payouts]))) if month.payouts else set()
    return History(
        month,
        tuple(tuple(draw(st.permutations(batch))) for batch in batches),
        frozenset(under_way),
        tuple(draw(st.lists(st.booleans(), min_size=BATCHES, max_size=BATCHES))),
    )


def _itemised(draw: st.DrawFn, movement: Movement) -> Movement:
    """A sale with one to three items, taxed at several rates, by rule, or not as it should be."""
    if movement.kind is not MovementKind.SALE or not draw(st.booleans()):
        return movement
    paid = movement.presented or movement.amount
    if paid.minor <= 0:
        return movement
    cuts = sorted(draw(st.lists(st.integers(0, paid.minor), max_size=2)))
    shares = [end - start for start, end in zip([0, *cuts], [*cuts, paid.minor], strict=True)]
    told = draw(st.booleans())
    items = []
    for share in shares:
        gross, percent = Money(share, paid.currency), draw(st.sampled_from(PERCENTS))
        items.append(
            SaleItem(
                "Thing",
                Decimal(draw(st.integers(1, 3))),
                gross,
                tax=gross.tax_included(percent) if told else None,
                percent=percent if told else None,
                country=draw(st.sampled_from(["", "SE", "DE", "FI"])),
                reason=draw(st.sampled_from(["", "", "", "reverse_charge"])),
            )
        )
    return replace(movement, items=tuple(items))


styles = st.builds(
    SettlementStyle,
    st.sampled_from(SettlementLines),
    st.sampled_from(SettlementContra),
    st.sampled_from(SettlementBy),
)


def lived(history: History, chosen: Choices, mode: Mode, style: SettlementStyle) -> Company:
    """A company that has fetched, planned and booked the history, batch by batch, and has come to rest."""
    policy = chosen.policy()
    numbers = {**sample_policy().accounts.numbers, "settlement_contra": "1580"}
    policy = replace(policy, mode=mode, settlement=style, accounts=AccountMap(numbers))
    company = opened(policy, history.month, rounds=chosen.rounds)
    final = dict(company.payouts)
    for ref in history.first_seen_under_way:
        company.payouts[ref] = replace(final[ref], state=PayoutState.UNDER_WAY)
    for number, batch in enumerate(history.batches):
        for place in batch:
            company.fetch(*history.month.movements[place])
        if number == BATCHES - 2:
            company.payouts = dict(final)
        company.plan(FIRST + timedelta(days=2 * number))
        if history.booked_after[number]:
            company.book()
    company.book()
    settle(company, LAST + timedelta(days=6))
    return company


@quick
@given(histories(), choices, st.sampled_from([Mode.PLUS, Mode.SETTLEMENT]), styles)
def test_a_history_keeps_the_laws_in_any_batches(
    history: History, chosen: Choices, mode: Mode, style: SettlementStyle
) -> None:
    company = lived(history, chosen, mode, style)
    assert set(company.states.values()) <= {"booked", "waiting", "held", "nought", "aside"}
    documents, states = set(company.landed), dict(company.states)
    again = company.plan(LAST + timedelta(days=6))
    assert not again.documents, "planning twice gives nothing new"
    assert (set(company.landed), company.states) == (documents, states)


@quick
@given(histories(), choices)
def test_a_vat_number_that_nobody_could_check_keeps_no_sale_waiting_for_ever(history: History, chosen: Choices) -> None:
    month = Month(
        [
            (replace(movement, buyer=replace(movement.buyer, vat_number="DE136695976")), payout)
            if movement.kind is MovementKind.SALE and movement.buyer.country == "DE"
            else (movement, payout)
            for movement, payout in history.month.movements
        ],
        history.month.payouts,
    )
    company = lived(replace(history, month=month), chosen, Mode.PLUS, SettlementStyle())
    settle(company, LAST + timedelta(days=400))
    waiting = {part.movement_ref for part, state in company.states.items() if state == "waiting"}
    assert all(company.movements[ref].kind is not MovementKind.SALE for ref in waiting)
