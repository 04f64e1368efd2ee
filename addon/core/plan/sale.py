"""Plus: a sale becomes a customer invoice and its payment."""

from __future__ import annotations

import hashlib
from collections.abc import Container
from datetime import date
from decimal import Decimal

from addon.core.accounts import Account, AccountRole
from addon.core.delivery import with_rounding, write_off
from addon.core.documents import (
    BookInvoice,
    BookPayment,
    ClearingEffect,
    CreateCustomer,
    CreateInvoice,
    CreatePayment,
    Customer,
    CustomerVat,
    Document,
    DocumentKind,
    Invoice,
    InvoiceLine,
    PartRef,
    Settlement,
    Step,
)
from addon.core.holds import HoldReason
from addon.core.matching import own_order_number
from addon.core.money import ExchangeRate, Money
from addon.core.plan.common import (
    account,
    base_key,
    day_of,
    open_day,
    reference_text,
    require_currency,
    require_precision,
    require_ready,
    source_of,
    stand_in_rate,
    vat_of,
)
from addon.core.plan.rates import require_near
from addon.core.plan.routed import routed_lines, vat_by_rule
from addon.core.plan.situation import CannotBook
from addon.core.plan.vat import SaleVat, VatLine, vat_of_sale
from addon.core.plan.voucher_sale import plan_voucher_sale
from addon.core.records import Buyer, Movement
from addon.core.routing import Routing, route
from addon.core.rules import Policy, rate_for
from addon.core.saleform import organisation_number
from addon.core.vat import OddVat, VatFacts, percent_text

_NO_FACTS = VatFacts()


def plan_sale(
    movement: Movement, policy: Policy, known_customers: Container[str], facts: VatFacts = _NO_FACTS
) -> Document:
    """Plan one sale: invoice in the buyer's currency, payment at what the provider made of it.

    A customer whose key is not among the known ones is made first. A rate that no invoice can hold makes a voucher,
    if the company wishes so. Raises `CannotBook`, and `NumberWanted` where a VAT number must be checked first.
    """
    paid = movement.presented or movement.amount
    if paid.minor <= 0 or movement.amount.minor <= 0:
        raise CannotBook(HoldReason.WRONG_SIGN, amount=str(paid))
    if paid.currency == movement.currency and paid != movement.amount:
        raise CannotBook(HoldReason.AMOUNT_DIFFERS, paid=str(paid), balance=str(movement.amount))
    require_precision(paid, policy)
    require_currency(paid.currency, policy)
    day, note = open_day(day_of(movement, policy), policy)
    clearing = account(policy, AccountRole.CLEARING, day, movement.currency)
    books_amount = books_value(movement, paid, policy)
    rate = sent_rate(movement, paid, policy)
    require_near(rate, movement, paid, policy)
    if rate is None:
        require_own_rate(movement, paid, policy)
    order = order_number(movement, policy)
    what = f"Order {order}" if order else movement.description or f"Sale {source_of(movement)}"
    routing = route(movement, policy.rules)
    vat = vat_by_rule(paid, what, routing, policy)
    if vat is None:
        vat = vat_of_sale(movement, paid, day_of(movement, policy), policy, facts, what)
    about = (("source", source_of(movement)), ("order_number", order), *vat.facts)
    if vat.odd is not None:
        if policy.vat.odd is OddVat.HOLD:
            odd = f"{percent_text(vat.odd.percent)} %"
            raise CannotBook(HoldReason.VAT_RATE_ODD, rate=odd, country=vat.odd.country, line=vat.odd.description)
        return plan_voucher_sale(movement, paid, vat, policy, about)
    lines = routed_lines(_lines(vat, routing, day, policy), routing, day, policy)
    customer = customer_for(movement.buyer, vat, policy)
    key = base_key(movement, policy)
    invoice = Invoice(
        key=f"{key}/invoice",
        customer=customer,
        invoice_date=day,
        lines=lines,
        total=paid,
        vat=vat_of(lines),
        rate=rate,
        expected_rate=expected_rate(movement, paid, policy),
        order_number=order,
        text=" ".join(filter(None, (policy.invoice_text, reference_text(policy, source_of(movement), note)))),
    )
    rounding = policy.accounts.find(AccountRole.ROUNDING)
    if policy.rounds_to_whole and paid.currency == policy.books_currency and rounding is not None:
        invoice = with_rounding(invoice, rounding)
        if invoice.rounding_line:
            require_ready((rounding,), day, policy)
    settlement = Settlement(
        key=f"{key}/payment",
        amount=paid,
        books_amount=books_amount,
        paid_on=day,
        account=clearing,
        write_off=write_off(invoice.total, paid),
        write_off_account=rounding,
    )
    steps: list[Step] = []
    if customer.key not in known_customers:
        steps.append(CreateCustomer(customer.key, customer))
    steps += [
        CreateInvoice(invoice.key, invoice, customer.key),
        BookInvoice(f"{invoice.key}/book", invoice.key, invoice),
        CreatePayment(settlement.key, settlement, invoice_key=invoice.key),
        BookPayment(f"{settlement.key}/book", settlement.key),
    ]
    return Document(
        key=f"{key}/sale",
        kind=DocumentKind.SALE,
        booking_date=day,
        total=paid,
        parts=(PartRef(movement.ref, "amount"),),
        clearing=(ClearingEffect(clearing, movement.amount, books_amount),),
        steps=tuple(steps),
        rule=_why(vat, routing),
        facts=about,
        oss=vat.oss,
    )


