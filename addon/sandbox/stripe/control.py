"""The simulated Stripe's switches over HTTP: for another process, as JSON."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flask import Flask, Response, request

from addon.sandbox.serving import SandboxApp
from addon.sandbox.stripe.account import NotPossible, StripeAccount
from addon.sandbox.stripe.faults import Fault
from addon.sandbox.stripe.world import StripeWorld

# What may be done to an account from outside, by the names of its methods.
ACTIONS: tuple[str, ...] = (
    "charge",
    "add_customer",
    "checkout_session",
    "pay_invoice",
    "bounce",
    "refund",
    "refund_succeeds",
    "refund_fails",
    "dispute",
    "escalate",
    "close_inquiry",
    "counter",
    "win",
    "lose",
    "stripe_fee",
    "reserve_hold",
    "reserve_release",
    "adjustment",
    "other",
    "dispute_difference",
    "topup",
    "run_payouts",
    "advance_payouts",
    "manual_payout",
    "fail_payout",
    "cancel_payout",
    "catch_up",
    "issue_restricted_key",
    "revoke_restricted_key",
)
SWITCHES: tuple[str, ...] = (
    "livemode",
    "payouts_enabled",
    "payout_leaves_balance",
    "reconciliation_delay_s",
    "controlled_by_other_platform",
    "transit_days",
)


def make_control_app(world: StripeWorld) -> Flask:
    """A WSGI app: accounts, actions, switches, faults, webhooks, calls. Times are ISO 8601 with a zone."""
    app = SandboxApp(__name__)

    def answer(body: object, status: int = 200) -> Response:
        return Response(json.dumps(body, ensure_ascii=False, default=str), status, content_type="application/json")

    def asked() -> dict[str, Any]:
        body = request.get_json(silent=True)
        return body if isinstance(body, dict) else {}

    @app.get("/accounts")
    def accounts() -> Response:
        return answer(world.describe())

    @app.get("/accounts/<account>")
    def account_state(account: str) -> Response:
        with world.lock:
            found = world.get_account(account)
            return answer(_state(found))

    @app.post("/accounts/<account>/<action>")
    def act(account: str, action: str) -> Response:
        body = asked()
        with world.lock:
            found = world.get_account(account)
            if action == "disconnect":
                return answer({"result": world.disconnect(found)})
            if action == "uninstall_app":
                world.uninstall_app(found)
                return answer({"result": None})
            if action == "switches":
                return answer(_set(found, body, SWITCHES))
            if action not in ACTIONS:
                return answer({"error": f"unknown action {action}", "actions": ACTIONS}, 404)
            method: Callable[..., object] = getattr(found, action)
            for name in ("at", "until"):
                if isinstance(body.get(name), str):
                    body[name] = datetime.fromisoformat(body[name])
            try:
                inspect.signature(method).bind(**body)
            except TypeError as error:
                return answer({"error": str(error)}, 400)
            return answer({"result": method(**body)})

    @app.get("/faults")
    def faults() -> Response:
        return answer({"active": [asdict(fault) for fault in world.faults.active], "struck": world.faults.struck})

    @app.post("/faults")
    def add_fault() -> Response:
        try:
            fault = world.faults.add(Fault(**asked()))
        except (TypeError, ValueError) as error:
            return answer({"error": str(error)}, 400)
        return answer(asdict(fault), 201)

    @app.delete("/faults")
    def clear_faults() -> Response:
        world.faults.clear()
        return answer({})

    @app.get("/webhooks")
    def webhooks() -> Response:
        return answer(
            {
                "switches": asdict(world.webhook_switches),
                "waiting": world.courier.waiting,
                "endpoints": [
                    {"id": endpoint.id, "url": endpoint.url, "connect": endpoint.connect}
                    for endpoint in world.endpoints
                    if endpoint.id not in world.removed_endpoints
                ],
                "delivered": [asdict(delivered) for delivered in world.courier.log[-200:]],
            }
        )

    @app.post("/webhooks/switches")
    def webhook_switches() -> Response:
        return answer(_set(world.webhook_switches, asked(), tuple(asdict(world.webhook_switches))))

    @app.post("/webhooks/deliver")
    def deliver() -> Response:
        return answer([asdict(delivered) for delivered in world.deliver_webhooks()])

    @app.get("/calls")
    def calls() -> Response:
        match = request.args.get("match", ".*")
        last = max(0, int(request.args.get("last", "0")))
        with world.lock:
            return answer(
                {
                    "count": world.count_calls(match),
                    "last": [asdict(call) for call in world.calls[-last:]] if last else [],
                }
            )

    @app.delete("/calls")
    def forget_calls() -> Response:
        with world.lock:
            world.calls.clear()
        return answer({})

    @app.errorhandler(NotPossible)
    def not_possible(error: NotPossible) -> Response:
        return answer({"error": str(error)}, 400)

    return app


def _set(target: object, wanted: dict[str, Any], allowed: tuple[str, ...]) -> dict[str, Any]:
    for name, value in wanted.items():
        if name not in allowed:
            raise NotPossible(f"there is no switch {name}: {', '.join(allowed)}")
        setattr(target, name, value)
    return {name: getattr(target, name) for name in allowed}


def _state(account: StripeAccount) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "livemode": account.livemode,
        "secret_key": account.secret_key,
        "balances": {
            currency: {"available": available, "pending": pending}
            for currency, (available, pending) in account.balances().items()
        },
        "counts": {
            "rows": len(account.ledger),
            "charges": len(account.charges),
            "refunds": len(account.refunds),
            "disputes": len(account.disputes),
            "payouts": len(account.payouts),
        },
        "payouts": [
            {
                "id": payout.id,
                "amount": payout.amount,
                "currency": payout.currency,
                "status": payout.status,
                "created": payout.created,
                "arrival_date": payout.arrival_date,
                "rows": len(payout.rows),
            }
            for payout in account.payouts
        ],
        "last_charges": [charge.id for charge in list(account.charges)[-20:]],
        "switches": {name: getattr(account, name) for name in SWITCHES},
    }
