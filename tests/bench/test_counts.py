"""What the README says of calls: counted at the simulated Fortnox, the same way as `make bench` does."""

import json

import pytest

from bench import __main__ as bench
from bench.counts import count_basic, count_plus, count_second_runs
from bench.economic import count_economic
from bench.rows import Row


def by_name(rows: list[Row]) -> dict[str, Row]:
    return {row.what: row for row in rows}


@pytest.mark.slow
def test_sales_refunds_fees_and_payouts_keep_their_budgets() -> None:
    rows = by_name(count_plus(more=1))
    assert rows["sale, known customer"].measured == 4
    assert rows["sale, new customer"].measured == 5
    assert rows["refund, full"].measured <= 5
    assert rows["refund, partial"].measured <= 5
    assert rows["fees"].measured == 1
    assert rows["payout"].measured == 1
    assert all(row.kept for row in rows.values())


@pytest.mark.slow
def test_a_match_takes_four_calls_at_most() -> None:
    rows = by_name(count_basic(more=1))
    assert rows["match"].measured <= 4
    assert rows["match of a refund"].measured <= 5


@pytest.mark.slow
def test_a_second_run_writes_nothing_and_asks_no_more_where_there_is_more() -> None:
    rows = by_name(count_second_runs(sales=2, times=4))
    for mode in ("Plus", "Basic"):
        assert rows[f"second run, {mode}: writes"].measured == 0
        assert rows[f"second run, {mode}: reads"].kept


@pytest.mark.slow
def test_a_sale_in_e_conomic_takes_three_calls_and_a_share_of_two() -> None:
    rows = by_name(count_economic(more=3))
    assert rows["e-conomic: sale, known customer"].measured == 3
    assert rows["e-conomic: booking calls for all of them"].measured == 1
    assert all(row.kept for row in rows.values())


def test_a_missed_budget_is_shown_and_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Row("sale", 4, "calls", "at most", 4), Row("match", 5, "calls", "at most", 4), Row("told", 9, "calls")]
    monkeypatch.setattr(bench, "_counts", lambda: [("all", lambda: rows)])
    assert bench.main(["--quick"]) == 1
    assert "Missed: match." in capsys.readouterr().out
    assert bench.main(["--quick", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [row["kept"] for row in told["rows"]] == [True, False, True]
    monkeypatch.setattr(bench, "_counts", lambda: [("all", lambda: rows[:1])])
    assert bench.main(["--quick"]) == 0
