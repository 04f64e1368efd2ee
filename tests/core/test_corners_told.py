"""Corners of the planner, told in the goldens' notation where a whole golden would show little else."""

from dataclasses import replace
from datetime import date

import pytest

from addon.core.accounts import Account, AccountRole
from addon.core.books import Code, Register
from addon.core.documents import ClearingEffect, CreditInvoice, Document, DocumentKind, PartRef
from addon.core.plan.opening import Opening, plan_opening
from addon.core.plan.returns import find_claim
from addon.core.plan.situation import CannotBook, Carrying, Claim
from addon.core.plan.undo import Standing, plan_undo
from addon.core.records import Movement, MovementKind
from addon.core.saleform import SaleForm, organisation_number
from tests.core.samples import YEARS, local, money, sample_books, sample_policy
from tests.core.story import Story

DAY = date(2026, 3, 2)


def told(text: str) -> str:
    return Story().tell(text)


def of(books: str, *wanted: str) -> None:
    for line in wanted:
        assert line in books, f"{line!r} is not in\n{books}"


# --- openings ----------------------------------------------------------------------------------------------------


def opening(policy_numbers: dict[str, str], books: str = "100.00 SEK") -> Opening:
    return Opening(date(2026, 1, 1), Carrying(money("100.00 SEK"), money(books)))


def test_an_opening_of_nothing_needs_no_voucher() -> None:
    assert plan_opening(opening({}, "0.00 SEK"), sample_policy()) is None


@pytest.mark.parametrize(("missing", "day"), [("1580", date(2026, 1, 1)), ("9999", date(2025, 12, 31))])
def test_an_opening_stands_on_the_start_date_where_last_year_does_not_have_its_accounts(
    missing: str, day: date
) -> None:
    policy = sample_policy(today=date(2026, 1, 10))
    accounts = tuple(one for one in policy.books.accounts if (one.number, one.year_ref) != (missing, YEARS[0].ref))
    numbers = {**policy.accounts.numbers, "opening_contra": "1580"}
    policy = replace(
        policy, books=replace(policy.books, accounts=accounts), accounts=replace(policy.accounts, numbers=numbers)
    )
    planned = plan_opening(opening(numbers), policy)
    assert planned is not None
    assert planned.booking_date == day


# --- undo ---------------------------------------------------------------------------------------------------------


def standing(*steps: CreditInvoice) -> Standing:
    clearing = ClearingEffect(Account(AccountRole.CLEARING, "1686"), money("-10.00 SEK"), money("-10.00 SEK"))
    parts = (PartRef("txn_1", "amount"),)
    return Standing(
        Document("k", DocumentKind.REFUND, DAY, money("-10.00 SEK"), parts, (clearing,), tuple(steps), ""), "101"
    )


def test_what_cannot_be_undone_says_why() -> None:
    with pytest.raises(CannotBook) as nothing:
        plan_undo(standing(), sample_policy(), "Siv")
    assert nothing.value.reason.value == "kind_not_built"
    credit = CreditInvoice("k/credit", "stripe/ch_1/invoice", money("-10.00 SEK"), DAY, "")
    with pytest.raises(CannotBook) as unknown:
        plan_undo(standing(credit), sample_policy(), "Siv")
    assert (unknown.value.reason.value, dict(unknown.value.facts)) == (
        "original_unknown",
        {"original": "stripe/ch_1/invoice"},
    )


# --- customers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vat_number", "organisation"),
    [
        ("SE556677123401", "5566771234"),
        ("se 556677-1234 01", "5566771234"),
        ("SE55667712340", ""),
        ("SE556677123402", ""),
        ("NO 923 609 016 MVA", "923609016"),
        ("923609016MVA", "923609016"),
        ("DE136695976", ""),
        ("", ""),
    ],
)
def test_an_organisation_number_is_read_out_of_a_vat_number(vat_number: str, organisation: str) -> None:
    assert organisation_number(vat_number) == organisation


def test_a_business_is_one_customer_whatever_address_it_buys_with() -> None:
    form = "set form by_organisation yes\n"
    sale = '2026-03-02 sale ch_{0} txn_{0} 125.00 SEK order {0} buyer "{1}" {2} SE vatno SE556677123401\n'
    both = sale.format(1, "Lampor AB", "kontor@lampor.se") + sale.format(2, "", "lager@lampor.se") + "run 2026-03-03"
    assert told(form + both).count("  customer  ") == 1
    assert told(both).count("  customer  ") == 2
    assert told("set collective\n" + form + both).count("  customer  Stripe SE SE25") == 1
    of(told(form + sale.format(3, "", "lager@lampor.se") + "run 2026-03-03"), "customer  lager@lampor.se, ")


# --- codes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "choice"), [("cost_centre", "cost_centre CC"), ("project", "project P")])
def test_an_account_that_demands_a_code_holds_just_its_own_rows(what: str, choice: str) -> None:
    sold = f"demands {what} 3001\n2026-03-02 sale ch_1 txn_1 125.00 SEK fee 2.00 order 1\nrun 2026-03-03\n"
    of(
        told(sold),
        "held  account_not_ready  account=3001, role=sales",
        f"why=needs_{what}",
        "-2,00 booked + 125,00 held",
    )
    assert "held" not in told(f"set form {choice}\n{sold}")
    books = replace(sample_books(), codes=(Code(Register.PROJECTS, "P"),))
    assert books.code_fault(Register.PROJECTS, "X") == "", "a register that was not read holds nothing"


