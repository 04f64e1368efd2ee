"""Law 5 in the accounting system's own ledger: VAT that was sold is VAT that is given back, to the öre."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.flow.house import Bed, House


def stands_at(house: House, account: int) -> Decimal:
    return sum(
        (row.amount for voucher in house.books.ledger for row in voucher.rows if row.account == account), Decimal(0)
    )


@pytest.mark.parametrize(("amount", "parts"), [(3297, 3), (100_00, 7), (1999_99, 3)])
def test_a_sale_refunded_in_parts_leaves_no_vat_behind(bed: Bed, amount: int, parts: int) -> None:
    house = bed.house(balance_currencies=("sek",))
    charge = house.sells("2026-03-02", amount)
    part = amount // parts
    for number in range(parts - 1):
        house.refunds(charge, f"2026-03-{3 + number:02}", part)
    house.refunds(charge, "2026-03-12", amount - part * (parts - 1))
    house.opens("plus")
    house.runs()
    for account in (2611, 3001, 1510):
        assert stands_at(house, account) == 0, account
    assert house.kinds()["refund"] == parts
    house.all_is_well()
