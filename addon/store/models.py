"""The tables. Amounts are whole smallest units beside their currency; instants are aware UTC.

JSON columns do not notice a change inside a value: assign a new one.
Each table with business data has `company_id` and stands under row-level security in PostgreSQL. The tables of
`OPEN_TABLES` hold no business data; sweeps, webhooks and sign-in read only those to find ids.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    Time,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = BigInteger().with_variant(Integer, "sqlite")
"""`BigInteger` primary keys do not count up on SQLite."""


class NaiveInstantRefused(TypeError):
    """A datetime without a zone was about to be stored."""


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant. SQLite drops zones, so they are refused, converted and put back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: aware only, as UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise NaiveInstantRefused("instants are stored aware")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database: aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Clipped(TypeDecorator[str]):
    """Words of strangers for lists and searches: cut to the column's length, without what PostgreSQL refuses.

    NUL characters and halves of surrogate pairs occur in providers' records; the record itself keeps them, as
    escapes in JSON. Never for references, which must stay what they are or be refused.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To the database."""
        if value is None:
            return None
        clean = value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
        return clean[: self.length]


class Base(DeclarativeBase):
    """All tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: Instant(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        list[str]: JSON(),
    }


class OfCompany:
    """A row of one company's business data. Each of these tables has an index that begins with `company_id`."""

    company_id: Mapped[int] = mapped_column(Id, ForeignKey("companies.id"))


def _within(column: str, table: str) -> ForeignKeyConstraint:
    """A reference to a row of the same company. PostgreSQL's foreign keys see past row-level security."""
    return ForeignKeyConstraint(["company_id", column], [f"{table}.company_id", f"{table}.id"])


def _referable() -> UniqueConstraint:
    """What `_within` refers to."""
    return UniqueConstraint("company_id", "id")


# --- Open tables: no business data ---------------------------------------------------------------------------


class Company(Base):
    """A company that installed Kvitt. `state`: setting_up, active, stopped, disconnected."""

    __tablename__ = "companies"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Clipped(200))
    accounting: Mapped[str] = mapped_column(String(20))
    tenant: Mapped[str] = mapped_column(String(60))
    organisation_number: Mapped[str] = mapped_column(String(30), default="")
    country: Mapped[str] = mapped_column(String(2), default="SE")
    currency: Mapped[str] = mapped_column(String(3), default="SEK")
    time_zone: Mapped[str] = mapped_column(String(60), default="Europe/Stockholm")
    daily_at: Mapped[time] = mapped_column(Time, default=time(5, 0))
    state: Mapped[str] = mapped_column(String(20), default="setting_up")
    stop_reason: Mapped[str] = mapped_column(String(60), default="")
    sandbox: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("accounting", "tenant"),)


class CompanyWork(Base):
    """What is due for a company, and who works on it: the lease row. The database's clock decides."""

    __tablename__ = "company_work"
    company_id: Mapped[int] = mapped_column(Id, ForeignKey("companies.id"), primary_key=True)
    wanted_at: Mapped[datetime | None]
    wanted_by: Mapped[str] = mapped_column(String(20), default="")
    next_run_at: Mapped[datetime | None] = mapped_column(index=True)
    lease_holder: Mapped[str] = mapped_column(String(80), default="")
    lease_until: Mapped[datetime | None]
    slice_started_at: Mapped[datetime | None]
    gauges: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """How many parts wait or are held, by reason, and since when something should have been booked: no more."""


class TallyRow(Base):
    """How often something happened, over all companies and processes. `labels` name no company."""

    __tablename__ = "tallies"
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    labels: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


class WebSession(Base):
    """A browser that is signed in to a company. Only the hash of its token is kept."""

    __tablename__ = "web_sessions"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    company_id: Mapped[int] = mapped_column(Id, ForeignKey("companies.id"))
    who: Mapped[str] = mapped_column(Clipped(200), default="")
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Member(Base):
    """An e-mail address to which a company's sign-in links go. A person of the company gave it."""

    __tablename__ = "members"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    company_id: Mapped[int] = mapped_column(Id, ForeignKey("companies.id"))
    email: Mapped[str] = mapped_column(String(254), index=True)
    who: Mapped[str] = mapped_column(Clipped(200), default="")
    created_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("company_id", "email"),)


