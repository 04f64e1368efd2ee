"""A start in the middle of an account's life: payouts under way then, and balances in other currencies."""

from datetime import date
from decimal import Decimal

import pytest

from addon.core.money import Money
from addon.store.models import Connection
from tests.flow.house import House, instant


def _under_way(house: House, sold: str = "2026-02-25", now: str = "2026-03-20 10:00") -> str:
    """A sale of February, whose payout is made on 27 February and arrives on 3 March; the payout's id."""
    house.sells(sold, 5_000_00)
    house.time(now)
    (payout,) = list(house.stripe.payouts)
    return str(payout.id)


def _opening(house: House, currency: str) -> int:
    with house.rows() as session:
        return int(session.get_one(Connection, house.connection_id).opening[currency])


def test_a_payout_under_way_at_the_start_is_booked_when_it_arrives(plus: House) -> None:
    payout = _under_way(plus)
    plus.sells("2026-03-10", 300_00)
    plus.opens("plus", "2026-03-01")
    plus.runs()
    under_way = plus.stripe.payouts.get(payout).amount
    assert _opening(plus, "SEK") == under_way, "the sale less its fee, which is all on its way to the bank"
    assert f"2026-03-03 V  1686 -{under_way / 100:.2f}  1930 {under_way / 100:.2f}" in plus.journal(1930)
    assert plus.kinds() == {"sale": 1, "fees": 1, "payout": 1}
    plus.runs()
    plus.all_is_well()


def test_a_payout_that_is_still_under_way_waits_until_it_has_arrived(plus: House) -> None:
    payout = plus.stripe.payouts.get(_under_way(plus, now="2026-03-02 10:00"))
    plus.opens("plus", "2026-03-01")
    plus.runs()
    assert plus.waiting() == ["payout_paid"]
    assert plus.proves()["SEK"].identity.not_booked.under_way.minor == -payout.amount
    plus.time("2026-03-30 10:00")
    plus.runs()
    assert "2026-03-03 V" in plus.journal(1930)
    plus.all_is_well()


@pytest.mark.parametrize(
    ("came_back", "documents"), [("2026-02-28", {}), ("2026-03-05", {"payout": 1, "payout_reversal": 1})]
)
def test_one_that_came_back_is_booked_both_ways_if_that_was_after_the_start(
    plus: House, came_back: str, documents: dict[str, int]
) -> None:
    plus.stripe.payouts_enabled = True
    payout = _under_way(plus)
    plus.stripe.payouts_enabled = False
    plus.stripe.fail_payout(payout, at=instant(came_back))
    plus.opens("plus", "2026-03-01")
    plus.runs()
    assert plus.kinds() == documents
    if documents:
        assert "2026-03-01 V" in plus.journal(1930), "not before the start date"
        assert plus.books.balance(1930) == 0
    assert _opening(plus, "SEK") == plus.stripe.payouts.get(payout).amount
    plus.all_is_well()


def test_a_payout_that_arrived_before_the_start_is_the_bookkeepers(plus: House) -> None:
    _under_way(plus, sold="2026-02-23")
    plus.sells("2026-03-10", 300_00)
    plus.opens("plus", "2026-03-01")
    plus.runs()
    assert _opening(plus, "SEK") == 0
    assert not plus.journal(1930), "and that of the sale in March has not been made"
    plus.all_is_well()


def test_another_start_date_finds_the_payouts_that_were_under_way_then(plus: House) -> None:
    payout = plus.stripe.payouts.get(_under_way(plus))
    plus.opens("plus", "2026-03-01", approve="first")
    for start, opening in (("2026-03-05", 0), ("2026-02-24", 0), ("2026-02-28", payout.amount)):
        plus.runs()
        plus.town.choose(plus.company_id, plus.connection_id, start_date=start)
        plus.runs()
        assert _opening(plus, "SEK") == opening, start
        plus.proves()
    plus.approves()
    plus.runs()
    assert plus.kinds() == {"payout": 1}
    plus.all_is_well()


def test_proving_before_the_first_run_knows_of_the_payouts_under_way(plus: House) -> None:
    payout = plus.stripe.payouts.get(_under_way(plus))
    plus.opens("plus", "2026-03-01")
    plus.proves()
    assert _opening(plus, "SEK") == payout.amount
    plus.runs()
    plus.all_is_well()


def test_a_foreign_opening_leaves_at_the_value_it_is_carried_at(plus: House) -> None:
    plus.sells("2026-02-27", 500_00, "eur")
    plus.sells("2026-03-09", 100_00, "eur")
    plus.opens("plus", "2026-03-01")
    plus.runs()
    plus.time("2026-04-20 10:00")
    plus.runs()
    left = plus.books.balance(plus.clearing("EUR"))
    for sold, arrived in (("2026-04-21", "2026-04-27"), ("2026-05-19", "2026-05-25")):
        plus.sells(sold, 200_00, "eur")
        for day in (sold, arrived):  # each run reads the rate of its day
            plus.time(f"{day} 20:00")
            plus.runs()
    proved = plus.proves()["EUR"].identity
    assert proved.provider.minor == 0
    assert plus.books.balance(plus.clearing("EUR")) == left, "what comes in later goes out at what it came in at"
    with plus.rows() as session:
        row = session.get_one(Connection, plus.connection_id)
        kept = row.settings["opening_values"]["EUR"]
    opening = Money(_opening(plus, "EUR"), "EUR")
    assert opening.minor > 0
    assert kept["opening_minor"] == opening.minor
    worth = Decimal(kept["books_minor"]) / 100
    assert plus.books.balance(plus.clearing("EUR")) == -worth, "nothing is left but what the bookkeeper enters"
    plus.books.person_posts_voucher([(plus.clearing("EUR"), worth), (3001, -worth)], on=date(2026, 2, 28))
    assert plus.books.balance(plus.clearing("EUR")) == 0
    plus.all_is_well()
