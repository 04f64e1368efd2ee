"""Account roles: what a posting is for. A company's map turns a role into a number of its own chart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class AccountRole(StrEnum):
    """What an account is used for. Numbers are never in code paths; they come from a company's map."""

    CLEARING = "clearing"
    """What the provider owes the company; one account for each connection and balance currency."""
    BANK = "bank"
    """Where payouts arrive; one account for each payout currency."""
    CUSTOMER_CLAIMS = "customer_claims"
    """The customer ledger's account. Only the accounting system posts here."""
    SALES = "sales"
    """Sales, one account for each VAT treatment."""
    FEE = "fee"
    """The provider's fees."""
    FEE_BASIS = "fee_basis"
    """Reverse charge: the basis that fills the VAT return, debit side."""
    FEE_BASIS_CONTRA = "fee_basis_contra"
    """Reverse charge: the basis's counterpart."""
    FEE_OUTPUT_VAT = "fee_output_vat"
    """Reverse charge: output VAT on fees bought abroad."""
    FEE_INPUT_VAT = "fee_input_vat"
    """Reverse charge: calculated input VAT on the same fees."""
    FEE_DOMESTIC_VAT = "fee_domestic_vat"
    """Input VAT that a domestic provider charges on its fees."""
    ROUNDING = "rounding"
    """The accounting system's own rounding, and differences within the tolerance that is set."""
    EXCHANGE_GAIN = "exchange_gain"
    EXCHANGE_LOSS = "exchange_loss"
    DISPUTES = "disputes"
    """Payments that a buyer's bank has withdrawn and that are not decided."""
    RESERVE = "reserve"
    """What the provider holds back; one account for each connection and balance currency."""
    DISPUTE_LOSS = "dispute_loss"
    """Payments that stay withdrawn after a dispute, where the goods did not come back."""
    BOUNCED_PAYMENTS = "bounced_payments"
    """What buyers owe whose payment bounced after it had been booked."""
    RETURNED_REFUNDS = "returned_refunds"
    """What buyers have coming whose refund bounced after it had been booked."""
    TRANSIT = "transit"
    """Money between provider and bank: what has left the one and cannot be dated at the other."""
    FEE_TAX = "fee_tax"
    """Tax on the provider's fees that cannot be deducted, and so is a cost."""
    FOREIGN_FEE = "foreign_fee"
    """Fees that another company takes out of the payments, such as a platform's."""
    PLATFORM_INCOME = "platform_income"
    """A platform's own fee income. Chosen by a person: VAT depends on what the platform sells."""
    TRANSFERS = "transfers"
    """Money that moves between the provider's accounts of a platform and its sellers. Chosen by a person."""
    FINANCING = "financing"
    """Advances and loans of the provider. Chosen by a person."""
    CONTRIBUTIONS = "contributions"
    """Donations and climate orders taken from the balance. Chosen by a person."""
    ADJUSTMENTS = "adjustments"
    """Where a person wants the provider's unexplained adjustments booked."""
    BY_RULE = "by_rule"
    """An account that one of the company's own rules names; never mapped, the rule has the number itself."""
    OUTPUT_VAT = "output_vat"
    """VAT on sales that stand in vouchers, one account for each VAT treatment; on invoices the system posts it."""
    SETTLEMENT_CONTRA = "settlement_contra"
    """What settlement vouchers book payments against, where the sales themselves are booked elsewhere."""
    OPENING_CONTRA = "opening_contra"
    """What the opening voucher is booked against: where the books have what the provider owed at the start."""


class AccountNotMapped(LookupError):
    """No account of the company's chart stands for this role."""

    def __init__(self, role: AccountRole, detail: str = "") -> None:
        super().__init__(f"no account for {role.value}{f' {detail}' if detail else ''}")
        self.role = role
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Account:
    """An account number of the company's chart, with the role it plays in a posting."""

    role: AccountRole
    number: str


@dataclass(frozen=True, slots=True)
class AccountMap:
    """A company's accounts by role; `detail` is a currency or a VAT treatment where a role has several.

    Keys are written `role` or `role:detail`, for example `clearing:EUR` or `sales:SE25`.
    """

    numbers: Mapping[str, str] = field(default_factory=dict)

    def find(self, role: AccountRole, detail: str = "") -> Account | None:
        """The account for a role and exactly this detail; None if there is none.

        No falling back on the role alone: fees taken from a EUR balance must not land on the SEK clearing account.
        """
        number = self.numbers.get(f"{role.value}:{detail}") if detail else self.numbers.get(role.value)
        return Account(role, number) if number else None

    def get(self, role: AccountRole, detail: str = "") -> Account:
        """The account for a role and detail. Raises `AccountNotMapped`."""
        account = self.find(role, detail)
        if account is None:
            raise AccountNotMapped(role, detail)
        return account
