"""The whole journey as a person makes it, in a real browser: from the marketplace to books that are right.

Everything is real but the outside world: gunicorn, an RQ worker, Redis, a database file, and the simulated Fortnox
and Stripe, whose books are read past Kvitt at the end. Each station leaves a picture.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, expect

from addon.sandbox.stripe.webhooks import signature
from addon.sandbox.world import STRIPE_WEBHOOK_SECRET, Business
from addon.services import pages
from tests.browser.journey_support import (
    PICTURES,
    Person,
    Site,
    first_day,
    invoices,
    person,
    sell,
    serve,
    sign_in,
)

# The limit is for a machine that is doing much else; alone, the whole file takes less than a minute.
pytestmark = [pytest.mark.browser, pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(240)]

Meet = Callable[..., Person]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Kvitt and the outside world, for all journeys of this file; each has companies of its own."""
    for old in PICTURES.glob("*.png"):
        old.unlink()
    with serve(tmp_path_factory.mktemp("journey")) as served:
        yield served


@pytest.fixture
def meet(site: Site, browser: Browser) -> Iterator[Meet]:
    """Make people with a browser each: `meet(album, phone=…, script=…)`. At the end no page has been at fault."""
    people: list[Person] = []
    with ExitStack() as stack:

        def make(album: str, **more: bool) -> Person:
            people.append(stack.enter_context(person(site, browser, album, **more)))
            return people[-1]

        yield make
        assert [fault for someone in people for fault in someone.faults] == [], site.web.log_tail()


# --- the journeys -----------------------------------------------------------------------------------------------


