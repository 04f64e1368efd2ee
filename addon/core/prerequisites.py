"""What the books must be like before Kvitt writes into them: the list, and the check of it.

Method, licence, series and clearing account stop a company; anything else holds just the documents concerned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from addon.core import chart_dk
from addon.core.accounts import AccountRole
from addon.core.books import Books, ChartAccount, Check, Nudges, Register, Remedy, Repair, Series
from addon.core.checklists import STOPPING, Prerequisite
from addon.core.dates import FinancialYear
from addon.core.documents import CustomerVat
from addon.core.invoicing import CHOICE_CHECKS, Choice, Invoicing
from addon.core.saleform import USUAL_FORM, SaleForm

__all__ = [
    "STOPPING",
    "Needs",
    "Prerequisite",
    "Proposal",
    "account_name",
    "check_books",
    "propose_company_accounts",
    "propose_connection_accounts",
    "propose_series",
]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a company's connections need of its books.

    `accounts` are the numbers by role (`sales:SE25`) that documents will be booked on, an empty number where
    nothing is mapped; `clearing` the clearing accounts by `connection name and currency`; `currencies` those of
    invoices, the books' own left out.
    """

    first_day: date
    today: date
    accounts: Mapping[str, str] = field(default_factory=dict)
    clearing: Mapping[str, str] = field(default_factory=dict)
    currencies: tuple[str, ...] = ()
    voucher_series: str = ""
    invoices: bool = True
    """Whether invoices are made (Plus), and so exchange accounts and the invoice series are needed."""
    payments: bool = True
    """Whether payments are registered on invoices (Basic, Plus). Where all is vouchers (Settlement), the method, the
    series and the ways of payment of invoices do not matter."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names for accounts that are to be made, by number."""
    codes: tuple[tuple[Register, str], ...] = ()
    """Codes that settings and rules name."""
    scopes: tuple[str, ...] = ()
    """Registers beyond the usual ones that the company's choices need."""
    form: SaleForm = USUAL_FORM
    choices: Mapping[Choice, str] = field(default_factory=dict)
    """What the company has chosen of the registers that its invoices name."""
    exchange: Mapping[str, str] = field(default_factory=dict)
    """The company's accounts for exchange gains and losses, by role."""


_PREDEFINED_ALWAYS = (AccountRole.CUSTOMER_CLAIMS.value, AccountRole.ROUNDING.value)
_PREDEFINED_FOREIGN = (AccountRole.EXCHANGE_GAIN.value, AccountRole.EXCHANGE_LOSS.value)


def check_books(books: Books, needs: Needs, checklist: Sequence[Prerequisite]) -> tuple[Check, ...]:
    """Test every prerequisite on the list of the books' system that concerns these needs, in the list's order."""
    order = {entry.code: place for place, entry in enumerate(checklist)}
    access = (*_access("licence", books.missing_licences), *_access("scope", books.missing_scopes))
    if not books.years and not books.accounts and (books.missing_licences or books.missing_scopes):
        # Without it nothing could be read: what is not seen is not missing.
        return access
    found = (*access, *_checks(books, needs, _years_touched(books, needs)))
    mendable = (check if _mendable(books, check) else replace(check, repair=None) for check in found)
    return tuple(sorted((check for check in mendable if check.code in order), key=lambda check: order[check.code]))


def _mendable(books: Books, check: Check) -> bool:
    return check.repair is None or check.repair.remedy in books.remedies


def _checks(books: Books, needs: Needs, years: tuple[FinancialYear, ...]) -> Iterator[Check]:
    yield from _accrual(years) if needs.payments else ()
    yield from _unreadable(books)
    yield from _financial_years(books, needs)
    yield from _predefined_series(books, needs)
    yield from _voucher_series(books, needs, years)
    yield from _clearing(books, needs, years)
    yield from _accounts(books, needs, years)
    yield from _predefined_accounts(books, needs, years)
    yield from _currencies(books, needs)
    yield from _payment_modes(books, needs) if needs.payments else ()
    yield from _locked_periods(books, needs)
    yield from _codes(books, needs)
    yield from _more_registers(books, needs)
    yield _flag(books, "warehouse")
    yield from _oss_vat_codes(books, needs, years)
    yield _flag(books, "easy_vat")
    if books.invoicing is not None and needs.invoices:
        yield from _invoicing(books.invoicing, books, needs)
    yield from _exchange_accounts(books, needs, years)
    yield from _webhook(books)


