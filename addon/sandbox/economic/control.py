"""The handle by which a test in another process reads and turns the simulated e-conomic: JSON under /control.

It is another app on another port, and nothing the tested program may know. Amounts are decimal strings.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import Flask, Response, request

from addon.sandbox.economic.agreement import EconomicAgreement, NotPossible
from addon.sandbox.economic.books import BooksBroken, Entry
from addon.sandbox.economic.faults import Fault
from addon.sandbox.economic.journals import BookingRefused, DraftEntry
from addon.sandbox.economic.sales import Customer, Invoice
from addon.sandbox.economic.world import EconomicWorld
from addon.sandbox.serving import SandboxApp

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

    def answer(body: Any, status: int = 200) -> Response:
        text = json.dumps(_shown(body), ensure_ascii=False)
        return Response(text, status, content_type="application/json")

    def agreement_of(number: int) -> EconomicAgreement:
        agreement = world.agreements.get(number)
        if agreement is None:
            raise LookupError(f"no agreement {number}")
        return agreement

    @app.errorhandler(LookupError)
    def not_there(error: LookupError) -> Response:
        return answer({"error": str(error)}, 404)

    @app.errorhandler(TypeError)
    @app.errorhandler(ValueError)
    def bad_request(error: Exception) -> Response:
        return answer({"error": str(error)}, 400)

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

    @app.get("/control/switches")
    def switches() -> Response:
        return answer(asdict(world.switches))

    @app.post("/control/switches")
    def change_switches() -> Response:
        known = {field.name for field in fields(world.switches)}
        for name, value in request.get_json().items():
            if name not in known:
                raise ValueError(f"nothing called {name}")
            setattr(world.switches, name, value)
        return answer(asdict(world.switches))

    @app.get("/control/calls")
    def calls() -> Response:
        company = request.args.get("company", type=int)
        method, prefix = request.args.get("method"), request.args.get("path_prefix")
        return answer({"count": world.count_calls(company, method, prefix)})

    @app.delete("/control/calls")
    def forget_calls() -> Response:
        world.reset_calls()
        return answer({"ok": True})

    @app.get("/control/faults")
    def faults() -> Response:
        return answer([_fault(fault) for fault in world.faults.all()])

    @app.post("/control/faults")
    def add_fault() -> Response:
        values = request.get_json()
        if values.get("kind") in ("call", "call_after"):
            raise ValueError("a fault that calls something can only be set in process")
        return answer(_fault(world.faults.add(Fault(**values))), 201)

    @app.delete("/control/faults")
    def clear_faults() -> Response:
        world.faults.clear()
        return answer({"ok": True})

    @app.post("/control/zombies")
    def zombies() -> Response:
        return answer({"statuses": world.run_zombies()})

    @app.get("/control/clock")
    def clock() -> Response:
        return answer({"now": world.clock.now()})

    @app.post("/control/clock")
    def turn_clock() -> Response:
        values = request.get_json()
        if "set" in values:
            world.clock.set(datetime.fromisoformat(values["set"]))
        if "advance_s" in values:
            world.clock.advance(timedelta(seconds=values["advance_s"]))
        if values.get("resume"):
            world.clock.resume()
        return answer({"now": world.clock.now()})

    return app


def _shown(value: Any) -> Any:
    """Make a value fit for JSON."""
    match value:
        case datetime() | date():
            return value.isoformat()
        case dict():
            return {str(key): _shown(item) for key, item in value.items()}
        case list() | tuple():
            return [_shown(item) for item in value]
        case Decimal() | float():
            return str(value)
    return value


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


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "kind": fault.kind,
        "match": fault.match,
        "times": fault.times,
        "after": fault.after,
        "seconds": fault.seconds,
        "company": fault.company,
        "struck": fault.struck,
    }
