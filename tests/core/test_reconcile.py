"""Prove: opening + ledger + not booked = the provider's balance, and every difference has a name."""

from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.core.books import LedgerEntry
from addon.core.money import CurrencyMismatch, Money
from addon.core.reconcile import BookedEffect, NotBooked, clearing_identity, payout_proof, without_opening
from addon.core.records import Itemisation, Payout, PayoutState
from tests.core.samples import local, money

DAY = date(2026, 3, 2)


def entry(voucher: str, amount: str, text: str = "") -> LedgerEntry:
    return LedgerEntry(voucher, DAY, "1686", money(amount), text)


def effect(key: str, vouchers: Iterable[str], balance: str, books: str | None = None) -> BookedEffect:
    return BookedEffect(key, tuple(vouchers), money(balance), money(books or balance))


def not_booked(currency: str = "SEK", **amounts: str) -> NotBooked:
    zero = {name.name: Money.zero(currency) for name in fields(NotBooked)}
    return NotBooked(**{**zero, **{name: money(f"{amount} {currency}") for name, amount in amounts.items()}})


EFFECTS = (
    effect("stripe/ch_1/sale", ["B/1/1", "C/1/1"], "1250.00 SEK"),
    effect("stripe/acct_1/fees/SEK/2026-03-02", ["K/1/1"], "-37.50 SEK"),
    effect("stripe/po_1/payout", ["K/2/1"], "-1000.00 SEK"),
)
ENTRIES = (entry("C/1/1", "1250.00 SEK"), entry("K/1/1", "-37.50 SEK"), entry("K/2/1", "-1000.00 SEK"))


def test_the_identity_holds_with_everything_in_its_place() -> None:
    open_parts = not_booked(held="-40.00", waiting="-2.50", under_way="-100.00", planned="10.00", set_aside="5.00")
    identity = clearing_identity(money("185.00 SEK"), money("100.00 SEK"), ENTRIES, EFFECTS, open_parts, "SEK")
    assert open_parts.total() == money("-127.50 SEK")
    assert identity.ledger == money("212.50 SEK")
    assert not identity.difference
    assert identity.holds
    assert identity.named == ()


def test_an_ore_of_difference_shows() -> None:
    identity = clearing_identity(money("312.51 SEK"), money("100.00 SEK"), ENTRIES, EFFECTS, not_booked(), "SEK")
    assert identity.difference == money("0.01 SEK")
    assert not identity.holds


def test_a_persons_posting_is_named() -> None:
    entries = (*ENTRIES, entry("A/9/1", "-5.00 SEK", "bank charges"))
    identity = clearing_identity(money("212.50 SEK"), money("0.00 SEK"), entries, EFFECTS, not_booked(), "SEK")
    assert [
        (difference.name, difference.reference, difference.amount, difference.text) for difference in identity.named
    ] == [("posting_by_person", "A/9/1", money("-5.00 SEK"), "bank charges")]
    assert identity.difference == money("5.00 SEK")
    assert not identity.holds


def test_a_persons_posting_and_its_correction_need_no_name() -> None:
    entries = (*ENTRIES, entry("A/9/1", "-5.00 SEK"), entry("A/9/1", "5.00 SEK"))
    identity = clearing_identity(money("212.50 SEK"), money("0.00 SEK"), entries, EFFECTS, not_booked(), "SEK")
    assert identity.holds
    assert identity.named == ()


def test_a_voucher_that_is_gone_or_changed_is_named() -> None:
    entries = (entry("C/1/1", "1250.00 SEK"), entry("K/2/1", "-999.00 SEK"))
    identity = clearing_identity(money("212.50 SEK"), money("0.00 SEK"), entries, EFFECTS, not_booked(), "SEK")
    assert [(difference.name, difference.reference, difference.amount) for difference in identity.named] == [
        ("voucher_missing", "stripe/acct_1/fees/SEK/2026-03-02", money("37.50 SEK")),
        ("voucher_differs", "stripe/po_1/payout", money("1.00 SEK")),
    ]
    assert not identity.holds


