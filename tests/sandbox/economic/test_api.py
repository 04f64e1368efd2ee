"""Access, lists, refusals and what people do meanwhile, on both hosts."""

import io
from datetime import date, timedelta
from typing import Any

import pytest

from addon.sandbox.economic import EconomicAgreement, EconomicWorld
from addon.sandbox.economic.services_api import ACCOUNTS, DOCUMENTS, WEBHOOKS, YEARS
from tests.sandbox.economic.conftest import BOOKED, JOURNALS, Caller


def test_a_revoked_grant_gives_401_on_both_hosts(call: Caller, agreement: EconomicAgreement) -> None:
    assert call.get("/rest/self").body["agreementNumber"] == agreement.number
    agreement.revoke_grant()
    refused = call.get("/rest/self")
    assert (refused.status, "demo" in refused.body) == (401, True)
    assert call.get(f"{JOURNALS}/journals").body["status"] == 401


def test_the_secret_of_another_app_does_not_fit_the_grant(call: Caller) -> None:
    answer = Caller(call.browser, call.token, "other").get("/rest/self")
    assert (answer.status, answer.body["errorCode"]) == (401, "E02250")


def test_a_role_reaches_its_own_resources_only(
    call: Caller, world: EconomicWorld, agreement: EconomicAgreement
) -> None:
    bookkeeper = Caller(call.browser, world.grant(agreement.number, role="Bookkeeping"))
    assert bookkeeper.get("/rest/accounts").status == 200
    assert bookkeeper.get("/rest/customers").status == 403
    assert bookkeeper.get(f"{WEBHOOKS}/webhooks").status == 403
    assert Caller(call.browser, world.grant(agreement.number, role="Sales")).get(f"{JOURNALS}/journals").status == 403


def test_one_agreement_never_sees_another(call: Caller, world: EconomicWorld) -> None:
    other = world.add_agreement("Skovsø A/S", "87654321")
    stranger = Caller(call.browser, world.grant(other.number))
    call.customer("Kun hos Havblik")
    assert stranger.get("/rest/customers").body["pagination"]["results"] == 0


def test_the_old_hosts_pages_go_on_and_end_in_an_empty_one(call: Caller) -> None:
    for number in range(5):
        call.customer(f"Kunde {number}")
    first = call.get("/rest/customers?pagesize=2").body
    assert [row["name"] for row in first["collection"]] == ["Kunde 0", "Kunde 1"]
    following = call.get(first["pagination"]["nextPage"].replace("http://localhost", "")).body
    assert [row["name"] for row in following["collection"]] == ["Kunde 2", "Kunde 3"]
    last = call.get("/rest/customers?pagesize=2&skippages=2").body["pagination"]
    assert "nextPage" not in last
    assert call.get("/rest/customers?pagesize=2&skippages=9").body["collection"] == []
    assert call.get("/rest/customers?pagesize=1001").codes == ["E04810"]


def test_the_services_have_three_sibling_lists(call: Caller, agreement: EconomicAgreement) -> None:
    agreement.person_posts_voucher([(5820, 1), (5891, -1)] * 501)
    first = call.get(f"{BOOKED}/booked-entries").body
    assert len(first["items"]) == 1000
    rest = call.get(f"{BOOKED}/booked-entries?cursor={first['cursor']}").body
    assert (len(rest["items"]), "cursor" in rest) == (2, False)
    assert len(call.get(f"{BOOKED}/booked-entries/paged?pageSize=7&skipPages=1").body) == 7
    assert call.get(f"{BOOKED}/booked-entries/paged?pageSize=101").status == 400
    assert call.get(f"{BOOKED}/booked-entries/count?filter=accountNumber$eq:5820").body == 501


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name$eq:bent", ["Bent"]),
        ("name$ne:Bent", ["Anna (1)", "Carl"]),
        ("name$like:a", ["Anna (1)", "Carl"]),
        ("name$like:C*", ["Carl"]),
        ("name$eq:Anna $(1$)", ["Anna (1)"]),
        ("customerNumber$in:[1,3]", ["Anna (1)", "Carl"]),
        ("customerNumber$nin:[1,3]", ["Bent"]),
        ("customerNumber$gte:2$and:customerNumber$lt:3", ["Bent"]),
        ("name$eq:Carl$or:(customerNumber$lte:1)", ["Anna (1)", "Carl"]),
        ("email$eq:$null:", ["Bent", "Carl"]),
        ("email$ne:$null:", ["Anna (1)"]),
        ("customerNumber$gt:x", []),
    ],
)
def test_filters(call: Caller, text: str, found: list[str]) -> None:
    call.customer("Anna (1)", email="anna@example.test")
    call.customer("Bent")
    call.customer("Carl")
    answer = call.get("/rest/customers", query_string={"filter": text})
    assert answer.status == 200, answer.body
    assert [row["name"] for row in answer.body["collection"]] == found


