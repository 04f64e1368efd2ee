"""How far Kvitt takes a sale's documents: drafts, orders, unbooked payments, mail, articles, customers, codes."""

from typing import Any

import pytest
from sqlalchemy.orm import Session

from addon.core.books import StepAnswer
from addon.core.delivery import PartState
from addon.core.documents import Document
from addon.sandbox.stripe.model import SoldLine
from addon.services import prerequisites
from addon.store import deliveries
from addon.store.codec import decode
from addon.store.models import ActivityRow
from tests.flow.house import Bed, House


def opened(bed: Bed, sales: int = 1, **choices: str) -> House:
    house = bed.house()
    for _ in range(sales):
        house.sells("2026-03-02", 125_00)
    house.opens("plus", **choices)
    return house


def invoice_of(house: House) -> Any:
    (invoice,) = house.our_invoices()
    return invoice


def test_a_draft_waits_for_a_person_and_then_its_payment_follows(bed: Bed) -> None:
    house = opened(bed, sale_document="draft")
    house.runs()
    draft = invoice_of(house)
    assert not draft.booked
    assert house.waiting() == ["booking"]
    assert house.proves()["SEK"].identity.not_booked.waiting.minor == 125_00
    house.world.fortnox.reset_calls()
    house.runs()
    assert house.writes() == 0
    assert house.waiting() == ["booking"], "nobody has booked it yet"
    house.books.person_books_invoice(draft.number)
    house.runs()
    assert house.waiting() == []
    assert house.kinds()["sale"] == 1
    house.all_is_well()


