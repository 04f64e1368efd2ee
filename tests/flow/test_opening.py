"""A start in the middle of an account's life: payouts under way then, and balances in other currencies."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from addon.core.money import Money
from addon.core.plan.situation import CannotBook
from addon.services import opening as openings
from addon.store.models import ActivityRow, Connection
from tests.flow.house import Bed, House, instant
from tests.support.town import WHO


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


# --- The voucher that brings it in ------------------------------------------------------------------------------


def _asked(house: House) -> openings.Question:
    (question,) = openings.questions(house.town.services, house.company_id)
    return question


def _says(house: House, account: str = "") -> None:
    services, connection = house.town.services, house.connection_id
    if account:
        openings.book(services, house.company_id, connection, "SEK", account, WHO)
    else:
        openings.in_books(services, house.company_id, connection, "SEK", WHO)


def _logged(house: House) -> set[str]:
    with house.rows() as session:
        return set(session.scalars(select(ActivityRow.what)))


def test_an_opening_that_the_books_do_not_have_is_booked_once_where_a_person_says(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    _under_way(house)
    house.sells("2026-03-10", 300_00)
    house.opens("plus", "2026-03-01")
    house.runs()
    owed = Decimal(_opening(house, "SEK")) / 100
    assert owed > 0
    assert (_asked(house).state, _asked(house).amount.to_decimal()) == ("asked", owed)
    assert not house.documents("opening"), "no account, no proposal, and nothing is written of itself"
    with pytest.raises(CannotBook):
        _says(house, "1686")
    with pytest.raises(CannotBook):
        _says(house, "1599")
    assert not house.documents("opening")
    before = house.books.balance(1686)
    _says(house, "1580")
    house.runs()
    assert f"2026-02-28 V  1580 -{owed:.2f}  1686 {owed:.2f}" in house.journal(1580)
    assert house.books.balance(1686) == before + owed
    provider = house.proves()["SEK"].identity.provider
    assert house.books.balance(1686) == provider.to_decimal(), "the account says what the provider owes"
    (row,) = house.documents("opening")
    assert row.key.endswith("/opening/SEK/2026-03-01")
    assert (_asked(house).state, _asked(house).account) == ("booked", "1580")
    assert _asked(house).vouchers == tuple(row.vouchers)
    with pytest.raises(openings.NoSuchQuestion):
        _says(house, "1580")
    with pytest.raises(openings.NoSuchQuestion):
        _says(house)
    house.runs()
    assert len(house.documents("opening")) == 1
    assert "opening_chosen" in _logged(house)
    house.all_is_well()


def test_an_opening_that_the_books_have_is_remembered_and_never_booked(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    _under_way(house)
    house.opens("plus", "2026-03-01", **{"accounts.opening_contra": "1580"})
    house.runs()
    (row,) = house.documents("opening")
    assert row.state == "proposed", "bookings are automatic, and this one is not"
    assert _asked(house).state == "proposed"
    house.runs()
    assert not house.journal(1580)
    _says(house)
    assert not house.documents("opening")
    house.runs()
    assert not house.documents("opening")
    assert (_asked(house).state, _asked(house).who) == ("in_books", WHO)
    assert "opening_in_books" in _logged(house)
    house.all_is_well()
    _says(house, "1580")
    house.runs()
    assert house.kinds()["opening"] == 1, "a person may change their mind until it is booked"
    house.all_is_well()


def test_a_proposed_opening_is_approved_or_refused_among_the_others(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    _under_way(house)
    house.opens("plus", "2026-03-01", approve="first", **{"accounts.opening_contra": "1580"})
    house.runs()
    seen = {document.kind.value for document in house.previews().documents}
    assert "opening" in seen
    house.sets(**{"accounts.opening_contra": "2990"})
    house.runs()
    (row,) = house.documents("opening")
    assert _asked(house).account == "2990", "proposed anew"
    assert openings.refuse(house.town.services, house.company_id, [row.id], WHO) == 1
    assert openings.refuse(house.town.services, house.company_id, [row.id], WHO) == 0
    assert _asked(house).state == "in_books"
    house.town.choose(house.company_id, house.connection_id, start_date="2026-02-28")
    house.runs()
    assert _asked(house).state == "proposed", "another start is another opening"
    house.town.choose(house.company_id, house.connection_id, start_date="2026-03-01")
    house.runs()
    assert not house.documents("opening"), "that of another start is dropped, and of this one it was said"
    house.approves()
    house.runs()
    house.all_is_well()


def test_an_opening_on_a_locked_day_before_stands_on_the_start_date_and_does_not_count_twice(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    _under_way(house)
    house.books.lock_period(date(2026, 2, 28))
    house.opens("plus", "2026-03-01")
    house.runs()
    _says(house, "1580")
    house.runs()
    assert house.journal(1580).startswith("2026-03-01 V")
    house.all_is_well()
    owed = Decimal(_opening(house, "SEK")) / 100
    house.books.person_posts_voucher([(1686, owed), (1580, -owed)], on=date(2026, 3, 1))
    (name,) = house.identities()["SEK"].identity.named
    assert (name.name, name.amount.to_decimal()) == ("posting_by_person", owed), "a second one is not let pass"


def test_a_foreign_opening_comes_in_at_the_value_it_leaves_at(plus: House) -> None:
    plus.sells("2026-02-27", 500_00, "eur")
    plus.sells("2026-03-09", 100_00, "eur")
    plus.opens("plus", "2026-03-01")
    plus.runs()
    (question,) = openings.questions(plus.town.services, plus.company_id)
    openings.book(plus.town.services, plus.company_id, plus.connection_id, "EUR", "1580", WHO)
    plus.runs()
    assert plus.books.balance(1580) == -question.books.to_decimal()
    plus.time("2026-04-20 10:00")
    plus.runs()
    assert plus.proves()["EUR"].identity.provider.minor == 0
    assert plus.books.balance(plus.clearing("EUR")) == 0
    plus.all_is_well()
