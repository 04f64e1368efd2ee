"""The sandbox as a whole: the demo's world, its processes, and what another process can ask of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from werkzeug.exceptions import NotFound

from addon.sandbox import serving
from addon.sandbox.server import Ports, RunningWorld, serve_world
from addon.sandbox.world import Urls, World, demo_world

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningWorld]:
    running = serve_world(demo_world(sales=60, stopped_at=NOW), Ports())
    yield running
    running.stop()


def control(running: RunningWorld, method: str, path: str, **body: Any) -> Any:
    answer = httpx.request(method, f"{running.urls.control}/control{path}", json=body or None, timeout=60)
    assert answer.is_success, answer.text
    return answer.json()


def test_the_demo_has_one_company_for_each_mode(running: RunningWorld) -> None:
    plus, basic = control(running, "GET", "/companies")
    assert (plus["name"], basic["name"]) == ("Fjällbutiken AB", "Norrsken Design AB")
    assert (set(plus["balances"]), set(basic["balances"])) == ({"sek", "eur"}, {"sek"})
    world = running.world
    assert world.get_business("fjallbutiken-ab").fortnox.invoices == {}
    assert len(world.get_business("Norrsken Design AB").fortnox.invoices) > 20
    world.fortnox.check()


def test_every_part_answers_at_its_address(running: RunningWorld) -> None:
    environment = control(running, "GET", "/environment")
    assert environment == running.environment()
    assert set(environment) == {
        "FORTNOX_CLIENT_ID", "FORTNOX_CLIENT_SECRET", "FORTNOX_AUTH_URL", "FORTNOX_API_URL", "STRIPE_CLIENT_ID",
        "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_CONNECT_URL", "STRIPE_API_URL",
        "STRIPE_APP_CLIENT_ID", "STRIPE_APP_SECRET_KEY", "RIKSBANK_URL", "NATIONALBANK_URL", "ECB_URL", "VIES_URL",
        "PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET", "PAYPAL_WEBHOOK_ID", "PAYPAL_WEB_URL", "PAYPAL_API_URL",
        "ECONOMIC_APP_SECRET_TOKEN", "ECONOMIC_APP_PUBLIC_TOKEN", "ECONOMIC_INSTALL_URL", "ECONOMIC_REST_URL",
        "ECONOMIC_API_URL",
    }  # fmt: skip
    for url in (environment["FORTNOX_API_URL"], environment["STRIPE_API_URL"], running.urls.shop):
        assert url.startswith("http://127.0.0.1:")
    key = {"Authorization": f"Bearer {environment['STRIPE_SECRET_KEY']}"}
    assert httpx.get(f"{environment['STRIPE_API_URL']}/v1/account", headers=key).status_code == 200
    assert httpx.get(f"{environment['FORTNOX_API_URL']}/invoices").status_code in (400, 401)
    assert "Fjällbutiken AB" in httpx.get(f"{running.urls.shop}/").text


def test_another_process_can_sell_and_turn_the_clock(running: RunningWorld) -> None:
    before = control(running, "GET", "/shops/fjallbutiken-ab/orders")
    order = control(running, "POST", "/shops/fjallbutiken-ab/buy", sku="MUG-07", currency="jpy")
    assert order["currency"] == "jpy"
    refunded = control(running, "POST", f"/shops/fjallbutiken-ab/orders/{order['number']}/refund", amount=100)
    assert refunded["refunded"] == 100
    assert len(control(running, "GET", "/shops/fjallbutiken-ab/orders")) == len(before) + 1
    assert control(running, "GET", "/clock")["now"] == NOW.isoformat()
    payouts = len(running.world.get_business("Fjällbutiken AB").stripe.payouts)
    control(running, "POST", "/clock", advance_s=3 * 86_400)
    assert len(running.world.get_business("Fjällbutiken AB").stripe.payouts) > payouts
    report = control(
        running, "POST", "/shops/norrsken-design-ab/sell_for_basic", sales=5, days=3, oddities=["unbooked"]
    )
    assert report["orders"] == 6
    assert list(report["oddities"]) == ["unbooked"]
    month = control(running, "POST", "/shops/fjallbutiken-ab/sell_month", sales=12, days=5, currencies=["sek", "isk"])
    assert month["orders"] == 12
    (charge,) = control(running, "GET", "/shops/fjallbutiken-ab/orders")[-1]["charges"]
    assert charge
    refused = httpx.post(f"{running.urls.control}/control/shops/nobody/buy", json={})
    assert refused.status_code == 400
    assert httpx.post(f"{running.urls.control}/control/shops/fjallbutiken-ab/buy", json={"sku": "X"}).status_code == 400


def test_both_worlds_own_switches_are_mounted(running: RunningWorld) -> None:
    accounts = control(running, "GET", "/stripe/accounts")
    assert [account["name"] for account in accounts] == ["Fjällbutiken AB", "Norrsken Design AB"]
    assert httpx.get(f"{running.urls.control}/control/fortnox/companies").status_code == 200


def test_the_same_seed_makes_the_same_world() -> None:
    first, second = (demo_world(sales=20, stopped_at=NOW) for _ in range(2))
    for one, other in zip(first.businesses, second.businesses, strict=True):
        assert [row.id for row in one.stripe.ledger] == [row.id for row in other.stripe.ledger]
        assert [i.total for i in one.fortnox.invoices.values()] == [i.total for i in other.fortnox.invoices.values()]


def test_an_unserved_world_needs_to_be_told_its_addresses() -> None:
    world = World.build()
    with pytest.raises(ValueError, match="no addresses"):
        world.environment()
    urls = Urls("http://f", "http://s", "http://h", "http://c")
    assert world.environment(urls)["FORTNOX_API_URL"] == "http://f/3"
    with pytest.raises(KeyError):
        world.get_business("Nobody AB")


def test_it_runs_as_a_process_until_it_is_told_to_stop() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "addon.sandbox.server", "--sales", "10", "--kvitt-url", "http://127.0.0.1:9"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    try:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())
        assert httpx.get(f"{urls['control']}/control/companies").json()[0]["orders"] == 10
        assert urls["environment"]["STRIPE_API_URL"] == urls["stripe"]
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


def test_a_connection_that_nobody_uses_ends_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A pool keeps connections that it may never use again; giving one up is no line in anybody's log."""
    monkeypatch.setattr(serving._Handler, "timeout", 0.05)
    server = serving.serve_threaded(NotFound())
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as idle:
            assert idle.recv(1) == b"", "the other side hangs up"
    finally:
        server.shutdown()
    assert not caplog.records