def test_a_document_that_landed_twice_shows_as_a_posting_of_nobody_of_ours() -> None:
    entries = (*ENTRIES, entry("K/3/1", "-37.50 SEK"))
    identity = clearing_identity(money("212.50 SEK"), money("0.00 SEK"), entries, EFFECTS, not_booked(), "SEK")
    assert identity.difference == money("37.50 SEK")
    assert [difference.reference for difference in identity.named] == ["K/3/1"]


def test_a_foreign_balance_is_compared_by_the_documents_that_stand_in_the_ledger() -> None:
    effects = (
        effect("stripe/ch_1/sale", ["B/1/1", "C/1/1"], "100.00 EUR", "1130.00 SEK"),
        effect("stripe/acct_1/fees/EUR/2026-03-02", ["K/1/1"], "-3.00 EUR", "-33.90 SEK"),
    )
    entries = (entry("C/1/1", "1130.00 SEK"), entry("K/1/1", "-33.90 SEK"))
    identity = clearing_identity(money("117.00 EUR"), money("20.00 EUR"), entries, effects, not_booked("EUR"), "SEK")
    assert identity.holds
    assert (identity.ledger, identity.ledger_books) == (money("97.00 EUR"), money("1096.10 SEK"))
    gone = clearing_identity(money("117.00 EUR"), money("20.00 EUR"), entries[:1], effects, not_booked("EUR"), "SEK")
    assert gone.difference == money("-3.00 EUR")
    revalued = clearing_identity(
        money("117.00 EUR"),
        money("20.00 EUR"),
        (*entries, entry("A/1/1", "9.00 SEK")),
        effects,
        not_booked("EUR"),
        "SEK",
    )
    assert not revalued.difference
    assert not revalued.holds


def test_what_a_person_set_aside_and_booked_by_hand_is_due_in_the_ledger() -> None:
    entries = (*ENTRIES, entry("A/9/1", "-500.00 SEK", "refund by hand"))
    aside = money("-500.00 SEK")
    identity = clearing_identity(money("-287.50 SEK"), money("0.00 SEK"), entries, EFFECTS, not_booked(), "SEK", aside)
    assert identity.holds
    assert [difference.reference for difference in identity.named] == ["A/9/1"]
    missing = clearing_identity(money("-287.50 SEK"), money("0.00 SEK"), ENTRIES, EFFECTS, not_booked(), "SEK", aside)
    assert missing.difference == aside, "they said so, and it does not stand there"
    assert not missing.holds


def test_of_a_foreign_balance_too() -> None:
    effects = (effect("stripe/ch_1/sale", ["B/1/1", "C/1/1"], "100.00 EUR", "1130.00 SEK"),)
    by_hand = (entry("C/1/1", "1130.00 SEK"), entry("A/9/1", "-565.00 SEK", "dispute by hand"))
    balance, aside = money("50.00 EUR"), money("-50.00 EUR")
    nothing, zero = not_booked("EUR"), Money.zero("EUR")
    identity = clearing_identity(balance, zero, by_hand, effects, nothing, "SEK", aside)
    assert identity.holds
    assert identity.ledger == balance
    missing = clearing_identity(balance, zero, by_hand[:1], effects, nothing, "SEK", aside)
    assert missing.difference == aside
    assert not missing.holds


def test_currencies_do_not_mix_in_the_identity() -> None:
    with pytest.raises(CurrencyMismatch):
        clearing_identity(money("1.00 SEK"), money("1.00 EUR"), (), (), not_booked(), "SEK")
    with pytest.raises(CurrencyMismatch):
        clearing_identity(money("1.00 SEK"), money("1.00 SEK"), (), (), not_booked("EUR"), "SEK")


amounts = st.integers(-(10**6), 10**6).map(lambda minor: Money(minor, "SEK"))
vouchers = st.lists(st.tuples(amounts, st.sampled_from(["stands", "gone", "changed"])), max_size=8)


