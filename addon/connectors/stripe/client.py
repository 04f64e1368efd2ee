"""Talking with Stripe through its SDK: which key, which version, and each error named by what to do next.

The SDK makes the request and sorts the refusals; the call itself goes through our own HTTP client, so that it has
one deadline and is told to the observer. Answers are taken as plain JSON (`raw_request`): building the SDK's
objects for a page of a hundred rows with their charges takes a quarter of a second, reading the page
fifteen milliseconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

import stripe

from addon.connectors.http import HttpClient, Reply
from addon.connectors.stripe.access import (
    NEEDED_PERMISSIONS,
    AppAccess,
    ConnectAccess,
    KeyAccess,
    StripeAccess,
    refuse_key_by_its_looks,
)
from addon.connectors.stripe.translate import clean_text, translate_account
from addon.ports.errors import BadReply, NeedsReconnect, OutcomeUnknown, PortError, Rejected, TryLater
from addon.ports.payments import ProviderAccount

STRIPE_VERSION: Final = "2026-10-28.endive"
"""The API version that `translate.py` is written for, sent with every call whatever the account's default is."""

API_URL: Final = "https://api.stripe.com"
CONNECT_URL: Final = "https://connect.stripe.com"

stripe.enable_telemetry = False

_OAUTH_CODES: Final = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unsupported_grant_type",
        "unsupported_response_type",
    }
)
_CONSENT_GONE: Final = frozenset({"account_invalid", "api_key_expired", "platform_api_key_expired"})
_LONGEST_PAGE: Final = 100

_SECRETS: Final = re.compile(r"\b(?:sk|rk|pk|ac|rt|whsec)_[0-9A-Za-z_*]+")
"""Keys, codes and tokens, which Stripe repeats in its refusals, masked or not."""


@dataclass(frozen=True, slots=True)
class StripePlatform:
    """Who we are at Stripe: the application's id and its owner's secret key, and where Stripe is."""

    client_id: str
    secret_key: str = field(repr=False)
    api_url: str = API_URL
    connect_url: str = CONNECT_URL


class _Unauthorised(NeedsReconnect):
    """The key or token was not accepted (401); a token may be renewed once."""


