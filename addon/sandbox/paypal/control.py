"""The simulated PayPal's switches over HTTP: for another process, as JSON."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, Response, request

from addon.sandbox.paypal.account import NotPossible, PayPalAccount
from addon.sandbox.paypal.world import PayPalWorld
from addon.sandbox.serving import SandboxApp
from addon.sandbox.stripe.faults import Fault

# What may be done to an account from outside, by the names of its methods.
ACTIONS: tuple[str, ...] = (
    "record",
    "sell",
    "clear",
    "deny",
    "refund",
    "reverse",
    "purchase",
    "convert",
    "withdraw",
    "withdrawal_returns",
    "deposit",
    "hold",
    "release",
    "dispute",
    "lose",
    "win",
    "chargeback_returns",
    "fee",
    "mass_payment",
    "pay_invoice",
    "authorise",
)
SWITCHES: tuple[str, ...] = ("window_by", "holds_move_ending_balance", "fee_back", "lag_s")


def make_control_app(world: PayPalWorld) -> Flask:
    """A WSGI app: shops, accounts, actions, switches, faults, webhooks, calls. Times are ISO 8601 with a zone."""
    app = SandboxApp(__name__)

    def answer(body: object, status: int = 200) -> Response:
        return Response(json.dumps(body, ensure_ascii=False, default=str), status, content_type="application/json")

    def asked() -> dict[str, Any]:
        body = request.get_json(silent=True)
        return body if isinstance(body, dict) else {}

    @app.get("/accounts")
    def accounts() -> Response:
        return answer(world.describe())

    @app.post("/accounts/<account>/<action>")
    def act(account: str, action: str) -> Response:
        body = asked()
        with world.lock:
            found = world.get_account(account)
            if action == "revoke":
                return answer({"result": world.revoke(found)})
            if action == "app":
                made = world.add_app(found, **{name: value is True for name, value in body.items()})
                return answer({"result": {"client_id": made.client_id, "secret": made.secret}}, 201)
            if action == "switches":
                return answer(_switch(found, body))
            if action not in ACTIONS:
                return answer({"error": f"unknown action {action}", "actions": ACTIONS}, 404)
            method: Callable[..., object] = getattr(found, action)
            if isinstance(body.get("at"), str):
                body["at"] = datetime.fromisoformat(body["at"])
            try:
                inspect.signature(method).bind(**body)
                return answer({"result": _plain(method(**body))})
            except TypeError as error:
                return answer({"error": str(error)}, 400)

    @app.post("/shops")
    def open_shop() -> Response:
        """A merchant with a month of sales behind it, in one call: the arguments of `PayPalWorld.open_shop`."""
        body = asked()
        if isinstance(body.get("until"), str):
            body["until"] = datetime.fromisoformat(body["until"])
        try:
            inspect.signature(world.open_shop).bind(**body)
        except TypeError as error:
            return answer({"error": str(error)}, 400)
        return answer(world.open_shop(**body).as_dict(), 201)

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

    @app.post("/webhooks/switches")
    def webhook_switches() -> Response:
        switches = world.webhook_switches
        known = {field.name for field in fields(switches)}
        for name, value in asked().items():
            if name not in known:
                raise NotPossible(f"there is no switch {name}")
            setattr(switches, name, value)
        return answer(asdict(switches))

    @app.post("/webhooks/deliver")
    def deliver() -> Response:
        return answer([asdict(delivered) for delivered in world.deliver_webhooks()])

    @app.get("/calls")
    def calls() -> Response:
        return answer({"count": world.count_calls(request.args.get("match", ".*"))})

    @app.errorhandler(NotPossible)
    def not_possible(error: NotPossible) -> Response:
        return answer({"error": str(error)}, 400)

    return app


def _switch(account: PayPalAccount, wanted: dict[str, Any]) -> dict[str, Any]:
    for name, value in wanted.items():
        if name not in SWITCHES:
            raise NotPossible(f"there is no switch {name}: {', '.join(SWITCHES)}")
        if name == "lag_s":
            account.lag = timedelta(seconds=float(value))
        else:
            setattr(account, name, value)
    account.recount()
    return {
        "window_by": account.window_by,
        "holds_move_ending_balance": account.holds_move_ending_balance,
        "fee_back": account.fee_back,
        "lag_s": account.lag.total_seconds(),
    }


def _plain(result: object) -> object:
    """Rows and disputes by their ids."""
    if isinstance(result, list | tuple):
        return [_plain(one) for one in result]
    return getattr(result, "id", result)
