"""Refusals in PayPal's shape."""

from __future__ import annotations

import hashlib
from typing import Any

_MESSAGES = {
    "INVALID_REQUEST": (400, "Request is not well-formed, syntactically incorrect, or violates schema."),
    "RESULTSET_TOO_LARGE": (
        400,
        "Result set size is greater than the maximum limit. Change the filter criteria and try again.",
    ),
    "AUTHENTICATION_FAILURE": (
        401,
        "Authentication failed due to missing authorization header, or invalid authentication credentials.",
    ),
    "NOT_AUTHORIZED": (403, "Authorization failed due to insufficient permissions."),
    "RESOURCE_NOT_FOUND": (404, "The specified resource does not exist."),
    "UNPROCESSABLE_ENTITY": (
        422,
        "The requested action could not be performed, semantically incorrect, or failed business validation.",
    ),
    "RATE_LIMIT_REACHED": (429, "Too many requests. Blocked due to rate limiting."),
    "INTERNAL_SERVER_ERROR": (500, "An internal server error occurred."),
}


def debug_id(*words: object) -> str:
    """Thirteen hexadecimal digits that a person would quote to PayPal."""
    return hashlib.sha256(repr(words).encode()).hexdigest()[:13]


def body_of(name: str, message: str = "", details: list[dict[str, str]] | None = None) -> tuple[int, dict[str, Any]]:
    """Status and body of a refusal by its name."""
    status, usual = _MESSAGES[name]
    body: dict[str, Any] = {"name": name, "message": message or usual, "debug_id": debug_id(name, message, details)}
    if details is not None:
        body["details"] = details
    return status, body


class PayPalRefusal(Exception):
    """An error answer: `{"name", "message", "debug_id", "details"}` with its HTTP status."""

    def __init__(
        self, name: str, message: str = "", details: list[dict[str, str]] | None = None, **more: object
    ) -> None:
        super().__init__(message or name)
        self.status, self.body = body_of(name, message, details)
        self.body.update(more)


class TokenRefusal(Exception):
    """A refusal of the token endpoint, or of a token: OAuth's flat shape."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.status = 401
        self.body = {"error": error, "error_description": description}


def wrong(field: str, value: str, issue: str, location: str = "query") -> PayPalRefusal:
    """A parameter that cannot be."""
    return PayPalRefusal(
        "INVALID_REQUEST", "", [{"field": field, "value": value, "location": location, "issue": issue}]
    )
