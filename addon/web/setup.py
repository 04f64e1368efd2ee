"""Setting up: the steps to the first booking, and the settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from addon.core.books import Feature
from addon.core.fee_vat import FeeVat
from addon.core.invoicing import Choice, Invoicing
from addon.core.plan.situation import CannotBook
from addon.core.routing import home_treatments, vat_percent
from addon.ports import registry
from addon.ports.errors import NeedsReconnect, PortError, Rejected
from addon.services import evidence, installation, opening, outlook, pages, prerequisites, runs, signing_in
from addon.services import settings as company_settings
from addon.services.pages import NotHere
from addon.services.settings import SETTINGS, Setting, SettingFault
from addon.web import access, connect, errors, words
from addon.web.access import Audience, audience, services, visitor
from addon.web.limits import CONNECT, limiter

setup = Blueprint("setup", __name__)

Answer = Response | str | tuple[str, int]
_TRIGGER: Final = "click"

GROUPS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("rhythm", ("approve", "time_zone", "daily_at", "locked_period")),
    ("sales", ("default_vat_percent", "export_without_vat", "customers", "existing_customers", "invoice_text")),
    (
        "vat",
        (
            "tax_lines",
            "supply",
            "oss",
            "oss_before",
            "oss_before_year",
            "eu_business",
            "invalid_vat_number",
            "vat_number_wait_days",
            "own_vat_number",
            "odd_vat",
        ),
    ),
    (
        "documents",
        (
            "sale_document",
            "payments",
            "mail_invoice",
            "articles",
            "payment_terms",
            "invoice_layout",
            "customer_group",
            "rounding_group",
            "cost_centre",
            "project",
        ),
    ),
    ("currency", ("rate_source", "rate_stand_in", "revalue_at_year_end")),
    ("matching", ("wait_days", "book_drafts", "tolerance")),
    ("returns", ("dispute_lost", "bounced_payment", "bank_side")),
    ("fee_codes", tuple(f"fee_vat_code.{one.value}" for one in FeeVat if one is not FeeVat.EXEMPT)),
    ("books", ("voucher_series", "rounds_to_whole", "evidence")),
)
"""The company's settings as the page groups them; accounts stand in a group of their own."""

GLANCES: Final[Mapping[str, tuple[str, ...]]] = {
    "rhythm": ("approve", "daily_at"),
    "sales": ("default_vat_percent",),
    "vat": ("oss",),
    "documents": ("sale_document",),
    "currency": ("rate_source",),
    "matching": ("wait_days", "tolerance"),
    "returns": ("dispute_lost",),
    "fee_codes": GROUPS[-2][1],
    "books": ("voucher_series",),
}
"""What a folded group tells of itself."""


# --- The steps -----------------------------------------------------------------------------------------------


@setup.get("/welcome")
@audience(Audience.COMPANY)
def welcome() -> str:
    """The steps, the present one open."""
    return _welcome()


def _welcome() -> str:
    company_id = visitor().company_id
    progress = pages.progress(services(), company_id)
    frame = access.frame()
    live = [line for line in frame.connections if line.state == "connected"]
    steps = (
        ("books", bool(progress.checks) and not progress.red),
        ("connect", bool(live)),
        ("mode", bool(live) and all(line.mode for line in live)),
        ("look", progress.looked or progress.has_booked),
        ("start", progress.has_run),
    )
    present = next((name for name, done in steps if not done), "")
    return render_template(
        "setup/welcome.html",
        progress=progress,
        evidence=evidence.standing(services(), company_id),
        prerequisites=registry.prerequisites(frame.accounting),
        steps=dict(steps),
        present=present,
        live=live,
        providers=connect.offered(),
        figures=pages.mode_figures(services(), company_id),
        check_sentence=words.check_sentence,
        openings=opening.questions(services(), company_id),
        chart=pages.chart(services(), company_id),
    )


@setup.post("/welcome/opening/<int:connection_id>")
@audience(Audience.COMPANY)
def answer_opening(connection_id: int) -> Answer:
    """Whether the books have an opening already, or which account it is booked against."""
    company_id, who = visitor().company_id, visitor().who
    currency = request.form.get("currency", "")
    account = request.form.get("account", "").split(" ")[0][:20]
    back = redirect(url_for("setup.welcome") + "#opening", 303)
    try:
        if request.form.get("answer") == "in_books":
            opening.in_books(services(), company_id, connection_id, currency, who)
            flash(_("Noted: your books have it already."), "done")
            return back
        opening.book(services(), company_id, connection_id, currency, account, who)
    except opening.NoSuchQuestion:
        flash(_("This has been answered already."), "wait")
        return back
    except ValueError:
        flash(_("That is no account number."), "stop")
        return back
    except CannotBook as reason:
        told = words.HOLDS[reason.reason]
        why = dict(reason.facts).get("why", "")
        more = f" ({account}: {words.FACT_VALUES[why]})" if why in words.FACT_VALUES else ""
        flash(_("Not booked: %(why)s", why=f"{told.title}{more}."), "stop")
        return back
    run_id = runs.want(services(), company_id, _TRIGGER)
    flash(_("The opening voucher is approved, and is written now."), "done")
    return redirect(url_for("books.run", run_id=run_id), 303)


