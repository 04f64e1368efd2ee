"""One agreement (a company) in the simulated e-conomic, and the people who work in it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from threading import RLock
from typing import Any, TypeVar, cast

from addon.sandbox.clock import Clock
from addon.sandbox.economic import fields
from addon.sandbox.economic.books import CUSTOMER_PAYMENT, FINANCE_VOUCHER, Account, Entry
from addon.sandbox.economic.fields import Errors, Invalid
from addon.sandbox.economic.journals import DraftEntry, Journals
from addon.sandbox.economic.sales import Customer, Invoice
from addon.sandbox.economic.switches import Switches
from addon.sandbox.economic.wire import ZERO, cents

Deed = TypeVar("Deed", bound=Callable[..., Any])


class NotPossible(ValueError):
    """A person cannot do that in e-conomic; the errors say why."""


def _locked(method: Deed) -> Deed:
    """A person's deed happens between two requests, never inside one."""

    @functools.wraps(method)
    def deed(self: EconomicAgreement, *args: Any, **kwargs: Any) -> Any:
        with self.lock:
            try:
                return method(self, *args, **kwargs)
            except Invalid as invalid:
                raise NotPossible(str(invalid)) from invalid

    return cast("Deed", deed)


class EconomicAgreement(Journals):
    """A company with real double-entry books, and methods that play a person working in it."""

    def __init__(
        self,
        number: int,
        name: str,
        cvr: str,
        *,
        clock: Clock,
        switches: Switches,
        rate_of: Callable[[str, date], Decimal],
        lock: RLock,
        revoke: Callable[[int], None],
        email: str,
        base_currency: str = "DKK",
    ) -> None:
        super().__init__(clock, switches, rate_of, base_currency)
        self.number = number
        self.name = name
        self.cvr = cvr
        self.email = email
        self.lock = lock
        self.modules: set[int] = {3, 14}
        self.admits_apps = True
        self._revoke = revoke

    # -- what a person sets ------

    @_locked
    def bar_period(self, on: date, barred: bool = True) -> None:
        """Bar the month that a date is in, or open it again."""
        period = self.period_of(on)
        if period is None:
            raise NotPossible(f"no period has {on}")
        period.barred = barred

    @_locked
    def close_period(self, on: date, closed: bool = True) -> None:
        """Close the month that a date is in."""
        period = self.period_of(on)
        if period is None:
            raise NotPossible(f"no period has {on}")
        period.closed = closed

    @_locked
    def close_year(self, name: str, closed: bool = True) -> None:
        """Close a year."""
        self.years[name].closed = closed

    @_locked
    def open_year(self, first: date, last: date) -> str:
        """Open an accounting year; its name."""
        return self.add_year(first, last).name

    @_locked
    def bar_account(self, number: int, barred: bool = True) -> None:
        """Bar an account."""
        self.accounts[number].barred = barred

    @_locked
    def block_direct_entries(self, number: int, blocked: bool = True) -> None:
        """Let an account take no entries from journals."""
        self.accounts[number].blocked = blocked

    @_locked
    def demand_department(self, number: int, demanded: bool = True) -> None:
        """Let an account take only entries that name a department."""
        self.accounts[number].needs_department = demanded

    @_locked
    def add_account(self, number: int, name: str, kind: str = "status", vat_code: str = "") -> None:
        """Put an account into the chart."""
        self.accounts[number] = Account(number, name, kind, "debit", vat_code)

    @_locked
    def remove_account(self, number: int) -> None:
        """Take an account out of the chart."""
        self.accounts.pop(number, None)

    @_locked
    def person_adds_currency(self, code: str, name: str = "") -> None:
        """Enable a currency."""
        self.currencies[code] = (name or code, "000")

    @_locked
    def person_removes_currency(self, code: str) -> None:
        """Take a currency away."""
        self.currencies.pop(code, None)

    @_locked
    def person_bars_customer(self, number: int, barred: bool = True) -> None:
        """Bar a customer, or let invoices be made for it again."""
        self.customers[number].values["barred"] = barred

    @_locked
    def person_deletes_journal(self, number: int) -> None:
        """Take a journal away, which has to be empty."""
        if any(entry.journal == number for entry in self.draft_entries.values()):
            raise NotPossible("the journal has entries")
        del self.journals[number]

    @_locked
    def set_language(self, language: str) -> None:
        """The granting user's language: `da` or `en`."""
        self.language = language

    @_locked
    def revoke_grant(self) -> None:
        """Remove the app under All settings → Extensions → Apps."""
        self._revoke(self.number)

    # -- what a person does ------

    @_locked
    def person_creates_customer(
        self, name: str, *, group: int = 1, zone: int = 1, terms: int = 1, **more: Any
    ) -> Customer:
        """Register a customer; further properties by their names in the interface."""
        errors = Errors()
        sent = {
            "name": name,
            "currency": more.pop("currency", self.base_currency),
            "customerGroup": {"customerGroupNumber": group},
            "vatZone": {"vatZoneNumber": zone},
            "paymentTerms": {"paymentTermsNumber": terms},
            **more,
        }
        return self.write_customer(None, fields.read(sent, fields.CUSTOMER, errors), errors, by_person=True)

    @_locked
    def person_creates_product(self, number: str, name: str, group: int = 1) -> str:
        """Register a product; its number."""
        errors = Errors()
        sent = {"productNumber": number, "name": name, "productGroup": {"productGroupNumber": group}}
        return self.write_product(fields.read(sent, fields.PRODUCT, errors), errors).number

    @_locked
    def bar_product(self, number: str, barred: bool = True) -> None:
        """Bar a product."""
        self.products[number].values["barred"] = barred

    @_locked
    def person_creates_invoice(
        self,
        gross: Decimal | int | str,
        *,
        customer: int | None = None,
        order: str = "",
        heading: str = "",
        currency: str | None = None,
        rate: Decimal | str | None = None,
        on: date | None = None,
        product_group: int = 1,
        zone: int = 1,
        terms: int = 1,
        booked: bool = True,
    ) -> Invoice:
        """Write an invoice of one line over a total with VAT of 25 % (group 1, zone 1) or none (other groups).

        Negative totals make credit notes. A total that prices of two decimals cannot reach gets a line of the
        product `KVRUND` for the missing cent, as a bookkeeper would.
        """
        number = customer or self.person_creates_customer("Kunde i butikken", zone=zone).number
        total = Decimal(str(gross))
        sole = f"VARE{product_group}"
        if sole not in self.products:
            self.person_creates_product(sole, "Varer", product_group)
        account = self.product_groups[product_group].sales_accounts[zone]
        code = self.accounts[account].vat_code
        percent = self.vat_codes[code].rate if code else ZERO
        net = cents(total / (1 + percent / 100))
        lines = [_line(1, sole, net)]
        missing = total - net - cents(net * percent / 100)
        if missing:
            if "KVRUND" not in self.products:
                self.person_creates_product("KVRUND", "Øredifference", 4)
            lines.append(_line(2, "KVRUND", missing))
        errors = Errors()
        sent: dict[str, Any] = {
            "date": (on or self.today()).isoformat(),
            "currency": currency or self.base_currency,
            "layout": {"layoutNumber": 20},
            "paymentTerms": {"paymentTermsNumber": terms},
            "customer": {"customerNumber": number},
            "recipient": {"name": "Kunde i butikken", "vatZone": {"vatZoneNumber": zone}},
            "references": {"other": order},
            "notes": {"heading": heading},
            "lines": lines,
            **({"exchangeRate": Decimal(str(rate))} if rate is not None else {}),
        }
        draft = self.write_draft(None, fields.read(sent, fields.DRAFT, errors), errors)
        draft.by_person = True
        return self.person_books_draft(draft.number) if booked else draft

    @_locked
    def person_books_draft(self, number: int) -> Invoice:
        """Book a draft invoice."""
        errors = Errors()
        return self.book_invoice(number, errors)

    @_locked
    def person_deletes_draft(self, number: int) -> None:
        """Take a draft invoice away."""
        self.delete_draft(number)

    @_locked
    def person_edits_draft(self, number: int, **values: Any) -> None:
        """Change a draft: `date`, `other` (the order reference), or the `price` of its first line."""
        draft = self.drafts[number]
        if "date" in values:
            draft.date = values["date"]
        if "other" in values:
            draft.references["other"] = values["other"]
        if "price" in values:
            line = draft.lines[0]
            line.price = Decimal(str(values["price"]))
            line.net = line.price * line.quantity
            line.vat = cents(line.net * line.rate / 100)
            self._total(draft)

    @_locked
    def person_pays_invoice(
        self, number: int, amount: Decimal | int | str | None = None, *, account: int = 5820, on: date | None = None
    ) -> Entry:
        """Enter a payment of what is open, or of an amount in the invoice's currency, and book it."""
        invoice = self.booked[number]
        paid = invoice.remainder if amount is None else Decimal(str(amount))
        negative = self.switches.money_received_is_negative
        entry = DraftEntry(
            0,
            2,
            0,
            CUSTOMER_PAYMENT,
            max(on or self.today(), invoice.date),
            None,
            -paid if negative else paid,
            invoice.currency,
            None,
            account,
            "",
            "",
            f"Indbetaling {number}",
            invoice.customer,
            str(number),
            None,
            True,
            by_person=True,
        )
        self.keep_entries([entry], share=True)
        return self.book_entries([entry.number], by_person=True)[0]

    @_locked
    def person_posts_voucher(
        self,
        lines: Iterable[tuple[int, Decimal | int | str]],
        *,
        text: str = "Manuelt bilag",
        on: date | None = None,
        journal: int = 1,
        booked: bool = True,
    ) -> list[int]:
        """Enter a finance voucher, amounts positive for debit; the numbers of its draft entries."""
        day = on or self.today()
        made = self.keep_entries(
            [
                DraftEntry(
                    0,
                    journal,
                    0,
                    FINANCE_VOUCHER,
                    day,
                    account,
                    Decimal(str(amount)),
                    self.base_currency,
                    None,
                    None,
                    "",
                    "",
                    text,
                    None,
                    "",
                    None,
                    True,
                    by_person=True,
                )
                for account, amount in lines
            ],
            share=True,
        )
        numbers = [entry.number for entry in made]
        if booked:
            self.book_entries(numbers, by_person=True)
        return numbers

    @_locked
    def person_books_entries(self, numbers: Iterable[int]) -> None:
        """Book draft entries, as the bookkeeper who goes through a journal."""
        self.book_entries(list(numbers), by_person=True)

    @_locked
    def person_changes_entry(
        self, number: int, *, amount: Decimal | int | None = None, contra: int | None = None, text: str | None = None
    ) -> None:
        """Change a draft entry: its amount with the sign that it has, its other account, its text."""
        entry = self.draft_entries[number]
        if amount is not None:
            entry.amount = Decimal(amount).copy_sign(entry.amount)
        if contra is not None:
            entry.contra = contra
        if text is not None:
            entry.text = text

    @_locked
    def person_deletes_entry(self, number: int) -> None:
        """Take a draft entry away."""
        del self.draft_entries[number]


def _line(number: int, product: str, price: Decimal) -> dict[str, Any]:
    """A line of a negative price is a negative quantity: e-conomic knows credit notes by that."""
    return {
        "lineNumber": number,
        "sortKey": number,
        "product": {"productNumber": product},
        "quantity": 1 if price >= 0 else -1,
        "unitNetPrice": abs(price),
    }
