"""Settlement, end to end: payments are rows of vouchers, and the clearing account agrees with the provider."""

import pytest

from tests.flow.house import Bed, House, instant
from tests.flow.test_plus import on_both_databases


@pytest.fixture
def shop(bed: Bed) -> House:
    return bed.house(balance_currencies=("sek",))


def chooses(house: House, **changes: str) -> None:
    house.town.choose(house.company_id, house.connection_id, **changes)


@on_both_databases
def test_a_payout_is_one_voucher_with_a_row_for_each_payment(shop: House) -> None:
    first = shop.sells("2026-03-02", 1_000_00)
    shop.sells("2026-03-02 13:00", 500_00)
    shop.refunds(first, "2026-03-03", 250_00)
    shop.opens("settlement", fee_vat="exempt")
    view = shop.runs()
    assert shop.kinds() == {"settlement": 1, "payout": 1}, "the fees are in the voucher, too"
    assert view.counts["writes"] == 2, "a voucher for the sales and one for the payout, however many sales there are"
    (document,) = shop.documents("settlement")
    voucher = next(one for one in shop.books.ledger if document.key in one.description)
    sales = [row for row in voucher.rows if row.account == 3001]
    assert [row.amount for row in sales] == [-800, -400, 200]
    assert shop.books.balance(2611) == -250
    assert shop.books.balance(shop.clearing()) == 0, "all of it has been paid out"
    assert not shop.our_invoices()
    shop.all_is_well()
    shop.runs()
    assert shop.kinds() == {"settlement": 1, "payout": 1}, "a second run finds nothing to do"


def test_sales_of_two_months_in_one_payout_stand_in_their_months(shop: House) -> None:
    shop.sells("2026-02-28 10:00", 1_000_00)
    shop.sells("2026-03-01 10:00", 500_00)  # a Saturday and a Sunday: both are paid out together
    shop.opens("settlement", start="2026-02-01", fee_vat="exempt")
    shop.runs()
    found = [(row.key.rsplit("/", 1)[1], row.booking_date.isoformat()) for row in shop.documents("settlement")]
    assert found[0] == ("2026-02", "2026-02-28")
    assert found[1][0] == "2026-03"
    assert len(found) == 2
    assert shop.kinds()["payout"] == 1
    shop.all_is_well()


def test_a_refund_of_a_later_payout_takes_the_vat_of_its_sale(shop: House) -> None:
    charge = shop.sells("2026-03-02", 1_000_00)
    shop.opens("settlement", fee_vat="exempt")
    shop.runs()
    shop.sells("2026-03-20 10:00", 2_000_00)
    shop.refunds(charge, "2026-03-20 11:00")
    shop.time("2026-04-02 10:00")
    shop.sets(default_vat_percent="12")
    shop.runs()
    assert shop.books.balance(3001) == 0, "the sale at 25 % is taken back at 25 %, though the company's rate is 12 now"
    assert shop.books.balance(2611) == 0
    assert shop.kinds()["settlement"] == 2
    shop.all_is_well()


def test_payments_wait_for_their_payouts_list_and_the_identity_holds_meanwhile(shop: House) -> None:
    shop.sells("2026-03-19", 1_000_00)
    shop.opens("settlement")
    shop.runs()
    assert set(shop.waiting()) == {"payout_items"}
    assert not shop.kinds()
    shop.proves()
    shop.time("2026-04-02 10:00")
    shop.runs()
    assert shop.kinds() == {"settlement": 1, "payout": 1}
    shop.all_is_well()


def test_against_one_account_the_payments_settle_the_tills_claim(shop: House) -> None:
    shop.sells("2026-03-02", 1_000_00)
    shop.sells("2026-03-03", 500_00)
    shop.opens("settlement", fee_vat="exempt")
    chooses(shop, settlement_contra="account", settlement_lines="daily", **{"accounts.settlement_contra": "1580"})
    shop.checks()
    shop.town.repair(shop.company_id)
    shop.runs()
    assert shop.books.balance(1580) == -1500
    assert not shop.books.balance(2611)
    shop.all_is_well()


