"""Consent at PayPal: the merchant's own app credentials, and the partner's referral.

A PayPal token lives nine hours and there is no refresh token: whoever has the client id and secret asks for the next.
So the grant of a merchant's own app keeps both as its refresh token, sealed; that of a partner keeps none of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlsplit

from addon.connectors.http import HttpClient
from addon.connectors.paypal.access import (
    API_URL,
    FEATURES,
    NEEDED_SCOPES,
    TEST_APP,
    Credentials,
    PayPalPlatform,
    refuse_by_their_looks,
)
from addon.connectors.paypal.client import fetch_token, read_answer
from addon.connectors.paypal.translate import clean_text, read_ref
from addon.ports.errors import BadReply, NeedsReconnect, Rejected
from addon.ports.oauth import Grant, OAuthClient

_LONGEST_LIFE_S: Final = 86_400


def _grant(told: Mapping[str, Any], asked_at: datetime, *, refresh_token: str = "", subject: str = "") -> Grant:
    token, life = told.get("access_token"), told.get("expires_in")
    if not (isinstance(token, str) and token) or type(life) is not int or life <= 0:
        raise BadReply("PayPal's answer holds no token that can be used")
    return Grant(
        access_token=token,
        refresh_token=refresh_token,
        expires_at=asked_at + timedelta(seconds=min(life, _LONGEST_LIFE_S)),
        scope=clean_text(told.get("scope"), 2000),
        subject=subject,
        live=told.get("app_id") != TEST_APP,
    )


def missing_scopes(scope: str) -> tuple[str, ...]:
    """Which of the needed scopes a token lacks."""
    opened = frozenset(scope.split())
    return tuple(needed for needed in NEEDED_SCOPES if needed not in opened)


class AppAuthorisation:
    """A merchant's own REST app. Implements `Authorisation`; its code is client id and secret with a colon between."""

    def __init__(self, http: HttpClient, *, now: Callable[[], datetime], api_url: str = API_URL) -> None:
        self._http = http
        self._now = now
        self._api_url = api_url

    @property
    def client(self) -> OAuthClient:
        """There is no consent page: the merchant types what PayPal's dashboard shows."""
        return OAuthClient(
            name="paypal_app",
            client_id="",
            client_secret="",
            authorize_url="",
            token_url=f"{self._api_url}/v1/oauth2/token",
            scope=" ".join(NEEDED_SCOPES),
        )

    def exchange(self, code: str, redirect_uri: str) -> Grant:
        """Check credentials at once: their looks, that PayPal knows them, and that they open the reports.

        Raises `Rejected` with a sentence for people, `NeedsReconnect` where PayPal does not know them.
        """
        credentials = Credentials.unpacked(code)
        fault = refuse_by_their_looks(credentials)
        if fault is not None:
            raise Rejected(*fault)
        grant = self._ask(credentials)
        if missing_scopes(grant.scope):
            raise Rejected(
                "transaction_search_missing",
                'The app may not read transactions: tick "Transaction search" under Features in the app\'s page, '
                "save, and try again. PayPal may take some hours to let a new tick work.",
            )
        return grant

    def renew(self, grant: Grant) -> Grant:
        """The next token. Raises `NeedsReconnect` where the app is gone or has a new secret."""
        fresh = self._ask(Credentials.unpacked(grant.refresh_token))
        if missing_scopes(fresh.scope):
            raise NeedsReconnect('PayPal no longer lets the app read transactions: "Transaction search" is not ticked')
        return fresh

    def revoke(self, grant: Grant) -> None:
        """Nothing: only the merchant can delete the app or its secret. Our copy goes."""

    def _ask(self, credentials: Credentials) -> Grant:
        asked_at = self._now()
        told = fetch_token(self._http, credentials, api_url=self._api_url)
        return _grant(told, asked_at, refresh_token=credentials.packed())


