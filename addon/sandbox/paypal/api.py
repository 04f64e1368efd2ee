"""The simulated api-m.paypal.com: tokens, reporting, invoicing, disputes, webhooks, in PayPal's words."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from flask import Flask, Response, g, request

from addon.sandbox.paypal.account import NotPossible, PayPalAccount
from addon.sandbox.paypal.consent import add_consent_routes, create_referral
from addon.sandbox.paypal.errors import PayPalRefusal, TokenRefusal, body_of, debug_id, wrong
from addon.sandbox.paypal.model import (
    BALANCES,
    DISPUTES,
    FEATURE_SCOPES,
    INVOICING,
    PARTNER,
    REFERRALS,
    REPORTING,
    WEBHOOKS,
    Row,
    Token,
)
from addon.sandbox.paypal.render import (
    SECTIONS,
    Json,
    render_balances,
    render_dispute,
    render_invoice,
    render_row,
    stamp,
)
from addon.sandbox.paypal.webhooks import ALGORITHM, CERTIFICATE_PATH, certificate, signing_key, string_to_sign
from addon.sandbox.paypal.world import LIVE_APP, TEST_APP, Call, PayPalWorld
from addon.sandbox.serving import SandboxApp
from addon.sandbox.shared.style import share_style
from addon.sandbox.stripe.faults import HTML_PAGE, Answer, Fault, FaultyApp

_LONGEST_WINDOW = timedelta(days=31)
_HISTORY = timedelta(days=3 * 366)
_CLOCKS_DIFFER = timedelta(minutes=1)
_USUAL_PAGE, _LARGEST_PAGE = 100, 500
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)",
)
_STATUSES = ("D", "P", "S", "V")
_FILTERS = (
    "transaction_id",
    "transaction_type",
    "transaction_status",
    "transaction_amount",
    "transaction_currency",
    "payment_instrument_type",
    "store_id",
    "terminal_id",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token this is, and which merchant it opens (None: the partner itself)."""

    token: Token
    account: PayPalAccount | None


