"""What Kvitt relies on in an accounting system, asked of every connector."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import TypeVar

import pytest

from addon.core.books import Books, InvoiceView, OrderField, StepAnswer
from addon.core.documents import (
    BookInvoice,
    BookPayment,
    CreateCustomer,
    CreateInvoice,
    CreatePayment,
    CreditInvoice,
    Customer,
    CustomerVat,
    DateCreditNote,
    Invoice,
    InvoiceLine,
    PostVoucher,
    Settlement,
    Step,
    Voucher,
    signed_line,
)
from addon.core.money import Money
from addon.log import get_logger
from addon.ports.accounting import AccountingSystem, Known
from addon.ports.errors import BadReply, NeedsReconnect, OutcomeUnknown, PortError, Rejected, TryLater
from tests.conformance.beds import AccountingBed
from tests.conformance.leaks import leaks_of
from tests.conformance.line import FAULTS, RETRY_AFTER_S, Fault, fault

T = TypeVar("T")
BUYER = Customer("provider/cus_1", "Anna Andersson", CustomerVat.DOMESTIC, email="anna@example.test")
GROSS = 125_00
KEY = "provider/ch_1"
MOST_TRIES = 6
Perform = Callable[[Step, Known], StepAnswer]


@dataclass
class Sale:
    """A sale, its payment, its refund and the payout, as steps; what each left behind."""

    bed: AccountingBed
    perform: Perform
    key: str = KEY

    def money(self, minor: int = GROSS) -> Money:
        return Money(minor, self.bed.currency)

    @property
    def invoice(self) -> Invoice:
        row = InvoiceLine("Order 1001", self.money(), 25, self.bed.sales)
        return Invoice(
            f"{self.key}/sale",
            replace(BUYER, country="SE" if self.bed.currency == "SEK" else "DK"),
            self.bed.day,
            (row,),
            self.money(),
            Decimal(25),
            order_number="1001",
        )

    def customer(self) -> str:
        return self.perform(CreateCustomer("customer", self.invoice.customer), Known()).reference

    def draft(self, customer: str) -> InvoiceView:
        step = CreateInvoice(f"{self.invoice.key}/create", self.invoice, "customer")
        return _invoice(self.perform(step, Known(customer_number=customer)))

    def book(self, draft: InvoiceView) -> InvoiceView:
        step = BookInvoice(f"{self.invoice.key}/book", f"{self.invoice.key}/create", self.invoice)
        return _invoice(self.perform(step, Known(invoice=draft)))

    def pay(self, invoice: InvoiceView, amount: Money, key: str) -> StepAnswer:
        settlement = Settlement(key, amount, None, self.bed.day, self.bed.clearing)
        made = self.perform(CreatePayment(f"{key}/create", settlement), Known(invoice=invoice))
        step = BookPayment(f"{key}/book", f"{key}/create")
        return self.perform(step, Known(payment_number=made.reference, invoice=invoice))

    def credit(self, invoice: InvoiceView) -> InvoiceView:
        key, total, day = f"{self.key}/refund", -self.money(), self.bed.day
        made = _invoice(self.perform(CreditInvoice(f"{key}/credit", "i", total, day, "Refund"), Known(invoice=invoice)))
        dating = DateCreditNote(f"{key}/date", f"{key}/credit", key, day, "Refund")
        dated = _invoice(self.perform(dating, Known(invoice=made)))
        return _invoice(self.perform(BookInvoice(f"{key}/book", key, None, total), Known(invoice=dated)))

    @property
    def payout(self) -> PostVoucher:
        key, amount = f"{self.key}/payout", self.money(40_00)
        lines = (signed_line(self.bed.bank, amount, "Payout"), signed_line(self.bed.clearing, -amount, "Payout"))
        return PostVoucher(key, Voucher(key, self.bed.day, "Payout po_1", lines))

    def pay_out(self) -> StepAnswer:
        return self.perform(self.payout, self.bed.for_vouchers())

    def all(self) -> InvoiceView:
        """Sold, paid, refunded, paid back, paid out."""
        booked = self.book(self.draft(self.customer()))
        self.pay(booked, self.money(), f"{self.key}/payment")
        note = self.credit(booked)
        self.pay(note, -self.money(), f"{self.key}/repayment")
        self.pay_out()
        return booked


def _invoice(answer: StepAnswer) -> InvoiceView:
    assert answer.invoice is not None
    return answer.invoice


def sold(bed: AccountingBed, system: AccountingSystem | None = None) -> InvoiceView:
    return Sale(bed, (system or bed.system()).perform).all()


def total(bed: AccountingBed, account: str) -> Money:
    entries = bed.system().fetch_ledger(bed.year_ref, [account]).entries
    return Money.total((entry.amount for entry in entries), bed.currency)


# --- What is declared is what is shown ----------------------------------------------------------------------


def test_the_company_is_named(accounting: AccountingBed) -> None:
    identity = accounting.system().fetch_identity()
    assert identity.tenant
    assert identity.name
    assert identity.organisation_number
    assert identity.currency == accounting.currency


def test_the_books_tell_what_is_asked_before_anything_is_written(accounting: AccountingBed) -> None:
    books = accounting.system().fetch_books(accounting.day, accounting.day)
    assert books.identity == accounting.system().fetch_identity()
    assert accounting.year_ref in {year.ref for year in books.years}
    numbers = {account.number for account in books.accounts if account.active}
    assert {accounting.sales.number, accounting.clearing.number, accounting.bank.number} <= numbers
    assert accounting.series in {series.code for series in books.series}


def test_a_key_of_full_length_is_found_again(accounting: AccountingBed) -> None:
    system = accounting.system()
    length = system.capabilities.key_length
    assert length >= 30
    key = f"provider/{'x' * (length - len('provider/') - len('/sale'))}"
    sale = Sale(accounting, system.perform, key)
    assert len(sale.invoice.key) == length
    draft = sale.draft(sale.customer())
    step = CreateInvoice(f"{sale.invoice.key}/create", sale.invoice, "customer")
    found = accounting.system().look_up(step, Known(customer_number=draft.customer_number))
    assert found is not None
    assert found.reference == draft.number or _invoice(found).number == draft.number
    assert [view.our_key for view in accounting.system().fetch_invoices("provider/", None)] == [sale.invoice.key]


def test_a_key_repeated_in_its_window_is_answered_with_the_first_answer(accounting: AccountingBed) -> None:
    window_s = accounting.system().capabilities.idempotency_window_s
    first = Sale(accounting, accounting.system().perform)
    customer = first.customer()
    draft = first.draft(customer)
    again = Sale(accounting, accounting.system().perform).draft(customer)
    assert (again.number == draft.number) == (window_s > 0)
    accounting.advance(timedelta(seconds=window_s))
    later = Sale(accounting, accounting.system().perform).draft(customer)
    assert later.number != draft.number


def test_amounts_come_back_as_they_were_sent(accounting: AccountingBed) -> None:
    system = accounting.system()
    assert system.capabilities.decimals == 2
    sale = Sale(accounting, system.perform)
    booked = sale.book(sale.draft(sale.customer()))
    assert (booked.total, booked.balance, booked.vat) == (sale.money(), sale.money(), Decimal(25))
    paid = sale.pay(booked, sale.money(), f"{sale.key}/payment")
    assert paid.voucher
    told = system.get_invoice(booked.number)
    assert (told.total, told.balance, told.invoice_date) == (sale.money(), sale.money(0), accounting.day)
    (payment,) = system.fetch_payments(booked.number)
    assert (payment.amount, payment.paid_on, payment.booked) == (sale.money(), accounting.day, True)


def test_what_is_not_there_is_said_and_not_made_up(accounting: AccountingBed) -> None:
    system = accounting.system()
    with pytest.raises(Rejected):
        system.get_invoice("987654")
    assert system.find_invoices("nothing-of-the-kind", [OrderField.ORDER_NUMBER]) == ()
    assert list(system.fetch_invoices("nobody/", None)) == []
    assert list(system.fetch_open_invoices("nobody/")) == []


# --- Everything once ----------------------------------------------------------------------------------------


def test_all_pages_together_are_all_rows_once(accounting: AccountingBed) -> None:
    accounting.add_customers(accounting.page_rows + 3)
    system, calls = accounting.system(), len(accounting.line.calls)
    numbers = [customer.number for customer in system.fetch_customers(None)]
    assert len(numbers) == len(set(numbers)) == accounting.page_rows + 3
    assert len(accounting.line.calls) - calls >= 2


def test_an_order_number_is_compared_exactly(accounting: AccountingBed) -> None:
    sale = Sale(accounting, accounting.system().perform)
    booked = sale.book(sale.draft(sale.customer()))
    for asked, number in (("1001", booked.number), ("100", None), ("10011", None), ("001", None)):
        found = accounting.system().find_invoices(asked, [OrderField.ORDER_NUMBER])
        assert [view.number for view in found] == ([number] if number else []), asked


def test_what_our_keys_name_is_listed(accounting: AccountingBed) -> None:
    sold(accounting)
    views = list(accounting.system().fetch_invoices("provider/", None))
    assert sorted(view.our_key for view in views) == [f"{KEY}/refund", f"{KEY}/sale"]
    dated = list(accounting.system().fetch_invoices_dated(accounting.day, accounting.day))
    assert len(dated) == 2
    assert list(accounting.system().fetch_open_invoices("provider/")) == []
    vouchers = list(accounting.system().fetch_vouchers(accounting.series, accounting.year_ref))
    assert [KEY in voucher.text for voucher in vouchers].count(True) >= 1


# --- Amounts ------------------------------------------------------------------------------------------------


def test_the_ledger_read_back_is_the_ledger_that_stands_there(accounting: AccountingBed) -> None:
    sold(accounting)
    standing = accounting.ledger()
    assert standing == {accounting.bank.number: Decimal(40), accounting.clearing.number: Decimal(-40)}
    for account in (accounting.bank.number, accounting.clearing.number, accounting.sales.number):
        assert total(accounting, account).to_decimal() == standing.get(account, 0)


def test_a_vouchers_rows_add_up_to_nought(accounting: AccountingBed) -> None:
    sale = Sale(accounting, accounting.system().perform)
    posted = sale.pay_out()
    assert posted.voucher
    ledger = accounting.system().fetch_ledger(accounting.year_ref, [], frozenset({posted.voucher}))
    assert {entry.account for entry in ledger.entries} == {accounting.bank.number, accounting.clearing.number}
    assert not Money.total((entry.amount for entry in ledger.entries), accounting.currency)


# --- Errors by what to do next ------------------------------------------------------------------------------

Question = Callable[[AccountingBed, AccountingSystem, InvoiceView], object]
QUESTIONS: dict[str, Question] = {
    "identity": lambda bed, system, invoice: system.fetch_identity(),
    "customers": lambda bed, system, invoice: list(system.fetch_customers(None)),
    "one invoice": lambda bed, system, invoice: system.get_invoice(invoice.number),
    "invoices": lambda bed, system, invoice: list(system.fetch_invoices("provider/", None)),
    "by order number": lambda bed, system, invoice: system.find_invoices("1001", [OrderField.ORDER_NUMBER]),
    "payments": lambda bed, system, invoice: system.fetch_payments(invoice.number),
    "vouchers": lambda bed, system, invoice: list(system.fetch_vouchers(bed.series, bed.year_ref)),
    "newest change": lambda bed, system, invoice: system.newest_change(bed.now() - timedelta(days=1)),
    "books": lambda bed, system, invoice: system.fetch_books(bed.day, bed.day),
    "ledger": lambda bed, system, invoice: system.fetch_ledger(bed.year_ref, [bed.clearing.number]),
}


@pytest.mark.parametrize("which", FAULTS, ids=lambda one: one.name)
def test_a_fault_on_a_question_is_named_by_what_to_do_next(accounting: AccountingBed, which: Fault) -> None:
    sale = Sale(accounting, accounting.system().perform)
    invoice = sale.book(sale.draft(sale.customer()))
    system = accounting.system()
    for name, ask in QUESTIONS.items():
        calls = len(accounting.line.calls)
        right = ask(accounting, system, invoice)
        if len(accounting.line.calls) == calls:
            continue  # it has no such thing, and asks nobody
        if which.name.startswith("cut off") and name in accounting.endless:
            continue
        accounting.line.strike_question(which, always=which.name in ("401", "403"))
        with pytest.raises(which.to_a_question) as raised:
            _asked(ask, accounting, system, invoice)
        accounting.line.calm()
        if which.name == "429 with Retry-After":
            assert isinstance(raised.value, TryLater)
            assert raised.value.retry_after_s == RETRY_AFTER_S
        assert ask(accounting, system, invoice) == right


def _asked(ask: Question, bed: AccountingBed, system: AccountingSystem, invoice: InvoiceView) -> None:
    """Ask; books that name what is closed to us, so that a person sees all of it at once, are a refusal as well."""
    answer = ask(bed, system, invoice)
    if isinstance(answer, Books) and (answer.missing_scopes or answer.unreadable):
        raise Rejected("", "closed to us")


class Stubborn:
    """Performs each step until it is done, as the delivery engine does: looks before it asks again in doubt."""

    def __init__(self, bed: AccountingBed, which: Fault) -> None:
        self.bed, self.which = bed, which
        self.errors: list[PortError] = []
        self.in_doubt = False
        self.processes = itertools.cycle((bed.system(), bed.system()))

    def perform(self, step: Step, known: Known) -> StepAnswer:
        for _ in range(MOST_TRIES):
            struck = len(self.bed.line.struck)
            system = next(self.processes)  # another process takes over
            try:
                if self.in_doubt:
                    # Long after: a key's memory is gone, and only looking helps.
                    self.bed.advance(timedelta(seconds=system.capabilities.idempotency_window_s + 1))
                    found = system.look_up(step, known)
                    self.in_doubt = False
                    if found is not None:
                        return found
                return system.perform(step, known)
            except (*self.which.to_a_write, OutcomeUnknown) as error:
                # A step of several calls leaves something behind where a later one of them came to nothing.
                if len(self.bed.line.struck) != struck + 1:
                    raise
                self.in_doubt = self.in_doubt or isinstance(error, OutcomeUnknown)
                self.errors.append(error)
        raise AssertionError(f"{step.kind} was never done")


@pytest.mark.parametrize("which", [one for one in FAULTS if one.name not in ("401", "403")], ids=lambda one: one.name)
def test_each_write_lands_once_whatever_happens_to_its_answer(accounting: AccountingBed, which: Fault) -> None:
    stubborn = Stubborn(accounting, which)
    accounting.line.strike_each_write(which)
    Sale(accounting, stubborn.perform).all()
    accounting.line.calm()
    assert len(stubborn.errors) >= 7, "every step has a write"
    assert accounting.ledger() == {accounting.bank.number: Decimal(40), accounting.clearing.number: Decimal(-40)}
    assert accounting.standing() == {
        "customers": 1,
        "invoices": 2,
        "unbooked invoices": 0,
        "unbooked entries": 0,
    }


@pytest.mark.parametrize("name", ["401", "403"])
def test_a_refusal_writes_nothing_and_asks_a_person(accounting: AccountingBed, name: str) -> None:
    sale, system = Sale(accounting, accounting.system().perform), accounting.system()
    before = accounting.standing()
    for write in (lambda: system.perform(CreateCustomer("c", BUYER), Known()), sale.pay_out):
        if name == "401" and accounting.renews:
            accounting.line.strike_each_write(fault(name))
            write()
        else:
            accounting.line.strike_write(fault(name))
            with pytest.raises((NeedsReconnect, Rejected)):
                write()
            assert (accounting.standing(), accounting.ledger()) == (before, {})
        accounting.line.calm()


def test_the_fence_finds_copies_and_takes_one_away(accounting: AccountingBed) -> None:
    sale = Sale(accounting, accounting.system().perform)
    customer = sale.customer()
    first = sale.draft(customer)
    accounting.advance(timedelta(seconds=accounting.system().capabilities.idempotency_window_s))
    second = sale.draft(customer)
    step = BookInvoice(f"{sale.invoice.key}/book", f"{sale.invoice.key}/create", sale.invoice)
    system = accounting.system()
    copies = system.find_copies(step, Known(invoice=first))
    assert sorted(copies) == sorted((first.number, second.number))
    system.remove_copy(step, second.number)
    assert list(accounting.system().find_copies(step, Known(invoice=first))) == [first.number]
    assert accounting.standing()["invoices"] == 1


# --- The end of a connection, and secrets -------------------------------------------------------------------


def test_a_consent_that_was_taken_back_needs_a_person(accounting: AccountingBed) -> None:
    system = accounting.system()
    system.fetch_identity()
    accounting.revoke()
    with pytest.raises(NeedsReconnect):
        system.fetch_identity()
    with pytest.raises(NeedsReconnect):
        system.perform(CreateCustomer("c", BUYER), Known())
    assert accounting.standing()["customers"] == 0


def test_no_secret_stands_in_a_message_a_log_or_a_repr(
    accounting: AccountingBed, capsys: pytest.CaptureFixture[str], our_log: StringIO
) -> None:
    system = accounting.system()
    accounting.line.text = f"Invalid token: {' '.join(accounting.secrets)}"
    errors: list[PortError] = []
    for which in FAULTS:
        for write in (False, True):
            if write:
                accounting.line.strike_write(which)
            else:
                accounting.line.strike_question(which, always=which.name in ("401", "403"))
            try:
                if write:
                    system.perform(CreateCustomer("c", BUYER), Known())
                else:
                    system.fetch_identity()
            except PortError as error:
                errors.append(error)
                get_logger("kvitt").warning("call_failed", error=str(error), exc_info=error)
            accounting.line.calm()
    assert {type(error) for error in errors} & {BadReply, OutcomeUnknown, TryLater}
    told = [repr(system), repr(accounting.log.calls), our_log.getvalue(), *capsys.readouterr()]
    assert leaks_of(accounting.secrets, errors, told) == []
