"""What is read of an agreement for the checklist, what Repair does there, and how e-conomic is asked to tell us."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from addon.connectors.economic import Choices, EconomicAccounting, EconomicClient
from addon.connectors.http import HttpClient
from addon.core.books import Books, Feature, Nudges, Remedy, Repair
from addon.core.documents import CreateInvoice
from addon.core.holds import HoldReason
from addon.core.invoicing import Choice, SoldAs
from addon.ports.accounting import Known
from addon.ports.errors import Rejected
from addon.sandbox.economic import Fault
from tests.connectors.economic.conftest import DAY, Bench, invoice_of
from tests.support.in_process import InProcess

URL = "https://kvitt.test/webhooks/economic/1201001-word"
OTHER = "https://other.test/hook"


def reader(bench: Bench, url: str = URL, choices: dict[str, str] | None = None) -> EconomicAccounting:
    http = HttpClient("economic", bench.log, transport=InProcess(bench.world.app()), now=bench.clock.now)
    client = EconomicClient(
        http, "http://economic.test/rest", "http://economic.test/apis", "app-secret", bench.tokens, bench.pace
    )
    return EconomicAccounting(client, Choices.of(choices or {}), now=bench.clock.now, nudge_url=url)


def books_of(bench: Bench, first: date = date(2026, 1, 1)) -> Books:
    return reader(bench).fetch_books(first, DAY)


def test_registers_are_read_with_the_likeliest_first(bench: Bench) -> None:
    books = books_of(bench)
    assert books.invoicing is not None
    found = books.invoicing
    assert [one.code for one in found.layouts if one.open] == ["19", "20"]
    assert [one.code for one in found.payment_terms if one.open] == ["3", "1", "2", "4"], "shortest, plain ones first"
    assert {one.name for one in found.payment_terms if not one.open} == {"Kontant", "Forfaldsdato", "Forudbetalt"}
    assert [one.code for one in found.rounding_groups if one.open] == ["4", "2"], "the newest was made for it"
    assert SoldAs("domestic", "1010", Decimal(25)) in found.sold
    assert SoldAs("export", "1050", Decimal(0)) in found.sold
    assert SoldAs("domestic", "1050", Decimal(0)) not in found.sold
    assert dict(found.rates)["1010"] == 25
    assert (books.system, books.cannot[0]) == ("economic", Feature.MAIL_INVOICE)
    assert set(found.buyers) == {"domestic", "eu_consumer", "eu_business", "export"}


def test_months_that_are_closed_or_barred_are_told_as_stretches(bench: Bench) -> None:
    for month in (1, 2):
        bench.agreement.close_period(date(2026, month, 5))
    bench.agreement.bar_period(date(2026, 3, 5))
    bench.agreement.bar_period(date(2026, 6, 5))
    assert books_of(bench).closed_months == ((date(2026, 1, 1), date(2026, 3, 31)),), "what lies ahead does not count"
    assert books_of(bench, date(2026, 3, 1)).closed_months == ((date(2026, 3, 1), date(2026, 3, 31)),)


@pytest.mark.parametrize("role", ["Bookkeeping", "Sales"])
def test_another_role_is_told_and_nothing_that_hangs_on_it(bench: Bench, role: str) -> None:
    bench.world.role = role
    bench.tokens.tokens[-1] = bench.world.grant(bench.agreement.number, role=role)
    books = books_of(bench)
    assert (books.missing_scopes, books.years, books.invoicing) == (("SuperUser",), (), None)


def test_accounts_that_demand_a_department_are_told(bench: Bench) -> None:
    bench.agreement.demand_department(3621)
    for number, demands in (("3621", True), ("3620", False)):
        account = books_of(bench).account(number, "2026")
        assert account is not None and (account.needs_cost_centre, account.needs_project) == (demands, False)


def test_a_journal_of_ours_is_set_right_and_nobody_elses(bench: Bench) -> None:
    journal = bench.agreement.journals[bench.journal]
    journal.allowed_type, journal.flags["requireAdminApproval"] = 2, True
    journal.next_voucher = 899_500
    (series,) = (one for one in books_of(bench).series if one.code == "V" and one.year_ref == "2026")
    assert (series.manual, series.needs_approval, series.full) == (False, True, True)
    bench.economic = reader(bench)
    bench.economic.repair(Repair(Remedy.MEND_SERIES, "V"))
    (series,) = (one for one in books_of(bench).series if one.code == "V" and one.year_ref == "2026")
    assert (series.manual, series.needs_approval, series.full) == (True, False, False)
    assert (journal.next_voucher, journal.minimum) == (899_500, 800_001)
    with pytest.raises(Rejected):
        bench.economic.repair(Repair(Remedy.MEND_SERIES, "2"))


def test_a_product_group_is_made_that_sells_on_its_account_everywhere(bench: Bench) -> None:
    bench.agreement.add_account(1020, "Salg af gavekort", "profitAndLoss", "U25")
    sale = replace(invoice_of("125.00 DKK"), lines=(replace(invoice_of("125.00 DKK").lines[0]),))
    wanted = SoldAs("domestic", "1020", Decimal(25))
    assert wanted not in (books_of(bench).invoicing or sale).sold  # type: ignore[union-attr]
    bench.economic = reader(bench)
    bench.economic.repair(Repair(Remedy.CREATE_PRODUCT_GROUP, "1020", name="Kvitt DK25"))
    group = bench.agreement.product_groups[5]
    assert (group.name, group.sales_accounts) == ("Kvitt DK25", {1: 1020, 2: 1020, 3: 1020})
    found = books_of(bench).invoicing
    assert found is not None and wanted in found.sold
    with pytest.raises(Rejected):
        bench.economic.repair(Repair(Remedy.CREATE_PRODUCT_GROUP, "4711"))


def test_a_product_of_ours_that_somebody_barred_is_opened_and_keeps_its_name(bench: Bench) -> None:
    bench.sell(invoice_of("125.00 DKK"))
    bench.agreement.bar_product("KVITT-1")
    found = books_of(bench).invoicing
    assert found is not None and found.barred_products == ("KVITT-1",)
    bench.economic.repair(Repair(Remedy.OPEN_PRODUCT, "KVITT-1"))
    found = books_of(bench).invoicing
    assert found is not None and found.barred_products == ()
    assert bench.agreement.products["KVITT-1"].values["name"] == "Salg"


@pytest.mark.parametrize(
    ("choice", "number"),
    [(Choice.LAYOUT, "7"), (Choice.LAYOUT, "99"), (Choice.PAYMENT_TERMS, "5"), (Choice.CUSTOMER_GROUP, "9")],
)
def test_a_choice_that_is_of_no_use_holds_the_invoice_and_no_voucher(bench: Bench, choice: Choice, number: str) -> None:
    customer = bench.customer()
    bench.economic = reader(bench, choices={choice.value: number})
    bench.post(bench.payout())
    if choice is Choice.CUSTOMER_GROUP:
        with pytest.raises(Rejected) as refusal:
            bench.customer()
    else:
        invoice = invoice_of("125.00 DKK")
        with pytest.raises(Rejected) as refusal:
            bench.economic.perform(CreateInvoice("x", invoice, "c"), Known(customer_number=customer))
    assert refusal.value.reason == HoldReason.CODE_NOT_READY.value
    assert number in refusal.value.message


def test_choices_are_those_of_the_settings(bench: Bench) -> None:
    assert Choices.of({"invoice_layout": "20", "customer_group": "two"}) == Choices(layout=20)
    bench.economic = reader(bench, choices={"invoice_layout": "20", "payment_terms": "2", "customer_group": "2"})
    invoice = bench.sell(invoice_of("125.00 DKK"))
    booked = bench.agreement.booked[int(invoice.number)]
    assert (booked.layout, booked.terms) == (20, 2)


# --- Being told ----------------------------------------------------------------------------------------------


def told(bench: Bench, url: str = URL) -> Nudges:
    return reader(bench, url).fetch_books(DAY, DAY).nudges


def test_e_conomic_is_asked_to_tell_us_and_asked_to_stop(bench: Bench) -> None:
    ours = reader(bench)
    assert told(bench) is Nudges.OFF
    ours.repair(Repair(Remedy.REGISTER_WEBHOOK, "INVOICE_BOOKED"))
    assert told(bench) is Nudges.ON
    bench.sell(invoice_of("125.00 DKK"))
    (event,) = bench.world.events
    assert (event["url"], event["body"]) == (URL, "{}"), "nothing of theirs is in the call"
    ours.end_nudges()
    assert (told(bench), bench.world.hooks) == (Nudges.OFF, {})
    ours.end_nudges()
    bench.clock.advance(timedelta(seconds=1))
    ours.begin_nudges()
    assert told(bench) is Nudges.ON, "a new request, not an answer out of their memory"


def test_an_old_address_and_one_that_was_switched_off_are_set_right(bench: Bench) -> None:
    reader(bench, OTHER).begin_nudges()
    assert told(bench) is Nudges.ELSEWHERE
    reader(bench).end_nudges()
    assert told(bench, OTHER) is Nudges.ON, "what tells somebody else is not ours to take away"
    reader(bench).begin_nudges()
    assert told(bench) is Nudges.ON
    hook = bench.world.hooks[bench.agreement.number, "INVOICE_BOOKED"]
    hook.values["isDisabled"] = True
    assert told(bench) is Nudges.DISABLED
    reader(bench).begin_nudges()
    assert told(bench) is Nudges.ON


def test_an_event_that_another_app_holds_is_theirs_and_stops_nothing(bench: Bench) -> None:
    hooks = "/apis/webhooksapi/v1.0.0/webhooks"
    bench.world.faults.add(Fault("error_500_before", f"POST {hooks}$", times=1))
    bench.world.hooks.clear()
    with pytest.raises(Exception, match="their own fault"):
        reader(bench).begin_nudges()
    assert told(bench) is Nudges.OFF
    assert reader(bench, "").fetch_books(DAY, DAY).nudges is Nudges.NONE
    reader(bench, "").begin_nudges()
    reader(bench, "").end_nudges()
    assert bench.world.hooks == {}
