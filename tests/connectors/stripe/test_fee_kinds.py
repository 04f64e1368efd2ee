"""What a fee of Stripe's is for, by its kind and its description."""

import pytest

from addon.connectors.stripe.translate import decide_fee_kind, translate_movement
from addon.core.records import FeeKind


@pytest.mark.parametrize(
    ("word", "text", "inside", "kind"),
    [
        ("stripe_fee", "Stripe processing fees", True, FeeKind.PAYMENT),
        ("stripe_fee", "", True, FeeKind.PAYMENT),
        ("stripe_fee", "", False, FeeKind.OTHER),
        ("stripe_fee", "Dispute fee", True, FeeKind.DISPUTE),
        ("stripe_fee", "Card payments (2026-03-01): Dispute fee", False, FeeKind.DISPUTE),
        ("stripe_fee", "Chargeback Protection", True, FeeKind.SERVICE),
        ("stripe_fee", "Billing - Usage Fee (2026-03-05)", False, FeeKind.SERVICE),
        ("stripe_fee", "Radar (2026-03-01 - 2026-03-31): Radar for Fraud Teams", False, FeeKind.SERVICE),
        ("stripe_fee", "Automatic taxes (2026-03-31)", False, FeeKind.SERVICE),
        ("stripe_fee", "Invoicing Starter", False, FeeKind.SERVICE),
        ("stripe_fee", "Stripe currency conversion fee", True, FeeKind.CONVERSION),
        ("stripe_fx_fee", "", False, FeeKind.CONVERSION),
        ("network_cost", "Card payments", False, FeeKind.NETWORK),
        ("payment_method_passthrough_fee", "", True, FeeKind.NETWORK),
        ("stripe_fee", "Instant Payouts", False, FeeKind.PAYMENT),
        ("stripe_fee", "Something that is new", False, FeeKind.OTHER),
    ],
)
def test_a_fee_is_known_by_its_words(word: str, text: str, inside: bool, kind: FeeKind) -> None:
    assert decide_fee_kind(word, text, inside=inside) is kind


def row(**changes: object) -> dict[str, object]:
    return {
        "id": "txn_1",
        "object": "balance_transaction",
        "amount": -1000,
        "fee": 0,
        "net": -1000,
        "currency": "sek",
        "created": 1772450000,
        "reporting_category": "fee",
        "type": "stripe_fee",
        "description": "Billing - Usage Fee",
        "source": None,
        **changes,
    }


def test_a_row_that_is_a_fee_says_what_it_is_for() -> None:
    assert translate_movement(row()).service_of("amount") is FeeKind.SERVICE
    assert translate_movement(row(reporting_category="network_cost")).fee_kind is FeeKind.NETWORK
    assert translate_movement(row(description="?")).fee_kind is FeeKind.OTHER


def test_each_fee_inside_a_payment_says_what_it_is_for() -> None:
    details = [
        {"type": "stripe_fee", "amount": 300, "currency": "sek", "description": "Stripe processing fees"},
        {"type": "stripe_fee", "amount": 40, "currency": "sek", "description": "Stripe currency conversion fee"},
        {"type": "brand_new_fee", "amount": 10, "currency": "sek", "description": "Stripe processing fees"},
        {"type": "tax", "amount": 75, "currency": "sek", "description": "VAT"},
    ]
    charge = row(
        amount=10000, fee=425, net=9575, reporting_category="charge", type="charge", description="", fee_details=details
    )
    movement = translate_movement(charge)
    kinds = [movement.service_of(part.name) for part in movement.parts()]
    assert kinds == [FeeKind.PAYMENT, FeeKind.PAYMENT, FeeKind.CONVERSION, FeeKind.OTHER, FeeKind.PAYMENT]
