"""The page about the VAT of sales: rules, OSS with its threshold, accounts and return, and checked VAT numbers."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from addon.ports import registry
from addon.services import vat_page, vat_rates
from addon.services.settings import SettingFault
from addon.web import access, sentences, words
from addon.web.access import Audience, audience, services, visitor

vat = Blueprint("vat", __name__, url_prefix="/settings/vat")


@vat.get("")
@audience(Audience.COMPANY)
def shown() -> str:
    """Everything that decides the VAT of sales, and what came of it."""
    return render_template(
        "setup/vat.html",
        page=vat_page.page(services(), visitor().company_id, vat_rates.categories()),
        number_states=words.NUMBER_STATES,
        attribution=vat_rates.ATTRIBUTION,
        vat_codes=registry.accounting(access.frame().accounting).words.vat_codes,
    )


@vat.post("/rules")
@audience(Audience.COMPANY)
def add_rule() -> Response:
    """Put a rule behind the others."""
    form = request.form
    text = " ".join(form.get(name, "").strip() or "*" for name in ("country", "code", "what"))
    return _saved(vat_page.add_rule(services(), visitor().company_id, visitor().who, text), "rules")


@vat.post("/rules/remove")
@audience(Audience.COMPANY)
def remove_rule() -> Response:
    """Take a rule away; it is named by what it says, so that a page of yesterday cannot hit another."""
    text = request.form.get("rule", "")
    return _saved(vat_page.remove_rule(services(), visitor().company_id, visitor().who, text), "rules")


@vat.post("/accounts")
@audience(Audience.COMPANY)
def map_accounts() -> Response:
    """Say which accounts a country and rate have."""
    form = request.form
    place = (form.get("country", ""), form.get("percent", ""))
    faults = vat_page.map_accounts(
        services(), visitor().company_id, visitor().who, place, form.get("sales", ""), form.get("vat", "")
    )
    return _saved(faults, "oss")


def _saved(faults: tuple[SettingFault, ...], part: str) -> Response:
    if faults:
        flash(_("Not saved: %(problem)s.", problem=sentences.fault(faults[0].problem)), "stop")
    else:
        flash(_("Saved."), "done")
    return redirect(url_for("vat.shown") + f"#{part}", 303)
