"""The handle for tests in another process."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from addon.sandbox.fortnox import FortnoxCompany, FortnoxWorld
from addon.sandbox.fortnox.control import ACTIONS
from tests.sandbox.fortnox.conftest import Caller

Control = Callable[..., Any]


@pytest.fixture
def control(world: FortnoxWorld) -> Control:
    browser: FlaskClient = world.control_app().test_client()

    def ask(method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = browser.open(f"/control/{path}", method=method, json=body)
        assert answer.status_code == status, answer.text
        return answer.get_json()

    return ask


def test_companies_and_their_books(control: Control, company: FortnoxCompany, call: Caller) -> None:
    number = company.database_number
    base = f"companies/{number}"
    made = control("POST", f"{base}/do/person_creates_invoice", {"total": "100.10", "your_order_number": "7"})
    assert (made["total"], made["your_order_number"]) == ("100.10", "7")
    paid = control("POST", f"{base}/do/person_pays_invoice", {"number": 1, "account": 1930})
    assert paid["booked"] is True
    control("POST", f"{base}/do/person_posts_voucher", {"lines": [[1930, "-5"], [6570, "5"]], "on": "2026-03-01"})
    balances = {"1930": "95.10", "2611": "-20.02", "3001": "-80.08", "6570": "5.00"}
    assert control("GET", f"{base}/trial-balance") == balances
    ledger = control("GET", f"{base}/ledger")
    assert [(v["series"], v["number"]) for v in ledger] == [("B", 1), ("C", 1), ("A", 1)]
    assert ledger[0]["rows"][0]["debit"] == "100.10"
    assert len(control("GET", f"{base}/invoices")) == len(control("GET", f"{base}/payments")) == 1
    assert control("GET", f"{base}/customers")[0]["Name"] == "Kund i butiken"
    assert control("GET", f"{base}/mails") == []
    assert control("GET", f"{base}/files") == []
    assert control("GET", f"{base}/check") == {"ok": True}
    listed = control("GET", "companies")
    assert [(c["database_number"], c["vouchers"]) for c in listed] == [(number, 3)]
    added = control("POST", "companies", {"name": "Nya AB", "organisation_number": "556000-1111"}, 201)
    assert added["database_number"] != number
    control("POST", f"{base}/do/person_posts_voucher", {"lines": [[1510, "-5"], [1930, "5"]]})
    control("GET", f"{base}/check", status=409)


def test_deeds_settings_switches(control: Control, world: FortnoxWorld, company: FortnoxCompany, call: Caller) -> None:
    base = f"companies/{company.database_number}"
    control("POST", f"{base}/do/lock_period", {"until": "2026-03-31"})
    assert call.voucher((1930, "1"), (1686, "-1")).code == 2000401
    control("POST", f"{base}/do/lock_period", {"until": None})
    refused = control("POST", f"{base}/do/person_creates_invoice", {"total": 1, "vat": 19}, 409)
    assert refused["code"] > 0
    control("POST", f"{base}/do/check", {}, 404)
    control("POST", f"{base}/do/person_pays_invoice", {"wrong": 1}, 400)
    control("GET", "companies/1/ledger", status=404)
    assert control("POST", f"{base}/settings", {"rounds_to_whole_krona": True})["rounds_to_whole_krona"] is True
    assert company.settings.rounds_to_whole_krona
    control("POST", "switches", {"overpayment": "allowed", "quoted_per_hundred": ["JPY"]})
    assert world.switches.quoted_per_hundred == {"JPY"}
    assert control("GET", "switches")["overpayment"] == "allowed"
    control("POST", "switches", {"colour": 1}, 400)
    assert control("GET", "rates/JPY/2026-03-04")["unit"] == 100
    assert control("POST", f"{base}/consent", {})["code"]
    assert control("GET", "companies")[0]["consent"] == list(world.scopes)
    assert control("POST", f"{base}/do/person_opens_year", {"from_date": "2027-01-01", "to_date": "2027-12-31"}) == {
        "id": 3
    }


def test_faults_calls_clock(control: Control, world: FortnoxWorld, company: FortnoxCompany, call: Caller) -> None:
    control("POST", "faults", {"kind": "error_500_before", "match": "GET /3/me", "times": 1}, 201)
    assert [call.get("me").status for _ in range(2)] == [500, 200]
    assert control("GET", "faults")[0]["struck"] == 1
    control("POST", "faults", {"kind": "call"}, 400)
    control("POST", "faults", {"kind": "nonsense"}, 400)
    control("DELETE", "faults")
    assert control("GET", "faults") == []
    assert control("GET", "calls?path_prefix=/3/me")["count"] == 2
    assert control("GET", f"calls?list=1&company={company.database_number}&method=GET")["calls"][0]["status"] == 500
    control("DELETE", "calls")
    assert control("GET", "calls") == {"count": 0}
    assert control("POST", "clock", {"advance_s": 60})["now"] == "2026-03-04T11:01:00+00:00"
    assert control("POST", "clock", {"set": "2026-04-01T08:00:00+02:00"})["now"] == "2026-04-01T06:00:00+00:00"
    control("POST", "clock", {"resume": True})
    assert control("GET", "zombies") == {"waiting": 0}
    assert control("POST", "zombies") == {"statuses": []}


def test_every_action_exists(company: FortnoxCompany) -> None:
    assert all(callable(getattr(company, name)) for name in ACTIONS)
