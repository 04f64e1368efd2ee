"""The simulated api.stripe.com: what happened to an account, in Stripe's words and with its refusals."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, g, request

from addon.sandbox.serving import SandboxApp
from addon.sandbox.shared.style import share_style
from addon.sandbox.stripe.account import NotPossible, StripeAccount
from addon.sandbox.stripe.collection import Collection
from addon.sandbox.stripe.errors import StripeRefusal, missing
from addon.sandbox.stripe.expand import expand_answer
from addon.sandbox.stripe.faults import FaultyApp
from addon.sandbox.stripe.model import Payout, WebhookEndpoint
from addon.sandbox.stripe.oauth import add_oauth_routes
from addon.sandbox.stripe.render import (
    API_VERSION,
    Json,
    render_account,
    render_balance,
    render_balance_transaction,
    render_by_id,
    render_charge,
    render_checkout_session,
    render_customer,
    render_dispute,
    render_event,
    render_invoice_payment,
    render_payment_intent,
    render_payout,
    render_refund,
    render_session_lines,
    render_topup,
    render_webhook_endpoint,
)
from addon.sandbox.stripe.world import APP_TOKEN_LIFETIME_S, Call, StripeWorld

_LARGEST_PAGE = 100
_USUAL_PAGE = 10
_PAGING = ("limit", "starting_after", "ending_before", "expand")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the account that is opened, by which key, and what that key may do (None: everything)."""

    account: StripeAccount
    key: str
    permissions: frozenset[str] | None
    platform: bool

    def need(self, permission: str) -> None:
        """Refuse (403) unless the key carries a permission."""
        if self.permissions is not None and permission not in self.permissions:
            raise StripeRefusal(
                403,
                f"The provided key '{_masked(self.key)}' does not have the required permissions for this "
                f"endpoint on account '{self.account.id}'. Having the 'rak_{permission}' permission would "
                "allow this request to continue.",
            )


@dataclass(frozen=True, slots=True)
class Params:
    """The parameters of a call, brackets taken apart: `created[gte]` is `nested["created"]["gte"]`."""

    plain: Mapping[str, str]
    nested: Mapping[str, Mapping[str, str]]
    lists: Mapping[str, tuple[str, ...]]

    @property
    def expand(self) -> tuple[str, ...]:
        """The paths of `expand[]`."""
        return self.lists.get("expand", ())


@dataclass(frozen=True, slots=True)
class Listing:
    """A list endpoint: where its objects are, how they look, by what they can be filtered."""

    path: str
    kind: str
    permission: str
    objects: Callable[[StripeAccount], Collection[Any]]
    render: Callable[[StripeAccount, Any, str], Json]
    filters: Mapping[str, Callable[[Any], str | None]]
    times: tuple[str, ...] = ("created",)


LISTINGS = (
    Listing(
        "/v1/charges",
        "charge",
        "charge_read",
        lambda account: account.charges,
        render_charge,
        {
            "customer": lambda charge: charge.customer,
            "payment_intent": lambda charge: charge.payment_intent,
            "transfer_group": lambda charge: None,
        },
    ),
    Listing(
        "/v1/payment_intents",
        "payment_intent",
        "payment_intent_read",
        lambda account: account.charges,
        render_payment_intent,
        {"customer": lambda charge: charge.customer},
    ),
    Listing(
        "/v1/refunds",
        "refund",
        "charge_read",
        lambda account: account.refunds,
        lambda account, refund, version: render_refund(account, refund),
        {"charge": lambda refund: refund.charge, "payment_intent": lambda refund: refund.payment_intent},
    ),
    Listing(
        "/v1/disputes",
        "dispute",
        "dispute_read",
        lambda account: account.disputes,
        lambda account, dispute, version: render_dispute(account, dispute),
        {"charge": lambda dispute: dispute.charge, "payment_intent": lambda dispute: dispute.payment_intent},
    ),
    Listing(
        "/v1/payouts",
        "payout",
        "payout_read",
        lambda account: account.payouts,
        lambda account, payout, version: render_payout(account, payout),
        {"status": lambda payout: payout.status, "destination": lambda payout: payout.destination},
        ("created", "arrival_date"),
    ),
    Listing(
        "/v1/topups",
        "topup",
        "top_up_read",
        lambda account: account.topups,
        lambda account, topup, version: render_topup(account, topup),
        {"status": lambda topup: "succeeded"},
    ),
    Listing(
        "/v1/customers",
        "customer",
        "customer_read",
        lambda account: account.customers,
        lambda account, customer, version: render_customer(account, customer),
        {"email": lambda customer: customer.email},
    ),
)
EMPTY_LISTS = {
    "/v1/invoices": (
        "invoice_read",
        ("customer", "status", "subscription", "created", "due_date", "collection_method"),
    ),
    "/v1/credit_notes": ("credit_note_read", ("customer", "invoice", "created")),
    "/v1/transfers": ("transfer_read", ("created", "destination", "transfer_group")),
    "/v1/application_fees": ("application_fee_read", ("charge", "created")),
}


