"""A company's consent: Connect's, which lasts until it is taken back, and a Stripe App's, renewed by the hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from addon.connectors.http import HttpClient
from addon.connectors.stripe.access import ConnectAccess
from addon.connectors.stripe.client import StripeApi, StripeClient, StripePlatform
from addon.connectors.stripe.translate import clean_text, read_ref
from addon.ports.errors import NeedsReconnect, OutcomeUnknown, Rejected
from addon.ports.oauth import Grant, OAuthClient

MARKETPLACE_URL: Final = "https://marketplace.stripe.com"
APP_TOKEN_LIFETIME_S: Final = 3600
"""The answer does not tell how long a token lives (stripe-apps/api-authentication/oauth says an hour)."""


class ConnectAuthorisation:
    """Connect OAuth for accounts that their owners keep. Implements `Authorisation`.

    `scope`: ordinary platforms are granted `read_write` only; `read_only` is for applications that Stripe
    registered as extensions. Either way Kvitt only reads.
    """

    def __init__(self, platform: StripePlatform, http: HttpClient, *, scope: str = "read_write") -> None:
        self._platform = platform
        self._http = http
        self._scope = scope
        self._client = StripeClient(http, api_url=platform.api_url, connect_url=platform.connect_url)

    @property
    def client(self) -> OAuthClient:
        """What the browser's round trip needs."""
        return OAuthClient(
            name="stripe",
            client_id=self._platform.client_id,
            client_secret=self._platform.secret_key,
            authorize_url=f"{self._platform.connect_url}/oauth/authorize",
            token_url=f"{self._platform.connect_url}/oauth/token",
            scope=self._scope,
            # Whoever books payments has an account already: show the login, not the form for a new one.
            authorize_params=(("stripe_landing", "login"),),
        )

    def exchange(self, code: str, redirect_uri: str) -> Grant:
        """Turn a code into a grant, whose `subject` is the account that consented.

        The account's own tokens in the answer are dropped, as Stripe advises: calls are made with the
        platform's key. Raises `Rejected` for a code that is used, expired or not ours, `OutcomeUnknown` where
        the answer is lost; the code is good once, so the person starts over.
        """
        answer = self._client.post(
            "/oauth/token",
            self._platform.secret_key,
            {"grant_type": "authorization_code", "code": code},
            on_connect=True,
        )
        return Grant(
            access_token="",
            scope=clean_text(answer.get("scope"), 60),
            subject=_subject(answer),
            live=answer.get("livemode") is True,
        )

    def renew(self, grant: Grant) -> Grant:
        """The same grant, after asking whether it still opens the account. Raises `NeedsReconnect` if not."""
        access = ConnectAccess(grant.subject, self._platform.secret_key, grant.live)
        StripeApi(self._http, access, api_url=self._platform.api_url).get("/v1/account")
        return grant

    def revoke(self, grant: Grant) -> None:
        """Disconnect the account; nothing happens if it is not connected any more."""
        try:
            self._client.post(
                "/oauth/deauthorize",
                self._platform.secret_key,
                {"client_id": self._platform.client_id, "stripe_user_id": grant.subject},
                on_connect=True,
            )
        except Rejected as error:
            # The same code stands for a wrong client of ours; only the words tell.
            if error.code != "invalid_client" or "not connected" not in error.message:
                raise


class AppAuthorisation:
    """OAuth of a Stripe App. Implements `Authorisation`.

    `now` tells the time. Each renewal ends the refresh token that it used, so that only one process may renew
    a grant at a time, and the new one is kept before it is used.
    """

    def __init__(
        self,
        platform: StripePlatform,
        http: HttpClient,
        *,
        now: Callable[[], datetime],
        marketplace_url: str = MARKETPLACE_URL,
    ) -> None:
        self._platform = platform
        self._now = now
        self._marketplace_url = marketplace_url
        self._client = StripeClient(http, api_url=platform.api_url, connect_url=platform.connect_url)

    @property
    def client(self) -> OAuthClient:
        """What the browser's round trip needs; the permissions stand in the App's manifest, not in a scope."""
        return OAuthClient(
            name="stripe_app",
            client_id=self._platform.client_id,
            client_secret=self._platform.secret_key,
            authorize_url=f"{self._marketplace_url}/oauth/v2/authorize",
            token_url=f"{self._platform.api_url}/v1/oauth/token",
            scope="",
        )

    def exchange(self, code: str, redirect_uri: str) -> Grant:
        """Turn a code into a grant. Raises `Rejected` for a code that is used, expired or not ours."""
        return self._token({"grant_type": "authorization_code", "code": code})

    def renew(self, grant: Grant) -> Grant:
        """A fresh grant with the next refresh token.

        Raises `NeedsReconnect` where the refresh token is not accepted any more. Raises `OutcomeUnknown` where
        the answer is lost: the old refresh token may be dead already. Trying it once more tells: it either
        gives a grant or `NeedsReconnect`.
        """
        try:
            return self._token({"grant_type": "refresh_token", "refresh_token": grant.refresh_token})
        except Rejected as error:
            if error.code != "invalid_grant":
                raise
            raise NeedsReconnect("Stripe does not renew the access any more; install the app again") from error

    def revoke(self, grant: Grant) -> None:
        """Nothing: Stripe lets only the company remove an app, in its dashboard. Our copy of the grant goes."""

    def _token(self, form: dict[str, str]) -> Grant:
        asked_at = self._now()
        answer = self._client.post("/v1/oauth/token", self._platform.secret_key, form)
        access_token, refresh_token = answer.get("access_token"), answer.get("refresh_token")
        if not (isinstance(access_token, str) and access_token):
            raise OutcomeUnknown("Stripe's answer holds no access token")
        if not (isinstance(refresh_token, str) and refresh_token):
            raise OutcomeUnknown("Stripe's answer holds no refresh token")
        return Grant(
            access_token=access_token,
            refresh_token=refresh_token,
            expires_at=asked_at + timedelta(seconds=APP_TOKEN_LIFETIME_S),
            scope=clean_text(answer.get("scope"), 60),
            subject=_subject(answer),
            live=answer.get("livemode") is True,
        )


def _subject(answer: dict[str, Any]) -> str:
    account = read_ref(answer.get("stripe_user_id"))
    if not account.startswith("acct_"):
        raise OutcomeUnknown("Stripe's answer does not name the account")
    return account
