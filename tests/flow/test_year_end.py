"""A euro balance over the turn of the year, in the accounting system's own ledger."""

from __future__ import annotations

from datetime import date

from tests.flow.house import Bed


def test_a_euro_balance_is_valued_at_the_years_end_and_leaves_at_that_value(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek", "eur"))
    house.sells("2025-12-29", 100_00, "eur")
    house.sells("2025-12-30", 250_00, "eur")
    house.opens("plus", start="2025-12-01", rate_source="riksbank")
    house.runs()
    (valued,) = house.documents("revaluation")
    assert valued.state == "booked" and valued.booking_date == date(2025, 12, 31)
    clearing = house.clearing("EUR")
    rows = [line for line in house.journal(clearing).splitlines() if line.startswith("2025-12-31")]
    assert len(rows) == 1 and ("3960" in rows[0] or "7960" in rows[0])
    closing = house.world.rates.price("riksbank", "EUR", "SEK", date(2025, 12, 30))
    old_year = sum(
        row.amount
        for voucher in house.books.ledger
        for row in voucher.rows
        if row.account == clearing and voucher.date <= date(2025, 12, 31)
    )
    moved = [
        row for row in house.documents() if row.clearing_currency == "EUR" and row.booking_date <= date(2025, 12, 31)
    ]
    euros = sum(row.clearing_minor for row in moved)
    assert abs(old_year - closing * euros / 100) < 1 and euros > 0
    # All of it was paid out in January, at that value: nothing is left.
    assert sum(row.amount for voucher in house.books.ledger for row in voucher.rows if row.account == clearing) == 0
    house.all_is_well()
    house.runs()
    assert len(house.documents("revaluation")) == 1


def test_a_company_may_value_its_balances_itself(bed: Bed) -> None:
    house = bed.house(balance_currencies=("sek", "eur"))
    house.sells("2025-12-29", 100_00, "eur")
    house.opens("plus", start="2025-12-01", rate_source="riksbank", revalue_at_year_end="no")
    house.runs()
    assert house.documents("revaluation") == []
    house.all_is_well()
