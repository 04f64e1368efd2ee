"""Our answers have the shape of the recorded ones and of the official description."""

import copy
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft4Validator

from addon.sandbox.fortnox import FortnoxCompany, FortnoxWorld, fields
from tests.contracts import contract_path, load_contract
from tests.sandbox.fortnox.conftest import Caller

# Keys that came after a recording was made, or that older recordings lack.
LATER = {"VATCode"}


def kind(value: Any) -> str:
    """A JSON type; recorded whole numbers stand for decimals as well."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float() | Decimal():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
    return "object"


def differences(ours: Any, recorded: Any, at: str = "") -> Iterator[str]:
    """Where two answers differ in keys or JSON types; null on either side says nothing about the type."""
    if kind(ours) != kind(recorded):
        if "null" not in (kind(ours), kind(recorded)) and not at.endswith(("ContractReference",)):
            yield f"{at}: {kind(ours)} here, {kind(recorded)} recorded"
        return
    if isinstance(ours, dict):
        for key in ours.keys() ^ recorded.keys():
            if key not in LATER:
                yield f"{at}/{key}: {'not recorded' if key in ours else 'missing here'}"
        for key in ours.keys() & recorded.keys():
            yield from differences(ours[key], recorded[key], f"{at}/{key}")
    elif isinstance(ours, list) and ours and recorded:
        yield from differences(ours[0], recorded[0], f"{at}[0]")


def recording(name: str) -> Any:
    return load_contract("fortnox", "recorded", f"{name}.json")["response"]


def assert_like(answer: Any, name: str) -> None:
    recorded = recording(name)
    assert answer.status == recorded["status"]
    assert sorted(differences(answer.body, recorded["body"])) == []
    for header in ("Content-Type", "Location", "Server"):
        if header in recorded["headers"]:
            assert answer.headers[header] == recorded["headers"][header]


@pytest.fixture
def stocked(company: FortnoxCompany, call: Caller) -> Caller:
    """A company with a customer, an article, and invoices in several states."""
    call.post("articles", {"Article": {"ArticleNumber": "101", "Description": "Hammer"}})
    call.customer("Updated name", City="New York", ZipCode="10001")
    call.invoice({"Price": 100}, customer="1", Comments="A value")
    call.payment(call.invoice({"Price": 0}, {"Price": 200, "VAT": 25}, customer="1"), Amount=250)
    call.invoice({"ArticleNumber": "101", "Price": 10}, customer="1", booked=False)
    return call


def test_lists_and_single_objects_have_the_recorded_shape(stocked: Caller) -> None:
    assert_like(stocked.get("customers/"), "customers__list")
    assert_like(stocked.get("customers/1"), "customers__get_one")
    assert_like(stocked.get("customers?name=nothing"), "customers__list_empty")
    assert_like(stocked.get("customers?city=New%20York&zipcode=10001"), "customers__list_two_filters")
    assert_like(stocked.get("invoices/"), "invoices__list")
    assert_like(stocked.get("invoices/"), "invoices__list_mixed_states")
    assert_like(stocked.get("invoices?filter=fullypaid"), "invoices__list_fullypaid_amounts")
    assert_like(stocked.get("invoices?customername=nothing"), "invoices__list_empty")
    assert_like(stocked.get("invoices/3"), "invoices__get_one")
    assert_like(stocked.get("articles"), "articles__list")
    assert_like(stocked.get("articles/101"), "articles__get_one")
    assert_like(stocked.get("termsofpayments"), "termsofpayments__list")
    assert_like(stocked.get("units"), "units__list")


def test_written_objects_have_the_recorded_shape(stocked: Caller) -> None:
    assert_like(stocked.post("customers/", {"Customer": {"Name": "A value"}}), "customers__create_minimal")
    account = {"Customer": {"Name": "Customer with Sales Account", "SalesAccount": "3001"}}
    assert_like(stocked.post("customers/", account), "customers__create_sales_account")
    assert_like(stocked.get("customers/3"), "customers__get_sales_account")
    with_country = {"Customer": {"Name": "C", "CountryCode": "SE"}}
    assert_like(stocked.post("customers/", with_country), "customers__create_country_code")
    assert_like(stocked.put("customers/2", {"Customer": {"Name": "Updated name"}}), "customers__update_name")
    for name in ("no_rows", "due_date", "own_ocr", "country_name", "country_name_gb", "row_description_255"):
        sent = load_contract("fortnox", "recorded", f"invoices__create_{name}.json")["request"]["body"]
        assert_like(stocked.post("invoices/", sent), f"invoices__create_{name}")
    for row, name in (
        ({"ArticleNumber": "101", "Description": "Test", "Price": 1.125}, "price_rounds"),
        ({"ArticleNumber": "101", "Description": "Test", "DeliveredQuantity": 1.125}, "quantity_rounds"),
        ({"ArticleNumber": "101", "Price": 10.0}, "row_without_quantity"),
    ):
        answer = stocked.post("invoices/", {"Invoice": {"CustomerNumber": "1", "InvoiceRows": [row]}})
        assert_like(answer, f"invoices__create_{name}")
    changed = stocked.put("invoices/3", {"Invoice": {"Comments": "Updated comments"}})
    assert_like(changed, "invoices__update_comments")
    assert_like(stocked.post("projects/", {"Project": {"Description": "Important"}}), "projects__create")
    terms = {"TermsOfPayment": {"Code": "21DAYS", "Description": "A value"}}
    assert_like(stocked.post("termsofpayments/", terms), "termsofpayments__create")
    assert_like(stocked.post("units/", {"Unit": {"Code": "b9", "Description": "A value"}}), "units__create")
    assert_like(stocked.post("articles/", {"Article": {"Description": "A value"}}), "articles__create_minimal")
    assert_like(stocked.put("articles/102", {"Article": {"Description": "U"}}), "articles__update")


def test_values_follow_the_recordings(stocked: Caller) -> None:
    def row(**values: Any) -> Any:
        answer = stocked.post("invoices", {"Invoice": {"CustomerNumber": "1", "InvoiceRows": [values]}})
        return answer.body["Invoice"]["InvoiceRows"][0]

    assert row(ArticleNumber="101", Price=1.125)["Price"] == 1.13
    assert row(ArticleNumber="101", DeliveredQuantity=1.125)["DeliveredQuantity"] == "1.13"
    assert row(ArticleNumber="101", Price=10)["DeliveredQuantity"] == "0"
    assert row(ArticleNumber="101", Price=10)["VAT"] == 0
    defaults = recording("invoices__create_no_rows")["body"]["Invoice"]
    ours = stocked.post("invoices", {"Invoice": {"CustomerNumber": "1", "Comments": "A value"}}).body["Invoice"]
    dated = {"@url", "@urlTaxReductionList", "DocumentNumber", "OCR", "InvoiceDate", "DueDate", "OutboundDate"}
    same = defaults.keys() - dated - {"ContractReference"}
    assert {key: ours[key] for key in same} == {key: defaults[key] for key in same}
    minimal = recording("customers__create_minimal")["body"]["Customer"]
    made = stocked.post("customers", {"Customer": {"Name": "A value"}}).body["Customer"]
    assert {k: v for k, v in made.items() if k not in ("@url", "CustomerNumber")} == {
        k: v for k, v in minimal.items() if k not in ("@url", "CustomerNumber")
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "name"),
    [
        ("GET", "customers/123456789", None, "customers__get_404"),
        ("GET", "invoices/123456789", None, "invoices__get_404"),
        ("GET", "articles/123456789", None, "articles__get_404"),
        ("GET", "projects/123456789", None, "projects__get_404"),
        ("GET", "units/123456789", None, "units__get_404"),
        ("GET", "termsofpayments/123456789", None, "termsofpayments__get_404"),
        ("GET", "invoices/?filter=doesntexist", None, "invoices__list_filter_invalid"),
        ("POST", "customers/", {"Customer": {"Name": "Test", "CustomerNumber": "1"}}, "customers__create_number_taken"),
        ("PUT", "customers/", {"Customer": {"Name": "Test"}}, "customers__put_without_number"),
        ("PUT", "customers/1", {"Name": "Updated name"}, "customers__put_without_wrapper"),
        (
            "POST",
            "invoices",
            {"Invoice": {"Country": "South Korea", "CustomerNumber": "1"}},
            "invoices__create_country_invalid",
        ),
        ("POST", "invoices", {"Invoice": {"CustomerNumber": "1", "InvoiceRows": ["#<Row>"]}}, "errors__bad_structure"),
        (
            "POST",
            "invoices",
            {"Invoice": {"CustomerNumber": "1", "InvoiceRows": [{"price": 1}]}},
            "errors__unknown_field",
        ),
    ],
)
def test_refusals_are_the_recorded_ones(stocked: Caller, method: str, path: str, body: Any, name: str) -> None:
    answer = stocked(method, path, body)
    assert (answer.status, answer.body) == (recording(name)["status"], recording(name)["body"])


def test_an_expired_token_and_the_token_endpoint_answer_as_recorded(
    world: FortnoxWorld, company: FortnoxCompany, call: Caller
) -> None:
    call.token = "nonsense"
    expired = call.get("customers")
    recorded = recording("auth__api_expired_access_token")
    assert (expired.status, expired.body) == (recorded["status"], recorded["body"])
    browser: FlaskClient = world.app().test_client()
    form = {"grant_type": "refresh_token", "refresh_token": "nonsense"}
    for secret, name in (("app-secret", "auth__refresh_invalid_grant"), ("no", "auth__refresh_invalid_client")):
        answer = browser.post("/oauth-v1/token", data=form, auth=("app-id", secret))
        recorded = recording(name)
        assert answer.status_code == recorded["status"]
        assert answer.get_json(force=True) == recorded["body"]
        assert answer.headers["Content-Type"] == recorded["headers"]["Content-Type"]


# --- the official description -----------------------------------------------------------------------------


def without_nulls(value: Any) -> Any:
    """The description knows no null where the service sends one."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


