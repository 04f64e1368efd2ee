"""Connecting to the simulated Stripe: consent page, codes, tokens, refusals, the app marketplace."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from addon.sandbox.clock import Clock
from addon.sandbox.stripe import StripeWorld

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
BACK = "http://127.0.0.1:8000/oauth/stripe/callback"


class FormFields(HTMLParser):
    """The hidden fields of a page's form, as a browser would send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag == "input" and found.get("type") == "hidden":
            self.fields[found["name"] or ""] = found["value"] or ""


class Visitor:
    """A person with a browser."""

    def __init__(self, **options: Any) -> None:
        self.world = StripeWorld(Clock(START), redirect_uris=[BACK, f"{BACK}2"], **options)
        self.account = self.world.add_account("Fjällbutiken AB")
        self.client = self.world.app().test_client()

    def visit(self, path: str = "/oauth/authorize", **changes: str) -> TestResponse:
        query = {
            "client_id": self.world.client_id,
            "response_type": "code",
            "scope": "read_write",
            "redirect_uri": BACK,
            "state": "a&b=c å",
            **changes,
        }
        return self.client.get(path, query_string={key: value for key, value in query.items() if value})

    def answer(self, path: str = "/oauth/authorize", reply: str = "allow", **changes: str) -> dict[str, str]:
        """Fill the form in and tell what comes back on the redirect."""
        page = self.visit(path, **changes)
        assert page.status_code == 200, page.text
        fields = FormFields(page.text).fields
        sent = self.client.post(path, data={**fields, "account": self.account.id, "answer": reply})
        assert sent.status_code == 303
        target = urlsplit(sent.headers["Location"])
        assert f"{target.scheme}://{target.netloc}{target.path}" == BACK
        return {key: values[0] for key, values in parse_qs(target.query).items()}

    def post(self, path: str, key: str | None = None, **form: str) -> TestResponse:
        headers = {"Authorization": f"Bearer {key or self.world.secret_key}"}
        return self.client.post(path, data=form, headers=headers)

    def token(self, **form: str) -> TestResponse:
        return self.post("/oauth/token", **form)


@pytest.fixture
def visitor() -> Visitor:
    return Visitor()


def test_consent_leads_to_a_connection(visitor: Visitor) -> None:
    page = visitor.visit()
    assert "Sandbox" in page.text
    assert "Fjällbutiken AB" in page.text
    assert "<script" not in page.text
    back = visitor.answer()
    assert back["state"] == "a&b=c å"
    assert back["scope"] == "read_write"
    token = visitor.token(grant_type="authorization_code", code=back["code"]).json
    assert token is not None
    assert token["stripe_user_id"] == visitor.account.id
    assert token["livemode"] is True
    assert token["token_type"] == "bearer"
    headers = {"Authorization": f"Bearer {visitor.world.secret_key}", "Stripe-Account": visitor.account.id}
    assert visitor.client.get("/v1/account", headers=headers).status_code == 200
    again = visitor.token(grant_type="refresh_token", refresh_token=token["refresh_token"]).json
    assert again == token


def test_a_person_may_say_no(visitor: Visitor) -> None:
    back = visitor.answer(reply="deny")
    assert back["error"] == "access_denied"
    assert back["state"] == "a&b=c å"
    assert visitor.world.connections == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": f"{BACK}/"},
        {"redirect_uri": "http://elsewhere.example/"},
        {"client_id": "ca_other"},
        {"response_type": "token"},
    ],
)
def test_wrong_requests_are_never_redirected(visitor: Visitor, changes: dict[str, str]) -> None:
    answer = visitor.visit(**changes)
    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_read_only_is_for_extensions(visitor: Visitor) -> None:
    refused = visitor.visit(scope="read_only")
    assert refused.status_code == 303
    assert "error=invalid_scope" in refused.headers["Location"]
    assert Visitor(extension=True).answer(scope="read_only")["scope"] == "read_only"


