"""Sales and refunds as vouchers: for VAT rates that no invoice of the accounting system can hold.

The sale stands on its sales account at net, the VAT on an account of its own; no customer invoice is made, so the
provider's receipt is the buyer's document. Refunds go back by what is left of each line, at the original's rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from addon.core.accounts import Account, AccountRole
from addon.core.documents import (
    ClearingEffect,
    Document,
    DocumentKind,
    PartRef,
    PostVoucher,
    SoldLine,
    Voucher,
    VoucherLine,
    signed_line,
)
from addon.core.holds import HoldReason
from addon.core.money import ExchangeRate, Money
from addon.core.plan.common import (
    account,
    base_key,
    day_of,
    invoice_rate,
    open_day,
    rate_facts,
    rate_words,
    reference_text,
    require_precision,
    require_ready,
    source_of,
)
from addon.core.plan.situation import BookedSale, CannotBook
from addon.core.plan.vat import SaleVat, VatLine, share_of_oss
from addon.core.records import Movement
from addon.core.rules import Policy
from addon.core.vat import percent_text


def plan_voucher_sale(
    movement: Movement, paid: Money, vat: SaleVat, policy: Policy, about: tuple[tuple[str, str], ...]
) -> Document:
    """Plan a sale as a voucher: clearing against sales and VAT, a row each. Raises `CannotBook`."""
    day, note = open_day(day_of(movement, policy), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    worth, rate = _worth(movement, paid, policy)
    shares = worth.allocate([line.gross.minor for line in vat.lines])
    sold = tuple(_sold(line, share, policy, day) for line, share in zip(vat.lines, shares, strict=True))
    received = movement.amount if movement.currency == policy.books_currency else worth
    key = base_key(movement, policy)
    rates = ", ".join(dict.fromkeys(f"{percent_text(line.percent)} %" for line in vat.lines))
    what = f"sale {source_of(movement)}, {movement.buyer.name or movement.buyer.country}, VAT {rates}"
    if rate is not None:
        what = f"{what}, {rate_words(rate)}"
    voucher = Voucher(
        f"{key}/voucher",
        day,
        reference_text(policy, what, note),
        _rows(clearing, received, sold, policy, day),
    )
    return Document(
        key=f"{key}/sale",
        kind=DocumentKind.SALE,
        booking_date=day,
        total=paid,
        parts=(PartRef(movement.ref, "amount"),),
        clearing=(ClearingEffect(clearing, movement.amount, received),),
        steps=(PostVoucher(voucher.key, voucher),),
        rule=f"Plus: an invoice cannot hold {rates}, so the sale becomes a voucher. {vat.why}",
        facts=(*about, *rate_facts(rate)),
        oss=vat.oss,
        sold=sold,
    )


def plan_voucher_refund(
    movement: Movement,
    sale: BookedSale,
    policy: Policy,
    against: Account | None = None,
    taken: Money | None = None,
) -> Document:
    """Plan a refund of a sale that is a voucher: its rows the other way round, in shares. Raises `CannotBook`.

    `against` is the account that it is settled on, and `taken` (negative) what that is in the books, where the money
    did not leave the balance now: a lost dispute's stands on the account for disputes.
    """
    given_back = movement.presented or movement.amount
    refund = -given_back
    left = Money.total((line.gross for line in sale.sold), refund.currency)
    if refund > left:
        raise CannotBook(
            HoldReason.REFUND_EXCEEDS,
            paid=str(sale.paid),
            refunded=str(sale.refunded),
            refund=str(refund),
            invoice=sale.number,
        )
    require_precision(refund, policy)
    day, note = open_day(max(day_of(movement, policy), sale.invoice_date), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    back = _shares(sale.sold, refund)
    require_ready((line.account for line in back), day, policy)
    worth = Money.total((line.net + line.vat for line in back), policy.books_currency)
    paid_back = movement.amount if movement.currency == policy.books_currency else worth
    if taken is not None:
        paid_back = taken
    key = base_key(movement, policy)
    what = f"refund {source_of(movement)} of sale {movement.original_ref}"
    voucher = Voucher(
        f"{key}/voucher",
        day,
        reference_text(policy, what, note),
        _rows(against or clearing, paid_back, back, policy, day),
    )
    return Document(
        key=f"{key}/refund",
        kind=DocumentKind.REFUND,
        booking_date=day,
        total=given_back,
        parts=(PartRef(movement.ref, "amount"),),
        clearing=(ClearingEffect(clearing, movement.amount, paid_back),),
        steps=(PostVoucher(voucher.key, voucher),),
        rule="Plus: the sale is a voucher, so its refund is one too, at the original's rate, VAT and accounts.",
        facts=(
            ("source", source_of(movement)),
            ("original", movement.original_ref),
            ("order_number", sale.order_number),
        ),
        oss=share_of_oss(sale.oss, refund, sale.paid, day),
        sold=back,
    )


def _worth(movement: Movement, paid: Money, policy: Policy) -> tuple[Money, ExchangeRate | None]:
    """What a sale is worth in the books: at the rate that invoices of its day are made at, and that rate."""
    if paid.currency == policy.books_currency:
        return paid, None
    rate = invoice_rate(policy, paid.currency, day_of(movement, policy))
    if rate is None:
        raise CannotBook(HoldReason.NO_RATE, currency=paid.currency, day=day_of(movement, policy).isoformat())
    return rate.convert(paid), rate


def _sold(line: VatLine, worth: Money, policy: Policy, day: date) -> SoldLine:
    vat = worth.tax_included(line.percent)
    vat_account = account(policy, AccountRole.OUTPUT_VAT, day, line.treatment) if vat else None
    sales = account(policy, AccountRole.SALES, day, line.treatment)
    return SoldLine(line.description, line.gross, line.percent, sales, vat_account, worth - vat, vat)


def _shares(sold: Sequence[SoldLine], refund: Money) -> tuple[SoldLine, ...]:
    """What a refund takes of each line, negative; what takes all that is left of a line takes all of its VAT."""
    shares = refund.allocate([line.gross.minor for line in sold])
    back = []
    for line, share in zip(sold, shares, strict=True):
        if share == line.gross:
            net, vat = line.net, line.vat
        else:
            whole = line.net + line.vat
            worth, _ = whole.allocate([share.minor, line.gross.minor - share.minor])
            vat = worth.tax_included(line.percent)
            net = worth - vat
        back.append(SoldLine(line.description, -share, line.percent, line.account, line.vat_account, -net, -vat))
    return tuple(back)


def _rows(
    clearing: Account, moved: Money, lines: Sequence[SoldLine], policy: Policy, day: date
) -> tuple[VoucherLine, ...]:
    """Clearing on one side, sales and VAT on the other, an exchange difference where they do not meet."""
    refund = lines[0].gross.minor < 0
    rows = [signed_line(clearing, moved)]
    for line in lines:
        if line.net:
            rows.append(signed_line(line.account, -line.net, line.description))
        if line.vat and line.vat_account is not None:
            rows.append(signed_line(line.vat_account, -line.vat, f"VAT {percent_text(line.percent)} %"))
    difference = Money.total((row.signed for row in rows), policy.books_currency)
    if difference:
        role = AccountRole.EXCHANGE_GAIN if difference.minor > 0 else AccountRole.EXCHANGE_LOSS
        rows.append(signed_line(account(policy, role, day), -difference, "exchange, refund" if refund else "exchange"))
    return tuple(rows)
