"""Sentences that are kept as text: known again by their shape, and said in the reader's language."""

import ast
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from flask_babel import force_locale

from addon.core.plan import Plan
from addon.web import sentences
from tests.core.story import Story
from tests.core.test_goldens import FILES, LINE
from tests.web.conftest import House

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def reader(house: House) -> Iterator[None]:
    with house.app.test_request_context("/"):
        yield


class _Listening(Story):
    """A story that hears by which rule each planned document is made."""

    def __init__(self, told: set[str]) -> None:
        super().__init__()
        plan = self.company.plan

        def listen(today: date) -> Plan:
            found = plan(today)
            told.update(document.rule for document in found.documents if document.rule)
            return found

        setattr(self.company, "plan", listen)  # noqa: B010 - the checker of types takes no method for a function


def rules_of_the_goldens() -> set[str]:
    """By which rules the documents of all golden stories were made."""
    told: set[str] = set()
    for path in FILES:
        story = _Listening(told)
        story.tell(path.read_text(encoding="utf-8").partition(f"\n{LINE}\n")[0])
    return told


def test_every_rule_of_the_goldens_is_known(reader: None) -> None:
    rules = rules_of_the_goldens()
    assert len(rules) > 60
    assert [rule for rule in sorted(rules) if not sentences.known(rule)] == []
    for language in ("da", "sv"):
        with force_locale(language):
            assert [rule for rule in rules if sentences.sentence(rule) == rule] == [], language
    with force_locale("en"):
        assert [rule for rule in rules if sentences.sentence(rule) != rule] == []


@pytest.mark.parametrize(
    ("text", "danish"),
    [
        (
            "Plus: the sale becomes an invoice and its payment. A buyer in DK: the company's own rate, 25 %.",
            "Plus: salget bliver til en faktura og dens indbetaling. "
            "En køber i DK: virksomhedens egen sats, 25\u00a0%.",
        ),
        (
            "A consumer in FI (EU): OSS, over the threshold, 25.5 %.",
            "En forbruger i FI (EU): OSS, over grænsen, 25,5\u00a0%.",
        ),
        (
            "A consumer in SE (EU), below the OSS threshold: 6 % for food, as on 2026-04-01.",
            "En forbruger i SE (EU), under OSS-grænsen: 6\u00a0% for food, som den 1. apr. 2026.",
        ),
        (
            'By your rule "Books, etc.": account 3010, VAT SE6, cost centre ST.',
            "Efter din regel ”Books, etc.”: konto 3010, moms SE6, omkostningssted ST.",
        ),
        (
            "Basic: order number 7 stands on credit note 12, which is open with this amount, but for 0.25 DKK within "
            "the tolerance, which goes to rounding.",
            "Basic: ordrenummer 7 står på kreditnota 12, som er åben med dette beløb, på nær 0,25\u00a0DKK inden for "
            "tolerancen, som går til øreafrunding.",
        ),
        (
            "One fee voucher for each closed day. VAT on fees: payment fees EU reverse charge with its basis; "
            "other services as charged by the provider.",
            "Ét gebyrbilag for hver afsluttet dag. Moms på gebyrer: betalingsgebyrer: omvendt betalingspligt i EU med "
            "grundlag; andre ydelser: som udbyderen opkræver.",
        ),
        ("Somebody wrote this.", "Somebody wrote this."),
        ("", ""),
    ],
)
def test_rules_are_read_in_danish(reader: None, text: str, danish: str) -> None:
    with force_locale("da"):
        assert sentences.sentence(text) == danish


def test_what_a_run_is_doing_is_read_in_danish(reader: None) -> None:
    with force_locale("da"):
        assert sentences.doing("Fetching movements from Stripe") == "Henter transaktioner fra Stripe"
        assert sentences.doing("Booking 3 of 10: payout po_7") == "Bogfører 3 af 10: Bilag: udbetaling til banken po_7"
        assert sentences.doing("Knitting") == "Knitting"


def test_every_fault_of_a_setting_or_rule_is_known(reader: None) -> None:
    """What the sources say is wrong with a value, with anything in the places of what is filled in."""
    told = []
    for name in ("addon/services/settings.py", "addon/core/routing.py", "addon/services/rules.py"):
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                called, said = ast.unparse(node.exc.func), node.exc.args[-1:]
                if called in ("ValueError", "WrongRule") and isinstance(said[0], ast.Constant | ast.JoinedStr):
                    told.append(_filled(said[0]))
    assert len(told) > 40
    with force_locale("da"):
        unknown = [text for text in told if sentences.fault(text) == text]
    assert [text for text in unknown if "instant" not in text] == [], "nobody types an instant"


def _filled(said: ast.expr) -> str:
    if isinstance(said, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in said.values)
    assert isinstance(said, ast.Constant)
    return str(said.value)


def test_a_name_with_a_hyphen_stays_on_one_line(house: House) -> None:
    page = house.app.test_client().get("/").text
    assert '<span class="nowrap">e-conomic</span>' in page
    asked = house.app.test_client().get("/sign-in").text
    assert "<title>" in asked and "<span" not in asked.partition("<title>")[2].partition("</title>")[0]


def test_an_order_number_that_looks_like_a_day_or_an_amount_stays_as_it_is(reader: None) -> None:
    with force_locale("sv"):
        for order in ("2026-03-04", "100.00 SEK", "invoice 7", "%(what)s {0} %d", "<b>"):
            rule = f"Basic: order number {order} stands on invoice 5, which is open with this amount."
            assert f"ordernummer {order} står på faktura 5," in sentences.sentence(rule)


def test_a_text_of_nothing_but_our_own_words_is_said_at_once(reader: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may type one, and each word would stand in the place of the one before it."""
    tried = []
    plain = sentences._plain

    def counted(value: str, deep: int) -> str:
        tried.append(value)
        return plain(value, deep)

    monkeypatch.setattr(sentences, "_plain", counted)
    with force_locale("sv"):
        for words in ("invoice " * 9, "rule 1: " * 9, "invoice invoice invoice 1; 2, " * 9):
            assert sentences.fault(f"{words}x is none of y, nor a rate").endswith(
                "x är varken någon av y eller en momssats"
            )
    assert len(tried) < 500
