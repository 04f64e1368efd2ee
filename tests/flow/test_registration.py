"""A new provider is a folder and one line: the template, registered by that line, is connected, booked and proved."""

from collections.abc import Iterator

import pytest

from addon.config import load_settings
from addon.core.money import Money
from addon.ports import registry
from addon.ports.errors import NeedsReconnect
from addon.sandbox.serving import Server, serve_threaded
from addon.services import connections, prerequisites
from addon.services.connections import TestModeRefused
from tests.flow import house
from tests.flow.house import START, Bed, House, instant
from tests.support.town import WHO
from tests.template.sandbox import TemplateWorld
from tests.web.conftest import House as Pages
from tests.web.conftest import make_app
from tests.web.test_access import token_of

LINE = registry.Registered("template", "The Template", folder="tests.template.payments")
"""All there is to say of a new provider outside of its folders."""


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