def test_from_the_marketplace_to_books_that_are_right(site: Site, meet: Meet) -> None:
    business = site.world.add_business(
        "Fjällbutiken AB",
        "556677-8899",
        currencies=("sek", "eur", "jpy", "kwd"),
        inactive_accounts=(1686, 3740),
    )
    sell(business, sales=8)
    ada = meet("plus-")

    # Fortnox begins: its marketplace, its consent page, and Kvitt names the company and asks.
    ada.activate(business)
    ada.picture("consent-at-fortnox")
    ada.allow_fortnox(business)
    ada.sees("556677-8899")
    ada.picture("is-this-your-company")
    assert not site.is_installed(business), "nothing is bound before the person has confirmed"
    ada.confirm(business)

    # What is not so is red, with its reason and a button; every button does what it says.
    ada.sees("Your books are almost ready")
    expect(ada.red.filter(has_text="Account 3740 is not active").first).to_be_visible()
    ada.page.locator("details.green > summary").click()
    ada.sees("accrual method")
    ada.picture("checklist")
    assert ada.repair_each() >= 2
    ada.sees("Your books are ready")
    ada.picture("checklist-repaired")
    assert business.fortnox.accounts[max(business.fortnox.accounts)][3740].active

    # Stripe: one click and its consent page.
    ada.connect_stripe()
    ada.picture("consent-at-stripe")
    ada.allow_stripe(business)
    ada.at("/welcome")
    ada.sees("Stripe is connected")
    ada.picture("stripe-connected")

    # Plus, and the day to begin with.
    ada.menu("Settings")
    ada.choose_mode("Plus")
    ada.at("/settings")
    ada.choose_start()
    expect(ada.page.locator("details.danger[open]")).to_have_count(0)
    ada.picture("settings")
    ada.repair_all()
    ada.picture("ready-to-start")

    # The run: nobody has time for it yet, then it can be watched.
    ada.go("/overview")
    ada.picture("overview-before-the-first-run")
    with site.slow_books(business, 0.15):
        with site.worker_elsewhere():
            ada.press("Sync now")
            ada.at(r"/runs/\d+")
            ada.sees("Waiting for a worker")
            ada.picture("run-waits")
        expect(ada.page.locator("#run progress[value]")).to_be_visible()
        ada.sees("Booking ")
        ada.picture("run-under-way")
        ada.watch_run()
    expect(ada.page.locator("#run .kvitt")).to_have_count(2)
    expect(ada.page.locator(".run-end time")).to_have_attribute("title", re.compile("Europe/Stockholm$"))
    ada.picture("run-done")

    # Books and provider agree in both currencies.
    ada.menu("Overview")
    for currency in ("SEK", "EUR"):
        card = ada.page.locator(".identity").filter(has=ada.page.get_by_role("heading", name=f"Stripe {currency}"))
        expect(card.locator(".verdict .kvitt")).to_have_text("kvitt")
    ada.sees("Nothing needs you")
    ada.picture("overview")
    check_books(business, sales=8)

    # A sale in another currency, found by its order number, and its whole story.
    order = next(order for order in business.shop.orders if order.currency == "jpy")
    ada.menu("Transactions")
    ada.picture("transactions")
    ada.page.get_by_label("Search").fill(order.number)  # as if pasted
    rows = ada.page.locator("#found tbody tr")
    expect(rows).to_have_count(1)
    rows.get_by_role("link").click()
    ada.reads(f"Sale #{order.number}")
    for heading in ("What Stripe says", "What Kvitt decided", "What stands in the books", "The calls made"):
        ada.reads(heading)
    ada.sees("The buyer paid")
    ada.sees(r"Plus")
    ada.page.get_by_text(re.compile(r"Invoice and payment: \d+ steps")).click()
    ada.sees("POST /invoices|POST /3/invoices")
    ada.picture("transaction")

    # A payout that has reached the bank, and its proof.
    ada.menu("Payouts")
    ada.picture("payouts")
    proved = ada.page.locator("tr").filter(has_text="adds up").filter(has_text="Paid out")
    proved.first.get_by_role("link").first.click()
    ada.reads("Payout from Stripe")
    expect(ada.page.locator(".proof-sheet .kvitt")).to_be_visible()
    ada.sees("Voucher: payout to the bank")
    ada.picture("payout")
    with ada.page.expect_download() as download:
        ada.follow("Download the proof")
    assert download.value.path().read_text(encoding="utf-8").startswith("occurred_at,reference,kind")

    # The buyer gets the money back; and something comes that Kvitt does not know. That is not guessed: it needs a
    # person, who says what became of it.
    with business.stripe.lock:
        business.shop.refund_order(order)
        business.stripe.adjustment(
            -4000, reporting_category="loyalty_settlement", type="loyalty_settlement", description="Loyalty settlement"
        )
    ada.sync()
    ada.menu("Overview")
    ada.sees("something needs you")
    ada.picture("overview-with-something-held")
    check_books(business, sales=8, credit_notes=1)
    ada.menu("Inbox")
    group = ada.page.locator(".group").filter(has_text="A kind of movement that Kvitt does not know")
    ada.sees("loyalty_settlement", group)
    expect(group).to_contain_text("−40,00")
    ada.picture("inbox")
    group.locator("tbody input[type=checkbox]").check()
    group.get_by_label("Booked elsewhere?").fill("Voucher A 12")
    ada.press("Set the ticked aside", group)
    ada.sees("1 movement is set aside")
    ada.reads("Nothing needs you")
    ada.picture("inbox-empty")
    ada.menu("Activity")
    ada.sees("Set movements aside")
    expect(ada.page.get_by_text("Where the order number stands at the provider")).to_have_count(0)
    ada.picture("activity")


def check_books(business: Business, sales: int, credit_notes: int = 0) -> None:
    """What stands in the simulated Fortnox, read past Kvitt: every sale once, paid, mailed to nobody."""
    made = invoices(business)
    assert sum(invoice.credit for invoice in made) == credit_notes
    assert len({invoice.text("ExternalInvoiceReference1") for invoice in made if not invoice.credit}) == sales
    assert [invoice.number for invoice in made if not invoice.booked or invoice.sent] == []
    assert {invoice.balance for invoice in made} == {Decimal(0)}
    business.fortnox.check()