def test_articles_are_named_by_numbers_that_books_take() -> None:
    form = "set form articles created\n"
    line = '2026-03-02 sale ch_1 txn_1 125.00 SEK order 1 item "Bulb" 125.00 sku {} times 5\nrun 2026-03-03'
    of(told(form + line.format("BULB")), 'article   BULB "Bulb", sold on 3001', 'article BULB "Bulb × 5"')
    assert "article " not in told(form + line.format('"a b"'))
    assert "article " not in told(line.format("BULB")), "only where that is chosen"
    assert SaleForm().codes_for(AccountRole.CLEARING) == ("", "")


# --- what is foreign ------------------------------------------------------------------------------------------------

BALANCE = "2026-03-02 conversion cv_1 txn_1 -100.00 USD\n2026-03-02 conversion cv_1 txn_2 90.00 EUR\n"


def test_a_conversion_between_two_foreign_balances_waits_for_a_rate() -> None:
    of(told(f"{BALANCE}run 2026-03-03"), "waits rate", "txn_1 amount  -100,00 USD", "txn_2 amount  90,00 EUR")


def test_money_that_leaves_a_foreign_balance_waits_for_what_it_is_carried_at() -> None:
    sale = "2026-03-02 sale ch_1 txn_1 100.00 EUR order 1\n"
    out = "2026-03-02 13:00 {} dp_1 txn_2 -100.00 EUR of ch_1{}\n"
    rule = "rule Away book metadata=place:stall kinds=dispute contra_account=1580\n"
    for kind, more, extra in (("dispute", "", ""), ("dispute", " meta place stall", rule)):
        books = told(f"own EUR 11.20\n{extra}{sale}{out.format(kind, more)}plan 2026-03-03")
        of(books, "waits ", "txn_2 amount  -100,00 EUR")


def test_a_payout_of_a_foreign_balance_goes_at_the_nearest_rate_when_it_has_waited_its_time() -> None:
    payout = "2026-03-02 payout po_1 txn_1 -100.00 EUR\npayout po_1 100.00 EUR paid 2026-03-02 none\n"
    rate = "rate 2026-02-10 EUR 11.00\n"
    of(told(f"{rate}{payout}run 2026-03-03"), "waits ")
    of(told(f"{rate}{payout}run 2026-03-20"), "1980  bank EUR                          1 100,00 D")


# --- claims -----------------------------------------------------------------------------------------------------------


def test_a_claim_is_found_by_its_own_sign_order_and_amount() -> None:
    account = Account(AccountRole.BOUNCED_PAYMENTS, "1515")
    claim = Claim("c", False, "ch_1", "1001", money("50.00 SEK"), money("50.00 SEK"), account)
    debt = replace(claim, key="d", returned_refund=True)
    paid = Movement("txn_1", MovementKind.SALE, money("50.00 SEK"), local(DAY), (), "ch_2")
    refund = Movement("txn_2", MovementKind.REFUND, money("-50.00 SEK"), local(DAY), (), "re_1", "ch_1")
    claims = (debt, claim)
    assert find_claim(paid, "1001", claims) is claim
    assert find_claim(paid, "1002", claims) is None
    assert find_claim(paid, "", claims) is None
    assert find_claim(replace(paid, amount=money("49.00 SEK")), "1001", claims) is None
    assert find_claim(refund, "", claims) is debt
    assert find_claim(replace(refund, original_ref="ch_3"), "1001", claims) is None


# --- Basic, by hand -----------------------------------------------------------------------------------------------


def test_a_chosen_invoice_says_what_stays_open_and_what_goes_to_rounding() -> None:
    basic = (
        "set mode basic\ninvoice 51 125.00 SEK order 1\n2026-03-02 sale ch_1 txn_1 {} SEK order 2\ndecide txn_1 {}\n"
    )
    of(told(basic.format("100.00", "invoice 51") + "run 2026-03-03"), "; 25.00 SEK stays open")
    of(
        told("set tolerance 1.00\n" + basic.format("124.50", "invoice 51 difference accepted") + "run 2026-03-03"),
        "; 0.50 SEK of difference goes to rounding",
        "3740  rounding                              0,50 D",
    )


def test_a_match_in_a_locked_period_is_held_with_its_invoice() -> None:
    of(
        told(
            "set mode basic\nset locked 2026-03-31\ninvoice 51 125.00 SEK order 1\n"
            "2026-03-02 sale ch_1 txn_1 125.00 SEK order 1\nrun 2026-04-03"
        ),
        "held  period_locked",
        "invoice=51",
    )


# --- disputes -----------------------------------------------------------------------------------------------------


def test_a_dispute_of_which_nothing_is_known_is_held() -> None:
    lost = "dispute dp_1 100.00 SEK lost of ch_1\n2026-03-05 dispute_lost dp_1 txn_3 0.00 SEK of ch_1\nrun 2026-03-06"
    of(told(lost), "held  dispute_unknown")


def test_a_settled_sale_on_the_desk_makes_its_lost_dispute_wait() -> None:
    books = told(
        "set mode settlement\nset dispute_lost credit_note\n"
        "2026-03-02 sale ch_1 txn_1 100.00 SEK order 1 in po_1\n"
        "2026-03-03 dispute dp_1 txn_2 -100.00 SEK of ch_1\nrun 2026-03-04\n"
        "dispute dp_1 100.00 SEK lost of ch_1\n2026-03-05 dispute_lost dp_1 txn_3 0.00 SEK of ch_1\nrun 2026-03-06"
    )
    of(books, "waits sale  original=ch_1\n      txn_3 amount  0,00 SEK")
