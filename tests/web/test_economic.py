"""A company whose books are in e-conomic comes in by the pages, signs in by a letter, and is nudged."""

import html
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from aiosmtpd.controller import Controller
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from addon.connectors.economic import nudge_path
from addon.connectors.mail import SmtpMailer
from addon.ports.errors import TryLater
from addon.ports.mail import Letter
from addon.ports.oauth import Grant
from addon.sandbox.economic import EconomicAgreement
from addon.services import connections, installation, settings, signing_in
from addon.services.context import Services
from addon.store.models import ActivityRow, CheckRow, Company, CompanyWork, Member, MovementRow, SignInLink
from addon.web.limits import limiter
from tests.support.town import Town
from tests.web.conftest import House, make_app
from tests.web.factory import Filled
from tests.web.html import check_html, words_of

CALLBACK = "/oauth/economic/callback"
ANSWERS = {"answer": "yes", "name": "Bo Bogholder", "email": "Bo@Havblik.example", "method": "invoices"}


class Person:
    """Somebody of an agreement, with a browser."""

    def __init__(self, house: House, built: Town, agreement: EconomicAgreement) -> None:
        self.house, self.town, self.agreement = house, built, agreement
        self.client: FlaskClient = house.client()

    def see(self, answer: TestResponse) -> str:
        check_html(answer.text)
        return html.unescape(words_of(answer.text))

    def sets_out(self) -> str:
        """From our page to the address that e-conomic sends back to, as a path."""
        start = self.client.get("/install/economic")
        assert start.status_code == 302
        asked = parse_qs(urlsplit(start.location).query)
        with httpx.Client(follow_redirects=False, timeout=60) as browser:
            page = browser.get(start.location)
            assert "asks for access" in page.text
            form = {"redirectUrl": asked["redirectUrl"][0], "agreement": str(self.agreement.number), "decision": "add"}
            back = browser.post(str(page.url.copy_with(query=None)), data=form)
        parts = urlsplit(back.headers["Location"])
        return f"{parts.path}?{parts.query}"

    def press(self, page: str, address: str, **data: str) -> TestResponse:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(page).text)
        assert token is not None, page
        return self.client.post(address, data={"csrf_token": token[1], **data})

    def confirms(self, **changed: str) -> TestResponse:
        return self.press("/install/confirm", "/install/confirm", **{**ANSWERS, **changed})

    def company(self) -> int | None:
        return installation.find_tenant(self.house.services, "economic", str(self.agreement.number))

    def installs(self) -> int:
        assert self.client.get(self.sets_out()).location == "/install/confirm"
        assert self.confirms().location == "/welcome"
        company = self.company()
        assert company is not None
        return company


@pytest.fixture
def person(lived_in: tuple[House, Town]) -> Person:
    house, built = lived_in
    return Person(house, built, built.world.economic.add_agreement("Havblik ApS", "12345674"))


# --- The way in ----------------------------------------------------------------------------------------------


def test_a_danish_shop_owner_reads_danish_from_the_first_page_on(person: Person) -> None:
    """By what the browser says alone: the start page, the page of e-conomic's own, the questions, and what follows."""
    client = person.client
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "da-DK,da;q=0.9,en;q=0.5"
    start = person.see(client.get("/"))
    assert "Hver betaling i dit regnskab" in start
    assert start.index("Installér i e-conomic") < start.index("Installér i Fortnox"), "a Dane's books are likely there"
    assert "locale=da-DK" in client.get("/install/economic").location
    assert client.get(person.sets_out()).location == "/install/confirm"
    asked = person.see(client.get("/install/confirm"))
    assert "e-conomic siger, at denne virksomhed vil bruge Kvitt" in asked and "faktureringsprincippet" in asked
    assert person.confirms().location == "/welcome"
    assert "Tilsluttet e-conomic: Havblik ApS" in person.see(client.get("/welcome"))
    settings_page = person.see(client.get("/settings"))
    for words in ("Indstillinger", "Mailadresse", "Hvordan dit regnskab føres", "Fjern Kvitt"):
        assert words in settings_page, words
    assert "Kvitts egen kassekladde" in settings_page and "bilagsserie" not in settings_page
    for address in ("/settings", "/settings/rules/new"):
        assert "12 % moms" not in person.see(client.get(address)), f"{address}: Denmark has no such rate"
    assert "Salg i Danmark uden moms" in person.see(client.get("/settings/rules/new"))
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "sv"
    assert "locale=sv-SE" in client.get("/install/economic").location


