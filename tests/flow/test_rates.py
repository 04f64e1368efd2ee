"""Official rates, from the bank's site to the rate on the invoice in the accounting system's ledger."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from addon.core.fixings import RateChoice
from addon.sandbox.rates import Trouble
from addon.sandbox.rates.world import RatesWorld
from addon.services import installation, settings
from addon.services import rates as rate_services
from tests.flow.house import Bed, House
from tests.support.town import at


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_services, "PAUSE_S", 0.0)


def banks(house: House) -> RatesWorld:
    return house.world.rates


def invoice_rates(house: House) -> list[tuple[str, Decimal, int]]:
    return [(invoice.currency, invoice.rate, invoice.unit) for invoice in house.our_invoices() if invoice.total > 0]


def test_a_sale_is_invoiced_at_the_riksbanks_fixing_of_the_day_before(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-03", 10000, "eur")
    house.opens("plus", rate_source="riksbank")
    house.runs()
    fixing = banks(house).price("riksbank", "EUR", "SEK", date(2026, 3, 2))
    assert invoice_rates(house) == [("EUR", fixing, 1)]
    # What the buyer owed at the bank's rate, what Stripe made of it, and the difference on its own account.
    claim = (fixing * 100).quantize(Decimal("0.01"))
    rows = house.journal(1510)
    assert f"1510 {claim}" in rows and f"1510 -{claim}" in rows
    assert "7960" in rows or "3960" in rows
    assert banks(house).asked["riksbank"] == 1
    house.all_is_well()


def test_over_a_weekend_fridays_fixing_holds(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    for day in ("2026-03-07", "2026-03-08", "2026-03-09"):
        house.sells(day, 10000, "usd")
    house.opens("plus", rate_source="riksbank")
    house.runs()
    friday = banks(house).price("riksbank", "USD", "SEK", date(2026, 3, 6))
    assert [rate for _, rate, _ in invoice_rates(house)] == [friday] * 3


@pytest.mark.parametrize("per_hundred", [False, True])
def test_yen_are_sent_and_compared_in_the_unit_that_the_books_quote(bed: Bed, per_hundred: bool) -> None:
    house = bed.house(balance_currencies=("sek",))
    if per_hundred:
        house.books.switches.quoted_per_hundred = frozenset({"JPY"})
    house.sells("2026-03-03", 10000, "jpy")
    house.opens("plus", rate_source="riksbank")
    house.runs()
    fixing = banks(house).price("riksbank", "JPY", "SEK", date(2026, 3, 2))
    unit = 100 if per_hundred else 1
    assert invoice_rates(house) == [("JPY", fixing * unit, unit)]
    house.all_is_well()


@pytest.mark.parametrize("source", ["ecb", "nationalbank"])
def test_other_banks_go_through_their_own_currency(bed: Bed, source: str) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-03", 10000, "usd")
    house.opens("plus", rate_source=source)
    house.runs()
    world, monday = banks(house), date(2026, 3, 2)
    if source == "ecb":
        exact = world.price("ecb", "EUR", "SEK", monday) / world.price("ecb", "EUR", "USD", monday)
    else:
        per_hundred = [world.price(source, code, "DKK", monday, per=100) for code in ("USD", "SEK")]
        exact = per_hundred[0] / per_hundred[1]
    assert [rate for _, rate, _ in invoice_rates(house)] == [exact.quantize(Decimal("0.0001"))]
    house.all_is_well()


def test_a_currency_that_the_bank_does_not_quote_goes_at_the_accounting_systems_own(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-03", 40000, "aed")
    house.opens("plus", rate_source="riksbank")
    house.runs()
    assert house.kinds()["sale"] == 1
    house.all_is_well()


def test_a_bank_that_is_away_keeps_foreign_sales_waiting_and_nothing_else(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    banks(house).banks["riksbank"].trouble = Trouble("error_500")
    house.sells("2026-03-18", 10000, "eur")
    house.sells("2026-03-18", 12500, "sek")
    house.opens("plus", rate_source="riksbank")
    assert house.runs().message == "rates_away"
    assert house.kinds()["sale"] == 1
    assert "rate" in house.waiting()
    asked = banks(house).asked["riksbank"]
    assert asked <= 4
    banks(house).banks["riksbank"].trouble = None
    assert house.runs().message == ""
    assert house.kinds()["sale"] == 2
    house.all_is_well()


def test_one_busy_answer_is_asked_again_at_once(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    banks(house).banks["riksbank"].trouble = Trouble("rate_limited", times=1)
    house.sells("2026-03-18", 10000, "eur")
    house.opens("plus", rate_source="riksbank")
    house.runs()
    assert house.kinds()["sale"] == 1


def test_what_was_read_is_never_read_again_also_by_another_company(bed: Bed) -> None:
    first, second = (bed.house(balance_currencies=("sek",)) for _ in range(2))
    for house in (first, second):
        house.sells("2026-03-18", 10000, "eur")
        house.opens("plus", rate_source="riksbank")
        house.runs()
        house.runs()
    assert banks(first).asked["riksbank"] == 1
    # The next day there is one more fixing to read, and for an earlier start one more question.
    first.time("2026-03-21 08:00")
    first.sells("2026-03-20 18:00", 10000, "eur")
    first.runs()
    assert banks(first).asked["riksbank"] == 2
    third = bed.house(balance_currencies=("sek",))
    third.sells("2026-02-10", 10000, "eur")
    third.opens("plus", start="2026-02-01", rate_source="riksbank")
    third.runs()
    assert banks(first).asked["riksbank"] == 3
    assert third.kinds()["sale"] == 1


def test_a_fixing_far_from_what_stripe_exchanged_at_is_held_before_anything_is_written(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    banks(house).banks["riksbank"].pinned[("EUR", date(2026, 3, 2))] = Decimal("11.95")
    house.sells("2026-03-03", 10000, "eur")
    house.opens("plus", rate_source="riksbank")
    house.runs()
    assert house.held() == ["rate_differs"]
    assert not house.our_invoices()
    # Fifteen per cent are allowed where the accounting system's own rates hold.
    house.sets(rate_source="accounting")
    house.retries()
    house.runs()
    assert house.kinds()["sale"] == 1
    house.all_is_well()


def test_a_company_without_foreign_currency_asks_no_bank(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-18", 12500)
    house.opens("plus", rate_source="ecb")
    house.runs()
    assert banks(house).asked["ecb"] == 0
    house.all_is_well()


def test_a_refund_goes_back_at_the_originals_rate_and_its_difference_stands_apart(bed: Bed) -> None:
    """Worked entry D."""
    house = bed.house(balance_currencies=("sek",))
    charge = house.sells("2026-03-03", 10000, "eur")
    house.refunds(charge, "2026-03-12")
    house.opens("plus", rate_source="riksbank")
    house.runs()
    fixing = banks(house).price("riksbank", "EUR", "SEK", date(2026, 3, 2))
    assert [invoice.rate for invoice in house.our_invoices()] == [fixing, fixing]
    assert sum(row.amount for voucher in house.books.ledger for row in voucher.rows if row.account == 1510) == 0
    assert sum(row.amount for voucher in house.books.ledger for row in voucher.rows if row.account == 2611) == 0
    house.all_is_well()


def test_the_banks_publish_when_they_do(bed: Bed) -> None:
    """A sale of today needs yesterday's fixing, which is out; the run at five in the morning knows it."""
    house = bed.house(balance_currencies=("sek",))
    house.world.clock.set(at("2026-03-20 04:00"))
    house.sells("2026-03-20 03:00", 10000, "eur")
    house.opens("plus", rate_source="riksbank")
    house.runs()
    thursday = banks(house).price("riksbank", "EUR", "SEK", date(2026, 3, 19))
    assert [rate for _, rate, _ in invoice_rates(house)] == [thursday]


