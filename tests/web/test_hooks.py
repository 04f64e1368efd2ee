"""Webhooks: signed ones nudge, once; unsigned ones make us look; nothing of what they say is believed."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import func, select

from addon.store.models import Company, CompanyWork, Connection, RunRow, WebhookEvent
from tests.web.conftest import House
from tests.web.factory import NOW, Filled

SECRET = "whsec_sandbox_not_real"
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "charge.succeeded",
    "account": "acct_1Grann",
    "livemode": True,
    "created": int(NOW.timestamp()),
    "data": {"object": {"id": "ch_1", "amount": 99999999}},
}


def send(house: House, event: Mapping[str, Any] | str, *, secret: str = SECRET, age_s: int = 0, **headers: str) -> int:
    body = event if isinstance(event, str) else json.dumps(event)
    at = int(NOW.timestamp()) - age_s
    signature = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    answer = house.client().post(
        "/webhooks/stripe",
        data=body,
        content_type="application/json",
        headers={"Stripe-Signature": f"t={at},v1={signature}", **headers},
    )
    return answer.status_code


def runs_of(house: House, company_id: int) -> int:
    with house.services.db.company_reading(company_id) as session:
        return session.scalar(select(func.count()).select_from(RunRow)) or 0


def wanted(house: House, company_id: int) -> bool:
    with house.services.db.open() as session:
        return session.get_one(CompanyWork, company_id).wanted_at is not None


def test_a_signed_event_nudges_its_company_and_no_other(house: House, filled: Filled) -> None:
    assert send(house, EVENT) == 204
    assert wanted(house, filled.other) and not wanted(house, filled.company)


def test_an_event_counts_once(house: House, filled: Filled) -> None:
    for _ in range(3):
        assert send(house, EVENT) == 204
    with house.services.db.open() as session:
        assert session.scalar(select(func.count()).select_from(WebhookEvent)) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"secret": "whsec_other"}, {"age_s": 4000}, {"Stripe-Signature": ""}, {"Stripe-Signature": "t=x,v1=y"}],
)
def test_a_wrong_signature_is_refused_and_changes_nothing(house: House, filled: Filled, wrong: dict[str, Any]) -> None:
    assert send(house, EVENT, **wrong) == 400
    assert not wanted(house, filled.other)


@pytest.mark.parametrize("body", ["", "null", "[]", "{", '{"id": 7}', "\x00" * 40])
def test_a_signed_body_that_is_no_event_is_refused(house: House, filled: Filled, body: str) -> None:
    assert send(house, body) == 400


def test_a_test_mode_event_and_a_strangers_account_change_nothing(house: House, filled: Filled) -> None:
    assert send(house, {**EVENT, "livemode": False}) == 204
    assert send(house, {**EVENT, "id": "evt_2", "account": "acct_nobody"}) == 204
    assert not wanted(house, filled.other) and not wanted(house, filled.company)


def test_that_a_merchant_took_our_access_away_is_looked_into(house: House, filled: Filled) -> None:
    """The outside of this house does not answer, so nothing is known; the event alone changes nothing."""
    assert send(house, {**EVENT, "type": "account.application.deauthorized"}) == 204
    with house.services.db.company(filled.other) as session:
        row = session.scalars(select(Connection)).one()
        assert row.state == "connected"
        row.state = "needs_reconnect"
    page = house.client(filled.other).get("/transactions").text
    assert "no longer lets Kvitt in" in page and "/connect/stripe" in page


def test_a_body_without_end_is_not_read(house: House, filled: Filled) -> None:
    assert send(house, json.dumps({**EVENT, "padding": "x" * 1_100_000})) == 413


def test_fortnox_revocation_is_not_believed_but_looked_into(house: House, filled: Filled) -> None:
    client = house.client()
    before = runs_of(house, filled.other)
    news = {"type": "consent-revoked-v1", "tenantId": 1002, "clientId": "x"}
    assert client.post("/webhooks/fortnox", json=news).status_code == 204
    assert wanted(house, filled.other) and not wanted(house, filled.company)
    assert runs_of(house, filled.other) >= before
    with house.services.db.open() as session:
        assert session.get_one(Company, filled.other).state == "active"
    for strange in ({"type": "consent-revoked-v1", "tenantId": 4711}, {"type": "consent-created-v1", "tenantId": 1001}):
        assert client.post("/webhooks/fortnox", json=strange).status_code == 204
    assert client.post("/webhooks/fortnox", data="{").status_code == 400
    assert not wanted(house, filled.company)


@pytest.mark.parametrize("path", ["/webhooks/stripe", "/webhooks/fortnox"])
def test_webhooks_are_posted(house: House, path: str) -> None:
    assert house.client().get(path).status_code == 405
