"""The filter language of both hosts: `date$gte:2026-01-01$and:(currency$eq:EUR$or:currency$eq:DKK)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

_OPERATOR = re.compile(r"\$(eq|ne|gte|gt|lte|lt|like|in|nin):", re.IGNORECASE)
_STOP = re.compile(r"\$and:|\$or:|\)", re.IGNORECASE)
_ESCAPES = {"$$": "$", "$(": "(", "$)": ")", "$*": "*", "$,": ","}


class BadFilter(ValueError):
    """A filter that cannot be used; `problems` are their sentences."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def value_at(row: Row, path: str) -> Any:
    """The value at a dotted path; None where anything on the way is missing."""
    found: Any = row
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def parse_filter(text: str, allowed: Mapping[str, str]) -> Test:
    """A test of rows. `allowed` maps paths to the operators that they take, separated by spaces.

    Raises `BadFilter`.
    """
    reader = _Reader(text, allowed)
    test = reader.expression()
    reader.end()
    return test


class _Reader:
    def __init__(self, text: str, allowed: Mapping[str, str]) -> None:
        self._text = text
        self._at = 0
        self._allowed = {path.lower(): (path, operators) for path, operators in allowed.items()}

    def expression(self) -> Test:
        test = self._term()
        while True:
            if self._takes("$and:"):
                test = _both(test, self._term())
            elif self._takes("$or:"):
                test = _either(test, self._term())
            else:
                return test

    def end(self) -> None:
        if self._at != len(self._text):
            raise BadFilter(f"Unexpected '{self._text[self._at :][:20]}'.")

    def _takes(self, word: str) -> bool:
        if self._text[self._at : self._at + len(word)].lower() == word:
            self._at += len(word)
            return True
        return False

    def _term(self) -> Test:
        if self._takes("("):
            test = self.expression()
            if not self._takes(")"):
                raise BadFilter("A parenthesis is not closed.")
            return test
        return self._comparison()

    def _comparison(self) -> Test:
        found = _OPERATOR.search(self._text, self._at)
        if found is None:
            raise BadFilter(f"No operator in '{self._text[self._at :][:40]}'.")
        name, operator = self._text[self._at : found.start()], found.group(1).lower()
        known = self._allowed.get(name.lower())
        if known is None:
            raise BadFilter(f"Filtering is not allowed on property '{name}'.")
        if operator not in known[1].split():
            raise BadFilter(f"Operator ${operator}: not supported on property {name}")
        self._at = found.end()
        return _comparison(known[0], operator, self._value())

    def _value(self) -> str:
        if self._text[self._at : self._at + 6].lower() == "$null:":
            self._at += 6
            return "$null:"
        kept = []
        while self._at < len(self._text):
            two = self._text[self._at : self._at + 2]
            if two in _ESCAPES:
                kept.append(f"\\{_ESCAPES[two]}" if two == "$*" else _ESCAPES[two])
                self._at += 2
            elif _STOP.match(self._text, self._at):
                break
            else:
                kept.append(self._text[self._at])
                self._at += 1
        return "".join(kept)


def _both(left: Test, right: Test) -> Test:
    return lambda row: left(row) and right(row)


def _either(left: Test, right: Test) -> Test:
    return lambda row: left(row) or right(row)


def _comparable(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, Decimal)):
        return Decimal(value)
    if isinstance(value, date):
        return value.isoformat()[:10]
    return str(value).casefold()


def _as(value: str, like: Any) -> Any:
    """What was asked for, as the same kind of thing as a row's value."""
    if isinstance(like, Decimal):
        try:
            return Decimal(value.strip())
        except InvalidOperation:
            return None
    return _comparable(value.replace("\\*", "*"))


def _comparison(path: str, operator: str, wanted: str) -> Test:
    if operator in ("in", "nin"):
        values = [part.strip() for part in wanted.strip("[]").split(",")]
        if len(values) > 200:
            raise BadFilter(
                "The $in: and $nin: operators only allow filtering on arrays with less than '200' values."
                f" Your array has {len(values)} values."
            )
        return lambda row: _among(value_at(row, path), values) == (operator == "in")
    if operator == "like":
        return _like(path, wanted)
    return lambda row: _compare(value_at(row, path), operator, wanted)


def _among(value: Any, wanted: Sequence[str]) -> bool:
    if value is None:
        return False
    ours = _comparable(value)
    return any(_as(each, ours) == ours for each in wanted)


def _like(path: str, wanted: str) -> Test:
    """Without a star it means "contains"; in brackets stands a set of characters, as in SQL."""
    pattern = "".join(
        "\\*" if part == "\\*" else ".*" if part == "*" else part if part.startswith("[") else re.escape(part)
        for part in re.findall(r"\\\*|\*|\[[^\]]+\]|[^*\[\\]+|.", wanted, re.DOTALL)
    )
    compiled = re.compile(pattern, re.IGNORECASE | re.DOTALL)
    if "*" in wanted.replace("\\*", ""):
        return lambda row: compiled.fullmatch(str(value_at(row, path) or "")) is not None
    return lambda row: compiled.search(str(value_at(row, path) or "")) is not None


def _compare(value: Any, operator: str, wanted: str) -> bool:
    if wanted == "$null:":
        return (value is None) == (operator == "eq")
    if value is None:
        return operator == "ne"
    ours = _comparable(value)
    if isinstance(ours, str) and len(wanted) == 10 and re.match(r"\d{4}-\d\d-\d\dt", ours):
        ours = ours[:10]  # an instant asked for by its day
    theirs = _as(wanted, ours)
    match operator:
        case "eq":
            return bool(ours == theirs)
        case "ne":
            return bool(ours != theirs)
    if theirs is None:
        return False
    match operator:
        case "gt":
            return bool(ours > theirs)
        case "gte":
            return bool(ours >= theirs)
        case "lt":
            return bool(ours < theirs)
    return bool(ours <= theirs)
