"""Who may see what: every route has an audience, other companies' things are not there, forms are ours."""

import re

import pytest
from flask.testing import FlaskClient

from addon.services import installation
from addon.web.access import Audience, audience_of
from tests.web.conftest import House, make_app
from tests.web.factory import Filled
from tests.web.html import check_html

NEEDS_ID = {
    "movement_id": "other_movement",
    "payout_id": "other_payout",
    "run_id": "other_run",
    "connection_id": "other_connection",
}


def token_of(client: FlaskClient, address: str = "/settings") -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(address).text)
    assert found is not None
    return found[1]


def test_every_route_has_an_audience_and_the_public_ones_are_few(house: House) -> None:
    public = set()
    for rule in house.app.url_map.iter_rules():
        whom = audience_of(house.app, rule.endpoint)
        assert whom is not None, rule
        if whom is Audience.PUBLIC:
            public.add(rule.rule)
    assert public == {
        "/",
        "/install/<accounting:system>",
        "/install/<accounting:system>/continue",
        "/install/confirm",
        "/oauth/<accounting:system>/callback",
        "/sign-in",
        "/sign-in/<token>",
        "/sign-out",
        "/healthz",
        "/readyz",
        "/assets/htmx.js",
        "/static/<path:filename>",
    }


def test_a_route_without_an_audience_is_refused(house: House) -> None:
    from addon.web.access import NoAudience, require_audiences

    house.app.add_url_rule("/forgotten", "forgotten", lambda: "x")
    with pytest.raises(NoAudience, match="forgotten"):
        require_audiences(house.app)


def test_a_stranger_is_turned_away_from_every_page_of_a_company(house: House, filled: Filled) -> None:
    # One stranger sends all forms: there are more of them than the door hands out tokens in a minute.
    sender = house.client()
    token = _csrf_of_a_stranger(sender, house)
    for rule in house.app.url_map.iter_rules():
        if audience_of(house.app, rule.endpoint) is not Audience.COMPANY:
            continue
        address = re.sub(r"<int:\w+>", "1", rule.rule)
        stranger = house.client()
        if "GET" in rule.methods:
            answer = stranger.get(address)
            assert (answer.status_code, answer.location) == (303, "/"), address
        else:
            assert stranger.post(address).status_code == 400, address
            answer = sender.post(address, data={"csrf_token": token})
            assert (answer.status_code, answer.location) == (303, "/"), address


def _csrf_of_a_stranger(client: FlaskClient, house: House) -> str:
    """A stranger gets a token with the page that asks after an answer with a foreign state."""
    page = client.get("/oauth/fortnox/callback?code=x&state=foreign")
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None, page.status_code
    return found[1]


