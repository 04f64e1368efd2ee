"""A company's consent in Fortnox: the code's exchange, and fresh tokens by client credentials.

A consent given to a service account lets us ask for an access token with the company's tenant number alone, for as
long as the consent stands. That is the normal renewal: nothing rotates, so no race and no crash can lose the
connection. The refresh token, which is good for one use and dies after 31 or 45 idle days, is kept only as the
fallback. Sources: fortnox.se/developer/authorization and its pages on both grants.

The browser's part of the round trip is Authlib's, in the web; these three calls behind it are plain forms, made here
so that they keep the same deadline, and are told of, like every other call.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from addon.connectors.fortnox import translate
from addon.connectors.fortnox.accounting import SCOPES
from addon.connectors.fortnox.client import sort_fault
from addon.connectors.http import HttpClient, Reply, Unreadable, read_json
from addon.core.holds import HoldReason
from addon.ports.errors import BadReply, NeedsReconnect, OutcomeUnknown, PortError, Rejected, TryLater
from addon.ports.oauth import Grant, OAuthClient

TENANT_CLAIM: Final = "tenantid"
TRIES: Final = 3
"""How often the token endpoint must say no before consent counts as gone: it has been seen to stumble."""
PAUSE_S: Final = 0.5
_CONSENT_GONE: Final = frozenset({"invalid_grant", "unauthorized_client", "access_denied"})


def _now() -> datetime:
    return datetime.now(UTC)


class FortnoxAuthorisation:
    """Kvitt's own registration with Fortnox, and what is done with a company's consent to it."""

    def __init__(
        self,
        http: HttpClient,
        *,
        client_id: str,
        client_secret: str,
        auth_url: str,
        api_url: str,
        now: Callable[[], datetime] = _now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = http
        self._client_id = client_id
        self._client_secret = client_secret
        self._auth_url = auth_url.rstrip("/")
        self._api_url = api_url.rstrip("/")
        self._now = now
        self._sleep = sleep

    @property
    def client(self) -> OAuthClient:
        """What the browser's round trip needs. `account_type=service` frees the consent from one person's rights."""
        return OAuthClient(
            name="fortnox",
            client_id=self._client_id,
            client_secret=self._client_secret,
            authorize_url=f"{self._auth_url}/auth",
            token_url=f"{self._auth_url}/token",
            scope=" ".join(SCOPES),
            authorize_params=(("access_type", "offline"), ("account_type", "service")),
        )

    def exchange(self, code: str, redirect_uri: str) -> Grant:
        """Turn a code into a grant with the company's tenant number.

        Raises `Rejected` for a code that is used, expired or not ours; `OutcomeUnknown` where the answer is lost:
        the code may be spent then, and the person must click once more.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        reply = self._token(form)
        if reply.status != 200:
            raise self._refusal(reply)
        grant = self._grant(reply, Grant(""))
        return grant if grant.subject else replace(grant, subject=self._fetch_tenant(grant.access_token))

    def renew(self, grant: Grant) -> Grant:
        """A fresh grant, by client credentials, or by the refresh token where that is refused or not possible.

        Raises `NeedsReconnect` where consent is gone, and `OutcomeUnknown` where the refresh token's answer is
        lost: the token may be spent then.
        """
        if not grant.subject:
            return self._refresh(grant)
        try:
            return self._by_client_credentials(grant)
        except NeedsReconnect:
            if not grant.refresh_token:
                raise
            return self._refresh(grant)

    def revoke(self, grant: Grant) -> None:
        """Give the refresh token up. Access tokens cannot be revoked, they die within the hour.

        Without a refresh token there is nothing that Fortnox lets us give up: the company ends the consent there.
        """
        if not grant.refresh_token:
            return
        reply = self._http.request(
            "POST",
            f"{self._auth_url}/revoke",
            form={"token_type_hint": "refresh_token", "token": grant.refresh_token},
            basic_auth=(self._client_id, self._client_secret),
            write=False,  # revoking twice does no harm
            note="revoke",
        )
        if reply.status == 200:
            return
        refusal = self._refusal(reply)
        if isinstance(refusal, Rejected) and refusal.code in _CONSENT_GONE:
            return  # it was dead already
        raise refusal

    def _by_client_credentials(self, grant: Grant) -> Grant:
        """Asked a few times before a no counts. Nothing is spent by asking, so a lost answer is `TryLater`."""
        for attempt in range(1, TRIES + 1):
            reply = self._token({"grant_type": "client_credentials"}, tenant=grant.subject)
            if reply.status == 200:
                return self._grant(reply, grant, write=False)
            refusal = self._refusal(reply, write=False)
            gone = isinstance(refusal, Rejected) and refusal.code in _CONSENT_GONE
            if not gone and reply.status < 500:
                raise refusal
            if attempt < TRIES:
                self._sleep(PAUSE_S * attempt)
            elif gone:
                raise NeedsReconnect("Fortnox: the company's consent is gone") from refusal
        # A missing consent was answered with 500 at one time, an outage always is: whoever asked counts.
        raise TryLater(f"Fortnox: no token, status {reply.status}", reply.retry_after_s)

    def _refresh(self, grant: Grant) -> Grant:
        if not grant.refresh_token:
            raise NeedsReconnect("Fortnox: neither tenant nor refresh token is known")
        reply = self._token({"grant_type": "refresh_token", "refresh_token": grant.refresh_token})
        if reply.status == 200:
            return self._grant(reply, grant)
        refusal = self._refusal(reply)
        if isinstance(refusal, Rejected) and refusal.code in _CONSENT_GONE:
            raise NeedsReconnect("Fortnox: the refresh token is dead") from refusal
        raise refusal

    def _token(self, form: Mapping[str, str], tenant: str = "") -> Reply:
        headers = {"Accept": "application/json"}
        if tenant:
            headers["TenantId"] = tenant
        return self._http.request(
            "POST",
            f"{self._auth_url}/token",
            headers=headers,
            form=form,
            basic_auth=(self._client_id, self._client_secret),
            write=not tenant,  # a code and a refresh token are spent by the call, client credentials are not
            note=form["grant_type"],
        )

    def _refusal(self, reply: Reply, *, write: bool = True) -> PortError:
        """What the token endpoint's no means. Its errors are JSON under text types, or HTML where a gateway fails."""
        what = "Fortnox token endpoint"
        if reply.status == 429:
            return TryLater(f"{what}: too many calls", reply.retry_after_s)
        document = _json(reply)
        code = translate.words(document.get("error"))
        if reply.status >= 500 or not code:
            message = f"{what}: status {reply.status}"
            return OutcomeUnknown(message) if write else TryLater(message, reply.retry_after_s)
        message = translate.words(document.get("error_description"))[:300]
        return Rejected(code, message or code, HoldReason.REJECTED.value)

    def _grant(self, reply: Reply, before: Grant, *, write: bool = True) -> Grant:
        """Read a token answer; what it does not say stays as it was. An answer without a token is a fault."""
        document = _json(reply)
        access_token = translate.words(document.get("access_token"))
        if not access_token:
            message = "Fortnox token endpoint: an answer without a token"
            raise OutcomeUnknown(message) if write else TryLater(message)
        try:
            seconds = translate.whole(document.get("expires_in", 3600))
        except Unreadable:
            seconds = 3600
        return Grant(
            access_token=access_token,
            refresh_token=translate.words(document.get("refresh_token")) or before.refresh_token,
            expires_at=self._now() + timedelta(seconds=min(max(seconds, 0), 86_400)),
            scope=translate.words(document.get("scope")) or before.scope,
            subject=before.subject or tenant_of(access_token),
        )

    def _fetch_tenant(self, access_token: str) -> str:
        """The tenant number from the company's own description, where the token does not tell it."""
        path = "companyinformation"
        reply = self._http.request(
            "GET",
            f"{self._api_url}/{path}",
            headers={"Authorization": f"Bearer {access_token}", "Accept": "application/json"},
        )
        document = _json(reply)
        if reply.status != 200:
            fault = translate.read_fault(document)
            raise sort_fault(reply.status, fault, reply.retry_after_s, write=False, what=f"Fortnox GET {path}")
        try:
            return translate.read_row(translate.identity, document.get("CompanyInformation")).tenant
        except Unreadable as error:
            raise BadReply(f"Fortnox GET {path}: {error}") from error


def tenant_of(access_token: str) -> str:
    """The tenant number that an access token (a JWT) claims; empty if it cannot be read.

    Not checked by signature: the token came straight from Fortnox, and Fortnox checks whatever is done with it.
    """
    parts = access_token.split(".")
    if len(parts) != 3:
        return ""
    try:
        claims = read_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, Unreadable):
        return ""
    if not isinstance(claims, Mapping):
        return ""
    return next((translate.words(value) for name, value in claims.items() if str(name).lower() == TENANT_CLAIM), "")


def _json(reply: Reply) -> Mapping[str, Any]:
    try:
        document = reply.json()
    except Unreadable:
        return {}
    return document if isinstance(document, Mapping) else {}
