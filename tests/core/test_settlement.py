"""Settlement in the core: sums that agree to the öre, vouchers of a bearable length, and odd VAT."""

from dataclasses import replace
from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.core.accounts import Account, AccountMap, AccountRole
from addon.core.documents import CustomerVat, Document, DocumentKind, PostVoucher, Voucher
from addon.core.fee_vat import FeeRules
from addon.core.holds import HoldReason, WaitReason
from addon.core.money import Money
from addon.core.plan import BookedSale, OpenMovement, PayoutFact, Plan, SaleLine, Situation, plan
from addon.core.plan import settlement as settlement_plan
from addon.core.plan.sale import customer_for
from addon.core.plan.vat import SaleVat
from addon.core.records import Buyer, Fee, FeeKind, Itemisation, Movement, MovementKind, PartKind, Payout, PayoutState
from addon.core.routing import Action, Rule
from addon.core.rules import FeeVat, LockedRule, Mode, Policy
from addon.core.settlement import (
    GivenBack,
    SettledSale,
    SettledShare,
    SettlementBy,
    SettlementContra,
    SettlementLines,
    SettlementStyle,
    refund_fact,
    sale_fact,
    settled_sales,
    voucher_number,
)
from tests.core.samples import fixing, local, money, sample_books, sample_policy

DAY = date(2026, 3, 2)


def settling(**changes: object) -> Policy:
    """By the day, so that no payout is needed."""
    style = SettlementStyle(by=SettlementBy.DAY)
    return sample_policy(**{"mode": Mode.SETTLEMENT, "settlement": style, **changes})


def moved(ref: str, amount: str, kind: str = "sale", source: str = "", **more: object) -> Movement:
    values = {"occurred_at": local(DAY), "source_ref": source or ref.replace("txn", "ch"), **more}
    return Movement(ref=ref, kind=MovementKind(kind), amount=money(amount), **values)


def planned(policy: Policy, *movements: Movement, **situation: object) -> Plan:
    entries = tuple(
        OpenMovement(movement, frozenset(part.name for part in movement.parts()), policy.today)
        for movement in movements
    )
    return plan(Situation(movements=entries, **situation), policy)


def voucher_of(document: Document) -> Voucher:
    (step,) = document.steps
    assert isinstance(step, PostVoucher)
    return step.voucher


def sums(documents: tuple[Document, ...]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for document in documents:
        for line in voucher_of(document).lines:
            found[line.account.number] = found.get(line.account.number, Decimal(0)) + line.signed.to_decimal()
    return {number: amount for number, amount in found.items() if amount}


def test_each_payments_rows_name_its_order_its_reference_and_its_rate() -> None:
    sale = moved("txn_1", "1118.70 SEK", presented=money("100.00 EUR"), fees=(Fee(PartKind.FEE, money("20.00 SEK")),))
    policy = settling(rates=(fixing("EUR", date(2026, 3, 1), "11.30"),))
    refund = moved("txn_2", "-559.35 SEK", "refund", "re_1", original_ref="ch_1", presented=money("-50.00 EUR"))
    (document,) = planned(policy, sale, refund).documents
    texts = [line.text for line in voucher_of(document).lines]
    assert texts[0] == "ch_1, 100.00 EUR at 11.30 of 2026-03-01"
    assert "refund re_1 of ch_1" in texts
    assert texts[-1] == "fees, 1"


def test_a_rate_for_a_hundred_says_so() -> None:
    policy = settling(rates=(fixing("JPY", date(2026, 3, 1), "7.21", 100),))
    (document,) = planned(policy, moved("txn_1", "140.00 SEK", presented=money("2000 JPY"))).documents
    assert voucher_of(document).lines[0].text == "ch_1, 2000 JPY at 7.21 for 100 of 2026-03-01"


def test_a_long_payout_is_split_into_vouchers_of_at_most_500_rows() -> None:
    fee = (Fee(PartKind.FEE, money("2.00 SEK")),)
    sales = [moved(f"txn_{number:04}", "100.00 SEK", fees=fee) for number in range(400)]
    policy = settling(fee_vat=FeeVat.EU_REVERSE_CHARGE)
    documents = planned(policy, *sales).documents
    assert [document.key.removeprefix("stripe/acct_1/sales/SEK/") for document in documents] == [
        "2026-03-02",
        "2026-03-02/2",
        "2026-03-02/3",
    ]
    assert max(len(voucher_of(document).lines) for document in documents) <= 500
    assert sums(documents)["3001"] == -400 * 80
    assert sums(documents)["1686"] == 400 * 98
    daily = replace(policy, settlement=SettlementStyle(SettlementLines.DAILY, by=SettlementBy.DAY))
    (summed,) = planned(daily, *sales).documents
    assert len(voucher_of(summed).lines) == 9
    assert sums((summed,)) == sums(documents)


def test_days_are_not_cut_when_summed_rows_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement_plan, "MOST_VOUCHER_ROWS", 20)
    fact = payout_fact("300.00 SEK")
    sales = [moved(f"txn_{day}", "100.00 SEK", occurred_at=local(date(2026, 3, day))) for day in (2, 3, 4)]
    policy = settling(settlement=SettlementStyle(SettlementLines.DAILY))
    documents = planned(
        policy, *sales, payouts={"po_1": fact}, payout_of={sale.ref: "po_1" for sale in sales}
    ).documents
    assert [document.key for document in documents] == [
        "stripe/po_1/sales/2026-03",
        "stripe/po_1/sales/2026-03/2",
        "stripe/po_1/sales/2026-03/3",
    ]


