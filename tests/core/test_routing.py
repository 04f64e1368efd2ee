from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from addon.core.holds import HoldReason, WaitReason
from addon.core.plan import OpenMovement, Situation, plan
from addon.core.records import Buyer, Movement, MovementKind, SaleItem
from addon.core.routing import (
    MOST_CONDITIONS,
    USUAL,
    VAT_TREATMENTS,
    Action,
    Condition,
    Rule,
    Subject,
    WrongRule,
    named_codes,
    route,
    vat_percent,
)
from tests.core.samples import fixing, local, money, sample_books, sample_policy


def sold(**changes: Any) -> Movement:
    given = {
        "ref": "txn_1",
        "kind": MovementKind.SALE,
        "amount": money("250.00 SEK"),
        "occurred_at": local(date(2026, 3, 2)),
        "source_ref": "ch_1",
        "buyer": Buyer("Ann", "ann@example.com", "SE"),
        "description": "Order 7, Winter sale",
        "raw_kind": "charge/payment",
        "items": (SaleItem("A lamp", Decimal(1), money("250.00 SEK"), "LAMP-1"),),
        "metadata": (("channel", "Stall"),),
        "payment_method": "swish",
    }
    return Movement(**{**given, **changes})


def rule(*conditions: Condition, **changes: Any) -> Rule:
    given: dict[str, Any] = {"ref": "1", "name": "A rule", "action": Action.BOOK, "account": "3011"}
    return Rule(conditions=conditions, **{**given, **changes})


def when(subject: str, *values: str, key: str = "") -> Condition:
    return Condition(Subject(subject), values, key)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (when("method", "card", "SWISH"), True),
        (when("method", "card"), False),
        (when("metadata", "stall", key="channel"), True),
        (when("metadata", "*", key="channel"), True),
        (when("metadata", "*", key="shop"), False),
        (when("metadata", "sta", key="channel"), False),
        (when("product", "lamp-1"), True),
        (when("product", "LAMP*"), True),
        (when("product", "lamp"), False),
        (when("description", "winter"), True),
        (when("description", "a lamp"), True),
        (when("description", "summer", "spring"), False),
        (when("currency", "sek"), True),
        (when("currency", "EUR"), False),
        (when("country", "se"), True),
        (when("country", "NO"), False),
        (when("at_least", "250"), True),
        (when("at_least", "250.01"), False),
        (when("at_most", "250.00"), True),
        (when("at_most", "249.99"), False),
        (when("provider_kind", "charge/"), True),
        (when("provider_kind", "refund"), False),
    ],
)
def test_conditions(condition: Condition, holds: bool) -> None:
    assert condition.holds(sold()) is holds


def test_what_the_provider_does_not_tell_meets_no_condition() -> None:
    bare = sold(buyer=Buyer(), description="", items=(), metadata=(), payment_method="")
    for condition in (
        when("method", "card"),
        when("metadata", "*", key="channel"),
        when("product", "*"),
        when("country", "SE"),
        when("description", "x"),
    ):
        assert not condition.holds(bare)


def test_amounts_are_the_buyers_and_without_sign() -> None:
    refund = sold(kind=MovementKind.REFUND, amount=money("-1130.00 SEK"), presented=money("-100.00 EUR"))
    assert when("at_most", "100").holds(refund)
    assert when("currency", "EUR").holds(refund)