@pytest.mark.parametrize("text", ["balance$eq:1", "name", "(name$eq:a", "name$eq:a)", "customerNumber$in:[%s]"])
def test_a_filter_that_cannot_be_read_is_refused(call: Caller, text: str) -> None:
    many = text.replace("%s", ",".join(map(str, range(201))))
    answer = call.get("/rest/customers", query_string={"filter": many})
    assert answer.status == 400
    assert "email" in answer.body["allowedFilteringFields"]
    refused = call.get(f"{BOOKED}/booked-entries", query_string={"filter": "type$gt:1"})
    assert refused.body["errorCode"] == "BadFilterRequest"
    assert call.get("/rest/customers?sort=zzz").status == 400
    assert call.get("/rest/customers?sort=-name").status == 200
    assert call.get(f"{JOURNALS}/journals?filter=number$eq:1").status == 500


def test_an_order_number_is_found_as_part_of_a_longer_one(call: Caller, agreement: EconomicAgreement) -> None:
    for order in ("1001", "11001"):
        agreement.person_creates_invoice(125, order=order)
    found = call.get("/rest/invoices/booked?filter=references.other$like:1001").body["collection"]
    assert [row["references"]["other"] for row in found] == ["1001", "11001"]
    assert "lines" not in found[0]
    exact = call.get("/rest/invoices/booked?filter=references.other$eq:1001").body["collection"]
    assert len(exact) == 1


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ({"date": "2026-02-30"}, [None]),
        ({"currency": "XXX"}, ["E06000"]),
        ({"customer": {"customerNumber": 77}}, ["E06000"]),
        ({"layout": {"layoutNumber": 7}}, ["E06000"]),
        ({"paymentTerms": {"paymentTermsNumber": 7}}, ["E04042"]),
        ({"paymentTerms": {"paymentTermsNumber": 7}, "dueDate": "2026-03-01"}, ["E04760"]),
        ({"date": "2030-03-01"}, ["E04041"]),
        ({"exchangeRate": 99}, ["E04041"]),
    ],
)
def test_drafts_are_refused_by_code(call: Caller, values: dict[str, Any], codes: list[str | None]) -> None:
    call.product()
    answer = call.draft(call.customer(), ("VARE", "1", "10"), **values)
    assert answer.status == 400
    assert answer.body["errorCode"] == "E04300"
    assert answer.codes == [code for code in codes if code]


def test_lines_are_refused_by_code(call: Caller, agreement: EconomicAgreement) -> None:
    call.product()
    customer = call.customer()
    assert call.draft(customer, ("NIX", "1", "10")).codes == ["E07150"]
    assert call.draft(customer, ("VARE", "1", "10.001")).codes == ["E04740"]
    only_price = [{"lineNumber": 1, "unitNetPrice": 10.0}]
    assert call.draft(customer, lines=only_price).codes == ["E04500"]
    text_only = call.draft(customer, lines=[{"lineNumber": 1, "description": "Tak for handlen"}])
    assert text_only.status == 201
    booking = {"draftInvoice": {"draftInvoiceNumber": text_only.body["draftInvoiceNumber"]}}
    assert call.post("/rest/invoices/booked", booking).codes == ["E04500"]
    agreement.product_groups[1].sales_accounts.pop(2)
    assert call.draft(customer, ("VARE", "1", "10"), zone=2).codes == ["E04041"]


