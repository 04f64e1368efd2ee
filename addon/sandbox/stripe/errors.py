"""Refusals in Stripe's shape."""

from __future__ import annotations

from typing import Any


class StripeRefusal(Exception):
    """An error answer of the API: `{"error": {type, message, code, param}}` with its HTTP status."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"message": message, "type": type}}
        if code is not None:
            self.body["error"]["code"] = code
            self.body["error"]["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param is not None:
            self.body["error"]["param"] = param


def missing(kind: str, object_id: str, *, status: int = 404, param: str = "id") -> StripeRefusal:
    """No such object; as a cursor or a filter the same refusal comes with status 400."""
    return StripeRefusal(status, f"No such {kind}: '{object_id}'", code="resource_missing", param=param)
