"""What the suites ask of a bed: one company in one simulated outside, and a connector in front of it."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

import httpx

from addon.core.accounts import Account
from addon.ports import registry
from addon.ports.accounting import AccountingSystem, Known
from addon.ports.payments import PaymentSource
from tests.conformance.line import Line
from tests.support.doubles import CallLog

TEMPLATES = {"template": "tests.template.bed", "ledger": "tests.template.accounting_bed"}
PAYMENTS = (*sorted(line.name for line in registry.PAYMENTS), "template")
ACCOUNTING = (*sorted(line.name for line in registry.ACCOUNTING), "ledger")
"""Every connector that is registered, and the template that a new one begins from."""


@dataclass(slots=True)
class Ground:
    """What a bed is built on: the network, a way to serve an app on a loopback port, and who notes the calls."""

    network: httpx.BaseTransport
    serve: Callable[[WSGIApplication], str]
    log: CallLog = field(default_factory=CallLog)


class Bed(Protocol):
    """What both kinds have."""

    line: Line
    log: CallLog
    secrets: tuple[str, ...]
    """Every word that may stand in no message, no log and no `repr`."""
    renews: bool
    """Whether a refused token is renewed once before a person is asked."""

    def now(self) -> datetime:
        """The time there."""
        ...

    def advance(self, by: timedelta) -> None:
        """Let time pass there."""
        ...

    def revoke(self) -> None:
        """The company takes its consent back, over there."""
        ...


class PaymentBed(Bed, Protocol):
    """A merchant at a payment provider, with nothing in the account yet."""

    currency: str
    page_rows: int
    """How many rows a page of the provider's list has."""
    optional: frozenset[str]
    """Questions that a company need not let us ask: while they are closed there is nothing to tell, and no fault."""
    delay: timedelta
    """How long the provider may need until its list tells a row."""

    def source(self) -> PaymentSource:
        """A connector as another process would make it."""
        ...

    def sell(self, minor: int, at: datetime | None = None) -> str:
        """Money comes in, without a fee or with one; what the movement's reference begins with."""
        ...

    def do_business(self) -> None:
        """Something of everything that moves the balance, in several currencies, payouts among it."""
        ...


class AccountingBed(Bed, Protocol):
    """A company in an accounting system, its books open, and our series or journal made."""

    currency: str
    day: date
    sales: Account
    clearing: Account
    bank: Account
    series: str
    year_ref: str
    page_rows: int
    """How many rows a page of the list of customers has."""
    endless: frozenset[str]
    """Questions answered with a text that nothing ends: only the length that HTTP tells says that it is whole."""

    def system(self) -> AccountingSystem:
        """A connector as another process would make it."""
        ...

    def ledger(self) -> dict[str, Decimal]:
        """What stands on each account that was touched, by the simulated books themselves."""
        ...

    def standing(self) -> dict[str, int]:
        """How many customers, invoices and unbooked things there are, by the simulated books themselves."""
        ...

    def add_customers(self, count: int) -> None:
        """A person enters customers."""
        ...

    def add_currencies(self) -> dict[str, Decimal]:
        """A person adds currencies: what one unit of each is worth on the day; none where the books know one only."""
        ...

    def for_vouchers(self) -> Known:
        """What a voucher's delivery knows."""
        ...


def make_bed(name: str, ground: Ground) -> Any:
    """The bed of a connector: `make_bed` of `tests/connectors/<name>/bed.py`."""
    return importlib.import_module(TEMPLATES.get(name, f"tests.connectors.{name}.bed")).make_bed(ground)
