"""What all routes of both hosts share: access, reading of queries and bodies, paging, repeated keys, errors."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from addon.sandbox.economic import errors
from addon.sandbox.economic.agreement import EconomicAgreement
from addon.sandbox.economic.errors import ApiError, Unauthorized
from addon.sandbox.economic.fields import Errors, Field, Invalid, read
from addon.sandbox.economic.filters import BadFilter, parse_filter, value_at
from addon.sandbox.economic.wire import dump, parse
from addon.sandbox.economic.world import EconomicWorld, Remembered

_DEMO = "https://restapi.e-conomic.com/?demo=true"
_requests = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers: a JSON body, or raw bytes of another type."""

    body: Any = None
    status: int = 200
    location: str | None = None
    raw: bytes | None = None
    content_type: str = "application/json; charset=utf-8"


Handler = Callable[..., Reply]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    roles: frozenset[str]
    handler: Handler


@functools.cache
def _pattern(rule: str) -> re.Pattern[str]:
    """A rule such as `/rest/customers/<int:number>` as a regular expression; names differ in case on the services."""
    parts = re.split(r"<(?:(int):)?(\w+)>", rule)
    expression = re.escape(parts[0])
    for kind, name, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        group = rf"(?P<{name}_int>\d{{1,15}})" if kind else f"(?P<{name}>[^/]+)"
        expression += group + re.escape(literal)
    return re.compile(expression, re.IGNORECASE)


def key_from_url(text: str) -> str:
    """A key as the old host writes it in addresses, where `/` is `_6_` and so on."""
    signs = "<>*%:&/\\_ ?.#+"
    return re.sub(r"_(\d{1,2})_", lambda found: signs[int(found.group(1))] if int(found.group(1)) < 14 else "", text)