@setup.post("/welcome/check")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def check() -> Answer:
    """Look at the books again."""
    try:
        found = prerequisites.check(services(), visitor().company_id)
    except PortError as error:
        _say_why(error)
    else:
        red = sum(1 for one in found if not one.ok)
        flash(
            _("Your books are ready.") if not red else _("Checked again: %(red)s still to mend.", red=red),
            "wait" if red else "done",
        )
    return redirect(url_for("setup.welcome") + "#books", 303)


@setup.post("/welcome/repair/<int:check_id>")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def repair(check_id: int) -> Answer:
    """Mend one thing in the books, because a person pressed the button."""
    try:
        prerequisites.repair(services(), visitor().company_id, check_id, visitor().who)
    except prerequisites.UnknownCheck:
        flash(_("This was mended already."), "done")
    except PortError as error:
        _say_why(error)
    else:
        flash(_("Mended."), "done")
    return redirect(url_for("setup.welcome") + "#books", 303)


@setup.post("/welcome/repair")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def repair_all() -> Answer:
    """Mend all that can be mended from here."""
    try:
        found = prerequisites.repair_all(services(), visitor().company_id, visitor().who)
    except PortError as error:
        _say_why(error)
    else:
        red = sum(1 for one in found if not one.ok)
        flash(
            _("Everything is mended.") if not red else _("Mended what could be: %(red)s still to do.", red=red),
            "wait" if red else "done",
        )
    return redirect(url_for("setup.welcome") + "#books", 303)


def _say_why(error: PortError) -> None:
    """A message for what the accounting system did; nothing was changed where it said no."""
    system = registry.title(access.frame().accounting)
    match error:
        case Rejected():
            flash(_("%(system)s said no: %(words)s", system=system, words=error.message), "stop")
        case NeedsReconnect():
            flash(_("%(system)s no longer lets Kvitt in. Connect it again.", system=system), "stop")
        case _:
            flash(_("%(system)s does not answer just now. Nothing was lost; try again.", system=system), "wait")


@setup.post("/connections/<int:connection_id>/count")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def count(connection_id: int) -> Answer:
    """Count what each mode would mean. The page asks for it by itself where it can."""
    line = access.frame().connection(connection_id)
    if line is None:
        raise NotHere(f"connection {connection_id}")
    failed = ""
    try:
        outlook.look(services(), visitor().company_id, connection_id)
    except PortError:
        failed = _("The figures could not be counted just now. You can choose without them.")
    if request.headers.get("HX-Request"):
        return render_template(
            "setup/modes.html",
            line=line,
            company=access.frame(),
            figures=pages.mode_figures(services(), visitor().company_id),
            failed=failed,
            back="settings" if request.form.get("back") == "settings" else "welcome",
        )
    if failed:
        flash(failed, "wait")
    return redirect(url_for("setup.welcome") + "#mode", 303)


# --- Settings ------------------------------------------------------------------------------------------------


@setup.get("/settings")
@audience(Audience.COMPANY)
def settings() -> Answer:
    """Everything that can be chosen."""
    return _settings_page((), {}, None)


_REGISTERS: Final = frozenset(choice.value for choice in Choice if choice is not Choice.PAYMENT_TERMS)
"""Settings that only systems have whose invoices name registers."""
_FEE_CODES: Final = frozenset(f"fee_vat_code.{one.value}" for one in FeeVat)
_ROUNDED_BY_THE_SYSTEM: Final = frozenset({"rounds_to_whole"})
"""Where the system rounds nothing by itself there is nothing to find out."""


