"""The laws that can be checked from outside, over Kvitt's rows and over the books as they really are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console

from addon.demo.shelves import Shelf, StandingInvoice
from addon.demo.visit import Visit, follow
from addon.services import laws


@dataclass(frozen=True)
class Law:
    """One checked law: what holds, or what does not."""

    name: str
    faults: tuple[str, ...]


def check_books_of(visit: Visit, shelf: Shelf) -> list[Law]:
    """Every law that can be checked over one company's data and the books as they really are."""
    services, company_id = visit.stage.services, visit.company_id
    facts = laws.facts(services, company_id)
    unpaid = [_words(one) for one in shelf.invoices if one.left]
    return [
        Law("nothing is lost: all parts make up all movements", facts.lost),
        Law("books and provider agree in every balance currency", facts.unequal),
        Law("each payout is the sum of its movements, or proved by balances", facts.unproved_payouts),
        Law("each document stands once in the books", tuple(_copies(shelf, facts))),
        Law("each invoice and credit note of Kvitt is closed", (*unpaid, *shelf.half_done)),
        Law("every voucher balances", tuple(shelf.unsound)),
        Law("nothing was mailed to a buyer", tuple(shelf.mails)),
    ]


def _copies(shelf: Shelf, facts: laws.Facts) -> Iterator[str]:
    """Keys that stand more than once, and counts that are not those of our rows."""
    keys = Counter((one.key, one.total < 0) for one in shelf.invoices)
    yield from (f"{key} stands {count} times" for (key, _), count in keys.items() if count > 1)
    vouchers = shelf.vouchers(facts.series)
    yield from (f"voucher {text} stands {count} times" for text, count in Counter(vouchers).items() if count > 1)
    found = {
        "invoices": len({key for key, negative in keys if not negative}),
        "payments": shelf.payments,
        "vouchers": len(vouchers),
    }
    made = {"invoices": facts.invoices, "payments": facts.payments, "vouchers": facts.vouchers}
    yield from (
        f"{found[name]} {name} in the books, {made[name]} in our rows" for name in found if found[name] != made[name]
    )


def _words(invoice: StandingInvoice) -> str:
    return f"{invoice.number} {invoice.key} has {invoice.left} {invoice.currency} left"


def check_alone(visits: Sequence[Visit]) -> Law:
    """No company's browser sees a transaction of another."""
    faults = []
    for visit in visits:
        for other in visits:
            if other is visit:
                continue
            foreign = laws.any_movement(other.stage.services, other.company_id)
            status = visit.browser.get(f"{visit.stage.kvitt}/transactions/{foreign}").status
            if status != 404:
                faults.append(f"{visit.part.name} got {status} for a transaction of {other.part.name}")
    return Law("each company sees its own data only", tuple(faults))


def check_second_run(visits: Sequence[Visit], shelves: Sequence[Shelf], console: Console) -> Law:
    """Run again over finished work: nothing may be written. Tried again if the world moved on meanwhile."""
    faults: list[str] = []
    for _ in range(3):
        for shelf in shelves:
            shelf.forget_calls()
        for visit in visits:
            visit.start_run()
        ended = follow(visits, console)
        faults = []
        moved = False
        for visit, shelf, run in zip(visits, shelves, ended, strict=True):
            writes = sum(shelf.calls(method) for method in ("POST", "PUT", "DELETE"))
            if writes:
                faults.append(f"{visit.part.name}: {writes} writes")
            moved = moved or bool(run.counts.get("fetched") or run.counts.get("planned"))
        if not faults or not moved:
            break
    return Law("a second run writes nothing", tuple(faults))
