"""The interface under /3: routes, access, paging and filters; what things do is in `sales` and `books`."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from flask import Flask, Response, request

from addon.sandbox.fortnox import fields, render
from addon.sandbox.fortnox.books import STOCKHOLM, Account, FinancialYear, ModeOfPayment, Series, VoucherRow
from addon.sandbox.fortnox.company import FileConnection, FortnoxCompany, StoredFile
from addon.sandbox.fortnox.errors import (
    ALREADY_EXISTS,
    COST_CENTER_NOT_FOUND,
    FIELD_MISSING,
    MODE_NOT_FOUND,
    PAYMENT_NOT_FOUND,
    SERIES_NOT_FOUND,
    VOUCHER_NOT_FOUND,
    VOUCHER_NOT_LAST,
    YEAR_NOT_FOUND,
    ApiError,
    Unauthorized,
    not_found,
)
from addon.sandbox.fortnox.faults import ZOMBIE
from addon.sandbox.fortnox.fields import BLANK
from addon.sandbox.fortnox.oauth import LICENCE_OF_SCOPE
from addon.sandbox.fortnox.sales import Customer, Invoice, Payment
from addon.sandbox.fortnox.sie import sie_file
from addon.sandbox.fortnox.wire import ZERO, dump, parse
from addon.sandbox.fortnox.world import FortnoxWorld

T = TypeVar("T")

_GENERAL = frozenset(
    "limit page offset sortby sortorder lastmodified financialyear financialyeardate fromdate todate".split()
)
_INBOX_FOLDERS = {
    "inbox_a": "Tillgångar",
    "inbox_b": "Bankfiler",
    "inbox_d": "Dagskassor",
    "inbox_kf": "Kundfakturor",
    "inbox_l": "Lön",
    "inbox_o": "Order",
    "inbox_of": "Offert",
    "inbox_s": "Leverantörsfakturor",
    "inbox_v": "Verifikationer",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers: a JSON body, or raw bytes of another type."""

    body: Any = None
    status: int = 200
    location: str | None = None
    raw: bytes | None = None
    content_type: str = "application/json"


Handler = Callable[..., Reply]


def register_api(app: Flask, world: FortnoxWorld) -> None:
    """Put all routes of the interface into the app."""
    api = _Api(world)
    api.company_routes()
    api.year_routes()
    api.account_routes()
    api.series_routes()
    api.setting_routes()
    api.currency_routes()
    api.register_routes()
    api.article_routes()
    api.customer_routes()
    api.invoice_routes()
    api.payment_routes()
    api.voucher_routes()
    api.file_routes()

    # One rule for Flask and a small router of our own: Werkzeug takes a fifth of a second to compile a hundred
    # rules, and tests build a world each.
    for rule in ("/3/", "/3/<path:rest>", "/api/<path:rest>"):
        app.add_url_rule(rule, "interface", api.dispatch, methods=["GET", "POST", "PUT", "DELETE"])


def _respond(reply: Reply) -> Response:
    if reply.raw is not None:
        content: bytes | str = reply.raw
    else:
        content = "" if reply.body is None else dump(reply.body)
    response = Response(content, reply.status, content_type=reply.content_type)
    if reply.status == 204:
        response.content_type = ""
        del response.headers["Content-Type"]
    if reply.location is not None:
        response.headers["Location"] = reply.location
    response.headers["Server"] = "Fortnox"
    response.headers["X-Build"] = "sandbox"
    response.headers["X-Uid"] = f"{next(_uids):08x}"
    return response


_uids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    scope: str
    handler: Handler


_KINDS = {"int": r"(?P<{}_int>\d{{1,15}})", "path": "(?P<{}>.+)", "": "(?P<{}>[^/]+)"}


@functools.cache
def _pattern(rule: str) -> re.Pattern[str]:
    """A rule such as `/3/vouchers/<series>/<int:number>` as a regular expression."""
    parts = re.split(r"<(?:(int|path):)?(\w+)>", rule)
    expression = re.escape(parts[0])
    for kind, name, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        expression += _KINDS[kind or ""].format(name) + re.escape(literal)
    return re.compile(expression)


def _converted(name: str, text: str) -> str | int:
    return int(text) if name.endswith("_int") else text


