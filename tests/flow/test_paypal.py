"""PayPal end to end: what a month there leaves in the ledger, and that the ledger says what PayPal says."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from addon.core.records import PayoutState
from addon.sandbox.paypal import PayPalAccount, RestApp
from addon.sandbox.world import World
from addon.services import connections, prerequisites
from addon.store.models import CheckRow, MovementRow, PayoutRow
from tests.flow.house import NOW, START, Bed, House, instant
from tests.support.town import WHO


@dataclass
class Shop(House):
    """A company that is paid over PayPal."""

    account: Any = None
    app: Any = None
    provider: str = "paypal"

    @property
    def paypal(self) -> PayPalAccount:
        assert isinstance(self.account, PayPalAccount)
        return self.account

    def sale(self, day: str, amount: int, currency: str = "SEK", **more: Any) -> Any:
        self.orders += 1
        return self.paypal.sell(amount, currency, order=str(self.orders), at=instant(day), **more)

    def opens(self, mode: str = "plus", start: str = START, **company: str) -> int:
        """Install Kvitt, type the credentials in, choose, repair."""
        self.company_id = self.town.install(self.business)
        connection_id = self.connects()
        self.town.choose(self.company_id, connection_id, mode=mode, start_date=start)
        prerequisites.check(self.town.services, self.company_id)
        self.town.repair(self.company_id)
        if company:
            self.sets(**company)
        return self.company_id

    def connects(self) -> int:
        assert isinstance(self.app, RestApp)
        pasted = f"{self.app.client_id}:{self.app.secret}"
        return connections.receive(self.town.services, self.company_id, "paypal", "key", pasted, "", WHO)

    def stored(self) -> int:
        with self.rows() as session:
            return int(session.scalar(select(func.count(MovementRow.id))) or 0)


@pytest.fixture
def shop(bed: Bed) -> Shop:
    world: World = bed.world
    business = bed.world.add_business("Exempelbutiken AB", "556671-8899", balance_currencies=("sek",))
    account = world.paypal.add_account("Exempelbutiken AB", balance_currencies=("SEK", "EUR"))
    account.lag = timedelta(0)
    return Shop(bed.town, business, account=account, app=world.paypal.add_app(account))


def test_a_month_of_paypal_in_plus_stands_in_the_books_as_paypal_says(shop: Shop) -> None:
    first = shop.sale("2026-03-02", 1_250_00)
    shop.sale("2026-03-03", 100_00, "EUR")
    shop.sale("2026-03-04", 120_00, "USD")
    shop.paypal.refund(first.id, 250_00, instant("2026-03-05"))
    gone = shop.paypal.withdraw(500_00, code="T0401", at=instant("2026-03-09"))
    shop.opens()
    shop.runs()
    assert not shop.held(), shop.town.held(shop.company_id)
    assert shop.kinds()["sale"] == 3
    assert shop.kinds()["refund"] == 1
    assert shop.kinds()["conversion"] == 1
    assert shop.kinds()["payout"] == 1
    proved = shop.identities()
    for currency, one in proved.items():
        assert not one.identity.difference, (currency, one.identity)
        assert one.identity.ledger_books == one.identity.documents_books
    assert shop.books.balance(shop.clearing("SEK")) * 100 == shop.paypal.balance("SEK")
    assert shop.books.balance(shop.clearing("USD")) == 0
    shop.books.check()
    invoices = [
        one for one in shop.books.invoices.values() if one.text("ExternalInvoiceReference1").startswith("paypal/")
    ]
    assert len(invoices) == 4
    assert all(one.balance == 0 and one.booked for one in invoices)
    with shop.rows() as session:
        (payout,) = session.scalars(select(PayoutRow))
    assert (payout.ref, payout.amount_minor, payout.state) == (gone.id, 500_00, PayoutState.PAID.value)
    with shop.rows() as session:
        asked = set(session.scalars(select(CheckRow.subject)))
    # Payouts go to the account of money on its way; no bank account is asked for in any currency.
    assert "1931" in asked and not {"1930", "1934", "1935"} & asked
    writes = shop.writes()
    shop.runs()
    assert shop.writes() == writes


def test_what_turns_up_late_under_an_old_date_is_found_because_the_balance_says_so(shop: Shop) -> None:
    sale = shop.sale("2026-03-02", 1_000_00)
    pending = shop.sale("2026-03-03", 400_00, pending=True)
    dispute = shop.paypal.dispute(sale.id, at=instant("2026-03-04"))
    shop.opens()
    shop.runs()
    before = shop.stored()
    assert before == 2
    # Weeks later: far beyond what is read again each time.
    shop.world.clock.set(NOW + timedelta(days=30))
    shop.paypal.clear(pending.id)
    shop.paypal.win(dispute.id)
    shop.runs()
    assert shop.stored() == 4
    assert {one.identity.currency: one.identity.difference.minor for one in shop.identities().values()}["SEK"] == 0
    calls = shop.world.paypal.count_calls("reporting/transactions")
    shop.runs()
    # Nothing is amiss any more, so that nobody looks back again.
    assert shop.world.paypal.count_calls("reporting/transactions") - calls <= 4


def test_a_withdrawal_that_comes_back_and_a_purchase(shop: Shop) -> None:
    shop.sale("2026-03-02", 2_000_00)
    gone = shop.paypal.withdraw(1_000_00, at=instant("2026-03-03"))
    shop.paypal.withdrawal_returns(gone.id, at=instant("2026-03-06"))
    shop.paypal.purchase(99_00, "SEK", at=instant("2026-03-07"))
    shop.opens()
    shop.runs()
    assert shop.held() == ["unknown_kind"]
    assert shop.kinds()["payout"] == shop.kinds()["payout_reversal"] == 1
    assert shop.books.balance(1931) == 0
    with shop.rows() as session:
        (payout,) = session.scalars(select(PayoutRow))
    assert payout.state == PayoutState.FAILED.value
    (identity,) = (one.identity for one in shop.identities().values() if one.identity.currency == "SEK")
    assert not identity.difference
    assert shop.books.balance(shop.clearing("SEK")) * 100 == shop.paypal.balance("SEK") + 99_00