def _check(
    code: str,
    ok: bool,
    subject: str = "",
    year_ref: str = "",
    repair: Repair | None = None,
    details: tuple[tuple[str, str], ...] = (),
) -> Check:
    stops = code in STOPPING
    return Check(code, ok, stops, subject, year_ref, None if ok else repair, details)


def _years_touched(books: Books, needs: Needs) -> tuple[FinancialYear, ...]:
    return tuple(
        year
        for year in sorted(books.years, key=lambda year: year.first_day)
        if year.last_day >= needs.first_day and year.first_day <= needs.today
    )


def _named(year: FinancialYear) -> tuple[tuple[str, str], ...]:
    return (("year", f"{year.first_day.isoformat()} – {year.last_day.isoformat()}"),)


def _accrual(years: tuple[FinancialYear, ...]) -> Iterator[Check]:
    for year in years:
        yield _check("accrual_method", year.accrual, year.ref, year.ref, details=_named(year))


def _access(code: str, missing: tuple[str, ...]) -> Iterator[Check]:
    if not missing:
        yield _check(code, True)
    for name in missing:
        yield _check(code, False, name, details=(("name", name),))


def _unreadable(books: Books) -> Iterator[Check]:
    """Parts of the books that we were not let read: what hangs on them cannot be checked."""
    for part in books.unreadable:
        if part not in books.missing_scopes and part not in books.missing_licences:
            yield Check("scope", False, stops=False, subject=part, details=(("unreadable", part),))


def _closed(books: Books, scope: str) -> bool:
    """Whether a part of the books was closed to us: what hangs on it is not missing, its closing has its own line."""
    return scope in (*books.missing_scopes, *books.missing_licences, *books.unreadable)


def _financial_years(books: Books, needs: Needs) -> Iterator[Check]:
    if _closed(books, "bookkeeping"):
        return
    day = needs.first_day
    while day <= needs.today:
        year = books.year_of(day)
        if year is None:
            later = [other.first_day for other in books.years if other.first_day > day]
            yield _check("financial_year", False, day.isoformat(), details=(("day", day.isoformat()),))
            if not later:
                return
            day = min(later)
            continue
        yield _check("financial_year", True, year.ref, year.ref, details=_named(year))
        day = year.last_day + timedelta(days=1)


def _predefined_series(books: Books, needs: Needs) -> Iterator[Check]:
    series = {"payment_series": books.payment_series} if needs.payments else {}
    if needs.invoices:
        series = {"invoice_series": books.invoice_series, **series}
    for code, letter in series.items():
        unreadable = _closed(books, "settings")
        check = _check(code, bool(letter), letter, details=(("series", letter),) if letter else ())
        # What we may not read need not be missing: that is said once, by its own line, and does not stop.
        yield Check(code, True, check.stops, details=(("unreadable", "yes"),)) if unreadable else check


def _voucher_series(books: Books, needs: Needs, years: tuple[FinancialYear, ...]) -> Iterator[Check]:
    code = needs.voucher_series
    for year in years:
        series = next((one for one in books.series if one.code == code and one.year_ref == year.ref), None)
        details = (("series", code), *_named(year))
        if series is None:
            repair = Repair(Remedy.CREATE_SERIES, code, year.ref, SERIES_NAME) if code else None
            yield _check("voucher_series", False, code, year.ref, repair, (*details, ("fault", "missing")))
        elif fault := _series_fault(series):
            # Only one of our own: in anybody else's the restriction is somebody's wish.
            ours = SERIES_NAME.lower() in series.name.lower()
            mend = Repair(Remedy.MEND_SERIES, code, year.ref, SERIES_NAME) if ours else None
            yield _check("voucher_series", False, code, year.ref, mend, (*details, ("fault", fault)))
        else:
            yield _check("voucher_series", True, code, year.ref, details=details)


