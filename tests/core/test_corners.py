"""Corners of the core that no story walks through: small laws, each said once."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from addon.core.accounts import Account, AccountRole
from addon.core.books import Check
from addon.core.dates import kept_until
from addon.core.documents import (
    BookInvoice,
    CreateInvoice,
    CreatePayment,
    CreditInvoice,
    Customer,
    CustomerVat,
    Document,
    DocumentKind,
    Invoice,
    InvoiceLine,
    Settlement,
    Step,
)
from addon.core.entries import Entries, entries_of
from addon.core.grants import Grant
from addon.core.money import CurrencyMismatch, ExchangeRate, Money
from addon.core.plan.common import account, require_ready
from addon.core.plan.dispute import charged_in_full, standing_of
from addon.core.plan.routed import Course, Way, course_of
from addon.core.plan.situation import CannotBook, Carrying, DisputeFact
from addon.core.records import Movement, MovementKind
from addon.core.routing import USUAL, Action, Routing, Rule
from addon.core.rules import Mode
from addon.core.text import check_reason, check_remedy
from tests.core.samples import local, money, sample_policy

DAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("country", "ended", "until"),
    [
        ("SE", date(2025, 12, 31), date(2032, 12, 31)),
        ("SE", date(2025, 6, 30), date(2032, 12, 31)),
        ("NO", date(2025, 12, 31), date(2032, 12, 31)),
        ("DK", date(2025, 12, 31), date(2030, 12, 31)),
        ("DK", date(2024, 2, 29), date(2029, 2, 28)),
        ("DK", date(2023, 2, 28), date(2028, 2, 29)),
    ],
)
def test_records_are_kept_as_long_as_the_law_says(country: str, ended: date, until: date) -> None:
    assert kept_until(ended, country) == until


def test_a_grant_does_not_show_its_tokens() -> None:
    grant = Grant("secret", "also secret", datetime(2026, 3, 2, tzinfo=UTC), "read", "acct_1")
    assert "secret" not in repr(grant)
    assert "acct_1" in repr(grant)


def test_money_is_compared_and_added_with_money_only() -> None:
    one = money("1.00 SEK")
    for other in (1, Decimal(1), "1.00 SEK", None):
        with pytest.raises(TypeError):
            one + other  # type: ignore[operator]
        with pytest.raises(TypeError):
            one - other  # type: ignore[operator]
        for compare in (one.__lt__, one.__le__, one.__gt__, one.__ge__):
            assert compare(other) is NotImplemented  # type: ignore[arg-type]
        assert one != other
    for compare in (one.__lt__, one.__le__, one.__gt__, one.__ge__, one.__add__, one.__sub__):
        with pytest.raises(CurrencyMismatch):
            compare(money("1.00 EUR"))


def test_an_unknown_prerequisite_still_has_words() -> None:
    green, red = Check("some_new_check", True, subject="1930"), Check("some_new_check", False, subject="1930")
    assert check_reason(green, None) == "some new check: 1930"
    assert check_reason(red, None) == "some new check: 1930 is not as it must be"
    assert check_remedy(green, None) == ""
    assert check_remedy(red, None) == ""


def test_an_account_is_ready_in_a_year_only() -> None:
    policy = sample_policy()
    with pytest.raises(CannotBook) as unmapped:
        account(policy, AccountRole.SALES, DAY, "OSS-XX99")
    assert dict(unmapped.value.facts)["why"] == "not_mapped"
    with pytest.raises(CannotBook) as no_year:
        require_ready((Account(AccountRole.FEE, "6570"),), date(1999, 1, 1), policy)
    assert no_year.value.reason.value == "no_financial_year"


# --- what a rule would change -----------------------------------------------------------------------------------

SALE = Movement("txn_1", MovementKind.SALE, money("100.00 SEK"), local(DAY), (), "ch_1")


def routed(**rule: object) -> Routing:
    return Routing(Rule("r1", "A rule", **rule))  # type: ignore[arg-type]


def test_each_course_is_told_before_a_rule_is_saved() -> None:
    policy = sample_policy()
    usual = course_of(SALE, USUAL, policy)
    assert usual == Course(Way.INVOICE, "3001", "SE25")
    assert course_of(SALE, USUAL, None).way is Way.USUAL
    assert course_of(SALE, USUAL, replace(policy, mode=Mode.SETTLEMENT)).way is Way.USUAL
    assert course_of(SALE, USUAL, replace(policy, mode=Mode.BASIC)).way is Way.MATCH
    assert course_of(replace(SALE, kind=MovementKind.FEE), USUAL, policy).way is Way.USUAL
    assert course_of(SALE, routed(action=Action.IGNORE, where="the till"), policy) == Course(
        Way.ASIDE, where="the till"
    )
    assert course_of(SALE, routed(action=Action.HOLD), policy) == Course(Way.HELD)
    gift = routed(action=Action.BOOK, contra_account="2421", cost_centre="CC")
    assert course_of(SALE, gift, policy) == Course(Way.VOUCHER, "2421", "", "CC")
    stall = routed(action=Action.BOOK, account="3011", project="P")
    assert course_of(SALE, stall, policy) == Course(Way.INVOICE, "3011", "SE25", "", "P")


def test_what_stands_for_a_dispute_is_read_from_its_documents_alone() -> None:
    about = (
        ("dispute_minor", "100"),
        ("dispute_currency", "SEK"),
        ("dispute_books_minor", "100"),
        ("dispute_account", "1516"),
    )
    charged, account_of = standing_of(((("dispute", "dp_1"),), about), "SEK")
    assert charged == (Carrying(money("1.00 SEK"), money("1.00 SEK")),)
    assert account_of == Account(AccountRole.DISPUTES, "1516")
    assert standing_of(((("dispute", "dp_1"),),), "SEK") == ((), None)
    lost = Movement("txn_2", MovementKind.DISPUTE_LOST, money("0.00 SEK"), local(DAY), (), "dp_1", "ch_1")
    assert charged_in_full(lost, DisputeFact(None, charged, account_of)) == (charged[0], account_of)
    both = (*charged, Carrying(money("1.00 EUR"), money("11.00 SEK")))
    for fact in (DisputeFact(None, both, account_of), DisputeFact(None, charged), DisputeFact(None)):
        with pytest.raises(CannotBook) as unknown:
            charged_in_full(lost, fact)
        assert unknown.value.reason.value == "dispute_unknown"


# --- the rows of a document, before it is made ---------------------------------------------------------------------

BUYER = Customer("customer/1", "Anna", CustomerVat.EU_CONSUMER)
NUMBERS = {"customer_claims": "1510", "sales:SE25": "3001", "clearing:SEK": "1686", "rounding": "3740"}


def invoice(gross: str, key: str = "invoice/1", **more: object) -> Invoice:
    total = money(gross)
    line = InvoiceLine("Thing", total, 25, Account(AccountRole.SALES, "3001"))
    vat = total.tax_included(Decimal(25))
    return Invoice(key, BUYER, DAY, (line,), total, vat.to_decimal(), **more)  # type: ignore[arg-type]


def document(*steps: Step) -> Document:
    return Document("stripe/ch_1/sale", DocumentKind.SALE, DAY, money("125.00 SEK"), (), (), steps, "because")


def paid(amount: str, **more: object) -> CreatePayment:
    clearing = Account(AccountRole.CLEARING, "1686")
    settlement = Settlement("payment/1", money(amount), more.pop("books", None), DAY, clearing, **more)  # type: ignore[arg-type]
    return CreatePayment("payment/1", settlement, invoice_key="invoice/1")


def rows(entries: Entries) -> list[str]:
    assert not Money.total((row.amount for row in entries.rows), "SEK"), "balanced"
    return [f"{row.account} {row.role} {row.amount}" for row in entries.rows]


def test_a_sale_in_kronor_is_shown_to_the_ore() -> None:
    made = invoice("125.00 SEK")
    entries = entries_of(document(CreateInvoice("invoice/1", made, "customer/1"), paid("125.00 SEK")), NUMBERS, "SEK")
    assert entries.exact
    assert rows(entries) == [
        "1510 customer_claims 125.00 SEK",
        "3001 sales:SE25 -100.00 SEK",
        " output_vat -25.00 SEK",
        "1686 clearing:SEK 125.00 SEK",
        "1510 customer_claims -125.00 SEK",
    ]


def test_a_foreign_sale_takes_the_best_rate_there_is() -> None:
    fixed = ExchangeRate("EUR", "SEK", Decimal("11.30"), 1, DAY, "riksbank")
    books = {"books": money("113.00 SEK")}
    for more, exact in (({"rate": fixed}, True), ({"expected_rate": Decimal("11.30")}, False), ({}, False)):
        made = invoice("10.00 EUR", **more)
        plan = document(CreateInvoice("invoice/1", made, "customer/1"), paid("10.00 EUR", **books))
        entries = entries_of(plan, NUMBERS, "SEK")
        assert entries.exact is exact
        assert rows(entries)[0] == "1510 customer_claims 113.00 SEK"
    unpaid = entries_of(document(CreateInvoice("invoice/1", invoice("10.00 EUR"), "customer/1")), NUMBERS, "SEK")
    assert rows(unpaid) == [], "nothing is known of its worth before the accounting system has answered"


def test_what_a_payment_writes_off_and_what_the_exchange_took_have_rows_of_their_own() -> None:
    fixed = ExchangeRate("EUR", "SEK", Decimal("11.30"), 1, DAY, "riksbank")
    off = {"write_off": money("0.50 SEK"), "write_off_account": Account(AccountRole.ROUNDING, "3740")}
    made = CreateInvoice("invoice/1", invoice("125.50 SEK"), "customer/1")
    assert "3740 rounding 0.50 SEK" in rows(entries_of(document(made, paid("125.00 SEK", **off)), NUMBERS, "SEK"))
    for worth, row in (("112.00 SEK", " exchange_loss 1.00 SEK"), ("114.00 SEK", " exchange_gain -1.00 SEK")):
        made = CreateInvoice("invoice/1", invoice("10.00 EUR", rate=fixed), "customer/1")
        plan = document(made, paid("10.00 EUR", books=money(worth)))
        assert row in rows(entries_of(plan, NUMBERS, "SEK"))
    matched = paid("125.00 SEK", **off)
    alone = entries_of(document(replace(matched, invoice_key="", invoice_number="51")), NUMBERS, "SEK")
    assert rows(alone) == ["1686 clearing:SEK 125.00 SEK", "3740 rounding 0.50 SEK", "1510 customer_claims -125.50 SEK"]


def test_a_credit_note_takes_back_its_original_and_nothing_where_that_is_unknown() -> None:
    original = invoice("125.00 SEK")
    credit = CreditInvoice("credit/1", original.key, -original.total, DAY, "")
    plan = document(credit, BookInvoice("credit/1/book", "credit/1"))
    assert rows(entries_of(plan, NUMBERS, "SEK")) == []
    assert rows(entries_of(plan, NUMBERS, "SEK", {original.key: original})) == [
        "1510 customer_claims -125.00 SEK",
        "3001 sales:SE25 100.00 SEK",
        " output_vat 25.00 SEK",
    ]


def test_single_rows_at_a_foreign_rate_come_to_their_total() -> None:
    """Three rows of 0.10 EUR at 11.30 round to 3.39 SEK together, and alone to something else."""
    rate = ExchangeRate("EUR", "SEK", Decimal("11.317"), 1, DAY, "riksbank")
    lines = tuple(InvoiceLine("Thing", money("0.11 EUR"), 25, Account(AccountRole.SALES, "3001")) for _ in range(3))
    made = replace(invoice("0.33 EUR", rate=rate), lines=lines)
    entries = entries_of(document(CreateInvoice("invoice/1", made, "customer/1")), NUMBERS, "SEK")
    assert rows(entries)[0] == "1510 customer_claims 3.73 SEK"
