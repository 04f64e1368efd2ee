"""What was read of an agreement and holds for a while: shared by all who write for it in one slice of work."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from addon.connectors.economic.registers import Registers
from addon.connectors.economic.translate import Row
from addon.core.dates import FinancialYear


@dataclass(slots=True)
class Memory:
    """One agreement's registers, journals and years, and which sign payments have there. Change it under `lock`.

    Several documents are in flight at once, each with a connector of its own: without this each would read it all.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    read: tuple[str, Registers] | None = None
    """The books' currency, and the registers that invoices name."""
    products: set[str] = field(default_factory=set)
    journals: tuple[Row, ...] | None = None
    years: tuple[FinancialYear, ...] | None = None
    receipt_sign: int | None = None
    """The sign that money received has there: -1 or 1."""
    sign_asked: bool = False
    """Whether it was looked for among the payments that are booked."""
    first_payment: str = ""
    """The key of the payment that shows it, while that is on its way."""
