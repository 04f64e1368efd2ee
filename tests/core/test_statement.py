"""Statements of a clearing account, with figures that an accountant can add up."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.core.books import LedgerEntry
from addon.core.delivery import PartState
from addon.core.documents import DocumentKind
from addon.core.money import Money
from addon.core.reconcile import BookedEffect
from addon.core.records import MovementKind, PartKind
from addon.core.statement import (
    DocumentFact,
    Group,
    OpenWhy,
    PartFact,
    Statement,
    group_of,
    make_statement,
)

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)


def sek(minor: int) -> Money:
    return Money(minor, "SEK")


def part(
    ref: str,
    minor: int,
    day: date,
    document: str = "",
    kind: MovementKind = MovementKind.SALE,
    share: PartKind = PartKind.AMOUNT,
    state: PartState | None = None,
    **more: object,
) -> PartFact:
    found = state or (PartState.BOOKED if document else PartState.HELD)
    return PartFact(ref, kind, share, day, sek(minor), found, document_key=document, **more)  # type: ignore[arg-type]


def document(key: str, minor: int, day: date, voucher: str, kind: DocumentKind = DocumentKind.SALE) -> DocumentFact:
    return DocumentFact(key, kind, day, BookedEffect(key, (voucher,), sek(minor), sek(minor)))


def entry(voucher: str, minor: int, day: date, text: str = "") -> LedgerEntry:
    return LedgerEntry(voucher, day, "1686", sek(minor), text)


def march(parts: list[PartFact], documents: list[DocumentFact], entries: list[LedgerEntry], told: int) -> Statement:
    return make_statement(FIRST, LAST, sek(50_00), sek(told), parts, documents, entries, "SEK", ("1686",))


def test_the_identity_of_a_month_with_a_payout_in_transit() -> None:
    """1 250 sold in March, 37.50 fee, paid out on the 31st; the bank has it on 2 April."""
    sale, late = date(2026, 3, 30), date(2026, 4, 2)
    parts = [
        part("txn_1", 1250_00, sale, "sale"),
        part("txn_1", -37_50, sale, "fees", share=PartKind.FEE),
        part("txn_2", -1212_50, LAST, "payout", kind=MovementKind.PAYOUT),
        part("txn_3", 100_00, date(2026, 4, 1), "next"),
        part("txn_0", 20_00, date(2026, 2, 27), "before"),
    ]
    documents = [
        document("sale", 1250_00, sale, "C/1/9"),
        document("fees", -37_50, sale, "V/1/9", DocumentKind.FEES),
        document("payout", -1212_50, late, "V/2/9", DocumentKind.PAYOUT),
        document("next", 100_00, date(2026, 4, 1), "C/2/9"),
        document("before", 20_00, date(2026, 2, 27), "C/0/9"),
    ]
    entries = [
        entry("C/0/9", 20_00, date(2026, 2, 27)),
        entry("C/1/9", 1250_00, sale),
        entry("V/1/9", -37_50, sale),
        entry("V/2/9", -1212_50, late),
        entry("C/2/9", 100_00, date(2026, 4, 1)),
    ]
    made = march(parts, documents, entries, 170_00)
    assert made.opening == sek(70_00)
    assert [(one.group, one.count, one.amount) for one in made.groups] == [
        (Group.SALES, 1, sek(1250_00)),
        (Group.FEES, 1, sek(-37_50)),
        (Group.PAYOUTS, 1, sek(-1212_50)),
    ]
    assert made.closing == made.told == sek(70_00)
    assert made.ledger == sek(1282_50)
    (transit,) = made.open_items
    assert (transit.why, transit.amount, transit.booked_on) == (OpenWhy.IN_TRANSIT, sek(-1212_50), late)
    assert (made.difference, made.holds) == (sek(0), True)


def test_what_is_not_booked_and_what_is_dated_elsewhere_are_lines() -> None:
    day = date(2026, 3, 10)
    parts = [
        part("held", 10_00, day, reason="unknown_kind"),
        part("waits", 11_00, day, state=PartState.WAITING, reason="invoice"),
        part("under_way", -12_00, day, state=PartState.WAITING, reason="payout_paid", kind=MovementKind.PAYOUT),
        part("planned", 13_00, day, state=PartState.PLANNED),
        part("fresh", 14_00, day, state=PartState.OPEN),
        part("aside", 15_00, day, state=PartState.SET_ASIDE),
        part("nought", 0, day, state=PartState.SET_ASIDE),
        part("later", 16_00, day, "later"),
        part("earlier", 17_00, date(2026, 4, 3), "earlier"),
        part("gone on", 18_00, date(2026, 4, 3)),
    ]
    documents = [
        document("later", 16_00, day, "C/1/9"),
        document("earlier", 17_00, date(2026, 4, 3), "C/2/9"),
    ]
    entries = [entry("C/1/9", 16_00, date(2026, 4, 1)), entry("C/2/9", 17_00, LAST)]
    made = march(parts, documents, entries, 50_00 + sum(one.amount.minor for one in parts))
    assert {(one.why, one.amount.minor) for one in made.open_items} == {
        (OpenWhy.HELD, 10_00),
        (OpenWhy.WAITING, 11_00),
        (OpenWhy.UNDER_WAY, -12_00),
        (OpenWhy.PLANNED, 13_00),
        (OpenWhy.PLANNED, 14_00),
        (OpenWhy.SET_ASIDE, 15_00),
        (OpenWhy.DATED_LATER, 16_00),
        (OpenWhy.DATED_EARLIER, -17_00),
    }
    assert made.closing == made.ledger + made.open_total()
    assert made.holds


def test_people_and_lost_vouchers_are_named_and_the_month_differs() -> None:
    day = date(2026, 3, 10)
    parts = [part("a", 100_00, day, "a"), part("b", 200_00, day, "b")]
    documents = [document("a", 100_00, day, "C/1/9"), document("b", 200_00, day, "C/2/9")]
    entries = [
        entry("C/1/9", 99_60, day),
        entry("A/7/9", 5_00, day, "Hello"),
        entry("A/8/9", 6_00, date(2026, 4, 1)),
    ]
    made = march(parts, documents, entries, 350_00)
    assert [(one.name, one.amount.minor) for one in made.named] == [
        ("rounding", -40),
        ("voucher_missing", -200_00),
        ("posting_by_person", 5_00),
    ]
    theirs = Money.total((one.amount for one in made.named), "SEK")
    assert made.difference == -theirs
    assert not made.holds


def test_an_entry_that_a_person_made_for_what_was_set_aside_is_as_it_should_be() -> None:
    day = date(2026, 3, 10)
    parts = [part("a", 100_00, day, state=PartState.SET_ASIDE, elsewhere=True)]
    made = march(parts, [], [entry("A/7/9", 100_00, day)], 150_00)
    assert (made.elsewhere, made.difference, made.holds) == (sek(100_00), sek(0), True)
    without = march(parts, [], [], 150_00)
    assert (without.difference, without.holds) == (sek(100_00), False)


def test_a_provider_that_says_otherwise_is_no_kvitt() -> None:
    made = march([], [], [], 51_00)
    assert (made.difference, made.closing, made.told, made.holds) == (sek(0), sek(50_00), sek(51_00), False)


def test_a_foreign_balance_is_compared_by_the_documents_that_stand() -> None:
    def euro(minor: int) -> Money:
        return Money(minor, "EUR")

    day = date(2026, 3, 10)
    parts = [
        PartFact("a", MovementKind.SALE, PartKind.AMOUNT, day, euro(100_00), PartState.BOOKED, document_key="a"),
        PartFact("b", MovementKind.SALE, PartKind.AMOUNT, day, euro(50_00), PartState.BOOKED, document_key="b"),
    ]
    effects = [
        BookedEffect("a", ("C/1/9",), euro(100_00), sek(1130_00), foreign=True),
        BookedEffect("b", ("C/2/9",), euro(50_00), sek(565_00), foreign=True),
    ]
    documents = [DocumentFact(one.key, DocumentKind.SALE, day, one) for one in effects]
    entries = [entry("C/1/9", 1140_00, day), entry("C/2/9", 565_00, day)]
    made = make_statement(FIRST, LAST, euro(0), euro(150_00), parts, documents, entries, "SEK")
    assert (made.ledger, made.ledger_books, made.difference) == (euro(150_00), sek(1705_00), euro(0))
    assert [(one.name, one.amount) for one in made.named] == [("exchange", sek(10_00))]
    assert not made.holds
    gone = make_statement(FIRST, LAST, euro(0), euro(150_00), parts, documents, entries[:1], "SEK")
    assert gone.difference == euro(50_00)
    fine = make_statement(
        FIRST, LAST, euro(0), euro(150_00), parts, documents, [entry("C/1/9", 1130_00, day), entries[1]], "SEK"
    )
    assert fine.holds
    changed = make_statement(
        FIRST, LAST, euro(0), euro(150_00), parts, documents, [entry("C/1/9", 2260_00, day), entries[1]], "SEK"
    )
    assert [one.name for one in changed.named] == ["voucher_differs"]


@pytest.mark.parametrize("kind", list(MovementKind))
def test_every_kind_belongs_to_a_term(kind: MovementKind) -> None:
    assert group_of(kind, PartKind.AMOUNT) in Group
    assert group_of(kind, PartKind.FEE) is Group.FEES


DAYS = st.dates(date(2026, 2, 20), date(2026, 4, 10))


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[PartFact], list[DocumentFact], list[LedgerEntry]]:
    """Parts of any state, documents of any part and day, and a ledger that has what the documents put there."""
    parts: list[PartFact] = []
    documents: list[DocumentFact] = []
    entries: list[LedgerEntry] = []
    for number in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(list(MovementKind)))
        share = draw(st.sampled_from(list(PartKind)))
        minor = draw(st.integers(-10_000, 10_000))
        state = draw(st.sampled_from(list(PartState)))
        day = draw(DAYS)
        key = f"d{draw(st.integers(0, 3))}" if state is PartState.BOOKED else ""
        parts.append(part(f"m{number}", minor, day, key, kind, share, state))
    for key in sorted({one.document_key for one in parts} - {""}):
        total = sum(one.amount.minor for one in parts if one.document_key == key)
        planned, kind_of = draw(DAYS), draw(st.sampled_from(list(DocumentKind)))
        documents.append(document(key, total, planned, f"V/{key}/9", kind_of))
        if total:
            entries.append(entry(f"V/{key}/9", total, draw(st.just(planned) | DAYS)))
    return parts, documents, entries


@given(lives(), DAYS, DAYS, st.integers(-500, 500).filter(bool))
def test_whatever_happened_the_statement_adds_up_and_a_strangers_entry_is_the_whole_difference(
    life: tuple[list[PartFact], list[DocumentFact], list[LedgerEntry]], one_day: date, other_day: date, foreign: int
) -> None:
    parts, documents, entries = life
    since, until = sorted((one_day, other_day))
    told = sek(77_00 + sum(one.amount.minor for one in parts))
    made = make_statement(since, until, sek(77_00), told, parts, documents, entries, "SEK")
    assert made.holds, made
    assert made.closing == made.told == made.ledger + made.open_total()
    assert made.closing == made.opening + Money.total((group.amount for group in made.groups), "SEK")
    theirs = [*entries, entry("A/1/9", foreign, since)]
    disturbed = make_statement(since, until, sek(77_00), told, parts, documents, theirs, "SEK")
    assert disturbed.difference == sek(-foreign)
    assert [one.name for one in disturbed.named] == ["posting_by_person"]
    # The month before and the month after meet without a seam.
    day_before = since - timedelta(days=1)
    before = make_statement(date(2026, 1, 1), day_before, sek(77_00), told, parts, documents, entries, "SEK")
    assert before.closing == made.opening
