"""Lines and taxes of sales, as Checkout, Invoices and PaymentIntents tell them; strangers' texts, hostile numbers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from addon.connectors.http import HttpClient
from addon.connectors.stripe import ConnectAccess, StripeApi, StripeSource
from addon.connectors.stripe.tax import SaleDetails, read_intent, read_invoice, read_session
from addon.core.money import Money
from addon.core.records import Buyer, Movement, MovementKind
from addon.ports.errors import BadReply
from addon.sandbox.serving import serve_threaded
from addon.sandbox.stripe.model import SoldLine
from addon.sandbox.world import STRIPE_SECRET_KEY, World

NOW = datetime(2026, 3, 20, 9, 0, tzinfo=UTC)
BASKET = (
    SoldLine("Wool socks", 250_00, Decimal(25), quantity=2),
    SoldLine("A book", 106_00, Decimal(6)),
    SoldLine("Coffee", 112_00, Decimal(12)),
)


class Account:
    """A Stripe account that is served, and the source that reads it."""

    def __init__(self, url: str, world: World) -> None:
        self.world = world
        self.stripe = world.stripe.add_account("Shop AB", balance_currencies=("sek",))
        world.stripe.connect(self.stripe)
        access = ConnectAccess(self.stripe.id, STRIPE_SECRET_KEY)
        self.source = StripeSource(StripeApi(HttpClient("stripe"), access, api_url=url), now=lambda: NOW)

    def sale(self) -> Movement:
        page = self.source.fetch_movements(NOW - timedelta(days=5), NOW, None)
        (sale,) = [item.value for item in page.items if item.value.kind is MovementKind.SALE]
        return sale

    def calls(self) -> int:
        return len(self.world.stripe.calls)


@pytest.fixture
def account() -> Iterator[Account]:
    world = World.build(stopped_at=NOW, webhooks=False)
    server = serve_threaded(world.stripe.app())
    yield Account(f"http://127.0.0.1:{server.port}", world)
    server.shutdown()


def pays(account: Account, amount: int, **more: Any) -> str:
    return account.stripe.charge(amount, "sek", at=NOW - timedelta(days=1), email="a@example.com", **more)


def test_a_checkout_session_gives_every_line_its_rate(account: Account) -> None:
    charge = pays(account, 468_00)
    account.stripe.checkout_session(charge, lines=BASKET, delivery_country="NO")
    sale = account.sale()
    assert [(item.description, item.gross.minor, item.percent, item.country) for item in sale.items] == [
        ("Wool socks", 250_00, Decimal(25), "SE"),
        ("A book", 106_00, Decimal(6), "SE"),
        ("Coffee", 112_00, Decimal(12), "SE"),
    ]
    assert sale.items[0].quantity == 2
    assert [item.tax.minor for item in sale.items if item.tax is not None] == [50_00, 6_00, 12_00]
    assert sale.buyer.delivery_country == "NO"


def test_an_invoice_tells_taxes_and_that_the_buyer_accounts_for_them(account: Account) -> None:
    charge = pays(account, 1_000_00, country="DE")
    line = SoldLine("Consulting", 1_000_00, Decimal(0), "DE", reason="reverse_charge")
    account.stripe.pay_invoice(charge, lines=[line], tax_exempt="reverse", tax_ids=[("eu_vat", "DE136695976")])
    sale = account.sale()
    (item,) = sale.items
    assert (item.percent, item.reason, item.gross.minor) == (Decimal(0), "reverse_charge", 1_000_00)
    assert (sale.buyer.vat_number, sale.buyer.tax_exempt) == ("DE136695976", "reverse")


def test_a_page_of_movements_costs_two_more_calls_and_none_without_sales(account: Account) -> None:
    for _ in range(5):
        account.stripe.checkout_session(pays(account, 468_00), lines=BASKET)
    account.source.fetch_movements(NOW - timedelta(days=5), NOW, None)
    assert account.calls() == 3
    account.source.fetch_movements(NOW - timedelta(days=50), NOW - timedelta(days=40), None)
    assert account.calls() == 4


def test_an_account_without_checkout_has_plain_sales(account: Account) -> None:
    pays(account, 100_00)
    assert account.sale().items == ()


def test_tax_on_the_payment_itself_is_one_line(account: Account) -> None:
    pays(account, 125_00, amount_tax=25_00, description="Order 7")
    (item,) = account.sale().items
    assert (item.gross.minor, item.percent, item.tax) == (125_00, None, Money(25_00, "SEK"))


def session(**more: Any) -> dict[str, Any]:
    return {"currency": "sek", "line_items": {"data": [], "has_more": False}, **more}


def test_lines_that_were_not_spelled_out_become_sums_by_rate() -> None:
    taxes = [
        {"amount": 2500, "taxable_amount": 10000, "rate": {"percentage": 25.0, "country": "SE", "inclusive": True}}
    ]
    details = read_session(
        session(
            line_items={"data": [{}], "has_more": True},
            total_details={"breakdown": {"taxes": taxes}, "amount_shipping": 4900},
        )
    )
    assert [(item.gross.minor, item.percent, item.reason) for item in details.items] == [
        (12500, Decimal("25.0"), ""),
        (4900, None, "shipping"),
    ]


def test_a_tax_that_stripe_did_not_work_out_is_left_to_the_rules() -> None:
    line = {"amount_total": 1000, "taxes": [{"amount": 0, "taxability_reason": "not_collecting", "rate": {}}]}
    (item,) = read_session(session(line_items={"data": [line], "has_more": False})).items
    assert (item.percent, item.tax) == (None, None)


def test_taxes_on_top_of_an_invoices_line_are_part_of_its_gross() -> None:
    line = {
        "amount": 10000,
        "discount_amounts": [{"amount": 1000}],
        "taxes": [{"amount": 2250, "tax_behavior": "exclusive", "taxable_amount": 9000}],
    }
    (item,) = read_invoice({"currency": "sek", "lines": {"data": [line], "has_more": False}}).items
    assert (item.gross.minor, item.tax, item.percent) == (11250, Money(2250, "SEK"), None)


def test_a_long_invoice_gives_its_taxes_in_sums() -> None:
    told = {
        "currency": "sek",
        "lines": {"data": [{"amount": 1}], "has_more": True},
        "total_taxes": [{"amount": 2500, "taxable_amount": 10000}],
        "shipping_cost": {"amount_total": 500, "taxes": []},
    }
    assert [(item.gross.minor, item.reason) for item in read_invoice(told).items] == [(12500, ""), (500, "shipping")]


@pytest.mark.parametrize("percentage", ["NaN", True, None, -5, 400, "25 %"])
def test_a_rate_that_is_no_rate_is_left_out(percentage: object) -> None:
    line = {"amount_total": 1000, "taxes": [{"amount": 200, "rate": {"percentage": percentage}}]}
    (item,) = read_session(session(line_items={"data": [line], "has_more": False})).items
    assert (item.percent, item.tax) == (None, Money(200, "SEK"))


def test_amounts_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(BadReply):
        read_session(session(line_items={"data": [{"amount_total": "1000"}], "has_more": False}))
    with pytest.raises(BadReply):
        read_intent({"currency": "sek", "amount": None, "amount_details": {"tax": {"total_tax_amount": 5}}}, "")
    assert read_intent({}, "") == ()
    assert read_session({}) == SaleDetails()


def test_what_the_payment_knew_of_the_buyer_stays() -> None:
    movement = Movement(
        "txn_1", MovementKind.SALE, Money(1, "SEK"), NOW, buyer=Buyer("Anna", country="SE", vat_number="SE1")
    )
    added = SaleDetails((), "exempt", "DE136695976", "DE", "NO").added_to(movement)
    assert added.buyer == Buyer("Anna", "", "SE", "SE1", "exempt", "NO")
