"""What handles of simulated accounting systems have in common: switches, calls, faults, late requests, the clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from threading import RLock
from typing import Any, Protocol

from flask import Flask, Response, request

from addon.sandbox.clock import Clock
from addon.sandbox.shared.faults import Fault, Faults
from addon.sandbox.shared.late import Zombie


class Steered(Protocol):
    """A world that another process may steer."""

    clock: Clock
    lock: RLock
    faults: Faults
    zombies: list[Zombie]

    @property
    def switches(self) -> Any:
        """Its uncertain habits, a dataclass."""
        ...

    @property
    def calls(self) -> Sequence[Any]:
        """The requests that came in."""
        ...

    def count_calls(self, company: int | None = None, method: str | None = None, path_prefix: str | None = None) -> int:
        """How many requests came in."""
        ...

    def reset_calls(self) -> None:
        """Begin to count anew."""
        ...

    def run_zombies(self, *, only_due: bool = False) -> list[int]:
        """Carry out what was put off."""
        ...


def answer(body: Any, status: int = 200) -> Response:
    """Something as JSON: decimals as text, days and instants as ISO writes them."""
    return Response(json.dumps(_shown(body), ensure_ascii=False), status, content_type="application/json")


def _shown(value: Any) -> Any:
    """Make a value fit for JSON."""
    match value:
        case datetime() | date():
            return value.isoformat()
        case dict():
            return {str(key): _shown(item) for key, item in value.items()}
        case list() | tuple():
            return [_shown(item) for item in value]
        case set() | frozenset():
            return sorted(value)
        case Decimal() | float():
            return str(value)
    return value


def change(target: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Set attributes of a dataclass by name, sets and decimals made from lists and texts. Raises `ValueError`."""
    known = {field.name for field in fields(target)}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"nothing called {name}")
        old = getattr(target, name)
        if isinstance(old, set):
            setattr(target, name, set(value))
        elif isinstance(old, Decimal):
            setattr(target, name, Decimal(str(value)))
        else:
            setattr(target, name, value)
    return asdict(target)


def _fault(fault: Fault) -> dict[str, Any]:
    shown = ("kind", "match", "times", "after", "seconds", "company", "struck")
    return {name: getattr(fault, name) for name in shown}


def steer(app: Flask, world: Steered, make_fault: Callable[..., Fault]) -> None:
    """Register the handle's common part, and what it says where something is asked wrongly."""
    _tell_what_is_wrong(app)
    _turn_switches(app, world)
    _watch_calls(app, world)
    _set_faults(app, world, make_fault)
    _turn_clock(app, world)


def _tell_what_is_wrong(app: Flask) -> None:
    @app.errorhandler(LookupError)
    def not_there(error: LookupError) -> Response:
        return answer({"error": str(error)}, 404)

    @app.errorhandler(TypeError)
    @app.errorhandler(ValueError)
    def bad_request(error: Exception) -> Response:
        return answer({"error": str(error)}, 400)


def _turn_switches(app: Flask, world: Steered) -> None:
    @app.get("/control/switches")
    def switches() -> Response:
        return answer(asdict(world.switches))

    @app.post("/control/switches")
    def change_switches() -> Response:
        with world.lock:
            return answer(change(world.switches, request.get_json()))


def _watch_calls(app: Flask, world: Steered) -> None:
    @app.get("/control/calls")
    def calls() -> Response:
        company = request.args.get("company", type=int)
        method, prefix = request.args.get("method"), request.args.get("path_prefix")
        shown: dict[str, Any] = {"count": world.count_calls(company, method, prefix)}
        if request.args.get("list") == "1":
            shown["calls"] = [
                call._asdict()
                for call in list(world.calls)
                if (company is None or call.company == company)
                and (method is None or call.method == method)
                and (prefix is None or call.path.startswith(prefix))
            ]
        return answer(shown)

    @app.delete("/control/calls")
    def forget_calls() -> Response:
        world.reset_calls()
        return answer({"ok": True})


def _set_faults(app: Flask, world: Steered, make_fault: Callable[..., Fault]) -> None:
    @app.get("/control/faults")
    def faults() -> Response:
        return answer([_fault(fault) for fault in world.faults.all()])

    @app.post("/control/faults")
    def add_fault() -> Response:
        values = request.get_json()
        if values.get("kind") in ("call", "call_after"):
            raise ValueError("a fault that calls something can only be set in process")
        return answer(_fault(world.faults.add(make_fault(**values))), 201)

    @app.delete("/control/faults")
    def clear_faults() -> Response:
        world.faults.clear()
        return answer({"ok": True})

    @app.post("/control/zombies")
    def zombies() -> Response:
        return answer({"statuses": world.run_zombies()})

    @app.get("/control/zombies")
    def waiting_zombies() -> Response:
        return answer({"waiting": len(world.zombies)})


def _turn_clock(app: Flask, world: Steered) -> None:
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
