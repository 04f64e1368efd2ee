"""The provider, played: it keeps an account, refuses a wrong key, and tells its rows in pages.

Knows nothing of the connector: one misreading of the provider's documentation cannot hide in both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import Response, jsonify, request

from addon.sandbox.clock import Clock
from addon.sandbox.serving import SandboxApp

PAGE = 50


@dataclass
class TemplateWorld:
    """One account at the provider; amounts are whole smallest units."""

    clock: Clock
    key: str = "sandbox_not_real_template_key"
    currency: str = "SEK"
    live: bool = True
    rows: list[dict[str, Any]] = field(default_factory=list)

    def record(self, kind: str, amount: int, *, fee: int = 0, at: datetime | None = None, **more: Any) -> str:
        """Write a row; its reference."""
        ref = f"row_{len(self.rows) + 1:06}"
        told = {"id": ref, "type": kind, "amount": amount, "fee": fee, "currency": self.currency}
        self.rows.append({**told, **more, "at": (at or self.clock.now()).isoformat()})
        return ref

    def balances(self) -> dict[str, int]:
        """What is there in each currency."""
        sums: dict[str, int] = {}
        for row in self.rows:
            sums[row["currency"]] = sums.get(row["currency"], 0) + row["amount"] - row["fee"]
        return sums

    def app(self) -> SandboxApp:
        """Its API."""
        app = SandboxApp("template")

        @app.before_request
        def let_in() -> tuple[Response, int] | None:
            if request.headers.get("Authorization") != f"Bearer {self.key}":
                return jsonify(code="unauthorised", message="Unknown key."), 401
            return None

        @app.get("/account")
        def account() -> Response:
            return jsonify(id="acc_1", name="Butiken", country="SE", currency=self.currency, live=self.live)

        @app.get("/rows")
        def rows() -> Response:
            since, until = (datetime.fromisoformat(request.args[name]) for name in ("since", "until"))
            found = [row for row in self.rows if since <= datetime.fromisoformat(row["at"]) < until]
            start = int(request.args.get("cursor", "0"))
            following = start + PAGE
            return jsonify(rows=found[start:following], next=str(following) if following < len(found) else None)

        @app.get("/balance")
        def balance() -> Response:
            told = [{"currency": currency, "amount": amount} for currency, amount in self.balances().items()]
            return jsonify(at=self.clock.now().isoformat(), balances=told)

        return app
