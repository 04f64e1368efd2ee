"""A company's consent: the code's exchange, fresh tokens, and what ends it."""

import base64
import json
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from addon.connectors.fortnox import SCOPES, FortnoxAuthorisation
from addon.connectors.fortnox.oauth import tenant_of
from addon.connectors.http import HttpClient
from addon.ports.errors import BadReply, NeedsReconnect, OutcomeUnknown, PortError, Rejected, TryLater
from addon.ports.oauth import Authorisation, Grant
from tests.connectors.fortnox.conftest import API, AUTH, CALLBACK, NOON, Bench


def authorisation(bench: Bench, http: HttpClient | None = None, secret: str = "secret") -> FortnoxAuthorisation:
    return FortnoxAuthorisation(
        http or bench.http,
        client_id="id",
        client_secret=secret,
        auth_url=AUTH,
        api_url=API,
        now=bench.clock.now,
        sleep=lambda seconds: None,
    )


@pytest.fixture
def fortnox(bench: Bench) -> FortnoxAuthorisation:
    return authorisation(bench)


@pytest.fixture
def grant(bench: Bench, fortnox: FortnoxAuthorisation) -> Grant:
    return fortnox.exchange(bench.world.give_consent(bench.company.database_number), CALLBACK)


def test_the_browser_is_sent_to_ask_for_a_service_account(fortnox: FortnoxAuthorisation) -> None:
    authorisation: Authorisation = fortnox
    client = authorisation.client
    assert client.authorize_url == f"{AUTH}/auth"
    assert client.token_url == f"{AUTH}/token"
    assert client.scope.split() == list(SCOPES)
    assert dict(client.authorize_params) == {"access_type": "offline", "account_type": "service"}
    assert "secret" not in repr(client)


def test_a_code_becomes_a_grant_that_names_the_company(bench: Bench, grant: Grant) -> None:
    assert grant.subject == str(bench.company.database_number)
    assert grant.expires_at == NOON + timedelta(hours=1)
    assert grant.refresh_token
    assert "invoice" in grant.scope.split()
    assert [call.path for call in bench.world.calls] == ["/oauth-v1/token"]
    bench.tokens.tokens[:] = [grant.access_token]
    assert bench.fortnox.fetch_identity().tenant == grant.subject


def test_a_code_is_good_once_for_ten_minutes_and_for_its_address(bench: Bench, fortnox: FortnoxAuthorisation) -> None:
    number = bench.company.database_number
    code = bench.world.give_consent(number)
    fortnox.exchange(code, CALLBACK)
    for bad in (code, "made-up"):
        with pytest.raises(Rejected) as raised:
            fortnox.exchange(bad, CALLBACK)
        assert raised.value.code == "invalid_grant"
    with pytest.raises(Rejected):
        fortnox.exchange(bench.world.give_consent(number), "http://elsewhere.test/")
    late = bench.world.give_consent(number)
    bench.clock.advance(timedelta(minutes=11))
    with pytest.raises(Rejected):
        fortnox.exchange(late, CALLBACK)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("lost_after", OutcomeUnknown),
        ("html_502_before", OutcomeUnknown),
        ("truncated_json", OutcomeUnknown),
        ("rate_limited", TryLater),
    ],
)
def test_an_exchange_whose_answer_is_lost_may_have_spent_the_code(
    bench: Bench, fortnox: FortnoxAuthorisation, kind: str, expected: type[PortError]
) -> None:
    code = bench.world.give_consent(bench.company.database_number)
    bench.fault(kind, "/oauth-v1/token")
    with pytest.raises(expected):
        fortnox.exchange(code, CALLBACK)


def test_a_wrong_secret_is_not_the_companys_fault(bench: Bench, grant: Grant) -> None:
    wrong = authorisation(bench, secret="wrong")
    for action in (lambda: wrong.renew(grant), lambda: wrong.exchange("x", CALLBACK), lambda: wrong.revoke(grant)):
        with pytest.raises(Rejected) as raised:
            action()
        assert raised.value.code == "invalid_client"


# --- Renewal --------------------------------------------------------------------------------------------------


def test_renewal_is_by_tenant_and_spends_nothing(bench: Bench, fortnox: FortnoxAuthorisation, grant: Grant) -> None:
    bench.clock.advance(timedelta(days=100))
    fresh = fortnox.renew(grant)
    again = fortnox.renew(grant)
    assert fresh.access_token != grant.access_token
    assert fresh.refresh_token == again.refresh_token == grant.refresh_token
    assert fresh.subject == grant.subject
    assert fresh.expires_at == bench.clock.now() + timedelta(hours=1)


def test_without_a_tenant_the_refresh_token_is_spent_once(
    bench: Bench, fortnox: FortnoxAuthorisation, grant: Grant
) -> None:
    old = replace(grant, subject="")
    fresh = fortnox.renew(old)
    assert fresh.refresh_token != grant.refresh_token
    assert fresh.subject == grant.subject
    with pytest.raises(NeedsReconnect):
        fortnox.renew(old)
    fortnox.renew(replace(fresh, subject=""))
    bench.clock.advance(timedelta(days=46))
    with pytest.raises(NeedsReconnect):
        fortnox.renew(replace(fresh, subject=""))
    with pytest.raises(NeedsReconnect):
        fortnox.renew(Grant("only an access token"))


