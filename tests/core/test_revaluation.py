"""The end of a year: when a foreign balance is valued, at which rate, and what waits for it."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from addon.core.documents import Document, PostVoucher
from addon.core.fixings import CurrencyRules, RateChoice
from addon.core.holds import Wait, WaitReason
from addon.core.money import Money
from addon.core.plan import Carrying, PayoutFact, Situation, plan
from addon.core.plan.revaluation import comes_after, plan_revaluation
from addon.core.plan.situation import CannotBook, Holding, OpenMovement, YearEnd
from addon.core.records import Itemisation, Movement, MovementKind, Payout, PayoutState
from tests.core.samples import fixing, local, money, sample_policy

LAST = date(2025, 12, 31)
END = YearEnd("EUR", LAST, Carrying(money("100.00 EUR"), money("1125.00 SEK")), complete=True)
POLICY = sample_policy(today=date(2026, 1, 2), rates=(fixing("EUR", date(2025, 12, 30), "11.40"),))


def lines(outcome: object) -> list[tuple[str, Decimal]]:
    assert isinstance(outcome, Document)
    (step,) = outcome.steps
    assert isinstance(step, PostVoucher) and step.voucher.booking_date == LAST
    return [(line.account.number, line.signed.to_decimal()) for line in step.voucher.lines]


def waits(outcome: object) -> bool:
    return isinstance(outcome, Wait) and outcome.reason is WaitReason.YEAR_END


def test_a_gain_and_a_loss() -> None:
    assert lines(plan_revaluation(END, POLICY)) == [("1687", Decimal("15.00")), ("3960", Decimal("-15.00"))]
    dear = replace(END, carrying=Carrying(money("100.00 EUR"), money("1150.00 SEK")))
    assert lines(plan_revaluation(dear, POLICY)) == [("1687", Decimal("-10.00")), ("7960", Decimal("10.00"))]


def test_a_rest_in_kronor_without_euros_is_cleared_away() -> None:
    rest = replace(END, carrying=Carrying(money("0.00 EUR"), money("0.01 SEK")))
    assert lines(plan_revaluation(rest, POLICY)) == [("1687", Decimal("-0.01")), ("7960", Decimal("0.01"))]


def test_nothing_to_value() -> None:
    nought = replace(END, carrying=Carrying(money("0.00 EUR"), money("0.00 SEK")))
    assert plan_revaluation(nought, POLICY) is None
    right = replace(END, carrying=Carrying(money("100.00 EUR"), money("1140.00 SEK")))
    assert plan_revaluation(right, POLICY) is None
    locked = replace(POLICY, books=replace(POLICY.books, locked_through=LAST))
    assert plan_revaluation(END, locked) is None


def test_it_waits_for_the_year_and_for_the_rate_but_not_for_ever() -> None:
    late = replace(POLICY, today=date(2026, 1, 15))
    assert waits(plan_revaluation(replace(END, complete=False), POLICY))
    assert lines(plan_revaluation(replace(END, complete=False), late))
    assert waits(plan_revaluation(replace(END, complete=False, moving=True), late))
    rateless = replace(POLICY, rates=())
    assert waits(plan_revaluation(END, rateless))
    assert plan_revaluation(END, replace(late, rates=())) is None
    old = (fixing("EUR", date(2025, 12, 10), "11.30"),)
    assert waits(plan_revaluation(END, replace(POLICY, rates=old)))
    assert lines(plan_revaluation(END, replace(late, rates=old)))[0] == ("1687", Decimal("5.00"))


def test_a_bank_must_have_been_read_through_the_last_day() -> None:
    rules = CurrencyRules(RateChoice.RIKSBANK, date(2025, 12, 1), date(2025, 12, 30))
    assert waits(plan_revaluation(END, replace(POLICY, currency_rules=rules)))
    read = replace(rules, read_through=LAST)
    assert lines(plan_revaluation(END, replace(POLICY, currency_rules=read)))
    assert lines(plan_revaluation(END, replace(POLICY, currency_rules=rules, today=date(2026, 1, 20))))


def test_an_account_that_is_not_ready_makes_no_voucher_and_stops_nothing() -> None:
    numbers = {key: value for key, value in POLICY.accounts.numbers.items() if key != "exchange_gain"}
    policy = replace(POLICY, accounts=replace(POLICY.accounts, numbers=numbers))
    with pytest.raises(CannotBook):
        plan_revaluation(END, policy)
    assert plan(Situation((), year_ends=(END,)), policy).documents == ()


def movement(kind: MovementKind, amount: str, day: date) -> Movement:
    return Movement("txn_1", kind, money(amount), local(day), source_ref="po_1")


def test_only_what_leaves_the_account_in_the_new_year_waits() -> None:
    waiting = plan_revaluation(replace(END, complete=False), POLICY)
    assert isinstance(waiting, Wait)
    new, old = date(2026, 1, 2), date(2025, 12, 30)
    payout = movement(MovementKind.PAYOUT, "-10.00 EUR", old)
    fact = PayoutFact(Payout("po_1", Money(1000, "EUR"), PayoutState.PAID, local(old), new, Itemisation.NONE), None, 0)
    assert comes_after(waiting, movement(MovementKind.PAYOUT, "-10.00 EUR", new), new, None)
    assert not comes_after(waiting, payout, old, None)
    assert comes_after(waiting, payout, old, fact)
    assert not comes_after(waiting, movement(MovementKind.TOP_UP, "10.00 EUR", new), new, None)
    assert not comes_after(waiting, movement(MovementKind.FEE, "-10.00 EUR", new), new, None)


def test_a_payout_of_the_new_year_waits_for_the_old_ones_value() -> None:
    new = date(2026, 1, 2)
    entry = OpenMovement(movement(MovementKind.PAYOUT, "-100.00 EUR", new), frozenset({"amount"}), new)
    fact = PayoutFact(Payout("po_1", Money(10000, "EUR"), PayoutState.PAID, local(new), new, Itemisation.NONE), None, 0)
    situation = Situation(
        (entry,),
        payouts={"po_1": fact},
        holdings={"EUR": Holding(END.carrying)},
        year_ends=(replace(END, complete=False),),
    )
    waiting = plan(situation, POLICY)
    assert [wait.reason for wait in waiting.waits] == [WaitReason.YEAR_END] and not waiting.documents
    done = plan(replace(situation, year_ends=(END,)), POLICY)
    assert [document.kind.value for document in done.documents] == ["revaluation", "payout"]
    assert sum(effect.books.minor for one in done.documents for effect in one.clearing if effect.books) == -1125_00
