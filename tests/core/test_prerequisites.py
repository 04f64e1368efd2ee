"""The prerequisites: each condition green and red, what stops, what can be mended, and defaults from the chart."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.connectors.fortnox.checklist import CHECKLIST
from addon.core.books import Books, BooksCurrency, ChartAccount, Check, Code, Identity, Register, Remedy, Series
from addon.core.dates import FinancialYear
from addon.core.holds import HoldReason
from addon.core.money import ExchangeRate
from addon.core.prerequisites import (
    STOPPING,
    Needs,
    account_name,
    check_books,
    propose_company_accounts,
    propose_connection_accounts,
    propose_series,
)
from addon.core.saleform import SaleForm
from addon.core.text import HOLD_TEXTS, check_reason, check_remedy, hold_text

ENTRIES = {entry.code: entry for entry in CHECKLIST}
YEAR = FinancialYear("2", date(2026, 1, 1), date(2026, 12, 31), accrual=True)
LAST_YEAR = FinancialYear("1", date(2025, 1, 1), date(2025, 12, 31), accrual=True)
TODAY = date(2026, 11, 20)
NUMBERS = (
    "1510",
    "1686",
    "1930",
    "2614",
    "2645",
    "3001",
    "3105",
    "3111",
    "3740",
    "3960",
    "4535",
    "4598",
    "6570",
    "7960",
)


def chart(*numbers: str, year: str = "2") -> tuple[ChartAccount, ...]:
    codes = {"3111": "DE19"}
    return tuple(
        ChartAccount(number, f"Konto {number}", True, year, vat_code=codes.get(number, "")) for number in numbers
    )


BOOKS = Books(
    identity=Identity("1", "Fjällbutiken AB", "556677-8899"),
    years=(LAST_YEAR, YEAR),
    accounts=(*chart(*NUMBERS), *chart(*NUMBERS, year="1")),
    series=tuple(Series(code, code, True, year) for code in ("A", "V") for year in ("1", "2")),
    invoice_series="B",
    payment_series="C",
    predefined=(
        ("customer_claims", "1510"),
        ("rounding", "3740"),
        ("exchange_gain", "3960"),
        ("exchange_loss", "7960"),
    ),
    payment_modes=(("STRIPE", "1686"),),
    currencies=(BooksCurrency("EUR", ExchangeRate("EUR", "SEK", Decimal("11.3"), 1, TODAY, "fortnox"), True),),
    locked_through=date(2026, 10, 31),
)
NEEDS = Needs(
    first_day=date(2026, 11, 1),
    today=TODAY,
    accounts={"sales:SE25": "3001", "sales:OSS-DE19": "3111", "fee": "6570", "bank:SEK": "1930"},
    clearing={"stripe SEK": "1686"},
    currencies=("EUR",),
    voucher_series="V",
    names={"1687": "Fordran Stripe EUR"},
)


def red(books: Books, needs: Needs = NEEDS) -> list[Check]:
    return [check for check in check_books(books, needs, CHECKLIST) if not check.ok]


def test_books_that_are_ready_are_green_all_over() -> None:
    assert red(BOOKS) == []
    needs = replace(NEEDS, codes=((Register.PAYMENT_TERMS, "30"),), scopes=("article",))
    assert {check.code for check in check_books(BOOKS, needs, CHECKLIST)} == {entry.code for entry in CHECKLIST}


def without_account(books: Books, number: str) -> Books:
    return replace(books, accounts=tuple(one for one in books.accounts if one.number != number))


def with_account(books: Books, number: str, **changes: object) -> Books:
    return replace(
        books,
        accounts=tuple(
            replace(one, **changes) if one.number == number else one  # type: ignore[arg-type]
            for one in books.accounts
        ),
    )


BREAKS: list[tuple[str, Callable[[Books], Books], str, Remedy | None]] = [
    ("cash method", lambda b: replace(b, years=(replace(YEAR, accrual=False),)), "accrual_method", None),
    ("no invoice series", lambda b: replace(b, invoice_series=""), "invoice_series", None),
    ("no payment series", lambda b: replace(b, payment_series=""), "payment_series", None),
    ("no series of ours", lambda b: replace(b, series=b.series[:2]), "voucher_series", Remedy.CREATE_SERIES),
    (
        "series not manual",
        lambda b: replace(b, series=tuple(replace(s, manual=False) for s in b.series)),
        "voucher_series",
        None,
    ),
    (
        "series needs approval",
        lambda b: replace(b, series=tuple(replace(s, needs_approval=True) for s in b.series)),
        "voucher_series",
        None,
    ),
    ("clearing missing", lambda b: without_account(b, "1686"), "clearing_account", Remedy.CREATE_ACCOUNT),
    (
        "clearing inactive",
        lambda b: with_account(b, "1686", active=False),
        "clearing_account",
        Remedy.ACTIVATE_ACCOUNT,
    ),
    ("clearing wants cost centre", lambda b: with_account(b, "1686", needs_cost_centre=True), "clearing_account", None),
    ("sales account inactive", lambda b: with_account(b, "3001", active=False), "account", Remedy.ACTIVATE_ACCOUNT),
    ("fee wants project", lambda b: with_account(b, "6570", needs_project=True), "account", None),
    ("claims inactive", lambda b: with_account(b, "1510", active=False), "predefined_account", Remedy.ACTIVATE_ACCOUNT),
    ("loss account unset", lambda b: replace(b, predefined=b.predefined[:3]), "predefined_account", None),
    ("currency missing", lambda b: replace(b, currencies=()), "currency", Remedy.ADD_CURRENCY),
    (
        "currency by hand",
        lambda b: replace(b, currencies=(replace(b.currencies[0], automatic=False),)),
        "currency",
        None,
    ),
    ("no payment mode", lambda b: replace(b, payment_modes=()), "payment_mode", Remedy.ADD_PAYMENT_MODE),
    ("locked", lambda b: replace(b, locked_through=date(2026, 11, 1)), "locked_period", None),
    ("warehouse", lambda b: replace(b, flags=("warehouse",)), "warehouse", None),
    ("no VAT code", lambda b: with_account(b, "3111", vat_code=""), "oss_vat_code", None),
    ("Swedish VAT code", lambda b: with_account(b, "3111", vat_code="MP1"), "oss_vat_code", None),
    ("licence", lambda b: replace(b, missing_licences=("invoicing",)), "licence", None),
    ("scope", lambda b: replace(b, missing_scopes=("payment",)), "scope", None),
    ("no year", lambda b: replace(b, years=(LAST_YEAR,)), "financial_year", None),
]


@pytest.mark.parametrize(("name", "change", "code", "remedy"), BREAKS, ids=[entry[0] for entry in BREAKS])
def test_each_condition_turns_its_own_line_red(
    name: str, change: Callable[[Books], Books], code: str, remedy: Remedy | None
) -> None:
    found = red(change(BOOKS))
    assert {check.code for check in found} == {code}
    for check in found:
        assert check.stops is (code in STOPPING)
        assert (check.repair.remedy if check.repair else None) is remedy
        entry = ENTRIES[check.code]
        assert check_reason(check, entry)
        assert check_remedy(check, entry), "whoever sees it must be told what to do"


def test_every_code_has_a_break() -> None:
    others = {"easy_vat", "code", "article_register"}
    assert {code for _, _, code, _ in BREAKS} | others == {entry.code for entry in CHECKLIST}


def test_what_settings_and_rules_name_must_be_there_and_open() -> None:
    needs = replace(
        NEEDS,
        codes=((Register.COST_CENTRES, "A"), (Register.COST_CENTRES, "B"), (Register.PROJECTS, "P")),
        scopes=("article", "order"),
    )
    books = replace(
        BOOKS,
        codes=(Code(Register.COST_CENTRES, "A"), Code(Register.COST_CENTRES, "B", open=False)),
        registers=(Register.COST_CENTRES, Register.PROJECTS),
        unreadable=("order",),
    )
    found = {(check.code, check.subject, dict(check.details).get("fault")) for check in red(books, needs)}
    assert found == {
        ("code", "cost_centres:B", "inactive"),
        ("code", "projects:P", "missing"),
        ("article_register", "order", None),
        ("scope", "order", None),
    }


def test_an_account_that_demands_a_cost_centre_is_ready_where_its_rows_get_one() -> None:
    accounts = tuple(replace(one, needs_cost_centre=one.number == "6570") for one in BOOKS.accounts)
    books = replace(BOOKS, accounts=accounts)
    assert {check.code for check in red(books)} == {"account"}
    assert red(books, replace(NEEDS, form=SaleForm(cost_centre="SHOP"))) == []


def test_years_touched_are_all_years_since_the_start() -> None:
    books = replace(
        BOOKS,
        years=(replace(LAST_YEAR, accrual=False), YEAR),
        accounts=tuple(one for one in BOOKS.accounts if (one.number, one.year_ref) != ("3001", "1")),
    )
    assert red(books) == []
    found = red(books, replace(NEEDS, first_day=date(2025, 12, 1)))
    # The period is locked through October, so a start last year also starts in a locked period.
    assert {(check.code, check.year_ref) for check in found} == {
        ("accrual_method", "1"),
        ("account", "1"),
        ("locked_period", ""),
    }


def test_what_may_not_be_read_is_said_and_does_not_stop() -> None:
    books = replace(BOOKS, invoice_series="", payment_series="", unreadable=("settings",))
    found = red(books)
    assert [(check.code, check.subject, check.stops) for check in found] == [("scope", "settings", False)]


def test_an_unmapped_role_is_red() -> None:
    found = red(BOOKS, replace(NEEDS, accounts={"sales:EXPORT": ""}))
    assert [(check.code, check.subject) for check in found] == [("account", "sales:EXPORT")]


def test_basic_needs_no_invoice_series_and_no_currencies() -> None:
    needs = replace(NEEDS, invoices=False, currencies=())
    books = replace(BOOKS, invoice_series="", currencies=(), predefined=BOOKS.predefined[:2])
    assert red(books, needs) == []


def test_settlement_needs_neither_the_accrual_method_nor_what_payments_of_invoices_need() -> None:
    years = tuple(replace(year, accrual=False) for year in BOOKS.years)
    books = replace(BOOKS, years=years, invoice_series="", payment_series="", payment_modes=())
    assert red(books, replace(NEEDS, invoices=False, payments=False)) == []
    missing = {check.code for check in red(books, replace(NEEDS, invoices=False))}
    assert missing == {"accrual_method", "payment_series", "payment_mode"}


def test_a_year_that_is_missing_in_between_is_red_and_the_next_is_still_looked_at() -> None:
    books = replace(BOOKS, years=(YEAR,), accounts=chart(*NUMBERS), locked_through=None)
    found = {
        (check.code, check.subject): check.ok
        for check in check_books(books, replace(NEEDS, first_day=date(2025, 11, 1)), CHECKLIST)
        if check.code == "financial_year"
    }
    assert found == {("financial_year", "2025-11-01"): False, ("financial_year", "2"): True}


@pytest.mark.parametrize(
    ("scope", "broken", "code"),
    [
        ("bookkeeping", {"years": ()}, "financial_year"),
        ("currency", {"currencies": ()}, "currency"),
        ("settings", {"payment_modes": (), "predefined": ()}, "payment_mode"),
    ],
)
def test_what_is_closed_to_us_is_said_once_and_nothing_that_hangs_on_it(
    scope: str, broken: dict[str, object], code: str
) -> None:
    books = replace(BOOKS, **broken)  # type: ignore[arg-type]
    assert code in {check.code for check in red(books)}
    closed = {check.code for check in check_books(replace(books, unreadable=(scope,)), NEEDS, CHECKLIST)}
    assert code not in closed
    lacking = [check.code for check in red(replace(books, missing_scopes=(scope,), unreadable=(scope,)))]
    assert lacking.count("scope") == 1


def test_a_clearing_account_needs_a_number_and_is_looked_at_once() -> None:
    found = red(BOOKS, replace(NEEDS, clearing={"stripe SEK": ""}))
    assert [(check.code, check.subject) for check in found] == [("clearing_account", "stripe SEK")]
    twice = replace(NEEDS, accounts={"transit": "1686"})
    checks = [check for check in check_books(without_account(BOOKS, "1686"), twice, CHECKLIST) if not check.ok]
    assert {check.code for check in checks} == {"clearing_account"}


def test_an_oss_account_that_is_not_there_is_missing_and_nothing_else() -> None:
    needs = replace(NEEDS, accounts={"sales:OSS-DK25": "3112"})
    assert {check.code for check in red(BOOKS, needs)} == {"account"}


# --- defaults ------------------------------------------------------------------------------------------------


def test_the_chart_decides_the_clearing_account() -> None:
    none: frozenset[str] = frozenset()
    old = replace(BOOKS, accounts=chart("1580", "1930"))
    new = replace(BOOKS, accounts=chart("1686", "1930"))
    own = replace(BOOKS, accounts=(*chart("1686", "1930"), ChartAccount("1585", "Stripe", True, "2")))
    assert propose_connection_accounts(old, TODAY, "Stripe", ("SEK",), none).numbers["clearing:SEK"] == "1580"
    assert propose_connection_accounts(new, TODAY, "Stripe", ("SEK",), none).numbers["clearing:SEK"] == "1686"
    assert propose_connection_accounts(own, TODAY, "Stripe", ("SEK",), none).numbers["clearing:SEK"] == "1585"


def test_each_balance_currency_gets_accounts_of_its_own() -> None:
    proposal = propose_connection_accounts(BOOKS, TODAY, "Stripe", ("EUR", "SEK", "USD"), frozenset())
    clearing = [proposal.numbers[f"clearing:{currency}"] for currency in ("SEK", "EUR", "USD")]
    banks = [proposal.numbers[f"bank:{currency}"] for currency in ("SEK", "EUR", "USD")]
    assert clearing[0] == "1686"
    assert len({*clearing, *banks}) == 6
    assert banks[0] == "1930"
    assert all(bank.startswith("198") for bank in banks[1:])
    assert proposal.names[clearing[1]] == "Fordran Stripe EUR"


@given(
    st.sets(st.sampled_from(["SEK", "EUR", "USD", "NOK", "GBP", "JPY", "KWD"]), min_size=1),
    st.sets(st.integers(1580, 1699).map(str)),
    st.sets(st.integers(1580, 1699).map(str)),
)
def test_a_proposal_never_takes_what_is_taken(currencies: set[str], taken: set[str], there: set[str]) -> None:
    books = replace(BOOKS, accounts=chart(*sorted(there), "1930"))
    if len(taken | there) > 60:
        return
    proposal = propose_connection_accounts(books, TODAY, "Stripe", tuple(currencies), frozenset(taken))
    clearing = [number for key, number in proposal.numbers.items() if key.startswith("clearing:")]
    assert not set(clearing) & taken
    assert len(set(clearing)) == len(clearing)


def test_company_accounts_come_from_the_books_own_choices() -> None:
    books = replace(
        BOOKS,
        accounts=chart("3010", "6040"),
        predefined=(("rounding", "3741"), ("exchange_gain", "3961"), ("exchange_loss", "7961")),
    )
    numbers = propose_company_accounts(books, TODAY).numbers
    assert numbers["sales:SE25"] == "3010"
    assert numbers["fee"] == "6040"
    assert (numbers["rounding"], numbers["exchange_gain"], numbers["exchange_loss"]) == ("3741", "3961", "7961")


def test_without_a_chart_the_standard_numbers_are_proposed() -> None:
    none = propose_company_accounts(replace(BOOKS, years=(), accounts=()), TODAY).numbers
    assert (none["sales:SE25"], none["fee"], none["rounding"]) == ("3001", "6570", "3740")
    last = replace(BOOKS, years=(LAST_YEAR,), accounts=chart("3010", "1930", year="1"))
    assert propose_company_accounts(last, TODAY).numbers["sales:SE25"] == "3010", "the latest chart there is"
    assert account_name("6570", "Konto") != "Konto"
    assert account_name("0000", "Konto") == "Konto"


def test_money_on_its_way_has_the_account_that_is_named_so_or_a_free_number() -> None:
    def transit(*accounts: ChartAccount) -> str:
        return propose_company_accounts(replace(BOOKS, accounts=accounts), TODAY).numbers["transit"]

    assert transit(ChartAccount("1630", "Medel under överföring", True, "2")) == "1630"
    assert transit(ChartAccount("1931", "Medel under överföring", False, "2")) == "1945"
    assert transit(ChartAccount("1931", "Sparkonto", True, "2")) == "1945"
    assert transit() == "1931"
    assert transit(*(ChartAccount(number, "Bank", True, "2") for number in ("1931", "1945", "1946"))) == ""


def test_the_bank_account_is_one_that_is_in_use() -> None:
    closed = (ChartAccount("1930", "Företagskonto", False, "2"), ChartAccount("1910", "Kassa", True, "2"))
    other = ChartAccount("1940", "Bank", True, "2")

    def bank(*accounts: ChartAccount, currency: str = "SEK") -> str:
        books = replace(BOOKS, accounts=accounts)
        return propose_connection_accounts(books, TODAY, "Stripe", (currency,), frozenset()).numbers[f"bank:{currency}"]

    assert bank(*closed, other) == "1940"
    assert bank(*closed) == "1930", "nothing better: it can be opened again"
    assert bank(ChartAccount("1932", "Konto EUR", True, "2"), currency="EUR") == "1932"


def test_our_series_is_one_that_nobody_uses() -> None:
    assert propose_series(replace(BOOKS, series=())) == "V"
    assert propose_series(BOOKS) == "Q", "somebody has a V already"
    named = (Series("R", "Kvitt verifikat", True, "2"), Series("S", "kvitt", False, "2"))
    assert propose_series(replace(BOOKS, series=named)) == "R"
    letters = tuple(Series(letter, "", True, "2") for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert propose_series(replace(BOOKS, series=letters)) == "KV"


# --- words ---------------------------------------------------------------------------------------------------


def test_every_hold_has_words() -> None:
    assert set(HOLD_TEXTS) == set(HoldReason)
    assert hold_text("amount_differs", {"open": "10.00 SEK"}).endswith("(open 10.00 SEK)")
    assert hold_text("something_new", {}) == "something new"
