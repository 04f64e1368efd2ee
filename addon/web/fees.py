"""How the provider's fees are treated for VAT, confirmed by name; and a month of fees beside the tax invoice."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from addon.core.currencies import MINOR_UNITS
from addon.core.dates import booking_date
from addon.core.fee_vat import PRESETS, FeeEntity, FeeVat
from addon.core.money import InexactAmount, Money
from addon.core.records import FeeKind
from addon.core.written import figure_of
from addon.ports import registry
from addon.services import fees
from addon.services import settings as company_settings
from addon.services.pages import NotHere
from addon.services.settings import AS_PAYMENTS, OTHER_FEES, TOOLS
from addon.web import access
from addon.web.access import Audience, audience, services, visitor

provider_fees = Blueprint("fees", __name__, url_prefix="/settings/fees")

Answer = Response | str | tuple[str, int]

_MONTH: Final = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")
_LONGEST_NAME: Final = 200
_LARGEST_FIGURE: Final = 10**11


def setting_of(kind: FeeKind) -> str:
    """The setting that holds the treatment of a kind of fee."""
    return "fee_vat" if kind is FeeKind.PAYMENT else f"fee_vat.{kind.value}"


@provider_fees.get("")
@audience(Audience.COMPANY)
def profile() -> str:
    """The profile as it is, or as an entity's preset would have it."""
    return _profile_page("")


def _profile_page(problem: str) -> str:
    company_id = visitor().company_id
    values = company_settings.values(services(), company_id)
    with services().db.company_reading(company_id) as session:
        config = company_settings.read_company(session)
    asked = request.args.get("preset", "") or _usual_preset(config.fees_confirmed())
    entity = FeeEntity(asked) if asked in set(FeeEntity) else config.fee_entity
    chosen = {kind: values[setting_of(kind)] for kind in FeeKind}
    if asked in set(FeeEntity):
        chosen = _preset(entity)
    return render_template(
        "fees/profile.html",
        kinds=tuple(FeeKind),
        treatments=tuple(FeeVat),
        entities=tuple(FeeEntity),
        entity=entity,
        chosen=chosen,
        as_payments=AS_PAYMENTS,
        setting_of=setting_of,
        confirmed=config.fees_confirmed(),
        values=values,
        asked=asked,
        problem=problem,
        who=visitor().who,
    )


def _usual_preset(confirmed: bool) -> str:
    """What is filled in until a person stands by a profile, by what its only provider says of itself."""
    providers = {line.provider for line in access.frame().connections if line.state != "disconnected"}
    if confirmed or len(providers) != 1:
        return ""
    try:
        likely = registry.payment(providers.pop()).invoiced_by
    except registry.NotRegistered:
        return ""
    return likely.value if likely is not None else ""


def _preset(entity: FeeEntity) -> dict[FeeKind, str]:
    """An entity's preset as the form has it: what moves money follows the payment fees, tools stand by themselves."""
    preset = PRESETS[entity]
    return {kind: preset[kind].value if kind is FeeKind.PAYMENT or kind in TOOLS else AS_PAYMENTS for kind in FeeKind}


@provider_fees.post("")
@audience(Audience.COMPANY)
def confirm() -> Answer:
    """Save the profile under the name of whoever stands by it."""
    name = " ".join(request.form.get("name", "").split())[:_LONGEST_NAME]
    if not name:
        return _profile_page(_("Write your name: whoever decides stands by it.")), 422
    keys = ("fee_entity", "fee_vat", *(setting_of(kind) for kind in OTHER_FEES))
    wanted = {key: request.form[key] for key in keys if key in request.form}
    faults = company_settings.change(
        services(), visitor().company_id, visitor().who, {**wanted, "fee_vat_confirmed_by": name}
    )
    if faults:
        return _profile_page("; ".join(map(str, faults))), 422
    flash(_("Confirmed. Fees are booked so from now on; what is booked stays as it is."), "done")
    return redirect(url_for("fees.profile"), 303)


# --- A month beside the tax invoice ---------------------------------------------------------------------------


def _month(text: str, today: date) -> date:
    """A month as it is asked for; the last whole one for anything else."""
    found = _MONTH.fullmatch(text)
    if found:
        return date(int(found[1]), int(found[2]), 1)
    return (today.replace(day=1) - timedelta(days=1)).replace(day=1)


@provider_fees.get("/month")
@audience(Audience.COMPANY)
def month() -> str:
    """A month of fees beside what the provider's tax invoice says."""
    today = booking_date(services().now(), access.frame().zone)
    return _month_page(_month(request.args.get("month", ""), today), "", 0)


def _month_page(shown: date, problem: str, at: int) -> str:
    today = booking_date(services().now(), access.frame().zone)
    after = (shown.replace(day=28) + timedelta(days=4)).replace(day=1)
    return render_template(
        "fees/month.html",
        shown=shown,
        before=(shown - timedelta(days=1)).replace(day=1),
        after=after if after <= today else None,
        months=fees.fee_months(services(), visitor().company_id, shown),
        lines={line.id: line for line in access.frame().connections},
        problem=problem,
        problem_at=at,
    )


@provider_fees.post("/month/<int:connection_id>")
@audience(Audience.COMPANY)
def enter(connection_id: int) -> Answer:
    """Keep the figures of the tax invoice."""
    if access.frame().connection(connection_id) is None:
        raise NotHere(f"connection {connection_id}")
    today = booking_date(services().now(), access.frame().zone)
    shown = _month(request.form.get("month", ""), today)
    currency = request.form.get("currency", "")
    try:
        net, vat = (_amount(request.form.get(name, ""), currency) for name in ("net", "vat"))
    except ValueError:
        problem = _("That is no amount. Write it as on the invoice, 1234.50 for example.")
        return _month_page(shown, problem, connection_id), 422
    number = " ".join(request.form.get("number", "").split())[:80]
    fees.keep_invoice(services(), visitor().company_id, connection_id, shown, net, vat, number, visitor().who)
    flash(_("Kept."), "done")
    return redirect(url_for("fees.month", month=shown.isoformat()[:7]), 303)


def _amount(text: str, currency: str) -> Money:
    """An amount as people write it; nothing is nought. Raises `ValueError`."""
    value = figure_of(text.strip() or "0", decimals=MINOR_UNITS.get(currency, 2))
    if abs(value) > _LARGEST_FIGURE:
        raise ValueError(text)
    try:
        return Money.from_decimal(value, currency)
    except InexactAmount as error:
        raise ValueError(text) from error