def _series_fault(series: Series) -> str:
    if not series.manual:
        return "not_manual"
    if series.needs_approval:
        return "approval"
    return "full" if series.full else ""


def _account_fault(account: ChartAccount | None, cost_centre: str = "", project: str = "") -> str:
    if account is None:
        return "missing"
    if not account.active:
        return "inactive"
    if account.needs_cost_centre and not cost_centre:
        return "cost_centre"
    return "project" if account.needs_project and not project else ""


def _codes_for(uses: str, needs: Needs) -> tuple[str, str]:
    """The cost centre and project that rows on an account get, if all its uses let them."""
    roles = [AccountRole(use.strip().partition(":")[0]) for use in uses.split(",")]
    found = {needs.form.codes_for(role) for role in roles}
    return found.pop() if len(found) == 1 else ("", "")


def _account_check(books: Books, needs: Needs, year: FinancialYear, code: str, number: str, use: str) -> Check:
    account = books.account(number, year.ref)
    codes = _codes_for(use, needs) if code == "account" else ("", "")
    fault = _account_fault(account, *codes)
    repair = None
    name = account.name if account is not None else needs.names.get(number, "")
    if fault == "missing":
        repair = Repair(Remedy.CREATE_ACCOUNT, number, year.ref, name or number)
    elif fault == "inactive":
        repair = Repair(Remedy.ACTIVATE_ACCOUNT, number, year.ref, name)
    details = (("account", number), ("name", name), ("use", use), *_named(year))
    return _check(code, not fault, number, year.ref, repair, (*details, ("fault", fault)) if fault else details)


def _unmapped(code: str, use: str) -> Check:
    return _check(code, False, use, details=(("use", use), ("fault", "not_mapped")))


def _clearing(books: Books, needs: Needs, years: tuple[FinancialYear, ...]) -> Iterator[Check]:
    for use, number in sorted(needs.clearing.items()):
        if not number:
            yield _unmapped("clearing_account", use)
            continue
        for year in years:
            yield _account_check(books, needs, year, "clearing_account", number, use)


def _accounts(books: Books, needs: Needs, years: tuple[FinancialYear, ...]) -> Iterator[Check]:
    uses: dict[str, list[str]] = {}
    for use, number in sorted(needs.accounts.items()):
        if not number:
            yield _unmapped("account", use)
        elif number not in needs.clearing.values():
            uses.setdefault(number, []).append(use)
    for number, names in sorted(uses.items()):
        for year in years:
            yield _account_check(books, needs, year, "account", number, ", ".join(names))


def _predefined_accounts(books: Books, needs: Needs, years: tuple[FinancialYear, ...]) -> Iterator[Check]:
    if _closed(books, "settings"):
        return
    numbers = dict(books.predefined)
    roles = (*_PREDEFINED_ALWAYS, *(_PREDEFINED_FOREIGN if needs.currencies else ()))
    if books.invoicing is not None:
        # The group's account is told; on which accounts the system rounds and exchanges is not.
        roles = (AccountRole.CUSTOMER_CLAIMS.value,)
    for role in roles:
        number = numbers.get(role, "")
        if not number:
            yield _unmapped("predefined_account", role)
            continue
        for year in years:
            yield _account_check(books, needs, year, "predefined_account", number, role)


def _currencies(books: Books, needs: Needs) -> Iterator[Check]:
    if _closed(books, "currency"):
        return
    for code in sorted(set(needs.currencies) - {books.identity.currency}):
        known = books.currency(code)
        if known is None:
            repair = Repair(Remedy.ADD_CURRENCY, code, name=code)
            yield _check("currency", False, code, repair=repair, details=(("fault", "missing"),))
        else:
            fault = () if known.automatic else (("fault", "not_automatic"),)
            yield _check("currency", known.automatic, code, details=fault)


