"""Plus, end to end: what was sold, refunded and paid out, and the vouchers that it became."""

from decimal import Decimal

import pytest

from addon.core.delivery import PartState
from addon.services import prerequisites, settings
from tests.flow.house import Bed, House, instant
from tests.support.town import WHO

on_both_databases = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


@on_both_databases
def test_a_sale_becomes_an_invoice_with_payment_a_fee_voucher_and_a_payout(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00, order="4711", name="Anna Åkesson", email="anna@example.com")
    plus.opens()
    view = plus.runs()
    assert plus.journal() == (
        "2026-03-02 B  1510 1000.00  2611 -200.00  3001 -800.00\n"
        "2026-03-02 C  1510 -1000.00  1686 1000.00\n"
        "2026-03-02 V  1686 -16.80  2614 -4.20  2645 4.20  4535 16.80  4598 -16.80  6570 16.80\n"
        "2026-03-06 V  1686 -983.20  1930 983.20"
    )
    invoice = plus.our_invoices()[0]
    assert invoice.text("YourOrderNumber") == "4711"
    assert invoice.text("CustomerName") == "Anna Åkesson"
    assert (invoice.due_date, invoice.administration_fee, invoice.freight) == (invoice.invoice_date, 0, 0)
    assert not plus.books.mails
    assert view.counts["writes"] == 5 + 2, "a sale to a new customer is five writes, a voucher one"
    plus.all_is_well()


def test_the_whole_refund_becomes_a_credit_note_by_the_systems_own_action(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_000_00)
    plus.refunds(charge, "2026-03-09")
    plus.opens()
    plus.runs()
    assert plus.journal(1510) == (
        "2026-03-02 B  1510 1000.00  2611 -200.00  3001 -800.00\n"
        "2026-03-02 C  1510 -1000.00  1686 1000.00\n"
        "2026-03-09 B  1510 -1000.00  2611 200.00  3001 800.00\n"
        "2026-03-09 C  1510 1000.00  1686 -1000.00"
    )
    assert plus.kinds() == {"sale": 1, "refund": 1, "fees": 1, "payout": 2}
    plus.all_is_well()


def test_partial_refunds_until_nothing_is_left_give_back_all_of_the_vat(plus: House) -> None:
    charge = plus.sells("2026-03-02", 99_99)
    plus.refunds(charge, "2026-03-09", 33_33)
    plus.refunds(charge, "2026-03-10", 33_33)
    plus.refunds(charge, "2026-03-11", 33_33)
    plus.opens()
    plus.runs()
    assert plus.kinds()["refund"] == 3
    assert plus.books.balance(1510) == 0
    assert plus.books.balance(3001) == -plus.books.balance(2611)
    plus.all_is_well()


def test_a_partial_refund_and_then_the_rest(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_000_00)
    plus.refunds(charge, "2026-03-09", 250_00)
    plus.opens()
    plus.runs()
    plus.refunds(charge, "2026-03-20 09:00")
    plus.runs()
    assert plus.kinds()["refund"] == 2
    assert plus.books.balance(3001) == 0
    plus.all_is_well()


def test_a_refund_whose_sale_lies_before_the_start_is_held_and_set_aside(plus: House) -> None:
    charge = plus.sells("2026-02-25", 1_000_00)
    plus.refunds(charge, "2026-03-09")
    plus.opens()
    plus.runs()
    assert plus.held() == ["original_unknown"]
    plus.proves()
    plus.sets_aside(where="A17, by hand")
    plus.runs()
    assert plus.parts().get("held") is None
    line = plus.identities()["SEK"].identity
    assert line.difference.minor == -1_000_00, "what is booked elsewhere must stand in the ledger too"
    plus.books.person_posts_voucher(
        [(plus.clearing(), -1000), (3001, 800), (2611, 200)], on=instant("2026-03-09").date()
    )
    proved = plus.identities()["SEK"].identity
    assert proved.holds
    assert [entry.name for entry in proved.named] == ["posting_by_person"]


