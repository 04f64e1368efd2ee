"""A measurement beside its budget, as a line of a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

Number = int | Decimal
Limit = Literal["at most", "at least", "exactly"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what was measured, what it may be, what it is. `budget` None: shown for comparison only."""

    what: str
    measured: Number
    unit: str
    limit: Limit = "at most"
    budget: Number | None = None
    note: str = ""

    @property
    def kept(self) -> bool:
        """Whether the budget is kept; a line without one always is."""
        if self.budget is None:
            return True
        match self.limit:
            case "at most":
                return self.measured <= self.budget
            case "at least":
                return self.measured >= self.budget
            case "exactly":
                return self.measured == self.budget

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers stay numbers, fractions are decimal strings."""
        return {
            "what": self.what,
            "measured": _plain(self.measured),
            "unit": self.unit,
            "limit": self.limit if self.budget is not None else None,
            "budget": _plain(self.budget) if self.budget is not None else None,
            "kept": self.kept,
            "note": self.note,
        }


def ratio(value: float, digits: int = 1) -> Decimal:
    """A measured time or rate, rounded for people; money is never measured this way."""
    return Decimal(str(round(value, digits)))


def _plain(number: Number) -> int | str:
    return number if isinstance(number, int) else str(number)


def _shown(number: Number) -> str:
    if isinstance(number, Decimal) and number == number.to_integral_value():
        return f"{int(number):,}"
    return f"{number:,}"


_SIGN = {"at most": "≤", "at least": "≥", "exactly": "="}


def print_table(rows: Sequence[Row], console: Console | None = None) -> None:
    """All rows as a table."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=150)
    table = Table(title="Budgets of Kvitt", title_justify="left")
    for name in ("what", "budget", "measured"):
        table.add_column(name, justify="left" if name == "what" else "right")
    table.add_column("")
    table.add_column("how")
    for row in rows:
        budget = "" if row.budget is None else f"{_SIGN[row.limit]} {_shown(row.budget)}"
        mark = "" if row.budget is None else ("✓" if row.kept else "✗")
        table.add_row(row.what, budget, f"{_shown(row.measured)} {row.unit}", mark, row.note)
    console.print(table)
