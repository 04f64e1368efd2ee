"""What Kvitt relies on in a register of VAT numbers, asked of every one."""

from datetime import UTC, datetime
from io import StringIO

import pytest

from addon.log import get_logger
from addon.ports.errors import BadReply, PortError, TryLater
from tests.conformance.beds import Ground
from tests.conformance.leaks import leaks_of
from tests.conformance.line import FAULTS, RETRY_AFTER_S, Fault
from tests.conformance.open_beds import REGISTERS, RegisterBed

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
LONGEST_CALL_S = 30


@pytest.fixture(params=sorted(REGISTERS))
def register(request: pytest.FixtureRequest, ground: Ground) -> RegisterBed:
    """Each register in turn."""
    return REGISTERS[request.param](ground, NOON)


def test_a_number_in_force_is_valid_and_who_asked_for_themselves_can_prove_it(register: RegisterBed) -> None:
    answer = register.register().check(register.in_force, register.ours)
    assert (answer.valid, answer.reason) == (True, "")
    assert answer.consultation
    assert answer.answered_at == NOON
    assert answer.answered_at.tzinfo is not None


def test_a_number_that_is_not_in_force_is_an_answer_and_no_error(register: RegisterBed) -> None:
    answer = register.register().check(register.not_in_force, register.ours)
    assert (answer.valid, answer.consultation, answer.reason) == (False, "", "")


def test_what_cannot_be_a_number_is_not_valid_and_says_why(register: RegisterBed) -> None:
    answer = register.register().check(register.no_number, register.ours)
    assert not answer.valid
    assert answer.reason


def test_a_wrong_number_of_our_own_costs_the_proof_and_not_the_answer(register: RegisterBed) -> None:
    answer = register.register().check(register.in_force, "NO123456789")
    assert (answer.valid, answer.consultation) == (True, "")
    assert register.register().check(register.in_force, "") == answer


@pytest.mark.parametrize("which", FAULTS, ids=lambda one: one.name)
def test_a_fault_says_nothing_of_the_number(register: RegisterBed, which: Fault) -> None:
    """A sale waits or asks a person; it is never taken for one to a consumer because a line broke."""
    asked = register.register()
    right = asked.check(register.in_force, register.ours)
    expected = tuple(kind for kind in which.to_a_question if kind in (TryLater, BadReply)) or (TryLater, BadReply)
    register.line.strike_question(which)
    with pytest.raises(expected) as raised:
        asked.check(register.in_force, register.ours)
    assert len(register.line.struck) == 1
    if which.name == "429 with Retry-After":
        assert isinstance(raised.value, TryLater)
        assert raised.value.retry_after_s == RETRY_AFTER_S
    again = asked.check(register.in_force, register.ours)
    assert (again.valid, again.name) == (right.valid, right.name)


def test_a_part_of_the_register_that_is_away_is_named_and_the_rest_answers(register: RegisterBed) -> None:
    register.world.away = {register.in_force[:2]}
    with pytest.raises(TryLater, match="MS_UNAVAILABLE"):
        register.register().check(register.in_force, register.ours)
    assert not register.register().check(register.not_in_force, register.ours).valid


def test_a_slow_register_holds_nobody_up(register: RegisterBed) -> None:
    register.register().check(register.in_force, register.ours)
    assert max(register.line.patience) <= LONGEST_CALL_S


def test_no_number_stands_in_an_address_a_message_a_log_or_a_repr(register: RegisterBed, our_log: StringIO) -> None:
    """Whom a company sells to is nobody's business but the register's."""
    asked, errors = register.register(), []
    for which in FAULTS:
        register.line.strike_question(which)
        try:
            asked.check(register.in_force, register.ours)
        except PortError as error:
            errors.append(error)
            get_logger("kvitt").warning("number_unchecked", error=str(error), exc_info=error)
    assert errors
    told = [repr(asked), repr(register.log.calls), our_log.getvalue(), *register.line.calls]
    assert leaks_of((register.in_force, register.in_force[2:], register.ours[2:]), errors, told) == []
    for headers in register.line.headers:
        assert not {"authorization", "cookie"} & set(headers)
