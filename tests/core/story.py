"""The notation of the goldens' upper half: settings, what the provider reports, and when Kvitt runs.

One line each, words in any order after the first few (tests/goldens/README.txt describes them).
"""

import shlex
from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal

from addon.core.books import Books, Code, InvoiceView, Register
from addon.core.dates import FinancialYear
from addon.core.fixings import CurrencyRules, RateChoice, StandIn
from addon.core.kinds import BankSide, BouncedPayment, LostDispute
from addon.core.matching import MatchChoice, MatchRules
from addon.core.money import ExchangeRate, Money
from addon.core.plan.opening import Opening, plan_opening
from addon.core.plan.orphan import CREDIT
from addon.core.plan.sale import customer_key
from addon.core.plan.situation import CannotBook, Carrying
from addon.core.records import (
    Buyer,
    Dispute,
    DisputeState,
    Fee,
    FeeKind,
    Itemisation,
    Movement,
    MovementKind,
    OrderNumber,
    PartKind,
    Payout,
    PayoutState,
    SaleItem,
)
from addon.core.routing import Action, Condition, Rule, Subject
from addon.core.rules import FeeVat, LockedRule, Mode
from addon.core.saleform import Articles, SaleDocument
from addon.core.settlement import SettlementBy, SettlementContra, SettlementLines, SettlementStyle
from addon.core.vat import (
    EuBusiness,
    InvalidNumber,
    NumberCheck,
    NumberState,
    OddVat,
    OssRule,
    Supply,
    read_rules,
)
from tests.core.render import rendered_check, rendered_landed, rendered_plan, rendered_planned
from tests.core.samples import fixing, local, sample_books, sample_policy
from tests.core.simulation import Company

_FEES = {"fee": PartKind.FEE, "tax": PartKind.FEE_TAX, "platform": PartKind.FOREIGN_FEE}


def _item(words: list[str], paid: Money) -> SaleItem:
    """`item "Wool socks" 125.00 vat 25 SE tax 25.00 code txcd_1 reason exempt`; the rest is optional."""
    text, amount = words.pop(0), Money.from_decimal(Decimal(words.pop(0)), paid.currency)
    item = SaleItem(text, Decimal(1), amount)
    while words and words[0] in ("vat", "tax", "code", "reason", "times", "sku"):
        match words.pop(0):
            case "vat":
                item = replace(item, percent=Decimal(words.pop(0)), country=words.pop(0))
            case "tax":
                item = replace(item, tax=Money.from_decimal(Decimal(words.pop(0)), paid.currency))
            case "code":
                item = replace(item, tax_code=words.pop(0))
            case "sku":
                item = replace(item, sku=words.pop(0))
            case "times":
                item = replace(item, quantity=Decimal(words.pop(0)))
            case _:
                item = replace(item, reason=words.pop(0))
    return item


