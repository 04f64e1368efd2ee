"""What Kvitt asks of an accounting system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, runtime_checkable

from addon.core.books import (
    Books,
    CustomerView,
    Identity,
    InvoiceView,
    Ledger,
    OrderField,
    OrderView,
    PaymentView,
    Register,
    Repair,
    StepAnswer,
    VoucherView,
)
from addon.core.documents import Settlement, Step
from addon.ports.errors import PortError


@dataclass(frozen=True, slots=True)
class AccountingCapabilities:
    """What an accounting system can hold and tell.

    `decimals` is how fine its document amounts are; `voucher_fence` whether vouchers can be made unbooked first;
    `key_length` how long a key it can carry; `foreign_vouchers` whether vouchers keep a foreign amount.
    """

    name: str
    decimals: int
    key_length: int
    voucher_fence: bool
    foreign_vouchers: bool
    idempotency_window_s: int
    """For how long a repeated key is answered with the first answer; 0 if keys are not known."""
    books_together: int = 1
    """How many payments and vouchers one booking call may carry (`perform_together`); 1: each is booked by itself."""


@dataclass(frozen=True, slots=True)
class Known:
    """Answers of earlier steps that a step builds on, resolved by the delivery engine.

    `vouchers_before` is for vouchers: the series' next number when the first attempt was made, if known.
    """

    customer_number: str = ""
    invoice: InvoiceView | None = None
    payment_number: str = ""
    series: str = ""
    year_ref: str = ""
    attempt_started_at: datetime | None = None
    taken_payments: tuple[str, ...] = ()
    """Payments of the same invoice that other documents of ours have made: alike they may be, a hit they are not."""
    left_to_person: bool = False
    """Whether a person books what this step makes."""
    settlement: Settlement | None = None
    """What the payment that a step books was planned to be."""


@runtime_checkable
class TellsUs(Protocol):
    """An accounting system that can be asked to tell us when something happens in it: a nudge to look, no more."""

    def begin_nudges(self) -> None:
        """Have it tell us. Raises the errors of `addon.ports.errors`."""
        ...

    def end_nudges(self) -> None:
        """Have it tell us nothing any more."""
        ...


class AccountingSystem(Protocol):
    """One company's books, behind its own connection. All calls may raise the errors of `addon.ports.errors`."""

    @property
    def capabilities(self) -> AccountingCapabilities:
        """What this system can hold and tell."""
        ...

    def fetch_identity(self) -> Identity:
        """Who the company is."""
        ...

    def fetch_books(self, first_day: date, last_day: date) -> Books:
        """Charts, years, series, currencies and settings for the years that touch the days given."""
        ...

    def with_registers(self, books: Books, registers: Sequence[Register], scopes: Sequence[str]) -> Books:
        """The same books with the codes of these registers, which documents of the company name.

        `scopes` are further registers (`article`, `order`) that are tried out; what is closed is named.
        """
        ...

    def fetch_articles(self, changed_since: datetime | None) -> Iterator[str]:
        """Numbers of articles, all or those changed since an instant, in pages."""
        ...

    def fetch_orders(self, key_prefix: str, changed_since: datetime | None) -> Iterator[str]:
        """Numbers of orders whose key begins with a prefix, from list pages."""
        ...

    def get_order(self, number: str) -> OrderView:
        """One order as it stands now. Raises `Rejected` if it is not there."""
        ...

    def repair(self, repair: Repair) -> None:
        """Carry out what a person asked for with the Repair button."""
        ...

    def fetch_customers(self, changed_since: datetime | None) -> Iterator[CustomerView]:
        """Customers, all or those changed since an instant, in pages."""
        ...

    def perform(self, step: Step, known: Known) -> StepAnswer:
        """Make one write. Raises `AlreadyDone` where they say that it was done before."""
        ...

    def perform_together(self, work: Sequence[tuple[Step, Known]]) -> Sequence[StepAnswer | PortError]:
        """Book payments and vouchers of different documents by as few calls as there are; what each came to, in turn.

        What is wrong with one of them keeps none of the others. Never asked for more than `books_together`.
        """
        ...

    def look_up(self, step: Step, known: Known) -> StepAnswer | None:
        """Find what an earlier attempt at a step left; None if nothing is there."""
        ...

    def find_copies(self, step: Step, known: Known) -> Sequence[str]:
        """The fence: references of all that stands under a booking step's key (or invoice), unbooked or booked."""
        ...

    def remove_copy(self, step: Step, reference: str) -> None:
        """Cancel an unbooked invoice or delete an unbooked payment that the fence found to be surplus."""
        ...

    def find_invoices(self, order_number: str, places: Sequence[OrderField]) -> tuple[InvoiceView, ...]:
        """Invoices and credit notes that have exactly this text in one of the places, first place with a hit."""
        ...

    def get_invoice(self, number: str) -> InvoiceView:
        """One invoice as it stands now. Raises `Rejected` if it is not there."""
        ...

    def newest_change(self, since: datetime) -> datetime | None:
        """When an invoice was last changed, if since the instant given: one call, whatever the size of the books."""
        ...

    def fetch_invoices(self, key_prefix: str, changed_since: datetime | None) -> Iterator[InvoiceView]:
        """Invoices whose key begins with a prefix, from list pages (no order number, no VAT), for the audit."""
        ...

    def fetch_open_invoices(self, key_prefix: str) -> Iterator[InvoiceView]:
        """Booked invoices and credit notes under keys of this prefix that have a balance left, from list pages."""
        ...

    def fetch_invoices_dated(self, first_day: date, last_day: date) -> Iterator[InvoiceView]:
        """Invoices dated in some days, whoever made them, from list pages (no order number, no VAT)."""
        ...

    def fetch_payments(self, invoice_number: str) -> tuple[PaymentView, ...]:
        """All payments of an invoice, booked or not."""
        ...

    def fetch_vouchers(self, series: str, year_ref: str) -> Iterator[VoucherView]:
        """Vouchers of a series and year, from list pages."""
        ...

    def upload_file(self, name: str, mime_type: str, content: bytes, voucher: str) -> str:
        """Store a file where vouchers' files are kept; its reference there. One that nothing points at is harmless.

        A system without such a place attaches it to the voucher (series/number/year) at once, and raises `AlreadyDone`
        where a file is attached already.
        """
        ...

    def connect_file(self, file_ref: str, voucher: str) -> None:
        """Attach a stored file to a voucher (series/number/year)."""
        ...

    def file_connected(self, file_ref: str) -> bool:
        """Whether a stored file is attached to a voucher already: asked before connecting it a second time."""
        ...

    def fetch_ledger(self, year_ref: str, accounts: Sequence[str], vouchers: frozenset[str] | None = None) -> Ledger:
        """All rows on these accounts in a financial year, by the cheapest call there is.

        With `vouchers` (series/number/year): every row of those vouchers, whatever its account.
        """
        ...