def test_codes_live_once_and_five_minutes(visitor: Visitor) -> None:
    code = visitor.answer()["code"]
    visitor.world.clock.advance(timedelta(seconds=301))
    late = visitor.token(grant_type="authorization_code", code=code)
    assert (late.status_code, late.json["error"]) == (400, "invalid_grant")  # type: ignore[index]
    code = visitor.answer()["code"]
    assert visitor.token(grant_type="authorization_code", code=code).status_code == 200
    twice = visitor.token(grant_type="authorization_code", code=code)
    assert (twice.status_code, twice.json["error"]) == (400, "invalid_grant")  # type: ignore[index]
    assert visitor.world.connections == {}, "a code used twice takes its tokens with it"


def test_token_refusals_are_flat(visitor: Visitor) -> None:
    wrong = visitor.post("/oauth/token", key="sk_live_wrong", grant_type="authorization_code", code="x")
    assert (wrong.status_code, wrong.json["error"]) == (401, "invalid_client")  # type: ignore[index]
    odd = visitor.token(grant_type="password")
    assert (odd.status_code, odd.json["error"]) == (400, "unsupported_grant_type")  # type: ignore[index]
    unknown = visitor.token(grant_type="authorization_code", code="ac_none")
    assert (unknown.status_code, unknown.json["error"]) == (400, "invalid_grant")  # type: ignore[index]


def test_deauthorising_ends_the_connection_once(visitor: Visitor) -> None:
    visitor.world.connect(visitor.account)
    form = {"client_id": visitor.world.client_id, "stripe_user_id": visitor.account.id}
    ended = visitor.post("/oauth/deauthorize", **form)
    assert ended.json == {"stripe_user_id": visitor.account.id}
    again = visitor.post("/oauth/deauthorize", **form)
    assert (again.status_code, again.json["error"]) == (401, "invalid_client")  # type: ignore[index]
    last = list(visitor.account.events)[-1]
    assert last.type == "account.application.deauthorized"


def test_accounts_of_other_platforms_cannot_be_connected(visitor: Visitor) -> None:
    visitor.account.controlled_by_other_platform = True
    assert "controlled by another platform" in visitor.visit().text
    assert visitor.answer()["error"] == "access_denied"


def test_a_test_mode_account_says_so(visitor: Visitor) -> None:
    visitor.account = visitor.world.add_account("Twin", livemode=False)
    token = visitor.token(grant_type="authorization_code", code=visitor.answer()["code"]).json
    assert token is not None
    assert token["livemode"] is False
    assert token["access_token"].startswith("sk_test_")


def test_app_tokens_live_an_hour_and_their_refresh_tokens_roll(visitor: Visitor) -> None:
    path = "/oauth/v2/authorize"
    back = visitor.answer(path, client_id=visitor.world.app_client_id, response_type="", scope="")
    assert back["stripe_user_id"] == visitor.account.id
    key = visitor.world.app_secret_key
    assert visitor.post("/v1/oauth/token", grant_type="authorization_code", code=back["code"]).status_code == 401
    first = visitor.client.post(
        "/v1/oauth/token", data={"grant_type": "authorization_code", "code": back["code"]}, auth=(key, "")
    ).json
    assert first is not None
    assert "expires_in" not in first
    assert first["scope"] == "stripe_apps"

    def account_by(token: str) -> TestResponse:
        return visitor.client.get("/v1/account", headers={"Authorization": f"Bearer {token}"})

    assert account_by(first["access_token"]).status_code == 200
    visitor.world.clock.advance(timedelta(seconds=3600))
    expired = account_by(first["access_token"])
    assert expired.status_code == 401
    assert "Expired API Key" in expired.text
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = visitor.post("/v1/oauth/token", key=key, **form).json
    assert second is not None
    assert account_by(second["access_token"]).status_code == 200
    assert second["refresh_token"] != first["refresh_token"]
    assert visitor.post("/v1/oauth/token", key=key, **form).json["error"] == "invalid_grant"  # type: ignore[index]
    visitor.world.uninstall_app(visitor.account)
    assert account_by(second["access_token"]).status_code == 401
