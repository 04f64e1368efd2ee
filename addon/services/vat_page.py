"""What the page about VAT shows: rules with today's rates, OSS with accounts, threshold and return, checked numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from sqlalchemy import select

from addon.core.dates import booking_date
from addon.core.vat import EU_VAT_TERRITORY, STANDARD, OssRule, SaleRule, VatRules, percent_text, read_rules
from addon.services import oss, settings, vat_numbers
from addon.services.connections import load_books
from addon.services.context import Services
from addon.services.oss import Meter, QuarterLine
from addon.services.settings import SettingFault, own_company, read_company
from addon.services.vat_numbers import CheckLine
from addon.store.models import OssRow


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule as the table shows it; `percent` is today's rate at home or in its country, where it says one."""

    rule: SaleRule
    percent: Decimal | None


@dataclass(frozen=True, slots=True)
class OssAccount:
    """The accounts of one country and rate; empty where none is mapped."""

    country: str
    percent: Decimal
    sales: str = ""
    sales_name: str = ""
    vat: str = ""


@dataclass(frozen=True, slots=True)
class VatPage:
    """All of the page."""

    rules: tuple[RuleLine, ...]
    oss: OssRule
    meter: Meter
    accounts: tuple[OssAccount, ...]
    quarters: tuple[QuarterLine, ...]
    checks: tuple[CheckLine, ...]
    own_number: str
    countries: tuple[str, ...]
    categories: tuple[str, ...]


def page(services: Services, company_id: int, categories: tuple[str, ...]) -> VatPage:
    """Gather the page."""
    with services.db.company_reading(company_id) as session:
        config = read_company(session)
        company = own_company(session)
        currency, home = company.currency, company.country or "SE"
        today = booking_date(services.now(), config.time_zone)
        books = load_books(session)
        names = {account.number: account.name for account in books.accounts} if books is not None else {}
        seen = set(session.scalars(select(OssRow.country).distinct()))
        lines = tuple(
            RuleLine(rule, _percent_of(rule, config.vat.percent_of(_at(rule, home), rule.what, today)))
            for rule in config.vat.rules
        )
        return VatPage(
            rules=lines,
            oss=config.vat.oss,
            meter=oss.meter(session, config.vat, currency, today),
            accounts=_accounts(config.accounts, names, seen, config.vat, today),
            quarters=oss.quarters(session, currency, date(today.year - 1, 1, 1)),
            checks=vat_numbers.latest(services, company_id),
            own_number=vat_numbers.own_number(books.identity, config.own_vat_number) if books is not None else "",
            countries=tuple(sorted(EU_VAT_TERRITORY - {home, "MC"})),
            categories=categories,
        )


def _at(rule: SaleRule, home: str) -> str:
    return rule.country if len(rule.country) == 2 and rule.country != "EU" else home


def _percent_of(rule: SaleRule, known: Decimal | None) -> Decimal | None:
    return Decimal(rule.what) if rule.what[0].isdigit() else known


def _accounts(
    mapped: Mapping[str, str], names: Mapping[str, str], seen: set[str], rules: VatRules, today: date
) -> tuple[OssAccount, ...]:
    """What is mapped, and the standard rate of each country that was sold to."""
    found: dict[tuple[str, Decimal], OssAccount] = {}
    wanted = {detail_of(key) for key in mapped} - {None}
    for country in seen:
        percent = rules.percent_of(country, STANDARD, today)
        if percent is not None:
            wanted.add((country, percent))
    for place in sorted(place for place in wanted if place is not None):
        country, percent = place
        detail = f"OSS-{country}{percent_text(percent)}"
        sales = mapped.get(f"sales:{detail}", "")
        found[place] = OssAccount(country, percent, sales, names.get(sales, ""), mapped.get(f"output_vat:{detail}", ""))
    return tuple(found.values())


def detail_of(key: str) -> tuple[str, Decimal] | None:
    """Country and rate of an account's key such as `sales:OSS-DE19`; None for every other."""
    _, _, detail = key.partition(":OSS-")
    if not detail:
        return None
    try:
        return detail[:2], Decimal(detail[2:])
    except InvalidOperation:
        return None


def add_rule(services: Services, company_id: int, who: str, text: str) -> tuple[SettingFault, ...]:
    """Put a rule, `country code what`, behind the others. Nothing changes if a fault is returned."""
    stored = settings.values(services, company_id)["vat_rules"]
    return settings.change(services, company_id, who, {"vat_rules": "; ".join(filter(None, (stored, text.strip())))})


def remove_rule(services: Services, company_id: int, who: str, text: str) -> tuple[SettingFault, ...]:
    """Take the first rule that reads so away; nothing happens if there is none."""
    kept = [str(rule) for rule in read_rules(settings.values(services, company_id)["vat_rules"])]
    if text in kept:
        kept.remove(text)
    return settings.change(services, company_id, who, {"vat_rules": "; ".join(kept)})


def map_accounts(
    services: Services, company_id: int, who: str, place: tuple[str, str], sales: str, vat: str
) -> tuple[SettingFault, ...]:
    """Say which accounts a country and rate have; an empty number takes the mapping away."""
    country, percent = place
    detail = f"OSS-{country.strip().upper()}{percent.strip().replace(',', '.').removesuffix('%').strip()}"
    wanted = {f"accounts.sales:{detail}": sales, f"accounts.output_vat:{detail}": vat}
    return settings.change(services, company_id, who, wanted)
