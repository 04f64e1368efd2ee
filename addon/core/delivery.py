"""Pure decisions of the delivery outbox: states, retries, and whether an answer agrees with the plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import assert_never

from addon.core.accounts import Account
from addon.core.books import InvoiceView
from addon.core.documents import Invoice, InvoiceLine
from addon.core.fixings import OWN_RATE_BAND
from addon.core.holds import HoldReason
from addon.core.money import Money


class DeliveryState(StrEnum):
    """Where a remote write is: `proposed → approved → sending → booked | rejected`."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    SENDING = "sending"
    BOOKED = "booked"
    REJECTED = "rejected"


class PartState(StrEnum):
    """Where a part of a movement is. Each part is in exactly one of these."""

    OPEN = "open"
    """Fetched, not yet planned."""
    PLANNED = "planned"
    """A document has been made of it, and waits for approval or delivery."""
    BOOKED = "booked"
    WAITING = "waiting"
    HELD = "held"
    SET_ASIDE = "set_aside"


UNBOOKED_STATES = frozenset(PartState) - {PartState.BOOKED}


class FailureKind(StrEnum):
    """How an attempt at a remote write ended, other than well."""

    TRY_LATER = "try_later"
    OUTCOME_UNKNOWN = "outcome_unknown"
    CRASHED = "crashed"


def retry_delay(kind: FailureKind, attempt: int, told_s: int | None, quarantine_s: int) -> timedelta:
    """How long to leave a delivery alone after its attempt number `attempt` (from 1) failed.

    An unknown outcome waits the quarantine out, since their server may still be writing; "try later" waits as
    long as they said, or 2, 4, 8 … seconds up to five minutes.
    """
    match kind:
        case FailureKind.OUTCOME_UNKNOWN | FailureKind.CRASHED:
            return timedelta(seconds=quarantine_s)
        case FailureKind.TRY_LATER:
            return timedelta(seconds=told_s if told_s is not None else min(300, 2 ** min(attempt, 9)))
        case _:
            assert_never(kind)


class Verdict(StrEnum):
    """What comparing a created invoice with its plan says to do."""

    AGREES = "agrees"
    ROUNDED_UP = "rounded_up"
    """The system rounded the total up; the payment closes the difference as a write-off."""
    ROUNDED_DOWN = "rounded_down"
    """The system rounded the total below what was paid; a rounding row must be added first."""
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The verdict on a created invoice, the hold it leads to, and the facts for its sentence."""

    verdict: Verdict
    reason: HoldReason | None = None
    facts: tuple[tuple[str, str], ...] = ()


_WHOLE = Decimal(1)


def compare_created(plan: Invoice, answer: InvoiceView, books_currency: str) -> Comparison:
    """Compare what was created with what was planned, before it is booked: currency, total, VAT, rate."""
    facts = (("number", answer.number), ("planned", str(plan.total)), ("made", str(answer.total)))
    if answer.currency != plan.currency:
        return Comparison(Verdict.DIFFERS, HoldReason.TOTAL_DIFFERS, facts)
    difference = answer.total - plan.total
    verdict = Verdict.AGREES
    if difference:
        rounded = answer.round_off is not None and answer.round_off == difference
        if not rounded or abs(difference.to_decimal()) >= _WHOLE or plan.currency != books_currency:
            return Comparison(Verdict.DIFFERS, HoldReason.TOTAL_DIFFERS, facts)
        magnitude_grew = (difference.minor > 0) == (plan.total.minor > 0)
        verdict = Verdict.ROUNDED_UP if magnitude_grew else Verdict.ROUNDED_DOWN
    allowed = Decimal(0) if plan.vat_exact else Decimal("0.01") * len(plan.lines)
    if abs(answer.vat - plan.vat) > allowed:
        return Comparison(
            Verdict.DIFFERS,
            HoldReason.TOTAL_DIFFERS,
            (*facts, ("planned_vat", str(plan.vat)), ("made_vat", str(answer.vat))),
        )
    rate_fault = _rate_fault(plan, answer, books_currency)
    if rate_fault is not None:
        return Comparison(Verdict.DIFFERS, HoldReason.RATE_DIFFERS, (*facts, *rate_fault))
    return Comparison(verdict, facts=facts)


def _rate_fault(plan: Invoice, answer: InvoiceView, books_currency: str) -> tuple[tuple[str, str], ...] | None:
    made = answer.books_rate()
    if plan.currency == books_currency:
        return None if made == 1 else (("planned_rate", "1"), ("made_rate", str(made)))
    if plan.rate is not None:
        planned = plan.rate.per_one()
        if abs(made - planned) > planned * Decimal("0.000001"):
            return (("planned_rate", str(planned)), ("made_rate", str(made)))
        return None
    expected = (("expected_rate", str(plan.expected_rate)),) if plan.expected_rate is not None else ()
    # Exactly 1 is the one rate that is known to be a fault of the API, and a Norwegian or Danish krone is near
    # enough to 1 for the tolerance below to let it through, five per cent wrong.
    if made <= 0 or made == 1:
        return (*expected, ("made_rate", str(made)))
    if plan.expected_rate is not None and abs(made - plan.expected_rate) > plan.expected_rate * OWN_RATE_BAND:
        return (*expected, ("made_rate", str(made)))
    return None


def rounding_line(total: Money, account: Account) -> InvoiceLine | None:
    """The row without VAT that lifts a total's magnitude to the next whole unit; None if it is whole."""
    value = total.to_decimal()
    magnitude = abs(value)
    lift = magnitude.to_integral_value(ROUND_CEILING) - magnitude
    if lift == 0:
        return None
    sign = -1 if total.minor < 0 else 1
    return InvoiceLine("Öresavrundning", Money.from_decimal(sign * lift, total.currency), 0, account)


def with_rounding(plan: Invoice, account: Account) -> Invoice:
    """The same invoice with its rounding row; itself if its total is whole."""
    line = rounding_line(plan.total, account)
    if line is None:
        return plan
    return replace(plan, lines=(*plan.lines, line), total=plan.total + line.gross, rounding_line=True)


def write_off(total: Money, paid: Money) -> Money | None:
    """What a payment must write off so that it closes an invoice of `total`; None if nothing.

    Raises `ValueError` for a difference of a whole unit or more: that is no rounding and must not be hidden.
    """
    difference = total - paid
    if not difference:
        return None
    if abs(difference.to_decimal()) >= _WHOLE:
        raise ValueError(f"{difference} is no rounding difference")
    return difference