def test_null_is_refused_and_unknown_names_are_ignored(call: Caller) -> None:
    body = {"name": None, "currency": "DKK", "colour": "blue"}
    answer = call.post("/rest/customers", body)
    assert answer.status == 400
    text = str(answer.body["errors"])
    assert "Expected String but got Null" in text
    assert "colour" not in text
    zero = call.draft(call.customer(), lines=[{"lineNumber": 0}])
    assert "Integer 0 is less than minimum value of 1" in str(zero.body["errors"])


def test_messages_come_in_the_users_language(call: Caller, agreement: EconomicAgreement) -> None:
    agreement.bar_period(date(2026, 3, 4))
    body = {
        "accountingYear": {"year": "2026"},
        "entries": {
            "financeVouchers": [
                {
                    "account": {"accountNumber": 5820},
                    "contraAccount": {"accountNumber": 5891},
                    "amount": 10,
                    "date": "2026-03-04",
                }
            ]
        },
    }
    danish = call.post("/rest/journals/1/vouchers", body)
    assert "Perioden er spærret." in str(danish.body)
    agreement.set_language("en")
    english = call.post("/rest/journals/1/vouchers", body)
    assert "The period is barred." in str(english.body)
    assert danish.codes == english.codes == ["E04041"]


def test_barred_closed_and_missing_are_three_things(call: Caller, agreement: EconomicAgreement) -> None:
    def codes(day: str) -> list[str]:
        return call.entry(accountNumber=5820, contraAccountNumber=5891, amount=1, date=f"{day}T00:00:00").codes

    agreement.bar_period(date(2026, 1, 15))
    agreement.close_period(date(2026, 2, 15))
    agreement.close_year("2025")
    assert codes("2026-01-15") == ["JournalEntryDateAccountingYearPeriodBarred"]
    assert codes("2026-02-15") == ["JournalEntryDateAccountingYearClosed"]
    assert codes("2025-05-01") == ["JournalEntryDateAccountingYearClosed"]
    assert codes("2031-05-01") == ["JournalEntryDateAccountingYearDoesNotExist"]
    periods = call.get(f"{YEARS}/accountingYears/periods?filter=year$eq:2026").body["items"]
    assert [(p["isClosed"], p["isBarred"]) for p in periods[:3]] == [(False, True), (True, False), (False, False)]
    # The old host shows that a month is closed and hides that it is barred.
    old = call.get("/rest/accounting-years/2026/periods").body["collection"]
    assert ["closed" in period for period in old[:3]] == [False, True, False]


def test_accounts_that_cannot_be_posted_to(call: Caller, agreement: EconomicAgreement) -> None:
    agreement.bar_account(5820)
    agreement.block_direct_entries(5891)
    both = call.entry(accountNumber=5820, contraAccountNumber=5891, amount=1)
    assert both.codes == ["JournalEntryAccountNotAccessible", "JournalEntryContraAccountIsBlockedForDirectEntries"]
    assert call.entry(accountNumber=1000, amount=1).codes == ["JournalEntryWrongAccountType"]
    assert call.entry(amount=1).codes == ["JournalEntryAccountAndContraAccountNotSet"]