def test_installing_from_our_own_page(person: Person) -> None:
    assert "Install in e-conomic" in person.see(person.client.get("/"))
    assert person.client.get(person.sets_out()).location == "/install/confirm"
    assert person.company() is None, "nothing is bound before a person has said yes"
    text = person.see(person.client.get("/install/confirm"))
    for piece in ("e-conomic says", "Havblik ApS", "12345674", "Your e-mail address", "How are your books kept?"):
        assert piece in text, piece
    assert person.confirms().location == "/welcome"
    company = person.company()
    assert company is not None
    assert "Connected to e-conomic: Havblik ApS" in person.see(person.client.get("/welcome"))
    assert [member.email for member in signing_in.members(person.house.services, company)] == ["bo@havblik.example"]
    with person.house.services.db.company_reading(company) as session:
        log = {row.what: (row.who, row.facts) for row in session.scalars(select(ActivityRow))}
    assert log["settings_changed"] == ("Bo Bogholder", {"setting": "books_method", "old": "", "new": "invoices"})
    assert log["member_added"] == ("Bo Bogholder", {"address": "b…@havblik.example"})
    assert "bo@havblik.example" in person.see(person.client.get("/settings"))


def test_what_is_missing_on_the_page_is_said_and_the_grant_goes_on_waiting(person: Person) -> None:
    person.client.get(person.sets_out())
    for changed, piece in (
        ({"email": ""}, "This is no e-mail address"),
        ({"email": "bo@havblik\r\nBcc: x@evil.example"}, "This is no e-mail address"),
        ({"method": ""}, "Choose one of the two"),
        ({"method": "guess"}, "Choose one of the two"),
    ):
        answer = person.confirms(**changed)
        assert answer.status_code == 422
        assert piece in person.see(answer)
    assert person.company() is None
    assert person.confirms().location == "/welcome"


def test_the_question_is_asked_once(person: Person) -> None:
    company = person.installs()
    again = Person(person.house, person.town, person.agreement)
    again.client.get(again.sets_out())
    page = again.see(again.client.get("/install/confirm"))
    assert "How are your books kept?" not in page
    assert again.confirms(email="eva@havblik.example", method="payments").location == "/welcome"
    assert settings.values(person.house.services, company)["books_method"] == "invoices"
    emails = [member.email for member in signing_in.members(person.house.services, company)]
    assert emails == ["bo@havblik.example", "eva@havblik.example"]


def test_books_by_payments_stop_before_anything_is_booked(person: Person) -> None:
    person.client.get(person.sets_out())
    person.confirms(method="payments")
    text = person.see(person.client.get("/welcome"))
    assert "kept by payments (the cash method)" in text and "Nothing is booked until this is mended" in text
    company = person.company()
    assert company is not None
    with person.house.services.db.company_reading(company) as session:
        rows = session.scalars(select(CheckRow).where(CheckRow.code == "accrual_method"))
        assert all(not row.ok and row.stops for row in rows)
    person.press("/settings", "/settings", books_method="invoices")
    person.press("/welcome", "/welcome/check")
    assert "kept by payments (the cash method)" not in person.see(person.client.get("/welcome"))


def test_e_conomics_own_list_of_apps_may_begin(person: Person) -> None:
    token = person.town.world.economic.grant(person.agreement.number)
    assert person.client.get(f"{CALLBACK}?token={token}").location == "/install/confirm"
    assert person.company() is None
    assert "Havblik ApS" in person.see(person.client.get("/install/confirm"))
    assert person.confirms().location == "/welcome"


