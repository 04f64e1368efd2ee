"""Every page of a company that has lived for a while: well-formed, in words, and its own."""

import html
import re

import pytest

from addon.core.delivery import PartState
from addon.core.holds import HoldReason
from addon.core.records import MovementKind
from addon.services import pages
from addon.services.pages import Cursor, TransactionFilter
from tests.web.conftest import House
from tests.web.factory import NOW, Filled, sek
from tests.web.html import check_html, words_of

ADDRESSES = (
    "/overview",
    "/transactions",
    "/transactions?state=held",
    "/transactions?q=10234",
    "/transactions?since=2026-11-12&until=2026-11-20&kind=sale&currency=SEK&connection=1",
    "/transactions?q=nothing-like-this",
    "/transactions?state=rubbish&kind=rubbish&since=rubbish&at=rubbish&connection=rubbish&currency=rubbish",
    "/payouts",
    "/proofs",
    "/proofs/bank",
    "/inbox",
    "/inbox?reason=unknown_kind",
    "/preview",
    "/settings",
    "/welcome",
    "/activity",
    "/backfill",
    "/",
)


def assert_good(text: str) -> None:
    checker = check_html(text)
    assert "content" in checker.ids
    assert "SECRET" not in text
    assert not re.search(r"\bNone\b(?! of)|\bUndefined\b|<class|%\(", words_of(text))


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page_is_well_formed(house: House, filled: Filled, address: str) -> None:
    answer = house.client(filled.company).get(address)
    assert answer.status_code == 200, answer.text[:500]
    assert_good(answer.text)


