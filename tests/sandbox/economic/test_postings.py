"""What stands in the simulated ledger after each call."""

from decimal import Decimal

import pytest

from addon.sandbox.economic import EconomicAgreement, EconomicWorld
from tests.sandbox.economic.conftest import BOOKED, JOURNALS, Caller, ledger


def test_a_booked_invoice_debits_the_customer_and_credits_sale_and_vat(
    call: Caller, agreement: EconomicAgreement
) -> None:
    call.product()
    invoice = call.invoice(call.customer(), ("VARE", "2", "50"))
    assert (invoice["netAmount"], invoice["vatAmount"], invoice["grossAmount"]) == (100, 25, 125)
    assert (invoice["remainder"], invoice["orderNumber"], invoice["lines"][0]["vatRate"]) == (125, 1, 25)
    assert ledger(agreement) == ["5600 125.00 D", "1010 100.00 C", "6902 25.00 C"]
    assert call.get("/rest/invoices/drafts").body["collection"] == []
    agreement.check()


def test_a_payment_closes_the_invoice_to_the_ore(call: Caller, agreement: EconomicAgreement) -> None:
    call.product()
    invoice = call.invoice(call.customer(), ("VARE", "1", "100"))
    assert call.book(call.pay(invoice)).status == 204
    assert agreement.trial_balance() == {1010: -100, 5891: 125, 6902: -25}
    number = invoice["bookedInvoiceNumber"]
    assert call.get(f"/rest/invoices/booked/{number}").body["remainder"] == 0
    assert [(entry["type"], entry["remainder"]) for entry in call.booked(f"customerInvoiceNumber$eq:{number}")] == [
        (1, 0),
        (2, 0),
    ]
    assert call.get("/rest/invoices/unpaid").body["collection"] == []
    agreement.check()


def test_a_credit_note_is_an_invoice_of_negative_quantities_and_is_settled_by_a_refund(
    call: Caller, agreement: EconomicAgreement
) -> None:
    call.product()
    customer = call.customer()
    call.book(call.pay(call.invoice(customer, ("VARE", "1", "100"))))
    note = call.invoice(customer, ("VARE", "-1", "100"))
    assert (note["grossAmount"], note["remainder"]) == (-125, -125)
    assert call.book(call.pay(note)).status == 204
    assert agreement.trial_balance() == {}
    assert agreement.booked[2].remainder == 0
    agreement.check()


def test_an_unpaid_invoice_is_matched_with_its_credit_note(call: Caller, agreement: EconomicAgreement) -> None:
    call.product()
    customer = call.customer()
    call.invoice(customer, ("VARE", "1", "100"))
    call.invoice(customer, ("VARE", "-1", "40"))
    first, second = (entry["entryNumber"] for entry in call.booked("type$eq:1$and:accountNumber$eq:5600"))
    assert call.post(f"{BOOKED}/booked-entries/match", {"entryIds": [first, second]}).status == 204
    assert (agreement.booked[1].remainder, agreement.booked[2].remainder) == (75, 0)
    pairs = call.get(f"{BOOKED}/booked-entries/matched-pairs").body["items"]
    assert [(pair["fromEntryAmount"], pair["toEntryAmount"]) for pair in pairs] == [(-50, 125)]


def test_the_exchange_difference_of_a_foreign_invoice_is_booked_when_it_is_paid(
    call: Caller, agreement: EconomicAgreement
) -> None:
    call.product()
    values = {"currency": "EUR", "exchangeRate": 746.0}
    invoice = call.invoice(call.customer(currency="EUR"), ("VARE", "1", "80"), **values)
    assert (invoice["grossAmount"], invoice["exchangeRate"]) == (100, 746)
    assert call.book(call.pay(invoice, exchangeRate=744.5)).status == 204
    assert agreement.trial_balance() == {
        1010: Decimal("-596.80"),
        4360: Decimal("1.50"),
        5891: Decimal("744.50"),
        6902: Decimal("-149.20"),
    }
    agreement.check()


def test_a_payment_at_another_rate_can_stay_unmatched(
    call: Caller, world: EconomicWorld, agreement: EconomicAgreement
) -> None:
    world.switches.matches_other_rate = False
    call.product()
    customer = call.customer()
    invoice = call.invoice(customer, ("VARE", "1", "80"), currency="EUR", exchangeRate=746.0)
    call.book(call.pay(invoice, exchangeRate=744.5))
    assert agreement.booked[1].remainder == 100
    agreement.check()


def test_the_sign_of_a_payment_is_a_switch(call: Caller, world: EconomicWorld, agreement: EconomicAgreement) -> None:
    world.switches.money_received_is_negative = False
    call.product()
    invoice = call.invoice(call.customer(), ("VARE", "1", "100"))
    call.book(call.pay(invoice, 125))
    assert agreement.booked[1].remainder == 0
    assert [entry["amount"] for entry in call.booked("type$eq:2$and:customerNumber$eq:1")] == [125]
    assert agreement.trial_balance()[5891] == 125


def test_the_wrong_sign_leaves_twice_the_remainder(call: Caller, agreement: EconomicAgreement) -> None:
    call.product()
    invoice = call.invoice(call.customer(), ("VARE", "1", "100"))
    call.book(call.pay(invoice, 125))
    assert agreement.booked[1].remainder == 125
    assert agreement.balance(5600) == 250


