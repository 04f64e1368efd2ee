"""Faults that nobody foresaw go to Sentry where an installation has one; nothing of a company goes with them.

Sentry is another company's server. What it is told: which of our lines failed, with which kind of error, and its
message after the same cleaning that the log gets. What it is not told: local variables, forms, cookies, headers, the
query of an address (a consent's code travels there), what came before, who was signed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from addon.log import redact_text, redacted

if TYPE_CHECKING:
    from addon.config import Settings

_KEPT_OF_A_REQUEST: Final = ("method", "url")
_LEFT_OUT: Final = ("breadcrumbs", "user", "extra", "modules", "server_name", "spans", "logentry_params")


def watch(settings: Settings, transport: Any = None) -> bool:
    """Report this process's unforeseen faults from now on; says whether there is somewhere to report them.

    `transport` takes the place of the network in tests.
    """
    if settings.sentry_dsn is None:
        return False
    import sentry_sdk

    sentry_sdk.init(
        dsn=settings.sentry_dsn,
        environment=settings.kvitt_env,
        transport=transport,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        traces_sample_rate=None,
        # Each integration brings more of what happened along; what an error's own event says is enough.
        auto_enabling_integrations=False,
        before_send=scrubbed,
        before_send_transaction=lambda event, hint: None,
    )
    return True


def scrubbed(event: Any, _hint: Mapping[str, Any] | None = None) -> Any:
    """An event as it may leave the house."""
    kept = {name: value for name, value in event.items() if name not in _LEFT_OUT}
    request = kept.pop("request", None)
    if isinstance(request, Mapping):
        kept["request"] = {name: _without_query(str(request[name])) for name in _KEPT_OF_A_REQUEST if name in request}
    for chain in (kept.get("exception"), kept.get("threads")):
        for one in chain.get("values", ()) if isinstance(chain, Mapping) else ():
            _strip_frames(one)
    return redacted(kept)


def _without_query(address: str) -> str:
    return redact_text(address.partition("?")[0].partition("#")[0])


def _strip_frames(entry: Any) -> None:
    """Take what variables held out of a traceback; which lines it went through stays."""
    trace = entry.get("stacktrace") if isinstance(entry, dict) else None
    for frame in trace.get("frames", ()) if isinstance(trace, dict) else ():
        for name in ("vars", "pre_context", "context_line", "post_context"):
            frame.pop(name, None)
