"""Marketplace, install page and app settings of the simulated e-conomic; plain forms, no script."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from addon.sandbox.economic.agreement import EconomicAgreement
from addon.sandbox.economic.world import EconomicWorld

OTHER_APPS = (
    ("Lagerstyring Nord", "Stock levels between your warehouse and your shop.", "Stock"),
    ("Timesedlen", "Time sheets that become invoices.", "Time"),
)
"""Neighbours on the shelf; they cannot be installed."""
INSTALL = "/secure/api1/requestaccess.aspx"
LOCALES = ("da-DK", "sv-SE", "nb-NO", "en-US")


def register_pages(app: Flask, world: EconomicWorld) -> None:
    """Put the pages into the app."""

    def page(template: str, status: int = 200, *, target: str = "", **values: Any) -> Response:
        html = render_template(f"economic/{template}", app_name=world.app_name, **values)
        response = Response(html, status, content_type="text/html; charset=utf-8")
        address = urlsplit(target)
        origin = f" {address.scheme}://{address.netloc}" if address.netloc else ""
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self'{origin}"
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    def refusal(title: str, text: str, status: int = 400) -> Response:
        return page("message.html", status, title=title, text=text)

    def agreement_of(text: str) -> EconomicAgreement | None:
        return world.agreements.get(int(text)) if text.isascii() and text.isdigit() else None

    def refused_address(target: str) -> bool:
        parts = urlsplit(target)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return bool(target)
        return world.switches.redirect_must_be_registered and parts.hostname not in world.registered_hosts

    @app.get("/")
    def home() -> AnyResponse:
        return redirect("/marketplace")

    @app.get("/marketplace")
    def marketplace() -> AnyResponse:
        with world.lock:
            active = [a for a in world.agreements.values() if world.is_connected(a.number)]
            return page("marketplace.html", others=OTHER_APPS, active=active, start_url=world.start_url)

    # -- installation ------

    @app.get(INSTALL)
    def ask() -> AnyResponse:
        """The page that the app's install link opens: choose the agreement, read what is asked, press "Add app"."""
        public = request.args.get("appPublicToken") or request.args.get("appId", "")
        target = request.args.get("redirectUrl", "")
        if public != world.app_public:
            return refusal("Unknown app", "The public token is not one of an app.")
        if refused_address(target):
            return refusal("Wrong address", "The address to return to is not one that the app may use.")
        locale = request.args.get("locale", "")
        with world.lock:
            return page(
                "grant.html",
                target=target,
                redirect_url=target,
                locale=locale if locale in LOCALES else "",
                agreements=list(world.agreements.values()),
                role=world.role,
            )

    @app.post(INSTALL)
    def add() -> AnyResponse:
        target = request.form.get("redirectUrl", "")
        with world.lock:
            if refused_address(target):
                return refusal("Wrong address", "The address to return to is not one that the app may use.")
            if request.form.get("decision") != "add":
                return redirect("/marketplace", 303)
            agreement = agreement_of(request.form.get("agreement", ""))
            if agreement is None:
                return refusal("Choose an agreement", "Go back and choose the agreement to add the app to.")
            if not agreement.admits_apps:
                text = f"The package of {agreement.name} admits only selected integrations."
                return refusal("Package does not admit apps", text, 403)
            token = world.grant(agreement.number)
        if not target:
            return page("token.html", token=token, agreement=agreement)
        # No state is returned, whatever was sent: only the token is added to the address.
        joint = "&" if "?" in target else "?"
        return redirect(f"{target}{joint}{urlencode({'token': token})}", 303)

    @app.get("/settings/apps")
    def apps() -> AnyResponse:
        with world.lock:
            rows = [(a, world.is_connected(a.number)) for a in world.agreements.values()]
            return page("apps.html", rows=rows, role=world.role)

    @app.post("/settings/apps/remove")
    def remove() -> AnyResponse:
        agreement = agreement_of(request.form.get("agreement", ""))
        if agreement is not None:
            world.revoke(agreement.number)
        return redirect("/settings/apps", 303)

    # -- the books, for people who look ------

    @app.get("/books/<int:number>")
    def books(number: int) -> AnyResponse:
        with world.lock:
            agreement = world.agreements.get(number)
            if agreement is None:
                return refusal("No such agreement", "There is no agreement with that number.", 404)
            names = {n: account.name for n, account in agreement.accounts.items()}
            return page(
                "books.html",
                agreement=agreement,
                balances=[(n, names.get(n, ""), amount) for n, amount in agreement.trial_balance().items()],
                invoices=list(agreement.booked.values())[:-51:-1],
                drafts=list(agreement.drafts.values()),
                journal=list(agreement.draft_entries.values()),
                entries=agreement.entries[:-201:-1],
                names=names,
            )

    @app.template_filter("amount")
    def amount(value: Any) -> str:
        """1234.5 as "1.234,50" with a real minus sign."""
        text = f"{abs(value):,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")
        return f"\u2212{text}" if value < 0 else text