def payout_fact(
    items: str, itemisation: Itemisation = Itemisation.COMPLETE, day: date = date(2026, 3, 5)
) -> PayoutFact:
    payout = Payout("po_1", money("300.00 SEK"), PayoutState.PAID, local(day), day, itemisation)
    return PayoutFact(payout, money(items), 0)


def test_a_payout_of_which_only_some_is_in_this_plan_waits_for_the_rest() -> None:
    sale = moved("txn_1", "300.00 SEK")
    policy = settling(settlement=SettlementStyle())
    about = {"payouts": {"po_1": payout_fact("300.00 SEK")}, "payout_of": {"txn_1": "po_1"}}
    (wait,) = planned(policy, sale, **about, split_payouts=frozenset({"po_1"})).waits
    assert (wait.reason, wait.until) == (WaitReason.PAYOUT_ITEMS, None)
    assert planned(policy, sale, **about).documents


def test_the_voucher_is_dated_when_the_payout_was_made_but_within_the_month_of_sale() -> None:
    policy = settling(settlement=SettlementStyle(), today=date(2026, 4, 10))
    sale = moved("txn_1", "300.00 SEK")
    for made, dated in (((3, 5), (3, 5)), ((4, 2), (3, 31))):
        fact = payout_fact("300.00 SEK", day=date(2026, *made))
        (document,) = planned(policy, sale, payouts={"po_1": fact}, payout_of={"txn_1": "po_1"}).documents
        assert document.booking_date == date(2026, *dated)


def test_a_payout_that_the_provider_never_lists_goes_by_day() -> None:
    sale = moved("txn_1", "300.00 SEK")
    policy = settling(settlement=SettlementStyle())
    fact = payout_fact("300.00 SEK", Itemisation.NONE)
    (document,) = planned(policy, sale, payouts={"po_1": fact}, payout_of={"txn_1": "po_1"}).documents
    assert document.key == "stripe/acct_1/sales/SEK/2026-03-02"


def test_a_locked_period_holds_the_voucher_or_moves_it_with_a_note() -> None:
    sale = moved("txn_1", "300.00 SEK", fees=(Fee(PartKind.FEE, money("3.00 SEK")),))
    books = replace(sample_books(), locked_through=date(2026, 3, 15))
    (hold,) = planned(settling(books=books), sale).holds
    assert hold.reason is HoldReason.PERIOD_LOCKED
    assert len(hold.parts) == 2
    (document,) = planned(settling(books=books, locked_rule=LockedRule.NEXT_OPEN_DAY), sale).documents
    assert document.booking_date == date(2026, 3, 16)
    assert "belongs to 2026-03-02, period locked" in voucher_of(document).text


