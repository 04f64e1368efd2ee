"""What all routes of the interface share: access, reading of queries and bodies, paging, errors."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from flask import Response, request

from addon.sandbox.fortnox import fields
from addon.sandbox.fortnox.books import STOCKHOLM, FinancialYear
from addon.sandbox.fortnox.company import FortnoxCompany
from addon.sandbox.fortnox.errors import (
    YEAR_NOT_FOUND,
    ApiError,
    Unauthorized,
    not_found,
)
from addon.sandbox.fortnox.faults import ZOMBIE
from addon.sandbox.fortnox.fields import BLANK
from addon.sandbox.fortnox.oauth import LICENCE_OF_SCOPE
from addon.sandbox.fortnox.wire import dump, parse
from addon.sandbox.fortnox.world import FortnoxWorld

T = TypeVar("T")

GENERAL = frozenset(
    "limit page offset sortby sortorder lastmodified financialyear financialyeardate fromdate todate".split()
)
"""Parameters that every list takes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers: a JSON body, or raw bytes of another type."""

    body: Any = None
    status: int = 200
    location: str | None = None
    raw: bytes | None = None
    content_type: str = "application/json"


Handler = Callable[..., Reply]


def _respond(reply: Reply) -> Response:
    if reply.raw is not None:
        content: bytes | str = reply.raw
    else:
        content = "" if reply.body is None else dump(reply.body)
    response = Response(content, reply.status, content_type=reply.content_type)
    if reply.status == 204:
        response.content_type = ""
        del response.headers["Content-Type"]
    if reply.location is not None:
        response.headers["Location"] = reply.location
    response.headers["Server"] = "Fortnox"
    response.headers["X-Build"] = "sandbox"
    response.headers["X-Uid"] = f"{next(_uids):08x}"
    return response


_uids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    scope: str
    handler: Handler


_KINDS = {"int": r"(?P<{}_int>\d{{1,15}})", "path": "(?P<{}>.+)", "": "(?P<{}>[^/]+)"}


@functools.cache
def _pattern(rule: str) -> re.Pattern[str]:
    """A rule such as `/3/vouchers/<series>/<int:number>` as a regular expression."""
    parts = re.split(r"<(?:(int|path):)?(\w+)>", rule)
    expression = re.escape(parts[0])
    for kind, name, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        expression += _KINDS[kind or ""].format(name) + re.escape(literal)
    return re.compile(expression)


def _converted(name: str, text: str) -> str | int:
    return int(text) if name.endswith("_int") else text


class Frame:
    """Routes grouped by resource; each handler runs under the world's lock, for the company of its token."""

    def __init__(self, world: FortnoxWorld) -> None:
        self.world = world
        self._routes: dict[tuple[str, str], list[_Route]] = {}

    # -- the frame ------

    def route(self, method: str, rule: str, scope: str, handler: Handler) -> None:
        """Answer `method rule` with a handler that takes the company and the rule's values."""
        resource = rule.split("/")[2]
        self._routes.setdefault((method, resource), []).append(_Route(_pattern(rule), scope, handler))

    def dispatch(self, rest: str = "") -> Response:
        """Find the handler of the request's path (with or without a slash at its end) and answer."""
        path = request.path.rstrip("/")
        resource = rest.partition("/")[0]
        for route in self._routes.get((request.method, resource), ()):
            found = route.pattern.fullmatch(path)
            if found is not None:
                values = {name.removesuffix("_int"): _converted(name, text) for name, text in found.groupdict().items()}
                return self._answer(route, values)
        error = not_found(2000764, f"Ingen sådan sökväg ({path})")
        return _respond(Reply(error.body(), error.status))

    def _answer(self, route: _Route, values: dict[str, Any]) -> Response:
        with self.world.lock:
            try:
                company = self._authorised(route.scope)
                self._need_accept()
                return _respond(route.handler(company, **values))
            except ApiError as error:
                return _respond(Reply(error.body(), error.status))
            except Unauthorized:
                return _respond(Reply({"message": "unauthorized"}, 401))

    def _authorised(self, scope: str) -> FortnoxCompany:
        header = request.headers.get("Authorization", "")
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer" or not token:
            raise ApiError(2000311, "Kan inte logga in, access-token eller client-secret saknas(2).", 401)
        claims = self.world.authority.claims(token)
        if claims is None:
            raise Unauthorized
        if not self.world.authority.valid(claims) and not request.environ.get(ZOMBIE):
            raise Unauthorized
        company = self.world.companies.get(claims.company)
        if company is None:
            raise Unauthorized
        if "integration" not in company.licences:
            raise ApiError(2001103, "Api-licens saknas.", 403)
        if scope not in claims.scopes:
            raise ApiError(2000663, "Har inte behörighet för scope")
        licence = LICENCE_OF_SCOPE.get(scope)
        if licence is not None and licence not in company.licences:
            raise ApiError(2001101, "Det finns ingen aktiv licens för önskat scope")
        return company

    @staticmethod
    def _need_accept() -> None:
        accept = request.headers.get("Accept", "*/*")
        if not any(kind in accept for kind in ("application/json", "*/*", "application/*")):
            raise ApiError(1000030, "Invalid response type")

    @staticmethod
    def url() -> str:
        """The address that `@url` fields begin with."""
        return f"{request.host_url}3"

    @staticmethod
    def body() -> Any:
        """The request's JSON."""
        if "json" not in request.headers.get("Content-Type", ""):
            raise ApiError(1000031, "Invalid content type")
        try:
            return parse(request.get_data())
        except ValueError as error:
            raise ApiError(2002115, "Error deserializing JSON: JSON_ERROR_SYNTAX") from error

    def sent(self, wrapper: str, allowed: Mapping[str, fields.Field]) -> dict[str, Any]:
        """The checked fields inside the wrapper."""
        body = self.body()
        if not isinstance(body, dict) or wrapper not in body:
            raise ApiError(2001392, "Ingen eller felaktig typ av data.")
        return fields.read(body[wrapper], allowed)

    @staticmethod
    def parameters(allowed: Iterable[str] = ()) -> dict[str, str]:
        """The query; names that neither the resource nor the general set knows are refused."""
        known = GENERAL.union(allowed)
        for name in request.args:
            if name not in known:
                raise ApiError(2000588, "Ogiltig parameter i anropet.")
        return {name: value for name, value in request.args.items() if value != ""}

    @staticmethod
    def integer(parameters: Mapping[str, str], name: str, default: int, low: int, high: int | None = None) -> int:
        """A whole number of the query within bounds."""
        text = parameters.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"\d{1,9}", text) or int(text) < low or (high is not None and int(text) > high):
            raise ApiError(2000588, "Ogiltig parameter i anropet.")
        return int(text)

    @staticmethod
    def day(parameters: Mapping[str, str], name: str) -> date | None:
        """A date of the query."""
        text = parameters.get(name)
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise ApiError(2000588, "Ogiltig parameter i anropet.") from error

    @staticmethod
    def modified_since(parameters: Mapping[str, str]) -> datetime | None:
        """`lastmodified`, Swedish local time to the minute."""
        text = parameters.get("lastmodified")
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise ApiError(2000588, "Ogiltig parameter i anropet.") from error
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=STOCKHOLM)

    def page(
        self,
        name: str,
        items: Sequence[T],
        show: Callable[[T], dict[str, Any]],
        parameters: Mapping[str, str],
        *,
        ignores_page: bool = False,
    ) -> Reply:
        """One page of a list with its MetaInformation."""
        limit = self.integer(parameters, "limit", 100, 1, 500)
        page = 1 if ignores_page else self.integer(parameters, "page", 1, 1)
        start = self.integer(parameters, "offset", (page - 1) * limit, 0)
        meta = {"@TotalResources": len(items), "@TotalPages": -(-len(items) // limit), "@CurrentPage": page}
        shown = [show(item) for item in itertools.islice(items, start, start + limit)]
        return Reply({"MetaInformation": meta, name: shown})

    @staticmethod
    def ordered(items: list[T], keys: Mapping[str, Callable[[T], Any]], parameters: Mapping[str, str]) -> list[T]:
        """Sort by `sortby` (the first key if not given) and `sortorder`."""
        by = parameters.get("sortby", next(iter(keys)))
        order = parameters.get("sortorder", "ascending")
        if by not in keys or order not in ("ascending", "descending"):
            raise ApiError(2000588, "Ogiltig parameter i anropet.")
        return sorted(items, key=keys[by], reverse=order == "descending")

    def visible(self, created_at: datetime, delay_s: float) -> bool:
        """Whether a written object is seen yet (see `Switches.list_delay_s`)."""
        return delay_s <= 0 or self.world.clock.now() - created_at >= timedelta(seconds=delay_s)

    def year(self, company: FortnoxCompany, parameters: Mapping[str, str]) -> FinancialYear:
        """The year that `financialyear` or `financialyeardate` names, else the one the user has selected."""
        if "financialyear" in parameters:
            year = company.years.get(self.integer(parameters, "financialyear", 0, 0))
            if year is None:
                raise not_found(YEAR_NOT_FOUND, "Kan inte hitta räkenskapsåret.")
            return year
        on = self.day(parameters, "financialyeardate")
        if on is not None:
            found = company.year_of(on)
            if found is None:
                raise not_found(YEAR_NOT_FOUND, "Kan inte hitta räkenskapsåret.")
            return found
        return company.selected_year()

    @staticmethod
    def no_rights(company: FortnoxCompany, shown: dict[str, Any]) -> dict[str, Any]:
        """Hide what the user may not see."""
        for name in company.settings.no_right_fields & shown.keys():
            shown[name] = "API_NORIGHT"
        return shown


def without_blanks(sent: dict[str, Any]) -> dict[str, Any]:
    """What was sent, without the fields to clear."""
    return {name: value for name, value in sent.items() if value is not BLANK}
