"""A simulated Fortnox in process with one company, and our connector in front of it."""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from addon.connectors.fortnox import FortnoxAccounting, FortnoxClient
from addon.connectors.http import HttpClient
from addon.core.accounts import Account, AccountRole
from addon.core.books import StepAnswer
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
from addon.core.money import ExchangeRate, Money
from addon.ports.accounting import Known
from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import Fault, FortnoxCompany, FortnoxWorld, Switches
from tests.support.doubles import CallLog, Tokens, WatchedPace
from tests.support.in_process import InProcess

NOON = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
DAY = date(2026, 3, 2)
API = "http://fortnox.test/3"
AUTH = "http://fortnox.test/oauth-v1"
CALLBACK = "http://kvitt.test/oauth/fortnox/callback"
SALES = Account(AccountRole.SALES, "3001")
CLEARING = Account(AccountRole.CLEARING, "1580")
BANK = Account(AccountRole.BANK, "1930")
FEE = Account(AccountRole.FEE, "6570")
ROUNDING = Account(AccountRole.ROUNDING, "3740")


def sek(text: str) -> Money:
    return Money.from_decimal(Decimal(text), "SEK")


def money(text: str) -> Money:
    amount, currency = text.split()
    return Money.from_decimal(Decimal(amount), currency)


@dataclass
class Bench:
    """The world, the company in it, and what we say to it."""

    clock: Clock
    world: FortnoxWorld
    company: FortnoxCompany
    log: CallLog = field(default_factory=CallLog)
    pace: WatchedPace = field(default_factory=WatchedPace)
    tokens: Tokens = field(default_factory=lambda: Tokens([]))
    http: HttpClient = field(init=False)
    fortnox: FortnoxAccounting = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = Tokens([self.world.access_token(self.company.database_number) for _ in range(3)])
        self.http = HttpClient("fortnox", self.log, transport=InProcess(self.world.app()), now=self.clock.now)
        self.client = FortnoxClient(self.http, API, self.tokens, self.pace)
        self.fortnox = FortnoxAccounting(self.client, now=self.clock.now)

    # --- what is written --------------------------------------------------------------------------------------

    def customer(self, name: str = "Anna Andersson", email: str = "anna@example.com", **more: Any) -> Customer:
        return Customer(key=f"customer/{email or name}", name=name, vat=CustomerVat.DOMESTIC, email=email, **more)

    def invoice(
        self, *gross: str, key: str = "stripe/ch_1/invoice", rate: ExchangeRate | None = None, **more: Any
    ) -> Invoice:
        lines = tuple(InvoiceLine("Order 1001", money(text), 25, SALES) for text in gross or ("1250.00 SEK",))
        total = Money.total((line.gross for line in lines), lines[0].gross.currency)
        return Invoice(
            key=key,
            customer=self.customer(),
            invoice_date=DAY,
            lines=lines,
            total=total,
            vat=Decimal(0),
            rate=rate,
            order_number=more.pop("order_number", "1001"),
            **more,
        )

    def settlement(self, amount: Money, books: Money | None = None, **more: Any) -> Settlement:
        return Settlement("stripe/ch_1/payment", amount, books, more.pop("paid_on", DAY), CLEARING, **more)

    def voucher(self, key: str = "stripe/po_1/payout", amount: str = "975.00") -> Voucher:
        paid = sek(amount)
        lines = (signed_line(BANK, paid, "Payout po_1"), signed_line(CLEARING, -paid, "Payout po_1"))
        return Voucher(key, DAY, "Stripe payout po_1", lines)

    # --- a document in its steps ------------------------------------------------------------------------------

    def do(self, step: Step, **known: Any) -> StepAnswer:
        return self.fortnox.perform(step, Known(**known))

    def find(self, step: Step, **known: Any) -> StepAnswer | None:
        return self.fortnox.look_up(step, Known(**known))

    def make_customer(self, customer: Customer | None = None) -> str:
        return self.do(CreateCustomer("c", customer or self.customer())).reference

    def create(self, invoice: Invoice, customer_number: str | None = None) -> StepAnswer:
        number = customer_number or self.make_customer()
        return self.do(CreateInvoice(invoice.key, invoice, "c"), customer_number=number)

    def booked(self, invoice: Invoice) -> StepAnswer:
        made = self.create(invoice)
        return self.do(BookInvoice("b", invoice.key, invoice), invoice=made.invoice)

    def pay(self, invoice: StepAnswer, settlement: Settlement) -> StepAnswer:
        made = self.do(CreatePayment(settlement.key, settlement), invoice=invoice.invoice)
        return self.do(BookPayment("bp", settlement.key), payment_number=made.reference, invoice=invoice.invoice)

    def sale(self, invoice: Invoice, settlement: Settlement, customer_number: str | None = None) -> StepAnswer:
        made = self.create(invoice, customer_number)
        booked = self.do(BookInvoice("b", invoice.key, invoice), invoice=made.invoice)
        self.pay(booked, settlement)
        return booked

    def refund(self, sale: StepAnswer, key: str = "stripe/re_1/credit") -> StepAnswer:
        assert sale.invoice is not None
        total = -sale.invoice.total
        credited = self.do(CreditInvoice("cr", "i", total, DAY, "Refund re_1"), invoice=sale.invoice)
        dated = self.do(DateCreditNote("d", "cr", key, DAY, "Refund re_1"), invoice=credited.invoice)
        booked = self.do(BookInvoice("bc", key, None, total), invoice=dated.invoice)
        self.pay(booked, replace(self.settlement(total), key="stripe/re_1/payment"))
        return booked

    def post(self, voucher: Voucher) -> StepAnswer:
        return self.do(self.posting(voucher), series="A", year_ref=self.year_ref)

    def posting(self, voucher: Voucher) -> PostVoucher:
        return PostVoucher(voucher.key, voucher)

    # --- what stands there ------------------------------------------------------------------------------------

    @property
    def year_ref(self) -> str:
        year = self.company.year_of(DAY)
        assert year is not None
        return str(year.id)

    def calls(self, action: Callable[[], object]) -> list[str]:
        """The calls that an action makes, as the other side counted them."""
        self.world.reset_calls()
        action()
        return [f"{call.method} {call.path.removeprefix('/3')}" for call in self.world.calls]

    def fault(self, kind: str, match: str = "", **more: Any) -> Fault:
        return self.world.faults.add(Fault(kind, match, **more))

    def balance(self, account: str) -> Money:
        ledger = self.fortnox.fetch_ledger(self.year_ref, [account])
        return Money.total((entry.amount for entry in ledger.entries), "SEK")


_SHARED: list[tuple[Clock, FortnoxWorld]] = []


def shared_world() -> tuple[Clock, FortnoxWorld]:
    """One world for all tests of this process (its routes take long to build), with all habits put back."""
    if not _SHARED:
        clock = Clock(NOON)
        world = FortnoxWorld(clock, client_id="id", client_secret="secret", redirect_uris=[CALLBACK], call_limit=0)
        _SHARED.append((clock, world))
    clock, world = _SHARED[0]
    clock.set(NOON)
    for habit in fields(Switches):
        default = habit.default if habit.default_factory is MISSING else habit.default_factory()
        setattr(world.switches, habit.name, default)
    world.faults.clear()
    world.reset_calls()
    world.zombies.clear()
    return clock, world


def make_bench(**company: Any) -> Bench:
    """A company of its own for one test."""
    clock, world = shared_world()
    return Bench(clock, world, world.add_company("Fabriken AB", "556677-8899", **company))


@pytest.fixture
def bench() -> Bench:
    return make_bench(currencies=("EUR", "JPY", "USD"))
