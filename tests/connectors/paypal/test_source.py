"""PayPal read in windows: every row once, whatever the limits, the delay and the errors."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from addon.connectors.paypal import NEEDED_SCOPES
from addon.connectors.paypal.access import Credentials, refuse_by_their_looks
from addon.core.money import Money
from addon.core.records import Dispute, DisputeState, MovementKind
from addon.ports.errors import BadReply, NeedsReconnect, Rejected, TryLater
from addon.sandbox.paypal import Fault, Item
from tests.connectors.paypal.conftest import NOW, Bed, Tokens


def refs(bed: Bed, since: datetime = NOW - timedelta(days=60)) -> list[str]:
    return [movement.ref for movement in bed.movements(since)]


def deposits(
    bed: Bed, count: int, step: timedelta = timedelta(minutes=10), before: timedelta = timedelta(days=20)
) -> None:
    for number in range(count):
        bed.account.deposit(100 + number, at=NOW - before + number * step)


def test_what_can_be_told(bed: Bed) -> None:
    told = bed.source().capabilities
    assert (told.name, told.itemises_payouts, told.balance_is_current, told.lists_payouts) == (
        "PayPal",
        False,
        False,
        False,
    )
    source = bed.source()
    assert source.fetch_payouts(NOW, None).items == ()
    assert source.fetch_payout_items("x", None).items == ()
    source.disconnect()


def test_a_long_time_is_read_in_windows_of_31_days(bed: Bed) -> None:
    deposits(bed, 10, timedelta(days=8), timedelta(days=90))
    assert len(refs(bed, NOW - timedelta(days=92))) == 10
    assert bed.world.count_calls("reporting/transactions") == 3


def test_pages_of_500_follow_each_other(bed: Bed) -> None:
    deposits(bed, 1001, timedelta(minutes=1))
    assert len(set(refs(bed, NOW - timedelta(days=25)))) == 1001
    assert bed.world.count_calls("reporting/transactions") == 3


def test_a_window_with_too_many_rows_is_halved_until_it_fits(bed: Bed) -> None:
    bed.world.largest_result = 50
    deposits(bed, 301, timedelta(hours=1))
    found = refs(bed, NOW - timedelta(days=31))
    assert len(found) == len(set(found)) == 301


def test_25_000_transactions_in_one_month_are_read_completely_and_add_up(bed: Bed) -> None:
    bed.account.balance_currencies = frozenset({"SEK"})
    bed.account.lag = timedelta(0)
    for number in range(25_001):
        bed.account.record(
            "T0006", 10000 + number, "SEK", at=NOW - timedelta(seconds=100 * (25_001 - number)), fee=-300
        )
    source, found, cursor, total = bed.source(), set(), None, Money(0, "SEK")
    for _ in range(300):
        page = source.fetch_movements(NOW - timedelta(days=31), NOW, cursor)
        for one in page.items:
            assert one.value.ref not in found
            found.add(one.value.ref)
            total += one.value.net()
        cursor = page.next_cursor
        if cursor is None:
            break
    assert cursor is None
    assert len(found) == len(bed.account.rows) > 25_000
    assert total == Money(bed.account.balance("SEK"), "SEK")
    # Two halvings of the first window, and pages of 500.
    assert bed.world.count_calls("reporting/transactions") < 70


def test_more_rows_in_one_second_than_paypal_gives_is_said_and_not_endless(bed: Bed) -> None:
    bed.world.largest_result = 1
    deposits(bed, 2, timedelta(0))
    with pytest.raises(BadReply, match="one second"):
        bed.fetched()


def test_rows_that_leave_a_window_while_it_is_read_lose_no_other_row(bed: Bed) -> None:
    bed.account.window_by = "updated"
    deposits(bed, 900, timedelta(minutes=1))
    source = bed.source()
    since = NOW - timedelta(days=25)
    first = source.fetch_movements(since, NOW, None)
    # PayPal looks at a row of the first page again: it moves beyond, and all others move up by one place.
    bed.account.touch(bed.account.rows[0], NOW)
    second = source.fetch_movements(since, NOW, first.next_cursor)
    assert second.items == ()
    rest, cursor = [], second.next_cursor
    while cursor is not None:
        page = source.fetch_movements(since, NOW, cursor)
        rest += page.items
        cursor = page.next_cursor
    assert len({one.value.ref for one in (*first.items, *rest)}) == 900


def test_what_is_not_there_yet_comes_later(bed: Bed) -> None:
    bed.account.deposit(100, at=NOW - timedelta(hours=1))
    assert bed.movements() == []
    assert bed.source().fetch_movements(NOW - timedelta(hours=2), NOW, None).next_cursor is None
    bed.world.clock.advance(timedelta(hours=3))
    assert len(bed.fetched(NOW - timedelta(hours=2))) == 1


def test_no_window_reaches_back_further_than_paypal_remembers(bed: Bed) -> None:
    assert bed.fetched(datetime(2020, 1, 1, tzinfo=UTC)) == []
    assert bed.source().fetch_movements(NOW, NOW - timedelta(days=1), None).items == ()


@pytest.mark.parametrize("cursor", ["", "1-2-3", "a-b-c-d-e", "1-2-3-4-٥"])
def test_a_cursor_that_is_none_of_ours_is_refused(bed: Bed, cursor: str) -> None:
    with pytest.raises(BadReply):
        bed.source().fetch_movements(NOW - timedelta(days=1), NOW, cursor)


def test_the_account_and_its_currencies(bed: Bed) -> None:
    account = bed.source().fetch_account()
    assert (account.ref, account.default_currency, account.live) == (bed.account.id, "SEK", True)
    with pytest.raises(BadReply, match="another account"):
        bed.source(account="SOMEBODYELSE2").fetch_account()


@pytest.mark.parametrize("moves_ending", [True, False])
def test_balances_are_those_that_the_movements_add_up_to(bed: Bed, moves_ending: bool) -> None:
    bed.account.holds_move_ending_balance = moves_ending
    bed.world.clock.set(NOW - timedelta(days=5))
    sale = bed.account.sell(10000, "SEK")
    bed.account.sell(5000, "EUR")
    bed.account.sell(900, "JPY")
    bed.account.lose(bed.account.dispute(sale.id).id)
    bed.account.hold(700, "SEK", code="T2103")
    bed.account.purchase(300, "EUR")
    bed.account.authorise(9900)
    bed.world.clock.set(NOW)
    bed.account.deposit(1, "SEK")
    sums: dict[str, int] = {"SEK": 0, "EUR": 0}
    for movement in bed.movements():
        net = movement.net()
        sums[net.currency] = sums.get(net.currency, 0) + net.minor
    assert {balance.amount.currency: balance.amount.minor for balance in bed.source().fetch_balances()} == {
        currency: total for currency, total in sums.items() if currency in ("SEK", "EUR") or total
    } | {"JPY": 0}


def test_balances_wait_for_a_list_that_is_behind(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.account.deposit(100, at=NOW - timedelta(hours=10))
    bed.account.deposit(200, at=NOW - timedelta(hours=5))
    source = bed.source()
    monkeypatch.setattr(source, "_refreshed", lambda: NOW - timedelta(hours=6))
    (sek,) = (balance for balance in source.fetch_balances() if balance.amount.currency == "SEK")
    assert (sek.amount, sek.at) == (Money(100, "SEK"), NOW - timedelta(hours=6))
    bed.account.lag = timedelta(days=3)
    assert bed.source()._refreshed() is None


def test_an_invoice_made_at_paypal_brings_its_lines_where_they_may_be_read(bed: Bed) -> None:
    bed.world.clock.set(NOW - timedelta(days=2))
    items = [Item("Consulting", 2, 20000, 5000, percent=Decimal(25)), Item("Book", 1, 1000, 60, percent=Decimal(6))]
    invoice = bed.account.invoice("2001", items)
    bed.account.pay_invoice(invoice.id)
    bed.world.clock.set(NOW)
    (sale,) = bed.movements()
    assert [(line.description, line.percent) for line in sale.items] == [
        ("Consulting", Decimal(25)),
        ("Book", Decimal(6)),
    ]
    assert sale.order_numbers[0].value == "2001"
    bed.app.invoicing = False
    (shut,) = bed.movements()
    assert (shut.kind, shut.items) == (MovementKind.SALE, ())
    bed.app.invoicing = True
    del bed.account.invoices[invoice.id]
    assert bed.movements()[0].items == ()


def test_how_disputes_ended_is_read_one_by_one_where_they_may_be_read(bed: Bed) -> None:
    sales = [bed.account.sell(1000 + number, "SEK", at=NOW - timedelta(days=9)) for number in range(25)]
    disputes = [bed.account.dispute(sale.id, at=NOW - timedelta(days=5, minutes=-n)) for n, sale in enumerate(sales)]
    for dispute in disputes[:22]:
        bed.account.lose(dispute.id, at=NOW - timedelta(days=2))
    bed.account.win(disputes[22].id, at=NOW - timedelta(days=2))
    source = bed.source()
    found: list[Dispute] = []
    cursor: str | None = None
    for _ in range(9):
        page = source.fetch_disputes(NOW - timedelta(days=300), cursor)
        found += [one.value for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert {one.original_ref: one.state for one in found} == {
        **{sale.id: DisputeState.LOST for sale in sales[:22]},
        sales[22].id: DisputeState.WON,
    }
    assert found[-1].amount == Money(1000, "SEK")
    assert bed.world.count_calls("GET /v1/customer/disputes$") == 2
    assert bed.world.count_calls("GET /v1/customer/disputes/") == 23, "those that are open are not asked for"
    bed.app.disputes = False
    assert bed.source().fetch_disputes(NOW - timedelta(days=300), None).items == ()


# --- ways in ----------------------------------------------------------------------------------------------


def test_pasted_credentials_are_checked_at_once(bed: Bed) -> None:
    grant = bed.own.exchange(f" {bed.app.client_id} : {bed.app.secret} ", "")
    assert grant.refresh_token == bed.pasted()
    assert set(NEEDED_SCOPES) <= set(grant.scope.split())
    assert grant.expires_at == NOW + timedelta(hours=9)
    assert grant.live
    with pytest.raises(NeedsReconnect):
        bed.own.exchange(Credentials(bed.app.client_id, "E" * 40).packed(), "")


@pytest.mark.parametrize(
    ("pasted", "code"),
    [
        ("", "client_id_unreadable"),
        ("mail@example.com:secret", "client_id_unreadable"),
        (f"{'A' * 40}:", "secret_unreadable"),
        (f"{'A' * 40}:{'A' * 40}", "secret_is_client_id"),
    ],
)
def test_what_cannot_be_credentials_is_not_even_tried(bed: Bed, pasted: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        bed.own.exchange(pasted, "")
    assert refused.value.code == code
    assert not bed.world.calls
    assert refuse_by_their_looks(Credentials("A" * 40, "E" * 40)) is None
    assert "secret" not in repr(Credentials("A" * 40, "secret" * 7))


def test_an_app_without_the_box_is_told_which_box(bed: Bed) -> None:
    shut = bed.world.add_app(bed.account, transaction_search=False)
    with pytest.raises(Rejected, match="Transaction search"):
        bed.own.exchange(bed.pasted(shut), "")


def test_data_of_the_test_environment_says_so(bed: Bed) -> None:
    test = bed.world.add_account("Test", live=False)
    assert bed.own.exchange(bed.pasted(bed.world.add_app(test)), "").live is False


def test_a_token_that_ran_out_is_renewed_once(bed: Bed) -> None:
    tokens = bed.tokens()
    bed.world.clock.advance(timedelta(hours=10))
    assert bed.source(tokens).fetch_account().ref == bed.account.id
    assert tokens.renewed == 1


def test_a_withdrawn_secret_needs_a_person(bed: Bed) -> None:
    source = bed.source()
    bed.app.revoked = True
    with pytest.raises(NeedsReconnect):
        source.fetch_account()


def test_a_box_unticked_needs_a_person(bed: Bed) -> None:
    tokens = bed.tokens()
    bed.app.transaction_search = False
    bed.world.clock.advance(timedelta(hours=10))
    with pytest.raises(NeedsReconnect, match="Transaction search"):
        bed.source(tokens).fetch_account()


def consents(bed: Bed, reference: str, answer: str = "agree") -> Any:
    address = bed.partner.arrange("http://127.0.0.1:8000/oauth/paypal/callback?state=s", reference)
    client = bed.world.app().test_client()
    return client.post(address.removeprefix("http://127.0.0.1"), data={"account": bed.account.id, "answer": answer})


def test_a_merchant_consents_and_is_read_with_the_partners_token(bed: Bed) -> None:
    bed.account.deposit(100, at=NOW - timedelta(days=1))
    consents(bed, "our-reference")
    grant = bed.partner.exchange("our-reference", "")
    assert (grant.subject, grant.refresh_token, grant.live) == (bed.account.id, "", True)
    source = bed.partner_source(grant)
    assert source.fetch_account().ref == bed.account.id
    assert len(bed.fetched(source=source)) == 1
    assert bed.world.calls[-1].account == bed.account.id
    bed.world.clock.advance(timedelta(hours=10))
    assert source.fetch_balances()
    bed.partner.revoke(grant)
    bed.own.revoke(grant)
    assert (bed.partner.client.name, bed.own.client.name) == ("paypal", "paypal_app")


def test_whose_account_it_is_comes_from_paypal_and_not_from_the_browser(bed: Bed) -> None:
    victim = bed.world.add_account("Offer AB")
    bed.world.consent(victim, tracking_id="the victim's own reference")
    consents(bed, "mine", "cancel")
    with pytest.raises(Rejected):
        bed.partner.exchange("mine", "")


def test_consent_without_the_reports_is_none(bed: Bed) -> None:
    bed.world.consent(bed.account, "ACCESS_MERCHANT_INFORMATION", tracking_id="r")
    with pytest.raises(Rejected, match="permission to read transactions"):
        bed.partner.exchange("r", "")


def test_consent_taken_back_needs_a_person(bed: Bed) -> None:
    consents(bed, "r")
    source = bed.partner_source(bed.partner.exchange("r", ""))
    bed.world.revoke(bed.account)
    with pytest.raises(NeedsReconnect):
        source.fetch_account()


def test_the_browser_is_sent_to_paypal_and_nowhere_else(bed: Bed) -> None:
    partner = bed.partner
    partner._web_url = "https://www.paypal.com"
    with pytest.raises(BadReply, match="not its own"):
        partner.arrange("http://127.0.0.1:8000/back", "r")


# --- errors by what to do next ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("error_500", TryLater),
        ("html_500", TryLater),
        ("rate_limited", TryLater),
        ("lost_before", TryLater),
        ("lost_after", TryLater),
        ("truncated_json", BadReply),
    ],
)
def test_each_failure_is_named_by_what_to_do_next(bed: Bed, kind: Any, error: type[Exception]) -> None:
    source = bed.source()
    bed.world.faults.add(Fault(kind, match="reporting"))
    with pytest.raises(error) as raised:
        source.fetch_account()
    if kind == "rate_limited":
        assert isinstance(raised.value, TryLater)
        assert raised.value.retry_after_s == 1
    assert source.fetch_account().ref == bed.account.id


def test_a_token_refused_for_ever_ends(bed: Bed) -> None:
    source = bed.source()
    bed.world.faults.add(Fault("revoked", match="reporting", times=None))
    with pytest.raises(NeedsReconnect):
        source.fetch_account()
    assert bed.world.count_calls("oauth2/token") == 2


def test_no_secret_stands_in_a_call_or_an_error(bed: Bed) -> None:
    tokens: Tokens = bed.tokens()
    source = bed.source(tokens)
    source.fetch_account()
    bed.app.revoked = True
    with pytest.raises(NeedsReconnect) as raised:
        source.fetch_account()
    secrets = (bed.app.secret, tokens.grant.access_token, bed.world.client_secret)
    texts = [repr(call) for call in bed.calls.made] + [str(raised.value), repr(tokens.grant)]
    assert not [text for text in texts for secret in secrets if secret in text]


def test_one_busy_minute_does_not_make_a_months_windows_small(bed: Bed) -> None:
    bed.world.largest_result = 50
    deposits(bed, 120, timedelta(seconds=1), timedelta(days=25))
    found = refs(bed, NOW - timedelta(days=30))
    assert len(found) == len(set(found)) == 120
    assert bed.world.count_calls("reporting/transactions") < 100