class SignInLink(Base):
    """A link that was mailed to an address. Only the hash of its token is kept; it works once."""

    __tablename__ = "sign_in_links"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    email: Mapped[str] = mapped_column(String(254), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ProviderAccount(Base):
    """Which company a provider's account belongs to: only one."""

    __tablename__ = "provider_accounts"
    provider: Mapped[str] = mapped_column(String(20), primary_key=True)
    account_ref: Mapped[str] = mapped_column(String(80), primary_key=True)
    company_id: Mapped[int] = mapped_column(Id, ForeignKey("companies.id"))


class ParkedActivation(Base):
    """A consent that the marketplace started, until the person in that browser confirms it."""

    __tablename__ = "parked_activations"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    accounting: Mapped[str] = mapped_column(String(20))
    tenant: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(Clipped(200))
    organisation_number: Mapped[str] = mapped_column(String(30), default="")
    country: Mapped[str] = mapped_column(String(2), default="SE")
    grant_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class WebhookEvent(Base):
    """An event that a provider announced: a nudge, kept so that it counts once."""

    __tablename__ = "webhook_events"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    provider: Mapped[str] = mapped_column(String(20))
    event_ref: Mapped[str] = mapped_column(String(120))
    event_type: Mapped[str] = mapped_column(Clipped(120), default="")
    account_ref: Mapped[str] = mapped_column(String(80), default="")
    company_id: Mapped[int | None] = mapped_column(Id, ForeignKey("companies.id"))
    received_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("provider", "event_ref"),)


# --- Business data ------------------------------------------------------------------------------------------


class AccountingConnection(OfCompany, Base):
    """The access to the accounting system. `state`: connected, needs_reconnect, disconnected."""

    __tablename__ = "accounting_connections"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    system: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), default="connected")
    grant_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime | None]
    renewed_at: Mapped[datetime | None]
    audited_at: Mapped[datetime | None]
    customers_read_at: Mapped[datetime | None]
    articles_read_at: Mapped[datetime | None]
    watched_at: Mapped[datetime | None]
    """When it was last asked what people have done with drafts and orders that wait for them."""
    lookups_first_until: Mapped[datetime | None]
    """After a restore or re-install, first attempts look up first."""
    connected_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("company_id"),)


class CompanySettings(OfCompany, Base):
    """A company's settings by key; `addon.services.settings` knows keys, types and defaults."""

    __tablename__ = "company_settings"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    values: Mapped[dict[str, Any]] = mapped_column(default=dict)
    __table_args__ = (UniqueConstraint("company_id"),)


class Connection(OfCompany, Base):
    """A connection to a payment provider. `way`: connect, app, key; `state` as for accounting."""

    __tablename__ = "connections"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    provider: Mapped[str] = mapped_column(String(20))
    way: Mapped[str] = mapped_column(String(20))
    account_ref: Mapped[str] = mapped_column(String(80))
    account_name: Mapped[str] = mapped_column(Clipped(200), default="")
    country: Mapped[str] = mapped_column(String(2), default="")
    state: Mapped[str] = mapped_column(String(20), default="connected")
    grant_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime | None]
    renewed_at: Mapped[datetime | None]
    mode: Mapped[str] = mapped_column(String(20), default="")
    """Empty until the person has chosen."""
    start_date: Mapped[date | None] = mapped_column(Date)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    fetched_until: Mapped[datetime | None]
    opening: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Opening balance by currency, in smallest units."""
    invoices_seen_at: Mapped[datetime | None]
    connected_at: Mapped[datetime]
    __table_args__ = (
        _referable(),
        UniqueConstraint("company_id", "provider", "account_ref"),
    )


class MovementRow(OfCompany, Base):
    """A movement as fetched: our value and the provider's raw record."""

    __tablename__ = "movements"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    connection_id: Mapped[int] = mapped_column(Id)
    ref: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(30))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    net_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    presented_minor: Mapped[int | None] = mapped_column(BigInteger)
    presented_currency: Mapped[str] = mapped_column(String(3), default="")
    occurred_at: Mapped[datetime]
    booking_date: Mapped[date] = mapped_column(Date)
    source_ref: Mapped[str] = mapped_column(String(120), default="")
    original_ref: Mapped[str] = mapped_column(String(120), default="")
    payout_ref: Mapped[str] = mapped_column(String(120), default="")
    order_number: Mapped[str] = mapped_column(Clipped(120), default="")
    buyer: Mapped[str] = mapped_column(Clipped(320), default="")
    value: Mapped[dict[str, Any]]
    raw: Mapped[dict[str, Any]]
    fetched_at: Mapped[datetime]
    __table_args__ = (
        _referable(),
        _within("connection_id", "connections"),
        UniqueConstraint("connection_id", "ref"),
        # The overview adds up a month out of the index alone.
        Index(
            "ix_movements_list",
            "company_id",
            "occurred_at",
            "id",
            postgresql_include=["booking_date", "kind", "currency", "amount_minor", "net_minor"],
        ),
        Index("ix_movements_source", "connection_id", "source_ref"),
        Index("ix_movements_payout", "connection_id", "payout_ref"),
        # What the pages search and filter by; texts are also found by how they begin.
        Index("ix_movements_original", "connection_id", "original_ref"),
        Index("ix_movements_kind", "company_id", "kind", "occurred_at", "id"),
        Index("ix_movements_currency", "company_id", "currency", "occurred_at", "id"),
        Index("ix_movements_amount", "company_id", "amount_minor"),
        Index(
            "ix_movements_order",
            "company_id",
            "order_number",
            postgresql_ops={"order_number": "text_pattern_ops"},
        ),
        Index("ix_movements_buyer", "company_id", "buyer", postgresql_ops={"buyer": "text_pattern_ops"}),
    )


