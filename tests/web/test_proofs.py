"""The proof pages: well-formed, in words, each company's own, and their files as other programs read them."""

import csv
import io
import re
from datetime import timedelta

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader
from sqlalchemy import delete, func, select

from addon.core.money import Money
from addon.core.records import Itemisation, MovementKind, Payout, PayoutState
from addon.core.statement import Statement
from addon.services import statements
from addon.store.codec import encode
from addon.store.models import MovementRow, PayoutRow, ProofRow, StatementRow
from tests.web.conftest import House
from tests.web.factory import NOW, Filled, Writer, _proof, a_statement, sek
from tests.web.html import check_html, words_of
from tests.web.test_access import token_of

BANK = "Bokförd;Text;Belopp;Saldo\n2026-11-20;STRIPE PAYMENTS;{amount};11 212,50\n2026-11-21;=cmd;-5,00;1,00\n"


def keep(house: House, company: int, connection: int, statement: Statement, who: str = "Ada Auditor") -> int:
    with house.services.db.company(company) as session:
        row = StatementRow(
            connection_id=connection,
            currency=statement.currency,
            since=statement.since,
            until=statement.until,
            made_at=NOW,
            made_by=who,
            holds=statement.holds,
            fingerprint="x",
            value=encode(statement),
        )
        session.add(row)
        session.flush()
        return row.id


def good(text: str) -> str:
    checker = check_html(text)
    assert "content" in checker.ids
    assert not re.search(r"\bNone\b(?! of)|\bUndefined\b|<class|%\(", words_of(text))
    return words_of(text)


def days_of_history(house: House, filled: Filled) -> None:
    details = {
        "holds": True,
        "named": [],
        "books_currency": "SEK",
        "bank": {
            "arrived": 2,
            "faults": [
                {
                    "payout": "po_77",
                    "verdict": verdict,
                    "day": "2026-11-19",
                    "minor": 10_000,
                    "found_minor": 20_000,
                    "lines": ["V/13/2"],
                }
                for verdict in ("missing", "doubled", "amount_differs")
            ],
        },
        "open_invoices": [
            {"number": "1042", "key": "stripe/ch_1/invoice", "minor": 500, "currency": "EUR", "why": why}
            for why in ("on_its_way", "held", "unsettled", "unknown", "something new")
        ],
    }
    with house.services.db.company(filled.company) as session:
        for back in range(30, -1, -1):
            row: ProofRow = _proof(filled.connection, "SEK", 1000_00 + back * 77_00, 900_00, 100_00, 0, details)
            row.at = NOW - timedelta(days=back, hours=1)
            if back == 5:
                row.difference_minor = -100
            session.add(row)


def test_the_history_shows_each_day_the_bank_and_open_invoices(house: House, filled: Filled) -> None:
    days_of_history(house, filled)
    number = keep(house, filled.company, filled.connection, a_statement())
    page = house.client(filled.company).get("/proofs").text
    words = good(page)
    assert page.count("<rect") >= 30
    assert page.count('class="differs"') == 1
    for wanted in (
        "There more than once",
        "Another amount",
        "Missing",
        "has been opened again",
        "needs you",
        "Ada Auditor",
    ):
        assert wanted in words, wanted
    assert f"/statements/{number}" in page


def test_a_statement_can_be_read_and_filed(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    number = keep(house, filled.company, filled.connection, a_statement())
    page = client.get(f"/statements/{number}").text
    words = good(page)
    for wanted in (
        "Opening balance",
        "Gross sales",
        "payouts in transit",
        "Closing balance",
        "1686",
        "A person's entry",
    ):
        assert wanted in words, wanted
    assert 'class="kvitt"' not in page, "somebody has an entry on the account"
    newer = keep(house, filled.company, filled.connection, a_statement())
    assert f"/statements/{newer}" in client.get(f"/statements/{number}").text
    assert "changed since" not in client.get(f"/statements/{newer}").text

    pdf = client.get(f"/statements/{number}/pdf")
    assert (pdf.mimetype, pdf.headers["Content-Disposition"].split("filename=")[1]) == (
        "application/pdf",
        '"statement-stripe-SEK-2026-10-31.pdf"',
    )
    text = "\n".join(one.extract_text() for one in PdfReader(io.BytesIO(pdf.data)).pages)
    for wanted in (
        "Statement of Stripe, SEK",
        "Fjällbutiken AB",
        "1 250,00",
        "Payout in transit",
        "Ada Auditor",
        "1686",
    ):
        assert wanted in text, wanted
    rows = list(csv.reader(io.StringIO(client.get(f"/statements/{number}/csv").text)))
    assert ["Gross sales", "3", "1250.00"] in rows
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "@")]
    book = load_workbook(io.BytesIO(client.get(f"/statements/{number}/xlsx").data))
    assert book.worksheets[0]["C2"].value == 50
    assert client.get(f"/statements/{number}/exe").status_code == 404


