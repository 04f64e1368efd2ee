"""What Kvitt relies on in a payment provider, asked of every connector."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest

from addon.core.dates import NaiveInstant
from addon.core.money import Money
from addon.core.records import Itemisation, Movement, MovementKind
from addon.log import get_logger
from addon.ports.errors import NeedsReconnect, PortError, Rejected, TryLater
from addon.ports.payments import Page, PaymentSource
from tests.conformance.beds import PaymentBed
from tests.conformance.leaks import leaks_of
from tests.conformance.line import FAULTS, RETRY_AFTER_S, Fault, fault

T = TypeVar("T")
MOST_PAGES = 100
LONGEST_CURSOR = 200


def every(fetch: Callable[[str | None], Page[T]]) -> list[T]:
    found: list[T] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = fetch(cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError("the list has no end")


def movements(bed: PaymentBed, source: PaymentSource | None = None, since: datetime | None = None) -> list[Movement]:
    source = source or bed.source()
    since, until = since or bed.now() - timedelta(days=60), bed.now() + timedelta(minutes=5)
    return [one.value for one in every(lambda cursor: source.fetch_movements(since, until, cursor))]


def same(found: list[Movement], sold: list[str]) -> bool:
    """Whether these are those that were sold, each once; a connector may add to the provider's own reference."""
    refs = sorted(movement.ref for movement in found)
    assert len(refs) == len(set(refs)) == len(sold)
    return all(ref.startswith(theirs) for ref, theirs in zip(refs, sorted(sold), strict=True))


# --- What is declared is what is shown ----------------------------------------------------------------------


def test_order_numbers_stand_where_it_is_declared(payments: PaymentBed) -> None:
    payments.do_business()
    source = payments.source()
    numbers = [number for movement in movements(payments, source) for number in movement.order_numbers]
    assert numbers
    assert {number.place for number in numbers} <= set(source.capabilities.order_places)


def test_the_account_is_named_and_live(payments: PaymentBed) -> None:
    account = payments.source().fetch_account()
    assert account.ref
    assert account.live
    assert account.default_currency == payments.currency
    assert payments.source().fetch_account() == account


def test_capabilities_are_those_that_show(payments: PaymentBed) -> None:
    payments.do_business()
    source, since = payments.source(), payments.now() - timedelta(days=60)
    told = source.capabilities
    assert told.name
    payouts = [one.value for one in every(lambda cursor: source.fetch_payouts(since, cursor))]
    assert bool(payouts) == told.lists_payouts
    assert any(payout.itemisation is not Itemisation.NONE for payout in payouts) == told.itemises_payouts
    balances = source.fetch_balances()
    assert balances
    for balance in balances:
        assert balance.at.tzinfo is UTC
        assert (balance.at == payments.now()) == told.balance_is_current
    assert told.look_back_s == 0 or told.look_back_s > told.lateness_s


def test_payouts_show_among_the_movements(payments: PaymentBed) -> None:
    payments.do_business()
    assert [one for one in movements(payments) if one.kind is MovementKind.PAYOUT]


# --- Everything once ----------------------------------------------------------------------------------------


def test_all_pages_together_are_all_rows_once(payments: PaymentBed) -> None:
    sold = [payments.sell(1000 + number) for number in range(payments.page_rows + 3)]
    payments.advance(payments.delay)
    source, calls = payments.source(), len(payments.line.calls)
    assert same(movements(payments, source), sold)
    assert len(payments.line.calls) - calls >= 2


def test_whoever_takes_over_goes_on_from_the_cursor(payments: PaymentBed) -> None:
    sold = [payments.sell(1000 + number) for number in range(payments.page_rows + 3)]
    payments.advance(payments.delay)
    since, until = payments.now() - timedelta(days=60), payments.now() + timedelta(minutes=5)
    first = payments.source().fetch_movements(since, until, None)
    cursor = first.next_cursor
    assert isinstance(cursor, str)
    assert len(cursor) <= LONGEST_CURSOR
    # The process dies here; another one, with nothing but the stored cursor, goes on and meets a fault on its way.
    other = payments.source()
    payments.line.strike_question(fault("500"))
    with pytest.raises(TryLater):
        other.fetch_movements(since, until, cursor)
    again = payments.source()
    found = [one.value for one in first.items]
    following: str | None = cursor
    while following is not None:
        page = again.fetch_movements(since, until, following)
        found += [one.value for one in page.items]
        following = page.next_cursor
    assert same(found, sold)


