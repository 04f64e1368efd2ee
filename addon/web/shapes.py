"""Small shapes that templates need: facts as rows, a run's pace, log lines as sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Flask
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup, escape

from addon.core.currencies import MINOR_UNITS
from addon.core.money import InexactAmount, Money
from addon.ports import registry
from addon.services.pages import ActivityLine, RunPage
from addon.web import access, filters, words

_MONEY = re.compile(r"(-?\d+(?:\.\d+)?) ([A-Z]{3})")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_QUIET_FACTS = frozenset({"source", "document", "connection", "parts", "provider_told", "system_told"})


def fact_value(name: str, value: str) -> Markup | str:
    """A fact's value as people write it: money, days and our own words; anything else as it stands."""
    found = _MONEY.fullmatch(value)
    if found and found[2] in MINOR_UNITS:
        try:
            return filters.money(Money.from_decimal(Decimal(found[1]), found[2]))
        except InexactAmount:
            return value
    if " – " in value:
        return words.readable(value)
    if _DAY.fullmatch(value):
        try:
            return filters.day(date.fromisoformat(value))
        except ValueError:
            return value
    if name == "role":
        return words.role_name(value)
    if name == "kind" and value in {kind.value for kind in words.KINDS}:
        return str(next(word for kind, word in words.KINDS.items() if kind.value == value))
    if name in ("kind", "why", "wanted") and value in words.FACT_VALUES:
        return str(words.FACT_VALUES[value])
    if name == "step" and value in words.STEP_KINDS:
        return str(words.STEP_KINDS[value])
    if name == "mode" and value in words.MODES:
        return str(words.MODES[value])
    return filters.foreign(value)


def fact_rows(facts: Mapping[str, str], hide: Iterable[str] = ()) -> list[tuple[str, Markup | str]]:
    """Labels and values of facts, without those that say nothing to a person."""
    hidden = {*hide, *_QUIET_FACTS}
    return [
        (str(words.FACTS.get(name, name.replace("_", " ").capitalize())), fact_value(name, str(value)))
        for name, value in facts.items()
        if name not in hidden and str(value)
    ]


def activity_sentence(line: ActivityLine) -> str:
    """What a person did, in words."""
    template = words.ACTIVITIES.get(line.what)
    remedy = str(line.facts.get("remedy", ""))
    if remedy in words.REPAIRS:
        done = words.repair_word(remedy, str(line.facts.get("subject", "")), access.frame().accounting)
        return f"{template}: {done}"
    if template is None:
        return line.what.replace("_", " ").capitalize()
    provider = str(line.facts.get("provider", ""))
    sentence = str(template)
    return sentence % {"provider": registry.title(provider)} if "%(" in sentence else sentence


def activity_facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """The facts of a log line, settings by their label and accounts by their role."""
    hidden = ("provider", "system", *(("remedy", "subject", "year") if "remedy" in facts else ()))
    shown = {name: str(value) for name, value in facts.items() if name not in hidden}
    if asked := prerequisite(shown.get("reason", "")):
        shown["reason"] = asked
    key = shown.get("setting", "")
    if key in words.SETTING_WORDS:
        shown["setting"] = str(words.setting_words(key, access.frame().accounting).label)
    elif key.startswith("accounts."):
        shown["setting"] = words.role_name(key.removeprefix("accounts."))
    for name in ("old", "new"):
        if (key, shown.get(name, "")) in words.CHOICES:
            frame = access.frame()
            shown[name] = str(words.choice_word(key, shown[name], frame.accounting, frame.country))
        elif key == "mode" and name in shown:
            shown[name] = str(words.MODES.get(shown[name], shown[name]))
    return shown


def prerequisite(code: str) -> str:
    """What a prerequisite asks, in the words of the company's own system; empty for what is none."""
    asked = registry.prerequisites(access.frame().accounting).get(code)
    return str(_(asked.title)) if asked is not None else ""


