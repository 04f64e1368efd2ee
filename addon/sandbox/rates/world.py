"""The fixings of the simulated world: one market, three banks that look at it at different minutes of the day.

Each bank has a fixing for every weekday that is no holiday of its own, the same for a seed whenever it is asked. The
market is the one that the provider exchanges at; the banks differ from it and from one another by some thousandths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from threading import Lock
from zoneinfo import ZoneInfo

from addon.sandbox.clock import Clock
from addon.sandbox.stripe.money import CURRENCIES, decimals, exchange_rate

BANKS = ("riksbank", "nationalbank", "ecb")
QUOTED = "AUD BGN BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF IDR ILS INR ISK JPY KRW MXN MYR NOK NZD PHP PLN RON SEK SGD"
_QUOTED = frozenset(f"{QUOTED} THB TRY USD ZAR".split())
_EUROPE = ZoneInfo("Europe/Stockholm")
FIRST_DAY = date(2020, 1, 1)
"""How far back these banks remember: enough for any test, and files that stay small."""


@dataclass(slots=True)
class Trouble:
    """What shall happen to questions at one bank: `error_500`, `rate_limited`, `html` or `gone` (404 for all)."""

    kind: str
    times: int | None = None
    """How many questions it strikes; None: all."""
    retry_after_s: int = 0


@dataclass(slots=True)
class Bank:
    """One bank: which currencies it quotes, when it is closed, and what goes wrong."""

    name: str
    published_at: time
    days_later: int = 0
    quoted: frozenset[str] = _QUOTED
    holidays: set[date] = field(default_factory=set)
    trouble: Trouble | None = None
    pinned: dict[tuple[str, date], Decimal] = field(default_factory=dict)
    """Kronor for one unit that a test wants to be the market's rate of a day."""


class RatesWorld:
    """The banks over one clock. `asked` counts the questions of each."""

    def __init__(self, clock: Clock, seed: int = 1) -> None:
        self._clock = clock
        self._seed = seed
        self._lock = Lock()
        self.banks = {
            "riksbank": Bank("riksbank", time(16, 15)),
            "nationalbank": Bank("nationalbank", time(8, 0), days_later=1),
            "ecb": Bank("ecb", time(16, 0)),
        }
        self.asked: dict[str, int] = dict.fromkeys(BANKS, 0)

    def question(self, bank: str) -> Trouble | None:
        """Count a question, and say what shall happen to it."""
        with self._lock:
            self.asked[bank] += 1
            trouble = self.banks[bank].trouble
            if trouble is None:
                return None
            if trouble.times is not None:
                trouble.times -= 1
                if trouble.times < 0:
                    self.banks[bank].trouble = None
                    return None
            return trouble

    def days(self, bank: str, first_day: date, last_day: date) -> list[date]:
        """The days with a fixing that is out by now."""
        found = []
        day = max(first_day, FIRST_DAY)
        now = self._clock.now()
        while day <= last_day and day <= now.astimezone(_EUROPE).date():
            if self._open(bank, day) and self._out_at(bank, day) <= now:
                found.append(day)
            day += timedelta(days=1)
        return found

    def _open(self, bank: str, day: date) -> bool:
        fixed = {(1, 1), (5, 1), (12, 24), (12, 25), (12, 26), (12, 31)}
        return day.weekday() < 5 and (day.month, day.day) not in fixed and day not in self.banks[bank].holidays

    def _out_at(self, bank: str, day: date) -> datetime:
        of = self.banks[bank]
        for _ in range(of.days_later):
            day += timedelta(days=1)
            while not self._open(bank, day):
                day += timedelta(days=1)
        return datetime.combine(day, of.published_at, _EUROPE).astimezone(UTC)

    def kronor(self, bank: str, currency: str, day: date) -> Decimal:
        """What one unit of a currency costs in Swedish kronor at a bank, unrounded."""
        if currency == "SEK":
            return Decimal(1)
        pinned = self.banks[bank].pinned.get((currency, day))
        return pinned if pinned is not None else self._market(currency, day) * self._view(bank, currency, day)

    def _market(self, currency: str, day: date) -> Decimal:
        code = currency.lower()
        return exchange_rate(self._seed, code, "sek", day).scaleb(decimals(code) - decimals("sek"))

    def _view(self, bank: str, currency: str, day: date) -> Decimal:
        digest = hashlib.sha256(f"{self._seed}/{bank}/{currency}/{day.isoformat()}".encode()).digest()
        return Decimal(1) + Decimal(int.from_bytes(digest[:4], "big") % 601 - 300) / Decimal(100_000)

    def price(self, bank: str, currency: str, pivot: str, day: date, per: int = 1, places: int = 4) -> Decimal:
        """What so many units of a currency cost in a bank's own, as finely as banks write it."""
        exact = self.kronor(bank, currency, day) * per / self.kronor(bank, pivot, day)
        decimals = places if exact >= 1 else max(places, 4 - exact.adjusted())
        return exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)

    def currencies(self, bank: str, pivot: str) -> list[str]:
        """What a bank quotes, its own currency left out."""
        return sorted(code for code in self.banks[bank].quoted - {pivot} if code.lower() in CURRENCIES)

    @property
    def now(self) -> Callable[[], datetime]:
        """The world's clock."""
        return self._clock.now
