"""Connecting PayPal against the simulated one: both ways in, and each way in which they go wrong."""

import html
import json
import re
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from addon.sandbox.paypal import Fault, PayPalAccount, PayPalWorld, RestApp
from addon.sandbox.world import Business
from addon.services import connections
from addon.services.calls import CallLog
from addon.store.models import CallRow, Connection, WebhookEvent
from tests.support.town import Town
from tests.web.conftest import House
from tests.web.html import check_html, words_of

PAGE = "/connect/paypal"
CALLBACK = "/oauth/paypal/callback"


class Merchant:
    """A person of a company that has Kvitt in its books, with a browser, and an account at PayPal."""

    def __init__(self, house: House, built: Town, name: str = "Exempelbutiken AB") -> None:
        self.house, self.town = house, built
        number = 6671 + len(built.world.businesses)
        self.business: Business = built.world.add_business(name, f"55{number}-8899")
        self.company = built.install(self.business)
        self.account: PayPalAccount = self.world.add_account(name)
        self.app: RestApp = self.world.add_app(self.account)
        self.client: FlaskClient = house.client(self.company)

    @property
    def world(self) -> PayPalWorld:
        return self.town.world.paypal

    def see(self, answer: TestResponse) -> str:
        check_html(answer.text)
        return html.unescape(words_of(answer.text))

    def types(self, app: RestApp | None = None, **changed: str) -> TestResponse:
        told = app or self.app
        return self.press(PAGE, PAGE, **{"client_id": told.client_id, "secret": told.secret, **changed})

    def press(self, page: str, address: str, **data: str) -> TestResponse:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(page).text)
        assert token is not None
        return self.client.post(address, data={"csrf_token": token[1], **data})

    def goes(self, answer: str = "agree", account: PayPalAccount | None = None) -> str:
        """Through PayPal's page; where it sends the browser back to, as a path."""
        address = self.client.get(f"{PAGE}?way=connect").headers["Location"]
        with httpx.Client(follow_redirects=False, timeout=60) as browser:
            assert "Read your transactions and balances" in browser.get(address).text
            back = browser.post(address, data={"account": (account or self.account).id, "answer": answer})
        parts = urlsplit(back.headers["Location"])
        return f"{parts.path}?{parts.query}"

    def connections(self) -> list[Connection]:
        with self.house.services.db.company_reading(self.company) as session:
            return list(session.scalars(select(Connection)))


@pytest.fixture
def merchant(lived_in: tuple[House, Town]) -> Merchant:
    return Merchant(*lived_in)


def test_the_page_says_where_to_find_everything(merchant: Merchant) -> None:
    words = merchant.see(merchant.client.get(PAGE))
    for piece in ("developer.paypal.com", "Sandbox to Live", "Create App", "Transaction search", "Go to PayPal"):
        assert piece in words
    assert "Connect PayPal" in merchant.see(merchant.client.get("/welcome"))


def test_typed_credentials_connect_at_once(merchant: Merchant) -> None:
    answer = merchant.types()
    assert answer.status_code == 303
    (row,) = merchant.connections()
    assert (row.provider, row.way, row.account_ref, row.state) == ("paypal", "key", merchant.account.id, "connected")
    assert "PayPal is connected." in merchant.see(merchant.client.get(answer.headers["Location"]))
    assert "an app of your own" in merchant.see(merchant.client.get("/settings"))
    assert merchant.app.secret.encode() not in row.grant_sealed
    with merchant.house.services.db.company_reading(merchant.company) as session:
        told = " ".join(repr((log.path, log.note)) for log in session.scalars(select(CallRow)))
    assert merchant.app.secret not in told
    assert merchant.types().status_code == 303
    assert len(merchant.connections()) == 1


def test_what_is_wrong_with_credentials_is_said_beside_the_fields(merchant: Merchant) -> None:
    for changed, piece in (
        ({"secret": "E" * 40}, "does not know this client id"),
        ({"client_id": "me@example.com"}, "This is no client id"),
        ({"secret": "short"}, "This is no secret"),
        ({"secret": merchant.app.client_id}, "This is no secret"),
        ({"client_id": '"><script>alert(1)</script>'}, "This is no client id"),
    ):
        answer = merchant.types(**changed)
        assert answer.status_code == 400
        assert piece in merchant.see(answer)
        assert merchant.app.secret not in answer.text
        assert "<script>alert" not in answer.text
    shut = merchant.world.add_app(merchant.account, transaction_search=False)
    answer = merchant.types(shut)
    assert (answer.status_code, "Tick “Transaction search”" in merchant.see(answer)) == (400, True)
    test = merchant.world.add_app(merchant.world.add_account("Test", live=False))
    assert "PayPal's sandbox" in merchant.see(merchant.types(test))
    assert merchant.connections() == []


def test_paypal_down_connects_nothing_and_says_so(merchant: Merchant) -> None:
    merchant.world.faults.add(Fault("error_500", times=None))
    assert merchant.types().status_code == 503
    assert merchant.client.get(f"{PAGE}?way=connect").status_code == 503
    assert merchant.connections() == []


def test_one_click(merchant: Merchant) -> None:
    answer = merchant.client.get(merchant.goes())
    assert answer.status_code == 303
    (row,) = merchant.connections()
    assert (row.way, row.account_ref) == ("connect", merchant.account.id)
    assert "PayPal's consent" in merchant.see(merchant.client.get("/settings"))


def test_saying_no(merchant: Merchant) -> None:
    assert "You said no" in merchant.see(merchant.client.get(merchant.goes("cancel")))
    assert merchant.connections() == []


