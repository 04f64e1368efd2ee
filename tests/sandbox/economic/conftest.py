"""One simulated e-conomic with one agreement, and a caller of its two hosts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from addon.sandbox.clock import Clock
from addon.sandbox.economic import EconomicAgreement, EconomicWorld

NOON = datetime(2026, 3, 4, 11, 0, tzinfo=UTC)
JOURNALS = "/apis/journalsapi/v15.0.0"
BOOKED = "/apis/bookedEntriesapi/v4.0.0"


@dataclass(frozen=True)
class Reply:
    """What came back; `body` is None where there is none."""

    status: int
    body: Any
    headers: Any

    @property
    def codes(self) -> list[str]:
        """The codes of everything that was wrong, in the order of the body."""
        found = []

        def walk(node: Any) -> None:
            if isinstance(node, dict):
                if "errorCode" in node and ("property" in node or "propertyName" in node):
                    found.append(node["errorCode"])
                for value in node.values():
                    walk(value)
            elif isinstance(node, list):
                for value in node:
                    walk(value)

        walk(self.body.get("errors"))
        return found


@dataclass
class Caller:
    """Calls both hosts as an app would, with a grant of its own."""

    browser: FlaskClient
    token: str
    secret: str = "app-secret"

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        headers = {
            "X-AppSecretToken": self.secret,
            "X-AgreementGrantToken": self.token,
            **more.pop("headers", {}),
        }
        if body is not None:
            more["json"] = body
        answer = self.browser.open(path, method=method, headers=headers, **more)
        is_json = "json" in (answer.content_type or "") and answer.data
        return Reply(answer.status_code, answer.get_json() if is_json else None, answer.headers)

    def get(self, path: str, **more: Any) -> Reply:
        return self("GET", path, **more)

    def post(self, path: str, body: Any, **more: Any) -> Reply:
        return self("POST", path, body, **more)

    def put(self, path: str, body: Any, **more: Any) -> Reply:
        return self("PUT", path, body, **more)

    def delete(self, path: str, **more: Any) -> Reply:
        return self("DELETE", path, **more)

    # --- what tests do over and over -------------------------------------------------------------------------

    def customer(self, name: str = "Anna Andersen", **values: Any) -> int:
        body = {
            "name": name,
            "currency": "DKK",
            "customerGroup": {"customerGroupNumber": 1},
            "vatZone": {"vatZoneNumber": 1},
            "paymentTerms": {"paymentTermsNumber": 3},
            **values,
        }
        answer = self.post("/rest/customers", body)
        assert answer.status == 201, answer
        return int(answer.body["customerNumber"])

    def product(self, number: str = "VARE", group: int = 1) -> str:
        body = {"productNumber": number, "name": "Varer", "productGroup": {"productGroupNumber": group}}
        assert self.post("/rest/products", body).status == 201
        return number

    def draft(self, buyer: int, *lines: tuple[str, str, str], zone: int = 1, **values: Any) -> Reply:
        """A draft of (product, quantity, price) lines, the numbers as they stand in JSON."""
        body = {
            "date": "2026-03-04",
            "currency": "DKK",
            "layout": {"layoutNumber": 20},
            "paymentTerms": {"paymentTermsNumber": 3},
            "customer": {"customerNumber": buyer},
            "recipient": {"name": "Anna Andersen", "vatZone": {"vatZoneNumber": zone}},
            "lines": [
                {
                    "lineNumber": index,
                    "product": {"productNumber": product},
                    "quantity": float(quantity),
                    "unitNetPrice": float(price),
                }
                for index, (product, quantity, price) in enumerate(lines, 1)
            ],
            **values,
        }
        return self.post("/rest/invoices/drafts", body)

    def invoice(self, customer: int, *lines: tuple[str, str, str], **values: Any) -> Any:
        drafted = self.draft(customer, *lines, **values)
        assert drafted.status == 201, drafted
        number = drafted.body["draftInvoiceNumber"]
        answer = self.post("/rest/invoices/booked", {"draftInvoice": {"draftInvoiceNumber": number}})
        assert answer.status == 201, answer
        return answer.body

    def entry(self, **values: Any) -> Reply:
        body = {"entryTypeNumber": 5, "journalNumber": 1, "date": "2026-03-04T00:00:00", "currency": "DKK", **values}
        return self.post(f"{JOURNALS}/draft-entries", body)

    def pay(self, invoice: Any, amount: float | None = None, **values: Any) -> int:
        """A payment of an invoice, not booked yet; its entry number."""
        paid = -invoice["grossAmount"] if amount is None else amount
        answer = self.entry(
            entryTypeNumber=2,
            customerNumber=invoice["customer"]["customerNumber"],
            customerInvoiceNumber=str(invoice["bookedInvoiceNumber"]),
            contraAccountNumber=5891,
            currency=invoice["currency"],
            **{"amount": paid, **values},
        )
        assert answer.status == 201, answer
        return int(answer.body["entryNumber"])

    def book(self, *entries: int, journal: int = 1) -> Reply:
        return self.post(f"{JOURNALS}/journals/{journal}/bookdraftentries", {"entryNumbers": list(entries)})

    def booked(self, filter_text: str) -> list[Any]:
        answer = self.get(f"{BOOKED}/booked-entries", query_string={"filter": filter_text})
        assert answer.status == 200, answer
        return list(answer.body["items"])


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def world(clock: Clock) -> EconomicWorld:
    """No limit on costs: tests that want one set it."""
    return EconomicWorld(
        clock,
        app_secret="app-secret",
        app_public="app-public",
        registered_hosts=["kvitt.test"],
        start_url="http://kvitt.test/install/economic",
        cost_limit=0,
    )


@pytest.fixture
def agreement(world: EconomicWorld) -> EconomicAgreement:
    """Years 2025 and 2026, DKK with EUR and SEK, the granting user reads Danish."""
    return world.add_agreement("Havblik ApS", "12345674", currencies=["EUR", "SEK", "JPY"])


@pytest.fixture
def call(world: EconomicWorld, agreement: EconomicAgreement) -> Caller:
    """The app, calling for the agreement."""
    return Caller(world.app().test_client(), world.grant(agreement.number))


def ledger(agreement: EconomicAgreement) -> list[str]:
    """The booked entries as a bookkeeper reads them: "5600 125.00 D"."""
    return [f"{entry.account} {abs(entry.base):.2f} {'D' if entry.base > 0 else 'C'}" for entry in agreement.entries]
