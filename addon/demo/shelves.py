"""What a simulated company's books really hold, read past Kvitt and its connectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

from addon.demo.browser import DemoFailed, ask_json

CUSTOMER_PAYMENT: Final = 2
"""The entry type by which the simulated e-conomic marks a customer's payment."""


@dataclass(frozen=True)
class StandingInvoice:
    """An invoice or credit note that carries a key of ours and stands; amounts in its currency."""

    number: str
    key: str
    total: Decimal
    left: Decimal
    currency: str


class Shelf(Protocol):
    """One company's books as they stood when this was read."""

    invoices: Sequence[StandingInvoice]
    payments: int
    """Payments of invoices and credit notes that are booked and by no person."""
    unsound: Sequence[str]
    """What does not balance, in words."""
    half_done: Sequence[str]
    """What Kvitt has begun and not booked."""
    mails: Sequence[str]

    def vouchers(self, series: str) -> Sequence[str]:
        """The text of each voucher that stands in Kvitt's own series."""

    def calls(self, method: str = "") -> int:
        """How many calls this company's books have had since the counter was set to nought."""

    def forget_calls(self) -> None:
        """Set the counter to nought."""


class _Counted:
    """The counter of calls, which both simulated systems keep alike."""

    def __init__(self, base: str, tenant: str) -> None:
        self._base = base
        self._tenant = tenant

    def calls(self, method: str = "") -> int:
        """How many calls this company's books have had since the counter was set to nought."""
        query = f"?company={self._tenant}{f'&method={method}' if method else ''}"
        return int(ask_json(f"{self._base}/calls{query}")["count"])

    def forget_calls(self) -> None:
        """Set the counter to nought."""
        ask_json(f"{self._base}/calls", "DELETE")


def _is_ours(key: str) -> bool:
    return key.startswith(("stripe/", "paypal/"))


class FortnoxShelf(_Counted):
    """A company of the simulated Fortnox."""

    def __init__(self, control: str, tenant: str) -> None:
        super().__init__(f"{control}/control/fortnox", tenant)
        self.invoices: Sequence[StandingInvoice] = [
            StandingInvoice(
                str(row["number"]),
                str(row["external_reference_1"]),
                Decimal(str(row["total"])),
                Decimal(str(row["balance"])),
                str(row["currency"]),
            )
            for row in self._look("invoices")
            if _is_ours(str(row["external_reference_1"])) and not row["cancelled"]
        ]
        payments = self._look("payments")
        self.payments = sum(1 for payment in payments if payment["booked"] and not payment["by_person"])
        self.half_done: Sequence[str] = [
            f"payment {payment['number']}" for payment in payments if not payment["booked"]
        ]
        self._vouchers = self._look("vouchers")
        sound = self._look("check")
        self.unsound: Sequence[str] = [
            *(f"{one['series']} {one['number']}" for one in self._vouchers if _sum_of(one) != 0),
            *([] if sound == {"ok": True} else [str(sound)]),
        ]
        self.mails: Sequence[str] = [f"{mail['invoice']} to {mail['to']}" for mail in self._look("mails")]

    def _look(self, what: str) -> Any:
        return ask_json(f"{self._base}/companies/{self._tenant}/{what}")

    def vouchers(self, series: str) -> Sequence[str]:
        """The text of each voucher that stands in Kvitt's own series."""
        return [
            str(voucher["description"])
            for voucher in self._vouchers
            if voucher["series"] == series and not voucher["by_person"]
        ]


def _sum_of(voucher: Any) -> Decimal:
    return sum((Decimal(str(row["debit"])) - Decimal(str(row["credit"])) for row in voucher["rows"]), Decimal(0))


class EconomicShelf(_Counted):
    """An agreement of the simulated e-conomic."""

    def __init__(self, control: str, tenant: str) -> None:
        super().__init__(f"{control}/control/economic", tenant)
        self.invoices: Sequence[StandingInvoice] = [
            StandingInvoice(
                str(row["number"]),
                _last_word(row["notes"].get("textLine2", "")),
                Decimal(row["gross"]),
                Decimal(row["remainder"]),
                str(row["currency"]),
            )
            for row in self._look("invoices")
            if _is_ours(_last_word(row["notes"].get("textLine2", "")))
        ]
        self._entries: dict[tuple[str, int], list[Any]] = defaultdict(list)
        for row in self._look("entries"):
            if row["journal"] is not None and not row["by_person"]:
                self._entries[row["year"], row["voucher"]].append(row)
        self.payments = sum(
            len({_last_word(row["text"]) for row in rows if row["type"] == CUSTOMER_PAYMENT})
            for rows in self._entries.values()
        )
        self.half_done: Sequence[str] = [
            *(f"draft {row['number']}" for row in self._look("drafts") if not row["by_person"]),
            *(f"draft entry {row['number']}" for row in self._look("draft-entries") if not row["by_person"]),
        ]
        sound = self._look("check")
        self.unsound: Sequence[str] = [
            *(f"{year} {number}" for (year, number), rows in self._entries.items() if sum(map(_base, rows)) != 0),
            *([] if sound == {"ok": True} else [str(sound)]),
        ]
        self.mails: Sequence[str] = []

    def _look(self, what: str) -> Any:
        return ask_json(f"{self._base}/agreements/{self._tenant}/{what}")

    def vouchers(self, series: str) -> Sequence[str]:
        """The key of each voucher; payments stand in the same journal and are none."""
        return [
            _last_word(rows[0]["text"])
            for rows in self._entries.values()
            if not any(row["type"] == CUSTOMER_PAYMENT for row in rows)
        ]


def _base(row: Any) -> Decimal:
    return Decimal(row["base"])


def _last_word(text: object) -> str:
    return str(text).rpartition(" ")[2]


def open_shelf(accounting: str, control: str, tenant: str) -> Shelf:
    """The books of a company in one of the simulated systems. Raises `DemoFailed`."""
    match accounting:
        case "fortnox":
            return FortnoxShelf(control, tenant)
        case "economic":
            return EconomicShelf(control, tenant)
    raise DemoFailed(f"no simulated books of {accounting}")