def _masked(key: str) -> str:
    return f"{key[:8]}{'*' * max(4, len(key) - 12)}{key[-4:]}" if len(key) > 12 else "****"


def read_params(pairs: Iterator[tuple[str, str]], allowed: tuple[str, ...]) -> Params:
    """Take the brackets apart; a parameter that is not allowed is refused as unknown."""
    plain: dict[str, str] = {}
    nested: dict[str, dict[str, str]] = {}
    lists: dict[str, list[str]] = {}
    for key, value in pairs:
        found = re.fullmatch(r"([A-Za-z_]+)((?:\[[^\]]*\])*)", key)
        name = found.group(1) if found else key
        if name not in allowed:
            raise StripeRefusal(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
        inner = re.findall(r"\[([^\]]*)\]", found.group(2)) if found else []
        if not inner:
            if value == "":
                raise StripeRefusal(
                    400,
                    f"You passed an empty string for '{name}'.",
                    code="parameter_invalid_empty",
                    param=name,
                )
            plain[name] = value
        elif inner[0] == "" or inner[0].isdigit():
            lists.setdefault(name, []).append(value)
        else:
            nested.setdefault(name, {})["][".join(inner)] = value
    return Params(plain, nested, {name: tuple(values) for name, values in lists.items()})


def _whole(name: str, text: str) -> int:
    if not re.fullmatch(r"-?\d+", text):
        raise StripeRefusal(400, f"Invalid integer: {text}", code="parameter_invalid_integer", param=name)
    return int(text)


def read_limit(params: Params) -> int:
    """Page size: 1 to 100, ten if not said."""
    limit = _whole("limit", params.plain.get("limit", str(_USUAL_PAGE)))
    if not 1 <= limit <= _LARGEST_PAGE:
        raise StripeRefusal(
            400,
            f"Invalid integer: limit must be between 1 and {_LARGEST_PAGE}, not {limit}",
            code="parameter_invalid_integer",
            param="limit",
        )
    return limit


def read_span(params: Params, name: str) -> tuple[int | None, int | None]:
    """A time filter as (earliest, latest), both included; None where open."""
    if name in params.plain:
        exact = _whole(name, params.plain[name])
        return exact, exact
    earliest: int | None = None
    latest: int | None = None
    for operator, text in params.nested.get(name, {}).items():
        instant = _whole(f"{name}[{operator}]", text)
        match operator:
            case "gt" | "gte":
                bound = instant + (operator == "gt")
                earliest = bound if earliest is None else max(earliest, bound)
            case "lt" | "lte":
                bound = instant - (operator == "lt")
                latest = bound if latest is None else min(latest, bound)
            case _:
                unknown = f"{name}[{operator}]"
                raise StripeRefusal(
                    400, f"Received unknown parameter: {unknown}", code="parameter_unknown", param=unknown
                )
    return earliest, latest


class Api:
    """The endpoints of /v1 over a world; every method runs under the world's lock."""

    def __init__(self, world: StripeWorld) -> None:
        self.world = world

    # --- who asks ------------------------------------------------------------------------------------------

    def presented_key(self) -> str:
        """The key of the Authorization header, Bearer or Basic; 401 without one."""
        header = request.headers.get("Authorization", "")
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer" and value.strip():
            return value.strip()
        if scheme.lower() == "basic":
            try:
                return base64.b64decode(value).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError) as error:
                raise StripeRefusal(401, "The Authorization header cannot be read.") from error
        raise StripeRefusal(
            401,
            "You did not provide an API key. Provide it in the Authorization header, using Bearer auth.",
        )

    def caller(self) -> Caller:
        """Find the account that the key and the Stripe-Account header open."""
        key = self.presented_key()
        wanted = request.headers.get("Stripe-Account")
        if key == self.world.secret_key:
            caller = Caller(self._behind_platform_key(key, wanted), key, None, platform=True)
        else:
            caller = self._behind_own_key(key, wanted)
        g.account_id = caller.account.id
        return caller

    def _behind_platform_key(self, key: str, wanted: str | None) -> StripeAccount:
        if wanted is None or wanted == self.world.platform.id:
            return self.world.platform
        if wanted not in self.world.connections:
            raise self._no_access(key, wanted)
        return self.world.accounts[wanted]

    def _no_access(self, key: str, wanted: str) -> StripeRefusal:
        return StripeRefusal(
            403,
            f"The provided key '{_masked(key)}' does not have access to account '{wanted}' (or that account "
            "does not exist). Application access may have been revoked.",
            code="account_invalid",
        )

    def _behind_own_key(self, key: str, wanted: str | None) -> Caller:
        held = self.world.app_tokens.get(key)
        if held is not None:
            if self.world.now_seconds() >= held.made + APP_TOKEN_LIFETIME_S:
                raise StripeRefusal(401, f"Expired API Key provided: {_masked(key)}", code="api_key_expired")
            return self._own(self.world.accounts[held.account], key, None, wanted)
        for account in self.world.accounts.values():
            if key == account.secret_key:
                return self._own(account, key, None, wanted)
            if key in account.restricted_keys:
                return self._own(account, key, account.restricted_keys[key].permissions, wanted)
        for connection in self.world.connections.values():
            if key == connection.access_token:
                return self._own(self.world.accounts[connection.account], key, None, wanted)
        raise StripeRefusal(401, f"Invalid API Key provided: {_masked(key)}")

    def _own(self, account: StripeAccount, key: str, permissions: frozenset[str] | None, wanted: str | None) -> Caller:
        if wanted is not None and wanted != account.id:
            raise self._no_access(key, wanted)
        return Caller(account, key, permissions, platform=False)

    # --- parameters and paging -----------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """The API version of this call."""
        return request.headers.get("Stripe-Version", API_VERSION)

    def query(self, *allowed: str) -> Params:
        """The query's parameters."""
        return read_params(iter(request.args.items(multi=True)), (*allowed, "expand"))

    def form(self, *allowed: str) -> Params:
        """The form's parameters."""
        return read_params(iter(request.form.items(multi=True)), (*allowed, "expand"))

    def answer(self, caller: Caller, body: Json, params: Params) -> Json:
        """Expand what was asked for."""
        account = caller.account

        def load(object_id: str) -> Json | None:
            if object_id.startswith("refunds of "):
                charge = account.get_charge(object_id.removeprefix("refunds of "))
                refunds = [account.refunds.get(refund_id) for refund_id in reversed(charge.refunds)]
                data = [render_refund(account, refund) for refund in refunds if refund is not None]
                return _list(f"/v1/charges/{charge.id}/refunds", data, False)
            if object_id.startswith("line_items of "):
                return self._line_items(account, object_id.removeprefix("line_items of "))
            return render_by_id(account, object_id, self.version)

        if any(path.startswith(("source", "data.source")) for path in params.expand):
            caller.need("balance_transaction_source_read")
        expand_answer(body, params.expand, load)
        return body

    def page(
        self,
        objects: Collection[Any],
        kind: str,
        params: Params,
        keep: Callable[[Any], bool],
        span: tuple[int | None, int | None],
        cursor: Callable[[str], str] = lambda wanted: wanted,
    ) -> tuple[list[Any], bool]:
        """One page of a collection; a cursor that names nothing is refused (400)."""
        cursors: dict[str, str | None] = {"starting_after": None, "ending_before": None}
        for name in cursors:
            if (wanted := params.plain.get(name)) is not None:
                found = cursor(wanted)
                if found not in objects:
                    raise missing(kind, wanted, status=400, param=name)
                cursors[name] = found
        if None not in cursors.values():
            raise StripeRefusal(400, "Only one of starting_after and ending_before can be given.")
        return objects.page(
            read_limit(params),
            starting_after=cursors["starting_after"],
            ending_before=cursors["ending_before"],
            earliest=span[0],
            latest=span[1],
            keep=keep,
        )

    # --- endpoints -----------------------------------------------------------------------------------------

    def list_objects(self, listing: Listing) -> Json:
        """Any of the plain lists."""
        caller = self.caller()
        caller.need(listing.permission)
        params = self.query(*_PAGING, *listing.filters, *listing.times)
        wanted = [(read, params.plain[name]) for name, read in listing.filters.items() if name in params.plain]
        spans = {name: read_span(params, name) for name in listing.times if name != "created"}

        def keep(item: Any) -> bool:
            for name, (earliest, latest) in spans.items():
                value = getattr(item, name)
                if (earliest is not None and value < earliest) or (latest is not None and value > latest):
                    return False
            return all(read(item) == value for read, value in wanted)

        account = caller.account

        def cursor(given: str) -> str:
            """PaymentIntents are kept with their charges: their cursors are the charges'."""
            return account.charge_of_intent.get(given, "") if listing.kind == "payment_intent" else given

        items, more = self.page(
            listing.objects(account), listing.kind, params, keep, read_span(params, "created"), cursor
        )
        data = [listing.render(account, item, self.version) for item in items]
        return self.answer(caller, _list(listing.path, data, more), params)

    def get_object(self, listing: Listing, object_id: str) -> Json:
        """One object of such a list."""
        caller = self.caller()
        caller.need(listing.permission)
        params = self.query("client_secret")
        if listing.kind == "payment_intent":
            found_id = caller.account.charge_of_intent.get(object_id, "")
        else:
            found_id = object_id
        item = listing.objects(caller.account).get(found_id)
        if item is None:
            raise missing(listing.kind, object_id)
        return self.answer(caller, listing.render(caller.account, item, self.version), params)

    def list_balance_transactions(self) -> Json:
        """The ledger, filtered; `payout` only for automatic payouts, and incomplete until it is itemised."""
        caller = self.caller()
        caller.need("balance_transaction_read" if self._names_rows(caller) else "balance_read")
        account = caller.account
        params = self.query(*_PAGING, "created", "currency", "payout", "source", "type")
        earliest, latest = read_span(params, "created")
        equal = [
            (name, params.plain[name].lower() if name == "currency" else params.plain[name])
            for name in ("currency", "source", "type")
            if name in params.plain
        ]
        itemised: set[str] | None = None
        if "payout" in params.plain:
            payout = self._automatic_payout(account, params.plain["payout"])
            rows = account.rows_of_payout(payout)
            itemised = {row.id for row in rows}
            oldest = min(row.created for row in rows)
            earliest = oldest if earliest is None else max(earliest, oldest)
            latest = payout.created if latest is None else min(latest, payout.created)

        def keep(row: Any) -> bool:
            return (itemised is None or row.id in itemised) and all(
                getattr(row, name) == value for name, value in equal
            )

        rows_of_page, more = self.page(account.ledger, "balance transaction", params, keep, (earliest, latest))
        data = [render_balance_transaction(account, row) for row in rows_of_page]
        return self.answer(caller, _list("/v1/balance_transactions", data, more), params)

    def _names_rows(self, caller: Caller) -> bool:
        """Keys made with the newer, finer permission name work as well."""
        return caller.permissions is not None and "balance_transaction_read" in caller.permissions

    def _automatic_payout(self, account: StripeAccount, payout_id: str) -> Payout:
        payout = account.payouts.get(payout_id)
        if payout is None:
            raise missing("payout", payout_id, status=400, param="payout")
        if not payout.automatic:
            raise StripeRefusal(
                400,
                "Balance transaction history can only be filtered on automatic payouts, not manual ones.",
                param="payout",
            )
        return payout

    def get_balance_transaction(self, row_id: str) -> Json:
        """One row."""
        caller = self.caller()
        caller.need("balance_transaction_read" if self._names_rows(caller) else "balance_read")
        params = self.query()
        row = caller.account.ledger.get(row_id)
        if row is None:
            raise missing("balance transaction", row_id)
        return self.answer(caller, render_balance_transaction(caller.account, row), params)

    def get_balance(self) -> Json:
        """What there is now."""
        caller = self.caller()
        caller.need("balance_read")
        self.query()
        return render_balance(caller.account)

    def get_own_account(self) -> Json:
        """The account that the key opens."""
        caller = self.caller()
        self.query()
        return render_account(caller.account)

    def get_account(self, account_id: str) -> Json:
        """An account by id: one's own, or one that is connected."""
        caller = self.caller()
        self.query()
        if account_id == caller.account.id:
            return render_account(caller.account)
        if caller.platform and account_id in self.world.connections:
            return render_account(self.world.accounts[account_id])
        raise self._no_access(caller.key, account_id)

    def list_accounts(self) -> Json:
        """The accounts connected to the platform."""
        caller = self.caller()
        params = self.query(*_PAGING, "created")
        connected = [self.world.accounts[account_id] for account_id in self.world.connections]
        data = [render_account(account) for account in connected] if caller.platform else []
        limit = read_limit(params)
        return _list("/v1/accounts", data[:limit], len(data) > limit)

    def list_events(self) -> Json:
        """What happened in the last thirty days."""
        caller = self.caller()
        caller.need("event_read")
        params = self.query(*_PAGING, "created", "type", "types", "delivery_success")
        types = set(params.lists.get("types", ()))
        if len(types) > 20:
            raise StripeRefusal(400, "You can filter by at most 20 types.", param="types")
        if "type" in params.plain:
            types.add(params.plain["type"])
        oldest = self.world.now_seconds() - 30 * 86_400
        earliest, latest = read_span(params, "created")
        earliest = oldest if earliest is None else max(earliest, oldest)
        account = caller.account
        events, more = self.page(
            account.events,
            "event",
            params,
            lambda event: not types or any(_matches(kind, event.type) for kind in types),
            (earliest, latest),
        )
        data = [render_event(account, event, self.version) for event in events]
        return self.answer(caller, _list("/v1/events", data, more), params)

    def get_event(self, event_id: str) -> Json:
        """One event."""
        caller = self.caller()
        caller.need("event_read")
        self.query()
        event = caller.account.events.get(event_id)
        if event is None:
            raise missing("event", event_id)
        return render_event(caller.account, event, self.version)

    def list_invoice_payments(self) -> Json:
        """Which payments paid which Stripe invoices."""
        caller = self.caller()
        caller.need("invoice_read")
        params = self.query(*_PAGING, "created", "invoice", "payment", "status")
        invoice = params.plain.get("invoice")
        payment = params.nested.get("payment", {})
        intent = payment.get("payment_intent")
        status = params.plain.get("status", "paid")
        found, more = self.page(
            caller.account.invoice_payments,
            "invoice_payment",
            params,
            lambda item: (
                status == "paid"
                and invoice in (None, item.invoice)
                and intent in (None, item.payment_intent)
                and payment.get("type", "payment_intent") == "payment_intent"
            ),
            read_span(params, "created"),
        )
        data = [render_invoice_payment(caller.account, item) for item in found]
        return self.answer(caller, _list("/v1/invoice_payments", data, more), params)

    def list_sessions(self) -> Json:
        """Checkout sessions, most usefully by payment_intent."""
        caller = self.caller()
        caller.need("checkout_session_read")
        params = self.query(*_PAGING, "created", "payment_intent", "customer", "status", "subscription", "payment_link")
        account = caller.account
        intent = params.plain.get("payment_intent")
        charge_id = None if intent is None else account.charge_of_intent.get(intent, "")
        status = params.plain.get("status", "complete")
        found, more = self.page(
            account.sessions,
            "checkout.session",
            params,
            lambda session: status == "complete" and charge_id in (None, session.charge),
            read_span(params, "created"),
        )
        breakdown = any(path.endswith("total_details.breakdown") for path in params.expand)
        data = [render_checkout_session(account, session, breakdown) for session in found]
        return self.answer(caller, _list("/v1/checkout/sessions", data, more), params)

    def get_session(self, session_id: str) -> Json:
        """One Checkout session."""
        caller = self.caller()
        caller.need("checkout_session_read")
        params = self.query()
        session = caller.account.sessions.get(session_id)
        if session is None:
            raise missing("checkout.session", session_id)
        breakdown = "total_details.breakdown" in params.expand
        return self.answer(caller, render_checkout_session(caller.account, session, breakdown), params)

    def get_line_items(self, session_id: str) -> Json:
        """The lines of a Checkout session."""
        caller = self.caller()
        caller.need("checkout_session_read")
        self.query(*_PAGING)
        if session_id not in caller.account.sessions:
            raise missing("checkout.session", session_id)
        return self._line_items(caller.account, session_id)

    def _line_items(self, account: StripeAccount, session_id: str) -> Json:
        session = account.sessions.get(session_id)
        if session is None:
            return _list(f"/v1/checkout/sessions/{session_id}/line_items", [], False)
        if session.lines:
            data = render_session_lines(account, session)
            return _list(f"/v1/checkout/sessions/{session_id}/line_items", data, False)
        rendered = render_checkout_session(account, session)
        goods = rendered["amount_total"] - session.amount_shipping
        item = {
            "id": f"li_{session.id[-20:]}",
            "object": "item",
            "adjustable_quantity": None,
            "amount_discount": 0,
            "amount_subtotal": rendered["amount_subtotal"],
            "amount_tax": rendered["total_details"]["amount_tax"],
            "amount_total": goods,
            "currency": rendered["currency"],
            "description": account.get_charge(session.charge).description,
            "metadata": {},
            "price": None,
            "quantity": 1,
        }
        return _list(f"/v1/checkout/sessions/{session_id}/line_items", [item], False)

    def empty_list(self, path: str) -> Json:
        """A list of something this merchant has none of."""
        permission, filters = EMPTY_LISTS[path]
        caller = self.caller()
        caller.need(permission)
        params = self.query(*_PAGING, *filters)
        read_limit(params)
        return _list(path, [], False)

    # --- webhook endpoints ---------------------------------------------------------------------------------

    def _own_endpoint(self, caller: Caller, endpoint_id: str) -> WebhookEndpoint:
        endpoint = self.world.endpoints.get(endpoint_id)
        gone = endpoint_id in self.world.removed_endpoints
        if endpoint is None or endpoint.account != caller.account.id or gone:
            raise missing("webhook endpoint", endpoint_id, param="webhook_endpoint")
        return endpoint

    def list_endpoints(self) -> Json:
        """The account's webhook addresses."""
        caller = self.caller()
        caller.need("webhook_read")
        params = self.query(*_PAGING)
        found, more = self.page(
            self.world.endpoints,
            "webhook_endpoint",
            params,
            lambda endpoint: endpoint.account == caller.account.id and endpoint.id not in self.world.removed_endpoints,
            (None, None),
        )
        data = [render_webhook_endpoint(caller.account, endpoint) for endpoint in found]
        return _list("/v1/webhook_endpoints", data, more)

    def create_endpoint(self) -> Json:
        """Register an address; the answer is the only one that tells its secret."""
        caller = self.caller()
        caller.need("webhook_write")
        params = self.form("url", "enabled_events", "connect", "api_version", "description", "metadata")
        url = params.plain.get("url")
        if url is None:
            raise StripeRefusal(400, "Missing required param: url.", code="parameter_missing", param="url")
        if not re.match(r"https?://", url):
            raise StripeRefusal(400, "Not a valid URL", code="url_invalid", param="url")
        events = params.lists.get("enabled_events")
        if not events:
            raise StripeRefusal(
                400,
                "Missing required param: enabled_events.",
                code="parameter_missing",
                param="enabled_events",
            )
        endpoint = WebhookEndpoint(
            f"we_1{self.world.token(20)}",
            self.world.now_seconds(),
            url,
            f"whsec_{self.world.token(32)}",
            events,
            caller.account.id,
            connect=params.plain.get("connect") == "true",
            api_version=params.plain.get("api_version"),
            description=params.plain.get("description"),
            metadata=dict(params.nested.get("metadata", {})),
        )
        self.world.endpoints.add(endpoint)
        return render_webhook_endpoint(caller.account, endpoint, with_secret=True)

    def get_endpoint(self, endpoint_id: str) -> Json:
        """One address."""
        caller = self.caller()
        caller.need("webhook_read")
        return render_webhook_endpoint(caller.account, self._own_endpoint(caller, endpoint_id))

    def update_endpoint(self, endpoint_id: str) -> Json:
        """Change where or what is sent."""
        caller = self.caller()
        caller.need("webhook_write")
        endpoint = self._own_endpoint(caller, endpoint_id)
        params = self.form("url", "enabled_events", "description", "metadata", "disabled")
        endpoint.url = params.plain.get("url", endpoint.url)
        endpoint.enabled_events = params.lists.get("enabled_events", endpoint.enabled_events)
        endpoint.description = params.plain.get("description", endpoint.description)
        endpoint.metadata.update(params.nested.get("metadata", {}))
        return render_webhook_endpoint(caller.account, endpoint)

    def delete_endpoint(self, endpoint_id: str) -> Json:
        """Send nothing there any more."""
        caller = self.caller()
        caller.need("webhook_write")
        endpoint = self._own_endpoint(caller, endpoint_id)
        self.world.removed_endpoints.add(endpoint.id)
        return {"id": endpoint.id, "object": "webhook_endpoint", "deleted": True}


