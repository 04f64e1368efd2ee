"""Bookkeeping as text that a person reviews: what a plan puts into the books, what it holds, what waits, the check."""

from collections.abc import Iterable
from decimal import Decimal

from addon.core.documents import (
    AwaitInvoice,
    AwaitPayment,
    CreateArticle,
    CreateCustomer,
    CreateInvoice,
    CreateOrder,
    CreditInvoice,
    Document,
    InvoiceLine,
    MailInvoice,
    PartRef,
    PostVoucher,
    UpdateCustomer,
    VoucherLine,
)
from addon.core.holds import Hold, Wait
from addon.core.money import Money
from addon.core.plan import Plan
from tests.core.samples import NAMES
from tests.core.simulation import Company, Entry, Landed


def number(value: Decimal) -> str:
    """A decimal as Swedes write it, with all its decimals."""
    return f"{value:,f}".replace(",", " ").replace(".", ",")


def amount(value: Money) -> str:
    return number(value.to_decimal())


def with_currency(value: Money) -> str:
    return f"{amount(value)} {value.currency}"


def rendered_entry(entry: Entry) -> list[str]:
    """The rows of a voucher, each account's debit or credit."""
    lines = []
    for account, value in entry.rows:
        side = "D" if value.minor > 0 else "C"
        lines.append(f"      {account}  {NAMES[account]:<28}{amount(abs(value)):>14} {side}")
    return lines


def rendered_landed(landed: Landed) -> list[str]:
    """A booked document: its head, the rule that made it, and every voucher it became."""
    document = landed.document
    lines = [f"{document.booking_date}  {document.key}  {with_currency(document.total)}"]
    lines.append(f"  because   {document.rule}")
    entries = list(landed.entries)
    for step in document.steps:
        match step:
            case CreateCustomer():
                customer = step.customer
                about = [customer.name, customer.email, customer.country, customer.vat_number, customer.vat.value]
                lines.append(f"  customer  {', '.join(filter(None, about))}")
            case UpdateCustomer():
                lines.append(f"  customer  is called {step.customer.name} from now on")
                continue
            case CreateArticle():
                lines.append(f'  article   {step.number} "{step.description}", sold on {step.account.number}')
                continue
            case MailInvoice():
                lines.append(f"  mail      to {landed.invoice.mail_to if landed.invoice else ''}")
                continue
            case AwaitInvoice():
                lines.append(f"  awaits    a person who {'invoices the order and ' if step.ordered else ''}books it")
                continue
            case AwaitPayment():
                lines.append("  awaits    a person who books the payment")
                continue
            case CreateInvoice() | CreateOrder():
                invoice = step.invoice
                ordered = "order" if isinstance(step, CreateOrder) else "invoice"
                lines.append(f"  {'credit' if invoice.total.minor < 0 else ordered:<8}  {_about_invoice(landed, step)}")
                lines.append(f'            "{invoice.text}"')
                if invoice.corrects_key:
                    lines.append(f"            corrects {invoice.corrects_key}")
            case CreditInvoice():
                of = step.invoice_key or step.invoice_number
                lines.append(f"  credit    {step.credit_date}  {with_currency(step.total)}, all of {of}")
                lines.append(f'            "{step.text}"')
            case PostVoucher():
                lines.append(f'  voucher   {step.voucher.booking_date}  "{step.voucher.text}"')
            case _:
                continue
        if not isinstance(step, CreateCustomer):
            lines += rendered_entry(entries.pop(0))
        if isinstance(step, PostVoucher):
            lines += [
                f"            {line.account.number}{_dimensions(line)}" for line in step.voucher.lines if _coded(line)
            ]
    for entry in entries:
        lines.append(f"  payment   {entry.booking_date}  {entry.what.removeprefix('payment ')}")
        lines += rendered_entry(entry)
    return lines


def _about_invoice(landed: Landed, step: CreateInvoice | CreateOrder) -> str:
    invoice = step.invoice
    about = [f"{invoice.invoice_date}  {with_currency(invoice.total)}", f"VAT {number(invoice.vat)}"]
    if landed.total is not None and landed.total != invoice.total:
        about.append(f"made as {with_currency(landed.total)}")
    if invoice.rate is not None:
        about.append(f"at {number(invoice.rate.rate)} for {invoice.rate.unit}")
    elif landed.rate is not None and landed.rate != 1:
        about.append(f"at the books' own {number(landed.rate)}")
    if invoice.order_number:
        about.append(f"order {invoice.order_number}")
    if invoice.payment_terms:
        about.append(f"terms {invoice.payment_terms}")
    for line in invoice.lines:
        article = f"article {line.article} " if line.article else ""
        about.append(f'{article}"{line.description}" {line.vat_percent} %{_dimensions(line)}')
    return ", ".join(about)


def _coded(line: VoucherLine) -> bool:
    return bool(line.cost_centre or line.project)


def _dimensions(line: InvoiceLine | VoucherLine) -> str:
    named = (("cost centre", line.cost_centre), ("project", line.project))
    return "".join(f", {word} {code}" for word, code in named if code)


def rendered_planned(document: Document) -> str:
    return f"planned   {document.booking_date}  {document.key}  {with_currency(document.total)}"


def rendered_open(company: Company, word: str, item: Hold | Wait) -> list[str]:
    """A hold or a wait: its reason, the facts for its sentence, and each part with its money."""
    until = f" until {item.until}" if isinstance(item, Wait) and item.until else ""
    facts = ", ".join(f"{name}={value}" for name, value in item.facts)
    lines = [f"{word:<5} {item.reason.value}{until}  {facts}".rstrip()]
    return lines + [f"      {_part(part)}  {with_currency(company.part_amount(part))}" for part in item.parts]


def _part(part: PartRef) -> str:
    return f"{part.movement_ref} {part.part}"


def rendered_plan(company: Company, result: Plan) -> list[str]:
    """What a plan did not make documents of."""
    lines = []
    for hold in result.holds:
        lines += rendered_open(company, "held", hold)
    for wait in result.waits:
        lines += rendered_open(company, "waits", wait)
    for aside in result.asides:
        where = f"booked elsewhere: {aside.where}" if aside.where else "booked nowhere"
        lines.append(f'aside by rule "{aside.rule}"  {where}')
        lines += [f"      {_part(part)}  {with_currency(company.part_amount(part))}" for part in aside.parts]
    for part in result.nought:
        lines.append(f"nought {_part(part)}")
    return lines


def rendered_check(company: Company) -> list[str]:
    """Booked + on its way + held + waiting = the provider's net, and what the clearing account stands at."""
    lines = []
    for currency in company.currencies():
        terms = {
            "booked": company.sum_of(currency, "booked"),
            "planned": company.sum_of(currency, "planned", "open"),
            "held": company.sum_of(currency, "held"),
            "waiting": company.sum_of(currency, "waiting"),
            "set aside": company.sum_of(currency, "aside"),
        }
        total = Money.total(terms.values(), currency)
        assert total == company.net(currency)
        shown = [f"{amount(value)} {name}" for name, value in terms.items() if value or name == "booked"]
        lines.append(f"check {currency}  {' + '.join(shown)} = {amount(total)} net at the provider")
        clearing = company.policy.accounts.numbers.get(f"clearing:{currency}")
        if clearing:
            lines.append(f"      {clearing} stands at {with_currency(company.stands_at(clearing))}")
    return lines


def joined(lines: Iterable[str]) -> str:
    return "\n".join(lines)