def test_a_consent_without_service_account_falls_back_on_the_refresh_token(
    bench: Bench, fortnox: FortnoxAuthorisation
) -> None:
    code = bench.world.give_consent(bench.company.database_number, service=False)
    grant = fortnox.exchange(code, CALLBACK)
    bench.world.reset_calls()
    fresh = fortnox.renew(grant)
    assert fresh.refresh_token != grant.refresh_token
    assert len(bench.world.calls) == 4  # three tries by tenant, then the refresh token


@pytest.mark.parametrize("refresh", [True, False])
def test_a_revoked_consent_needs_a_person(
    bench: Bench, fortnox: FortnoxAuthorisation, grant: Grant, refresh: bool
) -> None:
    bench.company.revoke_consent()
    with pytest.raises(NeedsReconnect):
        fortnox.renew(grant if refresh else replace(grant, refresh_token=""))


def test_an_outage_is_never_taken_for_a_revoked_consent(
    bench: Bench, fortnox: FortnoxAuthorisation, grant: Grant
) -> None:
    bench.world.switches.missing_consent_status = 500
    bench.company.revoke_consent()
    with pytest.raises(TryLater):
        fortnox.renew(grant)


@pytest.mark.parametrize("kind", ["html_502_before", "error_500_after", "unauthorized"])
def test_renewal_stumbles_over_nothing_that_passes(
    bench: Bench, fortnox: FortnoxAuthorisation, grant: Grant, kind: str
) -> None:
    bench.fault(kind, "/oauth-v1/token", times=None)
    with pytest.raises(TryLater):
        fortnox.renew(grant)
    bench.world.faults.clear()
    bench.fault(kind, "/oauth-v1/token")
    if kind != "unauthorized":
        assert fortnox.renew(grant).access_token


@pytest.mark.parametrize("kind", ["lost_after", "truncated_json", "rate_limited"])
def test_a_lost_answer_by_tenant_has_cost_nothing(
    bench: Bench, fortnox: FortnoxAuthorisation, grant: Grant, kind: str
) -> None:
    bench.fault(kind, "/oauth-v1/token")
    with pytest.raises(TryLater):
        fortnox.renew(grant)
    assert fortnox.renew(grant).access_token


@pytest.mark.parametrize("kind", ["lost_after", "truncated_json", "html_502_after"])
def test_a_lost_answer_to_a_refresh_token_is_a_doubt(
    bench: Bench, fortnox: FortnoxAuthorisation, grant: Grant, kind: str
) -> None:
    bench.fault(kind, "/oauth-v1/token")
    with pytest.raises(OutcomeUnknown):
        fortnox.renew(replace(grant, subject=""))


# --- The end --------------------------------------------------------------------------------------------------


def test_revoking_ends_the_refresh_token_and_may_be_said_twice(fortnox: FortnoxAuthorisation, grant: Grant) -> None:
    fortnox.revoke(grant)
    with pytest.raises(NeedsReconnect):
        fortnox.renew(replace(grant, subject=""))
    fortnox.revoke(grant)
    fortnox.revoke(replace(grant, refresh_token=""))


def test_revoking_in_an_outage_is_tried_later(bench: Bench, fortnox: FortnoxAuthorisation, grant: Grant) -> None:
    bench.fault("lost_before", "/oauth-v1/revoke")
    with pytest.raises(TryLater):
        fortnox.revoke(grant)


# --- The tenant -----------------------------------------------------------------------------------------------


def token(payload: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    return f"head.{body}.signature"


@pytest.mark.parametrize(
    ("access_token", "expected"),
    [
        (token({"tenantId": 123}), "123"),
        (token({"TenantID": "123"}), "123"),
        (token({"sub": "x"}), ""),
        (token([1]), ""),
        ("opaque", ""),
        ("a.%%%.c", ""),
        ("a.YQ.c", ""),
        ("a.é.c", ""),
    ],
)
def test_the_tenant_is_read_from_the_token(access_token: str, expected: str) -> None:
    assert tenant_of(access_token) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"CompanyInformation": {"DatabaseNumber": 42, "CompanyName": "A"}}, "42"),
        (200, {"CompanyInformation": {}}, BadReply),
        (500, {}, TryLater),
        (400, {"ErrorInformation": {"error": 1, "message": "x", "code": 2001103}}, Rejected),
    ],
)
def test_else_the_company_is_asked(bench: Bench, status: int, body: object, expected: object) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "opaque", "expires_in": "odd"})
        return httpx.Response(status, json=body)

    fortnox = authorisation(bench, HttpClient("fortnox", transport=httpx.MockTransport(answer)))
    if isinstance(expected, str):
        assert fortnox.exchange("code", CALLBACK).subject == expected
    else:
        assert isinstance(expected, type)
        with pytest.raises(expected):
            fortnox.exchange("code", CALLBACK)