def test_without_a_fee_account_the_sale_is_booked_and_the_fee_is_held() -> None:
    numbers = {key: number for key, number in sample_policy().accounts.numbers.items() if key != "fee"}
    sale = moved("txn_1", "300.00 SEK", fees=(Fee(PartKind.FEE, money("3.00 SEK")),))
    result = planned(settling(accounts=AccountMap(numbers)), sale)
    (document,), (hold,) = result.documents, result.holds
    assert document.total == money("300.00 SEK")
    assert hold.reason is HoldReason.ACCOUNT_NOT_READY
    assert [part.part for part in hold.parts] == ["fee/0"]


def test_tax_on_fees_goes_with_them_and_other_companies_fees_do_not() -> None:
    fees = (Fee(PartKind.FEE_TAX, money("1.00 SEK")), Fee(PartKind.FOREIGN_FEE, money("2.00 SEK")))
    result = planned(settling(), moved("txn_1", "300.00 SEK", fees=fees))
    (document,) = (one for one in result.documents if one.kind is DocumentKind.SETTLEMENT)
    assert [part.part for part in document.parts] == ["amount", "fee_tax/0"]


@pytest.mark.parametrize(
    ("movement", "reason"),
    [
        (moved("txn_1", "-5.00 SEK"), HoldReason.WRONG_SIGN),
        (moved("txn_1", "5.00 SEK", "refund"), HoldReason.WRONG_SIGN),
        (moved("txn_1", "5.00 SEK", presented=money("6.00 SEK")), HoldReason.AMOUNT_DIFFERS),
        (moved("txn_1", "1 VND", presented=money("1 VND")), HoldReason.LEDGER_PRECISION),
    ],
)
def test_what_no_row_can_say_is_held(movement: Movement, reason: HoldReason) -> None:
    rates = (fixing("VND", date(2026, 3, 1), "0.0004"),)
    (hold,) = planned(settling(rates=rates), movement).holds
    assert hold.reason is reason


def test_a_fee_too_small_for_the_ledger_is_held() -> None:
    fee = moved("txn_1", "0 VND", fees=(Fee(PartKind.FEE, money("1 VND")),))
    (hold,) = planned(settling(rates=(fixing("VND", date(2026, 3, 1), "0.0004"),)), fee).holds
    assert hold.reason is HoldReason.LEDGER_PRECISION


def test_a_foreign_fee_waits_for_a_rate_and_takes_the_nearest_at_the_end() -> None:
    sale = moved("txn_1", "0 EUR", fees=(Fee(PartKind.FEE, money("1.00 EUR")),))
    (wait,) = planned(settling(today=date(2026, 3, 4)), sale).waits
    assert wait.reason is WaitReason.RATE
    (document,) = planned(settling(rates=(fixing("EUR", date(2026, 3, 12), "11.00"),)), sale).documents
    assert sums((document,)) == {"6570": 11, "1687": -11}


def test_a_sale_in_kronor_onto_a_euro_balance_is_worth_its_kronor() -> None:
    (document,) = planned(settling(), moved("txn_1", "8.85 EUR", presented=money("100.00 SEK"))).documents
    assert sums((document,)) == {"1687": 100, "3001": -80, "2611": -20}
    (effect,) = document.clearing
    assert (effect.balance, effect.books) == (money("8.85 EUR"), money("100.00 SEK"))


def test_an_exchange_gain_goes_to_its_account() -> None:
    policy = settling(rates=(fixing("EUR", date(2026, 3, 1), "11.00"),))
    (document,) = planned(policy, moved("txn_1", "1110.00 SEK", presented=money("100.00 EUR"))).documents
    assert sums((document,)) == {"1686": 1110, "3001": -880, "2611": -220, "3960": -10}


def test_a_refund_in_another_currency_than_its_sale_is_held() -> None:
    sale = moved("txn_1", "100.00 SEK")
    refund = moved("txn_2", "-50.00 SEK", "refund", original_ref="ch_1", presented=money("-5.00 EUR"))
    (hold,) = planned(settling(), sale, refund).holds
    assert hold.reason is HoldReason.AMOUNT_DIFFERS


