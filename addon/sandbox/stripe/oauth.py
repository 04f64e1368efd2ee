"""Connect OAuth (consent page, token, deauthorise) and Stripe Apps OAuth (install page, rolling tokens)."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from addon.sandbox.stripe.errors import StripeRefusal
from addon.sandbox.stripe.world import (
    APP_REFRESH_LIFETIME_S,
    CODE_LIFETIME_S,
    AppToken,
    Code,
    StripeWorld,
)

_APP_PERMISSIONS = (
    "Read your balance and its transactions",
    "Read charges, refunds and PaymentIntents",
    "Read payouts and disputes",
    "Read customers, invoices and Checkout sessions",
    "Read events",
)


def _flat_error(status: int, error: str, description: str) -> Response:
    body = json.dumps({"error": error, "error_description": description})
    return Response(body, status, content_type="application/json")


def _flat(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), content_type="application/json")


def _presented_secret() -> str | None:
    """The secret key: Bearer, Basic user name, or the form's client_secret."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return request.form.get("client_secret")


def _with_query(uri: str, query: dict[str, str]) -> str:
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode(query)}"


class _Consent:
    """One visit to a consent page, checked the same way when shown and when answered."""

    def __init__(self, world: StripeWorld, client_id: str, *, marketplace: bool) -> None:
        asked = request.form if request.method == "POST" else request.args
        self.world = world
        self.marketplace = marketplace
        self.state = asked.get("state")
        self.scope = asked.get("scope") or ("read_write" if marketplace else "read_only")
        self.redirect_uri = asked.get("redirect_uri") or world.redirect_uris[0]
        self.problem: str | None = None
        if asked.get("client_id") != client_id:
            self.problem = "No application matches the supplied client identifier."
        elif self.redirect_uri not in world.redirect_uris:
            self.problem = (
                "Invalid redirect URI: it must match one of the URIs registered for this application exactly."
            )
        elif not marketplace and asked.get("response_type") != "code":
            self.problem = "The response_type must be 'code'."
        self.client_id = client_id

    @property
    def wrong_scope(self) -> str | None:
        """Why the scope asked for is refused, if it is."""
        if self.scope not in ("read_only", "read_write"):
            return f"Invalid scope: {self.scope}"
        if self.scope == "read_only" and not (self.world.extension or self.marketplace):
            return "The scope read_only is only available to applications registered as extensions."
        return None

    def page(self) -> Response:
        """The page that asks the person."""
        accounts = [account for account in self.world.accounts.values() if not account.controlled_by_other_platform]
        page = render_template(
            "consent.html",
            consent=self,
            accounts=accounts,
            controlled=[account for account in self.world.accounts.values() if account.controlled_by_other_platform],
            permissions=_APP_PERMISSIONS if self.marketplace else (),
        )
        return Response(page, content_type="text/html; charset=utf-8")

    def back(self, answer: dict[str, str]) -> BaseResponse:
        """Send the browser back with `state` unchanged."""
        if self.state is not None:
            answer["state"] = self.state
        return redirect(_with_query(self.redirect_uri, answer), 303)

    def refused(self) -> Response:
        """A page for people: nothing is sent to an address that is not registered."""
        page = render_template("refused.html", problem=self.problem)
        return Response(page, 400, content_type="text/html; charset=utf-8")


