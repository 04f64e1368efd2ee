"""The bucket, repeated keys and failures on demand."""

from datetime import timedelta

import pytest

from addon.sandbox.economic import DroppedConnection, EconomicAgreement, EconomicWorld, Fault
from tests.sandbox.economic.conftest import JOURNALS, Caller


def test_every_answer_tells_its_cost_and_what_is_used(call: Caller, world: EconomicWorld) -> None:
    world.timer = lambda: 0.0
    world.cost_limit = 10
    first = call.get("/rest/accounts")
    assert first.headers["X-CallCost"] == "3"
    assert first.headers["X-RateLimiting"] == "token-limit-10-per-60-seconds: 3/10"
    assert call.get(f"{JOURNALS}/journals/1").headers["X-RateLimiting"].endswith(": 4/10")
    for _ in range(2):
        call.get("/rest/accounts")
    refused = call.get("/rest/accounts")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    assert refused.headers["X-RateLimiting"].endswith(": 10/10")
    world.timer = lambda: 20.0
    assert call.get("/rest/accounts").status == 200


def test_429_has_the_hosts_shapes(call: Caller, world: EconomicWorld) -> None:
    world.faults.add(Fault("rate_limited", times=None, seconds=7))
    assert call.get("/rest/self").body["httpStatusCode"] == 429
    assert call.get(f"{JOURNALS}/journals").body["status"] == 429
    world.switches.legacy_limit_body = "empty"
    world.switches.retry_after_is_date = True
    answer = call.get("/rest/self")
    assert (answer.body, answer.headers["Retry-After"]) == (None, "Wed, 04 Mar 2026 11:00:07 GMT")


def test_a_repeated_key_gives_the_first_answer_for_an_hour(
    call: Caller, world: EconomicWorld, agreement: EconomicAgreement
) -> None:
    call.product()
    customer = call.customer()
    body = {
        "date": "2026-03-04",
        "currency": "DKK",
        "layout": {"layoutNumber": 20},
        "paymentTerms": {"paymentTermsNumber": 3},
        "customer": {"customerNumber": customer},
        "recipient": {"name": "Anna", "vatZone": {"vatZoneNumber": 1}},
    }
    key = {"headers": {"Idempotency-Key": "k-1"}}
    first = call.post("/rest/invoices/drafts", body, **key)
    again = call.post("/rest/invoices/drafts", body, **key)
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["X-ResultFromCache"] == "true"
    assert len(agreement.drafts) == 1
    other_body = call.post("/rest/invoices/drafts", {**body, "date": "2026-03-03"}, **key)
    assert other_body.body["date"] == "2026-03-04"
    other_url = call.post("/rest/customers", body, **key)
    assert (other_url.status, "URLChanged" in other_url.body["message"]) == (400, True)
    world.clock.advance(timedelta(hours=1))
    call.post("/rest/invoices/drafts", body, **key)
    assert len(agreement.drafts) == 2


def test_a_replay_hides_that_a_person_has_deleted_the_draft(call: Caller, agreement: EconomicAgreement) -> None:
    call.product()
    key = {"headers": {"Idempotency-Key": "k-2"}}
    body = {"entryTypeNumber": 5, "journalNumber": 1, "date": "2026-03-04", "currency": "DKK", "amount": 1}
    body |= {"accountNumber": 5820, "contraAccountNumber": 5891}
    entry = call.post(f"{JOURNALS}/draft-entries", body, **key).body["entryNumber"]
    agreement.person_deletes_entry(entry)
    again = call.post(f"{JOURNALS}/draft-entries", body, **key)
    assert (again.status, again.body["entryNumber"]) == (201, entry)
    assert agreement.draft_entries == {}


def test_another_body_can_be_refused_and_refusals_can_be_kept(call: Caller, world: EconomicWorld) -> None:
    key = {"headers": {"Idempotency-Key": "k-3"}}
    assert call.post("/rest/units", {"name": "par"}, **key).status == 201
    world.switches.idempotency_other_body = "refuse"
    assert call.post("/rest/units", {"name": "kg"}, **key).status == 400
    key = {"headers": {"Idempotency-Key": "k-4"}}
    assert call.post("/rest/units", {}, **key).status == 400
    assert call.post("/rest/units", {"name": "kg"}, **key).status == 201
    world.switches.idempotency_keeps_errors = True
    world.switches.idempotency_other_body = "replay"
    key = {"headers": {"Idempotency-Key": "k-5"}}
    assert call.post("/rest/units", {}, **key).status == 400
    assert call.post("/rest/units", {"name": "kg"}, **key).headers["X-ResultFromCache"] == "true"


@pytest.mark.parametrize(
    ("kind", "done"),
    [
        ("lost_before", False),
        ("timeout_before", False),
        ("error_500_before", False),
        ("html_502_before", False),
        ("rate_limited", False),
        ("unauthorized", False),
        ("lost_after", True),
        ("error_500_after", True),
        ("html_502_after", True),
        ("truncated_json", True),
        ("slow", True),
    ],
)
def test_faults_strike_before_or_after_the_deed(
    call: Caller, world: EconomicWorld, agreement: EconomicAgreement, kind: str, done: bool
) -> None:
    slept: list[float] = []
    world.sleep = slept.append
    world.faults.add(Fault(kind, match="POST /rest/units$", seconds=3))
    before = len(agreement.units)
    try:
        call.browser.post(
            "/rest/units",
            json={"name": "kg"},
            headers={"X-AppSecretToken": "app-secret", "X-AgreementGrantToken": call.token},
        )
    except DroppedConnection:
        assert kind in ("lost_before", "timeout_before", "lost_after")
    assert (len(agreement.units) > before) is done
    assert slept == ([3] if kind in ("timeout_before", "slow") else [])


def test_a_zombie_is_carried_out_later_and_its_key_stops_a_second_one(
    call: Caller, world: EconomicWorld, agreement: EconomicAgreement
) -> None:
    world.faults.add(Fault("zombie", match="POST /rest/units", seconds=60))
    key = {"headers": {"Idempotency-Key": "k-6"}}
    with pytest.raises(DroppedConnection):
        call.post("/rest/units", {"name": "kg"}, **key)
    before = len(agreement.units)
    assert call.post("/rest/units", {"name": "kg"}, **key).status == 201
    world.clock.advance(timedelta(seconds=61))
    call.get("/rest/units")
    assert len(agreement.units) == before + 1


def test_a_person_in_between(call: Caller, world: EconomicWorld, agreement: EconomicAgreement) -> None:
    call.product()
    drafted = call.draft(call.customer(), ("VARE", "1", "10")).body["draftInvoiceNumber"]
    world.faults.add(
        Fault("call", match="POST /rest/invoices/booked", action=lambda: agreement.person_deletes_draft(drafted))
    )
    answer = call.post("/rest/invoices/booked", {"draftInvoice": {"draftInvoiceNumber": drafted}})
    assert answer.codes == ["E06000"]
    assert world.count_calls(agreement.number, "POST", "/rest/invoices/booked") == 1