class Api:
    """The views; each gives a body, refusals are raised."""

    def __init__(self, world: PayPalWorld) -> None:
        self.world = world

    # --- who asks ------------------------------------------------------------------------------------------

    def token(self) -> Json:
        """`POST /v1/oauth2/token`: HTTP Basic, client credentials."""
        authorization = request.authorization
        client, secret = (
            (authorization.username or "", authorization.password or "")
            if authorization is not None and authorization.type == "basic"
            else ("", "")
        )
        scopes = self.world.scopes_of(client, secret)
        if scopes is None:
            raise TokenRefusal("invalid_client", "Client Authentication failed")
        if request.form.get("grant_type") != "client_credentials":
            raise TokenRefusal("unsupported_grant_type", "Grant Type is NULL")
        token = self.world.make_token(client, scopes)
        app = self.world.apps.get(client)
        live = app is None or self.world.accounts[app.account].live
        return {
            "scope": " ".join(sorted(scopes)),
            "access_token": token.value,
            "token_type": "Bearer",
            "app_id": LIVE_APP if live else TEST_APP,
            "expires_in": int(self.world.token_lifetime.total_seconds()),
            "nonce": f"{self.world.clock.now():%Y-%m-%dT%H:%M:%SZ}{self.world.word(43)}",
        }

    def caller(self, scope: str) -> Caller:
        """Who asks, and that this token opens it for that merchant."""
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        token = self.world.tokens.get(value.strip()) if scheme.lower() == "bearer" else None
        if token is None or self.world.clock.now() >= token.made + self.world.token_lifetime:
            raise TokenRefusal("invalid_token", "Token signature verification failed")
        app = self.world.apps.get(token.client_id)
        if app is not None and app.revoked:
            raise TokenRefusal("invalid_token", "The token passed in was revoked")
        account = self.world.accounts[app.account] if app is not None else self._asserted(token)
        g.account = account.id if account is not None else None
        if scope not in token.scopes:
            raise _not_permitted()
        if app is None and account is not None:
            granted = self.world.consents.get(account.id)
            opened = {one for feature in granted.features for one in FEATURE_SCOPES[feature]} if granted else set()
            if scope not in opened:
                raise _not_permitted()
        return Caller(token, account)

    def _asserted(self, token: Token) -> PayPalAccount | None:
        """The merchant that `PayPal-Auth-Assertion` names: an unsigned JWT of the partner's."""
        assertion = request.headers.get("PayPal-Auth-Assertion", "")
        if not assertion:
            return None
        parts = assertion.split(".")
        try:
            head, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
        except (ValueError, binascii.Error) as error:
            raise PayPalRefusal("AUTHENTICATION_FAILURE") from error
        if len(parts) != 3 or head.get("alg") != "none" or claims.get("iss") != token.client_id:
            raise PayPalRefusal("AUTHENTICATION_FAILURE")
        account = self.world.accounts.get(claims.get("payer_id", ""))
        if account is None or account.id not in self.world.consents:
            raise _not_permitted()
        return account

    def merchant(self, scope: str) -> PayPalAccount:
        """The merchant whose data is asked for."""
        account = self.caller(scope).account
        if account is None:
            raise _not_permitted()
        return account

    # --- reporting -----------------------------------------------------------------------------------------

    def transactions(self) -> Json:
        """`GET /v1/reporting/transactions`."""
        account = self.merchant(REPORTING)
        start, end = _instant("start_date"), _instant("end_date")
        if end < start:
            raise wrong("end_date", request.args["end_date"], "End date is before start date.")
        if self.world.refuses_future and end > self.world.clock.now() + _CLOCKS_DIFFER:
            raise wrong("end_date", request.args["end_date"], "End date is in the future.")
        if end - start > _LONGEST_WINDOW:
            raise wrong("end_date", request.args["end_date"], "Date range is greater than 31 days")
        if start < self.world.clock.now() - _HISTORY:
            raise wrong("start_date", request.args["start_date"], "Start date is more than three years ago")
        if start > account.refreshed:
            raise PayPalRefusal("INVALID_REQUEST", "Data for the given start date is not available.", [])
        end = min(end, account.refreshed)
        page, size = _whole("page", 1, 1, 2**31 - 1), _whole("page_size", _USUAL_PAGE, 1, _LARGEST_PAGE)
        sections, wanted = _sections(), _filter()
        rows = [row for row in account.search(start, end) if wanted(row)]
        if len(rows) > self.world.largest_result:
            raise PayPalRefusal(
                "RESULTSET_TOO_LARGE", "", [], total_items=len(rows), maximum_items=self.world.largest_result
            )
        filtered = any(name in request.args for name in _FILTERS)
        shown = rows[(page - 1) * size : page * size]
        return {
            "transaction_details": [render_row(row, sections, balances=not filtered) for row in shown],
            "account_number": account.id,
            "start_date": stamp(start),
            "end_date": stamp(end),
            "last_refreshed_datetime": stamp(account.refreshed),
            "page": page,
            "total_items": len(rows),
            "total_pages": -(-len(rows) // size),
            "links": [{"href": request.url, "rel": "self", "method": "GET"}],
        }

    def balances(self) -> Json:
        """`GET /v1/reporting/balances`."""
        account = self.merchant(BALANCES)
        asked = _instant("as_of_time") if "as_of_time" in request.args else account.refreshed
        currency = request.args.get("currency_code")
        if currency is not None and not re.fullmatch("[A-Z]{3}", currency):
            raise wrong("currency_code", currency, "Invalid currency code")
        return render_balances(account, min(asked, account.refreshed), currency)

    # --- invoicing and disputes ----------------------------------------------------------------------------

    def invoice(self, invoice_id: str) -> Json:
        """`GET /v2/invoicing/invoices/<id>`."""
        account = self.merchant(INVOICING)
        invoice = account.invoices.get(invoice_id)
        if invoice is None:
            raise PayPalRefusal("RESOURCE_NOT_FOUND", "", [{"issue": "INVALID_RESOURCE_ID"}])
        return render_invoice(account, invoice)

    def invoices(self) -> Json:
        """`GET /v2/invoicing/invoices`: pages of at most a hundred."""
        account = self.merchant(INVOICING)
        page, size = _whole("page", 1, 1, 1000), _whole("page_size", 20, 1, 100)
        found = sorted(account.invoices.values(), key=lambda invoice: (invoice.made, invoice.id), reverse=True)
        body: Json = {
            "items": [render_invoice(account, invoice) for invoice in found[(page - 1) * size : page * size]],
            "links": [{"href": request.base_url, "rel": "self", "method": "GET"}],
        }
        if request.args.get("total_required") == "true":
            body |= {"total_items": len(found), "total_pages": -(-len(found) // size)}
        return body

    def disputes(self) -> Json:
        """`GET /v1/customer/disputes`, newest first; `update_time_after` reaches back 180 days at most."""
        account = self.merchant(DISPUTES)
        after = _instant("update_time_after") if "update_time_after" in request.args else None
        start = _instant("start_time") if "start_time" in request.args else None
        if after is not None and after < self.world.clock.now() - timedelta(days=180):
            raise wrong("update_time_after", request.args["update_time_after"], "Date is more than 180 days ago")
        size = _whole("page_size", 10, 1, 50)
        payment = request.args.get("disputed_transaction_id")
        found = [
            dispute
            for dispute in sorted(account.disputes.values(), key=lambda one: (one.made, one.id), reverse=True)
            if (after is None or dispute.updated >= after)
            and (start is None or dispute.made >= start)
            and payment in (None, dispute.payment)
        ]
        first = int(request.args.get("next_page_token") or 0)
        links = [{"href": request.url, "rel": "self", "method": "GET"}]
        if first + size < len(found):
            query = {**request.args.to_dict(), "next_page_token": str(first + size)}
            links.append({"href": f"{request.base_url}?{urlencode(query)}", "rel": "next", "method": "GET"})
        shown = found[first : first + size]
        return {"items": [render_dispute(dispute, account, whole=False) for dispute in shown], "links": links}

    def dispute(self, dispute_id: str) -> Json:
        """`GET /v1/customer/disputes/<id>`."""
        account = self.merchant(DISPUTES)
        found = account.disputes.get(dispute_id)
        if found is None:
            raise PayPalRefusal("RESOURCE_NOT_FOUND", "", [{"issue": "INVALID_RESOURCE_ID"}])
        return render_dispute(found, account, whole=True)

    # --- partners ------------------------------------------------------------------------------------------

    def referral(self) -> Json:
        """`POST /v2/customer/partner-referrals`: the address that the merchant is sent to."""
        self.caller(REFERRALS)
        return create_referral(self.world, request.get_json(silent=True), request.host_url.rstrip("/"))

    def get_referral(self, referral_id: str) -> Json:
        """`GET /v2/customer/partner-referrals/<id>`."""
        self.caller(REFERRALS)
        found = self.world.referrals.get(referral_id)
        if found is None:
            raise PayPalRefusal("RESOURCE_NOT_FOUND", "", [{"issue": "INVALID_RESOURCE_ID"}])
        return {"partner_referral_id": found.token, "submitter_payer_id": self.world.partner_id, **found.body}

    def integration(self, partner_id: str, merchant_id: str) -> Json:
        """`GET /v1/customer/partners/<partner>/merchant-integrations/<merchant>`: what a merchant has granted."""
        self.caller(PARTNER)
        consent = self.world.consents.get(merchant_id)
        if consent is None or partner_id != self.world.partner_id:
            raise PayPalRefusal("RESOURCE_NOT_FOUND", "", [{"issue": "INVALID_RESOURCE_ID"}])
        account = self.world.accounts[merchant_id]
        scopes = sorted({scope for feature in consent.features for scope in FEATURE_SCOPES[feature]})
        return {
            "merchant_id": account.id,
            "tracking_id": consent.tracking_id,
            "legal_name": account.name,
            "country": account.country,
            "primary_currency": account.primary,
            "primary_email": account.email,
            "primary_email_confirmed": True,
            "payments_receivable": True,
            "products": [],
            "oauth_integrations": [
                {
                    "integration_type": "OAUTH_THIRD_PARTY",
                    "integration_method": "PAYPAL",
                    "oauth_third_party": [
                        {
                            "partner_client_id": self.world.client_id,
                            "merchant_client_id": account.id,
                            "scopes": scopes,
                        }
                    ],
                }
            ],
        }

    def find_integration(self, partner_id: str) -> Json:
        """`GET …/merchant-integrations?tracking_id=`: which merchant came back from a referral."""
        self.caller(PARTNER)
        for consent in self.world.consents.values():
            if partner_id == self.world.partner_id and consent.tracking_id == request.args.get("tracking_id"):
                return {"merchant_id": consent.account, "tracking_id": consent.tracking_id}
        raise PayPalRefusal("RESOURCE_NOT_FOUND", "", [{"issue": "INVALID_RESOURCE_ID"}])

    def userinfo(self) -> Json:
        """`GET /v1/identity/openidconnect/userinfo`: who owns the app of this token."""
        caller = self.caller("openid") if not request.headers.get("PayPal-Auth-Assertion") else None
        if caller is None:
            raise _not_permitted()
        account = caller.account
        payer_id = account.id if account is not None else self.world.partner_id
        return {
            "user_id": f"https://www.paypal.com/webapps/auth/identity/user/{payer_id}",
            "payer_id": payer_id,
            "name": account.name if account is not None else "Kvitt",
        }

    # --- webhooks ------------------------------------------------------------------------------------------

    def verify(self) -> Json:
        """`POST /v1/notifications/verify-webhook-signature`."""
        caller = self.caller(WEBHOOKS)
        body = request.get_json(silent=True)
        asked = body if isinstance(body, dict) else {}
        needed = (
            "auth_algo",
            "cert_url",
            "transmission_id",
            "transmission_sig",
            "transmission_time",
            "webhook_id",
            "webhook_event",
        )
        for name in needed:
            if not asked.get(name):
                raise wrong(name, "", "MISSING_REQUIRED_PARAMETER", "body")
        listener = self.world.listeners.get(asked["webhook_id"])
        if listener is None or listener.client_id != caller.token.client_id:
            raise wrong("webhook_id", str(asked["webhook_id"]), "Not a valid webhook Id", "body")
        good = self._signed(asked)
        return {"verification_status": "SUCCESS" if good else "FAILURE"}

    def _signed(self, asked: Json) -> bool:
        # The message as it was sent: PayPal parses what it is given and writes it down again, as here.
        event = json.dumps(asked["webhook_event"], ensure_ascii=False, separators=(",", ":")).encode()
        text = string_to_sign(asked["transmission_id"], asked["transmission_time"], asked["webhook_id"], event)
        if asked["auth_algo"] != ALGORITHM or not asked["cert_url"].endswith(CERTIFICATE_PATH):
            return False
        try:
            signature = base64.b64decode(asked["transmission_sig"], validate=True)
            signing_key().public_key().verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def webhooks(self) -> Json:
        """`GET /v1/notifications/webhooks`."""
        caller = self.caller(WEBHOOKS)
        return {
            "webhooks": [
                _webhook(listener.id, listener.url, listener.events)
                for listener in self.world.listeners.values()
                if listener.client_id == caller.token.client_id
            ]
        }

    def add_webhook(self) -> Json:
        """`POST /v1/notifications/webhooks`."""
        caller = self.caller(WEBHOOKS)
        body = request.get_json(silent=True)
        asked = body if isinstance(body, dict) else {}
        events = [one.get("name", "") for one in asked.get("event_types", []) if isinstance(one, dict)]
        if not isinstance(asked.get("url"), str) or not events:
            raise wrong("url", str(asked.get("url", "")), "MISSING_REQUIRED_PARAMETER", "body")
        listener = self.world.register_webhook(asked["url"], caller.token.client_id, events)
        return _webhook(listener.id, listener.url, listener.events)

    def remove_webhook(self, webhook_id: str) -> Json:
        """`DELETE /v1/notifications/webhooks/<id>`."""
        caller = self.caller(WEBHOOKS)
        listener = self.world.listeners.get(webhook_id)
        if listener is None or listener.client_id != caller.token.client_id:
            raise PayPalRefusal("RESOURCE_NOT_FOUND", "", [{"issue": "INVALID_RESOURCE_ID"}])
        del self.world.listeners[webhook_id]
        return {}


def _webhook(webhook_id: str, url: str, events: tuple[str, ...]) -> Json:
    return {"id": webhook_id, "url": url, "event_types": [{"name": event} for event in events]}


def _not_permitted() -> PayPalRefusal:
    return PayPalRefusal("NOT_AUTHORIZED", "", [{"issue": "PERMISSION_DENIED"}])


def _instant(name: str) -> datetime:
    text = request.args.get(name, "")
    if not _INSTANT.fullmatch(text):
        raise wrong(name, text, "Invalid date passed")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except ValueError as error:
        raise wrong(name, text, "Invalid date passed") from error


def _whole(name: str, usual: int, least: int, most: int) -> int:
    text = request.args.get(name, str(usual))
    if not text.isdecimal() or not least <= int(text) <= most:
        raise wrong(name, text, f"must be between {least} and {most}")
    return int(text)


def _sections() -> list[str]:
    asked = request.args.get("fields", "transaction_info").split(",")
    if "all" in asked:
        return list(SECTIONS)
    unknown = [name for name in asked if name not in SECTIONS]
    if unknown:
        raise wrong("fields", unknown[0], "Invalid field name")
    return [name for name in SECTIONS if name in asked]


def _filter() -> Callable[[Row], bool]:
    """Which rows pass the filters of the call."""
    asked = request.args
    wanted = {
        name: asked[name] for name in ("transaction_id", "transaction_type", "transaction_currency") if asked.get(name)
    }
    status = asked.get("transaction_status")
    if status is not None and status not in _STATUSES:
        raise wrong("transaction_status", status, "Invalid transaction status")
    between: tuple[int, int] | None = None
    if "transaction_amount" in asked:
        found = re.fullmatch(r"(-?\d+) TO (-?\d+)", asked["transaction_amount"])
        if found is None:
            raise wrong("transaction_amount", asked["transaction_amount"], "Invalid amount range")
        between = int(found[1]), int(found[2])
    shown_only = asked.get("balance_affecting_records_only", "Y") == "N"
    elsewhere = any(asked.get(name) for name in ("store_id", "terminal_id"))

    def passes(row: Row) -> bool:
        if not (row.moves or shown_only) or elsewhere or status not in (None, row.status):
            return False
        if not wanted and between is None:
            return True
        told = {"transaction_id": row.id, "transaction_type": row.code, "transaction_currency": row.currency}
        return (between is None or between[0] <= row.amount <= between[1]) and all(
            told[name] == value for name, value in wanted.items()
        )

    return passes


def canned(fault: Fault) -> Answer | None:
    """How PayPal words a failure that a fault asks for."""
    names = {"error_500": "INTERNAL_SERVER_ERROR", "rate_limited": "RATE_LIMIT_REACHED"}
    if fault.kind == "html_500":
        return "502 Bad Gateway", [("Content-Type", "text/html")], HTML_PAGE
    if fault.kind == "revoked":
        body = {"error": "invalid_token", "error_description": "The token passed in was revoked"}
        return "401 Unauthorized", [("Content-Type", "application/json")], json.dumps(body).encode()
    if fault.kind not in names:
        return None
    status, refusal = body_of(names[fault.kind])
    more = [("Retry-After", "1")] if status == 429 else []
    return f"{status} Failed", [("Content-Type", "application/json"), *more], json.dumps(refusal).encode()


def _json(body: Json, status: int) -> Response:
    answer = Response(json.dumps(body, ensure_ascii=False), status, content_type="application/json")
    answer.headers["Paypal-Debug-Id"] = str(body.get("debug_id") or debug_id(request.full_path))
    return answer


def make_app(world: PayPalWorld) -> Flask:
    """The WSGI app: the API and the consent page, faults in front, every call counted."""
    app = SandboxApp(__name__, template_folder="templates", static_folder=None)
    share_style(app)
    api = Api(world)

    def route(path: str, view: Callable[..., Json], method: str = "GET", status: int = 200) -> None:
        def run(**arguments: str) -> Response:
            with world.lock:
                return _json(view(**arguments), status)

        app.add_url_rule(path, f"{method} {path}", run, methods=[method])

    route("/v1/oauth2/token", api.token, "POST")
    route("/v1/reporting/transactions", api.transactions)
    route("/v1/reporting/balances", api.balances)
    route("/v1/identity/openidconnect/userinfo", api.userinfo)
    route("/v2/invoicing/invoices", api.invoices)
    route("/v2/invoicing/invoices/<invoice_id>", api.invoice)
    route("/v1/customer/disputes", api.disputes)
    route("/v1/customer/disputes/<dispute_id>", api.dispute)
    route("/v2/customer/partner-referrals", api.referral, "POST", 201)
    route("/v2/customer/partner-referrals/<referral_id>", api.get_referral)
    route("/v1/customer/partners/<partner_id>/merchant-integrations", api.find_integration)
    route("/v1/customer/partners/<partner_id>/merchant-integrations/<merchant_id>", api.integration)
    route("/v1/notifications/verify-webhook-signature", api.verify, "POST")
    route("/v1/notifications/webhooks", api.webhooks)
    route("/v1/notifications/webhooks", api.add_webhook, "POST", 201)
    route("/v1/notifications/webhooks/<webhook_id>", api.remove_webhook, "DELETE", 204)
    add_consent_routes(app, world)

    @app.get(CERTIFICATE_PATH)
    def show_certificate() -> Response:
        return Response(certificate(), content_type="application/x-pem-file")

    @app.errorhandler(PayPalRefusal)
    def refuse(refusal: PayPalRefusal) -> Response:
        return _json(refusal.body, refusal.status)

    @app.errorhandler(TokenRefusal)
    def refuse_token(refusal: TokenRefusal) -> Response:
        return _json(refusal.body, refusal.status)

    @app.errorhandler(NotPossible)
    def not_possible(error: NotPossible) -> Response:
        status, body = body_of("UNPROCESSABLE_ENTITY", str(error), [])
        return _json(body, status)

    @app.errorhandler(404)
    def not_found(_error: Exception) -> Response:
        status, body = body_of("RESOURCE_NOT_FOUND")
        return _json(body, status)

    @app.after_request
    def count(response: Response) -> Response:
        if not request.path.startswith("/sandbox-static"):
            now = int(world.clock.now().timestamp())
            account = g.get("account")
            query = request.query_string.decode()
            world.calls.append(Call(request.method, request.path, query, account, response.status_code, now))
        return response

    app.wsgi_app = FaultyApp(app.wsgi_app, world.faults, canned)  # type: ignore[method-assign]
    return app
