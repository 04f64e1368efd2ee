"""A payout without a list is proved by the balance before it, after it, and all that moved between."""

from datetime import datetime, timedelta

import pytest

from addon.core.money import CurrencyMismatch
from addon.core.running import Reading, RunningProof, readings_around
from tests.core.samples import UTC, money

AT = datetime(2026, 3, 6, 12, tzinfo=UTC)


def reading(hours: float, balance: str = "0.00 SEK") -> Reading:
    return Reading(AT + timedelta(hours=hours), money(balance))


def test_what_was_there_what_moved_and_what_left_is_what_is_there() -> None:
    before, after = reading(-8, "1000.00 SEK"), reading(16, "1045.00 SEK")
    proof = RunningProof(before, money("250.00 SEK"), 3, money("-205.00 SEK"), after)
    assert (proof.expected, proof.difference, proof.holds) == (money("1045.00 SEK"), money("0.00 SEK"), True)


def test_a_balance_that_moved_by_something_else_says_by_how_much() -> None:
    proof = RunningProof(
        reading(-8, "1000.00 SEK"), money("250.00 SEK"), 3, money("-205.00 SEK"), reading(16, "1044.99 SEK")
    )
    assert (proof.difference, proof.holds) == (money("-0.01 SEK"), False)
    with pytest.raises(CurrencyMismatch):
        RunningProof(reading(0), money("1.00 EUR"), 1, money("-1.00 SEK"), reading(1)).holds  # noqa: B018


def test_the_nearest_readings_count_and_one_of_the_same_instant_is_after() -> None:
    readings = [reading(-30), reading(-6), reading(0), reading(20), reading(-20)]
    assert readings_around(AT, readings) == (reading(-6), reading(0))
    assert readings_around(AT, readings[::-1]) == (reading(-6), reading(0))
    assert readings_around(AT, [reading(-6), reading(20), reading(4)]) == (reading(-6), reading(4))
    assert readings_around(AT, [reading(-6)]) is None
    assert readings_around(AT, [reading(6)]) is None
    assert readings_around(AT, []) is None