def test_a_refund_that_came_back_with_another_amount_is_held() -> None:
    sale = moved("txn_1", "100.00 SEK")
    refund = moved("txn_2", "-50.00 SEK", "refund", "re_1", original_ref="ch_1")
    back = moved("txn_3", "49.00 SEK", "refund_reversal", "re_1", original_ref="ch_1")
    (hold,) = planned(settling(), sale, refund, back).holds
    assert hold.reason is HoldReason.AMOUNT_DIFFERS


def test_a_refund_of_a_sale_that_is_worth_nothing_in_the_ledger_is_held() -> None:
    nothing = SettledShare(money("0 SEK"), money("0 SEK"), Decimal(25), Account(AccountRole.SALES, "3001"))
    settled = {"ch_0": SettledSale(money("2 VND"), (nothing,))}
    refund = moved("txn_2", "-1 VND", "refund", original_ref="ch_0")
    (hold,) = planned(settling(), refund, settled=settled).holds
    assert hold.reason is HoldReason.LEDGER_PRECISION


def test_a_refund_waits_for_a_sale_that_is_not_planned_and_then_is_held() -> None:
    refund = moved("txn_2", "-50.00 SEK", "refund", original_ref="ch_0")
    (wait,) = planned(settling(), refund, known_sales=frozenset({"ch_0"})).waits
    assert wait.reason is WaitReason.SALE
    entry = OpenMovement(refund, frozenset({"amount"}), date(2026, 3, 2))
    situation = Situation(movements=(entry,), known_sales=frozenset({"ch_0"}))
    (hold,) = plan(situation, settling()).holds
    assert hold.reason is HoldReason.ORIGINAL_UNKNOWN


def test_a_refund_of_an_invoiced_sale_takes_what_is_left_of_its_rows() -> None:
    policy = settling()
    buyer = Buyer("Buyer", "buyer@example.com", "SE")
    sales = Account(AccountRole.SALES, "3001")
    lines = (
        SaleLine(money("100.00 EUR"), money("40.00 EUR"), 25, sales, "Lamp"),
        SaleLine(money("20.00 EUR"), money("0.00 EUR"), 0, Account(AccountRole.SALES, "3105"), "Book"),
        SaleLine(money("0.30 EUR"), money("0.00 EUR"), 0, sales, "Öresavrundning", rounding=True),
    )
    sale = BookedSale(
        key="stripe/ch_0/sale",
        invoice_key="stripe/ch_0/invoice",
        number="17",
        customer=customer_for(buyer, SaleVat((), CustomerVat.DOMESTIC, "SE25", ""), policy),
        invoice_date=date(2026, 2, 1),
        total=money("120.30 EUR"),
        paid=money("120.00 EUR"),
        refunded=money("40.00 EUR"),
        lines=lines,
        rate=Decimal("11.00"),
        order_number="1001",
        booked=True,
        credit_made=True,
    )
    refund = moved("txn_2", "-80.00 EUR", "refund", "re_2", original_ref="ch_0")
    (document,) = planned(policy, refund, sales={"ch_0": sale}).documents
    assert sums((document,)) == {"1687": -880, "3001": 528, "2611": 132, "3105": 220}
    untouched = replace(sale, refunded=money("0.00 EUR"), lines=(replace(lines[0], credited=money("0.00 EUR")),))
    (document,) = planned(policy, refund, sales={"ch_0": untouched}).documents
    assert document.total == money("-80.00 EUR")


def test_fees_in_a_voucher_are_treated_for_vat_by_what_they_are_for() -> None:
    fees = (
        Fee(PartKind.FEE, money("10.00 SEK")),
        Fee(PartKind.FEE, money("4.00 SEK"), service=FeeKind.SERVICE),
    )
    rules = FeeRules(((FeeKind.SERVICE, FeeVat.EU_REVERSE_CHARGE),))
    sale = moved("txn_1", "125.00 SEK", fees=fees)
    for lines in SettlementLines:
        style = SettlementStyle(lines, by=SettlementBy.DAY)
        (document,) = planned(settling(fee_rules=rules, settlement=style), sale).documents
        found = sums((document,))
        assert found["6570"] == 14, "the cost is all of it"
        assert (found["4535"], found["2645"], found["2614"]) == (4, 1, -1), "its VAT is on the service alone"


