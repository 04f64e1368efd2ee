import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
import stripe

from addon.connectors.stripe import AppAccess, ConnectAccess, KeyAccess, StripeApi, StripeSource, check_restricted_key
from addon.connectors.stripe.client import STRIPE_VERSION
from addon.core.money import Money
from addon.core.records import Itemisation, Movement, MovementKind, PartKind, PayoutState
from addon.ports.errors import BadReply, NeedsReconnect, PortError, Rejected, TryLater
from addon.ports.payments import Fetched, Page, PaymentSource
from addon.sandbox.stripe import Fault
from addon.sandbox.stripe.account import OTHER_ROWS
from tests.connectors.stripe.conftest import START, Bed, Serve
from tests.contracts import load_contract

T = TypeVar("T")
FOREVER = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
READS = ("balance_read", "charge_read", "dispute_read", "payment_intent_read", "payout_read")
ALL_READS = (*READS, "balance_transaction_source_read")


def every(fetch: Callable[[str | None], Page[T]]) -> list[T]:
    found: list[T] = []
    cursor: str | None = None
    for _ in range(100):
        page = fetch(cursor)
        found.extend(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError("the pages have no end")


def movements(source: PaymentSource, since: datetime = FOREVER[0], until: datetime = FOREVER[1]) -> list[Movement]:
    return [item.value for item in every(lambda cursor: source.fetch_movements(since, until, cursor))]


def a_busy_month(bed: Bed) -> None:
    """Something of everything."""
    account = bed.account
    charges = [
        account.charge(49900, "sek", metadata={"order_id": "1001"}, name="Anna", email="anna@example.com"),
        account.charge(10000, "eur", metadata={"order_id": "1002"}, country="DE"),
        account.charge(5000, "jpy", intent_metadata={"order_number": "1003"}, country="JP"),
        account.charge(50000, "isk", description="Shop - Order 1004", country="IS"),
        account.charge(20000, "usd", captured=15000),
        account.charge(30000, "sek", payment_method_type="klarna", order_reference="1006", application_fee=700),
        account.charge(8000, "dkk", metadata={"order_id": "1007"}),
    ]
    bed.world.clock.advance(timedelta(days=3))
    account.refund(charges[0], 10000)
    bounced = account.refund(charges[6])
    account.refund_fails(bounced)
    won = account.dispute(charges[2])
    account.counter(won)
    account.win(won)
    account.bounce(charges[5])
    account.stripe_fee(1250, vat=312)
    account.reserve_hold(5000)
    account.adjustment(-123, description="???")
    account.adjustment(77, type="novelty", reporting_category="novelty")
    account.topup(100_000)
    account.catch_up()
    bed.world.clock.advance(timedelta(days=4))
    account.catch_up()


def test_every_row_comes_once_and_adds_up_to_the_balance(bed: Bed) -> None:
    a_busy_month(bed)
    source = bed.source()
    found = movements(source)
    assert sorted(movement.ref for movement in found) == sorted(row.id for row in bed.account.ledger)
    for row in bed.account.ledger:
        movement = next(movement for movement in found if movement.ref == row.id)
        assert movement.net() == Money(row.net, row.currency.upper())
    balances = {balance.amount.currency: balance for balance in source.fetch_balances()}
    assert set(balances) == {"SEK", "EUR"}
    for currency, balance in balances.items():
        nets = (movement.net() for movement in found if movement.currency == currency)
        assert Money.total(nets, currency) == balance.amount
        assert balance.at == bed.now()
    held = [movement.raw_kind for movement in found if movement.kind is MovementKind.UNRECOGNISED]
    assert held == ["novelty/novelty"]


def test_what_a_movement_tells(bed: Bed) -> None:
    a_busy_month(bed)
    found = movements(bed.source())
    sales = [movement for movement in found if movement.kind is MovementKind.SALE]
    told = {
        (str(movement.presented), movement.order_numbers[0].place, movement.order_numbers[0].value)
        for movement in sales
        if movement.order_numbers
    }
    assert told == {
        ("499.00 SEK", "metadata.order_id", "1001"),
        ("100.00 EUR", "metadata.order_id", "1002"),
        ("5000 JPY", "payment_intent.metadata.order_number", "1003"),
        ("500 ISK", "description", "1004"),
        ("300.00 SEK", "payment_intent.payment_details.order_reference", "1006"),
        ("80.00 DKK", "metadata.order_id", "1007"),
    }
    dollars = [movement for movement in found if movement.presented and movement.presented.currency == "USD"]
    assert Money.total((m.presented for m in dollars if m.presented), "USD") == Money(15000, "USD")
    refund = next(movement for movement in found if movement.presented == Money(-10000, "SEK"))
    anna = next(movement for movement in sales if movement.buyer.name == "Anna")
    assert refund.original_ref == anna.source_ref
    assert {number.value for number in refund.order_numbers} == {"1001"}
    assert refund.buyer == anna.buyer
    reversal = next(movement for movement in found if movement.kind is MovementKind.REFUND_REVERSAL)
    assert reversal.presented == Money(8000, "DKK")
    bounced = next(m for m in found if m.kind is MovementKind.SALE_REVERSAL and m.raw_kind.startswith("charge_failure"))
    foreign = next(m for m in sales if m.source_ref == bounced.original_ref)
    assert PartKind.FOREIGN_FEE in {fee.kind for fee in foreign.fees}
    dispute = next(movement for movement in found if movement.kind is MovementKind.DISPUTE)
    assert dispute.presented == Money(-5000, "JPY")
    assert dispute.original_ref.startswith("ch_")


def test_evidence_is_stripes_own_record(bed: Bed) -> None:
    bed.account.charge(49900, "sek", metadata={"order_id": "1001"})
    (item,) = bed.source().fetch_movements(*FOREVER, None).items
    assert item.raw["source"]["metadata"] == {"order_id": "1001"}
    assert item.raw["source"]["payment_intent"]["object"] == "payment_intent"
    assert item.raw["id"] == item.value.ref


def test_a_refunds_sale_and_its_intent_are_spelled_out(bed: Bed) -> None:
    charge = bed.account.charge(49900, "sek", metadata={"order_id": "1"}, intent_metadata={"order_id": "edited"})
    bed.account.refund(charge)
    found = [m for m in movements(bed.source()) if m.kind is MovementKind.REFUND]
    assert [(n.place, n.value) for n in found[0].order_numbers] == [
        ("metadata.order_id", "1"),
        ("payment_intent.metadata.order_id", "edited"),
    ]


def test_a_place_of_the_shops_own_is_looked_at_first(bed: Bed) -> None:
    bed.account.charge(1000, "sek", metadata={"cart": "C-7", "order_id": "1001"}, intent_metadata={})
    api = StripeApi(bed.http, bed.connected(), api_url=bed.url)
    (movement,) = movements(StripeSource(api, now=bed.now, order_places=("metadata.cart",)))
    assert [number.value for number in movement.order_numbers] == ["C-7", "1001"]


def test_paging_through_hundreds_of_rows_of_one_second(bed: Bed) -> None:
    for number in range(1, 252):
        bed.account.charge(1000 + number, "sek", metadata={"order_id": str(number)})
    source = bed.source()
    before = bed.world.count_calls("balance_transactions")
    found = movements(source)
    assert bed.world.count_calls("balance_transactions") - before == 3
    assert sorted(int(m.order_numbers[0].value) for m in found) == list(range(1, 252))


def test_rows_made_while_paging_shift_nothing(bed: Bed) -> None:
    for _ in range(150):
        bed.account.charge(1000, "sek")
    source = bed.source()
    first = source.fetch_movements(*FOREVER, None)
    for _ in range(30):
        bed.account.charge(2000, "sek")
    second = source.fetch_movements(*FOREVER, first.next_cursor)
    refs = [item.value.ref for item in (*first.items, *second.items)]
    assert second.next_cursor is None
    assert len(refs) == len(set(refs)) == 150


def test_windows_meet_without_a_gap_or_an_overlap(bed: Bed) -> None:
    edge = START + timedelta(hours=1)
    for seconds in (-1, 0, 1):
        bed.account.charge(1000, "sek", at=edge + timedelta(seconds=seconds))
    source = bed.source()
    before, after = movements(source, FOREVER[0], edge), movements(source, edge, FOREVER[1])
    assert [m.occurred_at for m in before] == [edge - timedelta(seconds=1)]
    assert [m.occurred_at for m in after] == [edge + timedelta(seconds=1), edge]
    # A window that begins or ends within a second takes the whole second: twice is harmless, never is not.
    half = edge + timedelta(milliseconds=500)
    assert edge in [m.occurred_at for m in movements(source, FOREVER[0], half)]
    assert edge in [m.occurred_at for m in movements(source, half, FOREVER[1])]


def test_payouts_and_what_they_are_made_of(bed: Bed) -> None:
    a_busy_month(bed)
    source = bed.source()
    by_ref = {movement.ref: movement for movement in movements(source)}
    payouts = [item.value for item in every(lambda cursor: source.fetch_payouts(FOREVER[0], cursor))]
    assert len(payouts) >= 3
    assert [p.created_at for p in payouts] == sorted((p.created_at for p in payouts), reverse=True)
    for payout in payouts:
        assert payout.itemisation is Itemisation.COMPLETE
        items = every(lambda cursor, ref=payout.ref: source.fetch_payout_items(ref, cursor))
        assert Money.total((item.net for item in items), payout.amount.currency) == payout.amount
        assert all(by_ref[item.ref].net() == item.net for item in items)
        own = next(m for m in by_ref.values() if m.kind is MovementKind.PAYOUT and m.source_ref == payout.ref)
        assert own.ref not in {item.ref for item in items}
        assert own.net() == -payout.amount


def test_a_long_payout_is_told_page_by_page(bed: Bed) -> None:
    for _ in range(205):
        bed.account.charge(1000, "sek")
    bed.world.clock.advance(timedelta(days=7))
    bed.account.catch_up()
    source = bed.source()
    payout = source.fetch_payouts(FOREVER[0], None).items[0].value
    items = every(lambda cursor: source.fetch_payout_items(payout.ref, cursor))
    assert len(items) == len(set(items)) == 205


def test_payouts_of_every_state(bed: Bed) -> None:
    account = bed.account
    account.charge(100_000, "sek")
    bed.world.clock.advance(timedelta(days=4))
    first = account.manual_payout(10_000, method="instant")
    (automatic,) = account.run_payouts()
    source = bed.source()

    def seen() -> dict[str, tuple[PayoutState, Itemisation]]:
        payouts = source.fetch_payouts(FOREVER[0], None).items
        return {item.value.ref: (item.value.state, item.value.itemisation) for item in payouts}

    assert seen() == {
        first: (PayoutState.UNDER_WAY, Itemisation.NONE),
        automatic: (PayoutState.UNDER_WAY, Itemisation.PENDING),
    }
    bed.world.clock.advance(timedelta(days=5))
    account.advance_payouts()
    bed.world.clock.advance(timedelta(days=5))
    account.advance_payouts()
    assert seen()[automatic] == (PayoutState.PAID, Itemisation.COMPLETE)
    account.fail_payout(automatic)
    assert seen()[automatic][0] is PayoutState.FAILED
    reversal = next(m for m in movements(source) if m.kind is MovementKind.PAYOUT_REVERSAL)
    assert (reversal.source_ref, reversal.original_ref) == (automatic, "")
    with pytest.raises(Rejected):
        source.fetch_payout_items(first, None)
    assert source.fetch_payouts(bed.now(), None).items == ()


# --- the three ways in ------------------------------------------------------------------------------------


class Tokens:
    """A token source over a world's app tokens."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.held = bed.world.grant_app_token(bed.account).access_token
        self.renewed = 0

    def current(self) -> str:
        return self.held

    def renew(self, stale: str) -> str:
        assert stale == self.held
        self.renewed += 1
        self.held = self.bed.world.grant_app_token(self.bed.account).access_token
        return self.held


def ways_in(bed: Bed) -> list[ConnectAccess | AppAccess | KeyAccess]:
    return [
        bed.connected(),
        AppAccess(bed.account.id, Tokens(bed)),
        KeyAccess(bed.account.issue_restricted_key(ALL_READS)),
    ]


def test_all_three_ways_in_read_the_same(bed: Bed) -> None:
    bed.account.charge(49900, "sek", metadata={"order_id": "1001"})
    bed.world.add_account("Another").charge(1, "sek")
    answers = []
    for access in ways_in(bed):
        source = bed.source(access)
        account = source.fetch_account()
        assert (account.ref, account.name, account.country, account.default_currency, account.live) == (
            bed.account.id,
            "Butiken AB",
            "SE",
            "SEK",
            True,
        )
        answers.append((movements(source), source.fetch_balances(), source.fetch_payouts(FOREVER[0], None)))
    assert answers[0] == answers[1] == answers[2]


def test_no_way_in_tells_its_secret() -> None:
    for access in (ConnectAccess("acct_1", "sk_live_a"), KeyAccess("rk_live_b")):
        assert "_live_" not in repr(access)


def test_test_data_is_known_for_what_it_is(bed: Bed) -> None:
    bed.account.livemode = False
    bed.account.charge(1000, "sek")
    for access in ways_in(bed):
        assert bed.source(access).fetch_account().live is False
        # Should it have been let in as live all the same, not one row enters.
        with pytest.raises(BadReply, match="test data"):
            movements(bed.source(access))
    assert movements(bed.source(ConnectAccess(bed.account.id, bed.world.secret_key, live=False)))


def test_an_hours_token_is_renewed_once_and_used(bed: Bed) -> None:
    tokens = Tokens(bed)
    source = bed.source(AppAccess(bed.account.id, tokens))
    bed.account.charge(1000, "sek")
    bed.world.clock.advance(timedelta(seconds=3601))
    assert len(movements(source)) == 1
    assert tokens.renewed == 1
    bed.world.uninstall_app(bed.account)
    bed.world.faults.add(Fault("revoked", times=None))
    with pytest.raises(NeedsReconnect):
        movements(source)
    assert tokens.renewed == 2


def test_disconnecting_ends_the_consent(bed: Bed) -> None:
    source = bed.source()
    source.disconnect()
    assert bed.account.id not in bed.world.connections
    with pytest.raises(NeedsReconnect):
        source.fetch_balances()
    source.disconnect()  # once more is no mistake


def test_a_pasted_key_is_only_forgotten(bed: Bed) -> None:
    api = StripeApi(bed.http, KeyAccess(bed.account.issue_restricted_key(ALL_READS)), api_url=bed.url)
    StripeSource(api, now=bed.now).disconnect()
    assert bed.calls.made == []


# --- pasted keys ------------------------------------------------------------------------------------------


def test_a_good_key_opens_its_account(bed: Bed) -> None:
    key = bed.account.issue_restricted_key(ALL_READS)
    account = check_restricted_key(f"  {key}\n", bed.http, api_url=bed.url)
    assert (account.ref, account.live) == (bed.account.id, True)


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("payout_read", "Payouts"),
        ("charge_read", "Charges and refunds"),
        ("dispute_read", "Disputes"),
        ("payment_intent_read", "PaymentIntents"),
        ("balance_transaction_source_read", "Balance transaction sources"),
    ],
)
def test_a_key_that_lacks_a_permission_is_told_which(bed: Bed, missing: str, named: str) -> None:
    bed.account.charge(1000, "sek")
    key = bed.account.issue_restricted_key(set(ALL_READS) - {missing})
    with pytest.raises(Rejected) as caught:
        check_restricted_key(key, bed.http, api_url=bed.url)
    assert caught.value.code == "key_permissions"
    assert caught.value.message == f"The key lacks read access to: {named}."
    assert key not in str(caught.value)


def test_a_key_without_the_balance_is_told_all_it_lacks(bed: Bed) -> None:
    key = bed.account.issue_restricted_key(())
    with pytest.raises(Rejected, match=r"Balance, Balance transaction sources, Charges and refunds, .*Payouts"):
        check_restricted_key(key, bed.http, api_url=bed.url)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("sk_live_1234567890", "key_secret"),
        ("sk_test_1234567890", "key_secret"),
        ("pk_live_1234567890", "key_publishable"),
        ("rk_test_1234567890", "key_test"),
        ("", "key_unreadable"),
        ("rk_live_", "key_unreadable"),
        ("rk_live_12345678\r\nStripe-Account: acct_2", "key_unreadable"),
        ("whsec_12345678901", "key_unreadable"),
        ("rk_live_ååååååååå", "key_unreadable"),
    ],
)
def test_wrong_keys_are_refused_by_their_looks_without_a_call(bed: Bed, key: str, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        check_restricted_key(key, bed.http, api_url=bed.url)
    assert caught.value.code == code
    assert bed.calls.made == []


def test_a_key_unknown_to_stripe_or_of_a_test_account(bed: Bed) -> None:
    with pytest.raises(Rejected) as caught:
        check_restricted_key("rk_live_neverheardof", bed.http, api_url=bed.url)
    assert caught.value.code == "key_unknown"
    key = bed.account.issue_restricted_key(ALL_READS)
    bed.account.livemode = False
    with pytest.raises(Rejected) as caught:
        check_restricted_key(key, bed.http, api_url=bed.url)
    assert caught.value.code == "key_test"


# --- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("lost_before", TryLater),
        ("lost_after", TryLater),
        ("timeout", TryLater),
        ("error_500", TryLater),
        ("html_500", TryLater),
        ("rate_limited", TryLater),
        ("revoked", NeedsReconnect),
        ("truncated_json", BadReply),
    ],
)
def test_each_fault_by_what_to_do_next(bed: Bed, kind: str, error: type[PortError]) -> None:
    bed.account.charge(1000, "sek")
    # Whoever is asked in vain is not waited for; all others may take their time.
    bed.http = bed.client(deadline_s=0.3 if kind == "timeout" else 60)
    source = bed.source()
    bed.world.faults.add(Fault(kind, seconds=2.0))  # type: ignore[arg-type]
    with pytest.raises(error) as caught:
        movements(source)
    if kind == "rate_limited":
        assert isinstance(caught.value, TryLater)
        assert caught.value.retry_after_s == 1
    for told in (str(caught.value), *(str(call) for call in bed.calls.made)):
        assert "sk_live" not in told
        assert "<html" not in told
    bed.world.faults.clear()
    assert len(movements(source)) == 1, "afterwards all is well: nothing was retried, nothing is stuck"


def test_one_attempt_each_time(bed: Bed) -> None:
    source = bed.source()
    bed.world.faults.add(Fault("error_500", times=None))
    with pytest.raises(TryLater):
        source.fetch_balances()
    assert len(bed.world.faults.struck) == 1


def test_a_company_that_took_its_consent_back_must_reconnect(bed: Bed) -> None:
    source = bed.source()
    bed.world.disconnect(bed.account)
    with pytest.raises(NeedsReconnect):
        source.fetch_balances()
    with pytest.raises(NeedsReconnect):
        bed.source(ConnectAccess(bed.account.id, "sk_live_wrong_key")).fetch_balances()


def test_a_cursor_that_names_nothing_is_a_refusal_in_their_words(bed: Bed) -> None:
    with pytest.raises(Rejected) as caught:
        bed.source().fetch_movements(*FOREVER, "txn_never")
    assert caught.value.code == "resource_missing"
    assert isinstance(caught.value.__cause__, stripe.StripeError)


@pytest.mark.parametrize(
    ("status", "kind", "body", "error"),
    [
        (200, "text/html", b"<html>maintenance</html>", TryLater),
        (200, "application/json", b"<html>", BadReply),
        (200, "application/json", b"[]", BadReply),
        (200, "application/json", b"", BadReply),
        (200, "application/json", b"\xff\xfe", BadReply),
        (200, "application/json", b"[" * 50_000, BadReply),
        (200, "application/json", b"{}", BadReply),
        (200, "application/json", b'{"data": [1], "has_more": false}', BadReply),
        (200, "application/json", b'{"data": [], "has_more": true}', BadReply),
        (200, "application/json", b'{"data": [{"id": 5}], "has_more": true}', BadReply),
        (200, "application/json", b'{"data": [], "has_more": "no"}', BadReply),
        (301, "text/plain", b"moved", BadReply),
        (404, "application/json", b'{"error": 5}', BadReply),
        (400, "application/json", b'{"error": "novelty"}', BadReply),
        (400, "application/json", b'{"error": {}}', Rejected),
        (400, "application/json", b'{"error": {"message": 5, "code": 7, "type": []}}', Rejected),
        (400, "application/json", b'{"error": {"code": "rate_limit", "message": "slow"}}', TryLater),
        (402, "application/json", b'{"error": {"type": "card_error"}}', Rejected),
        (403, "application/json", b'{"error": {"message": "no rk_live_abcdef1234 rights"}}', Rejected),
        (409, "application/json", b'{"error": {"code": "lock_timeout"}}', TryLater),
        (418, "application/json", b'{"error": {"message": "teapot"}}', BadReply),
        (429, "text/html", b"<html>", TryLater),
        (503, "application/json", b"[]", TryLater),
    ],
)
def test_answers_of_every_sort(
    bed: Bed, serve: Serve, status: int, kind: str, body: bytes, error: type[PortError]
) -> None:
    def app(environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response(f"{status} Whatever", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    api = StripeApi(bed.http, KeyAccess("rk_live_12345678"), api_url=serve(app))
    with pytest.raises(error) as caught:
        StripeSource(api, now=bed.now).fetch_payouts(FOREVER[0], None)
    assert "html" not in str(caught.value)
    assert "abcdef1234" not in str(caught.value)


def test_a_list_that_never_ends_is_refused(bed: Bed, serve: Serve) -> None:
    body = b'{"data": [{"id": "po_1", "object": "payout"}], "has_more": true}'

    def app(environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [body]

    api = StripeApi(bed.http, KeyAccess("rk_live_12345678"), api_url=serve(app))
    with pytest.raises(BadReply, match="not where"):
        api.list("/v1/payouts", "po_1")


# --- how calls are made -----------------------------------------------------------------------------------


def test_each_call_is_told_with_its_reference_and_without_its_secrets(bed: Bed) -> None:
    bed.source().fetch_balances()
    (call,) = bed.calls.made
    assert (call.system, call.method, call.path, call.status) == ("stripe", "GET", "/v1/balance", 200)
    assert call.request_ref.startswith("req_sandbox")


def test_calls_carry_the_pinned_version_the_account_and_no_telemetry(bed: Bed, serve: Serve) -> None:
    seen: list[dict[str, str]] = []
    inner = bed.world.app()

    def app(environ: dict[str, object], start_response: Callable[..., object]) -> object:
        seen.append({name: str(value) for name, value in environ.items() if name.startswith("HTTP_")})
        return inner(environ, start_response)

    bed.url = serve(app)  # type: ignore[arg-type]
    source = bed.source()
    source.fetch_balances()
    source.fetch_balances()
    assert [headers["HTTP_STRIPE_VERSION"] for headers in seen] == [STRIPE_VERSION] * 2
    assert {headers["HTTP_STRIPE_ACCOUNT"] for headers in seen} == {bed.account.id}
    assert all("TELEMETRY" not in name for headers in seen for name in headers)
    assert stripe.api_version == STRIPE_VERSION, "the SDK has moved on: look through its changes, then pin anew"


def test_threads_share_a_source(bed: Bed) -> None:
    for number in range(120):
        bed.account.charge(1000 + number, "sek")
    source = bed.source()
    answers: list[list[Movement]] = []

    def read() -> None:
        answers.append(movements(source))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0]) == 120


def test_the_source_is_a_payment_source(bed: Bed) -> None:
    source: PaymentSource = bed.source()
    assert source.capabilities.name == "stripe"
    assert source.capabilities.itemises_payouts
    page: Page[Fetched[Movement]] = source.fetch_movements(*FOREVER, None)
    assert page == Page((), None)


def test_the_sandbox_makes_every_kind_of_row_that_the_guide_names(bed: Bed) -> None:
    account = bed.account
    charge = account.charge(100_000, "sek", captured=90_000)
    bounced = account.charge(20_000, "sek", payment_method_type="sepa_debit")
    account.bounce(bounced)
    account.refund_fails(account.refund(charge, 5_000))
    dispute = account.dispute(charge, 30_000)
    account.dispute_difference(dispute, -50)
    account.win(dispute)
    account.stripe_fee(500)
    account.reserve_hold(1_000)
    account.adjustment(700)
    account.topup(10_000)
    for word in OTHER_ROWS:
        account.other(word, 300)
    bed.world.clock.advance(timedelta(days=5))
    account.catch_up()
    account.fail_payout(next(iter(account.payouts)).id)
    guide = load_contract("stripe", "type_map.json")["by_reporting_category"]
    assert {row.reporting_category for row in account.ledger} == set(guide)
    found = movements(bed.source())
    assert {movement.kind for movement in found} == set(MovementKind) - {
        MovementKind.CONVERSION,
        MovementKind.DISPUTE_LOST,
    }
    by_ref = {movement.ref: movement for movement in found}
    assert all(by_ref[row.id].net().minor == row.net for row in account.ledger)
    assert Money.total((movement.net() for movement in found if movement.currency == "SEK"), "SEK") == next(
        balance.amount for balance in bed.source().fetch_balances() if balance.amount.currency == "SEK"
    )


def test_disputes_are_read_as_they_stand(bed: Bed) -> None:
    account = bed.account
    charges = [account.charge(10_000, "sek") for _ in range(4)]
    won, lost, open_ = (account.dispute(charge) for charge in charges[:3])
    inquiry = account.dispute(charges[3], 4_000, inquiry=True)
    account.win(won)
    account.lose(lost)
    account.close_inquiry(inquiry)
    source = bed.source()
    found = {item.value.ref: item.value for item in every(lambda cursor: source.fetch_disputes(FOREVER[0], cursor))}
    assert {ref: dispute.state.value for ref, dispute in found.items()} == {
        won: "won",
        lost: "lost",
        open_: "open",
        inquiry: "closed",
    }
    assert found[inquiry].amount == Money(4_000, "SEK")
    assert [found[ref].original_ref for ref in (won, lost, open_, inquiry)] == charges
    later = account.clock.now() + timedelta(days=1)
    assert not source.fetch_disputes(later, None).items
