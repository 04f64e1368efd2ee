"""The bank account's lines against the payouts: which arrived, which are missing, doubled, or of another amount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from addon.core.money import Money


class BankVerdict(StrEnum):
    """What the bank account says of a payout."""

    ARRIVED = "arrived"
    MISSING = "missing"
    DOUBLED = "doubled"
    """It stands there more than once."""
    AMOUNT_DIFFERS = "amount_differs"


@dataclass(frozen=True, slots=True)
class ExpectedPayout:
    """A payout that should stand on a bank account: `amount` as that account counts it, on or soon after `day`.

    `vouchers` are the entries that Kvitt made for it, where it made any.
    """

    ref: str
    amount: Money
    day: date
    vouchers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BankLine:
    """A line of a bank account, or of its ledger account: money in is positive."""

    reference: str
    day: date
    amount: Money
    text: str = ""


@dataclass(frozen=True, slots=True)
class BankFinding:
    """A payout with what was found of it, and the lines that were taken for it."""

    payout: ExpectedPayout
    verdict: BankVerdict
    found: Money
    lines: tuple[BankLine, ...]


EARLIEST: Final = timedelta(days=2)
LATEST: Final = timedelta(days=7)
"""A bank's day may lie before the provider's arrival day, and weekends with holidays after it."""


def compare_bank(
    payouts: Sequence[ExpectedPayout], lines: Sequence[BankLine], mark: str = ""
) -> tuple[BankFinding, ...]:
    """Compare payouts with a bank account's lines. Each line is taken once, by the payout that it lies nearest to.

    First our own vouchers; then lines of the exact amount near the day, to payouts that lack one; what is left over of
    the same amount doubles a payout that has one. A line that names the payout, or the provider (`mark`), and has
    another amount is that payout with a wrong amount.
    """
    ordered = sorted(payouts, key=lambda one: (one.day, one.ref))
    taken: dict[str, list[BankLine]] = {one.ref: [] for one in ordered}
    ours = {voucher: one.ref for one in ordered for voucher in one.vouchers}
    left: list[BankLine] = []
    for line in lines:
        if line.reference in ours:
            taken[ours[line.reference]].append(line)
        else:
            left.append(line)
    own = {ref: bool(found) for ref, found in taken.items()}
    for payout in ordered:
        if not taken[payout.ref]:
            _take(payout, left, taken, mark="")
    again = True
    while again:
        # Beside an entry of our own, the same amount near the day is enough: somebody has booked the bank's line as
        # well. Otherwise a second line must name the payout or the provider: equal amounts do occur by chance.
        again = False
        for payout in ordered:
            if taken[payout.ref]:
                own_mark = "" if own[payout.ref] else mark or payout.ref
                again = _take(payout, left, taken, mark=own_mark) or again
    _take_differing([payout for payout in ordered if not taken[payout.ref]], left, taken, mark)
    return tuple(_finding(payout, tuple(taken[payout.ref])) for payout in ordered)


def _take(payout: ExpectedPayout, left: list[BankLine], taken: dict[str, list[BankLine]], *, mark: str) -> bool:
    """Give a payout the nearest line of its amount; with `mark`, only one that names it or the provider."""
    near = [
        line
        for line in left
        if _is_near(line, payout) and line.amount == payout.amount and (not mark or _names(line, payout, mark))
    ]
    if not near:
        return False
    best = min(near, key=lambda line: (not _names(line, payout, mark), abs(line.day - payout.day), line.reference))
    left.remove(best)
    taken[payout.ref].append(best)
    return True


def _take_differing(
    payouts: Sequence[ExpectedPayout], left: list[BankLine], taken: dict[str, list[BankLine]], mark: str
) -> None:
    """Give payouts without a line those that name them or the provider, the smallest difference first."""
    pairs = [
        (abs(line.amount - payout.amount).minor, payout.day, payout.ref, line)
        for payout in payouts
        for line in left
        if _is_near(line, payout)
        and _names(line, payout, mark)
        and (line.amount.minor > 0) is (payout.amount.minor > 0)
    ]
    for _, _, ref, line in sorted(pairs, key=lambda pair: (pair[0], pair[1], pair[2], pair[3].reference)):
        if not taken[ref] and line in left:
            left.remove(line)
            taken[ref].append(line)


def _is_near(line: BankLine, payout: ExpectedPayout) -> bool:
    return payout.day - EARLIEST <= line.day <= payout.day + LATEST


def _names(line: BankLine, payout: ExpectedPayout, mark: str) -> bool:
    text = line.text.casefold()
    return payout.ref.casefold() in text or (bool(mark) and mark.casefold() in text)


def _finding(payout: ExpectedPayout, lines: tuple[BankLine, ...]) -> BankFinding:
    found = Money.total((line.amount for line in lines), payout.amount.currency)
    if not lines or (payout.amount and not found):
        # Nothing there, or an entry and the one that took it back.
        verdict = BankVerdict.MISSING
    elif found == payout.amount:
        verdict = BankVerdict.ARRIVED
    elif len(lines) > 1 and all(line.amount == payout.amount for line in lines):
        verdict = BankVerdict.DOUBLED
    else:
        verdict = BankVerdict.AMOUNT_DIFFERS
    return BankFinding(payout, verdict, found, lines)
