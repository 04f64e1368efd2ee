"""The pages of looking: what a run would write, what an undo would, and an earlier year."""

from flask.testing import FlaskClient
from sqlalchemy import select

from addon.core.documents import Document, PartRef
from addon.core.entries import entries_of
from addon.core.holds import Hold, HoldReason, Wait, WaitReason
from addon.services import previews, runs, undoing
from addon.services.backfill import LOOK as BACKFILL_LOOK
from addon.store.codec import decode
from addon.store.models import DocumentRow, RunItemRow, RunRow
from tests.core.samples import NUMBERS
from tests.web.conftest import House
from tests.web.factory import NOW, Filled
from tests.web.html import check_html, words_of
from tests.web.test_access import token_of
from tests.web.test_actions import press


def looked(house: House, filled: Filled, trigger: str, **asked: object) -> int:
    """A run that has looked, and saw all documents that the company has."""
    with house.services.db.company(filled.company) as session:
        run = RunRow(trigger=trigger, state="running", phase="look", cursor=dict(asked), counts={}, started_at=NOW)
        session.add(run)
        session.flush()
        run_id = run.id
        documents = [decode(Document, row) for row in session.scalars(select(DocumentRow.payload))]
    seen = previews.Foreseen(
        [previews.Seen(one, entries_of(one, NUMBERS, "SEK").rows, exact=False) for one in documents],
        [Hold((PartRef("txn_1", "amount"),), HoldReason.ALREADY_INVOICED, (("invoice", "7"), ("why", "mark")))],
        [Wait((PartRef("txn_2", "amount"),), WaitReason.PAYOUT_PAID, None, ())],
        complete=False,
    )
    previews.keep(house.services, filled.company, run_id, seen, "SEK", "SE")
    with house.services.db.company(filled.company) as session:
        session.get_one(RunRow, run_id).state = "done"
    return run_id


def page(client: FlaskClient, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text[:400]
    check_html(answer.text)
    return words_of(answer.text)


def test_a_look_is_shown_searched_and_taken_away(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    run_id = looked(house, filled, previews.TRIGGER, since="2000-01-01", until="2100-01-01")
    answer = client.get(f"/runs/{run_id}")
    assert (answer.status_code, answer.location) == (303, f"/preview?run={run_id}")
    assert client.get(f"/runs/{run_id}", headers={"HX-Request": "true"}).headers["HX-Redirect"] == answer.location
    text = page(client, answer.location)
    for piece in ("would be booked", "Per account", "1 would wait", "Another connection", "this is the beginning"):
        assert piece in text, piece
    page(client, f"/preview?run={run_id}&kind=sale&q=nothing-like-this&order=-total&from=0")
    page(client, f"/preview?run={run_id}&order=rubbish&from=rubbish&since=rubbish")
    csv = client.get(f"/preview/{run_id}/documents.csv?since=&until=")
    assert csv.status_code == 200 and csv.text.count("\n") > 3
    assert client.get(f"/preview/{run_id}/documents.xlsx?since=&until=").data[:2] == b"PK"
    assert client.get("/preview?run=999999").status_code == 404
    assert client.get("/preview/999999/documents.csv").status_code == 404
    other = house.client(filled.other)
    assert other.get(f"/preview?run={run_id}").status_code == 404
    assert other.get(f"/preview/{run_id}/documents.csv").status_code == 404


def test_a_refused_document_is_set_aside(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    number = filled.documents["proposed0"]
    text = press(client, "/preview/approve", document=number, action="refuse", where="A 12")
    assert "refused" in text or "approved already" in text
    text = press(client, "/preview/approve", one=filled.documents["proposed1"])
    assert "1 document is approved" in text


def test_an_undo_is_looked_at_before_it_is_pressed(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    done = filled.runs["done"]
    page(client, f"/runs/{done}/undo")
    run_id = looked(house, filled, undoing.LOOK, undo=done)
    with house.services.db.company(filled.company) as session:
        for reason in undoing.LeftAlone:
            payload = {"reason": reason.value, "facts": {"invoice": "12"}}
            session.add(RunItemRow(run_id=run_id, what="left", key="k/sale", kind="sale", words="12", payload=payload))
    answer = client.get(f"/runs/{run_id}")
    assert answer.location == f"/undo?run={run_id}"
    text = page(client, answer.location)
    assert "would be written" in text
    assert "Left alone 5" in text
    assert house.client(filled.other).get(f"/undo?run={run_id}").status_code == 404
    assert client.get("/runs/999999/undo").status_code == 404
    pressed = client.post(f"/runs/{done}/undo", data={"csrf_token": token_of(client), "action": "look"})
    assert pressed.status_code == 303
    assert runs.view(house.services, filled.company, int(pressed.location.rsplit("/", 1)[1])).trigger == undoing.LOOK
    page(client, f"/runs/{done}")


def test_an_earlier_year_is_looked_at(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    page(client, "/backfill")
    run_id = looked(house, filled, BACKFILL_LOOK, year=2025)
    answer = client.get(f"/runs/{run_id}")
    assert answer.location == f"/backfill?run={run_id}"
    assert "2025" in page(client, answer.location)
    assert "cannot come in" in press(client, "/backfill", year="1999", action="look")
