"""What a person does on the pages, without JavaScript: each press of a button is a form and a redirect."""

import re

from flask.testing import FlaskClient
from sqlalchemy import select

from addon.services import settings as company_settings
from addon.store.models import ActivityRow, CompanyWork, Connection, DeliveryRow, DocumentRow, PartRow
from tests.web.conftest import WHO, House
from tests.web.factory import Filled
from tests.web.html import check_html, words_of
from tests.web.test_access import token_of


def press(client: FlaskClient, address: str, **data: object) -> str:
    """Press a button; gives the words of the page that follows."""
    answer = client.post(address, data={"csrf_token": token_of(client), **data}, follow_redirects=True)
    assert answer.status_code == 200, answer.text[:300]
    check_html(answer.text)
    return words_of(answer.text)


def part_state(house: House, filled: Filled, name: str) -> tuple[str, str, str]:
    with house.services.db.company_reading(filled.company) as session:
        part = session.get_one(PartRow, filled.parts[name])
        return part.state, part.set_aside_by, part.set_aside_where


def test_held_parts_are_tried_again(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    text = press(client, "/inbox", part=[filled.parts["amount_differs"], filled.parts["touched"]], action="retry")
    assert "2 movements are looked at again" in text
    assert part_state(house, filled, "amount_differs")[0] == "open"
    with house.services.db.open() as session:
        assert session.get_one(CompanyWork, filled.company).wanted_at is not None


def test_all_of_a_reason_are_tried_again(house: House, filled: Filled) -> None:
    text = press(house.client(filled.company), "/inbox", all="several_invoices", action="retry")
    assert "1 movement is looked at again" in text
    assert part_state(house, filled, "several_invoices")[0] == "open"


def test_a_part_is_set_aside_by_name_and_place(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    text = press(client, "/inbox", part=filled.parts["unknown_kind"], action="set_aside", where="  A 77,\n December ")
    assert "1 movement is set aside" in text
    assert part_state(house, filled, "unknown_kind") == ("set_aside", WHO, "A 77, December")
    story = words_of(client.get(f"/transactions/{filled.movements['unknown_kind']}").text)
    assert f"by {WHO}" in story and "A 77, December" in story


def test_nothing_ticked_says_so(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    assert "Nothing was ticked" in press(client, "/inbox", action="retry")
    assert "Nothing was ticked" in press(client, "/preview/approve")
    answer = client.post("/inbox", data={"csrf_token": token_of(client), "part": "1", "action": "burn"})
    assert answer.status_code == 400


def test_one_document_is_approved_and_a_run_begins(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    text = press(client, "/preview/approve", document=filled.documents["proposed1"])
    assert "1 document is approved" in text and "Run" in text
    states = document_states(house, filled)
    assert [states[filled.documents[f"proposed{index}"]] for index in range(3)] == ["proposed", "approved", "proposed"]
    assert "approved already" in press(client, "/preview/approve", document=filled.documents["proposed1"])


def test_all_documents_are_approved(house: House, filled: Filled) -> None:
    text = press(house.client(filled.company), "/preview/approve", all="yes")
    assert "3 documents are approved" in text
    assert "proposed" not in document_states(house, filled).values()
    with house.services.db.company_reading(filled.company) as session:
        assert "proposed" not in set(session.scalars(select(DeliveryRow.state)))
        assert "approved" in set(session.scalars(select(ActivityRow.what)))


def document_states(house: House, filled: Filled) -> dict[int, str]:
    with house.services.db.company_reading(filled.company) as session:
        return {row.id: row.state for row in session.execute(select(DocumentRow.id, DocumentRow.state))}


def test_sync_now_leads_to_the_run(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    answer = client.post("/sync", data={"csrf_token": token_of(client)})
    assert answer.location == f"/runs/{filled.runs['running']}", "a run that is under way is joined"
    page = client.get(answer.location).text
    assert '<meta http-equiv="refresh"' in page, "without JavaScript the page asks again by itself"
    assert "143" in words_of(page) and "You may leave this page" in page


def test_sync_needs_a_mode(house: House, filled: Filled) -> None:
    with house.services.db.company(filled.company) as session:
        session.get_one(Connection, filled.connection).mode = ""
    text = press(house.client(filled.company), "/sync")
    assert "choose Basic or Plus first" in text


# --- Settings ------------------------------------------------------------------------------------------------


def test_settings_are_saved_with_who_changed_them(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    text = press(client, "/settings", wait_days="21", approve="first", fee_vat="exempt")
    assert "Saved." in text and f"Confirmed by {WHO}" in text
    kept = company_settings.values(house.services, filled.company)
    assert (kept["wait_days"], kept["approve"], kept["fee_vat"]) == ("21", "first", "exempt")
    log = words_of(client.get("/activity").text)
    assert "Show me first" in log and "Days to wait for an invoice" in log


def test_a_fault_saves_nothing_and_keeps_what_was_typed(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    answer = client.post(
        "/settings",
        data={"csrf_token": token_of(client), "wait_days": "999", "time_zone": "Mars/Olympus", "approve": "first"},
    )
    assert answer.status_code == 422
    checker = check_html(answer.text)
    assert {"fault-company-wait_days", "fault-company-time_zone"} <= checker.ids
    assert 'value="999"' in answer.text and 'value="Mars/Olympus"' in answer.text
    assert company_settings.values(house.services, filled.company)["approve"] == "automatic"


def opened(text: str) -> list[str]:
    """The folds of the settings page that stand open."""
    return re.findall(r'<details class="fold" id="fold-([a-z0-9_-]+)" open>', text)


def test_what_is_saved_is_folded_again_and_what_is_wrong_stands_open(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    text = client.get("/settings").text
    assert opened(text) == [] and 'id="fold-matching"' in text and 'id="fold-accounts"' in text
    form = {"csrf_token": token_of(client), "fold": "matching"}
    answer = client.post("/settings", data={**form, "wait_days": "20"})
    assert answer.location.endswith("/settings#fold-matching")
    assert "Days to wait for an invoice: 20" in words_of(client.get("/settings").text)
    answer = client.post("/settings", data={**form, "wait_days": "999"})
    assert answer.status_code == 422 and opened(answer.text) == ["matching"]
    own = f"/settings/connections/{filled.connection}"
    answer = client.post(own, data={"csrf_token": token_of(client), "fold": f"start-{filled.connection}"})
    assert answer.location.endswith(f"/settings#fold-start-{filled.connection}")
    answer = client.post("/settings", data={**form, "fold": '"><script>', "wait_days": "20"})
    assert answer.location.endswith("/settings#company"), "no other text gets into the address"


def test_the_mode_and_the_fields_of_a_connection_are_saved(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    press(client, f"/settings/connections/{filled.connection}", mode="basic")
    text = press(
        client,
        f"/settings/connections/{filled.connection}",
        order_fields=["", "your_reference", "ocr"],
        order_places="metadata.order_id, description",
    )
    assert "Saved." in text
    kept = company_settings.values(house.services, filled.company, filled.connection)
    assert kept["mode"] == "basic"
    assert kept["order_fields"] == "your_reference,ocr"
    assert kept["order_places"].replace(" ", "") == "metadata.order_id,description"


def test_a_clearing_account_is_for_one_thing(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    answer = client.post(
        f"/settings/connections/{filled.connection}",
        data={"csrf_token": token_of(client), "accounts.clearing:SEK": "6570"},
    )
    assert answer.status_code == 422
    assert "clearing account is for one thing only" in words_of(answer.text)


def test_strange_keys_change_nothing(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    before = company_settings.values(house.services, filled.company)
    text = press(
        client, "/settings", company_id="2", state="active", grant_sealed="x", **{"accounts.clearing:SEK": "1"}
    )
    assert "Saved." in text
    assert company_settings.values(house.services, filled.company) == before


def test_removing_kvitt_needs_a_tick(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    answer = client.post("/settings/uninstall", data={"csrf_token": token_of(client)})
    assert answer.status_code == 400 and "Nothing was changed" in answer.text