def test_by_the_day_each_closed_day_has_its_voucher(shop: House) -> None:
    shop.sells("2026-03-02", 1_000_00)
    shop.sells("2026-03-03", 500_00)
    shop.opens("settlement", fee_vat="exempt")
    chooses(shop, settlement_by="day")
    shop.runs()
    assert [row.booking_date.isoformat() for row in shop.documents("settlement")] == ["2026-03-02", "2026-03-03"]
    shop.all_is_well()


def test_a_sale_that_plus_invoiced_is_refunded_in_a_voucher(shop: House) -> None:
    charge = shop.sells("2026-03-02", 1_000_00)
    shop.opens("plus", fee_vat="exempt")
    shop.runs()
    chooses(shop, mode="settlement")
    shop.sells("2026-03-20 10:00", 2_000_00)
    shop.refunds(charge, "2026-03-20 11:00", 400_00)
    shop.time("2026-04-02 10:00")
    shop.runs()
    assert shop.kinds()["settlement"] == 1
    assert shop.books.balance(3001) == -(1_000 - 400 + 2_000) * 80 / 100
    shop.all_is_well()


def test_what_is_previewed_is_what_is_written(shop: House) -> None:
    shop.sells("2026-03-02", 1_000_00)
    shop.opens("settlement", approve="first")
    looked = shop.previews()
    keys = sorted(document.key for document in looked.documents)
    shop.runs()
    assert sorted(row.key for row in shop.documents()) == keys
    assert {row.state for row in shop.documents()} == {"proposed"}
    assert shop.approves() == len(keys)
    shop.runs()
    shop.all_is_well()


def test_what_comes_back_takes_its_rows_back_and_other_kinds_keep_their_own_vouchers(shop: House) -> None:
    refunded = shop.sells("2026-03-02", 1_000_00)
    failed = shop.refunds(refunded, "2026-03-04", 250_00)
    shop.stripe.refund_fails(failed, at=instant("2026-03-09"))
    bounced = shop.sells("2026-03-02", 800_00, payment_method_type="sepa_debit")
    shop.stripe.bounce(bounced, at=instant("2026-03-10"))
    disputed = shop.stripe.dispute(shop.sells("2026-03-03", 600_00), at=instant("2026-03-05"))
    shop.opens("settlement", fee_vat="exempt")
    shop.repairs()
    shop.runs()
    shop.repairs()
    shop.runs()
    shop.proves()
    shop.stripe.win(disputed, at=instant("2026-03-20 09:00"))
    shop.sells("2026-03-20 10:00", 2_000_00)
    shop.time("2026-04-02 10:00")
    shop.runs()
    assert shop.books.balance(3001) == -(1_000 + 600 + 2_000) * 80 / 100, "the bounced one is taken back, with its VAT"
    assert shop.books.balance(1516) == 0
    assert shop.kinds()["dispute"] == shop.kinds()["dispute_won"] == 1
    assert not shop.held()
    assert not shop.our_invoices()
    shop.all_is_well()


def test_payouts_made_by_hand_have_no_list_and_days_have_vouchers(shop: House) -> None:
    shop.sells("2026-03-02", 1_000_00)
    shop.stripe.payouts_enabled = False
    shop.time("2026-03-06")
    shop.stripe.manual_payout(200_00, at=instant("2026-03-06"))
    shop.time("2026-03-20")
    shop.opens("settlement", fee_vat="exempt")
    shop.runs()
    (document,) = shop.documents("settlement")
    assert document.key.endswith("/sales/SEK/2026-03-02")
    assert shop.books.balance(1930) == 200
    assert not shop.waiting()
    shop.all_is_well()


def test_a_payout_that_fails_leaves_the_sales_where_they_are(shop: House) -> None:
    shop.sells("2026-03-02", 1_000_00)
    shop.opens("settlement", fee_vat="exempt")
    shop.runs()
    (payout,) = list(shop.stripe.payouts)
    shop.stripe.fail_payout(payout.id, at=instant("2026-03-20 09:30"))
    shop.runs()
    assert shop.books.balance(1930) == 0
    shop.time("2026-03-26")
    shop.runs()
    assert shop.kinds() == {"settlement": 1, "payout": 2, "payout_reversal": 1}
    shop.all_is_well()
