"""The simulated shop: a month of sales that a ledger can stand on, and orders another plug-in invoiced."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import FortnoxCompany, FortnoxWorld
from addon.sandbox.shop import DESIGN_GOODS, ODDITIES, TEN_CURRENCIES, Order, Shop, make_shop_app
from addon.sandbox.shop.catalog import FELL_GOODS, price_in
from addon.sandbox.shop.shop import STOCKHOLM
from addon.sandbox.stripe import NotPossible, StripeWorld
from addon.sandbox.stripe.money import CHARGE_MULTIPLE

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)


def abroad(seed: int = 1) -> Shop:
    return Shop(StripeWorld(Clock(NOW), seed=seed).add_account("Fjällbutiken AB"), None, seed)


def with_books(rounding: bool = False) -> tuple[Shop, FortnoxCompany]:
    clock = Clock(NOW)
    fortnox = FortnoxWorld(
        clock, client_id="c", client_secret="s", redirect_uris=["http://127.0.0.1:8000/oauth/fortnox/callback"]
    )
    books = fortnox.add_company("Norrsken Design AB", "559012-3456", rounds_to_whole_krona=rounding)
    account = StripeWorld(clock).add_account("Norrsken Design AB", balance_currencies=("sek",))
    shop = Shop(
        account,
        books,
        products=DESIGN_GOODS,
        first_order_number=1001,
        currencies=("sek",),
        other_plugin=True,
    )
    return shop, books


def test_a_month_has_what_a_month_has() -> None:
    shop = abroad()
    report = shop.sell_month(sales=300, disputes=2, failed_payout=True, unknown_kind=True)
    account = shop.account
    assert len(report.orders) == len(shop.orders) == 300
    assert {order.currency for order in report.orders} == set(TEN_CURRENCIES)
    assert min(order.at for order in report.orders) >= NOW - timedelta(days=31)
    assert max(order.at for order in report.orders) < NOW
    assert account.clock.now() == NOW, "the world's clock is not touched"
    assert 10 <= report.refunds <= 60
    charges = [account.get_charge(order.charge) for order in report.orders]
    assert any(0 < charge.amount_refunded < charge.amount for charge in charges)
    assert any(charge.amount_refunded == charge.amount for charge in charges)
    assert any(len(charge.refunds) > 1 for charge in charges)
    emails = Counter(order.buyer.email for order in report.orders)
    assert emails[None] >= 3
    assert max(count for email, count in emails.items() if email) >= 3
    assert len({order.number for order in report.orders}) == 300
    assert charges[0].metadata["order_id"] == report.orders[0].number == "10234"
    assert {charge.payment_method_type for charge in charges} == {"card", "klarna"}
    assert (len(report.disputes), len(report.failed_payouts), len(report.unknown_rows)) == (2, 1, 1)
    assert len(report.fees) == 1
    for refund in account.refunds:
        assert refund.created > account.get_charge(refund.charge).created


def test_some_sales_are_close_to_midnight_in_stockholm() -> None:
    shop = abroad()
    shop.sell_month(sales=300)
    local = [order.at.astimezone(STOCKHOLM) for order in shop.orders]
    minutes = [at.hour * 60 + at.minute for at in local]
    assert sum(minute < 2 or minute >= 24 * 60 - 2 for minute in minutes) >= 6
    assert any(at.date() != order.at.date() for at, order in zip(local, shop.orders, strict=True))


def test_each_day_is_paid_out_and_every_payout_is_proved() -> None:
    shop = abroad()
    shop.sell_month(sales=300, failed_payout=True)
    account = shop.account
    assert len(account.payouts) > 25
    assert {payout.currency for payout in account.payouts} == {"sek", "eur"}
    assert {payout.status for payout in account.payouts} >= {"paid", "failed"}
    for payout in account.payouts:
        if payout.reconciliation_status == "completed":
            assert sum(row.net for row in account.rows_of_payout(payout)) == 0


def test_a_month_entered_after_the_fact_has_its_daily_payouts_too() -> None:
    shop = abroad()
    shop.account.catch_up()  # as the ticking of a served world does
    shop.sell_month(sales=200)
    days = {payout.created // 86_400 for payout in shop.account.payouts}
    assert len(days) > 12
    again = {payout.id for payout in shop.account.payouts}
    shop.sell_month(sales=50, days=10)
    assert again < {payout.id for payout in shop.account.payouts}
    for payout in shop.account.payouts:
        if payout.reconciliation_status == "completed":
            assert sum(row.net for row in shop.account.rows_of_payout(payout)) == 0


def test_the_same_seed_sells_the_same_and_another_does_not() -> None:
    first, second, other = abroad(), abroad(), abroad(seed=2)
    for shop in (first, second, other):
        shop.sell_month(sales=40)
    assert [order.charge for order in first.orders] == [order.charge for order in second.orders]
    assert [row.net for row in first.account.ledger] == [row.net for row in second.account.ledger]
    assert [order.total for order in first.orders] != [order.total for order in other.orders]


def test_prices_are_amounts_that_can_be_charged() -> None:
    for product in (*FELL_GOODS, *DESIGN_GOODS):
        for currency in TEN_CURRENCIES:
            price = price_in(product, currency, NOW.date())
            assert price > 0
            assert price % CHARGE_MULTIPLE.get(currency, 1) == 0


def test_basic_sales_are_invoiced_with_their_order_numbers() -> None:
    shop, books = with_books()
    report = shop.sell_for_basic(sales=60, oddities=(), refund_share=Decimal("0.2"))
    assert len(report.orders) == 60
    later = 0
    for order in report.orders:
        assert order.invoice is not None
        invoice = books.invoices[order.invoice]
        assert invoice.text("YourOrderNumber") == order.number
        assert invoice.booked
        assert invoice.total * 100 == order.total
        days = (invoice.invoice_date - order.at.astimezone(STOCKHOLM).date()).days
        assert days in (0, 1)
        later += days
        if order.refunds:
            assert order.credit_note is not None
            credit = books.invoices[order.credit_note]
            assert (credit.total, credit.booked) == (-invoice.total, True)
            assert credit.text("YourOrderNumber") == order.number
            assert (credit.invoice_date - order.at.astimezone(STOCKHOLM).date()).days in (3, 4)
    assert 8 <= later <= 35
    assert report.refunds > 3
    books.check()


def test_the_oddities_are_odd_in_the_way_they_are_named() -> None:
    shop, books = with_books()
    report = shop.sell_for_basic(sales=10)
    assert set(report.oddities) == set(ODDITIES)

    def only(name: str) -> Order:
        (order,) = report.oddities[name]
        return order

    def invoiced(order: Order) -> Decimal:
        assert order.invoice is not None
        return books.invoices[order.invoice].total

    def numbered(order: Order) -> int:
        return sum(invoice.text("YourOrderNumber") == order.number for invoice in books.invoices.values())

    unnumbered = shop.account.get_charge(only("no_order_number").charge)
    assert "order_id" not in unnumbered.metadata
    assert only("no_order_number").number not in str(unnumbered.description)
    short, long = report.oddities["substring"]
    assert long.number == f"1{short.number}"
    assert short.total == long.total
    paid = only("paid_by_hand")
    assert books.invoices[paid.invoice or 0].balance == 0
    assert invoiced(only("deviating_amount")) * 100 == only("deviating_amount").total + 1000
    tolerated = shop.account.get_charge(only("within_tolerance").charge)
    assert invoiced(only("within_tolerance")) * 100 - tolerated.amount == 40
    assert only("no_invoice_yet").invoice is None
    assert not books.invoices[only("unbooked").invoice or 0].booked
    assert numbered(only("two_candidates")) == 2
    split = only("two_captures")
    assert len(split.charges) == 2
    assert sum(shop.account.get_charge(charge).amount for charge in split.charges) == split.total
    assert only("refund_with_credit_note").credit_note is not None
    assert only("refund_without_credit_note").credit_note is None
    assert len(only("refund_without_credit_note").refunds) == 1


def test_where_the_order_number_stands_is_a_choice() -> None:
    shop, books = with_books()
    shop.order_field = "your_reference"
    order = shop.buy("VASE-1", quantity=2)
    assert order.invoice is not None
    assert books.invoices[order.invoice].text("YourReference") == order.number
    assert books.invoices[order.invoice].total == Decimal(1390)


def test_the_shop_has_pages_to_buy_and_refund_on() -> None:
    shop, books = with_books()
    client = make_shop_app([shop, abroad()]).test_client()
    assert "Norrsken Design AB" in client.get("/").text
    page = client.get("/norrsken-design-ab/").text
    assert "Stoneware vase" in page
    assert "695.00 SEK" in page
    assert "Sandbox" in page
    assert "<script" not in page
    bought = client.post("/norrsken-design-ab/buy", data={"sku": "VASE-1", "currency": "sek", "quantity": "1"})
    assert bought.status_code == 303
    (order,) = shop.orders
    assert bought.headers["Location"].endswith(f"orders?thanks={order.number}")
    orders = client.get(bought.headers["Location"]).text
    assert f"Order {order.number} is paid" in orders
    assert len(books.invoices) == 1
    assert client.post(f"/norrsken-design-ab/orders/{order.number}/refund").status_code == 303
    assert order.refunded == 69500
    again = client.post(f"/norrsken-design-ab/orders/{order.number}/refund")
    assert again.status_code == 400
    assert client.post("/norrsken-design-ab/buy", data={"sku": "NOTHING"}).status_code == 400
    assert client.post("/norrsken-design-ab/buy", data={"sku": "VASE-1", "quantity": "no"}).status_code == 400
    assert client.get("/nobody/").status_code == 404
    assert client.get("/norrsken-design-ab/?currency=xxx").status_code == 404
    assert "<table" in client.get("/fjallbutiken-ab/orders").text
    yen = client.get("/fjallbutiken-ab/?currency=jpy").text
    assert "JPY" in yen


def test_a_shop_without_books_invoices_nothing() -> None:
    shop = abroad()
    with pytest.raises(NotPossible):
        shop.write_invoice(shop.buy("MUG-07"))
    with pytest.raises(NotPossible):
        shop.get_order("1")
