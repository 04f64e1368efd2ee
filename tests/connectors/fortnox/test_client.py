"""Lists and their pages, and the whole way over real sockets with several documents in flight."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from addon.connectors.fortnox import FortnoxAccounting, FortnoxClient
from addon.connectors.http import HttpClient
from addon.connectors.pace import NoPace
from addon.core.documents import BookInvoice, CreateCustomer, CreateInvoice
from addon.ports.accounting import Known
from addon.ports.errors import BadReply, OutcomeUnknown, TryLater
from addon.sandbox.serving import serve_threaded
from tests.connectors.fortnox.conftest import API, CLEARING, Bench, make_bench, sek
from tests.support.doubles import CallLog, Tokens

CUSTOMER = {"CustomerNumber": "1", "Name": "A", "Email": ""}


def answering(answer: Callable[[httpx.Request], Any]) -> FortnoxAccounting:
    def handle(request: httpx.Request) -> httpx.Response:
        given = answer(request)
        return given if isinstance(given, httpx.Response) else httpx.Response(200, json=given)

    http = HttpClient("fortnox", transport=httpx.MockTransport(handle))
    return FortnoxAccounting(FortnoxClient(http, API, Tokens(["t"]), NoPace()))


def test_a_list_whose_page_is_ignored_ends_when_it_repeats() -> None:
    pages: list[str] = []

    def answer(request: httpx.Request) -> Any:
        pages.append(request.url.params["page"])
        return {"MetaInformation": {"@TotalPages": 9}, "Customers": [CUSTOMER] * 3}

    assert len(list(answering(answer).fetch_customers(None))) == 3
    assert pages == ["1", "2"]


def test_a_list_that_does_not_tell_its_pages_ends_with_one_that_is_not_full() -> None:
    def answer(request: httpx.Request) -> Any:
        page = int(request.url.params["page"])
        count = 500 if page == 1 else 2
        return {"Customers": [{**CUSTOMER, "CustomerNumber": f"{page}{n}"} for n in range(count)]}

    assert len(list(answering(answer).fetch_customers(None))) == 502


@pytest.mark.parametrize(
    "body",
    [{}, [], None, {"Customers": None}, {"Customers": [None]}, {"Customers": [{"Name": "no number"}]}, "text"],
)
def test_a_list_that_cannot_be_read(body: Any) -> None:
    with pytest.raises(BadReply):
        list(answering(lambda request: httpx.Response(200, content=json.dumps(body))).fetch_customers(None))


@pytest.mark.parametrize(
    "content", [b"", b"<html>ok</html>", b"{}", b'{"Customer": {"Name": "x"}}', b'{"Customer": []}']
)
def test_a_write_whose_success_cannot_be_read_is_a_doubt(bench: Bench, content: bytes) -> None:
    fortnox = answering(lambda request: httpx.Response(201, content=content))
    with pytest.raises(OutcomeUnknown):
        fortnox.perform(CreateCustomer("c", bench.customer()), Known())


@pytest.mark.parametrize("status", [301, 302, 400, 403, 404, 413])
def test_a_gateways_page_on_a_read_is_no_answer(status: int) -> None:
    fortnox = answering(lambda request: httpx.Response(status, content=b"<html></html>"))
    with pytest.raises(BadReply):
        fortnox.fetch_identity()


# --- Over sockets ---------------------------------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[tuple[Bench, FortnoxAccounting, CallLog]]:
    bench = make_bench()
    server = serve_threaded(bench.world.app())
    log = CallLog()
    http = HttpClient("fortnox", log)
    try:
        yield bench, FortnoxAccounting(FortnoxClient(http, f"{server.url}/3", bench.tokens, NoPace())), log
    finally:
        http.close()
        server.shutdown()


def test_many_documents_at_once_are_each_there_once(served: tuple[Bench, FortnoxAccounting, CallLog]) -> None:
    bench, fortnox, log = served
    bench.fortnox = fortnox
    failures: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for number in range(first, first + 5):
                invoice = bench.invoice(key=f"stripe/ch_{number}/invoice")
                bench.sale(invoice, bench.settlement(sek("1250")))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 20, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert failures == []
    assert len(bench.company.invoices) == 20
    assert bench.balance(CLEARING.number) == sek("25000")
    assert len(log.calls) == 101
    assert all(call.request_ref for call in log.calls)
    bench.company.check()


def test_a_connection_that_dies_is_a_doubt_for_a_write_and_none_for_a_read(
    served: tuple[Bench, FortnoxAccounting, CallLog],
) -> None:
    bench, fortnox, _ = served
    bench.fortnox = fortnox
    bench.fault("lost_after", "POST /3/customers")
    with pytest.raises(OutcomeUnknown):
        bench.make_customer()
    bench.fault("lost_before", "GET /3/customers")
    step = CreateCustomer("c", bench.customer())
    with pytest.raises(TryLater):
        bench.find(step)
    found = bench.find(step)
    assert found is not None
    assert found.reference == "1"


def test_a_request_that_wakes_up_late_leaves_a_copy_that_the_fence_sees(bench: Bench) -> None:
    invoice = bench.invoice()
    step = CreateInvoice(invoice.key, invoice, "c")
    number = bench.make_customer()
    bench.fault("zombie", "POST /3/invoices")
    with pytest.raises(OutcomeUnknown):
        bench.do(step, customer_number=number)
    bench.clock.advance(timedelta(minutes=20))
    assert bench.find(step) is None
    made = bench.do(step, customer_number=number)
    bench.world.run_zombies()
    booking, known = BookInvoice("b", invoice.key, invoice), Known(invoice=made.invoice)
    assert bench.fortnox.find_copies(booking, known) == ["1", "2"]
    bench.fortnox.remove_copy(booking, "2")
    assert bench.fortnox.perform(booking, known).reference == "1"
