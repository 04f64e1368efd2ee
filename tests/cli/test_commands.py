"""The command line: exit statuses, the shapes of --json, and faults said in a sentence."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from addon.cli import main
from addon.sandbox.world import Business
from addon.services import installation
from addon.store.migrate import migrate
from tests.support.town import Town, town


class Terminal:
    """Runs commands with the environment of one installation."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env=self.environment, prog_name="kvitt")

    def json(self, *arguments: str, status: int = 0) -> Any:
        result = self(*arguments, "--json")
        assert result.exit_code == status, (result.exit_code, result.output, result.exception)
        return json.loads(result.stdout)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Town, Terminal]]:
    """A town on SQLite, and a terminal in it."""
    url = f"sqlite:///{tmp_path / 'kvitt.db'}"
    migrate(url)
    with town(url) as built:
        environment = {
            **built.running.environment(),
            "KVITT_ENV": "test",
            "DATABASE_URL": url,
            "REDIS_URL": "redis://127.0.0.1:9/0",
            "FORTNOX_CALLS_PER_5_S": "0",
            "LOOKUP_QUARANTINE_S": "1",
            "LEASE_S": "60",
        }
        yield built, Terminal(environment)


def shop(kvitt: Town, sales: int = 2) -> Business:
    business = kvitt.world.add_business("Fjällbutiken AB", "556677-8899", balance_currencies=("sek",))
    for _ in range(sales):
        business.shop.buy(business.shop.products[0].sku, currency="sek")
    return business


def start(kvitt: Town) -> str:
    return (kvitt.world.clock.now() - timedelta(days=3)).date().isoformat()


def test_the_main_job_from_a_terminal(place: tuple[Town, Terminal], tmp_path: Path) -> None:
    kvitt, kvitt_command = place
    business = shop(kvitt)
    company_id = kvitt.install(business)
    connection_id = kvitt.connect(company_id, business)
    name = "Fjällbutiken AB"

    checks = kvitt_command.json("doctor", name, status=1)
    assert {"check", "ok", "stops", "reason", "remedy"} <= set(checks[0])
    red = [check for check in checks if not check["ok"]]
    assert [(check["check"], check["stops"]) for check in red] == [("voucher_series", True)]
    assert red[0]["remedy"] == "Repair: make voucher series V"
    assert all(check["ok"] for check in kvitt_command.json("doctor", name, "--repair"))

    changed = kvitt_command.json(
        "settings", name, "--connection", str(connection_id), "mode=plus", f"start_date={start(kvitt)}"
    )
    assert changed["mode"] == "plus"
    assert kvitt_command.json("settings", str(company_id))["wait_days"] == "14"
    listed = kvitt_command.json("companies")
    assert [(one["id"], one["name"], one["accounting"]) for one in listed] == [(company_id, name, "fortnox")]
    connection = listed[0]["connections"][0]
    assert [connection[key] for key in ("id", "provider", "mode", "state")] == [
        connection_id,
        "stripe",
        "plus",
        "connected",
    ]

    previewed = kvitt_command.json("preview", name)
    sales = [document for document in previewed["documents"] if document["kind"] == "sale"]
    assert len(sales) == 2
    assert {"key", "kind", "date", "currency", "total", "lines"} <= set(sales[0])
    assert [(line["account"], line["amount"][:1]) for line in sales[0]["lines"]] == [
        ("3001", "-"),
        ("1686", sales[0]["total"][:1]),
    ]
    assert previewed["held"] == []
    assert not business.fortnox.invoices, "a preview writes nothing"

    synced = kvitt_command.json("sync", name)
    assert {"run", "fetched", "booked", "waiting", "held", "writes", "calls"} <= set(synced)
    assert synced["booked"] == 2, json.dumps(synced)
    assert synced["writes"] >= 9
    assert len(business.fortnox.invoices) == 2
    again = kvitt_command.json("sync", name, "--connection", str(connection_id))
    assert (again["booked"], again["writes"]) == (0, 0)

    proved = kvitt_command.json("prove", name)
    assert [(line["connection"], line["currency"], line["difference"]) for line in proved] == [
        (connection_id, "SEK", "0.00")
    ]
    assert {"provider", "ledger", "not_booked", "bank", "open_invoices"} <= set(proved[0])
    assert [found["verdict"] for found in proved[0]["bank"] if found["verdict"] != "arrived"] == []
    assert proved[0]["open_invoices"] == []

    for form, ending in (("sie", "se"), ("csv", "zip"), ("audit", "zip")):
        path = tmp_path / f"out.{form}.{ending}"
        told = kvitt_command.json("export", name, "--format", form, "--output", str(path))
        assert (told["bytes"], told["missing"]) == (path.stat().st_size, [])
    assert (
        "financial year that ends in 1999" in kvitt_command("export", name, "--format", "sie", "--year", "1999").stderr
    )

    for command in ("companies", "doctor", "preview", "sync", "prove", "settings"):
        result = kvitt_command(command, *(() if command == "companies" else (name,)))
        assert result.exit_code == 0, result.output
        assert result.stdout.strip()