class _Wire(stripe.HTTPClient):
    """The SDK's way to the network: our client, one attempt, and no unreadable answer let through.

    What the SDK would put into an exception, the body included, is refused here, so that no message holds it.
    """

    name = "httpx"

    def __init__(self, http: HttpClient) -> None:
        super().__init__()
        self._http = http

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Make one call. Raises the errors of `addon.ports.errors`."""
        write = method.upper() != "GET"
        reply = self._http.request(method.upper(), url, headers=headers, content=post_data, write=write)
        return _readable(reply, write=write), reply.status, dict(reply.headers)

    def close(self) -> None:
        """Nothing: whoever made the HTTP client closes it."""


def _readable(reply: Reply, *, write: bool) -> str:
    """The body of an answer that the SDK can make sense of; else the error that it means."""
    if reply.status == 429:
        raise TryLater("Stripe asks for a pause", reply.retry_after_s)
    if reply.status == 409:
        raise TryLater("Stripe is busy with the same object", reply.retry_after_s)
    if reply.status >= 500:
        if write:
            raise OutcomeUnknown(f"Stripe failed with status {reply.status}")
        raise TryLater(f"Stripe failed with status {reply.status}", reply.retry_after_s)
    try:
        text = reply.body.decode()
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        if not write and "html" in reply.headers.get("content-type", ""):
            raise TryLater("a page for people came in the place of Stripe's answer") from error
        raise _unreadable("Stripe's answer is not JSON", write=write) from error
    if not isinstance(body, dict):
        raise _unreadable("Stripe's answer is not an object", write=write)
    if not 200 <= reply.status < 300:
        refusal = body.get("error")
        known = isinstance(refusal, dict) or (isinstance(refusal, str) and refusal in _OAUTH_CODES)
        if not known:
            raise _unreadable(f"Stripe refused with status {reply.status} and no reason", write=write)
    return text


def _unreadable(message: str, *, write: bool) -> PortError:
    return OutcomeUnknown(message) if write else BadReply(message)


def _named(error: stripe.StripeError, *, write: bool) -> PortError:
    """A refusal by what to do next. Their words are kept where they say what a person must change."""
    body = error.json_body.get("error") if isinstance(error.json_body, Mapping) else None
    reason = body if isinstance(body, Mapping) else {}
    code = clean_text(reason.get("code") or error.code, 80)
    words = _SECRETS.sub("…", clean_text(error.user_message))
    if isinstance(error, stripe.oauth_error.OAuthError):
        return Rejected(code or "oauth", words)
    if isinstance(error, stripe.AuthenticationError):
        return _Unauthorised("Stripe does not accept our key or token any more")
    if code in _CONSENT_GONE or (isinstance(error, stripe.PermissionError) and "revoked" in words):
        return NeedsReconnect("Stripe no longer lets us into this account")
    if isinstance(error, stripe.PermissionError):
        return Rejected(code or "permission_missing", words)
    if isinstance(error, stripe.RateLimitError):
        return TryLater("Stripe asks for a pause")
    if isinstance(error, stripe.APIConnectionError):
        return OutcomeUnknown("no answer from Stripe") if write else TryLater("no answer from Stripe")
    if isinstance(error, stripe.InvalidRequestError | stripe.IdempotencyError | stripe.CardError):
        return Rejected(code or "invalid_request", words)
    return _unreadable("Stripe refused in a way that cannot be read", write=write)


class StripeClient:
    """Calls to Stripe with a key given for each. Safe to share between threads."""

    def __init__(self, http: HttpClient, *, api_url: str = API_URL, connect_url: str = CONNECT_URL) -> None:
        self._sdk = stripe.StripeClient(
            "given with each call",
            base_addresses={"api": api_url, "connect": connect_url, "files": api_url, "meter_events": api_url},
            stripe_version=STRIPE_VERSION,
            max_network_retries=0,
            http_client=_Wire(http),
        )

    def get(
        self, path: str, key: str, account: str | None = None, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Ask a question. Raises `TryLater`, `NeedsReconnect`, `Rejected`, `BadReply`."""
        return self._call("get", path, {**(params or {}), "api_key": key, "stripe_account": account})

    def post(self, path: str, key: str, params: Mapping[str, str], *, on_connect: bool = False) -> dict[str, Any]:
        """Change something; `on_connect` at the address that consents are managed at. May raise `OutcomeUnknown`."""
        base = {"base": "connect"} if on_connect else {}
        return self._call("post", path, {**params, **base, "api_key": key})

    def _call(self, method: str, path: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._sdk.raw_request(method, path, **arguments)
        except stripe.StripeError as error:
            raise _named(error, write=method != "get") from error
        data: dict[str, Any] = answer.data
        return data


class StripeApi:
    """One company's Stripe account, read by one of the three ways in. Safe to share between threads."""

    def __init__(self, http: HttpClient, access: StripeAccess, *, api_url: str = API_URL) -> None:
        self.access = access
        self._client = StripeClient(http, api_url=api_url)

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Ask a question. Raises `TryLater`, `NeedsReconnect`, `Rejected`, `BadReply`."""
        access = self.access
        match access:
            case ConnectAccess():
                return self._client.get(path, access.secret_key, access.account, params)
            case KeyAccess():
                return self._client.get(path, access.key, None, params)
            case AppAccess():
                token = access.tokens.current()
                try:
                    return self._client.get(path, token, None, params)
                except _Unauthorised:
                    # Expired before its hour, or renewed by another of our processes: once more with a new one.
                    return self._client.get(path, access.tokens.renew(token), None, params)
            case _:
                assert_never(access)

    def list(self, path: str, cursor: str | None, **params: Any) -> tuple[list[dict[str, Any]], str | None]:
        """One page, newest first, and the cursor of the next: the id of the page's last object.

        A place in the list, not an instant: several objects of one second are usual.
        """
        if cursor is not None:
            params["starting_after"] = cursor
        answer = self.get(path, limit=_LONGEST_PAGE, **params)
        data, more = answer.get("data"), answer.get("has_more")
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise BadReply("Stripe's list holds something else than objects")
        if not isinstance(more, bool):
            raise BadReply("Stripe's list does not say whether there is more")
        if not more:
            return data, None
        last = data[-1].get("id") if data else None
        if not isinstance(last, str) or last == cursor:
            raise BadReply("Stripe's list says there is more and not where")
        return data, last

    def fetch_account(self) -> ProviderAccount:
        """Who the account belongs to, and whether its data is live.

        Neither the account nor the platform's key tells: behind one live key a test account answers too. The
        balance does, and where the way in says of itself that it is for tests, that counts as well.
        """
        account = self.get("/v1/account")
        return translate_account(account, live=self.access.live and self.get("/v1/balance").get("livemode") is True)


def check_restricted_key(pasted: str, http: HttpClient, *, api_url: str = API_URL) -> ProviderAccount:
    """Say whose account a pasted key opens, after trying everything we shall read with it.

    Raises `Rejected` with a sentence for the person: not a restricted live key, unknown to Stripe, or without
    the permissions, which are named. Raises `TryLater` and `BadReply` as any question does.
    """
    key = pasted.strip()
    wrong = refuse_key_by_its_looks(key)
    if wrong is not None:
        raise Rejected(*wrong)
    api = StripeApi(http, KeyAccess(key), api_url=api_url)
    missing = []
    for needed in NEEDED_PERMISSIONS:
        is_list = needed.path not in ("/v1/account", "/v1/balance")
        params: dict[str, Any] = {"limit": 1} if is_list else {}
        if needed.expand:
            params["expand"] = list(needed.expand)
        try:
            api.get(needed.path, **params)
        except NeedsReconnect as error:
            raise Rejected(
                "key_unknown", "Stripe does not know this key, or it has been deleted or has expired."
            ) from error
        except Rejected as error:
            if error.code != "permission_missing":
                raise
            missing.append(needed.name)
    if missing:
        raise Rejected("key_permissions", f"The key lacks read access to: {', '.join(missing)}.")
    account = api.fetch_account()
    if not account.live:
        raise Rejected("key_test", "This key opens test data, which never enters the books. Make it in live mode.")
    return account
