"""Basic's remedies in the inbox, pressed by a person, over a simulated Fortnox and Stripe."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from addon.config import load_settings
from addon.core.delivery import PartState
from addon.services import installation
from tests.flow import house as flow
from tests.flow.house import House
from tests.support.town import WHO, new_sqlite
from tests.web.conftest import make_app
from tests.web.html import check_html, words_of
from tests.web.test_access import token_of
from tests.web.test_actions import press


@pytest.fixture
def desk(empty_database: Path, tmp_path: Path) -> Iterator[tuple[House, FlaskClient]]:
    """A shop in Basic with three payments that match nothing, and a browser that is signed in to it."""
    with flow.bed(new_sqlite(empty_database, tmp_path)) as made:
        environment = {
            "KVITT_ENV": "test",
            "FORTNOX_CALLS_PER_5_S": "0",
            "STRIPE_WEBHOOK_SECRET": "whsec_sandbox_not_real",
            **made.town.running.environment(),
        }
        shop = made.house(balance_currencies=("sek",))
        shop.sells("2026-03-02", 1_000_00, order="")
        shop.sells("2026-03-02", 100_00, order="1002")
        shop.invoices("4711", 1_000, "2026-03-02")
        shop.invoices("1002", "100.50", "2026-03-02")
        shop.opens("basic")
        shop.runs()
        client = make_app(made.town.services, load_settings(environment)).test_client()
        client.set_cookie("kvitt", installation.sign_in(made.town.services, shop.company_id, WHO))
        yield shop, client


def test_payments_are_given_to_invoices_from_the_inbox(desk: tuple[House, FlaskClient]) -> None:
    shop, client = desk
    page = client.get("/inbox").text
    assert page.count("Register it on this invoice") == 2
    assert page.count("Let the difference go to rounding") == 1
    (payment,) = shop.part_ids(PartState.HELD, "no_order_number")
    (near,) = shop.part_ids(PartState.HELD, "amount_differs")
    for number, words in (("77", "There is no invoice 77"), ("2", "More was paid"), (" ", "Tick one payment")):
        assert words in press(client, "/inbox", part=payment, action="choose_invoice", invoice=number)
    assert "Tick one payment" in press(client, "/inbox", part=[payment, near], action="choose_invoice", invoice="1")
    learnt = press(client, "/inbox", part=payment, action="treat_as_order", order="4711", remember="yes")
    assert "Kvitt cannot learn from this" in learnt
    assert "1 payment is registered as you say" in press(
        client, "/inbox", part=payment, action="choose_invoice", invoice="#1"
    )
    assert "1 payment is registered" in press(client, "/inbox", part=near, action="accept_difference")
    shop.runs()
    assert [invoice.balance for invoice in shop.books.invoices.values()] == [0, 0]
    assert not shop.held()
    log = client.get("/activity").text
    assert "Chose the invoice of a payment" in log
    assert "Let a difference go to rounding" in log
    assert "Only payments of a connection in Basic" in press(client, "/inbox", part=near, action="accept_difference")
    shop.all_is_well()


def test_books_that_do_not_answer_change_nothing(desk: tuple[House, FlaskClient]) -> None:
    shop, client = desk
    (payment,) = shop.part_ids(PartState.HELD, "no_order_number")
    shop.fault("error_500_before", "GET /3/invoices/1$", times=None)
    assert "do not answer" in press(client, "/inbox", part=payment, action="choose_invoice", invoice="1")
    assert "no_order_number" in shop.held()


def test_settlement_is_a_quiet_third_choice_with_settings_of_its_own(desk: tuple[House, FlaskClient]) -> None:
    shop, client = desk
    assert "Choose Settlement" in client.get("/settings").text
    address = f"/settings/connections/{shop.connection_id}"
    assert "settlement_lines" not in client.get("/settings").text
    press(client, address, mode="settlement")
    page = client.get("/settings").text
    assert 'name="settlement_contra"' in page
    press(
        client, address, settlement_contra="account", settlement_lines="daily", **{"accounts.settlement_contra": "1580"}
    )
    page = client.get("/settings").text
    assert '<option value="daily" selected>' in page
    assert 'value="1580"' in page


def test_the_opening_is_asked_for_once_on_get_started(desk: tuple[House, FlaskClient]) -> None:
    first, client = desk
    assert "What was owed to you" not in client.get("/welcome").text, "nothing was"
    shop = House(first.town, first.world.add_business("Mitt i livet AB", "556677-9999", balance_currencies=("sek",)))
    shop.sells("2026-03-02", 1_000_00)
    shop.opens("plus", "2026-03-04")
    shop.runs()
    client.set_cookie("kvitt", installation.sign_in(shop.town.services, shop.company_id, WHO))
    answer = client.get("/welcome")
    check_html(answer.text)
    assert "Stripe owes you" in words_of(answer.text)
    assert "Do your books say so already?" in answer.text
    address = f"/welcome/opening/{shop.connection_id}"
    assert "not in the chart" in press(client, address, currency="SEK", answer="book", account="x1580")
    assert "it is the provider" in press(client, address, currency="SEK", answer="book", account="1686")
    assert "answered already" in press(client, address, currency="NOK", answer="book", account="1580")
    unknown = {"csrf_token": token_of(client), "currency": "SEK", "answer": "in_books"}
    assert client.post("/welcome/opening/999", data=unknown).status_code == 404
    assert "have it already" in press(client, address, currency="SEK", answer="in_books")
    assert "said Test Person" in words_of(client.get("/welcome").text)
    assert "approved" in press(client, address, currency="SEK", answer="book", account="1580")
    assert "on its way into your books" in client.get("/welcome").text
    shop.runs()
    text = words_of(client.get("/welcome").text)
    assert "Booked against account 1580" in text
    assert "Chose the account of the opening voucher" in client.get("/activity").text
    shop.all_is_well()


def test_get_started_warns_of_another_connection_that_invoices_the_same_sales(
    desk: tuple[House, FlaskClient],
) -> None:
    first, client = desk
    assert "Another connection invoices" not in client.get("/welcome").text
    shop = House(first.town, first.world.add_business("Dubbel AB", "556677-7777", balance_currencies=("sek",)))
    shop.sells("2026-03-02", 1_000_00, order="4711")
    shop.invoices("4711", 1_000, "2026-03-02")
    shop.opens("plus")
    shop.runs()
    client.set_cookie("kvitt", installation.sign_in(shop.town.services, shop.company_id, WHO))
    answer = client.get("/welcome")
    check_html(answer.text)
    assert "1 sale has an invoice in your books that Kvitt did not make." in words_of(answer.text)