def _payment_modes(books: Books, needs: Needs) -> Iterator[Check]:
    if _closed(books, "settings"):
        return
    modes = {number: code for code, number in books.payment_modes}
    for use, number in sorted(needs.clearing.items()):
        if not number:
            continue
        code = modes.get(number, "")
        repair = Repair(Remedy.ADD_PAYMENT_MODE, number, name=needs.names.get(number, use))
        details = (("account", number), ("use", use), *((("mode", code),) if code else ()))
        yield _check("payment_mode", bool(code), number, repair=repair, details=details)


def _codes(books: Books, needs: Needs) -> Iterator[Check]:
    for register, code in needs.codes:
        fault = books.code_fault(register, code)
        details = (("register", register.value), ("code", code), *((("fault", fault),) if fault else ()))
        yield _check("code", not fault, f"{register.value}:{code}", details=details)


def _more_registers(books: Books, needs: Needs) -> Iterator[Check]:
    for scope in needs.scopes:
        closed = scope in (*books.missing_scopes, *books.missing_licences, *books.unreadable)
        yield _check("article_register", not closed, scope, details=(("name", scope),))


def _locked_periods(books: Books, needs: Needs) -> Iterator[Check]:
    """One line where the books are locked through a day; one for each stretch where months are closed singly."""
    closed = [(first, last) for first, last in books.closed_months if last >= needs.first_day and first <= needs.today]
    if not closed:
        yield _locked_through(books, needs)
    for first, last in closed:
        details = (("from", first.isoformat()), ("through", last.isoformat()), ("fault", "months"))
        yield _check("locked_period", False, first.isoformat(), details=details)


def _locked_through(books: Books, needs: Needs) -> Check:
    through = books.locked_through
    if through is None:
        return _check("locked_period", True)
    details = (("through", through.isoformat()), ("start", needs.first_day.isoformat()))
    return _check("locked_period", through < needs.first_day, details=details)


def _oss_vat_codes(books: Books, needs: Needs, years: tuple[FinancialYear, ...]) -> Iterator[Check]:
    for use, number in sorted(needs.accounts.items()):
        # A rate with decimals is written as a voucher, whose VAT has a row of its own.
        if not number or not use.startswith("sales:OSS-") or "." in use:
            continue
        for year in years:
            if books.account(number, year.ref) is not None:
                ok = books.keeps_oss_apart(number, year.ref)
                details = (("account", number), ("use", use), *_named(year))
                yield _check("oss_vat_code", ok, number, year.ref, details=details)


def _invoicing(registers: Invoicing, books: Books, needs: Needs) -> Iterator[Check]:
    for choice, code in CHOICE_CHECKS.items():
        chosen = needs.choices.get(choice, "")
        fault = registers.fault_of(choice, chosen)
        taken = chosen or next((one.code for one in (registers.proposed(choice),) if one is not None), "")
        name = next((one.name for one in registers.offered(choice) if one.code == taken), "")
        details = (("number", taken), ("name", name), *((("fault", fault),) if fault else ()))
        yield _check(code, not fault, taken, details=details)
    buyers: set[str] = set()
    for use, number in sorted(needs.accounts.items()):
        sold = _sold(use, books.identity.country)
        if sold is not None:
            buyer, percent = sold
            buyers.add(buyer)
            if number:
                yield _product_group(registers, use, number, buyer, percent)
    for buyer in sorted(buyers):
        yield _check("vat_zone", buyer in registers.buyers, buyer, details=(("buyer", buyer),))
    if not registers.barred_products:
        yield _check("product", True)
    for product in registers.barred_products:
        yield _check(
            "product", False, product, repair=Repair(Remedy.OPEN_PRODUCT, product), details=(("name", product),)
        )


def _sold(use: str, home: str) -> tuple[str, Decimal] | None:
    """Whom a sales account is for and at what rate; None for what is no sale, or one that vouchers take."""
    role, _, treatment = use.partition(":")
    if role != AccountRole.SALES.value:
        return None
    if treatment.startswith("EXPORT"):
        return CustomerVat.EXPORT.value, Decimal(0)
    if treatment in ("EU-GOODS", "EU-SERVICES"):
        return CustomerVat.EU_BUSINESS.value, Decimal(0)
    kind = CustomerVat.EU_CONSUMER if treatment.startswith("OSS-") else CustomerVat.DOMESTIC
    percent = treatment.removeprefix("OSS-")[2:] if kind is CustomerVat.EU_CONSUMER else treatment.removeprefix(home)
    return (kind.value, Decimal(percent)) if percent.isdecimal() else None


