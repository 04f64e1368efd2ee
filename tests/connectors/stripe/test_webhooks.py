import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.connectors.stripe.webhooks import DISCONNECTED, EVENTS, BadSignature, StripeEvent, read_event
from addon.ports.errors import BadReply
from tests.contracts import load_contract

SECRET = "whsec_of_a_test"
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


def signed(body: bytes, *, secret: str = SECRET, at: datetime = NOW, scheme: str = "v1") -> str:
    stamp = int(at.timestamp())
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},{scheme}={digest}"


def event_body(**changed: object) -> bytes:
    event = {"id": "evt_1", "type": "payout.paid", "livemode": True, "data": {"object": {"amount": 1}}}
    return json.dumps({**event, **changed}).encode()


def test_published_signature_vectors() -> None:
    vectors = load_contract("stripe", "examples", "webhook_signature_vectors.json")["vectors"]
    assert {vector["valid"] for vector in vectors} == {True, False}
    for vector in vectors:
        now = datetime.fromtimestamp(vector["now"], UTC)
        arguments = (vector["body"].encode(), vector["header"], [vector["secret"]], now)
        if vector["valid"]:
            assert read_event(*arguments) == StripeEvent("evt_test", "payout.paid", "", False), vector["case"]
        else:
            with pytest.raises(BadSignature):
                read_event(*arguments)


def test_example_events_say_which_and_whose_and_never_what() -> None:
    examples = load_contract("stripe", "examples", "events.json")
    events = examples["events"] if isinstance(examples, dict) else examples
    assert events
    for event in events:
        body = json.dumps(event).encode()
        read = read_event(body, signed(body), [SECRET], NOW)
        assert (read.ref, read.type, read.live) == (event["id"], event["type"], event["livemode"])
        assert read.account == event.get("account", "")
        assert set(StripeEvent.__slots__) == {"ref", "type", "account", "live"}


def test_either_of_two_secrets_opens_a_message() -> None:
    body = event_body(account="acct_1")
    for secrets in ([SECRET], ["whsec_old", SECRET], ["", SECRET]):
        assert read_event(body, signed(body), secrets, NOW).account == "acct_1"


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_other"]])
def test_without_the_right_secret_nothing_opens(secrets: list[str]) -> None:
    body = event_body()
    with pytest.raises(BadSignature):
        read_event(body, signed(body), secrets, NOW)


@pytest.mark.parametrize(("seconds", "opens"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_a_message_is_taken_for_five_minutes(seconds: int, opens: bool) -> None:
    body = event_body()
    header = signed(body, at=NOW + timedelta(seconds=seconds))
    if opens:
        assert read_event(body, header, [SECRET], NOW).ref == "evt_1"
    else:
        with pytest.raises(BadSignature):
            read_event(body, header, [SECRET], NOW)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=",
        "v1=abc",
        "t=1,t=2,v1=a",
        "t=-5,v1=a",
        "t=1e3,v1=a",
        "t=١,v1=a",
        "t=1788300000",
        "t=1,v1=é",
        "=,=,=",
    ],
)
def test_headers_that_are_none(header: str) -> None:
    with pytest.raises(BadSignature):
        read_event(event_body(), header, [SECRET], NOW)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"{}", b"[" * 20_000])
def test_signed_rubbish_is_a_bad_reply(body: bytes) -> None:
    with pytest.raises(BadReply):
        read_event(body, signed(body), [SECRET], NOW)


@pytest.mark.parametrize("changed", [{"id": ""}, {"id": 5}, {"type": None}, {"account": {"id": 1}}, {"id": "a b"}])
def test_an_event_that_does_not_say_what_it_is(changed: dict[str, object]) -> None:
    body = event_body(**changed)
    with pytest.raises(BadReply):
        read_event(body, signed(body), [SECRET], NOW)


def test_a_message_of_absurd_size_is_not_even_hashed() -> None:
    body = b" " * 1_000_001
    with pytest.raises(BadSignature):
        read_event(body, signed(body), [SECRET], NOW)


@given(body=st.binary(max_size=60), header=st.text(max_size=60))
def test_nobody_forges_a_message(body: bytes, header: str) -> None:
    with pytest.raises(BadReply):
        read_event(body, header, [SECRET], NOW)


def test_the_end_of_consent_is_subscribed_to() -> None:
    assert DISCONNECTED in EVENTS
    assert len(EVENTS) == len(set(EVENTS))