def test_an_answer_that_is_not_ours_connects_nothing(merchant: Merchant) -> None:
    back = merchant.goes()
    stranger = Merchant(merchant.house, merchant.town, "Andra butiken AB")
    for client, address in (
        (stranger.client, back),
        (merchant.client, f"{CALLBACK}?permissionsGranted=true&merchantIdInPayPal={merchant.account.id}"),
        (merchant.client, f"{CALLBACK}?permissionsGranted=true&state=made-up"),
    ):
        assert client.get(address).status_code == 400
    assert merchant.connections() == stranger.connections() == []
    assert merchant.client.get(back).status_code == 303
    assert merchant.client.get(back).status_code == 400


def test_the_browser_cannot_name_another_merchants_account(merchant: Merchant) -> None:
    victim = merchant.world.add_account("Offer AB")
    merchant.world.consent(victim, tracking_id="theirs")
    back = merchant.goes("cancel").replace("permissionsGranted=false", "permissionsGranted=true")
    answer = merchant.client.get(f"{back}&merchantIdInPayPal={victim.id}&merchantId=theirs")
    assert answer.status_code == 400
    assert merchant.connections() == []


def test_an_account_belongs_to_one_company(merchant: Merchant) -> None:
    assert merchant.types().status_code == 303
    other = Merchant(merchant.house, merchant.town, "Andra butiken AB")
    assert other.types(merchant.app).status_code == 409
    assert other.connections() == []


def test_disconnecting_and_connecting_again(merchant: Merchant) -> None:
    merchant.types()
    (row,) = merchant.connections()
    assert merchant.press("/settings", f"/connections/{row.id}/disconnect").status_code == 303
    assert merchant.connections()[0].state == "disconnected"
    fresh = merchant.world.add_app(merchant.account)
    assert merchant.types(fresh).status_code == 303
    assert [one.state for one in merchant.connections()] == ["connected"]


def deliver(merchant: Merchant, *, forged: bool = False) -> list[int | None]:
    """Whatever PayPal has to say arrives at our page, in process."""
    world = merchant.world

    def send(url: str, headers: dict[str, str], body: bytes) -> int:
        answer = merchant.house.client().post(urlsplit(url).path, data=body, headers=headers)
        return answer.status_code

    world.courier.sender = send
    world.courier.attempts = 1
    world.webhook_switches.wrong_signature = forged
    return [one.status for one in world.deliver_webhooks()]


@pytest.fixture
def listening(merchant: Merchant) -> Merchant:
    merchant.world.courier.stop()
    merchant.world.register_partner_webhook("http://127.0.0.1:8000/webhooks/paypal")
    merchant.client.get(merchant.goes())
    merchant.world.deliver_webhooks()
    return merchant


def events(merchant: Merchant) -> list[str]:
    with merchant.house.services.db.open() as session:
        query = select(WebhookEvent.event_type).where(WebhookEvent.company_id == merchant.company)
        return list(session.scalars(query))


def test_a_signed_event_counts_once_and_a_forged_one_not_at_all(listening: Merchant) -> None:
    listening.account.sell(5000, "SEK")
    assert deliver(listening, forged=True) == [400]
    assert events(listening) == []
    listening.world.webhook_switches.duplicates = 2
    listening.account.sell(6000, "SEK")
    assert deliver(listening) == [204, 204, 204]
    assert events(listening) == ["PAYMENT.CAPTURE.COMPLETED"]


def test_a_consent_taken_back_at_paypal_is_looked_into(listening: Merchant) -> None:
    listening.world.revoke(listening.account)
    assert deliver(listening) == [204]
    assert listening.connections()[0].state == "needs_reconnect"
    page = listening.client.get("/settings")
    assert re.search(r'href="/connect/paypal"', page.text)
    # A late one, after connecting again, ends nothing.
    listening.client.get(listening.goes())
    listening.world._tell(listening.account, "MERCHANT.PARTNER-CONSENT.REVOKED", {"merchant_id": listening.account.id})
    assert deliver(listening) == [204]
    assert listening.connections()[0].state == "connected"


def test_what_is_no_event_of_paypals_is_refused(house: House) -> None:
    assert house.client().post("/webhooks/paypal", data=json.dumps({"id": "WH-1"})).status_code in (400, 404)


def test_a_token_of_nine_hours_is_renewed_by_itself(merchant: Merchant) -> None:
    merchant.types()
    merchant.town.world.clock.advance(timedelta(hours=10))
    services = merchant.house.services
    (row,) = merchant.connections()
    source = connections.payment_source(services, merchant.company, row.id, CallLog())
    assert source.fetch_account().ref == merchant.account.id
    (fresh,) = merchant.connections()
    assert fresh.expires_at is not None and row.expires_at is not None
    assert fresh.expires_at > row.expires_at


def test_the_vat_of_paypals_fees_is_filled_in_as_is_usual_and_may_differ_from_the_companys(merchant: Merchant) -> None:
    merchant.types()
    text = merchant.see(merchant.client.get("/settings/fees"))
    assert "as invoiced by PayPal in Luxembourg" in text and "not saved yet" in text
    page = merchant.client.get("/settings").text
    assert "PayPal in Luxembourg, for example, is a bank" in merchant.see(merchant.client.get("/settings"))
    assert page.count('name="fee_treatment"') >= 1
    (row,) = merchant.connections()
    answer = merchant.press("/settings", f"/settings/connections/{row.id}", fee_treatment="exempt")
    assert answer.status_code in (302, 303), answer.text
    (row,) = merchant.connections()
    assert row.settings["fee_treatment"] == "exempt"
    refused = merchant.press("/settings", f"/settings/connections/{row.id}", fee_treatment="sometimes")
    assert refused.status_code == 422
