"""What somebody tries who means no good: hostile values, swapped pages, made-up messages."""

import json
import re
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from addon.bootstrap import LiveOutside
from addon.core.books import Identity
from addon.core.grants import Grant
from addon.services import installation
from addon.store.models import Company, RunRow, WebhookEvent
from tests.web.conftest import House, make_app
from tests.web.factory import NOW, Filled
from tests.web.html import check_html, words_of
from tests.web.test_access import token_of


def at(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "address",
    [
        "/transactions?since=0001-01-01",
        "/transactions?until=9999-12-31",
        f"/transactions?at={at('+0001-01-01T00:00:00+14:00~1')}",
        f"/payouts?at={at('-9999-12-31T23:59:59-14:00~1')}",
        f"/activity?at={at('+2026-01-01T00:00:00+00:00~99999999999999999999')}",
        f"/transactions?connection={'9' * 40}&currency=%C3%85%C3%85%C3%85&kind=x&state=y",
        "/inbox?reason=%27%3B--",
    ],
)
def test_an_address_made_up_is_the_page_without_it(house: House, filled: Filled, address: str) -> None:
    answer = house.client(filled.company).get(address)
    assert answer.status_code == 200
    check_html(answer.text)


@pytest.mark.parametrize("since", ["9999-12-31", "0001-01-01", "9999-W52-5"])
def test_days_at_the_end_of_time_are_not_looked_at(house: House, filled: Filled, since: str) -> None:
    client = house.client(filled.company)
    answer = client.post("/preview", data={"csrf_token": token_of(client), "since": since, "until": since})
    assert answer.status_code == 303, words_of(answer.text)
    assert answer.location.startswith("/runs/"), "the look is a run of its own, which fails in words if it must"


def test_a_null_character_is_refused_before_it_costs_anything(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    assert client.get("/transactions?q=a%00b").status_code == 400
    token = _park(house, client, "3001", "Ny AB")
    csrf, _ = _confirmation(client)
    answer = client.post("/install/confirm", data={"csrf_token": csrf, "name": "A\x00da"})
    assert answer.status_code == 400
    assert installation.parked(house.services, token) is not None


def test_methods_made_up_make_no_counters(house: House) -> None:
    client = house.client()
    for number in range(5):
        client.open("/", method=f"MADEUP{number}")
    numbers = client.get("/metrics").text
    assert 'method="other"' in numbers and "MADEUP" not in numbers


def _park(house: House, client: FlaskClient, tenant: str, name: str) -> str:
    token = installation.park(
        house.services, "fortnox", Grant("token", subject=tenant), Identity(tenant, name, "556000-1111")
    )
    with client.session_transaction() as browser:
        browser["parked"] = token
    return token


def _confirmation(client: FlaskClient) -> tuple[str, str]:
    page = client.get("/install/confirm").text
    fields = dict(re.findall(r'name="(csrf_token|shown)" value="([^"]+)"', page))
    return fields["csrf_token"], fields["shown"]


def test_the_button_confirms_the_company_that_its_page_named(house: House, filled: Filled) -> None:
    client = house.client()
    _park(house, client, "3001", "Egen AB")
    csrf, shown = _confirmation(client)
    _park(house, client, "6666", "Tjuven AB")  # a window that a stranger's link opened meanwhile
    press = {"csrf_token": csrf, "shown": shown, "name": "Ada", "answer": "yes"}
    answer = client.post("/install/confirm", data=press)
    assert answer.location == "/install/confirm"
    assert installation.find_tenant(house.services, "fortnox", "6666") is None
    page = client.get("/install/confirm").text
    assert "Tjuven AB" in page and "another company" in words_of(page)
    answer = client.post("/install/confirm", data={**press, "shown": _confirmation(client)[1], "answer": "no"})
    assert answer.location == "/"
    assert client.get("/install/confirm").status_code == 400


def _company(house: House, company_id: int, state: str) -> str:
    with house.services.db.open() as session:
        company = session.get_one(Company, company_id)
        company.state = state
        return company.tenant


def _runs(house: House, company_id: int) -> int:
    with house.services.db.company_reading(company_id) as session:
        return int(session.scalar(select(func.count(RunRow.id))) or 0)


def test_unsigned_messages_make_us_look_now_and_then_and_no_more(house: House, filled: Filled) -> None:
    tenant = _company(house, filled.company, "active")
    with house.services.db.company(filled.company) as session:
        for run in session.scalars(select(RunRow)):
            run.state = "done"
    before = _runs(house, filled.company)

    def tell(client: FlaskClient, number: str) -> None:
        body = json.dumps({"type": "consent-revoked", "tenantId": number})
        assert client.post("/webhooks/fortnox", data=body).status_code == 204

    client = house.client()
    for _ in range(5):
        tell(client, tenant)
        tell(client, "999999999")
        with house.services.db.company(filled.company) as session:
            for run in session.scalars(select(RunRow)):
                run.state = "done"
    assert _runs(house, filled.company) == before + 1
    with house.services.db.open_reading() as session:
        assert len(session.scalars(select(WebhookEvent).where(WebhookEvent.provider == "fortnox")).all()) == 1
    later = replace(house.services, now=lambda: NOW + timedelta(minutes=11))
    tell(make_app(later, house.settings).test_client(), tenant)
    assert _runs(house, filled.company) == before + 2


def test_a_company_that_is_gone_is_not_woken(house: House, filled: Filled) -> None:
    tenant = _company(house, filled.company, "disconnected")
    assert installation.worth_a_look(house.services, "fortnox", tenant) is None
    assert not installation.is_at_work(house.services, filled.company)
    _company(house, filled.company, "active")
    assert installation.is_at_work(house.services, filled.company)


def test_without_a_stripe_app_nothing_leads_there_and_connect_still_says_what_is_wrong(
    house: House, filled: Filled
) -> None:
    settings = house.settings.model_copy(update={"stripe_app_client_id": None, "stripe_app_secret_key": None})
    services = replace(house.services, outside=LiveOutside(settings, house.services.now))
    client = House(make_app(services, settings), services, settings).client(filled.company)
    assert "way=app" not in client.get("/welcome").text
    assert client.get("/connect/stripe?way=app").status_code == 404
    answer = client.get("/oauth/stripe/callback?code=ac_1&state=foreign")
    assert answer.status_code == 400 and "another browser" in words_of(answer.text)
    assert "way=app" in house.client(filled.company).get("/welcome").text


def test_what_a_company_is_not_ready_for_is_said(house: House, filled: Filled) -> None:
    from addon.store.models import BooksRow

    with house.services.db.company(filled.company) as session:
        for row in session.scalars(select(BooksRow)):
            session.delete(row)
    client = house.client(filled.company)
    answer = client.post("/preview", data={"csrf_token": token_of(client)})
    assert answer.status_code == 409 and "not ready" in words_of(answer.text)
    check_html(answer.text)
