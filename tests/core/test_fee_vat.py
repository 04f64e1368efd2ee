"""VAT on fees: what each entity's preset says, and a connection whose fees are treated otherwise."""

import pytest

from addon.core.fee_vat import PRESETS, USUAL_FEES, FeeEntity, FeeRules, FeeVat, of_connection
from addon.core.records import FeeKind


@pytest.mark.parametrize("entity", FeeEntity)
def test_each_entity_has_a_preset_for_each_kind(entity: FeeEntity) -> None:
    assert set(PRESETS[entity]) == set(FeeKind)


def test_paypal_in_luxembourg_is_a_bank_whose_tools_are_services() -> None:
    preset = PRESETS[FeeEntity.PAYPAL_LU]
    assert {kind for kind, treatment in preset.items() if treatment is FeeVat.EXEMPT} == {
        FeeKind.PAYMENT,
        FeeKind.DISPUTE,
        FeeKind.CONVERSION,
        FeeKind.NETWORK,
    }
    assert preset[FeeKind.SERVICE] is preset[FeeKind.OTHER] is FeeVat.EU_REVERSE_CHARGE


def test_a_connection_has_its_own_treatment_of_what_moves_money() -> None:
    company = FeeRules(
        ((FeeKind.SERVICE, FeeVat.DOMESTIC), (FeeKind.DISPUTE, FeeVat.DOMESTIC)), ((FeeVat.EXEMPT, "X"),)
    )
    payments, rules = of_connection(company, FeeVat.EU_REVERSE_CHARGE, FeeVat.EXEMPT)
    assert payments is FeeVat.EXEMPT
    assert {kind: rules.treatment(kind, payments) for kind in FeeKind} == {
        FeeKind.PAYMENT: FeeVat.EXEMPT,
        FeeKind.DISPUTE: FeeVat.EXEMPT,
        FeeKind.CONVERSION: FeeVat.EXEMPT,
        FeeKind.NETWORK: FeeVat.EXEMPT,
        FeeKind.SERVICE: FeeVat.DOMESTIC,
        FeeKind.OTHER: FeeVat.EU_REVERSE_CHARGE,
    }
    assert rules.code(FeeVat.EXEMPT) == "X"
    assert of_connection(USUAL_FEES, FeeVat.DOMESTIC, None) == (FeeVat.DOMESTIC, USUAL_FEES)