class PartRow(OfCompany, Base):
    """A part of a movement and its one state (`PartState`)."""

    __tablename__ = "parts"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    connection_id: Mapped[int] = mapped_column(Id)
    movement_id: Mapped[int] = mapped_column(Id, index=True)
    name: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(20))
    service: Mapped[str] = mapped_column(String(20), default="payment")
    """What a fee is for (`FeeKind`)."""
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    state: Mapped[str] = mapped_column(String(20), default="open")
    reason: Mapped[str] = mapped_column(String(40), default="")
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    wait_until: Mapped[date | None] = mapped_column(Date)
    waiting_since: Mapped[datetime | None]
    searched_at: Mapped[datetime | None]
    document_id: Mapped[int | None] = mapped_column(Id, index=True)
    changed_at: Mapped[datetime]
    set_aside_by: Mapped[str] = mapped_column(Clipped(200), default="")
    set_aside_where: Mapped[str] = mapped_column(Clipped(200), default="")
    """Where it is booked elsewhere; empty: nowhere."""
    decision: Mapped[str] = mapped_column(String(80), default="", server_default="")
    """What a person decided of this part alone, see `addon.core.joining.Decision`; empty: nothing."""
    match_choice: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What a person has decided about the payment (`MatchChoice`): its invoice, its order number, a difference."""
    __table_args__ = (
        _within("connection_id", "connections"),
        _within("movement_id", "movements"),
        _within("document_id", "documents"),
        UniqueConstraint("movement_id", "name"),
        Index("ix_parts_state", "company_id", "state", "connection_id"),
        CheckConstraint("state <> 'booked' OR document_id IS NOT NULL", name="booked_by_a_document"),
    )


class PayoutRow(OfCompany, Base):
    """A payout as it stands at the provider, and the proof of its lines."""

    __tablename__ = "payouts"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    connection_id: Mapped[int] = mapped_column(Id)
    ref: Mapped[str] = mapped_column(String(120))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    state: Mapped[str] = mapped_column(String(20))
    itemisation: Mapped[str] = mapped_column(String(20))
    arrival_date: Mapped[date | None] = mapped_column(Date)
    paid_out_at: Mapped[datetime]
    items_read: Mapped[bool] = mapped_column(Boolean, default=False)
    items_minor: Mapped[int | None] = mapped_column(BigInteger)
    """Sum of its movements' nets, once all are read."""
    value: Mapped[dict[str, Any]]
    raw: Mapped[dict[str, Any]]
    fetched_at: Mapped[datetime]
    __table_args__ = (
        _within("connection_id", "connections"),
        UniqueConstraint("connection_id", "ref"),
        Index("ix_payouts_list", "company_id", "paid_out_at"),
    )


class DisputeRow(OfCompany, Base):
    """A dispute as it stands at the provider. `state` as `DisputeState`."""

    __tablename__ = "disputes"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    connection_id: Mapped[int] = mapped_column(Id)
    ref: Mapped[str] = mapped_column(String(120))
    original_ref: Mapped[str] = mapped_column(String(120), default="")
    state: Mapped[str] = mapped_column(String(20))
    opened_at: Mapped[datetime]
    value: Mapped[dict[str, Any]]
    raw: Mapped[dict[str, Any]]
    fetched_at: Mapped[datetime]
    __table_args__ = (
        _within("connection_id", "connections"),
        UniqueConstraint("connection_id", "ref"),
        Index("ix_disputes_list", "company_id", "opened_at"),
    )


