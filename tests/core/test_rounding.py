"""Prices without VAT, rows that make VAT come out, and whole kronor: for every amount from 0.01 to 2000.00."""

from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from addon.core.accounts import Account, AccountRole
from addon.core.delivery import rounding_line, write_off
from addon.core.documents import CreateInvoice, CreditInvoice, Document, InvoiceLine
from addon.core.money import Money
from addon.core.plan.exact_vat import vat_of_credit, with_exact_vat
from addon.core.plan.refund import plan_refund
from addon.core.plan.situation import SaleLine
from addon.core.rounding import net_price, rows_for_vat
from tests.core.samples import money, sample_policy
from tests.core.test_refunds import DAY, credited, refund_of, sale_of

RATES = (25, 12, 6)
LARGEST = 2000_00
SALES = Account(AccountRole.SALES, "3001")


@pytest.mark.parametrize("percent", RATES)
def test_every_gross_amount_is_reached_by_a_net_price_and_at_most_an_ore(percent: int) -> None:
    """A net price and its VAT repeat, in öre, every 100 + percent: so what holds for one round holds for all of them.

    One round and the ends are done with money, the rest by plain arithmetic.
    """
    rate = Decimal(percent)
    period = 100 + percent
    rounding_of: dict[int, int] = {}
    for minor in [*range(1, 2 * period + 1), *range(LARGEST - period, LARGEST + 1)]:
        gross = Money(minor, "SEK")
        price = net_price(gross, rate)
        assert price.net + price.vat + price.rounding == gross
        assert price.vat == Money.rounded(price.net.to_decimal() * rate / 100, "SEK")
        assert abs(price.rounding.minor) <= 1
        assert rounding_of.setdefault(minor % period, price.rounding.minor) == price.rounding.minor
    for minor in range(1, LARGEST + 1):
        rounding = rounding_of[minor % period]
        reached = minor - rounding
        net = (reached * 100 + period // 2) // period
        assert net + (2 * net * percent + 100) // 200 == reached


def test_at_25_percent_one_amount_in_five_has_no_net_price() -> None:
    without = [minor for minor in range(1, 1001) if net_price(Money(minor, "SEK"), Decimal(25)).rounding]
    assert len(without) == 200
    assert {minor % 5 for minor in without} == {2}
    price = net_price(money("0.13 SEK"), Decimal(25))
    assert (price.net, price.vat, price.rounding) == (money("0.10 SEK"), money("0.03 SEK"), money("0.00 SEK"))


def test_a_credit_is_the_mirror_of_its_sale() -> None:
    for minor in range(1, 300):
        sale, credit = (net_price(Money(sign * minor, "SEK"), Decimal(25)) for sign in (1, -1))
        assert (credit.net, credit.vat, credit.rounding) == (-sale.net, -sale.vat, -sale.rounding)


# --- Whole kronor ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_with_a_rounding_row_no_invoice_is_ever_smaller_than_what_was_paid(sign: int) -> None:
    """Law 5, over all öre: rounding looks at the part after the comma alone."""
    account = Account(AccountRole.ROUNDING, "3740")
    for kronor in (0, 1, 1999):
        for ore in range(1 if not kronor else 0, 100):
            paid = Money(sign * (kronor * 100 + ore), "SEK")
            line = rounding_line(paid, account)
            total = paid + line.gross if line else paid
            assert total.minor % 100 == 0
            assert abs(total) >= abs(paid)
            rest = write_off(total, paid)
            assert paid + (rest or Money.zero("SEK")) == total
            assert rest is None or (abs(rest.minor) < 100 and rest.minor * sign > 0)


def test_a_difference_of_a_whole_krona_is_no_rounding() -> None:
    assert write_off(money("100.99 SEK"), money("100.00 SEK")) == money("0.99 SEK")
    with pytest.raises(ValueError, match="no rounding"):
        write_off(money("101.00 SEK"), money("100.00 SEK"))


# --- VAT over several refunds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("percent", RATES)
@given(gross=st.integers(100, LARGEST), off=st.integers(-2, 2), sign=st.sampled_from([1, -1]))
def test_rows_can_be_split_so_that_their_vat_is_as_wanted(percent: int, gross: int, off: int, sign: int) -> None:
    whole = Money(sign * gross, "SEK")
    wanted = Money(whole.tax_included(Decimal(percent)).minor + sign * off, "SEK")
    rows = rows_for_vat(whole, Decimal(percent), wanted)
    if rows is None:
        assert abs(off) == 2 or gross < 1000
        return
    assert Money.total(rows, "SEK") == whole
    assert Money.total((row.tax_included(Decimal(percent)) for row in rows), "SEK") == wanted
    assert all(row.minor * sign > 0 for row in rows)
    assert (len(rows) == 1) == (off == 0)


def test_what_no_rows_reach_is_said() -> None:
    assert rows_for_vat(money("0.02 SEK"), Decimal(25), money("1.00 SEK")) is None


def refund_in_parts(gross: int, percent: int, cuts: list[int], currency: str = "SEK") -> list[Document]:
    sale = sale_of([(gross, percent)], currency)
    ends = [*sorted({cut for cut in cuts if 0 < cut < gross}), gross]
    documents, before = [], 0
    for number, end in enumerate(ends, start=1):
        movement = refund_of(Money(before - end, currency), number)
        document = plan_refund(movement, sale, sample_policy(today=DAY + timedelta(days=30)))
        documents.append(document)
        sale, before = credited(sale, document), end
    return documents


def rows_of(documents: list[Document]) -> list[InvoiceLine]:
    invoices = [step.invoice for document in documents for step in document.steps if isinstance(step, CreateInvoice)]
    return [line for invoice in invoices for line in invoice.lines]


@settings(max_examples=150)
@given(
    gross=st.integers(500, LARGEST),
    percent=st.sampled_from(RATES),
    cuts=st.lists(st.integers(1, LARGEST), min_size=1, max_size=4),
)
@example(gross=2_97, percent=25, cuts=[99, 198])
@example(gross=1000_00, percent=25, cuts=[333_33, 666_66])
def test_all_refunds_of_a_sale_give_back_its_vat_to_the_ore(gross: int, percent: int, cuts: list[int]) -> None:
    documents = refund_in_parts(gross, percent, cuts)
    if any(isinstance(step, CreditInvoice) for document in documents for step in document.steps):
        return
    rows = rows_of(documents)
    assert Money.total((-row.gross for row in rows), "SEK") == Money(gross, "SEK")
    last = documents[-1].total
    if abs(last.minor) < 1000:
        return  # a last refund of some öre cannot carry a correction
    given_back = Money.total((vat_of_credit(row) for row in rows), "SEK")
    assert given_back == Money(gross, "SEK").tax_included(Decimal(percent))


def test_three_thirds_of_2_97_give_back_59_ore() -> None:
    """Row by row 20 öre each would be 60; the sale had 59 (2.97 / 5 = 0.594)."""
    documents = refund_in_parts(30_00 + 2_97, 25, [10_99, 21_98])
    rows = rows_of(documents)
    assert [vat_of_credit(row).minor for row in rows[:2]] == [2_20, 2_20]
    assert sum(vat_of_credit(row).minor for row in rows) == 6_59
    last = next(step.invoice for step in documents[-1].steps if isinstance(step, CreateInvoice))
    assert len(last.lines) > 1 and last.vat_exact
    expected = sum((Decimal(-row.gross.minor) / 500).quantize(Decimal("0.01"), ROUND_HALF_UP) for row in last.lines)
    assert -last.vat == expected


def test_what_cannot_be_moved_or_is_not_known_stays_one_row() -> None:
    def rows(sold: SaleLine, gross: str) -> int:
        return len(with_exact_vat([(sold, InvoiceLine("Lamp", money(gross), 25, SALES))])[0])

    sold = SaleLine(money("32.97 SEK"), money("21.98 SEK"), 25, SALES, "Lamp", vat_credited=money("4.40 SEK"))
    assert rows(sold, "-10.99 SEK") > 1
    assert rows(sold, "-10.98 SEK") == 1  # completes nothing
    unknown = SaleLine(money("32.97 SEK"), money("21.98 SEK"), 25, SALES, "Lamp")
    assert rows(unknown, "-10.99 SEK") == 1
    yen = SaleLine(money("3297 JPY"), money("2198 JPY"), 25, SALES, "Lamp", vat_credited=money("440 JPY"))
    assert rows(yen, "-1099 JPY") == 1
    tiny = SaleLine(money("5.00 SEK"), money("4.98 SEK"), 25, SALES, "Lamp", vat_credited=money("0.90 SEK"))
    assert rows(tiny, "-0.02 SEK") == 1