def test_one_gross_amount_in_five_needs_a_rounding_line(call: Caller, agreement: EconomicAgreement) -> None:
    call.product()
    call.product("RUND", 4)
    reached = set()
    for net in range(8000, 8010):
        drafted = call.draft(call.customer(), ("VARE", "1", f"{net / 100:.2f}")).body
        reached.add(round(drafted["grossAmount"] * 100))
    assert sorted(set(range(10000, 10010)) - reached) == [10002, 10007]
    exact = call.draft(call.customer(), ("VARE", "1", "80.01"), ("RUND", "1", "0.01")).body
    assert (exact["grossAmount"], exact["vatAmount"]) == (100.02, 20)


def test_vat_is_rounded_per_line_or_per_rate(call: Caller, world: EconomicWorld) -> None:
    call.product()
    lines = [("VARE", "1", "0.02")] * 2
    assert call.draft(call.customer(), *lines).body["vatAmount"] == 0.02
    world.switches.vat_rounding = "rate"
    assert call.draft(call.customer(), *lines).body["vatAmount"] == 0.01


def test_terms_that_settle_at_once_leave_nothing_open(call: Caller, agreement: EconomicAgreement) -> None:
    call.product()
    invoice = call.invoice(call.customer(), ("VARE", "1", "100"), paymentTerms={"paymentTermsNumber": 5})
    assert invoice["remainder"] == 0
    assert agreement.balance(5800) == 125


def test_a_payout_voucher_of_bulk_entries_shares_its_number(call: Caller, agreement: EconomicAgreement) -> None:
    rows = [(5820, 97.5), (3620, 2.5), (5891, -100.0)]
    entries = [
        {
            "entryTypeNumber": 5,
            "journalNumber": 1,
            "date": "2026-03-04T00:00:00",
            "accountNumber": account,
            "amount": amount,
            "currency": "DKK",
            "text": "po_1",
        }
        for account, amount in rows
    ]
    made = call.post(f"{JOURNALS}/draft-entries/bulk", {"entries": entries})
    assert made.status == 201
    assert call.book(*made.body["entryNumbers"]).status == 204
    assert {entry.voucher for entry in agreement.entries} == {10001}
    assert agreement.trial_balance() == {3620: Decimal("2.5"), 5820: Decimal("97.5"), 5891: -100}


def test_reverse_charge_is_booked_on_both_sides(call: Caller, agreement: EconomicAgreement) -> None:
    made = call.entry(accountNumber=3621, vatCode="IYEU", contraAccountNumber=5891, amount=100.0)
    assert call.book(made.body["entryNumber"]).status == 204
    assert agreement.trial_balance() == {3621: 100, 5891: -100, 6903: 25, 6904: -25}


def test_input_vat_is_inside_the_amount(call: Caller, agreement: EconomicAgreement) -> None:
    made = call.entry(accountNumber=3600, vatCode="I25", contraAccountNumber=5820, amount=125.0)
    call.book(made.body["entryNumber"])
    assert agreement.trial_balance() == {3600: 100, 5820: -125, 6903: 25}


@pytest.mark.parametrize(("habit", "status", "left"), [("refuse", 400, 2), ("skip", 204, 1)])
def test_an_unbalanced_entry_stops_the_booking_or_stays(
    call: Caller, world: EconomicWorld, agreement: EconomicAgreement, habit: str, status: int, left: int
) -> None:
    world.switches.unbalanced_booking = habit
    good = call.entry(accountNumber=5820, contraAccountNumber=5891, amount=10).body["entryNumber"]
    bad = call.entry(accountNumber=5820, amount=10).body["entryNumber"]
    assert call.book(good, bad).status == status
    assert len(agreement.draft_entries) == left


def test_a_journal_that_demands_balance_books_nothing_beside_an_unbalanced_entry(
    call: Caller, world: EconomicWorld, agreement: EconomicAgreement
) -> None:
    world.switches.unbalanced_booking = "skip"
    agreement.journals[1].flags["requireBalancePerVoucherId"] = True
    good = call.entry(accountNumber=5820, contraAccountNumber=5891, amount=10).body["entryNumber"]
    bad = call.entry(accountNumber=5820, amount=10).body["entryNumber"]
    assert call.book(good, bad).status == 400
    assert agreement.entries == []


def test_entries_that_need_approval_are_not_booked(call: Caller, agreement: EconomicAgreement) -> None:
    agreement.journals[1].flags.update(autoApprove=False, requireAdminApproval=True)
    entry = call.entry(accountNumber=5820, contraAccountNumber=5891, amount=10).body["entryNumber"]
    assert call.book(entry).codes == ["SandboxEntryIsNotApproved"]
    assert list(agreement.draft_entries) == [entry]


def test_people_work_in_between(agreement: EconomicAgreement) -> None:
    invoice = agreement.person_creates_invoice("100.02", order="1001")
    assert (invoice.gross, invoice.remainder, len(invoice.lines)) == (Decimal("100.02"), Decimal("100.02"), 2)
    agreement.person_pays_invoice(invoice.number)
    assert invoice.remainder == 0
    note = agreement.person_creates_invoice("-100.02", customer=invoice.customer)
    assert note.gross == Decimal("-100.02")
    numbers = agreement.person_posts_voucher([(5820, 5), (5891, -5)], booked=False)
    agreement.person_books_entries(numbers)
    assert agreement.balance(5891) == -5
    agreement.check()
