"""What can go wrong on the way, and that each document then stands there once."""

from datetime import date, timedelta

import pytest

from addon.connectors.economic import install_url, nudge_path, read_return, webhook_bodies
from addon.connectors.economic.client import NotThere, sort_fault
from addon.connectors.economic.translate import Fault as TheirFault
from addon.connectors.economic.translate import clean, escaped, hold_reason, key_of, keyed, read_fault
from addon.core.books import OrderField
from addon.core.documents import BookInvoice, CreateInvoice
from addon.core.holds import HoldReason
from addon.ports.accounting import Known
from addon.ports.errors import BadReply, NeedsReconnect, OutcomeUnknown, PortError, Rejected, TryLater
from addon.sandbox.economic import Fault
from tests.connectors.economic.conftest import DAY, Bench, invoice_of
from tests.contracts import load_contract

DOUBTFUL = ["lost_after", "error_500_after", "html_502_after", "truncated_json"]


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_a_draft_whose_answer_was_lost_is_found_or_answered_again(bench: Bench, kind: str) -> None:
    customer = bench.customer()
    sale = invoice_of("125.00 DKK")
    bench.world.faults.add(Fault(kind, match="POST /rest/invoices/drafts$"))
    with pytest.raises(OutcomeUnknown):
        bench.draft(sale, customer)
    step = CreateInvoice("stripe/ch_1/sale/create", sale, "c")
    found = bench.economic.look_up(step, Known(customer_number=customer))
    assert found is not None
    assert found.reference == "draft-1"
    # Within the hour the same request gives the same answer, without a look.
    assert bench.draft(sale, customer).reference == "draft-1"
    assert len(bench.agreement.drafts) == 1


def test_after_the_hour_only_looking_helps(bench: Bench) -> None:
    customer = bench.customer()
    sale = invoice_of("125.00 DKK")
    bench.draft(sale, customer)
    bench.clock.advance(timedelta(hours=1))
    step = CreateInvoice("stripe/ch_1/sale/create", sale, "c")
    assert bench.economic.look_up(step, Known(customer_number=customer)) is not None
    bench.draft(sale, customer)
    assert len(bench.agreement.drafts) == 2


def test_an_answer_out_of_their_memory_may_be_about_what_a_person_took_away(bench: Bench) -> None:
    customer = bench.customer()
    sale = invoice_of("125.00 DKK")
    bench.draft(sale, customer)
    bench.agreement.person_deletes_draft(1)
    assert bench.draft(sale, customer).reference == "draft-2"
    invoice = bench.sell(invoice_of("10.00 DKK", "stripe/ch_2/sale"), customer)
    create = bench.pay_steps(invoice)[0]
    first = bench.economic.perform(create, Known(invoice=invoice))
    bench.agreement.person_deletes_entry(next(iter(bench.agreement.draft_entries)))
    assert bench.economic.perform(create, Known(invoice=invoice)).reference != first.reference
    assert len(bench.agreement.draft_entries) == 1


def test_a_refusal_out_of_their_memory_is_asked_again(bench: Bench) -> None:
    bench.world.switches.idempotency_keeps_errors = True
    customer = bench.customer()
    sale = invoice_of("125.00 DKK")
    bench.agreement.bar_period(DAY)
    with pytest.raises(Rejected) as refused:
        bench.draft(sale, customer)
    assert refused.value.reason == HoldReason.PERIOD_LOCKED
    bench.agreement.bar_period(DAY, barred=False)
    assert bench.draft(sale, customer).reference == "draft-1"


def test_a_voucher_that_is_refused_again_and_again_leaves_nothing_and_stands_once(bench: Bench) -> None:
    for _ in range(3):
        bench.world.faults.add(Fault("call", match="bookdraftentries$", action=lambda: bench.agreement.bar_period(DAY)))
        with pytest.raises(Rejected) as refused:
            bench.post(bench.payout())
        assert refused.value.reason == HoldReason.PERIOD_LOCKED
        assert bench.agreement.draft_entries == {}
        bench.agreement.bar_period(DAY, barred=False)
    bench.post(bench.payout())
    assert bench.agreement.balance(5891) == -100
    bench.agreement.check()


