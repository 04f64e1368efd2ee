"""Consent, codes, tokens: as Fortnox gives, rotates and takes them."""

import base64
import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import FortnoxCompany, FortnoxWorld
from addon.sandbox.serving import serve_threaded
from tests.sandbox.fortnox.conftest import CALLBACK, Caller

ASKED = {
    "client_id": "app-id",
    "response_type": "code",
    "state": "st/1",
    "scope": "companyinformation invoice",
    "access_type": "offline",
    "redirect_uri": CALLBACK,
    "account_type": "service",
}


@pytest.fixture
def browser(world: FortnoxWorld, company: FortnoxCompany) -> FlaskClient:  # type: ignore[override]
    """A person's browser (takes the place of the suite's Chromium here)."""
    return world.app().test_client()


def key_of(html: str) -> str:
    found = re.search(r'name="key" value="(\w+)"', html)
    assert found, html
    return found[1]


def open_consent(browser: FlaskClient, **asked: str) -> str:
    page = browser.get("/oauth-v1/auth?" + urlencode({**ASKED, **asked}))
    assert page.status_code == 200, page.text
    return key_of(page.text)


def decide(browser: FlaskClient, key: str, company: FortnoxCompany, decision: str = "allow") -> dict[str, str]:
    form = {"key": key, "company": str(company.database_number), "decision": decision}
    answer = browser.post("/oauth-v1/auth", data=form)
    assert answer.status_code == 302, answer.text
    where = urlsplit(answer.headers["Location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == CALLBACK
    return {name: values[0] for name, values in parse_qs(where.query).items()}


def token(browser: FlaskClient, tenant: int | None = None, **form: str) -> tuple[int, Any]:
    headers = {"TenantId": str(tenant)} if tenant is not None else {}
    answer = browser.post("/oauth-v1/token", data=form, auth=("app-id", "app-secret"), headers=headers)
    return answer.status_code, answer.get_json(force=True)


def by_code(browser: FlaskClient, code: str, redirect_uri: str = CALLBACK) -> tuple[int, Any]:
    return token(browser, grant_type="authorization_code", code=code, redirect_uri=redirect_uri)


def test_from_consent_to_the_first_call(browser: FlaskClient, company: FortnoxCompany) -> None:
    back = decide(browser, open_consent(browser), company)
    assert back.keys() == {"code", "state"}
    assert back["state"] == "st/1"
    status, pair = by_code(browser, back["code"])
    assert status == 200
    assert pair.keys() == {"access_token", "refresh_token", "expires_in", "token_type", "scope"}
    assert (pair["expires_in"], pair["token_type"], pair["scope"]) == (3600, "bearer", "companyinformation invoice")
    payload = pair["access_token"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["tenantId"] == company.database_number
    call = Caller(browser, pair["access_token"])
    shown = call.get("companyinformation").body["CompanyInformation"]
    assert shown["DatabaseNumber"] == company.database_number
    assert call.get("customers").code == 2000663
    assert call.get("settings/company").code == 2000663


def test_a_code_is_good_once_for_ten_minutes_with_the_same_address(
    browser: FlaskClient, company: FortnoxCompany, clock: Clock
) -> None:
    code = decide(browser, open_consent(browser), company)["code"]
    assert by_code(browser, code, "http://elsewhere.test/")[0] == 400
    assert token(browser, grant_type="authorization_code", code=code)[0] == 400
    assert by_code(browser, code)[0] == 200
    status, body = by_code(browser, code)
    assert (status, body["error"]) == (400, "invalid_grant")
    late = decide(browser, open_consent(browser), company)["code"]
    clock.advance(timedelta(minutes=10))
    assert by_code(browser, late)[0] == 400
    assert token(browser, grant_type="password")[1]["error"] == "unsupported_grant_type"


def test_refresh_tokens_rotate_and_die(
    browser: FlaskClient, world: FortnoxWorld, company: FortnoxCompany, clock: Clock
) -> None:
    first = by_code(browser, decide(browser, open_consent(browser), company)["code"])[1]
    status, second = token(browser, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert status == 200
    assert second["refresh_token"] != first["refresh_token"]
    assert token(browser, grant_type="refresh_token", refresh_token=first["refresh_token"])[0] == 400
    clock.advance(timedelta(days=44, hours=23))
    status, third = token(browser, grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert status == 200
    world.switches.refresh_token_days = 31
    fourth = token(browser, grant_type="refresh_token", refresh_token=third["refresh_token"])[1]
    clock.advance(timedelta(days=31))
    assert token(browser, grant_type="refresh_token", refresh_token=fourth["refresh_token"])[0] == 400


def test_two_processes_refreshing_at_once_leave_one_pair(
    browser: FlaskClient, world: FortnoxWorld, company: FortnoxCompany
) -> None:
    pair = by_code(browser, decide(browser, open_consent(browser), company)["code"])[1]
    answers = []

    def refresh() -> None:
        mine = world.app().test_client()
        answers.append(token(mine, grant_type="refresh_token", refresh_token=pair["refresh_token"])[0])

    threads = [threading.Thread(target=refresh) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(answers) == [200, 400, 400, 400]


def test_an_access_token_lives_an_hour(
    browser: FlaskClient, company: FortnoxCompany, call: Caller, clock: Clock
) -> None:
    clock.advance(timedelta(minutes=59, seconds=59))
    assert call.get("companyinformation").status == 200
    clock.advance(timedelta(seconds=1))
    expired = call.get("companyinformation")
    assert (expired.status, expired.body) == (401, {"message": "unauthorized"})
    call.token = call.token[:-3] + "abc"
    assert call.get("companyinformation").status == 401
    bare = browser.get("/3/companyinformation")
    assert bare.get_json()["ErrorInformation"]["code"] == 2000311


def test_client_credentials_need_a_service_consent_that_stands(
    browser: FlaskClient, world: FortnoxWorld, company: FortnoxCompany, clock: Clock
) -> None:
    number = company.database_number
    assert token(browser, number, grant_type="client_credentials")[0] == 400
    decide(browser, open_consent(browser), company)
    clock.advance(timedelta(days=400))
    status, answer = token(browser, number, grant_type="client_credentials")
    assert status == 200
    assert "refresh_token" not in answer
    assert Caller(browser, answer["access_token"]).get("companyinformation").status == 200
    assert token(browser, None, grant_type="client_credentials")[0] == 400
    assert token(browser, number + 1, grant_type="client_credentials")[0] == 400
    company.revoke_consent()
    assert token(browser, number, grant_type="client_credentials")[0] == 400
    world.switches.missing_consent_status = 500
    assert token(browser, number, grant_type="client_credentials")[0] == 500
    assert Caller(browser, answer["access_token"]).get("companyinformation").status == 200
    decide(browser, open_consent(browser, account_type=""), company)
    assert token(browser, number, grant_type="client_credentials")[0] == 500
    assert [event["type"] for event in world.consent_events] == [
        "consent-created-v1",
        "consent-revoked-v1",
        "consent-created-v1",
    ]


def test_revoked_consent_may_kill_access_tokens_too(
    browser: FlaskClient, world: FortnoxWorld, company: FortnoxCompany, call: Caller
) -> None:
    world.switches.revocation_kills_access_tokens = True
    pair = by_code(browser, decide(browser, open_consent(browser), company)["code"])[1]
    company.revoke_consent()
    assert Caller(browser, pair["access_token"]).get("companyinformation").status == 401
    assert token(browser, grant_type="refresh_token", refresh_token=pair["refresh_token"])[0] == 400


def test_revoking_a_refresh_token(browser: FlaskClient, company: FortnoxCompany) -> None:
    pair = by_code(browser, decide(browser, open_consent(browser), company)["code"])[1]
    form = {"token_type_hint": "refresh_token", "token": pair["refresh_token"]}
    assert browser.post("/oauth-v1/revoke", data=form).status_code == 401
    answer = browser.post("/oauth-v1/revoke", data=form, auth=("app-id", "app-secret"))
    assert answer.get_json() == {"revoked": True}
    assert token(browser, grant_type="refresh_token", refresh_token=pair["refresh_token"])[0] == 400


def test_a_person_may_say_no(browser: FlaskClient, company: FortnoxCompany) -> None:
    back = decide(browser, open_consent(browser), company, "deny")
    assert (back["error"], back["state"]) == ("access_denied", "st/1")
    assert "code" not in back


def test_the_authorize_page_refuses_what_is_wrong(browser: FlaskClient, world: FortnoxWorld) -> None:
    def asked(**values: str) -> Any:
        return browser.get("/oauth-v1/auth?" + urlencode({**ASKED, **values}))

    assert asked(client_id="other").status_code == 400
    assert asked(redirect_uri="http://evil.test/").status_code == 400
    assert asked(state="").status_code == 400
    for wrong, error in (({"scope": "invoice Invoice"}, "invalid_scope"), ({"response_type": "token"}, "unsupported")):
        back = asked(**wrong)
        assert back.status_code == 302
        assert error in back.headers["Location"]
    world.switches.service_accounts_allowed = False
    assert "does not allow service accounts" in asked().text


def test_activation_from_the_marketplace_brings_a_code_and_no_state(
    browser: FlaskClient, world: FortnoxWorld, company: FortnoxCompany
) -> None:
    other = world.add_company("Andra AB", "556000-0002")
    page = browser.get("/marketplace/app").text
    assert "Fjällbutiken AB" in page
    assert "Andra AB" in page
    consent = browser.post("/marketplace/activate", data={"company": str(other.database_number)})
    assert "Fjällbutiken AB" not in consent.text
    back = decide(browser, key_of(consent.text), other)
    assert back.keys() == {"code"}
    status, pair = by_code(browser, back["code"])
    assert status == 200
    assert pair["scope"] == " ".join(world.scopes)
    assert "Active for Andra AB" in browser.get("/marketplace").text
    browser.post("/marketplace/deactivate", data={"company": str(other.database_number)})
    assert token(browser, other.database_number, grant_type="client_credentials")[0] == 400
    world.switches.marketplace_state = "fortnox"
    again = browser.post("/marketplace/activate", data={"company": str(other.database_number)})
    assert decide(browser, key_of(again.text), other)["state"] == "fortnox"


def test_a_consent_page_cannot_be_used_twice_or_for_another_company(
    browser: FlaskClient, world: FortnoxWorld, company: FortnoxCompany
) -> None:
    other = world.add_company("Andra AB", "556000-0002")
    key = open_consent(browser)
    decide(browser, key, company)
    form = {"key": key, "company": str(company.database_number), "decision": "allow"}
    assert browser.post("/oauth-v1/auth", data=form).status_code == 400
    chosen = browser.post("/marketplace/activate", data={"company": str(other.database_number)})
    form["key"] = key_of(chosen.text)
    assert browser.post("/oauth-v1/auth", data=form).status_code == 400


def test_a_locked_account_comes_back_with_nothing(browser: FlaskClient, company: FortnoxCompany) -> None:
    company.settings.account_locked_for_unpaid_invoice = True
    assert decide(browser, open_consent(browser), company) == {}


def test_licences_are_asked_for(browser: FlaskClient, company: FortnoxCompany, call: Caller) -> None:
    company.set_licences({"integration", "invoicing"})
    assert call.get("vouchers").code == 2001101
    assert call.get("invoices").status == 200
    company.set_licences(set())
    assert call.get("invoices").code == 2001103
    key = open_consent(browser)
    form = {"key": key, "company": str(company.database_number), "decision": "allow"}
    assert browser.post("/oauth-v1/auth", data=form).status_code == 403


def test_each_scope_opens_only_its_own(world: FortnoxWorld, company: FortnoxCompany, browser: FlaskClient) -> None:
    paths = {
        "companyinformation": "companyinformation",
        "settings": "settings/company",
        "bookkeeping": "vouchers",
        "customer": "customers",
        "invoice": "invoices",
        "payment": "invoicepayments",
        "currency": "currencies",
        "article": "articles",
        "inbox": "inbox",
        "connectfile": "voucherfileconnections",
        "costcenter": "costcenters",
        "project": "projects",
        "profile": "me",
    }
    for scope in paths:
        call = Caller(browser, world.access_token(company.database_number, scopes=scope))
        opened = [name for name, path in paths.items() if call.get(path).status == 200]
        assert opened == [scope]


# --- pages ------------------------------------------------------------------------------------------------


class Strict(HTMLParser):
    """Notes unclosed and wrongly closed tags, and what a policy without scripts forbids."""

    EMPTY = frozenset({"meta", "link", "input", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)
        names = {name for name, _ in attrs}
        if tag in ("script", "style") or "style" in names or any(name.startswith("on") for name in names):
            self.faults.append(f"inline {tag} {names}")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"wrongly closed {tag}")


def test_pages_are_whole_say_sandbox_and_need_no_script(browser: FlaskClient, company: FortnoxCompany) -> None:
    company.person_creates_invoice(100)
    paths = ["/marketplace", "/marketplace/app", f"/books/{company.database_number}", "/oauth-v1/auth?client_id=x"]
    paths.append("/oauth-v1/auth?" + urlencode(ASKED))
    for path in paths:
        answer = browser.get(path)
        parser = Strict()
        parser.feed(answer.text)
        assert (parser.open, parser.faults) == ([], []), path
        assert "Sandbox" in answer.text
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "http://kvitt.test" in policy
    assert browser.get("/sandbox-static/fortnox.css").status_code == 200
    assert browser.get("/").headers["Location"] == "/marketplace"


# --- the consent webhook -----------------------------------------------------------------------------------


@pytest.fixture
def heard() -> Iterator[tuple[str, list[Any], threading.Event]]:
    """A place that hears webhooks: its address, what came, and a flag that something did."""
    app, came, rang = Flask("listener"), [], threading.Event()

    @app.post("/hook")
    def hook() -> str:
        came.append(request.get_json())
        rang.set()
        return ""

    server = serve_threaded(app)
    yield f"{server.url}/hook", came, rang
    server.shutdown()


def test_consents_are_told_to_the_webhook(
    world: FortnoxWorld, company: FortnoxCompany, heard: tuple[str, list[Any], threading.Event]
) -> None:
    url, came, rang = heard
    world.consent_webhook_url = url
    world.give_consent(company.database_number)
    assert rang.wait(60)
    assert came[0]["type"] == "consent-created-v1"
    assert came[0]["tenantId"] == company.database_number
