"""A browser's way to another company's consent page and back, bound to the browser that set out."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from authlib.integrations.flask_client import OAuth
from flask import current_app, redirect, request, session
from werkzeug.wrappers import Response

from addon.ports.oauth import OAuthClient

_MOST_PENDING: Final = 4
_LIFETIME_S: Final = 3600
_ERRORS: Final = frozenset(
    {
        "invalid_request",
        "unauthorized_client",
        "access_denied",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
    }
)
"""What an authorisation server may say: RFC 6749, section 4.1.2.1."""


class Bearing(Enum):
    """Whether we sent this browser out."""

    OURS = "ours"
    NONE = "none"
    """No state came back: the other side began it."""
    FOREIGN = "foreign"
    """A state that this browser was not given, or has used, or that is too old."""


@dataclass(frozen=True, slots=True)
class Return:
    """What a browser came back with. `memory` is what was noted when it set out."""

    bearing: Bearing
    code: str
    error: str
    description: str
    memory: dict[str, Any]


def _client(declared: OAuthClient) -> Any:
    """Authlib's client for a consent page; it never exchanges the code, a service does."""
    registry = OAuth(current_app)
    return registry.register(  # type: ignore[no-untyped-call]
        declared.name,
        client_id=declared.client_id,
        client_secret=declared.client_secret,
        authorize_url=declared.authorize_url,
        authorize_params=dict(declared.authorize_params),
        access_token_url=declared.token_url,
        client_kwargs={"scope": declared.scope},
        overwrite=True,
    )


def callback_address(path: str) -> str:
    """Where the other side sends the browser back to: from PUBLIC_URL, never from the request's own host."""
    return f"{current_app.config['PUBLIC_URL']}{path}"


def set_out(declared: OAuthClient, callback: str, memory: dict[str, Any] | None = None) -> Response:
    """Send the browser to the consent page; the state is kept in its signed cookie."""
    client = _client(declared)
    _forget_oldest(declared.name)
    address = client.create_authorization_url(callback)
    client.save_authorize_data(redirect_uri=callback, memory=memory or {}, **address)
    return redirect(address["url"], 302)


def set_out_arranged(
    name: str, callback: str, arrange: Callable[[str, str], str], memory: dict[str, Any] | None = None
) -> Response:
    """Send the browser to a page that the other side makes for this visit.

    `arrange` gives its address, from where to come back to and from a reference of ours; the reference comes back in
    the memory. Neither it nor the state can be guessed.
    """
    state, reference = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    address = arrange(f"{callback}?state={state}", reference)
    _forget_oldest(name)
    told = {"memory": {**(memory or {}), "reference": reference}}
    session[f"_state_{name}_{state}"] = {"data": told, "exp": time.time() + _LIFETIME_S}
    return redirect(address, 302)


def _forget_oldest(name: str) -> None:
    pending = sorted(
        (key for key in session if key.startswith(f"_state_{name}_")), key=lambda key: session[key].get("exp", 0)
    )
    for key in pending[: max(0, len(pending) - _MOST_PENDING + 1)]:
        session.pop(key)


def come_back(name: str, grant_in: str = "code") -> Return:
    """Read what the browser came back with, the code out of the word `grant_in`; a state works once."""
    state = request.args.get("state", "")
    memory: dict[str, Any] = {}
    if not state:
        bearing = Bearing.NONE
    else:
        kept = session.pop(f"_state_{name}_{state}", None) if len(state) <= 200 else None
        fresh = isinstance(kept, dict) and kept.get("exp", 0) > time.time()
        bearing = Bearing.OURS if fresh else Bearing.FOREIGN
        if fresh and isinstance(kept, dict):
            memory = dict(kept.get("data", {}).get("memory", {}))
    error, description = request.args.get("error", "")[:100], request.args.get("error_description", "")[:300]
    if bearing is not Bearing.OURS:
        # Anybody can make such an address: nobody's words but the standard's stand on our page for it.
        error, description = error and (error if error in _ERRORS else "error"), ""
    code = request.args.get(grant_in, "")[:2000] if grant_in else ""
    return Return(bearing, code, error, description, memory)
