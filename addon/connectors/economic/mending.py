"""What Kvitt puts right in e-conomic when a person presses Repair, as far as there are calls for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from addon.connectors.economic import translate
from addon.connectors.economic.client import JOURNALS, EconomicClient
from addon.connectors.economic.registers import Registers
from addon.connectors.economic.translate import Row
from addon.core.books import Remedy, Repair
from addon.core.holds import HoldReason
from addon.ports.errors import BadReply, Rejected

PRODUCTS: Final = "productsapi/v2.0.0"
LAST_VOUCHER: Final = 899_999_999
NEARLY_FULL: Final = 1_000
"""With fewer voucher numbers left than this a journal counts as full: a busy day takes some hundreds."""
FOREIGN_ZONES: Final = (2, 3)
"""VAT zones beside the domestic one that sales can be in: EU and abroad."""
REMEDIES: Final = (
    Remedy.ACTIVATE_ACCOUNT,
    Remedy.CREATE_ACCOUNT,
    Remedy.CREATE_SERIES,
    Remedy.MEND_SERIES,
    Remedy.CREATE_PRODUCT_GROUP,
    Remedy.OPEN_PRODUCT,
    Remedy.REGISTER_WEBHOOK,
)
"""What there are calls for. Currencies are added by a person; any account may be the other side of a payment."""


def is_nearly_full(journal: Row) -> bool:
    """Whether a journal's voucher numbers are used up, or will be within days."""
    last = translate.text(journal, "maximumVoucherNumber")
    following = translate.text(journal, "nextVoucherNumber")
    return bool(last and following) and int(last) - int(following) < NEARLY_FULL


def mend_journal(client: EconomicClient, journals: Sequence[Row], name: str, flags: Sequence[str]) -> None:
    """Let our journal take what it must take again; nobody else's journal is touched. Raises `Rejected`."""
    found = next((row for row in journals if translate.text(row, "name") == name), None)
    if found is None:
        raise Rejected("", f"{name} is no journal of Kvitt's: a person must set it right", HoldReason.REJECTED.value)
    number = translate.whole(found, "number")
    body = {**_object(client.ask(f"{JOURNALS}/journals/{number}")), **dict.fromkeys(flags, False)}
    body |= {"autoApprove": True, "requireBalancePerVoucherId": True, "allowedEntryType": 0}
    if is_nearly_full(body):
        body["maximumVoucherNumber"] = LAST_VOUCHER
    version = translate.text(body, "objectVersion")
    client.tell("PUT", f"{JOURNALS}/journals", body, f"journal/{number}/{version}")


def create_product_group(client: EconomicClient, registers: Registers, repair: Repair, at: datetime) -> None:
    """A group that sells on one account in every zone, so that the account's VAT code alone decides the rate."""
    account = int(repair.subject)
    number = max((int(one.code) for one in registers.product_groups), default=0) + 1
    name = translate.clean(repair.name, 50) or f"Kvitt {account}"
    body = {"id": number, "name": name, "domesticAccountId": account}
    # A group that was made and taken away within the hour would be answered out of their memory: hence the instant.
    key = f"product-group/{account}/{at.isoformat()}"
    client.tell("POST", f"{PRODUCTS}/productgroups", body, key)
    for zone in FOREIGN_ZONES:
        if zone in registers.zones:
            zoned = {"id": zone, "accountId": account}
            client.tell("POST", f"{PRODUCTS}/productgroups/{number}/zones", zoned, f"{key}/{zone}")


def open_product(client: EconomicClient, path: str, key: str) -> None:
    """Lift the bar from a product of ours; what is not sent there is cleared, so all of it goes back."""
    row = _object(client.get(path))
    kept = ("productNumber", "name", "description", "salesPrice", "recommendedPrice", "costPrice", "barCode")
    body: dict[str, Any] = {name: row[name] for name in kept if name in row}
    group = translate.whole(row, "productGroup", "productGroupNumber")
    body |= {"productGroup": {"productGroupNumber": group}, "barred": False}
    if "unit" in row:
        body["unit"] = {"unitNumber": translate.whole(row, "unit", "unitNumber")}
    client.send("PUT", path, body, key)


def _object(document: object) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise BadReply("an object is missing")
    return dict(document)