class Frame:
    """Routes of one host; each handler runs under the world's lock, for the agreement of its grant."""

    def __init__(self, world: EconomicWorld, *, legacy: bool) -> None:
        self.world = world
        self.legacy = legacy
        self._routes: dict[str, list[_Route]] = {}

    # -- the frame ------

    def route(self, method: str, rule: str, roles: str, handler: Handler) -> None:
        """Answer `method rule` with a handler that takes the agreement and the rule's values."""
        self._routes.setdefault(method, []).append(_Route(_pattern(rule), frozenset(roles.split()), handler))

    def dispatch(self, rest: str = "") -> Response:
        """Find the handler of the request's path and answer."""
        with self.world.lock:
            try:
                agreement, role = self._authorised()
                return self._kept(agreement, role)
            except ApiError as error:
                return self._respond(Reply(error.body, error.status, content_type=error.content_type))
            except Unauthorized as error:
                return self._respond(self._not_authorised(error))
            except errors.Crash:
                return Response("Internal Server Error", 500, content_type="text/plain")

    def _answer(self, agreement: EconomicAgreement, role: str) -> Response:
        path = request.path.rstrip("/")
        for route in self._routes.get(request.method, ()):
            found = route.pattern.fullmatch(path)
            if found is not None:
                if role != "SuperUser" and route.roles and role not in route.roles:
                    raise self._forbidden()
                values = {
                    name.removesuffix("_int"): int(text) if name.endswith("_int") else text
                    for name, text in found.groupdict().items()
                }
                try:
                    return self._respond(route.handler(agreement, **values))
                except Invalid as invalid:
                    wrong = invalid.errors
                    raise errors.validation(wrong.tree, wrong.count, self.now_text()) from invalid
        raise self.not_found()

    def _kept(self, agreement: EconomicAgreement, role: str) -> Response:
        """The answer, or the first answer again where the request carries a key that is remembered."""
        key = request.headers.get("Idempotency-Key", "")
        if not key or request.method == "GET":
            return self._answer(agreement, role)
        now, line, body = self.world.clock.now(), f"{request.method} {request.path}", request.get_data()
        old = self.world.remembered.get((agreement.number, key))
        if old is not None and (now - old.at).total_seconds() < self.world.switches.remembers_s:
            return self._replay(old, line, body)
        try:
            response = self._answer(agreement, role)
        except ApiError as error:
            response = self._respond(Reply(error.body, error.status, content_type=error.content_type))
        if response.status_code < 300 or (self.world.switches.idempotency_keeps_errors and response.status_code < 500):
            headers = [(n, v) for n, v in response.headers if n in ("Content-Type", "Location")]
            kept = Remembered(now, line, body, response.status_code, headers, response.get_data())
            self.world.remembered[agreement.number, key] = kept
        return response

    def _replay(self, old: Remembered, line: str, body: bytes) -> Response:
        if old.line != line:
            raise self.refusal("Idempotency key is used for another URL (URLChanged).")
        if old.body != body and self.world.switches.idempotency_other_body == "refuse":
            raise self.refusal("Idempotency key is used for another body (BodyChanged).")
        response = Response(old.content, old.status, headers=old.headers)
        response.headers["X-ResultFromCache"] = "true"
        return response

    def _respond(self, reply: Reply) -> Response:
        content = reply.raw if reply.raw is not None else b"" if reply.body is None else dump(reply.body).encode()
        response = Response(content, reply.status, content_type=reply.content_type)
        if reply.status == 204:
            del response.headers["Content-Type"]
        if reply.location is not None:
            response.headers["Location"] = reply.location
        response.headers["X-RequestId"] = f"{next(_requests):016x}"
        response.headers["X-EconomicVersion"] = "sandbox"
        return response

    def _authorised(self) -> tuple[EconomicAgreement, str]:
        secret = request.headers.get("X-AppSecretToken", "")
        grant = self.world.grants.get(request.headers.get("X-AgreementGrantToken", ""))
        if grant is None:
            raise Unauthorized
        if secret != self.world.app_secret:
            raise Unauthorized(mismatch=True)
        return self.world.agreements[grant.agreement], grant.role

    def _not_authorised(self, error: Unauthorized) -> Reply:
        if not self.legacy:
            shown = errors.problem(401, "Unauthorized", "Unauthorized", self.now_text())
        else:
            more = {"errorCode": "E02250"} if error.mismatch else {}
            message = "AppSecretToken does not correspond to the token" if error.mismatch else "Authentication failed."
            shown = errors.legacy(message, 401, self.now_text(), **more, developerHint="Try the demo.", demo=_DEMO)
        return Reply(shown.body, shown.status, content_type=shown.content_type)

    def _forbidden(self) -> ApiError:
        if self.legacy:
            return errors.legacy("Access denied.", 403, self.now_text(), developerHint="The app lacks a role.")
        return errors.problem(403, "Access denied", "AccessDenied", self.now_text())

    # -- refusals ------

    def now_text(self) -> str:
        """The instant as their logs write it."""
        return self.world.clock.now().strftime("%Y-%m-%dT%H:%M:%S")

    def not_found(self, *, code: str = "") -> ApiError:
        """404 in this host's shape."""
        if self.legacy:
            return errors.legacy_not_found(self.now_text(), code=code)
        return errors.problem(404, "Resource not found.", "ResourceNotFound", self.now_text())

    def refusal(self, message: str) -> ApiError:
        """400 without a code."""
        if self.legacy:
            return errors.legacy(message, 400, self.now_text(), developerHint="")
        return errors.problem(400, message, "ValidationError", self.now_text())

    # -- reading ------

    def body(self) -> Any:
        """The request's JSON."""
        if "json" not in request.headers.get("Content-Type", ""):
            raise ApiError(415, {"message": "Unsupported media type", "httpStatusCode": 415})
        try:
            return parse(request.get_data())
        except ValueError as error:
            raise self.refusal("The JSON cannot be read.") from error

    def sent(self, allowed: Mapping[str, Field], found: Errors) -> dict[str, Any]:
        """The known properties of the body; what is wrong is noted."""
        return read(self.body(), allowed, found)

    def url(self) -> str:
        """The address that this host's links begin with."""
        return f"{request.host_url}{'rest' if self.legacy else 'apis'}"

    def trimmed(self, row: Any) -> Any:
        """An answer as this host shows it: what is absent is left out, and so is what is false, by the switch."""
        if isinstance(row, Mapping):
            leaves = self.legacy and self.world.switches.leaves_false_out
            return {
                name: self.trimmed(value)
                for name, value in row.items()
                if value is not None and not (leaves and value is False)
            }
        return [self.trimmed(item) for item in row] if isinstance(row, list) else row

    # -- lists of the old host ------

    def collection(self, rows: Sequence[Row], allowed: str = "", sortable: str = "") -> Reply:
        """One page of a list. `allowed` and `sortable` are dotted paths separated by spaces."""
        size = self._whole("pagesize", 20, 1, 1000)
        skipped = self._whole("skippages", 0, 0, 10**9)
        kept = self._filtered(rows, allowed.split())
        kept = self._sorted(kept, (sortable or allowed).split())
        shown = [self.trimmed(row) for row in kept[skipped * size : (skipped + 1) * size]]
        last = max(0, -(-len(kept) // size) - 1)
        page = {
            "maxPageSizeAllowed": 1000,
            "skipPages": skipped,
            "pageSize": size,
            "results": len(kept),
            "resultsWithoutFilter": len(rows),
            "firstPage": self._page_url(0, size),
            **({"nextPage": self._page_url(skipped + 1, size)} if skipped < last else {}),
            "lastPage": self._page_url(last, size),
        }
        return Reply({"collection": shown, "pagination": page, "self": request.url})

    def _whole(self, name: str, default: int, low: int, high: int) -> int:
        text = request.args.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            found = Errors()
            message = f"must be a positive whole number between {low} and {high}"
            found.say((name,), message, "E04810", text)
            raise errors.validation(found.tree, 1, self.now_text())
        return int(text)

    def _page_url(self, skipped: int, size: int) -> str:
        kept = {n: v for n, v in request.args.items() if n not in ("skippages", "pagesize")}
        query = urlencode({**kept, "skippages": skipped, "pagesize": size})
        return f"{request.base_url}?{query}"

    def _filtered(self, rows: Sequence[Row], allowed: Sequence[str]) -> list[Row]:
        text = request.args.get("filter")
        if not text:
            return list(rows)
        operators = "eq ne gt gte lt lte like in nin"
        try:
            test = parse_filter(text, dict.fromkeys(allowed, operators))
        except BadFilter as error:
            raise errors.bad_filter(error.problems, allowed, self.now_text()) from error
        return [row for row in rows if test(row)]

    def _sorted(self, rows: list[Row], sortable: Sequence[str]) -> list[Row]:
        text = request.args.get("sort")
        if not text:
            return rows
        for part in reversed(text.split(",")):
            down, name = part.startswith("-"), part.lstrip("-")
            if name not in sortable:
                problems = [f"Sorting is not allowed on property '{name}'."]
                raise errors.bad_filter(problems, sortable, self.now_text(), "sort parameter")
            rows = sorted(rows, key=lambda row, name=name: _order(value_at(row, name)), reverse=down)  # type: ignore[misc]
        return rows

    # -- lists of the services ------

    def cursored(self, rows: Sequence[Row], allowed: Mapping[str, str]) -> Reply:
        """A page of a thousand; the cursor is left out at the end."""
        kept = self._service_filtered(rows, allowed)
        text = request.args.get("cursor", "0")
        start = int(text) if text.isascii() and text.isdigit() else 0
        body: Row = {"items": [self.trimmed(row) for row in kept[start : start + 1000]]}
        if start + 1000 < len(kept):
            body = {"cursor": str(start + 1000), **body}
        return Reply(body)

    def paged(self, rows: Sequence[Row], allowed: Mapping[str, str]) -> Reply:
        """A bare array of at most a hundred."""
        kept = self._service_filtered(rows, allowed)
        size, skipped = self._bounded("pageSize", 20, 1, 100), self._bounded("skipPages", 0, 0, 100)
        return Reply([self.trimmed(row) for row in kept[skipped * size : (skipped + 1) * size][:10_000]])

    def counted(self, rows: Sequence[Row], allowed: Mapping[str, str]) -> Reply:
        """A bare number."""
        return Reply(len(self._service_filtered(rows, allowed)))

    def lists(
        self, path: str, roles: str, rows: Callable[[EconomicAgreement], Sequence[Row]], allowed: Mapping[str, str]
    ) -> None:
        """The three sibling paths of a service's list."""
        self.route("GET", path, roles, lambda agreement: self.cursored(rows(agreement), allowed))
        self.route("GET", f"{path}/paged", roles, lambda agreement: self.paged(rows(agreement), allowed))
        self.route("GET", f"{path}/count", roles, lambda agreement: self.counted(rows(agreement), allowed))

    def _bounded(self, name: str, default: int, low: int, high: int) -> int:
        text = request.args.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            title = f"The field {name[0].upper()}{name[1:]} must be between {low} and {high}"
            raise errors.problem(400, title, "ValidationError", self.now_text())
        return int(text)

    def _service_filtered(self, rows: Sequence[Row], allowed: Mapping[str, str]) -> list[Row]:
        text = request.args.get("filter")
        if not text:
            return list(rows)
        try:
            test = parse_filter(text, allowed)
        except BadFilter as error:
            raise errors.problem(400, error.problems[0], "BadFilterRequest", self.now_text()) from error
        return [row for row in rows if test(row)]


def _order(value: Any) -> tuple[bool, Any]:
    return (value is not None, Decimal(value) if isinstance(value, (int, Decimal)) else str(value or ""))