def test_a_journal_of_ones_own(call: Caller, agreement: EconomicAgreement) -> None:
    flags = dict.fromkeys(
        (
            "balancingBehavior",
            "isStandingJournal",
            "requireAdminApproval",
            "lockVatCodes",
            "allowPartialBooking",
            "requireBalancePerVoucherId",
            "repeatText",
        ),
        False,
    )
    body = {
        "name": "Kvitt",
        "autoApprove": True,
        **flags,
        "minimumVoucherNumber": 80001,
        "maximumVoucherNumber": 80002,
        "allowedEntryType": 0,
    }
    number = call.post(f"{JOURNALS}/journals", body).body["number"]
    first = call.entry(journalNumber=number, accountNumber=5820, contraAccountNumber=5891, amount=1)
    assert agreement.draft_entries[first.body["entryNumber"]].voucher == 80001
    outside = call.entry(journalNumber=number, voucherNumber=7, accountNumber=5820, contraAccountNumber=5891, amount=1)
    assert outside.codes == ["JournalEntryVoucherNumberNotWithinBoundaries"]
    call.entry(journalNumber=number, accountNumber=5820, contraAccountNumber=5891, amount=1)
    full = call.entry(journalNumber=number, accountNumber=5820, contraAccountNumber=5891, amount=1)
    assert full.codes == ["JournalVoucherNextNumberNotWithinBoundaries"]
    kept = call.get(f"{JOURNALS}/journals/{number}").body
    assert call.put(f"{JOURNALS}/journals", {**kept, "objectVersion": "old"}).body["errorCode"] == "UpdateConflict"
    assert call.put(f"{JOURNALS}/journals", {**kept, "maximumVoucherNumber": 89999}).status == 204
    assert call.put(f"{JOURNALS}/journals", kept).status == 409
    assert call.delete(f"{JOURNALS}/journals/{number}").codes == ["JournalMustBeEmptyBeforeDeleting"]
    assert call.delete(f"{JOURNALS}/draft-entries/delete/{number}").status == 204
    assert call.delete(f"{JOURNALS}/journals/{number}").status == 204


def test_booking_a_whole_journal_sweeps_up_what_a_person_left(call: Caller, agreement: EconomicAgreement) -> None:
    agreement.person_posts_voucher([(5820, 5), (5891, -5)], booked=False)
    assert call.post(f"{JOURNALS}/journals/1/book", None).status == 204
    assert agreement.draft_entries == {}


def test_bulk_is_all_or_nothing_and_at_most_500(call: Caller, agreement: EconomicAgreement) -> None:
    good = {
        "entryTypeNumber": 5,
        "journalNumber": 1,
        "date": "2026-03-04",
        "accountNumber": 5820,
        "contraAccountNumber": 5891,
        "amount": 1,
        "currency": "DKK",
    }
    bulk = f"{JOURNALS}/draft-entries/bulk"
    answer = call.post(bulk, {"entries": [good, {**good, "accountNumber": 4711}]})
    assert answer.body["errors"][0]["property"] == "entries[1].accountNumber"
    assert agreement.draft_entries == {}
    assert call.post(bulk, {"entries": [good] * 501}).codes == ["OneAPITooManyEntries"]
    assert call.post(bulk, {"entries": []}).codes == ["OneAPIEntriesListCannotBeEmpty"]
    assert call.post(bulk, {"entries": [good] * 500}).status == 201


def test_what_the_booking_left_can_be_late_in_the_list(call: Caller, world: EconomicWorld) -> None:
    world.switches.booked_delay_s = 5
    call.book(call.entry(accountNumber=5820, contraAccountNumber=5891, amount=1).body["entryNumber"])
    assert call.booked("accountNumber$eq:5820") == []
    world.clock.advance(timedelta(seconds=6))
    assert len(call.booked("accountNumber$eq:5820")) == 1