def _product_group(registers: Invoicing, use: str, number: str, buyer: str, percent: Decimal) -> Check:
    details = (("account", number), ("use", use), ("rate", f"{percent}"))
    if any((one.buyer, one.account, one.percent) == (buyer, number, percent) for one in registers.sold):
        return _check("product_group", True, use, details=details)
    rate = dict(registers.rates).get(number)
    if rate is not None and rate != percent:
        has = f"{rate.normalize():f}"
        return _check("product_group", False, use, details=(*details, ("has", has), ("fault", "rate")))
    repair = Repair(Remedy.CREATE_PRODUCT_GROUP, number, name=f"{SERIES_NAME} {use.partition(':')[2]}")
    # An account that is not there is its own line: a group that sells on it cannot be made before.
    return _check("product_group", False, use, repair=repair if rate is not None else None, details=details)


def _exchange_accounts(books: Books, needs: Needs, years: tuple[FinancialYear, ...]) -> Iterator[Check]:
    """The accounts that the company names for exchange differences, where no call tells the system's own."""
    if not needs.currencies:
        return
    for role in _PREDEFINED_FOREIGN:
        number = needs.exchange.get(role, "")
        if not number:
            yield _check("exchange_account", False, role, details=(("use", role), ("fault", "not_mapped")))
            continue
        for year in years:
            yield _account_check(books, needs, year, "exchange_account", number, role)


def _webhook(books: Books) -> Iterator[Check]:
    if books.nudges is Nudges.NONE:
        return
    on = books.nudges is Nudges.ON
    details = (("address", books.nudge_address), *(() if on else (("fault", books.nudges.value),)))
    yield _check("webhook", on, repair=Repair(Remedy.REGISTER_WEBHOOK, "INVOICE_BOOKED"), details=details)


def _flag(books: Books, name: str) -> Check:
    present = name in books.flags
    # Simplified VAT takes the standard rates, and Kvitt sends no others: worth knowing, nothing to mend.
    return _check(name, name == "easy_vat" or not present, details=(("present", "yes" if present else "no"),))


# --- defaults out of the company's own chart ------------------------------------------------------------------

SERIES_NAME: Final = "Kvitt"

# Fortnox gives A to M a meaning of its own (K wages, M VAT …), so ours is looked for behind them.
_SERIES_LETTERS = "VQXZWYUTSRPON"

_CLEARING_CANDIDATES = ("1686", "1687", "1688", "1689", *(str(number) for number in range(1580, 1590)))
"""BAS 2026 made 1686 of what was 1580 (facts on accounting practice, 1.1); many charts still have 1580."""

_NAMES: Final = {
    "1686": "Fordringar för kontokort och kuponger",
    "1515": "Osäkra kundfordringar",
    "1516": "Tvistiga kundfordringar",
    "1930": "Företagskonto",
    "1931": "Medel under överföring",
    "1945": "Medel under överföring",
    "1946": "Medel under överföring",
    "2611": "Utgående moms på försäljning inom Sverige, 25 %",
    "2420": "Förskott från kunder",
    "2614": "Utgående moms omvänd skattskyldighet, 25 %",
    "2621": "Utgående moms på försäljning inom Sverige, 12 %",
    "2631": "Utgående moms på försäljning inom Sverige, 6 %",
    "2641": "Debiterad ingående moms",
    "2645": "Beräknad ingående moms på förvärv från utlandet",
    "3001": "Försäljning inom Sverige, 25 % moms",
    "3002": "Försäljning inom Sverige, 12 % moms",
    "3003": "Försäljning inom Sverige, 6 % moms",
    "3004": "Försäljning inom Sverige, momsfri",
    "3105": "Försäljning varor till land utanför EU",
    "3108": "Försäljning varor till annat EU-land, momsfri",
    "3305": "Försäljning tjänster till land utanför EU",
    "3308": "Försäljning tjänster till annat EU-land, momsfri",
    "3740": "Öres- och kronutjämning",
    "3960": "Valutakursvinster på fordringar och skulder av rörelsekaraktär",
    "4531": "Import tjänster land utanför EU, 25 % moms",
    "4535": "Inköp av tjänster från annat EU-land, 25 %",
    "4598": "Justering, omvänd moms",
    "6050": "Försäljningsprovisioner",
    "6351": "Konstaterade förluster på kundfordringar",
    "6570": "Bankkostnader",
    "6998": "Utländsk moms",
    "7960": "Valutakursförluster på fordringar och skulder av rörelsekaraktär",
}
"""Swedish names of accounts as BAS has them, for those that a person asks us to make."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Account numbers by role, and names for those that would have to be made."""

    numbers: Mapping[str, str]
    names: Mapping[str, str]