def test_saying_no_to_the_company_shown_throws_the_grant_away(person: Person) -> None:
    person.client.get(person.sets_out())
    assert person.confirms(answer="no", email="", method="").location == "/"
    assert person.client.get("/install/confirm").status_code == 400
    assert person.company() is None


@pytest.mark.parametrize("query", ["", "?token=", "?state=x", "?token=short", "?token=" + "x" * 600])
def test_an_answer_without_a_grant(person: Person, query: str) -> None:
    page = person.client.get(CALLBACK + query)
    assert page.status_code == 400
    assert "Nothing has been installed" in person.see(page)


def test_a_state_works_once_and_in_one_browser(person: Person) -> None:
    back = person.sets_out()
    stranger = Person(person.house, person.town, person.agreement)
    page = stranger.client.get(back)
    assert page.status_code == 400 and "belongs to another browser" in stranger.see(page)
    assert stranger.client.get("/install/confirm").status_code == 400
    assert person.client.get(back).location == "/install/confirm"
    assert person.client.get(back).status_code == 400


def test_an_address_out_of_a_browsers_history_signs_nobody_in(person: Person) -> None:
    """A grant of e-conomic has no end, and it came in an address: it opens the door once."""
    back = person.sets_out()
    assert person.client.get(back).location == "/install/confirm"
    assert person.confirms().location == "/welcome"
    person.client = person.house.client()
    token = parse_qs(urlsplit(back).query)["token"][0]
    mine = parse_qs(urlsplit(person.sets_out()).query)["state"][0]
    for query in (f"token={token}", f"token={token}&state={mine}"):
        page = person.client.get(f"{CALLBACK}?{query}")
        assert page.status_code == 400
        assert "used before" in person.see(page)
    assert person.client.get("/install/confirm").status_code == 400
    assert person.client.get("/overview").location == "/"
    # Whoever gives the permission once more comes in.
    assert person.client.get(person.sets_out()).location == "/install/confirm"


def test_whoever_brings_the_same_grant_before_it_is_confirmed_is_too_late_afterwards(person: Person) -> None:
    back = person.sets_out()
    assert person.client.get(back).location == "/install/confirm"
    owner, person.client = person.client, person.house.client()
    token = parse_qs(urlsplit(back).query)["token"][0]
    assert person.client.get(f"{CALLBACK}?token={token}").location == "/install/confirm"
    thief, person.client = person.client, owner
    assert person.confirms().location == "/welcome"
    assert thief.get("/install/confirm").status_code == 400


def test_a_grant_that_was_taken_back_is_refused(person: Person) -> None:
    back = person.sets_out()
    person.town.world.economic.revoke(person.agreement.number)
    page = person.client.get(back)
    assert page.status_code == 400 and "does not accept this permission" in person.see(page)
    assert parse_qs(urlsplit(back).query)["token"][0] not in page.text


def test_a_company_that_took_its_grant_back_is_led_to_e_conomic_again(person: Person) -> None:
    company = person.installs()
    person.town.world.economic.revoke(person.agreement.number)
    person.press("/welcome", "/welcome/check")
    page = person.client.get("/welcome")
    assert "e-conomic no longer lets Kvitt in" in person.see(page)
    assert 'href="/install/economic"' in page.text
    assert person.installs() == company
    assert "no longer lets Kvitt in" not in person.see(person.client.get("/welcome"))


def test_without_credentials_it_is_not_offered(house: House) -> None:
    bare = make_app(house.services, house.settings.model_copy(update={"economic_app_public_token": None}))
    client = bare.test_client()
    assert "e-conomic" not in re.sub(r"Fortnox and e-conomic", "", words_of(client.get("/").text))
    for address in ("/install/economic", f"{CALLBACK}?token=xxxxxxxxxxxxxxxxxxxx"):
        assert client.get(address).status_code == 404
    assert client.post("/webhooks/economic/1-x").status_code == 404


