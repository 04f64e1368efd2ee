"""Refusals of the simulated e-conomic in both hosts' shapes, with the old host's localised messages."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_logs = itertools.count(1)
_HINT = (
    "The API tries to provide all the resource urls you need. If you have hard coded urls yourself, then try to look"
    " at the enclosing collection for hypermedia information on where the resource you are looking for could be."
)
NOT_BALANCED = "SandboxVoucherDoesNotBalance"
NOT_APPROVED = "SandboxEntryIsNotApproved"
"""Marked codes: which codes the real service gives for these is not known."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong with something sent, before it is put into a host's words."""

    property: str
    kind: str
    value: Any = None


_KINDS: Mapping[str, tuple[str, str, str, str]] = {
    # kind: legacy code, English, Danish, service code
    "account_missing": ("E07150", "Account '{}' not found.", "Konto '{}' findes ikke.", "AccountNotFound"),
    "account_barred": (
        "E04041",
        "Account(s) is not found or barred.",
        "Kontoen er spærret eller findes ikke.",
        "AccountNotAccessible",
    ),
    "account_blocked": (
        "E04041",
        "The account is blocked for direct entries.",
        "Kontoen er spærret for direkte posteringer.",
        "AccountIsBlockedForDirectEntries",
    ),
    "account_kind": ("E04041", "Wrong type of account.", "Forkert kontotype.", "WrongAccountType"),
    "neither_account": (
        "E04041",
        "Neither the account nor the contra account is set.",
        "Konto eller modkonto mangler.",
        "AccountAndContraAccountNotSet",
    ),
    "customer_missing": ("E06000", "Customer does not exist.", "Kunden findes ikke.", "CustomerNotFound"),
    "customer_unset": ("E04041", "A customer is needed.", "Kunden mangler.", "CustomerAndAccountNotSet"),
    "invoice_text": ("E04041", "The invoice number is not numeric.", "Fakturanummeret er ikke et tal.", ""),
    "no_year": (
        "E04041",
        "The accounting year does not exist.",
        "Regnskabsåret findes ikke.",
        "DateAccountingYearDoesNotExist",
    ),
    "year_closed": (
        "E04041",
        "The accounting year is closed.",
        "Regnskabsåret er afsluttet.",
        "DateAccountingYearClosed",
    ),
    "period_barred": ("E04041", "The period is barred.", "Perioden er spærret.", "DateAccountingYearPeriodBarred"),
    "currency_missing": ("E06000", "Currency does not exist.", "Valutaen findes ikke.", "CurrencyNotFound"),
    "rate_not_hundred": (
        "E04041",
        "The exchange rate must be 100 for the base currency.",
        "Kursen skal være 100.",
        "ExchangeRateMustBeOneHundredForBaseCurrency",
    ),
    "rate_decimals": (
        "E04740",
        "Too many decimals in the exchange rate.",
        "For mange decimaler i kursen.",
        "ExchangeRateScalePrecisionError",
    ),
    "rate_wrong": ("E04041", "The exchange rate is wrong.", "Kursen er forkert.", "ExchangeRateError"),
    "text_long": ("E04010", "The text is too long.", "Teksten er for lang.", "TextTooLong"),
    "type_wrong": ("E04041", "The entry type is not correct.", "Posttypen er forkert.", "TypeNotCorrect"),
    "voucher_bounds": (
        "E04041",
        "The voucher number is outside the journal's range.",
        "Bilagsnummeret er uden for kassekladdens interval.",
        "VoucherNumberNotWithinBoundaries",
    ),
    "amount_decimals": ("E04740", "More than 2 decimals.", "Mere end 2 decimaler.", "AmountExceedsDigitLimit"),
    "vat_missing": ("E06000", "VatAccount does not exist.", "Momskoden findes ikke.", "WrongAccountType"),
    "due_date_unset": ("E04042", "dueDate is missing a value", "dueDate mangler en værdi", "DueDateNotSet"),
}


def service_code(trouble: Trouble) -> str:
    """The journals service's code for a trouble; a contra account's has its own."""
    if trouble.kind == "invoice_text":
        return "Customer_Invoice_Is_Not_Numeric"
    if trouble.kind == "journal_missing":
        return "JournalDoesNotExist"
    stem = _KINDS[trouble.kind][3]
    if trouble.property == "contraAccountNumber" and stem.startswith("Account") and "And" not in stem:
        return f"JournalEntryContra{stem}"
    return f"JournalEntry{stem}"