def test_a_part_of_a_vouchers_entries_that_a_person_took_away_is_not_booked(bench: Bench) -> None:
    bench.world.faults.add(Fault("lost_after", match="draft-entries/bulk$"))
    with pytest.raises(OutcomeUnknown):
        bench.post(bench.payout())
    bench.agreement.person_deletes_entry(min(bench.agreement.draft_entries))
    bench.clock.advance(timedelta(hours=2))
    with pytest.raises(Rejected) as refused:
        bench.economic.look_up(bench.payout(), bench.for_vouchers())
    assert refused.value.reason == HoldReason.TOUCHED
    assert bench.agreement.entries == []


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_a_booking_whose_answer_was_lost_is_found(bench: Bench, kind: str) -> None:
    sale = invoice_of("125.00 DKK")
    created = bench.draft(sale)
    booking = BookInvoice("b", "c", sale)
    bench.world.faults.add(Fault(kind, match="POST /rest/invoices/booked$"))
    with pytest.raises(OutcomeUnknown):
        bench.economic.perform(booking, Known(invoice=created.invoice))
    found = bench.economic.look_up(booking, Known(invoice=created.invoice))
    assert found is not None
    assert found.reference == "1"
    bench.clock.advance(timedelta(hours=2))
    assert bench.economic.perform(booking, Known(invoice=created.invoice)).reference == "1"
    assert len(bench.agreement.booked) == 1


def test_a_draft_that_a_person_took_away_is_not_booked(bench: Bench) -> None:
    sale = invoice_of("125.00 DKK")
    created = bench.draft(sale)
    bench.agreement.person_deletes_draft(1)
    with pytest.raises(Rejected):
        bench.economic.perform(BookInvoice("b", "c", sale), Known(invoice=created.invoice))


@pytest.mark.parametrize("kind", ["lost_after", "error_500_after", "html_502_after"])
@pytest.mark.parametrize("call", ["draft-entries/bulk$", "bookdraftentries$"])
def test_a_voucher_stands_once_wherever_its_two_calls_break(bench: Bench, kind: str, call: str) -> None:
    step = bench.payout()
    bench.world.faults.add(Fault(kind, match=f"POST .*{call}"))
    with pytest.raises(OutcomeUnknown):
        bench.post(step)
    bench.clock.advance(timedelta(hours=2))
    found = bench.connect().look_up(step, bench.for_vouchers())
    assert found is not None
    assert found.voucher == "V/800001/2026"
    assert bench.agreement.draft_entries == {}
    assert bench.agreement.balance(5891) == -100


def test_a_voucher_that_never_arrived_is_not_there(bench: Bench) -> None:
    bench.world.faults.add(Fault("lost_before", match="draft-entries/bulk$"))
    with pytest.raises(OutcomeUnknown):
        bench.post(bench.payout())
    assert bench.economic.look_up(bench.payout(), bench.for_vouchers()) is None
    bench.post(bench.payout())
    assert bench.agreement.balance(5891) == -100


def test_a_request_that_comes_to_life_late_meets_its_own_key(bench: Bench) -> None:
    bench.world.faults.add(Fault("zombie", match="draft-entries/bulk$", seconds=60))
    with pytest.raises(OutcomeUnknown):
        bench.post(bench.payout())
    bench.post(bench.payout())
    bench.clock.advance(timedelta(seconds=61))
    bench.economic.fetch_identity()
    assert bench.agreement.draft_entries == {}
    assert bench.agreement.balance(5891) == -100