def test_files_at_vouchers(call: Caller, agreement: EconomicAgreement) -> None:
    entry = call.entry(accountNumber=5820, contraAccountNumber=5891, amount=1).body["entryNumber"]

    def send(path: str, name: str, content: bytes, **values: str) -> Any:
        return call("POST", path, data={name: (io.BytesIO(content), "po_1.pdf"), **values})

    unbooked = "/rest/journals/1/vouchers/2026-10001/attachment/file"
    assert send(unbooked, "file", b"%PDF-1").status == 201
    assert "already" in send(unbooked, "file", b"%PDF-1").body["message"]
    second = call.entry(accountNumber=5820, contraAccountNumber=5891, amount=1).body["entryNumber"]
    call.book(entry, second)
    documents = f"{DOCUMENTS}/AttachedDocuments"
    values = {"VoucherNumber": "10002", "AccountingYear": "2026"}
    assert send(documents, "File", b"hello", **values).codes == ["InvalidFileData"]
    assert send(documents, "File", b"%PDF-1", **values).status == 201
    assert send(documents, "File", b"%PDF-1", **values).codes == ["DocumentAlreadyAttachedToVoucher"]
    assert send(documents, "File", b"%PDF-1", **{**values, "VoucherNumber": "5"}).codes == ["InvalidVoucherNumber"]
    found = call.get(f"{documents}?filter=voucherNumber$eq:10002").body["items"]
    assert [row["accountingYear"] for row in found] == ["2026"]
    assert len(agreement.files) == 2


def test_an_account_is_added_and_changed(call: Caller, agreement: EconomicAgreement) -> None:
    flags = dict.fromkeys(("isBarred", "isBlockedForDirectEntries", "isDepartmentMandatory", "isUnitMandatory"), False)
    body = {"number": 5896, "name": "Stripe EUR", "type": 2, **flags}
    assert call.post(f"{ACCOUNTS}/Accounts", body).status == 201
    assert call.post(f"{ACCOUNTS}/Accounts", body).codes == ["AccountIdAlreadyInUse"]
    kept = call.get(f"{ACCOUNTS}/Accounts/5896").body
    assert call.put(f"{ACCOUNTS}/Accounts", {**kept, "isBarred": True}).status == 204
    assert agreement.accounts[5896].barred


def test_a_webhook_is_unsigned_and_one_for_each_event(call: Caller, world: EconomicWorld) -> None:
    hook = {
        "eventType": "INVOICE_BOOKED",
        "name": "Kvitt",
        "url": "https://kvitt.test/webhooks/economic/x/[INVOICENO]",
        "contentType": "application/json",
        "postData": '{"invoice":"[INVOICENO]"}',
        "customHeaders": [{"key": "X-Secret", "value": "s"}],
    }
    assert call.post(f"{WEBHOOKS}/webhooks", hook).status == 201
    assert call.post(f"{WEBHOOKS}/webhooks", hook).codes == ["WebhookAlreadyExistsForEventType"]
    assert call.post(f"{WEBHOOKS}/webhooks", {**hook, "url": "http://x.test/"}).codes == ["WebhookInvalidUrlScheme"]
    call.product()
    call.invoice(call.customer(), ("VARE", "1", "10"))
    assert world.events == [
        {
            "url": "https://kvitt.test/webhooks/economic/x/1",
            "body": '{"invoice":"1"}',
            "contentType": "application/json",
            "headers": {"X-Secret": "s"},
        }
    ]
    assert call.delete(f"{WEBHOOKS}/webhooks/INVOICE_BOOKED").status == 204


def test_deleting_without_a_number_deletes_every_draft(call: Caller, agreement: EconomicAgreement) -> None:
    call.product()
    customer = call.customer()
    for _ in range(3):
        call.draft(customer, ("VARE", "1", "10"))
    assert call.delete("/rest/invoices/drafts").body["deletedCount"] == 3
    assert agreement.drafts == {}


def test_a_broken_year_is_written_with_codes_in_addresses(call: Caller, agreement: EconomicAgreement) -> None:
    agreement.open_year(date(2027, 7, 1), date(2028, 6, 30))
    periods = call.get("/rest/accounting-years/2027_6_2028/periods?pagesize=100").body["collection"]
    assert [periods[0]["fromDate"], periods[-1]["toDate"]] == ["2027-07-01", "2028-06-30"]


def test_false_booleans_can_be_left_out(call: Caller, world: EconomicWorld) -> None:
    assert call.get("/rest/accounts/5820").body["blockDirectEntries"] is False
    world.switches.leaves_false_out = True
    assert "blockDirectEntries" not in call.get("/rest/accounts/5820").body
