"""Beds for sources that ask for no credentials: banks that publish rates, and registers of VAT numbers."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from addon.bootstrap import LiveOutside
from addon.config import load_settings
from addon.core.fixings import RateChoice
from addon.ports.rates import RateSource
from addon.ports.vat_numbers import VatNumberRegister
from addon.sandbox.clock import Clock
from addon.sandbox.rates import RatesWorld, make_rates_app
from addon.sandbox.vies import ViesWorld
from tests.conformance.beds import Ground
from tests.conformance.line import Line
from tests.support.doubles import CallLog

BANKS = tuple(choice for choice in RateChoice if choice is not RateChoice.ACCOUNTING)
"""Every bank that a company may choose: one more is asked the same without a line here."""


def _outside(line: Line, clock: Clock, **addresses: str) -> LiveOutside:
    """The way out as the process has it, over this line: what is built is what is built in earnest."""
    outside = LiveOutside(load_settings({"KVITT_ENV": "test", **addresses}), clock.now)
    outside.__dict__["_transport"] = line
    return outside


@dataclass
class BankBed:
    """One bank of the simulated three, on a Wednesday at noon."""

    choice: RateChoice
    url: str
    world: RatesWorld
    clock: Clock
    line: Line
    log: CallLog = field(default_factory=CallLog)

    def source(self) -> RateSource:
        addresses = {f"{choice.value.upper()}_URL": self.url for choice in BANKS}
        return _outside(self.line, self.clock, **addresses).rates(self.choice, self.log)

    def days(self, first_day: date, last_day: date) -> list[date]:
        """The days that have a fixing which is out, by the bank itself."""
        return self.world.days(self.choice.value, first_day, last_day)

    def worth(self, base: str, quote: str, day: date) -> Decimal:
        """What one unit of a currency is in another at the bank, unrounded."""
        bank = self.choice.value
        return self.world.kronor(bank, base, day) / self.world.kronor(bank, quote, day)

    def quotes(self, *codes: str) -> None:
        """The bank quotes these and no others: shorter answers, the same questions."""
        self.world.banks[self.choice.value].quoted = frozenset(codes)

    def advance(self, by: timedelta) -> None:
        self.clock.advance(by)


def make_bank(choice: RateChoice, ground: Ground, now: datetime) -> BankBed:
    """A world of its own for one test. Questions to a table are written into a body, and change nothing."""
    clock = Clock(now)
    world = RatesWorld(clock)
    url = ground.serve(make_rates_app(world))
    return BankBed(choice, url, world, clock, Line(ground.network, asks="/v1/data$"), ground.log)


@dataclass
class RegisterBed:
    """A register that knows some numbers, and says no to others."""

    url: str
    world: ViesWorld
    clock: Clock
    line: Line
    log: CallLog
    in_force: str = "FR83404833048"
    not_in_force: str = "DE811115368"
    no_number: str = "ZZ1"
    ours: str = "SE556677889901"

    def register(self) -> VatNumberRegister:
        return _outside(self.line, self.clock, VIES_URL=self.url).vat_register(self.log)


def make_vies(ground: Ground, now: datetime) -> RegisterBed:
    """The EU's, a world of its own for one test."""
    clock = Clock(now)
    world = ViesWorld(clock)
    url = f"{ground.serve(world.app())}/rest-api"
    return RegisterBed(url, world, clock, Line(ground.network, asks="/check-vat-number$"), ground.log)


REGISTERS = {"vies": make_vies}