def test_a_second_company_begins_at_our_own_page_and_chooses_basic(site: Site, meet: Meet) -> None:
    business = site.world.add_business(
        "Norrsken Design AB", "559012-3456", balance_currencies=("sek",), currencies=("sek",), other_plugin=True
    )
    report = business.shop.sell_for_basic(days=9, sales=4, oddities=("deviating_amount", "no_invoice_yet"))
    bo = meet("basic-")
    bo.go("/")
    bo.picture("first-page")
    bo.page.get_by_role("link", name="Install in Fortnox").first.click()
    bo.allow_fortnox(business)
    bo.confirm(business)
    bo.repair_each()
    bo.connect_stripe()
    bo.allow_stripe(business)
    bo.at("/welcome")
    bo.repair_each()

    # The figures are the company's own, and say which of the two suits it.
    basic = bo.page.locator(".mode").filter(has_text="Choose Basic")
    bo.sees("recommended", basic)
    bo.picture("basic-or-plus")
    bo.choose_mode("Basic")
    bo.menu("Settings")
    bo.choose_start()
    bo.repair_all()
    bo.sync()
    bo.menu("Inbox")
    bo.reads("The amount differs from what is open on the invoice")
    bo.sees("An invoice or credit note that the shop has not made yet")
    bo.picture("inbox")

    wrong = report.oddities["deviating_amount"][0].invoice
    paid = {invoice.number: invoice.balance for invoice in invoices(business)}
    assert {number for number, balance in paid.items() if balance} == {wrong}, "all others are paid, none is new"

    # Nothing of another company can be seen, not even that it exists.
    other = site.world.add_business("Grannens Butik AB", "556999-0001")
    site.town.set_up(other, "plus", first_day().isoformat())
    number = pages.frame(site.town.services, site.company_id(other)).connections[0].id
    assert bo.page.request.post(f"{site.address}/settings/connections/{number}").status in (400, 404)
    bo.go("/transactions/999999")
    bo.reads("There is nothing here")
    bo.picture("nothing-here")


def test_a_company_that_wants_to_see_it_first(site: Site, meet: Meet) -> None:
    business = site.world.add_business("Förhandsgranskarna AB", "556999-0002", currencies=("sek",))
    sell(business, sales=2)
    site.town.set_up(business, "plus", first_day().isoformat())
    eva = meet("first-")
    sign_in(eva, business)

    eva.go("/settings")
    eva.unfold("When and how")
    eva.page.get_by_label("Who says go").select_option("first")
    eva.press("Save", eva.page.locator("#rhythm"))
    eva.sees("Saved.")
    expect(eva.page.locator("#fold-rhythm[open]")).to_have_count(0)
    eva.sees("Who says go: Show me first", eva.page.locator("#fold-rhythm summary"))

    eva.menu("Preview")
    eva.page.get_by_label("To", exact=True).fill(eva.page.evaluate("new Date().toISOString().slice(0, 10)"))
    eva.press("Look")
    eva.page.wait_for_url("**/preview?run=*", timeout=60_000)
    eva.sees(r"\d+ documents would be booked")
    eva.page.locator("#looked details.document summary").first.click()
    eva.picture("look")
    eva.sync()
    assert invoices(business) == [], "nothing is written before it is approved"

    eva.menu("Preview")
    eva.reads("Waits for your approval")
    eva.picture("waits-for-approval")
    eva.press("Approve all and book")
    eva.watch_run()
    eva.picture("approved-and-booked")
    check_books(business, sales=2)
    eva.menu("Preview")
    expect(eva.page.get_by_text("Waits for your approval")).to_have_count(0)


def test_without_scripts_everything_works_too(site: Site, meet: Meet) -> None:
    business = site.world.add_business("Skriptlösa Lyktor AB", "556999-0003", currencies=("sek", "eur"))
    sell(business, sales=2)
    ida = meet("plain-", script=False)
    ida.activate(business)
    ida.allow_fortnox(business)
    ida.confirm(business)
    ida.repair_each()
    ida.connect_stripe()
    ida.allow_stripe(business)
    ida.at("/welcome")
    ida.repair_each()
    ida.press("Count it for my company")
    expect(ida.page.locator(".modes .figures")).to_have_count(3)
    ida.picture("counted")
    ida.choose_mode("Plus")
    ida.go("/settings")
    ida.choose_start()
    ida.repair_all()
    ida.sync()  # the page asks again by itself, without a script
    ida.picture("run-done")
    ida.go("/overview")
    expect(ida.page.locator(".identity .kvitt")).not_to_have_count(0)
    ida.menu("Transactions")
    ida.page.get_by_label("Search").fill(business.shop.orders[0].number)
    ida.press("Show")
    ida.page.locator("#found tbody tr").get_by_role("link").first.click()
    ida.reads(f"Sale #{business.shop.orders[0].number}")
    ida.picture("transaction")
    check_books(business, sales=2)