def test_what_is_booked_and_does_not_show_yet_is_in_doubt(bench: Bench) -> None:
    bench.world.switches.booked_delay_s = 5
    step = bench.payout()
    with pytest.raises(OutcomeUnknown):
        bench.post(step)
    bench.clock.advance(timedelta(seconds=6))
    assert bench.economic.look_up(step, bench.for_vouchers()) is not None
    invoice = bench.sell(invoice_of("125.00 DKK"))
    with pytest.raises(OutcomeUnknown):
        bench.pay(invoice)


def test_entries_that_booking_leaves_are_told(bench: Bench) -> None:
    journal = bench.agreement.journals[bench.journal]
    journal.flags.update(autoApprove=False, requireAdminApproval=True)
    with pytest.raises(Rejected):
        bench.pay(bench.sell(invoice_of("125.00 DKK")))
    assert len(bench.agreement.draft_entries) == 1


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (lambda bench: bench.agreement.bar_period(DAY), HoldReason.PERIOD_LOCKED),
        (lambda bench: bench.agreement.close_year("2026"), HoldReason.PERIOD_LOCKED),
        (lambda bench: bench.agreement.bar_account(5891), HoldReason.ACCOUNT_NOT_READY),
        (lambda bench: bench.agreement.block_direct_entries(5820), HoldReason.ACCOUNT_NOT_READY),
        (lambda bench: bench.agreement.remove_account(3621), HoldReason.ACCOUNT_NOT_READY),
    ],
)
def test_refusals_are_sorted_by_code(bench: Bench, deed: object, reason: HoldReason) -> None:
    deed(bench)  # type: ignore[operator]
    with pytest.raises(Rejected) as refused:
        bench.post(bench.payout())
    assert refused.value.reason == reason
    assert bench.agreement.draft_entries == {}


def test_a_locked_period_refuses_an_invoice_whatever_language_the_refusal_is_in(bench: Bench) -> None:
    for language in ("da", "en"):
        bench.agreement.set_language(language)
        bench.agreement.bar_period(date(2026, 3, 1))
        with pytest.raises(Rejected) as refused:
            bench.draft(invoice_of("125.00 DKK"))
        assert refused.value.reason == HoldReason.PERIOD_LOCKED


def test_a_withdrawn_grant_needs_a_person(bench: Bench) -> None:
    bench.agreement.revoke_grant()
    with pytest.raises(NeedsReconnect):
        bench.economic.fetch_identity()
    with pytest.raises(NeedsReconnect):
        bench.post(bench.payout())


def test_too_many_calls_wait_and_nothing_has_happened(bench: Bench) -> None:
    bench.world.faults.add(Fault("rate_limited", match="POST", seconds=7))
    with pytest.raises(TryLater) as later:
        bench.customer()
    assert later.value.retry_after_s == 7
    assert bench.pace.refusals == [7]
    assert bench.agreement.customers == {}


def test_everybody_slows_down_before_the_shared_budget_is_gone(bench: Bench) -> None:
    bench.world.timer = lambda: 0.0
    bench.world.buckets.clear()
    bench.world.cost_limit = 100
    for _ in range(30):
        bench.economic.fetch_identity()  # three of a hundred each
    assert bench.pace.refusals == []
    bench.economic.fetch_identity()
    assert bench.pace.refusals == [2]


def test_a_lost_connection_before_a_question_is_asked_again(bench: Bench) -> None:
    for kind in ("lost_before", "error_500_before", "html_502_before"):
        bench.world.faults.add(Fault(kind, match="GET /rest/self"))
        with pytest.raises(TryLater):
            bench.economic.fetch_identity()


