"""VAT on what a provider charges: by the entity that invoices it, and by what the fee is for.

Sources disagree on card acquiring, and add-ons are taxed whatever acquiring is. So there is a profile, preset by the
entity, which a person confirms by name; the provider's own tax invoice has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from addon.core.records import FeeKind


class FeeVat(StrEnum):
    """How the provider's fees are treated for VAT. Sources disagree, so a person confirms it by name."""

    EXEMPT = "exempt"
    """A financial service without VAT (article 135.1 d of the VAT directive)."""
    EU_REVERSE_CHARGE = "eu_reverse_charge"
    """A service from another EU country: we compute output and input VAT, and fill box 21's basis."""
    DOMESTIC = "domestic"
    """The provider charges this country's VAT."""
    NON_EU_REVERSE_CHARGE = "non_eu_reverse_charge"
    """A service from outside the EU: as above with box 22's basis."""


class FeeEntity(StrEnum):
    """Which company of the provider's writes its tax invoices; it stands at their head, and decides, not the brand."""

    STRIPE_IE = "stripe_ie"
    """Stripe's Irish companies (Stripe Payments Europe, Stripe Technology Europe): what Nordic shops have."""
    STRIPE_UK = "stripe_uk"
    STRIPE_US = "stripe_us"
    PAYPAL_LU = "paypal_lu"
    """PayPal (Europe) S.à r.l. et Cie, S.C.A. in Luxembourg, a bank: what Nordic merchants have."""
    PAYPAL_UK = "paypal_uk"
    DOMESTIC = "domestic"
    """A company of the country that the books are kept in."""


def _all(treatment: FeeVat) -> dict[FeeKind, FeeVat]:
    return dict.fromkeys(FeeKind, treatment)


PRESETS: Final[Mapping[FeeEntity, Mapping[FeeKind, FeeVat]]] = {
    FeeEntity.STRIPE_IE: _all(FeeVat.EU_REVERSE_CHARGE),
    FeeEntity.STRIPE_UK: _all(FeeVat.NON_EU_REVERSE_CHARGE),
    FeeEntity.STRIPE_US: _all(FeeVat.NON_EU_REVERSE_CHARGE),
    FeeEntity.PAYPAL_LU: {
        **_all(FeeVat.EXEMPT),
        FeeKind.SERVICE: FeeVat.EU_REVERSE_CHARGE,
        FeeKind.OTHER: FeeVat.EU_REVERSE_CHARGE,
    },
    FeeEntity.PAYPAL_UK: _all(FeeVat.NON_EU_REVERSE_CHARGE),
    FeeEntity.DOMESTIC: _all(FeeVat.DOMESTIC),
}
"""What is preselected. PayPal in Luxembourg invoices payments as a bank does, without VAT; its tools are services.

For Stripe's card acquiring "exempt" is the alternative: Skatteverket 2020-01-13, dnr 8-5507."""


@dataclass(frozen=True, slots=True)
class FeeRules:
    """A company's profile: the treatment of each kind of fee that is not treated like payment fees.

    `codes` are VAT codes by treatment, for accounting systems whose vouchers take one (Denmark): then the code stands
    on the fee's row and computes the VAT, and no rows of basis and VAT are written. Fortnox has none on vouchers.
    """

    treatments: tuple[tuple[FeeKind, FeeVat], ...] = ()
    codes: tuple[tuple[FeeVat, str], ...] = ()

    def treatment(self, kind: FeeKind, payments: FeeVat) -> FeeVat:
        """How a kind of fee is treated; `payments` is the treatment of payment fees."""
        return dict(self.treatments).get(kind, payments)

    def code(self, treatment: FeeVat) -> str:
        """The VAT code of a treatment; empty where the rows of VAT are written out."""
        return dict(self.codes).get(treatment, "")


MOVING_MONEY: Final = (FeeKind.PAYMENT, FeeKind.DISPUTE, FeeKind.CONVERSION, FeeKind.NETWORK)
"""Kinds that are a provider's financial service; what else it charges is taxed whatever those are."""


def of_connection(rules: FeeRules, payments: FeeVat, own: FeeVat | None) -> tuple[FeeVat, FeeRules]:
    """The treatment of payment fees and the profile where a connection has one of its own for what moves money.

    Another provider of the same company is another supplier, whose fees may be exempt while the first one's are not.
    What is not moving money keeps the company's treatment. None: the company's profile as it is.
    """
    if own is None:
        return payments, rules
    others = tuple((kind, rules.treatment(kind, payments)) for kind in FeeKind if kind not in MOVING_MONEY)
    return own, FeeRules(others, rules.codes)


USUAL_FEES: Final = FeeRules()
"""All fees are treated like payment fees."""
