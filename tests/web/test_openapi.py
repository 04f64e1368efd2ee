"""Made-up requests after docs/openapi.json, sound and unsound ones: nothing comes back that is not described."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from addon.ports import registry
from addon.web.access import Audience
from tests.web import walk
from tests.web.conftest import House
from tests.web.factory import NOW, Filled
from tests.web.test_hooks import SECRET, runs_of

DESCRIPTION = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
EXAMPLES = 10


def described() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    return document


def spelled_out(rule: str) -> list[str]:
    """An address of any company's server as one for each company there is."""
    if rule == "/webhooks/<company>":
        systems = [line.name for line in registry.ACCOUNTING if not registry.accounting(line.name).nudges_only]
        return [f"/webhooks/{name}" for name in (*(line.name for line in registry.PAYMENTS), *systems)]
    if rule == "/webhooks/<system>/<word>":
        systems = [line.name for line in registry.ACCOUNTING if registry.accounting(line.name).nudges_only]
        return [f"/webhooks/{name}/{{word}}" for name in systems]
    return [rule.replace("<", "{").replace(">", "}")]


def test_what_machines_may_ask_is_described(house: House) -> None:
    asked = {
        (method, path)
        for rule in walk.rules(house.app)
        for method in walk.methods(rule)
        for path in spelled_out(rule.rule)
        if rule.rule.startswith("/webhooks/") or rule.rule in ("/healthz", "/readyz", "/metrics")
    }
    told = {(method.upper(), path) for path, item in described()["paths"].items() for method in item}
    assert asked == told
    assert all(rule.rule.startswith("/webhooks/") for rule in walk.rules(house.app, Audience.WEBHOOK))


def signed(case: Any) -> dict[str, str]:
    """Stripe's own signature over what is going to be sent, so that half of the cases come past the door."""
    body = b"" if case.body is None or not isinstance(case.body, dict | list | str) else json.dumps(case.body).encode()
    at = int(NOW.timestamp())
    mark = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={at},v1={mark}"}


@pytest.mark.parametrize(
    "operation", ["GET /healthz", "GET /readyz", "POST /webhooks/stripe", "POST /webhooks/fortnox"]
)
def test_made_up_requests_meet_what_is_described(house: House, filled: Filled, operation: str) -> None:
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

    method, path = operation.split(" ")
    document = described()
    document["paths"] = {path: document["paths"][path]}
    schema = schemathesis.openapi.from_dict(document)
    schema.app = house.app
    house.app.config["PROPAGATE_EXCEPTIONS"] = False
    (found,) = (result.ok() for result in schema.get_all_operations())
    assert (found.method.upper(), found.path) == (method, path)
    before = runs_of(house, filled.company), runs_of(house, filled.other)
    codes: set[int] = set()
    for mode in schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE:
        if mode is schemathesis.GenerationMode.NEGATIVE and method == "GET":
            continue  # nothing is given that could be wrong

        @seed(1)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @given(case=found.as_strategy(mode))
        def ask(case: Any) -> None:
            headers = signed(case) if path.endswith("stripe") and len(repr(case.body)) % 2 else {}
            answer = case.call(headers=headers or None)
            codes.add(answer.status_code)
            case.validate_response(
                answer, checks=[not_a_server_error, status_code_conformance, response_schema_conformance]
            )

        ask()
    assert codes <= {200, 204, 400, 413}, codes
    assert (204 in codes and 400 in codes) if method == "POST" else codes == {200}
    assert (runs_of(house, filled.company), runs_of(house, filled.other)) == before, "nobody real was named"
