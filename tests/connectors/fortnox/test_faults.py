"""Every error of the ports, by a fault of the simulated Fortnox that produces it; and by the codes themselves."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from addon.connectors.fortnox.client import LicenceMissing, RightMissing, ScopeMissing, sort_fault
from addon.connectors.fortnox.translate import Fault, hold_reason, read_fault
from addon.core.holds import HoldReason
from addon.ports.errors import (
    AlreadyDone,
    BadReply,
    NeedsReconnect,
    OutcomeUnknown,
    PortError,
    Rejected,
    TryLater,
)
from tests.connectors.fortnox.conftest import DAY, Bench, sek
from tests.connectors.fortnox.test_accounting import STEPS, prepared

# What strikes, and what it is to a write and to a read. "after" is: the write has happened.
TABLE = [
    ("lost_before", OutcomeUnknown, TryLater),
    ("lost_after", OutcomeUnknown, TryLater),
    ("error_500_before", OutcomeUnknown, TryLater),
    ("error_500_after", OutcomeUnknown, TryLater),
    ("html_502_before", OutcomeUnknown, TryLater),
    ("html_502_after", OutcomeUnknown, TryLater),
    ("internal_1000029", OutcomeUnknown, TryLater),
    ("internal_1000029_after", OutcomeUnknown, TryLater),
    ("truncated_json", OutcomeUnknown, BadReply),
    ("rate_limited", TryLater, TryLater),
]


@pytest.mark.parametrize("which", STEPS)
@pytest.mark.parametrize(("kind", "to_a_write"), [row[:2] for row in TABLE])
def test_a_fault_on_a_write_and_the_look_up_after_it(
    bench: Bench, which: str, kind: str, to_a_write: type[PortError]
) -> None:
    step, known = prepared(bench, which)
    bench.fault(kind)
    with pytest.raises(to_a_write):
        bench.do(step, **known)
    happened = kind.endswith("_after") or kind == "truncated_json"
    found = bench.find(step, **known)
    assert (found is not None) == happened
    if found is None:
        assert bench.do(step, **known) == bench.find(step, **known)
    bench.company.check()


READS: dict[str, Callable[[Bench], object]] = {
    "identity": lambda bench: bench.fortnox.fetch_identity(),
    "invoice": lambda bench: bench.fortnox.get_invoice("1"),
    "customers": lambda bench: list(bench.fortnox.fetch_customers(None)),
    "payments": lambda bench: bench.fortnox.fetch_payments("1"),
    "newest": lambda bench: bench.fortnox.newest_change(bench.clock.now()),
    "books": lambda bench: bench.fortnox.fetch_books(DAY, DAY),
}


@pytest.mark.parametrize("which", READS)
@pytest.mark.parametrize(("kind", "to_a_read"), [(row[0], row[2]) for row in TABLE])
def test_a_fault_on_a_read(bench: Bench, which: str, kind: str, to_a_read: type[PortError]) -> None:
    bench.company.person_creates_invoice("100")
    bench.fault(kind)
    with pytest.raises(to_a_read):
        READS[which](bench)
    READS[which](bench)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("lost_after", TryLater), ("error_500_before", TryLater), ("rate_limited", TryLater)],
)
def test_a_fault_on_the_ledger_file(bench: Bench, kind: str, expected: type[PortError]) -> None:
    bench.fault(kind)
    with pytest.raises(expected):
        bench.fortnox.fetch_ledger(bench.year_ref, ["1580"])
    assert bench.fortnox.fetch_ledger(bench.year_ref, ["1580"]).entries == ()


def test_a_ledger_file_that_breaks_off_is_not_taken_for_the_whole(bench: Bench) -> None:
    for number in range(5):
        bench.post(bench.voucher(f"k{number}"))
    bench.fault("truncated_json")
    try:
        ledger = bench.fortnox.fetch_ledger(bench.year_ref, ["1580"])
    except BadReply:
        return
    assert ledger.entries == ()  # cut before the first voucher


# --- Too many calls -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tells", "expected"), [("always", 5), ("never", None)])
def test_too_many_calls_push_everybody_on(bench: Bench, tells: str, expected: int | None) -> None:
    bench.world.switches.retry_after = tells
    bench.fault("rate_limited")
    with pytest.raises(TryLater) as raised:
        bench.fortnox.fetch_identity()
    assert raised.value.retry_after_s == expected
    assert bench.pace.refusals == [expected]


def test_each_call_is_paced(bench: Bench) -> None:
    bench.sale(bench.invoice(), bench.settlement(sek("1250")))
    assert len(bench.pace.lanes) == len(bench.world.calls) == 5


# --- Tokens ---------------------------------------------------------------------------------------------------


def test_a_refused_token_is_renewed_once_and_the_write_made_once(bench: Bench) -> None:
    bench.fault("unauthorized", "POST /3/customers")
    assert bench.make_customer() == "1"
    assert bench.tokens.renewals == 1
    assert len(bench.company.customers) == 1


def test_a_fresh_token_that_is_refused_needs_a_person(bench: Bench) -> None:
    bench.fault("unauthorized", times=None)
    with pytest.raises(NeedsReconnect):
        bench.fortnox.fetch_identity()
    assert bench.tokens.renewals == 1


def test_an_expired_token_is_renewed(bench: Bench) -> None:
    bench.clock.advance(timedelta(hours=2))
    bench.tokens.tokens.append(bench.world.access_token(bench.company.database_number))
    bench.tokens.tokens[:] = [bench.tokens.tokens[0], bench.tokens.tokens[-1]]
    assert bench.fortnox.fetch_identity().name == "Fabriken AB"


def test_tokens_stay_out_of_messages_and_records(bench: Bench) -> None:
    token = bench.tokens.current()
    for kind in ("lost_before", "html_502_before", "truncated_json", "internal_1000029"):
        bench.fault(kind)
        with pytest.raises(PortError) as raised:
            bench.make_customer()
        assert token not in str(raised.value)
        assert "anna@example.com" not in str(raised.value)
    assert token not in repr(bench.log.calls)


# --- What Fortnox refuses -------------------------------------------------------------------------------------


def locked(bench: Bench) -> None:
    bench.company.lock_period(date(2026, 3, 31))


def inactive(bench: Bench) -> None:
    for number in (1580, 3001):
        bench.company.deactivate_account(number)


def gone(bench: Bench) -> None:
    for number in (1580, 3001):
        bench.company.remove_account(number)


def cost_centre(bench: Bench) -> None:
    for number in (1580, 3001):
        bench.company.demand_cost_center(number)


def project(bench: Bench) -> None:
    for number in (1580, 3001):
        bench.company.demand_project(number)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (locked, HoldReason.PERIOD_LOCKED),
        (inactive, HoldReason.ACCOUNT_NOT_READY),
        (gone, HoldReason.ACCOUNT_NOT_READY),
        (cost_centre, HoldReason.ACCOUNT_NOT_READY),
        (project, HoldReason.ACCOUNT_NOT_READY),
    ],
)
@pytest.mark.parametrize("document", ["sale", "voucher"])
def test_what_a_person_must_mend_is_held_for_its_reason(
    bench: Bench, what: Callable[[Bench], None], reason: HoldReason, document: str
) -> None:
    what(bench)
    write: dict[str, Callable[[], object]] = {
        "sale": lambda: bench.sale(bench.invoice(), bench.settlement(sek("1250"))),
        "voucher": lambda: bench.post(bench.voucher()),
    }
    with pytest.raises(Rejected) as raised:
        write[document]()
    assert raised.value.reason == reason.value
    assert raised.value.message


def test_a_day_without_a_financial_year(bench: Bench) -> None:
    step = bench.posting(replace(bench.voucher(), booking_date=date(2031, 1, 1)))
    with pytest.raises(Rejected) as raised:
        bench.do(step, series="A", year_ref=bench.year_ref)
    assert raised.value.reason == HoldReason.NO_FINANCIAL_YEAR.value


@pytest.mark.parametrize("series", ["B", "XX"])
def test_a_series_that_takes_no_vouchers(bench: Bench, series: str) -> None:
    with pytest.raises(Rejected) as raised:
        bench.do(bench.posting(bench.voucher()), series=series, year_ref=bench.year_ref)
    assert raised.value.reason == HoldReason.REJECTED.value
    assert "erifikationsserie" in raised.value.message


def test_an_invoice_that_is_not_there(bench: Bench) -> None:
    with pytest.raises(Rejected) as raised:
        bench.fortnox.get_invoice("77")
    assert raised.value.code == "2000434"


def test_missing_scope_and_licence(bench: Bench) -> None:
    bench.tokens.tokens[:] = [bench.world.access_token(bench.company.database_number, scopes="companyinformation")]
    with pytest.raises(ScopeMissing):
        bench.make_customer()
    bench.tokens.tokens[:] = [bench.world.access_token(bench.company.database_number)]
    bench.company.set_licences({"integration"})
    with pytest.raises(LicenceMissing):
        bench.make_customer()
    bench.company.set_licences(set())
    with pytest.raises(LicenceMissing):
        bench.fortnox.fetch_identity()


# --- The codes, without a world -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "on_write", "on_read"),
    [
        (429, "", TryLater, TryLater),
        (500, "", OutcomeUnknown, TryLater),
        (503, "2000434", OutcomeUnknown, TryLater),
        (400, "1000003", OutcomeUnknown, TryLater),
        (400, "1000029", OutcomeUnknown, TryLater),
        (400, "2000310", TryLater, TryLater),
        (403, "2000311", TryLater, TryLater),
        (400, "2000663", ScopeMissing, ScopeMissing),
        (403, "2000663", ScopeMissing, ScopeMissing),
        (400, "2001101", LicenceMissing, LicenceMissing),
        (403, "2001103", LicenceMissing, LicenceMissing),
        (400, "2003275", RightMissing, RightMissing),
        (400, "2001393", RightMissing, RightMissing),
        (400, "2001339", RightMissing, RightMissing),
        (400, "2002455", RightMissing, RightMissing),
        (400, "2003055", AlreadyDone, AlreadyDone),
        (400, "2001399", Rejected, Rejected),
        (404, "2000434", Rejected, Rejected),
    ],
)
def test_faults_are_sorted_by_code(status: int, code: str, on_write: type[PortError], on_read: type[PortError]) -> None:
    fault = Fault(code, "text") if code else None
    assert type(sort_fault(status, fault, None, write=True, what="x")) is on_write
    assert type(sort_fault(status, fault, None, write=False, what="x")) is on_read


def test_a_refusal_that_cannot_be_read_is_a_doubt_for_a_write() -> None:
    assert isinstance(sort_fault(404, None, None, write=True, what="x"), OutcomeUnknown)
    assert isinstance(sort_fault(404, None, None, write=False, what="x"), BadReply)


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("2000401", "", HoldReason.PERIOD_LOCKED),
        ("2002141", "", HoldReason.PERIOD_LOCKED),
        ("", "Företaget har låst perioden t.o.m. 2026-03-31", HoldReason.PERIOD_LOCKED),
        ("", "Betalningsdatum måste vara inom fakturans räkenskapsår", HoldReason.NO_FINANCIAL_YEAR),
        ("2000550", "", HoldReason.ACCOUNT_NOT_READY),
        ("", "Konto 1686 är inte aktivt", HoldReason.ACCOUNT_NOT_READY),
        ("", "Projekt är obligatoriskt på konto: 3001", HoldReason.ACCOUNT_NOT_READY),
        ("", "Förvalt konto för fakturaavgift saknas", HoldReason.ACCOUNT_NOT_READY),
        ("2000427", "", HoldReason.CURRENCY_NOT_READY),
        ("2003055", "", HoldReason.ALREADY_PAID),
        ("2001399", "Felaktigt fältnamn", HoldReason.REJECTED),
    ],
)
def test_refusals_have_a_reason(code: str, message: str, expected: HoldReason) -> None:
    assert hold_reason(Fault(code, message)) is expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"ErrorInformation": {"Error": 1, "Message": "A", "Code": 2000434}}, Fault("2000434", "A")),
        ({"ErrorInformation": {"error": 1, "message": "B", "code": "7"}}, Fault("7", "B")),
        ({"errorinformation": {}}, Fault("", "")),
        ({"message": "unauthorized"}, None),
        ([1], None),
        (None, None),
        ({"ErrorInformation": "x"}, None),
    ],
)
def test_faults_are_read_in_either_case(document: Any, expected: Fault | None) -> None:
    assert read_fault(document) == expected