class _Api:
    """Routes grouped by resource; each handler runs under the world's lock, for the company of its token."""

    def __init__(self, world: FortnoxWorld) -> None:
        self.world = world
        self._routes: dict[tuple[str, str], list[_Route]] = {}

    # -- the frame ------

    def route(self, method: str, rule: str, scope: str, handler: Handler) -> None:
        """Answer `method rule` with a handler that takes the company and the rule's values."""
        resource = rule.split("/")[2]
        self._routes.setdefault((method, resource), []).append(_Route(_pattern(rule), scope, handler))

    def dispatch(self, rest: str = "") -> Response:
        """Find the handler of the request's path (with or without a slash at its end) and answer."""
        path = request.path.rstrip("/")
        resource = rest.partition("/")[0]
        for route in self._routes.get((request.method, resource), ()):
            found = route.pattern.fullmatch(path)
            if found is not None:
                values = {name.removesuffix("_int"): _converted(name, text) for name, text in found.groupdict().items()}
                return self._answer(route, values)
        error = not_found(2000764, f"Ingen sådan sökväg ({path})")
        return _respond(Reply(error.body(), error.status))

    def _answer(self, route: _Route, values: dict[str, Any]) -> Response:
        with self.world.lock:
            try:
                company = self._authorised(route.scope)
                self._need_accept()
                return _respond(route.handler(company, **values))
            except ApiError as error:
                return _respond(Reply(error.body(), error.status))
            except Unauthorized:
                return _respond(Reply({"message": "unauthorized"}, 401))

    def _authorised(self, scope: str) -> FortnoxCompany:
        header = request.headers.get("Authorization", "")
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer" or not token:
            raise ApiError(2000311, "Kan inte logga in, access-token eller client-secret saknas(2).", 401)
        claims = self.world.authority.claims(token)
        if claims is None:
            raise Unauthorized
        if not self.world.authority.valid(claims) and not request.environ.get(ZOMBIE):
            raise Unauthorized
        company = self.world.companies.get(claims.company)
        if company is None:
            raise Unauthorized
        if "integration" not in company.licences:
            raise ApiError(2001103, "Api-licens saknas.", 403)
        if scope not in claims.scopes:
            raise ApiError(2000663, "Har inte behörighet för scope")
        licence = LICENCE_OF_SCOPE.get(scope)
        if licence is not None and licence not in company.licences:
            raise ApiError(2001101, "Det finns ingen aktiv licens för önskat scope")
        return company

    @staticmethod
    def _need_accept() -> None:
        accept = request.headers.get("Accept", "*/*")
        if not any(kind in accept for kind in ("application/json", "*/*", "application/*")):
            raise ApiError(1000030, "Invalid response type")

    @staticmethod
    def url() -> str:
        """The address that `@url` fields begin with."""
        return f"{request.host_url}3"

    @staticmethod
    def body() -> Any:
        """The request's JSON."""
        if "json" not in request.headers.get("Content-Type", ""):
            raise ApiError(1000031, "Invalid content type")
        try:
            return parse(request.get_data())
        except ValueError as error:
            raise ApiError(2002115, "Error deserializing JSON: JSON_ERROR_SYNTAX") from error

    def sent(self, wrapper: str, allowed: Mapping[str, fields.Field]) -> dict[str, Any]:
        """The checked fields inside the wrapper."""
        body = self.body()
        if not isinstance(body, dict) or wrapper not in body:
            raise ApiError(2001392, "Ingen eller felaktig typ av data.")
        return fields.read(body[wrapper], allowed)

    @staticmethod
    def parameters(allowed: Iterable[str] = ()) -> dict[str, str]:
        """The query; names that neither the resource nor the general set knows are refused."""
        known = _GENERAL.union(allowed)
        for name in request.args:
            if name not in known:
                raise ApiError(2000588, "Ogiltig parameter i anropet.")
        return {name: value for name, value in request.args.items() if value != ""}

    @staticmethod
    def integer(parameters: Mapping[str, str], name: str, default: int, low: int, high: int | None = None) -> int:
        """A whole number of the query within bounds."""
        text = parameters.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"\d{1,9}", text) or int(text) < low or (high is not None and int(text) > high):
            raise ApiError(2000588, "Ogiltig parameter i anropet.")
        return int(text)

    @staticmethod
    def day(parameters: Mapping[str, str], name: str) -> date | None:
        """A date of the query."""
        text = parameters.get(name)
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise ApiError(2000588, "Ogiltig parameter i anropet.") from error

    @staticmethod
    def modified_since(parameters: Mapping[str, str]) -> datetime | None:
        """`lastmodified`, Swedish local time to the minute."""
        text = parameters.get("lastmodified")
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise ApiError(2000588, "Ogiltig parameter i anropet.") from error
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=STOCKHOLM)

    def page(
        self,
        name: str,
        items: Sequence[T],
        show: Callable[[T], dict[str, Any]],
        parameters: Mapping[str, str],
        *,
        ignores_page: bool = False,
    ) -> Reply:
        """One page of a list with its MetaInformation."""
        limit = self.integer(parameters, "limit", 100, 1, 500)
        page = 1 if ignores_page else self.integer(parameters, "page", 1, 1)
        start = self.integer(parameters, "offset", (page - 1) * limit, 0)
        meta = {"@TotalResources": len(items), "@TotalPages": -(-len(items) // limit), "@CurrentPage": page}
        shown = [show(item) for item in itertools.islice(items, start, start + limit)]
        return Reply({"MetaInformation": meta, name: shown})

    @staticmethod
    def ordered(items: list[T], keys: Mapping[str, Callable[[T], Any]], parameters: Mapping[str, str]) -> list[T]:
        """Sort by `sortby` (the first key if not given) and `sortorder`."""
        by = parameters.get("sortby", next(iter(keys)))
        order = parameters.get("sortorder", "ascending")
        if by not in keys or order not in ("ascending", "descending"):
            raise ApiError(2000588, "Ogiltig parameter i anropet.")
        return sorted(items, key=keys[by], reverse=order == "descending")

    def visible(self, created_at: datetime, delay_s: float) -> bool:
        """Whether a written object is seen yet (see `Switches.list_delay_s`)."""
        return delay_s <= 0 or self.world.clock.now() - created_at >= timedelta(seconds=delay_s)

    def year(self, company: FortnoxCompany, parameters: Mapping[str, str]) -> FinancialYear:
        """The year that `financialyear` or `financialyeardate` names, else the one the user has selected."""
        if "financialyear" in parameters:
            year = company.years.get(self.integer(parameters, "financialyear", 0, 0))
            if year is None:
                raise not_found(YEAR_NOT_FOUND, "Kan inte hitta räkenskapsåret.")
            return year
        on = self.day(parameters, "financialyeardate")
        if on is not None:
            found = company.year_of(on)
            if found is None:
                raise not_found(YEAR_NOT_FOUND, "Kan inte hitta räkenskapsåret.")
            return found
        return company.selected_year()

    @staticmethod
    def no_rights(company: FortnoxCompany, shown: dict[str, Any]) -> dict[str, Any]:
        """Hide what the user may not see."""
        for name in company.settings.no_right_fields & shown.keys():
            shown[name] = "API_NORIGHT"
        return shown

    # -- company ------

    def company_routes(self) -> None:
        """companyinformation, settings, me, euvatlimitregulation."""
        self.route("GET", "/3/companyinformation", "companyinformation", self.company_information)
        self.route("GET", "/3/settings/company", "settings", self.company_settings)
        self.route("GET", "/3/settings/lockedperiod", "settings", self.locked_period)
        self.route("GET", "/3/me", "profile", self.me)
        self.route("GET", "/3/euvatlimitregulation", "settings", self.eu_vat_limit)

    def company_information(self, company: FortnoxCompany) -> Reply:
        """GET companyinformation."""
        shown = {
            "Address": company.address["Address"],
            "City": company.address["City"],
            "CountryCode": company.country,
            "DatabaseNumber": company.database_number,
            "CompanyName": company.name,
            "OrganizationNumber": company.organisation_number,
            "VisitAddress": "",
            "VisitCity": "",
            "VisitCountryCode": company.country,
            "VisitZipCode": "",
            "ZipCode": company.address["ZipCode"],
        }
        return Reply({"CompanyInformation": shown})

    def company_settings(self, company: FortnoxCompany) -> Reply:
        """GET settings/company: here DatabaseNumber is a string."""
        digits = "".join(c for c in company.organisation_number if c.isdigit())
        shown = {
            **company.address,
            "BG": "",
            "BIC": "",
            "BranchCode": "",
            "ContactFirstName": "",
            "ContactLastName": "",
            "Country": "Sverige" if company.country == "SE" else company.country,
            "CountryCode": company.country,
            "DatabaseNumber": str(company.database_number),
            "Domicile": company.address["City"],
            "Email": "",
            "Fax": "",
            "IBAN": "",
            "Name": company.name,
            "OrganizationNumber": company.organisation_number,
            "PG": "",
            "Phone1": "",
            "Phone2": "",
            "TaxEnabled": True,
            "VATNumber": f"{company.country}{digits}01" if digits else "",
            "VisitAddress": "",
            "VisitCity": "",
            "VisitCountry": "",
            "VisitCountryCode": "",
            "VisitName": "",
            "VisitZipCode": "",
            "WWW": "",
        }
        return Reply({"CompanySettings": shown})

    def locked_period(self, company: FortnoxCompany) -> Reply:
        """GET settings/lockedperiod."""
        if company.locked_until is None:
            match self.world.switches.locked_period_shape:
                case "empty":
                    return Reply({"LockedPeriod": {}})
                case "404":
                    raise not_found(YEAR_NOT_FOUND, "Kan inte hitta låst period.")
        return Reply({"LockedPeriod": {"EndDate": company.locked_until}})

    def me(self, company: FortnoxCompany) -> Reply:
        """GET me: the service account."""
        shown = {
            "Id": f"service-{company.database_number}",
            "Name": self.world.app_name,
            "Email": "",
            "SysAdmin": False,
            "Locale": "sv_SE",
        }
        return Reply({"MeInformation": shown})

    def eu_vat_limit(self, company: FortnoxCompany) -> Reply:
        """GET euvatlimitregulation: booked sales to consumers in other EU countries, without VAT, SEK."""
        parameters = self.parameters(["year"])
        year = self.integer(parameters, "year", company.today().year, 1900, 2200)
        total = ZERO
        for invoice in company.invoices.values():
            vat_type = company.customers[invoice.customer_number].vat_type
            if invoice.booked and invoice.invoice_date.year == year and vat_type == "EUVAT":
                total += invoice.in_sek(invoice.net)
        limit = 99680
        shown = {"IsOverLimit": total > limit, "Limit": limit, "TotalExclVat": total, "Year": str(year)}
        return Reply({"EUVatLimitRegulation": shown})

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
            if name != "date" and name not in _GENERAL:
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

    # -- modes, terms, units ------

    def setting_routes(self) -> None:
        """modesofpayments, termsofpayments, units, labels."""
        self.route("GET", "/3/modesofpayments", "settings", self.list_modes)
        self.route("POST", "/3/modesofpayments", "settings", self.create_mode)
        self.route("GET", "/3/modesofpayments/<code>", "settings", self.get_mode)
        self.route("PUT", "/3/modesofpayments/<code>", "settings", self.update_mode)
        self.route("GET", "/3/termsofpayments", "settings", self.list_terms)
        self.route("POST", "/3/termsofpayments", "settings", self.create_terms)
        self.route("GET", "/3/termsofpayments/<code>", "settings", self.get_terms)
        self.route("GET", "/3/units", "settings", self.list_units)
        self.route("POST", "/3/units", "settings", self.create_unit)
        self.route("GET", "/3/units/<code>", "settings", self.get_unit)
        self.route("GET", "/3/labels", "settings", self.list_labels)
        self.route("POST", "/3/labels", "settings", self.create_label)

    def list_modes(self, company: FortnoxCompany) -> Reply:
        """GET modesofpayments."""
        parameters = self.parameters()
        modes = self.ordered(list(company.modes.values()), {"code": lambda m: m.code}, parameters)
        url = self.url()
        return self.page("ModesOfPayments", modes, lambda m: render.mode_of_payment(url, m), parameters)

    def _mode(self, company: FortnoxCompany, code: str) -> ModeOfPayment:
        mode = company.modes.get(code)
        if mode is None:
            raise not_found(MODE_NOT_FOUND, "Kan inte hitta betalningssättet.")
        return mode

    def get_mode(self, company: FortnoxCompany, code: str) -> Reply:
        """GET modesofpayments/{Code}."""
        return Reply({"ModeOfPayment": render.mode_of_payment(self.url(), self._mode(company, code))})

    def _mode_account(self, company: FortnoxCompany, sent: dict[str, Any]) -> int:
        text = sent.get("AccountNumber", "")
        if not isinstance(text, str) or not re.fullmatch(r"\d{4}", text):
            raise ApiError(2002462, "Kontonumret måste ha fyra siffror.")
        if int(text) not in company.accounts[company.selected_year().id]:
            raise ApiError(2001304, f"Kunde inte hitta konto ({text})")
        return int(text)

    def create_mode(self, company: FortnoxCompany) -> Reply:
        """POST modesofpayments."""
        sent = self.sent("ModeOfPayment", fields.MODE_OF_PAYMENT)
        account = self._mode_account(company, sent)
        code = sent.get("Code")
        if not isinstance(code, str):
            raise ApiError(FIELD_MISSING, "Kod måste anges.")
        if code in company.modes:
            raise ApiError(ALREADY_EXISTS, f"Betalningssättet {code} finns redan.")
        company.modes[code] = ModeOfPayment(code, sent.get("Description", ""), account)
        shown = render.mode_of_payment(self.url(), company.modes[code])
        return Reply({"ModeOfPayment": shown}, 201, "modesofpayments")

    def update_mode(self, company: FortnoxCompany, code: str) -> Reply:
        """PUT modesofpayments/{Code}."""
        mode = self._mode(company, code)
        sent = self.sent("ModeOfPayment", fields.MODE_OF_PAYMENT)
        if "AccountNumber" in sent:
            mode.account = self._mode_account(company, sent)
        mode.description = sent.get("Description", mode.description)
        return Reply({"ModeOfPayment": render.mode_of_payment(self.url(), mode)})

    def _terms(self, code: str, description: str) -> dict[str, Any]:
        return {"@url": f"{self.url()}/termsofpayments/{code}", "Code": code, "Description": description}

    def list_terms(self, company: FortnoxCompany) -> Reply:
        """GET termsofpayments."""
        items = sorted(company.terms.items())
        return self.page("TermsOfPayments", items, lambda item: self._terms(*item), self.parameters())

    def get_terms(self, company: FortnoxCompany, code: str) -> Reply:
        """GET termsofpayments/{Code}."""
        if code not in company.terms:
            raise not_found(2000429, "Kan inte hitta betalningsvillkoret.")
        return Reply({"TermsOfPayment": self._terms(code, company.terms[code])})

    def create_terms(self, company: FortnoxCompany) -> Reply:
        """POST termsofpayments; its Location is `paymentterms`, as recorded."""
        sent = self.sent("TermsOfPayment", fields.TERMS_OF_PAYMENT)
        code = sent.get("Code")
        if not isinstance(code, str):
            raise ApiError(FIELD_MISSING, "Kod måste anges.")
        company.terms[code] = sent.get("Description", "")
        return Reply({"TermsOfPayment": self._terms(code, company.terms[code])}, 201, "paymentterms")

    def _unit(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            "@url": f"{self.url()}/units/{values['Code']}",
            "Code": values["Code"],
            "CodeEnglish": values.get("CodeEnglish", ""),
            "Description": values.get("Description", ""),
        }

    def list_units(self, company: FortnoxCompany) -> Reply:
        """GET units."""
        items = [company.units[code] for code in sorted(company.units)]
        return self.page("Units", items, self._unit, self.parameters())

    def get_unit(self, company: FortnoxCompany, code: str) -> Reply:
        """GET units/{Code}."""
        if code not in company.units:
            raise not_found(2000432, "Kan inte hitta enheten.")
        return Reply({"Unit": self._unit(company.units[code])})

    def create_unit(self, company: FortnoxCompany) -> Reply:
        """POST units."""
        sent = self.sent("Unit", fields.UNIT)
        if "Code" not in sent:
            raise ApiError(FIELD_MISSING, "Kod måste anges.")
        company.units[sent["Code"]] = sent
        return Reply({"Unit": self._unit(sent)}, 201, "units")

    def list_labels(self, company: FortnoxCompany) -> Reply:
        """GET labels."""
        items = sorted(company.labels.items())
        return self.page("Labels", items, lambda i: {"Id": i[0], "Description": i[1]}, self.parameters())

    def create_label(self, company: FortnoxCompany) -> Reply:
        """POST labels."""
        sent = self.sent("Label", fields.LABEL)
        number = max(company.labels, default=0) + 1
        company.labels[number] = sent.get("Description", "")
        return Reply({"Label": {"Id": number, "Description": company.labels[number]}}, 201, "labels")

    # -- currencies ------

    def currency_routes(self) -> None:
        """currencies."""
        self.route("GET", "/3/currencies", "currency", self.list_currencies)
        self.route("POST", "/3/currencies", "currency", self.create_currency)
        self.route("GET", "/3/currencies/<code>", "currency", self.get_currency)
        self.route("PUT", "/3/currencies/<code>", "currency", self.update_currency)

    def list_currencies(self, company: FortnoxCompany) -> Reply:
        """GET currencies that the company has added."""
        parameters = self.parameters()
        items = self.ordered(list(company.currencies.values()), {"code": lambda c: c.code}, parameters)
        url = self.url()
        return self.page("Currencies", items, lambda c: render.currency(url, c, company), parameters)

    def get_currency(self, company: FortnoxCompany, code: str) -> Reply:
        """GET currencies/{Code}."""
        if code not in company.currencies:
            raise not_found(2000427, "Kan inte hitta valutan.")
        return Reply({"Currency": render.currency(self.url(), company.currencies[code], company)})

    def create_currency(self, company: FortnoxCompany) -> Reply:
        """POST currencies: code and description, automatic unless a rate is sent."""
        sent = self.sent("Currency", fields.CURRENCY)
        code = sent.get("Code")
        if not isinstance(code, str) or not re.fullmatch(r"[A-Z]{3}", code) or "Description" not in sent:
            raise ApiError(FIELD_MISSING, "Valutakod och benämning måste anges.")
        currency = company.write_currency(code, sent, new=True)
        return Reply({"Currency": render.currency(self.url(), currency, company)}, 201, "currencies")

    def update_currency(self, company: FortnoxCompany, code: str) -> Reply:
        """PUT currencies/{Code}; refused for automatic ones."""
        if code not in company.currencies:
            raise not_found(2000427, "Kan inte hitta valutan.")
        currency = company.write_currency(code, self.sent("Currency", fields.CURRENCY), new=False)
        return Reply({"Currency": render.currency(self.url(), currency, company)})

    # -- cost centres, projects ------

    def register_routes(self) -> None:
        """costcenters, projects."""
        self.route("GET", "/3/costcenters", "costcenter", self.list_cost_centers)
        self.route("POST", "/3/costcenters", "costcenter", self.create_cost_center)
        self.route("GET", "/3/costcenters/<code>", "costcenter", self.get_cost_center)
        self.route("GET", "/3/projects", "project", self.list_projects)
        self.route("POST", "/3/projects", "project", self.create_project)
        self.route("GET", "/3/projects/<number>", "project", self.get_project)

    def list_cost_centers(self, company: FortnoxCompany) -> Reply:
        """GET costcenters (seen to take no notice of `page`)."""
        url, items = self.url(), [company.cost_centers[code] for code in sorted(company.cost_centers)]
        ignores = self.world.switches.small_lists_ignore_page
        return self.page(
            "CostCenters", items, lambda v: render.cost_center(url, v), self.parameters(), ignores_page=ignores
        )

    def get_cost_center(self, company: FortnoxCompany, code: str) -> Reply:
        """GET costcenters/{Code}."""
        if code not in company.cost_centers:
            raise not_found(COST_CENTER_NOT_FOUND, "Kan inte hitta kostnadsstället.")
        return Reply({"CostCenter": render.cost_center(self.url(), company.cost_centers[code])})

    def create_cost_center(self, company: FortnoxCompany) -> Reply:
        """POST costcenters."""
        sent = self.sent("CostCenter", fields.COST_CENTER)
        if "Code" not in sent:
            raise ApiError(FIELD_MISSING, "Kod måste anges.")
        company.cost_centers[sent["Code"]] = sent
        return Reply({"CostCenter": render.cost_center(self.url(), sent)}, 201, "costcenters")

    def list_projects(self, company: FortnoxCompany) -> Reply:
        """GET projects (seen to take no notice of `page`)."""
        url, items = self.url(), list(company.projects.values())
        ignores = self.world.switches.small_lists_ignore_page
        return self.page(
            "Projects", items, lambda v: render.project_row(url, v), self.parameters(), ignores_page=ignores
        )

    def get_project(self, company: FortnoxCompany, number: str) -> Reply:
        """GET projects/{ProjectNumber}."""
        if number not in company.projects:
            raise not_found(2001161, "Kan inte hitta projektet.")
        return Reply({"Project": render.project(self.url(), company.projects[number])})

    def create_project(self, company: FortnoxCompany) -> Reply:
        """POST projects; its Location is `project`, as recorded."""
        sent = self.sent("Project", fields.PROJECT)
        number = str(sent.get("ProjectNumber") or len(company.projects) + 1)
        company.projects[number] = {**sent, "ProjectNumber": number}
        return Reply({"Project": render.project(self.url(), company.projects[number])}, 201, "project")

    # -- articles ------

    def article_routes(self) -> None:
        """articles."""
        self.route("GET", "/3/articles", "article", self.list_articles)
        self.route("POST", "/3/articles", "article", self.create_article)
        self.route("GET", "/3/articles/<path:number>", "article", self.get_article)
        self.route("PUT", "/3/articles/<path:number>", "article", self.update_article)

    def list_articles(self, company: FortnoxCompany) -> Reply:
        """GET articles."""
        parameters = self.parameters(["filter", "articlenumber", "description", "ean"])
        items = list(company.articles.items())
        for name, field in (("description", "Description"), ("ean", "EAN")):
            if name in parameters:
                wanted = parameters[name].lower()
                items = [item for item in items if wanted in str(item[1].get(field, "")).lower()]
        if "articlenumber" in parameters:
            wanted = parameters["articlenumber"].lower()
            items = [item for item in items if wanted in item[0].lower()]
        url = self.url()
        return self.page("Articles", items, lambda item: render.article_row(url, *item), parameters)

    def get_article(self, company: FortnoxCompany, number: str) -> Reply:
        """GET articles/{ArticleNumber}."""
        if number not in company.articles:
            raise not_found(2000428, "Kan inte hitta artikeln.")
        return Reply({"Article": render.article(self.url(), number, company.articles[number])})

    def _article(self) -> dict[str, Any]:
        body = self.body()
        if isinstance(body, dict) and isinstance(body.get("Article"), dict) and "SalesPrice" in body["Article"]:
            raise ApiError(2000321, "Försäljningspris kan inte ändras.")
        return self.sent("Article", fields.ARTICLE)

    def create_article(self, company: FortnoxCompany) -> Reply:
        """POST articles."""
        sent = self._article()
        number = sent.pop("ArticleNumber", None)
        if not isinstance(sent.get("Description"), str):
            raise ApiError(FIELD_MISSING, "Benämning måste anges.")
        if number is None:
            used = [int(n) for n in company.articles if n.isdigit()]
            number = str(max(used, default=0) + 1)
        if not re.fullmatch(r"[A-Za-z0-9ÅÄÖåäö_\-/\\+$]+", number):
            raise ApiError(2000106, f"Värdet måste vara alfanumeriskt ({number})")
        if number in company.articles:
            raise ApiError(2000013, f'Artikelnummer "{number}" används redan.')
        company.articles[number] = _without_blanks(sent)
        shown = render.article(self.url(), number, company.articles[number])
        return Reply({"Article": shown}, 201, "articles")

    def update_article(self, company: FortnoxCompany, number: str) -> Reply:
        """PUT articles/{ArticleNumber}."""
        if number not in company.articles:
            raise not_found(2000428, "Kan inte hitta artikeln.")
        sent = self._article()
        sent.pop("ArticleNumber", None)
        for name, value in sent.items():
            if value is BLANK:
                company.articles[number].pop(name, None)
            else:
                company.articles[number][name] = value
        return Reply({"Article": render.article(self.url(), number, company.articles[number])})

    # -- customers ------

    def customer_routes(self) -> None:
        """customers."""
        self.route("GET", "/3/customers", "customer", self.list_customers)
        self.route("POST", "/3/customers", "customer", self.create_customer)
        self.route("PUT", "/3/customers", "customer", self.no_identifier)
        self.route("GET", "/3/customers/<number>", "customer", self.get_customer)
        self.route("PUT", "/3/customers/<number>", "customer", self.update_customer)
        self.route("DELETE", "/3/customers/<number>", "customer", self.delete_customer)

    def no_identifier(self, company: FortnoxCompany) -> Reply:
        """PUT to a collection."""
        raise ApiError(2000729, "A valid identifier was not provided.")

    def list_customers(self, company: FortnoxCompany) -> Reply:
        """GET customers; text filters match substrings whatever the case."""
        by_field = {
            "customernumber": "",
            "name": "Name",
            "zipcode": "ZipCode",
            "city": "City",
            "email": "Email",
            "phone": "Phone1",
            "organisationnumber": "OrganisationNumber",
            "gln": "GLN",
            "glndelivery": "GLNDelivery",
        }
        parameters = self.parameters([*by_field, "filter"])
        items = [c for c in company.customers.values() if self._listed(c)]
        for name, field in by_field.items():
            if name in parameters:
                wanted = parameters[name].lower()
                if field:
                    items = [c for c in items if wanted in str(c.values.get(field, "")).lower()]
                else:
                    items = [c for c in items if wanted in c.number.lower()]
        match parameters.get("filter"):
            case None:
                pass
            case "active":
                items = [c for c in items if c.values.get("Active", True)]
            case "inactive":
                items = [c for c in items if not c.values.get("Active", True)]
            case _:
                raise ApiError(2000587, "Ett ogiltigt filter har använts.")
        since = self.modified_since(parameters)
        if since is not None:
            items = [c for c in items if c.modified_at >= since]
        keys: dict[str, Callable[[Customer], Any]] = {
            "customernumber": lambda c: (len(c.number), c.number),
            "name": lambda c: c.name.lower(),
        }
        url = self.url()
        items = self.ordered(items, keys, parameters)
        return self.page("Customers", items, lambda c: self.no_rights(company, render.customer_row(url, c)), parameters)

    def _listed(self, written: Customer | Invoice | Payment) -> bool:
        return written.by_person or self.visible(written.created_at, self.world.switches.list_delay_s)

    def _gettable(self, written: Customer | Invoice | Payment) -> bool:
        return written.by_person or self.visible(written.created_at, self.world.switches.get_delay_s)

    def _customer(self, company: FortnoxCompany, number: str) -> Customer:
        customer = company.customers.get(number)
        if customer is None:
            raise not_found(2000433, "Kan inte hitta kunden.")
        return customer

    def get_customer(self, company: FortnoxCompany, number: str) -> Reply:
        """GET customers/{CustomerNumber}."""
        customer = self._customer(company, number)
        if not self._gettable(customer):
            raise not_found(2000433, "Kan inte hitta kunden.")
        shown = render.customer(self.url(), customer, just_created=False)
        return Reply({"Customer": self.no_rights(company, shown)})

    def create_customer(self, company: FortnoxCompany) -> Reply:
        """POST customers."""
        customer = company.write_customer(None, self.sent("Customer", fields.CUSTOMER))
        return Reply({"Customer": render.customer(self.url(), customer, just_created=True)}, 201, "customers")

    def update_customer(self, company: FortnoxCompany, number: str) -> Reply:
        """PUT customers/{CustomerNumber}: partial."""
        sent = self.sent("Customer", fields.CUSTOMER)
        customer = company.write_customer(self._customer(company, number).number, sent)
        return Reply({"Customer": render.customer(self.url(), customer, just_created=False)})

    def delete_customer(self, company: FortnoxCompany, number: str) -> Reply:
        """DELETE customers/{CustomerNumber}."""
        company.delete_customer(self._customer(company, number).number)
        return Reply(status=204)

    # -- invoices ------

    def invoice_routes(self) -> None:
        """invoices and their actions."""
        self.route("GET", "/3/invoices", "invoice", self.list_invoices)
        self.route("POST", "/3/invoices", "invoice", self.create_invoice)
        self.route("PUT", "/3/invoices", "invoice", self.no_identifier)
        self.route("GET", "/3/invoices/<int:number>", "invoice", self.get_invoice)
        self.route("PUT", "/3/invoices/<int:number>", "invoice", self.update_invoice)
        for action in ("bookkeep", "cancel", "credit", "externalprint", "warehouseready"):
            handler = functools.partial(self.act_on_invoice, action=action)
            self.route("PUT", f"/3/invoices/<int:number>/{action}", "invoice", handler)
        for action in ("email", "einvoice", "eprint", "print", "preview", "printreminder"):
            handler = functools.partial(self.send_invoice, action=action)
            self.route("GET", f"/3/invoices/<int:number>/{action}", "invoice", handler)

    def _invoice(self, company: FortnoxCompany, invoice: Invoice) -> dict[str, Any]:
        return {"Invoice": self.no_rights(company, render.invoice(self.url(), invoice, company))}

    def get_invoice(self, company: FortnoxCompany, number: int) -> Reply:
        """GET invoices/{DocumentNumber}."""
        invoice = company.need_invoice(number)
        if not self._gettable(invoice):
            raise not_found(2000434, "Kan inte hitta fakturan.")
        return Reply(self._invoice(company, invoice))

    def create_invoice(self, company: FortnoxCompany) -> Reply:
        """POST invoices."""
        invoice = company.create_invoice(self.sent("Invoice", fields.INVOICE))
        return Reply(self._invoice(company, invoice), 201, "invoices")

    def update_invoice(self, company: FortnoxCompany, number: int) -> Reply:
        """PUT invoices/{DocumentNumber}: partial, unbooked ones only."""
        sent = self.sent("Invoice", fields.INVOICE)
        invoice = company.need_invoice(number)
        company.update_invoice(invoice, sent)
        return Reply(self._invoice(company, invoice))

    def act_on_invoice(self, company: FortnoxCompany, number: int, action: str) -> Reply:
        """PUT invoices/{DocumentNumber}/{action}: the answer is the invoice asked for, also when it was credited."""
        invoice = company.need_invoice(number)
        match action:
            case "bookkeep":
                company.bookkeep_invoice(invoice)
            case "cancel":
                company.cancel_invoice(invoice)
            case "credit":
                company.credit_invoice(invoice)
            case "externalprint":
                invoice.sent, invoice.modified_at = True, company.now()
            case "warehouseready":
                invoice.warehouse_ready, invoice.modified_at = True, company.now()
        return Reply(self._invoice(company, invoice))

    def send_invoice(self, company: FortnoxCompany, number: int, action: str) -> Reply:
        """GET invoices/{DocumentNumber}/email and the like: it sends, though it is a GET."""
        invoice = company.need_invoice(number)
        if action in ("email", "einvoice", "eprint"):
            address = str(invoice.values.get("EmailInformation", {}).get("EmailAddressTo", ""))
            company.mails.append((number, address))
            invoice.sent = True
            return Reply(self._invoice(company, invoice))
        if action == "print":
            invoice.sent = True
        return Reply(raw=b"%PDF-1.4\n%%EOF\n", content_type="application/pdf")

    _TEXT_FILTERS: Mapping[str, str] = {
        "customername": "CustomerName",
        "ocr": "OCR",
        "ourreference": "OurReference",
        "yourreference": "YourReference",
        "yourordernumber": "YourOrderNumber",
        "externalinvoicereference1": "ExternalInvoiceReference1",
        "externalinvoicereference2": "ExternalInvoiceReference2",
        "project": "Project",
        "costcenter": "CostCenter",
    }

    def list_invoices(self, company: FortnoxCompany) -> Reply:
        """GET invoices; text filters match substrings whatever the case."""
        others = (
            "filter customernumber documentnumber label fromfinalpaydate tofinalpaydate notcompleted invoicetype "
            "articlenumber articledescription currency accountnumberfrom accountnumberto sent credit"
        ).split()
        parameters = self.parameters([*self._TEXT_FILTERS, *others])
        tests = self._invoice_tests(company, parameters)
        items = [i for i in company.invoices.values() if all(test(i) for test in tests) and self._listed(i)]
        keys: dict[str, Callable[[Invoice], Any]] = {
            "documentnumber": lambda i: i.number,
            "customername": lambda i: i.text("CustomerName").lower(),
            "customernumber": lambda i: i.customer_number,
            "invoicedate": lambda i: i.invoice_date,
            "ocr": lambda i: i.text("OCR"),
            "total": lambda i: i.total,
        }
        url = self.url()
        items = self.ordered(items, keys, parameters)
        return self.page("Invoices", items, lambda i: self.no_rights(company, render.invoice_row(url, i)), parameters)

    def _invoice_tests(self, company: FortnoxCompany, parameters: Mapping[str, str]) -> list[Callable[[Invoice], bool]]:
        tests: list[Callable[[Invoice], bool]] = []
        for name, field in self._TEXT_FILTERS.items():
            if name in parameters:
                tests.append(_contains(field, parameters[name].lower()))
        if "filter" in parameters:
            tests.append(self._state_test(company, parameters["filter"]))
        from_date, to_date = self.day(parameters, "fromdate"), self.day(parameters, "todate")
        if from_date is not None:
            tests.append(lambda i: i.invoice_date >= from_date)
        if to_date is not None:
            tests.append(lambda i: i.invoice_date <= to_date)
        paid_from, paid_to = self.day(parameters, "fromfinalpaydate"), self.day(parameters, "tofinalpaydate")
        if paid_from is not None:
            tests.append(lambda i: i.final_pay_date is not None and i.final_pay_date >= paid_from)
        if paid_to is not None:
            tests.append(lambda i: i.final_pay_date is not None and i.final_pay_date <= paid_to)
        since = self.modified_since(parameters)
        if since is not None:
            tests.append(lambda i: i.modified_at >= since)
        if "financialyear" in parameters or "financialyeardate" in parameters:
            year = self.year(company, parameters)
            tests.append(lambda i: year.from_date <= i.invoice_date <= year.to_date)
        simple: dict[str, Callable[[Invoice, str], bool]] = {
            "customernumber": lambda i, v: v in i.customer_number.lower(),
            "documentnumber": lambda i, v: v in str(i.number),
            "currency": lambda i, v: v == i.currency.lower(),
            "invoicetype": lambda i, v: v == str(i.values.get("InvoiceType", "INVOICE")).lower(),
            "notcompleted": lambda i, v: i.not_completed is (v == "true"),
            "sent": lambda i, v: i.sent is (v == "true"),
            "credit": lambda i, v: i.credit is (v == "true"),
            "articlenumber": lambda i, v: any(v in row.article.lower() for row in i.rows),
            "articledescription": lambda i, v: any(v in row.description.lower() for row in i.rows),
            "accountnumberfrom": lambda i, v: any((row.account or 0) >= int(v) for row in i.rows),
            "accountnumberto": lambda i, v: any((row.account or 9999) <= int(v) for row in i.rows),
            "label": lambda i, v: any(str(label.get("Id")) == v for label in i.values.get("Labels", [])),
        }
        for name, test in simple.items():
            if name in parameters:
                if name.startswith("accountnumber"):
                    self.integer(parameters, name, 0, 0)
                tests.append(functools.partial(_with_value, test, parameters[name].lower()))
        return tests

    def _state_test(self, company: FortnoxCompany, name: str) -> Callable[[Invoice], bool]:
        too_early = self.world.switches.unpaid_includes_unbooked
        today = company.today()

        def unpaid(invoice: Invoice) -> bool:
            stands = invoice.booked or too_early or invoice.accounting_method == "CASH"
            return stands and not invoice.cancelled and invoice.balance != 0

        match name:
            case "cancelled":
                return lambda i: i.cancelled
            case "fullypaid":
                return lambda i: i.final_pay_date is not None and i.balance == 0 and not i.cancelled
            case "unpaid":
                return unpaid
            case "unpaidoverdue":
                return lambda i: unpaid(i) and i.due_date < today
            case "unbooked":
                return lambda i: not i.booked and not i.cancelled
        raise ApiError(2000587, "Ett ogiltigt filter har använts.")

    # -- payments ------

    def payment_routes(self) -> None:
        """invoicepayments."""
        self.route("GET", "/3/invoicepayments", "payment", self.list_payments)
        self.route("POST", "/3/invoicepayments", "payment", self.create_payment)
        self.route("GET", "/3/invoicepayments/<int:number>", "payment", self.get_payment)
        self.route("PUT", "/3/invoicepayments/<int:number>", "payment", self.update_payment)
        self.route("DELETE", "/3/invoicepayments/<int:number>", "payment", self.delete_payment)
        self.route("PUT", "/3/invoicepayments/<int:number>/bookkeep", "payment", self.bookkeep_payment)

    def _payment(self, company: FortnoxCompany, number: int) -> Payment:
        payment = company.payments.get(number)
        if payment is None:
            raise not_found(PAYMENT_NOT_FOUND, "Kan inte hitta betalningen.")
        return payment

    def list_payments(self, company: FortnoxCompany) -> Reply:
        """GET invoicepayments, of one invoice with `invoicenumber` (exact)."""
        parameters = self.parameters(["invoicenumber"])
        items = [p for p in company.payments.values() if self._listed(p)]
        if "invoicenumber" in parameters:
            wanted = self.integer(parameters, "invoicenumber", 0, 0)
            items = [p for p in items if p.invoice_number == wanted]
        since = self.modified_since(parameters)
        if since is not None:
            items = [p for p in items if p.modified_at >= since]
        from_date, to_date = self.day(parameters, "fromdate"), self.day(parameters, "todate")
        if from_date is not None:
            items = [p for p in items if p.date >= from_date]
        if to_date is not None:
            items = [p for p in items if p.date <= to_date]
        keys: dict[str, Callable[[Payment], Any]] = {"number": lambda p: p.number, "paymentdate": lambda p: p.date}
        url = self.url()
        items = self.ordered(items, keys, parameters)
        return self.page("InvoicePayments", items, lambda p: render.payment_row(url, p, company), parameters)

    def get_payment(self, company: FortnoxCompany, number: int) -> Reply:
        """GET invoicepayments/{Number}."""
        payment = self._payment(company, number)
        if not self._gettable(payment):
            raise not_found(PAYMENT_NOT_FOUND, "Kan inte hitta betalningen.")
        return Reply({"InvoicePayment": render.payment(self.url(), payment, company)})

    def create_payment(self, company: FortnoxCompany) -> Reply:
        """POST invoicepayments: preliminary."""
        payment = company.create_payment(self.sent("InvoicePayment", fields.INVOICE_PAYMENT))
        shown = render.payment(self.url(), payment, company)
        return Reply({"InvoicePayment": shown}, 201, "invoicepayments")

    def update_payment(self, company: FortnoxCompany, number: int) -> Reply:
        """PUT invoicepayments/{Number}: preliminary ones only."""
        sent = self.sent("InvoicePayment", fields.INVOICE_PAYMENT)
        payment = self._payment(company, number)
        company.update_payment(payment, sent)
        return Reply({"InvoicePayment": render.payment(self.url(), payment, company)})

    def delete_payment(self, company: FortnoxCompany, number: int) -> Reply:
        """DELETE invoicepayments/{Number}: preliminary ones only."""
        company.delete_payment(self._payment(company, number))
        return Reply(status=204)

    def bookkeep_payment(self, company: FortnoxCompany, number: int) -> Reply:
        """PUT invoicepayments/{Number}/bookkeep, with no body or `{}`."""
        payment = self._payment(company, number)
        company.bookkeep_payment(payment)
        return Reply({"InvoicePayment": render.payment(self.url(), payment, company)})

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
        own = _without_blanks(sent)
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
            for line in (_without_blanks(item) for item in own.get("VoucherRows", []))
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

    # -- files ------

    def file_routes(self) -> None:
        """inbox, archive, voucherfileconnections, attachments of invoices."""
        for place in ("inbox", "archive"):
            self.route("POST", f"/3/{place}", place, functools.partial(self.upload, place=place))
            self.route("GET", f"/3/{place}", place, functools.partial(self.folder, place=place))
            self.route("GET", f"/3/{place}/<identifier>", place, self.download)
        self.route("GET", "/3/voucherfileconnections", "connectfile", self.list_connections)
        self.route("POST", "/3/voucherfileconnections", "connectfile", self.connect_file)
        self.route("GET", "/3/voucherfileconnections/<file_id>", "connectfile", self.get_connection)
        self.route("DELETE", "/3/voucherfileconnections/<file_id>", "connectfile", self.disconnect_file)
        base = "/api/fileattachments/attachments-v1"
        self.route("GET", base, "connectfile", self.list_attachments)
        self.route("POST", base, "connectfile", self.attach)
        self.route("DELETE", f"{base}/<identifier>", "connectfile", self.detach)

    def _file(self, stored: StoredFile, place: str) -> dict[str, Any]:
        identifier = stored.id if place == "inbox" else stored.archive_id
        return {
            "@url": f"{self.url()}/{place}/{identifier}",
            "Id": identifier,
            "ArchiveFileId": stored.archive_id,
            "Name": stored.name,
            "Path": stored.path,
            "Size": len(stored.content),
            "Comments": "",
        }

    def upload(self, company: FortnoxCompany, place: str) -> Reply:
        """POST inbox or archive: a multipart form with the field `file`."""
        uploaded = request.files.get("file")
        if uploaded is None:
            raise ApiError(2001392, "Ingen eller felaktig typ av data.")
        path = request.args.get("path", "") or request.args.get("folderid", "") or request.args.get("folderId", "")
        if place == "inbox" and path and path.lower() not in _INBOX_FOLDERS:
            raise ApiError(2000588, "Ogiltig parameter i anropet.")
        serial = len(company.files) + 1
        tail = f"{company.database_number:012d}"
        stored = StoredFile(
            f"{serial:08x}-0000-4000-8000-{tail}",
            f"{serial:08x}-0000-4000-9000-{tail}",
            uploaded.filename or "file",
            _INBOX_FOLDERS.get(path.lower(), path),
            uploaded.stream.read(),
            company.now(),
        )
        company.files[stored.id] = stored
        return Reply({"File": self._file(stored, place)}, 201, place)

    def folder(self, company: FortnoxCompany, place: str) -> Reply:
        """GET inbox or archive: the root folder."""
        folders = [
            {"@url": f"{self.url()}/{place}/{code}", "Id": code, "Name": name}
            for code, name in _INBOX_FOLDERS.items()
            if place == "inbox"
        ]
        shown = {
            "@url": f"{self.url()}/{place}",
            "Email": "",
            "Files": [self._file(stored, place) for stored in company.files.values()],
            "Folders": folders,
            "Id": "root",
            "Name": "root",
        }
        return Reply({"Folder": shown})

    @staticmethod
    def _stored(company: FortnoxCompany, identifier: object) -> StoredFile:
        for stored in company.files.values():
            if identifier in (stored.id, stored.archive_id):
                return stored
        raise ApiError(2000704, "Filen kunde inte hittas.")

    def download(self, company: FortnoxCompany, identifier: str) -> Reply:
        """GET inbox/{Id}: the file."""
        stored = self._stored(company, identifier)
        return Reply(raw=stored.content, content_type="application/octet-stream")

    def _connection(self, company: FortnoxCompany, connection: FileConnection) -> dict[str, Any]:
        series, number, year_id = connection.voucher or ("", 0, 0)
        voucher = company.vouchers.get((series, number, year_id))
        return {
            "@url": f"{self.url()}/voucherfileconnections/{connection.file_id}",
            "FileId": connection.file_id,
            "VoucherDescription": voucher.description if voucher else "",
            "VoucherNumber": str(number),
            "VoucherSeries": series,
            "VoucherYear": year_id,
        }

    def list_connections(self, company: FortnoxCompany) -> Reply:
        """GET voucherfileconnections."""
        parameters = self.parameters(["voucherseries", "vouchernumber", "voucheryear"])
        items = [c for c in company.file_connections.values() if c.voucher is not None]
        return self.page("VoucherFileConnections", items, lambda c: self._connection(company, c), parameters)

    def connect_file(self, company: FortnoxCompany) -> Reply:
        """POST voucherfileconnections; the year from the body, from `financialyear`, or the selected one."""
        parameters = self.parameters()
        sent = self.sent("VoucherFileConnection", fields.VOUCHER_FILE_CONNECTION)
        stored = self._stored(company, sent.get("FileId"))
        year_id = sent.get("VoucherYear") or self.year(company, parameters).id
        key = (str(sent.get("VoucherSeries", "")), int(sent.get("VoucherNumber", 0)), int(year_id))
        if key not in company.vouchers:
            raise ApiError(VOUCHER_NOT_FOUND, "Kan inte hitta verifikationen.")
        connection = FileConnection(stored.archive_id, stored.archive_id, voucher=key)
        company.file_connections[connection.id] = connection
        shown = self._connection(company, connection)
        return Reply({"VoucherFileConnection": shown}, 201, "voucherfileconnections")

    def _connected(self, company: FortnoxCompany, file_id: str) -> FileConnection:
        for connection in company.file_connections.values():
            if connection.voucher is not None and connection.file_id == file_id:
                return connection
        raise ApiError(2000704, "Filen kunde inte hittas.")

    def get_connection(self, company: FortnoxCompany, file_id: str) -> Reply:
        """GET voucherfileconnections/{FileId}."""
        shown = self._connection(company, self._connected(company, file_id))
        return Reply({"VoucherFileConnection": shown})

    def disconnect_file(self, company: FortnoxCompany, file_id: str) -> Reply:
        """DELETE voucherfileconnections/{FileId}."""
        del company.file_connections[self._connected(company, file_id).id]
        return Reply(status=204)

    @staticmethod
    def _attachment(connection: FileConnection) -> dict[str, Any]:
        return {
            "entityId": int(connection.entity_id),
            "entityType": connection.entity_type,
            "fileId": connection.file_id,
            "id": connection.id,
            "includeOnSend": connection.include_on_send,
        }

    def list_attachments(self, company: FortnoxCompany) -> Reply:
        """GET attachments of one invoice (`entityid`, `entitytype=F`)."""
        wanted = request.args.get("entityid"), request.args.get("entitytype")
        items = [c for c in company.file_connections.values() if (c.entity_id, c.entity_type) == wanted]
        return Reply([self._attachment(connection) for connection in items])

    def attach(self, company: FortnoxCompany) -> Reply:
        """POST attachments: a list of them."""
        body = self.body()
        if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
            raise ApiError(2001392, "Ingen eller felaktig typ av data.")
        made = []
        for item in body:
            stored = self._stored(company, item.get("fileId"))
            if item.get("entityType") == "F":
                company.need_invoice(int(item.get("entityId", 0)))
            serial = len(company.file_connections) + 1
            connection = FileConnection(
                f"{serial:08x}-0000-4000-a000-{company.database_number:012d}",
                stored.archive_id,
                entity_id=str(item.get("entityId", "")),
                entity_type=str(item.get("entityType", "")),
                include_on_send=bool(item.get("includeOnSend", False)),
            )
            company.file_connections[connection.id] = connection
            made.append(self._attachment(connection))
        return Reply(made, 201)

    def detach(self, company: FortnoxCompany, identifier: str) -> Reply:
        """DELETE one attachment."""
        connection = company.file_connections.get(identifier)
        if connection is None or not connection.entity_id:
            raise ApiError(2000704, "Filen kunde inte hittas.", 404)
        del company.file_connections[identifier]
        return Reply(status=204)


def _without_blanks(sent: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sent.items() if value is not BLANK}


def _contains(field: str, wanted: str) -> Callable[[Invoice], bool]:
    def test(invoice: Invoice) -> bool:
        return wanted in str(invoice.values.get(field, "")).lower()

    return test


def _with_value(test: Callable[[Invoice, str], bool], value: str, invoice: Invoice) -> bool:
    return test(invoice, value)
