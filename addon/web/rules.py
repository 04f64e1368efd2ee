"""The company's account rules: a list in order, a form, and what each rule would change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from addon.core.records import MovementKind
from addon.core.routing import (
    LONGEST_NAME,
    RULED_KINDS,
    VAT_TREATMENTS,
    Action,
    Condition,
    Rule,
    Subject,
    WrongRule,
    home_treatments,
)
from addon.core.written import figure_of
from addon.services import pages, rule_preview, rules
from addon.services.pages import NotHere
from addon.services.rules import StoredRule, UnknownRule
from addon.web import access, sentences, words
from addon.web.access import Audience, audience, services, visitor
from addon.web.limits import LOOK, limiter

account_rules = Blueprint("rules", __name__, url_prefix="/settings/rules")

Answer = AnyResponse | str | tuple[str, int]

_PLAIN: Final = tuple(subject for subject in Subject if subject is not Subject.METADATA)
METADATA_ROWS: Final = 2
"""How many fields of the shop's own one rule of the page may look at."""
_LARGEST_ID: Final = 2**63 - 1


@account_rules.get("")
@audience(Audience.COMPANY)
def listed() -> str:
    """All rules in order, in words."""
    company_id = visitor().company_id
    return render_template(
        "rules/list.html",
        stored=rules.all_rules(services(), company_id),
        hits=rule_preview.count_hits(services(), company_id),
        days=rule_preview.DAYS,
        counted=rule_preview.MOST_COUNTED,
        in_words=words.rule_conditions,
        outcome=words.rule_outcome,
    )


@account_rules.get("/new")
@audience(Audience.COMPANY)
def new() -> str:
    """An empty form."""
    return _form(_blank())


def _blank() -> MultiDict[str, str]:
    return MultiDict({"action": Action.BOOK.value, "kind": MovementKind.SALE.value})


@account_rules.get("/<int:rule_id>")
@audience(Audience.COMPANY)
def edit(rule_id: int) -> str:
    """The form of a rule, with what it changes."""
    stored = _stored(rule_id)
    preview = rule_preview.preview_rule(services(), visitor().company_id, stored.rule, stored.id, stored.connection_id)
    return _form(_given(stored), rule_id, preview=preview)


def _stored(rule_id: int) -> StoredRule:
    try:
        return rules.get_rule(services(), visitor().company_id, min(rule_id, _LARGEST_ID))
    except UnknownRule as error:
        raise NotHere(f"rule {rule_id}") from error


def _given(stored: StoredRule) -> MultiDict[str, str]:
    """A rule as its form would send it."""
    rule = stored.rule
    given = MultiDict(
        {
            "name": rule.name,
            "action": rule.action.value,
            "account": rule.account,
            "vat": rule.vat,
            "contra_account": rule.contra_account,
            "cost_centre": rule.cost_centre,
            "project": rule.project,
            "where": rule.where,
            "connection": str(stored.connection_id or ""),
        }
    )
    for kind in rule.kinds:
        given.add("kind", kind.value)
    row = 0
    for condition in rule.conditions:
        if condition.subject is Subject.METADATA:
            given[f"metadata_key_{row}"], given[f"metadata_{row}"] = condition.key, ", ".join(condition.values)
            row += 1
        else:
            given[condition.subject.value] = ", ".join(condition.values)
    return given


def _treatments(chosen: str) -> tuple[str, ...]:
    """The VAT that a rule may say in the company's country, and what this one says already."""
    offered = (*home_treatments(access.frame().country), "EXPORT")
    return (*offered, *(one for one in VAT_TREATMENTS if one == chosen and one not in offered))


def _form(
    given: Mapping[str, str],
    rule_id: int | None = None,
    fault: WrongRule | None = None,
    preview: rule_preview.RulePreview | None = None,
) -> str:
    kinds = given.getlist("kind") if isinstance(given, MultiDict) else []
    chart = pages.chart(services(), visitor().company_id)
    return render_template(
        "rules/form.html",
        given=given,
        given_kinds=kinds,
        rule_id=rule_id,
        fault=fault,
        preview=preview,
        days=rule_preview.DAYS,
        plain=_PLAIN,
        metadata_rows=range(METADATA_ROWS),
        kinds=RULED_KINDS,
        treatments=_treatments(given.get("vat", "")),
        actions=tuple(Action),
        chart=chart,
        chart_names=dict(chart),
        longest_name=LONGEST_NAME,
    )


