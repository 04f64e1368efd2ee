"""Installing from the marketplace, the way back, the app list, and the handle for other processes."""

from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from addon.sandbox.economic import EconomicAgreement, EconomicWorld
from tests.sandbox.economic.conftest import Caller

INSTALL = "/secure/api1/requestaccess.aspx"
BACK = "http://kvitt.test/install/economic/callback?nonce=n"


@pytest.fixture
def browser(world: EconomicWorld, agreement: EconomicAgreement) -> FlaskClient:
    return world.app().test_client()


def test_the_marketplace_leads_to_the_apps_own_page(browser: FlaskClient) -> None:
    html = browser.get("/marketplace").get_data(as_text=True)
    assert 'href="http://kvitt.test/install/economic"' in html
    assert "Sandbox" in html


def test_a_person_adds_the_app_and_only_a_token_comes_back(
    browser: FlaskClient, world: EconomicWorld, agreement: EconomicAgreement
) -> None:
    page = browser.get(INSTALL, query_string={"appPublicToken": "app-public", "redirectUrl": BACK, "locale": "da-DK"})
    assert "Havblik ApS" in page.get_data(as_text=True)
    form = {"redirectUrl": BACK, "agreement": agreement.number, "decision": "add"}
    answer = browser.post(INSTALL, data=form)
    query = parse_qs(urlsplit(answer.location).query)
    assert query.keys() == {"nonce", "token"}
    assert Caller(browser, query["token"][0]).get("/rest/self").status == 200
    assert "✓" in browser.get("/settings/apps").get_data(as_text=True)
    browser.post("/settings/apps/remove", data={"agreement": agreement.number})
    assert Caller(browser, query["token"][0]).get("/rest/self").status == 401


def test_a_wrong_token_a_cancelled_page_and_a_closed_package(
    browser: FlaskClient, world: EconomicWorld, agreement: EconomicAgreement
) -> None:
    assert browser.get(INSTALL, query_string={"appPublicToken": "x"}).status_code == 400
    assert browser.get(INSTALL, query_string={"appPublicToken": "app-public", "redirectUrl": "ftp://x"}).status_code
    cancelled = browser.post(INSTALL, data={"redirectUrl": BACK, "decision": "cancel"})
    assert cancelled.location == "/marketplace"
    agreement.admits_apps = False
    form = {"redirectUrl": BACK, "agreement": agreement.number, "decision": "add"}
    assert browser.post(INSTALL, data=form).status_code == 403
    assert world.grants == {}


def test_without_an_address_the_token_is_shown(browser: FlaskClient, agreement: EconomicAgreement) -> None:
    shown = browser.post(INSTALL, data={"agreement": agreement.number, "decision": "add"})
    assert "Copy the token" in shown.get_data(as_text=True)


def test_the_address_may_have_to_be_registered(browser: FlaskClient, world: EconomicWorld) -> None:
    world.switches.redirect_must_be_registered = True
    other = {"appPublicToken": "app-public", "redirectUrl": "http://other.test/"}
    assert browser.get(INSTALL, query_string=other).status_code == 400
    assert browser.get(INSTALL, query_string={**other, "redirectUrl": BACK}).status_code == 200


def test_the_books_can_be_looked_at(browser: FlaskClient, agreement: EconomicAgreement) -> None:
    agreement.person_creates_invoice("125", order="<b>1001</b>")
    agreement.person_posts_voucher([(5820, 1), (5891, -1)], booked=False)
    html = browser.get(f"/books/{agreement.number}").get_data(as_text=True)
    assert "125,00" in html
    assert "&lt;b&gt;1001" in html
    assert browser.get("/books/1").status_code == 404


def test_another_process_steers_through_the_control_app(world: EconomicWorld, agreement: EconomicAgreement) -> None:
    control = world.control_app().test_client()
    base = f"/control/agreements/{agreement.number}"
    assert control.get("/control/agreements").get_json()[0]["name"] == "Havblik ApS"
    made = control.post(f"{base}/do/person_creates_invoice", json={"gross": "100.02", "on": "2026-03-01"})
    assert made.get_json()["remainder"] == "100.02"
    assert control.post(f"{base}/do/person_pays_invoice", json={"number": 1}).status_code == 200
    assert control.get(f"{base}/check").get_json() == {"ok": True}
    assert control.get(f"{base}/trial-balance").get_json()["5820"] == "100.02"
    for what in ("entries", "invoices", "drafts", "draft-entries", "customers", "files"):
        assert control.get(f"{base}/{what}").status_code == 200
    refused = control.post(f"{base}/do/person_creates_invoice", json={"gross": "1", "currency": "XXX"})
    assert refused.status_code == 409
    assert control.post(f"{base}/do/delete_everything").status_code == 404
    assert control.post("/control/switches", json={"vat_rounding": "rate"}).get_json()["vat_rounding"] == "rate"
    assert control.post("/control/switches", json={"nix": 1}).status_code == 400
    assert control.post("/control/faults", json={"kind": "lost_after"}).status_code == 201
    assert len(control.get("/control/faults").get_json()) == 1
    control.delete("/control/faults")
    token = control.post(f"{base}/grant").get_json()["token"]
    assert Caller(world.app().test_client(), token).get("/rest/self").status == 200
    assert control.get("/control/calls").get_json() == {"count": 1}
    assert control.post("/control/clock", json={"advance_s": 60}).get_json()["now"].startswith("2026-03-04T11:01")
    assert control.post("/control/zombies").get_json() == {"statuses": []}