def test_a_statement_in_words_when_it_holds_and_when_it_does_not() -> None:
    from dataclasses import replace

    clean = replace(a_statement(), named=())
    assert statements.verdict(clean).startswith("Kvitt")
    assert "the provider says 71.00 SEK" in statements.verdict(replace(clean, told=sek(71_00)))
    assert "not as Kvitt booked" in statements.verdict(a_statement())
    assert "1.00 SEK between" in statements.verdict(replace(clean, difference=Money(100, "SEK")))


def test_another_companys_statement_is_not_there(house: House, filled: Filled) -> None:
    number = keep(house, filled.other, filled.other_connection, a_statement())
    client = house.client(filled.company)
    for address in (f"/statements/{number}", f"/statements/{number}/pdf", "/statements/99999999999999999999"):
        assert client.get(address).status_code == 404, address
    token = token_of(client)
    answer = client.post(
        "/proofs/statement",
        data={
            "csrf_token": token,
            "account": f"{filled.other_connection}:SEK",
            "since": "2026-10-01",
            "until": "2026-10-31",
        },
        follow_redirects=True,
    )
    assert "Choose an account" in answer.text
    answer = client.post(
        "/proofs/bank",
        data={"csrf_token": token, "account": f"{filled.other_connection}:SEK", "text": BANK},
        follow_redirects=True,
    )
    assert "Choose an account" in answer.text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"since": "2026-10-31", "until": "2026-10-01"}, "not after the last"),
        ({"since": "rubbish", "until": "2026-10-01"}, "not after the last"),
        ({"since": "2020-10-31", "until": "2026-10-01"}, "financial year at most"),
        ({"account": "x:SEK", "since": "2026-10-01", "until": "2026-10-01"}, "Choose an account"),
        ({"account": "1:ZZZ", "since": "2026-10-01", "until": "2026-10-01"}, "Choose an account"),
    ],
)
def test_what_is_no_statement_is_said(house: House, filled: Filled, given: dict[str, str], told: str) -> None:
    client = house.client(filled.company)
    data = {"csrf_token": token_of(client), "account": f"{filled.connection}:SEK", **given}
    assert told in client.post("/proofs/statement", data=data, follow_redirects=True).text


