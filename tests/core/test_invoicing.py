"""The prerequisites of a system whose invoices name registers: each green and red, and what may be mended."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from addon.connectors.economic.checklist import CHECKLIST as ECONOMIC
from addon.core.books import (
    Books,
    BooksCurrency,
    ChartAccount,
    Check,
    Feature,
    Identity,
    Nudges,
    Remedy,
    Series,
)
from addon.core.dates import FinancialYear
from addon.core.invoicing import Choice, Invoicing, Named, SoldAs
from addon.core.prerequisites import STOPPING, Needs, check_books
from addon.core.text import check_reason, check_remedy
from addon.ports import registry
from addon.store.codec import decode, encode

YEAR = FinancialYear("2026", date(2026, 1, 1), date(2026, 12, 31), accrual=True)
TODAY = date(2026, 11, 20)
MENDABLE = (
    Remedy.ACTIVATE_ACCOUNT,
    Remedy.CREATE_ACCOUNT,
    Remedy.CREATE_SERIES,
    Remedy.MEND_SERIES,
    Remedy.CREATE_PRODUCT_GROUP,
    Remedy.OPEN_PRODUCT,
    Remedy.REGISTER_WEBHOOK,
)
CODES = {"1010": "U25", "1050": "UVUDL", "1060": "DE19"}
REGISTERS = Invoicing(
    layouts=(Named("19", "Dansk std."), Named("7", "G", open=False)),
    payment_terms=(Named("3", "Straks"), Named("5", "Kontant", open=False)),
    customer_groups=(Named("1", "Danske kunder"),),
    rounding_groups=(Named("4", "Øredifferencer"), Named("1", "Varer", open=False)),
    buyers=("domestic", "eu_consumer", "eu_business", "export"),
    sold=(
        SoldAs("domestic", "1010", Decimal(25)),
        SoldAs("eu_consumer", "1060", Decimal(19)),
        SoldAs("eu_business", "1052", Decimal(0)),
        SoldAs("export", "1050", Decimal(0)),
    ),
    rates=(("1010", Decimal("25.00")), ("1050", Decimal(0)), ("1052", Decimal(0)), ("1060", Decimal(19))),
)
BOOKS = Books(
    identity=Identity("1201001", "Havblik ApS", "12345674", "DK", "DKK"),
    years=(YEAR,),
    accounts=tuple(
        ChartAccount(number, f"Konto {number}", True, "2026", vat_code=CODES.get(number, ""))
        for number in ("1010", "1050", "1052", "1060", "3621", "4350", "4360", "4450", "5600", "5820", "5891")
    ),
    series=(Series("V", "Kvitt V", True, "2026"), Series("1", "Daglig", True, "2026")),
    invoice_series="invoices",
    payment_series="payments",
    predefined=(("customer_claims", "5600"),),
    payment_modes=(),
    currencies=(BooksCurrency("EUR", None, automatic=True),),
    locked_through=None,
    system="economic",
    remedies=MENDABLE,
    invoicing=REGISTERS,
    nudges=Nudges.ON,
    nudge_address="https://kvitt.test/webhooks/economic/1201001-x",
    cannot=(Feature.ORDER,),
)
NEEDS = Needs(
    first_day=date(2026, 11, 1),
    today=TODAY,
    accounts={
        "sales:DK25": "1010",
        "sales:EXPORT": "1050",
        "sales:EU-SERVICES": "1052",
        "sales:OSS-DE19": "1060",
        "sales:OSS-FI25.5": "1061",
        "fee": "3621",
        "rounding": "4450",
        "bank:DKK": "5820",
    },
    clearing={"stripe DKK": "5891"},
    currencies=("EUR",),
    voucher_series="V",
    exchange={"exchange_gain": "4350", "exchange_loss": "4360"},
)


def red(books: Books, needs: Needs = NEEDS) -> list[Check]:
    return [check for check in check_books(books, needs, ECONOMIC) if not check.ok and check.subject != "1061"]


def test_books_that_are_ready_are_green_all_over_and_every_line_of_the_list_is_checked() -> None:
    assert red(BOOKS) == []
    checks = check_books(BOOKS, NEEDS, ECONOMIC)
    assert list(dict.fromkeys(check.code for check in checks)) == [entry.code for entry in ECONOMIC]


def with_registers(**changes: object) -> Callable[[Books], Books]:
    return lambda books: replace(books, invoicing=replace(REGISTERS, **changes))  # type: ignore[arg-type]


def with_account(number: str, **changes: object) -> Callable[[Books], Books]:
    def change(books: Books) -> Books:
        accounts = (replace(one, **changes) if one.number == number else one for one in books.accounts)  # type: ignore[arg-type]
        return replace(books, accounts=tuple(accounts))

    return change


def with_series(**changes: object) -> Callable[[Books], Books]:
    return lambda books: replace(books, series=tuple(replace(one, **changes) for one in books.series))  # type: ignore[arg-type]


BREAKS: list[tuple[str, Callable[[Books], Books], str, str, Remedy | None]] = [
    (
        "by payments",
        lambda b: replace(b, years=(replace(YEAR, accrual=False),)),
        "accrual_method",
        "",
        None,
    ),
    ("no module", lambda b: replace(b, missing_licences=("Missing modules: Faktura",)), "licence", "", None),
    ("no role", lambda b: replace(b, missing_scopes=("SuperUser",)), "scope", "", None),
    ("no journal", lambda b: replace(b, series=b.series[1:]), "voucher_series", "missing", Remedy.CREATE_SERIES),
    ("journal of one kind", with_series(manual=False), "voucher_series", "not_manual", Remedy.MEND_SERIES),
    ("journal with approval", with_series(needs_approval=True), "voucher_series", "approval", Remedy.MEND_SERIES),
    ("journal used up", with_series(full=True), "voucher_series", "full", Remedy.MEND_SERIES),
    ("clearing barred", with_account("5891", active=False), "clearing_account", "inactive", Remedy.ACTIVATE_ACCOUNT),
    ("fee wants a department", with_account("3621", needs_cost_centre=True), "account", "cost_centre", None),
    ("claims barred", with_account("5600", active=False), "predefined_account", "inactive", Remedy.ACTIVATE_ACCOUNT),
    ("exchange barred", with_account("4350", active=False), "exchange_account", "inactive", Remedy.ACTIVATE_ACCOUNT),
    ("no currency", lambda b: replace(b, currencies=()), "currency", "missing", None),
    (
        "month barred",
        lambda b: replace(b, closed_months=((date(2026, 11, 1), date(2026, 11, 30)),)),
        "locked_period",
        "months",
        None,
    ),
    ("no year", lambda b: replace(b, years=(replace(YEAR, last_day=date(2026, 11, 10)),)), "financial_year", "", None),
    ("no layout", with_registers(layouts=REGISTERS.layouts[1:]), "layout", "none", None),
    ("cash terms only", with_registers(payment_terms=REGISTERS.payment_terms[1:]), "payment_terms", "none", None),
    ("no group", with_registers(customer_groups=()), "customer_group", "none", None),
    ("all groups taxed", with_registers(rounding_groups=()), "rounding_product", "none", None),
    ("no zone abroad", with_registers(buyers=REGISTERS.buyers[:3]), "vat_zone", "", None),
    (
        "nothing sells abroad",
        with_registers(sold=REGISTERS.sold[:3]),
        "product_group",
        "",
        Remedy.CREATE_PRODUCT_GROUP,
    ),
    (
        "another rate",
        with_registers(sold=REGISTERS.sold[1:], rates=(("1010", Decimal("12.00")), *REGISTERS.rates[1:])),
        "product_group",
        "rate",
        None,
    ),
    (
        "the account is gone",
        with_registers(sold=REGISTERS.sold[1:], rates=REGISTERS.rates[1:]),
        "product_group",
        "",
        None,
    ),
    ("product barred", with_registers(barred_products=("KVITT-1",)), "product", "", Remedy.OPEN_PRODUCT),
    ("home VAT code", with_account("1060", vat_code="U25"), "oss_vat_code", "", None),
    ("not told", lambda b: replace(b, nudges=Nudges.OFF), "webhook", "off", Remedy.REGISTER_WEBHOOK),
    ("told elsewhere", lambda b: replace(b, nudges=Nudges.ELSEWHERE), "webhook", "elsewhere", Remedy.REGISTER_WEBHOOK),
    ("given up", lambda b: replace(b, nudges=Nudges.DISABLED), "webhook", "disabled", Remedy.REGISTER_WEBHOOK),
]


@pytest.mark.parametrize(("name", "change", "code", "fault", "remedy"), BREAKS, ids=[entry[0] for entry in BREAKS])
def test_each_condition_turns_its_own_line_red(
    name: str, change: Callable[[Books], Books], code: str, fault: str, remedy: Remedy | None
) -> None:
    found = red(change(BOOKS))
    assert {check.code for check in found} == {code}
    for check in found:
        assert check.stops is (code in STOPPING)
        assert dict(check.details).get("fault", "") == fault
        assert (check.repair.remedy if check.repair else None) is remedy
        entry = registry.prerequisites("economic")[check.code]
        assert check_reason(check, entry)
        assert check_remedy(check, entry), "whoever sees it must be told what to do"
        assert "Fortnox" not in check_reason(check, entry) + check_remedy(check, entry)


def test_every_line_of_the_list_can_be_red() -> None:
    assert {code for _, _, code, _, _ in BREAKS} == {entry.code for entry in ECONOMIC}


@pytest.mark.parametrize(
    ("choice", "number", "code", "fault"),
    [
        (Choice.LAYOUT, "19", "layout", ""),
        (Choice.LAYOUT, "7", "layout", "inactive"),
        (Choice.LAYOUT, "20", "layout", "missing"),
        (Choice.PAYMENT_TERMS, "5", "payment_terms", "inactive"),
        (Choice.CUSTOMER_GROUP, "9", "customer_group", "missing"),
        (Choice.ROUNDING_GROUP, "1", "rounding_product", "inactive"),
    ],
)
def test_what_is_chosen_must_be_there_and_of_use(choice: Choice, number: str, code: str, fault: str) -> None:
    found = red(BOOKS, replace(NEEDS, choices={choice: number}))
    assert [(check.code, dict(check.details)["fault"], check.stops) for check in found] == (
        [(code, fault, False)] if fault else []
    )
    assert (
        dict(next(one for one in check_books(BOOKS, NEEDS, ECONOMIC) if one.code == "layout").details)["number"] == "19"
    )


def test_basic_needs_none_of_what_only_invoices_name() -> None:
    bare = replace(BOOKS, invoicing=Invoicing())
    assert red(bare, replace(NEEDS, invoices=False)) == []
    assert len(red(bare)) > 5


def test_exchange_accounts_are_asked_for_where_there_are_other_currencies() -> None:
    assert [check.subject for check in red(BOOKS, replace(NEEDS, exchange={}))] == ["exchange_gain", "exchange_loss"]
    assert red(BOOKS, replace(NEEDS, exchange={}, currencies=())) == []


def test_what_nobody_let_us_read_is_not_called_missing() -> None:
    closed = replace(BOOKS, years=(), accounts=(), series=(), missing_scopes=("SuperUser",), invoicing=None)
    assert [(check.code, check.stops) for check in red(closed)] == [("scope", True)]


def test_a_month_before_the_start_does_not_matter() -> None:
    closed = replace(BOOKS, closed_months=((date(2026, 9, 1), date(2026, 10, 31)),))
    assert red(closed) == []
    assert [check.subject for check in red(closed, replace(NEEDS, first_day=date(2026, 10, 5)))] == ["2026-09-01"]


def test_a_journal_of_others_is_not_set_right_by_us() -> None:
    books = replace(BOOKS, series=(replace(BOOKS.series[1], manual=False),))
    (found,) = red(books, replace(NEEDS, voucher_series="1"))
    assert (found.code, found.repair) == ("voucher_series", None)


def test_lists_name_their_own_system() -> None:
    for line in registry.ACCOUNTING:
        others = [other.title for other in registry.ACCOUNTING if other is not line]
        for entry in registry.accounting(line.name).checklist:
            assert not [other for other in others if other in entry.title + entry.why + entry.where], entry


def test_a_line_that_was_stored_by_another_version_has_words() -> None:
    entries = registry.prerequisites("economic")
    assert entries["accrual_method"] in ECONOMIC
    assert entries["warehouse"] in registry.accounting("fortnox").checklist
    assert set(registry.prerequisites("gone")) == set(entries)


def test_books_are_kept_and_read_again_with_their_registers() -> None:
    assert decode(Books, encode(BOOKS)) == BOOKS
    old = {name: value for name, value in encode(BOOKS).items() if name not in ("invoicing", "nudges", "cannot")}
    assert decode(Books, old).invoicing is None