def test_all_conditions_must_hold_and_the_first_rule_that_fits_decides() -> None:
    both = rule(when("method", "swish"), when("country", "NO"))
    swish, all_of_them = rule(when("method", "swish"), ref="2"), rule(ref="3")
    assert route(sold(), (both, swish, all_of_them)).rule is swish
    assert route(sold(payment_method=""), (both, swish, all_of_them)).rule is all_of_them
    assert route(sold(), (both,)) == USUAL
    assert USUAL.why == ""
    assert not route(sold(), (swish,)).leaves_usual_course
    assert route(sold(kind=MovementKind.REFUND), (all_of_them,)) == USUAL, "rules are about sales unless they say more"


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "x" * 81}),
        ("kinds", {"kinds": ()}),
        ("kinds", {"kinds": (MovementKind.PAYOUT,)}),
        ("kinds", {"kinds": (MovementKind.REFUND,)}),
        ("account", {"account": "12"}),
        ("account", {"account": "3011; DROP"}),
        ("account", {"account": ""}),
        ("vat", {"vat": "SE24"}),
        ("cost_centre", {"cost_centre": "A B"}),
        ("project", {"project": "x" * 26}),
        ("contra_account", {"contra_account": "2421"}),
        ("contra_account", {"account": "", "contra_account": "2421", "kinds": (MovementKind.FEE,)}),
        ("action", {"action": Action.HOLD}),
        ("action", {"action": Action.IGNORE, "account": "", "cost_centre": "C1"}),
        ("where", {"action": Action.IGNORE, "account": "", "where": "x" * 201}),
        ("conditions", {"conditions": (when("method", "card"),) * (MOST_CONDITIONS + 1)}),
    ],
)
def test_rules_that_say_nothing_or_contradict_themselves_are_refused(field: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(WrongRule) as refused:
        Rule(**{"ref": "", "name": "A rule", "action": Action.BOOK, "account": "3011", **wrong})
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("subject", "values", "key"),
    [
        ("method", (), ""),
        ("method", (" ",), ""),
        ("method", ("x" * 201,), ""),
        ("method", ("card",), "key"),
        ("metadata", ("x",), ""),
        ("at_least", ("10", "20"), ""),
        ("at_least", ("ten",), ""),
        ("at_most", ("-1",), ""),
        ("at_most", ("NaN",), ""),
        ("currency", ("KRONOR",), ""),
        ("country", ("Sweden",), ""),
    ],
)
def test_conditions_that_cannot_be_are_refused(subject: str, values: tuple[str, ...], key: str) -> None:
    with pytest.raises(WrongRule):
        Condition(Subject(subject), values, key)


def test_treatments_have_their_rates() -> None:
    assert [vat_percent(treatment) for treatment in VAT_TREATMENTS] == [25, 12, 6, 0, 25, 0, 0]


def test_codes_that_rules_name() -> None:
    rules = (rule(), rule(account="", cost_centre="C1"), rule(account="", cost_centre="C2", project="P1"))
    assert named_codes(rules) == ({"C1", "C2"}, {"P1"})


def planned(movement: Movement, *rules: Rule, **policy: Any) -> Any:
    entry = OpenMovement(movement, frozenset(part.name for part in movement.parts()), date(2026, 3, 2))
    return plan(Situation((entry,)), sample_policy(rules=rules, **policy))


def test_a_rules_account_that_is_not_ready_holds_just_that_document() -> None:
    books = sample_books(inactive=("3011",))
    for one in (rule(), rule(account="", contra_account="3011")):
        (hold,) = planned(sold(), one, books=books).holds
        assert hold.reason is HoldReason.ACCOUNT_NOT_READY
        assert dict(hold.facts)["account"] == "3011"


def test_a_foreign_movement_is_booked_by_rule_at_the_known_rate_and_waits_for_it() -> None:
    gift = rule(account="", contra_account="2421", project="P1")
    euros = sold(amount=money("100.00 EUR"), presented=money("100.00 EUR"))
    (wait,) = planned(euros, gift, today=date(2026, 3, 3)).waits
    assert wait.reason is WaitReason.RATE
    (document,) = planned(euros, gift, rates=(fixing("EUR", date(2026, 2, 27), "11.30"),)).documents
    assert document.clearing[0].books == money("1130.00 SEK")
    (voucher,) = (step.voucher for step in document.steps)
    assert [(line.account.number, line.signed, line.project) for line in voucher.lines] == [
        ("1687", money("1130.00 SEK"), ""),
        ("2421", money("-1130.00 SEK"), "P1"),
    ]


def test_what_is_worth_nothing_in_the_books_is_held() -> None:
    dong = sold(amount=money("1 VND"), presented=money("1 VND"))
    result = planned(dong, rule(account="", contra_account="2421"), rates=(fixing("VND", date(2026, 2, 27), "0.0004"),))
    assert [hold.reason for hold in result.holds] == [HoldReason.LEDGER_PRECISION]


def test_an_export_by_rule_has_no_vat() -> None:
    (document,) = planned(sold(), rule(account="", vat="EXPORT")).documents
    invoice = next(step.invoice for step in document.steps if step.kind == "create_invoice")
    assert (invoice.lines[0].account.number, invoice.vat) == ("3105", 0)
    assert invoice.customer.vat.value == "export"
