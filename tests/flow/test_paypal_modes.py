"""PayPal in the other modes and the other accounting system: what the ledger has, and that it says what PayPal says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

from addon.sandbox.economic import EconomicAgreement
from addon.sandbox.paypal import PayPalAccount, RestApp
from addon.sandbox.world import World
from addon.services import connections, installation, prerequisites, settings
from tests.flow.house import NOW, Bed, instant
from tests.flow.test_paypal import Shop
from tests.support.town import WHO, Town, town


@pytest.fixture
def shop(bed: Bed) -> Shop:
    business = bed.world.add_business("Exempelbutiken AB", "556671-8899", balance_currencies=("sek",))
    account = bed.world.paypal.add_account("Exempelbutiken AB", balance_currencies=("SEK",))
    account.lag = timedelta(0)
    return Shop(bed.town, business, account=account, app=bed.world.paypal.add_app(account))


def test_basic_settles_the_shops_invoice_by_the_number_after_the_prefix(shop: Shop) -> None:
    sale = shop.sale("2026-03-02", 1_250_00)
    invoice = shop.invoices(str(shop.orders), 1_250, "2026-03-02")
    shop.paypal.refund(sale.id, at=instant("2026-03-05"))
    credit = shop.books.person_credits_invoice(invoice, booked=True)
    shop.sale("2026-03-19", 400_00)
    shop.paypal.withdraw(500_00, code="T0401", at=instant("2026-03-09"))
    shop.opens("basic")
    shop.runs()
    assert shop.waiting().count("invoice") == 1, "the second order has no invoice yet"
    assert shop.books.invoices[invoice].balance == shop.books.invoices[credit.number].balance == 0
    assert shop.kinds() == {"match": 2, "fees": 2, "payout": 1}
    assert not shop.our_invoices()
    shop.all_is_well()
    number = shop.invoices(str(shop.orders), 400, "2026-03-20")
    shop.time("2026-03-21 09:00")
    shop.runs()
    assert shop.books.invoices[number].balance == 0
    assert not shop.waiting()
    shop.all_is_well()


def test_paypals_fees_may_be_exempt_where_the_companys_are_not(shop: Shop) -> None:
    shop.sale("2026-03-02", 1_000_00)
    shop.paypal.fee("T0101", 50_00, at=instant("2026-03-02"))
    shop.opens()
    shop.town.choose(shop.company_id, shop.connection_id, fee_treatment="exempt")
    shop.checks()
    shop.runs()
    # Of 32.25 for the payment nothing stands in the VAT return, of the monthly 50.00 the basis and both sides do.
    assert shop.books.balance(6570) == Decimal("82.25")
    assert (shop.books.balance(4535), shop.books.balance(2614)) == (50, Decimal("-12.50"))
    shop.all_is_well()


def test_settlement_is_a_voucher_for_each_closed_day_as_no_withdrawal_names_its_sales(shop: Shop) -> None:
    first = shop.sale("2026-03-02", 1_000_00)
    shop.sale("2026-03-02 13:00", 500_00)
    shop.paypal.refund(first.id, 250_00, instant("2026-03-03"))
    shop.paypal.withdraw(600_00, at=instant("2026-03-09"))
    shop.opens("settlement", fee_vat="exempt")
    shop.runs()
    assert not shop.held(), shop.town.held(shop.company_id)
    assert shop.kinds() == {"settlement": 2, "payout": 1}
    assert shop.books.balance(3001) == -1000
    assert shop.books.balance(2611) == -250
    assert shop.books.balance(1931) == 600, (
        "PayPal does not say when it arrives: it is on its way until the bank says so"
    )
    assert shop.books.balance(shop.clearing()) * 100 == shop.paypal.balance("SEK")
    shop.all_is_well()
    writes = shop.writes()
    shop.runs()
    assert shop.writes() == writes


def test_a_dispute_that_ends_well_only_passes_through_the_reserve(shop: Shop) -> None:
    sale = shop.sale("2026-03-02", 1_250_00)
    dispute = shop.paypal.dispute(sale.id, at=instant("2026-03-05"))
    shop.opens()
    shop.sets(**{"accounts.disputes": "1516"})
    shop.town.choose(shop.company_id, shop.connection_id, **{"accounts.reserve:SEK": "1690"})
    shop.repairs()
    shop.runs()
    assert shop.books.balance(1690) * 100 == sale.net
    assert shop.books.balance(shop.clearing()) == 0
    shop.paypal.win(dispute.id, at=instant("2026-03-20 09:00"))
    shop.runs()
    assert shop.books.balance(1690) == 0
    assert shop.kinds()["reserve"] == 2
    assert not shop.held()
    shop.all_is_well()


@pytest.mark.parametrize("mode", ["plus", "basic"])
def test_a_chargeback_that_is_lost_is_written_off_when_paypal_says_how_it_ended(shop: Shop, mode: str) -> None:
    sale = shop.sale("2026-03-02", 1_250_00)
    if mode == "basic":
        shop.invoices(str(shop.orders), 1_250, "2026-03-02")
    dispute = shop.paypal.dispute(sale.id, at=instant("2026-03-05"), stage="CHARGEBACK")
    shop.opens(mode, fee_vat="exempt")
    shop.town.choose(shop.company_id, shop.connection_id, **{"accounts.reserve:SEK": "1690"})
    shop.sets(**{"accounts.disputes": "1516", "accounts.dispute_loss": "6351"})
    shop.repairs()
    shop.runs()
    assert shop.world.paypal.count_calls("customer/disputes") == 0, "nobody asks before money was taken"
    shop.paypal.lose(dispute.id, at=instant("2026-03-19"))
    shop.runs()
    assert not shop.held(), shop.town.held(shop.company_id)
    assert (shop.kinds()["dispute"], shop.kinds()["dispute_lost"], shop.kinds()["reserve"]) == (1, 1, 2)
    assert (shop.books.balance(1516), shop.books.balance(6351), shop.books.balance(1690)) == (0, 1250, 0)
    # What is left is what the sale's fee and the chargeback's cost.
    assert shop.paypal.balance("SEK") == sale.fee - 12500
    assert shop.books.balance(shop.clearing()) * 100 == shop.paypal.balance("SEK")
    shop.all_is_well()
    asked = shop.world.paypal.count_calls("customer/disputes")
    shop.runs()
    assert shop.world.paypal.count_calls("customer/disputes") == asked


def test_a_chargeback_that_comes_back_relieves_the_account_for_disputes(shop: Shop) -> None:
    sale = shop.sale("2026-03-02", 1_250_00)
    shop.app.disputes = False
    dispute = shop.paypal.dispute(sale.id, at=instant("2026-03-05"))
    shop.paypal.lose(dispute.id, at=instant("2026-03-09"))
    shop.opens()
    shop.town.choose(shop.company_id, shop.connection_id, **{"accounts.reserve:SEK": "1690"})
    shop.sets(**{"accounts.disputes": "1516"})
    shop.repairs()
    shop.runs()
    assert shop.books.balance(1516) == 1250, "how it ended may not be read: the money stays where it can be seen"
    shop.paypal.chargeback_returns(dispute.id, at=instant("2026-03-19"))
    shop.runs()
    assert shop.books.balance(1516) == 0
    assert shop.kinds()["dispute_won"] == 1
    assert not shop.held()
    shop.all_is_well()


def test_a_lost_dispute_may_undo_the_sale(shop: Shop) -> None:
    sale = shop.sale("2026-03-02", 1_250_00)
    dispute = shop.paypal.dispute(sale.id, at=instant("2026-03-05"))
    shop.paypal.lose(dispute.id, at=instant("2026-03-09"), chargeback=False)
    shop.opens(dispute_lost="credit_note")
    shop.town.choose(shop.company_id, shop.connection_id, **{"accounts.reserve:SEK": "1690"})
    shop.sets(**{"accounts.disputes": "1516"})
    shop.repairs()
    shop.runs()
    assert not shop.held(), shop.town.held(shop.company_id)
    assert shop.books.balance(1516) == shop.books.balance(3001) == shop.books.balance(2611) == 0
    (credit,) = [invoice for invoice in shop.our_invoices() if invoice.total < 0]
    assert (credit.total, credit.balance) == (-1250, 0)
    shop.all_is_well()


def test_a_payment_pending_at_the_start_is_taken_in_on_the_day_it_clears(shop: Shop) -> None:
    pending = shop.sale("2026-02-25", 400_00, pending=True)
    touched = shop.sale("2026-02-20", 777_00)
    sale = shop.sale("2026-03-02", 1_000_00)
    shop.opens()
    shop.runs()
    assert shop.stored() == 1
    shop.paypal.touch(shop.paypal.get_row(touched.id))
    shop.paypal.clear(pending.id, at=instant("2026-03-20 09:00"))
    shop.runs()
    assert shop.stored() == 2
    assert sorted(row.booking_date.isoformat() for row in shop.documents("sale")) == ["2026-03-02", "2026-03-20"]
    assert shop.kinds()["sale"] == 2, "found and booked in one run"
    assert shop.paypal.balance("SEK") == touched.net + sale.net + pending.net
    shop.all_is_well()


def test_data_that_is_three_hours_late_is_proved_as_of_when_it_is_complete(shop: Shop) -> None:
    shop.paypal.lag = timedelta(hours=3)
    shop.sale("2026-03-02", 1_000_00)
    shop.sale("2026-03-20 08:30", 500_00)
    shop.opens()
    shop.runs()
    assert shop.stored() == 1
    shop.proves()
    shop.time("2026-03-20 12:00")
    shop.runs()
    assert shop.kinds()["sale"] == 2
    shop.all_is_well()


# --- e-conomic --------------------------------------------------------------------------------------------


@dataclass
class Firm:
    """A Danish company with an agreement at e-conomic, an account at PayPal and a Kvitt."""

    town: Town
    agreement: EconomicAgreement
    account: PayPalAccount
    app: RestApp
    company_id: int = 0

    def opens(self) -> None:
        services, world = self.town.services, self.town.world
        parked = installation.receive(services, "economic", world.economic.grant(self.agreement.number), "")
        self.company_id = installation.confirm(services, parked, WHO)
        pasted = f"{self.app.client_id}:{self.app.secret}"
        connection_id = connections.receive(services, self.company_id, "paypal", "key", pasted, "", WHO)
        self.town.choose(self.company_id, connection_id, mode="plus", start_date="2026-03-01")
        faults = settings.change(services, self.company_id, WHO, {"fee_vat": "exempt"})
        assert not faults, faults
        prerequisites.check(services, self.company_id)
        self.town.repair(self.company_id)


@pytest.fixture
def firm(database: tuple[str, str | None]) -> Iterator[Firm]:
    world = World.build(webhooks=False, fortnox_call_limit=0, stopped_at=NOW)
    agreement = world.economic.add_agreement("Havblik ApS", "12345674", currencies=["EUR"])
    account = world.paypal.add_account("Havblik ApS", country="DK", primary="DKK", balance_currencies=("DKK", "EUR"))
    account.lag = timedelta(0)
    with town(*database, world) as place:
        yield Firm(place, agreement, account, world.paypal.add_app(account))


def test_a_danish_company_is_paid_over_paypal(firm: Firm) -> None:
    theirs = firm.agreement.person_creates_invoice(125)
    firm.agreement.person_pays_invoice(theirs.number)
    before = firm.agreement.trial_balance()
    sale = firm.account.sell(100_02, "DKK", order="1001", at=instant("2026-03-02"))
    firm.account.refund(sale.id, 50_01, instant("2026-03-03"))
    firm.account.withdraw(30_00, at=instant("2026-03-09"))
    firm.opens()
    firm.town.run(firm.company_id)
    assert firm.town.held(firm.company_id) == []
    after = firm.agreement.trial_balance()
    moved = {number: after.get(number, Decimal(0)) - before.get(number, Decimal(0)) for number in after | before}
    moved = {number: amount for number, amount in moved.items() if amount}
    assert sum(moved.values()) == 0
    (proof,) = (one for one in firm.town.prove(firm.company_id) if one.identity.currency == "DKK")
    assert (proof.identity.difference.minor, proof.identity.ledger.minor) == (0, firm.account.balance("DKK"))
    # Sold 100.02 and gave back 50.01, with 25 % VAT; 30.00 has left PayPal, and the odd øre is the rounding product's.
    assert moved == {
        1010: Decimal("-40.00"),
        1090: Decimal("-0.01"),
        3621: Decimal("5.50"),
        5890: Decimal("30.00"),
        5891: Decimal("14.51"),
        6902: Decimal("-10.00"),
    }
    firm.agreement.check()
    firm.town.world.economic.reset_calls()
    firm.town.run(firm.company_id)
    assert firm.town.world.economic.count_calls(method="POST") == 0
