"""How a connector describes itself: how it is built, how a company gives access, what is said on the pages.

A connector's folder has a module `connector.py` with one value of these, `CONNECTOR`; one line in
`addon.ports.registry` makes it known. Texts are marked with `_` and translated where they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final, Protocol, TypeVar

from addon.core.books import OrderField
from addon.core.checklists import Prerequisite
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
class Notice:
    """A page that says what is in the way of installing, and what to do.

    `%(system)s` is filled in with the system's title, `%(words)s` with what it said itself.
    """

    title: str
    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class Unasked:
    """What is said to a browser that comes back without having set out from here, and the button to go on with."""

    what: str
    advice: str
    button: str


NO_ANSWER: Final = Notice(
    _("%(system)s sent you back without an answer"),
    _("That happens when somebody said no, or when the page was closed half-way. Nothing has been installed."),
    _("Should you change your mind, start again here."),
)
DENIED: Final = Notice(
    _("You said no, and that is fine"),
    _("Kvitt was not let into %(system)s. Nothing has been installed or changed."),
    _("Should you change your mind, start again here."),
)
NOT_GIVEN: Final = Notice(
    _("%(system)s did not give the permission"),
    _("It says: %(words)s. Nothing has been installed."),
    _("Start again. If it stays so, tell us what it said."),
)
NOT_TAKEN: Final = Notice(
    _("%(system)s does not accept this permission"),
    _("It was taken back over there, or the address was mistyped. Nothing has been installed."),
    _("Start again: it takes a minute."),
)


@dataclass(frozen=True, slots=True)
class AccountingWay:
    """How a company lets us into its books, and what is said where that does not go well.

    `grant_in` names the word of the address under which the grant comes back, or the code that is exchanged for one;
    empty, where the page is arranged and our own reference is the code. A way that is typed has fields instead.
    """

    kind: WayKind
    grant_in: str = "code"
    unasked: Unasked | None = None
    """Where the system's marketplace may begin with a state of its own. None: a state that is not ours is refused."""
    heading: str = ""
    guide: tuple[str, ...] = ()
    """What a person does over there, step by step."""
    fields: tuple[Field, ...] = ()
    no_answer: Notice = NO_ANSWER
    denied: Notice = DENIED
    not_given: Notice = NOT_GIVEN
    not_taken: Notice = NOT_TAKEN
    refusals: Mapping[str, Notice] = field(default_factory=dict)
    """What is said of a refusal by its code, instead of `not_taken`."""


Words = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class SystemWords:
    """What a system calls things, where that is not what Kvitt calls them."""

    faults: Words = field(default_factory=dict)
    """What is wrong, by the code of a check and its fault; names in it are those of the check's details."""
    repairs: Mapping[str, str] = field(default_factory=dict)
    """Buttons, by the remedy; `%(subject)s` is what it concerns."""
    choices: Words = field(default_factory=dict)
    """Choices of settings, by the setting's name and the value."""
    settings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Settings, by their name: what each is called, and what helps to choose."""
    languages: tuple[str, ...] = ()
    """What is read at home: whoever reads one of these sees this system first."""
    vat_codes: str = _(
        "Each of these sales accounts needs a VAT code of its country and rate, so that its VAT stays out of your own "
        "country's return. The account of the VAT is used for vouchers."
    )
    """Where in the books the VAT codes of other countries are chosen."""


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
    way: AccountingWay
    checklist: tuple[Prerequisite, ...]
    """What the books must be like, in the system's words and in the order in which people should read it."""
    settings: tuple[str, ...] = ()
    """Names of the environment without which it is not offered."""
    nudges_only: bool = False
    tells_person: bool = True
    """Whether it signs people in. Where it does not, whoever installs gives an e-mail address to come back by."""
    tells_method: bool = True
    """Whether it tells by which method the books are kept; else a person is asked once."""
    file_scopes: frozenset[str] | None = None
    """What a company must have consented to before records are attached to vouchers; None: it takes no files."""
    order_fields: tuple[OrderField, ...] = tuple(OrderField)
    """Where on its invoices an order number may stand."""
    words: SystemWords = field(default_factory=SystemWords)