def test_an_earlier_year_is_looked_at_and_a_run_undone_from_a_terminal(place: tuple[Town, Terminal]) -> None:
    kvitt, kvitt_command = place
    business = shop(kvitt)
    starts = date.fromisoformat(start(kvitt))
    new_year = starts.replace(month=1, day=1)
    # In January the days of this year come before last year's.
    day = starts - timedelta(days=17) if starts == new_year else max(starts - timedelta(days=17), new_year)
    early = datetime.combine(day, time(12), UTC)
    business.stripe.charge(
        500_00, "sek", metadata={"order_id": "77"}, at=early, email="early@example.com", name="Early"
    )
    kvitt.world.catch_up()
    kvitt.set_up(business, "plus", start(kvitt))
    name = "Fjällbutiken AB"
    ran = kvitt_command.json("sync", name)["run"]
    invoices = len(business.fortnox.invoices)

    year = str(early.year)
    seen = kvitt_command.json("backfill", name, "--year", year, "--dry-run")
    assert [one["total"] for one in seen["documents"] if one["kind"] == "sale"] == ["500.00"]
    assert "500" in kvitt_command("backfill", name, "--year", year, "--dry-run").output
    assert kvitt_command("backfill", name, "--year", "2004").exit_code == 2
    assert len(business.fortnox.invoices) == invoices, "a look writes nothing"

    looked = kvitt_command.json("undo", name, "--run", str(ran), "--dry-run")
    assert looked["dry_run"] is True and looked["undoes"] == ran
    assert looked["left_alone"] == looked["refused"] == []
    assert len(business.fortnox.invoices) == invoices
    undone = kvitt_command.json("undo", name, "--run", str(ran))
    assert [one["key"] for one in undone["documents"]] == [one["key"] for one in looked["documents"]]
    assert business.fortnox.balance(3001) == 0
    again = kvitt_command("undo", name, "--run", str(ran))
    assert again.exit_code == 0, "undone already is well"
    assert "left alone" in again.output
    assert kvitt_command("undo", name, "--run", "99999").exit_code == 2


def test_held_items_give_status_one(place: tuple[Town, Terminal]) -> None:
    kvitt, kvitt_command = place
    business = shop(kvitt, 0)
    business.stripe.adjustment(5000, reporting_category="loyalty", type="loyalty")
    kvitt.set_up(business, "plus", start(kvitt))
    previewed = kvitt_command.json("preview", "1", status=1)
    assert (previewed["documents"], len(previewed["held"])) == ([], 1)
    synced = kvitt_command.json("sync", "1", status=1)
    assert [(line["amount"], line["currency"], line["reason"]) for line in synced["held"]] == [
        ("50.00", "SEK", "unknown_kind")
    ]
    assert synced["held"][0]["text"].startswith("the provider uses a word that Kvitt does not know")
    assert kvitt_command("sync", "1").exit_code == 1
    assert "unknown_kind" not in kvitt_command("sync", "1").stdout, "people read words"
    assert kvitt_command("prove", "1").exit_code == 0, "held items are counted in the proof"


