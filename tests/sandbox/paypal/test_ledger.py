"""What happens to an account at the simulated PayPal, and what its balances say afterwards."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from addon.sandbox.clock import Clock
from addon.sandbox.paypal import FeeRules, Item, NotPossible, PayPalAccount, PayPalShop, PayPalWorld
from addon.sandbox.paypal.money import changed, write
from tests.contracts import load_contract

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
NO_FEE = FeeRules(Decimal(0), {})


@pytest.fixture
def account() -> PayPalAccount:
    return PayPalWorld(Clock(NOW)).add_account("Exempelbutiken AB")


def test_a_sale_leaves_its_fee_behind(account: PayPalAccount) -> None:
    sale = account.sell(10000, "SEK", order="1001")
    assert (sale.code, sale.invoice_id, sale.custom_field) == ("T0006", "WC-1001", "1001")
    assert sale.fee == -(290 + 325)
    assert account.balance("SEK") == sale.ending == 10000 - 615


def test_a_currency_without_a_balance_is_changed_at_once_by_two_rows_of_one_reference(account: PayPalAccount) -> None:
    sale = account.sell(12000, "USD")
    gone, come = account.each("T0200")
    assert (gone.amount, gone.currency, come.currency) == (-sale.net, "USD", "SEK")
    assert gone.reference == come.reference == sale.id
    assert gone.initiated == come.initiated
    assert (account.balance("USD"), account.balance("SEK")) == (0, come.amount)


def test_a_currency_with_a_balance_stays(account: PayPalAccount) -> None:
    account.sell(10000, "EUR")
    assert account.balance("EUR") == 10000 - 290 - 39
    assert not list(account.each("T0200"))


def test_a_foreign_refund_is_bought_out_of_the_primary_balance(account: PayPalAccount) -> None:
    sale = account.sell(12000, "USD")
    before = account.balance("SEK")
    refund = account.refund(sale.id, 6000)
    assert (refund.code, refund.amount, refund.fee, refund.reference) == ("T1107", -6000, 0, sale.id)
    assert account.balance("USD") == 0
    assert account.balance("SEK") < before
    with pytest.raises(NotPossible, match="6000 is left"):
        account.refund(sale.id, 6001)


def test_fees_come_back_where_the_agreement_says_so(account: PayPalAccount) -> None:
    account.fee_back = True
    sale = account.sell(10000, "SEK")
    assert account.refund(sale.id).fee == -(sale.fee or 0)
    assert account.balance("SEK") == 0


def test_a_pending_payment_moves_nothing_until_it_clears(account: PayPalAccount) -> None:
    pending = account.sell(10000, "SEK", pending=True)
    assert account.balance("SEK") == 0
    account.clock.advance(timedelta(days=5))
    account.clear(pending.id)
    assert (pending.initiated, pending.posted) == (NOW, NOW + timedelta(days=5))
    assert account.balance("SEK") == pending.net
    denied = account.sell(500, "SEK", pending=True)
    account.deny(denied.id)
    assert account.balance("SEK") == pending.net
    with pytest.raises(NotPossible, match="not pending"):
        account.clear(denied.id)


@pytest.mark.parametrize("moves_ending", [True, False])
def test_a_hold_and_its_release_share_one_id(account: PayPalAccount, moves_ending: bool) -> None:
    account.holds_move_ending_balance = moves_ending
    sale = account.sell(10000, "SEK")
    dispute = account.dispute(sale.id)
    held = account.get_row(dispute.hold)
    assert (held.code, held.amount) == ("T1110", -sale.net)
    assert account.balances()["SEK"] == (0, sale.net)
    assert held.ending == (0 if moves_ending else sale.net)
    account.clock.advance(timedelta(days=2))
    released = account.win(dispute.id)
    assert (released.id, released.code, released.initiated) == (held.id, "T1111", held.initiated)
    assert released.updated == held.updated + timedelta(days=2)
    assert account.balances()["SEK"] == (sale.net, 0)


def test_a_lost_card_dispute_takes_the_gross_and_a_fee_and_may_be_won_back(account: PayPalAccount) -> None:
    sale = account.sell(10000, "SEK")
    dispute = account.dispute(sale.id)
    gone = account.lose(dispute.id)
    assert (gone.code, gone.amount, gone.reference) == ("T1201", -10000, sale.id)
    (fee,) = account.each("T0106")
    assert (fee.amount, fee.reference) == (-12500, gone.id)
    assert account.balance("SEK") == sale.net - 10000 - 12500
    back = account.chargeback_returns(dispute.id, "T1205")
    assert (back.amount, back.reference) == (10000, gone.id)
    with pytest.raises(NotPossible):
        account.win(dispute.id)


def test_a_lost_claim_marks_the_sale_reversed_and_keeps_its_money_in_the_chain(account: PayPalAccount) -> None:
    sale = account.sell(10000, "SEK")
    gone = account.lose(account.dispute(sale.id).id, chargeback=False)
    assert (gone.code, sale.status, sale.moves) == ("T1106", "V", True)
    assert account.balance("SEK") == sale.fee


def test_withdrawals_go_and_come_back(account: PayPalAccount) -> None:
    account.deposit(50000)
    gone = account.withdraw(code="T0401")
    assert (gone.amount, account.balance("SEK")) == (-50000, 0)
    back = account.withdrawal_returns(gone.id)
    assert (back.code, back.amount, back.reference) == ("T1101", 50000, gone.id)
    with pytest.raises(NotPossible, match="nothing to withdraw"):
        account.withdraw(currency="EUR")
    with pytest.raises(NotPossible, match="no withdrawal"):
        account.withdrawal_returns(back.id)


def test_payments_to_third_parties_are_held_first(account: PayPalAccount) -> None:
    account.deposit(100000)
    rows = account.mass_payment([10000, 20000])
    assert [row.code for row in rows] == ["T1503", "T0001", "T0001", "T0104", "T1105"]
    assert account.balances()["SEK"] == (100000 - 30500, 0)


def test_buying_something_has_the_code_of_a_sale_and_the_other_sign(account: PayPalAccount) -> None:
    assert account.purchase(9900, "SEK").amount == -9900


def test_an_invoice_is_paid_in_parts_and_paid_back(account: PayPalAccount) -> None:
    invoice = account.invoice("2001", [Item("Consulting", 2, 20000, 5000, percent=Decimal(25))])
    assert (invoice.total, invoice.status) == (25000, "SENT")
    first = account.pay_invoice(invoice.id, 10000)
    assert invoice.status == "PARTIALLY_PAID"
    account.pay_invoice(invoice.id, 15000)
    assert (invoice.status, first.invoice_id, first.paypal_invoice) == ("PAID", "2001", invoice.id)
    account.refund(first.id)
    assert invoice.status == "PARTIALLY_REFUNDED"


def test_rows_told_out_of_order_stand_in_their_place(account: PayPalAccount) -> None:
    later = account.record("T0300", 5000, "SEK")
    earlier = account.record("T0300", 1000, "SEK", at=NOW - timedelta(days=1))
    assert account.balances(NOW - timedelta(hours=1))["SEK"] == (1000, 0)
    assert (earlier.ending, later.ending) == (1000, 6000)


def test_every_known_event_code_can_happen(account: PayPalAccount) -> None:
    codes = load_contract("paypal", "event_codes.json")["codes"]
    moved = 0
    for code, told in codes.items():
        row = account.record(code, -100 if told["sign"] == "-" else 100, "SEK")
        assert row.moves == (told["kind"] != "none"), code
        moved += row.amount if row.moves else 0
    assert account.balance("SEK") == moved
    with pytest.raises(NotPossible):
        account.record("T0006", 1, "KWD")


def test_amounts_are_written_as_paypal_writes_them() -> None:
    assert write(-5, "SEK") == {"currency_code": "SEK", "value": "-0.05"}
    assert write(1200, "JPY") == {"currency_code": "JPY", "value": "1200"}
    assert write(-1200, "HUF")["value"] == "-1200"
    # A hundred forints are about three kronor, whatever Stripe's smallest unit of a forint is.
    assert 250 < changed(100, "HUF", "SEK", NOW.date(), 1) < 310


def test_a_busy_month_adds_up() -> None:
    world = PayPalWorld(Clock(NOW))
    account = world.add_account("Storbutiken AB", balance_currencies=("SEK",))
    report = PayPalShop(account).sell_month(sales=5_000, currencies=("SEK",), disputes=3)
    assert len(report.orders) == 5_000
    assert len(report.refunds) > 200
    assert len(report.disputes) == 3
    assert len(report.payouts) == 4
    assert account.balance("SEK") == sum(row.net for row in account.rows if row.moves)


def test_a_shop_sells_in_every_currency_with_lines_that_add_up() -> None:
    world = PayPalWorld(Clock(NOW))
    report = PayPalShop(world.add_account("Exempelbutiken AB")).sell_month(sales=60)
    assert {sold.row.currency for sold in report.orders} == {"SEK", "EUR", "USD", "NOK", "JPY", "HUF"}
    for sold in report.orders:
        (item,) = sold.row.items
        assert item.amount + item.tax == sold.row.amount
        assert sold.row.invoice_id == f"WC-{sold.number}"


def test_one_call_opens_a_shop_with_a_month_behind_it() -> None:
    world = PayPalWorld(Clock(NOW))
    control = world.control_app().test_client()
    told = control.post("/shops", json={"name": "Exempelbutiken AB"}).json
    account = world.get_account("Exempelbutiken AB")
    assert world.scopes_of(told["client_id"], told["secret"])
    assert told["account"] == account.id
    assert 100 <= told["movements"] <= 150
    assert len(told["currencies"]) >= 5
    assert (len(told["disputes"]), len(told["payouts"]), len(told["oddities"])) == (3, 4, 1)
    assert max(row.posted for row in account.rows) <= account.refreshed
    codes = {row.code for row in account.rows}
    assert {"T0006", "T1107", "T0200", "T0201", "T0401", "T1101", "T1110", "T1111"} <= codes
    assert {"T1201", "T1202", "T0106", "T0101", "T2105", "T2106", "T0003"} <= codes
    balances = account.balances()
    for currency in {row.currency for row in account.rows}:
        moved = sum(row.net for row in account.rows if row.moves and row.currency == currency)
        assert moved == balances.get(currency, (0, 0))[0]
    assert all(balances.get(sold, (0, 0))[0] == 0 for sold in ("USD", "NOK", "JPY", "HUF"))
    again = control.post("/shops", json={"name": "Exempelbutiken AB", "sales": 5, "oddities": False})
    assert (again.status_code, again.json["client_id"], len(again.json["orders"])) == (201, told["client_id"], 5)
    assert control.post("/shops", json={"nobody": 1}).status_code == 400


def test_a_danish_shop_sells_at_home_in_kroner() -> None:
    world = PayPalWorld(Clock(NOW))
    opened = world.open_shop(
        "Havblik ApS", country="DK", primary="DKK", balance_currencies=("DKK", "EUR"), sales=40, oddities=False
    )
    assert opened.shop.currencies[0] == "DKK"
    assert {sold.row.currency for sold in opened.report.orders} == {"DKK", "SEK", "EUR", "USD", "NOK", "JPY", "HUF"}
    assert opened.report.oddities == []
    assert opened.account.balance("SEK") == 0