def test_a_bank_statement_is_compared_with_the_payouts(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    good(client.get("/proofs/bank").text)
    account = f"{filled.connection}:SEK"
    page = client.get(f"/payouts/{filled.payouts['paid']}").text
    amount = re.findall(r'<data class="figure" value="(-?[\d.]+)"', page)[0].replace(".", ",")
    token = token_of(client)
    answer = client.post(
        "/proofs/bank",
        data={
            "csrf_token": token,
            "account": account,
            "file": (io.BytesIO(BANK.format(amount=amount).encode("cp1252")), "b.csv"),
        },
        content_type="multipart/form-data",
    )
    words = good(answer.text)
    assert "Arrived" in words and "STRIPE PAYMENTS" in words and "2 lines were read" in words
    again = client.post(
        "/proofs/bank",
        data={
            "csrf_token": token,
            "account": account,
            "text": BANK.format(amount=amount),
            "day": "0",
            "amount": "3",
            "words": "1",
        },
    )
    assert "Another amount" in good(again.text)
    wrong = client.post(
        "/proofs/bank",
        data={"csrf_token": token, "account": account, "text": BANK, "day": "0", "amount": "99", "words": "1"},
        follow_redirects=True,
    )
    assert "found no table" in wrong.text
    unclear = client.post("/proofs/bank", data={"csrf_token": token, "account": account, "text": "a;b\nc;d\n"})
    assert "Choose them below" in good(unclear.text)
    for text, told in (("hello", "found no table"), ("", "Choose an account and a file"), ("1;2\n" * 120_000, "too")):
        answer = client.post(
            "/proofs/bank", data={"csrf_token": token, "account": account, "text": text}, follow_redirects=True
        )
        assert told in answer.text


def test_a_payouts_proof_as_a_workbook(house: House, filled: Filled) -> None:
    answer = house.client(filled.company).get(f"/payouts/{filled.payouts['paid']}/proof.xlsx")
    book = load_workbook(io.BytesIO(answer.data))
    lines = list(book["Lines"].iter_rows(min_row=2, values_only=True))
    assert len(lines) == 6
    proof = {row[0]: row[4] for row in book["Proof"].iter_rows(min_row=2, values_only=True)}
    assert round(sum(line[7] for line in lines), 2) == proof["Together"] == proof["Paid out"]  # type: ignore[misc]
    assert proof["Difference"] == 0


def test_the_record_of_a_movement_can_be_kept(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    movement = filled.movements["unknown_kind"]
    data = client.get(f"/transactions/{movement}/evidence.json")
    assert data.mimetype == "application/json"
    assert data.json is not None
    assert data.json["provider"] == "stripe"
    pdf = client.get(f"/transactions/{movement}/evidence.pdf")
    reader = PdfReader(io.BytesIO(pdf.data))
    assert "hovercraft_rental/eels" in reader.pages[0].extract_text()
    assert reader.attachments["record.json"] == [data.data]
    assert client.get(f"/transactions/{filled.other_movement}/evidence.pdf").status_code == 404


def test_the_tables_of_a_company_can_be_taken_along(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    answer = client.get("/export/csv")
    assert answer.mimetype == "application/zip"
    import zipfile

    pack = zipfile.ZipFile(io.BytesIO(answer.data))
    text = pack.read("movements.csv").decode("utf-8-sig")
    assert "txn_0" in text and "SECRET" not in text
    assert "no such financial year" in client.get("/export/csv?year=1999", follow_redirects=True).text
    assert client.get("/export/exe").status_code == 404


def test_records_are_attached_when_a_person_asks(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    answer = client.post("/evidence", data={"csrf_token": token_of(client)})
    assert answer.status_code == 303
    assert answer.location.startswith("/runs/")
    words = words_of(client.get("/activity").text)
    assert "records attached" in words


def test_a_consent_without_files_is_said_where_it_matters(house: House, filled: Filled) -> None:
    from dataclasses import replace

    from addon.store.models import AccountingConnection

    client = house.client(filled.company)
    assert "has not let Kvitt in to files" not in client.get("/welcome").text
    with house.services.db.company(filled.company) as session:
        row = session.query(AccountingConnection).one()
        grant = house.services.box.open_grant(row.grant_sealed)
        row.grant_sealed = house.services.box.seal_grant(replace(grant, scope="bookkeeping invoice"))
    for address in ("/welcome", "/settings"):
        page = client.get(address).text
        assert "has not let Kvitt in to files" in page
        assert 'action="/evidence"' not in page


def a_payout_by_hand(house: House, filled: Filled, *, after: int | None) -> str:
    """A payout of 200.00 that has no list, with a balance before it and perhaps one after; gives its page."""
    at = NOW - timedelta(days=2)
    with house.services.db.company(filled.company) as session:
        payout = Payout("po_hand", sek(200_00), PayoutState.PAID, at, at.date(), Itemisation.NONE)
        row = PayoutRow(
            connection_id=filled.connection,
            ref=payout.ref,
            amount_minor=payout.amount.minor,
            currency="SEK",
            state=payout.state.value,
            itemisation=payout.itemisation.value,
            arrival_date=payout.arrival_date,
            paid_out_at=at,
            items_read=False,
            value=encode(payout),
            raw={"id": payout.ref},
            fetched_at=at,
        )
        session.add(row)
        session.execute(delete(ProofRow).where(ProofRow.connection_id == filled.connection))
        writer = Writer(session, filled.connection)
        writer.movement("txn_hand", MovementKind.PAYOUT, sek(-200_00), at, source=payout.ref, state="open")
        hours = {-26: 1_000_00} | ({2: after} if after is not None else {})
        for hour, balance in hours.items():
            proof = _proof(filled.connection, "SEK", balance, balance, 0, 0, {"holds": True})
            proof.at = at + timedelta(hours=hour)
            session.add(proof)
        between = session.scalar(
            select(func.coalesce(func.sum(MovementRow.net_minor), 0)).where(
                MovementRow.connection_id == filled.connection,
                MovementRow.currency == "SEK",
                MovementRow.occurred_at > at - timedelta(hours=26),
                MovementRow.occurred_at <= at + timedelta(hours=2),
                MovementRow.ref != "txn_hand",
            )
        )
        if after is not None:
            proof.provider_minor += int(between or 0)
        session.flush()
        number = row.id
    return house.client(filled.company).get(f"/payouts/{number}").text


def test_a_payout_without_a_list_is_proved_by_the_balance_before_and_after(house: House, filled: Filled) -> None:
    page = a_payout_by_hand(house, filled, after=800_00)
    words = good(page)
    assert "the running balance proves it" in words
    assert 'class="kvitt"' in page
    for wanted in ("Balance before", "1\u202f000,00", "This payout", "\u2212200,00", "Balance after"):
        assert wanted in words, wanted
    assert "Difference" not in words


def test_a_balance_that_moved_by_something_else_is_said(house: House, filled: Filled) -> None:
    page = a_payout_by_hand(house, filled, after=799_00)
    words = good(page)
    assert "moved by something that the provider has not reported" in words
    assert "Difference" in words
    assert 'class="kvitt"' not in page


def test_without_two_readings_nothing_is_claimed(house: House, filled: Filled) -> None:
    words = good(a_payout_by_hand(house, filled, after=None))
    assert "it has not told both yet" in words
    assert "Balance before" not in words
