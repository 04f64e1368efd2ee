"""VAT by buyer, rates by day."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from addon.core.accounts import AccountMap
from addon.core.books import Books, Identity
from addon.core.documents import CustomerVat
from addon.core.money import ExchangeRate
from addon.core.records import Buyer
from addon.core.rules import EU_VAT_TERRITORY, FeeVat, LockedRule, Mode, Policy, decide_vat, rate_for

BOOKS = Books(Identity("1", "Fjällbutiken AB", "556677-8899"), (), (), (), "B", "C", (), (), (), None)
POLICY = Policy(
    provider="stripe",
    provider_name="Stripe",
    account_ref="acct_1",
    mode=Mode.PLUS,
    books_currency="SEK",
    zone=ZoneInfo("Europe/Stockholm"),
    today=date(2026, 11, 20),
    accounts=AccountMap({}),
    books=BOOKS,
    decimals=2,
    default_vat_percent=25,
    export_without_vat=True,
    fee_vat=FeeVat.EU_REVERSE_CHARGE,
    locked_rule=LockedRule.HOLD,
    collective_customers=False,
    invoice_text="",
    order_places=(),
    order_fields=(),
    wait_days=14,
    tolerance_minor=0,
    rounds_to_whole=False,
    rates=(),
)


@pytest.mark.parametrize(
    ("country", "vat_number", "percent", "treatment"),
    [
        ("SE", "", 25, "SE25"),
        ("", "", 25, "SE25"),
        (" de ", "", 25, "SE25"),
        ("DE", "DE123456789", 25, "SE25"),
        ("MC", "", 25, "SE25"),
        ("US", "", 0, "EXPORT"),
        ("NO", "NO999", 0, "EXPORT"),
        ("AX", "", 0, "EXPORT"),
        ("GB", "", 0, "EXPORT"),
    ],
)
def test_vat_follows_the_buyers_country(country: str, vat_number: str, percent: int, treatment: str) -> None:
    decision = decide_vat(Buyer(country=country, vat_number=vat_number), POLICY)
    assert (decision.percent, decision.treatment) == (percent, treatment)
    assert decision.customer is (CustomerVat.EXPORT if treatment == "EXPORT" else CustomerVat.DOMESTIC)
    assert decision.why.endswith(".")


@pytest.mark.parametrize("rate", [25, 12, 6, 0])
def test_the_companys_own_rate_names_its_sales_account(rate: int) -> None:
    decision = decide_vat(Buyer(country="SE"), replace(POLICY, default_vat_percent=rate))
    assert (decision.percent, decision.treatment) == (rate, f"SE{rate}")


def test_vat_is_charged_outside_the_eu_where_the_company_chose_so() -> None:
    decision = decide_vat(Buyer(country="US"), replace(POLICY, export_without_vat=False))
    assert (decision.percent, decision.treatment) == (25, "SE25")


def test_a_business_in_the_eu_is_told_why_it_pays_domestic_vat() -> None:
    assert "business in DE" in decide_vat(Buyer(country="DE", vat_number="DE1"), POLICY).why


def test_the_eu_is_the_twenty_seven_and_monaco() -> None:
    assert len(EU_VAT_TERRITORY) == 28
    assert not EU_VAT_TERRITORY & {"GB", "NO", "CH", "AX", "GL", "FO", "EL", "UK"}


def fixing(day: date, rate: str, base: str = "EUR") -> ExchangeRate:
    return ExchangeRate(base, "SEK", Decimal(rate), 1, day, "test")


def test_a_sale_takes_the_rate_last_published_before_its_day() -> None:
    rates = (
        fixing(date(2026, 11, 16), "11.10"),
        fixing(date(2026, 11, 18), "11.30"),
        fixing(date(2026, 11, 17), "11.20"),
        fixing(date(2026, 11, 17), "9.80", "USD"),
    )
    policy = replace(POLICY, rates=rates)
    found = rate_for(policy, "EUR", date(2026, 11, 18))
    assert found is not None
    assert found.rate == Decimal("11.20"), "the day's own fixing was not published in the morning"
    assert rate_for(policy, "EUR", date(2026, 11, 25)) == rates[1]
    assert rate_for(policy, "EUR", date(2026, 11, 26)) is None, "a week is the longest"
    assert rate_for(policy, "JPY", date(2026, 11, 18)) is None
    assert rate_for(policy, "EUR", date(2026, 11, 16)) is None