def _latest_chart(books: Books, today: date) -> dict[str, ChartAccount]:
    year = books.year_of(today) or max(books.years, key=lambda year: year.last_day, default=None)
    if year is None:
        return {}
    return {account.number: account for account in books.accounts if account.year_ref == year.ref}


def _open(chart: Mapping[str, ChartAccount]) -> set[str]:
    return {number for number, account in chart.items() if account.active}


def propose_company_accounts(books: Books, today: date) -> Proposal:
    """Accounts for sales, fees and differences: what the company's chart and predefined accounts really have."""
    chart = _latest_chart(books, today)
    if books.identity.country == "DK":
        return Proposal(chart_dk.offered(_open(chart)), {})
    predefined = dict(books.predefined)

    def first_active(*numbers: str) -> str:
        active = (number for number in numbers if number in chart and chart[number].active)
        there = (number for number in numbers if number in chart)
        return next(active, next(there, numbers[0]))

    numbers = {
        "sales:SE25": first_active("3001", "3010", "3041"),
        "sales:SE12": first_active("3002", "3011", "3042"),
        "sales:SE6": first_active("3003", "3012", "3043"),
        "sales:SE0": first_active("3004", "3013", "3044"),
        "sales:EXPORT": first_active("3105", "3305"),
        "output_vat:SE25": "2611",
        "output_vat:SE12": "2621",
        "output_vat:SE6": "2631",
        "sales:EXPORT-SERVICES": first_active("3305", "3105"),
        "sales:EU-GOODS": first_active("3108", "3308"),
        "sales:EU-SERVICES": first_active("3308", "3108"),
        "fee": first_active("6570", "6040"),
        "fee_basis": "4535",
        "fee_basis:NON_EU": "4531",
        "fee_basis_contra": "4598",
        "fee_output_vat": "2614",
        "fee_input_vat": "2645",
        "fee_domestic_vat": "2641",
        "disputes": first_active("1516", "1689"),
        "dispute_loss": first_active("6351", "6380"),
        "bounced_payments": first_active("1515", "1519", "1685"),
        "returned_refunds": first_active("2420", "2490", "2890"),
        "fee_tax": first_active("6998", "6990"),
        "foreign_fee": first_active("6050", "6590"),
        "transit": _transit_for(chart),
        "rounding": predefined.get("rounding") or "3740",
        "exchange_gain": predefined.get("exchange_gain") or "3960",
        "exchange_loss": predefined.get("exchange_loss") or "7960",
    }
    return Proposal(numbers, {number: _NAMES[number] for number in numbers.values() if number in _NAMES})


def _transit_for(chart: Mapping[str, ChartAccount]) -> str:
    """An account for money between provider and bank: one that is named so, else a free number beside the banks."""
    named = (
        number
        for number, account in sorted(chart.items())
        if account.active and number.startswith(("16", "19")) and "UNDER ÖVERFÖRING" in account.name.upper()
    )
    free = (number for number in ("1931", "1945", "1946") if number not in chart)
    return next(named, next(free, ""))


