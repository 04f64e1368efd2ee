"""Connections: who may be connected, how tokens are renewed by one at a time, and how a connection ends."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from addon.ports.calls import Lane
from addon.ports.errors import NeedsReconnect, OutcomeUnknown, Rejected, TryLater
from addon.ports.oauth import Grant, OAuthClient
from addon.sandbox.stripe.world import Code
from addon.sandbox.world import Business
from addon.services import connections, installation
from addon.services.calls import CallLog
from addon.services.connections import CompanyTokens, ConnectionTokens
from addon.services.settings import read_connection
from addon.store import leases
from addon.store.models import ActivityRow, CallRow, Company, Connection, WebhookEvent
from tests.services.conftest import add_shop
from tests.support.town import WHO, Town


def row_of(kvitt: Town, company_id: int, connection_id: int) -> Connection:
    with kvitt.services.db.company_reading(company_id) as session:
        return session.get_one(Connection, connection_id)


# --- connecting ----------------------------------------------------------------------------------------------


def test_connecting_proposes_accounts_and_leaves_the_choice_open(either: Town) -> None:
    business = add_shop(either.world)
    company_id = either.install(business)
    stripe = either.world.stripe
    code = Code("ac_1", business.stripe.id, "", "read_write", stripe.now_seconds())
    stripe.codes[code.code] = code
    connection_id = connections.receive(either.services, company_id, "stripe", "connect", "ac_1", "", WHO)
    row = row_of(either, company_id, connection_id)
    assert (row.account_ref, row.account_name, row.mode, row.state) == (
        business.stripe.id,
        "Fjällbutiken AB",
        "",
        "connected",
    )
    assert row.start_date == either.services.now().date().replace(day=1)
    with pytest.raises(Rejected):
        connections.receive(either.services, company_id, "stripe", "connect", "ac_1", "", WHO)
    with either.services.db.company_reading(company_id) as session:
        assert session.scalars(select(CallRow).where(CallRow.system == "stripe")).first() is not None


def test_the_same_account_again_renews_its_connection(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.install(shop)
    first = kvitt.connect(company_id, shop)
    kvitt.choose(company_id, first, mode="plus", start_date="2026-02-01")
    connections.lost(kvitt.services, company_id, first)
    assert row_of(kvitt, company_id, first).state == "needs_reconnect"
    assert kvitt.connect(company_id, shop) == first
    row = row_of(kvitt, company_id, first)
    assert (row.state, row.mode, row.start_date) == ("connected", "plus", date(2026, 2, 1))


def test_an_account_belongs_to_one_company(either: Town) -> None:
    first, second = add_shop(either.world), add_shop(either.world, "Other AB", "556000-0001")
    one, other = either.install(first), either.install(second)
    connection_id = either.connect(one, first)
    with pytest.raises(connections.AccountTaken):
        either.connect(other, first)
    assert connections.company_of_account(either.services, "stripe", first.stripe.id) == one
    connections.disconnect(either.services, one, connection_id, WHO)
    assert connections.company_of_account(either.services, "stripe", first.stripe.id) is None
    either.connect(other, first)
    assert connections.company_of_account(either.services, "stripe", first.stripe.id) == other


@pytest.mark.parametrize("told", [True, False], ids=["by the grant", "by the account"])
def test_test_mode_never_enters(kvitt: Town, shop: Business, told: bool) -> None:
    company_id = kvitt.install(shop)
    account = kvitt.world.stripe.add_account("Test twin", livemode=False)
    kvitt.world.stripe.connect(account)
    grant = Grant("", subject=account.id, live=not told)
    with pytest.raises(connections.TestModeRefused):
        connections.connect(kvitt.services, company_id, "stripe", "connect", grant, WHO)
    assert installation.companies(kvitt.services)[0].connections == ()


@pytest.mark.parametrize("key", ["sk_live_0123456789", "pk_live_0123456789", "rk_test_0123456789", "hello", ""])
def test_only_a_live_restricted_key_is_taken(kvitt: Town, shop: Business, key: str) -> None:
    company_id = kvitt.install(shop)
    with pytest.raises(Rejected):
        connections.connect_key(kvitt.services, company_id, "stripe", key, WHO)
    assert installation.companies(kvitt.services)[0].connections == ()


def test_ending_a_connection_keeps_its_data_and_ends_its_access(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.set_up(shop, "plus", "2026-01-01")
    connection_id = installation.companies(kvitt.services)[0].connections[0].id
    connections.disconnect(kvitt.services, company_id, connection_id, WHO)
    connections.disconnect(kvitt.services, company_id, connection_id, WHO)
    assert shop.stripe.id not in kvitt.world.stripe.connections
    row = row_of(kvitt, company_id, connection_id)
    assert row.state == "disconnected"
    assert kvitt.services.box.open_grant(row.grant_sealed).access_token == ""
    with kvitt.services.db.company_reading(company_id) as session:
        assert session.get_one(Company, company_id).state == "setting_up"
        ended = session.scalars(select(ActivityRow).where(ActivityRow.what == "disconnected")).all()
    assert len(ended) == 1


def test_fetching_again_moves_the_window_back_or_the_start(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.set_up(shop, "plus", "2026-10-01")
    connection_id = installation.companies(kvitt.services)[0].connections[0].id
    with kvitt.services.db.company(company_id) as session:
        session.get_one(Connection, connection_id).fetched_until = kvitt.services.now()
    assert connections.fetch_since(kvitt.services, company_id, date(2026, 10, 5), WHO) == ()
    row = row_of(kvitt, company_id, connection_id)
    assert row.fetched_until is not None
    assert row.fetched_until.date() == date(2026, 10, 4), "the day begins at 22:00 UTC the day before"
    assert connections.fetch_since(kvitt.services, company_id, date(2026, 9, 1), WHO) == ()
    assert row_of(kvitt, company_id, connection_id).start_date == date(2026, 9, 1)


# --- tokens --------------------------------------------------------------------------------------------------


@dataclass
class Consent:
    """An `Authorisation` whose refresh tokens work once, as Stripe Apps' and Fortnox' do."""

    now: Callable[[], datetime]
    refuse: Exception | None = None
    hold: threading.Event = field(default_factory=threading.Event)
    used: list[str] = field(default_factory=list)

    @property
    def client(self) -> OAuthClient:
        return OAuthClient("x", "x", "x", "x", "x", "x")

    def exchange(self, code: str, redirect_uri: str) -> Grant:
        raise Rejected("x", "x")

    def renew(self, grant: Grant) -> Grant:
        if self.refuse is not None:
            raise self.refuse
        if grant.refresh_token in self.used:
            raise NeedsReconnect("a refresh token was used twice")
        self.used.append(grant.refresh_token)
        self.hold.wait(0.2)
        number = len(self.used)
        return replace(
            grant,
            access_token=f"token-{number}",
            refresh_token=f"refresh-{number}",
            expires_at=self.now() + timedelta(hours=1),
        )

    def revoke(self, grant: Grant) -> None:
        pass


class Through:
    """The town's way to the outside, with our own consent in it."""

    def __init__(self, inner: Any, consent: Consent) -> None:
        self._inner = inner
        self._consent = consent

    def accounting_authorisation(self, system: str) -> Consent:
        return self._consent

    def payment_authorisation(self, provider: str, way: str) -> Consent:
        if way == "key":
            raise KeyError(way)
        return self._consent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.fixture