class Story:
    """Reads the lines of a golden and writes down what becomes of them."""

    def __init__(self) -> None:
        self.company = Company(sample_policy())
        self.out: list[str] = []

    def tell(self, text: str) -> str:
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if words:
                self._line(words)
        return "\n".join(self.out)

    def _stand_in(self, rate: ExchangeRate) -> None:
        """The central bank's fixing, of which all days up to a month after it are known."""
        rules = self.company.policy.currency_rules
        before = rules.stand_in.rates if rules.stand_in is not None else ()
        rates = (*before, rate)
        first, last = (sorted(one.fixed_on for one in rates)[place] for place in (0, -1))
        bank = StandIn(RateChoice.RIKSBANK, rates, first - timedelta(days=31), last + timedelta(days=31))
        self.company.policy = replace(self.company.policy, currency_rules=replace(rules, stand_in=bank))

    def _line(self, words: list[str]) -> None:
        match words:
            case ["rule", name, action, *rest]:
                self._rule(name, action, rest)
            case ["set", name, *values]:
                self._set(name, values)
            case ["rate", day, currency, rate, *unit]:
                per = int(unit[1]) if unit else 1
                self.company.learn_rate(fixing(currency, date.fromisoformat(day), rate, per))
            case ["bank", day, currency, rate]:
                self._stand_in(fixing(currency, date.fromisoformat(day), rate, source=RateChoice.RIKSBANK.value))
            case ["own", currency, rate]:
                self.company.own_rates[currency] = Decimal(rate)
            case ["vies", number, state, day]:
                check = NumberCheck(number, NumberState(state), date.fromisoformat(day), f"WAPI{number[-4:]}")
                self.company.checks[number] = check
            case ["payout", ref, amount, currency, state, day, *rest]:
                self._payout(ref, Money.from_decimal(Decimal(amount), currency), state, day, rest)
            case ["dispute", ref, amount, currency, state, "of", original]:
                asked = Money.from_decimal(Decimal(amount), currency)
                opened = local(date(2026, 3, 1))
                self.company.disputes[ref] = Dispute(ref, original, asked, DisputeState(state), opened)
            case ["stranger", ref, amount, currency]:
                self.company.strangers[ref] = Money.from_decimal(Decimal(amount), currency)
            case ["invoice", number, amount, currency, *rest]:
                self._invoice(number, Money.from_decimal(Decimal(amount), currency), rest)
            case ["decide", ref, "credit", treatment]:
                self.company.decisions[ref] = f"{CREDIT}{treatment}"
            case ["decide", ref, "anyway"]:
                self.company.decisions[ref] = "book_anyway"
            case ["article", *numbers]:
                self.company.articles.update(numbers)
            case ["customer", email, name]:
                self.company.customer_names[customer_key(email)] = name
            case ["code", register, code, *closed]:
                books = self.company.policy.books
                codes = (*books.codes, Code(Register(register), code, open=not closed))
                registers = (*books.registers, Register(register))
                self._set_books(replace(books, codes=codes, registers=registers))
            case ["demands", what, account]:
                books = self.company.policy.books
                changed = tuple(
                    replace(one, **{f"needs_{what}": True}) if one.number == account else one for one in books.accounts
                )
                self._set_books(replace(books, accounts=changed))
            case ["lock", day]:
                self.company.lock(date.fromisoformat(day))
            case ["undo", key, *by]:
                self._undo(key, " ".join(by))
            case ["copy", key, number]:
                self.company.doubled(key, number)
            case ["decide", ref, *rest]:
                decision = dict(zip(rest[::2], rest[1::2], strict=True))
                accepts = decision.get("difference", "") == "accepted"
                self.company.choices[ref] = MatchChoice(
                    decision.get("invoice", ""), decision.get("order", ""), accept_difference=accepts
                )
            case ["opening", amount, currency, "from", day, *worth]:
                self._opening(Money.from_decimal(Decimal(amount), currency), date.fromisoformat(day), worth)
            case ["plan", day]:
                self._plan(f"plan {day}", date.fromisoformat(day))
            case ["book"]:
                self._heading("book")
                self._book()
                self.out += rendered_check(self.company)
            case ["run", day]:
                self._run(day)
            case [day, *rest]:
                self._movement(date.fromisoformat(day), rest)

    def _rule(self, name: str, action: str, words: list[str]) -> None:
        conditions: list[Condition] = []
        said: dict[str, str] = {}
        kinds = (MovementKind.SALE,)
        for word in words:
            field, _, value = word.partition("=")
            key, _, meant = value.partition(":")
            if field == "metadata":
                conditions.append(Condition(Subject.METADATA, tuple(meant.split("|")), key))
            elif field == "kinds":
                kinds = tuple(MovementKind(kind) for kind in value.split("|"))
            elif field in set(Subject):
                conditions.append(Condition(Subject(field), tuple(value.split("|"))))
            else:
                said[field] = value
        rule = Rule("", name, Action(action), tuple(conditions), kinds, **said)
        self.company.policy = replace(self.company.policy, rules=(*self.company.policy.rules, rule))

    def _opening(self, balance: Money, start: date, worth: list[str]) -> None:
        """The voucher of an opening, which a person has approved."""
        books = Money.from_decimal(Decimal(worth[1]), "SEK") if worth else balance
        try:
            document = plan_opening(Opening(start, Carrying(balance, books)), self.company.policy)
        except CannotBook as reason:
            self._heading("opening")
            self.out += [
                f"cannot {reason.reason.value}  {', '.join(f'{name}={value}' for name, value in reason.facts)}"
            ]
            return
        assert document is not None
        self.company.planned[document.key] = document

    def _set_books(self, books: Books) -> None:
        self.company.policy = replace(self.company.policy, books=books)

    def _undo(self, key: str, who: str) -> None:
        try:
            self.company.undo(key, who, self.company.policy.today)
        except CannotBook as reason:
            self._heading(f"undo {key}")
            self.out += [f"cannot {reason.reason.value}  {', '.join(': '.join(fact) for fact in reason.facts)}"]

    def _heading(self, text: str) -> None:
        self.out += ([""] if self.out else []) + [f"=== {text}"]

    def _plan(self, heading: str, today: date) -> None:
        self._heading(heading)
        result = self.company.plan(today)
        self.out += [rendered_planned(document) for document in result.documents]
        self.out += rendered_plan(self.company, result)
        self.out += rendered_check(self.company)

    def _run(self, day: str) -> None:
        self._heading(f"run {day}")
        result = self.company.plan(date.fromisoformat(day))
        self._book()
        self.out += rendered_plan(self.company, result)
        self.out += rendered_check(self.company)

    def _book(self) -> None:
        for landed in self.company.book():
            self.out += rendered_landed(landed)

    def _set(self, name: str, values: list[str]) -> None:
        company = self.company
        policy = company.policy
        match name, values:
            case "mode", [mode]:
                policy = replace(policy, mode=Mode(mode))
            case "fee_vat", [word]:
                policy = replace(policy, fee_vat=FeeVat(word))
            case "fees", [kind, treatment]:
                treatments = (*policy.fee_rules.treatments, (FeeKind(kind), FeeVat(treatment)))
                policy = replace(policy, fee_rules=replace(policy.fee_rules, treatments=treatments))
            case "fee_code", [treatment, code]:
                codes = (*policy.fee_rules.codes, (FeeVat(treatment), code))
                policy = replace(policy, fee_rules=replace(policy.fee_rules, codes=codes))
            case "revaluation", [choice]:
                company.values_year_ends = choice == "yes"
            case "rates", [source]:
                policy = replace(policy, currency_rules=CurrencyRules(RateChoice(source)))
            case "rates", [source, "known", first, through]:
                days = date.fromisoformat(first), date.fromisoformat(through)
                policy = replace(policy, currency_rules=CurrencyRules(RateChoice(source), *days))
            case "tolerance", [amount]:
                policy = replace(policy, tolerance_minor=Money.from_decimal(Decimal(amount), "SEK").minor)
            case "collective", []:
                policy = replace(policy, collective_customers=True)
            case "vat", [percent]:
                policy = replace(policy, default_vat_percent=int(percent))
            case "vat_rules", [text]:
                policy = replace(policy, vat=replace(policy.vat, rules=read_rules(text)))
            case "oss", [word]:
                policy = replace(policy, vat=replace(policy.vat, oss=OssRule(word)))
            case "oss_before", [year, amount]:
                minor = Money.from_decimal(Decimal(amount), "SEK").minor
                policy = replace(policy, vat=replace(policy.vat, oss_before_year=int(year), oss_before_minor=minor))
            case "eu_business", [word]:
                policy = replace(policy, vat=replace(policy.vat, eu_business=EuBusiness(word)))
            case "invalid_number", [word]:
                policy = replace(policy, vat=replace(policy.vat, invalid_number=InvalidNumber(word)))
            case "odd_vat", [word]:
                policy = replace(policy, vat=replace(policy.vat, odd=OddVat(word)))
            case "supply", [word]:
                policy = replace(policy, vat=replace(policy.vat, supply=Supply(word)))
            case "tax_lines", ["no"]:
                policy = replace(policy, vat=replace(policy.vat, tax_lines=False))
            case "export", ["with", "vat"]:
                policy = replace(policy, export_without_vat=False)
            case "text", [text]:
                policy = replace(policy, invoice_text=text)
            case "locked", [through, rule]:
                books = replace(policy.books, locked_through=date.fromisoformat(through))
                policy = replace(policy, books=books, locked_rule=LockedRule(rule))
            case "locked", [through]:
                policy = replace(policy, books=replace(policy.books, locked_through=date.fromisoformat(through)))
            case "unlocked", []:
                policy = replace(policy, books=replace(policy.books, locked_through=None))
            case "year", [year]:
                whole = FinancialYear(year, date(int(year), 1, 1), date(int(year), 12, 31), accrual=True)
                policy = replace(policy, books=sample_books(years=(whole,)))
            case "inactive", numbers:
                policy = replace(policy, books=sample_books(inactive=numbers))
            case "missing", numbers:
                policy = replace(policy, books=sample_books(without=numbers))
            case "manual", codes:
                currencies = tuple(
                    replace(known, automatic=known.code not in codes) for known in policy.books.currencies
                )
                policy = replace(policy, books=replace(policy.books, currencies=currencies))
            case "account", [role, number]:
                numbers = {**policy.accounts.numbers, role: number}
                policy = replace(policy, accounts=replace(policy.accounts, numbers=numbers))
            case "unmapped", [role]:
                numbers = {key: value for key, value in policy.accounts.numbers.items() if key != role}
                policy = replace(policy, accounts=replace(policy.accounts, numbers=numbers))
            case "patterns", patterns:
                policy = replace(policy, matching=MatchRules(tuple(patterns)))
            case "book_drafts", []:
                policy = replace(policy, matching=replace(policy.matching, book_drafts=True))
            case "settlement", words:
                style = dict(zip(words[::2], words[1::2], strict=True))
                policy = replace(
                    policy,
                    settlement=SettlementStyle(
                        SettlementLines(style.get("lines", "itemised")),
                        SettlementContra(style.get("contra", "sales")),
                        SettlementBy(style.get("by", "payout")),
                    ),
                )
            case "form", words:
                form = policy.form
                for word, value in zip(words[::2], words[1::2], strict=True):
                    shaped: object = value
                    match word:
                        case "document":
                            shaped = SaleDocument(value)
                        case "articles":
                            shaped = Articles(value)
                        case "payment_terms" | "cost_centre" | "project":
                            pass
                        case _:
                            shaped = value == "yes"
                    form = replace(form, **{word: shaped})
                policy = replace(policy, form=form)
            case "dispute_lost", [word]:
                policy = replace(policy, kind_rules=replace(policy.kind_rules, dispute_lost=LostDispute(word)))
            case "bounced_payment", [word]:
                policy = replace(policy, kind_rules=replace(policy.kind_rules, bounced_payment=BouncedPayment(word)))
            case "bank_side", [word]:
                policy = replace(policy, kind_rules=replace(policy.kind_rules, bank_side=BankSide(word)))
            case "books", ["round", how]:
                company.rounds = True
                policy = replace(policy, rounds_to_whole={"known": True, "unknown": False}[how])
            case _:
                raise AssertionError(f"no such setting: {name} {values}")
        company.policy = policy

    def _payout(self, ref: str, amount: Money, state: str, day: str, rest: list[str]) -> None:
        arrival = None if day == "-" else date.fromisoformat(day)
        self.company.payouts[ref] = Payout(
            ref,
            amount,
            PayoutState(state),
            local(arrival or date(2026, 3, 1)),
            arrival,
            Itemisation(rest[0]) if rest else Itemisation.COMPLETE,
        )

    def _invoice(self, number: str, total: Money, rest: list[str]) -> None:
        order, dated, balance, booked, cancelled = "", date(2026, 3, 1), total, True, False
        mark = ""
        words = list(rest)
        while words:
            match words.pop(0):
                case "order":
                    order = words.pop(0)
                case "dated":
                    dated = date.fromisoformat(words.pop(0))
                case "open":
                    balance = Money.from_decimal(Decimal(words.pop(0)), total.currency)
                case "unbooked":
                    booked = False
                case "cancelled":
                    cancelled = True
                case "mark":
                    mark = words.pop(0)
                case other:
                    raise AssertionError(f"invoice {number}: {other}?")
        self.company.invoices[number] = InvoiceView(
            number=number,
            currency=total.currency,
            total=total,
            balance=balance,
            vat=Decimal(0),
            rate=Decimal(1),
            unit=1,
            booked=booked,
            cancelled=cancelled,
            invoice_date=dated,
            order_number=order,
            our_key=mark,
        )

    def _movement(self, day: date, rest: list[str]) -> None:
        words = list(rest)
        at = time.fromisoformat(words.pop(0)) if ":" in words[0] else time(12, 0)
        kind, _, raw = words.pop(0).partition(":")
        source, ref = words.pop(0), words.pop(0)
        amount = Money.from_decimal(Decimal(words.pop(0)), words.pop(0))
        fees: list[Fee] = []
        orders: list[OrderNumber] = []
        items: list[SaleItem] = []
        original, payout, description, presented = "", "", "", None
        buyer, method, fee_kind = Buyer(), "", FeeKind.PAYMENT
        metadata: list[tuple[str, str]] = []
        items: list[SaleItem] = []
        while words:
            word = words.pop(0)
            match word:
                case "fee" | "tax" | "platform":
                    fees.append(Fee(_FEES[word], Money.from_decimal(Decimal(words.pop(0)), amount.currency)))
                case "for" if fees:
                    fees[-1] = replace(fees[-1], service=FeeKind(words.pop(0)))
                case "for":
                    fee_kind = FeeKind(words.pop(0))
                case "of":
                    original = words.pop(0)
                case "order":
                    orders.append(OrderNumber("metadata.order_id", words.pop(0)))
                case "buyer":
                    buyer = Buyer(words.pop(0), words.pop(0), words.pop(0))
                case "vatno":
                    buyer = replace(buyer, vat_number=words.pop(0))
                case "to":
                    buyer = replace(buyer, delivery_country=words.pop(0))
                case "item" | "discount":
                    items.append(_item(words, presented or amount))
                case "paid":
                    presented = Money.from_decimal(Decimal(words.pop(0)), words.pop(0))
                case "in":
                    payout = words.pop(0)
                case "method":
                    method = words.pop(0)
                case "meta":
                    metadata.append((words.pop(0), words.pop(0)))
                case "sku":
                    price = presented or amount
                    number = words.pop(0)
                    items.append(SaleItem(words.pop(0), Decimal(1), price, number))
                case "says":
                    description = words.pop(0)
                case other:
                    raise AssertionError(f"{ref}: {other}?")
        movement = Movement(
            ref=ref,
            kind=MovementKind(kind),
            amount=amount,
            occurred_at=local(day, at),
            fees=tuple(fees),
            source_ref="" if source == "-" else source,
            original_ref=original,
            presented=presented,
            order_numbers=tuple(orders),
            buyer=buyer,
            description=description,
            raw_kind=raw,
            items=tuple(items),
            metadata=tuple(metadata),
            payment_method=method,
            fee_kind=fee_kind,
        )
        self.company.fetch(movement, payout)