def test_a_difference_gives_status_one(place: tuple[Town, Terminal]) -> None:
    kvitt, kvitt_command = place
    business = shop(kvitt, 1)
    kvitt.set_up(business, "plus", start(kvitt))
    assert kvitt_command("sync", "1").exit_code == 0
    business.fortnox.person_posts_voucher([(1686, 10), (1930, -10)])
    lines = kvitt_command.json("prove", "1", status=1)
    assert [(line["currency"], line["difference"], line["holds"]) for line in lines] == [("SEK", "-10.00", False)]
    assert [named["name"] for named in lines[0]["named"]] == ["posting_by_person"]
    assert kvitt_command("sync", "1").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sync", "Nobody AB"), "no company is called 'Nobody AB'"),
        (("doctor", "99"), "no company is called '99'"),
        (("settings", "1", "wait_days"), "is not KEY=VALUE"),
        (("settings", "1", "wait_days=soon"), "nothing was changed"),
        (("settings", "1", "--connection", "77"), "no connection 77"),
        (("sync", "1", "--connection", "77"), "no connection 77"),
        (("sync", "1"), "not set up yet"),
        (("prove",), "Missing argument"),
        (("sync", "1", "--since", "yesterday"), "Invalid value"),
        (("nonsense",), "No such command"),
    ],
)
def test_what_cannot_be_run_is_said_with_status_two(
    place: tuple[Town, Terminal], arguments: tuple[str, ...], words: str
) -> None:
    kvitt, kvitt_command = place
    company_id = kvitt.install(shop(kvitt, 0))
    if arguments == ("sync", "1"):
        from addon.services import prerequisites

        prerequisites.check(kvitt.services, company_id)
        kvitt.repair(company_id)
    result = kvitt_command(*arguments)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_a_stopped_company_is_said(place: tuple[Town, Terminal]) -> None:
    kvitt, kvitt_command = place
    business = shop(kvitt, 1)
    kvitt.set_up(business, "plus", start(kvitt))
    business.fortnox.deactivate_account(1686)
    result = kvitt_command("sync", "1")
    assert result.exit_code == 2
    assert "active account for what the provider owes you" in result.stderr


def test_wrong_settings_and_an_old_schema_are_said(tmp_path: Path) -> None:
    result = Terminal({"KVITT_ENV": "production", "DATABASE_URL": "sqlite:///x.db"})("companies")
    assert result.exit_code == 2
    assert "SECRET_KEY: is missing" in result.stderr
    terminal = Terminal(
        {"KVITT_ENV": "test", "DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}", "REDIS_URL": "redis://127.0.0.1:9/0"}
    )
    result = terminal("companies")
    assert result.exit_code == 2
    assert "run kvitt migrate" in result.stderr
    assert terminal("migrate").exit_code == 0
    assert terminal.json("companies") == []


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for command in (
        *("migrate", "serve", "worker", "clock", "sandbox", "demo", "companies"),
        *("settings", "sync", "preview", "prove", "export", "doctor"),
    ):
        assert f"\n  {command} " in result.output


def test_keys_are_rotated_and_a_company_that_left_is_erased(place: tuple[Town, Terminal]) -> None:
    kvitt, terminal = place
    business = shop(kvitt)
    company_id = kvitt.set_up(business, "plus", start(kvitt))
    told = terminal("rotate-keys")
    assert (told.exit_code, told.output) == (0, "2 secrets are sealed with the first key.\n")

    refused = terminal("erase", str(company_id), "--yes")
    assert refused.exit_code == 2
    assert "still uses Kvitt" in refused.output
    installation.uninstall(kvitt.services, company_id, "Ada")
    asked = terminal("erase", str(company_id))
    assert asked.exit_code == 1  # nobody answered yes
    done = terminal("erase", str(company_id), "--yes")
    assert done.exit_code == 0, done.output
    assert f"Company {company_id} is erased" in done.output
    assert terminal("companies", "--json").stdout.strip() == "[]"
