"""The core's frozen values as JSON-ready data and back, exactly.

Decimals are text (so that 1.50 stays 1.50), money is `{"minor": 1250, "currency": "SEK"}`, instants and dates are
ISO 8601, steps are told apart by their `kind`. Reading is strict and builds the values through their own
constructors, so that what breaks a law of bookkeeping cannot come out of the database either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from addon.core.documents import Document, Step

T = TypeVar("T")

_STEP_BY_KIND: Final[Mapping[str, type[Step]]] = {
    kind.__dataclass_fields__["kind"].default: kind for kind in get_args(Step)
}
_EXPLANATIONS: Final = ("rule", "facts")
_ADDED: Final = frozenset(
    {
        *("cost_centre", "project", "oss", "sold", "article", "payment_terms", "mail_to", "organisation_number"),
        *("vat_exact", "vat_code", "draft"),
    }
)
"""Fields that came after the first release: where they say nothing they are left out of fingerprints, which so stay
comparable with those stored before."""
_ADDED_TO: Final[Mapping[str, str]] = {"credit_invoice": "invoice_number"}
"""The same for a field of one kind of step whose name another kind has had from the first."""


class Undecodable(ValueError):
    """Stored data is not what its type says. The message names places, not contents."""


_adapters: Final[dict[Any, TypeAdapter[Any]]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """One adapter for each type; making one takes longer than using it a thousand times."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def encode(value: object) -> dict[str, Any]:
    """A frozen value of the core or the ports as data that JSON can hold."""
    data = _adapter(type(value)).dump_python(value, mode="json")
    if not isinstance(data, dict):
        raise TypeError(f"{type(value).__name__} is no dataclass")
    return data


def decode(kind: type[T], data: Mapping[str, Any]) -> T:
    """The value that `encode` was given. Raises `Undecodable`. For a step use `decode_step`."""
    if kind is Document:
        # One adapter for each kind of step is many times faster than trying all kinds in turn.
        steps = tuple(decode_step(step) for step in data.get("steps", ()))
        return replace(_decoded(kind, {**data, "steps": []}), steps=steps)  # type: ignore[type-var]
    return _decoded(kind, data)


def _decoded(kind: type[T], data: Mapping[str, Any]) -> T:
    try:
        # By way of text: only there does strict reading take lists for tuples and text for dates and decimals.
        value: T = _adapter(kind).validate_json(_as_utf8(data), strict=True)
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'value'}: {fault['type']}"
            for fault in error.errors(include_url=False, include_context=False, include_input=False)[:5]
        )
        raise Undecodable(f"not a {kind.__name__}: {places}") from None
    except TypeError as error:
        raise Undecodable(f"not a {kind.__name__}") from error
    return value


def _as_utf8(data: Any, *, sort_keys: bool = False) -> bytes:
    """JSON in UTF-8. A half of a surrogate pair, which providers' JSON can smuggle in, becomes a question mark."""
    text = json.dumps(data, sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace")


def decode_step(data: Mapping[str, Any]) -> Step:
    """The step that `encode` was given. Raises `Undecodable`."""
    kind = _STEP_BY_KIND.get(data.get("kind", ""))
    if kind is None:
        raise Undecodable("no kind of step that we know")
    return _decoded(kind, data)


def decode_step_text(kind: str, text: str) -> Step:
    """The same of a step's JSON as the database keeps it. Raises `Undecodable`."""
    known = _STEP_BY_KIND.get(kind)
    if known is None:
        raise Undecodable("no kind of step that we know")
    try:
        step: Step = _adapter(known).validate_json(text, strict=True)
    except ValidationError:
        return decode_step(json.loads(text))  # says what is wrong, or reads what only Python's JSON can
    return step


def fingerprint(document: Document) -> str:
    """SHA-256 over the canonical JSON of what a document puts into the books.

    The explanations (`rule`, `facts`) are left out: better wording is no correction.
    """
    content = {name: value for name, value in _as_first(encode(document)).items() if name not in _EXPLANATIONS}
    return hashlib.sha256(_as_utf8(content, sort_keys=True)).hexdigest()


def _as_first(data: Any) -> Any:
    if isinstance(data, dict):
        late = _ADDED_TO.get(data.get("kind", ""))
        return {
            name: _as_first(value) for name, value in data.items() if value or (name not in _ADDED and name != late)
        }
    return [_as_first(value) for value in data] if isinstance(data, list) else data