class DocumentRow(OfCompany, Base):
    """A planned document: what it books, and what became of it. `state` as `DeliveryState`, over its steps."""

    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    connection_id: Mapped[int] = mapped_column(Id)
    run_id: Mapped[int | None] = mapped_column(Id)
    key: Mapped[str] = mapped_column(String(160))
    kind: Mapped[str] = mapped_column(String(20))
    booking_date: Mapped[date] = mapped_column(Date)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    source_ref: Mapped[str] = mapped_column(String(120), default="")
    rule: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]]
    fingerprint: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(20), default="proposed")
    hold_reason: Mapped[str] = mapped_column(String(40), default="")
    hold_facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    number: Mapped[str] = mapped_column(String(60), default="")
    """Their invoice number or voucher reference."""
    invoice_total_minor: Mapped[int | None] = mapped_column(BigInteger)
    invoice_rate: Mapped[str] = mapped_column(String(40), default="")
    """What one major unit of the document's currency was in the books, as the system answered."""
    clearing_account: Mapped[str] = mapped_column(String(20), default="")
    clearing_currency: Mapped[str] = mapped_column(String(3), default="")
    clearing_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    """Effect on the clearing account in the balance's currency."""
    clearing_books_minor: Mapped[int | None] = mapped_column(BigInteger)
    """The same in the books' currency, once known."""
    other_clearing_account: Mapped[str] = mapped_column(String(20), default="")
    """The second clearing account of a conversion between two balances; empty for all else."""
    other_clearing_currency: Mapped[str] = mapped_column(String(3), default="")
    other_clearing_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    other_clearing_books_minor: Mapped[int | None] = mapped_column(BigInteger)
    vouchers: Mapped[list[str]] = mapped_column(default=list)
    planned_at: Mapped[datetime]
    approved_at: Mapped[datetime | None]
    booked_at: Mapped[datetime | None]
    undone_by: Mapped[int | None] = mapped_column(Id)
    """The document that takes this one back, from the moment it is planned."""
    __table_args__ = (
        _referable(),
        _within("connection_id", "connections"),
        _within("run_id", "runs"),
        UniqueConstraint("company_id", "key"),
        Index("ix_documents_state", "company_id", "state", "id"),
        Index("ix_documents_number", "company_id", "number"),
        Index("ix_documents_source", "connection_id", "source_ref"),
        Index("ix_documents_kind", "connection_id", "kind"),
    )


class DeliveryRow(OfCompany, Base):
    """One remote write of a document, its lease and its answer. `needs_lookup` is set before a byte leaves."""

    __tablename__ = "deliveries"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    document_id: Mapped[int] = mapped_column(Id)
    seq: Mapped[int] = mapped_column(Integer)
    key: Mapped[str] = mapped_column(String(180))
    kind: Mapped[str] = mapped_column(String(30))
    payload: Mapped[dict[str, Any]]
    alone_on: Mapped[str] = mapped_column(String(200), default="")
    """What only one write may be under way on: an invoice, or the voucher series. Empty: nothing."""
    state: Mapped[str] = mapped_column(String(20), default="proposed")
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    needs_lookup: Mapped[bool] = mapped_column(Boolean, default=False)
    look_first: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether the present attempt must look before it writes: what `needs_lookup` was when it was claimed."""
    misses: Mapped[int] = mapped_column(Integer, default=0)
    """How many times in a row a look-up has said "not there"."""
    missed_at: Mapped[datetime | None]
    """When it first did."""
    doubtful: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether an attempt ever ended without a readable answer: then booking looks for copies first."""
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    first_attempted_at: Mapped[datetime | None]
    """Look-ups over dates must go back to here."""
    attempted_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    reference: Mapped[str] = mapped_column(String(80), default="")
    answer: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error_code: Mapped[str] = mapped_column(Clipped(40), default="")
    error_message: Mapped[str] = mapped_column(Clipped(2000), default="")
    booked_at: Mapped[datetime | None]
    __table_args__ = (
        _within("document_id", "documents"),
        UniqueConstraint("company_id", "key"),
        UniqueConstraint("document_id", "seq"),
        Index("ix_deliveries_work", "company_id", "state", "document_id", "seq"),
        Index(
            "ix_deliveries_under_way",
            "company_id",
            "alone_on",
            postgresql_where=text("needs_lookup"),
            sqlite_where=text("needs_lookup = 1"),
        ),
        Index(
            "uq_deliveries_sending_document",
            "document_id",
            unique=True,
            postgresql_where=text("state = 'sending'"),
            sqlite_where=text("state = 'sending'"),
        ),
        Index(
            "uq_deliveries_sending_alone",
            "company_id",
            "alone_on",
            unique=True,
            postgresql_where=text("state = 'sending' AND alone_on <> ''"),
            sqlite_where=text("state = 'sending' AND alone_on <> ''"),
        ),
    )


