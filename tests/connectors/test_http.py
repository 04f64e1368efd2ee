"""One deadline for the whole call, and faults named by what to do next; against sockets that misbehave."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.connectors.http import HttpClient, Unreadable, read_json, read_retry_after, write_json
from addon.ports.errors import BadReply, OutcomeUnknown, PortError, TryLater
from tests.support.doubles import CallLog

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def read_head(connection: socket.socket) -> None:
    """Read the whole head of a request: closing with a part of it unread would reset the connection."""
    connection.settimeout(5)
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65536)
        if not more:
            return
        head += more


@contextmanager
def misbehaving(answer: Callable[[socket.socket], None], *, read_first: bool = True) -> Iterator[str]:
    """A server on loopback that takes connections one after the other and answers each as it is told."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                try:
                    if read_first:
                        read_head(connection)
                    answer(connection)
                except OSError:
                    pass  # the client has gone, which is what several tests are about

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        stop.set()
        thread.join(5)
        server.close()


def drip(text: bytes, before: bytes = b"") -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(before)
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    return answer


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DRIPS = {
    "body": drip(b"x" * 1000, HEAD + b"Content-Length: 1000\r\n\r\n"),
    "headers": drip(b"X-Slow: " + b"y" * 1000, HEAD),
}
WHOLE_DRIP_S = 50
"""What a thousand bytes take, twenty a second."""


@pytest.mark.parametrize("where", DRIPS)
@pytest.mark.parametrize(("method", "expected"), [("GET", TryLater), ("POST", OutcomeUnknown)])
def test_an_answer_that_drips_ends_at_the_deadline(where: str, method: str, expected: type[PortError]) -> None:
    with misbehaving(DRIPS[where]) as url:
        client = HttpClient("fortnox", deadline_s=0.4)
        started = time.monotonic()
        with pytest.raises(expected):
            client.request(method, f"{url}/3/invoices")
        assert time.monotonic() - started < WHOLE_DRIP_S / 2, "nobody waits for the end of it"


def close_at_once(connection: socket.socket) -> None:
    connection.close()


def cut_short(connection: socket.socket) -> None:
    connection.sendall(HEAD + b'Content-Length: 100\r\n\r\n{"half":')


def no_http(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example ESMTP\r\n")


def bad_gzip(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde")


def too_long(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000)


@pytest.mark.parametrize(
    ("answer", "on_read"),
    [
        (close_at_once, TryLater),
        (cut_short, TryLater),
        (no_http, TryLater),
        (bad_gzip, BadReply),
        (too_long, BadReply),
    ],
)
def test_a_lost_or_broken_answer_is_a_doubt_for_a_write_only(
    answer: Callable[[socket.socket], None], on_read: type[PortError]
) -> None:
    log = CallLog()
    with misbehaving(answer) as url:
        client = HttpClient("fortnox", log, deadline_s=60)
        with pytest.raises(on_read):
            client.request("GET", url, limit_bytes=1000)
        with pytest.raises(OutcomeUnknown):
            client.request("POST", url, json={}, limit_bytes=1000)
        with pytest.raises(on_read):
            client.request("POST", url, form={"grant_type": "client_credentials"}, write=False, limit_bytes=1000)
    assert [call.status for call in log.calls] == [None, None, None]
    assert all(call.note for call in log.calls)


def test_a_refused_connection_has_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(TryLater):
        HttpClient("fortnox").request("POST", f"http://127.0.0.1:{port}/", json={})


@pytest.mark.parametrize("fault", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
def test_faults_before_sending_are_try_later_even_for_a_write(fault: type[httpx.TransportError]) -> None:
    with pytest.raises(TryLater):
        _failing(fault).request("PUT", "http://x.example/", json={})


@pytest.mark.parametrize(
    "fault",
    [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError],
)
def test_faults_after_sending_are_a_doubt_for_a_write(fault: type[httpx.TransportError]) -> None:
    with pytest.raises(OutcomeUnknown):
        _failing(fault).request("PUT", "http://x.example/", json={})
    with pytest.raises(TryLater):
        _failing(fault).request("GET", "http://x.example/")


def _failing(fault: type[httpx.TransportError]) -> HttpClient:
    def answer(request: httpx.Request) -> httpx.Response:
        raise fault("secret-token in a message", request=request)

    return HttpClient("fortnox", transport=httpx.MockTransport(answer))


def test_messages_and_records_hold_no_token_query_or_body() -> None:
    log = CallLog()

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("secret-1", request=request)

    client = HttpClient("fortnox", log, transport=httpx.MockTransport(answer), now=lambda: NOW)
    with pytest.raises(OutcomeUnknown) as raised:
        client.request(
            "POST",
            "http://x.example/3/customers",
            headers={"Authorization": "Bearer secret-2"},
            params={"email": "secret-3"},
            json={"Name": "secret-4"},
        )
    assert "secret" not in str(raised.value)
    assert "secret" not in repr(log.calls)
    assert (log.calls[0].method, log.calls[0].path, log.calls[0].at) == ("POST", "/3/customers", NOW)


def test_each_call_is_told_with_status_reference_and_note() -> None:
    log = CallLog()
    transport = httpx.MockTransport(lambda request: httpx.Response(201, headers={"X-Uid": "abc"}, json={"a": 1}))
    reply = HttpClient("fortnox", log, transport=transport).request("POST", "http://x.example/a", note="look-up")
    assert reply.json() == {"a": 1}
    (call,) = log.calls
    assert (call.status, call.request_ref, call.note, call.system) == (201, "abc", "look-up", "fortnox")


def test_redirects_are_not_followed() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(302, headers={"Location": "http://y.example/"}))
    assert HttpClient("fortnox", transport=transport).request("GET", "http://x.example/").status == 302


def test_threads_share_a_client_and_keep_their_own_deadlines() -> None:
    def answer(connection: socket.socket) -> None:
        # It closes after each answer and says so: else the next thread may be given the dying connection.
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")

    with misbehaving(answer) as url:
        client = HttpClient("fortnox", deadline_s=60)
        replies: list[object] = []
        threads = [threading.Thread(target=lambda: replies.append(client.request("GET", url).json())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert replies == [{}] * 8


def test_retry_after_is_read_in_both_forms_and_else_not_at_all() -> None:
    assert read_retry_after("7", NOW) == 7
    assert read_retry_after("Mon, 02 Mar 2026 12:00:30 GMT", NOW) == 30
    assert read_retry_after("Mon, 02 Mar 2026 11:00:00 GMT", NOW) == 0
    for text in (None, "", "soon", "-3", "1e9", "٣"):
        assert read_retry_after(text, NOW) is None


def test_json_never_holds_a_float() -> None:
    assert read_json(b'{"a": 1.10, "b": 938}') == {"a": Decimal("1.10"), "b": 938}
    for body in (b"NaN", b"[Infinity]", b"<html>", b'{"a":', b"", b"[" * 100_000, b"9" * 5000):
        with pytest.raises(Unreadable):
            read_json(body)
    with pytest.raises(TypeError):
        write_json({"a": 1.5})  # type: ignore[dict-item]


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_what_is_written_as_json_is_read_back_exactly(value: object) -> None:
    assert read_json(write_json(value).encode()) == value