def test_a_process_that_dies_while_it_sees_a_draft_booked_loses_nothing(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(BaseException):
        """The process is gone."""

    house = opened(bed, sale_document="draft")
    house.runs()
    house.books.person_books_invoice(invoice_of(house).number)
    record = deliveries.record_booked

    def dies(session: Session, claimed: deliveries.Claimed, answer: StepAnswer) -> bool:
        if claimed.step.kind == "await_invoice":
            raise Stop
        return record(session, claimed, answer)

    with monkeypatch.context() as dying:
        dying.setattr(deliveries, "record_booked", dies)
        with pytest.raises(Stop):
            house.runs()
    assert house.waiting() == ["booking"]
    house.runs()
    assert house.waiting() == []
    assert invoice_of(house).balance == 0
    house.all_is_well()


def test_looking_at_drafts_costs_one_list_however_many_there_are(bed: Bed) -> None:
    house = opened(bed, sales=3, sale_document="draft")
    house.runs()
    house.time("2026-03-20 11:00")
    house.runs()
    house.world.fortnox.reset_calls()
    house.runs()
    reads = house.reads()
    house.sells("2026-03-20 10:30", 80_00)
    house.sells("2026-03-20 10:31", 90_00)
    house.runs()
    house.world.fortnox.reset_calls()
    house.runs()
    assert house.reads() == reads
    assert house.waiting().count("booking") == 5


def test_a_draft_booked_on_a_later_day_is_paid_on_that_day(bed: Bed) -> None:
    house = opened(bed, sale_document="draft")
    house.runs()
    draft = invoice_of(house)
    house.books.person_edits_invoice(draft.number, InvoiceDate="2026-03-09", DueDate="2026-03-09")
    house.books.person_books_invoice(draft.number)
    house.runs()
    (payment,) = house.books.payments.values()
    assert payment.date.isoformat() == "2026-03-09"
    house.all_is_well()


def test_a_refund_of_a_draft_waits_until_its_sale_is_booked(bed: Bed) -> None:
    house = bed.house()
    charge = house.sells("2026-03-02", 125_00)
    house.refunds(charge, "2026-03-04", 125_00)
    house.opens("plus", sale_document="draft")
    house.runs()
    assert house.waiting() == ["booking", "sale"]
    house.books.person_books_invoice(invoice_of(house).number)
    house.runs()
    assert house.kinds() == {"sale": 1, "refund": 1, "fees": 1, "payout": 2}
    house.all_is_well()


def test_a_draft_that_a_person_takes_away_is_held_and_can_be_made_anew(bed: Bed) -> None:
    house = opened(bed, sale_document="draft")
    house.runs()
    house.books.person_cancels_invoice(invoice_of(house).number)
    house.runs()
    assert house.held() == ["waited_for_gone"]
    house.proves()
    house.retries()
    house.runs()
    assert house.waiting() == ["booking"]
    house.books.person_books_invoice(invoice_of(house).number)
    house.runs()
    house.all_is_well()


def test_a_draft_that_was_booked_with_another_amount_is_left_to_the_person(bed: Bed) -> None:
    house = opened(bed, sale_document="draft")
    house.runs()
    draft = invoice_of(house)
    house.books.person_edits_invoice(draft.number, InvoiceRows=[{"Price": 200}])
    house.books.person_books_invoice(draft.number)
    house.runs()
    assert house.held() == ["touched"]
    assert not house.books.payments
    house.sets_aside("touched", "by hand")
    assert len(house.part_ids(PartState.SET_ASIDE)) == 1


@pytest.mark.parametrize("handed_on", [True, False])
def test_an_order_is_invoiced_by_a_person_and_then_paid(bed: Bed, handed_on: bool) -> None:
    bed.world.fortnox.switches.orders_hand_references_on = handed_on
    house = opened(bed, sale_document="order")
    house.runs()
    (order,) = house.books.orders.values()
    assert (order.shadow.total, order.shadow.text("YourOrderNumber")) == (125, "1001")
    assert not house.books.invoices
    assert house.waiting() == ["booking"]
    invoice = house.books.person_invoices_order(order.number, booked=False)
    house.runs()
    assert house.waiting() == ["booking"], "an invoice that is not booked cannot be paid"
    house.books.person_books_invoice(invoice.number)
    house.time("2026-03-21 10:00")
    house.runs()
    assert house.waiting() == []
    (row,) = house.documents("sale")
    assert (row.state, row.number) == ("booked", str(invoice.number))
    assert invoice.balance == 0
    house.proves()
    house.books.check()


def test_an_order_that_is_cancelled_is_held(bed: Bed) -> None:
    house = opened(bed, sale_document="order")
    house.runs()
    (order,) = house.books.orders.values()
    house.books.person_cancels_order(order.number)
    house.runs()
    assert house.held() == ["waited_for_gone"]
    house.retries()
    house.runs()
    assert len(house.books.orders) == 2
    assert house.waiting() == ["booking"]


def test_an_order_that_rounds_is_made_anew_with_its_rounding_row(bed: Bed) -> None:
    house = bed.house()
    house.books.settings.rounds_to_whole_krona = True
    house.sells("2026-03-02", 125_40)
    house.opens("plus", sale_document="order")
    house.runs()
    assert house.held() == ["total_differs"]
    house.retries()
    house.runs()
    order = max(house.books.orders.values(), key=lambda one: one.number)
    assert order.shadow.total == 126
    house.books.person_invoices_order(order.number)
    house.runs()
    assert house.waiting() == []
    house.proves()


def test_payments_are_left_unbooked_for_the_bookkeeper(bed: Bed) -> None:
    house = opened(bed, payments="unbooked")
    house.runs()
    (payment,) = house.books.payments.values()
    assert not payment.booked
    assert house.waiting() == ["payment_booking"]
    house.proves()
    house.books.person_books_payment(payment.number)
    house.runs()
    assert house.waiting() == []
    house.all_is_well()


def test_an_unbooked_payment_that_is_taken_away_is_held_and_made_anew(bed: Bed) -> None:
    house = opened(bed, payments="unbooked")
    house.runs()
    (payment,) = house.books.payments.values()
    house.books.person_deletes_payment(payment.number)
    house.time("2026-03-21 10:00")
    house.runs()
    assert house.held() == ["waited_for_gone"]
    house.retries()
    house.runs()
    (payment,) = house.books.payments.values()
    house.books.person_books_payment(payment.number)
    house.runs()
    house.all_is_well()


def test_an_invoice_is_mailed_once_and_only_where_that_is_chosen(bed: Bed) -> None:
    house = opened(bed)
    house.runs()
    assert house.books.mails == []
    house.sets(mail_invoice="yes")
    house.time("2026-03-20 11:00")
    house.sells("2026-03-20 10:30", 80_00, email="ann@example.com")
    house.runs()
    assert [address for _, address in house.books.mails] == ["ann@example.com"]
    house.runs()
    assert len(house.books.mails) == 1
    house.all_is_well()


@pytest.mark.parametrize("kind", ["lost_before", "lost_after"])
def test_a_mail_of_doubtful_outcome_is_never_sent_twice(bed: Bed, kind: str) -> None:
    house = opened(bed, mail_invoice="yes")
    house.fault(kind, "/email", times=1)
    house.runs()
    assert len(house.books.mails) <= 1
    assert house.kinds()["sale"] == 1
    with house.rows() as session:
        told = [row.what for row in session.query(ActivityRow) if row.what in ("mailed", "not_mailed")]
    assert told == (["mailed"] if house.books.mails else ["not_mailed"])
    house.all_is_well()


def checks_out(house: House, *lines: SoldLine) -> None:
    charge = house.sells("2026-03-02", sum(line.amount for line in lines))
    house.stripe.checkout_session(charge, lines=lines)


@pytest.mark.parametrize("articles", ["created", "matched"])
def test_rows_name_articles_by_their_number(bed: Bed, articles: str) -> None:
    """One that the books have is named; one that they lack is made once, for two sales, where that is chosen."""
    house = bed.house()
    house.books.articles["LAMP-1"] = {"Description": "A lamp"}
    checks_out(house, SoldLine("Table lamp", 125_00, sku="LAMP-1"), SoldLine("Bulb", 25_00, sku="BULB"))
    checks_out(house, SoldLine("Bulb", 50_00, sku="BULB", quantity=2), SoldLine("Giving card", 10_00))
    house.opens("plus", articles=articles)
    house.runs()
    made = articles == "created"
    assert {row.description: row.article for invoice in house.our_invoices() for row in invoice.rows} == {
        "Table lamp": "LAMP-1",
        "Bulb": "BULB" if made else "",
        "Bulb x 2": "BULB" if made else "",
        "Giving card": "",
    }
    assert set(house.books.articles) == ({"LAMP-1", "BULB"} if made else {"LAMP-1"})
    assert house.books.articles["LAMP-1"] == {"Description": "A lamp"}, "what is there is left alone"
    if made:
        bulb = house.books.articles["BULB"]
        assert bulb["Description"] == "Bulb"
        assert (bulb["Type"], bulb["StockGoods"], str(bulb["SalesAccount"])) == ("SERVICE", False, "3001")
    assert house.books.balance(3001) == -168
    house.all_is_well()
    house.world.fortnox.reset_calls()
    house.runs()
    assert house.writes() == 0


def test_an_article_that_somebody_makes_meanwhile_is_taken_as_it_is(bed: Bed) -> None:
    house = bed.house()
    checks_out(house, SoldLine("Bulb", 25_00, sku="BULB"))
    house.opens("plus", articles="created", approve="first")
    house.runs()
    house.books.articles["BULB"] = {"Description": "Glödlampa"}
    assert house.approves()
    house.runs()
    assert house.books.articles == {"BULB": {"Description": "Glödlampa"}}
    (row,) = invoice_of(house).rows
    assert row.article == "BULB"
    house.all_is_well()


def test_a_business_is_one_customer_by_its_organisation_number(bed: Bed) -> None:
    house = bed.house()
    there = house.books.person_creates_customer("Lampor AB", OrganisationNumber="556677-1234", Email="old@lampor.se")
    house.sells("2026-03-02", 125_00, email="a@lampor.se", tax_id="SE556677123401")
    house.sells("2026-03-03", 125_00, email="b@lampor.se", tax_id="SE556677123401")
    house.sells("2026-03-03", 99_00, email="c@ny.se", tax_id="SE556600111101")
    house.opens("plus", customers="per_organisation")
    house.runs()
    of = {invoice.total: invoice.customer_number for invoice in house.our_invoices()}
    assert of[125] == there.number
    assert [invoice.customer_number for invoice in house.our_invoices()].count(there.number) == 2
    new = house.books.customers[of[99]]
    assert (new.values["OrganisationNumber"], new.values["Type"]) == ("556600-1111", "COMPANY")
    house.all_is_well()


def test_a_customer_is_brought_up_to_date_only_where_that_is_chosen(bed: Bed) -> None:
    house = bed.house()
    there = house.books.person_creates_customer("Old Name", Email="ann@example.com", Phone1="123")
    house.sells("2026-03-02", 125_00, email="ann@example.com", name="Ann New")
    house.opens("plus")
    house.runs()
    assert there.name == "Old Name"
    house.sets(existing_customers="update")
    house.time("2026-03-20 11:00")
    house.sells("2026-03-20 10:30", 125_00, email="ann@example.com", name="Ann New")
    house.sells("2026-03-20 10:31", 125_00, email="ann@example.com", name="Ann New")
    house.runs()
    assert (there.name, there.values["Phone1"]) == ("Ann New", "123")
    updates = [call for call in house.world.fortnox.calls if call.method == "PUT" and "/customers/" in call.path]
    assert len(updates) <= 2
    house.all_is_well()


def test_an_inactive_customer_is_no_customer(bed: Bed) -> None:
    house = bed.house()
    house.books.person_creates_customer("Gone", Email="ann@example.com", Active=False)
    there = house.books.person_creates_customer("Ann", Email="ann@example.com")
    house.sells("2026-03-02", 125_00, email="ann@example.com")
    house.opens("plus")
    house.runs()
    assert invoice_of(house).customer_number == there.number
    house.all_is_well()


def test_terms_cost_centre_and_project_stand_on_the_documents(bed: Bed) -> None:
    house = bed.house()
    house.books.person_adds_cost_center("SHOP")
    house.books.person_adds_project("P1")
    house.books.demand_cost_center(3001)
    house.books.demand_cost_center(6570)
    house.sells("2026-03-02", 125_00)
    house.opens("plus", payment_terms="30", cost_centre="SHOP", project="P1")
    house.runs()
    invoice = invoice_of(house)
    assert invoice.text("TermsOfPayment") == "30"
    assert invoice.due_date == invoice.invoice_date
    rows = [(row.account, row.cost_center, row.project) for voucher in house.books.ledger for row in voucher.rows]
    named = {(centre, project) for account, centre, project in rows if account in (3001, 6570)}
    assert named == {("SHOP", "P1")}
    house.all_is_well()


def test_a_code_that_is_missing_or_closed_is_told_beforehand_and_holds_just_what_names_it(bed: Bed) -> None:
    house = bed.house()
    house.books.person_adds_cost_center("OLD", active=False)
    house.sells("2026-03-02", 125_00)
    house.opens("plus", cost_centre="OLD", payment_terms="NO")
    red = {
        (check.check.subject, dict(check.check.details)["fault"])
        for check in prerequisites.latest(house.town.services, house.company_id)
        if check.check.code == "code" and not check.check.ok
    }
    assert red == {("payment_terms:NO", "missing"), ("cost_centres:OLD", "inactive")}
    house.runs()
    assert set(house.held()) == {"code_not_ready"}
    house.books.person_adds_cost_center("OLD")
    house.sets(payment_terms="")
    house.checks()
    house.retries()
    house.runs()
    house.all_is_well()


def test_usual_choices_need_no_more_calls_than_before(bed: Bed) -> None:
    house = opened(bed)
    house.runs()
    (row,) = house.documents("sale")
    kinds = [step.kind for step in decode(Document, row.payload).steps]
    assert kinds == ["create_customer", "create_invoice", "book_invoice", "create_payment", "book_payment"]
    paths = {call.path for call in house.world.fortnox.calls}
    assert not [path for path in paths if "articles" in path or "orders" in path or "costcenters" in path]
