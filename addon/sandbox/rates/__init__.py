"""Three banks that publish exchange rates: the Riksbank, Danmarks Nationalbank's table at the StatBank, and the ECB."""

from addon.sandbox.rates.app import make_rates_app
from addon.sandbox.rates.world import BANKS, RatesWorld, Trouble

__all__ = ["BANKS", "RatesWorld", "Trouble", "make_rates_app"]