def rolling(either: Town) -> tuple[Town, Consent, int, int]:
    """A company whose tokens roll; the connection has an hour's token that has run out."""
    business = add_shop(either.world)
    company_id = either.install(business)
    connection_id = either.connect(company_id, business)
    consent = Consent(either.services.now)
    rolled = either.with_services(outside=Through(either.services.outside, consent))
    with either.services.db.company(company_id) as session:
        row = session.get_one(Connection, connection_id)
        row.way = "app"
        grant = Grant("token-0", "refresh-0", either.services.now() - timedelta(seconds=1))
        row.grant_sealed = either.services.box.seal_grant(grant)
        accounting = connections.get_accounting(session, for_update=True)
        accounting.grant_sealed = either.services.box.seal_grant(grant)
    return rolled, consent, company_id, connection_id


def test_one_of_many_renews_and_all_get_its_token(rolling: tuple[Town, Consent, int, int]) -> None:
    kvitt, consent, company_id, connection_id = rolling
    tokens = ConnectionTokens(kvitt.services, company_id, connection_id)
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda _: tokens.current(), range(4)))
    assert got == ["token-1"] * 4
    assert consent.used == ["refresh-0"]
    assert tokens.renew("token-0") == "token-1", "who was refused with an older token gets the present one"
    assert consent.used == ["refresh-0"]
    assert tokens.renew("token-1") == "token-2"
    assert ConnectionTokens(kvitt.services, company_id, connection_id).current() == "token-2", "it was kept"


