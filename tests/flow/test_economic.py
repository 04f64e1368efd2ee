"""A Danish company whose books are in e-conomic: installed, checked, run, and looked at in its ledger."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from pypdf import PdfReader
from sqlalchemy import select

from addon.ports.oauth import Grant
from addon.sandbox.economic import EconomicAgreement, Fault
from addon.sandbox.stripe import StripeAccount
from addon.sandbox.world import World
from addon.services import connections, evidence, installation, prerequisites, runs, settings
from addon.store.models import EvidenceRow
from tests.support.town import WHO, Town, at, town

NOW = at("2026-03-20 10:00") + timedelta(seconds=0.5)


@dataclass
class Firm:
    """A company with an agreement at e-conomic, an account at Stripe and a Kvitt."""

    town: Town
    agreement: EconomicAgreement
    stripe: StripeAccount
    company_id: int = 0

    def opens(self) -> None:
        """Install with the token of a grant, connect Stripe, choose accounts, repair."""
        services, world = self.town.services, self.town.world
        parked = installation.receive(services, "economic", world.economic.grant(self.agreement.number), "")
        self.company_id = installation.confirm(services, parked, WHO)
        world.stripe.connect(self.stripe)
        grant = Grant("unused", subject=self.stripe.id)
        connection_id = connections.connect(services, self.company_id, "stripe", "connect", grant, WHO)
        self.town.choose(
            self.company_id,
            connection_id,
            mode="plus",
            start_date="2026-03-01",
        )
        faults = settings.change(services, self.company_id, WHO, {"fee_vat": "exempt"})
        assert not faults, faults
        prerequisites.check(services, self.company_id)
        self.town.repair(self.company_id)


@pytest.fixture
def firm(database: tuple[str, str | None]) -> Iterator[Firm]:
    world = World.build(webhooks=False, fortnox_call_limit=0, stopped_at=NOW)
    agreement = world.economic.add_agreement("Havblik ApS", "12345674", currencies=["EUR"])
    account = world.stripe.add_account("Havblik ApS", country="DK", default_currency="dkk", balance_currencies=("dkk",))
    with town(*database, world) as place:
        yield Firm(place, agreement, account)


def test_a_danish_company_sells_refunds_and_is_paid_out(firm: Firm) -> None:
    theirs = firm.agreement.person_creates_invoice(125)
    firm.agreement.person_pays_invoice(theirs.number)
    before = firm.agreement.trial_balance()
    buyer = {"email": "anna@example.com", "name": "Anna Andersen", "country": "DK"}
    charge = firm.stripe.charge(10_002, "dkk", metadata={"order_id": "1001"}, at=at("2026-03-02 10:00"), **buyer)
    firm.stripe.charge(25_000, "dkk", metadata={"order_id": "1002"}, at=at("2026-03-02 11:00"), **buyer)
    firm.stripe.refund(charge, 5_001, at=at("2026-03-03 10:00"))
    firm.town.world.catch_up()
    firm.opens()
    firm.town.run(firm.company_id)
    assert firm.town.held(firm.company_id) == []
    after = firm.agreement.trial_balance()
    moved = {number: after.get(number, Decimal(0)) - before.get(number, Decimal(0)) for number in after | before}
    # Sold 100.02 and 250.00, gave back 50.01, all with 25 % VAT; the odd øre stands on the rounding product's account.
    assert {number: amount for number, amount in moved.items() if amount} == {
        1010: Decimal("-240.00"),
        1090: Decimal("-0.01"),
        3621: Decimal("8.85"),
        5820: Decimal("291.16"),
        6902: Decimal("-60.00"),
    }
    (proof,) = firm.town.prove(firm.company_id)
    assert (proof.identity.difference.minor, proof.identity.ledger.minor) == (0, 0)
    firm.agreement.check()
    firm.town.world.economic.reset_calls()
    firm.town.run(firm.company_id)
    assert firm.town.world.economic.count_calls(method="POST") == 0


def test_each_voucher_gets_its_record_once_whatever_fails(firm: Firm) -> None:
    theirs = firm.agreement.person_creates_invoice(125)
    firm.agreement.person_pays_invoice(theirs.number)
    buyer = {"email": "anna@example.com", "name": "Anna Andersen", "country": "DK"}
    firm.stripe.charge(10_000, "dkk", metadata={"order_id": "1001"}, at=at("2026-03-02 10:00"), **buyer)
    firm.town.world.catch_up()
    firm.opens()
    services = firm.town.services
    assert evidence.standing(services, firm.company_id).possible
    firm.town.run(firm.company_id)
    assert not firm.agreement.files, "a run that a person waits for attaches nothing"
    firm.town.world.economic.faults.add(Fault("lost_after", "POST /apis/documentsapi", times=1))
    for _ in range(2):
        assert runs.run_to_end(services, firm.company_id, trigger="clock", patience_s=200).state == "done"
    vouchers = {row.vouchers[-1] for row in firm.town.documents(firm.company_id) if row.kind in ("fees", "payout")}
    assert vouchers and {f"V/{one.voucher}/{one.year}" for one in firm.agreement.files.values()} == vouchers
    assert len(firm.agreement.files) == len(vouchers), "one file each"
    for one in firm.agreement.files.values():
        record = json.loads(PdfReader(io.BytesIO(one.content)).attachments["record.json"][0])
        assert record["vouchers"] == [f"V/{one.voucher}/{one.year}"] and record["movements"]
    with services.db.company_reading(firm.company_id) as session:
        assert set(session.scalars(select(EvidenceRow.state))) == {"attached"}


def test_what_a_new_danish_company_is_offered(firm: Firm) -> None:
    firm.opens()
    values = settings.values(firm.town.services, firm.company_id)
    assert values["time_zone"] == "Europe/Copenhagen"
    assert values["fee_vat_code.eu_reverse_charge"] == "IYEU", "its own code writes the VAT of fees"
    settings.change(firm.town.services, firm.company_id, WHO, {"fee_vat_code.eu_reverse_charge": ""})
    prerequisites.check(firm.town.services, firm.company_id)
    again = settings.values(firm.town.services, firm.company_id)["fee_vat_code.eu_reverse_charge"]
    assert again == "", "what a person has emptied stays empty"