class CustomerRow(OfCompany, Base):
    """A customer's number in the books, by our key and by e-mail."""

    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(160))
    number: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(Clipped(1024), default="")
    email: Mapped[str] = mapped_column(Clipped(320), default="")
    __table_args__ = (
        UniqueConstraint("company_id", "key"),
        Index("ix_customers_email", "company_id", "email"),
    )


class ArticleRow(OfCompany, Base):
    """An article number that is in the books, so that rows of invoices may name it."""

    __tablename__ = "articles"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    number: Mapped[str] = mapped_column(String(50))
    __table_args__ = (UniqueConstraint("company_id", "number"),)


class AccountRuleRow(OfCompany, Base):
    """One of a company's account rules (`addon.core.routing.Rule`); `connection_id` None: for all connections."""

    __tablename__ = "account_rules"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    connection_id: Mapped[int | None] = mapped_column(Id)
    position: Mapped[int] = mapped_column(Integer)
    value: Mapped[dict[str, Any]]
    changed_by: Mapped[str] = mapped_column(Clipped(200), default="")
    changed_at: Mapped[datetime]
    __table_args__ = (
        _within("connection_id", "connections"),
        Index("ix_account_rules_order", "company_id", "position"),
    )


class RunRow(OfCompany, Base):
    """A run: fetch, plan, post, prove. `state`: running, done, failed; slices carry it on."""

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    connection_id: Mapped[int | None] = mapped_column(Id)
    trigger: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), default="running")
    phase: Mapped[str] = mapped_column(String(20), default="fetch")
    since: Mapped[date | None] = mapped_column(Date)
    cursor: Mapped[dict[str, Any]] = mapped_column(default=dict)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    now_doing: Mapped[str] = mapped_column(Clipped(200), default="")
    message: Mapped[str] = mapped_column(Clipped(2000), default="")
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        _referable(),
        _within("connection_id", "connections"),
        Index("ix_runs_list", "company_id", "started_at"),
    )


class RunItemRow(OfCompany, Base):
    """Something that a run which only looks has found: `what` document, hold, wait, totals, search or staged.

    `words` is what a person may search a document by: order number, customer, references.
    """

    __tablename__ = "run_items"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(Id)
    what: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(String(180), default="")
    kind: Mapped[str] = mapped_column(String(20), default="")
    booking_date: Mapped[date | None] = mapped_column(Date)
    total_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    currency: Mapped[str] = mapped_column(String(3), default="")
    words: Mapped[str] = mapped_column(Clipped(400), default="")
    payload: Mapped[dict[str, Any]]
    __table_args__ = (
        _within("run_id", "runs"),
        Index("ix_run_items_list", "company_id", "run_id", "what", "id"),
    )


class CallRow(OfCompany, Base):
    """One HTTP call made for a company."""

    __tablename__ = "calls"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int | None] = mapped_column(Id)
    delivery_id: Mapped[int | None] = mapped_column(Id, index=True)
    at: Mapped[datetime]
    system: Mapped[str] = mapped_column(String(20))
    method: Mapped[str] = mapped_column(String(10))
    path: Mapped[str] = mapped_column(Clipped(300))
    status: Mapped[int | None] = mapped_column(Integer)
    duration_ms: Mapped[int] = mapped_column(Integer)
    request_ref: Mapped[str] = mapped_column(Clipped(120), default="")
    note: Mapped[str] = mapped_column(Clipped(200), default="")
    __table_args__ = (
        Index("ix_calls_list", "company_id", "at"),
        Index("ix_calls_run", "run_id"),
    )


