"""Sveriges Riksbank as a source of exchange rates."""

from addon.connectors.riksbank.source import CAPABILITIES, RiksbankRates

__all__ = ["CAPABILITIES", "RiksbankRates"]
