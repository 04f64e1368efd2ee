"""A planned document in the form that the company has chosen: draft or order, unbooked payments, terms, cost centre."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from typing import Final, TypeVar, assert_never

from addon.core.accounts import AccountRole
from addon.core.books import Register
from addon.core.documents import (
    AwaitInvoice,
    AwaitPayment,
    BookInvoice,
    BookPayment,
    CreateArticle,
    CreateInvoice,
    CreateOrder,
    Document,
    Invoice,
    InvoiceLine,
    MailInvoice,
    PostVoucher,
    Step,
    UpdateCustomer,
    VoucherLine,
)
from addon.core.holds import HoldReason
from addon.core.plan.situation import CannotBook, Registers
from addon.core.plan.vat import described
from addon.core.records import Movement
from addon.core.rules import Policy
from addon.core.saleform import Articles, SaleDocument, article_number

Line = TypeVar("Line", InvoiceLine, VoucherLine)

WITH_DIMENSIONS: Final = frozenset({AccountRole.SALES, AccountRole.FEE})
"""Roles whose rows get the company's cost centre and project: what was earned, and what it cost."""


def sale_in_form(document: Document, movement: Movement, registers: Registers, policy: Policy) -> Document:
    """A sale's document as the company wants it: which document, which articles, who gets it by mail."""
    form, articles = policy.form, registers.articles
    if form.leaves_sales_alone:
        return document
    steps: list[Step] = []
    invoice: Invoice | None = None
    for step in document.steps:
        match step:
            case CreateInvoice():
                invoice = _invoice(step.invoice, movement, articles, policy)
                steps += _before(step, invoice, movement, registers, policy)
                ordered = form.document is SaleDocument.ORDER
                steps.append(
                    CreateOrder(step.key, invoice, step.customer_key) if ordered else replace(step, invoice=invoice)
                )
            case BookInvoice() if form.document is not SaleDocument.BOOKED:
                steps.append(AwaitInvoice(step.key, step.invoice_key, form.document is SaleDocument.ORDER))
            case BookInvoice():
                steps.append(replace(step, invoice=invoice))
                if invoice is not None and invoice.mail_to:
                    steps.append(MailInvoice(f"{step.invoice_key}/mail", step.invoice_key))
            case _:
                steps.append(step)
    return replace(document, steps=tuple(steps))


def _before(
    step: CreateInvoice, invoice: Invoice, movement: Movement, registers: Registers, policy: Policy
) -> list[Step]:
    """What must be in the books before the invoice can name it."""
    steps: list[Step] = []
    known = registers.customer_names.get(step.customer_key, "")
    if policy.form.update_customers and known and known != invoice.customer.name and invoice.customer.email:
        steps.append(UpdateCustomer(f"{step.key}/customer", invoice.customer, step.customer_key))
    # An article is called what one of it is called, however many were sold.
    names = {described(item): item.description for item in movement.items}
    missing: dict[str, InvoiceLine] = {}
    for line in invoice.lines:
        if line.article and line.article not in registers.articles:
            missing.setdefault(line.article, line)
    # Each document makes what it names, so that none waits for another; what is there by then is not made again.
    for number, line in enumerate(missing.values()):
        text = names.get(line.description) or line.description
        steps.append(CreateArticle(f"{step.key}/article/{number}", line.article, text, line.account))
    return steps


def _invoice(invoice: Invoice, movement: Movement, articles: Container[str], policy: Policy) -> Invoice:
    form = policy.form
    skus = {described(item): item.sku for item in movement.items}
    only = movement.items[0].sku if len(movement.items) == 1 else ""
    lines = tuple(
        replace(line, article=_article(skus.get(line.description, only), articles, policy))
        if line.account.role is AccountRole.SALES
        else line
        for line in invoice.lines
    )
    mail_to = movement.buyer.email.strip() if form.mail_invoice else ""
    return replace(invoice, lines=lines, payment_terms=form.payment_terms, mail_to=mail_to)


def _article(sku: str, articles: Container[str], policy: Policy) -> str:
    number = article_number(sku)
    match policy.form.articles:
        case Articles.FREE_TEXT:
            return ""
        case Articles.MATCHED:
            return number if number in articles else ""
        case Articles.CREATED:
            return number
        case _:
            assert_never(policy.form.articles)


# --- What concerns every document -------------------------------------------------------------------------------


def in_form(document: Document, policy: Policy) -> Document:
    """Any document with the company's cost centre and project, its payments left unbooked where that is wished.

    Raises `CannotBook` where a document names a code that the books do not have open.
    """
    form = policy.form
    if form.cost_centre or form.project or not form.payments_booked:
        year = policy.books.year_of(document.booking_date)
        steps = tuple(_step(step, year.ref if year else "", policy) for step in document.steps)
        document = replace(document, steps=steps)
    _require_codes(document, policy)
    return document


def _step(step: Step, year_ref: str, policy: Policy) -> Step:
    match step:
        case CreateInvoice() | CreateOrder():
            return replace(step, invoice=_with_rows(step.invoice, year_ref, policy))
        case BookInvoice() if step.invoice is not None:
            return replace(step, invoice=_with_rows(step.invoice, year_ref, policy))
        case PostVoucher():
            lines = tuple(_with_codes(line, year_ref, policy, usual=True) for line in step.voucher.lines)
            return replace(step, voucher=replace(step.voucher, lines=lines))
        case BookPayment() if not policy.form.payments_booked:
            return AwaitPayment(step.key, step.payment_key)
        case _:
            return step


def _with_rows(invoice: Invoice, year_ref: str, policy: Policy) -> Invoice:
    # A credit note has what its invoice had, and more only where an account demands it.
    usual = not invoice.corrects_key
    return replace(invoice, lines=tuple(_with_codes(line, year_ref, policy, usual=usual) for line in invoice.lines))


def _with_codes(line: Line, year_ref: str, policy: Policy, *, usual: bool) -> Line:
    wanted = usual and line.account.role in WITH_DIMENSIONS
    chart = policy.books.account(line.account.number, year_ref)
    cost_centre = policy.form.cost_centre if wanted or (chart and chart.needs_cost_centre) else ""
    project = policy.form.project if wanted or (chart and chart.needs_project) else ""
    return replace(line, cost_centre=line.cost_centre or cost_centre, project=line.project or project)


def _require_codes(document: Document, policy: Policy) -> None:
    for register, code in _named(document):
        why = policy.books.code_fault(register, code)
        if why:
            raise CannotBook(HoldReason.CODE_NOT_READY, register=register.value, code=code, why=why)


def _named(document: Document) -> list[tuple[Register, str]]:
    found: dict[tuple[Register, str], None] = {}
    for step in document.steps:
        lines: tuple[InvoiceLine, ...] | tuple[VoucherLine, ...] = ()
        if isinstance(step, CreateInvoice | CreateOrder):
            lines = step.invoice.lines
            found[Register.PAYMENT_TERMS, step.invoice.payment_terms] = None
        elif isinstance(step, PostVoucher):
            lines = step.voucher.lines
        for line in lines:
            found[Register.COST_CENTRES, line.cost_centre] = None
            found[Register.PROJECTS, line.project] = None
    return [named for named in found if named[1]]