def add_oauth_routes(app: Flask, world: StripeWorld) -> None:
    """Add both OAuth surfaces to the app."""

    def consent(client_id: str, *, marketplace: bool) -> BaseResponse:
        with world.lock:
            visit = _Consent(world, client_id, marketplace=marketplace)
            if visit.problem is not None:
                return visit.refused()
            if visit.wrong_scope is not None:
                return visit.back({"error": "invalid_scope", "error_description": visit.wrong_scope})
            if request.method == "GET":
                return visit.page()
            account = world.accounts.get(request.form.get("account", ""))
            if request.form.get("answer") != "allow" or account is None:
                return visit.back({"error": "access_denied", "error_description": "The user denied your request"})
            if account.controlled_by_other_platform:
                return visit.back(
                    {
                        "error": "access_denied",
                        "error_description": "This account is controlled by another platform.",
                    }
                )
            code = Code(f"ac_{world.token(32)}", account.id, visit.redirect_uri, visit.scope, world.now_seconds())
            world.codes[code.code] = code
            if marketplace:
                return visit.back({"code": code.code, "stripe_user_id": account.id})
            return visit.back({"code": code.code, "scope": visit.scope})

    @app.route("/oauth/authorize", methods=["GET", "POST"])
    def authorize() -> BaseResponse:
        return consent(world.client_id, marketplace=False)

    @app.route("/oauth/v2/authorize", methods=["GET", "POST"])
    def install() -> BaseResponse:
        return consent(world.app_client_id, marketplace=True)

    @app.post("/oauth/token")
    def token() -> Response:
        with world.lock:
            if _presented_secret() != world.secret_key:
                return _flat_error(401, "invalid_client", "No such API key.")
            grant = request.form.get("grant_type")
            if grant == "authorization_code":
                return _connect_by_code(world)
            if grant == "refresh_token":
                return _connect_by_refresh_token(world)
            return _flat_error(400, "unsupported_grant_type", f"Unsupported grant type: {grant}")

    @app.post("/oauth/deauthorize")
    def deauthorize() -> Response:
        with world.lock:
            if _presented_secret() != world.secret_key or request.form.get("client_id") != world.client_id:
                return _flat_error(401, "invalid_client", "No such application.")
            wanted = request.form.get("stripe_user_id", "")
            account = world.accounts.get(wanted)
            if account is None or not world.disconnect(account):
                return _flat_error(
                    401,
                    "invalid_client",
                    f"This application is not connected to stripe account {wanted}, or it does not exist.",
                )
            return _flat({"stripe_user_id": wanted})

    @app.post("/v1/oauth/token")
    def app_token() -> Response:
        with world.lock:
            if _presented_secret() != world.app_secret_key:
                raise StripeRefusal(401, "Invalid API Key provided.")
            grant = request.form.get("grant_type")
            if grant == "authorization_code":
                code, problem = _take_code(world)
                if code is None:
                    return _flat_error(400, "invalid_grant", problem)
                return _flat(_app_answer(world, world.grant_app_token(world.accounts[code.account])))
            if grant == "refresh_token":
                return _app_refresh(world)
            return _flat_error(400, "unsupported_grant_type", f"Unsupported grant type: {grant}")


def _take_code(world: StripeWorld) -> tuple[Code | None, str]:
    """Use up a code. A second use is refused and takes back what the first one gave."""
    wanted = request.form.get("code", "")
    code = world.codes.get(wanted)
    if code is None:
        return None, f"Authorization code does not exist: {wanted}"
    if code.used:
        world.connections.pop(code.account, None)
        world.uninstall_app(world.accounts[code.account])
        return None, (
            "This authorization code has already been used. All tokens issued with this code have been revoked."
        )
    if world.now_seconds() > code.made + CODE_LIFETIME_S:
        return None, "Authorization code expired."
    code.used = True
    return code, ""


def _connect_by_code(world: StripeWorld) -> Response:
    code, problem = _take_code(world)
    if code is None:
        return _flat_error(400, "invalid_grant", problem)
    world.connect(world.accounts[code.account], code.scope)
    return _flat(_connect_answer(world, code.account))


def _connect_answer(world: StripeWorld, account_id: str) -> dict[str, Any]:
    connection = world.connections[account_id]
    account = world.accounts[account_id]
    mode = "live" if account.livemode else "test"
    return {
        "access_token": connection.access_token,
        "livemode": account.livemode,
        "refresh_token": connection.refresh_token,
        "scope": connection.scope,
        "stripe_publishable_key": f"pk_{mode}_sandbox_{account.id[-12:]}",
        "stripe_user_id": account.id,
        "token_type": "bearer",
    }


def _connect_by_refresh_token(world: StripeWorld) -> Response:
    wanted = request.form.get("refresh_token", "")
    for connection in world.connections.values():
        if connection.refresh_token == wanted:
            return _flat(_connect_answer(world, connection.account))
    return _flat_error(400, "invalid_grant", f"Refresh token does not exist: {wanted[:6]}…")


def _app_answer(world: StripeWorld, held: AppToken) -> dict[str, Any]:
    account = world.accounts[held.account]
    mode = "live" if account.livemode else "test"
    return {
        "access_token": held.access_token,
        "livemode": account.livemode,
        "refresh_token": held.refresh_token,
        "scope": "stripe_apps",
        "stripe_publishable_key": f"pk_{mode}_sandbox_{account.id[-12:]}",
        "stripe_user_id": account.id,
        "token_type": "bearer",
    }


def _app_refresh(world: StripeWorld) -> Response:
    wanted = request.form.get("refresh_token", "")
    for held in world.app_tokens.values():
        if held.refresh_token == wanted and world.now_seconds() <= held.made + APP_REFRESH_LIFETIME_S:
            return _flat(_app_answer(world, world.grant_app_token(world.accounts[held.account])))
    return _flat_error(400, "invalid_grant", "Refresh token does not exist, has expired or was used before.")
