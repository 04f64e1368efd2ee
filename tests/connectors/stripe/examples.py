"""Stripe's example objects out of the contracts, put together the way `expand` would."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from tests.contracts import load_contract

Json = dict[str, Any]


def example(name: str) -> Any:
    return load_contract("stripe", "examples", name)


def find(value: Any, kind: str) -> Iterator[Json]:
    """Every object of a kind inside a value."""
    if isinstance(value, dict):
        if value.get("object") == kind:
            yield value
        for item in value.values():
            yield from find(item, kind)
    elif isinstance(value, list):
        for item in value:
            yield from find(item, kind)


def all_rows() -> list[Json]:
    """Every balance transaction in the examples and in Stripe's own fixtures, each once."""
    rows: dict[str, Json] = {}
    names = ("payout_reconciliation", "payout_special_cases", "disputes", "charges_refunds", "events")
    for value in (*(example(f"{name}.json") for name in names), load_contract("stripe", "fixtures.trimmed.json")):
        for row in find(value, "balance_transaction"):
            rows.setdefault(row["id"], row)
    return list(rows.values())


def objects() -> dict[str, Json]:
    """The examples' charges, refunds, disputes and payouts by id."""
    found: dict[str, Json] = {}
    for name in ("charges_refunds", "disputes", "payout_reconciliation", "payout_special_cases"):
        for kind in ("charge", "refund", "dispute", "payout"):
            for item in find(example(f"{name}.json"), kind):
                found.setdefault(item["id"], item)
    return found


def spelled_out(row: Json) -> Json:
    """A row with its source in full, and a refund's or dispute's charge too, as `expand` gives them."""
    by_id = objects()
    row = copy.deepcopy(row)
    source = by_id.get(row["source"]) if isinstance(row["source"], str) else None
    if source is not None:
        row["source"] = copy.deepcopy(source)
        charge = by_id.get(source.get("charge", ""))
        if charge is not None:
            row["source"]["charge"] = copy.deepcopy(charge)
    return row
