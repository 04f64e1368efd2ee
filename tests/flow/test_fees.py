"""Fees from Stripe's record to the VAT boxes in the ledger, and a month beside the tax invoice."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from addon.core.money import Money
from addon.services import fees
from addon.services.fees import FeeMonth
from tests.flow.house import Bed, House
from tests.support.town import WHO

MARCH, FEBRUARY = date(2026, 3, 1), date(2026, 2, 1)


def month_of(house: House, month: date) -> FeeMonth:
    (found,) = fees.fee_months(house.town.services, house.company_id, month)
    return found


def typed(house: House, month: date, net: Money, vat: str = "0") -> FeeMonth:
    tax = Money.from_decimal(Decimal(vat), net.currency)
    fees.keep_invoice(house.town.services, house.company_id, house.connection_id, month, net, tax, "IE-1", WHO)
    return month_of(house, month)


def test_a_month_agrees_with_the_tax_invoice(bed: Bed) -> None:
    house = bed.house("", balance_currencies=("sek",))
    house.sells("2026-03-03", 1250_00)
    house.sells("2026-03-04", 500_00)
    house.opens("plus")
    house.runs()
    shown = month_of(house, MARCH)
    assert shown.invoice is None and shown.difference is None and not shown.agrees
    assert shown.taken.minor > 0 and shown.booked == shown.taken
    again = typed(house, MARCH, shown.taken)
    assert again.agrees and not again.edges
    wrong = typed(house, MARCH, shown.taken + Money(100_00, "SEK"), "25.00")
    assert wrong.difference == Money(100_00, "SEK") and wrong.tax_difference == Money(25_00, "SEK")
    assert not wrong.agrees and not wrong.explained_by_zone
    # What the ledger has: the fee account, and the clearing account without it.
    booked = sum(row.amount for voucher in house.books.ledger for row in voucher.rows if row.account == 6570)
    assert booked == shown.booked.to_decimal()


def test_fees_around_midnight_belong_to_the_providers_month_and_are_named(bed: Bed) -> None:
    """At 23:30 UTC on the last of February it is March in Stockholm."""
    house = bed.house("", balance_currencies=("sek",))
    house.sells("2026-02-28 23:30", 1250_00)
    house.sells("2026-03-05", 500_00)
    house.opens("plus", start="2026-02-01")
    house.runs()
    february, march = month_of(house, FEBRUARY), month_of(house, MARCH)
    assert [line.booking_date for line in february.edges] == [date(2026, 3, 1)]
    assert february.by_own_days == Money.zero("SEK")
    assert march.by_own_days == march.taken + february.taken
    assert typed(house, MARCH, march.by_own_days).explained_by_zone
    assert typed(house, MARCH, march.taken).agrees


def test_a_month_with_an_invoice_and_no_fees_is_shown(bed: Bed) -> None:
    house = bed.house("", balance_currencies=("sek",))
    house.sells("2026-03-03", 1250_00)
    house.opens("plus")
    house.runs()
    empty = typed(house, FEBRUARY, Money(10_00, "SEK"))
    assert empty.sums == () and empty.difference == Money(10_00, "SEK")
    assert fees.month_bounds(date(2026, 12, 1))[1].year == 2027
