"""VIES, the EU's register of VAT numbers, by the Commission's REST interface."""

from addon.connectors.vies.client import VIES_URL, ViesRegister

__all__ = ["VIES_URL", "ViesRegister"]
