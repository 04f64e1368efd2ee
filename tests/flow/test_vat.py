"""VAT end to end, read from the simulated ledger: reverse charge by the register, OSS, several rates, odd rates."""

from datetime import timedelta
from decimal import Decimal

from addon.sandbox.stripe.model import SoldLine
from tests.flow.house import House

BERGMANN = "DE136695976"


def sells_to_bergmann(house: House, day: str, amount: int = 1_000_00, **more: str) -> str:
    return house.sells(
        day, amount, country="DE", tax_id=more.pop("tax_id", BERGMANN), email="kontor@example.de", name="Bergmann GmbH"
    )


def test_a_business_with_a_valid_number_is_sold_to_without_vat(plus: House) -> None:
    charge = sells_to_bergmann(plus, "2026-03-02")
    sells_to_bergmann(plus, "2026-03-03", 500_00)
    plus.refunds(charge, "2026-03-09")
    plus.opens(eu_business="reverse_charge")
    plus.runs()
    assert plus.journal(3108) == (
        "2026-03-02 B  1510 1000.00  3108 -1000.00\n"
        "2026-03-03 B  1510 500.00  3108 -500.00\n"
        "2026-03-09 B  1510 -1000.00  3108 1000.00"
    )
    (customer,) = [one for one in plus.books.customers.values() if one.name == "Bergmann GmbH"]
    assert customer.values["VATType"] == "EUREVERSEDVAT"
    assert customer.values["VATNumber"] == BERGMANN
    asked = plus.world.vies.asked
    assert [one.number for one in asked] == [BERGMANN], "one question a day, whatever is sold"
    assert asked[0].requester.startswith("SE")
    facts = dict(plus.documents("sale")[0].payload["facts"])
    assert facts["vat_number"] == BERGMANN
    assert facts["vat_consultation"].startswith("WAPI")
    plus.all_is_well()


def test_a_register_that_is_away_makes_the_sale_wait_and_then_be_held(plus: House) -> None:
    plus.world.vies.away = {"DE"}
    sells_to_bergmann(plus, "2026-03-02")
    plus.opens(eu_business="reverse_charge", vat_number_wait_days="2")
    plus.runs()
    assert "vat_number" in plus.waiting()
    plus.proves()
    plus.world.clock.advance(timedelta(days=3))
    plus.runs()
    assert plus.held() == ["vat_number_unchecked"]
    plus.world.vies.away = set()
    plus.world.clock.advance(timedelta(minutes=11))
    plus.runs()
    assert plus.held() == []
    assert plus.books.balance(3108) == -1000
    plus.all_is_well()


def test_a_number_that_is_not_valid_is_taxed_or_held(plus: House) -> None:
    sells_to_bergmann(plus, "2026-03-02", tax_id="DE811115368")
    plus.sells("2026-03-03", 100_00, country="DE", tax_id="DE000000000", email="x@example.de")
    plus.opens(eu_business="reverse_charge")
    plus.runs()
    assert plus.books.balance(3001) == -880
    assert [one.number for one in plus.world.vies.asked] == ["DE811115368"], "what cannot be a number is not asked for"
    plus.sets(invalid_vat_number="hold")
    sells_to_bergmann(plus, "2026-03-20 09:00", tax_id="DE811115368")
    plus.runs()
    assert plus.held() == ["vat_number_invalid"]
    plus.proves()


def opens_with_oss(house: House, **more: str) -> None:
    house.books.add_vat_rate(19, 2672)
    house.books.add_account(3111, "Försäljning OSS Tyskland 19 %", vat_code="OSS")
    house.books.add_account(3113, "Försäljning OSS Finland 25,5 %")
    house.opens(
        **{
            "oss": "always",
            "accounts.sales:OSS-DE19": "3111",
            "accounts.sales:OSS-FI25.5": "3113",
            "accounts.output_vat:OSS-FI25.5": "2673",
            **more,
        }
    )


def test_consumers_abroad_pay_their_own_countrys_vat(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_190_00, country="DE")
    plus.refunds(charge, "2026-03-09", 595_00)
    plus.sells("2026-03-03", 1_000_00, country="SE")
    opens_with_oss(plus)
    plus.runs()
    assert plus.journal(3111) == (
        "2026-03-02 B  1510 1190.00  2672 -190.00  3111 -1000.00\n2026-03-09 B  1510 -595.00  2672 95.00  3111 500.00"
    )
    assert plus.books.balance(2611) == -200
    treatments = {one.name: one.values["VATType"] for one in plus.books.customers.values()}
    assert treatments == {"Buyer 1001": "EUVAT", "Buyer 1002": "SEVAT"}
    plus.all_is_well()


def test_the_sale_that_crosses_the_threshold_is_taxed_abroad(plus: House) -> None:
    plus.sells("2026-03-02", 1_250_00, country="DE")
    plus.sells("2026-03-03", 1_190_00, country="DE")
    plus.sells("2026-03-04", 119_00, country="DE")
    opens_with_oss(plus, oss="from_threshold", oss_before="97750.00", oss_before_year="2026")
    plus.runs()
    assert plus.books.balance(3001) == -1000
    assert plus.books.balance(3111) == -1100
    assert plus.books.balance(2672) == -209
    plus.all_is_well()


def test_a_rate_with_decimals_becomes_a_voucher_and_so_do_its_refunds(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_255_00, country="FI")
    plus.refunds(charge, "2026-03-09", 500_00)
    opens_with_oss(plus)
    plus.runs()
    assert plus.held() == ["vat_rate_odd"]
    plus.sets(odd_vat="voucher")
    plus.runs()
    plus.runs()
    assert plus.journal(3113) == (
        "2026-03-02 V  1686 1255.00  2673 -255.00  3113 -1000.00\n2026-03-09 V  1686 -500.00  2673 101.59  3113 398.41"
    )
    plus.refunds(charge, "2026-03-20 09:00")
    plus.runs()
    assert (plus.books.balance(3113), plus.books.balance(2673)) == (0, 0)
    plus.proves()
    plus.books.check()


def test_an_oss_account_that_is_not_there_holds_just_that_sale(plus: House) -> None:
    plus.sells("2026-03-02", 119_00, country="DE")
    plus.sells("2026-03-03", 125_00, country="SE")
    plus.opens(oss="always")
    plus.runs()
    assert plus.held() == ["account_not_ready"]
    assert plus.books.balance(3001) == -100
    plus.proves()


def test_several_rates_of_one_checkout_stand_in_the_ledger_each_on_its_own(plus: House) -> None:
    charge = plus.sells("2026-03-02", 517_00)
    plus.stripe.checkout_session(
        charge,
        lines=[
            SoldLine("Wool socks", 250_00, Decimal(25), quantity=2),
            SoldLine("A book", 106_00, Decimal(6)),
            SoldLine("Coffee", 112_00, Decimal(12)),
        ],
        amount_shipping=49_00,
    )
    plus.refunds(charge, "2026-03-09", 100_00)
    plus.opens()
    plus.runs()
    plus.refunds(charge, "2026-03-20 09:00")
    plus.runs()
    assert plus.kinds()["refund"] == 2
    invoice = plus.our_invoices()[0]
    assert invoice.total == 517
    assert sorted(row.vat for row in invoice.rows) == [6, 6, 12, 12, 25, 25]
    for account in (1510, 3001, 3002, 3003, 2611, 2621, 2631):
        assert plus.books.balance(account) == 0, account
    plus.all_is_well()
