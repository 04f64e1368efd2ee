"""The page of account rules: made, tried out, put in order, carried along; by forms, without JavaScript."""

from flask.testing import FlaskClient

from addon.core.routing import Action, Subject
from addon.services import rules
from tests.web.conftest import House
from tests.web.factory import Filled
from tests.web.html import check_html, words_of
from tests.web.test_access import token_of
from tests.web.test_actions import press

STALL = {
    "name": "Market stall",
    "action": "book",
    "kind": "sale",
    "method": "card, swish",
    "metadata_key_0": "channel",
    "metadata_0": "stall",
    "at_least": "1 000,50",
    "account": "3041",
    "cost_centre": "ST",
}


def send(client: FlaskClient, address: str, **data: object) -> tuple[int, str]:
    answer = client.post(address, data={"csrf_token": token_of(client), **data})
    check_html(answer.text)
    return answer.status_code, words_of(answer.text)


def names(house: House, filled: Filled) -> list[str]:
    return [one.rule.name for one in rules.all_rules(house.services, filled.company)]


def test_a_rule_is_tried_out_before_it_is_saved(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    everything = {"name": "All", "action": "book", "kind": "sale", "account": "3041", "vat": "SE12", "do": "look"}
    status, text = send(client, "/settings/rules/new", **everything)
    assert status == 200
    assert "What it would change" in text and "It fits" in text
    assert "account 3041" in text and "Sales, 12 % VAT" in text
    assert names(house, filled) == []


def test_a_rule_is_saved_changed_moved_and_deleted(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    text = press(client, "/settings/rules/new", **STALL, do="save")
    assert "Saved." in text and "Market stall" in text and "channel: stall" in text and "account 3041" in text
    (stored,) = rules.all_rules(house.services, filled.company)
    assert stored.rule.action is Action.BOOK
    assert {(one.subject, one.key, one.values) for one in stored.rule.conditions} == {
        (Subject.METHOD, "", ("card", "swish")),
        (Subject.METADATA, "channel", ("stall",)),
        (Subject.AT_LEAST, "", ("1000.50",)),
    }
    form = client.get(f"/settings/rules/{stored.id}").text
    check_html(form)
    assert 'value="card, swish"' in form and 'value="1000.50"' in form and "What it would change" in words_of(form)
    press(client, f"/settings/rules/{stored.id}", **{**STALL, "name": "Stall two"}, do="save")
    press(
        client,
        "/settings/rules/new",
        name="Klarna",
        action="ignore",
        kind="sale",
        method="klarna",
        where="K",
        do="save",
    )
    assert names(house, filled) == ["Stall two", "Klarna"]
    second = rules.all_rules(house.services, filled.company)[1].id
    press(client, f"/settings/rules/{second}/up")
    assert names(house, filled) == ["Klarna", "Stall two"]
    press(client, f"/settings/rules/{second}/down")
    assert names(house, filled) == ["Stall two", "Klarna"]
    text = press(client, f"/settings/rules/{second}/delete")
    assert "Deleted." in text
    assert names(house, filled) == ["Stall two"]
    log = words_of(client.get("/activity").text)
    assert "Saved an account rule" in log and "Deleted an account rule" in log and "Klarna" in log


def test_what_is_wrong_is_marked_and_kept_in_the_form(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    for wrong, problem in (
        ({"name": ""}, "give it a name"),
        ({"account": "12"}, "must be an account number"),
        ({"at_least": "much"}, "must be one amount"),
        ({"metadata_key_0": ""}, "needs the name of its field"),
        ({"kind": ""}, "choose what kind"),
        ({"action": "burn"}, "Choose what the rule does"),
        ({"connection": "9999"}, "Choose one of your connections"),
        ({"contra_account": "2421"}, "either a sales account"),
    ):
        status, text = send(client, "/settings/rules/new", **{**STALL, **wrong}, do="save")
        assert status == 422, wrong
        assert "Nothing has been saved" in text
        assert problem in text or "connection" in wrong
    assert names(house, filled) == []


def test_rules_are_carried_along_as_text(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    press(client, "/settings/rules/new", **STALL, do="save")
    answer = client.get("/settings/rules/export")
    assert answer.headers["Content-Disposition"] == "attachment; filename=kvitt-rules.json"
    assert "Market stall" in answer.text
    assert "Nothing has been changed: this is no file of rules" in press(client, "/settings/rules/import", rules="[]")
    text = press(client, "/settings/rules/import", rules=answer.text.replace("Market stall", "Fair"))
    assert "there are 1 now" in text
    assert names(house, filled) == ["Fair"]


def test_another_companys_rules_are_not_there(house: House, filled: Filled) -> None:
    press(house.client(filled.company), "/settings/rules/new", **STALL, do="save")
    (stored,) = rules.all_rules(house.services, filled.company)
    stranger = house.client(filled.other)
    assert stranger.get(f"/settings/rules/{stored.id}").status_code == 404
    assert stranger.get("/settings/rules/99999999999999999999999").status_code == 404
    for where in ("", "/up", "/delete"):
        answer = stranger.post(f"/settings/rules/{stored.id}{where}", data={"csrf_token": token_of(stranger), **STALL})
        assert answer.status_code == 404
    assert names(house, filled) == ["Market stall"]


def test_a_hostile_name_is_shown_as_text(house: House, filled: Filled) -> None:
    client = house.client(filled.company)
    press(client, "/settings/rules/new", **{**STALL, "name": "<script>alert(1)</script>"}, do="save")
    page = client.get("/settings/rules").text
    check_html(page)
    assert "<script>alert" not in page
