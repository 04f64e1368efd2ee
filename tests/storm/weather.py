"""What fails outside during a storm: which call, and how. Chosen by the seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from addon.sandbox.economic.faults import Fault as EconomicFault
from addon.sandbox.fortnox.faults import Fault as FortnoxFault
from addon.sandbox.stripe.faults import Fault as StripeFault
from addon.sandbox.stripe.faults import Kind as StripeKind
from addon.sandbox.world import World

FORTNOX: Final = (
    ("lost_before", 0.0),
    ("lost_after", 0.0),
    ("lost_after", 0.0),
    ("timeout_before", 2.5),
    ("error_500_before", 0.0),
    ("error_500_after", 0.0),
    ("html_502_before", 0.0),
    ("html_502_after", 0.0),
    ("rate_limited", 1.0),
    ("unauthorized", 0.0),
    ("truncated_json", 0.0),
    ("internal_1000029", 0.0),
    ("internal_1000029_after", 0.0),
    ("slow", 2.5),
    ("zombie", 2.0),
    ("zombie", 15.0),
    ("zombie", 60.0),
)
"""Kinds of faults and their seconds: time-outs are longer than a storm's calls may take, so they strike on our side
first, and a `slow` call is carried out when it was given up. Zombies are carried out as much later: some before anyone
looks, some when the same has been written again, which must be undone in the open."""
_ECONOMIC_UNKNOWN: Final = ("internal_1000029", "internal_1000029_after", "unauthorized")
"""What e-conomic does not say; a grant that is refused ends the connection."""
ECONOMIC: Final = tuple((name, seconds) for name, seconds in FORTNOX if name not in _ECONOMIC_UNKNOWN)
CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    "fortnox": (
        "POST /3/customers$",
        "POST /3/invoices$",
        "POST /3/invoices$",
        "PUT /3/invoices/[0-9]+/bookkeep$",
        "PUT /3/invoices/[0-9]+/credit$",
        "PUT /3/invoices/[0-9]+$",
        "POST /3/invoicepayments$",
        "POST /3/invoicepayments$",
        "PUT /3/invoicepayments/[0-9]+/bookkeep$",
        "POST /3/vouchers$",
        "POST /3/vouchers$",
        "GET /3/",
        "POST /oauth-v1/token$",
    ),
    "economic": (
        "POST /rest/customers$",
        "POST /rest/invoices/drafts$",
        "POST /rest/invoices/drafts$",
        "PUT /rest/invoices/drafts/[0-9]+$",
        "POST /rest/invoices/booked$",
        "POST /rest/invoices/booked$",
        "POST .*/draft-entries/bulk$",
        "POST .*/draft-entries/bulk$",
        "POST .*/bookdraftentries$",
        "POST .*/bookdraftentries$",
        "POST .*/bookdraftentries$",
        "DELETE /",
        "GET /rest/",
        "GET /apis/",
    ),
}
"""Which calls to the books may be struck."""
STRIPE: Final[tuple[StripeKind, ...]] = (
    "lost_before",
    "lost_after",
    "slow",
    "error_500",
    "html_500",
    "rate_limited",
    "truncated_json",
)


READS: Final[Mapping[str, tuple[str, ...]]] = {
    "stripe": ("GET /v1/",),
    "paypal": ("GET /v1/reporting", "GET /v1/reporting", "POST /v1/oauth2/token"),
}
"""Which calls to the payment provider may be struck."""


@dataclass
class Weather:
    """The faults of one storm, at all outside companies that take part in it."""

    world: World
    chance: random.Random
    systems: Sequence[str]
    providers: Sequence[str]
    _books: list[FortnoxFault | EconomicFault] = field(default_factory=list)
    _reads: list[tuple[str, StripeFault]] = field(default_factory=list)

    def fail(self) -> str:
        """Let one call fail, the next that matches; says which."""
        if self.chance.random() < 0.12:
            return self._fail_reading(self.chance.choice(self.providers))
        system = self.chance.choice(self.systems)
        name, seconds = self.chance.choice(FORTNOX if system == "fortnox" else ECONOMIC)
        match = self.chance.choice(CALLS[system])
        after = self.chance.randint(0, 3)
        if system == "fortnox":
            fault = FortnoxFault(name, match, after=after, seconds=seconds)
            self._books.append(self.world.fortnox.faults.add(fault))
        else:
            other = EconomicFault(name, match, after=after, seconds=seconds)
            self._books.append(self.world.economic.faults.add(other))
        return f"{name} at {match}"

    def _fail_reading(self, provider: str) -> str:
        kind, match = self.chance.choice(STRIPE), self.chance.choice(READS[provider])
        faults = self.world.stripe.faults if provider == "stripe" else self.world.paypal.faults
        self._reads.append((provider, faults.add(StripeFault(kind, match, seconds=1.0))))
        return f"{provider} {kind}"

    def struck(self) -> Counter[str]:
        """How many calls failed in each way."""
        counts: Counter[str] = Counter()
        for fault in self._books:
            counts[fault.kind] += fault.struck
        for provider, other in self._reads:
            counts[f"{provider} {other.kind}"] += other.hits
        return +counts

    def clears(self) -> None:
        """Nothing fails any more, and what was given up is carried out."""
        for faults in (self.world.fortnox.faults, self.world.economic.faults):
            faults.clear()
        for reads in (self.world.stripe.faults, self.world.paypal.faults):
            reads.clear()
        self.world.fortnox.run_zombies()
        self.world.economic.run_zombies()
