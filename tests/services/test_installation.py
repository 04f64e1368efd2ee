"""Installing: a consent waits for a person's yes, becomes a company, and comes back to the one that is there."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from addon.ports.errors import Rejected
from addon.sandbox.world import Business
from addon.services import installation, prerequisites
from addon.services.connections import RECONNECT, get_accounting, lost
from addon.store.models import Company, CompanyWork, ParkedActivation, WebSession
from tests.services.conftest import add_shop
from tests.support.town import Town

REDIRECT = "http://127.0.0.1:8000/oauth/fortnox/callback"


def arrive(kvitt: Town, business: Business) -> str:
    code = kvitt.world.fortnox.give_consent(business.fortnox.database_number)
    return installation.receive(kvitt.services, "fortnox", code, REDIRECT)


def test_a_parked_consent_names_the_company_and_binds_nothing(either: Town) -> None:
    business = add_shop(either.world)
    token = arrive(either, business)
    waiting = installation.parked(either.services, token)
    assert waiting is not None
    assert (waiting.name, waiting.organisation_number) == ("Fjällbutiken AB", "556677-8899")
    assert installation.parked(either.services, "another browser's token") is None
    assert installation.companies(either.services) == ()
    with either.services.db.open_reading() as session:
        row = session.scalars(select(ParkedActivation)).one()
        assert token not in (row.token_hash, str(row.id))
        grant = either.services.box.open_grant(row.grant_sealed)
        assert len(grant.access_token) > 20, "long enough never to stand in sealed bytes by chance"
        assert grant.access_token.encode() not in row.grant_sealed, "it is not readable in the database"


def test_confirming_makes_the_company_once(either: Town) -> None:
    business = add_shop(either.world)
    token = arrive(either, business)
    company_id = installation.confirm(either.services, token, "Ada")
    with pytest.raises(installation.NothingParked):
        installation.confirm(either.services, token, "Ada")
    again = installation.confirm(either.services, arrive(either, business), "Ada")
    assert again == company_id
    with either.services.db.open_reading() as session:
        assert session.scalar(select(func.count(Company.id))) == 1
        assert session.scalar(select(func.count(CompanyWork.company_id))) == 1
        assert session.get_one(Company, company_id).state == "setting_up"


def test_a_reinstall_looks_up_first_and_lifts_the_stop(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.install(shop)
    lost(kvitt.services, company_id)
    with kvitt.services.db.company_reading(company_id) as session:
        assert session.get_one(Company, company_id).stop_reason == RECONNECT
        assert get_accounting(session).lookups_first_until is None
    kvitt.install(shop)
    with kvitt.services.db.company_reading(company_id) as session:
        assert session.get_one(Company, company_id).stop_reason == ""
        row = get_accounting(session)
        assert row.state == "connected"
        assert row.lookups_first_until is not None
        assert row.lookups_first_until > kvitt.services.now()


def test_a_parked_consent_expires(kvitt: Town, shop: Business) -> None:
    token = arrive(kvitt, shop)
    kvitt.world.clock.advance(installation.PARKED_FOR + timedelta(seconds=1))
    assert installation.parked(kvitt.services, token) is None
    with pytest.raises(installation.NothingParked):
        installation.confirm(kvitt.services, token, "Ada")


def test_no_throws_the_consent_away(kvitt: Town, shop: Business) -> None:
    token = arrive(kvitt, shop)
    installation.discard(kvitt.services, token)
    assert installation.parked(kvitt.services, token) is None


def test_a_used_or_expired_code_is_refused(kvitt: Town, shop: Business) -> None:
    code = kvitt.world.fortnox.give_consent(shop.fortnox.database_number)
    installation.receive(kvitt.services, "fortnox", code, REDIRECT)
    with pytest.raises(Rejected):
        installation.receive(kvitt.services, "fortnox", code, REDIRECT)
    late = kvitt.world.fortnox.give_consent(shop.fortnox.database_number)
    kvitt.world.clock.advance(timedelta(minutes=11))
    with pytest.raises(Rejected):
        installation.receive(kvitt.services, "fortnox", late, REDIRECT)
    with pytest.raises(Rejected):
        installation.receive(kvitt.services, "fortnox", "never-given", REDIRECT)


def test_a_browser_is_signed_in_by_a_token_whose_hash_alone_is_kept(either: Town) -> None:
    services = either.services
    company_id = either.install(add_shop(either.world))
    token = installation.sign_in(services, company_id, "Ada")
    view = installation.session_company(services, token)
    assert view is not None
    assert (view.company_id, view.company_name, view.who) == (company_id, "Fjällbutiken AB", "Ada")
    with services.db.open_reading() as session:
        assert session.scalars(select(WebSession)).one().token_hash != token
    assert installation.session_company(services, "") is None
    assert installation.session_company(services, token[:-1]) is None
    either.world.clock.advance(timedelta(minutes=10))
    assert installation.session_company(services, token) is not None
    with services.db.open_reading() as session:
        row = session.scalars(select(WebSession)).one()
        assert row.seen_at > row.created_at
    installation.sign_out(services, token)
    assert installation.session_company(services, token) is None


def test_a_session_ends(kvitt: Town, shop: Business) -> None:
    token = installation.sign_in(kvitt.services, kvitt.install(shop), "Ada")
    kvitt.world.clock.advance(installation.SIGNED_IN_FOR)
    assert installation.session_company(kvitt.services, token) is None


def test_uninstalling_gives_the_access_up_and_keeps_the_data(kvitt: Town, shop: Business) -> None:
    services = kvitt.services
    company_id = kvitt.set_up(shop, "plus", "2026-01-01")
    token = installation.sign_in(services, company_id, "Ada")
    installation.uninstall(services, company_id, "Ada")
    assert installation.session_company(services, token) is None
    view = installation.companies(services)[0]
    assert view.state == "disconnected"
    assert len(view.connections) == 1
    with services.db.open_reading() as session:
        assert session.get_one(CompanyWork, company_id).next_run_at is None
    kvitt.install(shop)
    prerequisites.check(services, company_id)
    assert installation.companies(services)[0].state == "setting_up", "leaving gave the provider's access back, too"
    kvitt.connect(company_id, shop)
    prerequisites.check(services, company_id)
    back = installation.companies(services)[0]
    assert (back.state, [line.id for line in back.connections]) == ("active", [line.id for line in view.connections])


def test_consent_that_was_taken_back_stops_the_company(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.set_up(shop, "plus", "2026-01-01")
    assert installation.consent_revoked(kvitt.services, "fortnox", "0") is None
    assert installation.consent_revoked(kvitt.services, "fortnox", str(shop.fortnox.database_number)) == company_id
    view = installation.companies(kvitt.services)[0]
    assert (view.state, view.stop_reason) == ("stopped", RECONNECT)


def test_a_company_is_found_by_number_tenant_or_the_beginning_of_its_name(kvitt: Town, shop: Business) -> None:
    first = kvitt.install(shop)
    second = kvitt.install(add_shop(kvitt.world, "Fjällräven Nord AB", "556000-0001"))
    find = installation.find_company
    assert find(kvitt.services, str(first)) == first
    assert find(kvitt.services, str(shop.fortnox.database_number)) == first
    assert find(kvitt.services, "Fjällräven Nord AB") == second
    assert find(kvitt.services, "fjällb") == first
    for text in ("Fjäll", "Nobody", "", "99"):
        with pytest.raises(installation.UnknownCompany):
            find(kvitt.services, text)