def test_the_same_question_gives_the_same_answer(payments: PaymentBed) -> None:
    payments.do_business()
    key = lambda one: (one.ref, one.raw_kind)  # noqa: E731
    assert sorted(movements(payments), key=key) == sorted(movements(payments), key=key)


def test_a_row_that_comes_late_is_found_by_the_overlap(payments: PaymentBed) -> None:
    lateness = timedelta(seconds=payments.source().capabilities.lateness_s)
    assert payments.delay <= lateness
    at = payments.now()
    sold = payments.sell(12_500)
    assert len(movements(payments)) == (0 if payments.delay else 1)
    payments.advance(payments.delay + timedelta(minutes=1))
    # The next run asks from the last one's end, less the overlap that the connector declares.
    assert same(movements(payments, since=at - lateness), [sold])


# --- Instants -----------------------------------------------------------------------------------------------


def test_an_instant_is_told_in_utc_whatever_the_zone(payments: PaymentBed) -> None:
    at = payments.now().replace(hour=23, minute=30, second=0) - timedelta(days=5)
    payments.sell(12_500, at)
    (movement,) = movements(payments)
    assert movement.occurred_at == at
    assert movement.occurred_at.tzinfo is UTC
    source, zone = payments.source(), ZoneInfo("Asia/Kolkata")
    for since, until, number in (
        (at - timedelta(seconds=1), at + timedelta(seconds=2), 1),
        (at + timedelta(seconds=2), at + timedelta(days=1), 0),
        (at - timedelta(days=1), at - timedelta(seconds=2), 0),
    ):
        page = source.fetch_movements(since.astimezone(zone), until.astimezone(zone), None)
        assert len(page.items) == number, (since, until)


def test_an_instant_without_a_zone_is_refused(payments: PaymentBed) -> None:
    source = payments.source()
    with pytest.raises(NaiveInstant):
        source.fetch_movements(datetime(2026, 1, 1), datetime(2026, 2, 1), None)  # noqa: DTZ001


# --- Amounts ------------------------------------------------------------------------------------------------


def test_the_movements_add_up_to_the_balance(payments: PaymentBed) -> None:
    payments.do_business()
    sums: dict[str, Money] = {}
    for movement in movements(payments):
        sums[movement.currency] = sums.get(movement.currency, Money(0, movement.currency)) + movement.net()
        assert Money.total((part.amount for part in movement.parts()), movement.currency) == movement.net()
    balances = {balance.amount.currency: balance.amount for balance in payments.source().fetch_balances()}
    assert len(sums) > 1
    for currency in sums.keys() | balances.keys():
        nought = Money(0, currency)
        assert sums.get(currency, nought) == balances.get(currency, nought)


def test_what_comes_between_two_looks_is_the_balances_difference(payments: PaymentBed) -> None:
    payments.do_business()

    def balance() -> Money:
        return next(b.amount for b in payments.source().fetch_balances() if b.amount.currency == payments.currency)

    before, known = balance(), {movement.ref for movement in movements(payments)}
    payments.sell(7_777)
    payments.advance(payments.delay)
    new = [one for one in movements(payments) if one.ref not in known and one.currency == payments.currency]
    assert new
    assert Money.total((one.net() for one in new), payments.currency) == balance() - before


def test_a_payouts_rows_add_up_to_it(payments: PaymentBed) -> None:
    payments.do_business()
    source, since = payments.source(), payments.now() - timedelta(days=60)
    known = {movement.ref: movement for movement in movements(payments, source)}
    for payout in (one.value for one in every(lambda cursor: source.fetch_payouts(since, cursor))):
        if payout.itemisation is not Itemisation.COMPLETE:
            continue
        items = every(lambda cursor, ref=payout.ref: source.fetch_payout_items(ref, cursor))
        assert Money.total((item.net for item in items), payout.amount.currency) == payout.amount
        assert all(known[item.ref].net() == item.net for item in items)
        own = [one for one in known.values() if one.kind is MovementKind.PAYOUT and one.source_ref == payout.ref]
        assert [one.net() for one in own] == [-payout.amount]
    if not source.capabilities.lists_payouts:
        assert source.fetch_payout_items("nothing", None) == Page((), None)