def _groups(
    accounting: str, registers: Invoicing | None, lacking: Sequence[Feature]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The groups of a company: what its system tells by itself, does not have or cannot do is not asked."""
    asked = () if registry.accounting(accounting).tells_method else ("books_method",)
    hidden = _REGISTERS | _FEE_CODES if registers is None else _ROUNDED_BY_THE_SYSTEM
    if registry.accounting(accounting).file_scopes is None:
        hidden |= {"evidence"}
    groups = (
        (
            name,
            tuple(
                key
                for key in ((*asked, *keys) if name == "books" else keys)
                if key not in hidden and _offered(key, lacking) is not None
            ),
        )
        for name, keys in GROUPS
    )
    return tuple((name, keys) for name, keys in groups if keys)


def _offered(key: str, lacking: Sequence[Feature]) -> tuple[str, ...] | None:
    offered = company_settings.offered(lacking, key, SETTINGS[key].choices)
    if key != "default_vat_percent" or offered is None:
        return offered
    rates = {str(vat_percent(treatment)) for treatment in home_treatments(access.frame().country)}
    return tuple(rate for rate in offered if rate in rates)


def _register_choices(registers: Invoicing | None) -> dict[str, list[tuple[str, str]]]:
    """What there is to choose from, by setting: number and name, the usual one first and without a number."""
    if registers is None:
        return {}
    shown = {}
    for choice in Choice:
        usual = registers.proposed(choice)
        by_itself = _("%(name)s (the usual one)", name=usual.name) if usual is not None else _("none is there")
        named = [(one.code, f"{one.code} {one.name}".strip()) for one in registers.offered(choice) if one.open]
        shown[choice.value] = [("", by_itself), *named]
    codes = [(one.code, f"{one.code} {one.name}") for one in registers.fee_codes]
    shown |= {key: [("", _("none")), *codes] for key in _FEE_CODES}
    return shown


def _settings_page(
    faults: Sequence[SettingFault], given: Mapping[str, str], connection_id: int | None
) -> tuple[str, int] | str:
    """The page; with faults it shows what was given, and where it is wrong."""
    company_id = visitor().company_id
    frame = access.frame()
    company_values = company_settings.values(services(), company_id)
    connection_values = {
        line.id: company_settings.values(services(), company_id, line.id) for line in frame.connections
    }
    if faults:
        target = company_values if connection_id is None else connection_values[connection_id]
        target.update(given)
    chart = pages.chart(services(), company_id)
    registers, lacking = pages.invoicing(services(), company_id), pages.lacking(services(), company_id)
    page = render_template(
        "setup/settings.html",
        groups=_groups(frame.accounting, registers, lacking),
        glances=GLANCES,
        offered=lambda key: _offered(key, lacking) or (),
        registers=_register_choices(registers),
        members=signing_in.members(services(), company_id),
        mails=services().mailer is not None,
        settings=SETTINGS,
        values=company_values,
        connection_values=connection_values,
        account_keys=[
            f"accounts.{role}"
            for role in company_settings.shown_accounts(pages.company_country(services(), company_id))
        ],
        faults={(connection_id, fault.key): fault for fault in faults},
        chart=chart,
        chart_names=dict(chart),
        zones=_ZONES,
        evidence=evidence.standing(services(), company_id),
        order_fields=registry.accounting(frame.accounting).order_fields,
        figures=pages.mode_figures(services(), company_id),
        has_fee_name=bool(company_values.get("fee_vat_confirmed_by")),
    )
    return (page, 422) if faults else page


_ZONES: Final = (
    "Europe/Stockholm",
    "Europe/Copenhagen",
    "Europe/Oslo",
    "Europe/Helsinki",
    "Europe/Berlin",
    "Europe/London",
    "UTC",
)


@setup.post("/settings")
@audience(Audience.COMPANY)
def change_company() -> Answer:
    """Save the company's settings: those that the form had, and only as a whole."""
    wanted = {
        key: text
        for key, text in request.form.items()
        if (setting := SETTINGS.get(key)) is not None and setting.scope == "company"
    }
    return _save(wanted, None)


@setup.post("/settings/connections/<int:connection_id>")
@audience(Audience.COMPANY)
def change_connection(connection_id: int) -> Answer:
    """Save one connection's settings."""
    if access.frame().connection(connection_id) is None:
        raise NotHere(f"connection {connection_id}")
    wanted = {
        key: _joined(setting, request.form.getlist(key))
        for key in request.form
        if (setting := company_settings.find_setting(key, "connection")) is not None
    }
    return _save(wanted, connection_id)


def _joined(setting: Setting, texts: Sequence[str]) -> str:
    """A list may come as one text, with spaces after its commas, or as several ticked boxes."""
    if setting.kind != "list":
        return texts[0]
    return ",".join(entry.strip() for text in texts for entry in text.split(",") if entry.strip())


def _save(wanted: Mapping[str, str], connection_id: int | None) -> Answer:
    faults = company_settings.change(services(), visitor().company_id, visitor().who, wanted, connection_id)
    if faults:
        return _settings_page(faults, wanted, connection_id)
    flash(_("Saved."), "done")
    if request.form.get("back") == "welcome":
        # A mode that was just chosen may need other accounts and currencies: look again at once.
        try:
            prerequisites.check(services(), visitor().company_id)
        except PortError as error:
            _say_why(error)
        return redirect(url_for("setup.welcome"), 303)
    return redirect(url_for("setup.settings") + _place_of(request.form.get("fold", ""), connection_id), 303)


def _place_of(fold: str, connection_id: int | None) -> str:
    """Where on the page something was saved: the fold, closed again, tells what is chosen now."""
    if _FOLD.fullmatch(fold):
        return f"#fold-{fold}"
    return f"#connection-{connection_id}" if connection_id is not None else "#company"


_FOLD: Final = re.compile(r"[a-z_]{1,20}(-[0-9]{1,12})?")


@setup.post("/settings/uninstall")
@audience(Audience.COMPANY)
@limiter.limit(CONNECT)
def uninstall() -> Answer:
    """Give up the access to the books. Data and entries stay."""
    if request.form.get("sure") != "yes":
        return errors.page(400, _("Not without your tick"), _("Tick the box if you mean it. Nothing was changed."))
    installation.uninstall(services(), visitor().company_id, visitor().who)
    flash(_("Kvitt has let go of your books. Everything that was booked stays as it is."), "done")
    return access.sign_out(redirect(url_for("home.start"), 303))