def test_another_companys_things_are_not_there(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    token = token_of(client)
    seen = 0
    for rule in house.app.url_map.iter_rules():
        names = [name for name in rule.arguments if name in NEEDS_ID]
        if not names:
            continue
        seen += 1
        address = re.sub(r"<int:(\w+)>", lambda found: str(getattr(filled, NEEDS_ID[found[1]])), rule.rule)
        method = client.get if "GET" in rule.methods else client.post
        answer = method(address, data={"csrf_token": token} if "POST" in rule.methods else None)
        assert answer.status_code == 404, address
        check_html(answer.text)
        assert "SECRET" not in answer.text and "Grannen" not in answer.text
    assert seen >= 6


def test_another_companys_parts_and_documents_cannot_be_moved(house: House, filled: Filled) -> None:
    from addon.store.models import PartRow

    client = house.client(filled.company)
    token = token_of(client)
    with house.services.db.company_reading(filled.other) as session:
        before = [(part.id, part.state) for part in session.query(PartRow)]
    parts = [str(part) for part, _ in before]
    for action in ("retry", "set_aside"):
        client.post("/inbox", data={"csrf_token": token, "part": parts, "action": action})
    client.post(f"/welcome/repair/{filled.checks['currency'] + 1000}", data={"csrf_token": token})
    with house.services.db.company_reading(filled.other) as session:
        assert [(part.id, part.state) for part in session.query(PartRow)] == before


@pytest.mark.parametrize("number", ["0", "99999999", "9223372036854775807", "9223372036854775808", "9" * 40])
def test_a_number_that_nobody_has_is_not_there(house: House, filled: Filled, number: str) -> None:
    client = house.client(filled.company)
    for kind in ("transactions", "payouts", "runs"):
        assert client.get(f"/{kind}/{number}").status_code == 404


def test_every_form_needs_our_token(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    for rule in house.app.url_map.iter_rules():
        if "POST" not in rule.methods or audience_of(house.app, rule.endpoint) is Audience.WEBHOOK:
            continue
        address = re.sub(r"<int:\w+>", "1", rule.rule).replace("<accounting:system>", "fortnox")
        for data in ({}, {"csrf_token": "forged"}):
            answer = client.post(address, data=data)
            assert answer.status_code == 400, address
            assert "Nothing has been changed" in answer.text
            check_html(answer.text)


def test_every_form_on_every_page_carries_the_token_and_stays_here(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    pages = ["/", "/overview", "/transactions", "/inbox", "/preview", "/settings", "/welcome", "/activity"]
    pages.append(f"/transactions/{filled.movements['rejected']}")
    for address in pages:
        for form in check_html(client.get(address).text).forms:
            assert str(form["action"]).startswith("/")
            if form["method"] == "post":
                assert "csrf_token" in form["names"], (address, form)


def test_answers_carry_the_headers_that_keep_strangers_out(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    for address in ("/", "/overview", "/nowhere", "/static/kvitt.css", "/assets/htmx.js", "/healthz"):
        headers = client.get(address).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "*" not in policy and "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
    assert client.get("/overview").headers["Cache-Control"] == "no-store"
    assert "max-age=31536000" in client.get("/static/kvitt.css?v=1").headers["Cache-Control"]


def test_cookies_are_for_this_host_over_https_and_out_of_scripts_reach(house: House, filled: Filled) -> None:
    settings = house.settings.model_copy(update={"public_url": "https://kvitt.example.com"})
    app = make_app(house.services, settings)
    token = installation.park(house.services, "fortnox", _grant(), _identity("3001", "Ny AB"))
    client = app.test_client()
    with client.session_transaction(base_url="https://kvitt.example.com") as browser:
        browser["parked"] = token
    page = client.get("/install/confirm", base_url="https://kvitt.example.com")
    assert "max-age=31536000" in page.headers["Strict-Transport-Security"]
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert csrf is not None
    answer = client.post(
        "/install/confirm",
        data={"csrf_token": csrf[1], "name": "Ada"},
        base_url="https://kvitt.example.com",
        headers={"Referer": "https://kvitt.example.com/install/confirm"},
    )
    assert answer.status_code == 303
    cookies = answer.headers.getlist("Set-Cookie")
    assert any(cookie.startswith("__Host-kvitt=") for cookie in cookies)
    for cookie in cookies:
        assert "Secure" in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Domain" not in cookie


def _grant() -> object:
    from tests.web.factory import Grant

    return Grant("token", subject="3001")


def _identity(tenant: str, name: str) -> object:
    from addon.core.books import Identity

    return Identity(tenant, name, "556000-1111")


def test_signing_out_ends_the_session_on_the_server(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    stolen = client.get_cookie("kvitt")
    assert stolen is not None
    answer = client.post("/sign-out", data={"csrf_token": token_of(client)})
    assert (answer.status_code, answer.location) == (303, "/")
    assert client.get("/overview").status_code == 303
    thief = house.client()
    thief.set_cookie("kvitt", stolen.value)
    assert thief.get("/overview").status_code == 303


@pytest.mark.parametrize("value", ["", "x", "a" * 43, "a" * 5000, "' or 1=1 --", "\u00e5" * 30])
def test_a_made_up_cookie_opens_nothing(house: House, filled: Filled, value: str) -> None:
    client = house.client()
    client.set_cookie("kvitt", value)
    assert client.get("/overview").location == "/"


def test_there_is_no_way_to_be_sent_elsewhere(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    for address in (
        "/?next=https://evil.example/",
        "/overview?next=//evil.example",
        "/inbox?back=https://evil.example",
    ):
        assert "evil.example" not in client.get(address).text
    token = token_of(client)
    answer = client.post("/settings", data={"csrf_token": token, "back": "https://evil.example/", "wait_days": "10"})
    assert answer.location.startswith("/settings")
    answer = client.get("/overview", base_url="http://evil.example/")
    assert "evil.example" not in answer.text


def test_a_failure_of_ours_is_a_page_with_a_reference(house: House, filled: Filled, caplog: object) -> None:
    house.app.config["PROPAGATE_EXCEPTIONS"] = False
    with house.services.db.company(filled.company) as session:
        from addon.store.models import MovementRow

        session.get_one(MovementRow, filled.movements["sale0"]).value = {"broken": True}
    answer = house.client(filled.company).get(f"/transactions/{filled.movements['sale0']}")
    assert answer.status_code == 500
    check_html(answer.text)
    assert "Nothing was lost" in answer.text and re.search(r'class="ref">[0-9a-f]{8}<', answer.text)
    assert "broken" not in answer.text and "Traceback" not in answer.text


def test_a_body_that_is_too_large_is_refused(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    answer = client.post("/settings", data={"csrf_token": token_of(client), "invoice_text": "x" * 1_200_000})
    assert answer.status_code == 413


def test_who_knocks_too_often_waits(house: House) -> None:
    app = make_app(house.services, house.settings)
    app.config["RATELIMIT_ENABLED"] = True
    from addon.web.limits import limiter

    limiter.enabled = True
    try:
        client = app.test_client()
        codes = [client.get("/oauth/fortnox/callback").status_code for _ in range(32)]
    finally:
        limiter.enabled = False
    assert codes[0] == 400 and codes[-1] == 429


def test_htmx_parts_of_a_signed_out_browser_take_the_whole_page_away(house: House) -> None:
    answer = house.client().get("/transactions", headers={"HX-Request": "true"})
    assert answer.status_code == 204 and answer.headers["HX-Redirect"] == "/"


def test_a_part_for_htmx_is_a_part(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    part = client.get("/transactions?q=10234", headers={"HX-Request": "true"}).text
    assert "<html" not in part and part.count('id="found"') == 1 and "10234" in part
    check_html(part, whole=False)
    run = client.get(f"/runs/{filled.runs['running']}", headers={"HX-Request": "true"}).text
    assert "<html" not in run and 'hx-trigger="every 1s"' in run
    done = client.get(f"/runs/{filled.runs['done']}", headers={"HX-Request": "true"}).text
    assert "hx-trigger" not in done
