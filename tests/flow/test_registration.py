"""A new outside company is a folder and one line: the templates, registered by those, are connected, booked, proved."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from addon.config import load_settings
from addon.core.money import Money
from addon.ports import registry
from addon.ports.errors import NeedsReconnect
from addon.sandbox.serving import Server, serve_threaded
from addon.services import connections, installation, prerequisites, settings, signing_in
from addon.services.connections import TestModeRefused
from tests.flow import house
from tests.flow.house import START, Bed, House, instant
from tests.support.town import WHO
from tests.template.ledger import LedgerWorld
from tests.template.sandbox import TemplateWorld
from tests.web.conftest import House as Pages
from tests.web.conftest import make_app
from tests.web.html import check_html, words_of
from tests.web.test_access import token_of

LINE = registry.Registered("template", "The Template", folder="tests.template.payments")
"""All there is to say of a new provider outside of its folders."""
BOOKS_LINE = registry.Registered("ledger", "The Ledger", folder="tests.template.accounting")
"""The same of a new accounting system."""


@pytest.fixture
def played(database: tuple[str, str | None], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bed, TemplateWorld]]:
    """A town that knows the template by its line, and the provider that it leads to."""
    monkeypatch.setattr(registry, "PAYMENTS", [*registry.PAYMENTS, LINE])
    world: list[TemplateWorld] = []
    server: Server = serve_threaded(lambda environ, start: world[0].app()(environ, start))
    try:
        with house.bed(*database, settings={"TEMPLATE_API_URL": server.url}) as bed:
            world.append(TemplateWorld(bed.world.clock))
            yield bed, world[0]
    finally:
        server.shutdown()


def company(bed: Bed) -> House:
    made = House(bed.town, bed.world.add_business("Exempelbutiken AB", "556671-8899"), provider="template")
    made.company_id = bed.town.install(made.business)
    return made


def connects(made: House, key: str) -> int:
    return connections.receive_typed(made.town.services, made.company_id, "template", "key", (key,), WHO)


def test_one_line_and_a_folder_are_a_provider_whose_money_is_booked(played: tuple[Bed, TemplateWorld]) -> None:
    bed, world = played
    sale = world.record("payment", 1_250_00, fee=25_00, at=instant("2026-03-02"), reference="1001")
    world.record("payment", 500_00, fee=10_00, at=instant("2026-03-03"), reference="1002")
    world.record("refund", -250_00, at=instant("2026-03-04"), original=sale)
    world.record("withdrawal", -1_000_00, at=instant("2026-03-05"))
    world.record("novelty", 1_00, at=instant("2026-03-06"))
    made = company(bed)
    connection_id = connects(made, world.key)
    bed.town.choose(made.company_id, connection_id, mode="plus", start_date=START)
    prerequisites.check(bed.town.services, made.company_id)
    bed.town.repair(made.company_id)
    made.sets(**{"accounts.transit": "1940"})
    made.runs()
    assert [reason for _, reason, _ in bed.town.held(made.company_id)] == ["unknown_kind"]
    assert made.kinds()["sale"] == 2
    assert made.kinds()["refund"] == 1
    assert made.kinds()["payout"] == 1
    # Law 2 holds for it as for any other, and what a person calls it stands in the books.
    assert made.proves()["SEK"].identity.provider == Money(sum(world.balances().values()), "SEK")
    assert "The Template" in " ".join(voucher.description for voucher in made.books.vouchers.values())


def test_its_pages_are_there_without_a_line_of_their_own(played: tuple[Bed, TemplateWorld]) -> None:
    bed, world = played
    made = company(bed)
    settings = load_settings({"KVITT_ENV": "sandbox"})
    pages = Pages(make_app(bed.town.services, settings), bed.town.services, settings)
    client = pages.client(made.company_id)
    assert "Connect The Template" in client.get("/welcome").text
    page = client.get("/connect/template")
    assert "Make a key that only reads, and copy it." in page.text
    wrong = client.post("/connect/template", data={"csrf_token": token_of(client), "key": "another key"})
    assert (wrong.status_code, "This key is not known there." in wrong.text) == (400, True)
    right = client.post("/connect/template", data={"csrf_token": token_of(client), "key": world.key})
    assert (right.status_code, right.headers["Location"]) == (303, "/welcome")
    assert "The Template is connected." in client.get("/welcome").text
    assert "a key that reads" in client.get("/settings").text
    for address in ("/connect/nobody", "/oauth/nobody/callback"):
        assert client.get(address).status_code in (400, 404)
    assert pages.client().post("/webhooks/template", data=b"{}").status_code == 404
    assert pages.client().post("/webhooks/nobody", data=b"{}").status_code == 404


def test_a_key_that_is_not_known_and_one_for_tests_connect_nothing(played: tuple[Bed, TemplateWorld]) -> None:
    bed, world = played
    made = company(bed)
    with pytest.raises(NeedsReconnect):
        connects(made, "another key")
    world.live = False
    with pytest.raises(TestModeRefused):
        connects(made, world.key)


# --- An accounting system ------------------------------------------------------------------------------------


@dataclass
class Books:
    """A company whose books are in the template, whose provider is the other one, and the browser of its owner."""

    bed: Bed
    ledger: LedgerWorld
    provider: TemplateWorld
    pages: Pages
    client: FlaskClient

    def press(self, page: str, address: str, **data: str) -> TestResponse:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(page).text)
        assert found is not None, page
        return self.client.post(address, data={"csrf_token": found[1], **data})

    def see(self, answer: TestResponse) -> str:
        check_html(answer.text)
        return words_of(answer.text)

    def installs(self, **changed: str) -> TestResponse:
        """From the first page to the steps."""
        typed = self.press("/install/ledger", "/install/ledger", key=self.ledger.key)
        assert (typed.status_code, typed.location) == (303, "/install/confirm"), self.see(typed)
        answers = {"answer": "yes", "name": WHO, "email": "bo@example.test", **changed}
        return self.press("/install/confirm", "/install/confirm", **answers)

    @property
    def company_id(self) -> int:
        found = installation.find_tenant(self.bed.town.services, "ledger", self.ledger.number.replace("-", ""))
        assert found is not None
        return found

    def runs(self) -> House:
        """Connect the provider, choose Plus, mend what is red, and run."""
        made = House(self.bed.town, None, self.company_id, provider="template")  # type: ignore[arg-type]
        connection_id = connects(made, self.provider.key)
        self.bed.town.choose(self.company_id, connection_id, mode="plus", start_date=START)
        prerequisites.check(self.bed.town.services, self.company_id)
        self.bed.town.repair(self.company_id)
        made.sets(**{"accounts.transit": "1940"})
        made.runs()
        return made


@pytest.fixture
def opened(database: tuple[str, str | None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    """A town that knows both templates by their lines, and a browser that is signed in to nothing."""
    monkeypatch.setattr(registry, "PAYMENTS", [*registry.PAYMENTS, LINE])
    monkeypatch.setattr(registry, "ACCOUNTING", [*registry.ACCOUNTING, BOOKS_LINE])
    worlds: list[tuple[LedgerWorld, TemplateWorld]] = []
    ledger = serve_threaded(lambda environ, start: worlds[0][0].app()(environ, start))
    provider = serve_threaded(lambda environ, start: worlds[0][1].app()(environ, start))
    addresses = {"LEDGER_API_URL": ledger.url, "TEMPLATE_API_URL": provider.url}
    try:
        with house.bed(*database, settings=addresses) as bed:
            worlds.append((LedgerWorld(bed.world.clock), TemplateWorld(bed.world.clock)))
            given = load_settings({"KVITT_ENV": "sandbox", **addresses})
            pages = Pages(make_app(bed.town.services, given), bed.town.services, given)
            yield Books(bed, *worlds[0], pages, pages.client())
    finally:
        ledger.shutdown()
        provider.shutdown()


def test_one_line_and_a_folder_are_an_accounting_system_that_is_booked_into(opened: Books) -> None:
    world = opened.provider
    first = world.record("payment", 1_250_00, fee=25_00, at=instant("2026-03-02"), reference="1001", name="Eva Ek")
    world.record("payment", 500_00, fee=10_00, at=instant("2026-03-03"), reference="1002", name="Olle Ask")
    world.record("refund", -1_250_00, at=instant("2026-03-04"), original=first)
    world.record("withdrawal", -300_00, at=instant("2026-03-05"))
    world.record("novelty", 1_00, at=instant("2026-03-06"))
    assert opened.installs().location == "/welcome"
    made = opened.runs()
    assert made.kinds() == {"sale": 2, "refund": 1, "payout": 1, "fees": 2}
    assert made.held() == ["unknown_kind"]
    # Law 2, and the ledger itself as it stands over there.
    assert made.proves()["SEK"].identity.provider == Money(sum(world.balances().values()), "SEK")
    standing = opened.ledger.trial_balance()
    assert standing.pop(str(made.clearing())) == Decimal(500 - 10 - 25 - 300)
    assert standing.pop("1940") == Decimal(300)
    assert (standing["3001"], standing["2611"]) == (Decimal(-400), Decimal(-100))
    assert "1510" not in standing, "every invoice and credit note is closed"
    # Nothing is done twice, and nothing is written in a second run.
    before = opened.ledger.trial_balance(), len(opened.ledger.vouchers)
    made.runs()
    assert (opened.ledger.trial_balance(), len(opened.ledger.vouchers)) == before
    assert {row["order_number"] for row in opened.ledger.invoices.values()} == {"1001", "1002", ""}
    references = [invoice["reference"] for invoice in opened.ledger.invoices.values()]
    assert len(references) == len(set(references)) == 3
    assert all(row["booked"] for row in (*opened.ledger.invoices.values(), *opened.ledger.payments.values()))


def test_its_way_in_and_its_words_are_on_pages_that_know_no_system(opened: Books) -> None:
    client = opened.client
    first = opened.see(client.get("/"))
    assert "Install in The Ledger" in first
    assert "Fortnox, e-conomic, and The Ledger" in first
    assert "There: Company, Years" in first
    form = opened.see(client.get("/install/ledger"))
    for piece in ("With a key that you make there", "Choose Company, Keys", "It is tried at once"):
        assert piece in form, piece
    for key, piece in (("", "Fill in every field."), ("x" * 200, "Fill in every field."), ("wrong", "opens no books")):
        answer = opened.press("/install/ledger", "/install/ledger", key=key)
        assert answer.status_code == 400
        assert piece in opened.see(answer)
        assert "wrong" not in answer.text
    assert client.get("/install/confirm").status_code == 400
    typed = opened.press("/install/ledger", "/install/ledger", key=opened.ledger.key)
    assert typed.location == "/install/confirm"
    named = opened.see(client.get("/install/confirm"))
    for piece in ("The Ledger says", "Exempelbutiken AB", "556671-8899", "Your e-mail address"):
        assert piece in named, piece
    assert "How are your books kept?" not in named, "they tell it themselves"
    asked = opened.press("/install/confirm", "/install/confirm", answer="yes", name=WHO, email="")
    assert asked.status_code == 422
    done = opened.press("/install/confirm", "/install/confirm", answer="yes", name=WHO, email="bo@example.test")
    assert done.location == "/welcome"
    services, company_id = opened.bed.town.services, opened.company_id
    assert [member.email for member in signing_in.members(services, company_id)] == ["bo@example.test"]
    welcome = opened.see(client.get("/welcome"))
    assert "Connected to The Ledger: Exempelbutiken AB" in welcome
    assert "let Kvitt in to files" not in welcome
    connection_id = connections.receive_typed(services, company_id, "template", "key", (opened.provider.key,), WHO)
    opened.bed.town.choose(company_id, connection_id, mode="basic", start_date=START)
    shown = opened.see(client.get("/settings"))
    assert "Invoice number" in shown
    assert "Our reference" not in shown, "no order number stands there in these books"
    assert "The provider's record at each voucher" not in shown.replace("’", "'"), "these books take no files"
    assert "Each of these sales accounts needs a VAT code" in opened.see(client.get("/settings/vat"))
    assert client.get("/oauth/ledger/callback?code=x").status_code == 404
    assert client.get("/install/nobody").status_code == 404
    # The key opens the door again to whoever knows it: it stood in no address.
    again = Books(opened.bed, opened.ledger, opened.provider, opened.pages, opened.pages.client())
    assert again.installs().location == "/welcome"
    assert again.company_id == company_id


def test_books_by_the_cash_method_and_a_lost_key_stop_it_like_any_other(opened: Books) -> None:
    opened.ledger.accrual = False
    opened.installs()
    services, company_id = opened.bed.town.services, opened.company_id
    red = [one.check.code for one in prerequisites.latest(services, company_id) if one.check.stops and not one.check.ok]
    assert "accrual_method" in red
    opened.ledger.accrual = True
    opened.ledger.key = "another_key_altogether"
    with pytest.raises(NeedsReconnect):
        prerequisites.check(services, company_id)
    assert "The Ledger no longer lets Kvitt in" in opened.see(opened.client.get("/welcome"))
    assert settings.values(services, company_id)["books_method"] == ""


def test_the_templates_are_named_nowhere_in_the_add_on() -> None:
    """Files touched outside of a new company's folders, but for the line: none."""
    root = Path(__file__).resolve().parents[2]
    words = [word for line in (LINE, BOOKS_LINE) for word in (line.title, line.folder, f"{line.name.upper()}_API_URL")]
    files = [path for folder in ("addon", "templates", "migrations") for path in (root / folder).rglob("*.*")]
    sources = {path: path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".html", ".po")}
    assert len(sources) > 300
    touched = [path for path, text in sources.items() if any(word in text for word in words)]
    assert touched == []
    # One line each, and its names are what the database and the addresses have.
    for lines, line in ((registry.PAYMENTS, LINE), (registry.ACCOUNTING, BOOKS_LINE)):
        assert line.name not in [one.name for one in lines]
