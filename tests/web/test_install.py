"""Installing and connecting against the simulated world: each way in, and each way in which it goes wrong."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from addon.sandbox.world import Business
from addon.services import installation
from addon.store.models import AccountingConnection, Connection
from tests.support.town import Town
from tests.web.conftest import House
from tests.web.html import check_html, words_of

FORTNOX = "/oauth/fortnox/callback"
STRIPE = "/oauth/stripe/callback"
ALL_READS = (
    "balance_read",
    "balance_transaction_source_read",
    "charge_read",
    "dispute_read",
    "payment_intent_read",
    "payout_read",
)


class Visitor:
    """A person with a browser: Kvitt's pages by the test client, the sandbox's consent pages over HTTP."""

    def __init__(self, house: House, built: Town) -> None:
        self.house, self.town = house, built
        self.client: FlaskClient = house.client()
        self.world = built.world

    def consent(self, address: str, business: Business, *, allow: bool = True) -> str:
        """Answer the consent page at an address; where it sends the browser back to, as a path."""
        with httpx.Client(follow_redirects=False, timeout=60) as browser:
            page = browser.get(address)
            assert page.status_code == 200, page.text[:300]
            fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
            if "oauth-v1" in address:
                fields |= {"company": str(business.fortnox.database_number), "decision": "allow" if allow else "deny"}
            else:
                fields |= {"account": business.stripe.id, "answer": "allow" if allow else "deny"}
            action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
            target = str(page.url.join(action[1])) if action else address
            back = browser.post(target, data={name: value.replace("&amp;", "&") for name, value in fields.items()})
        assert back.status_code in (302, 303), back.text[:300]
        parts = urlsplit(back.headers["Location"])
        return f"{parts.path}?{parts.query}"

    def see(self, answer: TestResponse) -> str:
        check_html(answer.text)
        return words_of(answer.text)

    def press(self, page: str, address: str, **data: str) -> TestResponse:
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found is not None
        return self.client.post(address, data={"csrf_token": found[1], **data})

    def confirm(self, name: str = "Ada Bookkeeper") -> TestResponse:
        page = self.client.get("/install/confirm")
        assert page.status_code == 200, page.text[:500]
        return self.press(page.text, "/install/confirm", answer="yes", name=name)

    def install(self, business: Business) -> int:
        """From our own page, through consent, to the steps."""
        start = self.client.get("/install/fortnox")
        back = self.client.get(self.consent(start.location, business))
        assert back.location == "/install/confirm", words_of(back.text)
        assert self.confirm().location == "/welcome"
        company_id = installation.find_tenant(self.house.services, "fortnox", str(business.fortnox.database_number))
        assert company_id is not None
        return company_id


@pytest.fixture
def visitor(lived_in: tuple[House, Town]) -> Visitor:
    return Visitor(*lived_in)


@pytest.fixture
def shop(visitor: Visitor) -> Business:
    return visitor.world.add_business("Fjällbutiken AB", "556677-8899")


# --- Installing ----------------------------------------------------------------------------------------------


def test_installing_from_our_own_page(visitor: Visitor, shop: Business) -> None:
    start = visitor.client.get("/install/fortnox")
    asked = parse_qs(urlsplit(start.location).query)
    assert asked["account_type"] == ["service"] and asked["access_type"] == ["offline"] and len(asked["state"][0]) > 20
    assert asked["redirect_uri"] == ["http://127.0.0.1:8000/oauth/fortnox/callback"]
    back = visitor.client.get(visitor.consent(start.location, shop))
    assert back.location == "/install/confirm"
    page = visitor.client.get("/install/confirm")
    text = visitor.see(page)
    assert "Fjällbutiken AB" in text and "556677-8899" in text
    assert visitor.confirm().location == "/welcome"
    welcome = visitor.see(visitor.client.get("/welcome"))
    assert "Connected to Fortnox: Fjällbutiken AB" in welcome and "Ada Bookkeeper" in welcome


def test_the_marketplace_may_begin_without_a_state(visitor: Visitor, shop: Business) -> None:
    code = visitor.world.fortnox.give_consent(shop.fortnox.database_number)
    back = visitor.client.get(f"{FORTNOX}?code={code}")
    assert back.location == "/install/confirm"
    assert installation.companies(visitor.house.services) == (), "nothing is bound before a person has said yes"
    assert "Fjällbutiken AB" in visitor.see(visitor.client.get("/install/confirm"))
    assert visitor.confirm().location == "/welcome"
    assert [company.name for company in installation.companies(visitor.house.services)] == ["Fjällbutiken AB"]


def test_the_marketplace_may_begin_with_a_state_of_its_own(visitor: Visitor, shop: Business) -> None:
    code = visitor.world.fortnox.give_consent(shop.fortnox.database_number)
    page = visitor.client.get(f"{FORTNOX}?code={code}&state=theirs")
    assert page.status_code == 400 and "did not begin in this browser" in visitor.see(page)
    assert installation.companies(visitor.house.services) == ()
    on = visitor.press(page.text, "/install/fortnox/continue")
    assert on.location == "/install/confirm"
    assert visitor.confirm().location == "/welcome"


def test_a_consent_that_was_begun_in_another_browser_is_not_taken(visitor: Visitor, shop: Business) -> None:
    attacker = Visitor(visitor.house, visitor.town)
    start = attacker.client.get("/install/fortnox")
    back = attacker.consent(start.location, shop)
    page = visitor.client.get(back)
    assert page.status_code == 400
    assert visitor.client.get("/overview").location == "/"
    assert visitor.client.get("/install/confirm").status_code == 400


def test_a_state_works_once(visitor: Visitor, shop: Business) -> None:
    start = visitor.client.get("/install/fortnox")
    back = visitor.consent(start.location, shop)
    assert visitor.client.get(back).location == "/install/confirm"
    assert visitor.client.get(back).status_code == 400


def test_saying_no_on_the_page_that_names_the_company_throws_the_consent_away(visitor: Visitor, shop: Business) -> None:
    code = visitor.world.fortnox.give_consent(shop.fortnox.database_number)
    visitor.client.get(f"{FORTNOX}?code={code}")
    page = visitor.client.get("/install/confirm").text
    answer = visitor.press(page, "/install/confirm", answer="no")
    assert answer.location == "/"
    assert visitor.client.get("/install/confirm").status_code == 400
    assert installation.companies(visitor.house.services) == ()


def test_denied_consent(visitor: Visitor, shop: Business) -> None:
    start = visitor.client.get("/install/fortnox")
    page = visitor.client.get(visitor.consent(start.location, shop, allow=False))
    assert "You said no" in visitor.see(page) and "Nothing has been installed" in page.text
    assert installation.companies(visitor.house.services) == ()


def test_an_expired_code(visitor: Visitor, shop: Business) -> None:
    from datetime import timedelta

    code = visitor.world.fortnox.give_consent(shop.fortnox.database_number)
    visitor.world.clock.advance(timedelta(minutes=11))
    page = visitor.client.get(f"{FORTNOX}?code={code}")
    assert page.status_code == 400 and "has expired" in visitor.see(page)


def test_a_used_code(visitor: Visitor, shop: Business) -> None:
    code = visitor.world.fortnox.give_consent(shop.fortnox.database_number)
    assert visitor.client.get(f"{FORTNOX}?code={code}").location == "/install/confirm"
    page = Visitor(visitor.house, visitor.town).client.get(f"{FORTNOX}?code={code}")
    assert page.status_code == 400 and "used once" in visitor.see(page)


@pytest.mark.parametrize("query", ["", "?state=x", "?code=", "?error=server_error&error_description=Trasigt"])
def test_an_answer_without_a_code(visitor: Visitor, query: str) -> None:
    page = visitor.client.get(FORTNOX + query)
    assert page.status_code == 400
    assert "Nothing has been installed" in visitor.see(page)


@pytest.mark.parametrize("state", ["", "&state=somebody-elses"])
def test_words_that_nobody_asked_for_do_not_stand_on_our_page(visitor: Visitor, state: str) -> None:
    said = visitor.see(visitor.client.get(f"{FORTNOX}?error=call+0800&error_description=Pay+to+SE123{state}"))
    assert "Nothing has been installed" in said
    assert "0800" not in said and "SE123" not in said
    said = visitor.see(visitor.client.get(f"{FORTNOX}?error=server_error{state}"))
    assert "server_error" in said


def test_a_company_without_a_licence_is_told_which(visitor: Visitor, shop: Business) -> None:
    shop.fortnox.set_licences(shop.fortnox.licences - {"bookkeeping"})
    visitor.install(shop)
    text = visitor.see(visitor.client.get("/welcome"))
    assert "A licence is missing" in text and "Nothing is booked until this is mended" in text


def test_a_cash_method_company_is_told_before_anything_is_booked(visitor: Visitor) -> None:
    cash = visitor.world.add_business("Kontant AB", "556600-0001", method="CASH")
    visitor.install(cash)
    text = visitor.see(visitor.client.get("/welcome"))
    assert "uses the cash method" in text and "Nothing is booked until this is mended" in text


def test_fortnox_down_while_coming_back_loses_nothing(visitor: Visitor, shop: Business) -> None:
    from addon.sandbox.fortnox.faults import Fault

    code = visitor.world.fortnox.give_consent(shop.fortnox.database_number)
    visitor.world.fortnox.faults.add(Fault(kind="html_502_before", times=None, match="GET /3/companyinformation"))
    page = visitor.client.get(f"{FORTNOX}?code={code}")
    assert page.status_code in (502, 503)
    assert "Nothing" in visitor.see(page)


def test_installing_again_is_signing_in_and_changes_no_data(visitor: Visitor, shop: Business) -> None:
    first = visitor.install(shop)
    again = Visitor(visitor.house, visitor.town)
    assert again.install(shop) == first
    with visitor.house.services.db.company_reading(first) as session:
        assert len(session.scalars(select(AccountingConnection)).all()) == 1


def test_changing_to_another_company_is_said(visitor: Visitor, shop: Business) -> None:
    visitor.install(shop)
    second = visitor.world.add_business("Norrsken Design AB", "559012-3456")
    code = visitor.world.fortnox.give_consent(second.fortnox.database_number)
    visitor.client.get(f"{FORTNOX}?code={code}")
    assert "You are signed in to another company, Fjällbutiken AB" in visitor.see(
        visitor.client.get("/install/confirm")
    )


def test_red_prerequisites_are_repaired_by_a_press(visitor: Visitor) -> None:
    shop = visitor.world.add_business("Lucka AB", "556600-0002", inactive_accounts=(4535,))
    company_id = visitor.install(shop)
    page = visitor.client.get("/welcome")
    text = visitor.see(page)
    assert "Account 4535 is not active" in text
    repair = re.search(r'action="(/welcome/repair/\d+)">.*?Activate account 4535', page.text, re.DOTALL)
    assert repair is not None
    address = re.findall(r'action="(/welcome/repair/\d+)"', repair[0])[-1]
    after = visitor.press(page.text, address)
    assert after.location == "/welcome#books"
    assert "Account 4535 is not active" not in visitor.see(visitor.client.get("/welcome"))
    page = visitor.client.get("/welcome")
    if '/welcome/repair"' in page.text:
        visitor.press(page.text, "/welcome/repair")
    assert "mended" in visitor.see(visitor.client.get("/activity")).lower()
    assert company_id


# --- Connecting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["connect", "app"])
def test_connecting_stripe_with_one_click(visitor: Visitor, shop: Business, way: str) -> None:
    company_id = visitor.install(shop)
    start = visitor.client.get("/connect/stripe" if way == "connect" else f"/connect/stripe?way={way}")
    assert start.status_code == 302
    back = visitor.client.get(visitor.consent(start.location, shop))
    assert back.location == "/welcome", words_of(back.text)
    with visitor.house.services.db.company_reading(company_id) as session:
        row = session.scalars(select(Connection)).one()
        assert (row.way, row.account_ref, row.state) == (way, shop.stripe.id, "connected")
    text = visitor.see(visitor.client.get("/welcome"))
    assert "Connected: Stripe" in text and "Choose Plus" in text


def test_connecting_by_a_pasted_key(visitor: Visitor, shop: Business) -> None:
    company_id = visitor.install(shop)
    key = restricted_key(visitor, shop)
    page = visitor.client.get("/welcome").text
    answer = visitor.press(page, "/connect/stripe", key=f"  {key}\n")
    assert answer.location == "/welcome", words_of(answer.text)
    with visitor.house.services.db.company_reading(company_id) as session:
        row = session.scalars(select(Connection)).one()
        assert (row.way, row.account_ref) == ("key", shop.stripe.id)
        assert key.encode() not in row.grant_sealed
    assert key not in visitor.client.get("/settings").text


def restricted_key(visitor: Visitor, shop: Business) -> str:
    return shop.stripe.issue_restricted_key(ALL_READS)


@pytest.mark.parametrize("key", ["", "sk_live_whole", "rk_test_x", "rk_live_unknown", "x" * 400, "\u202erk_live"])
def test_a_key_that_will_not_do(visitor: Visitor, shop: Business, key: str) -> None:
    company_id = visitor.install(shop)
    page = visitor.client.get("/welcome").text
    answer = visitor.press(page, "/connect/stripe", key=key)
    if answer.status_code == 303:
        assert "restricted key" in visitor.see(visitor.client.get("/welcome"))
    else:
        assert answer.status_code in (400, 409), words_of(answer.text)
        assert "Nothing has been connected" in visitor.see(answer)
    with visitor.house.services.db.company_reading(company_id) as session:
        assert session.scalars(select(Connection)).all() == []


def test_denied_consent_at_stripe(visitor: Visitor, shop: Business) -> None:
    visitor.install(shop)
    start = visitor.client.get("/connect/stripe")
    page = visitor.client.get(visitor.consent(start.location, shop, allow=False))
    assert "You said no" in visitor.see(page)


def test_an_answer_of_stripe_that_is_not_ours(visitor: Visitor, shop: Business) -> None:
    visitor.install(shop)
    for query in ("?code=ac_x", "?code=ac_x&state=foreign", "?error=access_denied&state=foreign", ""):
        page = visitor.client.get(STRIPE + query)
        assert page.status_code == 400 and "Nothing has been connected" in visitor.see(page)


def test_stripes_answer_binds_only_the_company_that_set_out(visitor: Visitor, shop: Business) -> None:
    visitor.install(shop)
    start = visitor.client.get("/connect/stripe")
    back = visitor.consent(start.location, shop)
    # The same browser changes to another company in between: signing in forgets every state.
    second = visitor.world.add_business("Norrsken Design AB", "559012-3456")
    company_id = visitor.install(second)
    page = visitor.client.get(back)
    assert page.status_code == 400
    with visitor.house.services.db.company_reading(company_id) as session:
        assert session.scalars(select(Connection)).all() == []


def test_a_used_code_of_stripe(visitor: Visitor, shop: Business) -> None:
    visitor.install(shop)
    start = visitor.client.get("/connect/stripe")
    state = parse_qs(urlsplit(start.location).query)["state"][0]
    page = visitor.client.get(f"{STRIPE}?code=ac_made_up&state={state}")
    assert page.status_code == 400 and "Stripe said no" in visitor.see(page)


def test_an_account_of_another_company_is_refused(visitor: Visitor, shop: Business) -> None:
    visitor.install(shop)
    start = visitor.client.get("/connect/stripe")
    visitor.client.get(visitor.consent(start.location, shop))
    second = Visitor(visitor.house, visitor.town)
    other = visitor.world.add_business("Norrsken Design AB", "559012-3456")
    second.install(other)
    start = second.client.get("/connect/stripe")
    page = second.client.get(second.consent(start.location, shop))
    assert page.status_code == 409
    assert "Another company has connected this Stripe account" in visitor.see(page)
    assert "Fjällbutiken" not in page.text


def test_a_test_mode_account_is_refused(visitor: Visitor, shop: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor.install(shop)
    shop.stripe.livemode = False
    start = visitor.client.get("/connect/stripe")
    page = visitor.client.get(visitor.consent(start.location, shop))
    assert page.status_code == 409 and "test account" in visitor.see(page)


def test_disconnecting(visitor: Visitor, shop: Business) -> None:
    company_id = visitor.install(shop)
    start = visitor.client.get("/connect/stripe")
    visitor.client.get(visitor.consent(start.location, shop))
    page = visitor.client.get("/settings").text
    with visitor.house.services.db.company_reading(company_id) as session:
        connection_id = session.scalars(select(Connection.id)).one()
    answer = visitor.press(page, f"/connections/{connection_id}/disconnect")
    assert answer.location == "/settings"
    text = visitor.see(visitor.client.get("/settings"))
    assert "Stripe is disconnected" in text and "No provider is connected" in text


# --- The main job, by the pages alone ------------------------------------------------------------------------


def test_from_the_first_page_to_kvitt(visitor: Visitor, shop: Business, tmp_path: Path) -> None:
    from addon.services import runs

    shop.shop.sell_month(sales=12)
    company_id = visitor.install(shop)
    start = visitor.client.get("/connect/stripe")
    visitor.client.get(visitor.consent(start.location, shop))
    page = visitor.client.get("/welcome").text
    connection_id = int(re.findall(r"/settings/connections/(\d+)", page)[0])
    counted = visitor.client.post(
        f"/connections/{connection_id}/count",
        data={"csrf_token": re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]},
        headers={"HX-Request": "true"},
    )
    check_html(counted.text, whole=False)
    assert "Plus would make" in words_of(counted.text)
    begin = (visitor.world.clock.now().date().replace(day=1)).isoformat()
    visitor.press(page, f"/settings/connections/{connection_id}", mode="plus", back="welcome")
    first_day = min(order.at for order in shop.shop.orders).date().isoformat()
    visitor.press(page, f"/settings/connections/{connection_id}", start_date=min(begin, first_day), back="welcome")
    page = visitor.client.get("/welcome").text
    if 'action="/welcome/repair"' in page:
        visitor.press(page, "/welcome/repair")
    look = visitor.press(page, "/preview", since=first_day, until="2030-01-01")
    look_id = int(look.location.rsplit("/", 1)[1])
    assert runs.run_to_end(visitor.house.services, company_id, run_id=look_id, patience_s=200).state == "done"
    shown = visitor.client.get(look.location)
    assert shown.location == f"/preview?run={look_id}"
    assert "would be booked" in visitor.see(visitor.client.get(shown.location))
    assert visitor.client.get(f"/preview/{look_id}/documents.csv").text.count("\n") > 10
    assert visitor.client.get(f"/preview/{look_id}/documents.xlsx").data[:2] == b"PK"
    run = visitor.press(page, "/sync")
    assert re.fullmatch(r"/runs/\d+", run.location)
    assert runs.run_to_end(visitor.house.services, company_id, patience_s=200).state == "done"
    assert "Done" in visitor.see(visitor.client.get(run.location))
    overview = visitor.client.get("/overview")
    assert "Stripe says" in visitor.see(overview)
    listed = visitor.client.get("/transactions?kind=sale&state=booked").text
    story = re.findall(r"/transactions/\d+", listed)[0]
    text = visitor.see(visitor.client.get(story))
    for piece in ("What Stripe says", "What Kvitt decided", "Invoice and payment", "3001", "POST /3/invoices"):
        assert piece in text, piece
    for address in ("/payouts", "/inbox", "/activity", "/settings", "/welcome", "/preview"):
        assert visitor.client.get(address).status_code == 200
        visitor.see(visitor.client.get(address))
