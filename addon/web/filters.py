"""How amounts, dates and strangers' texts are written on the pages."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final

from babel import Locale
from babel.dates import format_date, format_time
from flask import Flask, g, has_request_context
from flask_babel import get_locale
from markupsafe import Markup, escape

from addon.core.money import Money
from addon.core.written import figure_of
from addon.web import access

THIN_SPACE: Final = "\u202f"
"""Between thousands: thin, and never at a line's end."""
NO_BREAK: Final = "\u00a0"
MINUS: Final = "\u2212"
BETWEEN_THOUSANDS: Final = {"da": "."}
"""Languages that have another mark between thousands than a thin space."""


def digits(value: Decimal) -> str:
    """A decimal as it is written here: decimal comma, real minus sign, and between thousands what the language has."""
    text = f"{abs(value):f}"
    whole, _, fraction = text.partition(".")
    groups = []
    while len(whole) > 3:
        whole, group = whole[:-3], whole[-3:]
        groups.append(group)
    between = BETWEEN_THOUSANDS.get(_locale().language, THIN_SPACE) if groups else ""
    grouped = between.join([whole, *reversed(groups)])
    return f"{MINUS if value < 0 else ''}{grouped}{f',{fraction}' if fraction else ''}"


def figure(amount: Money) -> Markup:
    """An amount without its currency."""
    value = amount.to_decimal()
    return Markup('<data class="figure" value="{}">{}</data>').format(f"{value:f}", digits(value))


def money(amount: Money) -> Markup:
    """An amount with its currency after it."""
    value = amount.to_decimal()
    return Markup('<data class="figure" value="{0}">{1}\u00a0<span class="currency">{2}</span></data>').format(
        f"{value:f}", digits(value), amount.currency
    )


def money_text(amount: Money) -> str:
    """An amount with its currency as plain text, for attributes and sentences."""
    return f"{digits(amount.to_decimal())}{NO_BREAK}{amount.currency}"


def written(text: str) -> str:
    """An amount that is kept as text, as it is written here; anything else as it stands."""
    try:
        return digits(figure_of(text))
    except ValueError:
        return text


def sum_money(amounts: Iterable[Money], currency: str) -> Money:
    """Amounts of one currency together."""
    return Money.total(amounts, currency)


def count(number: int) -> Markup:
    """A number of things."""
    return Markup('<span class="figure">{}</span>').format(digits(Decimal(number)))


def _locale() -> Locale:
    """The locale that dates are written in; English as it is written in Europe."""
    found = get_locale() if has_request_context() else None
    if found is None or found.language == "en":
        return Locale("en", "GB")
    return Locale.parse(str(found))


def day(value: date) -> Markup:
    """A date as the language writes it, the ISO date on hover."""
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(value.isoformat(), day_text(value))


def day_text(value: date) -> str:
    """A date as the language writes it."""
    return str(format_date(value, "medium", locale=_locale()))


def month(value: date) -> str:
    """A month and its year."""
    return str(format_date(value, "LLLL yyyy", locale=_locale()))


def _zone() -> tzinfo:
    """The zone of the company that a page is for; also where only a part of the page is made, without its frame."""
    if has_request_context() and g.get("visitor") is not None:
        return access.frame().zone
    return UTC


def instant(value: datetime) -> Markup:
    """An instant in the company's time zone, ISO with the zone on hover."""
    zone = _zone()
    local = value.astimezone(zone)
    text = f"{day_text(local.date())}, {format_time(local, 'HH:mm', locale=_locale())}"
    return Markup('<time datetime="{}" title="{} {}">{}</time>').format(
        value.astimezone(UTC).isoformat(timespec="seconds"),
        local.strftime("%Y-%m-%d %H:%M:%S"),
        getattr(zone, "key", "UTC"),
        text,
    )


def clock(value: datetime) -> Markup:
    """The time of day of an instant in the company's zone, the whole on hover."""
    zone = _zone()
    local = value.astimezone(zone)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        value.astimezone(UTC).isoformat(timespec="seconds"),
        local.strftime("%Y-%m-%d %H:%M:%S"),
        local.strftime("%H:%M"),
    )


def when(value: datetime, now: datetime) -> Markup:
    """An instant near the present: the time alone on the same day."""
    zone = _zone()
    same = value.astimezone(zone).date() == now.astimezone(zone).date()
    return clock(value) if same else instant(value)


# --- Strangers' texts ----------------------------------------------------------------------------------------

_KEPT: Final = frozenset("\n\t\u00ad")


def _harmless(character: str) -> bool:
    """Whether a character may be shown: no control or formatting characters, which turn text round or hide it."""
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn") or character in _KEPT


def clean(text: str) -> str:
    """A text without control and direction characters; whatever it was, it reads as it stands."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character for character in text if _harmless(character))


def shown(value: Any) -> Any:
    """The last thing that happens to every value on a page: strangers' texts lose what could mislead.

    Markup is ours and stays; everything else is cleaned here and escaped by Jinja afterwards.
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(value)
    return value


def foreign(text: str) -> Markup:
    """A stranger's text, kept apart from ours whatever its direction."""
    return Markup("<bdi>{}</bdi>").format(clean(text))


def shortened(text: str, length: int = 24) -> Markup:
    """A reference that may be long: its beginning and end, the whole on hover."""
    text = clean(text)
    if len(text) <= length:
        return Markup('<span class="ref">{}</span>').format(text)
    half = (length - 1) // 2
    return Markup('<span class="ref" title="{}">{}…{}</span>').format(text, text[:half], text[-half:])


def attribute(text: str) -> Markup:
    """A text for an attribute."""
    return escape(clean(text))


def install(app: Flask) -> None:
    """Give templates these filters."""
    app.jinja_env.filters.update(
        money=money,
        money_text=money_text,
        figure=figure,
        count=count,
        day=day,
        day_text=day_text,
        month=month,
        instant=instant,
        clock=clock,
        foreign=foreign,
        shortened=shortened,
        sum_money=sum_money,
        written=written,
    )
    app.jinja_env.finalize = shown
