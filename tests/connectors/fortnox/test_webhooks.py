"""Webhooks about consents: read leniently, believed in nothing."""

import json

import pytest

from addon.connectors.fortnox import ConsentChange, ConsentNews, read_webhook
from addon.ports.errors import BadReply
from tests.connectors.fortnox.conftest import Bench


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"type": "consent-revoked-v1", "tenantId": 12}, ConsentNews(ConsentChange.REVOKED, "12")),
        ({"type": "consent-created-v1", "tenantId": "12"}, ConsentNews(ConsentChange.CREATED, "12")),
        ({"event": "CONSENT_REVOKED", "data": {"tenant_id": 12}}, ConsentNews(ConsentChange.REVOKED, "12")),
        (
            {"topic": "consents", "type": "created", "data": {"databaseNumber": 12}},
            ConsentNews(ConsentChange.CREATED, "12"),
        ),
        ({"type": "invoice-created-v1", "tenantId": 12}, None),
        ({"type": "consent-looked-at-v1", "tenantId": 12}, None),
        ([], None),
        ("x", None),
    ],
)
def test_what_a_webhook_says(body: object, expected: ConsentNews | None) -> None:
    assert read_webhook(json.dumps(body).encode()) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b'{"type": "consent-revoked-v1"}',
        b'{"type": "consent-revoked-v1", "tenantId": "1; drop table"}',
        b"[" * 70_000,
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
    ],
)
def test_a_body_that_cannot_be_read(body: bytes) -> None:
    with pytest.raises(BadReply):
        read_webhook(body)


def test_what_the_simulated_fortnox_tells(bench: Bench) -> None:
    number = bench.company.database_number
    bench.world.consent_events.clear()
    bench.world.give_consent(number)
    bench.company.revoke_consent()
    news = [read_webhook(json.dumps(event).encode()) for event in bench.world.consent_events]
    assert news == [
        ConsentNews(ConsentChange.CREATED, str(number)),
        ConsentNews(ConsentChange.REVOKED, str(number)),
    ]
