"""Prerequisites over the real thing: read from Fortnox, kept, mended there, and what they stop."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from sqlalchemy import select

from addon.core.books import Check, Remedy
from addon.core.rules import FeeVat
from addon.ports.errors import TryLater
from addon.sandbox.fortnox.faults import Fault
from addon.sandbox.world import Business
from addon.services import installation, policy, prerequisites, settings
from addon.services.connections import load_books
from addon.services.settings import AS_PAYMENTS, OTHER_FEES
from addon.store.models import ActivityRow, CheckRow, Company, Connection, RateRow
from tests.services.conftest import add_shop
from tests.support.town import WHO, Town


def red(checks: tuple[Check, ...]) -> set[tuple[str, str]]:
    return {(check.code, check.subject) for check in checks if not check.ok}


def start(kvitt: Town) -> str:
    return (kvitt.services.now() - timedelta(days=20)).date().isoformat()


def test_a_fresh_installation_lacks_our_series_and_repair_makes_it(either: Town) -> None:
    business = add_shop(either.world)
    company_id = either.install(business)
    services = either.services
    assert red(prerequisites.check(services, company_id)) == {("voucher_series", "V")}
    assert installation.companies(services)[0].stop_reason == "voucher_series"
    stored = next(one for one in prerequisites.latest(services, company_id) if not one.check.ok)
    assert stored.check.repair is not None
    assert stored.check.repair.remedy is Remedy.CREATE_SERIES
    assert red(prerequisites.repair(services, company_id, stored.id, "Ada")) == set()
    assert installation.companies(services)[0].stop_reason == ""
    with pytest.raises(prerequisites.UnknownCheck):
        prerequisites.repair(services, company_id, stored.id, "Ada")
    with services.db.company_reading(company_id) as session:
        said = [row.what for row in session.scalars(select(ActivityRow).order_by(ActivityRow.id))]
    assert said == ["installed", "stopped", "repaired", "freed"]


def test_cash_method_stops_the_company(kvitt: Town) -> None:
    company_id = kvitt.install(add_shop(kvitt.world, method="CASH"))
    checks = prerequisites.check(kvitt.services, company_id)
    assert ("accrual_method", "2") in red(checks) or any(code == "accrual_method" for code, _ in red(checks))
    assert installation.companies(kvitt.services)[0].stop_reason == "accrual_method"


def test_the_currencies_that_buyers_use_are_learnt_and_added(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.install(shop)
    connection_id = kvitt.connect(company_id, shop)
    for currency in ("jpy", "kwd", "eur"):
        shop.shop.buy(shop.shop.products[0].sku, currency=currency)
    kvitt.choose(company_id, connection_id, mode="plus", start_date=start(kvitt))
    checks = prerequisites.check(kvitt.services, company_id)
    missing = {subject for code, subject in red(checks) if code == "currency"}
    assert {"JPY", "KWD", "EUR"} <= missing
    assert [check.subject for check in checks if check.code == "payment_mode" and not check.ok], "for the EUR balance"
    assert red(kvitt.repair(company_id)) == set()
    with kvitt.services.db.company_reading(company_id) as session:
        bases = set(session.scalars(select(RateRow.base)))
    assert {"JPY", "KWD", "EUR"} <= bases, "rates that were read are kept"


def test_basic_asks_for_no_currencies(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.install(shop)
    connection_id = kvitt.connect(company_id, shop)
    shop.shop.buy(shop.shop.products[0].sku, currency="jpy")
    kvitt.choose(company_id, connection_id, mode="basic", start_date=start(kvitt))
    checks = prerequisites.check(kvitt.services, company_id)
    assert not [check for check in checks if check.code == "currency"]


def test_an_inactive_account_is_activated(kvitt: Town) -> None:
    business = add_shop(kvitt.world, inactive_accounts=(3105, 3305, 1686, 1580))
    company_id = kvitt.install(business)
    kvitt.connect(company_id, business)
    checks = prerequisites.check(kvitt.services, company_id)
    by_subject = {check.subject: check for check in checks if not check.ok}
    assert by_subject["3105"].code == "account"
    repairs = {check.repair.remedy for check in by_subject.values() if check.repair}
    assert repairs == {Remedy.ACTIVATE_ACCOUNT, Remedy.CREATE_SERIES}
    assert red(kvitt.repair(company_id)) <= {("currency", "EUR")}


def test_a_check_that_cannot_read_changes_nothing(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.set_up(shop, "plus", start(kvitt))
    before = prerequisites.latest(kvitt.services, company_id)
    kvitt.world.fortnox.faults.add(Fault("error_500_before", "GET /3/accounts", times=None))
    with pytest.raises(TryLater):
        prerequisites.check(kvitt.services, company_id)
    assert prerequisites.latest(kvitt.services, company_id) == before
    assert installation.companies(kvitt.services)[0].state == "active"


def test_a_stopped_company_is_freed_by_a_person_in_fortnox(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.set_up(shop, "plus", start(kvitt))
    shop.fortnox.deactivate_account(1686)
    prerequisites.check(kvitt.services, company_id)
    assert installation.companies(kvitt.services)[0].state == "stopped"
    shop.fortnox.activate_account(1686)
    prerequisites.check(kvitt.services, company_id)
    assert installation.companies(kvitt.services)[0].state == "active"


def test_a_line_keeps_its_number_and_gone_lines_go(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.install(shop)
    prerequisites.check(kvitt.services, company_id)
    first = {(one.check.code, one.check.subject): one.id for one in prerequisites.latest(kvitt.services, company_id)}
    as_payments = {f"fee_vat.{kind.value}": AS_PAYMENTS for kind in OTHER_FEES}
    settings.change(kvitt.services, company_id, WHO, {"fee_vat": FeeVat.EXEMPT.value, **as_payments})
    prerequisites.check(kvitt.services, company_id)
    second = {(one.check.code, one.check.subject): one.id for one in prerequisites.latest(kvitt.services, company_id)}
    assert ("account", "4535") in first
    assert ("account", "4535") not in second
    assert all(first[place] == number for place, number in second.items() if place in first)
    with kvitt.services.db.company_reading(company_id) as session:
        assert len(session.scalars(select(CheckRow)).all()) == len(second)


def test_a_locked_period_is_told_and_stops_nothing(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.set_up(shop, "plus", start(kvitt))
    shop.fortnox.lock_period(kvitt.services.now().date())
    assert ("locked_period", "") in red(prerequisites.check(kvitt.services, company_id))
    assert installation.companies(kvitt.services)[0].state == "active"


def test_policy_is_put_together_from_settings_books_and_rates(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.set_up(shop, "plus", start(kvitt), tolerance="0.50", rounds_to_whole="yes")
    with kvitt.services.db.company_reading(company_id) as session:
        books = load_books(session)
        assert books is not None
        row = session.scalars(select(Connection)).one()
        made = policy.load_policy(kvitt.services, session, session.get_one(Company, company_id), row, books)
    assert (made.provider, made.provider_name, made.account_ref) == ("stripe", "Stripe", shop.stripe.id)
    assert (made.tolerance_minor, made.rounds_to_whole, made.books_currency, made.decimals) == (50, True, "SEK", 2)
    numbers = made.accounts.numbers
    assert numbers["customer_claims"] == "1510"
    assert numbers["clearing:SEK"] == "1686"
    assert numbers["sales:SE25"] == "3001"
    assert made.today == kvitt.services.now().date() or made.today >= date(2026, 1, 1)


def test_a_connection_without_a_mode_has_no_policy(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.install(shop)
    kvitt.connect(company_id, shop)
    prerequisites.check(kvitt.services, company_id)
    with kvitt.services.db.company_reading(company_id) as session:
        books = load_books(session)
        assert books is not None
        row = session.scalars(select(Connection)).one()
        with pytest.raises(policy.ModeNotChosen):
            policy.load_policy(kvitt.services, session, session.get_one(Company, company_id), row, books)


def test_several_may_check_at_once(either: Town) -> None:
    business = add_shop(either.world)
    company_id = either.install(business)
    either.connect(company_id, business)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: prerequisites.check(either.services, company_id), range(3)))
    assert answers[0] == answers[1] == answers[2]
    assert {one.check for one in prerequisites.latest(either.services, company_id)} == set(answers[0])
