"""Failing on demand at the simulated e-conomic: what fails anywhere."""

from __future__ import annotations

from addon.sandbox.shared.faults import KINDS, DroppedConnection, Fault, Faults

__all__ = ["KINDS", "DroppedConnection", "Fault", "Faults"]
