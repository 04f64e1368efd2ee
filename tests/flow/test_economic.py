"""A Danish company whose books are in e-conomic: installed, checked, run, and looked at in its ledger."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

from addon.ports.oauth import Grant
from addon.sandbox.economic import EconomicAgreement
from addon.sandbox.stripe import StripeAccount
from addon.sandbox.world import World
from addon.services import connections, installation, prerequisites, settings
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
