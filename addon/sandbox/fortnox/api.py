"""The interface under /3: its routes are grouped by what they are about, its frame is shared."""

from __future__ import annotations

from flask import Flask

from addon.sandbox.fortnox.company_api import CompanyInterface
from addon.sandbox.fortnox.files_api import FilesInterface
from addon.sandbox.fortnox.ledger_api import LedgerInterface
from addon.sandbox.fortnox.sales_api import SalesInterface
from addon.sandbox.fortnox.world import FortnoxWorld


class _Interface(CompanyInterface, LedgerInterface, SalesInterface, FilesInterface):
    """All of it."""


def register_api(app: Flask, world: FortnoxWorld) -> None:
    """Put all routes of the interface into the app."""
    api = _Interface(world)
    api.company_routes()
    api.year_routes()
    api.account_routes()
    api.series_routes()
    api.setting_routes()
    api.currency_routes()
    api.register_routes()
    api.article_routes()
    api.customer_routes()
    api.order_routes()
    api.invoice_routes()
    api.payment_routes()
    api.voucher_routes()
    api.file_routes()

    # One rule for Flask and a small router of our own: Werkzeug takes a fifth of a second to compile a hundred
    # rules, and tests build a world each.
    for rule in ("/3/", "/3/<path:rest>", "/api/<path:rest>"):
        app.add_url_rule(rule, "interface", api.dispatch, methods=["GET", "POST", "PUT", "DELETE"])
