"""The banks' published rates: what the simulated ones say, what real answers look like, and hostile ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask, Response

from addon.connectors import published
from addon.connectors.ecb import EcbRates
from addon.connectors.ecb.translate import translate_cubes
from addon.connectors.http import DeadlineTransport, HttpClient
from addon.connectors.nationalbank import NationalbankRates
from addon.connectors.nationalbank import source as nationalbank_source
from addon.connectors.nationalbank.translate import read_day_code, translate_data, translate_table
from addon.connectors.riksbank import RiksbankRates
from addon.connectors.riksbank.translate import translate_observations
from addon.core.money import ExchangeRate
from addon.ports.errors import BadReply, TryLater
from addon.ports.rates import RateSource
from addon.sandbox.clock import Clock
from addon.sandbox.rates import RatesWorld, Trouble, make_rates_app
from addon.sandbox.serving import Server, serve_threaded

NOW = datetime(2026, 4, 10, 10, tzinfo=UTC)
"""A Friday; Easter Monday was the sixth."""
FIRST, LAST = date(2026, 3, 30), date(2026, 4, 10)
Make = Callable[[str], RateSource]


@pytest.fixture
def world() -> RatesWorld:
    world = RatesWorld(Clock(NOW))
    for bank in world.banks.values():
        bank.holidays |= {date(2026, 4, 3), date(2026, 4, 6)}
    return world


@pytest.fixture
def served(world: RatesWorld) -> Iterator[Server]:
    server = serve_threaded(make_rates_app(world))
    yield server
    server.shutdown()


@pytest.fixture
def make(served: Server) -> Make:
    def make(bank: str) -> RateSource:
        http = HttpClient(bank, transport=DeadlineTransport(), now=lambda: NOW)
        match bank:
            case "riksbank":
                return RiksbankRates(http, served.url)
            case "nationalbank":
                return NationalbankRates(http, served.url)
            case _:
                return EcbRates(http, served.url, lambda: NOW)

    return make


def days_of(rates: tuple[ExchangeRate, ...]) -> list[int]:
    return sorted({rate.fixed_on.day for rate in rates})


def test_the_riksbank_tells_kronor_for_one_unit(make: Make, world: RatesWorld) -> None:
    rates = make("riksbank").fetch_rates(("EUR", "JPY"), FIRST, LAST)
    # No weekend, no Easter; the tenth comes out at a quarter past four.
    assert days_of(rates) == [1, 2, 7, 8, 9, 30, 31]
    euro = next(rate for rate in rates if rate.base == "EUR" and rate.fixed_on == date(2026, 4, 7))
    assert euro == ExchangeRate(
        "EUR", "SEK", world.price("riksbank", "EUR", "SEK", date(2026, 4, 7)), 1, date(2026, 4, 7), "riksbank"
    )
    assert {(rate.base, rate.quote, rate.unit) for rate in rates} == {("EUR", "SEK", 1), ("JPY", "SEK", 1)}
    assert all(0 < rate.rate < 1 for rate in rates if rate.base == "JPY")


def test_the_nationalbank_tells_kroner_for_a_hundred_units_a_day_late(make: Make, world: RatesWorld) -> None:
    rates = make("nationalbank").fetch_rates(("EUR", "SEK"), FIRST, LAST)
    assert days_of(rates) == [1, 2, 7, 8, 9, 30, 31]
    assert {(rate.base, rate.quote, rate.unit) for rate in rates} == {("EUR", "DKK", 100), ("SEK", "DKK", 100)}
    assert all(600 < rate.rate < 900 for rate in rates if rate.base == "EUR")
    assert world.asked["nationalbank"] == 2


def test_the_ecb_tells_what_a_euro_buys(make: Make) -> None:
    rates = make("ecb").fetch_rates((), FIRST, LAST)
    assert days_of(rates) == [1, 2, 7, 8, 9, 30, 31]
    assert {rate.base for rate in rates} == {"EUR"}
    assert {"SEK", "DKK", "USD", "JPY"} <= {rate.quote for rate in rates}
    old = make("ecb").fetch_rates(("SEK",), date(2024, 6, 3), date(2024, 6, 7))
    assert len(old) == 5


@pytest.mark.parametrize("bank", ["riksbank", "nationalbank", "ecb"])
def test_a_weekend_has_no_fixing_and_is_no_fault(make: Make, bank: str) -> None:
    assert make(bank).fetch_rates((), date(2026, 4, 4), date(2026, 4, 5)) == ()


@pytest.mark.parametrize("bank", ["riksbank", "nationalbank", "ecb"])
def test_each_bank_says_which_it_is(make: Make, bank: str) -> None:
    assert make(bank).capabilities.choice == bank
    assert make(bank).capabilities.name


@pytest.mark.parametrize("bank", ["riksbank", "nationalbank", "ecb"])
def test_trouble_is_named_by_what_to_do_next(make: Make, world: RatesWorld, bank: str) -> None:
    source = make(bank)
    for kind, error in (("error_500", TryLater), ("rate_limited", TryLater), ("html", BadReply)):
        world.banks[bank].trouble = Trouble(kind, times=1, retry_after_s=7)
        with pytest.raises(error) as raised:
            source.fetch_rates((), FIRST, LAST)
        if kind == "rate_limited":
            assert isinstance(raised.value, TryLater) and raised.value.retry_after_s == 7
    assert source.fetch_rates((), FIRST, LAST)
    world.banks[bank].trouble = Trouble("gone", times=1)
    if bank == "riksbank":  # answers so where there is nothing
        assert source.fetch_rates((), FIRST, LAST) == ()
    else:
        with pytest.raises(BadReply):
            source.fetch_rates((), FIRST, LAST)


def test_the_riksbank_is_asked_by_the_year(make: Make, world: RatesWorld) -> None:
    rates = make("riksbank").fetch_rates(("EUR",), date(2023, 12, 1), date(2026, 3, 31))
    assert world.asked["riksbank"] == 3
    assert len({rate.fixed_on for rate in rates}) == len(rates) > 580


def test_the_nationalbank_is_asked_in_pieces(make: Make, world: RatesWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nationalbank_source, "MOST_CELLS", 6)
    rates = make("nationalbank").fetch_rates(("EUR", "SEK"), FIRST, LAST)
    assert world.asked["nationalbank"] == 1 + 3
    assert len(rates) == 14
    assert make("nationalbank").fetch_rates(("AED",), FIRST, LAST) == ()


# --- Answers as they really look ------------------------------------------------------------------------------


def test_a_riksbank_answer_of_the_thirtieth_of_april_2025() -> None:
    body = [
        {"seriesId": "SEKISKPMI", "date": "2025-04-30", "value": Decimal("0.0752")},
        {"seriesId": "SEKITLPMI", "date": "2002-02-28", "value": Decimal("0.004693")},
        {"seriesId": "SEKJPYPMI", "date": "2025-04-30", "value": Decimal("0.06744")},
        {"seriesId": "SEKETT", "date": "2025-04-30", "value": 1},
        {"seriesId": "SEKUSDPMI", "date": "2025-04-30", "value": None},
    ]
    rates = translate_observations(body, (), date(2025, 4, 1), date(2025, 4, 30))
    assert [(rate.base, str(rate.rate), rate.unit) for rate in rates] == [("ISK", "0.0752", 1), ("JPY", "0.06744", 1)]


def stat_table(**changes: Any) -> dict[str, Any]:
    dimension: dict[str, Any] = {
        "VALUTA": {"category": {"index": {"EUR": 0, "USD": 1}}},
        "KURTYP": {"category": {"index": {"KBH": 0}}},
        "ContentsCode": {"category": {"index": {"DNVALD": 0}}},
        "Tid": {"category": {"index": {"2017M01D03": 0, "2024M06D14": 1}}},
        "id": ["VALUTA", "KURTYP", "ContentsCode", "Tid"],
        "size": [2, 1, 1, 2],
    }
    dataset = {"dimension": dimension, "value": [Decimal("743.41"), Decimal("745.94"), Decimal("715.85"), None]}
    return {"dataset": {**dataset, **changes}}


def test_a_nationalbank_answer_with_the_dimension_that_nobody_asked_for() -> None:
    assert [(rate.base, rate.fixed_on.isoformat(), str(rate.rate)) for rate in translate_data(stat_table())] == [
        ("EUR", "2017-01-03", "743.41"),
        ("USD", "2017-01-03", "715.85"),
        ("EUR", "2024-06-14", "745.94"),
    ]


ECB_FILE = (
    '<?xml version="1.0" encoding="UTF-8"?><gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" '
    'xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><gesmes:subject>Reference rates</gesmes:subject>'
    '<Cube><Cube time="2023-12-08"><Cube currency="USD" rate="1.0777"/><Cube currency="SEK" rate="11.238"/>'
    '<Cube currency="XAU" rate="1"/></Cube><Cube time="2023-12-07"><Cube currency="USD" rate="{rate}"/></Cube></Cube>'
    "</gesmes:Envelope>"
)


def test_an_ecb_file_of_the_eighth_of_december_2023() -> None:
    rates = translate_cubes(ECB_FILE.format(rate="1.07").encode(), (), date(2023, 12, 8), date(2023, 12, 8))
    assert [(rate.base, rate.quote, str(rate.rate)) for rate in rates] == [
        ("EUR", "SEK", "11.238"),
        ("EUR", "USD", "1.0777"),
    ]


# --- Hostile ones ---------------------------------------------------------------------------------------------

BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'


WRONG_FILES = [
    b"",
    b"<x/>",
    b"<html>",
    BOMB,
    b"\xff\xfe",
    *(ECB_FILE.format(rate=rate).encode() for rate in ("-1", "1e99", "NaN", "much")),
    ECB_FILE.format(rate="1").replace("2023-12-07", "yesterday").encode(),
]


@pytest.mark.parametrize("body", WRONG_FILES)
def test_an_ecb_file_that_cannot_be_trusted_is_refused(body: bytes) -> None:
    with pytest.raises(BadReply):
        translate_cubes(body, (), date(2023, 12, 1), date(2023, 12, 31))


def row(**changes: object) -> list[dict[str, object]]:
    return [{"seriesId": "SEKEURPMI", "date": "2026-03-02", "value": Decimal(11), **changes}]


WRONG_ROWS = [{"date": "x"}, {"date": None}, {"value": "x"}, {"value": True}, {"value": []}, {"value": Decimal(-1)}]


@pytest.mark.parametrize("body", [{}, "x", [1], *(row(**wrong) for wrong in WRONG_ROWS)])
def test_riksbank_observations_that_cannot_be_read_are_refused(body: object) -> None:
    with pytest.raises(BadReply):
        translate_observations(body, (), date(2026, 1, 1), date(2026, 12, 31))


def with_dimension(**changes: Any) -> dict[str, Any]:
    table = stat_table()
    table["dataset"]["dimension"] |= changes
    return table


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"dataset": {}},
        stat_table(value=[1, 2, 3]),
        stat_table(value={}),
        with_dimension(size=[2, 1, 1, 3]),
        with_dimension(size=["x"]),
        with_dimension(VALUTA=7),
        with_dimension(id=["VALUTA", "KURTYP", "ContentsCode", "Elsewhere"]),
    ],
)
def test_a_nationalbank_table_that_is_not_whole_is_refused(body: Any) -> None:
    with pytest.raises(BadReply):
        translate_data(body)


@pytest.mark.parametrize(
    "body", [None, {}, {"variables": [{"id": "VALUTA"}]}, {"variables": [{"id": "VALUTA", "values": []}]}]
)
def test_a_nationalbank_description_that_cannot_be_read_is_refused(body: Any) -> None:
    with pytest.raises(BadReply):
        translate_table(body)


def test_codes_of_days_are_read_and_others_passed_over() -> None:
    assert read_day_code("2026M03D02") == date(2026, 3, 2)
    assert read_day_code("2026M02D30") is None
    assert read_day_code("2026K1") is None
    days = [{"id": "2026K1"}, {"id": "2026M03D02"}]
    body = {"variables": [{"id": "VALUTA", "values": [{"id": "EUR"}, {"id": "XDR"}]}, {"id": "Tid", "values": days}]}
    table = translate_table(body)
    assert table.currencies == {"EUR"}
    assert table.days_between(date(2026, 1, 1), date(2026, 12, 31)) == ("2026M03D02",)


def test_a_list_of_codes_is_read_like_a_numbered_one() -> None:
    table = with_dimension(VALUTA={"category": {"index": ["EUR", "USD"]}})
    assert translate_data(table) == translate_data(stat_table())


@pytest.mark.parametrize("answer", [Response(status=204), Response("", 200), Response("[]", 200)])
def test_an_empty_answer_is_days_without_fixings(answer: Response) -> None:
    app = Flask(__name__)
    app.add_url_rule("/<path:anything>", view_func=lambda anything: answer)
    server = serve_threaded(app)
    try:
        http = HttpClient("riksbank", transport=DeadlineTransport())
        assert RiksbankRates(http, server.url).fetch_rates((), FIRST, LAST) == ()
        for source in (NationalbankRates(http, server.url), EcbRates(http, server.url)):
            with pytest.raises(BadReply):
                source.fetch_rates((), FIRST, LAST)
    finally:
        server.shutdown()


def test_rates_come_through_json_without_a_float() -> None:
    assert published.read_rate(json.loads("11.2184", parse_float=Decimal), "x") == Decimal("11.2184")
    assert published.read_rate("-", "x") is None
    assert published.read_rate(0, "x") is None
    assert not published.known_currency("XAU")
    assert not published.known_currency(7)