def test_on_a_phone_nothing_leans_out_of_the_window(site: Site, meet: Meet) -> None:
    business = site.world.add_business("Fickformat AB", "556999-0004", currencies=("sek", "kwd"))
    sell(business, sales=3, unknown_kind=True)
    company_id = site.town.set_up(business, "plus", first_day().isoformat())
    site.town.run(company_id)
    order = next(order for order in business.shop.orders if order.currency == "kwd")
    pia = meet("phone-", phone=True)
    sign_in(pia, business)

    pia.go("/overview")
    pia.reads("Overview")
    assert pia.leans_out() == 0
    pia.picture("overview")
    pia.page.get_by_text("Menu", exact=False).first.click()
    pia.picture("menu")
    pia.page.get_by_role("navigation", name="Menu").get_by_role("link", name="Inbox").click()
    pia.reads("A kind of movement that Kvitt does not know")
    assert pia.leans_out() == 0
    pia.picture("inbox")
    pia.go(f"/transactions?q={order.number}")
    assert pia.leans_out() == 0
    pia.picture("transactions")
    pia.page.locator("#found tbody tr").get_by_role("link").first.click()
    pia.reads(f"Sale #{order.number}")
    for summary in pia.page.locator(".story details > summary").all():
        summary.click()
    assert pia.leans_out() == 0
    pia.picture("transaction")


# --- what goes wrong --------------------------------------------------------------------------------------------


def test_who_denies_at_fortnox_may_begin_again(site: Site, meet: Meet) -> None:
    business = site.world.add_business("Tveksamma AB", "556999-0010")
    someone = meet("denied-at-fortnox-")
    someone.go("/install/fortnox")
    someone.press("Deny")
    someone.reads("You said no, and that is fine")
    someone.sees("Nothing has been installed")
    someone.picture("page")
    someone.follow("Start again")
    someone.allow_fortnox(business)
    someone.at("/install/confirm")
    someone.press("No")
    someone.sees("the permission was thrown away")
    someone.go("/install/confirm")
    someone.reads("permission has expired")
    assert not site.is_installed(business)


def test_a_state_that_is_not_ours_is_asked_about(site: Site, meet: Meet) -> None:
    business = site.world.add_business("Lockade AB", "556999-0011")
    # Somebody else's consent, put before this browser.
    code = site.world.fortnox.give_consent(business.fortnox.database_number)
    someone = meet("foreign-state-")
    someone.go(f"/oauth/fortnox/callback?code={code}&state=notOurs")
    someone.reads("This did not begin in this browser")
    someone.picture("page")
    assert not site.is_installed(business)
    # If it was the marketplace after all, nothing is lost: the code was not used up.
    someone.press("I pressed Activate in Fortnox")
    someone.confirm(business)
    assert site.is_installed(business)


def test_a_code_that_has_expired_says_so(site: Site, meet: Meet) -> None:
    business = site.world.add_business("Kaffepausen AB", "556999-0012")
    someone = meet("expired-code-")
    someone.go("/install/fortnox")
    back = someone.let_in_but_stay(business)  # the train is in a tunnel
    site.world.clock.advance(timedelta(minutes=11))
    try:
        someone.page.goto(back)
        someone.reads("permission has expired")
        someone.picture("page")
    finally:
        site.world.clock.advance(-timedelta(minutes=11))
    assert not site.is_installed(business)
    someone.follow("Start again")
    someone.allow_fortnox(business)
    someone.confirm(business)


def test_a_company_without_licences_learns_which(site: Site, meet: Meet) -> None:
    business = site.world.add_business("Sparlågan AB", "556999-0013")
    business.fortnox.licences.discard("integration")
    someone = meet("without-licence-")
    # Fortnox itself lets no app in: its page, and nothing at Kvitt.
    someone.go("/install/fortnox")
    someone.allow_fortnox(business)
    someone.reads("Licence needed")
    assert not site.is_installed(business)
    # Let in, but without the licence for bookkeeping: installed, named, stopped.
    business.fortnox.licences.add("integration")
    business.fortnox.licences.discard("bookkeeping")
    someone.go("/install/fortnox")
    someone.allow_fortnox(business)
    someone.confirm(business)
    expect(someone.red.filter(has_text="licence").first).to_contain_text("Nothing is booked until this is mended")
    someone.picture("checklist")
    business.fortnox.licences.add("bookkeeping")
    someone.check()
    expect(someone.red.filter(has_text="A licence is missing")).to_have_count(0)


