"""Partner Referrals: the address a merchant is sent to, the page that asks, and the way back."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from addon.sandbox.paypal.errors import wrong
from addon.sandbox.paypal.model import Referral
from addon.sandbox.paypal.render import Json
from addon.sandbox.paypal.world import PayPalWorld

ENTRY = "/bizsignup/partner/entry"
_LIFETIME = timedelta(days=1)
_WORDS = {
    "ADVANCED_TRANSACTIONS_SEARCH": "Read your transactions and balances",
    "ACCESS_MERCHANT_INFORMATION": "See your business name and e-mail address",
    "INVOICE_READ_WRITE": "Read and write your PayPal invoices",
    "READ_SELLER_DISPUTE": "Read disputes about your sales",
}


def create_referral(world: PayPalWorld, body: object, base_url: str) -> Json:
    """Note what a partner asks for, and give the `action_url`."""
    asked = body if isinstance(body, dict) else {}
    features = _features(asked)
    unknown = [feature for feature in features if feature not in _WORDS]
    if not features or unknown:
        raise wrong("/operations/0", ",".join(unknown), "INVALID_PARAMETER_VALUE", "body")
    consents = asked.get("legal_consents")
    if not isinstance(consents, list) or not any(
        isinstance(one, dict) and one.get("type") == "SHARE_DATA_CONSENT" and one.get("granted") is True
        for one in consents
    ):
        raise wrong("/legal_consents", "", "MISSING_REQUIRED_PARAMETER", "body")
    override = asked.get("partner_config_override")
    return_url = override.get("return_url", "") if isinstance(override, dict) else ""
    if urlsplit(return_url).scheme not in ("http", "https") or len(return_url) > 127:
        raise wrong("/partner_config_override/return_url", return_url, "INVALID_PARAMETER_VALUE", "body")
    token = world.word(48)
    tracking_id = str(asked.get("tracking_id", ""))[:127]
    world.referrals[token] = Referral(token, tracking_id, return_url, features, world.clock.now(), asked)
    return {
        "links": [
            {
                "href": f"{base_url}/v2/customer/partner-referrals/{token}",
                "rel": "self",
                "method": "GET",
                "description": "Read Referral Data shared by the Caller.",
            },
            {
                "href": f"{base_url}{ENTRY}?{urlencode({'referralToken': token})}",
                "rel": "action_url",
                "method": "GET",
                "description": "Target WEB REDIRECT URL for the next action.",
            },
        ]
    }


def _features(asked: Json) -> tuple[str, ...]:
    for operation in asked.get("operations") or []:
        if isinstance(operation, dict) and operation.get("operation") == "API_INTEGRATION":
            found = operation
            for name in ("api_integration_preference", "rest_api_integration"):
                inner = found.get(name)
                found = inner if isinstance(inner, dict) else {}
            details = found.get("third_party_details")
            features = details.get("features") if isinstance(details, dict) else None
            if found.get("integration_type") == "THIRD_PARTY" and isinstance(features, list):
                return tuple(str(feature) for feature in features)
    return ()


def add_consent_routes(app: Flask, world: PayPalWorld) -> None:
    """Add the page that a merchant is sent to."""

    def refused(problem: str) -> Response:
        page = render_template("refused.html", problem=problem)
        return Response(page, 400, content_type="text/html; charset=utf-8")

    @app.route(ENTRY, methods=["GET", "POST"])
    def entry() -> BaseResponse:
        with world.lock:
            referral = world.referrals.get(request.args.get("referralToken", ""))
            if referral is None or referral.used or world.clock.now() > referral.made + _LIFETIME:
                return refused("This link has expired or was used before. Go back and start again.")
            if request.method == "GET":
                page = render_template(
                    "consent.html",
                    accounts=list(world.accounts.values()),
                    permissions=[_WORDS[feature] for feature in referral.features],
                )
                return Response(page, content_type="text/html; charset=utf-8")
            account = world.accounts.get(request.form.get("account", ""))
            if request.form.get("answer") != "agree" or account is None:
                return redirect(_back(referral, {"permissionsGranted": "false", "consentStatus": "false"}), 303)
            referral.used = True
            world.consent(account, *referral.features, tracking_id=referral.tracking_id)
            answer = {
                "merchantId": referral.tracking_id,
                "merchantIdInPayPal": account.id,
                "permissionsGranted": "true",
                "consentStatus": "true",
                "productIntentId": "addipmt",
                "productIntentID": "addipmt",
                "isEmailConfirmed": "true",
                "accountStatus": "BUSINESS_ACCOUNT",
                "riskStatus": "SUBSCRIBED_WITH_ALL_FEATURES",
            }
            return redirect(_back(referral, answer), 303)


def _back(referral: Referral, answer: dict[str, str]) -> str:
    mark = "&" if urlsplit(referral.return_url).query else "?"
    return f"{referral.return_url}{mark}{urlencode(answer)}"
