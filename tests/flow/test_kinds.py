"""Every other kind of movement, end to end: what the ledger has of disputes, reserves, bounces and the rest."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from addon.core.money import Money
from addon.core.records import Movement, MovementKind
from addon.core.running import RunningProof
from addon.ports.payments import Fetched, Page
from addon.services import laws, pages, prerequisites
from addon.store.models import MovementRow, PayoutRow
from tests.flow.house import Bed, House, instant
from tests.flow.test_undo import left, undoes
from tests.support.town import WHO

on_both_databases = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


def with_accounts(house: House, **numbers: str) -> None:
    """Choose accounts that every chart has, so that a test is about the bookings."""
    house.sets(**{f"accounts.{role}": number for role, number in numbers.items()})


def disputed(house: House, amount: int = 1_250_00, currency: str = "sek") -> tuple[str, str]:
    charge = house.sells("2026-03-02", amount, currency)
    return charge, house.stripe.dispute(charge, at=instant("2026-03-05"))


@on_both_databases
def test_a_dispute_that_is_won_goes_to_its_account_and_back(plus: House) -> None:
    _, dispute = disputed(plus)
    plus.opens()
    plus.repairs()
    plus.runs()
    assert plus.books.balance(1516) == 1250
    plus.stripe.win(dispute, at=instant("2026-03-20 09:00"))
    plus.runs()
    assert plus.journal(1516) == (
        "2026-03-05 V  1516 1250.00  1686 -1250.00\n2026-03-20 V  1516 -1250.00  1686 1250.00"
    )
    assert plus.kinds()["dispute"] == plus.kinds()["dispute_won"] == 1
    assert not plus.held()
    plus.all_is_well()


@on_both_databases
def test_a_dispute_that_is_lost_becomes_a_loss_and_output_vat_stays(plus: House) -> None:
    _, dispute = disputed(plus)
    plus.opens()
    plus.repairs()
    plus.runs()
    plus.stripe.lose(dispute, at=instant("2026-03-20 09:00"))
    plus.runs()
    assert plus.books.balance(1516) == 0
    assert plus.books.balance(6351) == 1250
    assert plus.books.balance(2611) == -250
    plus.all_is_well()
    writes = plus.writes()
    plus.runs()
    assert plus.writes() == writes, "a second run finds nothing left to do"


def test_a_lost_dispute_may_undo_the_sale_and_its_vat(plus: House) -> None:
    _, dispute = disputed(plus)
    plus.opens(dispute_lost="credit_note")
    plus.repairs()
    plus.runs()
    plus.stripe.lose(dispute, at=instant("2026-03-20 09:00"))
    plus.runs()
    assert plus.books.balance(1516) == plus.books.balance(3001) == plus.books.balance(2611) == 0
    assert plus.books.balance(1510) == 0
    (credit,) = [invoice for invoice in plus.our_invoices() if invoice.total < 0]
    assert (credit.total, credit.balance) == (-1250, 0)
    plus.all_is_well()


def test_a_disputed_euro_sale_is_credited_at_its_own_rate(plus: House) -> None:
    _, dispute = disputed(plus, 100_00, "eur")
    plus.opens(dispute_lost="credit_note")
    plus.repairs()
    plus.runs()
    plus.stripe.lose(dispute, at=instant("2026-03-20 09:00"))
    plus.runs()
    assert not plus.held()
    assert plus.books.balance(1516) == plus.books.balance(1510) == plus.books.balance(3001) == 0
    plus.all_is_well()


def test_part_of_a_sale_is_disputed_and_lost(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_000_00)
    dispute = plus.stripe.dispute(charge, 400_00, at=instant("2026-03-05"))
    plus.opens(dispute_lost="credit_note")
    plus.repairs()
    plus.stripe.lose(dispute, at=instant("2026-03-19"))
    plus.runs()
    assert plus.books.balance(3001) == -480
    assert plus.books.balance(1516) == 0
    plus.all_is_well()


def test_a_dispute_is_not_undone_while_its_end_stands(plus: House) -> None:
    _, dispute = disputed(plus)
    refund = plus.refunds(plus.sells("2026-03-03", 500_00), "2026-03-05")
    plus.stripe.refund_fails(refund, at=instant("2026-03-09"))
    plus.opens()
    first = plus.runs()
    plus.stripe.lose(dispute, at=instant("2026-03-20 09:00"))
    plus.runs()
    reasons = left(plus, undoes(plus, first.id, looks=True))
    assert reasons["dispute"] == "needed"
    assert "returned-refund" not in reasons, "nobody was refunded again"


def test_disputes_are_asked_for_only_while_one_is_undecided(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.repairs()
    plus.runs()
    assert plus.world.stripe.count_calls(".*/v1/disputes.*") == 0
    dispute = plus.stripe.dispute(charge, at=instant("2026-03-20 09:30"))
    plus.runs()
    asked = plus.world.stripe.count_calls(".*/v1/disputes.*")
    assert asked
    plus.stripe.lose(dispute, at=instant("2026-03-20 09:00"))
    plus.runs()
    decided = plus.world.stripe.count_calls(".*/v1/disputes.*")
    plus.runs()
    assert plus.world.stripe.count_calls(".*/v1/disputes.*") == decided > asked


def test_without_an_account_for_disputes_only_they_are_held_and_get_started_names_it(plus: House) -> None:
    disputed(plus)
    for year in plus.books.accounts.values():
        year[1516].active = year[1689].active = False
    plus.opens()
    plus.runs()
    assert plus.held() == ["account_not_ready"]
    assert plus.kinds()["sale"] == 1
    plus.proves()
    checks = prerequisites.check(plus.town.services, plus.company_id)
    assert [check.subject for check in checks if not check.ok] == ["1516"]
    prerequisites.repair_all(plus.town.services, plus.company_id, WHO)
    plus.runs()
    assert not plus.held()
    assert plus.books.balance(1516) == 1250
    plus.all_is_well()


def test_what_stripe_holds_back_stands_on_its_own_account(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.stripe.reserve_hold(300_00, at=instant("2026-03-03"))
    plus.opens()
    plus.runs()
    plus.repairs()
    plus.runs()
    assert plus.books.balance(1699) == 300
    plus.stripe.reserve_release(300_00, at=instant("2026-03-20 09:00"))
    plus.runs()
    assert plus.books.balance(1699) == 0
    assert not plus.held()
    plus.all_is_well()


def test_a_top_up_comes_from_the_bank(plus: House) -> None:
    plus.stripe.topup(500_00, at=instant("2026-03-03"))
    plus.stripe.payouts_enabled = False
    plus.opens()
    plus.runs()
    assert plus.journal(1930) == "2026-03-03 V  1686 500.00  1930 -500.00"
    plus.all_is_well()


def test_a_payment_that_bounces_is_a_claim_until_the_buyer_pays_again(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_000_00, order="77", payment_method_type="sepa_debit")
    plus.stripe.bounce(charge, at=instant("2026-03-10"))
    plus.opens()
    with_accounts(plus, bounced_payments="1515")
    plus.repairs()
    plus.runs()
    plus.repairs()
    plus.runs()
    assert plus.books.balance(1515) == 1000
    plus.proves()
    plus.sells("2026-03-20 09:00", 1_000_00, order="77")
    plus.runs()
    assert plus.books.balance(1515) == 0
    assert plus.books.balance(3001) == -800, "one sale, however often it was paid"
    assert plus.kinds()["sale"] == plus.kinds()["paid_again"] == 1
    plus.all_is_well()


def test_a_bounce_may_undo_the_sale(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_000_00, payment_method_type="sepa_debit")
    plus.stripe.bounce(charge, at=instant("2026-03-10"))
    plus.opens(bounced_payment="credit_note")
    plus.runs()
    assert plus.books.balance(3001) == plus.books.balance(1510) == 0
    assert not plus.held()
    plus.all_is_well()


@on_both_databases
def test_a_refund_that_fails_is_owed_to_the_buyer_and_paid_by_the_next(plus: House) -> None:
    charge = plus.sells("2026-03-02", 1_000_00)
    refund = plus.refunds(charge, "2026-03-05", 250_00)
    plus.stripe.refund_fails(refund, at=instant("2026-03-09"))
    plus.opens()
    plus.runs()
    plus.repairs()
    plus.runs()
    assert plus.books.balance(2420) == -250
    plus.proves()
    plus.refunds(charge, "2026-03-20 09:00", 250_00)
    plus.runs()
    assert plus.books.balance(2420) == 0
    assert plus.books.balance(3001) == -600
    assert not plus.held()
    plus.all_is_well()


def test_in_basic_a_bounced_payment_is_made_good_by_the_next_of_its_order(bed: Bed) -> None:
    house = bed.house()
    charge = house.sells("2026-03-02", 1_000_00, order="77", payment_method_type="sepa_debit")
    house.stripe.bounce(charge, at=instant("2026-03-10"))
    house.invoices("77", 1000, "2026-03-01")
    house.opens("basic")
    house.runs()
    house.repairs()
    house.runs()
    assert house.books.balance(1515) == 1000
    house.sells("2026-03-20 09:00", 1_000_00, order="77")
    house.runs()
    assert house.books.balance(1515) == 0
    assert not house.held()
    house.proves()


def test_a_part_that_is_never_captured_is_no_sale(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00, captured=600_00)
    plus.opens()
    plus.runs()
    (invoice,) = plus.our_invoices()
    assert invoice.total == 600
    plus.all_is_well()


def test_a_payout_that_fails_after_it_was_booked_is_taken_back_and_paid_again(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens()
    plus.runs()
    (payout,) = list(plus.stripe.payouts)
    plus.stripe.fail_payout(payout.id, at=instant("2026-03-20 09:30"))
    plus.runs()
    assert plus.books.balance(1930) == 0
    plus.proves()
    plus.time("2026-03-26")
    plus.runs()
    assert plus.kinds()["payout"] == 2
    plus.all_is_well()


def test_manual_and_instant_payouts_need_no_list(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.stripe.payouts_enabled = False
    plus.time("2026-03-06")
    plus.stripe.manual_payout(200_00, at=instant("2026-03-06"))
    plus.stripe.manual_payout(300_00, method="instant", at=instant("2026-03-06"))
    plus.time("2026-03-20")
    plus.opens()
    plus.runs()
    assert plus.books.balance(1930) == 500
    assert not plus.held()
    plus.all_is_well()


def test_a_payout_by_hand_is_proved_by_the_balance_before_it_and_after(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.stripe.payouts_enabled = False
    plus.opens()
    plus.runs()
    plus.time("2026-03-21 10:00")
    plus.stripe.manual_payout(300_00, method="instant")
    plus.time("2026-03-21 11:00")
    charge = plus.sells("2026-03-21 10:30", 50_00)
    plus.refunds(charge, "2026-03-21 10:40", 20_00)
    assert running_of(plus) == [], "it has not been fetched"
    plus.runs()
    (proof,) = running_of(plus)
    assert proof is not None
    assert proof.holds
    assert proof.own == Money(-303_00, "SEK"), "with the fee of one per cent"
    assert proof.others_count == 2
    assert proof.after.balance.minor == plus.stripe.balance("sek")
    plus.all_is_well()
    with plus.town.services.db.company(plus.company_id) as session:
        session.query(MovementRow).filter(MovementRow.source_ref == charge).one().net_minor += 1
    (proof,) = running_of(plus)
    assert proof is not None
    assert proof.difference == Money(-1, "SEK"), "a movement that was not what the provider moved"
    (said,) = laws.facts(plus.town.services, plus.company_id).unproved_payouts
    assert said.endswith("the balance after it is -0.01 SEK beyond what moved")


def running_of(house: House) -> list[RunningProof | None]:
    services, company_id = house.town.services, house.company_id
    with house.rows() as session:
        ids = session.scalars(select(PayoutRow.id).where(PayoutRow.itemisation == "none")).all()
    return [pages.payout(services, company_id, payout_id).running for payout_id in ids]


def test_the_bank_side_may_end_at_a_transit_account(plus: House) -> None:
    plus.sells("2026-03-02", 1_000_00)
    plus.opens(bank_side="transit")
    with_accounts(plus, transit="1940")
    plus.runs()
    assert plus.books.balance(1930) == 0
    assert plus.kinds()["payout"] == 1
    plus.all_is_well()


def test_kinds_that_a_person_maps_are_held_until_then_and_booked_after(plus: House) -> None:
    rows = {
        "transfers": [("transfer", "transfer", -70_00), ("transfer_reversal", "transfer_refund", 7_00)],
        "platform_income": [("platform_earning", "application_fee", 80_00)],
        "financing": [("financing_payout", "advance", 500_00), ("financing_paydown", "advance", -50_00)],
        "contributions": [("contribution", "contribution", -12_00)],
        "adjustments": [("other_adjustment", "adjustment", -13_00)],
    }
    for kinds in rows.values():
        for category, type_, amount in kinds:
            plus.stripe.adjustment(amount, reporting_category=category, type=type_, at=instant("2026-03-03"))
    plus.opens()
    plus.runs()
    assert plus.held() == ["account_not_ready"] * 7
    plus.proves()
    checks = prerequisites.check(plus.town.services, plus.company_id)
    assert {check.subject for check in checks if not check.ok} == set(rows)
    with_accounts(plus, transfers="1680", platform_income="3001", financing="2390", contributions="6570")
    with_accounts(plus, adjustments="6570")
    plus.runs()
    plus.repairs()
    plus.runs()
    assert not plus.held()
    assert plus.books.balance(2390) == -450
    plus.all_is_well()


def test_a_conversion_moves_two_balances_in_one_voucher(bed: Bed) -> None:
    """No Stripe row is one, so the source says of two of its rows that they are: other providers have them."""
    house = bed.house()
    house.stripe.payouts_enabled = False
    house.sells("2026-03-02", 100_00, "eur")
    gone = house.stripe.adjustment(-60_00, "eur", reporting_category="conversion", at=instant("2026-03-10"))
    house.stripe.adjustment(675_00, "sek", reporting_category="conversion", source=gone, at=instant("2026-03-10"))
    converting = Converting(bed.town.services.outside, gone)
    house.town = bed.town.with_services(outside=converting)
    house.opens()
    house.runs()
    assert not house.held()
    assert house.kinds()["conversion"] == 1
    (voucher,) = house.journal(house.clearing("EUR"), series="V").splitlines()[-1:]
    assert f"{house.clearing('SEK')} 675.00" in voucher
    house.all_is_well()


class Converting:
    """An outside whose payment source calls two rows the halves of a conversion."""

    def __init__(self, outside: Any, ref: str) -> None:
        self._outside = outside
        self._ref = ref

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outside, name)

    def payments(self, *given: Any, **more: Any) -> Any:
        return ConvertingSource(self._outside.payments(*given, **more), self._ref)


class ConvertingSource:
    def __init__(self, source: Any, ref: str) -> None:
        self._source = source
        self._ref = ref

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def fetch_movements(self, since: datetime, until: datetime, cursor: str | None) -> Page[Fetched[Movement]]:
        page = self._source.fetch_movements(since, until, cursor)
        return Page(tuple(Fetched(self._told(item.value), item.raw) for item in page.items), page.next_cursor)

    def _told(self, movement: Movement) -> Movement:
        if not movement.raw_kind.startswith("conversion/"):
            return movement
        return replace(movement, kind=MovementKind.CONVERSION, source_ref=self._ref)
