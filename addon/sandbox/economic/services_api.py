"""The services under /apis: journals, booked entries, years and periods, accounts, documents, webhooks, products."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from flask import Flask, request

from addon.sandbox.economic import errors
from addon.sandbox.economic.agreement import EconomicAgreement
from addon.sandbox.economic.books import Account, Entry
from addon.sandbox.economic.chart import ACCOUNT_TYPES
from addon.sandbox.economic.errors import ApiError, Trouble
from addon.sandbox.economic.frame import Frame, Reply, Row
from addon.sandbox.economic.journals import (
    JOURNAL_FLAGS,
    BookingRefused,
    DraftEntry,
    Journal,
    is_customer_entry,
)
from addon.sandbox.economic.products_api import ProductsApi
from addon.sandbox.economic.world import EVENTS, EconomicWorld, Hook

JOURNALS = "/apis/journalsapi/v15.0.0"
BOOKED = "/apis/bookedEntriesapi/v4.0.0"
YEARS = "/apis/accountingyearsapi/v2.0.1"
ACCOUNTS = "/apis/accountsapi/v7.0.0"
DOCUMENTS = "/apis/documentsapi/v4.0.1"
WEBHOOKS = "/apis/webhooksapi/v1.0.0"
BOOKKEEPING = "SuperUser Bookkeeping"
MOST_ENTRIES = 500
LARGEST_FILE = 9_437_184

_ALL = "eq ne lt lte gt gte in nin"
_SOME = "eq ne lt lte gt gte"
_TEXT = "eq ne lt lte gt gte like"
ENTRY_FILTER = {
    **dict.fromkeys(("entryNumber", "accountNumber", "currencyCode", "vatAccountNumber", "voucherNumber"), _ALL),
    **dict.fromkeys(("customerNumber", "customerInvoiceNumber"), _ALL),
    **dict.fromkeys(("amount", "amountInBaseCurrency", "date", "dueDate", "remainder"), _SOME),
    "text": _TEXT,
    "type": "eq ne",
}
DRAFT_FILTER = {
    **dict.fromkeys(("entryNumber", "entryTypeNumber", "voucherNumber", "journalNumber", "accountNumber"), _ALL),
    **dict.fromkeys(("contraAccountNumber", "currency", "customerNumber", "projectNumber"), _ALL),
    "date": _SOME,
}
PERIOD_FILTER = dict.fromkeys(("periodNumber", "year", "dateFrom", "dateTo"), _SOME)
YEAR_FILTER = dict.fromkeys(("year", "dateFrom", "dateTo", "isClosed"), _SOME)
ACCOUNT_FILTER = {"number": _ALL, "name": _TEXT, **dict.fromkeys(("isBarred", "isBlockedForDirectEntries"), _SOME)}
DOCUMENT_FILTER = dict.fromkeys(("number", "voucherNumber", "accountingYear"), _ALL)
HOOK_FILTER = {"eventType": _ALL, "name": _TEXT, "url": _TEXT, "isDisabled": _SOME}


def register_services(app: Flask, world: EconomicWorld) -> None:
    """Put the services into the app."""
    host = ServicesHost(world)
    host.routes()
    app.add_url_rule("/apis/<path:rest>", "services", host.dispatch, methods=["GET", "POST", "PUT", "DELETE"])


def instant(day: date) -> str:
    """A date as the services write it."""
    return f"{day.isoformat()}T00:00:00"


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10]) if value is not None else None
    except ValueError:
        return None


class ServicesHost(Frame):
    """The services' frame, with their refusals."""

    def __init__(self, world: EconomicWorld) -> None:
        super().__init__(world, legacy=False)

    def routes(self) -> None:
        """All services."""
        self._journal_routes()
        self._entry_routes()
        self.lists(f"{YEARS}/accountingYears/periods", BOOKKEEPING, self._periods, PERIOD_FILTER)
        self.lists(f"{YEARS}/AccountingYears", BOOKKEEPING, self._years, YEAR_FILTER)
        self.lists(f"{ACCOUNTS}/Accounts", BOOKKEEPING, self._accounts, ACCOUNT_FILTER)
        self.route("POST", f"{ACCOUNTS}/Accounts", BOOKKEEPING, self.add_account)
        self.route("PUT", f"{ACCOUNTS}/Accounts", BOOKKEEPING, self.replace_account)
        self.route("GET", f"{ACCOUNTS}/Accounts/<int:number>", BOOKKEEPING, self.show_account)
        self.lists(f"{DOCUMENTS}/AttachedDocuments", BOOKKEEPING, self._documents, DOCUMENT_FILTER)
        self.route("POST", f"{DOCUMENTS}/AttachedDocuments", BOOKKEEPING, self.attach)
        self._hook_routes()
        ProductsApi(self).routes()

    # -- refusals ------

    def invalid(self, name: str, message: str, code: str = "ValidationError") -> ApiError:
        """400 about one property."""
        return errors.problem(400, "Validation failed", "ValidationError", self.now_text(), [(name, code, message)])

    def conflict(self) -> ApiError:
        """409: the version that was sent is not the one there is."""
        text = "The resource has been updated by another user"
        if self.world.switches.old_conflict_body:
            body = {"message": text, "developerHint": "", "logId": "0", "logTimeUtc": self.now_text()}
            return ApiError(409, {**body, "property": "objectVersion"})
        found = [("objectVersion", "UpdateConflict", text)]
        return errors.problem(409, text, "UpdateConflict", self.now_text(), found)

    def object_sent(self) -> Row:
        """The body, an object without nulls where nothing may be null."""
        sent = self.body()
        if not isinstance(sent, dict):
            raise self.invalid("", "An object is expected.")
        return sent

    # -- journals ------

    def _journal_routes(self) -> None:
        base = f"{JOURNALS}/journals"
        self.route("GET", base, BOOKKEEPING, lambda agreement: self._journal_list(agreement, "cursor"))
        self.route("GET", f"{base}/paged", BOOKKEEPING, lambda agreement: self._journal_list(agreement, "paged"))
        self.route("GET", f"{base}/count", BOOKKEEPING, lambda agreement: self._journal_list(agreement, "count"))
        self.route("POST", base, BOOKKEEPING, self.add_journal)
        self.route("PUT", base, BOOKKEEPING, self.replace_journal)
        self.route("GET", f"{base}/<int:number>", BOOKKEEPING, self.show_journal)
        self.route("DELETE", f"{base}/<int:number>", BOOKKEEPING, self.delete_journal)
        self.route("POST", f"{base}/<int:number>/bookdraftentries", BOOKKEEPING, self.book_draft_entries)
        self.route("POST", f"{base}/<int:number>/book", BOOKKEEPING, self.book_journal)
        self.route("POST", f"{base}/<int:number>/bookWithDateInterval", BOOKKEEPING, self.book_interval)

    def _journal_list(self, agreement: EconomicAgreement, style: str) -> Reply:
        if request.args.get("filter"):
            raise errors.Crash  # seen live: every filter on journals gives 500
        rows = [self._journal(journal) for journal in agreement.journals.values()]
        match style:
            case "cursor":
                return self.cursored(rows, {})
            case "paged":
                return self.paged(rows, {})
        return self.counted(rows, {})

    def _journal(self, journal: Journal) -> Row:
        return {
            "number": journal.number,
            "name": journal.name,
            **journal.flags,
            "nextVoucherNumber": journal.next_voucher,
            "minimumVoucherNumber": journal.minimum,
            "maximumVoucherNumber": journal.maximum,
            "customerContraAccount": journal.customer_contra,
            "allowedEntryType": journal.allowed_type,
            "objectVersion": f"{journal.version:08x}",
        }

    def _checked_journal(self, agreement: EconomicAgreement) -> Row:
        sent = self.object_sent()
        name = sent.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= 50:
            raise self.invalid("name", "The field Name must have between 1 and 50 characters")
        for flag in JOURNAL_FLAGS:
            if not isinstance(sent.get(flag), bool):
                raise self.invalid(flag, f"The {flag} field is required.")
        if sent.get("allowedEntryType") not in (None, 0, 2, 3, 4, 5, 10):
            raise self.invalid("allowedEntryType", "The field AllowedEntryType is not valid.")
        contra = sent.get("customerContraAccount")
        trouble = agreement.account_trouble("customerContraAccount", contra) if contra is not None else None
        if trouble is not None:
            raise self.invalid("customerContraAccount", "The account is not found or barred.")
        return sent

    def add_journal(self, agreement: EconomicAgreement) -> Reply:
        """Create a journal."""
        sent = self._checked_journal(agreement)
        low, high = sent.get("minimumVoucherNumber") or 1, sent.get("maximumVoucherNumber") or 999_999_999
        if not low <= (sent.get("nextVoucherNumber") or low) <= high:
            code = "JournalVoucherNextNumberNotWithinBoundaries"
            raise self.invalid("nextVoucherNumber", "Outside the range.", code)
        return Reply({"number": agreement.add_journal(sent["name"], sent).number}, 201)

    def _need_journal(self, agreement: EconomicAgreement, number: int) -> Journal:
        if number not in agreement.journals:
            title = "The journal does not exist"
            raise errors.problem(404, title, "JournalDoesNotExist", self.now_text())
        return agreement.journals[number]

    def show_journal(self, agreement: EconomicAgreement, number: int) -> Reply:
        """One journal."""
        return Reply(self.trimmed(self._journal(self._need_journal(agreement, number))))

    def replace_journal(self, agreement: EconomicAgreement) -> Reply:
        """Change a journal, if nobody has meanwhile."""
        sent = self._checked_journal(agreement)
        journal = self._need_journal(agreement, int(sent.get("number") or 0))
        if sent.get("objectVersion") != f"{journal.version:08x}":
            raise self.conflict()
        journal.name = sent["name"]
        journal.flags = {flag: sent[flag] for flag in JOURNAL_FLAGS}
        journal.minimum = sent.get("minimumVoucherNumber") or 1
        journal.maximum = sent.get("maximumVoucherNumber")
        journal.next_voucher = sent.get("nextVoucherNumber") or journal.next_voucher
        journal.allowed_type = sent.get("allowedEntryType") or 0
        journal.version += 1
        return Reply(None, 204)

    def delete_journal(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Take an empty journal away."""
        self._need_journal(agreement, number)
        if any(entry.journal == number for entry in agreement.draft_entries.values()):
            raise self.invalid("", "The journal must be empty.", "JournalMustBeEmptyBeforeDeleting")
        del agreement.journals[number]
        return Reply(None, 204)

    # -- draft entries ------

    def _entry_routes(self) -> None:
        base = f"{JOURNALS}/draft-entries"
        self.lists(base, BOOKKEEPING, self._drafts, DRAFT_FILTER)
        self.route("POST", base, BOOKKEEPING, self.add_entry)
        self.route("PUT", base, BOOKKEEPING, self.replace_entry)
        self.route("POST", f"{base}/bulk", BOOKKEEPING, self.add_entries)
        self.route("DELETE", f"{base}/delete/<int:number>", BOOKKEEPING, self.empty_journal)
        self.route("GET", f"{base}/<int:number>", BOOKKEEPING, self.show_entry)
        self.route("DELETE", f"{base}/<int:number>", BOOKKEEPING, self.delete_entry)
        self.lists(f"{BOOKED}/booked-entries", BOOKKEEPING, self._booked, ENTRY_FILTER)
        self.route("POST", f"{BOOKED}/booked-entries/match", BOOKKEEPING, self.match)
        self.route("GET", f"{BOOKED}/booked-entries/matched-pairs", BOOKKEEPING, self.matched_pairs)

    def _drafts(self, agreement: EconomicAgreement) -> list[Row]:
        return [self._draft(entry) for entry in agreement.draft_entries.values()]

    def _draft(self, entry: DraftEntry) -> Row:
        return {
            "entryNumber": entry.number,
            "entryTypeNumber": entry.type,
            "voucherNumber": entry.voucher,
            "journalNumber": entry.journal,
            "date": instant(entry.date),
            "accountNumber": entry.account,
            "vatCode": entry.vat_code or None,
            "amount": entry.amount,
            "currency": entry.currency,
            "exchangeRate": entry.rate,
            "contraAccountNumber": entry.contra,
            "contraVatCode": entry.contra_vat_code or None,
            "text": entry.text or None,
            "customerNumber": entry.customer,
            "customerInvoiceNumber": entry.invoice or None,
            "dueDate": instant(entry.due_date) if entry.due_date else None,
            "objectVersion": f"{entry.version:08x}",
        }

    def _read(
        self, agreement: EconomicAgreement, sent: Any, where: str
    ) -> tuple[DraftEntry, list[tuple[str, Trouble]]]:
        """An entry out of JSON, and what is wrong with it."""
        if not isinstance(sent, Mapping):
            raise self.invalid(where, "An object is expected.")
        for name in ("entryTypeNumber", "journalNumber", "date", "amount", "currency"):
            if sent.get(name) is None:
                raise self.invalid(f"{where}{name}", f"The {name} field is required.")
        day = _day(sent["date"])
        if day is None or sent["entryTypeNumber"] not in (2, 3, 4, 5, 10):
            raise self.invalid(where, "The date or the entry type is not valid.")
        if sent["journalNumber"] not in agreement.journals:
            raise self.invalid(f"{where}journalNumber", "The journal does not exist", "JournalDoesNotExist")
        entry = self._entry_of(sent, day)
        troubles = [(where, trouble) for trouble in agreement.entry_troubles(entry)]
        if not entry.voucher and agreement.range_is_used_up(entry.journal):
            raise self.invalid(
                f"{where}voucherNumber", "The range is used up.", "JournalVoucherNextNumberNotWithinBoundaries"
            )
        return entry, troubles

    def _entry_of(self, sent: Mapping[str, Any], day: date) -> DraftEntry:
        for name in ("amount", "exchangeRate"):
            value = sent.get(name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, Decimal))):
                raise self.invalid(name, "A number is expected.")
        invoice = sent.get("customerInvoiceNumber")
        if invoice is not None and not isinstance(invoice, str):
            raise self.invalid("customerInvoiceNumber", "A text is expected.")
        rate = sent.get("exchangeRate")
        # A customer payment's account comes from the customer's group; what is sent is ignored.
        account = None if sent["entryTypeNumber"] == 2 and sent.get("customerNumber") else sent.get("accountNumber")
        return DraftEntry(
            0,
            sent["journalNumber"],
            sent.get("voucherNumber") or 0,
            sent["entryTypeNumber"],
            day,
            account,
            Decimal(sent["amount"]),
            str(sent["currency"]),
            None if rate is None else Decimal(rate),
            sent.get("contraAccountNumber"),
            str(sent.get("vatCode") or ""),
            str(sent.get("contraVatCode") or ""),
            str(sent.get("text") or ""),
            sent.get("customerNumber"),
            invoice or "",
            _day(sent.get("dueDate")),
            True,
        )

    def add_entry(self, agreement: EconomicAgreement) -> Reply:
        """Put one entry into a journal."""
        entry, troubles = self._read(agreement, self.object_sent(), "")
        if troubles:
            raise errors.service_troubles(troubles, self.now_text())
        return Reply({"entryNumber": agreement.keep_entries([entry], share=True)[0].number}, 201)

    def add_entries(self, agreement: EconomicAgreement) -> Reply:
        """Put up to 500 entries into journals, all or none."""
        sent = self.object_sent().get("entries")
        if not isinstance(sent, list) or not sent:
            raise self.invalid("entries", "The list is empty.", "OneAPIEntriesListCannotBeEmpty")
        if len(sent) > MOST_ENTRIES:
            raise self.invalid("entries", "At most 500 entries.", "OneAPITooManyEntries")
        entries, troubles = [], []
        for index, item in enumerate(sent):
            entry, found = self._read(agreement, item, f"entries[{index}].")
            entries.append(entry)
            troubles.extend(found)
        if troubles:
            raise errors.service_troubles(troubles, self.now_text())
        made = agreement.keep_entries(entries, share=self.world.switches.bulk_shares_voucher_number)
        return Reply({"entryNumbers": [entry.number for entry in made]}, 201)

    def _need_entry(self, agreement: EconomicAgreement, number: int) -> DraftEntry:
        if number not in agreement.draft_entries:
            raise self.not_found()
        return agreement.draft_entries[number]

    def replace_entry(self, agreement: EconomicAgreement) -> Reply:
        """Change an entry, if nobody has meanwhile."""
        sent = self.object_sent()
        old = self._need_entry(agreement, int(sent.get("entryNumber") or 0))
        if sent.get("objectVersion") != f"{old.version:08x}":
            raise self.conflict()
        if not sent.get("voucherNumber"):
            raise self.invalid("voucherNumber", "The voucherNumber field is required.")
        entry, troubles = self._read(agreement, sent, "")
        if entry.journal != old.journal:
            code = "JournalNumberCannotBeChangedOnDraftEntry"
            raise self.invalid("journalNumber", "The journal cannot be changed.", code)
        if troubles:
            raise errors.service_troubles(troubles, self.now_text())
        entry.number, entry.version, entry.approved = old.number, old.version + 1, old.approved
        agreement.draft_entries[old.number] = entry
        return Reply(None, 204)

    def show_entry(self, agreement: EconomicAgreement, number: int) -> Reply:
        """One entry that is not booked."""
        return Reply(self.trimmed(self._draft(self._need_entry(agreement, number))))

    def delete_entry(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Take an entry away."""
        self._need_entry(agreement, number)
        del agreement.draft_entries[number]
        return Reply(None, 204)

    def empty_journal(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Take all entries of a journal away, a person's too."""
        self._need_journal(agreement, number)
        for entry in [entry for entry in agreement.draft_entries.values() if entry.journal == number]:
            del agreement.draft_entries[entry.number]
        return Reply(None, 204)

    # -- booking ------

    def _book(self, agreement: EconomicAgreement, number: int, entries: list[int]) -> Reply:
        if not entries:
            raise self.invalid("entryNumbers", "There is nothing to book.")
        try:
            agreement.book_entries(entries)
        except BookingRefused as refused:
            found = [(f"entryNumbers[{entry}]", _booking_code(kind), kind) for entry, kind in refused.reasons]
            raise errors.problem(400, "Booking failed", "ValidationError", self.now_text(), found) from refused
        self.world.tell(agreement.number, "JOURNAL_BOOKED", number)
        return Reply(None, 204)

    def book_draft_entries(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Book the entries named; no numbers come back."""
        self._need_journal(agreement, number)
        wanted = self.object_sent().get("entryNumbers")
        if not isinstance(wanted, list) or not wanted:
            raise self.invalid("entryNumbers", "The field EntryNumbers must have at least one.")
        for entry in wanted:
            if entry not in agreement.draft_entries or agreement.draft_entries[entry].journal != number:
                raise self.invalid("entryNumbers", f"Entry {entry} does not exist.", "JournalEntryDoesNotExist")
        return self._book(agreement, number, wanted)

    def book_journal(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Book everything in a journal, other people's entries too."""
        self._need_journal(agreement, number)
        return self._book(
            agreement, number, [e.number for e in agreement.draft_entries.values() if e.journal == number]
        )

    def book_interval(self, agreement: EconomicAgreement, number: int) -> Reply:
        """Book what is dated within some days."""
        self._need_journal(agreement, number)
        sent = self.object_sent()
        first, last = _day(sent.get("fromDate")), _day(sent.get("toDate"))
        if first is None or last is None:
            raise self.invalid("fromDate", "Both dates are required.")
        entries = [e for e in agreement.draft_entries.values() if e.journal == number and first <= e.date <= last]
        return self._book(agreement, number, [entry.number for entry in entries])

    # -- booked entries ------

    def _booked(self, agreement: EconomicAgreement) -> list[Row]:
        return [self._booked_row(agreement, entry) for entry in agreement.visible_entries()]

    def _booked_row(self, agreement: EconomicAgreement, entry: Entry) -> Row:
        left = entry.remainder
        return {
            "entryNumber": entry.number,
            "accountNumber": entry.account,
            "amount": agreement.seen_amount(entry, entry.amount),
            "amountInBaseCurrency": agreement.seen_amount(entry, entry.base),
            "currencyCode": entry.currency,
            "date": instant(entry.date),
            "dueDate": instant(entry.due_date) if entry.due_date else None,
            "text": entry.text,
            "type": entry.type,
            "vatAccountNumber": entry.vat_code or None,
            "voucherNumber": entry.voucher,
            "customerNumber": entry.customer,
            "customerInvoiceNumber": entry.invoice if entry.customer is not None else None,
            "remainder": None if left is None else agreement.seen_amount(entry, left),
            "objectVersion": f"{entry.number:08x}",
        }

    def match(self, agreement: EconomicAgreement) -> Reply:
        """Match booked entries of one customer."""
        wanted = self.object_sent().get("entryIds")
        if not isinstance(wanted, list) or not wanted:
            raise self._unmatched("SELECTATLEASTONEENTRY")
        if any(not isinstance(n, int) or not 1 <= n <= len(agreement.entries) for n in wanted):
            raise self._unmatched("ENTRIESNOTFOUND")
        entries = [agreement.entries[number - 1] for number in wanted]
        if not all(is_customer_entry(entry) for entry in entries):
            raise self._unmatched("NO_CUSTOMER_OR_SUPPLIER_ENTRIES")
        if len({(entry.customer, entry.currency) for entry in entries}) != 1:
            raise self._unmatched("NO_MATCHES")
        ups = [entry for entry in entries if (entry.remainder or 0) > 0]
        downs = [entry for entry in entries if (entry.remainder or 0) < 0]
        if not ups or not downs:
            raise self._unmatched("NO_MATCHES")
        latest = max(entry.date for entry in entries)
        trouble = agreement.date_trouble(latest)
        if trouble is not None:
            codes = {"period_barred": "BARREDPERIODS_CUSTOMERS", "no_year": "CLOSED_ACCOUNTING_YEAR"}
            raise self._unmatched(codes.get(trouble.kind, "CLOSEDPERIODS_CUSTOMERS"))
        for down in downs:
            for up in ups:
                younger, older = (down, up) if down.number > up.number else (up, down)
                agreement.match(younger, older)
        return Reply(None, 204)

    def _unmatched(self, reason: str) -> ApiError:
        code = f"ENTRYMATCHING_ERROR_{reason}"
        return self.invalid("entryIds", reason, code)

    def matched_pairs(self, agreement: EconomicAgreement) -> Reply:
        """Which entries were matched with which; full amounts, not the matched part."""
        rows = []
        for younger, older in agreement.pairs:
            source, target = agreement.entries[younger - 1], agreement.entries[older - 1]
            rows.append(
                {
                    "fromEntry": source.number,
                    "fromEntryDate": instant(source.date),
                    "fromEntryAmount": agreement.seen_amount(source, source.amount),
                    "fromEntryAmountDKK": agreement.seen_amount(source, source.base),
                    "toEntry": target.number,
                    "toEntryDate": instant(target.date),
                    "toEntryAmount": target.amount,
                    "toEntryAmountDKK": target.base,
                }
            )
        return self.cursored(rows, {"fromEntry": _ALL, "toEntry": _ALL})

    # -- years, periods, accounts ------

    def _periods(self, agreement: EconomicAgreement) -> list[Row]:
        return [
            {
                "periodNumber": period.number,
                "year": period.year,
                "dateFrom": instant(period.from_date),
                "dateTo": instant(period.to_date),
                "isClosed": period.closed or agreement.years[period.year].closed,
                "isBarred": period.barred,
                "objectVersion": f"{period.number:08x}",
            }
            for period in agreement.periods
        ]

    def _years(self, agreement: EconomicAgreement) -> list[Row]:
        return [
            {
                "year": year.name,
                "dateFrom": instant(year.from_date),
                "dateTo": instant(year.to_date),
                "isClosed": year.closed,
                "objectVersion": f"{year.version:08x}",
            }
            for year in agreement.years.values()
        ]

    def _accounts(self, agreement: EconomicAgreement) -> list[Row]:
        return [self._account(account) for _, account in sorted(agreement.accounts.items())]

    def _account(self, account: Account) -> Row:
        return {
            "number": account.number,
            "name": account.name,
            "isBarred": account.barred,
            "type": ACCOUNT_TYPES.index(account.kind) + 1,
            "isBlockedForDirectEntries": account.blocked,
            "isCredit": account.side == "credit",
            "currency": account.currency or None,
            "vatCode": account.vat_code or None,
            "isDepartmentMandatory": account.needs_department,
            "isUnitMandatory": False,
            "objectVersion": f"{account.version:08x}",
        }

    def show_account(self, agreement: EconomicAgreement, number: int) -> Reply:
        """One account."""
        if number not in agreement.accounts:
            raise self.not_found()
        return Reply(self.trimmed(self._account(agreement.accounts[number])))

    def _checked_account(self, agreement: EconomicAgreement) -> tuple[int, Row]:
        sent = self.object_sent()
        for flag in ("isBarred", "isBlockedForDirectEntries", "isDepartmentMandatory", "isUnitMandatory"):
            if not isinstance(sent.get(flag), bool):
                raise self.invalid(flag, f"The {flag} field is required.")
        number = sent.get("number")
        if not isinstance(number, int) or not 1 <= number <= 999_999_999:
            raise self.invalid("number", "The account number is not valid.", "InvalidAccountId")
        if sent.get("type") not in range(1, 8):
            raise self.invalid("type", "The account type is not valid.", "InvalidAccountType")
        if not isinstance(sent.get("name"), str) or not 1 <= len(sent["name"]) <= 125:
            raise self.invalid("name", "The account name is not valid.", "InvalidAccountName")
        return number, sent

    def add_account(self, agreement: EconomicAgreement) -> Reply:
        """Create an account."""
        number, sent = self._checked_account(agreement)
        if number in agreement.accounts:
            raise self.invalid("number", "The account exists.", "AccountIdAlreadyInUse")
        agreement.accounts[number] = self._account_of(number, sent)
        return Reply({"number": number}, 201)

    def replace_account(self, agreement: EconomicAgreement) -> Reply:
        """Change an account, if nobody has meanwhile."""
        number, sent = self._checked_account(agreement)
        old = agreement.accounts.get(number)
        if old is None:
            raise errors.problem(404, "The account does not exist", "AccountDoesNotExist", self.now_text())
        if sent.get("objectVersion") != f"{old.version:08x}":
            raise self.conflict()
        account = self._account_of(number, sent)
        account.version = old.version + 1
        agreement.accounts[number] = account
        return Reply(None, 204)

    def _account_of(self, number: int, sent: Row) -> Account:
        return Account(
            number,
            sent["name"],
            ACCOUNT_TYPES[sent["type"] - 1],
            "credit" if sent.get("isCredit") else "debit",
            sent.get("vatCode") or "",
            sent["isBarred"],
            sent["isBlockedForDirectEntries"],
            sent.get("currency") or "",
        )

    # -- documents ------

    def _documents(self, agreement: EconomicAgreement) -> list[Row]:
        return [
            {
                "number": file.number,
                "note": file.note,
                "pageCount": 1,
                "voucherNumber": file.voucher,
                "accountingYear": file.year,
            }
            for file in agreement.files.values()
        ]

    def attach(self, agreement: EconomicAgreement) -> Reply:
        """A file at a booked voucher."""
        form = {name.lower(): value for name, value in request.form.items()}
        file = next((item for name, item in request.files.items() if name.lower() == "file"), None)
        year, text = form.get("accountingyear", ""), form.get("vouchernumber", "")
        content = file.read() if file is not None else b""
        if year not in agreement.years:
            raise self.invalid("accountingYear", "The accounting year was not found.", "AccountingYearNotFound")
        if not text.isdigit() or not any((e.year, e.voucher) == (year, int(text)) for e in agreement.entries):
            raise self.invalid("voucherNumber", "The voucher number is not valid.", "InvalidVoucherNumber")
        if file is None or not content.startswith((b"%PDF", b"\xff\xd8", b"\x89PNG")) or len(content) > LARGEST_FILE:
            raise self.invalid("file", "The file cannot be used.", "InvalidFileData")
        if agreement.file_at(year, int(text)) is not None:
            code = "DocumentAlreadyAttachedToVoucher"
            raise self.invalid("voucherNumber", "A document is already attached.", code)
        note = form.get("note", "")[:250]
        made = agreement.attach(year, int(text), file.filename or "", content, note, booked=True)
        return Reply({"number": made.number}, 201)

    # -- webhooks ------

    def _hook_routes(self) -> None:
        roles = "SuperUser"
        self.route("GET", f"{WEBHOOKS}/EventTypes", roles, self.event_types)
        self.lists(f"{WEBHOOKS}/webhooks", roles, self._hooks, HOOK_FILTER)
        self.route("POST", f"{WEBHOOKS}/webhooks", roles, self.add_hook)
        self.route("PUT", f"{WEBHOOKS}/webhooks", roles, self.replace_hook)
        self.route("GET", f"{WEBHOOKS}/webhooks/<event>", roles, self.show_hook)
        self.route("DELETE", f"{WEBHOOKS}/webhooks/<event>", roles, self.delete_hook)

    def event_types(self, agreement: EconomicAgreement) -> Reply:
        """What can be told."""
        rows = [
            {
                "name": name,
                "description": description,
                "mergeFields": [{"fieldName": mark, "description": description}],
            }
            for name, (description, mark) in EVENTS.items()
        ]
        return Reply(rows)

    def _hooks(self, agreement: EconomicAgreement) -> list[Row]:
        return [self._hook(hook) for (number, _), hook in self.world.hooks.items() if number == agreement.number]

    def _hook(self, hook: Hook) -> Row:
        return {"isDisabled": False, **hook.values, "objectVersion": f"{hook.version:08x}"}

    def _checked_hook(self) -> Row:
        sent = self.object_sent()
        if sent.get("eventType") not in EVENTS:
            raise self.invalid("eventType", "The event type is not valid.", "WebhookInvalidType")
        url = str(sent.get("url", ""))
        if len(url) > 1000 or "://" not in url:
            raise self.invalid("url", "The address is not valid.", "WebhookInvalidUrl")
        if not url.startswith("https://") and not (self.world.allow_http_hooks and url.startswith("http://")):
            raise self.invalid("url", "Only https is allowed.", "WebhookInvalidUrlScheme")
        if not sent.get("name") or not sent.get("contentType"):
            raise self.invalid("name", "The name and contentType fields are required.")
        own = sent.get("customHeaders") or []
        if len(own) > 5:
            raise self.invalid("customHeaders", "At most five.", "WebhookCustomHeadersTooMany")
        if len(json.dumps(own, default=str)) > 1000:
            raise self.invalid("customHeaders", "Too long.", "WebhookCustomHeadersTooLong")
        return {name: value for name, value in sent.items() if name != "objectVersion"}

    def add_hook(self, agreement: EconomicAgreement) -> Reply:
        """Register a webhook, one for each event type."""
        sent = self._checked_hook()
        key = agreement.number, sent["eventType"]
        if key in self.world.hooks:
            raise self.invalid("eventType", "There is one already.", "WebhookAlreadyExistsForEventType")
        self.world.hooks[key] = Hook(sent)
        return Reply({"eventType": sent["eventType"]}, 201)

    def replace_hook(self, agreement: EconomicAgreement) -> Reply:
        """Change a webhook."""
        version = self.object_sent().get("objectVersion")
        sent = self._checked_hook()
        old = self.world.hooks.get((agreement.number, sent["eventType"]))
        if old is None:
            raise self.not_found()
        if version != f"{old.version:08x}":
            raise self.conflict()
        self.world.hooks[agreement.number, sent["eventType"]] = Hook(sent, old.version + 1)
        return Reply(None, 204)

    def show_hook(self, agreement: EconomicAgreement, event: str) -> Reply:
        """One webhook."""
        hook = self.world.hooks.get((agreement.number, event))
        if hook is None:
            raise self.not_found()
        return Reply(self.trimmed(self._hook(hook)))

    def delete_hook(self, agreement: EconomicAgreement, event: str) -> Reply:
        """Take a webhook away."""
        if self.world.hooks.pop((agreement.number, event), None) is None:
            raise self.not_found()
        return Reply(None, 204)


def _booking_code(kind: str) -> str:
    match kind:
        case "not_balanced":
            return errors.NOT_BALANCED
        case "not_approved":
            return errors.NOT_APPROVED
    return errors.service_code(Trouble("", kind))