def test_the_danish_table_is_a_banking_day_late(bed: Bed) -> None:
    """On Saturday Friday's fixing is not in the table: a sale of Saturday waits, and Monday's table has it."""
    house = bed.house(balance_currencies=("sek",))
    house.world.clock.set(at("2026-03-21 12:00"))
    house.sells("2026-03-21 10:00", 10000, "eur")
    house.opens("plus", rate_source="nationalbank")
    house.runs()
    assert "rate" in house.waiting()
    house.time("2026-03-23 09:00")
    house.runs()
    assert house.kinds()["sale"] == 1


def test_the_riksbank_stands_in_for_days_of_which_the_books_tell_no_rate(bed: Bed) -> None:
    """A euro payout that came back, the euro being worth something on a day of which Fortnox has told nothing."""
    house = bed.house(balance_currencies=("sek", "eur"))
    house.sells("2026-03-02", 100_00, "eur")
    house.time("2026-03-09 12:00")
    (payout,) = list(house.stripe.payouts)
    house.stripe.fail_payout(payout.id)
    house.time("2026-03-20 10:00")
    house.opens("plus", rate_source="accounting")
    house.runs()
    assert not house.waiting() and not house.held()
    fixing = banks(house).price(
        "riksbank", "EUR", "SEK", house.documents("payout")[-1].booking_date - timedelta(days=1)
    )
    facts = dict(house.documents("payout")[-1].payload["facts"])
    assert facts["rate_source"] == "riksbank"
    assert facts["exchange_rate"] == f"{fixing} / 1 EUR"
    # The invoice is the accounting system's own affair: no rate was sent with it.
    assert house.our_invoices()[0].text("CurrencyRate") == ""
    house.all_is_well()


def test_a_new_company_goes_by_the_central_bank_of_its_country(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek",))
    house.opens("plus")
    with house.rows() as session:
        assert settings.read_company(session).rate_source is RateChoice.RIKSBANK
    assert installation._first_settings("DK") == {"rate_source": "nationalbank"}
    assert installation._first_settings("FI") == {}, "as before: the accounting system's own"
