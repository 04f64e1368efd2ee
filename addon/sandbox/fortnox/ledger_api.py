"""Years, accounts, series, vouchers and SIE, over the interface."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import request

from addon.sandbox.fortnox import fields, render
from addon.sandbox.fortnox.books import Account, FinancialYear, Series, VoucherRow
from addon.sandbox.fortnox.company import FortnoxCompany
from addon.sandbox.fortnox.errors import (
    ALREADY_EXISTS,
    FIELD_MISSING,
    SERIES_NOT_FOUND,
    VOUCHER_NOT_FOUND,
    VOUCHER_NOT_LAST,
    YEAR_NOT_FOUND,
    ApiError,
    not_found,
)
from addon.sandbox.fortnox.fields import BLANK
from addon.sandbox.fortnox.frame import GENERAL, Frame, Reply, without_blanks
from addon.sandbox.fortnox.sie import sie_file
from addon.sandbox.fortnox.wire import ZERO


class LedgerInterface(Frame):
    """financialyears, accounts, voucherseries, predefined series and accounts, vouchers, sie."""

    # -- financial years ------

    def year_routes(self) -> None:
        """financialyears, accountcharts, sie."""
        self.route("GET", "/3/financialyears", "bookkeeping", self.list_years)
        self.route("POST", "/3/financialyears", "bookkeeping", self.create_year)
        self.route("GET", "/3/financialyears/<int:number>", "bookkeeping", self.get_year)
        self.route("GET", "/3/accountcharts", "bookkeeping", self.list_charts)
        self.route("GET", "/3/sie/<int:sie_type>", "bookkeeping", self.get_sie)

    def list_years(self, company: FortnoxCompany) -> Reply:
        """GET financialyears, with `Date` (in any case) the year that holds it."""
        parameters = {("date" if n.lower() == "date" else n): v for n, v in request.args.items()}
        for name in parameters:
            if name != "date" and name not in GENERAL:
                raise ApiError(2000588, "Ogiltig parameter i anropet.")
        on = self.day(parameters, "date")
        years = [y for y in company.years.values() if on is None or y.from_date <= on <= y.to_date]
        years = self.ordered(years, {"id": lambda y: y.id, "fromdate": lambda y: y.from_date}, parameters)
        url = self.url()
        return self.page("FinancialYears", years, lambda y: render.financial_year(url, y), parameters)

    def create_year(self, company: FortnoxCompany) -> Reply:
        """POST financialyears."""
        sent = self.sent("FinancialYear", fields.FINANCIAL_YEAR)
        if "FromDate" not in sent or "ToDate" not in sent:
            raise ApiError(FIELD_MISSING, "Datum måste anges.")
        try:
            year = company.add_financial_year(sent["FromDate"], sent["ToDate"], sent.get("AccountingMethod"))
        except ValueError as error:
            raise ApiError(ALREADY_EXISTS, "Räkenskapsåret överlappar ett annat.") from error
        return Reply({"FinancialYear": render.financial_year(self.url(), year)}, 201, "financialyears")

    def get_year(self, company: FortnoxCompany, number: int) -> Reply:
        """GET financialyears/{Id}."""
        year = company.years.get(number)
        if year is None:
            raise not_found(YEAR_NOT_FOUND, "Kan inte hitta räkenskapsåret.")
        return Reply({"FinancialYear": render.financial_year(self.url(), year)})

    def list_charts(self, company: FortnoxCompany) -> Reply:
        """GET accountcharts."""
        charts = ["Bas 2026", "Bas 2025", "K1 Mini"]
        return self.page("AccountCharts", charts, lambda name: {"Name": name}, self.parameters())

    def get_sie(self, company: FortnoxCompany, sie_type: int) -> Reply:
        """GET sie/{1..4}."""
        if not 1 <= sie_type <= 4:
            raise not_found(2000764, "Ingen sådan SIE-typ")
        parameters = {name.lower(): value for name, value in request.args.items()}
        year = self.year(company, parameters)
        content = sie_file(company, year, sie_type, self.world.clock.now())
        return Reply(raw=content, content_type="text/plain; charset=ibm437")

    # -- accounts ------

    def account_routes(self) -> None:
        """accounts."""
        self.route("GET", "/3/accounts", "bookkeeping", self.list_accounts)
        self.route("POST", "/3/accounts", "bookkeeping", self.create_account)
        self.route("GET", "/3/accounts/<int:number>", "bookkeeping", self.get_account)
        self.route("PUT", "/3/accounts/<int:number>", "bookkeeping", self.update_account)

    def list_accounts(self, company: FortnoxCompany) -> Reply:
        """GET accounts of one year, by number."""
        parameters = self.parameters(["sru"])
        year = self.year(company, parameters)
        accounts = list(company.accounts[year.id].values())
        if "sru" in parameters:
            accounts = [a for a in accounts if str(a.sru) == parameters["sru"]]
        since = self.modified_since(parameters)
        if since is not None:
            accounts = [a for a in accounts if a.modified_at is not None and a.modified_at >= since]
        accounts = self.ordered(accounts, {"number": lambda a: a.number}, parameters)
        url = self.url()
        return self.page("Accounts", accounts, lambda a: render.account_row(url, a, year, company), parameters)

    def _account(self, company: FortnoxCompany, year: FinancialYear, number: int) -> Account:
        account = company.accounts[year.id].get(number)
        if account is None:
            raise not_found(2000423, "Kan inte hitta kontot.")
        return account

    def get_account(self, company: FortnoxCompany, number: int) -> Reply:
        """GET accounts/{Number}."""
        year = self.year(company, self.parameters())
        shown = render.account(self.url(), self._account(company, year, number), year, company)
        return Reply({"Account": shown})

    def _write_account(self, company: FortnoxCompany, account: Account, sent: dict[str, Any]) -> None:
        attributes = {
            "Active": "active",
            "BalanceBroughtForward": "brought_forward",
            "CostCenter": "cost_center",
            "CostCenterSettings": "cost_center_settings",
            "Description": "description",
            "Project": "project",
            "ProjectSettings": "project_settings",
            "SRU": "sru",
            "TransactionInformation": "transaction_information",
            "TransactionInformationSettings": "transaction_information_settings",
            "VATCode": "vat_code",
        }
        for name, attribute in attributes.items():
            if name in sent:
                blank: Any = None if name in ("SRU", "BalanceBroughtForward") else ""
                setattr(account, attribute, blank if sent[name] is BLANK else sent[name])
        account.modified_at = company.now()

    def create_account(self, company: FortnoxCompany) -> Reply:
        """POST accounts into one year's chart."""
        year = self.year(company, self.parameters())
        sent = self.sent("Account", fields.ACCOUNT)
        number = sent.get("Number")
        if not isinstance(number, int) or "Description" not in sent:
            raise ApiError(FIELD_MISSING, "Kontonummer och benämning måste anges.")
        if not 1000 <= number <= 9999:
            raise ApiError(2002462, "Kontonumret måste ha fyra siffror.")
        if number in company.accounts[year.id]:
            raise ApiError(ALREADY_EXISTS, f"Konto {number} finns redan.")
        account = Account(number, sent["Description"])
        self._write_account(company, account, sent)
        company.accounts[year.id][number] = account
        return Reply({"Account": render.account(self.url(), account, year, company)}, 201, "accounts")

    def update_account(self, company: FortnoxCompany, number: int) -> Reply:
        """PUT accounts/{Number}: activates, renames; the number stays."""
        year = self.year(company, self.parameters())
        account = self._account(company, year, number)
        self._write_account(company, account, self.sent("Account", fields.ACCOUNT))
        return Reply({"Account": render.account(self.url(), account, year, company)})

    # -- series and predefined ------

    def series_routes(self) -> None:
        """voucherseries, predefinedvoucherseries, predefinedaccounts."""
        self.route("GET", "/3/voucherseries", "bookkeeping", self.list_series)
        self.route("POST", "/3/voucherseries", "bookkeeping", self.create_series)
        self.route("GET", "/3/voucherseries/<code>", "bookkeeping", self.get_series)
        self.route("PUT", "/3/voucherseries/<code>", "bookkeeping", self.update_series)
        self.route("GET", "/3/predefinedvoucherseries", "settings", self.list_predefined_series)
        self.route("GET", "/3/predefinedvoucherseries/<name>", "settings", self.get_predefined_series)
        self.route("PUT", "/3/predefinedvoucherseries/<name>", "settings", self.update_predefined_series)
        self.route("GET", "/3/predefinedaccounts", "settings", self.list_predefined_accounts)
        self.route("GET", "/3/predefinedaccounts/<name>", "settings", self.get_predefined_account)
        self.route("PUT", "/3/predefinedaccounts/<name>", "settings", self.update_predefined_account)

    def list_series(self, company: FortnoxCompany) -> Reply:
        """GET voucherseries of one year."""
        parameters = self.parameters()
        year = self.year(company, parameters)
        series = self.ordered(list(company.series[year.id].values()), {"code": lambda s: s.code}, parameters)
        url = self.url()
        return self.page("VoucherSeriesCollection", series, lambda s: render.series_row(url, s, year), parameters)

    def _series(self, company: FortnoxCompany, year: FinancialYear, code: str) -> Series:
        series = company.series[year.id].get(code)
        if series is None:
            raise not_found(SERIES_NOT_FOUND, "Kan inte hitta verifikationsserien.")
        return series

    def get_series(self, company: FortnoxCompany, code: str) -> Reply:
        """GET voucherseries/{Code} with the next number."""
        year = self.year(company, self.parameters())
        return Reply({"VoucherSeries": render.series(self.url(), self._series(company, year, code), year)})

    def create_series(self, company: FortnoxCompany) -> Reply:
        """POST voucherseries into one year."""
        year = self.year(company, self.parameters())
        sent = self.sent("VoucherSeries", fields.VOUCHER_SERIES)
        code = sent.get("Code")
        if not isinstance(code, str):
            raise ApiError(FIELD_MISSING, "Kod måste anges.")
        if code in company.series[year.id]:
            raise ApiError(ALREADY_EXISTS, f"Verifikationsserien {code} finns redan.")
        series = Series(code, sent.get("Description", ""), sent.get("Manual", False), sent.get("NextVoucherNumber", 1))
        company.series[year.id][code] = series
        return Reply({"VoucherSeries": render.series(self.url(), series, year)}, 201, "voucherseries")

    def update_series(self, company: FortnoxCompany, code: str) -> Reply:
        """PUT voucherseries/{Code}: description and whether it is manual."""
        year = self.year(company, self.parameters())
        series = self._series(company, year, code)
        sent = self.sent("VoucherSeries", fields.VOUCHER_SERIES)
        series.description = sent.get("Description", series.description)
        series.manual = sent.get("Manual", series.manual)
        return Reply({"VoucherSeries": render.series(self.url(), series, year)})

    def _predefined_series(self, name: str, code: str) -> dict[str, Any]:
        return {"@url": f"{self.url()}/predefinedvoucherseries/{name}", "Name": name, "VoucherSeries": code}

    def list_predefined_series(self, company: FortnoxCompany) -> Reply:
        """GET predefinedvoucherseries."""
        items = sorted(company.predefined_series.items())
        return self.page(
            "PreDefinedVoucherSeriesCollection",
            items,
            lambda item: self._predefined_series(*item),
            self.parameters(),
        )

    def get_predefined_series(self, company: FortnoxCompany, name: str) -> Reply:
        """GET predefinedvoucherseries/{Name}."""
        code = company.predefined_series.get(name.upper())
        if code is None:
            raise not_found(SERIES_NOT_FOUND, "Kan inte hitta förvald verifikationsserie.")
        return Reply({"PreDefinedVoucherSeries": self._predefined_series(name.upper(), code)})

    def update_predefined_series(self, company: FortnoxCompany, name: str) -> Reply:
        """PUT predefinedvoucherseries/{Name}."""
        sent = self.sent("PreDefinedVoucherSeries", fields.PREDEFINED_VOUCHER_SERIES)
        code = sent.get("VoucherSeries", "")
        self._series(company, company.selected_year(), code)
        company.predefined_series[name.upper()] = code
        return Reply({"PreDefinedVoucherSeries": self._predefined_series(name.upper(), code)})

    def _predefined_account(self, name: str, number: int) -> dict[str, Any]:
        return {"@url": f"{self.url()}/predefinedaccounts/{name}", "Name": name, "Account": number}

    def list_predefined_accounts(self, company: FortnoxCompany) -> Reply:
        """GET predefinedaccounts."""
        items = sorted(company.predefined_accounts.items())
        return self.page("PreDefinedAccounts", items, lambda item: self._predefined_account(*item), self.parameters())

    def get_predefined_account(self, company: FortnoxCompany, name: str) -> Reply:
        """GET predefinedaccounts/{name}."""
        number = company.predefined_accounts.get(name.upper())
        if number is None:
            raise not_found(2001403, "Kan inte hitta förvalt konto.")
        return Reply({"PreDefinedAccount": self._predefined_account(name.upper(), number)})

    def update_predefined_account(self, company: FortnoxCompany, name: str) -> Reply:
        """PUT predefinedaccounts/{name}."""
        sent = self.sent("PreDefinedAccount", fields.PREDEFINED_ACCOUNT)
        text = sent.get("Account", "")
        if not isinstance(text, str) or not re.fullmatch(r"\d{4}", text):
            raise ApiError(2002462, "Kontonumret måste ha fyra siffror.")
        account = company.accounts[company.selected_year().id].get(int(text))
        if account is None or not account.active:
            raise ApiError(2001265, "Kontot är ogiltigt.")
        company.predefined_accounts[name.upper()] = account.number
        return Reply({"PreDefinedAccount": self._predefined_account(name.upper(), account.number)})

    # -- vouchers ------

    def voucher_routes(self) -> None:
        """vouchers."""
        self.route("GET", "/3/vouchers", "bookkeeping", self.list_vouchers)
        self.route("POST", "/3/vouchers", "bookkeeping", self.create_voucher)
        self.route("GET", "/3/vouchers/sublist", "bookkeeping", self.list_vouchers)
        self.route("GET", "/3/vouchers/sublist/<series>", "bookkeeping", self.list_vouchers)
        self.route("GET", "/3/vouchers/<series>/<int:number>", "bookkeeping", self.get_voucher)
        self.route("DELETE", "/3/vouchers/<series>/<int:number>", "deletevoucher", self.delete_voucher)

    def list_vouchers(self, company: FortnoxCompany, series: str | None = None) -> Reply:
        """GET vouchers of one year, of one series: without rows."""
        parameters = self.parameters(["voucherseries"])
        year = self.year(company, parameters)
        series = series or parameters.get("voucherseries")
        delay = self.world.switches.list_delay_s
        items = [
            v
            for v in company.ledger
            if v.year_id == year.id
            and (series is None or v.series == series)
            and (v.by_person or self.visible(v.created_at, delay))
        ]
        if not self.world.switches.vouchers_ignore_dates:
            from_date, to_date = self.day(parameters, "fromdate"), self.day(parameters, "todate")
            items = [
                v
                for v in items
                if (from_date is None or v.date >= from_date) and (to_date is None or v.date <= to_date)
            ]
        since = self.modified_since(parameters)
        if since is not None:
            items = [v for v in items if v.created_at >= since]
        keys: dict[str, Callable[[Any], Any]] = {
            "vouchernumber": lambda v: (v.series, v.number),
            "transactiondate": lambda v: (v.date, v.series, v.number),
            "voucherseries": lambda v: (v.series, v.number),
            "referencenumber": lambda v: v.reference_number,
        }
        url = self.url()
        items = self.ordered(items, keys, parameters)
        return self.page("Vouchers", items, lambda v: render.voucher_row(url, v), parameters)

    def get_voucher(self, company: FortnoxCompany, series: str, number: int) -> Reply:
        """GET vouchers/{series}/{number}."""
        year = self.year(company, self.parameters())
        voucher = company.vouchers.get((series, number, year.id))
        delay = self.world.switches.get_delay_s
        if voucher is None or not (voucher.by_person or self.visible(voucher.created_at, delay)):
            raise not_found(VOUCHER_NOT_FOUND, "Kan inte hitta verifikationen.")
        return Reply({"Voucher": render.voucher(self.url(), voucher, company)})

    def create_voucher(self, company: FortnoxCompany) -> Reply:
        """POST vouchers into the year of `financialyear`, else into the selected one."""
        year = self.year(company, self.parameters())
        body = self.body()
        # `Year` stands in the official schema as required although it is the answer's; it is read over.
        if isinstance(body, dict) and isinstance(body.get("Voucher"), dict):
            body["Voucher"].pop("Year", None)
        if not isinstance(body, dict) or "Voucher" not in body:
            raise ApiError(2001392, "Ingen eller felaktig typ av data.")
        sent = fields.read(body["Voucher"], fields.VOUCHER)
        for name in ("Description", "TransactionDate", "VoucherSeries"):
            if sent.get(name, BLANK) is BLANK:
                raise ApiError(FIELD_MISSING, f"{name} måste anges.")
        own = without_blanks(sent)
        rows = [
            VoucherRow(
                line.get("Account", 0),
                line.get("Debit", ZERO),
                line.get("Credit", ZERO),
                line.get("TransactionInformation", ""),
                line.get("CostCenter", own.get("CostCenter", "")),
                line.get("Project", own.get("Project", "")),
                line.get("Quantity", ZERO),
            )
            for line in (without_blanks(item) for item in own.get("VoucherRows", []))
        ]
        voucher = company.post_manual(
            year,
            own["VoucherSeries"],
            own["TransactionDate"],
            own["Description"],
            rows,
            comments=own.get("Comments", ""),
            cost_center=own.get("CostCenter", ""),
            project=own.get("Project", ""),
        )
        return Reply({"Voucher": render.voucher(self.url(), voucher, company)}, 201, "vouchers")

    def delete_voucher(self, company: FortnoxCompany, series: str, number: int) -> Reply:
        """DELETE vouchers/{series}/{number}: refused unless a switch says otherwise."""
        year = self.year(company, self.parameters())
        voucher = company.vouchers.get((series, number, year.id))
        if voucher is None:
            raise not_found(VOUCHER_NOT_FOUND, "Kan inte hitta verifikationen.")
        if self.world.switches.delete_voucher_refused:
            raise ApiError(VOUCHER_NOT_LAST, "Verifikationen kan inte tas bort.")
        company.delete_voucher(voucher)
        return Reply(status=204)
