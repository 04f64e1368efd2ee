"""Failing on demand at the simulated Fortnox: besides what fails anywhere, its own internal error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from addon.sandbox.shared.faults import KINDS, ZOMBIE, DroppedConnection, Faults
from addon.sandbox.shared.faults import Fault as _Fault

__all__ = ["KINDS", "ZOMBIE", "DroppedConnection", "Fault", "Faults"]


@dataclass(slots=True)
class Fault(_Fault):
    """Of its own it has `internal_1000029` / `internal_1000029_after`: 400 "Internal error", nothing done / done."""

    kinds: ClassVar[frozenset[str]] = KINDS | {"internal_1000029", "internal_1000029_after"}
