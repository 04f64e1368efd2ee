"""What Kvitt relies on in a bank that publishes exchange rates, asked of every one; and in the rates of the books."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest

from addon.core.fixings import PIVOTS, RateChoice
from addon.core.money import ExchangeRate
from addon.log import get_logger
from addon.ports.errors import BadReply, PortError, TryLater
from tests.conformance.beds import AccountingBed, Ground
from tests.conformance.line import FAULTS, RETRY_AFTER_S, Fault
from tests.conformance.open_beds import BANKS, BankBed, make_bank

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
"""A Wednesday, before any bank's fixing of the day is out."""
FIRST, LAST = date(2026, 3, 2), date(2026, 3, 17)
LONGEST_CALL_S = 15


@pytest.fixture(params=BANKS, ids=lambda choice: str(choice.value))
def bank(request: pytest.FixtureRequest, ground: Ground) -> BankBed:
    """Each bank in turn."""
    return make_bank(request.param, ground, NOON)


def days_of(fixings: tuple[ExchangeRate, ...]) -> list[date]:
    return sorted({fixing.fixed_on for fixing in fixings})


# --- What is declared is what is shown ------------------------------------------------------------------------


def test_a_bank_is_the_one_that_was_chosen_and_quotes_against_its_own_currency(bank: BankBed) -> None:
    source = bank.source()
    assert source.capabilities.choice is bank.choice
    assert source.capabilities.name
    assert source.capabilities.late >= timedelta(0)
    fixings = source.fetch_rates((), FIRST, LAST)
    assert len({fixing.base for fixing in fixings} | {fixing.quote for fixing in fixings}) > 20
    for fixing in fixings:
        assert PIVOTS[bank.choice] in (fixing.base, fixing.quote)
        assert fixing.base != fixing.quote
        assert fixing.source == bank.choice.value


def test_a_rate_is_for_as_many_units_as_it_says(bank: BankBed) -> None:
    """A hundred times too much or too little would pass every sum: the unit is compared with what money is worth."""
    for fixing in bank.source().fetch_rates((), FIRST, LAST):
        assert isinstance(fixing.rate, Decimal)
        told = fixing.rate / fixing.unit
        true = bank.worth(fixing.base, fixing.quote, fixing.fixed_on)
        assert abs(told / true - 1) < Decimal("0.001"), fixing


# --- Days ------------------------------------------------------------------------------------------------------


def test_days_with_a_fixing_are_told_once_and_weekends_are_left_out(bank: BankBed) -> None:
    fixings = bank.source().fetch_rates((), FIRST, LAST)
    keys = [(fixing.base, fixing.quote, fixing.fixed_on) for fixing in fixings]
    assert len(keys) == len(set(keys))
    assert days_of(fixings) == bank.days(FIRST, LAST)
    assert all(day.weekday() < 5 for day in days_of(fixings))
    saturday = date(2026, 3, 7)
    assert bank.source().fetch_rates((), saturday, saturday + timedelta(days=1)) == ()


def test_a_holiday_of_the_bank_has_no_fixing(bank: BankBed) -> None:
    tuesday = date(2026, 3, 10)
    bank.world.banks[bank.choice.value].holidays.add(tuesday)
    assert tuesday not in days_of(bank.source().fetch_rates((), FIRST, LAST))
    assert bank.source().fetch_rates((), tuesday, tuesday) == ()


def test_a_day_whose_fixing_is_not_out_is_left_out_and_there_when_it_is_late(bank: BankBed) -> None:
    today = NOON.date()
    source = bank.source()
    assert today not in days_of(source.fetch_rates((), FIRST, today))
    end_of_today = datetime(2026, 3, 19, tzinfo=UTC)
    bank.advance(end_of_today + source.capabilities.late - NOON)
    assert today in days_of(bank.source().fetch_rates((), FIRST, today))