def run_message(message: str) -> str:
    """Why a run ended, in words."""
    if message in words.RUN_MESSAGES:
        return str(words.RUN_MESSAGES[message])
    if asked := prerequisite(message):
        return str(_("Your books are not ready. This must be so: %(what)s.", what=asked))
    return filters.clean(message)


@dataclass(frozen=True, slots=True)
class Pace:
    """How far and how fast a run is. `percent` and `minutes_left` None: not known."""

    done: int
    all: int
    percent: int | None
    per_minute: int
    minutes_left: int | None


def pace(run: RunPage, now: datetime) -> Pace:
    """The pace of a run that writes; other phases have no measure."""
    counts = run.line.counts
    done, left = counts.get("booked", 0), counts.get("to_deliver", 0)
    everything = done + left
    seconds = max(1, int((now - run.line.started_at).total_seconds()))
    per_minute = done * 60 // seconds
    if run.line.phase in ("audit", "prove"):
        return Pace(done, everything, 97 if run.line.phase == "audit" else 98, per_minute, 0)
    if run.line.phase != "deliver" or not everything:
        return Pace(0, 0, None, 0, None)
    minutes_left = left * seconds // (done * 60) if done else None
    return Pace(done, everything, done * 96 // everything, per_minute, minutes_left)


def voucher_name(reference: str) -> str:
    """A voucher by series and number, as bookkeepers say it; the financial year's number says nothing to them."""
    parts = reference.split("/")
    return f"{parts[0]} {parts[1]}" if len(parts) == 3 else reference


def document_name(number: str, kind: str) -> str:
    """A document in the books by what it is and its number."""
    template = words.DOCUMENT_NUMBERS.get(kind)
    return str(template) % {"number": number} if template is not None else voucher_name(number)


def decimal(value: Decimal | str) -> str:
    """A rate or another decimal without a currency; text that is none stays as it is."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return str(value)
    if not number.is_finite():
        return str(value)
    short = number.quantize(Decimal("0.01"))
    return filters.digits(short if short == number else number.normalize())


def json_text(value: Mapping[str, Any]) -> str:
    """A record as it was fetched, readable."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)


def account_keys(values: Mapping[str, str]) -> list[str]:
    """The account settings among others, clearing accounts first."""
    found = (key for key in values if key.startswith("accounts."))
    return sorted(found, key=lambda key: (not key.startswith("accounts.clearing"), key))


def instant_text(value: str) -> Markup | str:
    """An instant that is kept as text."""
    try:
        return filters.instant(datetime.fromisoformat(value))
    except ValueError:
        return escape(value)


def iso_day(value: str) -> Markup | str:
    """A date that is kept as text."""
    try:
        return filters.day(date.fromisoformat(value))
    except ValueError:
        return escape(value)


def chosen_accounts(values: Mapping[str, str], keys: Sequence[str]) -> str:
    """How many of these accounts are chosen, and how many are not."""
    chosen = sum(1 for key in keys if values.get(key))
    told: str = ngettext("%(num)s account", "%(num)s accounts", chosen)
    open_ones = len(keys) - chosen
    if not open_ones:
        return told
    left: str = ngettext("%(num)s left open", "%(num)s left open", open_ones)
    return f"{told} · {left}"


def as_dict(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Facts as they stand in a plan."""
    return dict(pairs)


def install(app: Flask) -> None:
    """Give templates these filters."""
    app.jinja_env.globals["prerequisite"] = prerequisite
    app.jinja_env.filters.update(
        fact_rows=fact_rows,
        activity_sentence=activity_sentence,
        activity_facts=activity_facts,
        run_message=run_message,
        pace=pace,
        decimal=decimal,
        voucher_name=voucher_name,
        document_name=document_name,
        json_text=json_text,
        account_keys=account_keys,
        instant_text=instant_text,
        iso_day=iso_day,
        chosen_accounts=chosen_accounts,
        as_dict=as_dict,
    )
