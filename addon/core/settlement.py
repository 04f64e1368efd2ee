"""Settlement: how a company wants its vouchers, and what a booked sale leaves behind for its refunds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from addon.core.accounts import Account, AccountRole
from addon.core.money import Money
from addon.core.vat import OssAmount

MOST_VOUCHER_ROWS: Final = 500
"""Rows of one voucher. Fortnox tells no limit for vouchers; for invoices it is 500, and we go by that."""

LONGEST_PAYOUT_WAIT_DAYS: Final = 45
"""How long a payment waits to appear in a payout's list: a monthly payout schedule and a fortnight.

After that its day has a voucher of its own, early enough for the monthly VAT return (the 26th of the month after).
"""


class SettlementLines(StrEnum):
    """How fine a settlement voucher is."""

    ITEMISED = "itemised"
    """Each payment has rows of its own."""
    DAILY = "daily"
    """A row for each day and account."""


class SettlementContra(StrEnum):
    """What stands against the clearing account."""

    SALES = "sales"
    """Sales accounts and output VAT, by each sale's VAT treatment."""
    ACCOUNT = "account"
    """One account, for companies whose till or shop books the sales themselves: a claim that the payment settles."""


class SettlementBy(StrEnum):
    """What one voucher holds."""

    PAYOUT = "payout"
    """A payout's payments of one month."""
    DAY = "day"
    """A closed day's payments."""


@dataclass(frozen=True, slots=True)
class SettlementStyle:
    """A connection's choices for the settlement mode."""

    lines: SettlementLines = SettlementLines.ITEMISED
    contra: SettlementContra = SettlementContra.SALES
    by: SettlementBy = SettlementBy.PAYOUT


USUAL_STYLE: Final = SettlementStyle()
"""What holds until a person chooses otherwise."""


@dataclass(frozen=True, slots=True)
class SettledShare:
    """What one VAT treatment of a sale was booked with, in the books' currency, VAT included in `gross`."""

    gross: Money
    vat: Money
    percent: Decimal
    contra: Account
    vat_account: Account | None = None


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What a refund took off a sale: in the buyer's currency, and of each share gross and VAT. A refund that came
    back has it all negative."""

    source: str
    paid: Money
    shares: tuple[tuple[Money, Money], ...]


@dataclass(frozen=True, slots=True)
class SettledSale:
    """A sale that stands in a settlement voucher: what the buyer paid, how it was booked, what went back."""

    paid: Money
    shares: tuple[SettledShare, ...]
    given: tuple[GivenBack, ...] = ()
    oss: tuple[OssAmount, ...] = ()
    """What the sale added to the OSS figures, of which its refunds take their share."""

    def refunded(self) -> Money:
        """What has gone back to the buyer so far."""
        return Money.total((given.paid for given in self.given), self.paid.currency)

    def left(self) -> tuple[tuple[Money, Money], ...]:
        """Gross and VAT of each share that have not gone back."""
        rest = []
        for index, share in enumerate(self.shares):
            gross, vat = share.gross, share.vat
            for given in self.given:
                gross, vat = gross - given.shares[index][0], vat - given.shares[index][1]
            rest.append((gross, vat))
        return tuple(rest)

    def with_given(self, given: GivenBack) -> SettledSale:
        """The same sale after one more refund."""
        return replace(self, given=(*self.given, given))


# --- What a document remembers of its sales and refunds --------------------------------------------------------

_SALE: Final = "sale:"
_REFUND: Final = "refund:"

Facts = tuple[tuple[str, str], ...]


def sale_fact(source: str, sale: SettledSale) -> tuple[str, str]:
    """A sale as a document's fact, so that a refund months later finds how it was booked."""
    shares = [
        [
            share.gross.minor,
            share.vat.minor,
            str(share.percent),
            share.contra.role.value,
            share.contra.number,
            share.vat_account.number if share.vat_account is not None else "",
        ]
        for share in sale.shares
    ]
    value: dict[str, Any] = {"paid": [sale.paid.minor, sale.paid.currency], "shares": shares}
    if sale.oss:
        value["oss"] = [
            [one.country, str(one.percent), one.net.minor, one.vat.minor, one.day.isoformat(), one.abroad]
            for one in sale.oss
        ]
    return _SALE + source, _text(value)


def refund_fact(original: str, given: GivenBack) -> tuple[str, str]:
    """A refund as a document's fact."""
    shares = [[gross.minor, vat.minor] for gross, vat in given.shares]
    value = {"of": original, "paid": [given.paid.minor, given.paid.currency], "shares": shares}
    return _REFUND + given.source, _text(value)


def settled_sales(documents: Iterable[Facts], home: str) -> Mapping[str, SettledSale]:
    """The sales that settlement documents have booked, by the provider's reference, with what went back of each.

    Takes the documents' facts in any order; `home` is the books' currency.
    """
    found = _Found(home)
    for facts in documents:
        for name, value in facts:
            found.read(name, value)
    return found.sales()


@dataclass
class _Found:
    home: str
    _sales: dict[str, SettledSale] = field(default_factory=dict)
    _given: list[tuple[str, GivenBack]] = field(default_factory=list)

    def read(self, name: str, value: str) -> None:
        if name.startswith(_SALE):
            self._sales[name.removeprefix(_SALE)] = self._sale(json.loads(value))
        elif name.startswith(_REFUND):
            told = json.loads(value)
            self._given.append((told["of"], self._refund(name.removeprefix(_REFUND), told)))

    def _sale(self, told: Mapping[str, Any]) -> SettledSale:
        shares = tuple(
            SettledShare(
                Money(gross, self.home),
                Money(vat, self.home),
                Decimal(percent),
                Account(AccountRole(role), number),
                Account(AccountRole.OUTPUT_VAT, vat_number) if vat_number else None,
            )
            for gross, vat, percent, role, number, vat_number in told["shares"]
        )
        oss = tuple(
            OssAmount(
                country,
                Decimal(percent),
                Money(net, self.home),
                Money(vat, self.home),
                date.fromisoformat(day),
                abroad,
            )
            for country, percent, net, vat, day, abroad in told.get("oss", ())
        )
        return SettledSale(Money(*told["paid"]), shares, oss=oss)

    def _refund(self, source: str, told: Mapping[str, Any]) -> GivenBack:
        shares = tuple((Money(gross, self.home), Money(vat, self.home)) for gross, vat in told["shares"])
        return GivenBack(source, Money(*told["paid"]), shares)

    def sales(self) -> Mapping[str, SettledSale]:
        for original, given in sorted(self._given, key=lambda pair: pair[1].source):
            sale = self._sales.get(original)
            if sale is not None and len(sale.shares) == len(given.shares):
                self._sales[original] = sale.with_given(given)
        return self._sales


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


_NUMBERED: Final = re.compile(r"(.+/sales/(?:[A-Z]{3}/\d{4}-\d{2}-\d{2}|\d{4}-\d{2}))(?:/(\d+))?")


def voucher_number(key: str) -> tuple[str, int]:
    """The group that a settlement document's key names (a payout's month, a day), and its number in the group."""
    found = _NUMBERED.fullmatch(key)
    if found is None:
        return key, 1
    return found[1], int(found[2] or 1)
