"""The handle by which a test in another process reads and turns the simulated e-conomic: JSON under /control.

It is another app on another port, and nothing the tested program may know. Amounts are decimal strings.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Flask, Response, request

from addon.sandbox.economic.agreement import EconomicAgreement, NotPossible
from addon.sandbox.economic.books import BooksBroken, Entry
from addon.sandbox.economic.faults import Fault
from addon.sandbox.economic.journals import BookingRefused, DraftEntry
from addon.sandbox.economic.sales import Customer, Invoice
from addon.sandbox.economic.world import EconomicWorld
from addon.sandbox.serving import SandboxApp
from addon.sandbox.shared.control import answer, steer

ACTIONS = frozenset(
    {
        "add_account",
        "bar_account",
        "bar_period",
        "bar_product",
        "block_direct_entries",
        "close_period",
        "close_year",
        "demand_department",
        "open_year",
        "person_adds_currency",
        "person_books_draft",
        "person_books_entries",
        "person_creates_customer",
        "person_creates_invoice",
        "person_creates_product",
        "person_deletes_draft",
        "person_deletes_entry",
        "person_edits_draft",
        "person_pays_invoice",
        "person_posts_voucher",
        "remove_account",
        "revoke_grant",
        "set_language",
    }
)
"""Methods of EconomicAgreement that may be called from outside."""
_DATES = frozenset({"on", "first", "last", "date"})


def build_control_app(world: EconomicWorld) -> Flask:
    """The app; serve it on a port of its own."""
    app = SandboxApp("addon.sandbox.economic.control", static_folder=None, template_folder=None)

    steer(app, world, Fault)

    def agreement_of(number: int) -> EconomicAgreement:
        agreement = world.agreements.get(number)
        if agreement is None:
            raise LookupError(f"no agreement {number}")
        return agreement

    @app.errorhandler(NotPossible)
    @app.errorhandler(BookingRefused)
    @app.errorhandler(BooksBroken)
    def refused(error: Exception) -> Response:
        return answer({"ok": False, "error": str(error)}, 409)

    @app.get("/control/agreements")
    def agreements() -> Response:
        with world.lock:
            return answer([_agreement(world, each) for each in world.agreements.values()])

    @app.post("/control/agreements")
    def add_agreement() -> Response:
        with world.lock:
            return answer(_agreement(world, world.add_agreement(**request.get_json())), 201)

    @app.get("/control/agreements/<int:number>/<what>")
    def look(number: int, what: str) -> Response:
        with world.lock:
            return answer(_look(agreement_of(number), what))

    @app.post("/control/agreements/<int:number>/do/<action>")
    def act(number: int, action: str) -> Response:
        if action not in ACTIONS:
            raise LookupError(f"no action {action}")
        values = request.get_json(silent=True) or {}
        for name in _DATES & values.keys():
            values[name] = None if values[name] is None else date.fromisoformat(values[name])
        result = getattr(agreement_of(number), action)(**values)
        with world.lock:
            return answer(_result(result))

    @app.post("/control/agreements/<int:number>/grant")
    def grant(number: int) -> Response:
        agreement_of(number)
        return answer({"token": world.grant(number, **(request.get_json(silent=True) or {}))})

    return app


def _look(agreement: EconomicAgreement, what: str) -> Any:
    match what:
        case "entries" | "ledger":
            return [_entry(entry) for entry in agreement.entries]
        case "trial-balance":
            return {str(number): amount for number, amount in agreement.trial_balance().items()}
        case "invoices":
            return [_invoice(invoice) for invoice in agreement.booked.values()]
        case "drafts":
            return [_invoice(invoice) for invoice in agreement.drafts.values()]
        case "draft-entries":
            return [_draft(entry) for entry in agreement.draft_entries.values()]
        case "customers":
            return [{"number": customer.number, **customer.values} for customer in agreement.customers.values()]
        case "files":
            return [{"year": f.year, "voucher": f.voucher, "size": len(f.content)} for f in agreement.files.values()]
        case "check":
            agreement.check()
            return {"ok": True}
    raise LookupError(f"nothing called {what}")


def _result(result: Any) -> Any:
    match result:
        case Invoice():
            return _invoice(result)
        case Entry():
            return _entry(result)
        case Customer():
            return {"number": result.number, **result.values}
        case None:
            return {"ok": True}
    return {"result": result}


def _agreement(world: EconomicWorld, agreement: EconomicAgreement) -> dict[str, Any]:
    return {
        "number": agreement.number,
        "name": agreement.name,
        "cvr": agreement.cvr,
        "connected": world.is_connected(agreement.number),
        "invoices": len(agreement.booked),
        "drafts": len(agreement.drafts),
        "entries": len(agreement.entries),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "account": entry.account,
        "amount": entry.amount,
        "currency": entry.currency,
        "base": entry.base,
        "date": entry.date,
        "text": entry.text,
        "type": entry.type,
        "voucher": entry.voucher,
        "year": entry.year,
        "journal": entry.journal,
        "customer": entry.customer,
        "invoice": entry.invoice,
        "remainder": entry.remainder,
        "by_person": entry.by_person,
    }


def _invoice(invoice: Invoice) -> dict[str, Any]:
    return {
        "number": invoice.number,
        "customer": invoice.customer,
        "date": invoice.date,
        "currency": invoice.currency,
        "rate": invoice.rate,
        "net": invoice.net,
        "vat": invoice.vat,
        "gross": invoice.gross,
        "remainder": invoice.remainder,
        "booked": invoice.booked,
        "references": invoice.references,
        "notes": invoice.notes,
        "by_person": invoice.by_person,
    }


def _draft(entry: DraftEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "journal": entry.journal,
        "voucher": entry.voucher,
        "type": entry.type,
        "date": entry.date,
        "account": entry.account,
        "amount": entry.amount,
        "currency": entry.currency,
        "text": entry.text,
        "customer": entry.customer,
        "invoice": entry.invoice,
        "by_person": entry.by_person,
    }
