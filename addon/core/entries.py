"""What a planned document puts onto which account, as far as it is known before the accounting system has answered.

The accounting system itself chooses the accounts of output VAT on invoices, so such rows have a role and no number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from addon.core.accounts import Account, AccountRole
from addon.core.documents import (
    CreateInvoice,
    CreatePayment,
    CreditInvoice,
    Document,
    Invoice,
    PostVoucher,
    Settlement,
)
from addon.core.money import Money

OUTPUT_VAT = AccountRole.OUTPUT_VAT.value
"""The role of VAT on sales, whose account the accounting system chooses by rate and customer."""
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A row of a voucher to be: `amount` in the books' currency, debit positive.

    `account` is empty where the accounting system chooses it. `role` is written as in settings where the company's
    map has the account (`sales:SE25`). `percent` is the VAT rate of a sale's row and of its VAT.
    """

    account: str
    role: str
    amount: Money
    text: str = ""
    percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Entries:
    """All rows of a document. `exact` False: the accounting system's own rate is not known before it has answered."""

    rows: tuple[EntryRow, ...]
    exact: bool = True


def entries_of(
    document: Document, numbers: Mapping[str, str], home: str, invoices: Mapping[str, Invoice] | None = None
) -> Entries:
    """The rows of a document, in the books' currency `home`.

    `numbers` is the account map (`sales:SE25` → 3001); `invoices` has those that a credit note of this document
    takes back, by key.
    """
    named = _Named(numbers)
    rows: list[EntryRow] = []
    known = dict(invoices or {})
    exact = True
    rates: dict[str, Decimal] = {}
    for step in document.steps:
        match step:
            case CreateInvoice(invoice=invoice):
                rate = _rate(invoice, document, home)
                exact = exact and (invoice.currency == home or invoice.rate is not None)
                rates[invoice.key] = rates[step.key] = rate
                known[step.key] = invoice
                rows += _invoice_rows(invoice, rate, home, named, Decimal(1))
            case CreditInvoice():
                original = known.get(step.invoice_key)
                if original is None:
                    continue
                rate = _rate(original, document, home)
                exact = exact and (original.currency == home or original.rate is not None)
                rates[step.key] = rate
                rows += _invoice_rows(original, rate, home, named, Decimal(-1))
            case CreatePayment():
                rows += _payment_rows(step.settlement, rates.get(step.invoice_key), home, named)
            case PostVoucher():
                rows += [named.row(line.account, line.signed, line.text) for line in step.voucher.lines]
            case _:
                pass
    return Entries(tuple(row for row in rows if row.amount), exact)


class _Named:
    """Turns accounts into rows that name their role with its detail."""

    def __init__(self, numbers: Mapping[str, str]) -> None:
        self._keys: dict[tuple[str, str], str] = {}
        for key, number in numbers.items():
            self._keys.setdefault((key.partition(":")[0], number), key)

    def row(self, account: Account, amount: Money, text: str = "", percent: Decimal | None = None) -> EntryRow:
        role = self._keys.get((account.role.value, account.number), account.role.value)
        return EntryRow(account.number, role, amount, text, percent)

    def claims(self, amount: Money, text: str) -> EntryRow:
        role = AccountRole.CUSTOMER_CLAIMS.value
        number = next((number for (name, number), key in self._keys.items() if key == role and name == role), "")
        return EntryRow(number, role, amount, text)


def _rate(invoice: Invoice, document: Document, home: str) -> Decimal:
    """What one major unit of an invoice is worth: its own rate, else the best that is known before it is made."""
    if invoice.currency == home:
        return Decimal(1)
    if invoice.rate is not None:
        return invoice.rate.per_one()
    if invoice.expected_rate is not None:
        return invoice.expected_rate
    for step in document.steps:
        if isinstance(step, CreatePayment) and step.settlement.books_amount is not None and step.settlement.amount:
            return abs(step.settlement.books_amount.to_decimal() / step.settlement.amount.to_decimal())
    return Decimal(0)


def _books(amount: Decimal, rate: Decimal, home: str) -> Money:
    return Money.rounded(amount * rate, home)


def _invoice_rows(invoice: Invoice, rate: Decimal, home: str, named: _Named, sign: Decimal) -> Iterator[EntryRow]:
    total = _books(sign * invoice.total.to_decimal(), rate, home)
    what = f"Order {invoice.order_number}" if invoice.order_number else invoice.customer.name
    yield named.claims(total, what)
    left = total
    sold: list[EntryRow] = []
    for line in invoice.lines:
        percent = Decimal(line.vat_percent)
        gross = sign * line.gross.to_decimal()
        vat = (gross * percent / (100 + percent)).quantize(CENT, ROUND_HALF_UP)
        net_books, vat_books = _books(gross - vat, rate, home), _books(vat, rate, home)
        sold.append(named.row(line.account, -net_books, line.description, percent))
        if vat:
            sold.append(EntryRow("", OUTPUT_VAT, -vat_books, line.description, percent))
        left = left - net_books - vat_books
    if left and sold:
        # Rounding of single rows at a foreign rate: the accounting system lets its last row take it.
        sold[0] = EntryRow(sold[0].account, sold[0].role, sold[0].amount - left, sold[0].text, sold[0].percent)
    yield from sold


def _payment_rows(settlement: Settlement, rate: Decimal | None, home: str, named: _Named) -> Iterator[EntryRow]:
    amount, off = settlement.amount, settlement.write_off
    worth = rate if rate is not None else Decimal(1)
    paid = settlement.books_amount if settlement.books_amount is not None else _books(amount.to_decimal(), worth, home)
    written_off = _books(off.to_decimal(), worth, home) if off is not None else Money.zero(home)
    if rate is None:
        claim = paid + written_off
    else:
        closed = amount + off if off is not None else amount
        claim = _books(closed.to_decimal(), worth, home)
    yield named.row(settlement.account, paid, "payment")
    if written_off and settlement.write_off_account is not None:
        yield named.row(settlement.write_off_account, written_off, "rounding")
    yield named.claims(-claim, "payment")
    difference = claim - paid - written_off
    if difference:
        role = AccountRole.EXCHANGE_LOSS if difference.minor > 0 else AccountRole.EXCHANGE_GAIN
        yield EntryRow("", role.value, difference, "exchange difference")


@dataclass(frozen=True, slots=True)
class AccountTotal:
    """What documents together put onto one account, in the books' currency; both sides positive."""

    account: str
    role: str
    debit: Money
    credit: Money
    rows: int

    @property
    def balance(self) -> Money:
        """Debit less credit."""
        return self.debit - self.credit


def account_totals(rows: Iterable[EntryRow], home: str) -> tuple[AccountTotal, ...]:
    """Totals by account and role, in the order of account numbers, those that the system chooses last."""
    debit: dict[tuple[str, str], int] = {}
    credit: dict[tuple[str, str], int] = {}
    count: dict[tuple[str, str], int] = {}
    for row in rows:
        place = (row.account, row.role)
        count[place] = count.get(place, 0) + 1
        side = debit if row.amount.minor > 0 else credit
        side[place] = side.get(place, 0) + abs(row.amount.minor)
    return tuple(
        AccountTotal(*place, Money(debit.get(place, 0), home), Money(credit.get(place, 0), home), count[place])
        for place in sorted(count, key=lambda place: (place[0] == "", place))
    )
