"""Failing on demand, limits and delays: in process and over a socket."""

import json
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import DroppedConnection, Fault, FortnoxCompany, FortnoxWorld
from addon.sandbox.serving import Server, serve_threaded
from tests.sandbox.fortnox.conftest import Caller

GOOD = ((1930, "10"), (1686, "-10"))


def test_before_and_after_the_write(world: FortnoxWorld, company: FortnoxCompany, call: Caller) -> None:
    slept: list[float] = []
    world.sleep = slept.append
    written = 0
    for kind, status, does in (
        ("lost_before", 0, False),
        ("timeout_before", 0, False),
        ("error_500_before", 500, False),
        ("html_502_before", 502, False),
        ("internal_1000029", 400, False),
        ("rate_limited", 429, False),
        ("unauthorized", 401, False),
        ("lost_after", 0, True),
        ("error_500_after", 500, True),
        ("html_502_after", 502, True),
        ("internal_1000029_after", 400, True),
        ("truncated_json", 201, True),
        ("slow", 201, True),
    ):
        world.faults.add(Fault(kind, match=r"POST /3/vouchers$", seconds=7))
        if status == 0:
            with pytest.raises(DroppedConnection):
                call.voucher(*GOOD)
        elif kind == "truncated_json":
            answer = call.browser.post(
                "/3/vouchers?financialyear=2", json=voucher(), headers={"Authorization": f"Bearer {call.token}"}
            )
            assert answer.status_code == 201
            with pytest.raises(json.JSONDecodeError):
                json.loads(answer.data)
        else:
            assert call.voucher(*GOOD).status == status
        written += does
        assert len(company.ledger) == written, kind
        assert world.calls[-1].status == status
    assert slept == [7, 7]
    assert call.voucher(*GOOD).status == 201
    company.check()


def voucher() -> dict[str, Any]:
    rows = [{"Account": 1930, "Debit": 10}, {"Account": 1686, "Credit": 10}]
    payload = {"Description": "x", "TransactionDate": "2026-03-02", "VoucherSeries": "A", "VoucherRows": rows}
    return {"Voucher": payload}


def test_a_fault_waits_counts_and_keeps_to_its_company(
    world: FortnoxWorld, company: FortnoxCompany, call: Caller
) -> None:
    other = world.add_company("Andra AB", "556000-0002")
    theirs = Caller(world.app().test_client(), world.access_token(other.database_number))
    fault = world.faults.add(
        Fault("error_500_before", match="GET /3/me", after=1, times=2, company=company.database_number)
    )
    assert [theirs.get("me").status for _ in range(3)] == [200] * 3
    assert [call.get("me").status for _ in range(5)] == [200, 500, 500, 200, 200]
    assert fault.struck == 2
    world.faults.add(Fault("error_500_before", times=None))
    assert [call.get("me").status for _ in range(3)] == [500] * 3
    world.faults.clear()
    assert call.get("me").status == 200
    with pytest.raises(ValueError, match="unknown kind"):
        Fault("earthquake")


def test_a_person_may_come_in_between(world: FortnoxWorld, company: FortnoxCompany, call: Caller) -> None:
    call.invoice({"Price": 100, "VAT": 0}, booked=False)
    world.faults.add(Fault("call", match="PUT .*/bookkeep", action=lambda: company.lock_period(date(2026, 3, 31))))
    assert call.put("invoices/1/bookkeep").code == 2002141
    company.lock_period(None)
    world.faults.add(Fault("call_after", match="PUT .*/bookkeep", action=lambda: company.person_pays_invoice(1)))
    assert call.put("invoices/1/bookkeep").body["Invoice"]["Balance"] == 100
    assert company.invoices[1].balance == 0


def test_a_zombie_is_carried_out_later(
    world: FortnoxWorld, company: FortnoxCompany, call: Caller, clock: Clock
) -> None:
    for seconds in (0, 60):
        world.faults.add(Fault("zombie", match="POST /3/vouchers", seconds=seconds))
        with pytest.raises(DroppedConnection):
            call.voucher(*GOOD)
    assert company.ledger == []
    clock.advance(timedelta(hours=2))
    call.token = world.access_token(company.database_number)
    assert call.get("vouchers?financialyear=2").body["MetaInformation"]["@TotalResources"] == 1
    assert world.run_zombies() == [201]
    assert len(company.ledger) == 2
    assert world.run_zombies() == []


def test_a_lost_answer_of_the_token_endpoint_costs_the_pair(world: FortnoxWorld, company: FortnoxCompany) -> None:
    browser = world.app().test_client()
    code = world.give_consent(company.database_number)
    form = {"grant_type": "authorization_code", "code": code}
    pair = browser.post("/oauth-v1/token", data=form, auth=("app-id", "app-secret")).get_json()
    world.faults.add(Fault("lost_after", match="POST /oauth-v1/token"))
    refresh = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    with pytest.raises(DroppedConnection):
        browser.post("/oauth-v1/token", data=refresh, auth=("app-id", "app-secret"))
    assert browser.post("/oauth-v1/token", data=refresh, auth=("app-id", "app-secret")).status_code == 400


# --- limits -----------------------------------------------------------------------------------------------


