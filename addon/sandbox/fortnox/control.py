"""The handle by which a test in another process reads and turns the simulated Fortnox: JSON under /control.

It is another app on another port, and nothing the tested program may know. Amounts are decimal strings.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Flask, Response, request

from addon.sandbox.fortnox.books import BooksBroken, Voucher
from addon.sandbox.fortnox.company import FortnoxCompany
from addon.sandbox.fortnox.errors import ApiError
from addon.sandbox.fortnox.faults import Fault
from addon.sandbox.fortnox.sales import Invoice, Payment
from addon.sandbox.fortnox.world import FortnoxWorld
from addon.sandbox.serving import SandboxApp
from addon.sandbox.shared.control import answer, change, steer

ACTIONS = frozenset(
    {
        "activate_account",
        "add_account",
        "add_series",
        "add_vat_rate",
        "deactivate_account",
        "demand_cost_center",
        "demand_project",
        "lock_period",
        "person_adds_cost_center",
        "person_adds_currency",
        "person_adds_project",
        "person_books_invoice",
        "person_books_payment",
        "person_cancels_order",
        "person_invoices_order",
        "person_cancels_invoice",
        "person_creates_customer",
        "person_creates_invoice",
        "person_credits_invoice",
        "person_deletes_last_voucher",
        "person_deletes_payment",
        "person_edits_customer",
        "person_edits_invoice",
        "person_opens_year",
        "person_pays_invoice",
        "person_posts_voucher",
        "remove_account",
        "remove_currency",
        "remove_series",
        "revoke_consent",
        "select_year",
        "set_licences",
        "set_next_voucher_number",
        "set_predefined_account",
        "set_predefined_series",
        "set_series_manual",
    }
)
"""Methods of FortnoxCompany that may be called from outside."""

_DATES = frozenset({"until", "invoice_date", "due_date", "on", "from_date", "to_date"})


def build_control_app(world: FortnoxWorld) -> Flask:
    """The app; serve it on a port of its own."""
    app = SandboxApp("addon.sandbox.fortnox.control", static_folder=None, template_folder=None)

    steer(app, world, Fault)

    def company_of(number: int) -> FortnoxCompany:
        company = world.companies.get(number)
        if company is None:
            raise LookupError(f"no company {number}")
        return company

    @app.errorhandler(ApiError)
    def refused(error: ApiError) -> Response:
        return answer({"error": error.message, "code": error.code}, 409)

    @app.errorhandler(BooksBroken)
    def broken(error: BooksBroken) -> Response:
        return answer({"ok": False, "error": str(error)}, 409)

    @app.get("/control/companies")
    def companies() -> Response:
        with world.lock:
            return answer([_company(world, company) for company in world.companies.values()])

    @app.post("/control/companies")
    def add_company() -> Response:
        with world.lock:
            company = world.add_company(**request.get_json())
            return answer(_company(world, company), 201)

    @app.get("/control/companies/<int:number>/<what>")
    def look(number: int, what: str) -> Response:
        with world.lock:
            company = company_of(number)
            match what:
                case "ledger" | "vouchers":
                    return answer([_voucher(voucher) for voucher in company.ledger])
                case "trial-balance":
                    return answer({str(n): str(amount) for n, amount in company.trial_balance().items()})
                case "invoices":
                    return answer([_invoice(invoice) for invoice in company.invoices.values()])
                case "payments":
                    return answer([_payment(payment) for payment in company.payments.values()])
                case "customers":
                    shown = [{"CustomerNumber": c.number, **c.values} for c in company.customers.values()]
                    return answer(shown)
                case "mails":
                    return answer([{"invoice": invoice, "to": to} for invoice, to in company.mails])
                case "files":
                    shown = [
                        {"id": f.id, "archive_id": f.archive_id, "name": f.name, "size": len(f.content)}
                        for f in company.files.values()
                    ]
                    return answer(shown)
                case "check":
                    company.check()
                    return answer({"ok": True})
        raise LookupError(f"nothing called {what}")

    @app.post("/control/companies/<int:number>/do/<action>")
    def act(number: int, action: str) -> Response:
        if action not in ACTIONS:
            raise LookupError(f"no action {action}")
        values = request.get_json(silent=True) or {}
        for name in _DATES & values.keys():
            values[name] = None if values[name] is None else date.fromisoformat(values[name])
        result = getattr(company_of(number), action)(**values)
        with world.lock:
            match result:
                case Invoice():
                    return answer(_invoice(result))
                case Payment():
                    return answer(_payment(result))
                case Voucher():
                    return answer(_voucher(result))
                case int():
                    return answer({"id": result})
            return answer({"ok": True})

    @app.post("/control/companies/<int:number>/settings")
    def change_settings(number: int) -> Response:
        with world.lock:
            return answer(change(company_of(number).settings, request.get_json()))

    @app.post("/control/companies/<int:number>/consent")
    def consent(number: int) -> Response:
        company_of(number)
        return answer({"code": world.give_consent(number, **(request.get_json(silent=True) or {}))})

    @app.get("/control/rates/<currency>/<on>")
    def rate(currency: str, on: str) -> Response:
        value = world.rate(currency, date.fromisoformat(on))
        return answer({"rate": str(value), "unit": world.unit(currency)})

    return app


def _company(world: FortnoxWorld, company: FortnoxCompany) -> dict[str, Any]:
    consent = world.authority.consents.get(company.database_number)
    return {
        "database_number": company.database_number,
        "name": company.name,
        "organisation_number": company.organisation_number,
        "locked_until": company.locked_until,
        "consent": list(consent.scopes) if consent is not None else None,
        "invoices": len(company.invoices),
        "payments": len(company.payments),
        "vouchers": len(company.ledger),
    }


def _voucher(voucher: Voucher) -> dict[str, Any]:
    return {
        "series": voucher.series,
        "number": voucher.number,
        "year_id": voucher.year_id,
        "date": voucher.date,
        "description": voucher.description,
        "reference_type": voucher.reference_type,
        "reference_number": voucher.reference_number,
        "by_person": voucher.by_person,
        "rows": [
            {
                "account": row.account,
                "debit": row.debit,
                "credit": row.credit,
                "text": row.text,
                "cost_center": row.cost_center,
                "project": row.project,
            }
            for row in voucher.rows
        ],
    }


def _invoice(invoice: Invoice) -> dict[str, Any]:
    return {
        "number": invoice.number,
        "customer_number": invoice.customer_number,
        "invoice_date": invoice.invoice_date,
        "due_date": invoice.due_date,
        "currency": invoice.currency,
        "rate": invoice.rate,
        "unit": invoice.unit,
        "total": invoice.total,
        "total_vat": invoice.total_vat,
        "balance": invoice.balance,
        "booked": invoice.booked,
        "cancelled": invoice.cancelled,
        "sent": invoice.sent,
        "credit": invoice.credit,
        "credit_reference": invoice.credit_reference,
        "external_reference_1": invoice.text("ExternalInvoiceReference1"),
        "external_reference_2": invoice.text("ExternalInvoiceReference2"),
        "your_order_number": invoice.text("YourOrderNumber"),
        "your_reference": invoice.text("YourReference"),
        "ocr": invoice.text("OCR"),
        "voucher": invoice.voucher,
        "final_pay_date": invoice.final_pay_date,
        "by_person": invoice.by_person,
        "rows": [
            {
                "account": row.account,
                "description": row.description,
                "quantity": row.quantity,
                "price": row.price,
                "vat": row.vat,
                "total": row.total,
            }
            for row in invoice.rows
        ],
    }


def _payment(payment: Payment) -> dict[str, Any]:
    return {
        "number": payment.number,
        "invoice_number": payment.invoice_number,
        "amount": payment.amount,
        "amount_currency": payment.amount_currency,
        "currency": payment.currency,
        "rate": payment.rate,
        "date": payment.date,
        "account": payment.account,
        "booked": payment.booked,
        "voucher": payment.voucher,
        "write_offs": [{"account": w.account, "amount": w.amount} for w in payment.write_offs],
        "by_person": payment.by_person,
    }
