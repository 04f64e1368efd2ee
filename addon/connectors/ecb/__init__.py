"""The European Central Bank as a source of exchange rates."""

from addon.connectors.ecb.source import CAPABILITIES, EcbRates

__all__ = ["CAPABILITIES", "EcbRates"]