def _list(url: str, data: list[Json], more: bool) -> Json:
    return {"object": "list", "data": data, "has_more": more, "url": url}


def _matches(pattern: str, event_type: str) -> bool:
    """`charge.*` means all that begin so."""
    return event_type.startswith(pattern[:-1]) if pattern.endswith("*") else event_type == pattern


class _Replays:
    """Idempotency-Key: the first answer again for the same call, a refusal for another under its key."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[str, int, Json]] = {}

    def run(self, account_key: str, produce: Callable[[], Json]) -> tuple[int, Json]:
        key = request.headers.get("Idempotency-Key")
        if request.method != "POST" or key is None:
            return 200, produce()
        asked = f"{request.path}?{sorted(request.form.items(multi=True))}"
        kept = self._kept.get((account_key, key))
        if kept is None:
            answer = produce()
            self._kept[account_key, key] = (asked, 200, answer)
            return 200, answer
        if kept[0] != asked:
            raise StripeRefusal(
                400,
                "Keys for idempotent requests can only be used with the parameters they were first used with.",
                type="idempotency_error",
            )
        return kept[1], kept[2]


def make_app(world: StripeWorld) -> Flask:
    """The WSGI app: /v1, the Connect and marketplace pages, faults in front, every call counted."""
    app = SandboxApp(__name__, template_folder="templates", static_folder=None)
    share_style(app)
    api = Api(world)
    replays = _Replays()

    def route(path: str, view: Callable[..., Json], *methods: str) -> None:
        def run(**arguments: str) -> Response:
            with world.lock:
                produce = (lambda: view(**arguments)) if arguments else view
                status, body = replays.run(request.headers.get("Authorization", ""), produce)
            return _json(body, status)

        app.add_url_rule(path, f"{','.join(methods) or 'GET'} {path}", run, methods=list(methods) or ["GET"])

    for listing in LISTINGS:

        def all_of(listing: Listing = listing) -> Json:
            return api.list_objects(listing)

        def one_of(object_id: str, listing: Listing = listing) -> Json:
            return api.get_object(listing, object_id)

        route(listing.path, all_of)
        route(f"{listing.path}/<object_id>", one_of)
    for path in EMPTY_LISTS:

        def nothing(path: str = path) -> Json:
            return api.empty_list(path)

        route(path, nothing)
    route("/v1/account", api.get_own_account)
    route("/v1/accounts", api.list_accounts)
    route("/v1/accounts/<account_id>", api.get_account)
    route("/v1/balance", api.get_balance)
    route("/v1/balance_transactions", api.list_balance_transactions)
    route("/v1/balance_transactions/<row_id>", api.get_balance_transaction)
    route("/v1/balance/history", api.list_balance_transactions)
    route("/v1/balance/history/<row_id>", api.get_balance_transaction)
    route("/v1/events", api.list_events)
    route("/v1/events/<event_id>", api.get_event)
    route("/v1/invoice_payments", api.list_invoice_payments)
    route("/v1/checkout/sessions", api.list_sessions)
    route("/v1/checkout/sessions/<session_id>", api.get_session)
    route("/v1/checkout/sessions/<session_id>/line_items", api.get_line_items)
    route("/v1/webhook_endpoints", api.list_endpoints)
    route("/v1/webhook_endpoints", api.create_endpoint, "POST")
    route("/v1/webhook_endpoints/<endpoint_id>", api.get_endpoint)
    route("/v1/webhook_endpoints/<endpoint_id>", api.update_endpoint, "POST")
    route("/v1/webhook_endpoints/<endpoint_id>", api.delete_endpoint, "DELETE")
    add_oauth_routes(app, world)

    @app.errorhandler(StripeRefusal)
    def refuse(refusal: StripeRefusal) -> Response:
        return _json(refusal.body, refusal.status)

    @app.errorhandler(NotPossible)
    def not_possible(error: NotPossible) -> Response:
        return _json(StripeRefusal(400, str(error)).body, 400)

    @app.errorhandler(404)
    @app.errorhandler(405)
    def unknown(error: Exception) -> Response:
        refusal = StripeRefusal(404, f"Unrecognized request URL ({request.method}: {request.path}).")
        return _json(refusal.body, 404)

    @app.after_request
    def count(response: Response) -> Response:
        at = world.now_seconds()
        account = getattr(g, "account_id", None)
        query = request.query_string.decode(errors="replace")
        with world.lock:
            world.calls.append(Call(request.method, request.path, query, account, response.status_code, at))
            number = len(world.calls)
        response.headers["Request-Id"] = f"req_sandbox{number:010d}"
        if request.path.startswith("/v1/"):
            response.headers["Stripe-Version"] = request.headers.get("Stripe-Version", API_VERSION)
            if "Stripe-Account" in request.headers:
                response.headers["Stripe-Account"] = request.headers["Stripe-Account"]
        return response

    app.wsgi_app = FaultyApp(app.wsgi_app, world.faults)  # type: ignore[method-assign]
    return app


def _json(body: Json, status: int = 200) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), status, content_type="application/json")
