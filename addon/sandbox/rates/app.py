"""What the banks answer, on one address: each under the paths of its own site."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, timedelta
from typing import Any
from xml.sax.saxutils import quoteattr

from flask import Flask, Response, request

from addon.sandbox.rates.world import FIRST_DAY, RatesWorld, Trouble
from addon.sandbox.serving import SandboxApp

_LONGEST_QUESTION = timedelta(days=365)


def make_rates_app(world: RatesWorld) -> Flask:
    """The three banks as one WSGI app, and `/control/rates` to make trouble."""
    app = SandboxApp(__name__)

    @app.get("/swea/v1/Observations/ByGroup/130/<first>/<last>")
    def observations(first: str, last: str) -> Response:
        struck = _struck(world, "riksbank")
        if struck is not None:
            return struck
        start, end = date.fromisoformat(first), date.fromisoformat(last)
        if end < start or end - start > _LONGEST_QUESTION:
            return _json({"error": {"code": "BadRequest", "message": "The period is one year at most"}}, 400)
        rows = [
            {"seriesId": f"SEK{code}PMI", "date": day.isoformat(), "value": world.price("riksbank", code, "SEK", day)}
            for code in world.currencies("riksbank", "SEK")
            for day in world.days("riksbank", start, end)
        ]
        if not rows:
            return Response(status=204)
        rows.append({"seriesId": "SEKETT", "date": start.isoformat(), "value": 1})
        return _json(rows)

    @app.get("/v1/tableinfo/DNVALD")
    def table() -> Response:
        struck = _struck(world, "nationalbank")
        if struck is not None:
            return struck
        codes = [*world.currencies("nationalbank", "DKK"), "XDR", "ITL"]
        return _json(
            {
                "id": "DNVALD",
                "text": "Daily exchange rates",
                "variables": [
                    {"id": "VALUTA", "values": [{"id": code, "text": code} for code in codes]},
                    {"id": "KURTYP", "values": [{"id": "KBH", "text": "DKK per 100 units of foreign currency"}]},
                    {
                        "id": "Tid",
                        "time": True,
                        "values": [{"id": code, "text": code} for code in _banking_days(world)],
                    },
                ],
            }
        )

    @app.post("/v1/data")
    def data() -> Response:
        struck = _struck(world, "nationalbank")
        if struck is not None:
            return struck
        asked = request.get_json()
        chosen = {str(one["code"]): [str(value) for value in one["values"]] for one in asked["variables"]}
        known = set(_banking_days(world))
        if asked["table"] != "DNVALD" or asked["format"] != "JSONSTAT" or not set(chosen["Tid"]) <= known:
            return _json({"errorTypeCode": "EXTRACT-NOTFOUND", "message": "The requested data was not found."}, 400)
        days = [_day(code) for code in chosen["Tid"]]
        axes = {**chosen, "ContentsCode": ["DNVALD"]}
        order = ["VALUTA", "KURTYP", "ContentsCode", "Tid"]
        quoted = set(world.currencies("nationalbank", "DKK"))
        values: list[Any] = [
            world.price("nationalbank", code, "DKK", day, per=100) if code in quoted else None
            for code in chosen["VALUTA"]
            for day in days
        ]
        dimension: dict[str, Any] = {
            name: {"label": name, "category": {"index": {code: place for place, code in enumerate(axes[name])}}}
            for name in order
        }
        dimension |= {"id": order, "size": [len(axes[name]) for name in order]}
        return _json({"dataset": {"dimension": dimension, "value": values, "source": "Danmarks Nationalbank"}})

    @app.get("/stats/eurofxref/eurofxref-hist-90d.xml")
    def ninety_days() -> Response:
        return _reference_rates(world, world.now().astimezone(UTC).date() - timedelta(days=90))

    @app.get("/stats/eurofxref/eurofxref-hist.xml")
    def history() -> Response:
        return _reference_rates(world, FIRST_DAY)

    @app.post("/control/rates/<bank>/trouble")
    def trouble(bank: str) -> Response:
        """`{"kind", "times", "retry_after_s"}`; an empty object ends it."""
        asked = request.get_json()
        world.banks[bank].trouble = Trouble(**asked) if asked else None
        return _json({"asked": world.asked[bank]})

    return app


def _struck(world: RatesWorld, bank: str) -> Response | None:
    trouble = world.question(bank)
    if trouble is None:
        return None
    match trouble.kind:
        case "error_500":
            return Response("Internal Server Error", 500)
        case "rate_limited":
            after = {"Retry-After": str(trouble.retry_after_s)} if trouble.retry_after_s else {}
            return Response(json.dumps({"statusCode": 429, "message": "Rate limit is exceeded."}), 429, after)
        case "html":
            return Response("<html><body>We are working on it</body></html>", 200, content_type="text/html")
        case "gone":
            return Response("Not Found", 404)
        case _:
            raise ValueError(f"no such trouble: {trouble.kind}")


def _banking_days(world: RatesWorld) -> list[str]:
    days = world.days("nationalbank", FIRST_DAY, world.now().astimezone(UTC).date())
    return [day.strftime("%YM%mD%d") for day in days]


def _day(code: str) -> date:
    return date(int(code[:4]), int(code[5:7]), int(code[8:10]))


def _reference_rates(world: RatesWorld, first: date) -> Response:
    struck = _struck(world, "ecb")
    if struck is not None:
        return struck
    days = reversed(world.days("ecb", first, world.now().astimezone(UTC).date()))
    cubes = "".join(f"<Cube time={quoteattr(day.isoformat())}>{_cube(world, day)}</Cube>" for day in days)
    envelope = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" '
        'xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">'
        "<gesmes:subject>Reference rates</gesmes:subject>"
        "<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>"
        f"<Cube>{cubes}</Cube></gesmes:Envelope>"
    )
    return Response(envelope, content_type="text/xml")


def _cube(world: RatesWorld, day: date) -> str:
    rows = ((code, world.price("ecb", "EUR", code, day, places=4)) for code in world.currencies("ecb", "EUR"))
    return "".join(f"<Cube currency={quoteattr(code)} rate={quoteattr(f'{rate:f}')}/>" for code, rate in rows)


def _json(value: Any, status: int = 200) -> Response:
    """Numbers are written as they are, never through a float."""
    return Response(_written(value), status, content_type="application/json; charset=utf-8")


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(name))}:{_written(one)}" for name, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(_written(one) for one in value) + "]"
    return json.dumps(value) if value is None or isinstance(value, str | bool | int) else f"{value:f}"
