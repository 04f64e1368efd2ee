"""The outside world as a process of its own, on loopback ports; also `python -m addon.sandbox.server`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from addon.sandbox.rates import make_rates_app
from addon.sandbox.serving import SandboxApp, Server, serve_threaded, when_asked
from addon.sandbox.shop import ODDITIES, Order, SellingReport
from addon.sandbox.stripe import NotPossible
from addon.sandbox.world import Business, Urls, World, demo_world

_TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Where to listen on 127.0.0.1; 0 takes any free port."""

    fortnox: int = 0
    stripe: int = 0
    shop: int = 0
    control: int = 0
    rates: int = 0
    vies: int = 0
    paypal: int = 0
    economic: int = 0


class RunningWorld:
    """A world that is being served, with time passing and webhooks on their way; `stop` ends it all."""

    def __init__(self, world: World, urls: Urls, servers: Sequence[Server]) -> None:
        self.world = world
        self.urls = urls
        self._servers = servers
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="sandbox-time", daemon=True)
        self._ticker.start()
        world.stripe.courier.start()
        world.paypal.courier.start()

    @property
    def apps(self) -> dict[int, WSGIApplication]:
        """What answers, by its port."""
        return {server.port: server.app for server in self._servers}

    def environment(self) -> dict[str, str]:
        """The environment variables that aim a Kvitt here."""
        return self.world.environment(self.urls)

    def _tick(self) -> None:
        while not self._stop.wait(_TICK_S):
            self.world.catch_up()

    def stop(self) -> None:
        """End serving; bounded."""
        self._stop.set()
        self.world.stripe.faults.clear()
        self.world.stripe.courier.stop()
        self.world.paypal.faults.clear()
        self.world.paypal.courier.stop()
        self._ticker.join(5)
        for server in self._servers:
            server.shutdown()


def serve_world(world: World, ports: Ports | None = None) -> RunningWorld:
    """Serve a world until `stop` is called."""
    wanted = ports or Ports()
    makers: tuple[tuple[Callable[[], WSGIApplication], int], ...] = (
        (world.fortnox.app, wanted.fortnox),
        (world.stripe.app, wanted.stripe),
        (world.shop_app, wanted.shop),
        (lambda: make_control_app(world), wanted.control),
        (lambda: make_rates_app(world.rates), wanted.rates),
        (world.vies.app, wanted.vies),
        (world.paypal.app, wanted.paypal),
        (world.economic.app, wanted.economic),
    )
    servers = [serve_threaded(when_asked(make), port) for make, port in makers]
    urls = Urls(*(f"http://127.0.0.1:{server.port}" for server in servers))
    world.urls = urls
    world.paypal.courier.base_url = urls.paypal
    # Served on loopback, where nobody has a certificate.
    world.economic.allow_http_hooks = True
    return RunningWorld(world, urls, servers)


def _order(order: Order) -> dict[str, Any]:
    return {
        "number": order.number,
        "at": order.at.isoformat(),
        "currency": order.currency,
        "total": order.total,
        "refunded": order.refunded,
        "charges": order.charges,
        "refunds": order.refunds,
        "invoice": order.invoice,
        "credit_note": order.credit_note,
        "email": order.buyer.email,
        "country": order.buyer.country,
    }


def _report(report: SellingReport) -> dict[str, Any]:
    return {
        "orders": len(report.orders),
        "refunds": report.refunds,
        "disputes": report.disputes,
        "failed_payouts": report.failed_payouts,
        "unknown_rows": report.unknown_rows,
        "fees": report.fees,
        "oddities": {name: [order.number for order in orders] for name, orders in report.oddities.items()},
    }


