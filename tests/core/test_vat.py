"""The VAT of one sale: what the rules say, what the provider's lines may say, and amounts that always add up."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.core.documents import CreateInvoice, CustomerVat
from addon.core.holds import HoldReason
from addon.core.money import Money
from addon.core.plan.sale import customer_key, plan_sale
from addon.core.plan.situation import CannotBook
from addon.core.plan.vat import NumberWanted, SaleVat, add_oss, checked_number, fitted, share_of_oss, vat_of_sale
from addon.core.records import Buyer, Movement, MovementKind, SaleItem
from addon.core.rules import Policy
from addon.core.vat import (
    EuBusiness,
    InvalidNumber,
    NumberCheck,
    NumberState,
    OddVat,
    OssAmount,
    OssRule,
    OssYear,
    SaleRule,
    Supply,
    VatFacts,
    country_of,
    percent_text,
    plain_number,
    read_rules,
)
from tests.core.samples import local, money, sample_policy

DAY = date(2026, 3, 2)
BERGMANN = "DE136695976"


def rules(**changes: Any) -> Policy:
    policy = sample_policy()
    return replace(policy, vat=replace(policy.vat, **changes))


def sale(amount: str = "125.00 SEK", *items: SaleItem, country: str = "SE", **buyer: str) -> Movement:
    return Movement(
        "txn_1",
        MovementKind.SALE,
        money(amount),
        local(DAY),
        source_ref="ch_1",
        buyer=Buyer("Anna", "anna@example.com", country, **buyer),
        items=items,
    )


def item(gross: str, percent: str | None = None, country: str = "SE", **more: Any) -> SaleItem:
    return SaleItem(
        more.pop("description", "Lamp"),
        Decimal(more.pop("quantity", 1)),
        money(gross),
        percent=None if percent is None else Decimal(percent),
        country=country if percent is not None else "",
        **more,
    )


def decided(movement: Movement, policy: Policy, facts: VatFacts | None = None) -> SaleVat:
    return vat_of_sale(movement, movement.presented or movement.amount, DAY, policy, facts or VatFacts(), "Order 1")


def treatments(movement: Movement, policy: Policy, facts: VatFacts | None = None) -> list[str]:
    return [line.treatment for line in decided(movement, policy, facts).lines]


def known(state: NumberState, number: str = BERGMANN) -> VatFacts:
    return VatFacts({number: NumberCheck(number, state, DAY, "WAPI1")})


# --- rules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "delivery", "changes", "treatment"),
    [
        ("SE", "", {}, "SE25"),
        ("DE", "", {}, "SE25"),
        ("DE", "", {"oss": OssRule.ALWAYS}, "OSS-DE19"),
        ("DE", "", {"oss": OssRule.ALWAYS, "supply": Supply.SERVICES}, "SE25"),
        ("DE", "", {"oss": OssRule.ALWAYS, "supply": Supply.DIGITAL}, "OSS-DE19"),
        ("FI", "", {"oss": OssRule.ALWAYS}, "OSS-FI25.5"),
        ("MC", "", {"oss": OssRule.ALWAYS}, "OSS-MC20"),
        ("SE", "DE", {"oss": OssRule.ALWAYS}, "OSS-DE19"),
        ("DE", "SE", {"oss": OssRule.ALWAYS}, "SE25"),
        ("DE", "SE", {"oss": OssRule.ALWAYS, "supply": Supply.DIGITAL}, "OSS-DE19"),
        ("US", "", {}, "EXPORT"),
        ("US", "", {"supply": Supply.DIGITAL}, "EXPORT-SERVICES"),
        ("US", "", {"supply": Supply.SERVICES}, "SE25"),
        ("DE", "", {"oss": OssRule.ALWAYS, "rules": read_rules("DE * 7")}, "OSS-DE7"),
        ("DE", "", {"oss": OssRule.ALWAYS, "rules": read_rules("EU * books")}, "OSS-DE7"),
        ("SE", "", {"rules": read_rules("EU * 7; SE * food")}, "SE12"),
        ("SE", "", {"rules": read_rules("* * 0")}, "SE0"),
    ],
)
def test_the_rules_say_where_a_sale_is_taxed(
    country: str, delivery: str, changes: dict[str, Any], treatment: str
) -> None:
    found = decided(sale(country=country, delivery_country=delivery), rules(**changes))
    assert [line.treatment for line in found.lines] == [treatment]
    assert found.why.endswith(".")


def test_a_category_without_a_rate_in_the_country_is_held() -> None:
    with pytest.raises(CannotBook) as held:
        decided(sale(country="DK"), rules(oss=OssRule.ALWAYS, rules=read_rules("* * food")))
    assert held.value.reason is HoldReason.VAT_RATE_UNKNOWN


def test_codes_lead_to_rules_and_the_first_that_fits_counts() -> None:
    policy = rules(rules=read_rules("SE FOOD-1 25; SE FOOD food\nSE txcd_35 books; * txcd_10 digital"))
    lines = decided(
        sale(
            "400.00 SEK",
            item("100.00 SEK", sku="FOOD-17"),
            item("100.00 SEK", sku="FOOD-2", description="Oats"),
            item("100.00 SEK", tax_code="txcd_35010000", description="Book"),
            item("100.00 SEK", product="prod_x", description="Else"),
        ),
        policy,
    ).lines
    assert [percent_text(line.percent) for line in lines] == ["25", "12", "6", "25"]


@pytest.mark.parametrize(
    "text", ["SE food", "SWE * food", "SE * Food!", "SE <x> 6", "SE * 6 more", "\n".join(["SE * 6"] * 51)]
)
def test_a_rule_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_rules(text)


def test_a_rule_is_written_as_it_is_read() -> None:
    assert [str(rule) for rule in read_rules(" se food- food ;; eu * 7% ")] == ["SE food- food", "EU * 7"]
    assert SaleRule("EU", "*", "7").fits("DE", (), "SE") and not SaleRule("EU", "*", "7").fits("SE", (), "SE")


# --- businesses -----------------------------------------------------------------------------------------------


def test_a_business_is_without_vat_only_when_its_number_is_valid() -> None:
    policy = rules(eu_business=EuBusiness.REVERSE_CHARGE)
    buying = sale(country="DE", vat_number="DE 136 695 976")
    assert checked_number(buying, policy) == BERGMANN
    with pytest.raises(NumberWanted) as wanted:
        decided(buying, policy)
    assert wanted.value.number == BERGMANN
    with pytest.raises(NumberWanted):
        decided(buying, policy, known(NumberState.UNAVAILABLE))
    valid = decided(buying, policy, known(NumberState.VALID))
    assert (valid.treatment, valid.customer, valid.number) == ("EU-GOODS", CustomerVat.EU_BUSINESS, BERGMANN)
    assert valid.facts == (
        ("vat_number", BERGMANN),
        ("vat_checked_on", "2026-03-02"),
        ("vat_consultation", "WAPI1"),
    )
    invalid = decided(buying, policy, known(NumberState.INVALID))
    assert (invalid.treatment, invalid.number) == ("SE25", "")
    with pytest.raises(CannotBook) as held:
        decided(
            buying,
            rules(eu_business=EuBusiness.REVERSE_CHARGE, invalid_number=InvalidNumber.HOLD),
            known(NumberState.MALFORMED),
        )
    assert held.value.reason is HoldReason.VAT_NUMBER_INVALID


@pytest.mark.parametrize(
    ("number", "country", "asked"),
    [
        ("DE136695976", "DE", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("EL123456789", "GR", "EL123456789"),
        ("094259216", "GR", "EL094259216"),
        ("SE556677889901", "DE", ""),
        ("GB123456789", "DE", ""),
        ("", "DE", ""),
        ("DE136695976", "SE", ""),
        ("'; drop table", "DE", ""),
    ],
)
def test_only_numbers_of_other_eu_countries_are_asked_for(number: str, country: str, asked: str) -> None:
    policy = rules(eu_business=EuBusiness.REVERSE_CHARGE)
    assert checked_number(sale(country=country, vat_number=number), policy) == asked


def test_nobody_is_asked_where_businesses_pay_domestic_vat() -> None:
    assert checked_number(sale(country="DE", vat_number=BERGMANN), rules()) == ""


def test_a_number_of_no_eu_country_makes_a_consumer_or_is_held() -> None:
    policy = rules(eu_business=EuBusiness.REVERSE_CHARGE)
    buying = sale(country="DE", vat_number="GB123456789")
    assert treatments(buying, policy) == ["SE25"]
    with pytest.raises(CannotBook):
        decided(buying, rules(eu_business=EuBusiness.REVERSE_CHARGE, invalid_number=InvalidNumber.HOLD))


def test_numbers_are_read_plainly() -> None:
    assert plain_number("nl 0044.95445-b01") == "NL004495445B01"
    assert plain_number("") == ""
    assert plain_number("1" * 40, "DE") == "DE" + "1" * 18, "what a buyer types never outgrows the table of checks"
    assert (country_of("EL1"), country_of("XI1"), country_of("CHE1")) == ("GR", "", "")


def test_two_treatments_are_two_customers() -> None:
    keys = {customer_key("a@example.com", vat) for vat in CustomerVat}
    assert len(keys) == 4
    assert customer_key("A@example.com ") == customer_key("a@example.com", CustomerVat.DOMESTIC)


def test_the_providers_reverse_charge_with_an_invalid_number_is_taxed_as_a_consumers() -> None:
    told = item("1000.00 SEK", "0", "DE", reason="reverse_charge")
    buying = sale("1000.00 SEK", told, country="DE", vat_number=BERGMANN)
    assert checked_number(buying, rules()) == BERGMANN
    assert treatments(buying, rules(), known(NumberState.INVALID)) == ["SE25"]
    assert treatments(buying, rules(oss=OssRule.ALWAYS), known(NumberState.INVALID)) == ["OSS-DE19"]
    assert checked_number(buying, rules(tax_lines=False)) == ""


# --- OSS ------------------------------------------------------------------------------------------------------


def sek(amount: str) -> Money:
    return money(f"{amount} SEK")


@pytest.mark.parametrize(
    ("years", "abroad"),
    [
        ({}, False),
        ({2026: OssYear(sek("99580.00"))}, False),
        ({2026: OssYear(sek("99580.01"))}, True),
        ({2026: OssYear(sek("0.00"), crossed=True)}, True),
        ({2025: OssYear(sek("99680.00"))}, False),
        ({2025: OssYear(sek("99680.01"))}, True),
    ],
)
def test_the_sale_that_takes_the_year_over_the_threshold_is_taxed_abroad(
    years: dict[int, OssYear], abroad: bool
) -> None:
    found = decided(sale(country="DE"), rules(oss=OssRule.FROM_THRESHOLD), VatFacts(oss=years))
    assert [line.abroad for line in found.lines] == [abroad]
    assert [amount.abroad for amount in found.oss] == [abroad]
    assert all(amount.country == "DE" for amount in found.oss)


def test_a_foreign_sale_without_any_rate_cannot_be_measured() -> None:
    movement = replace(sale("10.00 EUR", country="DE"), presented=money("10.00 EUR"))
    with pytest.raises(CannotBook) as held:
        decided(movement, rules(oss=OssRule.FROM_THRESHOLD))
    assert held.value.reason is HoldReason.NO_RATE
    assert decided(movement, rules()).oss == ()


def test_books_in_a_currency_without_a_known_threshold_tax_abroad_from_the_first_sale() -> None:
    policy = replace(rules(oss=OssRule.FROM_THRESHOLD), books_currency="NOK")
    assert treatments(sale("125.00 NOK", country="DE"), policy) == ["OSS-DE19"]


def test_what_is_refunded_leaves_the_figures_and_not_the_line_that_was_crossed() -> None:
    amount = OssAmount("DE", Decimal(19), sek("1000.00"), sek("190.00"), DAY, abroad=True)
    (back,) = share_of_oss((amount,), sek("595.00"), sek("1190.00"), date(2026, 4, 1))
    assert (back.net, back.vat, back.day) == (sek("-500.00"), sek("-95.00"), date(2026, 4, 1))
    years = add_oss(add_oss({}, (amount,)), (back,))
    assert years == {2026: OssYear(sek("500.00"), crossed=True)}


def test_the_same_rate_in_two_countries_belongs_to_the_one_that_is_taxed() -> None:
    told = SaleItem("Lamp", Decimal(1), sek("125.00"), tax=sek("25.00"))
    assert treatments(sale("125.00 SEK", told, country="DK"), rules()) == ["SE25"]
    assert treatments(sale("125.00 SEK", told, country="DK"), rules(oss=OssRule.ALWAYS)) == ["OSS-DK25"]
    assert treatments(sale("125.00 SEK", told, country="DK"), rules(oss=OssRule.FROM_THRESHOLD)) == ["SE25"]


# --- the provider's lines -------------------------------------------------------------------------------------


def test_lines_in_another_currency_than_was_paid_are_left_aside() -> None:
    assert treatments(sale("125.00 SEK", item("12.50 EUR", "6")), rules()) == ["SE25"]


def test_lines_that_are_alike_become_one() -> None:
    lines = decided(sale("250.00 SEK", item("100.00 SEK", "25"), item("150.00 SEK", "25")), rules()).lines
    assert [line.gross for line in lines] == [sek("250.00")]


def test_a_very_long_list_becomes_a_line_for_each_rate() -> None:
    items = [item("1.00 SEK", "25" if n % 2 else "6", description=f"Thing {n}") for n in range(250)]
    lines = decided(sale("250.00 SEK", *items), rules()).lines
    assert {(line.description, line.gross) for line in lines} == {
        ("125 items at 6 %", sek("125.00")),
        ("125 items at 25 %", sek("125.00")),
    }


def test_a_discount_larger_than_what_it_is_for_spreads_over_everything_or_is_held() -> None:
    spread = fitted([item("100.00 SEK", "25"), item("100.00 SEK", "6"), item("-150.00 SEK", "25")], sek("50.00"))
    assert [share for _, share in spread] == [sek("25.00"), sek("25.00")]
    with pytest.raises(CannotBook):
        fitted([item("100.00 SEK", "25"), item("-150.00 SEK", "25")], sek("50.00"))
    with pytest.raises(CannotBook):
        fitted([item("-150.00 SEK", "25")], sek("50.00"))


def test_a_sale_without_vat_at_home_stands_on_its_own_account() -> None:
    assert treatments(sale("125.00 SEK", item("125.00 SEK", "0", reason="exempt")), rules()) == ["SE0"]


def test_a_rate_that_no_invoice_holds_is_held_or_a_voucher() -> None:
    movement = sale("1255.00 SEK", country="FI")
    with pytest.raises(CannotBook) as held:
        plan_sale(movement, rules(oss=OssRule.ALWAYS), ())
    assert held.value.reason is HoldReason.VAT_RATE_ODD
    document = plan_sale(movement, rules(oss=OssRule.ALWAYS, odd=OddVat.VOUCHER), ())
    assert [step.kind for step in document.steps] == ["post_voucher"]
    assert Money.total((line.net + line.vat for line in document.sold), "SEK") == sek("1255.00")
    euro = replace(movement, presented=money("100.00 EUR"))
    with pytest.raises(CannotBook) as held:
        plan_sale(euro, rules(oss=OssRule.ALWAYS, odd=OddVat.VOUCHER), ())
    assert held.value.reason is HoldReason.NO_RATE


PERCENTS = st.sampled_from(["25", "12", "6", "0"])
ITEMS = st.lists(st.tuples(st.integers(1, 10**7), PERCENTS), min_size=1, max_size=12)


@given(items=ITEMS, discount=st.integers(0, 10**6), captured=st.integers(1, 10**8))
def test_lines_never_lose_or_make_a_smallest_unit(items: list[tuple[int, str]], discount: int, captured: int) -> None:
    total = sum(minor for minor, _ in items)
    lines = [
        SaleItem(f"Thing {n}", Decimal(1), Money(minor, "SEK"), percent=Decimal(percent), country="SE")
        for n, (minor, percent) in enumerate(items)
    ]
    if 0 < discount < total:
        lines.append(SaleItem("Discount", Decimal(1), Money(-discount, "SEK")))
        total -= discount
    paid = Money(min(captured, total), "SEK")
    movement = replace(sale(), amount=paid, items=tuple(lines))
    found = decided(movement, rules())
    assert Money.total((line.gross for line in found.lines), "SEK") == paid
    assert all(line.gross.minor > 0 for line in found.lines)
    document = plan_sale(movement, rules(), ())
    invoice = next(step.invoice for step in document.steps if isinstance(step, CreateInvoice))
    assert invoice.total == paid
    assert {line.vat_percent for line in invoice.lines} <= {int(percent) for _, percent in items}


def test_freight_without_tax_of_its_own_follows_the_goods() -> None:
    lines = decided(
        sale(
            "250.00 SEK",
            item("150.00 SEK", "25", description="Socks"),
            item("50.00 SEK", "6", description="Book"),
            item("50.00 SEK", description="Shipping", reason="shipping"),
        ),
        rules(),
    ).lines
    assert [(line.description, line.gross, percent_text(line.percent)) for line in lines] == [
        ("Socks", sek("150.00"), "25"),
        ("Book", sek("50.00"), "6"),
        ("Shipping", sek("37.50"), "25"),
        ("Shipping", sek("12.50"), "6"),
    ]


def test_freight_alone_goes_by_the_companys_rules() -> None:
    lines = decided(sale("50.00 SEK", item("50.00 SEK", description="Shipping", reason="shipping")), rules()).lines
    assert [(line.description, line.treatment) for line in lines] == [("Shipping", "SE25")]


def test_an_oss_account_without_a_vat_code_of_its_own_holds_the_sale() -> None:
    policy = rules(oss=OssRule.ALWAYS)
    accounts = tuple(replace(one, vat_code="MP1") for one in policy.books.accounts)
    movement = sale("119.00 SEK", country="DE")
    assert plan_sale(movement, policy, ()).oss
    with pytest.raises(CannotBook) as held:
        plan_sale(movement, replace(policy, books=replace(policy.books, accounts=accounts)), ())
    assert held.value.reason is HoldReason.ACCOUNT_NOT_READY
    assert dict(held.value.facts)["why"] == "no_oss_vat_code"


def test_a_rate_without_a_country_is_ours_where_the_buyer_is_outside_the_eu() -> None:
    told = SaleItem("Lamp", Decimal(1), sek("125.00"), percent=Decimal(25))
    assert treatments(sale("125.00 SEK", told, country="NO"), rules()) == ["SE25"]
    nothing = SaleItem("Lamp", Decimal(1), sek("125.00"), percent=Decimal(0))
    assert treatments(sale("125.00 SEK", nothing, country="NO"), rules()) == ["EXPORT"]
    assert treatments(sale("125.00 SEK", nothing, country=""), rules()) == ["SE0"]


def test_a_rule_can_say_what_kind_of_supply_a_product_is() -> None:
    policy = rules(oss=OssRule.ALWAYS, rules=read_rules("* COURSE- services; * APP- digital"))
    assert treatments(sale("125.00 SEK", item("125.00 SEK", sku="COURSE-1"), country="DE"), policy) == ["SE25"]
    assert treatments(sale("125.00 SEK", item("125.00 SEK", sku="APP-1"), country="DE"), policy) == ["OSS-DE19"]


def test_a_business_that_is_charged_domestic_vat_is_told_so() -> None:
    found = decided(sale(country="DE", vat_number=BERGMANN), rules(rules=read_rules("SE * 12")))
    assert (found.treatment, found.number) == ("SE12", BERGMANN)
    assert "business in DE" in found.why
    home = decided(sale(country="DE", vat_number="SE556677889901"), rules(eu_business=EuBusiness.REVERSE_CHARGE))
    assert home.treatment == "SE25"


def test_an_invalid_number_of_a_buyer_who_has_moved_home_is_taxed_at_home() -> None:
    told = item("1000.00 SEK", "0", "DE", reason="reverse_charge")
    buying = sale("1000.00 SEK", told, country="SE", vat_number=BERGMANN)
    assert treatments(buying, rules(), known(NumberState.INVALID)) == ["SE25"]
