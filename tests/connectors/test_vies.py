"""The client of the EU's register of VAT numbers against a simulated one: answers, refusals, silence, nonsense."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from addon.connectors.http import HttpClient, Unreadable
from addon.connectors.vies import ViesRegister
from addon.connectors.vies.translate import question, read_answer, read_error
from addon.ports.errors import TryLater
from addon.sandbox.clock import Clock
from addon.sandbox.serving import serve_threaded
from addon.sandbox.vies import ViesWorld

NOW = datetime(2026, 3, 20, 9, 0, tzinfo=UTC)
OURS = "SE556677889901"


@pytest.fixture
def world() -> ViesWorld:
    return ViesWorld(Clock(NOW))


@pytest.fixture
def register(world: ViesWorld) -> Iterator[ViesRegister]:
    server = serve_threaded(world.app())
    yield ViesRegister(HttpClient("vies"), f"http://127.0.0.1:{server.port}/rest-api", now=lambda: NOW)
    server.shutdown()


def test_a_valid_number_has_its_consultation_number_and_name(register: ViesRegister, world: ViesWorld) -> None:
    answer = register.check("FR83404833048", OURS)
    assert answer.valid
    assert (answer.name, answer.address) == ("Lefèvre SA", "1 Main Street FR-1000")
    assert answer.consultation.startswith("WAPI")
    assert answer.answered_at == NOW
    assert [(one.number, one.requester) for one in world.asked] == [("FR83404833048", OURS)]


def test_states_that_tell_no_names_and_numbers_that_are_not_valid(register: ViesRegister) -> None:
    german = register.check("DE136695976", OURS)
    assert (german.valid, german.name, german.address) == (True, "", "")
    unknown = register.check("DE811115368", OURS)
    assert (unknown.valid, unknown.consultation, unknown.reason) == (False, "", "")


def test_without_a_number_of_our_own_there_is_no_evidence(register: ViesRegister, world: ViesWorld) -> None:
    assert register.check("DE136695976", "").consultation == ""
    assert register.check("DE136695976", "NO123456789").consultation == "", "refused, and asked again without"
    assert [one.requester for one in world.asked] == ["", "NO123456789", ""]


def test_a_number_that_cannot_be_one_is_not_valid(register: ViesRegister) -> None:
    answer = register.check("ZZ1", OURS)
    assert (answer.valid, answer.reason) == (False, "INVALID_INPUT")


@pytest.mark.parametrize(
    ("trouble", "word"),
    [
        ("down", "SERVICE_UNAVAILABLE"),
        ("timeout", "TIMEOUT"),
        ("html", "a page for people"),
        ("busy", "status 429"),
        ("hangs_up", "."),
    ],
)
def test_a_register_without_an_answer_is_asked_again_later(
    register: ViesRegister, world: ViesWorld, trouble: str, word: str
) -> None:
    world.trouble = trouble
    with pytest.raises(TryLater, match=word):
        register.check("DE136695976", OURS)


def test_a_member_state_that_is_away_concerns_its_own_numbers_only(register: ViesRegister, world: ViesWorld) -> None:
    world.away = {"FR"}
    with pytest.raises(TryLater, match="MS_UNAVAILABLE"):
        register.check("FR83404833048", OURS)
    assert register.check("DE136695976", OURS).valid


def test_greece_is_asked_as_el() -> None:
    assert question("EL094259216", "") == {"countryCode": "EL", "vatNumber": "094259216"}


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"valid": "yes"},
        {"valid": True, "vatNumber": "999999999"},
    ],
)
def test_an_answer_that_does_not_answer_is_refused(document: object) -> None:
    with pytest.raises(Unreadable):
        read_answer(document, "DE136695976", NOW)


def test_what_strangers_wrote_is_cleaned_and_bounded() -> None:
    answer = read_answer(
        {
            "valid": True,
            "vatNumber": "136 695 976",
            "name": "Bad\u202e Name\n" * 100,
            "address": 7,
            "requestDate": "yesterday",
            "requestIdentifier": ["x"],
        },
        "DE136695976",
        NOW,
    )
    assert answer.name.startswith("Bad Name Bad Name")
    assert len(answer.name) == 200
    assert (answer.address, answer.consultation, answer.answered_at) == ("", "", NOW)


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({"actionSucceed": False, "errorWrappers": [{"error": "MS_MAX_CONCURRENT_REQ"}]}, "MS_MAX_CONCURRENT_REQ"),
        ({"errorWrappers": [{"error": None}]}, "ERROR"),
        ({"actionSucceed": False}, "ERROR"),
        ({"isValid": False, "userError": "MS_UNAVAILABLE"}, "MS_UNAVAILABLE"),
        ({"isValid": True, "userError": "VALID"}, ""),
        ("text", ""),
    ],
)
def test_errors_come_in_two_places(document: object, word: str) -> None:
    assert read_error(document) == word
