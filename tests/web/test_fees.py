"""The page on which a person stands by the VAT of fees, and the month beside the tax invoice."""

from addon.core.records import FeeKind
from addon.services import settings as company_settings
from tests.web.conftest import House
from tests.web.factory import Filled
from tests.web.html import check_html, words_of
from tests.web.test_actions import press
from tests.web.test_rules import send


def confirmed(house: House, filled: Filled) -> bool:
    with house.services.db.company_reading(filled.company) as session:
        return company_settings.read_company(session).fees_confirmed()


def test_nobody_stands_by_the_profile_until_a_person_writes_a_name(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    page = client.get("/settings/fees").text
    check_html(page)
    text = words_of(page)
    assert "Not confirmed yet" in text and "Payment fees" in text and "boxes 21, 30 and 48" in text.lower()
    status, text = send(client, "/settings/fees", fee_vat="exempt", name=" ")
    assert status == 422 and "Write your name" in text
    assert not confirmed(house, filled)


def test_a_profile_is_confirmed_by_name_and_a_change_asks_anew(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    given = {f"fee_vat.{kind.value}": "as_payments" for kind in FeeKind if kind is not FeeKind.PAYMENT}
    given |= {"fee_vat.service": "eu_reverse_charge", "fee_vat": "exempt", "fee_entity": "stripe_ie"}
    text = press(client, "/settings/fees", **given, name="Berit Bokförare")
    assert "Confirmed by Berit Bokförare" in text
    assert confirmed(house, filled)
    with house.services.db.company_reading(filled.company) as session:
        profile = company_settings.read_company(session).fee_profile()
    assert profile[FeeKind.PAYMENT].value == profile[FeeKind.DISPUTE].value == "exempt"
    assert profile[FeeKind.SERVICE].value == "eu_reverse_charge"
    assert "Changed a setting" in words_of(client.get("/activity").text)
    # Saving other settings neither confirms nor unconfirms; whoever changes the profile stands by it.
    press(client, "/settings", wait_days="20", fee_vat_confirmed_by="Berit Bokförare")
    assert confirmed(house, filled)
    company_settings.change(house.services, filled.company, "the command line", {"fee_vat.service": "exempt"})
    kept = company_settings.values(house.services, filled.company)
    assert kept["fee_vat_confirmed_by"] == "the command line"


def test_an_entitys_preset_fills_the_table_and_saves_nothing(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    page = client.get("/settings/fees?preset=stripe_us").text
    check_html(page)
    assert "not saved yet" in words_of(page)
    assert page.count('value="non_eu_reverse_charge" selected') == 3
    assert company_settings.values(house.services, filled.company)["fee_vat"] == "eu_reverse_charge"
    assert client.get("/settings/fees?preset=nonsense").status_code == 200


def test_a_months_fees_stand_beside_the_invoice_that_was_typed_in(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    for address in ("/settings/fees/month", "/settings/fees/month?month=2026-11", "/settings/fees/month?month=x"):
        check_html(client.get(address).text)
    assert client.get("/settings/fees/month?month=1999-01").status_code == 200


def test_a_figure_that_is_none_is_refused_and_another_companys_connection_is_not_there(
    house: House, filled: Filled
) -> None:
    client = house.client(filled.company)
    with house.services.db.company_reading(filled.company) as session:
        from addon.store.models import Connection

        connection = session.query(Connection.id).order_by(Connection.id).first()
        assert connection is not None
    where = f"/settings/fees/month/{connection[0]}"
    for wrong in ("much", "1e999", "1.005", "NaN"):
        status, text = send(client, where, month="2026-11", currency="SEK", net=wrong)
        assert status == 422, wrong
    status, _ = send(client, where, month="2026-11", currency="nonsense", net="1")
    assert status == 422
    text = press(client, where, month="2026-10", currency="SEK", net="1 234,50", vat="", number="IE-77")
    assert "Kept." in text and "IE-77" in text
    status, _ = send(client, "/settings/fees/month/987654", month="2026-11", currency="SEK", net="1")
    assert status == 404
