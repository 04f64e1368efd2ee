"""An accounting system, played: it keeps double-entry books, refuses what a real one refuses, and tells lists in pages.

Knows nothing of the connector: one misreading of the system's documentation cannot hide in both.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from flask import Response, jsonify, request

from addon.sandbox.clock import Clock
from addon.sandbox.serving import SandboxApp

PAGE: Final = 50
CLAIMS: Final = "1510"
ROUNDING: Final = "3740"
VAT: Final[Mapping[int, str]] = {25: "2611", 12: "2621", 6: "2631"}
CHART: Final = (
    *("1510", "1515", "1516", "1686", "1930", "1940", "2420", "2611", "2614", "2621", "2631", "2641", "2645"),
    *("3001", "3002", "3003", "3004", "3105", "3108", "3305", "3308", "3740", "3960"),
    *("4531", "4535", "4598", "6050", "6351", "6570", "6998", "7960"),
)
Row = dict[str, Any]


class Refused(Exception):
    """A request that the system says no to."""

    def __init__(self, code: str, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass
class LedgerWorld:
    """One company's books. Amounts are decimal texts, as the API tells them; debit is positive."""

    clock: Clock
    key: str = "sandbox_not_real_ledger_key"
    name: str = "Exempelbutiken AB"
    number: str = "556671-8899"
    accrual: bool = True
    locked_through: str | None = None
    accounts: dict[str, Row] = field(default_factory=dict)
    series: dict[str, Row] = field(default_factory=dict)
    customers: dict[str, Row] = field(default_factory=dict)
    invoices: dict[str, Row] = field(default_factory=dict)
    payments: dict[str, Row] = field(default_factory=dict)
    vouchers: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        for number in CHART:
            self.accounts[number] = {"number": number, "name": f"Account {number}", "active": True}
        for code in ("INV", "PAY"):
            self.series[code] = {"code": code, "name": "The system's own", "manual": False}

    # --- What a test asks ---------------------------------------------------------------------------------

    def trial_balance(self) -> dict[str, Decimal]:
        """What stands on each account, and that all of it balances."""
        sums: dict[str, Decimal] = {}
        for voucher in self.vouchers:
            assert sum(Decimal(row["amount"]) for row in voucher["rows"]) == 0, voucher
            for row in voucher["rows"]:
                sums[row["account"]] = sums.get(row["account"], Decimal(0)) + Decimal(row["amount"])
        return {account: amount for account, amount in sums.items() if amount}

    # --- Keeping books ------------------------------------------------------------------------------------

    def _next(self) -> str:
        return str(next(self._numbers))

    def _post(self, series: str, day: str, text: str, rows: Iterable[tuple[str, Decimal]], reference: str = "") -> Row:
        """Write a voucher. Raises `Refused`."""
        kept = [{"account": account, "amount": str(amount)} for account, amount in rows if amount]
        self._open_day(day)
        if sum(Decimal(row["amount"]) for row in kept):
            raise Refused("unbalanced", "Debit and credit differ.")
        for row in kept:
            if not self.accounts.get(row["account"], {}).get("active"):
                raise Refused("account", f"Account {row['account']} is not active.")
        number = sum(one["series"] == series and one["year"] == day[:4] for one in self.vouchers) + 1
        told = {"series": series, "number": number, "year": day[:4], "date": day, "text": text, "rows": kept}
        self.vouchers.append({**told, "reference": reference})
        return self.vouchers[-1]

    def _open_day(self, day: str) -> None:
        if self.locked_through is not None and day <= self.locked_through:
            raise Refused("locked", f"The books are locked through {self.locked_through}.")

    def make_customer(self, given: Row) -> Row:
        """Add a customer."""
        number = self._next()
        told = {name: str(given.get(name) or "") for name in ("name", "email", "organisation_number")}
        self.customers[number] = {"number": number, **told}
        return self.customers[number]

    def make_invoice(self, given: Row, credit_of: str = "") -> Row:
        """Make a draft. VAT is inside the gross of each row, rounded there. Raises `Refused`."""
        if given["customer"] not in self.customers:
            raise Refused("customer", "There is no such customer.")
        vat = Decimal(0)
        for row in given["rows"]:
            percent = int(row["vat_percent"])
            if percent and percent not in VAT:
                raise Refused("vat", f"There is no VAT of {percent} %.")
            row["vat"] = str(_cents(Decimal(row["gross"]) * percent / (100 + percent)))
            vat += Decimal(row["vat"])
        total = sum((Decimal(row["gross"]) for row in given["rows"]), Decimal(0))
        number = self._next()
        told = {name: given.get(name, "") for name in ("customer", "date", "reference", "order_number", "text", "rows")}
        self.invoices[number] = {
            **told,
            **{"number": number, "total": str(total), "vat": str(vat), "open": str(total), "booked": False},
            **{"voucher": "", "credit_of": credit_of, "credited_by": ""},
        }
        return self._touched(self.invoices[number])

    def _touched(self, invoice: Row) -> Row:
        invoice["changed_at"] = self.clock.now().isoformat()
        return invoice

    def book_invoice(self, number: str) -> Row:
        """Book a draft. Raises `Refused`."""
        invoice = self._invoice(number)
        if invoice["booked"]:
            raise Refused("already_booked", "The invoice is booked.", 409)
        rows = [(CLAIMS, Decimal(invoice["total"]))]
        for row in invoice["rows"]:
            vat = Decimal(row["vat"])
            rows += [(row["account"], vat - Decimal(row["gross"])), (VAT.get(int(row["vat_percent"]), ROUNDING), -vat)]
        voucher = self._post("INV", invoice["date"], f"Invoice {number}", rows)
        invoice.update(booked=True, voucher=_reference(voucher))
        return self._touched(invoice)

    def credit_invoice(self, number: str) -> Row:
        """Make the draft of a whole credit note. Raises `Refused`."""
        invoice = self._invoice(number)
        if not invoice["booked"]:
            raise Refused("not_booked", "A draft is not credited.", 409)
        if invoice["credited_by"]:
            raise Refused("already_credited", "The invoice is credited.", 409)
        rows = [{**row, "gross": str(-Decimal(row["gross"]))} for row in invoice["rows"]]
        note = self.make_invoice({**invoice, "rows": rows, "reference": "", "order_number": ""}, credit_of=number)
        invoice["credited_by"] = note["number"]
        return note

    def make_payment(self, given: Row) -> Row:
        """Make an unbooked payment of a booked invoice. Raises `Refused`."""
        invoice = self._invoice(given["invoice"])
        if not invoice["booked"]:
            raise Refused("not_booked", "A draft is not paid.", 409)
        closes = Decimal(given["amount"]) + Decimal(given.get("write_off") or "0")
        if abs(closes) > abs(Decimal(invoice["open"])) or closes * Decimal(invoice["open"]) < 0:
            raise Refused("overpaid", "More than is open.", 409)
        number = self._next()
        told = {name: given.get(name) or "" for name in ("invoice", "amount", "date", "account", "reference")}
        off = {name: given.get(name) or "" for name in ("write_off", "write_off_account")}
        self.payments[number] = {**told, **off, "number": number, "booked": False, "voucher": ""}
        return self.payments[number]

    def book_payment(self, number: str) -> Row:
        """Book a payment. Raises `Refused`."""
        payment = self._payment(number)
        if payment["booked"]:
            raise Refused("already_booked", "The payment is booked.", 409)
        invoice = self._invoice(payment["invoice"])
        amount, off = Decimal(payment["amount"]), Decimal(payment["write_off"] or "0")
        rows = [(payment["account"], amount), (CLAIMS, -amount - off), (payment["write_off_account"] or ROUNDING, off)]
        voucher = self._post("PAY", payment["date"], f"Payment of invoice {invoice['number']}", rows)
        payment.update(booked=True, voucher=_reference(voucher))
        invoice["open"] = str(Decimal(invoice["open"]) - amount - off)
        self._touched(invoice)
        return payment

    def make_voucher(self, given: Row) -> Row:
        """Write a voucher into a manual series. Raises `Refused`."""
        if not self.series.get(given["series"], {}).get("manual"):
            raise Refused("series", "No vouchers are written into this series.")
        rows = [(row["account"], Decimal(row["amount"])) for row in given["rows"]]
        return self._post(given["series"], given["date"], given["text"], rows, given["reference"])

    def _invoice(self, number: str) -> Row:
        if number not in self.invoices:
            raise Refused("not_there", "There is no such invoice.", 404)
        return self.invoices[number]

    def _payment(self, number: str) -> Row:
        if number not in self.payments:
            raise Refused("not_there", "There is no such payment.", 404)
        return self.payments[number]

    def _drop(self, rows: dict[str, Row], number: str) -> None:
        if number in rows and rows[number]["booked"]:
            raise Refused("already_booked", "What is booked stays.", 409)
        if rows.pop(number, None) is None:
            raise Refused("not_there", "It is not there.", 404)

    # --- Lists --------------------------------------------------------------------------------------------

    def _invoices(self, asked: Mapping[str, str]) -> list[Row]:
        tests: dict[str, Callable[[Row, str], bool]] = {
            "reference": lambda row, text: row["reference"] == text,
            "reference_begins": lambda row, text: row["reference"].startswith(text),
            "order_number": lambda row, text: row["order_number"] == text,
            "open": lambda row, _: row["booked"] and Decimal(row["open"]) != 0,
            "from": lambda row, day: row["date"] >= day,
            "through": lambda row, day: row["date"] <= day,
            "changed_since": lambda row, at: row["changed_at"] >= at,
        }
        chosen = [(tests[name], text) for name, text in asked.items() if name in tests]
        return [row for row in self.invoices.values() if all(fits(row, text) for fits, text in chosen)]

    def _entries(self, asked: Mapping[str, str]) -> list[Row]:
        accounts, vouchers = (set(filter(None, asked.get(name, "").split(","))) for name in ("accounts", "vouchers"))
        found = []
        for voucher in self.vouchers:
            if voucher["year"] != asked["year"] or (vouchers and _reference(voucher) not in vouchers):
                continue
            about = {"voucher": _reference(voucher), "date": voucher["date"], "text": voucher["text"]}
            found += [{**about, **row} for row in voucher["rows"] if not accounts or row["account"] in accounts]
        return found

    def _opening(self, year: str, account: str) -> str:
        rows = [row for one in self.vouchers if one["year"] < year for row in one["rows"] if row["account"] == account]
        return str(sum((Decimal(row["amount"]) for row in rows), Decimal(0)))

    # --- The API ------------------------------------------------------------------------------------------

    def app(self) -> SandboxApp:
        """Its API: one key, JSON, and a page of `PAGE` rows at a time."""
        app = SandboxApp("ledger")

        @app.before_request
        def let_in() -> tuple[Response, int] | None:
            if request.headers.get("Authorization") != f"Bearer {self.key}":
                return jsonify(code="unauthorised", message="Unknown key."), 401
            return None

        @app.errorhandler(Refused)
        def refused(error: Refused) -> tuple[Response, int]:
            return jsonify(code=error.code, message=error.message), error.status

        def paged(rows: Iterable[Row]) -> Response:
            start, every = int(request.args.get("page", "0")) * PAGE, list(rows)
            more = start + PAGE < len(every)
            return jsonify(rows=every[start : start + PAGE], next=start // PAGE + 1 if more else None)

        def given() -> Row:
            body = request.get_json()
            assert isinstance(body, dict)
            return body

        @app.get("/company")
        def company() -> Response:
            today = self.clock.now().date()
            years = [
                {"id": str(year), "from": f"{year}-01-01", "to": f"{year}-12-31", "accrual": self.accrual}
                for year in (today.year - 1, today.year)
            ]
            about = {"id": self.number.replace("-", ""), "name": self.name, "number": self.number}
            return jsonify(
                **about, country="SE", currency="SEK", years=years, locked_through=self.locked_through, claims=CLAIMS
            )

        @app.get("/accounts")
        def accounts() -> Response:
            return paged(self.accounts.values())

        @app.put("/accounts/<number>")
        def account(number: str) -> Response:
            self.accounts[number] = {"number": number, **self.accounts.get(number, {}), **given()}
            return jsonify(self.accounts[number])

        @app.get("/series")
        def series() -> Response:
            return paged(self.series.values())

        @app.put("/series/<code>")
        def one_series(code: str) -> Response:
            self.series[code] = {"code": code, "manual": True, **given()}
            return jsonify(self.series[code])

        @app.get("/customers")
        def customers() -> Response:
            asked = {name: text for name, text in request.args.items() if name != "page"}
            return paged(row for row in self.customers.values() if all(row[name] == asked[name] for name in asked))

        @app.post("/customers")
        def new_customer() -> Response:
            return jsonify(self.make_customer(given()))

        @app.put("/customers/<number>")
        def customer(number: str) -> Response:
            self.customers[number].update(given())
            return jsonify(self.customers[number])

        @app.get("/invoices")
        def invoices() -> Response:
            return paged(self._invoices(request.args))

        @app.get("/invoices/<number>")
        def invoice(number: str) -> Response:
            return jsonify(self._invoice(number))

        @app.post("/invoices")
        def new_invoice() -> Response:
            return jsonify(self.make_invoice(given()))

        @app.put("/invoices/<number>")
        def change_invoice(number: str) -> Response:
            found = self._invoice(number)
            if found["booked"]:
                raise Refused("already_booked", "What is booked stays.", 409)
            found.update({name: text for name, text in given().items() if name in ("date", "reference", "text")})
            return jsonify(self._touched(found))

        @app.delete("/invoices/<number>")
        def drop_invoice(number: str) -> tuple[str, int]:
            self._drop(self.invoices, number)
            return "", 204

        @app.post("/invoices/<number>/book")
        def book_invoice(number: str) -> Response:
            return jsonify(self.book_invoice(number))

        @app.post("/invoices/<number>/credit")
        def credit_invoice(number: str) -> Response:
            return jsonify(self.credit_invoice(number))

        @app.get("/payments")
        def payments() -> Response:
            return paged(row for row in self.payments.values() if row["invoice"] == request.args["invoice"])

        @app.get("/payments/<number>")
        def payment(number: str) -> Response:
            return jsonify(self._payment(number))

        @app.post("/payments")
        def new_payment() -> Response:
            return jsonify(self.make_payment(given()))

        @app.delete("/payments/<number>")
        def drop_payment(number: str) -> tuple[str, int]:
            self._drop(self.payments, number)
            return "", 204

        @app.post("/payments/<number>/book")
        def book_payment(number: str) -> Response:
            return jsonify(self.book_payment(number))

        @app.get("/vouchers")
        def vouchers() -> Response:
            wanted = (request.args["series"], request.args["year"])
            return paged(row for row in self.vouchers if (row["series"], row["year"]) == wanted)

        @app.post("/vouchers")
        def new_voucher() -> Response:
            return jsonify(self.make_voucher(given()))

        @app.get("/entries")
        def entries() -> Response:
            return paged(self._entries(request.args))

        @app.get("/openings")
        def openings() -> Response:
            accounts = request.args["accounts"].split(",")
            return jsonify({account: self._opening(request.args["year"], account) for account in accounts})

        return app


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))


def _reference(voucher: Row) -> str:
    return f"{voucher['series']}/{voucher['number']}/{voucher['year']}"
