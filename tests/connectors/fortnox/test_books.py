"""What is read of a company's books, what is missing, and what a Repair button does."""

from datetime import date
from decimal import Decimal

import pytest

from addon.core.books import Remedy, Repair
from addon.core.dates import FinancialYear
from addon.ports.errors import Rejected
from addon.sandbox.fortnox import ALL_LICENCES
from tests.connectors.fortnox.conftest import DAY, Bench, make_bench

FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)


def test_books_are_read_for_the_years_asked_for(bench: Bench) -> None:
    books = bench.fortnox.fetch_books(FIRST, LAST)
    assert books.identity.name == "Fabriken AB"
    assert books.identity.tenant == str(bench.company.database_number)
    assert books.identity.organisation_number == "556677-8899"
    assert books.years == (FinancialYear("2", FIRST, LAST, accrual=True),)
    assert {account.year_ref for account in books.accounts} == {"2"}
    clearing = books.account("1580", "2")
    assert clearing is not None
    assert clearing.active
    assert {series.code for series in books.series if series.manual} >= {"A"}
    assert (books.invoice_series, books.payment_series) == ("B", "C")
    assert dict(books.predefined)["customer_claims"] == "1510"
    assert dict(books.payment_modes)["BG"] == "1930"
    euro = books.currency("EUR")
    assert euro is not None
    assert euro.rate is not None
    assert euro.rate.rate == bench.world.rate("EUR", DAY)
    assert books.currency("CHF") is None
    assert (books.locked_through, books.flags) == (None, ())
    assert (books.missing_scopes, books.missing_licences, books.unreadable) == ((), (), ())


def test_two_years_cost_two_charts(bench: Bench) -> None:
    books = bench.fortnox.fetch_books(date(2025, 12, 31), FIRST)
    assert [year.ref for year in books.years] == ["1", "2"]
    assert bench.world.count_calls(path_prefix="/3/accounts") == 2
    assert bench.world.count_calls(path_prefix="/3/voucherseries") == 2


@pytest.mark.parametrize("shape", ["null", "empty", "404"])
def test_nothing_locked_is_told_in_three_ways(bench: Bench, shape: str) -> None:
    bench.world.switches.locked_period_shape = shape
    assert bench.fortnox.fetch_books(FIRST, LAST).locked_through is None
    bench.company.lock_period(date(2026, 1, 31))
    assert bench.fortnox.fetch_books(FIRST, LAST).locked_through == date(2026, 1, 31)


def test_what_stands_in_the_way_is_seen() -> None:
    bench = make_bench(method="CASH", inactive_accounts=[1580])
    bench.company.set_predefined_series("INVOICE", None)
    bench.company.demand_cost_center(6570)
    bench.company.demand_project(3001)
    books = bench.fortnox.fetch_books(FIRST, LAST)
    assert not books.years[0].accrual
    assert books.invoice_series == ""
    clearing, fee, sales = (books.account(number, "2") for number in ("1580", "6570", "3001"))
    assert clearing is not None
    assert not clearing.active
    assert fee is not None
    assert (fee.needs_cost_centre, fee.needs_project) == (True, False)
    assert sales is not None
    assert sales.needs_project


def test_missing_scopes_and_licences_are_named_and_do_not_stop_the_rest(bench: Bench) -> None:
    number = bench.company.database_number
    bench.tokens.tokens[:] = [bench.world.access_token(number, scopes="companyinformation bookkeeping currency")]
    bench.company.set_licences(ALL_LICENCES - {"bookkeeping"})
    books = bench.fortnox.fetch_books(FIRST, LAST)
    assert books.missing_scopes == ("settings", "customer", "invoice", "payment")
    assert books.missing_licences == ("bookkeeping",)
    assert books.identity.name == "Fabriken AB"
    assert books.currency("EUR") is not None
    assert books.accounts == ()


def test_a_company_without_the_right_to_use_apps_is_told_so(bench: Bench) -> None:
    bench.company.set_licences(set())
    books = bench.fortnox.fetch_books(FIRST, LAST)
    assert "bookkeeping" in books.missing_licences
    assert books.identity.tenant == ""


def test_each_remedy_mends_what_it_is_for(bench: Bench) -> None:
    bench.company.deactivate_account(1580)
    bench.company.remove_account(1686)
    repairs = [
        Repair(Remedy.ACTIVATE_ACCOUNT, "1580", "2"),
        Repair(Remedy.CREATE_ACCOUNT, "1686", "2", "Stripe – clearing"),
        Repair(Remedy.CREATE_SERIES, "KV", "2", "Kvitt"),
        Repair(Remedy.ADD_CURRENCY, "CHF", name="Swiss franc"),
        Repair(Remedy.ADD_PAYMENT_MODE, "1580", name="Stripe"),
    ]
    for repair in repairs:
        bench.fortnox.repair(repair)
    books = bench.fortnox.fetch_books(FIRST, LAST)
    for number in ("1580", "1686"):
        account = books.account(number, "2")
        assert account is not None
        assert account.active
    assert any(series.code == "KV" and series.manual for series in books.series)
    assert books.currency("CHF") is not None
    assert ("KV1580", "1580") in books.payment_modes
    for repair in repairs[1:]:
        with pytest.raises(Rejected):
            bench.fortnox.repair(repair)


@pytest.mark.parametrize("remedy", [Remedy.CREATE_ACCOUNT, Remedy.ADD_PAYMENT_MODE])
def test_an_account_number_that_cannot_be_is_not_sent(bench: Bench, remedy: Remedy) -> None:
    with pytest.raises(Rejected):
        bench.fortnox.repair(Repair(remedy, "16x6", "2"))
    assert bench.world.calls == []


def test_a_currency_s_unit_comes_with_its_rate(bench: Bench) -> None:
    bench.world.switches.quoted_per_hundred = {"JPY"}
    yen = bench.fortnox.fetch_books(FIRST, LAST).currency("JPY")
    assert yen is not None
    assert yen.rate is not None
    assert yen.rate.unit == 100
    assert yen.rate.per_one() == bench.world.rate("JPY", DAY) / Decimal(100)
