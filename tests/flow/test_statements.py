"""Statements, the bank account and open invoices, over what the simulated books really hold."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from addon.core.bank import BankVerdict
from addon.core.money import Money
from addon.core.statement import Group, OpenWhy, Statement
from addon.services import runs, statements
from addon.services.statements import Asked
from addon.store.models import ProofRow
from tests.flow.house import House


def sek(text: str) -> Money:
    return Money.from_decimal(Decimal(text), "SEK")


def state(house: House, since: str, until: str, currency: str = "SEK") -> Statement:
    asked = Asked(currency, date.fromisoformat(since), date.fromisoformat(until), "Ada Auditor")
    runs.prove(house.town.services, house.company_id, None, house.connection_id, (asked,))
    line = next(
        one
        for one in statements.listed(house.town.services, house.company_id)
        if (one.since, one.until, one.currency) == (asked.since, asked.until, currency)
    )
    return statements.view(house.town.services, house.company_id, line.id).statement


def group(statement: Statement, wanted: Group) -> Money:
    return next((one.amount for one in statement.groups if one.group is wanted), Money.zero(statement.currency))


def test_a_month_that_closes_with_a_payout_in_transit(plus: House) -> None:
    """Sales of the last days of the month reach the bank in the next: on the 31st the claim is real."""
    plus.sells("2026-03-02", 125_000)
    charge = plus.sells("2026-03-03", 50_000)
    plus.refunds(charge, "2026-03-10", 20_000)
    plus.time("2026-03-20 10:00")
    plus.opens()
    plus.runs()
    plus.sells("2026-03-27", 99_900)
    plus.time("2026-04-08 10:00")
    plus.runs()
    plus.all_is_well()
    march = next(iter(statements.listed(plus.town.services, plus.company_id)))
    assert (march.since, march.until, march.holds, march.made_by) == (date(2026, 3, 1), date(2026, 3, 31), True, "")
    statement = statements.view(plus.town.services, plus.company_id, march.id).statement
    assert group(statement, Group.SALES) == sek("2749.00")
    assert group(statement, Group.REFUNDS) == sek("-200.00")
    assert statement.opening == sek("0.00")
    together = Money.total((one.amount for one in statement.groups), "SEK")
    assert statement.closing == together == statement.told
    # What the auditor sees in the simulated ledger itself on that day:
    ledger = sum(
        row.amount
        for voucher in plus.books.ledger
        if voucher.date <= date(2026, 3, 31)
        for row in voucher.rows
        if row.account == plus.clearing()
    )
    assert statement.ledger == sek(str(ledger))
    assert {item.why for item in statement.open_items} <= {OpenWhy.IN_TRANSIT, OpenWhy.DATED_LATER}
    assert statement.closing == statement.ledger + statement.open_total()
    assert not statement.difference


def test_any_day_is_proved_by_booking_date_and_what_a_person_did_is_named(plus: House) -> None:
    plus.sells("2026-03-02", 125_000)
    plus.sells("2026-03-05", 30_000)
    plus.opens()
    plus.runs()
    day = state(plus, "2026-03-03", "2026-03-03")
    assert (day.holds, day.groups) == (True, ())
    assert day.opening == day.closing == day.ledger + day.open_total()
    earlier = state(plus, "2026-03-01", "2026-03-02")
    assert group(earlier, Group.SALES) == sek("1250.00")
    assert earlier.closing == day.opening

    plus.books.person_posts_voucher([(plus.clearing(), 100), (1930, -100)])
    statement = state(plus, "2026-03-01", "2026-03-20")
    assert not statement.holds
    assert statement.difference == sek("-100.00")
    assert [(one.name, one.amount) for one in statement.named] == [("posting_by_person", sek("100.00"))]
    before = state(plus, "2026-03-01", "2026-03-10")
    assert (before.holds, before.named) == (True, ())

    voucher = next(one for one in plus.books.ledger if "/fees/" in one.description)
    fee = next(row.amount for row in voucher.rows if row.account == plus.clearing())
    plus.books.ledger.remove(voucher)
    statement = state(plus, "2026-03-01", "2026-03-10")
    assert not statement.holds
    assert [(one.name, one.amount) for one in statement.named] == [("voucher_missing", sek(str(-fee)))]
    assert statement.difference == sek(str(fee))
    with plus.rows() as session:
        kept = session.scalars(select(ProofRow).where(ProofRow.currency == "SEK")).all()
    assert len(kept) == 1, "of the proofs of one day the last is kept"
    plus.time("2026-03-21 10:00")
    plus.identities()
    with plus.rows() as session:
        days = [
            row.at.date().isoformat() for row in session.scalars(select(ProofRow).where(ProofRow.currency == "SEK"))
        ]
    assert days == ["2026-03-20", "2026-03-21"]


def test_years_that_are_long_over_come_as_sums(plus: House, monkeypatch: pytest.MonkeyPatch) -> None:
    plus.sells("2026-03-02", 125_000)
    plus.sells("2026-03-02", 5_000)
    plus.sells("2026-03-16", 9_900)
    plus.opens()
    plus.runs()
    whole = [state(plus, "2026-03-01", day) for day in ("2026-03-01", "2026-03-08", "2026-03-20")]
    monkeypatch.setattr(statements, "EDGE", timedelta(days=1))
    with plus.rows() as session:
        parts = statements.load_parts(session, plus.connection_id, "SEK", date(2026, 3, 8))
    assert [part.count for part in parts if part.count > 1], "two sales of one day are one line"
    summed = [state(plus, "2026-03-01", day) for day in ("2026-03-01", "2026-03-08", "2026-03-20")]
    assert summed == whole
    assert all(one.holds for one in summed)


def test_a_foreign_balance_has_its_statement_in_its_own_currency(plus: House) -> None:
    plus.sells("2026-03-02", 10_000, "eur")
    plus.opens()
    plus.runs()
    plus.proves()
    statement = state(plus, "2026-03-01", "2026-03-20", "EUR")
    assert statement.holds, statement
    assert statement.currency == "EUR"
    assert group(statement, Group.SALES) == Money(10_000, "EUR")


def test_the_bank_account_has_each_payout_once_and_our_invoices_have_nothing_left(plus: House) -> None:
    plus.sells("2026-03-02", 125_000)
    plus.opens()
    plus.runs()
    proved = plus.identities()["SEK"]
    (payout,) = proved.bank
    assert payout.verdict is BankVerdict.ARRIVED
    assert proved.open_invoices == ()

    amount = payout.found.to_decimal()
    plus.books.person_posts_voucher([(1930, amount), (3001, -amount)], on=payout.payout.day)
    invoice = plus.our_invoices()[0]
    invoice.balance = invoice.total  # as if a person had taken the payment away
    proved = plus.identities()["SEK"]
    (doubled,) = proved.bank
    assert doubled.verdict is BankVerdict.DOUBLED
    assert doubled.found == payout.found + payout.found
    (left,) = proved.open_invoices
    assert (left.number, left.balance, left.why) == (str(invoice.number), sek("1250.00"), "unsettled")
    with plus.rows() as session:
        kept = session.scalars(select(ProofRow).where(ProofRow.currency == "SEK")).one()
    assert [one["verdict"] for one in kept.details["bank"]["faults"]] == ["doubled"]
    assert [one["why"] for one in kept.details["open_invoices"]] == ["unsettled"]

    plus.books.ledger[:] = [one for one in plus.books.ledger if "/payout" not in one.description and one.series != "A"]
    (gone,) = plus.identities()["SEK"].bank
    assert (gone.verdict, gone.found) == (BankVerdict.MISSING, sek("0.00"))
