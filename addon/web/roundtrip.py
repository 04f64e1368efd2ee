"""A browser's way to another company's consent page and back, bound to the browser that set out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from authlib.integrations.flask_client import OAuth
from flask import current_app, redirect, request, session
from werkzeug.wrappers import Response

from addon.ports.oauth import OAuthClient

_MOST_PENDING: Final = 4


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
    pending = sorted(
        (name for name in session if name.startswith(f"_state_{declared.name}_")),
        key=lambda name: session[name].get("exp", 0),
    )
    for name in pending[: max(0, len(pending) - _MOST_PENDING + 1)]:
        session.pop(name)
    address = client.create_authorization_url(callback)
    client.save_authorize_data(redirect_uri=callback, memory=memory or {}, **address)
    return redirect(address["url"], 302)


def come_back(name: str) -> Return:
    """Read what the browser came back with; a state works once."""
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
    return Return(
        bearing,
        request.args.get("code", "")[:2000],
        request.args.get("error", "")[:100],
        request.args.get("error_description", "")[:300],
        memory,
    )
