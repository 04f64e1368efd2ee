"""PayPal's reads under everything that may go wrong with them: nothing is lost, nothing comes twice."""

from datetime import timedelta
from typing import Final, get_args

import pytest
from sqlalchemy import func, select

from addon.ports.errors import BadReply, TryLater
from addon.sandbox.paypal import Fault
from addon.sandbox.stripe.faults import Kind
from addon.services import connections
from addon.services.calls import CallLog
from addon.services.ingest import Fetch, fetch_step
from addon.store.models import Connection
from tests.flow.house import Bed, instant
from tests.flow.test_paypal import Shop
from tests.support.town import WHO

STRUCK: Final = ("reporting/transactions", "reporting/balances", "customer/disputes", "oauth2/token")
"""What Kvitt asks of PayPal in a run."""
WITHOUT_WAITING: Final = tuple(kind for kind in get_args(Kind) if kind not in ("timeout", "timeout_before", "slow"))
"""Silence is a wait and no more than that: to a read it is what `lost_before` is."""


@pytest.fixture
def shop(bed: Bed) -> Shop:
    business = bed.world.add_business("Exempelbutiken AB", "556671-8899", balance_currencies=("sek",))
    account = bed.world.paypal.add_account("Exempelbutiken AB", balance_currencies=("SEK",))
    account.lag = timedelta(0)
    return Shop(bed.town, business, account=account, app=bed.world.paypal.add_app(account))


def fetches(shop: Shop) -> int:
    """Fetch as a run does, going on from where it was whenever a call fails; how often one did."""
    services, failed, fetch = shop.town.services, 0, Fetch()
    source = connections.payment_source(services, shop.company_id, shop.connection_id, CallLog())
    for _ in range(200):
        if fetch.stage == "done":
            return failed
        try:
            fetch = fetch_step(services, shop.company_id, shop.connection_id, source, fetch)
        except (TryLater, BadReply):
            failed += 1
    raise AssertionError(f"fetching never ends: {fetch}")


def test_whatever_fails_while_paypal_is_read_everything_is_there_once(shop: Shop) -> None:
    sales = [shop.sale(f"2026-03-{day:02}", 100_00 + day) for day in range(2, 8)]
    dispute = shop.paypal.dispute(sales[0].id, at=instant("2026-03-09"))
    shop.paypal.lose(dispute.id, at=instant("2026-03-10"), chargeback=False)
    shop.world.paypal.largest_result = 3
    shop.opens(fee_vat="exempt")
    shop.town.choose(shop.company_id, shop.connection_id, **{"accounts.reserve:SEK": "1690"})
    shop.sets(**{"accounts.disputes": "1516"})
    faults, stored = shop.world.paypal.faults, set()
    for kind in WITHOUT_WAITING:
        for match in STRUCK:
            if (kind, match) != ("revoked", "oauth2/token"):  # that is an app that is gone, which has a test of its own
                faults.add(Fault(kind, match, after=1 if "transactions" in match else 0))
        # A token runs out in the middle of its hours: the next call must ask for another one.
        shop.world.clock.advance(timedelta(hours=4))
        with shop.town.services.db.company(shop.company_id) as session:
            session.get_one(Connection, shop.connection_id).fetched_until = None  # all of it is read again
        fetches(shop)
        faults.clear()
        stored.add(shop.stored())
    struck = {(kind, call.partition("/v1/")[2].split("?")[0]) for kind, call in faults.struck}
    assert {(kind, "reporting/transactions") for kind in WITHOUT_WAITING} <= struck, struck
    assert {"oauth2/token", "customer/disputes"} <= {call for _, call in struck}, struck
    assert stored == {len(sales) + 2 + 1 + 1}, "the sales, hold and release, the reversal, and that it is lost"
    shop.runs()
    assert not shop.held(), shop.town.held(shop.company_id)
    assert shop.kinds()["sale"] == len(sales)
    shop.all_is_well()


def test_whoever_disconnects_and_comes_back_finds_the_same_connection_and_nothing_twice(shop: Shop) -> None:
    shop.sale("2026-03-02", 100_00)
    shop.opens()
    shop.runs()
    before, connection_id = shop.stored(), shop.connection_id
    connections.disconnect(shop.town.services, shop.company_id, connection_id, WHO)
    shop.sale("2026-03-19", 200_00)
    assert shop.runs("failed").message == "setting_up", "nothing is connected"
    shop.app = shop.world.paypal.add_app(shop.paypal)  # the old app was deleted meanwhile
    assert shop.connects() == connection_id
    shop.runs()
    assert shop.stored() == before + 1
    assert shop.kinds()["sale"] == 2
    shop.all_is_well()
    with shop.rows() as session:
        assert session.scalar(select(func.count(Connection.id))) == 1


def test_an_app_that_is_withdrawn_asks_for_a_person_and_loses_nothing(shop: Shop) -> None:
    shop.sale("2026-03-02", 100_00)
    shop.opens()
    shop.runs()
    shop.app.revoked = True
    shop.sale("2026-03-19", 200_00)
    shop.town.run(shop.company_id)
    assert shop.runs("failed").message == "no_connection"
    shop.app = shop.world.paypal.add_app(shop.paypal)
    shop.connects()
    shop.runs()
    assert shop.kinds()["sale"] == 2
    shop.all_is_well()
