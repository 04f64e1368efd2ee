"""Plus: a refund becomes a credit note and its payment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from addon.core.accounts import Account, AccountRole
from addon.core.delivery import with_rounding, write_off
from addon.core.documents import (
    BookInvoice,
    BookPayment,
    ClearingEffect,
    CreateInvoice,
    CreatePayment,
    CreditInvoice,
    DateCreditNote,
    Document,
    DocumentKind,
    Invoice,
    InvoiceLine,
    PartRef,
    Settlement,
    Step,
)
from addon.core.holds import HoldReason
from addon.core.money import ExchangeRate, Money
from addon.core.plan.common import (
    account,
    base_key,
    day_of,
    open_day,
    reference_text,
    require_precision,
    require_ready,
    source_of,
    vat_of,
)
from addon.core.plan.exact_vat import vat_of_credit, with_exact_vat
from addon.core.plan.sale import books_value
from addon.core.plan.situation import BookedSale, CannotBook, SaleLine
from addon.core.plan.vat import share_of_oss
from addon.core.plan.voucher_sale import plan_voucher_refund
from addon.core.records import Movement
from addon.core.rules import Policy


def plan_refund(
    movement: Movement,
    sale: BookedSale,
    policy: Policy,
    against: Account | None = None,
    worth: Money | None = None,
) -> Document:
    """Plan one refund of a booked sale. Raises `CannotBook`.

    `against` is the account that the credit note is settled on, and `worth` (negative) what that is in the books,
    where the money did not leave the balance now: a lost dispute's stands on the account for disputes.

    A refund of all that was paid, with nothing credited before, uses the system's own credit action; every other
    is a negative invoice that names the one it corrects, since the action works once. Rates, VAT and accounts
    are the original's.
    """
    given_back = movement.presented or movement.amount
    if given_back.minor >= 0 or movement.amount.minor >= 0:
        raise CannotBook(HoldReason.WRONG_SIGN, amount=str(given_back))
    if given_back.currency != sale.paid.currency:
        raise CannotBook(HoldReason.AMOUNT_DIFFERS, paid=str(sale.paid), refunded=str(given_back))
    if sale.sold:
        return plan_voucher_refund(movement, sale, policy, against, worth)
    refund = -given_back
    sold = [line for line in sale.lines if not line.rounding]
    uncredited = Money.total((line.gross - line.credited for line in sold), sale.paid.currency)
    if refund > min(sale.paid - sale.refunded, uncredited):
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
    books_amount = books_value(movement, given_back, policy) if worth is None else worth
    require_ready((line.account for line in sale.lines), day, policy)
    key = base_key(movement, policy)
    text = reference_text(policy, f"refund {source_of(movement)} of invoice {sale.number}", note)
    credit_key = f"{key}/credit"
    whole = refund == sale.paid and not sale.credit_made
    if whole:
        total = -sale.total
        steps = _credit_steps(credit_key, sale, total, day, text)
    else:
        invoice = _negative_invoice(credit_key, sale, refund, day, text, policy)
        total = invoice.total
        steps = [
            CreateInvoice(credit_key, invoice, sale.customer.key),
            BookInvoice(f"{credit_key}/book", credit_key, invoice),
        ]
    try:
        rest = write_off(total, given_back)
    except ValueError:
        # The invoice came to something else than was paid, by more than rounding: crediting it whole is wrong.
        raise CannotBook(
            HoldReason.AMOUNT_DIFFERS, invoice=sale.number, paid=str(sale.paid), total=str(sale.total)
        ) from None
    settlement = Settlement(
        key=f"{key}/payment",
        amount=given_back,
        books_amount=books_amount,
        paid_on=day,
        account=against or clearing,
        write_off=rest,
        write_off_account=policy.accounts.find(AccountRole.ROUNDING),
    )
    steps += [
        CreatePayment(settlement.key, settlement, invoice_key=credit_key),
        BookPayment(f"{settlement.key}/book", settlement.key),
    ]
    return Document(
        key=f"{key}/refund",
        kind=DocumentKind.REFUND,
        booking_date=day,
        total=given_back,
        parts=(PartRef(movement.ref, "amount"),),
        clearing=(ClearingEffect(clearing, movement.amount, books_amount),),
        steps=tuple(steps),
        rule=(
            f"Plus: the {'whole' if whole else 'partial'} refund becomes a credit note on invoice {sale.number}, "
            "at the original's rate, VAT and accounts."
        ),
        facts=(
            ("source", source_of(movement)),
            ("original", movement.original_ref),
            ("order_number", sale.order_number),
        ),
        oss=share_of_oss(sale.oss, refund, sale.paid, day),
    )


def _credit_steps(credit_key: str, sale: BookedSale, total: Money, day: date, text: str) -> list[Step]:
    dated_key = f"{credit_key}/date"
    return [
        CreditInvoice(credit_key, sale.invoice_key, total, day, text),
        DateCreditNote(dated_key, credit_key, credit_key, day, text),
        BookInvoice(f"{credit_key}/book", credit_key, credit_total=total),
    ]


def _negative_invoice(key: str, sale: BookedSale, refund: Money, day: date, text: str, policy: Policy) -> Invoice:
    sold = [line for line in sale.lines if not line.rounding]
    lines, vat_exact = with_exact_vat(
        [
            (
                line,
                InvoiceLine(
                    line.description,
                    -share,
                    line.vat_percent,
                    line.account,
                    line.cost_centre,
                    line.project,
                    line.article,
                ),
            )
            for line, share in zip(sold, refund_shares(sold, refund), strict=True)
            if share
        ]
    )
    rate = None
    if sale.total.currency != policy.books_currency:
        rate = ExchangeRate(
            sale.total.currency,
            policy.books_currency,
            sale.rate,
            1,
            sale.invoice_date,
            f"invoice {sale.number}",
        )
    invoice = Invoice(
        key=key,
        customer=sale.customer,
        invoice_date=day,
        lines=lines,
        total=-refund,
        vat=vat_of(lines),
        rate=rate,
        order_number=sale.order_number,
        text=text,
        corrects_key=sale.invoice_key,
        vat_exact=vat_exact,
    )
    rounding = policy.accounts.find(AccountRole.ROUNDING)
    if policy.rounds_to_whole and sale.total.currency == policy.books_currency and rounding is not None:
        invoice = with_rounding(invoice, rounding)
        if invoice.rounding_line:
            require_ready((rounding,), day, policy)
    return invoice


def refund_shares(lines: Sequence[SaleLine], refund: Money) -> tuple[Money, ...]:
    """How much of each line a refund gives back: by what is left of each, so that the last takes all of it."""
    left = [line.gross - line.credited for line in lines]
    return refund.allocate([amount.minor for amount in left])


def credited_by_line(
    sold: Sequence[InvoiceLine], credits: Iterable[InvoiceLine]
) -> tuple[tuple[Money, ...], tuple[Money, ...]]:
    """How much of each row of an invoice has been credited by rows of credit notes: gross, and the VAT in that.

    Rows find each other by text, rate and account. Where two rows of the invoice share all of them, each takes no more
    than it has left.
    """
    gone = [Money.zero(line.gross.currency) for line in sold]
    vat = list(gone)
    for credit in credits:
        alike = [index for index, line in enumerate(sold) if _identity(line) == _identity(credit)]
        left = -credit.gross
        fits = [index for index in alike if left <= sold[index].gross - gone[index]][:1]
        for number, index in enumerate(fits or alike):
            if not number:
                vat[index] = vat[index] + vat_of_credit(credit)
            share = min(left, sold[index].gross - gone[index])
            gone[index], left = gone[index] + share, left - share
    return tuple(gone), tuple(vat)


def _identity(line: InvoiceLine) -> tuple[str, int, Account]:
    return (line.description, line.vat_percent, line.account)
