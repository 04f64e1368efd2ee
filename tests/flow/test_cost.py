"""What a sale costs in the database: counted in statements and commits, so that it does not creep back."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from addon.services import runs
from addon.store import prepared
from tests.flow.house import Bed, House

FEW, MANY = 2, 8


@pytest.fixture
def counted(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> Callable[[House], tuple[int, int]]:
    """Runs a company and counts: statements, whoever carries them out, and commits of what was written."""
    statements: list[str] = []
    commits: list[str] = []
    carry_out = prepared.Prepared.carry_out

    def noting(statement: Any, *arguments: Any) -> Any:
        statements.append(str(statement))
        return carry_out(statement, *arguments)

    def committed(connection: Any) -> None:
        if not connection.get_execution_options().get("kvitt_reading"):
            commits.append("commit")

    monkeypatch.setattr(prepared.Prepared, "carry_out", noting)
    monkeypatch.setattr(runs, "_Told", lambda _work: lambda _text: None)  # once a second, whatever is delivered
    engine = bed.town.services.db.engine
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(str(told[2])))
    event.listen(engine, "commit", committed)

    def count(house: House) -> tuple[int, int]:
        statements.clear()
        commits.clear()
        house.runs()
        return len(statements), len(commits)

    return count


def test_a_sale_costs_the_database_a_bounded_number_of_statements_and_one_commit_for_each_call(
    bed: Bed, counted: Callable[[House], tuple[int, int]]
) -> None:
    """Two companies with different numbers of sales on one day: what they differ by is what the sales cost."""
    bed.town.services = bed.town.with_services(in_flight=1).services
    costs = []
    for sales in (FEW, MANY):
        house = bed.house(balance_currencies=("sek",))
        for _ in range(sales):
            house.sells("2026-03-10", 125_00, email="buyer@example.com", name="Buyer")
        house.opens("plus")
        costs.append(counted(house))
        assert len(house.our_invoices()) == sales
    (few, few_commits), (many, many_commits) = costs
    more = MANY - FEW
    # A known customer's sale is four calls. Each is claimed, recorded and logged; what an answer tells of the document
    # stands in the document; a first attempt reads the document's steps, the last answer books its parts.
    assert (many_commits - few_commits) / more <= 5, (few_commits, many_commits)
    assert (many - few) / more <= 26, (few, many)


def test_a_run_that_finds_nothing_to_do_costs_a_bounded_number_of_statements_and_transactions(
    bed: Bed, counted: Callable[[House], tuple[int, int]]
) -> None:
    """Most runs are of this kind: a company's day is over, or a webhook told of what is booked already."""
    house = bed.house(balance_currencies=("sek",))
    house.sells("2026-03-10", 125_00)
    house.opens("plus")
    house.runs()
    statements, commits = counted(house)
    assert statements <= 240, statements
    assert commits <= 38, commits