def make_control_app(world: World) -> Flask:
    """What another process needs of the world, as JSON under /control.

    `/control/fortnox/…`, `/control/stripe/…`, `/control/paypal/…` and `/control/economic/…` are the worlds' own
    switches. Instants are ISO 8601 with a zone, amounts smallest units.
    """
    app = SandboxApp(__name__)

    def answer(body: object, status: int = 200) -> Response:
        return Response(json.dumps(body, ensure_ascii=False), status, content_type="application/json")

    def asked() -> dict[str, Any]:
        body = request.get_json(silent=True)
        return body if isinstance(body, dict) else {}

    def business(name: str) -> Business:
        try:
            return world.get_business(name)
        except KeyError as error:
            raise NotPossible(f"there is no company {name}") from error

    def clock_state() -> dict[str, str]:
        return {"now": world.clock.now().isoformat()}

    @app.get("/control/companies")
    def companies() -> Response:
        return answer(
            [
                {
                    "name": item.name,
                    "slug": item.shop.slug,
                    "organisation_number": item.fortnox.organisation_number,
                    "database_number": item.fortnox.database_number,
                    "stripe_account": item.stripe.id,
                    "orders": len(item.shop.orders),
                    "balances": {
                        currency: {"available": available, "pending": pending}
                        for currency, (available, pending) in item.stripe.balances().items()
                    },
                }
                for item in world.businesses
            ]
        )

    @app.get("/control/environment")
    def environment() -> Response:
        return answer(world.environment())

    @app.get("/control/clock")
    def read_clock() -> Response:
        return answer(clock_state())

    @app.post("/control/clock")
    def turn_clock() -> Response:
        """`{"set": instant}` stops it there, `{"advance_s": n}` moves it on, `{"resume": true}` lets it run."""
        body = asked()
        if "set" in body:
            world.clock.set(datetime.fromisoformat(str(body["set"])))
        if "advance_s" in body:
            world.clock.advance(timedelta(seconds=int(body["advance_s"])))
        if body.get("resume") is True:
            world.clock.resume()
        world.catch_up()
        return answer(clock_state())

    @app.get("/control/shops/<name>/orders")
    def orders(name: str) -> Response:
        shop = business(name).shop
        with shop.account.lock:
            return answer([_order(order) for order in shop.orders])

    @app.post("/control/shops/<name>/buy")
    def buy(name: str) -> Response:
        """A sale now: `{"sku", "quantity", "currency", "method"}`, all but nothing needed."""
        shop = business(name).shop
        body = asked()
        return answer(_order(shop.buy(str(body.pop("sku", shop.products[0].sku)), **body)), 201)

    @app.post("/control/shops/<name>/orders/<number>/refund")
    def refund(name: str, number: str) -> Response:
        """A refund now, of all that is left or of `{"amount"}`."""
        shop = business(name).shop
        amount = asked().get("amount")
        with shop.account.lock:
            order = shop.get_order(number)
            shop.refund_order(order, None if amount is None else int(amount))
            return answer(_order(order), 201)

    @app.post("/control/shops/<name>/sell_month")
    def sell_month(name: str) -> Response:
        """`{"sales", "days", "until", "currencies", "disputes", "failed_payout", "unknown_kind"}`, all optional."""
        return answer(_report(business(name).shop.sell_month(**_selling(asked()))))

    @app.post("/control/shops/<name>/sell_for_basic")
    def sell_for_basic(name: str) -> Response:
        """`{"sales", "days", "until", "oddities"}`, all optional."""
        body = _selling(asked())
        body.setdefault("oddities", ODDITIES)
        return answer(_report(business(name).shop.sell_for_basic(**body)))

    @app.post("/control/shops/<name>/invoice/<number>")
    def invoice(name: str, number: str) -> Response:
        """The other plug-in writes the invoice of an order that has none yet."""
        shop = business(name).shop
        shop.write_invoice(shop.get_order(number))
        return answer(_order(shop.get_order(number)), 201)

    @app.errorhandler(NotPossible)
    @app.errorhandler(TypeError)
    @app.errorhandler(ValueError)
    def refuse(error: Exception) -> Response:
        return answer({"error": str(error)}, 400)

    app.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
        app.wsgi_app,
        {
            "/control/fortnox": _below("/control", world.fortnox.control_app()),
            "/control/stripe": world.stripe.control_app(),
            "/control/paypal": world.paypal.control_app(),
            "/control/economic": _below("/control", world.economic.control_app()),
            "/control/vies": world.vies.control_app(),
        },
    )
    return app


def _below(prefix: str, app: WSGIApplication) -> WSGIApplication:
    """An app whose own paths begin with a prefix, mounted without it."""

    def prefixed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return app({**environ, "PATH_INFO": f"{prefix}{environ['PATH_INFO']}"}, start_response)

    return prefixed


def _selling(body: dict[str, Any]) -> dict[str, Any]:
    if isinstance(body.get("until"), str):
        body["until"] = datetime.fromisoformat(body["until"])
    return body


def main(arguments: Sequence[str] | None = None, *, ready: Callable[[RunningWorld], None] | None = None) -> int:
    """Serve the demo's world until SIGTERM or Ctrl-C; prints one JSON line with its addresses when it answers."""
    parser = argparse.ArgumentParser(prog="addon.sandbox.server", description=main.__doc__)
    for name in ("fortnox", "stripe", "shop", "control"):
        parser.add_argument(f"--{name}-port", type=int, default=0)
    parser.add_argument("--kvitt-url", default="http://127.0.0.1:8000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sales", type=int, default=300)
    parser.add_argument("--fortnox-call-limit", type=int, default=25, help="calls per 5 s and company; 0: no limit")
    parser.add_argument("--pairs", action="store_true", help="with a company for every other pair of outside companies")
    parser.add_argument("--plain", action="store_true", help="without what needs a person")
    options = parser.parse_args(arguments)
    world = demo_world(
        seed=options.seed,
        kvitt_public_url=options.kvitt_url,
        sales=options.sales,
        fortnox_call_limit=options.fortnox_call_limit,
        oddities=not options.plain,
        pairs=options.pairs,
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signal, _frame: stop.set())
    running = serve_world(
        world, Ports(options.fortnox_port, options.stripe_port, options.shop_port, options.control_port)
    )
    print(json.dumps({**running.urls.as_dict(), "environment": running.environment()}), flush=True)
    if ready is not None:
        ready(running)
    stop.wait()
    running.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