class ProofRow(OfCompany, Base):
    """The clearing identity of a connection and balance currency at an instant, in smallest units."""

    __tablename__ = "proofs"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    connection_id: Mapped[int] = mapped_column(Id)
    run_id: Mapped[int | None] = mapped_column(Id)
    currency: Mapped[str] = mapped_column(String(3))
    at: Mapped[datetime]
    opening_minor: Mapped[int] = mapped_column(BigInteger)
    provider_minor: Mapped[int] = mapped_column(BigInteger)
    ledger_minor: Mapped[int] = mapped_column(BigInteger)
    not_booked_minor: Mapped[int] = mapped_column(BigInteger)
    difference_minor: Mapped[int] = mapped_column(BigInteger)
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    __table_args__ = (
        _within("connection_id", "connections"),
        Index("ix_proofs_list", "company_id", "connection_id", "currency", "at"),
    )


class StatementRow(OfCompany, Base):
    """A statement of a clearing account as it was made (`addon.core.statement.Statement`). Rows are only ever added.

    Made again for the same days, it is a new row if it says something else; the newest one counts.
    """

    __tablename__ = "statements"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    connection_id: Mapped[int] = mapped_column(Id)
    currency: Mapped[str] = mapped_column(String(3))
    since: Mapped[date] = mapped_column(Date)
    until: Mapped[date] = mapped_column(Date)
    made_at: Mapped[datetime]
    made_by: Mapped[str] = mapped_column(Clipped(200), default="")
    holds: Mapped[bool] = mapped_column(Boolean)
    fingerprint: Mapped[str] = mapped_column(String(64))
    value: Mapped[dict[str, Any]]
    __table_args__ = (
        _within("connection_id", "connections"),
        Index("ix_statements_list", "company_id", "until", "id"),
    )


class EvidenceRow(OfCompany, Base):
    """The provider's record on its way to a voucher. `state`: wanted, uploaded, attached, given_up.

    `file_ref` is committed before the file is connected, so that a repeat can ask whether it is.
    """

    __tablename__ = "evidence"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    document_id: Mapped[int] = mapped_column(Id)
    voucher: Mapped[str] = mapped_column(String(60))
    state: Mapped[str] = mapped_column(String(20), default="wanted")
    file_ref: Mapped[str] = mapped_column(String(80), default="")
    file_name: Mapped[str] = mapped_column(String(200), default="")
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    doubtful: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether connecting it ended without a readable answer: then it is asked for first."""
    error: Mapped[str] = mapped_column(Clipped(2000), default="")
    changed_at: Mapped[datetime]
    __table_args__ = (
        _within("document_id", "documents"),
        UniqueConstraint("document_id"),
        Index("ix_evidence_state", "company_id", "state", "id"),
    )


class CheckRow(OfCompany, Base):
    """The latest result of one prerequisite."""

    __tablename__ = "checks"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    code: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(60), default="")
    year_ref: Mapped[str] = mapped_column(String(20), default="")
    ok: Mapped[bool] = mapped_column(Boolean)
    stops: Mapped[bool] = mapped_column(Boolean)
    repair: Mapped[dict[str, Any]] = mapped_column(default=dict)
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    checked_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("company_id", "code", "subject", "year_ref"),)


class BooksRow(OfCompany, Base):
    """What was last read of the company's books (`addon.core.books.Books`)."""

    __tablename__ = "books"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    value: Mapped[dict[str, Any]]
    read_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("company_id"),)


class RateRow(OfCompany, Base):
    """An exchange rate that was read; `rate` is a decimal in text, for `unit` of the base currency."""

    __tablename__ = "exchange_rates"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    base: Mapped[str] = mapped_column(String(3))
    quote: Mapped[str] = mapped_column(String(3))
    fixed_on: Mapped[date] = mapped_column(Date)
    rate: Mapped[str] = mapped_column(String(40))
    unit: Mapped[int] = mapped_column(Integer)
    source: Mapped[str] = mapped_column(String(40))
    __table_args__ = (UniqueConstraint("company_id", "base", "quote", "fixed_on"),)


