"""Settlement: payments become rows of a voucher for each payout and month of sale, with refunds and fees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

from addon.core.accounts import Account, AccountRole
from addon.core.dates import booking_date
from addon.core.documents import (
    ClearingEffect,
    Document,
    DocumentKind,
    PartRef,
    PostVoucher,
    Voucher,
    VoucherLine,
    signed_line,
)
from addon.core.fixings import publisher
from addon.core.holds import Hold, HoldReason, Wait, WaitReason
from addon.core.money import ExchangeRate, Money
from addon.core.plan.common import (
    account,
    base_key,
    day_of,
    invoice_rate,
    nearest_rate,
    open_day,
    reference_text,
    require_precision,
    require_ready,
    source_of,
)
from addon.core.plan.routed import vat_by_rule
from addon.core.plan.sale import order_number
from addon.core.plan.situation import BookedSale, CannotBook, OpenMovement, Outcome, PayoutFact, Situation
from addon.core.plan.vat import NumberWanted, SaleVat, add_oss, share_of_oss, vat_of_sale
from addon.core.plan.voucher import FEE_ROW_WORDS, FeePart, fee_role, fee_treatment, fee_vat_lines
from addon.core.records import Itemisation, Movement, MovementKind, PartKind
from addon.core.routing import route
from addon.core.rules import FeeVat, Mode, Policy
from addon.core.settlement import (
    LONGEST_PAYOUT_WAIT_DAYS,
    MOST_VOUCHER_ROWS,
    GivenBack,
    SettledSale,
    SettledShare,
    SettlementBy,
    SettlementContra,
    SettlementLines,
    refund_fact,
    sale_fact,
)
from addon.core.vat import OssAmount, VatFacts

_KINDS = frozenset({MovementKind.SALE, MovementKind.REFUND, MovementKind.SALE_REVERSAL, MovementKind.REFUND_REVERSAL})
"""Movements between company and buyer; every other kind keeps a voucher of its own in this mode, too."""

_FEE_ROWS = 32
"""Rows of a voucher that are left for fees and their VAT."""


class _Await(Exception):
    """Raised while a row is worked out: it waits for something."""

    def __init__(self, reason: WaitReason, until: date | None, **facts: str) -> None:
        super().__init__(reason.value)
        self.reason, self.until, self.facts = reason, until, tuple(facts.items())


@dataclass(frozen=True, slots=True, order=True)
class _Group:
    """What one voucher holds, and what its key begins with."""

    key: str
    currency: str
    month: str
    payout: str = ""
    made_on: date | None = None
    """When the payout was made; None for a day's voucher."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row before rows are added up: `amount` is debit positive, in the books' currency."""

    account: Account
    amount: Money
    text: str
    what: str
    """Words for the sum of several: sales, refunds, exchange differences."""


@dataclass(frozen=True, slots=True)
class _Fee:
    """A fee or the tax on one: its part, what it cost (positive), and how that is treated for VAT."""

    part: PartRef
    kind: PartKind
    cost: Money
    treatment: FeeVat


@dataclass(slots=True)
class _Item:
    """A movement on its way into a voucher: its open parts, and the rows they become."""

    entry: OpenMovement
    day: date
    amount: PartRef | None = None
    fees: list[_Fee] = field(default_factory=list)
    booked: list[PartRef] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    why: str = ""
    balance: Money | None = None
    books: Money | None = None
    fee_books: list[tuple[PartKind, FeeVat, Money]] = field(default_factory=list)
    oss: tuple[OssAmount, ...] = ()

    @property
    def movement(self) -> Movement:
        return self.entry.movement

    def parts(self) -> tuple[PartRef, ...]:
        """All that is open of the movement."""
        return (*((self.amount,) if self.amount is not None else ()), *(fee.part for fee in self.fees))


class SettlementDesk:
    """Gathers the movements of the settlement mode and makes vouchers of them when all are in."""

    def __init__(self, situation: Situation, policy: Policy) -> None:
        self.situation = situation
        self.policy = policy
        self.items: dict[str, _Item] = {}
        self.settled: dict[str, SettledSale] = dict(situation.settled)
        self.oss_years = dict(situation.oss_years)
        self.outcomes: list[Outcome] = []

    def takes(self, movement: Movement, kind: PartKind) -> bool:
        """Whether a part goes into a settlement voucher: payments, refunds, the provider's fees and tax on those."""
        settled = self.policy.mode is Mode.SETTLEMENT and movement.kind in _KINDS
        return settled and kind in (PartKind.AMOUNT, PartKind.FEE, PartKind.FEE_TAX)

    def take_amount(self, entry: OpenMovement, part: PartRef) -> None:
        """Lay a movement's amount on the desk."""
        self._item(entry).amount = part

    def take_fee(self, entry: OpenMovement, fee: FeePart) -> None:
        """Lay a fee, or the tax on one, on the desk."""
        self._item(entry).fees.append(_Fee(fee.ref, fee.kind, fee.cost, fee_treatment(fee.service, self.policy)))

    def _item(self, entry: OpenMovement) -> _Item:
        item = self.items.get(entry.movement.ref)
        if item is None:
            item = self.items[entry.movement.ref] = _Item(entry, day_of(entry.movement, self.policy))
        return item

    def concerns(self, source: str) -> bool:
        """Whether a payment, or what goes back of it, lies on the desk."""
        return any(
            item.amount is not None and source in (source_of(item.movement), item.movement.original_ref)
            for item in self.items.values()
        )

    def finish(self) -> list[Outcome]:
        """Every part that was taken, in a document, a hold or a wait."""
        groups: dict[_Group, list[_Item]] = defaultdict(list)
        for item in self.items.values():
            try:
                groups[self._group(item)].append(item)
            except (_Await, CannotBook) as fault:
                self._put(item.parts(), fault)
        dated = {group: self._dated(group, items) for group, items in groups.items()}
        place = {item.movement.ref: group for group, items in groups.items() for item in items}
        for item in self.items.values():  # in the order in which they happened: a refund needs its sale
            group = place.get(item.movement.ref)
            if group is not None and (days := dated[group]) is not None:
                self._work_out(item, days[0])
        for group, items in sorted(groups.items()):
            days = dated[group]
            if days is not None:
                self.outcomes += self._vouchers(group, [item for item in items if item.booked], *days)
        return self.outcomes

    def _put(self, parts: Iterable[PartRef], fault: _Await | CannotBook) -> None:
        found = tuple(parts)
        if not found:
            return
        if isinstance(fault, _Await):
            self.outcomes.append(Wait(found, fault.reason, fault.until, fault.facts))
        else:
            self.outcomes.append(Hold(found, fault.reason, fault.facts))

    # --- which voucher ----------------------------------------------------------------------------------------

    def _group(self, item: _Item) -> _Group:
        """The voucher that a movement belongs to. Raises `_Await`, `CannotBook`."""
        movement, day, policy = item.movement, item.day, self.policy
        payout_ref = self.situation.payout_of.get(movement.ref, "")
        if policy.settlement.by is SettlementBy.PAYOUT and not self._goes_by_day(item, payout_ref):
            last = day + timedelta(days=LONGEST_PAYOUT_WAIT_DAYS)
            fact = self.situation.payouts.get(payout_ref) if payout_ref else None
            if fact is None:
                raise _Await(WaitReason.PAYOUT_ITEMS, last, **({"payout": payout_ref} if payout_ref else {}))
            return self._payout_group(fact, movement, day, last)
        if day >= policy.today:
            raise _Await(WaitReason.DAY_CLOSES, day + timedelta(days=1), day=day.isoformat())
        key = f"{policy.provider}/{policy.account_ref}/sales/{movement.currency}/{day.isoformat()}"
        return _Group(key, movement.currency, _month(day))

    def _goes_by_day(self, item: _Item, payout_ref: str) -> bool:
        """Whether no list will ever tell the payout: it has left with one that has none, or waited long enough."""
        if payout_ref:
            fact = self.situation.payouts.get(payout_ref)
            return fact is not None and fact.payout.itemisation is Itemisation.NONE
        unlisted = self.situation.unlisted_until.get(item.movement.currency)
        if unlisted is not None and item.movement.occurred_at <= unlisted:
            return True
        return self.policy.today > item.day + timedelta(days=LONGEST_PAYOUT_WAIT_DAYS)

    def _payout_group(self, fact: PayoutFact, movement: Movement, day: date, last: date) -> _Group:
        payout = fact.payout
        if payout.ref in self.situation.split_payouts:
            raise _Await(WaitReason.PAYOUT_ITEMS, None, payout=payout.ref)
        if fact.items is None:
            raise _Await(WaitReason.PAYOUT_ITEMS, last, payout=payout.ref)
        if fact.items != payout.amount:
            raise CannotBook(
                HoldReason.PAYOUT_NOT_PROVED, payout=payout.ref, amount=str(payout.amount), items=str(fact.items)
            )
        named = Movement(payout.ref, MovementKind.PAYOUT, payout.amount, payout.created_at, source_ref=payout.ref)
        key = f"{base_key(named, self.policy)}/sales/{_month(day)}"
        made_on = booking_date(payout.created_at, self.policy.zone)
        return _Group(key, movement.currency, _month(day), payout.ref, made_on)

    def _dated(self, group: _Group, items: Sequence[_Item]) -> tuple[date, str] | None:
        """The voucher's day and the note of a moved one; None where it can have none: then all of it is held.

        A day's voucher has that day. A payout's has the day on which the payout was made, or the last of the month of
        sale, whichever is earlier: VAT falls into the month of sale, and no row stands before its payment.
        """
        day = max(item.day for item in items)
        if group.made_on is not None:
            month_end = (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
            day = max(day, min(month_end, group.made_on, self.policy.today))
        try:
            booked_on, note = open_day(day, self.policy)
            account(self.policy, AccountRole.CLEARING, booked_on, group.currency)
        except CannotBook as fault:
            for item in items:
                self._put(item.parts(), fault)
            return None
        return booked_on, note

    # --- the rows of a movement -------------------------------------------------------------------------------

    def _work_out(self, item: _Item, booked_on: date) -> None:
        """Make rows of a movement's open parts; what cannot be booked is held or waits, the rest goes on."""
        if item.amount is not None:
            try:
                self._amount(item, booked_on)
                item.booked.append(item.amount)
            except (_Await, CannotBook) as fault:
                self._put((item.amount,), fault)
        if item.fees:
            parts = [fee.part for fee in item.fees]
            try:
                item.fee_books = [
                    (kind, treatment, self._fee_value(item, cost, booked_on, kind, treatment))
                    for kind, treatment, cost in _by_treatment(item.fees)
                ]
                item.booked += parts
            except (_Await, CannotBook) as fault:
                self._put(parts, fault)

    def _fee_value(self, item: _Item, cost: Money, booked_on: date, kind: PartKind, treatment: FeeVat) -> Money:
        account(self.policy, fee_role(kind, treatment), booked_on)
        if cost.currency == self.policy.books_currency:
            require_precision(cost, self.policy)
            value = cost
        else:
            rate = invoice_rate(self.policy, cost.currency, item.day)
            if rate is None and self.policy.today > item.day + timedelta(days=self.policy.wait_days):
                rate = nearest_rate(self.policy, cost.currency, item.day)
            value = self._require_rate(rate, cost.currency, item.day).convert(cost)
        if kind is PartKind.FEE:
            fee_vat_lines(value, booked_on, self.policy, treatment)  # raises where an account for its VAT is not ready
        return value

    def _require_rate(self, rate: ExchangeRate | None, currency: str, day: date) -> ExchangeRate:
        if rate is None:
            until = day + timedelta(days=self.policy.wait_days)
            raise _Await(WaitReason.RATE, until, currency=currency, day=day.isoformat())
        return rate

    def _amount(self, item: _Item, booked_on: date) -> None:
        movement = item.movement
        paid = movement.presented or movement.amount
        positive = movement.kind in (MovementKind.SALE, MovementKind.REFUND_REVERSAL)
        if (paid.minor > 0) != positive or (movement.amount.minor > 0) != positive:
            raise CannotBook(HoldReason.WRONG_SIGN, amount=str(paid))
        if paid.currency == movement.currency and paid != movement.amount:
            raise CannotBook(HoldReason.AMOUNT_DIFFERS, paid=str(paid), balance=str(movement.amount))
        if movement.kind is MovementKind.SALE:
            self._sale(item, paid, booked_on)
        else:
            self._given_back(item, paid, booked_on)

    def _sale(self, item: _Item, paid: Money, booked_on: date) -> None:
        movement = item.movement
        source = source_of(movement)
        if source in self.settled:
            # A charge captured twice: its refunds could not tell the two apart.
            raise CannotBook(HoldReason.KIND_NOT_BUILT, kind=f"another sale {source}")
        rate, worth = self._worth(item, paid)
        require_precision(worth, self.policy)
        try:
            shares, item.why, oss = self._shares(item, paid, worth, booked_on)
        except NumberWanted as wanted:
            until = item.entry.first_seen_on + timedelta(days=self.policy.vat.number_wait_days)
            raise _Await(WaitReason.VAT_NUMBER, until, vat_number=wanted.number, why=wanted.why) from None
        order = order_number(movement, self.policy)
        text = f"{f'order {order}, ' if order else ''}{source}{_rate_note(paid, rate)}"
        signed = [(share.contra, share.vat - share.gross) for share in shares]
        signed += [(share.vat_account, -share.vat) for share in shares if share.vat_account is not None]
        self._rows(item, booked_on, signed, worth, text, "sales")
        item.oss = oss
        self.oss_years = add_oss(self.oss_years, oss)
        sale = SettledSale(paid, shares, oss=oss)
        self.settled[source] = sale
        item.facts.append(sale_fact(source, sale))

    def _worth(self, item: _Item, paid: Money) -> tuple[ExchangeRate | None, Money]:
        """What a payment is booked as in the books' currency, and the rate it took. Raises `_Await`.

        For sales and their VAT that is the official rate of the day, as on an invoice. Against one account it is what
        the provider made of it: the sale itself, with its rate, is booked by somebody else.
        """
        home, movement = self.policy.books_currency, item.movement
        if paid.currency == home:
            return None, paid
        if movement.currency == home and self.policy.settlement.contra is SettlementContra.ACCOUNT:
            return None, movement.amount
        rate = self._require_rate(invoice_rate(self.policy, paid.currency, item.day), paid.currency, item.day)
        return rate, rate.convert(paid)

    def _shares(
        self, item: _Item, paid: Money, worth: Money, booked_on: date
    ) -> tuple[tuple[SettledShare, ...], str, tuple[OssAmount, ...]]:
        """How a sale is booked, by VAT treatment, the rule that says so, and its OSS figures. Raises `_Await`."""
        movement = item.movement
        nothing = Money.zero(worth.currency)
        if self.policy.settlement.contra is SettlementContra.ACCOUNT:
            contra = account(self.policy, AccountRole.SETTLEMENT_CONTRA, booked_on)
            return (SettledShare(worth, nothing, Decimal(0), contra),), "Against the one account that was chosen.", ()
        treated = treatments(movement, paid, self.policy, VatFacts(self.situation.number_checks, self.oss_years))
        found = []
        for line, gross in zip(
            treated.lines, worth.allocate([line.gross.minor for line in treated.lines]), strict=True
        ):
            percent, treatment = line.percent, line.treatment
            vat = gross.tax_included(percent) if percent else nothing
            sales = self._sales_account(movement, treatment, booked_on)
            owed = account(self.policy, AccountRole.OUTPUT_VAT, booked_on, treatment) if percent else None
            found.append(SettledShare(gross, vat, percent, sales, owed if vat else None))
        return tuple(found), treated.why, treated.oss

    def _sales_account(self, movement: Movement, treatment: str, booked_on: date) -> Account:
        """The account of a VAT treatment, or the one that a rule of the company's own names."""
        rule = route(movement, self.policy.rules).rule
        if rule is None or not rule.account:
            return account(self.policy, AccountRole.SALES, booked_on, treatment)
        named = Account(AccountRole.SALES, rule.account)
        require_ready((named,), booked_on, self.policy)
        return named

    def _given_back(self, item: _Item, paid: Money, booked_on: date) -> None:
        """A refund, a bounced payment, or a refund that came back: the original's rows with the other sign."""
        movement = item.movement
        sale = self._original(item, booked_on)
        if sale is None:
            rate, worth = self._worth(item, paid)
            contra = account(self.policy, AccountRole.SETTLEMENT_CONTRA, booked_on)
            signed = [(contra, -worth)]
            text = f"{_words(movement)} {source_of(movement)}{_rate_note(abs(paid), rate)}"
            self._rows(item, booked_on, signed, worth, text, f"{_words(movement)}s")
            return
        came_back = movement.kind is MovementKind.REFUND_REVERSAL
        given = _reversal(movement, sale, paid) if came_back else refund_of(movement, sale, paid)
        require_ready((share.contra for share in sale.shares), booked_on, self.policy)
        require_ready((share.vat_account for share in sale.shares if share.vat_account), booked_on, self.policy)
        signed = []
        for share, (gross, vat) in zip(sale.shares, given.shares, strict=True):
            signed.append((share.contra, gross - vat))
            if share.vat_account is not None:
                signed.append((share.vat_account, vat))
        worth = -Money.total((gross for gross, _ in given.shares), self.policy.books_currency)
        text = f"{_words(movement)} {source_of(movement)} of {movement.original_ref}"
        self._rows(item, booked_on, signed, worth, text, f"{_words(movement)}s")
        item.why = "A refund goes back at the VAT, rate and accounts of its sale."
        item.oss = share_of_oss(sale.oss, -paid, sale.paid, booked_on)
        self.oss_years = add_oss(self.oss_years, item.oss)
        if movement.original_ref not in self.settled:
            # It has an invoice: from now on its refunds must find what vouchers have given back, too.
            item.facts.append(sale_fact(movement.original_ref, sale))
            item.facts += [refund_fact(movement.original_ref, before) for before in sale.given]
        self.settled[movement.original_ref] = sale.with_given(given)
        item.facts.append(refund_fact(movement.original_ref, given))

    def _original(self, item: _Item, booked_on: date) -> SettledSale | None:
        """The sale that goes back; None where none is needed to book it. Raises `_Await`, `CannotBook`."""
        movement, situation = item.movement, self.situation
        sale = self.settled.get(movement.original_ref)
        if sale is not None:
            return sale
        if self.policy.settlement.contra is SettlementContra.ACCOUNT:
            return None
        invoiced = situation.sales.get(movement.original_ref)
        if invoiced is not None:
            return self._invoiced(invoiced, booked_on)
        until = item.entry.first_seen_on + timedelta(days=self.policy.wait_days)
        if movement.original_ref not in situation.known_sales or self.policy.today > until:
            raise CannotBook(HoldReason.ORIGINAL_UNKNOWN, original=movement.original_ref)
        raise _Await(WaitReason.SALE, until, original=movement.original_ref)

    def _invoiced(self, sale: BookedSale, booked_on: date) -> SettledSale:
        """A sale that has an invoice, from when the connection was in Plus, as if it stood in a voucher."""
        home, zero = self.policy.books_currency, Money.zero(self.policy.books_currency)
        country = self.policy.books.identity.country
        shares, gone = [], []
        for line in (line for line in sale.lines if not line.rounding):
            gross = Money.rounded(line.gross.to_decimal() * sale.rate, home)
            credited = Money.rounded(line.credited.to_decimal() * sale.rate, home)
            percent = Decimal(line.vat_percent)
            owed = None
            if percent:
                abroad = {one.country for one in sale.oss if one.abroad and one.percent == percent}
                place = f"OSS-{abroad.pop()}" if abroad else country
                owed = account(self.policy, AccountRole.OUTPUT_VAT, booked_on, f"{place}{line.vat_percent}")
            vat = gross.tax_included(percent) if percent else zero
            shares.append(SettledShare(gross, vat, percent, line.account, owed))
            gone.append((credited, credited.tax_included(percent) if percent else zero))
        found = SettledSale(sale.paid, tuple(shares), oss=sale.oss)
        return found.with_given(GivenBack("", sale.refunded, tuple(gone))) if sale.refunded else found

    def _rows(
        self,
        item: _Item,
        booked_on: date,
        signed: Sequence[tuple[Account, Money]],
        worth: Money,
        text: str,
        what: str,
    ) -> None:
        """Clearing against the rows given; what is left of the two is exchange difference."""
        policy, movement = self.policy, item.movement
        books = movement.amount if movement.currency == policy.books_currency else worth
        if not books:
            raise CannotBook(HoldReason.LEDGER_PRECISION, amount=str(movement.amount), decimals=str(policy.decimals))
        clearing = account(policy, AccountRole.CLEARING, booked_on, movement.currency)
        rows = [_Row(clearing, books, text, what)]
        rows += [_Row(number, amount, text, what) for number, amount in signed if amount]
        difference = -Money.total((row.amount for row in rows), policy.books_currency)
        if difference:
            role = AccountRole.EXCHANGE_LOSS if difference.minor > 0 else AccountRole.EXCHANGE_GAIN
            rows.append(_Row(account(policy, role, booked_on), difference, text, "exchange differences"))
        item.rows, item.balance, item.books = rows, movement.amount, books

    # --- vouchers ---------------------------------------------------------------------------------------------

    def _vouchers(self, group: _Group, items: Sequence[_Item], booked_on: date, note: str) -> Iterator[Document]:
        number = self.situation.settlement_vouchers.get(group.key, 0)
        for chunk in self._chunks(items):
            try:
                yield self._document(group, chunk, number + 1, booked_on, note)
                number += 1
            except CannotBook as fault:
                self._put((part for item in chunk for part in item.booked), fault)

    def _chunks(self, items: Sequence[_Item]) -> Iterator[list[_Item]]:
        """Movements that fit into one voucher; itemised by the movement, summed by the day."""
        units: dict[object, list[_Item]] = defaultdict(list)
        daily = self.policy.settlement.lines is SettlementLines.DAILY
        for item in items:
            units[item.day if daily else item.movement.ref].append(item)
        chunk: list[_Item] = []
        rows = 0
        for unit in units.values():
            more = len(self._trade_lines(unit)) + (8 if daily else 0)
            if chunk and rows + more > MOST_VOUCHER_ROWS - _FEE_ROWS:
                yield chunk
                chunk, rows = [], 0
            chunk = [*chunk, *unit]
            rows += more
        if chunk:
            yield chunk

    def _document(self, group: _Group, items: Sequence[_Item], number: int, booked_on: date, note: str) -> Document:
        policy, home = self.policy, self.policy.books_currency
        key = group.key if number == 1 else f"{group.key}/{number}"
        clearing = account(policy, AccountRole.CLEARING, booked_on, group.currency)
        fees = Money.total((value for item in items for _, _, value in item.fee_books), home)
        lines = (*self._trade_lines(items), *self._fee_lines(items, clearing, booked_on))
        if not lines:
            amount = Money.total((fee.cost for item in items for fee in item.fees), group.currency)
            raise CannotBook(HoldReason.LEDGER_PRECISION, amount=str(amount), decimals=str(policy.decimals))
        balance = Money.total((part for item in items for part in self._moved(item)), group.currency)
        books = Money.total((item.books for item in items if item.books is not None), home) - fees
        count = "1 payment" if len(items) == 1 else f"{len(items)} payments"
        of = f"sales of payout {group.payout}, {group.month}" if group.payout else f"sales {items[0].day.isoformat()}"
        text = reference_text(policy, f"{of}, {count}", note)
        return Document(
            key=key,
            kind=DocumentKind.SETTLEMENT,
            booking_date=booked_on,
            total=balance,
            parts=tuple(part for item in items for part in item.booked),
            clearing=(ClearingEffect(clearing, balance, books),),
            steps=(PostVoucher(key, Voucher(key, booked_on, text, lines)),),
            rule=_rule(group, items),
            facts=(
                ("payout", group.payout),
                ("month", group.month),
                *(fact for item in items for fact in item.facts),
            ),
            oss=tuple(amount for item in items for amount in item.oss),
        )

    def _moved(self, item: _Item) -> Iterator[Money]:
        if item.balance is not None and item.amount in item.booked:
            yield item.balance
        for fee in item.fees:
            if fee.part in item.booked:
                yield -fee.cost

    def _trade_lines(self, items: Sequence[_Item]) -> list[VoucherLine]:
        rows = [(item.day, row) for item in items for row in item.rows]
        if self.policy.settlement.lines is SettlementLines.ITEMISED:
            return [signed_line(row.account, row.amount, row.text) for _, row in rows]
        sums: dict[tuple[date, str, Account], list[Money]] = defaultdict(list)
        for day, row in rows:
            sums[(day, row.what, row.account)].append(row.amount)
        lines = []
        for (day, what, number), amounts in sums.items():
            total = Money.total(amounts, self.policy.books_currency)
            if total:
                lines.append(signed_line(number, total, f"{what} {day.isoformat()}, {len(amounts)}"))
        return lines

    def _fee_lines(self, items: Sequence[_Item], clearing: Account, booked_on: date) -> list[VoucherLine]:
        """Fees against the clearing account, costs and what was returned apart, and their VAT on the sum."""
        policy, home = self.policy, self.policy.books_currency
        daily = policy.settlement.lines is SettlementLines.DAILY
        costs: dict[tuple[str, PartKind, FeeVat, bool], list[Money]] = defaultdict(list)
        nets: dict[FeeVat, Money] = defaultdict(lambda: Money.zero(home))
        for item in items:
            day = f" {item.day.isoformat()}" if daily else ""
            for kind, treatment, value in item.fee_books:
                if value:
                    costs[(day, kind, treatment, value.minor < 0)].append(value)
                if kind is PartKind.FEE:
                    nets[treatment] = nets[treatment] + value
        lines: list[VoucherLine] = []
        for (day, kind, treatment, returned), values in costs.items():
            value = Money.total(values, home)
            expense = account(policy, fee_role(kind, treatment), booked_on)
            text = f"{FEE_ROW_WORDS[kind][returned]}{day}, {len(values)}"
            code = policy.fee_rules.code(treatment) if kind is PartKind.FEE else ""
            own = replace(signed_line(expense, value, text), vat_code=code)
            lines += [own, signed_line(clearing, -value, text)]
        for treatment, net in sorted(nets.items()):
            lines += fee_vat_lines(net, booked_on, policy, treatment)
        return lines


def _by_treatment(fees: Sequence[_Fee]) -> list[tuple[PartKind, FeeVat, Money]]:
    """A movement's fees, and the tax on them, added up by their VAT treatment."""
    sums: dict[tuple[PartKind, FeeVat], Money] = {}
    for fee in fees:
        about = fee.kind, fee.treatment
        sums[about] = sums.get(about, Money.zero(fee.cost.currency)) + fee.cost
    return [(kind, treatment, cost) for (kind, treatment), cost in sorted(sums.items())]


def treatments(movement: Movement, paid: Money, policy: Policy, facts: VatFacts) -> SaleVat:
    """The VAT of a sale: as a rule of the company's own says, else line by line. Raises as `vat_of_sale` does."""
    what = source_of(movement)
    ruled = vat_by_rule(paid, what, route(movement, policy.rules), policy)
    return ruled or vat_of_sale(movement, paid, day_of(movement, policy), policy, facts, what)


def refund_of(movement: Movement, sale: SettledSale, paid: Money) -> GivenBack:
    """What a refund of `paid`, negative, takes off each share: by what is left of them, and all of that if it completes
    the sale. Raises `CannotBook`."""
    back, refunded = -paid, sale.refunded()
    if back.currency != sale.paid.currency:
        raise CannotBook(HoldReason.AMOUNT_DIFFERS, paid=str(sale.paid), refunded=str(back))
    if back > sale.paid - refunded:
        raise CannotBook(HoldReason.REFUND_EXCEEDS, paid=str(sale.paid), refunded=str(refunded), refund=str(back))
    left = sale.left()
    if back == sale.paid - refunded:
        return GivenBack(source_of(movement), back, left)
    rest = Money.total((gross for gross, _ in left), left[0][0].currency)
    if not rest:
        raise CannotBook(HoldReason.LEDGER_PRECISION, amount=str(back), decimals="2")
    whole = sale.paid - refunded
    value = Money.rounded(rest.to_decimal() * back.minor / whole.minor, rest.currency)
    shares = []
    for share, (_, vat_left), gross in zip(
        sale.shares, left, value.allocate([gross.minor for gross, _ in left]), strict=True
    ):
        shares.append((gross, min(gross.tax_included(share.percent), vat_left) if share.vat else share.vat))
    return GivenBack(source_of(movement), back, tuple(shares))


def _reversal(movement: Movement, sale: SettledSale, paid: Money) -> GivenBack:
    """What a refund had taken, given to the sale again: the refund came back. Raises `CannotBook`."""
    taken = next((given for given in reversed(sale.given) if given.source == movement.source_ref), None)
    if taken is None:
        raise CannotBook(HoldReason.ORIGINAL_UNKNOWN, original=movement.source_ref)
    if taken.paid != paid:
        raise CannotBook(HoldReason.AMOUNT_DIFFERS, paid=str(paid), refunded=str(taken.paid))
    back = tuple((-gross, -vat) for gross, vat in taken.shares)
    return GivenBack(f"{movement.source_ref}/back", -paid, back)


def _month(day: date) -> str:
    return day.isoformat()[:7]


def _words(movement: Movement) -> str:
    match movement.kind:
        case MovementKind.SALE_REVERSAL:
            return "bounced payment"
        case MovementKind.REFUND_REVERSAL:
            return "refund that came back"
        case _:
            return "refund"


def _rate_note(paid: Money, rate: ExchangeRate | None) -> str:
    if rate is None:
        return ""
    unit = f" for {rate.unit}" if rate.unit != 1 else ""
    who = publisher(rate.source)
    whose = f", {who}" if who != rate.source else ""
    return f", {paid} at {rate.rate}{unit} of {rate.fixed_on.isoformat()}{whose}"


def _rule(group: _Group, items: Sequence[_Item]) -> str:
    if group.payout:
        rule = (
            "Settlement: one voucher for each payout and month of sale, dated the day the payout was made or the last "
            "of the month of sale, whichever is earlier."
        )
    else:
        rule = "Settlement: payments that no payout's list names have one voucher for each closed day."
    whys = sorted({item.why for item in items if item.why})
    return " ".join([rule, *whys[:3], *(["And other VAT treatments."] if len(whys) > 3 else [])])
