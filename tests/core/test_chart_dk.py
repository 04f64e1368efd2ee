"""What a Danish company is offered of its own chart, and nothing that it lacks."""

from addon.core import chart_dk
from addon.core.accounts import AccountRole
from addon.services.settings import COMPANY_ACCOUNTS, shown_accounts


def test_only_accounts_that_are_open_are_offered() -> None:
    assert chart_dk.offered({"1010", "3620", "6902", "9999"}) == {
        "sales:DK25": "1010",
        "output_vat:DK25": "6902",
        "fee": "3620",
    }
    assert chart_dk.offered(()) == {}


def test_balances_get_accounts_of_their_own_and_share_the_home_bank() -> None:
    active = {"5820", "5830", "5891", "5892", "5895"}
    assert chart_dk.offered_for_balances(active, ("EUR", "DKK"), "DKK", ()) == {
        "clearing:DKK": "5891",
        "bank:DKK": "5820",
        "reserve:DKK": "5895",
        "clearing:EUR": "5892",
        "bank:EUR": "5830",
    }
    assert chart_dk.offered_for_balances(active, ("DKK",), "DKK", {"5891", "5820"})["clearing:DKK"] == "5892"


def test_every_role_offered_is_one_that_a_company_maps() -> None:
    assert chart_dk.COMPANY.keys() <= set(COMPANY_ACCOUNTS)
    assert {role.partition(":")[0] for role in chart_dk.COMPANY} <= {role.value for role in AccountRole}


def test_a_company_sees_its_own_countrys_home_sales() -> None:
    danish, swedish = shown_accounts("DK"), shown_accounts("SE")
    assert "sales:DK25" in danish
    assert "sales:SE25" not in danish
    assert "sales:SE25" in swedish
    assert "sales:DK25" not in swedish
    assert {"fee", "sales:EXPORT"} <= set(danish) & set(swedish)


def test_a_provider_with_more_currencies_than_the_chart_has_accounts_for_is_offered_numbers_to_be_made() -> None:
    active = {"5820", "5891", "5895"}
    chart = {*active, "5894", "5896"}
    found = chart_dk.offered_for_balances(active, ("DKK", "EUR", "USD"), "DKK", (), chart)
    assert found == {
        "clearing:DKK": "5891",
        "bank:DKK": "5820",
        "reserve:DKK": "5895",
        "clearing:EUR": "5897",
        "reserve:EUR": "5898",
        "clearing:USD": "5899",
        "reserve:USD": "5850",
    }
