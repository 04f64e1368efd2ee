"""expand[]: replacing ids by the objects they name, as deep as Stripe allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from addon.sandbox.stripe.errors import StripeRefusal

Json = dict[str, Any]
Load = Callable[[str], Json | None]

_DEEPEST = 4
_OF_CHARGE = frozenset(
    {
        "application",
        "application_fee",
        "balance_transaction",
        "customer",
        "failure_balance_transaction",
        "invoice",
        "on_behalf_of",
        "payment_intent",
        "refunds",
        "review",
        "source_transfer",
        "transfer",
    }
)
_EXPANDABLE: dict[str, frozenset[str]] = {
    "balance_transaction": frozenset({"source"}),
    "charge": _OF_CHARGE,
    "payment_intent": frozenset(
        "application customer invoice latest_charge on_behalf_of payment_method review".split()
    ),
    "refund": frozenset(
        "balance_transaction charge failure_balance_transaction payment_intent source_transfer_reversal "
        "transfer_reversal".split()
    ),
    "dispute": frozenset({"charge", "payment_intent"}),
    "payout": frozenset(
        {
            "balance_transaction",
            "destination",
            "failure_balance_transaction",
            "original_payout",
            "reversed_by",
        }
    ),
    "topup": frozenset({"balance_transaction", "source"}),
    "customer": frozenset({"default_source", "sources", "subscriptions", "tax", "tax_ids"}),
    "checkout.session": frozenset(
        {
            "customer",
            "invoice",
            "line_items",
            "payment_intent",
            "payment_link",
            "subscription",
            "total_details",
        }
    ),
    "invoice_payment": frozenset({"invoice", "payment"}),
}

_LISTS_ON_REQUEST = {("charge", "refunds"), ("checkout.session", "line_items")}


def expand_answer(answer: Json, paths: Iterable[str], load: Load) -> None:
    """Expand in place; lists want paths that start with `data.`, too deep or unknown ones are refused."""
    for path in paths:
        fields = path.split(".")
        if len(fields) > _DEEPEST:
            raise StripeRefusal(
                400,
                f"You cannot expand more than {_DEEPEST} levels of a property (here: {path}).",
                param="expand",
            )
        if answer.get("object") == "list":
            if fields[0] != "data" or len(fields) < 2:
                raise _refused(path)
            for item in answer["data"]:
                _expand(item, fields[1:], path, load, strict=True)
        else:
            _expand(answer, fields, path, load, strict=True)


def _refused(path: str) -> StripeRefusal:
    return StripeRefusal(400, f"This property cannot be expanded ({path}).", param="expand")


def _expand(target: Json, fields: list[str], path: str, load: Load, *, strict: bool) -> None:
    name, rest = fields[0], fields[1:]
    kind = target.get("object")
    if kind in _EXPANDABLE and name not in _EXPANDABLE[kind]:
        if strict:
            raise _refused(path)
        return  # below a source of many kinds, only some have the property
    value = target.get(name)
    if isinstance(value, str):
        loaded = load(value)
        if loaded is None or loaded.get("id") == target.get("id"):
            return
        target[name] = value = loaded
    elif value is None and (kind, name) in _LISTS_ON_REQUEST:
        target[name] = value = load(f"{name} of {target['id']}")
    if rest and isinstance(value, dict):
        if value.get("object") == "list":
            if rest[0] == "data":
                for item in value["data"]:
                    if len(rest) > 1:
                        _expand(item, rest[1:], path, load, strict=False)
        elif "object" in value:
            polymorphic = kind == "balance_transaction" or not strict
            _expand(value, rest, path, load, strict=not polymorphic)
