"""The ledger as a SIE file, types 1 to 4, in CP437 as the standard demands."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from addon.sandbox.fortnox.books import STOCKHOLM, FinancialYear, Voucher
from addon.sandbox.fortnox.company import FortnoxCompany
from addon.sandbox.fortnox.wire import ZERO

_CLEANED = {**dict.fromkeys([*range(32), 127], " "), ord('"'): '\\"'}
"""Control characters become spaces, quotes are escaped."""


def _quoted(text: str) -> str:
    return '"' + text.translate(_CLEANED) + '"'


def _day(day: date) -> str:
    return day.isoformat().replace("-", "")


def _amount(amount: Decimal) -> str:
    return f"{amount:.2f}"


def _voucher(shown: Voucher) -> list[str]:
    registered = _day(shown.created_at.astimezone(STOCKHOLM).date())
    head = f"#VER {shown.series} {shown.number} {_day(shown.date)} {_quoted(shown.description)} {registered}"
    lines = [head, "{"]
    for line in shown.rows:
        objects = []
        if line.cost_center or shown.cost_center:
            objects += ["1", _quoted(line.cost_center or shown.cost_center)]
        if line.project or shown.project:
            objects += ["6", _quoted(line.project or shown.project)]
        parts = ["   #TRANS", str(line.account), "{" + " ".join(objects) + "}", _amount(line.amount), _day(shown.date)]
        if line.text:
            parts.append(_quoted(line.text))
        lines.append(" ".join(parts))
    return [*lines, "}"]


def sie_file(company: FortnoxCompany, year: FinancialYear, sie_type: int, at: datetime) -> bytes:
    """The file for one financial year; characters that CP437 lacks become question marks."""
    lines = [
        "#FLAGGA 0",
        "#FORMAT PC8",
        f"#SIETYP {sie_type}",
        '#PROGRAM "Fortnox" 3.57',
        f"#GEN {_day(at.astimezone(STOCKHOLM).date())}",
        f"#FNR {company.database_number}",
        f"#FNAMN {_quoted(company.name)}",
        f"#ORGNR {company.organisation_number}",
        f"#RAR 0 {_day(year.from_date)} {_day(year.to_date)}",
    ]
    earlier = [other for other in company.years.values() if other.to_date < year.from_date]
    before = max(earlier, key=lambda other: other.to_date, default=None)
    if before is not None:
        lines.append(f"#RAR -1 {_day(before.from_date)} {_day(before.to_date)}")
    lines += ["#KPTYP BAS2014", "#VALUTA SEK"]
    accounts = sorted(company.accounts[year.id].values(), key=lambda account: account.number)
    for account in accounts:
        lines.append(f"#KONTO {account.number} {_quoted(account.description)}")
        if account.sru is not None:
            lines.append(f"#SRU {account.number} {account.sru}")
    if sie_type >= 3:
        lines += ['#DIM 1 "Kostnadsställe"', '#DIM 6 "Projekt"']
        for code, values in company.cost_centers.items():
            lines.append(f"#OBJEKT 1 {_quoted(code)} {_quoted(str(values.get('Description', '')))}")
        for number, values in company.projects.items():
            lines.append(f"#OBJEKT 6 {_quoted(number)} {_quoted(str(values.get('Description', '')))}")
    for index, shown_year in ((0, year), (-1, before)):
        if shown_year is None:
            continue
        for account in accounts:
            opening = company.brought_forward(account, shown_year)
            moved = company.balance(account.number, year_id=shown_year.id)
            if account.number >= 3000:
                if moved:
                    lines.append(f"#RES {index} {account.number} {_amount(moved)}")
            elif opening or moved:
                lines.append(f"#IB {index} {account.number} {_amount(opening)}")
                lines.append(f"#UB {index} {account.number} {_amount(opening + moved)}")
    vouchers = sorted((v for v in company.ledger if v.year_id == year.id), key=lambda v: (v.series, v.number))
    if sie_type in (2, 3):
        periods: dict[tuple[str, int], Decimal] = {}
        for voucher in vouchers:
            for line in voucher.rows:
                key = voucher.date.strftime("%Y%m"), line.account
                periods[key] = periods.get(key, ZERO) + line.amount
        for (period, account_number), amount in sorted(periods.items()):
            lines.append(f"#PSALDO 0 {period} {account_number} {{}} {_amount(amount)}")
    if sie_type == 4:
        for voucher in vouchers:
            lines += _voucher(voucher)
    return "".join(f"{line}\r\n" for line in lines).encode("cp437", errors="replace")
