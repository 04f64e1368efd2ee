"""Refusals of the simulated Fortnox: the codes that are known, and marked ones (29xxxxx) for those that are not.

Known codes come from Fortnox's own list, recorded answers and integrators' code. Where no source tells the
code, ours starts with 29, which the real service does not use, so that nothing can come to rely on it.
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A refusal that is answered as `ErrorInformation`; 404 with upper-case keys, all else with lower-case ones."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(f"{status} {code} {message}")
        self.code = code
        self.message = message
        self.status = status

    def body(self) -> dict[str, Any]:
        """The answer's body in the recorded shape."""
        if self.status == 404:
            return {"ErrorInformation": {"Error": 1, "Message": self.message, "Code": self.code}}
        return {"ErrorInformation": {"error": 1, "message": self.message, "code": self.code}}


class Unauthorized(Exception):
    """An expired or unknown access token: 401 with only `{"message": "unauthorized"}`."""


def not_found(code: int, message: str) -> ApiError:
    """A look-up that missed."""
    return ApiError(code, message, 404)


# Marked codes: the real ones are not known (see the module's text).
VOUCHER_UNBALANCED = 2900001
NO_FINANCIAL_YEAR = 2900002
VOUCHER_TOO_FEW_ROWS = 2900003
INVOICE_ALREADY_BOOKED = 2900004
INVOICE_IS_BOOKED = 2900005
INVOICE_CANNOT_BE_CANCELLED = 2900006
INVOICE_CANNOT_BE_CREDITED = 2900007
INVOICE_ALREADY_CREDITED = 2900008
PAYMENT_ON_UNBOOKED_INVOICE = 2900009
PAYMENT_ABOVE_BALANCE = 2900010
CASH_METHOD_INVOICE = 2900011
PAYMENT_IS_BOOKED = 2900012
SERIES_NOT_MANUAL = 2900013
SERIES_UNKNOWN = 2900014
PROJECT_MANDATORY = 2900015
VAT_UNKNOWN = 2900016
PREDEFINED_MISSING = 2900017
OUTSIDE_INVOICE_YEAR = 2900018
DATE_INVALID = 2900019
MODE_OF_PAYMENT_UNKNOWN = 2900020
INVOICE_IS_CANCELLED = 2900021
INVOICE_NOT_COMPLETED = 2900022
VOUCHER_ROW_INVALID = 2900023
PAYMENT_WITHOUT_ACCOUNT = 2900025
PAYMENT_OF_NOTHING = 2900026
CUSTOMER_IN_USE = 2900027
ALREADY_EXISTS = 2900028
PAYMENT_AMOUNTS_DISAGREE = 2900029
TOO_MANY_ROWS = 2900030
CHOICE_INVALID = 2900031
VOUCHER_NOT_LAST = 2900032
CURRENCY_AUTOMATIC = 2900033
VOUCHER_NOT_FOUND = 2900034
SERIES_NOT_FOUND = 2900035
YEAR_NOT_FOUND = 2900036
PAYMENT_NOT_FOUND = 2900037
MODE_NOT_FOUND = 2900038
FIELD_MISSING = 2900039
COST_CENTER_NOT_FOUND = 2900040
TRANSACTION_TEXT_MANDATORY = 2900041
CUSTOMER_INACTIVE = 2900042
ORDER_IS_CLOSED = 2900043
