"""What PayPal's list may hold beside an ordinary month: everything is booked or held, and the identity holds."""

from datetime import timedelta

import pytest

from addon.services import opening as openings
from tests.flow.house import instant
from tests.flow.test_paypal import Shop, shop
from tests.support.town import WHO

__all__ = ["shop"]


@pytest.mark.parametrize("mode", ["plus", "settlement"])
def test_odd_rows_are_booked_or_held_and_the_balance_is_explained(shop: Shop, mode: str) -> None:
    paypal = shop.paypal
    old = shop.sale("2026-02-20", 700_00)
    first = shop.sale("2026-03-02", 1_000_00)
    euro = shop.sale("2026-03-02", 100_00, "EUR")
    dollar = shop.sale("2026-03-02", 90_00, "USD")
    # Given back: what was sold before the start, twice, in another currency, and all of it before it is charged back.
    paypal.refund(old.id, 300_00, instant("2026-03-03"))
    paypal.refund(first.id, 200_00, instant("2026-03-03"))
    paypal.refund(first.id, 200_00, instant("2026-03-03") + timedelta(minutes=1))
    paypal.record("T1107", -10_00, "EUR", at=instant("2026-03-03"), reference=first.id, reference_type="TXN")
    paypal.refund(euro.id, None, instant("2026-03-04"))
    paypal.record("T1201", -100_00, "EUR", at=instant("2026-03-05"), reference=euro.id, reference_type="TXN")
    paypal.refund(dollar.id, 40_00, instant("2026-03-04"))
    paypal.refund(dollar.id, 50_00, instant("2026-03-04") + timedelta(minutes=1))
    paypal.record("T1106", -600_00, "SEK", at=instant("2026-03-06"), reference=first.id, reference_type="TXN")
    # Held and let go in parts, under the hold's own id.
    held = paypal.hold(50_00, "SEK", at=instant("2026-03-05"))
    paypal.release(held.id, amount=20_00, at=instant("2026-03-06"))
    paypal.release(held.id, amount=30_00, at=instant("2026-03-06"))
    # Nothing, a fee alone, a fee that comes back, codes that nobody knows, and a balance below nought.
    paypal.record("T0006", 0, "SEK", at=instant("2026-03-07"), fee=-3_00)
    paypal.record("T0006", 0, "SEK", at=instant("2026-03-07"))
    paypal.record("T1108", 5_00, "SEK", at=instant("2026-03-07"))
    for code in ("T7777", "X", "T99999", "<b>T</b>", "T1400"):
        paypal.record(code, 11_00, "SEK", at=instant("2026-03-08"))
        paypal.record(code, -12_00, "SEK", at=instant("2026-03-08"))
    paypal.purchase(9_000_00, "SEK", at=instant("2026-03-09"))
    # Half of a conversion, and two conversions of one payment in the same second.
    paypal.record("T0200", 7_00, "EUR", at=instant("2026-03-10"), reference="LONELY000", reference_type="TXN")
    for _ in range(2):
        paypal.pair((-10_00, "EUR"), (110_00, "SEK"), code="T0200", reference="TWICE0000", at=instant("2026-03-11"))
    shop.opens(mode)
    shop.runs()
    proved = shop.identities()
    assert proved["SEK"].identity.opening.minor == old.net, "no row has gone into the opening"
    for currency, one in proved.items():
        assert not one.identity.difference, (currency, one.identity, shop.town.held(shop.company_id))
        assert one.identity.ledger_books == one.identity.documents_books
    shop.books.check()
    writes = shop.writes()
    shop.runs()
    assert shop.writes() == writes


def test_a_row_that_cannot_be_read_is_held_and_keeps_no_other_from_the_books(shop: Shop) -> None:
    first = shop.sale("2026-03-02", 1_000_00)
    odd = shop.sale("2026-03-19", 300_00)
    shop.sale("2026-03-04", 500_00)
    readable, odd.id = odd.id, "not an id!"
    shop.opens()
    shop.runs()
    assert shop.kinds()["sale"] == 2
    assert set(shop.held()) == {"unknown_kind"}
    assert not shop.identities()["SEK"].identity.difference
    writes = shop.writes()
    shop.runs()
    assert shop.writes() == writes and shop.stored() == 3
    # When it can be read it is another movement than what is held: the balance says that one of them is too many.
    odd.id = readable
    shop.paypal.touch(first)
    shop.runs()
    assert shop.stored() == 4
    assert shop.identities()["SEK"].identity.difference


@pytest.mark.parametrize("booked", [False, True], ids=["", "with the opening in the books"])
def test_what_the_balance_told_before_the_list_did_is_no_part_of_the_opening(shop: Shop, booked: bool) -> None:
    """While Kvitt was installed, a sale was in the balance and not in the list: it would count twice for ever."""
    shop.sale("2026-02-20", 700_00)
    shop.sale("2026-03-02", 1_000_00)
    late = shop.sale("2026-03-19", 300_00)
    late.visible_at = shop.world.clock.now() + timedelta(hours=2)
    shop.opens()
    shop.runs()
    before = shop.identities()["SEK"].identity.opening.minor
    if booked:
        services, company = shop.town.services, shop.company_id
        (question,) = openings.questions(services, company)
        openings.book(services, company, question.connection_id, "SEK", "1930", WHO)
        shop.runs()
    shop.time("2026-03-20 16:00")
    shop.runs()
    assert shop.kinds()["sale"] == 2
    proved = shop.identities()["SEK"].identity
    if booked:
        assert (proved.opening.minor, proved.difference.minor) == (before, -late.net), "a person is to see it"
    else:
        assert (proved.opening.minor, proved.difference.minor) == (before - late.net, 0)
        assert proved.ledger_books == proved.documents_books
        (question,) = openings.questions(shop.town.services, shop.company_id)
        assert question.amount.minor == before - late.net


def test_a_proposed_opening_goes_when_the_balance_turns_out_to_have_opened_with_nothing(shop: Shop) -> None:
    late = shop.sale("2026-03-19", 300_00)
    shop.sale("2026-03-02", 1_000_00)
    late.visible_at = shop.world.clock.now() + timedelta(hours=2)
    shop.opens("plus", **{f"accounts.{openings.ROLE}": "1930"})
    shop.runs()
    shop.runs()
    assert [row.state for row in shop.documents("opening")] == ["proposed"]
    shop.time("2026-03-20 16:00")
    shop.runs()
    shop.runs()
    assert not shop.documents("opening")
    assert not shop.identities()["SEK"].identity.difference


def test_holds_that_are_let_go_and_payments_that_are_denied_or_repeated_move_what_they_moved(shop: Shop) -> None:
    sale = shop.sale("2026-03-02", 1_000_00)
    denied = shop.sale("2026-03-03", 400_00, pending=True)
    held = shop.paypal.hold(200_00, "SEK", at=instant("2026-03-04"))
    shop.opens()
    shop.runs()
    late = shop.sale("2026-03-20 09:00", 300_00)
    late.visible_at = shop.world.clock.now() + timedelta(hours=2)
    shop.runs()
    shop.paypal.deny(denied.id)
    shop.paypal.release(held.id, at=instant("2026-03-20 09:30"))
    shop.time("2026-03-20 13:00")
    shop.runs()
    shop.paypal.touch(sale)
    shop.runs()
    assert shop.kinds()["sale"] == 2
    proved = shop.identities()["SEK"].identity
    assert not proved.difference, proved
    assert proved.ledger_books == proved.documents_books
