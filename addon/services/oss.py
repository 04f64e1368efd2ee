"""The figures of sales to consumers in other EU countries: the threshold by year, the return by quarter."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from addon.core.documents import Document, DocumentKind
from addon.core.money import Money
from addon.core.vat import OSS_LIMITS, OssYear, VatRules
from addon.store.models import DocumentRow, OssRow


def store(session: Session, document: Document, document_id: int) -> None:
    """Keep what a planned document adds to the figures. The caller commits."""
    session.add_all(
        OssRow(
            document_id=document_id,
            day=amount.day,
            country=amount.country,
            percent=str(amount.percent),
            abroad=amount.abroad,
            net_minor=amount.net.minor,
            vat_minor=amount.vat.minor,
            currency=amount.net.currency,
        )
        for amount in document.oss
    )


def load_years(session: Session, currency: str) -> dict[int, OssYear]:
    """What was sold by calendar year, planned documents included, without what a person adds to it."""
    sums: dict[int, int] = defaultdict(int)
    query = select(OssRow.day, func.sum(OssRow.net_minor).label("net")).where(OssRow.currency == currency)
    for row in session.execute(query.group_by(OssRow.day)):
        sums[row.day.year] += int(row.net)
    # What goes back next year is no sale abroad of that year, and what was undone was none at all.
    stands = DocumentRow.undone_by.is_(None) & (DocumentRow.kind != DocumentKind.UNDO.value)
    sold_abroad = (
        select(OssRow.day)
        .join(DocumentRow, DocumentRow.id == OssRow.document_id)
        .where(OssRow.currency == currency, OssRow.abroad.is_(True), OssRow.net_minor > 0, stands)
    )
    crossed = {day.year for day in session.scalars(sold_abroad.distinct())}
    return {year: OssYear(Money(net, currency), year in crossed) for year, net in sorted(sums.items())}


@dataclass(frozen=True, slots=True)
class Meter:
    """How far a calendar year has come towards the threshold; amounts without VAT in the books' currency."""

    year: int
    sold: Money
    limit: Money | None
    crossed: bool

    @property
    def over(self) -> bool:
        """Whether this year's sales themselves stand above the threshold."""
        return self.limit is not None and self.sold.minor > self.limit.minor

    @property
    def share(self) -> int:
        """The part of the threshold that is used, in per cent, a hundred at most."""
        if self.limit is None or not self.limit:
            return 100
        return max(0, min(100, self.sold.minor * 100 // self.limit.minor))


def meter(session: Session, rules: VatRules, currency: str, today: date) -> Meter:
    """The threshold meter of the present year, with what a person said was sold by other ways."""
    known = load_years(session, currency).get(today.year, OssYear(Money.zero(currency)))
    sold = known.net
    if rules.oss_before_year == today.year:
        sold = sold + Money(rules.oss_before_minor, currency)
    limit = OSS_LIMITS.get(currency)
    found = Meter(today.year, sold, Money(limit, currency) if limit is not None else None, known.crossed)
    return replace(found, crossed=known.crossed or found.over)


@dataclass(frozen=True, slots=True)
class QuarterLine:
    """A line of a quarter's OSS return: country, rate, basis and VAT, in the books' currency."""

    year: int
    quarter: int
    country: str
    percent: Decimal
    net: Money
    vat: Money


def quarters(session: Session, currency: str, since: date) -> tuple[QuarterLine, ...]:
    """What was taxed in other countries, by quarter, country and rate, newest quarter first."""
    sums: dict[tuple[int, int, str, Decimal], tuple[int, int]] = {}
    query = (
        select(
            OssRow.day,
            OssRow.country,
            OssRow.percent,
            func.sum(OssRow.net_minor).label("net"),
            func.sum(OssRow.vat_minor).label("vat"),
        )
        .where(OssRow.currency == currency, OssRow.abroad.is_(True), OssRow.day >= since)
        .group_by(OssRow.day, OssRow.country, OssRow.percent)
    )
    for row in session.execute(query):
        key = (row.day.year, (row.day.month + 2) // 3, row.country, Decimal(row.percent))
        net, vat = sums.get(key, (0, 0))
        sums[key] = (net + int(row.net), vat + int(row.vat))
    return tuple(
        QuarterLine(*key, Money(net, currency), Money(vat, currency))
        for key, (net, vat) in sorted(sums.items(), key=lambda item: (-item[0][0], -item[0][1], item[0][2:]))
    )