def test_a_rule_of_the_companys_own_names_account_and_vat() -> None:
    rule = Rule("1", "Books", Action.BOOK, account="3002", vat="SE12")
    (document,) = planned(settling(rules=(rule,)), moved("txn_1", "112.00 SEK")).documents
    assert sums((document,)) == {"1686": 112, "3002": -100, "2621": -12}


def test_many_vat_treatments_are_told_by_some() -> None:
    buyers = [Buyer(country=country) for country in ("SE", "NO", "DE", "US", "")]
    sales = [moved(f"txn_{number}", "10.00 SEK", buyer=buyer) for number, buyer in enumerate(buyers)]
    (document,) = planned(settling(), *sales).documents
    assert document.rule.endswith("And other VAT treatments.")


def test_facts_are_read_back_as_they_were_written() -> None:
    share = SettledShare(
        money("100.00 SEK"),
        money("20.00 SEK"),
        Decimal("25.5"),
        Account(AccountRole.SALES, "3001"),
        Account(AccountRole.OUTPUT_VAT, "2611"),
    )
    sale = SettledSale(money("9.00 EUR"), (share,))
    given = GivenBack("re_1", money("4.50 EUR"), ((money("50.00 SEK"), money("10.00 SEK")),))
    stranger = GivenBack("re_2", money("1.00 EUR"), ())
    documents = [
        (refund_fact("ch_1", given), refund_fact("ch_9", given), refund_fact("ch_1", stranger), ("payout", "po_1")),
        (sale_fact("ch_1", sale),),
    ]
    (found,) = settled_sales(documents, "SEK").values()
    assert found == sale.with_given(given)
    assert found.refunded() == money("4.50 EUR")
    assert found.left() == ((money("50.00 SEK"), money("10.00 SEK")),)


def test_a_vouchers_number_is_read_from_its_key() -> None:
    assert voucher_number("stripe/po_1/sales/2026-03") == ("stripe/po_1/sales/2026-03", 1)
    assert voucher_number("stripe/po_1/sales/2026-03/12") == ("stripe/po_1/sales/2026-03", 12)
    assert voucher_number("stripe/acct_1/sales/EUR/2026-03-02/2") == ("stripe/acct_1/sales/EUR/2026-03-02", 2)
    assert voucher_number("stripe/acct_1/fees/EUR/2026-03-02") == ("stripe/acct_1/fees/EUR/2026-03-02", 1)


@given(
    amount=st.integers(1, 500_000),
    cuts=st.lists(st.integers(1, 200_000), max_size=5),
    contra=st.sampled_from(SettlementContra),
    lines=st.sampled_from(SettlementLines),
    percent=st.sampled_from((25, 12, 6)),
)
def test_a_sale_that_is_refunded_to_the_last_ore_leaves_nothing_on_any_account(
    amount: int, cuts: list[int], contra: SettlementContra, lines: SettlementLines, percent: int
) -> None:
    left, movements = amount, [moved("txn_0", "1.00 SEK", source="ch_0")]
    movements[0] = replace(movements[0], amount=Money(amount, "SEK"))
    for number, cut in enumerate([*cuts, amount], start=1):
        back = min(cut, left)
        if back:
            refund = moved(f"txn_{number}", "1.00 SEK", "refund", f"re_{number}", original_ref="ch_0")
            at = local(DAY, time(13, number))
            movements.append(replace(refund, amount=Money(-back, "SEK"), occurred_at=at))
            left -= back
    numbers = {**sample_policy().accounts.numbers, "settlement_contra": "1580"}
    style = SettlementStyle(lines, contra, SettlementBy.DAY)
    policy = settling(settlement=style, accounts=AccountMap(numbers), default_vat_percent=percent)
    result = planned(policy, *movements)
    assert not result.holds
    assert not result.waits
    assert not sums(result.documents)