@pytest.mark.parametrize(
    ("status", "fault", "write", "kind"),
    [
        (200, None, False, BadReply),
        (200, None, True, OutcomeUnknown),
        (404, TheirFault("", "", "gone"), False, NotThere),
        (409, TheirFault("UpdateConflict", "", ""), True, TryLater),
        (403, TheirFault("AccessDeniedAgreementMissingModules", "", ""), True, Rejected),
        (401, None, True, NeedsReconnect),
    ],
)
def test_faults_are_named_by_what_to_do_next(
    status: int, fault: TheirFault | None, write: bool, kind: type[PortError]
) -> None:
    assert type(sort_fault(status, fault, None, write=write, what="GET self")) is kind


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("error.400.voucher-barred-period", "E04041", HoldReason.PERIOD_LOCKED),
        ("error.400.voucher-account", "E04041", HoldReason.ACCOUNT_NOT_READY),
        ("error.400.invoice-line", "E06600", HoldReason.REJECTED),
        ("error.400.openapi", "JournalEntryAccountNotFound", HoldReason.ACCOUNT_NOT_READY),
        ("error.404", "", HoldReason.REJECTED),
        ("error.409.openapi", "UpdateConflict", HoldReason.REJECTED),
    ],
)
def test_recorded_refusals_are_understood(name: str, code: str, reason: HoldReason) -> None:
    fault = read_fault(load_contract("economic", "examples", f"{name}.json")["response"]["body"])
    assert fault is not None
    assert (fault.code, hold_reason(fault)) == (code, reason)


def test_what_is_no_refusal_of_theirs_is_not_read_as_one() -> None:
    assert read_fault([1]) is None
    assert read_fault({"hello": "world"}) is None
    assert hold_reason(TheirFault("E06000", "currency", "")) is HoldReason.CURRENCY_NOT_READY


def test_texts_keep_their_key_whatever_the_provider_wrote() -> None:
    text = keyed("Tak\r\n\u202eefter" + "x" * 400, "stripe/ch_1/sale")
    assert len(text) <= 250
    assert key_of(text) == "stripe/ch_1/sale"
    assert "\n" not in text
    assert clean("a\u0000b", 10) == "a b"
    assert escaped("a$(b),*") == "a$$$(b$)$,$*"


def test_hostile_order_numbers_find_nothing_else(bench: Bench) -> None:
    bench.agreement.person_creates_invoice(125, order="1001")
    for text in ("1001$or:references.other$ne:x", "*", "(", "100%", "[0-9]001"):
        assert bench.economic.find_invoices(text, [OrderField.ORDER_NUMBER, OrderField.OUR_REFERENCE]) == ()


def test_the_way_in_carries_our_own_word(bench: Bench) -> None:
    url = install_url("https://e.test/requestaccess.aspx", "public", "https://kvitt.test/back?x=1#y", "once")
    assert url.startswith("https://e.test/requestaccess.aspx?appPublicToken=public&redirectUrl=https%3A%2F%2Fkvitt")
    assert "state%3Donce" in url
    assert "x%3D1" not in url
    grant, state = read_return({"token": "A" * 43, "state": "once"})
    assert (grant.access_token, state) == ("A" * 43, "once")
    assert "A" * 43 not in repr(grant)
    for query in ({}, {"token": "short"}, {"token": "A" * 42 + "\n"}):
        with pytest.raises(Rejected):
            read_return(query)


def test_a_webhook_is_an_address_that_cannot_be_guessed() -> None:
    path = nudge_path(b"secret", "1201001")
    assert path != nudge_path(b"secret", "1201002")
    assert path != nudge_path(b"other", "1201001")
    assert path.startswith("1201001-") and len(path) == 48
    (body,) = webhook_bodies(f"https://kvitt.test/webhooks/economic/{path}")
    assert (body["eventType"], body["postData"]) == ("INVOICE_BOOKED", "{}")


def test_no_secret_is_in_a_message_or_a_call_record(bench: Bench) -> None:
    secrets = ("app-secret", bench.tokens.tokens[0])
    bench.world.faults.add(Fault("error_500_after", match="POST"))
    with pytest.raises(OutcomeUnknown) as unknown:
        bench.customer()
    said = f"{unknown.value!r} {bench.log.calls!r} {bench.economic._client!r}"
    assert not any(secret in said for secret in secrets)
