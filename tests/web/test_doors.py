"""The doors: what every answer carries, who is believed about addresses, how a browser gets in and is put out again."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_limiter.util import get_qualified_name
from sqlalchemy import select
from werkzeug.test import TestResponse

from addon import alarms
from addon.config import ConfigurationError, load_settings
from addon.core.books import Identity
from addon.core.grants import Grant
from addon.services import activity, installation
from addon.store.models import ActivityRow
from addon.web.access import Audience, audience_of
from addon.web.limits import limiter
from tests.web.conftest import House, make_app
from tests.web.factory import NOW, Filled
from tests.web.html import words_of
from tests.web.test_access import token_of

PUBLIC = "https://kvitt.example.com"


def addresses(app: Flask) -> dict[str, tuple[str, str]]:
    """Every rule of the application: endpoint and method → an address below it."""
    found = {}
    for rule in app.url_map.iter_rules():
        address = re.sub(r"<(?:\w+:)?(\w+)>", "1", rule.rule.replace("<accounting:system>", "fortnox"))
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            found[f"{method} {rule.rule}"] = (method, address)
    return found


def in_public(house: House, **changes: Any) -> Flask:
    """The application as it stands behind a proxy that speaks https."""
    settings = house.settings.model_copy(update={"public_url": PUBLIC, **changes})
    return make_app(house.services, settings)


# --- What every answer carries -------------------------------------------------------------------------------


def test_every_answer_of_every_route_carries_the_headers(house: House, filled: Filled) -> None:
    app = in_public(house)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    for name, (method, address) in addresses(app).items():
        client = app.test_client()
        for signed_in in (False, True):
            if signed_in:
                token = installation.sign_in(house.services, filled.company, "Ada")
                client.set_cookie("__Host-kvitt", token, secure=True, domain="kvitt.example.com")
            answer = client.open(address, method=method, base_url=PUBLIC)
            policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
            assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'", name
            assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'", name
            assert policy["form-action"] == "'self'", name
            assert answer.headers["X-Content-Type-Options"] == "nosniff", name
            assert answer.headers["X-Frame-Options"] == "DENY", name
            assert answer.headers["Referrer-Policy"] == "same-origin", name
            assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000"), name
            assert "Access-Control-Allow-Origin" not in answer.headers, name
            if audience_of(app, app.url_map.bind("x").match(address, method)[0]) is Audience.COMPANY:
                assert answer.headers["Cache-Control"] == "no-store", name
            answer.close()


def test_a_page_that_fails_and_one_that_is_not_there_carry_them_too(house: House) -> None:
    app = house.app
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def fails() -> str:
        raise KeyError("sk_live_" + "x" * 20)

    app.add_url_rule("/fails", "fails", fails)
    app.view_functions["fails"].kvitt_audience = Audience.PUBLIC  # type: ignore[attr-defined]
    for address, status in (("/fails", 500), ("/nowhere", 404)):
        answer = house.client().get(address)
        assert answer.status_code == status
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "sk_live" not in answer.text


# --- Whose word is taken -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxies", "header", "seen"),
    [
        (1, "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        (2, "6.6.6.6, 9.9.9.9, 10.0.0.7", "9.9.9.9"),
        (0, "6.6.6.6", "127.0.0.1"),
        (2, "6.6.6.6", "127.0.0.1"),
    ],
)
def test_only_what_our_own_proxies_add_is_believed_about_a_visitors_address(
    house: House, filled: Filled, proxies: int, header: str, seen: str
) -> None:
    app = in_public(house, trusted_proxies=proxies)
    client = app.test_client()
    token = installation.sign_in(house.services, filled.company, "Ada")
    client.set_cookie("__Host-kvitt", token, secure=True, domain="kvitt.example.com")
    headers = {"X-Forwarded-For": header, "X-Forwarded-Proto": "https"}
    page = client.get("/settings", base_url=PUBLIC, headers=headers)
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert csrf is not None
    answer = client.post(
        "/settings",
        data={"csrf_token": csrf[1], "wait_days": "9"},
        base_url=PUBLIC,
        headers={**headers, "Referer": f"{PUBLIC}/settings"},
    )
    assert answer.status_code == 303
    with house.services.db.company_reading(filled.company) as session:
        row = session.scalars(select(ActivityRow).order_by(ActivityRow.id.desc())).first()
        assert row is not None
        assert (row.who, row.what, row.origin) == ("Ada", "settings_changed", seen)


def test_the_log_says_from_where(house: House, filled: Filled) -> None:
    activity.process_is("web")  # a command that was tried in this process before has said something else
    client = house.client(filled.company)
    client.post("/settings", data={"csrf_token": token_of(client), "wait_days": "11"})
    assert "from 127.0.0.1" in words_of(client.get("/activity").text)
    assert activity.origin() == "web", "what happens after a request does not come from its address"
    activity.process_is("command")
    try:
        with house.services.db.company(filled.company) as session:
            activity.record(session, "", "uninstalled", {}, NOW)
    finally:
        activity.process_is("")
    assert "on the command line" in words_of(client.get("/activity").text)


def test_a_public_address_with_credentials_that_everybody_knows_is_refused_in_every_world() -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_settings({"KVITT_ENV": "test", "PUBLIC_URL": PUBLIC})
    named = {fault.partition(":")[0] for fault in refused.value.faults}
    assert {"SECRET_KEY", "TOKEN_KEYS", "STRIPE_WEBHOOK_SECRET", "FORTNOX_CLIENT_SECRET"} <= named
    assert "not_real" not in str(refused.value)
    for nearby in ("http://127.0.0.1:8000", "http://localhost:8000", "https://kvitt.test"):
        load_settings({"KVITT_ENV": "test", "PUBLIC_URL": nearby})


# --- How often -----------------------------------------------------------------------------------------------

LIMITED = (
    "home.install",
    "home.typed",
    "home.arrive",
    "home.go_on_unasked",
    "home.confirm",
    "home.confirm_yes",
    "connect.begin",
    "connect.callback",
    "connect.typed",
    "connect.disconnect",
    "setup.uninstall",
    "hooks.told",
    "hooks.nudged",
)


def test_signing_in_connecting_and_webhooks_are_counted(house: House) -> None:
    """All that signs in or connects, by name and by kind, so that one which comes later is not forgotten."""
    for rule in house.app.url_map.iter_rules():
        door = rule.rule.startswith(("/install/", "/oauth/", "/connect/", "/webhooks/"))
        if door or rule.endpoint in LIMITED:
            view = house.app.view_functions[rule.endpoint]
            limits = limiter.limit_manager.decorated_limits(get_qualified_name(view))
            assert limits, f"{rule.rule} may be knocked at without end"


# --- In, and out again ---------------------------------------------------------------------------------------


def park(house: House, client: FlaskClient, tenant: str = "3001", name: str = "Egen AB") -> None:
    """Have a consent wait for its confirmation in this browser."""
    with client.session_transaction() as browser:
        browser["parked"] = installation.park(
            house.services, "fortnox", Grant("token", subject=tenant), Identity(tenant, name, "556000-1111")
        )


def confirm(client: FlaskClient) -> TestResponse:
    page = client.get("/install/confirm").text
    fields = dict(re.findall(r'name="(csrf_token|shown)" value="([^"]+)"', page))
    return client.post("/install/confirm", data={**fields, "name": "Ada", "answer": "yes"})


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("kvitt")
    return cookie.value if cookie is not None else ""


def test_signing_in_gives_a_token_that_nobody_could_have_known(house: House, filled: Filled) -> None:
    """Session fixation: the token that somebody slipped into the browser beforehand is not the one that counts."""
    client = house.client()
    slipped = installation.sign_in(house.services, filled.other, "Mallory")
    client.set_cookie("kvitt", slipped)
    with client.session_transaction() as browser:
        browser["csrf_token"] = "known to the attacker"
    park(house, client)
    assert confirm(client).location == "/welcome"
    assert cookie_of(client) not in ("", slipped)
    assert installation.session_company(house.services, slipped) is None, "the old session has ended"
    thief = house.client()
    thief.set_cookie("kvitt", slipped)
    assert thief.get("/overview").location == "/"
    with client.session_transaction() as browser:
        assert "csrf_token" not in browser or browser["csrf_token"] != "known to the attacker"


def test_a_form_from_before_signing_in_is_worth_nothing_after_it(house: House, filled: Filled) -> None:
    client = house.client()
    park(house, client)
    before = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/install/confirm").text)
    assert before is not None
    assert confirm(client).location == "/welcome"
    assert client.post("/sync", data={"csrf_token": before[1]}).status_code == 400


def test_a_session_ends_by_itself(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    assert client.get("/settings").status_code == 200
    for later, status in ((timedelta(days=13, hours=23), 200), (timedelta(days=14), 303)):
        services = replace(house.services, now=lambda later=later: NOW + later)
        browser = make_app(services, house.settings).test_client()
        browser.set_cookie("kvitt", cookie_of(client))
        assert browser.get("/settings").status_code == status, later


def test_signing_out_everywhere_ends_every_browser_of_the_company_and_no_other(house: House, filled: Filled) -> None:
    first, second = house.client(filled.company), house.client(filled.company, "Bo")
    neighbour = house.client(filled.other)
    assert first.post("/sign-out-everywhere", data={"csrf_token": token_of(first)}).location == "/"
    assert first.get("/settings").location == second.get("/settings").location == "/"
    assert neighbour.get("/settings").status_code == 200


def test_a_token_is_kept_as_its_hash(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    address = house.services.db.engine.url.database
    assert address is not None
    from pathlib import Path

    house.services.db.close()
    kept = b"".join(path.read_bytes() for path in Path(address).parent.glob(f"{Path(address).name}*"))
    assert cookie_of(client).encode() not in kept


# --- Consent pages -------------------------------------------------------------------------------------------


def asked_of(answer: TestResponse) -> dict[str, str]:
    assert answer.location is not None
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


def test_the_way_back_is_ours_whatever_host_the_request_names(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    for path, expected in (
        ("/install/fortnox", "/oauth/fortnox/callback"),
        ("/connect/stripe", "/oauth/stripe/callback"),
    ):
        for headers in ({}, {"X-Forwarded-Host": "evil.example"}, {"Forwarded": "host=evil.example"}):
            answer = client.get(f"{path}?redirect_uri=https://evil.example/&next=//evil.example", headers=headers)
            assert asked_of(answer)["redirect_uri"] == house.settings.public_url + expected
            assert "evil.example" not in (answer.location or "")
    token = cookie_of(client)
    stranger = house.client()
    stranger.set_cookie("kvitt", token, domain="evil.example")
    answer = stranger.get("/connect/stripe", base_url="http://evil.example")
    assert asked_of(answer)["redirect_uri"] == house.settings.public_url + "/oauth/stripe/callback"


def test_an_answer_of_one_company_is_not_taken_for_anothers(house: House, filled: Filled) -> None:
    """Mix-up: each company has a way back and states of its own, so a code never goes to the wrong one."""
    client = house.client(filled.company)
    fortnox = asked_of(client.get("/install/fortnox"))
    stripe = asked_of(client.get("/connect/stripe"))
    app = asked_of(client.get("/connect/stripe?way=app"))
    assert len({fortnox["state"], stripe["state"], app["state"]}) == 3
    answer = client.get(f"/oauth/stripe/callback?code=abc&state={fortnox['state']}")
    assert answer.status_code == 400 and "another browser" in words_of(answer.text)
    answer = client.get(f"/oauth/fortnox/callback?code=abc&state={stripe['state']}")
    assert answer.status_code == 400 and "did not begin in this browser" in words_of(answer.text)


def test_a_stranger_cannot_make_a_browser_connect_his_account(house: House, filled: Filled) -> None:
    """Login CSRF: an address with the stranger's code and state does nothing in a browser that did not set out."""
    attacker = house.client(filled.other)
    state = asked_of(attacker.get("/connect/stripe"))["state"]
    victim = house.client(filled.company)
    answer = victim.get(f"/oauth/stripe/callback?code=ac_of_the_attacker&state={state}")
    assert answer.status_code == 400 and "Nothing has been connected" in words_of(answer.text)
    answer = victim.get("/oauth/stripe/callback?code=ac_of_the_attacker")
    assert answer.status_code == 400


