"""VIES as its clients see it: numbers that are in force, member states that are away, time-outs.

`POST /rest-api/check-vat-number` takes `{"countryCode", "vatNumber", "requesterMemberStateCode", "requesterNumber"}`
and answers with status 200 in every case; an error is `{"actionSucceed": false, "errorWrappers": [{"error": …}]}`.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, request

from addon.sandbox.clock import Clock
from addon.sandbox.serving import SandboxApp

_STATES = frozenset("AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK XI".split())
_NUMBER = re.compile(r"[0-9A-Z+*]{2,12}")
_TELLS_NO_NAMES = frozenset({"DE", "ES"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as it arrived."""

    number: str
    requester: str


@dataclass(slots=True)
class ViesWorld:
    """The register. Everything in it may be changed while it is served."""

    clock: Clock
    valid: dict[str, str] = field(
        default_factory=lambda: {
            "DE136695976": "Bergmann GmbH",
            "NL004495445B01": "de Vries B.V.",
            "FI20774740": "Virtanen Oy",
            "FR83404833048": "Lefèvre SA",
            "EL094259216": "Papadakis AE",
        }
    )
    """Names by number; every other number is not valid."""
    away: set[str] = field(default_factory=set)
    """Member states that do not answer."""
    trouble: str = ""
    """`down` (an error for everyone), `timeout` (their word for it), `hangs_up`, `html`, `busy` (429); empty: none."""
    asked: list[Asked] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def app(self) -> Flask:
        """The interface, mounted at /rest-api."""
        app = SandboxApp(__name__)

        @app.post("/rest-api/check-vat-number")
        def check() -> Response:
            body = request.get_json(silent=True)
            return self.answer(body if isinstance(body, dict) else {})

        @app.get("/rest-api/check-status")
        def status() -> Response:
            states = [
                {"countryCode": state, "availability": "Unavailable" if state in self.away else "Available"}
                for state in sorted(_STATES)
            ]
            return _json({"vow": {"available": not self.trouble}, "countries": states})

        return app

    def control_app(self) -> Flask:
        """The handle of a test in another process: `GET /` tells, `POST /` changes `valid`, `away` and `trouble`."""
        app = SandboxApp(__name__)

        @app.route("/", methods=["GET", "POST"])
        def state() -> Response:
            body = request.get_json(silent=True) if request.method == "POST" else {}
            wanted: dict[str, Any] = body if isinstance(body, dict) else {}
            self.valid |= {str(number): str(name) for number, name in dict(wanted.get("valid", {})).items()}
            if "away" in wanted:
                self.away = {str(state) for state in wanted["away"]}
            if "trouble" in wanted:
                self.trouble = str(wanted["trouble"])
            return _json(
                {"valid": self.valid, "away": sorted(self.away), "trouble": self.trouble, "asked": len(self.asked)}
            )

        return app

    def answer(self, body: dict[str, Any]) -> Response:
        """What VIES says to one question."""
        country, number = str(body.get("countryCode", "")), str(body.get("vatNumber", ""))
        requester = f"{body.get('requesterMemberStateCode', '')}{body.get('requesterNumber', '')}"
        self.asked.append(Asked(f"{country}{number}", requester))
        match self.trouble:
            case "hangs_up":
                raise ConnectionResetError
            case "html":
                return Response("<html><body>Service unavailable</body></html>", content_type="text/html")
            case "busy":
                return Response("", 429, {"Retry-After": "30"})
            case "down":
                return _error("SERVICE_UNAVAILABLE")
            case "timeout":
                return _error("TIMEOUT")
        if country not in _STATES or not _NUMBER.fullmatch(number):
            return _error("INVALID_INPUT")
        if requester and (requester[:2] not in _STATES or not _NUMBER.fullmatch(requester[2:])):
            return _error("INVALID_REQUESTER_INFO")
        if country in self.away:
            return _error("MS_UNAVAILABLE")
        name = self.valid.get(f"{country}{number}")
        told = name if name is not None and country not in _TELLS_NO_NAMES else "---"
        identifier = f"WAPIAAAA{next(self._numbers):08d}" if requester and name is not None else ""
        return _json(
            {
                "countryCode": country,
                "vatNumber": number,
                "requestDate": self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
                "valid": name is not None,
                "requestIdentifier": identifier,
                "name": told,
                "address": "---" if told == "---" else f"1 Main Street\n{country}-1000",
                "traderName": "---",
                "traderStreet": "---",
                "traderPostalCode": "---",
                "traderCity": "---",
                "traderCompanyType": "---",
                "traderNameMatch": "NOT_PROCESSED",
                "traderStreetMatch": "NOT_PROCESSED",
                "traderPostalCodeMatch": "NOT_PROCESSED",
                "traderCityMatch": "NOT_PROCESSED",
                "traderCompanyTypeMatch": "NOT_PROCESSED",
            }
        )


def _error(word: str) -> Response:
    return _json({"actionSucceed": False, "errorWrappers": [{"error": word}]})


def _json(body: object) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), content_type="application/json")
