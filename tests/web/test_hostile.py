"""Hostile values everywhere: each route, each name that it reads, each form that is shown; and nothing breaks."""

import zlib
from collections import Counter

from werkzeug.datastructures import MultiDict

from addon.ports import registry
from addon.web.access import Audience
from tests.web import walk
from tests.web.conftest import House
from tests.web.factory import Filled
from tests.web.html import check_html
from tests.web.test_access import token_of

HOSTILE = {
    "nothing": "",
    "long": "9" * 5000,
    "huge": "9223372036854775808",
    "negative": "-1",
    "fraction": "1e400",
    "no number": "NaN",
    "digits of another script": "\u0661\u00b2\u2460",
    "nul": "a\x00b",
    "turned round": "\u202e\u2066\ufeff\U000e0041x",
    "letters": "\u0130\ufb01\u1e9e\U0001f4a9" * 40,
    "sql": "1' OR '1'='1'; DROP TABLE companies;--",
    "markup": "<script>alert(1)</script>\"'>{{7*7}}${7*7}%s%(x)s{0}",
    "path": "../../../../etc/passwd",
    "address": "https://evil.example/\r\nSet-Cookie: a=b",
    "list": "[1,2,{}]",
    "day": "9999-12-31",
    "no day": "0000-13-45T25:61:61+99:99",
    "date of a leap": "2026-02-30",
    "formula": '=HYPERLINK("https://evil.example")',
}
AS_NUMBERS = ("0", "99999999999999999999", "9223372036854775807")
LEAST_FORMS = 15
AT_ONCE = 8
"""Fields of a form that are hostile together: a page each would take a minute."""


def _suits(status: int) -> bool:
    """No 500; 503 is the outside world, which is away in this house."""
    return status < 500 or status == 503


def _turn(name: str, extra: str = "") -> int:
    return zlib.crc32(f"{name}/{extra}".encode())


def test_no_route_breaks_whatever_each_name_it_reads_holds(house: House, filled: Filled) -> None:
    """All names at once hold the same hostile value: in the query, and in the form where there is one."""
    names = walk.names_read()
    assert {"q", "at", "part", "since", "key", "currency", "rules"} <= set(names)
    house.app.config["PROPAGATE_EXCEPTIONS"] = False
    client = house.client(filled.company)
    token = token_of(client)
    seen: Counter[int] = Counter()
    for rule in walk.rules(house.app, Audience.COMPANY, Audience.PUBLIC):
        if rule.endpoint in ("home.sign_out", "home.sign_out_everywhere"):
            continue
        values = list(HOSTILE.items())
        # A few of them for each route, in turn, so that all routes together meet each kind of thing.
        for turn in range(3):
            kind, value = values[(7 * turn + _turn(rule.rule)) % len(values)]
            path = dict.fromkeys(rule.arguments, AS_NUMBERS[turn % 3])
            path |= {"provider": registry.PAYMENTS[turn % 2].name} if "provider" in rule.arguments else {}
            path |= {"system": registry.ACCOUNTING[turn % 2].name} if "system" in rule.arguments else {}
            path |= {"form": value.replace("/", "") or "csv"} if "form" in rule.arguments else {}
            address = walk.address(rule, path)
            everything = MultiDict([(name, value) for name in names for _ in range(1 + (turn % 2))])
            for method in walk.methods(rule):
                data = MultiDict(everything) if method == "POST" else None
                if data is not None:
                    data["csrf_token"] = token
                    data["sure"] = "no"
                answer = client.open(
                    address,
                    method=method,
                    query_string=dict.fromkeys(names, value) if method == "GET" else None,
                    data=data,
                )
                seen[answer.status_code] += 1
                assert _suits(answer.status_code), (method, rule.rule, kind)
                assert "evil.example" not in (answer.location or "").partition("?")[0]
                assert "\n" not in (answer.location or "")
                answer.close()
    assert seen[200] and seen[303] and seen[404] and seen[400], seen


def test_no_form_that_is_shown_breaks_when_some_fields_are_hostile(house: House, filled: Filled) -> None:
    """What a page would send, unchanged but for a few fields, each hostile in its own way."""
    house.app.config["PROPAGATE_EXCEPTIONS"] = False
    client = house.client(filled.company)
    forms = [form for form in walk.walk(client) if "/sign-out" not in form.action]
    assert len(forms) >= LEAST_FORMS, sorted(form.action for form in forms)
    kinds = list(HOSTILE)
    sent = 0
    for form in forms:
        assert form.action.startswith("/"), form
        if form.action == "/settings/uninstall" or form.action.endswith("/disconnect"):
            continue  # these end what the others need; they have tests of their own
        names = [name for name in form.fields if name != "csrf_token"]
        for first in range(0, len(names), AT_ONCE):
            chosen = {name: kinds[_turn(form.action, name) % len(kinds)] for name in names[first : first + AT_ONCE]}
            data = {**form.fields, **{name: HOSTILE[kind] for name, kind in chosen.items()}}
            if form.method == "POST":
                answer = client.post(form.action, data=data)
            else:
                answer = client.get(form.action, query_string=data)
            sent += len(chosen)
            assert _suits(answer.status_code), (form.action, chosen)
            answer.close()
    assert sent > 100
    for address in (
        "/overview",
        "/settings",
        "/inbox",
        "/transactions",
        "/activity",
        "/settings/rules",
        "/settings/vat",
    ):
        answer = client.get(address)
        assert answer.status_code == 200, address
        check_html(answer.text)


def test_headers_that_nobody_sends(house: House, filled: Filled) -> None:
    house.app.config["PROPAGATE_EXCEPTIONS"] = False
    client = house.client(filled.company)
    for name in (
        "HX-Request",
        "Accept-Language",
        "Referer",
        "Range",
        "If-None-Match",
        "X-Forwarded-For",
        "Content-Type",
    ):
        for value in ("", "\xff" * 40, "x" * 4000, "bytes=0-,0-,0-", "sv;q=9e999,\u00e5;;;=", "text/html; charset=nul"):
            address = ("/transactions", "/", "/static/kvitt.css")[_turn(name, value) % 3]
            answer = client.get(address, headers={name: value})
            assert _suits(answer.status_code), (name, value, address)
            answer.close()


def test_bodies_that_are_no_forms(house: House, filled: Filled) -> None:
    house.app.config["PROPAGATE_EXCEPTIONS"] = False
    client = house.client(filled.company)
    token = token_of(client)
    bodies = (
        ("application/json", b"{" * 5000),
        ("application/x-www-form-urlencoded", b"&".join(b"part=1" for _ in range(3000))),
        ("application/x-www-form-urlencoded", b"%ff%fe=%zz&a[]=1&a[b]=2&=&&"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=rules\r\n\r\n"),
        ("multipart/form-data", b"no boundary"),
    )
    for rule in walk.rules(house.app):
        if "POST" not in (rule.methods or set()) or rule.endpoint.startswith("home.sign_out"):
            continue
        system = {"system": registry.ACCOUNTING[0].name}
        address = walk.address(rule, {**dict.fromkeys(rule.arguments, 1), **system})
        for turn in range(2):
            kind, body = bodies[(_turn(rule.rule) + 2 * turn) % len(bodies)]
            answer = client.post(address, data=body, content_type=kind, headers={"X-CSRFToken": token})
            assert _suits(answer.status_code), (address, kind)
