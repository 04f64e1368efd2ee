"""Every outside company that Kvitt can be connected to: one line each, and nothing else anywhere.

The rest stands in the company's own folder, whose `connector.py` describes it (docs/connectors.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from addon.core.checklists import Prerequisite
from addon.ports.connectors import AccountingConnector, PaymentConnector


@dataclass(frozen=True, slots=True)
class Registered:
    """One outside company: `name` is that of its folder, of its addresses and in the database, `title` is for people.

    `folder` is the package its description lies in, where that is another than its folder below the connectors.
    """

    name: str
    title: str
    folder: str = ""

    @property
    def module(self) -> str:
        """Where the description lies. Importing it takes a while: what the connector stands on comes with it."""
        return f"{self.folder or f'addon.connectors.{self.name}'}.connector"


PAYMENTS: Final[list[Registered]] = [
    Registered("stripe", "Stripe"),
    Registered("paypal", "PayPal"),
]

ACCOUNTING: Final[list[Registered]] = [
    Registered("fortnox", "Fortnox"),
    Registered("economic", "e-conomic"),
]


class NotRegistered(LookupError):
    """There is no such outside company here."""


def title(name: str) -> str:
    """An outside company as people write it; the name itself where it is not known (any more)."""
    return next((one.title for one in (*PAYMENTS, *ACCOUNTING) if one.name == name), name.capitalize())


def payment(name: str) -> PaymentConnector:
    """The description of a payment provider. Raises `NotRegistered`."""
    found = _described(PAYMENTS, name)
    if not isinstance(found, PaymentConnector):
        raise NotRegistered(f"{name} does not describe a payment provider")
    return found


def accounting(name: str) -> AccountingConnector:
    """The description of an accounting system. Raises `NotRegistered`."""
    found = _described(ACCOUNTING, name)
    if not isinstance(found, AccountingConnector):
        raise NotRegistered(f"{name} does not describe an accounting system")
    return found


def prerequisites(system: str) -> Mapping[str, Prerequisite]:
    """A system's list by code, and below it what only other systems have, for lines that were stored before."""
    entries = [entry for line in ACCOUNTING for entry in accounting(line.name).checklist]
    own = accounting(system).checklist if any(line.name == system for line in ACCOUNTING) else ()
    return {entry.code: entry for entry in (*entries, *own)}


def _described(lines: list[Registered], name: str) -> object:
    line = next((one for one in lines if one.name == name), None)
    if line is None:
        raise NotRegistered(f"there is no {name!r} here")
    return import_module(line.module).CONNECTOR