def test_twenty_five_calls_in_five_seconds_for_each_company(world: FortnoxWorld, call: Caller) -> None:
    now = [100.0]
    world.timer = lambda: now[0]
    world.limiter.limit = 25
    other = world.add_company("Andra AB", "556000-0002")
    theirs = Caller(world.app().test_client(), world.access_token(other.database_number))
    assert [call.get("me").status for _ in range(27)] == [200] * 25 + [429] * 2
    assert theirs.get("me").status == 200
    now[0] += 4.99
    assert call.get("me").status == 429
    now[0] += 0.02
    assert [call.get("me").status for _ in range(26)] == [200] * 25 + [429]


@pytest.mark.parametrize(("habit", "told"), [("always", 3), ("never", 0), ("alternate", 2)])
def test_retry_after_by_either_truth(world: FortnoxWorld, call: Caller, habit: str, told: int) -> None:
    world.timer = lambda: 1.0
    world.limiter.limit = 1
    world.switches.retry_after = habit
    call.get("me")
    refused = [call.get("me") for _ in range(3)]
    assert [answer.status for answer in refused] == [429] * 3
    assert sum("Retry-After" in answer.headers for answer in refused) == told
    assert all(answer.body is None for answer in refused)


def test_calls_are_counted(world: FortnoxWorld, company: FortnoxCompany, call: Caller) -> None:
    call.customer()
    call.get("customers/1")
    call.get("invoices?limit=5")
    number = company.database_number
    assert world.count_calls(number) == 3
    assert world.count_calls(number, "GET") == 2
    assert world.count_calls(number, path_prefix="/3/customers") == 2
    assert world.count_calls(number + 1) == 0
    assert (world.calls[-1].path, world.calls[-1].query) == ("/3/invoices", "limit=5")
    world.reset_calls()
    assert world.count_calls() == 0


# --- lists and objects that lag behind ---------------------------------------------------------------------


def test_written_objects_may_come_late(
    world: FortnoxWorld, company: FortnoxCompany, call: Caller, clock: Clock
) -> None:
    world.switches.list_delay_s = 5
    world.switches.get_delay_s = 2
    invoice = call.invoice({"Price": 10})
    call.payment(invoice, Amount=5)
    call.voucher(*GOOD)
    company.person_posts_voucher([(1930, 1), (1686, -1)])
    lists = {"invoices": 0, "customers": 0, "invoicepayments": 0, "vouchers?financialyear=2": 1}
    singles = ("invoices/1", "customers/1", "invoicepayments/1", "vouchers/A/1?financialyear=2")
    for path, seen in lists.items():
        assert call.get(path).body["MetaInformation"]["@TotalResources"] == seen
    assert [call.get(path).status for path in singles] == [404] * 4
    assert call.get("voucherseries/A").body["VoucherSeries"]["NextVoucherNumber"] == 3
    clock.advance(timedelta(seconds=2))
    assert [call.get(path).status for path in singles] == [200] * 4
    clock.advance(timedelta(seconds=3))
    assert call.get("invoices").body["MetaInformation"]["@TotalResources"] == 1


# --- over a socket ------------------------------------------------------------------------------------------


@pytest.fixture
def served(world: FortnoxWorld) -> Iterator[Server]:
    server = serve_threaded(world.app())
    yield server
    server.shutdown()


def test_keep_alive_lost_answers_and_many_at_once(
    world: FortnoxWorld, company: FortnoxCompany, call: Caller, served: Server
) -> None:
    headers = {"Authorization": f"Bearer {call.token}"}
    path = "/3/vouchers?financialyear=2"
    with httpx.Client(base_url=served.url, headers=headers, timeout=60) as client:
        first = client.post(path, json=voucher())
        assert first.status_code == 201
        assert first.headers["Server"] == "Fortnox"
        assert len(first.headers.get_list("Server")) == 1
        stream = first.extensions["network_stream"].get_extra_info("client_addr")
        again = client.get("/3/me")
        assert again.extensions["network_stream"].get_extra_info("client_addr") == stream
        for kind, number in (("lost_before", 1), ("lost_after", 2)):
            world.faults.add(Fault(kind, match="POST /3/vouchers"))
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                client.post(path, json=voucher())
            assert len(company.ledger) == number
        world.faults.add(Fault("slow", match="GET /3/me", seconds=5))
        with pytest.raises(httpx.ReadTimeout):
            client.get("/3/me", timeout=0.1)
        deleted = client.delete("/3/customers/9")
        assert deleted.status_code == 404
        threads = [threading.Thread(target=client.post, args=(path,), kwargs={"json": voucher()}) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert [v.number for v in company.ledger] == list(range(1, 11))
    company.check()


def test_chunked_bodies_and_uploads_over_the_socket(company: FortnoxCompany, call: Caller, served: Server) -> None:
    headers = {"Authorization": f"Bearer {call.token}", "Content-Type": "application/json"}
    body = json.dumps(voucher()).encode()
    chunks = [body[:10], body[10:]]
    answer = httpx.post(f"{served.url}/3/vouchers?financialyear=2", content=iter(chunks), headers=headers)
    assert answer.status_code == 201
    files = {"file": ("underlag.pdf", b"%PDF-1.4 evidence", "application/pdf")}
    del headers["Content-Type"]
    uploaded = httpx.post(f"{served.url}/3/inbox?path=inbox_v", files=files, headers=headers)
    assert uploaded.status_code == 201
    identifier = uploaded.json()["File"]["Id"]
    assert httpx.get(f"{served.url}/3/inbox/{identifier}", headers=headers).content == b"%PDF-1.4 evidence"
    assert httpx.head(f"{served.url}/marketplace").status_code == 200
