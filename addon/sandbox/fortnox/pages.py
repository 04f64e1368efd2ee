"""Marketplace, consent pages and token endpoints of the simulated Fortnox; plain forms, no script."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from addon.sandbox.fortnox import wire
from addon.sandbox.fortnox.oauth import SCOPES, PendingConsent, TokenRefused
from addon.sandbox.fortnox.world import FortnoxWorld

OTHER_APPS = (
    ("Lagerlotsen", "Stock levels between your warehouse and your shop.", "Warehouse"),
    ("Tidskrivaren", "Time reports that become invoices.", "Time"),
    ("Kvittofångaren", "Photographs of receipts, sorted.", "Receipts"),
)
"""Neighbours on the shelf; they cannot be activated."""


def register_pages(app: Flask, world: FortnoxWorld) -> None:
    """Put the pages and the token endpoints into the app."""
    authority = world.authority

    def page(template: str, status: int = 200, **values: Any) -> Response:
        html = render_template(f"fortnox/{template}", app_name=world.app_name, **values)
        response = Response(html, status, content_type="text/html; charset=utf-8")
        # A form's redirect must be allowed too, so the app's own addresses stand in form-action.
        origins = {f"{u.scheme}://{u.netloc}" for u in map(urlsplit, authority.redirect_uris)}
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {' '.join(sorted(origins))}"
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    def refusal(title: str, text: str, status: int = 400) -> Response:
        return page("message.html", status, title=title, text=text)

    def consent_page(key: str, pending: PendingConsent) -> Response:
        chosen = world.companies.get(pending.company) if pending.company is not None else None
        return page(
            "consent.html",
            key=key,
            scopes=[(scope, SCOPES[scope]) for scope in pending.scopes],
            companies=[chosen] if chosen else list(world.companies.values()),
            fixed=chosen is not None,
            service=pending.service,
        )

    @app.get("/")
    def home() -> AnyResponse:
        return redirect("/marketplace")

    # -- the app asks for consent ------

    @app.get("/oauth-v1/auth")
    def authorise() -> AnyResponse:
        asked = request.args
        if asked.get("client_id") != authority.client_id:
            return refusal("Unknown app", "The client id is invalid.")
        uri = asked.get("redirect_uri")
        if uri is not None and uri not in authority.redirect_uris:
            return refusal("Wrong address", "The redirect URI is not one that the app has registered.")
        target = uri or authority.redirect_uris[0]
        state = asked.get("state")
        if not state:
            return refusal("State is missing", "The app must send a state.")
        scopes = tuple(dict.fromkeys(asked.get("scope", "").split()))
        if asked.get("response_type") != "code":
            return _back(target, error="unsupported_response_type", error_description="Use code", state=state)
        if not scopes or any(scope not in SCOPES for scope in scopes):
            return _back(target, error="invalid_scope", error_description="Invalid scope", state=state)
        service = asked.get("account_type") == "service"
        if service and not world.switches.service_accounts_allowed:
            return refusal("No service accounts", "The client does not allow service accounts.")
        with world.lock:
            pending = PendingConsent(target, uri is not None, scopes, service, state)
            key = authority.open_consent(pending)
            return consent_page(key, pending)

    @app.post("/oauth-v1/auth")
    def decide() -> AnyResponse:
        with world.lock:
            pending = authority.pending.pop(request.form.get("key", ""), None)
            if pending is None:
                return refusal("This page is old", "Go back to the app and begin again.")
            number = request.form.get("company", "")
            state = {} if pending.state is None else {"state": pending.state}
            if request.form.get("decision") != "allow":
                denied = {"error": "access_denied", "error_description": "The user denied the request"}
                return _back(pending.redirect_uri, **denied, **state)
            company = world.companies.get(int(number)) if number.isascii() and number.isdigit() else None
            if company is None or (pending.company is not None and pending.company != company.database_number):
                return refusal("Choose a company", "Go back and choose the company to connect.")
            if company.settings.account_locked_for_unpaid_invoice:
                return redirect(pending.redirect_uri)
            if "integration" not in company.licences:
                return refusal("Licence needed", f"{company.name} has no licence that includes integrations.", 403)
            code = authority.grant(pending, company.database_number)
            return _back(pending.redirect_uri, code=code, **state)

    # -- the marketplace ------

    @app.get("/marketplace")
    def marketplace() -> AnyResponse:
        with world.lock:
            active = [c for c in world.companies.values() if c.database_number in authority.consents]
            return page("marketplace.html", others=OTHER_APPS, active=active)

    @app.get("/marketplace/app")
    def marketplace_app() -> AnyResponse:
        with world.lock:
            return page(
                "app.html",
                companies=list(world.companies.values()),
                consents=authority.consents,
                scopes=[(scope, SCOPES[scope]) for scope in world.scopes],
            )

    @app.post("/marketplace/activate")
    def activate() -> AnyResponse:
        number = request.form.get("company", "")
        with world.lock:
            company = world.companies.get(int(number)) if number.isascii() and number.isdigit() else None
            if company is None:
                return refusal("Choose a company", "Go back and choose the company to activate the app for.")
            pending = PendingConsent(
                authority.redirect_uris[0],
                False,
                world.scopes,
                world.switches.service_accounts_allowed,
                world.switches.marketplace_state,
                company.database_number,
            )
            return consent_page(authority.open_consent(pending), pending)

    @app.post("/marketplace/deactivate")
    def deactivate() -> AnyResponse:
        number = request.form.get("company", "")
        with world.lock:
            if number.isascii() and number.isdigit():
                authority.revoke_consent(int(number))
        return redirect("/marketplace/app", 303)

    @app.get("/books/<int:number>")
    def books(number: int) -> AnyResponse:
        with world.lock:
            company = world.companies.get(number)
            if company is None:
                return refusal("No such company", "There is no company with that number.", 404)
            names = {n: a.description for chart in company.accounts.values() for n, a in chart.items()}
            return page(
                "books.html",
                company=company,
                balances=[(n, names.get(n, ""), amount) for n, amount in company.trial_balance().items()],
                invoices=list(company.invoices.values())[:-51:-1],
                payments=list(company.payments.values())[:-51:-1],
                vouchers=company.ledger[:-51:-1],
                names=names,
            )

    @app.template_filter("amount")
    def amount(value: Any) -> str:
        """1234.5 as "1 234,50" with thin spaces and a real minus sign."""
        text = f"{abs(value):,.2f}".replace(",", "\u2009").replace(".", ",")
        return f"\u2212{text}" if value < 0 else text

    # -- tokens ------

    def token_answer(body: dict[str, Any], status: int = 200, content_type: str = "application/json") -> Response:
        response = Response(wire.dump(body), status, content_type=content_type)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Pragma"] = "no-cache"
        response.headers["Server"] = "Fortnox"
        return response

    @app.post("/oauth-v1/token")
    def token() -> Response:
        with world.lock:
            try:
                authority.need_client(request.headers.get("Authorization"))
                body = authority.token(request.form, request.headers.get("TenantId"))
            except TokenRefused as refused:
                return token_answer(refused.body, refused.status, refused.content_type)
            return token_answer(body)

    @app.post("/oauth-v1/revoke")
    def revoke() -> Response:
        with world.lock:
            try:
                authority.need_client(request.headers.get("Authorization"))
            except TokenRefused as refused:
                return token_answer(refused.body, refused.status, refused.content_type)
            return token_answer({"revoked": authority.revoke_refresh_token(request.form.get("token", ""))})


def _back(uri: str, **values: str) -> AnyResponse:
    """Send the browser back to the app."""
    joint = "&" if "?" in uri else "?"
    return redirect(f"{uri}{joint}{urlencode(values)}")
