"""The planner's laws in Settlement, over the same made-up months as in Plus: any style, any order, any division."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from addon.core.documents import DocumentKind
from addon.core.rules import Mode
from addon.core.settlement import (
    SettlementBy,
    SettlementContra,
    SettlementLines,
    SettlementStyle,
    settled_sales,
)
from tests.core.simulation import Company
from tests.core.test_plan_laws import DAYS, FIRST, LAST, Choices, Month, choices, months, opened, quick, settle

styles = st.builds(
    SettlementStyle,
    lines=st.sampled_from(SettlementLines),
    contra=st.sampled_from(SettlementContra),
    by=st.sampled_from(SettlementBy),
)


def settled(month: Month, chosen: Choices, style: SettlementStyle) -> Company:
    """A company in Settlement that has not fetched anything yet."""
    policy = chosen.policy()
    numbers = {**policy.accounts.numbers, "settlement_contra": "1580"}
    accounts = replace(policy.accounts, numbers=numbers)
    return opened(replace(policy, mode=Mode.SETTLEMENT, settlement=style, accounts=accounts), month, rounds=False)


def assert_books(company: Company) -> None:
    """The clearing account in kronor is what was booked, and no sale has given back more than it brought."""
    assert company.stands_at("1686") == company.sum_of("SEK", "booked")
    facts = (landed.document.facts for landed in company.landed.values())
    for sale in settled_sales(facts, "SEK").values():
        assert not sale.paid < sale.refunded()
        assert all(gross.minor >= 0 and vat.minor >= 0 for gross, vat in sale.left())


@quick
@given(month=months(), chosen=choices, style=styles)
def test_nothing_is_lost_and_the_ledger_agrees(month: Month, chosen: Choices, style: SettlementStyle) -> None:
    company = settled(month, chosen, style)
    for movement, payout in month.movements:
        company.fetch(movement, payout)
    settle(company, LAST + timedelta(days=60))
    assert_books(company)


@quick
@given(month=months(), chosen=choices, style=styles)
def test_day_by_day_or_at_once_books_the_same_sums(month: Month, chosen: Choices, style: SettlementStyle) -> None:
    once, daily = settled(month, chosen, style), settled(month, chosen, style)
    for movement, payout in month.movements:
        once.fetch(movement, payout)
    settle(once, LAST + timedelta(days=60))
    for day in range(DAYS + 1):
        today = FIRST + timedelta(days=day)
        for movement, payout in month.movements:
            if movement.ref not in daily.movements and movement.occurred_at.date() <= today:
                daily.fetch(movement, payout)
        settle(daily, today)
    for movement, payout in month.movements:
        if movement.ref not in daily.movements:
            daily.fetch(movement, payout)
    settle(daily, LAST + timedelta(days=60))
    assert_books(daily)
    kinds = {landed.document.kind for landed in daily.landed.values()}
    assert kinds.isdisjoint({DocumentKind.SALE, DocumentKind.REFUND, DocumentKind.MATCH})
    assert all(once.sum_of(code, "booked") == daily.sum_of(code, "booked") for code in once.currencies())
