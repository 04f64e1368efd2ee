"""The products service under /apis: product groups, and the account that each sells on in each VAT zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from addon.sandbox.economic.agreement import EconomicAgreement
from addon.sandbox.economic.frame import Reply, Row
from addon.sandbox.economic.sales import ProductGroup

if TYPE_CHECKING:
    from addon.sandbox.economic.services_api import ServicesHost

PRODUCTS: Final = "/apis/productsapi/v2.0.0"
ROLES: Final = "SuperUser Sales"
DOMESTIC: Final = 1
"""The zone whose account is the group's own; the others are put in beside it."""
LONGEST: Final = 50
_FILTER: Final = {"id": "eq ne lt lte gt gte in nin", "name": "eq ne like"}


class ProductsApi:
    """What the service answers for an agreement."""

    def __init__(self, host: ServicesHost) -> None:
        self.host = host

    def routes(self) -> None:
        """Put the service into its host."""
        base = f"{PRODUCTS}/productgroups"
        self.host.lists(base, ROLES, self.groups, _FILTER)
        self.host.route("POST", base, ROLES, self.add)
        self.host.route("GET", f"{base}/<int:number>/zones", ROLES, self.zones)
        self.host.route("POST", f"{base}/<int:number>/zones", ROLES, self.add_zone)

    def groups(self, agreement: EconomicAgreement) -> list[Row]:
        """All groups."""
        return [
            {
                "id": group.number,
                "name": group.name,
                "domesticAccountId": group.sales_accounts.get(DOMESTIC),
                "objectVersion": f"{group.number:08x}",
            }
            for group in agreement.product_groups.values()
        ]

    def _account(self, agreement: EconomicAgreement, sent: Row, name: str) -> int:
        number = sent.get(name)
        account = agreement.accounts.get(number) if isinstance(number, int) else None
        if account is None or account.kind not in ("profitAndLoss", "status") or account.barred:
            raise self.host.invalid(name, "The account is not found or cannot be used.", "InvalidAccountId")
        return account.number

    def add(self, agreement: EconomicAgreement) -> Reply:
        """Create a group that sells on one account in the domestic zone."""
        sent = self.host.object_sent()
        number, name = sent.get("id"), sent.get("name")
        if not isinstance(number, int) or number < 1 or number in agreement.product_groups:
            raise self.host.invalid("id", "The number is not valid, or in use.", "ProductGroupIdAlreadyInUse")
        if not isinstance(name, str) or not 1 <= len(name) <= LONGEST:
            raise self.host.invalid("name", "The field Name must have between 1 and 50 characters.")
        account = self._account(agreement, sent, "domesticAccountId")
        agreement.product_groups[number] = ProductGroup(number, name, {DOMESTIC: account})
        return Reply({"id": number}, 201)

    def _need(self, agreement: EconomicAgreement, number: int) -> ProductGroup:
        if number not in agreement.product_groups:
            raise self.host.not_found()
        return agreement.product_groups[number]

    def zones(self, agreement: EconomicAgreement, number: int) -> Reply:
        """The accounts of a group in the zones beside the domestic one."""
        group = self._need(agreement, number)
        rows = [
            {"id": zone, "accountId": account} for zone, account in group.sales_accounts.items() if zone != DOMESTIC
        ]
        return self.host.cursored(rows, {})

    def add_zone(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Let a group sell in one more zone."""
        group, sent = self._need(agreement, number), self.host.object_sent()
        zone = sent.get("id")
        if not isinstance(zone, int) or zone < 1 or zone in group.sales_accounts:
            raise self.host.invalid("id", "The zone is not valid, or is there already.")
        group.sales_accounts[zone] = self._account(agreement, sent, "accountId")
        return Reply({"id": zone}, 201)
