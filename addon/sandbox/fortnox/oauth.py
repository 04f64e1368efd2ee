"""Consents, codes and tokens of the simulated Fortnox (no pages here, those are in `pages`)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from addon.sandbox.clock import Clock
from addon.sandbox.fortnox.switches import Switches

SCOPES: dict[str, str] = {
    "archive": "Store files in the archive",
    "article": "Read and change articles",
    "assets": "Read and change assets",
    "bookkeeping": "Read and write vouchers, accounts and financial years",
    "companyinformation": "Read the company's name, number and address",
    "companylogo": "Read the company's logotype",
    "connectfile": "Attach files to vouchers and invoices",
    "costcenter": "Read and change cost centres",
    "currency": "Read and change currencies",
    "customer": "Read and change customers",
    "deletevoucher": "Delete vouchers",
    "inbox": "Upload files to the inbox",
    "invoice": "Read, write and book customer invoices",
    "noxfinansinvoice": "Sell invoices to a finance company",
    "offer": "Read and change offers",
    "order": "Read and change orders",
    "payment": "Read, write and book payments of invoices",
    "price": "Read and change price lists",
    "print": "Print templates",
    "profile": "Read who is logged in",
    "project": "Read and change projects",
    "salary": "Read and change salaries",
    "settings": "Read the company's settings",
    "supplier": "Read and change suppliers",
    "supplierinvoice": "Read and change supplier invoices",
    "timereporting": "Read and change time reports",
    "warehouse": "Read and change the warehouse",
    "warehousecustomdocument": "Read and write warehouse documents",
}
"""Every scope and what it lets an app do, in a few words for the consent page."""

LICENCE_OF_SCOPE: dict[str, str] = {
    "bookkeeping": "bookkeeping",
    "deletevoucher": "bookkeeping",
    "article": "invoicing",
    "customer": "invoicing",
    "invoice": "invoicing",
    "payment": "invoicing",
    "price": "invoicing",
}
"""The licence that a company must own to use a scope; the others come with every licence."""

CODE_LIFE = timedelta(minutes=10)
ACCESS_TOKEN_LIFE_S = 3600


class TokenRefused(Exception):
    """The token endpoint says no: status, `error`, `error_description`, content type (as recorded)."""

    def __init__(
        self, error: str, description: str, status: int = 400, content_type: str = "text/html; charset=UTF-8"
    ) -> None:
        super().__init__(f"{status} {error}: {description}")
        self.body = {"error": error, "error_description": description}
        self.status = status
        self.content_type = content_type


@dataclass(frozen=True, slots=True)
class Consent:
    """What a company's administrator has allowed the app."""

    company: int
    scopes: tuple[str, ...]
    service: bool
    given_at: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says."""

    company: int
    scopes: frozenset[str]
    expires_at: datetime
    issue: int


@dataclass(slots=True)
class _Code:
    redirect_uri: str
    must_repeat: bool
    company: int
    scopes: tuple[str, ...]
    expires_at: datetime
    used: bool = False


@dataclass(slots=True)
class _RefreshToken:
    company: int
    scopes: tuple[str, ...]
    expires_at: datetime
    used: bool = False


@dataclass(slots=True)
class PendingConsent:
    """A consent page that stands open in a browser."""

    redirect_uri: str
    must_repeat: bool
    scopes: tuple[str, ...]
    service: bool
    state: str | None
    company: int | None = None


class Authority:
    """Grants, rotates and revokes; one app (client id) only."""

    def __init__(
        self,
        clock: Clock,
        switches: Switches,
        *,
        client_id: str,
        client_secret: str,
        redirect_uris: Sequence[str],
        seed: int,
        on_consent: Callable[[str, int], None],
    ) -> None:
        self.clock = clock
        self.switches = switches
        self.client_id = client_id
        self.client_secret = client_secret
        self.redirect_uris = list(redirect_uris)
        self.consents: dict[int, Consent] = {}
        self.pending: dict[str, PendingConsent] = {}
        self._codes: dict[str, _Code] = {}
        self._refresh_tokens: dict[str, _RefreshToken] = {}
        self._random = random.Random(seed)
        self._key = self._random.randbytes(32)
        self._issue = 0
        self._dead_before: dict[int, int] = {}
        self._on_consent = on_consent
        self._read_token = lru_cache(maxsize=4096)(self._decode)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    # -- consent ------

    def open_consent(self, pending: PendingConsent) -> str:
        """Remember an open consent page; its id."""
        key = self._random.randbytes(16).hex()
        self.pending[key] = pending
        return key

    def grant(self, pending: PendingConsent, company: int) -> str:
        """A person says yes: the consent stands from now on, the code is good for ten minutes and once."""
        self.consents[company] = Consent(company, pending.scopes, pending.service, self.clock.now())
        code = self._uuid()
        self._codes[code] = _Code(
            pending.redirect_uri,
            pending.must_repeat,
            company,
            pending.scopes,
            self.clock.now() + CODE_LIFE,
        )
        self._on_consent("created", company)
        return code

    def revoke_consent(self, company: int) -> None:
        """The company deactivates the app: refresh tokens and client credentials stop at once."""
        if self.consents.pop(company, None) is None:
            return
        for token in self._refresh_tokens.values():
            if token.company == company:
                token.used = True
        if self.switches.revocation_kills_access_tokens:
            self._dead_before[company] = self._issue
        self._on_consent("revoked", company)

    # -- tokens ------

    def need_client(self, authorization: str | None) -> None:
        """Check the Basic header of the token endpoint."""
        expected = f"{self.client_id}:{self.client_secret}".encode()
        try:
            kind, _, value = (authorization or "").partition(" ")
            given = base64.b64decode(value, validate=True) if kind.lower() == "basic" else b""
        except ValueError:
            given = b""
        if not hmac.compare_digest(given, expected):
            raise TokenRefused("invalid_client", "The client credentials are invalid", 401, "text/plain;charset=UTF-8")

    def token(self, form: Mapping[str, str], tenant_id: str | None) -> dict[str, Any]:
        """Answer the token endpoint, the client being known. Raises TokenRefused."""
        match form.get("grant_type"):
            case "authorization_code":
                return self._by_code(form.get("code", ""), form.get("redirect_uri"))
            case "refresh_token":
                return self._by_refresh_token(form.get("refresh_token", ""))
            case "client_credentials":
                return self._by_client_credentials(tenant_id)
        raise TokenRefused("unsupported_grant_type", "The grant type is not supported")

    def _by_code(self, value: str, redirect_uri: str | None) -> dict[str, Any]:
        code = self._codes.get(value)
        if code is None or code.used or code.expires_at <= self.clock.now():
            raise TokenRefused("invalid_grant", "Authorization code doesn't exist or is invalid for the client")
        if (code.must_repeat or redirect_uri is not None) and redirect_uri != code.redirect_uri:
            raise TokenRefused("invalid_grant", "The redirect URI does not match")
        code.used = True
        if code.company not in self.consents:
            raise TokenRefused("invalid_grant", "The consent has been revoked")
        return self._pair(code.company, code.scopes)

    def _by_refresh_token(self, value: str) -> dict[str, Any]:
        token = self._refresh_tokens.get(value)
        if token is None or token.used or token.expires_at <= self.clock.now():
            raise TokenRefused("invalid_grant", "Invalid refresh token")
        token.used = True
        return self._pair(token.company, token.scopes)

    def _by_client_credentials(self, tenant_id: str | None) -> dict[str, Any]:
        text = tenant_id or ""
        consent = self.consents.get(int(text)) if text.isascii() and text.isdigit() else None
        if consent is None or not consent.service:
            status = self.switches.missing_consent_status
            raise TokenRefused("invalid_grant", "No valid consent for the tenant", status)
        return self._answer(consent.company, consent.scopes)

    def _pair(self, company: int, scopes: tuple[str, ...]) -> dict[str, Any]:
        refresh_token = self._uuid()
        life = timedelta(days=self.switches.refresh_token_days)
        self._refresh_tokens[refresh_token] = _RefreshToken(company, scopes, self.clock.now() + life)
        return {**self._answer(company, scopes), "refresh_token": refresh_token}

    def _answer(self, company: int, scopes: tuple[str, ...]) -> dict[str, Any]:
        return {
            "access_token": self.access_token(company, scopes),
            "expires_in": ACCESS_TOKEN_LIFE_S,
            "token_type": "bearer",
            "scope": " ".join(scopes),
        }

    def access_token(self, company: int, scopes: Sequence[str]) -> str:
        """A signed token for one company, one hour, with the tenant id as a claim."""
        self._issue += 1
        now = int(self.clock.now().timestamp())
        payload = {
            "tenantId": company,
            "client": self.client_id,
            "scope": list(scopes),
            "iat": now,
            "exp": now + ACCESS_TOKEN_LIFE_S,
            "jti": self._issue,
        }
        head = _segment(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = _segment(json.dumps(payload).encode())
        return f"{head}.{body}.{self._signature(f'{head}.{body}')}"

    def _signature(self, text: str) -> str:
        return _segment(hmac.digest(self._key, text.encode(), hashlib.sha256))

    def _decode(self, token: str) -> Claims | None:
        try:
            signed, _, signature = token.rpartition(".")
            if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
                return None
            payload = json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "=="))
        except (ValueError, IndexError):
            return None
        expires_at = datetime.fromtimestamp(payload["exp"], UTC)
        return Claims(payload["tenantId"], frozenset(payload["scope"]), expires_at, payload["jti"])

    def claims(self, token: str) -> Claims | None:
        """What a token of ours says, expired or not; None for anything else."""
        return self._read_token(token)

    def valid(self, claims: Claims) -> bool:
        """Whether an access token still opens the door."""
        if claims.issue <= self._dead_before.get(claims.company, 0):
            return False
        return self.clock.now() < claims.expires_at

    def revoke_refresh_token(self, value: str) -> bool:
        """End a refresh token; access tokens live out their hour."""
        token = self._refresh_tokens.get(value)
        if token is None or token.used:
            return False
        token.used = True
        return True


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
