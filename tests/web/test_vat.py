"""The page about VAT: rules added and removed, accounts of OSS, the meter and the checks; without JavaScript."""

from datetime import date
from decimal import Decimal

from flask.testing import FlaskClient
from sqlalchemy import select

from addon.services import settings
from addon.store.models import DocumentRow, OssRow, VatCheckRow
from tests.web.conftest import House
from tests.web.factory import Filled
from tests.web.html import check_html, words_of
from tests.web.test_access import token_of


def send(client: FlaskClient, address: str, **data: str) -> str:
    answer = client.post(address, data={"csrf_token": token_of(client), **data}, follow_redirects=True)
    check_html(answer.text)
    return words_of(answer.text)


def seen(house: House, filled: Filled) -> str:
    answer = house.client(filled.company).get("/settings/vat")
    assert answer.status_code == 200
    check_html(answer.text)
    return words_of(answer.text)


def test_a_first_look_says_what_decides(house: House, filled: Filled) -> None:
    text = seen(house, filled)
    assert "No rules" in text and "None yet" in text and "0,00" in text and "99\u202f680,00" in text


def test_a_rule_is_added_shown_with_todays_rate_and_removed(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    text = send(client, "/settings/vat/rules", country="SE", code="FOOD-", what="food")
    assert "Saved." in text and "FOOD-" in text and "6 %" in text
    send(client, "/settings/vat/rules", country="", code="", what="25")
    assert settings.values(house.services, filled.company)["vat_rules"] == "SE FOOD- food; * * 25"
    assert "Not saved" in send(client, "/settings/vat/rules", country="SE", code="<script>", what="6")
    send(client, "/settings/vat/rules/remove", rule="SE FOOD- food")
    send(client, "/settings/vat/rules/remove", rule="no such rule")
    assert settings.values(house.services, filled.company)["vat_rules"] == "* * 25"


def test_accounts_of_a_country_and_rate_are_mapped(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    text = send(client, "/settings/vat/accounts", country="FI", percent="25,5 %", sales="3113", vat="2673")
    assert "25,5 %" in text and "3113" in text and "2673" in text
    stored = settings.values(house.services, filled.company)
    assert stored["accounts.sales:OSS-FI25.5"] == "3113"
    assert stored["accounts.output_vat:OSS-FI25.5"] == "2673"
    for country, percent in (("US", "7"), ("DE", "x"), ("", "19")):
        assert "Not saved" in send(client, "/settings/vat/accounts", country=country, percent=percent, sales="3111")


def test_meter_return_and_checks_are_shown(house: House, filled: Filled) -> None:
    today = house.services.now().date()
    with house.services.db.company(filled.company) as session:
        row = session.scalars(select(DocumentRow)).first()
        assert row is not None
        session.add(
            OssRow(
                document_id=row.id,
                day=date(today.year, today.month, 1),
                country="DE",
                percent=str(Decimal(19)),
                abroad=True,
                net_minor=1_000_00,
                vat_minor=190_00,
                currency="SEK",
            )
        )
        session.add(
            VatCheckRow(
                number="DE136695976",
                state="valid",
                checked_at=house.services.now(),
                consultation="WAPI1",
                name="<b>Bergmann</b>",
            )
        )
    text = seen(house, filled)
    assert "have been taxed in the buyer" in text and "threshold is crossed" not in text, "1,000 of 99,680 SEK is below"
    assert "190,00" in text and "none yet" in text
    assert "WAPI1" in text and "<b>Bergmann</b>" in text