# What the description types wrongly, by its README and the recordings: strings typed as numbers, "" and 0 left out.
MISTYPED = {
    "fortnox_Article": {"ConstructionAccount": {}},
    "fortnox_InvoiceListItem": {"CurrencyRate": {}},
    "fortnox_Invoice": {"ContractReference": {}, "PaymentWay": {}, "InvoicePeriodStart": {}, "InvoicePeriodEnd": {}},
    "fortnox_ArticleListItem": {"QuantityInStock": {}},
    "fortnox_VoucherFileConnection": {"VoucherNumber": {}},
}


@pytest.fixture(scope="module")
def description() -> Any:
    contract_path("fortnox", "openapi.core.json")
    document = copy.deepcopy(load_contract("fortnox", "openapi.core.json"))
    for schema, properties in MISTYPED.items():
        document["components"]["schemas"][schema]["properties"].update(properties)
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            # A key that the description does not know would be our invention, save for those it forgot.
            schema["additionalProperties"] = False
            schema["properties"]["MetaInformation"] = {}
            if "InvoiceDate" in schema["properties"]:
                schema["properties"]["InvoiceReference"] = {}
                schema["properties"]["TimeBasisReference"] = {}
            if "DeliveredQuantity" in schema["properties"]:
                schema["properties"]["Cost"] = {}
    return document


