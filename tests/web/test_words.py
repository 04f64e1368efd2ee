"""Every member of every enum has words, and figures are written as bookkeepers write them."""

import re
from datetime import date
from decimal import Decimal

import pytest
from flask import Flask

from addon.core.accounts import AccountRole
from addon.core.delivery import DeliveryState, PartState
from addon.core.documents import DocumentKind
from addon.core.fee_vat import FeeEntity, FeeVat
from addon.core.holds import HoldReason, WaitReason
from addon.core.money import Money
from addon.core.records import FeeKind, MovementKind, PartKind, PayoutState
from addon.ports import registry
from addon.services.runs import PHASES
from addon.services.settings import COMPANY_ACCOUNTS, SETTINGS
from addon.store.codec import _STEP_BY_KIND
from addon.web import filters, shapes, words
from tests.web.conftest import House


@pytest.fixture
def app(house: House) -> Flask:
    return house.app


def test_every_member_has_words(app: Flask) -> None:
    with app.test_request_context():
        for table, members in (
            (words.HOLDS, HoldReason),
            (words.WAITS, WaitReason),
            (words.KINDS, MovementKind),
            (words.PART_STATES, PartState),
            (words.DOCUMENT_STATES, DeliveryState),
            (words.PAYOUT_STATES, PayoutState),
            (words.DOCUMENT_KINDS, DocumentKind),
            (words.PART_KINDS, PartKind),
            (words.FEE_KINDS, FeeKind),
            (words.FEE_ENTITIES, FeeEntity),
            (words.FEE_MEANINGS, FeeVat),
            (words.ROLES, AccountRole),
            (words.ROLES, COMPANY_ACCOUNTS),
            (words.STEP_KINDS, _STEP_BY_KIND),
            (words.RUN_PHASES, PHASES),
        ):
            missing = [str(member) for member in members if member not in table]
            assert missing == []
        for key, setting in SETTINGS.items():
            assert (
                key.startswith("accounts.")
                or key in words.SETTING_WORDS
                or key
                in (
                    "fee_vat_confirmed_at",
                    "fee_vat_confirmed_profile",
                )
            )
            if key != "mode":
                assert all((key, choice) in words.CHOICES for choice in setting.choices), key


def test_the_words_of_a_reason_differ_from_all_others(app: Flask) -> None:
    with app.test_request_context():
        titles = [str(told.title) for told in words.HOLDS.values()]
        assert len(set(titles)) == len(titles)
        assert all(str(told.explanation) and str(told.remedy) for told in words.HOLDS.values())


def test_every_fault_of_a_check_is_a_sentence(app: Flask) -> None:
    codes = {entry.code for line in registry.ACCOUNTING for entry in registry.accounting(line.name).checklist}
    assert {code for code, _ in words.CHECK_FAULTS} == codes
    details = {"account": "1686", "year": "2026-01-01 – 2026-12-31", "use": "sales:SE25", "through": "2026-10-31"}
    with app.test_request_context():
        for code, fault in words.CHECK_FAULTS:
            text = words.check_sentence(code, "JPY", {**details, **({"fault": fault} if fault else {})}, "", "")
            assert "%(" not in text and text.endswith(".")
        missing = {**details, "fault": "missing"}
        assert "2026-01-01" not in words.check_sentence("clearing_account", "1686", missing, "", "fortnox")
        assert words.check_sentence("unheard_of", "", {}, "A title", "gone") == "A title"
        for line in registry.ACCOUNTING:
            others = [other.title for other in registry.ACCOUNTING if other is not line]
            for code, fault in registry.accounting(line.name).words.faults:
                given = {**details, **({"fault": fault} if fault else {})}
                text = words.check_sentence(code, "JPY", given, "", line.name)
                assert "%(" not in text and text.endswith(".")
                assert not [other for other in others if other in text]


def test_words_are_those_of_the_system_and_the_country(app: Flask) -> None:
    with app.test_request_context():
        assert words.repair_word("create_series", "V", "fortnox") == "Create series V"
        assert words.repair_word("create_series", "V", "economic") == "Make the journal Kvitt V"
        assert words.repair_word("unheard_of", "V", "fortnox") == "Repair"
        missing = {"series": "V", "fault": "missing"}
        assert words.check_sentence("voucher_series", "V", missing, "", "economic") == "There is no journal Kvitt V."
        for treatment in FeeVat:
            abroad = [
                str(words.choice_word("fee_vat", treatment, "economic", "DK")),
                str(words.fee_meaning(treatment, "DK")),
                str(words.fee_help(FeeKind.PAYMENT, "DK")),
            ]
            assert not [text for text in abroad if re.search("2614|box|Boxes|Swed|Skatteverket", text)], abroad
        assert "Boxes 21" in str(words.fee_meaning(FeeVat.EU_REVERSE_CHARGE, "SE"))
        assert str(words.choice_word("approve", "first", "economic", "DK")) == "Show me first"


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (111870, "SEK", "1\u202f118,70\u00a0SEK"),
        (-4000, "SEK", "\u221240,00\u00a0SEK"),
        (123456789, "SEK", "1\u202f234\u202f567,89\u00a0SEK"),
        (1005, "KWD", "1,005\u00a0KWD"),
        (1000, "JPY", "1\u202f000\u00a0JPY"),
        (0, "EUR", "0,00\u00a0EUR"),
        (5, "SEK", "0,05\u00a0SEK"),
    ],
)
def test_money_is_written_the_nordic_way(minor: int, currency: str, text: str) -> None:
    assert filters.money_text(Money(minor, currency)) == text
    markup = filters.money(Money(minor, currency))
    assert f'value="{Money(minor, currency).to_decimal():f}"' in markup


def test_dates_are_written_as_the_language_does_with_iso_on_hover(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "en"}):
        assert filters.day(date(2026, 11, 4)) == '<time datetime="2026-11-04" title="2026-11-04">4 Nov 2026</time>'


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Åsa Öberg", "Åsa Öberg"),
        ("山田太郎", "山田太郎"),
        ("عمر", "عمر"),
        ("a\u202eb\u2066c\u200bd\x00e\x1bf", "abcdef"),
        ("line\nbreak\ttab", "line\nbreak\ttab"),
    ],
)
def test_texts_lose_what_could_mislead_and_nothing_else(given: str, shown: str) -> None:
    assert filters.clean(given) == shown


@pytest.mark.parametrize(
    ("value", "text"), [("11.3", "11,30"), ("11.300000", "11,30"), ("0.0721340", "0,072134"), ("1", "1,00"), ("x", "x")]
)
def test_rates_keep_their_decimals(value: str, text: str) -> None:
    assert shapes.decimal(value) == text
    assert shapes.decimal(Decimal("20.00")) == "20,00"
