"""What every use case is given: the database, the clock, the way to the outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from addon.core.fixings import RateChoice
from addon.ports.accounting import AccountingSystem
from addon.ports.calls import CallObserver, Lane, TokenSource
from addon.ports.mail import Mailer
from addon.ports.oauth import Authorisation
from addon.ports.payments import PaymentSource
from addon.ports.rates import RateSource
from addon.ports.vat_numbers import VatNumberRegister
from addon.services.tally import Tally
from addon.store.database import Database
from addon.store.secrets import SealedBox

NO_CHOICES: Final[Mapping[str, str]] = MappingProxyType({})


class Outside(Protocol):
    """Builds what talks to the outside. `bootstrap` has the only implementation for real use."""

    def accounting(
        self,
        system: str,
        tenant: str,
        tokens: TokenSource,
        observer: CallObserver,
        lane: Lane,
        choices: Mapping[str, str] = NO_CHOICES,
    ) -> AccountingSystem:
        """One company's books, for example `fortnox`.

        `choices` are what the company has chosen of its registers, by the names of settings (`core.invoicing.Choice`).
        """
        ...

    def payments(
        self,
        provider: str,
        way: str,
        account_ref: str,
        tokens: TokenSource,
        observer: CallObserver,
        order_places: tuple[str, ...] = (),
    ) -> PaymentSource:
        """One connection to a provider, for example `stripe` by the way `connect`, `app` or `key`.

        `order_places` are where the company's shop writes order numbers; they are looked at before the usual ones.
        """
        ...

    def accounting_authorisation(self, system: str) -> Authorisation:
        """The consent of an accounting system."""
        ...

    def vat_register(self, observer: CallObserver) -> VatNumberRegister:
        """The register that confirms buyers' VAT numbers."""
        ...

    def payment_authorisation(self, provider: str, way: str) -> Authorisation:
        """The consent of a payment provider. Raises `KeyError` for a way without one (`key`)."""
        ...

    def rates(self, choice: RateChoice, observer: CallObserver) -> RateSource:
        """A bank's published exchange rates. Raises `LookupError` for the accounting system's own."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that use cases work with. `nudge` tells the queue that a company wants work; it may be lost."""

    db: Database
    box: SealedBox
    now: Callable[[], datetime]
    outside: Outside
    nudge: Callable[[int], None]
    quarantine_s: int = 600
    lease_s: int = 180
    in_flight: int = 4
    slice_s: int = 50
    sandbox: bool = False
    holder: str = "kvitt"
    """Names this process in lease rows."""
    tally: Tally = field(default_factory=Tally)
    """What this process has counted."""
    stopping: Callable[[], bool] = lambda: False
    """Whether this process was told to stop: then a slice ends after the write at hand, and others go on."""
    queued: Callable[[], int | None] | None = None
    """How many jobs wait in Redis; gives None while it does not answer. None: there is no queue here."""
    mailer: Mailer | None = None
    """The way to send mail; None: this installation has none, and nobody signs in by a mailed link."""
