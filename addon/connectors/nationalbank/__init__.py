"""Danmarks Nationalbank as a source of exchange rates."""

from addon.connectors.nationalbank.source import CAPABILITIES, NationalbankRates

__all__ = ["CAPABILITIES", "NationalbankRates"]
