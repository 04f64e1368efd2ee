"""What a company does with its PayPal account besides being paid: buying, topping up, invoicing, many currencies."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from addon.core.delivery import PartState
from addon.core.records import MovementKind
from addon.core.routing import Action, Condition, Rule, Subject
from addon.sandbox.paypal import Item
from addon.services import rules
from addon.services.running import running_proof
from addon.store.models import PayoutRow
from tests.flow.house import Bed, instant
from tests.flow.test_paypal import Shop
from tests.support.town import WHO


@pytest.fixture
def shop(bed: Bed) -> Shop:
    business = bed.world.add_business("Exempelbutiken AB", "556671-8899", balance_currencies=("sek",))
    account = bed.world.paypal.add_account("Exempelbutiken AB", balance_currencies=("SEK", "EUR"))
    account.lag = timedelta(0)
    return Shop(bed.town, business, account=account, app=bed.world.paypal.add_app(account))


def by_rule(shop: Shop, name: str, action: Action, words: str, **more: str) -> None:
    condition = Condition(Subject.DESCRIPTION, (words,))
    rule = Rule("", name, action, (condition,), kinds=(MovementKind.UNRECOGNISED,), **more)
    rules.save_rule(shop.town.services, shop.company_id, rule, WHO, None)


def test_purchases_go_to_an_account_by_rule_or_are_left_to_the_bookkeeper(shop: Shop) -> None:
    shop.sale("2026-03-02", 2_000_00)
    shop.paypal.deposit(100_00, at=instant("2026-03-03"))
    shop.paypal.purchase(99_00, "SEK", at=instant("2026-03-04"))
    shop.paypal.purchase(45_00, "SEK", "Papper & Penna", at=instant("2026-03-05"))
    shop.paypal.purchase(12_00, "SEK", "Okänd AB", code="T0500", at=instant("2026-03-06"))
    shop.opens()
    by_rule(shop, "Hosting", Action.BOOK, "Hosting Example", contra_account="6570")
    by_rule(shop, "Paper", Action.IGNORE, "Papper")
    shop.runs()
    assert shop.held() == ["unknown_kind"], "nobody has said what the third one is"
    assert len(shop.part_ids(PartState.SET_ASIDE, "rule")) == 1
    assert "2026-03-04 V  1686 -99.00  6570 99.00" in shop.journal(1686)
    assert "2026-03-03 V  1686 100.00  1930 -100.00" in shop.journal(1930)
    shop.proves()
    by_rule(shop, "Anything bought", Action.BOOK, "debit card", contra_account="6570")
    shop.retries()
    shop.runs()
    assert not shop.held()
    shop.all_is_well()


def test_a_balance_kept_in_euro_is_changed_later_and_leaves_no_value_behind(shop: Shop) -> None:
    shop.sale("2026-03-02", 100_00, "EUR")
    shop.sale("2026-03-04", 300_00, "EUR")
    shop.paypal.convert(150_00, "EUR", "SEK", at=instant("2026-03-10"))
    shop.opens(fee_vat="exempt")
    shop.runs()
    shop.proves()
    left = shop.paypal.balance("EUR")
    assert shop.books.balance(shop.clearing("EUR")) > 0
    shop.paypal.convert(left, "EUR", "SEK", at=instant("2026-03-20 08:00"))
    shop.time("2026-03-21 10:00")
    shop.runs()
    assert not shop.held(), shop.town.held(shop.company_id)
    assert shop.kinds()["conversion"] == 2
    assert shop.paypal.balance("EUR") == 0
    assert shop.books.balance(shop.clearing("EUR")) == 0
    # What PayPal's rates took is an exchange loss; nothing else of it stands anywhere.
    assert shop.books.balance(7960) > 0
    shop.all_is_well()


def test_a_payout_is_proved_by_what_paypal_says_was_left_after_each(shop: Shop) -> None:
    shop.sale("2026-03-02", 2_000_00)
    first = shop.paypal.withdraw(500_00, at=instant("2026-03-04"))
    hold = shop.paypal.hold(100_00, "SEK", at=instant("2026-03-05"))
    shop.sale("2026-03-06", 300_00)
    second = shop.paypal.withdraw(at=instant("2026-03-09"))
    shop.paypal.release(hold.id, at=instant("2026-03-10"))
    shop.opens()
    shop.runs()
    with shop.rows() as session:
        payouts = {row.ref: running_proof(session, row) for row in session.scalars(select(PayoutRow))}
    one, two = payouts[first.id], payouts[second.id]
    assert one is not None and two is not None
    assert (one.before.balance.minor, one.after.balance.minor, one.holds) == (0, first.available, True)
    assert (two.before.balance.minor, two.after.balance.minor, two.holds) == (first.available, 0, True)
    assert two.others_count == 2, "the hold and the sale"
    # The row of a payment that clears later is dated when it began: then the nightly readings decide, not this chain.
    shop.paypal.sell(50_00, "SEK", at=instant("2026-03-08"))
    shop.time("2026-03-21 10:00")
    shop.runs()
    with shop.rows() as session:
        again = {row.ref: running_proof(session, row) for row in session.scalars(select(PayoutRow))}
    assert again[second.id] is None, "no reading of ours lies before it"


def test_an_invoice_made_at_paypal_brings_its_lines_and_its_number(shop: Shop) -> None:
    shop.world.clock.set(instant("2026-03-02"))
    items = [
        Item("Consulting", 2, 200_00, 50_00, percent=Decimal(25)),
        Item("Book", 1, 100_00, 6_00, percent=Decimal(6)),
    ]
    invoice = shop.paypal.invoice("2001", items)
    shop.paypal.pay_invoice(invoice.id, at=instant("2026-03-03"))
    shop.time("2026-03-20 10:00")
    shop.opens()
    shop.runs()
    (made,) = shop.our_invoices()
    assert sorted(row.account for row in made.rows) == [3001, 3003]
    assert (shop.books.balance(2611), shop.books.balance(2631)) == (-50, -6)
    shop.all_is_well()
