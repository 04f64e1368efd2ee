"""The simulated register of VAT numbers: answers as the Commission's REST interface does, and fails as it does."""

from addon.sandbox.vies.register import ViesWorld

__all__ = ["ViesWorld"]
