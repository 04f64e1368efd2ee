"""The shops' web pages: products with a "Buy" button, and the list of orders. No JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from flask import Flask, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from addon.sandbox.serving import SandboxApp
from addon.sandbox.shop.catalog import price_in
from addon.sandbox.shop.shop import Order, Shop
from addon.sandbox.stripe import NotPossible
from addon.sandbox.stripe.money import written

_STOCKHOLM = ZoneInfo("Europe/Stockholm")
_SHOWN = 60


def make_shop_app(shops: Sequence[Shop]) -> Flask:
    """A WSGI app with a page for each shop under its name; the front page lists them."""
    app = SandboxApp(__name__, template_folder="templates", static_folder="static", static_url_path="/shop-static")
    app.jinja_env.filters["written"] = written

    def find(slug: str) -> Shop:
        found = next((shop for shop in shops if shop.slug == slug), None)
        return abort(404) if found is None else found

    @app.template_filter("local")
    def local(order: Order) -> str:
        return order.at.astimezone(_STOCKHOLM).strftime("%Y-%m-%d %H:%M")

    @app.get("/")
    def front() -> str | Response:
        if len(shops) == 1:
            return redirect(f"/{shops[0].slug}/")
        return render_template("shops.html", shops=shops)

    @app.get("/<slug>/")
    def products(slug: str) -> str:
        shop = find(slug)
        currency = request.args.get("currency", shop.currencies[0])
        if currency not in shop.currencies:
            abort(404)
        today = shop.account.clock.now().date()
        prices = [(product, price_in(product, currency, today)) for product in shop.products]
        return render_template("products.html", shop=shop, prices=prices, currency=currency)

    @app.post("/<slug>/buy")
    def buy(slug: str) -> Response | tuple[str, int]:
        shop = find(slug)
        try:
            order = shop.buy(
                request.form.get("sku", ""),
                quantity=int(request.form.get("quantity", "1")),
                currency=request.form.get("currency", shop.currencies[0]),
                method="klarna" if request.form.get("method") == "klarna" else "card",
            )
        except (NotPossible, ValueError) as error:
            return render_template("problem.html", shop=shop, problem=str(error)), 400
        return redirect(f"/{shop.slug}/orders?thanks={order.number}", 303)

    @app.get("/<slug>/orders")
    def orders(slug: str) -> str:
        shop = find(slug)
        with shop.account.lock:
            latest = sorted(shop.orders, key=lambda order: order.at, reverse=True)[:_SHOWN]
        return render_template(
            "orders.html", shop=shop, orders=latest, count=len(shop.orders), thanks=request.args.get("thanks")
        )

    @app.post("/<slug>/orders/<number>/refund")
    def refund(slug: str, number: str) -> Response | tuple[str, int]:
        shop = find(slug)
        try:
            with shop.account.lock:
                shop.refund_order(shop.get_order(number))
        except NotPossible as error:
            return render_template("problem.html", shop=shop, problem=str(error)), 400
        return redirect(f"/{shop.slug}/orders", 303)

    return app