def test_every_row_carries_the_providers_own_record(payments: PaymentBed) -> None:
    payments.do_business()
    source, since = payments.source(), payments.now() - timedelta(days=60)
    for one in every(lambda cursor: source.fetch_movements(since, payments.now(), cursor)):
        assert one.raw
        assert one.value.ref
        assert one.value.raw_kind


# --- Errors by what to do next ------------------------------------------------------------------------------

QUESTIONS: dict[str, Callable[[PaymentBed, PaymentSource], object]] = {
    "account": lambda bed, source: source.fetch_account(),
    "movements": lambda bed, source: source.fetch_movements(bed.now() - timedelta(days=9), bed.now(), None),
    "balances": lambda bed, source: source.fetch_balances(),
    "payouts": lambda bed, source: source.fetch_payouts(bed.now() - timedelta(days=9), None),
    "disputes": lambda bed, source: source.fetch_disputes(bed.now() - timedelta(days=9), None),
}


@pytest.mark.parametrize("which", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_named_by_what_to_do_next(payments: PaymentBed, which: Fault) -> None:
    payments.sell(1000)
    payments.advance(payments.delay)
    source = payments.source()
    for name, ask in QUESTIONS.items():
        calls = len(payments.line.calls)
        right = ask(payments, source)
        if len(payments.line.calls) == calls:
            continue  # it has no such list, and asks nobody
        if which.name == "403" and name in payments.optional:
            continue  # a test of its own
        payments.line.strike_question(which, always=which.name in ("401", "403"))
        with pytest.raises(which.to_a_question) as raised:
            ask(payments, source)
        payments.line.calm()
        if which.name == "429 with Retry-After":
            assert isinstance(raised.value, TryLater)
            assert raised.value.retry_after_s == RETRY_AFTER_S
        assert ask(payments, source) == right


def test_what_a_company_need_not_open_is_empty_while_it_is_closed(payments: PaymentBed) -> None:
    for name in payments.optional:
        source = payments.source()
        payments.line.strike_question(fault("403"), always=True)
        assert QUESTIONS[name](payments, source) == Page((), None)
        payments.line.calm()


def test_a_refused_token_is_renewed_once_before_a_person_is_asked(payments: PaymentBed) -> None:
    source = payments.source()
    right = source.fetch_account()
    payments.line.strike_question(fault("401"))
    if payments.renews:
        assert source.fetch_account() == right
    else:
        with pytest.raises(NeedsReconnect):
            source.fetch_account()


# --- The end of a connection --------------------------------------------------------------------------------


def test_a_consent_that_was_taken_back_needs_a_person(payments: PaymentBed) -> None:
    source = payments.source()
    source.fetch_account()
    payments.revoke()
    for ask in QUESTIONS.values():
        calls = len(payments.line.calls)
        try:
            ask(payments, source)
        except (NeedsReconnect, Rejected):
            continue
        assert len(payments.line.calls) == calls, "it gave an answer without a consent"


def test_disconnecting_is_quiet_and_may_be_repeated(payments: PaymentBed) -> None:
    source = payments.source()
    source.disconnect()
    source.disconnect()
    with contextlib.suppress(NeedsReconnect):
        # Where only the company can end the access it still answers; where we ended it, a person is asked.
        source.fetch_account()


# --- Secrets ------------------------------------------------------------------------------------------------


def test_no_secret_stands_in_a_message_a_log_or_a_repr(
    payments: PaymentBed, capsys: pytest.CaptureFixture[str], our_log: StringIO
) -> None:
    source = payments.source()
    errors: list[PortError] = []
    # Providers repeat what they were sent when they refuse it.
    payments.line.text = f"Invalid key provided: {' '.join(payments.secrets)}"
    for which in FAULTS:
        payments.line.strike_question(which, always=which.name in ("401", "403"))
        with pytest.raises(PortError) as raised:
            source.fetch_account()
        payments.line.calm()
        errors.append(raised.value)
        get_logger("kvitt").warning("call_failed", error=str(raised.value), exc_info=raised.value)
    told = [repr(source), repr(payments.log.calls), our_log.getvalue(), *capsys.readouterr()]
    assert leaks_of(payments.secrets, errors, told) == []