def test_answers_fit_the_official_description(stocked: Caller, description: Any) -> None:
    stocked.voucher((1930, "10"), (1686, "-10"))
    uploaded = stocked("POST", "inbox?path=inbox_v", data={"file": (io.BytesIO(b"x"), "x.pdf")})
    assert uploaded.status == 201
    file_id = uploaded.body["File"]["Id"]
    connection = {"FileId": file_id, "VoucherNumber": "1", "VoucherSeries": "A", "VoucherYear": 2}
    connected = stocked.post("voucherfileconnections", {"VoucherFileConnection": connection})
    assert connected.status == 201
    archived = connected.body["VoucherFileConnection"]["FileId"]
    stocked.post("costcenters", {"CostCenter": {"Code": "B1", "Description": "Butik"}})
    stocked.post("projects", {"Project": {"Description": "Ett"}})
    asked = {
        "/3/accountcharts": "accountcharts",
        "/3/accounts": "accounts?limit=500",
        "/3/accounts/{Number}": "accounts/1510",
        "/3/articles": "articles",
        "/3/articles/{ArticleNumber}": "articles/101",
        "/3/companyinformation": "companyinformation",
        "/3/costcenters": "costcenters",
        "/3/costcenters/{Code}": "costcenters/B1",
        "/3/currencies": "currencies",
        "/3/currencies/{Code}": "currencies/EUR",
        "/3/customers": "customers",
        "/3/customers/{CustomerNumber}": "customers/1",
        "/3/euvatlimitregulation": "euvatlimitregulation?year=2026",
        "/3/financialyears": "financialyears?Date=2026-01-01",
        "/3/financialyears/{Id}": "financialyears/1",
        "/3/inbox": "inbox",
        "/3/invoicepayments": "invoicepayments",
        "/3/invoicepayments/{Number}": "invoicepayments/1",
        "/3/invoices": "invoices",
        "/3/invoices/{DocumentNumber}": "invoices/1",
        "/3/labels": "labels",
        "/3/me": "me",
        "/3/modesofpayments": "modesofpayments",
        "/3/modesofpayments/{Code}": "modesofpayments/BG",
        "/3/predefinedaccounts": "predefinedaccounts",
        "/3/predefinedaccounts/{name}": "predefinedaccounts/ROUNDOFF",
        "/3/predefinedvoucherseries": "predefinedvoucherseries",
        "/3/predefinedvoucherseries/{Name}": "predefinedvoucherseries/INVOICE",
        "/3/projects": "projects",
        "/3/projects/{ProjectNumber}": "projects/1",
        "/3/settings/company": "settings/company",
        "/3/settings/lockedperiod": "settings/lockedperiod",
        "/3/termsofpayments": "termsofpayments",
        "/3/termsofpayments/{Code}": "termsofpayments/30",
        "/3/units": "units",
        "/3/units/{Code}": "units/st",
        "/3/voucherfileconnections": "voucherfileconnections",
        "/3/voucherfileconnections/{FileId}": f"voucherfileconnections/{archived}",
        "/3/vouchers": "vouchers?financialyear=2",
        "/3/vouchers/sublist/{VoucherSeries}": "vouchers/sublist/B?financialyear=2",
        "/3/vouchers/{VoucherSeries}/{VoucherNumber}": "vouchers/B/1?financialyear=2",
        "/3/voucherseries": "voucherseries",
        "/3/voucherseries/{Code}": "voucherseries/A",
    }
    faults = []
    for path, actual in asked.items():
        answer = stocked.get(actual)
        assert answer.status == 200, (actual, answer)
        schema = description["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        validator = Draft4Validator({**schema, "components": description["components"]})
        for error in validator.iter_errors(without_nulls(answer.body)):
            faults.append(f"{path} {'/'.join(map(str, error.path))}: {error.message}")
    assert faults == []


def test_what_may_be_written_is_what_the_description_lists(description: Any) -> None:
    schemas = description["components"]["schemas"]
    payload = schemas["fortnox_InvoicePayload"]["properties"].keys() - {"MetaInformation"}
    assert fields.INVOICE.keys() == payload - {"InvoiceReference", "TimeBasisReference"}
    rows = schemas["fortnox_InvoicePayload_InvoiceRow"]["properties"].keys() - {"MetaInformation", "Cost"}
    assert fields.INVOICE["InvoiceRows"].inside.keys() == rows
    customer = schemas["fortnox_Customer"]["properties"].keys() - {"MetaInformation"}
    read_only = {"@url", "Country", "DeliveryCountry", "VisitingCountry"}
    assert fields.CUSTOMER.keys() == customer - read_only
    voucher_row = schemas["fortnox_Voucher_VoucherRow"]["properties"].keys() - {"MetaInformation"}
    assert fields.VOUCHER["VoucherRows"].inside.keys() == voucher_row - {"Removed"}
    for name, written in (("Account", fields.ACCOUNT), ("Currency", fields.CURRENCY), ("Project", fields.PROJECT)):
        wrapper = "fortnox_AccountPayload" if name == "Account" else f"fortnox_{name}"
        known = schemas[wrapper]["properties"].keys()
        assert written.keys() <= known, name
