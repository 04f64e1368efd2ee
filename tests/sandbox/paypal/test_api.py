"""The simulated PayPal's reporting API: windows, pages, limits, delay, scopes, errors."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from addon.sandbox.clock import Clock
from addon.sandbox.paypal import ConnectionLost, Fault, PayPalAccount, PayPalWorld, RestApp

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
REPORT = "/v1/reporting/transactions"


class House:
    """A world, one merchant with an app of its own, and a client that carries a token."""

    def __init__(self) -> None:
        self.world = PayPalWorld(Clock(NOW))
        self.account: PayPalAccount = self.world.add_account("Exempelbutiken AB")
        self.app: RestApp = self.world.add_app(self.account)
        self.client: FlaskClient = self.world.app().test_client()
        self.headers = self.bearer(self.app.client_id, self.app.secret)

    def token(self, client_id: str, secret: str, grant: str = "client_credentials") -> Any:
        return self.client.post("/v1/oauth2/token", auth=(client_id, secret), data={"grant_type": grant})

    def bearer(self, client_id: str, secret: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(client_id, secret).json['access_token']}"}

    def partner(self, merchant: str = "", issuer: str = "") -> dict[str, str]:
        headers = self.bearer(self.world.client_id, self.world.client_secret)
        if merchant:
            claims = {"iss": issuer or self.world.client_id, "payer_id": merchant}
            parts = [
                base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
                for part in ({"alg": "none"}, claims)
            ]
            headers["PayPal-Auth-Assertion"] = ".".join([*parts, ""])
        return headers

    def get(self, path: str, headers: dict[str, str] | None = None, **query: object) -> tuple[int, Any]:
        asked = {name: str(value) for name, value in query.items()}
        answer = self.client.get(path, query_string=asked, headers=self.headers if headers is None else headers)
        return answer.status_code, answer.json

    def search(self, start: datetime = NOW - timedelta(days=20), end: datetime = NOW, **query: object) -> Any:
        status, body = self.get(REPORT, start_date=start.isoformat(), end_date=end.isoformat(), **query)
        assert status == 200, body
        return body


@pytest.fixture
def house() -> House:
    return House()


def test_a_token_names_what_it_opens_and_a_box_ticked_later_needs_a_new_one(house: House) -> None:
    told = house.token(house.app.client_id, house.app.secret).json
    assert told["expires_in"] == 32400
    assert "https://uri.paypal.com/services/reporting/search/read" in told["scope"].split()
    closed = house.world.add_app(house.account, transaction_search=False)
    headers = house.bearer(closed.client_id, closed.secret)
    day = {"start_date": "2026-11-01T00:00:00Z", "end_date": "2026-11-02T00:00:00Z"}
    status, body = house.get(REPORT, headers, **day)
    assert (status, body["name"], body["details"]) == (403, "NOT_AUTHORIZED", [{"issue": "PERMISSION_DENIED"}])
    closed.transaction_search = True
    assert house.get(REPORT, headers, **day)[0] == 403
    assert house.get(REPORT, house.bearer(closed.client_id, closed.secret), **day)[0] == 200


def test_wrong_and_withdrawn_credentials_are_refused(house: House) -> None:
    answer = house.token(house.app.client_id, "wrong")
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert house.token(house.app.client_id, house.app.secret, "password").json["error"] == "unsupported_grant_type"
    assert house.get(REPORT, {})[1]["error"] == "invalid_token"
    house.app.revoked = True
    assert house.get(REPORT)[0] == 401
    assert house.token(house.app.client_id, house.app.secret).status_code == 401


def test_a_token_expires(house: House) -> None:
    house.world.clock.advance(timedelta(hours=9))
    assert house.get(REPORT)[0] == 401


def test_the_newest_three_hours_are_not_there_yet(house: House) -> None:
    house.account.deposit(100, at=NOW - timedelta(hours=4))
    house.account.deposit(200, at=NOW - timedelta(hours=2))
    body = house.search()
    assert [row["transaction_info"]["transaction_amount"]["value"] for row in body["transaction_details"]] == ["1.00"]
    assert body["last_refreshed_datetime"] == body["end_date"] == "2026-11-20T06:00:00+0000"
    status, refusal = house.get(REPORT, start_date="2026-11-20T07:00:00Z", end_date="2026-11-20T08:00:00Z")
    assert (status, refusal["message"]) == (400, "Data for the given start date is not available.")


def test_a_row_may_be_later_than_the_others(house: House) -> None:
    house.account.deposit(100, at=NOW - timedelta(hours=5), late_s=9000)
    assert house.search()["total_items"] == 0
    assert house.get("/v1/reporting/balances")[1]["balances"][1]["total_balance"]["value"] == "1.00"
    house.world.clock.advance(timedelta(hours=1))
    assert house.search()["total_items"] == 1


def test_windows_are_31_days_at_most_and_dates_must_be_whole(house: House) -> None:
    for query in (
        {"start_date": "2026-10-01T00:00:00Z", "end_date": "2026-11-01T00:00:01Z"},
        {"start_date": "2026-11-01", "end_date": "2026-11-02T00:00:00Z"},
        {"start_date": "2026-11-31T00:00:00Z", "end_date": "2026-12-02T00:00:00Z"},
        {"start_date": "2026-11-03T00:00:00Z", "end_date": "2026-11-02T00:00:00Z"},
        {"start_date": "2022-11-01T00:00:00Z", "end_date": "2022-11-02T00:00:00Z"},
        {"start_date": "2026-11-01T00:00:00Z", "end_date": "2026-11-02T00:00:00Z", "page_size": "501"},
        {"start_date": "2026-11-01T00:00:00Z", "end_date": "2026-11-02T00:00:00Z", "transaction_status": "X"},
        {"start_date": "2026-11-01T00:00:00Z", "end_date": "2026-11-02T00:00:00Z", "fields": "secrets"},
    ):
        status, body = house.get(REPORT, **query)
        assert (status, body["name"]) == (400, "INVALID_REQUEST"), query
        assert body["details"][0]["location"] == "query"
    assert house.get(REPORT, start_date="2026-10-01T00:00:00+0000", end_date="2026-11-01T00:00:00Z")[0] == 200


def test_too_many_rows_are_refused_with_their_number(house: House) -> None:
    house.world.largest_result = 10
    for minute in range(11):
        house.account.deposit(100, at=NOW - timedelta(days=1, minutes=minute))
    status, body = house.get(REPORT, start_date="2026-11-01T00:00:00Z", end_date="2026-11-20T00:00:00Z")
    assert (status, body["name"], body["total_items"], body["maximum_items"]) == (400, "RESULTSET_TOO_LARGE", 11, 10)


def test_pages_follow_each_other_and_filters_drop_the_running_balance(house: House) -> None:
    for number in range(5):
        house.account.deposit(100 + number, at=NOW - timedelta(days=1, minutes=-number))
    first, second = house.search(page_size=3), house.search(page_size=3, page=2)
    assert (first["total_items"], first["total_pages"]) == (5, 2)
    assert [len(page["transaction_details"]) for page in (first, second)] == [3, 2]
    info = first["transaction_details"][0]["transaction_info"]
    assert info["ending_balance"] == {"currency_code": "SEK", "value": "1.00"}
    filtered = house.search(transaction_type="T0300", transaction_amount="102 TO 103")
    assert filtered["total_items"] == 2
    assert "ending_balance" not in filtered["transaction_details"][0]["transaction_info"]
    assert house.search(transaction_currency="EUR")["total_items"] == 0


def test_what_moves_no_money_is_shown_on_request(house: House) -> None:
    at = NOW - timedelta(days=1)
    house.account.authorise(5000, at=at)
    house.account.sell(5000, "SEK", pending=True, at=at)
    assert house.search()["total_items"] == 0
    shown = house.search(balance_affecting_records_only="N")["transaction_details"]
    assert {row["transaction_info"]["transaction_status"] for row in shown} == {"S", "P"}


def test_a_window_means_the_date_that_the_switch_says(house: House) -> None:
    at = NOW - timedelta(days=10)
    dispute = house.account.dispute(house.account.sell(5000, "SEK", at=at).id, at=at)
    house.account.win(dispute.id, at=NOW - timedelta(days=2))
    recent = {"start": NOW - timedelta(days=3)}
    assert house.search(**recent)["total_items"] == 0
    house.account.window_by = "updated"
    found = house.search(**recent)["transaction_details"]
    assert [row["transaction_info"]["transaction_event_code"] for row in found] == ["T1111"]


def test_balances_are_told_as_of_a_time(house: House) -> None:
    house.account.deposit(100, at=NOW - timedelta(days=2))
    house.account.deposit(200, at=NOW - timedelta(days=1))
    status, body = house.get("/v1/reporting/balances", as_of_time="2026-11-19T00:00:00Z", currency_code="SEK")
    assert status == 200
    assert (body["account_id"], body["as_of_time"]) == (house.account.id, "2026-11-19T00:00:00Z")
    (sek,) = body["balances"]
    assert (sek["primary"], sek["total_balance"]["value"]) == (True, "1.00")
    assert house.get("/v1/reporting/balances", currency_code="kronor")[0] == 400


def consent(house: House, answer: str, features: tuple[str, ...] = ("ADVANCED_TRANSACTIONS_SEARCH",)) -> Any:
    body = {
        "tracking_id": "kvitt-1",
        "partner_config_override": {"return_url": "http://127.0.0.1:8000/oauth/paypal/callback?state=x"},
        "operations": [
            {
                "operation": "API_INTEGRATION",
                "api_integration_preference": {
                    "rest_api_integration": {
                        "integration_method": "PAYPAL",
                        "integration_type": "THIRD_PARTY",
                        "third_party_details": {"features": list(features)},
                    }
                },
            }
        ],
        "products": ["EXPRESS_CHECKOUT"],
        "legal_consents": [{"type": "SHARE_DATA_CONSENT", "granted": True}],
    }
    made = house.client.post("/v2/customer/partner-referrals", json=body, headers=house.partner())
    assert made.status_code == 201, made.json
    (action,) = (link["href"] for link in made.json["links"] if link["rel"] == "action_url")
    parts = urlsplit(action)
    address = f"{parts.path}?{parts.query}"
    page = house.client.get(address)
    assert "Read your transactions and balances" in page.text
    return house.client.post(address, data={"account": house.account.id, "answer": answer}), address


def test_a_merchant_consents_in_one_click_and_the_partner_reads_with_an_assertion(house: House) -> None:
    merchant = house.account.id
    day = {"start_date": "2026-11-01T00:00:00Z", "end_date": "2026-11-02T00:00:00Z"}
    assert house.get(REPORT, house.partner(merchant), **day)[0] == 403
    back, address = consent(house, "agree")
    query = parse_qs(urlsplit(back.location).query)
    assert query["merchantIdInPayPal"] == [merchant]
    assert (query["merchantId"], query["permissionsGranted"], query["state"]) == (["kvitt-1"], ["true"], ["x"])
    assert house.client.get(address).status_code == 400
    assert house.get(REPORT, house.partner(merchant), **day)[0] == 200
    assert house.get(REPORT, house.partner(), **day)[0] == 403
    assert house.get(REPORT, house.partner(merchant, "somebody else"), **day)[0] == 401
    integrations = f"/v1/customer/partners/{house.world.partner_id}/merchant-integrations"
    status, granted = house.get(f"{integrations}/{merchant}", house.partner())
    assert (status, granted["merchant_id"], granted["country"]) == (200, merchant, "SE")
    assert house.get(integrations, house.partner(), tracking_id="kvitt-1")[1]["merchant_id"] == merchant
    assert house.get("/v2/invoicing/invoices", house.partner(merchant))[0] == 403
    assert house.world.revoke(house.account) is True
    assert house.get(REPORT, house.partner(merchant), **day)[0] == 403
    assert house.get(f"{integrations}/{merchant}", house.partner())[0] == 404


def test_a_merchant_says_no(house: House) -> None:
    back, _ = consent(house, "cancel")
    assert parse_qs(urlsplit(back.location).query)["permissionsGranted"] == ["false"]
    assert not house.world.consents
    refused = house.client.post("/v2/customer/partner-referrals", json={"operations": []}, headers=house.partner())
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("kind", "status"), [("error_500", 500), ("html_500", 502), ("rate_limited", 429), ("revoked", 401)]
)
def test_failing_on_demand(house: House, kind: Any, status: int) -> None:
    house.world.faults.add(Fault(kind, match="reporting"))
    answer = house.client.get(REPORT, headers=house.headers)
    assert answer.status_code == status
    assert house.world.faults.struck
    house.world.faults.add(Fault("lost_before"))
    with pytest.raises(ConnectionLost):
        house.client.get(REPORT)


def test_switches_and_deeds_from_another_process(house: House) -> None:
    control = house.world.control_app().test_client()
    made = control.post("/accounts/Exempelbutiken AB/sell", json={"amount": 5000, "currency": "SEK", "order": "7"})
    row = house.account.get_row(made.json["result"])
    assert row.invoice_id == "WC-7"
    switched = control.post(f"/accounts/{house.account.id}/switches", json={"lag_s": 0, "window_by": "updated"})
    assert switched.json["lag_s"] == 0
    assert house.search()["total_items"] == 1
    assert control.post(f"/accounts/{house.account.id}/switches", json={"nothing": 1}).status_code == 400
    assert control.post(f"/accounts/{house.account.id}/explode").status_code == 404
    assert control.post(f"/accounts/{house.account.id}/sell", json={"wrong": 1}).status_code == 400
    assert control.post(f"/accounts/{house.account.id}/refund", json={"row_id": "nothing"}).status_code == 400
    secret = control.post(f"/accounts/{house.account.id}/app", json={"transaction_search": False}).json["result"]
    assert house.world.apps[secret["client_id"]].transaction_search is False
    assert control.post("/faults", json={"kind": "error_500"}).status_code == 201
    assert control.post("/faults", json={"kind": "no such"}).status_code == 400
    assert control.get("/faults").json["active"]
    control.delete("/faults")
    assert control.get("/accounts").json[0]["rows"] == 1
    assert control.get("/calls", query_string={"match": "reporting"}).json["count"] == 1
    assert control.post(f"/accounts/{house.account.id}/revoke").json == {"result": False}
    assert control.post("/webhooks/switches", json={"duplicates": 1}).json["duplicates"] == 1
    assert control.post("/webhooks/switches", json={"nothing": 1}).status_code == 400
    assert control.post("/webhooks/deliver").json == []
