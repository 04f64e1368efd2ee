"""How a connector describes itself: how it is built, how a company gives access, what is said on the pages.

A connector's folder has a module `connector.py` with one value of these, `CONNECTOR`; one line in
`addon.ports.registry` makes it known. Texts are marked with `_` and translated where they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol, TypeVar

from addon.core.fee_vat import FeeEntity
from addon.ports.accounting import AccountingSystem
from addon.ports.calls import CallObserver, Lane, Pace, TokenSource
from addon.ports.oauth import Authorisation
from addon.ports.payments import PaymentSource
from addon.ports.webhooks import ReadWebhook

T = TypeVar("T")


def _(text: str) -> str:
    """Mark a text for the translators."""
    return text


class NotOffered(LookupError):
    """This installation has no credentials for an outside company, or does not know it."""


class Workshop(Protocol):
    """What a connector is built with. One belongs to a process, and is made after any fork."""

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock."""
        ...

    @property
    def production(self) -> bool:
        """Whether real books are at stake."""
        ...

    def setting(self, name: str) -> str:
        """A setting by its name in the environment, which begins with the connector's. Raises `NotOffered`."""
        ...

    def own_secret(self) -> bytes:
        """Kvitt's own secret, to make words from that nobody else can make."""
        ...

    def address(self, path: str) -> str:
        """One of our own addresses as others reach it."""
        ...

    def http(self, system: str, observer: CallObserver | None = None, deadline_s: float | None = None) -> Any:
        """An `addon.connectors.http.HttpClient` whose calls are counted, told, and ended in time."""
        ...

    def pace(self, key: str, calls_per_5_s: int | None = None) -> Pace:
        """Keeps calls under a limit over all our processes; None: as many as FORTNOX_CALLS_PER_5_S says."""
        ...

    def kept(self, owner: object, make: Callable[[], T]) -> T:
        """Something that lives as long as its owner, made when first asked for: what one slice of work has read."""
        ...


class WayKind(Enum):
    """How a company lets us in."""

    CONSENT = "consent"
    """OAuth: the browser goes to a consent page and comes back with a code."""
    ARRANGED = "arranged"
    """The consent page is asked for first (`ArrangedConsent`), and names the visit by a reference of ours."""
    TYPED = "typed"
    """A person types credentials. Where the way has an authorisation it takes them as its code, with colons between;
    where it has none they are the grant's access token."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form for credentials."""

    name: str
    label: str
    longest: int = 300
    secret: bool = True
    placeholder: str = ""
    help: str = ""


@dataclass(frozen=True, slots=True)
class PaymentWay:
    """One way into a merchant's account: `title` is what it is called, `button` what leads there."""

    name: str
    kind: WayKind
    title: str
    button: str
    heading: str = ""
    help: str = ""
    guide: tuple[str, ...] = ()
    """What a person does over there, step by step."""
    fields: tuple[Field, ...] = ()
    missing: str = ""
    """What is said where the first field was left empty."""
    granted: tuple[str, str] | None = None
    """A word in the address of the way back, and its value where the company said yes."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a person is told when something is in the way: what it is, and what to do."""

    what: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class PaymentConnector:
    """A payment provider.

    `source` builds a connection to one merchant: the way, the account (empty where it is not known yet), its tokens,
    who is told of calls, and where the company's shop writes order numbers. `authorisation` gives a way's consent;
    it raises `LookupError` for a way without one, or without credentials here. `webhooks` gives who reads what the
    provider's server sends, None where this installation takes none.
    """

    reads: str
    """One sentence for a company: what Kvitt reads there, and that it moves no money."""
    ways: tuple[PaymentWay, ...]
    source: Callable[[Workshop, str, str, TokenSource, CallObserver, tuple[str, ...]], PaymentSource]
    authorisation: Callable[[Workshop, str], Authorisation]
    webhooks: Callable[[Workshop], ReadWebhook | None]
    test_mode: Said
    """What is said of an account whose money is not real."""
    not_accepted: Said
    """What is said of credentials or a consent that the provider does not take."""
    refused: Said
    """What is said, besides the provider's own words, where it said no."""
    refusals: Mapping[str, str]
    """What is said of a refusal by its code, instead of the provider's own words."""
    invoiced_by: FeeEntity | None = None
    """Which company of the provider's writes most Nordic companies' tax invoices: a guess for a person to confirm."""
    straight: str = ""
    """The way that the button leads to at once; empty: to a page of all ways."""

    def way(self, name: str) -> PaymentWay:
        """A way by its name. Raises `KeyError`."""
        for way in self.ways:
            if way.name == name:
                return way
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class AccountingConnector:
    """An accounting system.

    `system` builds the books of one company: its tenant, tokens, who is told of calls, how urgent they are, and what
    the company has chosen of its registers. `nudges_only`: what its server sends is believed in nothing; else it may
    say that our access has ended, and that is looked after.
    """

    system: Callable[
        [Workshop, str, TokenSource, CallObserver, Lane, Mapping[str, str]],
        AccountingSystem,
    ]
    authorisation: Callable[[Workshop], Authorisation]
    webhooks: Callable[[Workshop], ReadWebhook | None]
    nudges_only: bool = False
