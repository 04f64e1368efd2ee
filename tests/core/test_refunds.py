"""Refunds in any parts give back exactly what was sold, line by line, with the VAT of the original."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.core.accounts import Account, AccountRole
from addon.core.documents import (
    BookInvoice,
    CreateInvoice,
    CreatePayment,
    CreditInvoice,
    Customer,
    CustomerVat,
    DateCreditNote,
    Document,
    InvoiceLine,
)
from addon.core.money import ExchangeRate, Money
from addon.core.plan import BookedSale, SaleLine
from addon.core.plan.common import FARTHEST_FIXING_DAYS, nearest_rate, opening_rate
from addon.core.plan.exact_vat import vat_of_credit
from addon.core.plan.refund import credited_by_line, plan_refund, refund_shares
from addon.core.plan.situation import CannotBook
from addon.core.records import Movement, MovementKind
from tests.core.samples import fixing, local, money, sample_books, sample_policy

DAY = date(2026, 3, 2)
ACCOUNTS = {25: "3001", 12: "3002", 6: "3003", 0: "3105"}


def sale_of(lines: list[tuple[int, int]], currency: str = "SEK", rate: str = "1") -> BookedSale:
    """A booked sale with rows of (gross in smallest units, VAT percent)."""
    total = Money(sum(gross for gross, _ in lines), currency)
    return BookedSale(
        key="stripe/ch_1/sale",
        invoice_key="stripe/ch_1/invoice",
        number="101",
        customer=Customer("customer/anna", "Anna", CustomerVat.DOMESTIC),
        invoice_date=DAY,
        total=total,
        paid=total,
        refunded=Money.zero(currency),
        lines=tuple(
            SaleLine(
                Money(gross, currency),
                Money.zero(currency),
                percent,
                Account(AccountRole.SALES, ACCOUNTS[percent]),
                f"Row {index}",
            )
            for index, (gross, percent) in enumerate(lines)
        ),
        rate=Decimal(rate),
        order_number="1001",
        booked=True,
        credit_made=False,
    )


def refund_of(amount: Money, number: int, presented: Money | None = None) -> Movement:
    return Movement(
        f"txn_{number}",
        MovementKind.REFUND,
        amount,
        local(DAY + timedelta(days=number)),
        (),
        f"re_{number}",
        original_ref="ch_1",
        presented=presented,
    )


def credited(sale: BookedSale, document: Document) -> BookedSale:
    """The sale as the next plan sees it."""
    lines = list(sale.lines)
    for step in document.steps:
        match step:
            case CreditInvoice():
                lines = [replace(line, credited=line.gross) for line in lines]
            case CreateInvoice():
                for row in step.invoice.lines:
                    index = int(row.description.removeprefix("Row "))
                    before = lines[index].vat_credited or Money.zero(row.gross.currency)
                    given_back = lines[index].credited - row.gross
                    lines[index] = replace(lines[index], credited=given_back, vat_credited=before + vat_of_credit(row))
            case _:
                pass
    return BookedSale(
        sale.key,
        sale.invoice_key,
        sale.number,
        sale.customer,
        sale.invoice_date,
        sale.total,
        sale.paid,
        sale.refunded - document.total,
        tuple(lines),
        sale.rate,
        sale.order_number,
        booked=True,
        credit_made=True,
    )


def vat(amount: Money, percent: int) -> Decimal:
    value = amount.to_decimal() * percent / (100 + percent)
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


rows = st.lists(st.tuples(st.integers(1, 10**6), st.sampled_from(sorted(ACCOUNTS))), min_size=1, max_size=5)


@settings(max_examples=80)
@given(rows, st.data(), st.sampled_from(["SEK", "EUR"]))
def test_refunds_in_any_parts_credit_exactly_the_sale(
    lines: list[tuple[int, int]], data: st.DataObject, currency: str
) -> None:
    sale = sale_of(lines, currency, "11.30" if currency == "EUR" else "1")
    left = sale.paid.minor
    totals, vats, notes = Money.zero(currency), dict.fromkeys(ACCOUNTS, Decimal(0)), 0
    gross_by_rate = {percent: Money.zero(currency) for percent in ACCOUNTS}
    number = 0
    while left:
        number += 1
        part = data.draw(st.integers(1, left)) if number < 6 else left
        left -= part
        document = plan_refund(refund_of(Money(-part, currency), number), sale, sample_policy())
        assert isinstance(document, Document)
        payment = next(step for step in document.steps if isinstance(step, CreatePayment))
        assert payment.settlement.amount == Money(-part, currency)
        assert payment.settlement.write_off is None
        for step in document.steps:
            match step:
                case CreditInvoice():
                    assert number == 1
                    assert not left
                    totals += step.total
                    notes += 1
                    for line in sale.lines:
                        gross_by_rate[line.vat_percent] -= line.gross
                        vats[line.vat_percent] -= vat(line.gross, line.vat_percent)
                case CreateInvoice():
                    invoice = step.invoice
                    assert invoice.corrects_key == sale.invoice_key
                    assert invoice.total == Money(-part, currency)
                    assert all(row.gross.minor < 0 for row in invoice.lines)
                    if currency != "SEK":
                        assert invoice.rate is not None
                        assert invoice.rate.per_one() == sale.rate
                    assert invoice.vat == sum(vat(row.gross, row.vat_percent) for row in invoice.lines)
                    totals += invoice.total
                    notes += 1
                    for row in invoice.lines:
                        gross_by_rate[row.vat_percent] += row.gross
                        vats[row.vat_percent] += vat(row.gross, row.vat_percent)
                case _:
                    pass
        sale = credited(sale, document)
        assert all(Money.zero(currency) <= line.credited <= line.gross for line in sale.lines)
    assert totals == -sale.paid
    for percent in ACCOUNTS:
        sold = [line for line in sale.lines if line.vat_percent == percent]
        assert gross_by_rate[percent] == -Money.total((line.gross for line in sold), currency)
        # The ledger works out VAT from each row's gross and rounds it, so each row may be half a cent off.
        original = sum((vat(line.gross, percent) for line in sold), Decimal(0))
        assert abs(vats[percent] + original) <= Decimal("0.005") * (notes + 1) * max(1, len(sold))
    with pytest.raises(CannotBook) as fault:
        plan_refund(refund_of(Money(-1, currency), number + 1), sale, sample_policy())
    assert fault.value.reason.value == "refund_exceeds"


@given(rows, st.data())
def test_shares_take_what_is_left_of_each_line(lines: list[tuple[int, int]], data: st.DataObject) -> None:
    sale = sale_of(lines)
    left = [data.draw(st.integers(0, gross)) for gross, _ in lines]
    if not any(left):
        return
    taken = [
        replace(line, credited=line.gross - Money(rest, "SEK")) for line, rest in zip(sale.lines, left, strict=True)
    ]
    refund = Money(data.draw(st.integers(1, sum(left))), "SEK")
    shares = refund_shares(taken, refund)
    assert Money.total(shares, "SEK") == refund
    assert all(0 <= share.minor <= rest for share, rest in zip(shares, left, strict=True))
    assert [share.minor for share in refund_shares(taken, Money(sum(left), "SEK"))] == left


def test_a_refund_of_all_that_was_paid_uses_the_credit_action_once() -> None:
    sale = sale_of([(10000, 25)])
    document = plan_refund(refund_of(money("-100.00 SEK"), 1), sale, sample_policy())
    assert isinstance(document, Document)
    assert [step.kind for step in document.steps] == [
        "credit_invoice",
        "date_credit_note",
        "book_invoice",
        "create_payment",
        "book_payment",
    ]


def test_a_refund_dated_before_its_invoice_is_booked_on_the_invoices_day() -> None:
    sale = sale_of([(10000, 25)])
    movement = refund_of(money("-50.00 SEK"), -10)
    document = plan_refund(movement, sale, sample_policy())
    assert isinstance(document, Document)
    assert document.booking_date == DAY


def test_an_account_that_was_closed_since_holds_the_refund() -> None:
    policy = sample_policy(books=sample_books(inactive=["3001"]))
    with pytest.raises(CannotBook) as fault:
        plan_refund(refund_of(money("-50.00 SEK"), 1), sale_of([(10000, 25)]), policy)
    assert fault.value.reason.value == "account_not_ready"


@pytest.mark.parametrize(
    ("amount", "presented", "reason"),
    [
        ("-50.00 SEK", "-5.00 EUR", "amount_differs"),
        ("50.00 SEK", None, "wrong_sign"),
        ("-100.01 SEK", None, "refund_exceeds"),
    ],
)
def test_refunds_that_do_not_fit_the_sale(amount: str, presented: str | None, reason: str) -> None:
    movement = refund_of(money(amount), 1, money(presented) if presented else None)
    with pytest.raises(CannotBook) as fault:
        plan_refund(movement, sale_of([(10000, 25)]), sample_policy())
    assert fault.value.reason.value == reason


def test_an_invoice_that_came_to_something_else_than_was_paid_is_not_credited_whole() -> None:
    sale = sale_of([(10000, 25)])
    odd = BookedSale(
        sale.key,
        sale.invoice_key,
        sale.number,
        sale.customer,
        sale.invoice_date,
        money("120.00 SEK"),
        sale.paid,
        sale.refunded,
        sale.lines,
        sale.rate,
        sale.order_number,
        booked=True,
        credit_made=False,
    )
    with pytest.raises(CannotBook) as fault:
        plan_refund(refund_of(money("-100.00 SEK"), 1), odd, sample_policy())
    assert fault.value.reason.value == "amount_differs"


# --- what mutants have shown to be unsaid --------------------------------------------------------------------------


def test_a_whole_refund_dates_and_books_the_very_credit_note_that_it_made() -> None:
    document = plan_refund(refund_of(money("-125.00 SEK"), 4), sale_of([(125_00, 25)]), sample_policy())
    assert isinstance(document, Document)
    key, total, day = "stripe/re_4/credit", money("-125.00 SEK"), DAY + timedelta(days=4)
    made, dated, booked = document.steps[:3]
    assert isinstance(made, CreditInvoice)
    assert made == CreditInvoice(key, "stripe/ch_1/invoice", total, day, made.text)
    assert dated == DateCreditNote(f"{key}/date", key, key, day, made.text)
    assert booked == BookInvoice(f"{key}/book", key, credit_total=total)


def test_part_of_a_foreign_sale_goes_back_at_its_rate_and_as_its_article() -> None:
    sale = sale_of([(100_00, 25)], "EUR", "11.30")
    sale = replace(sale, lines=tuple(replace(line, article="LAMP-1") for line in sale.lines))
    presented = money("-40.00 EUR")
    document = plan_refund(refund_of(money("-460.00 SEK"), 4, presented), sale, sample_policy())
    assert isinstance(document, Document)
    note = next(step.invoice for step in document.steps if isinstance(step, CreateInvoice))
    assert note.rate == ExchangeRate("EUR", "SEK", Decimal("11.30"), 1, DAY, "invoice 101")
    assert [line.article for line in note.lines] == ["LAMP-1"]


def test_credits_of_equal_rows_find_a_row_that_has_as_much_left() -> None:
    def row(gross: str) -> InvoiceLine:
        return InvoiceLine("Bulb", money(gross), 25, Account(AccountRole.SALES, "3001"))

    sold = (row("100.00 SEK"), row("30.00 SEK"))

    def gone(*credits: str) -> list[str]:
        return [str(one) for one in credited_by_line(sold, map(row, credits))[0]]

    assert gone("-100.00 SEK") == ["100.00 SEK", "0.00 SEK"], "all of the first row fits it"
    assert gone("-20.00 SEK") == ["20.00 SEK", "0.00 SEK"], "one row takes it, not both"
    assert gone("-90.00 SEK", "-20.00 SEK") == ["90.00 SEK", "20.00 SEK"]
    assert gone("-80.00 SEK", "-40.00 SEK") == ["100.00 SEK", "20.00 SEK"], "what fits nowhere fills up what is left"
    assert gone("-120.00 SEK") == ["100.00 SEK", "20.00 SEK"]
    sold = sold[::-1]
    assert gone("-30.00 SEK") == ["30.00 SEK", "0.00 SEK"], "a row of just that much fits"


def test_the_nearest_rate_is_of_its_currency_at_most_a_month_off_and_the_earlier_of_two() -> None:
    before, after = fixing("EUR", DAY - timedelta(days=3), "11.10"), fixing("EUR", DAY + timedelta(days=3), "11.30")
    other = fixing("USD", DAY, "10.00")
    crossed = ExchangeRate("EUR", "DKK", Decimal("7.46"), 1, DAY, "ecb")
    policy = sample_policy(rates=(other, after, before, crossed))
    assert nearest_rate(policy, "EUR", DAY) == before
    assert nearest_rate(policy, "EUR", DAY + timedelta(days=1)) == after
    assert nearest_rate(policy, "NOK", DAY) is None
    last = before.fixed_on - timedelta(days=FARTHEST_FIXING_DAYS)
    assert nearest_rate(policy, "EUR", last) == before
    assert nearest_rate(policy, "EUR", last - timedelta(days=1)) is None
    assert opening_rate(policy, "EUR", last - timedelta(days=400)) == before