@on_both_databases
def test_every_currency_is_invoiced_as_the_buyer_paid_it(plus: House) -> None:
    paid = {"sek": 125_00, "eur": 49_90, "usd": 59_00, "jpy": 3_500, "kwd": 15_250, "nok": 499_00, "isk": 9_900_00}
    for day, (currency, amount) in enumerate(paid.items(), start=2):
        charge = plus.sells(f"2026-03-{day:02}", amount, currency, country="NO" if currency == "nok" else "SE")
        if currency in ("eur", "usd", "jpy"):
            plus.refunds(charge, f"2026-03-{day + 3:02}")
        if currency in ("kwd", "nok"):
            plus.refunds(charge, f"2026-03-{day + 4:02}", amount // 10 // 10 * 10)
    plus.opens()
    plus.runs()
    assert not plus.held()
    assert plus.kinds() == {"sale": 7, "refund": 5, "fees": plus.kinds()["fees"], "payout": plus.kinds()["payout"]}
    totals = {invoice.currency: invoice.total for invoice in plus.our_invoices() if invoice.total > 0}
    assert totals == {
        "SEK": Decimal("125"),
        "EUR": Decimal("49.90"),
        "USD": Decimal("59"),
        "JPY": Decimal("3500"),
        "KWD": Decimal("15.25"),
        "NOK": Decimal("499"),
        "ISK": Decimal("9900"),
    }
    assert set(plus.proves()) == {"SEK", "EUR"}
    assert plus.books.balance(1510) == 0
    plus.all_is_well()


def test_an_amount_finer_than_the_ledger_is_held(plus: House) -> None:
    plus.stripe.charge(15_255 // 10 * 10, "kwd", at=instant("2026-03-02"), email="a@example.com")
    row = next(iter(plus.stripe.charges))
    row.amount = row.amount_captured = 15_255  # the real provider may pass on what card networks send
    plus.opens()
    plus.runs()
    assert plus.held() == ["ledger_precision"]
    assert not plus.our_invoices()
    plus.proves()


def test_fees_are_one_voucher_a_closed_day_and_late_ones_a_supplement(plus: House) -> None:
    plus.sells("2026-03-19", 100_00)
    plus.sells("2026-03-19", 200_00)
    plus.time("2026-03-19 22:58")
    plus.opens()
    plus.runs()
    assert plus.waiting() == ["day_closes", "day_closes"], "in Stockholm it is two minutes to midnight"
    plus.time("2026-03-19 23:01")
    plus.runs()
    assert plus.kinds()["fees"] == 1
    plus.sells("2026-03-19 22:59", 300_00)  # reported late
    plus.runs()
    fees = [row.key.split("/fees/")[1] for row in plus.documents("fees")]
    assert fees == ["SEK/2026-03-19", "SEK/2026-03-19/2"]
    assert not plus.waiting()
    plus.all_is_well()


def test_a_payout_that_fails_after_it_was_booked_is_taken_back(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.time("2026-03-09 12:00")
    plus.opens()
    plus.runs()
    (payout,) = list(plus.stripe.payouts)
    plus.stripe.fail_payout(payout.id)
    plus.time("2026-03-20 10:00")
    plus.runs()
    assert plus.kinds() == {"sale": 1, "fees": 1, "payout": 2, "payout_reversal": 1}
    assert plus.journal(1930) == (
        "2026-03-06 V  1686 -983.20  1930 983.20\n"
        "2026-03-09 V  1686 983.20  1930 -983.20\n"
        "2026-03-12 V  1686 -983.20  1930 983.20"
    )
    plus.all_is_well()


def test_a_payout_that_failed_before_kvitt_saw_it_is_booked_both_ways(plus: House) -> None:
    plus.sells("2026-03-02", 100_00, "eur")
    plus.time("2026-03-09 12:00")
    (payout,) = list(plus.stripe.payouts)
    plus.stripe.fail_payout(payout.id)
    plus.time("2026-03-20 10:00")
    plus.opens(rate_source="accounting", rate_stand_in="no")
    plus.runs()
    assert plus.kinds()["payout_reversal"] == 1
    assert plus.waiting() == ["rate"], "nothing tells what a euro was worth when the second payout arrived"
    plus.time("2026-04-01 10:00")
    plus.runs()
    assert plus.books.balance(plus.clearing("EUR")) == 0, "all of it is paid out, so nothing is left in kronor"
    plus.all_is_well()


def test_a_payout_under_way_waits_until_it_has_arrived(plus: House) -> None:
    plus.sells("2026-03-17", 1_000_00)
    plus.opens()
    plus.runs()
    assert plus.waiting() == ["payout_paid"]
    assert plus.proves()["SEK"].identity.not_booked.under_way.minor < 0
    plus.time("2026-03-24 10:00")
    plus.runs()
    assert plus.kinds()["payout"] == 1
    plus.all_is_well()


def test_what_is_not_known_or_has_no_account_is_held_and_the_identity_holds(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_000_00)
    plus.stripe.dispute(charge, at=instant("2026-03-05"))
    plus.stripe.adjustment(-4_000, reporting_category="loyalty", type="loyalty", at=instant("2026-03-06"))
    plus.stripe.reserve_hold(10_000, at=instant("2026-03-06"))
    plus.stripe.topup(50_000, at=instant("2026-03-07"))
    plus.stripe.bounce(plus.sells("2026-03-07", 70_00), at=instant("2026-03-09"))
    plus.opens()
    plus.runs()
    assert plus.held() == ["account_not_ready", "unknown_kind"], "the chart has no account for reserves"
    plus.all_is_well()


def test_a_customer_that_the_books_have_is_used(plus: House) -> None:
    known = plus.books.person_creates_customer("Anna A", Email="Anna@Example.com")
    plus.sells("2026-03-02", 100_00, email="anna@example.COM")
    plus.sells("2026-03-03", 200_00, email="anna@example.com ")
    plus.opens()
    plus.runs()
    assert {invoice.customer_number for invoice in plus.our_invoices()} == {known.number}
    assert len(plus.books.customers) == 1
    plus.all_is_well()


def test_a_new_buyer_with_several_sales_becomes_one_customer(plus: House) -> None:
    for day in range(2, 10):
        plus.sells(f"2026-03-{day:02}", 100_00 + day, email="same@example.com")
    plus.opens()
    plus.runs()
    assert len(plus.books.customers) == 1
    plus.all_is_well()


def test_collective_customers_are_one_for_each_country_and_treatment(bed: Bed) -> None:
    house = bed.house()
    for country in ("SE", "SE", "DE", "US", "US"):
        house.sells("2026-03-02", 100_00, country=country)
    house.opens("plus", customers="collective")
    house.runs()
    names = sorted(customer.name for customer in house.books.customers.values())
    assert names == ["Stripe DE SE25", "Stripe SE SE25", "Stripe US EXPORT"]
    exports = [invoice for invoice in house.our_invoices() if invoice.total_vat == 0]
    assert len(exports) == 2
    house.all_is_well()


def test_a_sale_of_nought_and_a_fee_of_nought_leave_nothing_open(plus: House) -> None:
    plus.stripe.adjustment(0, at=instant("2026-03-02"))
    plus.sells("2026-03-02", 100_00)
    plus.opens()
    plus.runs()
    assert plus.parts().get("set_aside") == 1
    plus.all_is_well()


def test_settled_parts_are_never_planned_again(plus: House) -> None:
    plus.sells("2026-03-02", 100_00)
    plus.opens()
    plus.runs()
    before = {row.key for row in plus.documents()}
    assert plus.part_ids(PartState.HELD) == []
    plus.town.services.nudge(plus.company_id)
    plus.runs()
    assert {row.key for row in plus.documents()} == before


def test_another_clearing_account_leaves_what_was_booked_on_the_first_in_the_proof(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.runs()
    first = plus.clearing()
    another = {"accounts.clearing:SEK": "1684"}
    assert not settings.change(plus.town.services, plus.company_id, WHO, another, plus.connection_id)
    prerequisites.repair_all(plus.town.services, plus.company_id, WHO)
    plus.time("2026-03-25 10:00")
    plus.sells("2026-03-24", 500_00)
    plus.runs()
    assert plus.books.balance(1684)
    assert plus.clearing() != first
    plus.all_is_well()


def test_across_the_turn_of_the_year_each_day_is_its_own_years(plus: House) -> None:
    charge = plus.sells("2025-12-31 22:59", 1_000_00)
    plus.sells("2025-12-31 23:01", 500_00)  # in Stockholm it is the first of January
    plus.refunds(charge, "2026-01-05")
    plus.opens("plus", "2025-12-01")
    plus.runs()
    assert [line[:12] for line in plus.journal(series="B").splitlines()] == [
        "2025-12-31 B",
        "2026-01-01 B",
        "2026-01-05 B",
    ]
    years = {voucher.year_id for voucher in plus.books.ledger if voucher.series == "V"}
    assert len(years) == 2
    plus.all_is_well()


def test_two_accounts_of_one_company_each_in_its_own_mode(bed: Bed) -> None:
    house, second = bed.house(balance_currencies=("sek",)), bed.house(balance_currencies=("sek",))
    house.sells("2026-03-02", 1_000_00, order="1")
    second.sells("2026-03-02", 300_00, order="2")
    house.invoices("2", 300, "2026-03-02")
    house.opens("plus")
    basic = house.town.connect(house.company_id, second.business)
    house.town.choose(house.company_id, basic, mode="basic", start_date="2026-03-01")
    house.checks()
    house.town.repair(house.company_id)
    house.runs()
    assert house.kinds() == {"sale": 1, "match": 1, "fees": 2, "payout": 2}
    proved = house.town.prove(house.company_id)
    assert len(proved) == 2
    assert all(entry.identity.holds for entry in proved)
    house.books.check()
    house.nothing_twice()


def test_with_the_warehouse_module_our_invoices_are_marked_as_delivered_and_booked(plus: House) -> None:
    plus.books.settings.warehouse = True
    charge = plus.sells("2026-03-02", 1_250_00)
    plus.refunds(charge, "2026-03-05", 250_00)
    plus.opens()
    plus.runs()
    assert plus.held() == []
    assert [(invoice.booked, invoice.warehouse_ready) for invoice in plus.our_invoices()] == [(True, True)] * 2
    plus.all_is_well()