def propose_connection_accounts(
    books: Books, today: date, provider_name: str, currencies: tuple[str, ...], taken: frozenset[str]
) -> Proposal:
    """A clearing and a bank account for each balance currency of a new connection.

    The account that the company already has for this provider comes first, then 1686, then 1580, then the free
    numbers beside them; never one that is `taken` by something else or that the chart has for another purpose.
    """
    chart = _latest_chart(books, today)
    numbers: dict[str, str] = {}
    names: dict[str, str] = {}
    used = set(taken)
    home = books.identity.currency
    if books.identity.country == "DK":
        return Proposal(chart_dk.offered_for_balances(_open(chart), currencies, home, used, chart), {})
    for currency in sorted(currencies, key=lambda code: (code != home, code)):
        clearing = _clearing_for(chart, provider_name, currency, home, used)
        used.add(clearing)
        numbers[f"clearing:{currency}"] = clearing
        names[clearing] = f"Fordran {provider_name} {currency}"
        bank = _bank_for(chart, currency, home, used)
        if currency != home:
            used.add(bank)
        numbers[f"bank:{currency}"] = bank
        names[bank] = _NAMES.get(bank, f"Valutakonto {currency}")
        reserve = _reserve_for(chart, used)
        used.add(reserve)
        numbers[f"reserve:{currency}"] = reserve
        names[reserve] = f"Innehållet {provider_name} {currency}"
    return Proposal(numbers, names)


def account_name(number: str, fallback: str) -> str:
    """What to call an account that is to be made."""
    return _NAMES.get(number, fallback)


def _clearing_for(
    chart: Mapping[str, ChartAccount], provider_name: str, currency: str, home: str, used: set[str]
) -> str:
    for account in chart.values():
        words = account.name.upper().split()
        other_currency = any(len(word) == 3 and word != currency and word in _CURRENCY_WORDS for word in words)
        named = provider_name.upper() in words and account.number.startswith(("15", "16"))
        right = currency in words if currency != home else not other_currency
        if named and right and account.active and account.number not in used:
            return account.number
    standard = [number for number in ("1686", "1580") if number not in used]
    for number in standard:
        if currency == home and number in chart and chart[number].active:
            return number
    if currency == home and "1686" not in used:
        return "1686"
    free = [number for number in _CLEARING_CANDIDATES if number not in used and number not in chart]
    wider = (str(number) for number in range(1600, 1700) if str(number) not in used | set(chart))
    # The plain 1686 is left to the books' own currency.
    return next((number for number in free if number != "1686"), next(wider, "1686"))


def _reserve_for(chart: Mapping[str, ChartAccount], used: set[str]) -> str:
    """A free number beside the clearing accounts, from above: those are given out from below."""
    return next(
        (number for number in map(str, range(1699, 1599, -1)) if number not in used and number not in chart), "1699"
    )


_CURRENCY_WORDS = frozenset("EUR USD GBP NOK DKK SEK CHF PLN JPY CAD AUD".split())


def _bank_for(chart: Mapping[str, ChartAccount], currency: str, home: str, used: set[str]) -> str:
    banks = [account for number, account in sorted(chart.items()) if number.startswith("19")]
    if currency == home:
        standard = chart.get("1930")
        if standard is not None and standard.active:
            return "1930"
        active = (account.number for account in banks if account.active and account.number[2:] >= "20")
        return next(active, "1930")
    named = (
        account.number
        for account in banks
        if currency in account.name.upper().split() and account.active and account.number not in used
    )
    free = (str(number) for number in range(1980, 1990) if str(number) not in used | set(chart))
    plain = "1980" if "1980" in chart and "1980" not in used else ""
    return next(named, plain or next(free, "1980"))


def propose_series(books: Books) -> str:
    """A manual series named for Kvitt if there is one, else a letter that no year and no standard uses."""
    ours: list[Series] = [one for one in books.series if one.manual and SERIES_NAME.lower() in one.name.lower()]
    if ours:
        return ours[0].code
    used = {one.code for one in books.series} | {books.invoice_series, books.payment_series}
    return next((letter for letter in _SERIES_LETTERS if letter not in used), "KV")