def test_every_story_run_and_payout_is_well_formed(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    for kind, ids in (("transactions", filled.movements), ("payouts", filled.payouts), ("runs", filled.runs)):
        for name, number in ids.items():
            answer = client.get(f"/{kind}/{number}")
            assert answer.status_code == 200, (kind, name)
            assert_good(answer.text)


@pytest.mark.parametrize(
    "address",
    [
        "/transactions",
        "/payouts",
        "/proofs",
        "/proofs/bank",
        "/inbox",
        "/preview",
        "/settings",
        "/welcome",
        "/activity",
    ],
)
def test_an_empty_company_is_told_what_will_appear(house: House, address: str) -> None:
    from tests.web.factory import new_company

    company_id = new_company(house.services, "Nyss AB", "556000-0000", "2001", state="setting_up")
    answer = house.client(company_id).get(address)
    assert answer.status_code == 200
    assert_good(answer.text)


def test_the_overview_of_a_company_that_is_not_set_up_leads_to_the_steps(house: House) -> None:
    from tests.web.factory import new_company

    company_id = new_company(house.services, "Nyss AB", "556000-0000", "2001")
    answer = house.client(company_id).get("/overview")
    assert (answer.status_code, answer.location) == (303, "/welcome")


def test_the_word_kvitt_with_its_mark_stands_only_where_an_identity_holds(house: House, filled: Filled) -> None:
    page = house.client(filled.company).get("/overview").text
    cards = re.findall(r'<article class="sheet identity">.*?</article>', page, re.DOTALL)
    assert len(cards) == 3
    has_mark = {re.findall(r'<span class="muted">(\w+)<', card)[0]: 'class="kvitt"' in card for card in cards}
    # SEK adds up with a payout under way; in EUR something needs a person; in USD books and provider differ.
    assert has_mark == {"SEK": True, "EUR": False, "USD": False}
    assert page.index('Stripe <span class="muted">SEK') < page.index('Stripe <span class="muted">EUR')


def test_a_payout_that_does_not_add_up_is_not_kvitt(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    assert 'class="kvitt"' in client.get(f"/payouts/{filled.payouts['paid']}").text
    for name in ("differs", "pending"):
        assert 'class="kvitt"' not in client.get(f"/payouts/{filled.payouts[name]}").text


def test_the_inbox_gives_every_reason_its_words_and_remedies(house: House, filled: Filled) -> None:
    page = house.client(filled.company).get("/inbox").text
    from addon.web.words import HOLDS

    with house.app.test_request_context():
        for reason in HoldReason:
            assert str(HOLDS[reason].title) in html.unescape(page)
    assert page.count('value="retry"') >= len(HoldReason)


def test_an_empty_inbox_says_kvitt_only_when_the_proofs_hold(house: House) -> None:
    from tests.web.factory import _proof, new_company, new_connection

    company_id = new_company(house.services, "Lugn AB", "556000-0001", "2002")
    connection = new_connection(house.services, company_id, "acct_lugn")
    assert 'class="kvitt"' not in house.client(company_id).get("/inbox").text
    with house.services.db.company(company_id) as session:
        session.add(_proof(connection, "SEK", 100, 100, 0, 0, {"holds": True}))
    assert 'class="kvitt"' in house.client(company_id).get("/inbox").text
    with house.services.db.company(company_id) as session:
        session.add(_proof(connection, "SEK", 100, 90, 0, 10, {"holds": False}))
    assert 'class="kvitt"' not in house.client(company_id).get("/inbox").text


def test_hostile_texts_are_shown_and_do_nothing(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    for address in ("/inbox", "/activity", "/overview", f"/transactions/{filled.movements['rejected']}"):
        page = client.get(address).text
        assert "<script>alert" not in page
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f]", page), address
    assert "&lt;script&gt;alert" in client.get("/inbox").text


def test_the_story_tells_provider_rule_books_and_calls(house: House, filled: Filled) -> None:
    text = words_of(house.client(filled.company).get(f"/transactions/{filled.movements['sale0']}").text)
    for piece in ("ch_0", "100,00", "1\u202f118,70", "own rate, 25 %", "1042", "B 311", "3001", "1686", "POST"):
        assert piece in text, piece
    assert text.index("ch_0") < text.index("own rate") < text.index("1042") < text.index("POST")


# --- Lists and their questions -------------------------------------------------------------------------------


def found(house: House, filled: Filled, **asked: object) -> list[str]:
    page = pages.transactions(house.services, filled.company, TransactionFilter(**asked), rows=200)  # type: ignore[arg-type]
    return [line.ref for line in page.lines]


def test_search_finds_by_reference_order_buyer_invoice_and_amount(house: House, filled: Filled) -> None:
    for text in ("txn_3", "ch_3", "10237", "#10237", "buyer3@exam", "1045", "1 148,70", "1148.70"):
        assert "txn_3" in found(house, filled, search=text), text
    assert found(house, filled, search="po_1")[0] == "txn_po_1"
    assert found(house, filled, search="SECRET-1") == []
    assert found(house, filled, search="%") == []
    assert found(house, filled, search="'; drop table movements; --") == []


def test_filters_narrow(house: House, filled: Filled) -> None:
    assert found(house, filled, kind=MovementKind.REFUND) == ["txn_refund"]
    assert len(found(house, filled, state=PartState.HELD)) == len(HoldReason) + 1
    assert found(house, filled, state=PartState.SET_ASIDE) == ["txn_aside"]
    assert found(house, filled, currency="JPY") == ["txn_open"]
    assert found(house, filled, connection_id=filled.other_connection) == []
    booked = found(house, filled, state=PartState.BOOKED)
    assert "txn_0" in booked and "txn_6" not in booked, "a sale whose fee waits is not wholly booked"


def test_paging_by_key_meets_every_row_once_in_both_directions(house: House, filled: Filled) -> None:
    everything = found(house, filled)
    forwards: list[str] = []
    cursor = None
    while True:
        page = pages.transactions(house.services, filled.company, None, cursor, rows=7)
        forwards += [line.ref for line in page.lines]
        if page.listing.older is None:
            break
        cursor = Cursor.parse(page.listing.older)
    assert forwards == everything
    backwards: list[str] = []
    while page.listing.newer is not None:
        page = pages.transactions(house.services, filled.company, None, Cursor.parse(page.listing.newer), rows=7)
        backwards = [line.ref for line in page.lines] + backwards
    assert backwards == everything[: len(backwards)] and len(backwards) > 20


@pytest.mark.parametrize("text", ["", "x", "AAAA", "KzIwMjY", "-" * 300, "K34x", "\u0000"])
def test_a_cursor_that_is_none_is_the_first_page(text: str) -> None:
    assert Cursor.parse(text) is None


def test_a_cursor_comes_back_as_it_was() -> None:
    for cursor in (Cursor(NOW, 7), Cursor(NOW, 7, backwards=True)):
        assert Cursor.parse(str(cursor)) == cursor


def test_the_proof_can_be_taken_away_and_holds_no_formula(house: House, filled: Filled) -> None:
    with house.services.db.company(filled.company) as session:
        from addon.store.models import MovementRow

        session.get_one(MovementRow, filled.movements["sale0"]).order_number = "=cmd|' /C calc'!A0"
    answer = house.client(filled.company).get(f"/payouts/{filled.payouts['paid']}/proof.csv")
    assert answer.mimetype == "text/csv"
    lines = answer.text.strip().splitlines()
    assert len(lines) == 7
    assert ",=cmd" not in answer.text and "'=cmd" in answer.text
    nets = sum(round(float(line.rsplit(",", 3)[1]) * 100) for line in lines[1:])
    proof = pages.payout(house.services, filled.company, filled.payouts["paid"])
    assert nets == proof.payout.amount.minor and proof.payout.proved and not proof.difference


def test_the_number_of_queries_does_not_grow_with_the_list(house: House, filled: Filled) -> None:
    from sqlalchemy import event

    counted: list[str] = []
    event.listen(house.services.db.engine, "before_cursor_execute", lambda *a: counted.append(str(a[2])))

    def queries(rows: int) -> int:
        counted.clear()
        pages.transactions(house.services, filled.company, rows=rows)
        return len(counted)

    assert queries(3) == queries(30)
    counted.clear()
    pages.inbox(house.services, filled.company)
    assert len(counted) < 12
    counted.clear()
    pages.overview(house.services, filled.company)
    assert len(counted) < 12


def test_what_lies_before_the_start_is_part_of_the_proof(house: House, filled: Filled) -> None:
    with house.services.db.company(filled.company) as session:
        from addon.store.models import PayoutRow

        row = session.get_one(PayoutRow, filled.payouts["paid"])
        row.amount_minor += 5000
        row.items_minor = (row.items_minor or 0) + 5000
    proof = pages.payout(house.services, filled.company, filled.payouts["paid"])
    assert proof.earlier == sek(5000) and not proof.difference and proof.payout.proved
    assert "From before your start date" in house.client(filled.company).get(f"/payouts/{proof.payout.id}").text


def test_an_invoice_says_whose_rate_it_was_made_at(house: House, filled: Filled) -> None:
    text = words_of(house.client(filled.company).get(f"/transactions/{filled.movements['sale0']}").text)
    assert "rate 11,30 Sveriges Riksbank" in text