@given(vouchers, st.lists(amounts, max_size=4), amounts, amounts)
def test_the_named_differences_are_the_whole_difference(
    ours: list[tuple[Money, str]], theirs: list[Money], opening: Money, held: Money
) -> None:
    """Σ named = ledger − documents, and where nothing is named the identity is what the documents say."""
    effects, entries = [], []
    for index, (amount, fate) in enumerate(ours):
        effects.append(BookedEffect(f"key/{index}", (f"K/{index}/1",), amount, amount))
        if fate != "gone":
            moved = amount if fate == "stands" else amount + Money(1, "SEK")
            entries += [LedgerEntry(f"K/{index}/1", DAY, "1686", part) for part in moved.allocate([1, 2])]
    entries += [LedgerEntry(f"A/{index}/1", DAY, "1686", amount) for index, amount in enumerate(theirs)]
    documents = Money.total((amount for amount, _ in ours), "SEK")
    provider = opening + documents + held
    parts = replace(not_booked(), held=held)
    identity = clearing_identity(provider, opening, entries, effects, parts, "SEK")
    named = Money.total((difference.amount for difference in identity.named), "SEK")
    assert named == identity.ledger_books - identity.documents_books
    assert named == -identity.difference
    assert identity.holds == (not named)


@given(st.lists(amounts, max_size=8), st.integers(-2, 2))
def test_a_payout_is_proved_by_its_lines_to_the_smallest_unit(nets: list[Money], off: int) -> None:
    amount = Money.total(nets, "SEK") + Money(off, "SEK")
    payout = Payout("po_1", amount, PayoutState.PAID, local(DAY), DAY, Itemisation.COMPLETE)
    proof = payout_proof(payout, nets)
    assert proof.difference.minor == off
    assert proof.holds == (off == 0)


def test_a_foreign_line_proves_nothing() -> None:
    payout = Payout("po_1", money("1.00 SEK"), PayoutState.PAID, local(DAY), DAY, Itemisation.COMPLETE)
    with pytest.raises(CurrencyMismatch):
        payout_proof(payout, [money("1.00 EUR")])


def test_an_opening_entry_on_the_start_date_does_not_count_twice() -> None:
    start = date(2026, 3, 1)
    opening = Money(500_00, "SEK")
    theirs = LedgerEntry("A/1/2", start, "1686", opening)
    own = LedgerEntry("V/1/2", start, "1686", opening)
    later = LedgerEntry("A/2/2", date(2026, 3, 2), "1686", opening)
    other = LedgerEntry("A/3/2", start, "1686", Money(1, "SEK"))
    rows = [theirs, own, later, other]
    assert without_opening(rows, opening, start, ["V/1/2"], "SEK") == [own, later, other]
    assert without_opening(rows[1:], opening, start, ["V/1/2"], "SEK") == rows[1:]
    assert without_opening(rows, Money(0, "SEK"), start, [], "SEK") == rows
    assert without_opening(rows, Money(500_00, "EUR"), start, [], "SEK") == rows


def test_what_a_proof_says_of_itself() -> None:
    """A reader files it: its reference, sums, currency and dates must be the right ones."""
    payout = Payout("po_1", money("10.00 SEK"), PayoutState.PAID, local(DAY), DAY, Itemisation.COMPLETE)
    proof = payout_proof(payout, [money("6.00 SEK"), money("3.00 SEK")])
    told = (proof.payout_ref, proof.amount, proof.items, proof.difference)
    assert told == ("po_1", money("10.00 SEK"), money("9.00 SEK"), money("1.00 SEK"))
    entries = (*ENTRIES, entry("A/9/1", "-5.00 SEK", "bank charges"))
    open_parts = not_booked(held="1.00")
    identity = clearing_identity(money("212.50 SEK"), money("0.00 SEK"), entries, EFFECTS, open_parts, "SEK")
    assert (identity.currency, identity.not_booked) == ("SEK", open_parts)
    assert [difference.booking_date for difference in identity.named] == [DAY]


@pytest.mark.parametrize(
    ("stands", "name"),
    [
        ("1130.01 SEK", "rounding"),
        ("1130.99 SEK", "rounding"),
        ("1131.00 SEK", "exchange"),
        ("1300.00 SEK", "voucher_differs"),
    ],
)
def test_a_foreign_voucher_that_differs_is_named_by_how_much(stands: str, name: str) -> None:
    sale = replace(effect("stripe/ch_1/sale", ["C/1/1"], "100.00 EUR", "1130.00 SEK"), foreign=True)
    identity = clearing_identity(
        money("100.00 EUR"), money("0.00 EUR"), (entry("C/1/1", stands),), (sale,), not_booked("EUR"), "SEK"
    )
    assert [difference.name for difference in identity.named] == [name]
