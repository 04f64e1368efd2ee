"""Connections that are refused, lost and made again, and a start in the middle of an account's life."""

import pytest
from sqlalchemy import func, select

from addon.ports.errors import NeedsReconnect
from addon.ports.oauth import Grant
from addon.services import connections
from addon.services.connections import AccountTaken, TestModeRefused
from addon.store.models import MovementRow
from tests.flow.house import Bed, House, instant
from tests.support.town import WHO


def test_test_mode_and_another_companys_account_are_refused(bed: Bed) -> None:
    first, second = bed.house("plus"), bed.house("plus")
    services = bed.town.services
    with pytest.raises(AccountTaken):
        connections.connect(
            services, second.company_id, "stripe", "connect", Grant("unused", subject=first.stripe.id), WHO
        )
    for grant in (Grant("unused", subject=first.stripe.id, live=False), Grant("unused", subject=second.stripe.id)):
        second.stripe.livemode = False
        with pytest.raises(TestModeRefused):
            connections.connect(services, second.company_id, "stripe", "connect", grant, WHO)


def test_a_revoked_fortnox_stops_in_the_middle_and_goes_on_after_reconnecting(plus: House) -> None:
    for day in range(2, 6):
        plus.sells(f"2026-03-{day:02}", 100_00 + day)
    plus.opens()

    def revoke() -> None:
        plus.world.fortnox.switches.revocation_kills_access_tokens = True
        plus.books.revoke_consent()

    plus.fault("call", "POST /3/invoicepayments$", after=1, action=revoke)
    view = plus.runs("failed")
    assert view.message == "reconnect"
    assert plus.runs("failed").message == "reconnect", "and it stays so, quietly"
    assert 0 < len(plus.our_invoices()) <= 4
    plus.world.fortnox.switches.revocation_kills_access_tokens = False
    assert plus.town.install(plus.business) == plus.company_id
    plus.runs()
    assert plus.kinds()["sale"] == 4
    plus.all_is_well()


def test_a_revoked_stripe_stops_fetching_only_and_goes_on_after_reconnecting(plus: House) -> None:
    plus.sells("2026-03-02", 100_00)
    plus.opens()
    plus.world.stripe.disconnect(plus.stripe)
    assert plus.town.run(plus.company_id).counts["booked"] == 0
    with pytest.raises(NeedsReconnect):
        connections.ConnectionTokens(plus.town.services, plus.company_id, plus.connection_id).current()
    assert _company_state(plus) == ("active", ""), "the books are still connected"
    assert plus.runs("failed").message == "no_connection"
    plus.town.connect(plus.company_id, plus.business)
    plus.runs()
    plus.all_is_well()


def _company_state(house: House) -> tuple[str, str]:
    from addon.store.models import Company

    with house.town.services.db.open_reading() as session:
        company = session.get_one(Company, house.company_id)
        return company.state, company.stop_reason


def test_fetching_again_and_overlapping_changes_nothing(plus: House) -> None:
    plus.sells("2026-03-20 09:55", 100_00)
    plus.sells("2026-03-20 09:59", 200_00)
    plus.opens()
    plus.runs()
    with plus.rows() as session:
        before = session.scalar(select(func.count(MovementRow.id)))
    for _ in range(2):
        assert plus.runs().counts["fetched"] == 0
    with plus.rows() as session:
        assert session.scalar(select(func.count(MovementRow.id))) == before
    plus.proves()


def test_an_order_number_that_comes_later_is_taken_in_while_nothing_is_planned(bed: Bed) -> None:
    basic = bed.house(balance_currencies=("sek",))
    charge = basic.sells("2026-03-20 09:59", 100_00, order="")
    basic.invoices("4711", 100, "2026-03-20")
    basic.opens("basic")
    basic.runs()
    assert basic.held() == ["no_order_number"]
    row = basic.stripe.get_charge(charge)
    row.metadata["order_id"] = row.intent_metadata["order_id"] = "4711"
    basic.runs()
    assert not basic.held()
    assert basic.kinds()["match"] == 1
    basic.proves()


@pytest.mark.parametrize("failing", [False, True])
def test_the_identity_begins_with_what_was_there_when_the_start_lies_in_the_middle(plus: House, failing: bool) -> None:
    plus.sells("2026-02-20", 5_000_00)
    plus.sells("2026-02-27", 700_00)
    plus.sells("2026-03-03", 300_00)
    plus.time("2026-03-02 01:00")  # the payout of 20 February arrived, that of 27 February has not been made
    plus.time("2026-03-20 10:00")
    plus.opens("plus", "2026-03-02")
    plus.runs()
    opening = plus.proves()["SEK"].identity.opening
    assert opening.minor == 700_00 - 12_30, "27 February's sale less its fee"
    assert plus.kinds()["sale"] == 1
    if failing:
        first = next(iter(plus.stripe.payouts))
        plus.stripe.fail_payout(first.id, at=instant("2026-03-20 09:59"))
        plus.runs()
        assert "payout_paid" in plus.waiting(), "it was paid before the start, so no voucher of ours is taken back"
        plus.proves()
        plus.time("2026-04-10 10:00")
        plus.runs()
        assert "payout_not_proved" in plus.held()
        plus.proves()
        return
    plus.all_is_well()
