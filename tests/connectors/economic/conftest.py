"""A simulated e-conomic in process with one agreement, and our connector in front of it."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from addon.connectors.economic import EconomicAccounting, EconomicClient
from addon.connectors.http import HttpClient
from addon.core.accounts import Account, AccountRole
from addon.core.books import InvoiceView, Remedy, Repair, StepAnswer
from addon.core.documents import (
    BookInvoice,
    BookPayment,
    CreateCustomer,
    CreateInvoice,
    CreatePayment,
    Customer,
    CustomerVat,
    Invoice,
    InvoiceLine,
    PostVoucher,
    Settlement,
    Voucher,
    signed_line,
)
from addon.core.money import ExchangeRate, Money
from addon.ports.accounting import Known
from addon.sandbox.clock import Clock
from addon.sandbox.economic import EconomicAgreement, EconomicWorld
from tests.support.doubles import CallLog, Tokens, WatchedPace
from tests.support.in_process import InProcess

NOON = datetime(2026, 3, 4, 11, 0, tzinfo=UTC)
DAY = date(2026, 3, 4)
SALES = Account(AccountRole.SALES, "1010")
CLEARING = Account(AccountRole.CLEARING, "5891")
BANK = Account(AccountRole.BANK, "5820")
FEE = Account(AccountRole.FEE, "3621")
ROUNDING = Account(AccountRole.ROUNDING, "4450")
BUYER = Customer("stripe/cus_1", "Anna Andersen", CustomerVat.DOMESTIC, "DK", "anna@example.test")


def money(text: str) -> Money:
    amount, currency = text.split()
    return Money.from_decimal(Decimal(amount), currency)


def invoice_of(
    total: str, key: str = "stripe/ch_1/sale", *, rate: str = "", order: str = "1001", percent: int = 25
) -> Invoice:
    """An invoice of one row."""
    amount = money(total)
    net = (amount.to_decimal() * 100 / (100 + percent)).quantize(Decimal("0.01"))
    quoted = ExchangeRate(amount.currency, "DKK", Decimal(rate), 1, DAY, "test") if rate else None
    row = InvoiceLine("Trøje", amount, percent, SALES)
    vat = amount.to_decimal() - net
    return Invoice(key, BUYER, DAY, (row,), amount, vat, quoted, order_number=order, text="Tak for handlen")


@dataclass
class Bench:
    """The world, the agreement in it, and what we say to it."""

    clock: Clock
    world: EconomicWorld
    agreement: EconomicAgreement
    log: CallLog = field(default_factory=CallLog)
    pace: WatchedPace = field(default_factory=WatchedPace)
    tokens: Tokens = field(default_factory=lambda: Tokens([]))

    def __post_init__(self) -> None:
        self.tokens.tokens.append(self.world.grant(self.agreement.number))
        self.economic = self.connect()
        self.economic.repair(Repair(Remedy.CREATE_SERIES, "V", name="Kvitt"))
        self.log.calls.clear()

    def connect(self) -> EconomicAccounting:
        """A connector as another process would make it."""
        http = HttpClient("economic", self.log, transport=InProcess(self.world.app()), now=self.clock.now)
        client = EconomicClient(
            http, "http://economic.test/rest", "http://economic.test/apis", "app-secret", self.tokens, self.pace
        )
        return EconomicAccounting(client, now=self.clock.now)

    @property
    def journal(self) -> int:
        """The number of our journal."""
        return next(n for n, journal in self.agreement.journals.items() if journal.name == "Kvitt V")

    # --- what tests do over and over -------------------------------------------------------------------------

    def customer(self) -> str:
        return self.economic.perform(CreateCustomer("c", BUYER), Known()).reference

    def draft(self, invoice: Invoice, customer: str | None = None) -> StepAnswer:
        known = Known(customer_number=customer or self.customer())
        return self.economic.perform(CreateInvoice(f"{invoice.key}/create", invoice, "c"), known)

    def sell(self, invoice: Invoice, customer: str | None = None) -> InvoiceView:
        """The booked invoice."""
        created = self.draft(invoice, customer)
        step = BookInvoice(f"{invoice.key}/book", f"{invoice.key}/create", invoice)
        answer = self.economic.perform(step, Known(invoice=created.invoice))
        assert answer.invoice is not None
        return answer.invoice

    def pay_steps(
        self, invoice: InvoiceView, key: str = "stripe/ch_1/pay", **more: object
    ) -> tuple[CreatePayment, BookPayment]:
        settlement = Settlement(
            key, **{"amount": invoice.total, "books_amount": None, "paid_on": DAY, "account": CLEARING, **more}
        )  # type: ignore[arg-type]
        return CreatePayment(f"{key}/create", settlement), BookPayment(f"{key}/book", f"{key}/create")

    def pay(self, invoice: InvoiceView, key: str = "stripe/ch_1/pay", **more: object) -> StepAnswer:
        create, book = self.pay_steps(invoice, key, **more)
        created = self.economic.perform(create, Known(invoice=invoice))
        return self.economic.perform(book, Known(payment_number=created.reference, invoice=invoice))

    def payout(self, key: str = "stripe/po_1/payout") -> PostVoucher:
        lines = (
            signed_line(BANK, money("97.50 DKK"), "Bank"),
            signed_line(FEE, money("2.50 DKK"), "Fee"),
            signed_line(CLEARING, money("-100.00 DKK")),
        )
        return PostVoucher(key, Voucher(key, DAY, "Payout po_1", lines))

    def post(self, step: PostVoucher) -> StepAnswer:
        return self.economic.perform(step, self.for_vouchers())

    def for_vouchers(self) -> Known:
        return Known(series="V", year_ref="2026")


@pytest.fixture
def bench() -> Bench:
    """An agreement with EUR and JPY, its books open for 2025 and 2026, and our journal in it."""
    clock = Clock(NOON)
    world = EconomicWorld(clock, app_secret="app-secret", app_public="app-public", cost_limit=0)
    return Bench(clock, world, world.add_agreement("Havblik ApS", "12345674", currencies=["EUR", "JPY", "KWD"]))
