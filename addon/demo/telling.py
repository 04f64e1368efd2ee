"""What was done, what is held and why, the clearing identities, and the laws: as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from addon.core.text import hold_text
from addon.demo.checks import Law
from addon.demo.shelves import Shelf
from addon.demo.visit import Visit
from addon.services import held, laws


def _table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, header_style="bold")
    for name in columns:
        made.add_column(
            name.rstrip("#"),
            justify="right" if name.endswith("#") else "left",
            overflow="fold",
            no_wrap=name in ("company", "pair"),
        )
    return made


def tell_results(visits: Sequence[Visit], shelves: Sequence[Shelf], console: Console) -> None:
    """The table, what is held and why, and the identity of each balance currency."""
    shown = _table(
        "What was done",
        *(
            "company",
            "pair",
            "mode",
            "movements#",
            "currencies#",
            "invoices#",
            "credit notes#",
            "payments#",
            "vouchers#",
        ),
        *("waiting#", "held#", "calls#"),
    )
    for visit, shelf in zip(visits, shelves, strict=True):
        standing = held.standing(visit.stage.services, visit.company_id)
        kinds = standing.documents
        sales = laws.facts(visit.stage.services, visit.company_id).invoices
        refunds, matches = (kinds.get(name, 0) for name in ("refund", "match"))
        vouchers = sum(kinds.values()) - sales - refunds - matches
        shown.add_row(
            visit.part.name,
            visit.part.pair,
            visit.part.mode.capitalize(),
            *(str(number) for number in (standing.movements, len(standing.currencies), sales, refunds)),
            *(str(number) for number in (sales + refunds + matches, vouchers)),
            *(str(standing.parts.get(name, 0)) for name in ("waiting", "held")),
            str(shelf.calls()),
        )
    console.print(shown)
    _tell_held(visits, console)
    identities = _table(
        "Books and provider",
        *("company", "", "opening#", "books#", "not booked#", "provider says#", "difference#", ""),
    )
    for visit in visits:
        for line in held.latest_proofs(visit.stage.services, visit.company_id):
            amounts = (line.opening, line.ledger, line.not_booked, line.provider, line.difference)
            well = not line.difference and line.details.get("holds", True)
            identities.add_row(
                visit.part.name,
                line.provider.currency,
                *(f"{amount.to_decimal():,f}".replace(",", " ") for amount in amounts),
                "[green]✓ kvitt[/green]" if well else "[red]✗ differs[/red]",
            )
    console.print(identities)


def _tell_held(visits: Sequence[Visit], console: Console) -> None:
    shown = _table("Held: these need a person", "company", "movements#", "why", "for example")
    rows = 0
    for visit in visits:
        groups: dict[str, list[held.HeldPart]] = {}
        for part in held.held_parts(visit.stage.services, visit.company_id):
            groups.setdefault(part.reason, []).append(part)
        for reason, parts in sorted(groups.items()):
            rows += 1
            example = f"{parts[0].ref} {parts[0].amount}"
            shown.add_row(visit.part.name, str(len(parts)), hold_text(reason, {}), example)
    if rows:
        console.print(shown)


def tell_laws(checked: Sequence[tuple[str, Law]], console: Console) -> bool:
    """Each law with ✓, or with what breaks it; True if all hold."""
    shown = _table("Laws", "", "law", "company")
    for company, law in checked:
        shown.add_row("[red]✗[/red]" if law.faults else "[green]✓[/green]", law.name, company)
    console.print(shown)
    for company, law in checked:
        for fault in law.faults[:10]:
            console.print(f"  [red]✗[/red] {company}: {law.name}: {fault}")
    return not any(law.faults for _, law in checked)