def _lines(vat: SaleVat, routing: Routing, day: date, policy: Policy) -> list[InvoiceLine]:
    """The invoice's rows. Where a rule names the account, none need be mapped."""
    ruled = routing.rule is not None and bool(routing.rule.account)
    for line in vat.lines if not ruled else ():
        if line.abroad:
            _require_own_vat_code(account(policy, AccountRole.SALES, day, line.treatment), line, day, policy)
    return [
        InvoiceLine(
            line.description,
            line.gross,
            int(line.percent),
            Account(AccountRole.SALES, "") if ruled else account(policy, AccountRole.SALES, day, line.treatment),
        )
        for line in vat.lines
    ]


def _require_own_vat_code(sales: Account, line: VatLine, day: date, policy: Policy) -> None:
    """Raise `CannotBook` for an OSS account whose VAT would land among the home country's."""
    year = policy.books.year_of(day)
    if year is not None and not policy.books.keeps_oss_apart(sales.number, year.ref):
        raise CannotBook(
            HoldReason.ACCOUNT_NOT_READY,
            account=sales.number,
            role=sales.role.value,
            detail=line.treatment,
            why="no_oss_vat_code",
        )


def _why(vat: SaleVat, routing: Routing) -> str:
    told = dict.fromkeys(filter(None, ("Plus: the sale becomes an invoice and its payment.", vat.why, routing.why)))
    return " ".join(told)


def books_value(movement: Movement, paid: Money, policy: Policy) -> Money | None:
    """What a movement was worth in the books: the provider's conversion, else None for the invoice's own rate.

    Money that stays in another currency, be it the buyer's or a third one, goes onto that currency's clearing
    account at what the invoice is worth.
    """
    if movement.currency == policy.books_currency:
        return movement.amount
    return paid if paid.currency == policy.books_currency else None


def sent_rate(movement: Movement, paid: Money, policy: Policy) -> ExchangeRate | None:
    """The bank's rate that goes with a foreign invoice: that of the day of sale, even if the invoice is dated later.

    Where the accounting system's own rates hold, none is sent, whatever is known of them: an invoice then has the rate
    of its own day, and not one that depends on which invoices were booked before this one was planned. Where nobody
    keeps that up but a person by hand, the central bank's stands in.
    """
    if paid.currency == policy.books_currency:
        return None
    if not policy.currency_rules.official(paid.currency):
        known = policy.books.currency(paid.currency)
        if known is None or known.automatic:
            return None
        stand_in = stand_in_rate(policy, paid.currency, day_of(movement, policy))
        return stand_in or rate_for(policy, paid.currency, day_of(movement, policy))
    return rate_for(policy, paid.currency, day_of(movement, policy))


def require_own_rate(movement: Movement, paid: Money, policy: Policy) -> None:
    """Raise `CannotBook` where an invoice would be made at a rate that nobody keeps up and nothing can be held to.

    Without a fixing the accounting system takes its own rate. One that a person typed in once may be years old;
    where the provider converted, its conversion is what that rate is compared with, else there is nothing.
    """
    if policy.books_currency in (paid.currency, movement.currency):
        return
    known = policy.books.currency(paid.currency)
    if known is None or not known.automatic:
        raise CannotBook(HoldReason.CURRENCY_NOT_READY, currency=paid.currency, why="not_automatic")


def expected_rate(movement: Movement, paid: Money, policy: Policy) -> Decimal | None:
    """What the accounting system's own rate may not be far from: the provider's, else the books' present one."""
    if paid.currency == policy.books_currency:
        return None
    if movement.currency == policy.books_currency and paid:
        return movement.amount.to_decimal() / paid.to_decimal()
    known = policy.books.currency(paid.currency)
    rate: ExchangeRate | None = known.rate if known else None
    return rate.per_one() if rate else None


def order_number(movement: Movement, policy: Policy) -> str:
    """The first order number, in the order of places that the connection is set to look, as the books write it."""
    found = {number.place: number.value for number in reversed(movement.order_numbers)}
    told = next((found[place] for place in policy.order_places if found.get(place)), "")
    return own_order_number(told, policy.matching.order_patterns)


def customer_for(buyer: Buyer, vat: SaleVat, policy: Policy) -> Customer:
    """The customer of a sale: one for each e-mail address, or a collective one for country and VAT treatment."""
    email = buyer.email.strip().lower()
    country = buyer.country.strip().upper()
    if not (len(country) == 2 and country.isascii() and country.isalpha()):
        country = policy.books.identity.country
    organisation = organisation_number(buyer.vat_number) if policy.form.by_organisation else ""
    if organisation and not policy.collective_customers:
        return Customer(
            key=organisation_key(organisation),
            name=buyer.name.strip() or email or organisation,
            vat=vat.customer,
            country=country,
            email=email,
            vat_number=buyer.vat_number,
            private=False,
            organisation_number=organisation,
        )
    if email and not policy.collective_customers:
        return Customer(
            key=customer_key(email, vat.customer),
            name=buyer.name.strip() or email,
            vat=vat.customer,
            country=country,
            email=email,
            vat_number=vat.number,
            private=not buyer.vat_number,
        )
    return Customer(
        key=f"customer/collective/{country}/{vat.treatment}",
        name=f"{policy.provider_name} {country} {vat.treatment}",
        vat=vat.customer,
        country=country,
    )


def customer_key(email: str, vat: CustomerVat = CustomerVat.DOMESTIC) -> str:
    """The key of the customer with an e-mail address. The address stays out.

    One buyer whose purchases are treated in two ways is two customers: the treatment stands on the customer.
    """
    key = f"customer/{hashlib.sha256(email.strip().lower().encode()).hexdigest()[:24]}"
    return key if vat is CustomerVat.DOMESTIC else f"{key}/{vat.value}"


def organisation_key(number: str) -> str:
    """The key of the customer with an organisation number, whatever addresses it buys with."""
    return f"customer/organisation/{number}"
