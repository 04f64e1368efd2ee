"""A merchant's account at the simulated PayPal: what can happen to its money, and its ledger."""

from __future__ import annotations

import random
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from addon.sandbox.clock import Clock
from addon.sandbox.paypal.model import (
    STILL,
    Dispute,
    FeeRules,
    Invoice,
    Item,
    Payer,
    Row,
    is_hold,
)
from addon.sandbox.paypal.money import CURRENCIES, changed, round_half_up
from addon.sandbox.stripe.account import NotPossible

__all__ = ["NotPossible", "PayPalAccount"]

_ID = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_PAYER_ID = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_PAYOUTS = ("T04", "T06", "T17")

Told = Callable[["PayPalAccount", str, dict[str, Any]], None]


class PayPalAccount:
    """One merchant. Amounts are whole smallest units as PayPal counts them (none in HUF, JPY, TWD).

    A payment in a currency outside `balance_currencies` is changed into the primary one at once, by a pair of
    T0200 rows. Switches where the facts are open: `window_by` says which date a search window means,
    `holds_move_ending_balance` whether a hold takes its money off `ending_balance` or off `available_balance` only,
    `lag` how old the newest data is, `fee_back` whether a refund returns its share of the fee.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        country: str = "SE",
        primary: str = "SEK",
        balance_currencies: Iterable[str] = ("SEK", "EUR"),
        fees: FeeRules | None = None,
        email: str = "",
        live: bool = True,
        seed: int = 1,
        tell: Told | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        self._chance = random.Random(f"paypal/{seed}/{name}")
        self.id = "".join(self._chance.choices(_PAYER_ID, k=13))
        self.name = name
        self.clock = clock
        self.country = country
        self.primary = primary
        self.balance_currencies = frozenset(balance_currencies) | {primary}
        self.fees = fees or FeeRules()
        self.email = email or f"{self.id.lower()}@merchant.example"
        self.live = live
        self.seed = seed
        self.lock = lock or threading.RLock()
        self.rows: list[Row] = []
        self.invoices: dict[str, Invoice] = {}
        self.disputes: dict[str, Dispute] = {}
        self.lag = timedelta(hours=3)
        self.window_by: Literal["initiation", "updated"] = "initiation"
        self.holds_move_ending_balance = True
        self.fee_back = False
        self._tell = tell
        self._by_id: dict[str, Row] = {}
        self._by_currency: dict[str, list[Row]] = {}
        self._dirty = False
        self._changes = 0
        self._index: tuple[int, str, list[tuple[datetime, int]], list[Row]] | None = None

    # --- the ledger ----------------------------------------------------------------------------------------

    def new_id(self) -> str:
        """A transaction id: seventeen characters."""
        return "".join(self._chance.choices(_ID, k=17))

    def record(
        self,
        code: str,
        amount: int,
        currency: str,
        *,
        at: datetime | None = None,
        initiated: datetime | None = None,
        id: str | None = None,
        late_s: int = 0,
        **fields: Any,
    ) -> Row:
        """Write a row of any event code. `late_s`: so much later than the others it appears in searches."""
        if currency not in CURRENCIES:
            raise NotPossible(f"PayPal keeps no balance in {currency}")
        moment = (at or self.clock.now()).replace(microsecond=0)
        with self.lock:
            row = Row(
                id or self.new_id(),
                code,
                moment,
                initiated or moment,
                moment,
                amount,
                currency,
                number=len(self.rows),
                visible_at=moment + timedelta(seconds=late_s) if late_s else None,
                **fields,
            )
            if row.code.startswith(STILL) or row.status in ("P", "D"):
                row.moves = False
            if self.rows and moment < self.rows[-1].posted:
                self._dirty = True
            self.rows.append(row)
            self._by_id.setdefault(row.id, row)
            self._changes += 1
            if not self._dirty:
                self._carry(row)
            return row

    def _carry(self, row: Row) -> None:
        chain = self._by_currency.setdefault(row.currency, [])
        before = chain[-1] if chain else None
        held = row.moves and is_hold(row.code)
        row.withheld = (before.withheld if before else 0) - (row.net if held else 0)
        row.available = (before.available if before else 0) + (row.net if row.moves else 0)
        row.ending = row.available if self.holds_move_ending_balance else row.available + row.withheld
        chain.append(row)

    def _settle(self) -> None:
        """Put rows that came out of order into their place and carry the balances on."""
        if self._dirty:
            self.rows.sort(key=lambda row: (row.posted, row.number))
            self.recount()

    def recount(self) -> None:
        """Carry the balances on from the first row: after a row was changed, or a switch was set."""
        with self.lock:
            self._by_currency = {}
            for row in self.rows:
                self._carry(row)
            self._dirty = False
            self._changes += 1

    def touch(self, row: Row, at: datetime | None = None) -> None:
        """PayPal looked at a row again: its updated date moves, its money does not."""
        row.updated = max(row.updated, (at or self.clock.now()).replace(microsecond=0))
        self._changes += 1

    def get_row(self, row_id: str, code: str = "") -> Row:
        """A row by its id (the first one, or that of an event code); NotPossible if there is none."""
        if code:
            for row in reversed(self.rows):
                if row.id == row_id and row.code == code:
                    return row
        elif row_id in self._by_id:
            return self._by_id[row_id]
        raise NotPossible(f"there is no transaction {row_id} {code}".rstrip())

    @property
    def refreshed(self) -> datetime:
        """The instant up to which the reporting data is there."""
        return (self.clock.now() - self.lag).replace(microsecond=0)

    def search(self, start: datetime, end: datetime) -> Sequence[Row]:
        """Rows of a window, both ends included, that can be seen now; in order of the window's date."""
        with self.lock:
            self._settle()
            keys, rows = self._sorted()
            low, high = bisect_left(keys, (start, -1)), bisect_right(keys, (end, len(self.rows)))
            now, refreshed = self.clock.now(), self.refreshed
            return [
                row
                for row in rows[low:high]
                if row.posted <= refreshed and (row.visible_at is None or row.visible_at + self.lag <= now)
            ]

    def _sorted(self) -> tuple[list[tuple[datetime, int]], list[Row]]:
        if self._index is None or self._index[:2] != (self._changes, self.window_by):
            by_update = self.window_by == "updated"
            rows = sorted(self.rows, key=lambda row: (row.updated if by_update else row.initiated, row.number))
            keys = [(row.updated if by_update else row.initiated, row.number) for row in rows]
            self._index = (self._changes, self.window_by, keys, rows)
        return self._index[2], self._index[3]

    def balances(self, at: datetime | None = None) -> dict[str, tuple[int, int]]:
        """Available and withheld per currency at an instant (default: now)."""
        with self.lock:
            self._settle()
            moment = at or self.clock.now()
            found = dict.fromkeys(sorted(self.balance_currencies), (0, 0))
            for currency, chain in self._by_currency.items():
                place = bisect_right(chain, moment, key=lambda row: row.posted)
                if place:
                    found[currency] = (chain[place - 1].available, chain[place - 1].withheld)
            return found

    def balance(self, currency: str) -> int:
        """What can be spent in a currency now."""
        return self.balances().get(currency, (0, 0))[0]

    # --- buying and selling --------------------------------------------------------------------------------

    def sell(
        self,
        amount: int,
        currency: str,
        *,
        order: str = "",
        prefix: str = "WC-",
        payer: Payer | None = None,
        items: Iterable[Item] = (),
        shipping: int = 0,
        sales_tax: int = 0,
        code: str = "T0006",
        pending: bool = False,
        at: datetime | None = None,
        **fields: Any,
    ) -> Row:
        """A buyer pays. A pending payment (an eCheck) moves nothing until `clear`."""
        fields.setdefault("invoice_id", f"{prefix}{order}" if order else "")
        fields.setdefault("custom_field", order)
        fields.setdefault("subject", f"Order {order}" if order else "")
        row = self.record(
            code,
            amount,
            currency,
            at=at,
            fee=-self._fee(amount, currency),
            status="P" if pending else "S",
            payer=payer or Payer("Anna Exempel", "anna@example.com", "SE", self._payer_id()),
            items=tuple(items),
            shipping=shipping,
            sales_tax=sales_tax,
            **fields,
        )
        if not pending:
            self._received(row)
        return row

    def _received(self, row: Row) -> None:
        self._event("PAYMENT.CAPTURE.COMPLETED", row)
        if row.currency not in self.balance_currencies:
            self.convert(row.net, row.currency, self.primary, code="T0200", reference=row.id, at=row.posted)

    def _fee(self, amount: int, currency: str) -> int:
        return round_half_up(Decimal(amount) * self.fees.percent / 100) + self.fees.fixed.get(currency, 0)

    def _payer_id(self) -> str:
        return "".join(self._chance.choices(_PAYER_ID, k=13))

    def clear(self, row_id: str, at: datetime | None = None) -> Row:
        """A pending payment completes: the same row, its money now there, its initiation date still the old one."""
        row = self._pending(row_id)
        row.status, row.moves = "S", True
        row.posted = row.updated = (at or self.clock.now()).replace(microsecond=0)
        self._dirty = True
        self._received(row)
        return row

    def deny(self, row_id: str, at: datetime | None = None) -> Row:
        """A pending payment comes to nothing."""
        row = self._pending(row_id)
        row.status = "D"
        self.touch(row, at)
        return row

    def _pending(self, row_id: str) -> Row:
        row = self.get_row(row_id)
        if row.status != "P":
            raise NotPossible(f"{row_id} is not pending")
        return row

    def refund(self, row_id: str, amount: int | None = None, at: datetime | None = None) -> Row:
        """Pay a buyer back; a foreign refund is paid out of the primary balance where no foreign one is kept."""
        sale = self.get_row(row_id)
        left = sale.amount - sale.refunded
        amount = left if amount is None else amount
        if not 0 < amount <= left:
            raise NotPossible(f"{left} is left to refund of {row_id}")
        moment = at or self.clock.now()
        fee = round_half_up(Decimal(-(sale.fee or 0)) * amount / sale.amount) if self.fee_back else 0
        if sale.currency not in self.balance_currencies:
            self._cover(amount - fee, sale.currency, row_id, moment)
        sale.refunded += amount
        sale.status = "V" if sale.refunded == sale.amount else "S"
        self.touch(sale, moment)
        row = self.record(
            "T1107",
            -amount,
            sale.currency,
            at=moment,
            fee=fee,
            reference=row_id,
            reference_type="TXN",
            invoice_id=sale.invoice_id,
            custom_field=sale.custom_field,
            payer=sale.payer,
            paypal_invoice=sale.paypal_invoice,
        )
        if sale.paypal_invoice:
            self.invoices[sale.paypal_invoice].refunds.append(row)
        self._event("PAYMENT.CAPTURE.REFUNDED", row)
        return row

    def _cover(self, amount: int, currency: str, reference: str, at: datetime) -> None:
        """Buy foreign money out of the primary balance, so that a debit of it can be paid."""
        cost = changed(amount, currency, self.primary, at.date(), self.seed)
        self.pair((-cost, self.primary), (amount, currency), code="T0200", reference=reference, at=at)

    def reverse(self, row_id: str, code: str = "T1106", at: datetime | None = None) -> Row:
        """PayPal takes a payment back itself; the payment's own row is marked V and keeps its money."""
        sale = self.get_row(row_id)
        sale.status = "V"
        self.touch(sale, at)
        return self.record(
            code,
            -sale.amount,
            sale.currency,
            at=at,
            reference=row_id,
            reference_type="TXN",
            invoice_id=sale.invoice_id,
            payer=sale.payer,
        )

    def purchase(
        self, amount: int, currency: str, payee: str = "Hosting Example Ltd", *, code: str = "T0003", **fields: Any
    ) -> Row:
        """The merchant pays somebody: the same event code as a sale, the other sign."""
        payer = Payer(payee, "billing@hosting.example", "IE", self._payer_id())
        return self.record(code, -amount, currency, payer=payer, **fields)

    # --- currencies ----------------------------------------------------------------------------------------

    def convert(
        self,
        amount: int,
        source: str,
        target: str,
        *,
        code: str = "T0201",
        reference: str = "",
        at: datetime | None = None,
    ) -> tuple[Row, Row]:
        """Change money from one balance into another: always two rows, PayPal's margin inside the rate."""
        moment = at or self.clock.now()
        gained = changed(amount, source, target, moment.date(), self.seed)
        return self.pair((-amount, source), (gained, target), code=code, reference=reference, at=moment)

    def pair(
        self, gone: tuple[int, str], come: tuple[int, str], *, code: str, reference: str = "", at: datetime
    ) -> tuple[Row, Row]:
        """Both rows of a conversion, with one reference and one instant."""
        reference = reference or self.new_id()
        first, second = (
            self.record(code, amount, currency, at=at, reference=reference, reference_type="TXN")
            for amount, currency in (gone, come)
        )
        return first, second

    # --- the bank ------------------------------------------------------------------------------------------

    def withdraw(
        self,
        amount: int | None = None,
        currency: str | None = None,
        *,
        code: str = "T0403",
        bank_reference: str = "",
        at: datetime | None = None,
    ) -> Row:
        """Money goes to the bank; by default all there is. T0401 is the automatic sweep."""
        currency = currency or self.primary
        amount = self.balances(at).get(currency, (0, 0))[0] if amount is None else amount
        if amount <= 0:
            raise NotPossible(f"there is nothing to withdraw in {currency}")
        return self.record(code, -amount, currency, at=at, bank_reference=bank_reference or f"PP{self.new_id()[:10]}")

    def withdrawal_returns(self, row_id: str, at: datetime | None = None) -> Row:
        """The bank sends a withdrawal back."""
        gone = self.get_row(row_id)
        if not gone.code.startswith(_PAYOUTS):
            raise NotPossible(f"{row_id} is no withdrawal")
        self.touch(gone, at)
        return self.record("T1101", -gone.amount, gone.currency, at=at, reference=row_id, reference_type="TXN")

    def deposit(self, amount: int, currency: str | None = None, *, code: str = "T0300", **fields: Any) -> Row:
        """Money comes from the bank or a card."""
        return self.record(code, amount, currency or self.primary, **fields)

    # --- holds and disputes --------------------------------------------------------------------------------

    def hold(self, amount: int, currency: str, *, code: str = "T2105", reference: str = "", **fields: Any) -> Row:
        """PayPal holds money back."""
        if reference:
            fields.setdefault("reference_type", "TXN")
        return self.record(code, -amount, currency, reference=reference, **fields)

    def release(self, hold_id: str, code: str = "", amount: int | None = None, at: datetime | None = None) -> Row:
        """Held money is let go: the hold's own id once more, its initiation date too; only the update is new."""
        held = self.get_row(hold_id)
        pairs = {"T1110": "T1111", "T1503": "T1105", "T1500": "T1105", "T1501": "T1105", "T1502": "T1105"}
        code = code or pairs.get(held.code) or f"T{int(held.code[1:]) + 1:04d}"
        moment = (at or self.clock.now()).replace(microsecond=0)
        return self.record(
            code,
            -held.amount if amount is None else amount,
            held.currency,
            at=moment,
            initiated=held.initiated,
            id=hold_id,
            reference=held.reference,
            reference_type=held.reference_type,
            invoice_id=held.invoice_id,
        )

    def dispute(self, row_id: str, at: datetime | None = None, *, stage: str = "INQUIRY") -> Dispute:
        """A buyer complains: the net of the sale is held."""
        sale = self.get_row(row_id)
        moment = (at or self.clock.now()).replace(microsecond=0)
        held = self.hold(sale.net, sale.currency, code="T1110", reference=row_id, at=moment, invoice_id=sale.invoice_id)
        dispute = Dispute(
            f"PP-D-{self._chance.randrange(10_000, 99_999)}",
            row_id,
            moment,
            moment,
            sale.amount,
            sale.currency,
            held.id,
            stage=stage,
        )
        self.disputes[dispute.id] = dispute
        self._dispute_event("CUSTOMER.DISPUTE.CREATED", dispute)
        return dispute

    def lose(self, dispute_id: str, at: datetime | None = None, *, chargeback: bool = True) -> Row:
        """It ends for the buyer: the hold is released, the gross goes, and a card's chargeback costs a fee."""
        dispute = self._open(dispute_id)
        self.release(dispute.hold, at=at)
        code = "T1201" if chargeback else "T1106"
        row = self.reverse(dispute.payment, code, at)
        dispute.chargeback = row.id
        if chargeback:
            self.fee("T0106", 12500 if dispute.currency == "SEK" else 1600, dispute.currency, reference=row.id, at=at)
        self._decide(dispute, "RESOLVED_BUYER_FAVOUR", at)
        return row

    def win(self, dispute_id: str, at: datetime | None = None) -> Row:
        """It ends for the merchant before any money was taken: the hold is released."""
        dispute = self._open(dispute_id)
        row = self.release(dispute.hold, at=at)
        self._decide(dispute, "RESOLVED_SELLER_FAVOUR", at)
        return row

    def chargeback_returns(self, dispute_id: str, code: str = "T1202", at: datetime | None = None) -> Row:
        """A chargeback is undone: won (T1202), covered by seller protection (T1205), or cancelled (T1208)."""
        dispute = self.disputes[dispute_id]
        gone = self.get_row(dispute.chargeback)
        row = self.record(
            code,
            -gone.amount,
            gone.currency,
            at=at,
            reference=gone.id,
            reference_type="TXN",
            invoice_id=gone.invoice_id,
        )
        self._decide(dispute, "RESOLVED_SELLER_FAVOUR", at)
        return row

    def _open(self, dispute_id: str) -> Dispute:
        dispute = self.disputes.get(dispute_id)
        if dispute is None or dispute.status == "RESOLVED":
            raise NotPossible(f"there is no open dispute {dispute_id}")
        return dispute

    def _decide(self, dispute: Dispute, outcome: str, at: datetime | None) -> None:
        dispute.status, dispute.outcome = "RESOLVED", outcome
        dispute.updated = (at or self.clock.now()).replace(microsecond=0)
        self._dispute_event("CUSTOMER.DISPUTE.RESOLVED", dispute)

    # --- everything else -----------------------------------------------------------------------------------

    def fee(self, code: str, amount: int, currency: str | None = None, *, reference: str = "", **fields: Any) -> Row:
        """A fee as a row of its own."""
        if reference:
            fields.setdefault("reference_type", "TXN")
        return self.record(code, -amount, currency or self.primary, reference=reference, **fields)

    def mass_payment(self, amounts: Sequence[int], currency: str | None = None, fee: int = 500) -> list[Row]:
        """A batch of payments to third parties: the sum is held, the items go, a fee, the hold is released."""
        currency = currency or self.primary
        held = self.hold(sum(amounts) + fee, currency, code="T1503")
        rows = [held]
        for number, amount in enumerate(amounts):
            payee = Payer(f"Payee {number}", f"payee{number}@example.org", "SE", self._payer_id())
            rows.append(self.record("T0001", -amount, currency, payer=payee, reference=held.id, reference_type="TXN"))
        rows.append(self.fee("T0104", fee, currency, reference=held.id))
        rows.append(self.release(held.id))
        return rows

    def invoice(
        self, number: str, items: Iterable[Item], currency: str | None = None, recipient: Payer | None = None
    ) -> Invoice:
        """An invoice made and sent at PayPal."""
        made = Invoice(
            "INV2-" + "-".join("".join(self._chance.choices(_ID, k=4)) for _ in range(4)),
            number,
            self.clock.now().replace(microsecond=0),
            currency or self.primary,
            tuple(items),
            recipient or Payer("Erik Exempel", "erik@example.com", "SE", self._payer_id()),
        )
        self.invoices[made.id] = made
        return made

    def pay_invoice(self, invoice_id: str, amount: int | None = None, at: datetime | None = None) -> Row:
        """The recipient pays an invoice, in full or in part."""
        invoice = self.invoices[invoice_id]
        row = self.sell(
            invoice.total if amount is None else amount,
            invoice.currency,
            code="T0007",
            payer=invoice.recipient,
            at=at,
            invoice_id=invoice.number,
            paypal_invoice=invoice.id,
            subject=f"Invoice {invoice.number}",
        )
        invoice.payments.append(row)
        self._event("INVOICING.INVOICE.PAID", row)
        return row

    def authorise(self, amount: int, currency: str | None = None, code: str = "T1300", **fields: Any) -> Row:
        """Shown, and no money moves."""
        return self.record(code, amount, currency or self.primary, **fields)

    # --- who is told ---------------------------------------------------------------------------------------

    def _event(self, name: str, row: Row) -> None:
        if self._tell is not None:
            resource: dict[str, Any] = {
                "id": row.id,
                "status": "COMPLETED",
                "payee": {"merchant_id": self.id, "email_address": self.email},
                "invoice_id": row.invoice_id,
                "custom_id": row.custom_field,
            }
            self._tell(self, name, resource)

    def _dispute_event(self, name: str, dispute: Dispute) -> None:
        if self._tell is not None:
            told = {
                "dispute_id": dispute.id,
                "status": dispute.status,
                "disputed_transactions": [
                    {"seller_transaction_id": dispute.payment, "seller": {"merchant_id": self.id}},
                ],
            }
            self._tell(self, name, told)

    def each(self, code: str) -> Iterator[Row]:
        """Rows of an event code, oldest first."""
        self._settle()
        return (row for row in self.rows if row.code == code)