def test_a_token_about_to_run_out_is_renewed_first(rolling: tuple[Town, Consent, int, int]) -> None:
    kvitt, consent, company_id, _ = rolling
    tokens = CompanyTokens(kvitt.services, company_id)
    assert tokens.current() == "token-1"
    kvitt.world.clock.advance(timedelta(minutes=58))
    assert tokens.current() == "token-1"
    kvitt.world.clock.advance(timedelta(minutes=1))
    assert tokens.current() == "token-2"
    assert consent.used == ["refresh-0", "refresh-1"]


def test_a_lost_consent_stops_the_company_and_asks_no_more(rolling: tuple[Town, Consent, int, int]) -> None:
    kvitt, consent, company_id, connection_id = rolling
    consent.refuse = NeedsReconnect("gone")
    for tokens in (
        CompanyTokens(kvitt.services, company_id),
        ConnectionTokens(kvitt.services, company_id, connection_id),
    ):
        with pytest.raises(NeedsReconnect, match="gone"):
            tokens.current()
        with pytest.raises(NeedsReconnect, match="a person must connect again"):
            tokens.current()
    view = installation.companies(kvitt.services)[0]
    assert view.stop_reason == connections.RECONNECT
    assert view.connections[0].state == "needs_reconnect"
    with kvitt.services.db.company_reading(company_id) as session:
        assert len(session.scalars(select(ActivityRow).where(ActivityRow.what == "connection_lost")).all()) == 2


@pytest.mark.parametrize("error", [OutcomeUnknown("no answer"), TryLater("busy")])
def test_a_renewal_without_an_answer_is_no_disconnection(
    rolling: tuple[Town, Consent, int, int], error: Exception
) -> None:
    kvitt, consent, company_id, connection_id = rolling
    consent.refuse = error
    tokens = ConnectionTokens(kvitt.services, company_id, connection_id)
    with pytest.raises(TryLater):
        tokens.current()
    consent.refuse = None
    assert tokens.current() == "token-1"


def test_a_pasted_key_cannot_be_renewed(rolling: tuple[Town, Consent, int, int]) -> None:
    kvitt, _, company_id, connection_id = rolling
    with kvitt.services.db.company(company_id) as session:
        session.get_one(Connection, connection_id).way = "key"
    with pytest.raises(NeedsReconnect):
        ConnectionTokens(kvitt.services, company_id, connection_id).renew("token-0")


def test_real_tokens_are_renewed_by_the_tenants_number(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.install(shop)
    first = CompanyTokens(kvitt.services, company_id).current()
    kvitt.world.clock.advance(timedelta(hours=2))
    log = CallLog()
    system = connections.accounting_system(kvitt.services, company_id, log, Lane.CLICK)
    assert system.fetch_identity().name == "Fjällbutiken AB"
    assert CompanyTokens(kvitt.services, company_id).current() != first
    assert [call.status for call in log.take()] == [200]


# --- settings of a connection ---------------------------------------------------------------------------------


def test_two_accounts_of_one_company_never_share_a_clearing_account(kvitt: Town, shop: Business) -> None:
    from addon.services import prerequisites

    company_id = kvitt.install(shop)
    prerequisites.check(kvitt.services, company_id)
    kvitt.connect(company_id, shop)
    second = add_shop(kvitt.world, "Second AB", "556000-0001")
    kvitt.connect(company_id, second)
    with kvitt.services.db.company_reading(company_id) as session:
        rows = session.scalars(select(Connection)).all()
        numbers = [number for row in rows for key, number in read_connection(row).accounts.items() if "clearing" in key]
    assert len(rows) == 2
    assert len(numbers) == len(set(numbers)) >= 2


# --- webhooks ------------------------------------------------------------------------------------------------


def test_an_event_counts_once_and_names_its_company(either: Town) -> None:
    business = add_shop(either.world)
    company_id = either.install(business)
    connection_id = either.connect(company_id, business)
    services = either.services

    def tell(ref: str, account: str) -> int | None:
        return connections.receive_event(services, "stripe", ref, "charge.succeeded", account)

    assert tell("evt_1", business.stripe.id) == company_id
    assert tell("evt_1", business.stripe.id) is None
    assert tell("evt_2", "acct_nobody") is None
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: tell("evt_3", business.stripe.id), range(4)))
    assert [answer for answer in answers if answer is not None] == [company_id]
    with services.db.open_reading() as session:
        assert len(session.scalars(select(WebhookEvent)).all()) == 3
    connections.account_gone(services, "stripe", "acct_nobody")
    # A late event of a connection that was renewed since is not believed; our own call decides.
    connections.account_gone(services, "stripe", business.stripe.id)
    assert row_of(either, company_id, connection_id).state == "connected"
    either.world.stripe.disconnect(business.stripe)
    connections.account_gone(services, "stripe", business.stripe.id)
    assert row_of(either, company_id, connection_id).state == "needs_reconnect"