class PartnerAuthorisation:
    """Consent to our partner app by Partner Referrals. Implements `ArrangedConsent`.

    `arrange` asks PayPal for the address to send the merchant to, under a reference of ours that nobody can guess. On
    the way back it is PayPal who says which merchant used that reference: what the browser brings is not believed, or
    somebody could name another company's account there.
    """

    def __init__(
        self, platform: PayPalPlatform, http: HttpClient, *, now: Callable[[], datetime], web_url: str
    ) -> None:
        self._platform = platform
        self._http = http
        self._now = now
        self._web_url = web_url

    @property
    def client(self) -> OAuthClient:
        """Who asks; the address of the consent page comes from `arrange`."""
        return OAuthClient(
            name="paypal",
            client_id=self._platform.client_id,
            client_secret=self._platform.client_secret,
            authorize_url=self._web_url,
            token_url=f"{self._platform.api_url}/v1/oauth2/token",
            scope="",
        )

    def arrange(self, return_url: str, reference: str, language: str = "") -> str:
        """Where to send the merchant; PayPal knows in which language. Raises `TryLater`, `Rejected`, `BadReply`."""
        body = {
            "tracking_id": reference,
            "partner_config_override": {"return_url": return_url},
            "operations": [
                {
                    "operation": "API_INTEGRATION",
                    "api_integration_preference": {
                        "rest_api_integration": {
                            "integration_method": "PAYPAL",
                            "integration_type": "THIRD_PARTY",
                            "third_party_details": {"features": list(FEATURES)},
                        }
                    },
                }
            ],
            "products": ["EXPRESS_CHECKOUT"],
            "legal_consents": [{"type": "SHARE_DATA_CONSENT", "granted": True}],
        }
        # A referral that nobody follows does nothing, so that a lost answer is no doubt.
        reply = self._http.request(
            "POST",
            f"{self._platform.api_url}/v2/customer/partner-referrals",
            headers={"Authorization": f"Bearer {self._token().access_token}"},
            json=body,
            write=False,
        )
        links = read_answer(reply).get("links")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, Mapping) and link.get("rel") == "action_url":
                return self._page(link.get("href"))
        raise BadReply("PayPal's answer does not say where to send the merchant")

    def _page(self, address: object) -> str:
        """An address at PayPal's own site: a browser is sent there, so no other will do."""
        if isinstance(address, str) and urlsplit(address)[:2] == urlsplit(self._web_url)[:2]:
            return address
        raise BadReply("PayPal named a page that is not its own")

    def exchange(self, code: str, redirect_uri: str) -> Grant:
        """Ask which merchant used our reference (`code`), and what was granted. Raises `Rejected` if nobody did."""
        token = self._token()
        partner = read_ref(self._get("/v1/identity/openidconnect/userinfo", token, schema="openid").get("payer_id"))
        if not partner:
            raise BadReply("PayPal does not say who we are")
        base = f"/v1/customer/partners/{partner}/merchant-integrations"
        merchant = read_ref(self._get(base, token, tracking_id=code).get("merchant_id"))
        if not merchant:
            raise BadReply("PayPal does not say which merchant has consented")
        granted = self._get(f"{base}/{quote(merchant, safe='')}", token)
        if missing_scopes(" ".join(_granted_scopes(granted))):
            raise Rejected("permission_missing", "The permission to read transactions was not given.")
        return Grant(
            access_token=token.access_token,
            expires_at=token.expires_at,
            scope=" ".join(NEEDED_SCOPES),
            subject=merchant,
            live=token.live,
        )

    def renew(self, grant: Grant) -> Grant:
        """The partner's next token, for the same merchant."""
        fresh = self._token()
        return Grant(
            access_token=fresh.access_token,
            expires_at=fresh.expires_at,
            scope=grant.scope,
            subject=grant.subject,
            live=fresh.live,
        )

    def revoke(self, grant: Grant) -> None:
        """Nothing: only the merchant can take it back, in PayPal's settings. Our copy goes."""

    def _token(self) -> Grant:
        asked_at = self._now()
        credentials = Credentials(self._platform.client_id, self._platform.client_secret)
        return _grant(fetch_token(self._http, credentials, api_url=self._platform.api_url), asked_at)

    def _get(self, path: str, token: Grant, **params: str) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {token.access_token}"}
        return read_answer(self._http.request("GET", f"{self._platform.api_url}{path}", headers=headers, params=params))


def _granted_scopes(granted: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    integrations = granted.get("oauth_integrations")
    for integration in integrations if isinstance(integrations, list) else []:
        parties = integration.get("oauth_third_party") if isinstance(integration, Mapping) else None
        for party in parties if isinstance(parties, list) else []:
            scopes = party.get("scopes") if isinstance(party, Mapping) else None
            found += [scope for scope in scopes if isinstance(scope, str)] if isinstance(scopes, list) else []
    return found