def test_a_company_with_the_cash_method_is_stopped_and_told_why(site: Site, meet: Meet) -> None:
    business = site.world.add_business("Kontantkiosken AB", "556999-0014", currencies=("sek",), method="CASH")
    sell(business, sales=1)
    someone = meet("cash-method-")
    company_id = site.town.install(business)
    site.town.choose(company_id, site.town.connect(company_id, business), mode="plus", start_date=str(first_day()))
    sign_in(someone, business)
    someone.go("/welcome")
    someone.check()
    expect(someone.red.filter(has_text="cash method").first).to_contain_text("Nothing is booked until this is mended")
    someone.picture("checklist")
    someone.go("/overview")
    someone.sees("Bookings are stopped until your books are mended")
    someone.press("Sync now")
    someone.sees("Nothing was lost")
    someone.sees("accrual method")
    someone.picture("run")
    assert not any(call.method in ("POST", "PUT") for call in calls_of(site, business)), "nothing was written"


def calls_of(site: Site, business: Business) -> list[object]:
    """What Kvitt has asked of a company's books."""
    number = business.fortnox.database_number
    return [call for call in list(site.world.fortnox.calls) if call.company == number]


def installed(site: Site, meet: Meet, name: str, number: str, album: str) -> tuple[Business, Person]:
    """A company that has got as far as connecting Stripe."""
    business = site.world.add_business(name, number)
    site.town.install(business)
    someone = meet(album)
    sign_in(someone, business)
    someone.go("/connect/stripe")
    return business, someone


def connections_of(site: Site, business: Business) -> int:
    return len(pages.frame(site.town.services, site.company_id(business)).connections)


def test_who_denies_at_stripe_may_begin_again(site: Site, meet: Meet) -> None:
    business, someone = installed(site, meet, "Eftertanken AB", "556999-0015", "denied-at-stripe-")
    someone.press("Deny")
    someone.reads("You said no, and that is fine")
    someone.picture("page")
    someone.follow("Back to the steps")
    someone.at("/welcome")
    assert connections_of(site, business) == 0


def test_an_account_in_test_mode_is_refused(site: Site, meet: Meet) -> None:
    business, someone = installed(site, meet, "Provpengar AB", "556999-0016", "test-mode-")
    business.stripe.livemode = False
    someone.allow_stripe(business)
    someone.reads("This is a test account")
    someone.sees("Nothing has been connected")
    someone.picture("page")
    assert connections_of(site, business) == 0


def test_an_account_that_another_company_has_connected_is_refused(site: Site, meet: Meet) -> None:
    owner = site.world.add_business("Först till Kvarn AB", "556999-0017")
    site.town.connect(site.town.install(owner), owner)
    business, someone = installed(site, meet, "Lite Senare AB", "556999-0018", "account-taken-")
    someone.allow_stripe(owner)
    someone.reads("Another company has connected this Stripe account")
    someone.picture("page")
    assert (connections_of(site, business), connections_of(site, owner)) == (0, 1)


def test_a_webhook_with_a_wrong_signature_starts_nothing(site: Site) -> None:
    business = site.world.add_business("Tysta Klockan AB", "556999-0019", currencies=("sek",))
    company_id = site.town.set_up(business, "plus", first_day().isoformat())
    body = json.dumps(
        {
            "id": "evt_1forged",
            "object": "event",
            "type": "charge.succeeded",
            "account": business.stripe.id,
            "livemode": True,
            "created": int(site.world.clock.now().timestamp()),
            "data": {"object": {}},
        }
    ).encode()

    def send(secret: str) -> int:
        now = int(site.world.clock.now().timestamp())
        signed = f"t={now},v1={signature(secret, now, body)}"
        return site.post(
            "/webhooks/stripe", body, {"Stripe-Signature": signed, "Content-Type": "application/json; charset=utf-8"}
        )

    assert send("whsec_somebody_elses") == 400
    assert pages.frame(site.town.services, company_id).last_run is None
    assert send(STRIPE_WEBHOOK_SECRET) == 204
    site.wait_for_runs(business)