def test_years_back_are_told_as_well_in_few_calls(bank: BankBed) -> None:
    first, last = date(2024, 12, 1), date(2026, 3, 1)
    bank.quotes("EUR", "USD", "SEK", "DKK")
    calls = len(bank.line.calls)
    fixings = bank.source().fetch_rates((), first, last)
    assert days_of(fixings) == bank.days(first, last)
    assert len(bank.line.calls) - calls <= 5
    keys = [(fixing.base, fixing.quote, fixing.fixed_on) for fixing in fixings]
    assert len(keys) == len(set(keys))


def test_only_the_currencies_that_were_named_are_told(bank: BankBed) -> None:
    pivot = PIVOTS[bank.choice]
    fixings = bank.source().fetch_rates(("NOK", "XTS"), FIRST, LAST)
    assert {fixing.base for fixing in fixings} | {fixing.quote for fixing in fixings} == {"NOK", pivot}
    assert days_of(fixings) == bank.days(FIRST, LAST)
    assert bank.source().fetch_rates(("XTS",), FIRST, LAST) == ()


# --- Errors by what to do next ----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_a_reason_to_ask_later_or_an_answer_that_cannot_be_read(bank: BankBed, which: Fault) -> None:
    """Nobody has to connect to a bank again: there is nothing else that it could be."""
    bank.quotes("EUR", "USD", "SEK", "DKK")
    source = bank.source()
    right = source.fetch_rates((), FIRST, LAST)
    expected = tuple(kind for kind in which.to_a_question if kind in (TryLater, BadReply)) or (TryLater, BadReply)
    bank.line.strike_question(which)
    with pytest.raises(expected) as raised:
        source.fetch_rates((), FIRST, LAST)
    assert len(bank.line.struck) == 1
    if which.name == "429 with Retry-After":
        assert isinstance(raised.value, TryLater)
        assert raised.value.retry_after_s == RETRY_AFTER_S
    assert source.fetch_rates((), FIRST, LAST) == right


def test_a_slow_bank_holds_nobody_up(bank: BankBed) -> None:
    """Rates are read while a company's work is under lease."""
    bank.source().fetch_rates((), FIRST, LAST)
    assert bank.line.patience
    assert max(bank.line.patience) <= LONGEST_CALL_S


def test_nothing_but_the_question_leaves_the_house(bank: BankBed, our_log: StringIO) -> None:
    bank.quotes("EUR", "USD", "SEK", "DKK")
    errors: list[PortError] = []
    for which in FAULTS:
        bank.line.strike_question(which)
        try:
            bank.source().fetch_rates((), FIRST, LAST)
        except PortError as error:
            errors.append(error)
            get_logger("kvitt").warning("rates_unread", error=str(error), exc_info=error)
    assert errors
    for headers in bank.line.headers:
        assert not {"authorization", "cookie", "x-api-key"} & set(headers)
    assert bank.log.calls
    assert all(call.system == bank.choice.value for call in bank.log.calls)
    assert "<html" not in our_log.getvalue(), "a stranger's page is no message of ours"


# --- The rates that the books tell --------------------------------------------------------------------------------


def test_the_books_own_rates_name_their_unit_day_and_source(accounting: AccountingBed) -> None:
    worth = accounting.add_currencies()
    books = accounting.system().fetch_books(accounting.day, accounting.day)
    told = {currency.code: currency.rate for currency in books.currencies if currency.code != accounting.currency}
    assert set(told) >= set(worth)
    for code, rate in told.items():
        if rate is None or code not in worth:
            continue
        assert (rate.base, rate.quote, rate.source) == (code, accounting.currency, books.system)
        assert rate.fixed_on <= accounting.day
        assert abs(rate.rate / rate.unit / worth[code] - 1) < Decimal("0.03"), "a hundredth or a hundredfold: the unit"


def test_the_choice_of_the_books_own_rates_asks_no_bank() -> None:
    assert set(BANKS) | {RateChoice.ACCOUNTING} == set(RateChoice)
    assert set(PIVOTS) == set(BANKS)
