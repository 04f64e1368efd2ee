from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from addon.connectors.stripe import AppAuthorisation, ConnectAccess, ConnectAuthorisation, StripePlatform
from addon.ports.errors import NeedsReconnect, OutcomeUnknown, PortError, Rejected, TryLater
from addon.ports.oauth import Authorisation, Grant, OAuthClient
from addon.sandbox.stripe import Fault
from tests.connectors.stripe.conftest import START, Bed
from tests.contracts import load_contract


class Form(HTMLParser):
    """The hidden fields of a consent page."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        if tag == "input" and named.get("type") == "hidden" and named.get("name"):
            self.fields[str(named["name"])] = named.get("value") or ""


def consent(bed: Bed, client: OAuthClient) -> str:
    """Walk through the consent page the way a person does; gives the code."""
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": bed.world.redirect_uris[0],
        "state": "s",
        **dict(client.authorize_params),
    }
    if client.scope:
        asked["scope"] = client.scope
    page = requests.get(client.authorize_url, params=asked, timeout=60)
    assert page.status_code == 200, page.text
    form = Form()
    form.feed(page.text)
    answer = requests.post(
        client.authorize_url,
        data={**asked, **form.fields, "account": bed.account.id, "answer": "allow"},
        allow_redirects=False,
        timeout=60,
    )
    back = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert back["state"] == ["s"]
    return back["code"][0]


def connect(bed: Bed) -> ConnectAuthorisation:
    return ConnectAuthorisation(bed.platform, bed.http)


def app(bed: Bed) -> AppAuthorisation:
    return AppAuthorisation(bed.app_platform, bed.http, now=bed.now, marketplace_url=bed.url)


REDIRECT = "http://127.0.0.1:8000/oauth/stripe/callback"


# --- Connect ----------------------------------------------------------------------------------------------


def test_connect_from_the_page_to_the_first_call(bed: Bed) -> None:
    authorisation: Authorisation = connect(bed)
    grant = authorisation.exchange(consent(bed, authorisation.client), REDIRECT)
    assert (grant.subject, grant.live, grant.scope, grant.expires_at) == (bed.account.id, True, "read_write", None)
    assert (grant.access_token, grant.refresh_token) == ("", ""), "Stripe advises not to keep them"
    source = bed.source(ConnectAccess(grant.subject, bed.platform.secret_key, grant.live))
    assert source.fetch_account().ref == bed.account.id
    assert authorisation.renew(grant) == grant
    authorisation.revoke(grant)
    assert bed.account.id not in bed.world.connections
    with pytest.raises(NeedsReconnect):
        authorisation.renew(grant)
    authorisation.revoke(grant)


def test_the_addresses_are_stripes_own() -> None:
    platform = StripePlatform("ca_1", "sk_live_1")
    contract = load_contract("stripe", "oauth.json")
    described = contract["connect_oauth"]
    client = ConnectAuthorisation(platform, None).client  # type: ignore[arg-type]
    assert client.authorize_url == described["host"] + described["authorize"]["path"]
    assert client.token_url == described["host"] + described["token"]["path"]
    assert set(dict(client.authorize_params)) <= set(described["authorize"]["params"])
    client = AppAuthorisation(platform, None, now=lambda: START).client  # type: ignore[arg-type]
    assert contract["stripe_apps_oauth"]["install_link"].startswith(client.authorize_url)
    assert client.token_url == contract["stripe_apps_oauth"]["token"]["url"]
    assert "sk_live" not in repr(client) + repr(platform)


def test_a_code_is_good_once_and_for_minutes(bed: Bed) -> None:
    authorisation = connect(bed)
    code = consent(bed, authorisation.client)
    authorisation.exchange(code, REDIRECT)
    with pytest.raises(Rejected) as caught:
        authorisation.exchange(code, REDIRECT)
    assert caught.value.code == "invalid_grant"
    late = consent(bed, authorisation.client)
    bed.world.clock.advance(timedelta(minutes=6))
    with pytest.raises(Rejected):
        authorisation.exchange(late, REDIRECT)
    with pytest.raises(Rejected) as caught:
        authorisation.exchange("ac_never_given_out", REDIRECT)
    assert "ac_never" not in str(caught.value)


def test_a_wrong_platform_key_is_our_mistake_not_the_companys(bed: Bed) -> None:
    wrong = StripePlatform(bed.world.client_id, "sk_live_wrong", bed.url, bed.url)
    authorisation = ConnectAuthorisation(wrong, bed.http)
    with pytest.raises(Rejected) as caught:
        authorisation.exchange("ac_1", REDIRECT)
    assert caught.value.code == "invalid_client"
    with pytest.raises(Rejected):
        authorisation.revoke(Grant("", subject=bed.account.id))


def test_test_mode_consents_say_so(bed: Bed) -> None:
    bed.account.livemode = False
    authorisation = connect(bed)
    assert authorisation.exchange(consent(bed, authorisation.client), REDIRECT).live is False


FAULTS = [
    ("lost_before", OutcomeUnknown),
    ("lost_after", OutcomeUnknown),
    ("error_500", OutcomeUnknown),
    ("html_500", OutcomeUnknown),
    ("truncated_json", OutcomeUnknown),
    ("rate_limited", TryLater),
    ("revoked", NeedsReconnect),
]


@pytest.mark.parametrize(("kind", "error"), FAULTS)
def test_a_lost_exchange_may_have_happened(bed: Bed, kind: str, error: type[PortError]) -> None:
    authorisation = connect(bed)
    code = consent(bed, authorisation.client)
    bed.world.faults.add(Fault(kind, "oauth/token"))  # type: ignore[arg-type]
    with pytest.raises(error):
        authorisation.exchange(code, REDIRECT)


# --- Stripe Apps ------------------------------------------------------------------------------------------


def test_an_app_is_installed_and_its_token_rolls(bed: Bed) -> None:
    authorisation: Authorisation = app(bed)
    first = authorisation.exchange(consent(bed, authorisation.client), REDIRECT)
    assert (first.subject, first.live, first.scope) == (bed.account.id, True, "stripe_apps")
    assert first.expires_at == bed.now() + timedelta(hours=1)
    bed.world.clock.advance(timedelta(minutes=50))
    second = authorisation.renew(first)
    assert second.expires_at == bed.now() + timedelta(hours=1)
    assert second.access_token != first.access_token
    assert second.refresh_token != first.refresh_token
    with pytest.raises(NeedsReconnect):
        authorisation.renew(first)
    assert authorisation.renew(second).subject == bed.account.id
    authorisation.revoke(second)


def test_an_app_that_was_removed_must_be_installed_again(bed: Bed) -> None:
    authorisation = app(bed)
    grant = authorisation.exchange(consent(bed, authorisation.client), REDIRECT)
    bed.world.uninstall_app(bed.account)
    with pytest.raises(NeedsReconnect):
        authorisation.renew(grant)


def test_an_apps_code_is_good_once(bed: Bed) -> None:
    authorisation = app(bed)
    code = consent(bed, authorisation.client)
    authorisation.exchange(code, REDIRECT)
    with pytest.raises(Rejected):
        authorisation.exchange(code, REDIRECT)


@pytest.mark.parametrize(("kind", "error"), FAULTS)
def test_a_lost_renewal_may_have_happened_and_once_more_tells(bed: Bed, kind: str, error: type[PortError]) -> None:
    authorisation = app(bed)
    grant = authorisation.exchange(consent(bed, authorisation.client), REDIRECT)
    bed.world.faults.add(Fault(kind, "oauth/token"))  # type: ignore[arg-type]
    with pytest.raises(error):
        authorisation.renew(grant)
    if kind in ("lost_after", "truncated_json"):
        with pytest.raises(NeedsReconnect):
            authorisation.renew(grant)
    else:
        assert authorisation.renew(grant).subject == bed.account.id


def test_a_renewal_that_never_left_did_not_happen(bed: Bed) -> None:
    nowhere = StripePlatform("ca_1", "sk_live_1", "http://127.0.0.1:9", "http://127.0.0.1:9")
    authorisation = AppAuthorisation(nowhere, bed.http, now=bed.now)
    with pytest.raises(TryLater):
        authorisation.renew(Grant("a", "rt_1", subject=bed.account.id))


@pytest.mark.parametrize("key", ["stripe_user_id", "access_token", "refresh_token"])
def test_a_grant_without_its_parts_is_no_grant(bed: Bed, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    authorisation = app(bed)
    answer = {"stripe_user_id": "acct_1", "access_token": "rk_live_1", "refresh_token": "rt_1", "livemode": True}
    monkeypatch.setattr("addon.connectors.stripe.client.StripeClient.post", lambda *a, **k: {**answer, key: None})
    with pytest.raises(OutcomeUnknown):
        authorisation.exchange("ac_1", REDIRECT)