def test_a_state_is_too_long_to_guess_and_few_are_kept(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    states = [asked_of(client.get("/connect/stripe"))["state"] for _ in range(7)]
    assert len(set(states)) == 7 and all(len(state) >= 22 for state in states)
    with client.session_transaction() as browser:
        kept = [name for name in browser if name.startswith("_state_")]
    assert len(kept) <= 4
    cookie = client.get_cookie("kvitt-browser")
    assert cookie is not None and len(cookie.value) < 4000


# --- Faults that are reported --------------------------------------------------------------------------------


def test_what_sentry_is_told_names_the_lines_and_nothing_else(house: House, filled: Filled) -> None:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    sent: list[str] = []

    class Kept(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            sent.extend(json.dumps(item.payload.json, default=str) for item in envelope.items)

    settings = house.settings.model_copy(update={"sentry_dsn": "https://public@sentry.invalid/1"})
    secret = "sk_live_" + "planted" * 3
    assert not alarms.watch(house.settings)
    assert alarms.watch(settings, Kept())
    try:
        token_in_a_variable = f"planted-in-a-variable {secret}"
        try:
            raise RuntimeError(f"GET https://x.example/?code=planted-in-a-query with Bearer {secret}")
        except RuntimeError:
            sentry_sdk.capture_exception()
        assert token_in_a_variable
        sentry_sdk.flush(2)
    finally:
        sentry_sdk.get_client().close(0)
        sentry_sdk.get_global_scope().set_client(None)
    assert len(sent) == 1 and "test_doors" in sent[0] and "RuntimeError" in sent[0]
    assert "planted" not in sent[0].replace("test_what_sentry", "")


def test_an_events_request_loses_what_identifies_anybody() -> None:
    event = {
        "request": {
            "url": f"{PUBLIC}/oauth/fortnox/callback?code=planted#planted",
            "method": "GET",
            "query_string": "code=planted&state=planted",
            "cookies": {"kvitt": "planted"},
            "headers": {"Authorization": "Bearer planted-planted", "X-Forwarded-For": "9.9.9.9"},
            "data": {"key": "planted"},
        },
        "user": {"ip_address": "9.9.9.9"},
        "breadcrumbs": {"values": [{"message": "planted"}]},
        "extra": {"token": "planted"},
        "exception": {"values": [{"stacktrace": {"frames": [{"lineno": 7, "vars": {"x": "planted"}}]}, "value": "x"}]},
        "contexts": {"trace": {"client_secret": "planted"}},
    }
    left = alarms.scrubbed(event)
    assert "planted" not in json.dumps(left) and "9.9.9.9" not in json.dumps(left)
    assert left["request"] == {"url": f"{PUBLIC}/oauth/fortnox/callback", "method": "GET"}
    assert left["exception"]["values"][0]["stacktrace"]["frames"] == [{"lineno": 7}]
