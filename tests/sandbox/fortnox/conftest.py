"""One simulated Fortnox with one company, and a caller of its interface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from addon.sandbox.clock import Clock
from addon.sandbox.fortnox import FortnoxCompany, FortnoxWorld

NOON = datetime(2026, 3, 4, 11, 0, tzinfo=UTC)
CALLBACK = "http://kvitt.test/oauth/fortnox/callback"


@dataclass(frozen=True)
class Reply:
    """What came back; `body` is None where there is none."""

    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> int:
        """The refusal's code, whatever the case of its keys."""
        information = {name.lower(): value for name, value in self.body["ErrorInformation"].items()}
        return int(information["code"])


@dataclass
class Caller:
    """Calls the interface as an app would, with a token of its own."""

    browser: FlaskClient
    token: str

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
        answer = self.browser.open(f"/3/{path}", method=method, headers=headers, **more)
        is_json = answer.content_type == "application/json" and answer.data
        return Reply(answer.status_code, answer.get_json() if is_json else answer.data or None, answer.headers)

    def get(self, path: str, **more: Any) -> Reply:
        return self("GET", path, **more)

    def post(self, path: str, body: Any, **more: Any) -> Reply:
        return self("POST", path, body, **more)

    def put(self, path: str, body: Any = None, **more: Any) -> Reply:
        return self("PUT", path, body, **more)

    def delete(self, path: str) -> Reply:
        return self("DELETE", path)

    # --- what tests do over and over -------------------------------------------------------------------------

    def customer(self, name: str = "Anna Andersson", **values: Any) -> str:
        answer = self.post("customers", {"Customer": {"Name": name, **values}})
        assert answer.status == 201, answer
        return str(answer.body["Customer"]["CustomerNumber"])

    def invoice(self, *rows: dict[str, Any], customer: str | None = None, booked: bool = True, **values: Any) -> Any:
        """An invoice of the rows given, as (description) rows of quantity 1 unless they say otherwise."""
        number = customer or self.customer()
        full = [{"Description": "Vara", "DeliveredQuantity": 1, **row} for row in rows]
        payload = {"CustomerNumber": number, "InvoiceRows": full, **values}
        answer = self.post("invoices", {"Invoice": payload})
        assert answer.status == 201, answer
        if booked:
            answer = self.put(f"invoices/{answer.body['Invoice']['DocumentNumber']}/bookkeep")
            assert answer.status == 200, answer
        return answer.body["Invoice"]

    def payment(self, invoice: Any, booked: bool = True, **values: Any) -> Any:
        payload = {"InvoiceNumber": int(invoice["DocumentNumber"]), "ModeOfPaymentAccount": 1686, **values}
        answer = self.post("invoicepayments", {"InvoicePayment": payload})
        assert answer.status == 201, answer
        if booked:
            answer = self.put(f"invoicepayments/{answer.body['InvoicePayment']['Number']}/bookkeep", {})
            assert answer.status == 200, answer
        return answer.body["InvoicePayment"]

    def voucher(self, *lines: tuple[int, str], series: str = "A", date: str = "2026-03-02", year: int = 2) -> Reply:
        rows = []
        for account, text in lines:
            amount = Decimal(text)
            rows.append({"Account": account, "Debit": str(max(amount, 0)), "Credit": str(max(-amount, 0))})
        payload = {"Description": "Utbetalning po_1", "TransactionDate": date, "VoucherSeries": series}
        return self.post(f"vouchers?financialyear={year}", {"Voucher": {**payload, "VoucherRows": rows}})


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def world(clock: Clock) -> FortnoxWorld:
    """No call limit: tests that want one set it."""
    return FortnoxWorld(clock, client_id="app-id", client_secret="app-secret", redirect_uris=[CALLBACK], call_limit=0)


@pytest.fixture
def company(world: FortnoxWorld) -> FortnoxCompany:
    """Invoice method, years 2025 (id 1) and 2026 (id 2), some currencies."""
    return world.add_company("Fjällbutiken AB", "556677-8899", currencies=("EUR", "JPY", "USD", "KWD"))


@pytest.fixture
def call(world: FortnoxWorld, company: FortnoxCompany) -> Caller:
    """The app, calling for the company."""
    return Caller(world.app().test_client(), world.access_token(company.database_number))


@pytest.fixture
def entries(company: FortnoxCompany) -> Callable[..., list[str]]:
    """The rows of a voucher as a bookkeeper reads them: "1510 99.99 D"."""

    def read(key: Sequence[Any]) -> list[str]:
        series, number, year = key
        rows = company.vouchers[series, number, year].rows
        return [f"{row.account} {abs(row.amount)} {'D' if row.amount > 0 else 'C'}" for row in rows]

    return read
