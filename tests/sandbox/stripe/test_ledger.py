"""Money at the simulated Stripe: nothing appears or disappears, and payouts are what their rows say."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.sandbox.clock import Clock
from addon.sandbox.stripe import FeeRules, NotPossible, StripeAccount, StripeWorld
from addon.sandbox.stripe.model import BalanceTransaction
from addon.sandbox.stripe.money import CHARGE_MULTIPLE, CURRENCIES, convert, exchange_rate, round_half_up, written

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def opened(**options: Any) -> StripeAccount:
    return StripeWorld(Clock(START)).add_account("Butiken", **options)


def pass_days(account: StripeAccount, days: int) -> None:
    for _ in range(days):
        account.clock.advance(timedelta(days=1))
        account.catch_up()


def row_of(account: StripeAccount, source: str, category: str) -> BalanceTransaction:
    return next(row for row in account.ledger if row.source == source and row.reporting_category == category)


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [("0.5", 1), ("1.5", 2), ("2.5", 3), ("-0.5", -1), ("-2.5", -3), ("2.4999", 2), ("-2.4999", -2)],
)
def test_halves_go_away_from_zero(exact: str, rounded: int) -> None:
    assert round_half_up(Decimal(exact)) == rounded


def test_rates_map_smallest_unit_to_smallest_unit() -> None:
    day = START.date()
    assert Decimal(5) < exchange_rate(1, "jpy", "sek", day) < Decimal(8)  # öre for one yen
    assert Decimal(2) < exchange_rate(1, "kwd", "sek", day) < Decimal(4)  # öre for one fils
    assert exchange_rate(1, "eur", "sek", day) == exchange_rate(1, "eur", "sek", day)
    assert len({exchange_rate(1, "eur", "sek", day + timedelta(days=n)) for n in range(10)}) > 5


@pytest.mark.parametrize("currency", sorted(CURRENCIES))
def test_every_currency_can_be_charged_and_refunded(currency: str) -> None:
    account = opened()
    amount = 10_000_000 * CHARGE_MULTIPLE.get(currency, 1)
    charge = account.charge(amount, currency)
    pass_days(account, 1)
    refund = account.refund(charge)
    sale, back = row_of(account, charge, "charge"), row_of(account, refund, "refund")
    if currency in account.balance_currencies:
        assert (sale.amount, sale.currency, sale.exchange_rate) == (amount, currency, None)
        assert back.amount == -amount
    else:
        assert sale.currency == "sek"
        assert sale.exchange_rate is not None
        assert sale.amount == convert(amount, sale.exchange_rate) > 0
        assert back.exchange_rate is not None
        assert back.amount == -convert(amount, back.exchange_rate)
    assert back.fee == 0


@pytest.mark.parametrize(("amount", "currency"), [(150, "isk"), (1234, "kwd"), (0, "sek"), (-1, "sek"), (5, "xxx")])
def test_amounts_that_stripe_refuses(amount: int, currency: str) -> None:
    with pytest.raises(NotPossible):
        opened().charge(amount, currency)


def test_fees_name_their_parts() -> None:
    account = opened(fees=FeeRules(vat_percent=Decimal(25)))
    home = row_of(account, account.charge(10000, "sek"), "charge")
    assert [(d.amount, d.type) for d in home.fee_details] == [(330, "stripe_fee"), (83, "tax")]
    assert home.net == 10000 - 413
    abroad = row_of(account, account.charge(10000, "usd", country="US", application_fee=50), "charge")
    assert [d.description for d in abroad.fee_details] == [
        "Stripe processing fees", "Stripe currency conversion fee", "VAT", "Application fee",
    ]  # fmt: skip
    hidden = opened(fees=FeeRules(conversion_in_rate=True))
    inside = row_of(hidden, hidden.charge(10000, "usd", country="US"), "charge")
    assert [d.description for d in inside.fee_details] == ["Stripe processing fees"]
    assert inside.amount < abroad.amount


def test_a_payout_takes_what_is_available_and_proves_itself() -> None:
    account = opened()
    charge = account.charge(100000, "sek")
    account.charge(5000, "eur")
    account.refund(charge, 20000)
    pass_days(account, 2)
    payouts = {payout.currency: payout for payout in account.payouts}
    assert set(payouts) == {"sek", "eur"}
    for payout in payouts.values():
        rows = account.rows_of_payout(payout)
        assert sum(row.net for row in rows) == 0
        assert rows[0].net == -payout.amount
        assert {row.currency for row in rows} == {payout.currency}
    assert account.balance("sek") == account.balance("eur") == 0


def test_a_payout_travels_and_is_itemised_after_a_while() -> None:
    account = opened()
    for _ in range(4):
        account.charge(100000, "sek")
    account.clock.advance(timedelta(days=2))
    account.clock.set(account.clock.now().replace(hour=2, minute=0))
    (payout_id,) = account.run_payouts()
    payout = account.payouts.get(payout_id)
    assert payout is not None
    assert (payout.status, payout.reconciliation_status) == ("pending", "in_progress")
    assert len(account.rows_of_payout(payout)) < 5
    account.clock.advance(timedelta(hours=1))
    account.advance_payouts()
    assert (payout.status, payout.reconciliation_status) == ("in_transit", "completed")
    assert len(account.rows_of_payout(payout)) == 5
    pass_days(account, 2)
    assert payout.status == "paid"
    types = [event.type for event in account.events if event.object_id == payout.id]
    assert types == ["payout.created", "payout.reconciliation_completed", "payout.updated", "payout.paid"]


def test_a_failed_payout_comes_back_in_a_later_one() -> None:
    account = opened()
    account.charge(100000, "sek")
    pass_days(account, 6)
    (payout,) = account.payouts
    assert payout.status == "paid"
    row_id = account.fail_payout(payout.id)
    pass_days(account, 1)
    row = account.ledger.get(row_id)
    assert row is not None
    assert (row.type, row.reporting_category, row.amount) == ("payout_failure", "payout_reversal", payout.amount)
    later = account.payouts.get(row.payout or "")
    assert later is not None
    assert later.amount == payout.amount
    with pytest.raises(NotPossible):
        account.fail_payout(payout.id)


def test_more_refunded_than_sold_debits_the_bank() -> None:
    account = opened()
    charge = account.charge(100000, "sek")
    pass_days(account, 6)
    account.refund(charge)
    pass_days(account, 1)
    negative = list(account.payouts)[-1]
    assert negative.amount == -100000
    assert row_of(account, negative.id, "payout").amount == 100000
    assert account.balance("sek") == 0


def test_a_minus_that_pending_money_covers_waits() -> None:
    account = opened()
    charge = account.charge(100000, "sek")
    account.refund(charge, 10000)
    account.clock.advance(timedelta(hours=20))
    account.catch_up()
    assert len(account.payouts) == 0


def test_manual_payouts_are_rows_without_a_list() -> None:
    account = opened()
    account.payouts_enabled = False
    account.charge(100000, "sek")
    pass_days(account, 4)
    with pytest.raises(NotPossible):
        account.manual_payout(10_000_000)
    payout = account.payouts.get(account.manual_payout(50000, method="instant"))
    assert payout is not None
    assert (payout.automatic, payout.reconciliation_status) == (False, "not_applicable")
    assert row_of(account, payout.id, "payout").net == -50500
    assert account.rows_of_payout(payout) == []


@pytest.mark.parametrize("leaves", ["created", "arrival", "paid"])
def test_when_a_payout_leaves_the_balance_is_a_switch(leaves: Any) -> None:
    account = opened()
    account.payout_leaves_balance = leaves
    charge = account.charge(100000, "sek")
    net = row_of(account, charge, "charge").net
    account.clock.advance(timedelta(days=2))
    account.catch_up()
    (payout,) = account.payouts
    assert payout.status == "in_transit"
    expected = {"created": (0, 0), "arrival": (net, -net), "paid": (net, 0)}[leaves]
    assert account.balances()["sek"] == expected
    pass_days(account, 3)
    assert account.balances()["sek"] == (0, 0)


def test_disputes_take_and_give_back() -> None:
    account = opened()
    lost = account.dispute(account.charge(3000, "usd", country="US"))
    won = account.dispute(account.charge(45000, "sek"))
    row = row_of(account, lost, "dispute")
    assert (row.type, row.currency, row.exchange_rate, row.fee) == ("adjustment", "sek", None, 20000)
    countered = account.counter(won)
    account.win(won)
    account.lose(lost)
    assert row_of(account, won, "dispute_reversal").net == 45000
    fees = [row for row in account.ledger if row.reporting_category == "fee"]
    assert [row.net for row in fees] == [-20000, 20000]
    assert fees[0].source == fees[0].id == countered
    inquiry = account.dispute(account.charge(15000, "sek"), inquiry=True)
    before = account.balance("sek")
    account.close_inquiry(inquiry)
    assert account.balance("sek") == before


def test_a_dispute_won_before_june_2025_returned_its_fee() -> None:
    account = StripeWorld(Clock(datetime(2025, 5, 1, tzinfo=UTC))).add_account("Old")
    dispute = account.dispute(account.charge(45000, "sek"))
    assert account.counter(dispute) is None
    account.win(dispute)
    assert row_of(account, dispute, "dispute_reversal").fee == -20000


def test_refund_failure_bounce_and_partial_capture() -> None:
    account = opened()
    charge = account.charge(5000, "jpy")
    refund = account.refund(charge, 2000)
    account.refund_fails(refund)
    assert row_of(account, refund, "refund_failure").net == -row_of(account, refund, "refund").net
    assert account.get_charge(charge).amount_refunded == 0
    delayed = account.charge(20000, "sek", payment_method_type="sepa_debit")
    account.bounce(delayed)
    assert row_of(account, delayed, "charge_failure").amount == -20000
    partial = account.charge(30000, "sek", captured=20000)
    reversal = row_of(account, partial, "partial_capture_reversal")
    assert (reversal.amount, reversal.fee) == (-10000, -150)
    with pytest.raises(NotPossible):
        account.refund(partial, 20001)


def test_payouts_in_whole_units_only_are_not_pretended() -> None:
    with pytest.raises(NotPossible):
        opened(balance_currencies=("huf",))


def test_amounts_for_people() -> None:
    assert written(-123456, "sek") == "−1\u2009234.56 SEK"
    assert written(1234, "jpy") == "1\u2009234 JPY"
    assert written(1230, "kwd") == "1.230 KWD"


deeds = st.lists(
    st.tuples(
        st.sampled_from(
            ["charge", "refund", "refund_fails", "dispute", "win", "bounce", "fee", "hold", "unknown", "day", "fail"]
        ),
        st.integers(1, 40),
        st.sampled_from(["sek", "eur", "jpy", "kwd", "isk", "usd", "huf"]),
    ),
    max_size=60,
)


@settings(max_examples=40)
@given(deeds)
def test_whatever_happens_every_payout_is_proved_and_the_balance_is_the_sum(
    todo: list[tuple[str, int, str]],
) -> None:
    account = opened()
    for deed, number, currency in todo:
        charges, refunds = list(account.charges), list(account.refunds)
        disputes, payouts = list(account.disputes), list(account.payouts)
        try:
            match deed:
                case "charge":
                    account.charge(number * 1000, currency)
                case "refund" if charges:
                    account.refund(charges[number % len(charges)].id, number * 100)
                case "refund_fails" if refunds:
                    account.refund_fails(refunds[number % len(refunds)].id)
                case "dispute" if charges:
                    account.dispute(charges[number % len(charges)].id)
                case "win" if disputes:
                    account.win(disputes[number % len(disputes)].id)
                case "bounce" if charges:
                    account.bounce(charges[number % len(charges)].id)
                case "fee":
                    account.stripe_fee(number)
                case "hold":
                    account.reserve_hold(number)
                case "unknown":
                    account.adjustment(number - 20, reporting_category="new_kind", type="new_kind", fee=number)
                case "day":
                    pass_days(account, number % 4)
                case "fail" if payouts:
                    account.fail_payout(payouts[number % len(payouts)].id)
        except NotPossible:
            continue
    pass_days(account, 1)
    swept: set[str] = set()
    for payout in account.payouts:
        payout.reconciliation_status = "completed"
        rows = account.rows_of_payout(payout)
        assert sum(row.net for row in rows) == 0
        assert {row.currency for row in rows} == {payout.currency}
        assert not swept & {row.id for row in rows}
        swept |= {row.id for row in rows}
    for currency in account.balance_currencies:
        total = sum(row.net for row in account.ledger if row.currency == currency)
        open_rows = sum(row.net for row in account.ledger if row.currency == currency and row.id not in swept)
        assert account.balance(currency) == sum(account.balances()[currency]) == total == open_rows