class FeeInvoiceRow(OfCompany, Base):
    """What a provider's tax invoice says of a month's fees, as a person typed it in; the latest figure counts.

    `month` is the provider's own: its first day, by UTC. `net_minor` is without VAT, `vat_minor` the VAT on it.
    """

    __tablename__ = "fee_invoices"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    connection_id: Mapped[int] = mapped_column(Id)
    month: Mapped[date] = mapped_column(Date)
    currency: Mapped[str] = mapped_column(String(3))
    net_minor: Mapped[int] = mapped_column(BigInteger)
    vat_minor: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[str] = mapped_column(Clipped(80), default="")
    entered_by: Mapped[str] = mapped_column(Clipped(200))
    entered_at: Mapped[datetime]
    __table_args__ = (
        _within("connection_id", "connections"),
        UniqueConstraint("company_id", "connection_id", "month", "currency"),
    )


class PublishedRateRow(Base):
    """A fixing as a bank published it, its own way round; the same for every company, and anybody may read it."""

    __tablename__ = "published_rates"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    source: Mapped[str] = mapped_column(String(40))
    base: Mapped[str] = mapped_column(String(3))
    quote: Mapped[str] = mapped_column(String(3))
    fixed_on: Mapped[date] = mapped_column(Date)
    rate: Mapped[str] = mapped_column(String(40))
    unit: Mapped[int] = mapped_column(Integer)
    read_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("source", "fixed_on", "base", "quote"),)


class RateReadRow(Base):
    """Which days of a bank's fixings are known: all from `first_day` through `through`, holidays included."""

    __tablename__ = "rate_reads"
    source: Mapped[str] = mapped_column(String(40), primary_key=True)
    first_day: Mapped[date] = mapped_column(Date)
    through: Mapped[date] = mapped_column(Date)
    read_at: Mapped[datetime]


class OssRow(OfCompany, Base):
    """What a document adds to the figures of sales to consumers in other EU countries; books' currency, signed."""

    __tablename__ = "oss_amounts"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    document_id: Mapped[int] = mapped_column(Id)
    day: Mapped[date] = mapped_column(Date)
    country: Mapped[str] = mapped_column(String(2))
    percent: Mapped[str] = mapped_column(String(10))
    abroad: Mapped[bool] = mapped_column(Boolean)
    """Taxed in the buyer's country; else it counts towards the threshold only."""
    net_minor: Mapped[int] = mapped_column(BigInteger)
    vat_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    __table_args__ = (
        _within("document_id", "documents"),
        Index("ix_oss_amounts_day", "company_id", "day"),
        Index("ix_oss_amounts_document", "document_id"),
    )


class VatCheckRow(OfCompany, Base):
    """An answer of the register of VAT numbers: evidence for sales without VAT. The newest of a number counts."""

    __tablename__ = "vat_checks"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    number: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20))
    checked_at: Mapped[datetime]
    consultation: Mapped[str] = mapped_column(String(60), default="")
    name: Mapped[str] = mapped_column(Clipped(200), default="")
    address: Mapped[str] = mapped_column(Clipped(400), default="")
    reason: Mapped[str] = mapped_column(String(60), default="")
    __table_args__ = (Index("ix_vat_checks_number", "company_id", "number", "checked_at"),)


class ActivityRow(OfCompany, Base):
    """Who did what, when and from where: settings, approvals, repairs, connections. Rows are only ever added.

    `origin` is a browser's network address, or the kind of process (web, worker, clock, command).
    """

    __tablename__ = "activity"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str] = mapped_column(Clipped(200))
    what: Mapped[str] = mapped_column(String(60))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    origin: Mapped[str] = mapped_column(Clipped(60), default="", server_default="")
    __table_args__ = (Index("ix_activity_list", "company_id", "at"),)


class Erasure(Base):
    """That a company was erased, when, by whom and why. It names neither the company nor anybody else's data."""

    __tablename__ = "erasures"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    company_id: Mapped[int] = mapped_column(Id)
    accounting: Mapped[str] = mapped_column(String(20))
    tenant_hash: Mapped[str] = mapped_column(String(64), index=True)
    erased_at: Mapped[datetime]
    who: Mapped[str] = mapped_column(Clipped(200))
    reason: Mapped[str] = mapped_column(Clipped(500))
    rows: Mapped[dict[str, Any]]


OPEN_TABLES: Final = frozenset(
    {
        "erasures",
        "companies",
        "company_work",
        "web_sessions",
        "members",
        "sign_in_links",
        "provider_accounts",
        "parked_activations",
        "webhook_events",
        "published_rates",
        "rate_reads",
        "tallies",
    }
)
"""Tables outside row-level security; all others have a policy on `company_id`."""
