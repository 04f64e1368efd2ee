"""The bank account's lines against payouts."""

from datetime import date

from addon.core.bank import BankLine, BankVerdict, ExpectedPayout, compare_bank
from addon.core.money import Money


def sek(minor: int) -> Money:
    return Money(minor, "SEK")


def payout(ref: str, minor: int, day: int, *vouchers: str) -> ExpectedPayout:
    return ExpectedPayout(ref, sek(minor), date(2026, 3, day), vouchers)


def line(reference: str, minor: int, day: int, text: str = "") -> BankLine:
    return BankLine(reference, date(2026, 3, day), sek(minor), text)


def verdicts(payouts: list[ExpectedPayout], lines: list[BankLine], mark: str = "Stripe") -> dict[str, str]:
    return {one.payout.ref: one.verdict.value for one in compare_bank(payouts, lines, mark)}


def test_each_payout_arrives_once_whoever_booked_it() -> None:
    payouts = [payout("po_1", 1000, 3, "V/1/9"), payout("po_2", 1000, 4)]
    lines = [line("V/1/9", 1000, 3), line("A/5/9", 1000, 6, "Insättning")]
    assert verdicts(payouts, lines) == {"po_1": "arrived", "po_2": "arrived"}


def test_missing_doubled_and_another_amount() -> None:
    payouts = [payout("po_1", 1000, 3, "V/1/9"), payout("po_2", 2000, 4, "V/2/9"), payout("po_3", 3000, 5)]
    lines = [
        line("V/1/9", 1000, 3),
        line("A/5/9", 1000, 4),
        line("A/6/9", 2990, 6, "STRIPE PAYMENTS"),
        line("A/7/9", -3000, 6, "STRIPE PAYMENTS"),
    ]
    assert verdicts(payouts, lines) == {"po_1": "doubled", "po_2": "missing", "po_3": "amount_differs"}
    (changed,) = compare_bank([payout("po_1", 1000, 3, "V/1/9")], [line("V/1/9", 900, 3)])
    assert (changed.verdict, changed.found) == (BankVerdict.AMOUNT_DIFFERS, sek(900))


def test_two_equal_payouts_that_a_person_booked_again_are_both_doubled() -> None:
    payouts = [payout("po_1", 1000, 3, "V/1/9"), payout("po_2", 1000, 4, "V/2/9")]
    lines = [line("V/1/9", 1000, 3), line("V/2/9", 1000, 4), line("A/1/9", 1000, 3), line("A/2/9", 1000, 4)]
    assert verdicts(payouts, lines) == {"po_1": "doubled", "po_2": "doubled"}


def test_on_a_bank_statement_equal_amounts_of_strangers_double_nothing() -> None:
    payouts = [payout("po_1", 1000, 3)]
    assert verdicts(payouts, [line("1", 1000, 3, "Stripe"), line("2", 1000, 3, "Hyra")]) == {"po_1": "arrived"}
    assert verdicts(payouts, [line("1", 1000, 3, "Stripe"), line("2", 1000, 4, "stripe po_1")]) == {"po_1": "doubled"}
    assert verdicts(payouts, [line("1", 1000, 11, "Stripe")]) == {"po_1": "missing"}
    assert verdicts([payout("po_1", -1000, 3)], [line("1", -1000, 3, "Stripe")]) == {"po_1": "arrived"}
    assert verdicts([], [line("1", 5, 3)]) == {}


def test_an_entry_and_the_one_that_took_it_back_are_nothing() -> None:
    payouts = [payout("po_1", 1000, 3, "V/1/9", "V/2/9")]
    (found,) = compare_bank(payouts, [line("V/1/9", 1000, 3), line("V/2/9", -1000, 4)], "Stripe")
    assert (found.verdict, found.found) == (BankVerdict.MISSING, sek(0))