def legacy_error(trouble: Trouble, language: str, name: str | None = None) -> dict[str, Any]:
    """One entry of an `errors` list on the old host, in the granting user's language."""
    code, english, danish, _ = _KINDS[trouble.kind]
    message = (english if language == "en" else danish).format(trouble.value)
    return {
        "propertyName": name or trouble.property,
        "errorMessage": message,
        "errorCode": code,
        "inputValue": trouble.value,
        "developerHint": "Inspect the value and correct your request.",
    }


class ApiError(Exception):
    """A refusal that already has its body."""

    def __init__(self, status: int, body: Any, content_type: str = "application/json; charset=utf-8") -> None:
        super().__init__(f"{status}")
        self.status = status
        self.body = body
        self.content_type = content_type


class Unauthorized(Exception):
    """A token that is missing, unknown or withdrawn; the host decides on the shape. `mismatch`: not of this app."""

    def __init__(self, mismatch: bool = False) -> None:
        super().__init__("not authorised")
        self.mismatch = mismatch


class Crash(Exception):
    """The service falls over with a bare 500, as it is known to on some questions."""


def _legacy_frame(message: str, status: int, at: str, **more: Any) -> dict[str, Any]:
    return {
        "message": message,
        **more,
        "logId": f"{next(_logs):016x}-CPH",
        "httpStatusCode": status,
        "logTime": at,
    }


def legacy(message: str, status: int, at: str, **more: Any) -> ApiError:
    """A refusal of the old host with further fields before the log's."""
    return ApiError(status, _legacy_frame(message, status, at, **more))


def legacy_not_found(at: str, *, code: str = "") -> ApiError:
    """404 of the old host; only a DELETE has a code."""
    more = {"errorCode": code} if code else {}
    return legacy("Resource not found.", 404, at, **more, developerHint=_HINT)


def validation(errors: Any, count: int, at: str) -> ApiError:
    """The old host's wrapper round what is wrong with something sent."""
    body = {
        "message": f"Validation failed. {count} error{'s' if count != 1 else ''} found.",
        "errorCode": "E04300",
        "developerHint": "Inspect validation errors and correct your request.",
        "logId": f"{next(_logs):032x}",
        "httpStatusCode": 400,
        "errors": errors,
        "logTime": at,
        "errorCount": count,
    }
    return ApiError(400, body)


def bad_filter(errors: Sequence[str], allowed: Sequence[str], at: str, what: str = "filter") -> ApiError:
    """The old host cannot read a filter or a sort order."""
    body = {
        "message": f"Could not parse query string {what}.",
        "developerHint": "See the documentation on filtering.",
        "logId": f"{next(_logs):016x}-CPH",
        "httpStatusCode": 400,
        "errors": list(errors),
        "allowedFilteringFields": list(allowed),
        "logTime": at,
    }
    return ApiError(400, body)


_SECTION = {400: "6.5.1", 401: "3.1", 403: "6.5.3", 404: "6.5.4", 409: "6.5.8", 429: "4"}


def problem(
    status: int, title: str, code: str, at: str, errors: Sequence[tuple[str, str, str]] = (), detail: str | None = None
) -> ApiError:
    """A refusal of a service: problem+json with (property, code, message) of each thing that is wrong."""
    body: dict[str, Any] = {
        "type": f"https://tools.ietf.org/html/rfc7231#section-{_SECTION.get(status, '6.5.1')}",
        "title": title,
        "status": status,
        **({"detail": detail} if detail else {}),
        "errors": [{"property": name, "message": message, "errorCode": each} for name, each, message in errors],
        "traceId": f"00-{next(_logs):032x}-00",
        "errorCode": code,
        "traceTimeUtc": f"{at}Z",
    }
    return ApiError(status, body, "application/problem+json; charset=utf-8")


def service_troubles(troubles: Sequence[tuple[str, Trouble]], at: str) -> ApiError:
    """A service's 400 for troubles, each with the prefix of where it stands (`entries[2].`)."""
    errors = [
        (f"{where}{trouble.property}", service_code(trouble), _english(trouble, service_code(trouble)))
        for where, trouble in troubles
    ]
    return problem(400, "Validation failed", "ValidationError", at, errors)


def _english(trouble: Trouble, code: str) -> str:
    return _KINDS[trouble.kind][1].format(trouble.value) if trouble.kind in _KINDS else code