def test_from_the_install_page_to_a_booked_sale(person: Person) -> None:
    built, agreement = person.town, person.agreement
    theirs = agreement.person_creates_invoice(125)
    agreement.person_pays_invoice(theirs.number)
    before = agreement.trial_balance()
    company = person.installs()
    account = built.world.stripe.add_account(
        "Havblik ApS", country="DK", default_currency="dkk", balance_currencies=("dkk",)
    )
    sold_at = built.world.clock.now() - timedelta(days=2)
    buyer = {"email": "anna@example.com", "name": "Anna Andersen", "country": "DK"}
    account.charge(10_000, "dkk", metadata={"order_id": "1001"}, at=sold_at, **buyer)
    built.world.catch_up()
    built.world.stripe.connect(account)
    connection = connections.connect(
        built.services, company, "stripe", "connect", Grant("unused", subject=account.id), "Bo Bogholder"
    )
    built.choose(company, connection, mode="plus", start_date=(sold_at - timedelta(days=2)).date().isoformat())
    person.press("/welcome", "/welcome/check")
    built.repair(company)
    built.run(company)
    assert built.held(company) == []
    after = agreement.trial_balance()
    moved = {number: after.get(number, Decimal(0)) - before.get(number, Decimal(0)) for number in after | before}
    booked = {number: amount for number, amount in moved.items() if amount}
    assert (booked[1010], booked[6902]) == (Decimal("-80.00"), Decimal("-20.00"))
    assert sum(booked.values()) == 0
    # The provider's fees come with e-conomic's own code, which writes the VAT; the page of the sale says so.
    assert booked[6903] == -booked[6904] > 0
    with person.house.services.db.company_reading(company) as session:
        sale = session.scalars(select(MovementRow.id).where(MovementRow.kind == "sale")).one()
    page = person.see(person.client.get(f"/transactions/{sale}"))
    assert "3621 Provider's fees VAT code IYEU" in " ".join(page.split())
    agreement.check()


# --- The nudge -----------------------------------------------------------------------------------------------


def test_a_nudge_makes_us_look_once_in_a_while_and_nothing_else(person: Person) -> None:
    company = person.installs()
    services = person.house.services
    with services.db.open() as session:
        session.get_one(Company, company).state = "active"
    secret = person.house.settings.secret_key.get_secret_value().encode()
    address = f"/webhooks/economic/{nudge_path(secret, str(person.agreement.number))}"

    def wanted() -> bool:
        with services.db.open() as session:
            work = session.get_one(CompanyWork, company)
            was, work.wanted_at = work.wanted_at, None
            return was is not None

    wanted()
    for wrong in (
        address[:-1] + ("0" if address[-1] != "0" else "1"),
        "/webhooks/economic/1-x",
        "/webhooks/economic/é",
    ):
        assert person.client.post(wrong).status_code == 400
        assert not wanted()
    assert person.client.post(address, data='{"company": 99, "delete": true}').status_code == 204
    assert wanted()
    assert person.client.post(address).status_code == 204
    assert not wanted(), "not again within ten minutes"
    person.town.world.clock.advance(timedelta(minutes=11))
    assert person.client.post(address).status_code == 204
    assert wanted()
    person.town.world.clock.advance(timedelta(minutes=11))
    assert person.client.get(address).status_code == 204, "one that a person typed in over there"
    assert wanted()
    assert person.client.get("/webhooks/economic/1-x").status_code == 400


# --- Signing in by a letter ----------------------------------------------------------------------------------


