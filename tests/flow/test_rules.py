"""The company's own rules, as they reach the books."""

import pytest

from addon.core.delivery import PartState
from addon.core.records import MovementKind
from addon.core.routing import Action, Condition, Rule, Subject, WrongRule
from addon.services import rules
from addon.services.rules import UnknownRule
from addon.store.models import ActivityRow
from tests.flow.house import Bed, House
from tests.support.town import WHO


def saves(house: House, rule: Rule, rule_id: int | None = None) -> int:
    return rules.save_rule(house.town.services, house.company_id, rule, WHO, rule_id)


def a_rule(name: str, action: Action, *conditions: Condition, **more: object) -> Rule:
    return Rule("", name, action, conditions, **more)  # type: ignore[arg-type]


STALL = a_rule(
    "Stall",
    Action.BOOK,
    Condition(Subject.METADATA, ("stall",), "channel"),
    account="3041",
    cost_centre="ST",
    project="P7",
)
GIFTS = a_rule("Gift cards", Action.BOOK, Condition(Subject.DESCRIPTION, ("gift card",)), contra_account="2421")
KLARNA = a_rule("Klarna", Action.IGNORE, Condition(Subject.METHOD, ("klarna",)), where="the Klarna report")
BIG = a_rule("Big ones", Action.HOLD, Condition(Subject.AT_LEAST, ("50000",)))


def test_rules_send_sales_to_their_accounts_and_refunds_the_same_way(bed: Bed) -> None:
    house = bed.house()
    house.books.add_account(2421, "Presentkort")
    house.books.add_account(3041, "Torgstånd", "MP1")
    house.books.person_adds_cost_center("ST")
    house.books.person_adds_project("P7")
    house.sells("2026-03-02", 100_00)
    house.sells("2026-03-02", 250_00, intent_metadata={"channel": "Stall"})
    gift = house.sells("2026-03-03", 500_00, description="A gift card")
    klarna = house.sells("2026-03-03", 800_00, payment_method_type="klarna")
    house.sells("2026-03-04", 60_000_00)
    house.refunds(gift, "2026-03-10", 200_00)
    house.refunds(klarna, "2026-03-10", 300_00)
    house.opens("plus")
    for rule in (STALL, GIFTS, KLARNA, BIG):
        saves(house, rule)
    house.runs()
    assert house.held() == ["rule_holds"]
    assert len(house.part_ids(PartState.SET_ASIDE, "rule")) == 2, "the sale by Klarna and its refund"
    assert house.journal(2421) == ("2026-03-03 V  1686 500.00  2421 -500.00\n2026-03-10 V  1686 -200.00  2421 200.00")
    (stall,) = (invoice for invoice in house.our_invoices() if invoice.total == 250)
    assert [(row.account, row.cost_center, row.project) for row in stall.rows] == [(3041, "ST", "P7")]
    (voucher,) = (voucher for voucher in house.books.ledger if voucher.key == stall.voucher)
    assert [(row.account, row.cost_center, row.project) for row in voucher.rows if row.account == 3041] == [
        (3041, "ST", "P7")
    ]
    # What is set aside as booked elsewhere is for the person's own entry, which the proof then finds.
    identity = house.identities()["SEK"].identity
    assert identity.ledger_books == identity.documents_books
    assert identity.difference.minor == 800_00 - 300_00
    house.books.person_posts_voucher([(1686, 500), (3001, -500)], on=house.world.clock.now().date())
    assert not house.identities()["SEK"].identity.difference


def test_in_basic_a_routed_payment_is_not_looked_for(bed: Bed) -> None:
    house = bed.house()
    house.books.add_account(2421, "Presentkort")
    house.sells("2026-03-02", 500_00, description="A gift card")
    house.opens("basic")
    saves(house, GIFTS)
    house.world.fortnox.reset_calls()
    house.runs()
    asked = {call.query for call in house.world.fortnox.calls if call.path == "/3/invoices"}
    ours = "externalinvoicereference1=stripe%2F&limit=500&page=1"
    assert asked == {"limit=1", ours}, "the register is tried and our own are read, but no order number is looked for"
    assert house.kinds()["routed"] == 1
    house.all_is_well()


def test_rules_are_kept_in_order_and_every_change_is_logged(bed: Bed) -> None:
    house = bed.house("plus")
    first, second = saves(house, GIFTS), saves(house, KLARNA)
    saves(house, BIG)
    services, company = house.town.services, house.company_id
    rules.move_rule(services, company, second, False, WHO)
    rules.move_rule(services, company, second, False, WHO)
    assert [one.rule.name for one in rules.all_rules(services, company)] == ["Klarna", "Gift cards", "Big ones"]
    rules.move_rule(services, company, second, True, WHO)
    saves(house, STALL, first)
    assert rules.get_rule(services, company, first).rule == STALL
    rules.delete_rule(services, company, second, WHO)
    assert [one.rule.name for one in rules.all_rules(services, company)] == ["Stall", "Big ones"]
    with pytest.raises(UnknownRule):
        rules.get_rule(services, company, second)
    with pytest.raises(UnknownRule):
        rules.delete_rule(services, company, second, WHO)
    with house.rows() as session:
        log = [(row.who, row.what) for row in session.query(ActivityRow).order_by(ActivityRow.id)]
    assert [what for who, what in log if what.startswith("rule")] == [
        *["rule_saved"] * 3,
        *["rule_moved"] * 2,
        "rule_saved",
        "rule_deleted",
    ]
    assert {who for who, what in log if what.startswith("rule")} == {WHO}


def test_rules_travel_as_a_text_file(bed: Bed) -> None:
    house, other = bed.house("plus"), bed.house("plus")
    for rule in (STALL, GIFTS, KLARNA, BIG):
        saves(house, rule)
    text = rules.export_rules(house.town.services, house.company_id)
    assert rules.import_rules(other.town.services, other.company_id, text, WHO) == 4
    assert rules.export_rules(other.town.services, other.company_id) == text
    stored = rules.all_rules(other.town.services, other.company_id)
    assert [one.rule for one in stored] == [STALL, GIFTS, KLARNA, BIG]
    assert GIFTS.kinds == (MovementKind.SALE,)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no json", "cannot be read"),
        ("[]", "no file of rules"),
        ('{"format": "kvitt-account-rules", "rules": 7}', "cannot be read"),
        ('{"format": "kvitt-account-rules", "rules": [{"name": "x", "action": "burn"}]}', "rule 1: action"),
        ('{"format": "kvitt-account-rules", "rules": [{"name": "x", "action": "book"}]}', "rule 1: say what"),
        (
            '{"format": "kvitt-account-rules", "rules": [{"name": "x", "action": "hold", "connection": 99}]}',
            "no connection 99",
        ),
        (
            '{"format": "kvitt-account-rules", "rules": [{"name": "x", "action": "hold", "connection": "one"}]}',
            "a connection is a number",
        ),
        ('{"format": "kvitt-account-rules", "rules": [' + ",".join(["{}"] * 201) + "]}", "200 rules"),
        (" " * 1_000_001, "too long"),
    ],
)
def test_a_file_that_cannot_be_rules_changes_nothing(bed: Bed, text: str, problem: str) -> None:
    house = bed.house("plus")
    saves(house, GIFTS)
    with pytest.raises(WrongRule, match=problem):
        rules.import_rules(house.town.services, house.company_id, text, WHO)
    assert [one.rule for one in rules.all_rules(house.town.services, house.company_id)] == [GIFTS]