def test_an_event_leaves_its_wish_for_a_run_though_the_process_dies_before_it_asks(kvitt: Town) -> None:
    business = add_shop(kvitt.world)
    company_id = kvitt.set_up(business, "plus", "2026-03-01")
    services = kvitt.services

    def due() -> tuple[int, ...]:
        with services.db.open_reading() as session:
            return leases.due(session, services.db.now(session), 9)

    with services.db.company(company_id) as session:
        assert leases.take(session, company_id, "slice", 60)
        leases.schedule(session, company_id, None)
    with services.db.company(company_id) as session:
        leases.release(session, company_id, "slice")
    assert due() == ()
    assert connections.receive_event(services, "stripe", "evt_1", "charge.succeeded", business.stripe.id) == company_id
    assert due() == (company_id,), "an event counts once: nobody will announce it again"


# --- the two other ways in -----------------------------------------------------------------------------------

ALL_READS = (
    *("account_read", "balance_read", "balance_transaction_source_read", "charge_read", "dispute_read"),
    *("payment_intent_read", "payout_read"),
)


def test_a_pasted_key_with_its_permissions_connects_and_without_them_says_which(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.install(shop)
    with pytest.raises(Rejected, match="Payouts"):
        connections.connect_key(
            kvitt.services, company_id, "stripe", shop.stripe.issue_restricted_key(ALL_READS[:-1]), WHO
        )
    connection_id = connections.connect_key(
        kvitt.services, company_id, "stripe", f"  {shop.stripe.issue_restricted_key(ALL_READS)}\n", WHO
    )
    row = row_of(kvitt, company_id, connection_id)
    assert (row.way, row.account_ref) == ("key", shop.stripe.id)
    source = connections.payment_source(kvitt.services, company_id, connection_id, CallLog())
    assert source.fetch_account().ref == shop.stripe.id


def test_an_installed_app_connects_and_its_token_is_renewed(kvitt: Town, shop: Business) -> None:
    company_id = kvitt.install(shop)
    stripe = kvitt.world.stripe
    stripe.codes["ac_app"] = Code("ac_app", shop.stripe.id, "", "stripe_apps", stripe.now_seconds())
    connection_id = connections.receive(kvitt.services, company_id, "stripe", "app", "ac_app", "", WHO)
    row = row_of(kvitt, company_id, connection_id)
    assert (row.way, row.account_ref) == ("app", shop.stripe.id)
    assert row.expires_at is not None
    kvitt.world.clock.advance(timedelta(hours=2))
    source = connections.payment_source(kvitt.services, company_id, connection_id, CallLog())
    assert source.fetch_account().ref == shop.stripe.id
    renewed = row_of(kvitt, company_id, connection_id)
    assert renewed.expires_at is not None
    assert renewed.expires_at > row.expires_at


# --- an account that has moved to another company ---------------------------------------------------------------


def test_a_company_that_let_go_of_an_account_can_neither_read_nor_end_the_next_ones_consent(kvitt: Town) -> None:
    from addon.services import outlook

    business, other = add_shop(kvitt.world), add_shop(kvitt.world, "Second AB", "556000-0001")
    first, second = kvitt.install(business), kvitt.install(other)
    old = kvitt.connect(first, business)
    connections.disconnect(kvitt.services, first, old, WHO)
    new = kvitt.connect(second, business)
    with pytest.raises(NeedsReconnect):
        connections.payment_source(kvitt.services, first, old, CallLog())
    with pytest.raises(NeedsReconnect):
        outlook.look(kvitt.services, first, old)
    connections.disconnect(kvitt.services, first, old, WHO)
    source = connections.payment_source(kvitt.services, second, new, CallLog())
    assert source.fetch_account().ref == business.stripe.id
