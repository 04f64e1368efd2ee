"""Fortnox tells by HTTP that a company has consented, or has ended its consent; nothing else comes this way.

The body's exact shape is not published and no signature is known. So it is read leniently and believed in
nothing: it says which company to look at, and the look, with our own credentials, decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from addon.connectors.fortnox.translate import words
from addon.connectors.http import Unreadable, read_json
from addon.ports.errors import BadReply

LONGEST_BODY: Final = 64 * 1024
_TENANT_NAMES: Final = frozenset({"tenantid", "databasenumber"})
_KIND_NAMES: Final = frozenset({"type", "event", "eventtype", "topic", "action", "name"})


class ConsentChange(StrEnum):
    """What happened to a consent."""

    CREATED = "created"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ConsentNews:
    """Somebody says that a company's consent has changed; `tenant` is the company's fixed number in Fortnox."""

    change: ConsentChange
    tenant: str


def read_webhook(body: bytes) -> ConsentNews | None:
    """What a webhook says; None if it is about something else. Raises `BadReply` for a body that cannot be read."""
    if len(body) > LONGEST_BODY:
        raise BadReply("Fortnox webhook: too long")
    try:
        document = read_json(body)
    except Unreadable as error:
        raise BadReply("Fortnox webhook: not JSON") from error
    fields = list(_fields(document, depth=3))
    tenant = next((words(value) for name, value in fields if name in _TENANT_NAMES and words(value)), "")
    kinds = " ".join(words(value).lower() for name, value in fields if name in _KIND_NAMES)
    if "consent" not in kinds:
        return None
    if not (tenant.isascii() and tenant.isdigit()):
        raise BadReply("Fortnox webhook: no tenant")
    if "revoke" in kinds or "deleted" in kinds:
        return ConsentNews(ConsentChange.REVOKED, tenant)
    if "created" in kinds:
        return ConsentNews(ConsentChange.CREATED, tenant)
    return None


def _fields(document: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Names in lower case with their values, outer ones first, some levels deep."""
    if not isinstance(document, Mapping) or depth == 0:
        return
    for name, value in document.items():
        yield str(name).lower().replace("_", "").replace("-", ""), value
    for value in document.values():
        yield from _fields(value, depth - 1)
