"""Fetch, plan and book in memory: what the services do with a plan, small enough to trust, with the laws checked.

The accounting system here makes what it is told: it posts invoices, payments and vouchers to a ledger, rounds to whole
kronor if it is set to, and takes its own rate where the plan sends none. After each plan the laws are asserted.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from addon.core.accounts import Account, AccountRole
from addon.core.books import InvoiceView
from addon.core.dates import booking_date, start_of_day
from addon.core.delivery import Verdict, compare_created, with_rounding, write_off
from addon.core.documents import (
    BookInvoice,
    CreateInvoice,
    CreateOrder,
    CreatePayment,
    CreditInvoice,
    Customer,
    CustomerVat,
    Document,
    DocumentKind,
    Invoice,
    PartRef,
    PostVoucher,
    Settlement,
)
from addon.core.joining import Candidate, Twin, find_twins
from addon.core.matching import NO_CHOICE, MatchChoice, order_list
from addon.core.money import ExchangeRate, Money
from addon.core.plan import (
    BookedSale,
    Carrying,
    DisputeFact,
    Moved,
    OpenMovement,
    PayoutFact,
    Plan,
    SaleLine,
    Situation,
    plan,
)
from addon.core.plan.common import day_of, source_of
from addon.core.plan.dispute import standing_of
from addon.core.plan.holdings import end_of, parts_of, spread
from addon.core.plan.match import order_of
from addon.core.plan.planner import FOREIGN
from addon.core.plan.refund import credited_by_line
from addon.core.plan.returns import open_claims
from addon.core.plan.revaluation import revaluation_key
from addon.core.plan.routed import routed_sale
from addon.core.plan.sale import order_number
from addon.core.plan.situation import Coming, Holding, Outcome, Place, Registers, YearEnd
from addon.core.plan.undo import Standing, plan_credit_of_copy, plan_undo
from addon.core.plan.vat import add_oss
from addon.core.plan.voucher import planned_payout
from addon.core.records import Dispute, Itemisation, Movement, MovementKind, Payout
from addon.core.redate import redated, with_steps
from addon.core.routing import RoutedSale
from addon.core.rules import Mode, Policy
from addon.core.settlement import settled_sales, voucher_number
from addon.core.vat import NumberCheck, OssYear
from addon.store.codec import fingerprint
from tests.core.samples import VAT_ACCOUNTS, VAT_NUMBERS

State = Literal["open", "waiting", "held", "planned", "booked", "nought", "aside"]


@dataclass
class Entry:
    """A voucher that the accounting system made of a step: its rows by account number, debit positive."""

    what: str
    booking_date: date
    rows: list[tuple[str, Money]]

    def add(self, number: str, amount: Money) -> None:
        if amount:
            self.rows.append((number, amount))


@dataclass
class Landed:
    """A document in the books, with the entries that stand for it."""

    document: Document
    entries: list[Entry] = field(default_factory=list)
    books: Money | None = None
    invoice: Invoice | None = None
    total: Money | None = None
    rate: Decimal | None = None
    number: str = ""

    def invoice_key(self) -> str:
        return self.invoice.key if self.invoice else ""


@dataclass
class Company:
    """One connection of one company, from fetched records to a ledger."""

    policy: Policy
    rounds: bool = False
    """Whether the accounting system rounds invoices in kronor to whole ones."""
    own_rates: dict[str, Decimal] = field(default_factory=dict)
    """The accounting system's own rates, for invoices that are sent without."""
    own_step: Decimal = Decimal(0)
    """By how much they rise each day of a week of seven."""
    movements: dict[str, Movement] = field(default_factory=dict)
    payout_of: dict[str, str] = field(default_factory=dict)
    payouts: dict[str, Payout] = field(default_factory=dict)
    strangers: dict[str, Money] = field(default_factory=dict)
    """Money in a payout's list that no fetched movement stands for."""
    invoices: dict[str, InvoiceView] = field(default_factory=dict)
    states: dict[PartRef, State] = field(default_factory=dict)
    values_year_ends: bool = False
    since: dict[str, date] = field(default_factory=dict)
    choices: dict[str, MatchChoice] = field(default_factory=dict)
    """What people have decided about payments, by movement."""
    planned: dict[str, Document] = field(default_factory=dict)
    landed: dict[str, Landed] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    routed: dict[str, RoutedSale] = field(default_factory=dict)
    checks: dict[str, NumberCheck] = field(default_factory=dict)
    """What the register of VAT numbers has said."""
    disputes: dict[str, Dispute] = field(default_factory=dict)
    decisions: dict[str, str] = field(default_factory=dict)
    """What people have decided of movements beyond the invoice they belong to."""
    twins: dict[str, Twin] = field(default_factory=dict)
    """Sales that another connection has invoiced, until a person decides."""
    articles: set[str] = field(default_factory=set)
    customer_names: dict[str, str] = field(default_factory=dict)
    undone: set[str] = field(default_factory=set)
    """Keys of documents that have been taken back, or are being."""
    undone_by: dict[str, str] = field(default_factory=dict)
    """The documents that do so."""

    # -- what comes in ------------------------------------------------------------------------------------------

    def fetch(self, movement: Movement, payout_ref: str = "") -> None:
        self.movements[movement.ref] = movement
        if payout_ref:
            self.payout_of[movement.ref] = payout_ref
        for part in movement.parts():
            self.states.setdefault(PartRef(movement.ref, part.name), "open")

    def learn_rate(self, rate: ExchangeRate) -> None:
        self.policy = replace(self.policy, rates=(*self.policy.rates, rate))

    # -- gathering ----------------------------------------------------------------------------------------------

    def documents(self) -> list[Document]:
        return [*(landed.document for landed in self.landed.values()), *self.planned.values()]

    def standing(self) -> list[Document]:
        """The documents that have not been taken back."""
        return [document for document in self.documents() if document.key not in self.undone]

    def situation(self, until: date | None = None) -> Situation:
        policy = self.policy
        entries = []
        for movement in self.movements.values():
            if until is not None and booking_date(movement.occurred_at, policy.zone) > until:
                continue
            names = frozenset(
                part.name
                for part in movement.parts()
                if self.states[PartRef(movement.ref, part.name)] in ("open", "waiting", "held")
            )
            if names:
                choice, decision = self.choices.get(movement.ref, NO_CHOICE), self.decisions.get(movement.ref, "")
                since = self.since.get(movement.ref, policy.today)
                held = frozenset(name for name in names if self.states[PartRef(movement.ref, name)] == "held")
                entries.append(OpenMovement(movement, names, since, choice, decision, held_parts=held))
        entries = self._with_twins(entries)
        known = (MovementKind.SALE, MovementKind.REFUND)
        sales = [movement for movement in self.movements.values() if movement.kind in known]
        home, facts = policy.books_currency, [document.facts for document in self.documents()]
        return Situation(
            movements=tuple(entries),
            payouts={ref: self._payout_fact(payout) for ref, payout in self.payouts.items()},
            sales=self._sales(),
            known_sales=frozenset(movement.source_ref for movement in sales),
            matches={entry.movement.ref: self._found(entry) for entry in entries},
            known_customers=frozenset(self.customer_names).union(
                step.key for document in self.documents() for step in document.steps if step.kind == "create_customer"
            ),
            registers=Registers(frozenset(self.articles), dict(self.customer_names)),
            fee_vouchers=Counter(
                (
                    dict(document.facts)["currency"] + (FOREIGN if document.kind is DocumentKind.FOREIGN_FEES else ""),
                    date.fromisoformat(dict(document.facts)["day"]),
                )
                for document in self.documents()
                if document.kind in (DocumentKind.FEES, DocumentKind.FOREIGN_FEES)
            ),
            disputes={ref: self._dispute_fact(ref) for ref in self._dispute_refs()},
            reserves=self._reserves(),
            moved=self._moved(),
            claims=open_claims(facts, home),
            holdings=self._holdings(),
            rates_coming=self._rates_coming(),
            payments_under_way=self._payments_under_way(),
            payout_vouchers={
                dict(document.facts)["source"]: planned_payout(document)
                for document in self.documents()
                if document.kind is DocumentKind.PAYOUT
            },
            routed=dict(self.routed),
            payout_of=dict(self.payout_of),
            split_payouts=self._split_payouts(entries),
            settled=settled_sales((document.facts for document in self.documents()), policy.books_currency),
            settlement_vouchers=self._settlement_vouchers(),
            unlisted_until=self._unlisted_until(),
            number_checks=dict(self.checks),
            oss_years=self._oss_years(),
            year_ends=self._year_ends(),
        )

    def _with_twins(self, entries: list[OpenMovement]) -> list[OpenMovement]:
        if self.policy.mode is Mode.BASIC or not self.invoices:
            return entries
        sales = [
            Candidate(
                entry.movement.ref,
                source_of(entry.movement),
                order_number(entry.movement, self.policy),
                entry.movement.presented or entry.movement.amount,
                day_of(entry.movement, self.policy),
            )
            for entry in entries
            if entry.movement.kind is MovementKind.SALE and entry.movement.ref not in self.since and not entry.decision
        ]
        self.twins |= find_twins(sales, self.invoices.values(), self.policy.provider)
        return [
            entry if entry.decision else replace(entry, twin=self.twins.get(entry.movement.ref)) for entry in entries
        ]

    def _year_ends(self) -> tuple[YearEnd, ...]:
        """Where a story wants them: each year's last day that has passed, for each foreign balance not valued then."""
        found = []
        for year in self.policy.books.years if self.values_year_ends else ():
            if year.last_day >= self.policy.today:
                continue
            for currency, carrying in sorted(self._carrying(year.last_day).items()):
                if revaluation_key(self.policy, currency, year.last_day) in {*self.landed, *self.planned}:
                    continue
                states = {
                    self.states[PartRef(movement.ref, part.name)]
                    for movement in self.movements.values()
                    if movement.currency == currency
                    and movement.kind is not MovementKind.PAYOUT
                    and booking_date(movement.occurred_at, self.policy.zone) <= year.last_day
                    for part in movement.parts()
                }
                unsettled = states & {"open", "planned", "waiting", "held"}
                moving = bool(unsettled & {"open", "planned"})
                found.append(YearEnd(currency, year.last_day, carrying, not unsettled, moving))
        return tuple(found)

    def _split_payouts(self, entries: list[OpenMovement]) -> frozenset[str]:
        here = {entry.movement.ref for entry in entries}
        return frozenset(
            payout
            for ref, payout in self.payout_of.items()
            if ref not in here
            and any(
                self.states[PartRef(ref, part.name)] in ("open", "waiting", "held")
                for part in self.movements[ref].parts()
            )
        )

    def _settlement_vouchers(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for document in self.documents():
            if document.kind is DocumentKind.SETTLEMENT:
                group, number = voucher_number(document.key)
                found[group] = max(found.get(group, 0), number)
        return found

    def _unlisted_until(self) -> dict[str, datetime]:
        newest: dict[str, Payout] = {}
        for payout in self.payouts.values():
            before = newest.get(payout.amount.currency)
            if before is None or before.created_at < payout.created_at:
                newest[payout.amount.currency] = payout
        return {
            currency: payout.created_at for currency, payout in newest.items() if payout.itemisation is Itemisation.NONE
        }

    def _oss_years(self) -> dict[int, OssYear]:
        years: dict[int, OssYear] = {}
        for document in self.documents():
            years = add_oss(years, document.oss)
        return years

    def _dispute_refs(self) -> set[str]:
        kinds = (MovementKind.DISPUTE, MovementKind.DISPUTE_REVERSAL, MovementKind.DISPUTE_LOST)
        return {movement.source_ref for movement in self.movements.values() if movement.kind in kinds}

    def _dispute_fact(self, ref: str) -> DisputeFact:
        facts = [document.facts for document in self.documents() if dict(document.facts).get("dispute") == ref]
        charged, account = standing_of(facts, self.policy.books_currency)
        return DisputeFact(self.disputes.get(ref), charged, account)

    def _reserves(self) -> dict[str, Carrying]:
        home = self.policy.books_currency
        found: dict[str, Carrying] = {}
        for document in self.documents():
            if document.kind is DocumentKind.RESERVE:
                (effect,) = document.clearing
                assert effect.books is not None
                currency = effect.balance.currency
                before = found.get(currency, Carrying(Money.zero(currency), Money.zero(home)))
                found[currency] = Carrying(before.balance - effect.balance, before.books - effect.books)
        return found

    def _moved(self) -> dict[str, Moved]:
        found = {}
        for document in self.standing():
            kinds = (DocumentKind.SALE, DocumentKind.MATCH, DocumentKind.REFUND)
            if document.kind in (*kinds, DocumentKind.PAID_AGAIN, DocumentKind.REFUNDED_AGAIN):
                landed = self.landed.get(document.key)
                effect = document.clearing[0]
                facts = dict(document.facts)
                found[facts["source"]] = Moved(
                    effect.balance,
                    landed.books if landed else effect.books,
                    landed is not None,
                    (landed.number if landed else "") or facts.get("invoice", ""),
                    facts.get("order_number", ""),
                )
        return found

    def _payout_fact(self, payout: Payout) -> PayoutFact:
        items = [self.movements[ref] for ref, payout_ref in self.payout_of.items() if payout_ref == payout.ref]
        total = Money.total((movement.net() for movement in items), payout.amount.currency)
        unsettled = sum(
            any(self.states[PartRef(movement.ref, part.name)] in ("open", "planned") for part in movement.parts())
            for movement in items
        )
        complete = payout.itemisation.value == "complete"
        return PayoutFact(
            payout,
            total + self.strangers.get(payout.ref, Money.zero(total.currency)) if complete else None,
            unsettled,
        )

    def _sales(self) -> dict[str, BookedSale]:
        found = {}
        for document in self.standing():
            if document.kind is not DocumentKind.SALE:
                continue
            if document.sold:
                found[dict(document.facts)["source"]] = self._sold_by_voucher(document)
                continue
            landed = self.landed.get(document.key)
            invoice = landed.invoice if landed and landed.invoice else _invoice(document)
            source = dict(document.facts)["source"]
            refunds = [
                other
                for other in self.standing()
                if other.kind is DocumentKind.REFUND and dict(other.facts)["original"] == source
            ]
            notes = [one for one in refunds if not any(isinstance(step, CreditInvoice) for step in one.steps)]
            rows = (line for one in notes for line in _invoice(one).lines)
            credited, vat_credited = credited_by_line(invoice.lines, rows)
            if len(notes) < len(refunds):
                credited = tuple(line.gross for line in invoice.lines)
            found[source] = BookedSale(
                key=document.key,
                invoice_key=invoice.key,
                number=landed.number if landed else "",
                customer=invoice.customer,
                invoice_date=invoice.invoice_date,
                total=landed.total if landed and landed.total else invoice.total,
                paid=document.total,
                refunded=-Money.total((refund.total for refund in refunds), document.total.currency),
                lines=tuple(
                    SaleLine(
                        line.gross,
                        credited[index],
                        line.vat_percent,
                        line.account,
                        line.description,
                        rounding=invoice.rounding_line and index == len(invoice.lines) - 1,
                        cost_centre=line.cost_centre,
                        project=line.project,
                        vat_credited=vat_credited[index],
                        article=line.article,
                    )
                    for index, line in enumerate(invoice.lines)
                ),
                rate=landed.rate if landed and landed.rate else Decimal(1),
                order_number=invoice.order_number,
                booked=landed is not None,
                credit_made=bool(refunds),
                oss=document.oss,
            )
        return found

    def _sold_by_voucher(self, document: Document) -> BookedSale:
        source = dict(document.facts)["source"]
        left = list(document.sold)
        refunded = Money.zero(document.total.currency)
        refunds = [
            other
            for other in self.documents()
            if other.kind is DocumentKind.REFUND and dict(other.facts)["original"] == source
        ]
        for refund in refunds:
            refunded -= refund.total
            left = [
                replace(line, gross=line.gross + back.gross, net=line.net + back.net, vat=line.vat + back.vat)
                for line, back in zip(left, refund.sold, strict=True)
            ]
        return BookedSale(
            key=document.key,
            invoice_key="",
            number="",
            customer=Customer("", "", CustomerVat.EU_CONSUMER),
            invoice_date=document.booking_date,
            total=document.total,
            paid=document.total,
            refunded=refunded,
            lines=(),
            rate=Decimal(1),
            order_number="",
            booked=document.key in self.landed,
            credit_made=bool(refunds),
            oss=document.oss,
            sold=tuple(left),
        )

    def _found(self, entry: OpenMovement) -> tuple[InvoiceView, ...]:
        if self.policy.mode is not Mode.BASIC:
            return ()
        if entry.choice.invoice:
            return tuple(view for view in self.invoices.values() if view.number == entry.choice.invoice)
        order = order_of(entry, self.policy)
        whole = tuple(view for view in self.invoices.values() if order and view.order_number == order)
        return whole or tuple(view for view in self.invoices.values() if view.order_number in order_list(order))

    def _rates_coming(self) -> dict[str, date]:
        found: dict[str, date] = {}
        for document in self.planned.values():
            if document.kind is DocumentKind.SALE:
                currency, day = document.total.currency, document.booking_date
                found[currency] = min(day, found.get(currency, day))
        return found

    def _holdings(self) -> dict[str, Holding]:
        """All that lies on foreign clearing accounts, from the first document on."""
        home, zone = self.policy.books_currency, self.policy.zone
        undone = {by: key for key, by in self.undone_by.items()}
        sides: dict[tuple[str, str], Carrying] = {}
        parts: dict[tuple[str, str], list[tuple[Place, bool, int]]] = {}
        coming: dict[str, list[Coming]] = defaultdict(list)
        for document in self.documents():
            landed = self.landed.get(document.key)
            key = undone.get(document.key, document.key)
            for index, effect in enumerate(document.clearing):
                currency = effect.balance.currency
                if currency == home:
                    continue
                books = landed.books if landed and not index else effect.books
                refs = [part for part in document.parts if self.movements[part.movement_ref].currency == currency]
                if books is None:
                    coming[currency] += [Coming(part, *self._place(part)[::2]) for part in refs]
                    continue
                before = sides.get((currency, key), Carrying(Money.zero(currency), Money.zero(home)))
                sides[currency, key] = Carrying(before.balance + effect.balance, before.books + books)
                end = end_of(start_of_day(document.booking_date + timedelta(days=1), zone))
                placed = [self._place(part) for part in refs] or [(end, False, effect.balance.minor)]
                parts.setdefault((currency, key), placed)
        nothing = {currency: Money.zero(currency) for currency in {*coming, *(currency for currency, _ in sides)}}
        return {
            currency: Holding(
                Carrying(zero, Money.zero(home)),
                tuple(
                    posting
                    for (of, key), side in sides.items()
                    if of == currency
                    for posting in spread(side, parts[of, key])
                ),
                tuple(coming[currency]),
            )
            for currency, zero in nothing.items()
        }

    def _place(self, part: PartRef) -> tuple[Place, bool, int]:
        movement = self.movements[part.movement_ref]
        place, away, minor = parts_of(movement)[part.part]
        payout = self.payouts.get(self.payout_of.get(movement.ref, ""))
        if payout is not None and self.policy.mode is Mode.SETTLEMENT:
            place = Place(payout.created_at, 0, movement.ref)
        return place, away, minor

    def _carrying(self, through: date = date.max) -> dict[str, Carrying]:
        home = self.policy.books_currency
        found: dict[str, Carrying] = {}
        for document in self.documents():
            if document.booking_date > through:
                continue
            landed = self.landed.get(document.key)
            for index, effect in enumerate(document.clearing):
                books = landed.books if landed and not index else effect.books
                if effect.balance.currency == home or books is None:
                    continue
                currency = effect.balance.currency
                before = found.get(currency, Carrying(Money.zero(currency), Money.zero(home)))
                found[currency] = Carrying(before.balance + effect.balance, before.books + books)
        return found

    def _payments_under_way(self) -> dict[str, Money]:
        home = self.policy.books_currency
        found: dict[str, Money] = defaultdict(lambda: Money.zero(home))
        for document in self.planned.values():
            for step in document.steps:
                if isinstance(step, CreatePayment) and step.invoice_number:
                    closes = step.settlement.amount + (step.settlement.write_off or Money.zero(home))
                    found[step.invoice_number] += closes
        return dict(found)

    # -- planning -----------------------------------------------------------------------------------------------

    def plan(self, today: date, until: date | None = None) -> Plan:
        """Plan all that is open, keep what comes of it, and assert the laws."""
        self.policy = replace(self.policy, today=today)
        situation = self.situation(until)
        result = plan(situation, self.policy)
        assert_same_in_any_order(situation, self.policy, result)
        for document in result.documents:
            assert document.key not in self.planned, f"two documents with the key {document.key}"
            assert document.key not in self.landed, f"two documents with the key {document.key}"
            self.planned[document.key] = document
            self._put(document.parts, "planned")
            self._keep_routed(document.parts, document)
        for hold in result.holds:
            self._put(hold.parts, "held", today)
        for wait in result.waits:
            assert wait.until is None or wait.until >= today or wait.reason.value in ("payout_paid", "invoice"), wait
            self._put(wait.parts, "waiting", today)
        self._put(result.nought, "nought")
        for aside in result.asides:
            self._put(aside.parts, "aside")
            self._keep_routed(aside.parts, aside)
        self.assert_laws()
        return result

    def _keep_routed(self, parts: tuple[PartRef, ...], outcome: Outcome) -> None:
        if not parts:
            return
        movement = self.movements[parts[0].movement_ref]
        sale = routed_sale(movement, outcome)
        if sale is not None:
            self.routed[movement.source_ref] = sale

    def lock(self, through: date) -> None:
        """A person locks the books; what is planned and not sent moves, where the company wants that."""
        self.policy = replace(self.policy, books=replace(self.policy.books, locked_through=through))
        for key, document in self.planned.items():
            moved = {step.key: redated(step, through) for step in document.steps}
            self.planned[key] = with_steps(document, moved, unsent=True)

    def undo(self, key: str, who: str, today: date) -> Document:
        """Plan what takes a booked document back: its parts are set aside."""
        landed = self.landed[key]
        original = next((step for step in landed.document.steps if isinstance(step, CreditInvoice)), None)
        credited = next(
            (one.invoice for one in self.landed.values() if original and one.invoice_key() == original.invoice_key),
            None,
        )
        made = any(
            isinstance(step, CreditInvoice) and step.invoice_key == landed.invoice_key()
            for document in self.documents()
            for step in document.steps
        )
        standing = Standing(
            landed.document,
            landed.number or self._voucher_name(landed),
            total=landed.total,
            rate=landed.rate or Decimal(1),
            books=landed.books,
            credited=credited,
            credit_made=made,
        )
        document = plan_undo(standing, self.policy, who, today)
        self.planned[document.key] = document
        self.undone.add(key)
        self.undone_by[key] = document.key
        for part in landed.document.parts:
            self.states[part] = "aside"
        self.assert_laws()
        return document

    def _voucher_name(self, landed: Landed) -> str:
        number = list(self.landed).index(landed.document.key) + 1
        return f"K/{number}/2" if any(isinstance(step, PostVoucher) for step in landed.document.steps) else ""

    def doubled(self, key: str, number: str) -> Document:
        """The books have carried a request out twice: the copy stands booked, and a credit note is planned."""
        landed = self.landed[key]
        assert landed.invoice is not None and landed.total is not None
        entry = Entry(f"copy {number}", landed.invoice.invoice_date, [])
        self._post_invoice(landed.invoice, landed.total, landed.rate or Decimal(1), 1, entry)
        self.entries.append(entry)
        self.invoices[number] = replace(self._answer(landed.invoice), number=number, booked=True)
        document = plan_credit_of_copy(landed.document, landed.invoice, number, landed.total, self.policy)
        self.planned[document.key] = document
        return document

    def _put(self, parts: tuple[PartRef, ...], state: State, today: date | None = None) -> None:
        for part in parts:
            assert self.states[part] in ("open", "waiting", "held"), f"{part} was {self.states[part]}"
            self.states[part] = state
            if today is not None:
                self.since.setdefault(part.movement_ref, today)

    def part_amount(self, reference: PartRef) -> Money:
        parts = {part.name: part.amount for part in self.movements[reference.movement_ref].parts()}
        return parts[reference.part]

    def sum_of(self, currency: str, *states: State) -> Money:
        """What parts in these states come to, in a balance currency."""
        amounts = (self.part_amount(part) for part, state in self.states.items() if state in states)
        return Money.total((amount for amount in amounts if amount.currency == currency), currency)

    def net(self, currency: str) -> Money:
        """The provider's own net of all movements of a balance."""
        movements = (movement for movement in self.movements.values() if movement.currency == currency)
        return Money.total((movement.net() for movement in movements), currency)

    def currencies(self) -> list[str]:
        return sorted({movement.currency for movement in self.movements.values()})

    def assert_laws(self) -> None:
        keys = Counter(step.key for document in self.documents() for step in document.steps)
        assert all(len(key) <= 80 for key in keys), max(keys, key=len)
        assert not [key for key, count in keys.items() if count > 1]
        for currency in self.currencies():
            effects = Money.total(
                (
                    effect.balance
                    for document in self.documents()
                    for effect in document.clearing
                    if effect.balance.currency == currency
                ),
                currency,
            )
            assert effects == self.sum_of(currency, "planned", "booked")
            assert effects + self.sum_of(currency, "held", "waiting", "open", "nought", "aside") == self.net(currency)

    # -- booking ------------------------------------------------------------------------------------------------

    def book(self) -> list[Landed]:
        """Deliver every planned document, and post it as the accounting system would."""
        done = []
        for document in list(self.planned.values()):
            landed = self._land(document)
            for entry in landed.entries:
                total = Money.total((amount for _, amount in entry.rows), self.policy.books_currency)
                assert not total, f"{document.key}: {entry.what} is out of balance by {total}"
            self.entries += landed.entries
            self.landed[document.key] = landed
            del self.planned[document.key]
            for part in document.parts:
                self.states[part] = "booked"
            done.append(landed)
        self._assert_ledger()
        return done

    def stands_at(self, number: str) -> Money:
        """The balance of an account of the ledger."""
        rows = (amount for entry in self.entries for account, amount in entry.rows if account == number)
        return Money.total(rows, self.policy.books_currency)

    def _assert_ledger(self) -> None:
        """The clearing accounts hold what the documents say, and no invoice of ours is left open."""
        home = self.policy.books_currency
        by_account: dict[str, Money] = defaultdict(lambda: Money.zero(home))
        for landed in self.landed.values():
            assert landed.books is not None, landed.document.key
            by_account[landed.document.clearing[0].account.number] += landed.books
            if landed.document.kind is DocumentKind.OPENING:
                # It stands beside what is counted: the account itself begins with it.
                by_account[landed.document.clearing[0].account.number] += _opened(landed.document)
            for effect in landed.document.clearing[1:]:
                assert effect.books is not None
                by_account[effect.account.number] += effect.books
        for number, amount in by_account.items():
            assert self.stands_at(number) == amount
        if self.policy.mode is Mode.PLUS:
            assert not self.stands_at("1510")
        if self.policy.mode is Mode.PLUS and home in self.currencies():
            opened = [
                landed.document for landed in self.landed.values() if landed.document.kind is DocumentKind.OPENING
            ]
            begun = Money.total((_opened(one) for one in opened if one.total.currency == home), home)
            assert self.stands_at("1686") == self.sum_of(home, "booked") + begun

    def _land(self, document: Document) -> Landed:
        landed = Landed(document, books=document.clearing[0].books)
        home = self.policy.books_currency
        for step in document.steps:
            match step:
                case CreateInvoice() | CreateOrder():
                    self._create(step.invoice, landed)
                case CreditInvoice():
                    original_key = step.invoice_key or document.key.partition("/undo/")[0]
                    sale = next(other for other in self.landed.values() if other.invoice_key() == original_key)
                    assert sale.invoice is not None
                    assert sale.total == -step.total
                    landed.number = f"{sale.number}K"
                    landed.rate = sale.rate
                    entry = Entry("credit note", step.credit_date, [])
                    self._post_invoice(sale.invoice, sale.total, sale.rate or Decimal(1), -1, entry)
                    landed.entries.append(entry)
                    landed.total = step.total
                case BookInvoice() if step.draft is not None:
                    self.invoices[step.draft.number] = replace(self.invoices[step.draft.number], booked=True)
                case CreatePayment():
                    self._pay(step, landed)
                case PostVoucher():
                    rows = [(line.account.number, line.signed) for line in step.voucher.lines]
                    landed.entries.append(Entry("voucher", step.voucher.booking_date, rows))
                case _:
                    pass
        if landed.books is None:
            rate = landed.rate or Decimal(1)
            landed.books = Money.rounded(document.clearing[0].balance.to_decimal() * rate, home)
        return landed

    def _create(self, invoice: Invoice, landed: Landed) -> None:
        home = self.policy.books_currency
        answer = self._answer(invoice)
        comparison = compare_created(invoice, answer, home)
        assert comparison.verdict is not Verdict.DIFFERS, comparison
        if comparison.verdict is Verdict.ROUNDED_DOWN:
            invoice = with_rounding(invoice, Account(AccountRole.ROUNDING, "3740"))
            answer = self._answer(invoice)
            assert compare_created(invoice, answer, home).verdict is Verdict.AGREES
        landed.invoice, landed.total, landed.rate = invoice, answer.total, answer.books_rate()
        landed.number = answer.number
        what = "credit note" if invoice.total.minor < 0 else "invoice"
        entry = Entry(what, invoice.invoice_date, [])
        self._post_invoice(invoice, answer.total, answer.books_rate(), 1, entry)
        landed.entries.append(entry)
        if invoice.currency != home and invoice.rate is None:
            self.learn_rate(
                ExchangeRate(
                    invoice.currency, home, answer.rate, answer.unit, invoice.invoice_date, "accounting system"
                )
            )

    def _answer(self, invoice: Invoice) -> InvoiceView:
        home = self.policy.books_currency
        total = invoice.total
        if self.rounds and invoice.currency == home:
            whole = invoice.total.to_decimal().quantize(Decimal(1), ROUND_HALF_UP)
            total = Money.from_decimal(whole, home)
        rate = Decimal(1)
        if invoice.currency != home:
            own = self.own_rates.get(invoice.currency, Decimal(0)) + self.own_step * (invoice.invoice_date.day % 7)
            rate = invoice.rate.per_one() if invoice.rate else own
        return InvoiceView(
            number=str(101 + len(self.landed)),
            currency=invoice.currency,
            total=total,
            balance=total,
            vat=invoice.vat,
            rate=rate,
            unit=1,
            booked=False,
            cancelled=False,
            invoice_date=invoice.invoice_date,
            round_off=total - invoice.total,
        )

    def _post_invoice(self, invoice: Invoice, total: Money, rate: Decimal, sign: int, entry: Entry) -> None:
        home = self.policy.books_currency

        def books(amount: Decimal) -> Money:
            return Money.rounded(amount * rate * sign, home)

        claims = books(total.to_decimal())
        entry.add("1510", claims)
        left = claims
        rounding = total - invoice.total
        if rounding:
            entry.add("3740", -books(rounding.to_decimal()))
            left -= books(rounding.to_decimal())
        for index, line in enumerate(invoice.lines):
            gross = line.gross.to_decimal()
            vat = (gross * line.vat_percent / (100 + line.vat_percent)).quantize(Decimal("0.01"), ROUND_HALF_UP)
            share = left if index == len(invoice.lines) - 1 else books(gross)
            entry.add(line.account.number, books(vat) - share)
            if line.vat_percent:
                entry.add(VAT_ACCOUNTS.get(line.account.number) or VAT_NUMBERS[line.vat_percent], -books(vat))
            left -= share

    def _pay(self, step: CreatePayment, landed: Landed) -> None:
        home = self.policy.books_currency
        settlement = step.settlement
        rate = landed.rate or Decimal(1)
        rest = settlement.write_off
        if landed.total is not None and not step.invoice_number:
            # As delivery does: the payment closes what was made, and the system's own rounding is written off.
            rest = write_off(landed.total, settlement.amount)
            assert landed.total == settlement.amount + (rest or Money.zero(rest_currency(settlement)))
        claimed = settlement.amount + (rest or Money.zero(settlement.amount.currency))
        received = settlement.books_amount or Money.rounded(settlement.amount.to_decimal() * rate, home)
        claims = Money.rounded(claimed.to_decimal() * rate, home)
        written_off = Money.rounded(rest.to_decimal() * rate, home) if rest else Money.zero(home)
        entry = Entry(f"payment on {step.invoice_number or landed.number}", settlement.paid_on, [])
        entry.add(settlement.account.number, received)
        entry.add("3740", written_off)
        entry.add("1510", -claims)
        difference = claims - received - written_off
        entry.add("7960" if difference.minor > 0 else "3960", difference)
        landed.entries.append(entry)
        undoes_a_copy = landed.document.kind is DocumentKind.CORRECTION
        if settlement.account.role is AccountRole.CLEARING and not step.invoice_number and not undoes_a_copy:
            landed.books = received
        if step.invoice_number:
            view = self.invoices[step.invoice_number]
            assert view.booked
            self.invoices[view.number] = replace(view, balance=view.balance - claimed)


def rest_currency(settlement: Settlement) -> str:
    return settlement.amount.currency


def _opened(document: Document) -> Money:
    (step,) = (step for step in document.steps if isinstance(step, PostVoucher))
    return next(line.signed for line in step.voucher.lines if line.account.role is AccountRole.CLEARING)


def _invoice(document: Document) -> Invoice:
    return next(step.invoice for step in document.steps if isinstance(step, CreateInvoice | CreateOrder))


def assert_same_in_any_order(situation: Situation, policy: Policy, result: Plan) -> None:
    """The same records in another order make the same plan, to the fingerprint."""
    again = plan(replace(situation, movements=situation.movements[::-1]), policy)
    assert again == result
    assert [fingerprint(document) for document in again.documents] == [
        fingerprint(document) for document in result.documents
    ]