@dataclass
class Letterbox:
    """A mail server that keeps what it is given."""

    letters: list[tuple[str, str, str]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        body = message.get_body()
        assert body is not None
        self.letters.append((envelope.rcpt_tos[0], str(message["Subject"]), body.get_content()))
        return "250 OK"


class Office(Controller):
    """A mail server on any free port, which it knows only when it listens."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@dataclass
class Post:
    """A house with a mail server, a company with an address, and browsers."""

    house: House
    services: Services
    box: Letterbox
    filled: Filled
    now: list[timedelta]

    def client(self) -> FlaskClient:
        return self.house.app.test_client()

    def asks(self, address: str, client: FlaskClient | None = None) -> TestResponse:
        browser = client or self.client()
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/sign-in").text)
        assert token is not None
        return browser.post("/sign-in", data={"csrf_token": token[1], "email": address})

    def wait_for(self, number: int) -> None:
        until = time.monotonic() + 60
        while len(self.box.letters) < number and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.box.letters) == number

    def link(self) -> str:
        found = re.search(r"http://\S+(/sign-in/\S+)", self.box.letters[-1][2])
        assert found is not None
        return found[1]

    def enters(self, link: str, company: int, client: FlaskClient) -> TestResponse:
        page = client.get(link)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        data = {"csrf_token": token[1] if token else "", "company": str(company)}
        return client.post(link, data=data)


@pytest.fixture
def post(house: House, filled: Filled) -> Iterator[Post]:
    limiter.reset()
    box = Letterbox()
    controller = Office(box, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        ahead = [timedelta(0)]
        began = house.services.now()
        services = replace(
            house.services,
            mailer=SmtpMailer(f"smtp://127.0.0.1:{controller.port}", "kvitt@kvitt.example"),
            now=lambda: began + ahead[0],
        )
        built = House(make_app(services, house.settings), services, house.settings)
        signing_in.add(services, filled.company, "Ada@Example.com", "Ada Bookkeeper")
        yield Post(built, services, box, filled, ahead)
    finally:
        controller.stop()


def test_a_link_in_a_letter_signs_in_once(post: Post) -> None:
    assert "a link is on its way" in words_of(post.asks(" ADA@example.com ").text)
    post.wait_for(1)
    address, subject, body = post.box.letters[0]
    assert (address, subject) == ("ada@example.com", "Sign in to Kvitt")
    assert "Fjällbutiken" not in body, "whoever mistyped an address tells nobody where it is known"
    link, client = post.link(), post.client()
    page = client.get(link)
    check_html(page.text)
    assert "Sign in to Fjällbutiken AB" in html.unescape(words_of(page.text))
    assert client.get("/overview").location == "/", "looking signs nobody in: mail scanners look"
    assert post.enters(link, post.filled.company, client).location == "/overview"
    assert client.get("/overview").status_code == 200
    assert "Ada Bookkeeper" in client.get("/welcome").text
    again = post.client()
    assert post.enters(link, post.filled.company, again).status_code == 400
    assert "no longer works" in words_of(again.get(link).text)
    with post.services.db.open_reading() as session:
        row = session.scalars(select(SignInLink)).one()
        assert row.token_hash not in link and link.rpartition("/")[2] not in row.token_hash


def test_a_link_leads_to_no_other_company_and_no_further_than_a_quarter_of_an_hour(post: Post) -> None:
    post.asks("ada@example.com")
    post.wait_for(1)
    first, client = post.link(), post.client()
    page = client.get(first).text
    assert "Grannen" not in page
    assert post.enters(first, post.filled.other, client).status_code == 400
    assert client.get("/overview").location == "/"
    post.asks("ada@example.com")
    post.wait_for(2)
    second = post.link()
    post.now[0] = timedelta(minutes=15)
    assert post.enters(second, post.filled.company, client).status_code == 400
    assert post.client().get(second).status_code == 400


def test_signing_out_everywhere_spends_the_letters_that_are_on_their_way(post: Post) -> None:
    signing_in.add(post.services, post.filled.other, "bo@example.com", "Bo")
    post.asks("ada@example.com")
    post.wait_for(1)
    mine = post.link()
    post.asks("bo@example.com")
    post.wait_for(2)
    installation.sign_out_everywhere(post.services, post.filled.company, "Ada")
    assert post.enters(mine, post.filled.company, post.client()).status_code == 400
    assert post.enters(post.link(), post.filled.other, post.client()).location == "/overview"


def test_an_address_of_two_companies_chooses(post: Post) -> None:
    signing_in.add(post.services, post.filled.other, "ada@example.com", "Ada")
    post.asks("ada@example.com")
    post.wait_for(1)
    link, client = post.link(), post.client()
    assert {door.company_id for door in signing_in.doors(post.services, link.rpartition("/")[2])} == {
        post.filled.company,
        post.filled.other,
    }
    assert post.enters(link, post.filled.other, client).location == "/overview"
    assert "Grannen AB" in client.get("/overview").text


def test_nobody_learns_whether_an_address_is_known(post: Post) -> None:
    def said(address: str) -> str:
        limiter.reset()
        return re.sub(r'value="[^"]*"', "", post.asks(address).text)

    known = said("ada@example.com")
    for unknown in ("nobody@example.com", "", "x" * 400, "ada@example.com\r\nBcc: y@example.com", "<script>"):
        assert said(unknown) == known
    post.wait_for(1)
    for _ in range(5):
        signing_in.ask(post.services, "ada@example.com", lambda token: Letter("x", token))
    assert len(post.box.letters) == signing_in.LINKS_AT_ONCE, "no more than three in a quarter of an hour"
    post.now[0] = timedelta(minutes=16)
    signing_in.ask(post.services, "ada@example.com", lambda token: Letter("x", token))
    assert len(post.box.letters) == signing_in.LINKS_AT_ONCE + 1


def test_addresses_are_given_and_taken_away_under_settings(post: Post) -> None:
    client = post.house.client(post.filled.company)
    page = client.get("/settings")
    check_html(page.text)
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)[0]
    client.post("/settings/members", data={"csrf_token": token, "email": "cleo@example.com"})
    client.post("/settings/members", data={"csrf_token": token, "email": "no address"})
    assert "This is no e-mail address" in words_of(client.get("/settings").text)
    listed = {member.email: member.id for member in signing_in.members(post.services, post.filled.company)}
    assert set(listed) == {"ada@example.com", "cleo@example.com"}
    post.asks("cleo@example.com")
    post.wait_for(1)
    stranger = post.house.client(post.filled.other)
    theirs = re.findall(r'name="csrf_token" value="([^"]+)"', stranger.get("/settings").text)[0]
    stranger.post("/settings/members/remove", data={"csrf_token": theirs, "member": str(listed["cleo@example.com"])})
    assert len(signing_in.members(post.services, post.filled.company)) == 2
    client.post("/settings/members/remove", data={"csrf_token": token, "member": str(listed["cleo@example.com"])})
    assert [member.email for member in signing_in.members(post.services, post.filled.company)] == ["ada@example.com"]
    assert post.enters(post.link(), post.filled.company, post.client()).status_code == 400
    with post.services.db.open_reading() as session:
        assert [row.email for row in session.scalars(select(Member))] == ["ada@example.com"]


def test_without_a_mail_server_nobody_is_promised_a_letter(house: House, filled: Filled) -> None:
    signing_in.add(house.services, filled.company, "ada@example.com", "Ada")
    page = house.client().get("/sign-in")
    check_html(page.text)
    assert "Send me a link" not in page.text and "Sign in with Fortnox" in words_of(page.text)
    signing_in.ask(house.services, "ada@example.com", lambda token: Letter("x", token))
    with pytest.raises(TryLater):
        SmtpMailer("smtp://127.0.0.1:9", "kvitt@kvitt.example").send("a@example.com", Letter("x", "y"))


def test_a_company_has_fifty_addresses_and_is_told_so(post: Post) -> None:
    with post.services.db.open() as session:
        at = post.services.now()
        session.add_all(
            Member(company_id=post.filled.company, email=f"m{number}@example.com", who="", created_at=at)
            for number in range(signing_in.MOST_MEMBERS - 1)
        )
    client = post.house.client(post.filled.company)
    token = re.findall(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)[0]
    client.post("/settings/members", data={"csrf_token": token, "email": "late@example.com"})
    text = words_of(client.get("/settings").text)
    assert "a company has 50 addresses at most" in text and "Links to sign in can be asked for" not in text
    assert "late@example.com" not in text
    client.post("/settings/members", data={"csrf_token": token, "email": "ada@example.com"})
    assert "Links to sign in can be asked for" in words_of(client.get("/settings").text), "it is there already"


# --- The checklist and the choices -----------------------------------------------------------------------------


def test_the_first_page_has_both_systems_lists(house: House) -> None:
    page = house.client().get("/").text
    check_html(page)
    text = html.unescape(words_of(page))
    for piece in (
        "There is a journal for Kvitt alone",
        "Fortnox: Settings, Financial years",
        "All settings, Extensions",
    ):
        assert piece in text, piece


def test_what_is_wrong_in_e_conomic_is_named_with_its_place_and_repaired(person: Person) -> None:
    agreement, built = person.agreement, person.town
    agreement.bar_account(5891)
    agreement.bar_period(built.world.clock.now().date())
    agreement.add_account(1020, "Salg af gavekort", "profitAndLoss", "U25")
    company = person.installs()
    assert [number for number, _ in built.world.economic.hooks] == [agreement.number], "registered at installation"
    hook = built.world.economic.hooks[agreement.number, "INVOICE_BOOKED"]
    built.world.economic.hooks.clear()
    person.press("/settings", "/settings", **{"accounts.sales:DK25": "1020"})
    person.press("/welcome", "/welcome/check")
    text = person.see(person.client.get("/welcome"))
    for piece in (
        "There is no journal Kvitt V",
        "No product group sells on account 1020 at 25 % VAT",
        "is closed or barred",
        "e-conomic does not tell Kvitt when an invoice is booked",
        str(hook.values["url"]),
        "e-conomic: All settings, Accounting, Journals",
        "All settings, Extensions, Web hooks",
    ):
        assert piece in text, piece
    assert "Fortnox" not in text
    with person.house.services.db.company_reading(company) as session:
        rows = {row.code: row for row in session.scalars(select(CheckRow)) if not row.ok}
    assert not {row.code for row in rows.values() if row.stops} - {"voucher_series"}
    person.press("/welcome", "/welcome/repair")
    text = person.see(person.client.get("/welcome"))
    for piece in ("There is no journal Kvitt V", "No product group sells", "does not tell Kvitt when"):
        assert piece not in text, piece
    assert "is closed or barred" in text, "what no call mends stays for a person"
    assert built.world.economic.hooks[agreement.number, "INVOICE_BOOKED"].values["url"] == hook.values["url"]
    assert any(group.sales_accounts[1] == 1020 for group in agreement.product_groups.values())


def test_without_the_role_only_that_is_said(person: Person) -> None:
    person.town.world.economic.role = "Sales"
    person.client.get(person.sets_out())
    person.confirms()
    text = person.see(person.client.get("/welcome"))
    assert "does not have the role SuperUser" in text and "Nothing is booked until this is mended" in text
    assert "is not in the chart" not in text


def test_what_invoices_name_is_chosen_out_of_the_registers(person: Person) -> None:
    company = person.installs()
    page = person.client.get("/settings").text
    text = person.see(person.client.get("/settings"))
    for piece in (
        "Dansk std. uden bankoplysninger (the usual one)",
        "20 Dansk std. m. bankoplysninger",
        "4 Øredifferencer",
    ):
        assert piece in text, piece
    for gone in ("Kontant", "cost_centre", "mail_invoice", "an order that you invoice"):
        assert gone not in page, gone
    person.press("/settings", "/settings", invoice_layout="20", customer_group="2", payment_terms="2")
    values = settings.values(person.house.services, company)
    assert (values["invoice_layout"], values["customer_group"], values["payment_terms"]) == ("20", "2", "2")
    for wanted in ({"mail_invoice": "yes"}, {"sale_document": "order"}, {"cost_centre": "1"}):
        refused = person.press("/settings", "/settings", **wanted)
        assert refused.status_code == 422 and "Nothing has been saved" in refused.text
    person.press("/settings", "/settings", invoice_layout="99")
    person.press("/welcome", "/welcome/check")
    assert "Layout 99, which you chose, is not there" in person.see(person.client.get("/welcome"))
    assert "99: not in your books" in person.see(person.client.get("/settings"))


def test_letting_go_takes_what_tells_us_away(person: Person) -> None:
    person.installs()
    assert person.town.world.economic.hooks
    person.press("/settings", "/settings/uninstall", sure="yes")
    assert not person.town.world.economic.hooks
