"""What fails outside during a storm: which call, and how. Chosen by the seed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

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
CALLS: Final = (
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
)
STRIPE: Final[tuple[StripeKind, ...]] = (
    "lost_before",
    "lost_after",
    "slow",
    "error_500",
    "html_500",
    "rate_limited",
    "truncated_json",
)


@dataclass
class Weather:
    """The faults of one storm."""

    world: World
    chance: random.Random
    fortnox: list[FortnoxFault] = field(default_factory=list)
    stripe: list[StripeFault] = field(default_factory=list)

    def fail(self) -> str:
        """Let one call fail, the next that matches; says which."""
        if self.chance.random() < 0.12:
            kind = self.chance.choice(STRIPE)
            self.stripe.append(self.world.stripe.faults.add(StripeFault(kind, "GET /v1/", seconds=1.0)))
            return f"stripe {kind}"
        name, seconds = self.chance.choice(FORTNOX)
        match = self.chance.choice(CALLS)
        fault = FortnoxFault(name, match, after=self.chance.randint(0, 3), seconds=seconds)
        self.fortnox.append(self.world.fortnox.faults.add(fault))
        return f"{name} at {match}"

    def struck(self) -> Counter[str]:
        """How many calls failed in each way."""
        counts: Counter[str] = Counter()
        for fault in self.fortnox:
            counts[fault.kind] += fault.struck
        for other in self.stripe:
            counts[f"stripe {other.kind}"] += other.hits
        return +counts

    def clears(self) -> None:
        """Nothing fails any more, and what was given up is carried out."""
        self.world.fortnox.faults.clear()
        self.world.stripe.faults.clear()
        self.world.fortnox.run_zombies()