def read_form(form: MultiDict[str, str]) -> tuple[Rule, int | None]:
    """The rule that a form means, and its connection. Raises `WrongRule`."""
    conditions = [
        Condition(subject, values)
        for subject in _PLAIN
        if (values := _values(form.get(subject.value, ""), single=subject in (Subject.AT_LEAST, Subject.AT_MOST)))
    ]
    for row in range(METADATA_ROWS):
        key, text = form.get(f"metadata_key_{row}", "").strip(), form.get(f"metadata_{row}", "")
        if key or text.strip():
            conditions.append(Condition(Subject.METADATA, _values(text), key))
    try:
        action = Action(form.get("action", ""))
        kinds = tuple(kind for kind in RULED_KINDS if kind.value in form.getlist("kind"))
    except ValueError as error:
        raise WrongRule("action", _("Choose what the rule does.")) from error
    said = {name: form.get(name, "").strip() for name in ("account", "vat", "contra_account", "cost_centre", "project")}
    where = form.get("where", "").strip() if action is Action.IGNORE else ""
    rule = Rule("", form.get("name", "").strip(), action, tuple(conditions), kinds, **said, where=where)
    connection = form.get("connection", "")
    return rule, int(connection) if connection.isdecimal() and len(connection) < 18 else None


def _values(text: str, *, single: bool = False) -> tuple[str, ...]:
    if single:
        if not text.strip():
            return ()
        try:
            return (f"{figure_of(text):f}",)
        except ValueError:
            return (text.strip(),)  # as it was typed: whoever reads the rule says what is wrong with it
    return tuple(dict.fromkeys(value.strip() for value in text.split(",") if value.strip()))


@account_rules.post("/new")
@audience(Audience.COMPANY)
@limiter.limit(LOOK)
def add() -> Answer:
    """Try a new rule out, or save it."""
    return _saved(None)


@account_rules.post("/<int:rule_id>")
@audience(Audience.COMPANY)
@limiter.limit(LOOK)
def change(rule_id: int) -> Answer:
    """Try a changed rule out, or save it."""
    return _saved(_stored(rule_id).id)


def _saved(rule_id: int | None) -> Answer:
    company_id = visitor().company_id
    try:
        rule, connection_id = read_form(request.form)
        if connection_id is not None and access.frame().connection(connection_id) is None:
            raise WrongRule("connection", _("Choose one of your connections."))
        if request.form.get("do") != "save":
            preview = rule_preview.preview_rule(services(), company_id, rule, rule_id, connection_id)
            return _form(request.form, rule_id, preview=preview)
        rules.save_rule(services(), company_id, rule, visitor().who, rule_id, connection_id)
    except WrongRule as fault:
        return _form(request.form, rule_id, fault), 422
    flash(_("Saved. It decides from the next run on; what is booked stays as it is."), "done")
    return redirect(url_for("rules.listed"), 303)


@account_rules.post("/<int:rule_id>/up")
@audience(Audience.COMPANY)
def move_up(rule_id: int) -> Answer:
    """Let a rule come earlier."""
    return _moved(rule_id, down=False)


@account_rules.post("/<int:rule_id>/down")
@audience(Audience.COMPANY)
def move_down(rule_id: int) -> Answer:
    """Let a rule come later."""
    return _moved(rule_id, down=True)


def _moved(rule_id: int, *, down: bool) -> Answer:
    rules.move_rule(services(), visitor().company_id, _stored(rule_id).id, down, visitor().who)
    return redirect(url_for("rules.listed") + f"#rule-{rule_id}", 303)


@account_rules.post("/<int:rule_id>/delete")
@audience(Audience.COMPANY)
def delete(rule_id: int) -> Answer:
    """Take a rule away."""
    rules.delete_rule(services(), visitor().company_id, _stored(rule_id).id, visitor().who)
    flash(_("Deleted. What is booked stays as it is."), "done")
    return redirect(url_for("rules.listed"), 303)


@account_rules.get("/export")
@audience(Audience.COMPANY)
def export() -> Response:
    """All rules as a text file."""
    text = rules.export_rules(services(), visitor().company_id)
    answer = Response(text, content_type="application/json; charset=utf-8")
    answer.headers["Content-Disposition"] = "attachment; filename=kvitt-rules.json"
    return answer


@account_rules.post("/import")
@audience(Audience.COMPANY)
def bring() -> Answer:
    """Replace all rules by those of a text."""
    try:
        number = rules.import_rules(services(), visitor().company_id, request.form.get("rules", ""), visitor().who)
    except WrongRule as fault:
        flash(_("Nothing has been changed: %(problem)s", problem=sentences.fault(str(fault))), "stop")
    else:
        flash(_("All rules replaced: there are %(number)s now.", number=number), "done")
    return redirect(url_for("rules.listed"), 303)


__all__ = ["account_rules", "read_form"]
