"""The first schema: all tables, row-level security, and an activity log that only grows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

BUSINESS_TABLES = (
    "accounting_connections",
    "activity",
    "books",
    "calls",
    "checks",
    "company_settings",
    "connections",
    "customers",
    "deliveries",
    "documents",
    "exchange_rates",
    "movements",
    "parts",
    "payouts",
    "proofs",
    "runs",
)
"""Tables that hold one company's data in each row."""


def upgrade() -> None:
    create_tables()
    if op.get_bind().dialect.name == "postgresql":
        for table in BUSINESS_TABLES:
            wall_in(table)
        forbid_changes_on_postgresql("activity")
    else:
        forbid_changes_on_sqlite("activity")


def wall_in(table: str) -> None:
    """Rows are seen and written by their own company only; without a company, none.

    FORCE: the owner of the table too, so that an application that was given the owner's role by mistake stays
    walled in. A later migration that must touch rows lifts it for as long as it runs.
    """
    own = "company_id = nullif(current_setting('kvitt.company_id', true), '')::bigint"
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_company ON {table} USING ({own}) WITH CHECK ({own})")


def forbid_changes_on_postgresql(table: str) -> None:
    op.execute(
        """
        CREATE FUNCTION kvitt_only_added() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
        END
        $$
        """
    )
    op.execute(
        f"CREATE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION kvitt_only_added()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_never_emptied BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION kvitt_only_added()"
    )


def forbid_changes_on_sqlite(table: str) -> None:
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are only ever added'); END"
        )


def downgrade() -> None:
    for table in TABLES_IN_ORDER[::-1]:
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION kvitt_only_added()")


TABLES_IN_ORDER = (
    "companies",
    "parked_activations",
    "accounting_connections",
    "activity",
    "books",
    "calls",
    "checks",
    "company_settings",
    "company_work",
    "connections",
    "customers",
    "exchange_rates",
    "provider_accounts",
    "web_sessions",
    "webhook_events",
    "movements",
    "payouts",
    "proofs",
    "runs",
    "documents",
    "deliveries",
    "parts",
)


def create_tables() -> None:
    op.create_table(
        "companies",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("accounting", sa.String(length=20), nullable=False),
        sa.Column("tenant", sa.String(length=60), nullable=False),
        sa.Column("organisation_number", sa.String(length=30), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("time_zone", sa.String(length=60), nullable=False),
        sa.Column("daily_at", sa.Time(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("stop_reason", sa.String(length=60), nullable=False),
        sa.Column("sandbox", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_companies")),
        sa.UniqueConstraint("accounting", "tenant", name=op.f("uq_companies_accounting_tenant")),
    )
    op.create_table(
        "parked_activations",
        sa.Column("id", ID, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("accounting", sa.String(length=20), nullable=False),
        sa.Column("tenant", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("organisation_number", sa.String(length=30), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("grant_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parked_activations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_parked_activations_token_hash")),
    )
    op.create_table(
        "accounting_connections",
        sa.Column("id", ID, nullable=False),
        sa.Column("system", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("grant_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("audited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("customers_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lookups_first_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("connected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_accounting_connections_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounting_connections")),
        sa.UniqueConstraint("company_id", name=op.f("uq_accounting_connections_company_id")),
    )
    op.create_table(
        "activity",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("what", sa.String(length=60), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_activity_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activity")),
    )
    op.create_index("ix_activity_list", "activity", ["company_id", "at"], unique=False)
    op.create_table(
        "books",
        sa.Column("id", ID, nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_books_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_books")),
        sa.UniqueConstraint("company_id", name=op.f("uq_books_company_id")),
    )
    op.create_table(
        "calls",
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("delivery_id", ID, nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("system", sa.String(length=20), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("path", sa.String(300), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("request_ref", sa.String(120), nullable=False),
        sa.Column("note", sa.String(200), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_calls_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
    )
    op.create_index(op.f("ix_calls_delivery_id"), "calls", ["delivery_id"], unique=False)
    op.create_index("ix_calls_list", "calls", ["company_id", "at"], unique=False)
    op.create_index("ix_calls_run", "calls", ["run_id"], unique=False)
    op.create_table(
        "checks",
        sa.Column("id", ID, nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("year_ref", sa.String(length=20), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("stops", sa.Boolean(), nullable=False),
        sa.Column("repair", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_checks_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checks")),
        sa.UniqueConstraint(
            "company_id", "code", "subject", "year_ref", name=op.f("uq_checks_company_id_code_subject_year_ref")
        ),
    )
    op.create_table(
        "company_settings",
        sa.Column("id", ID, nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_company_settings_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_settings")),
        sa.UniqueConstraint("company_id", name=op.f("uq_company_settings_company_id")),
    )
    op.create_table(
        "company_work",
        sa.Column("company_id", ID, nullable=False),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wanted_by", sa.String(length=20), nullable=False),
        sa.Column("next_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_holder", sa.String(length=80), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("slice_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_company_work_company_id")),
        sa.PrimaryKeyConstraint("company_id", name=op.f("pk_company_work")),
    )
    op.create_index(op.f("ix_company_work_next_run_at"), "company_work", ["next_run_at"], unique=False)
    op.create_table(
        "connections",
        sa.Column("id", ID, nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("way", sa.String(length=20), nullable=False),
        sa.Column("account_ref", sa.String(length=80), nullable=False),
        sa.Column("account_name", sa.String(200), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("grant_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.Column("start_date", sa.Date(), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("fetched_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opening", sa.JSON(), nullable=False),
        sa.Column("invoices_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("connected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_connections_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connections")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_connections_company_id_id")),
        sa.UniqueConstraint(
            "company_id", "provider", "account_ref", name=op.f("uq_connections_company_id_provider_account_ref")
        ),
    )
    op.create_table(
        "customers",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("number", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(1024), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_customers_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("company_id", "key", name=op.f("uq_customers_company_id_key")),
    )
    op.create_index("ix_customers_email", "customers", ["company_id", "email"], unique=False)
    op.create_table(
        "exchange_rates",
        sa.Column("id", ID, nullable=False),
        sa.Column("base", sa.String(length=3), nullable=False),
        sa.Column("quote", sa.String(length=3), nullable=False),
        sa.Column("fixed_on", sa.Date(), nullable=False),
        sa.Column("rate", sa.String(length=40), nullable=False),
        sa.Column("unit", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_exchange_rates_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange_rates")),
        sa.UniqueConstraint(
            "company_id", "base", "quote", "fixed_on", name=op.f("uq_exchange_rates_company_id_base_quote_fixed_on")
        ),
    )
    op.create_table(
        "provider_accounts",
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("account_ref", sa.String(length=80), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_provider_accounts_company_id")),
        sa.PrimaryKeyConstraint("provider", "account_ref", name=op.f("pk_provider_accounts")),
    )
    op.create_table(
        "web_sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_web_sessions_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_web_sessions_token_hash")),
    )
    op.create_table(
        "webhook_events",
        sa.Column("id", ID, nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("event_ref", sa.String(length=120), nullable=False),
        sa.Column("event_type", sa.String(120), nullable=False),
        sa.Column("account_ref", sa.String(length=80), nullable=False),
        sa.Column("company_id", ID, nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_webhook_events_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
        sa.UniqueConstraint("provider", "event_ref", name=op.f("uq_webhook_events_provider_event_ref")),
    )
    op.create_table(
        "movements",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("ref", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("presented_minor", sa.BigInteger(), nullable=True),
        sa.Column("presented_currency", sa.String(length=3), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("booking_date", sa.Date(), nullable=False),
        sa.Column("source_ref", sa.String(length=120), nullable=False),
        sa.Column("original_ref", sa.String(length=120), nullable=False),
        sa.Column("payout_ref", sa.String(length=120), nullable=False),
        sa.Column("order_number", sa.String(120), nullable=False),
        sa.Column("buyer", sa.String(320), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("raw", sa.JSON(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "connection_id"],
            ["connections.company_id", "connections.id"],
            name=op.f("fk_movements_company_id_connection_id"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_movements_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_movements")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_movements_company_id_id")),
        sa.UniqueConstraint("connection_id", "ref", name=op.f("uq_movements_connection_id_ref")),
    )
    op.create_index("ix_movements_list", "movements", ["company_id", "occurred_at", "id"], unique=False)
    op.create_index("ix_movements_payout", "movements", ["connection_id", "payout_ref"], unique=False)
    op.create_index("ix_movements_source", "movements", ["connection_id", "source_ref"], unique=False)
    op.create_table(
        "payouts",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("ref", sa.String(length=120), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("itemisation", sa.String(length=20), nullable=False),
        sa.Column("arrival_date", sa.Date(), nullable=True),
        sa.Column("paid_out_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("items_read", sa.Boolean(), nullable=False),
        sa.Column("items_minor", sa.BigInteger(), nullable=True),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("raw", sa.JSON(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "connection_id"],
            ["connections.company_id", "connections.id"],
            name=op.f("fk_payouts_company_id_connection_id"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_payouts_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payouts")),
        sa.UniqueConstraint("connection_id", "ref", name=op.f("uq_payouts_connection_id_ref")),
    )
    op.create_index("ix_payouts_list", "payouts", ["company_id", "paid_out_at"], unique=False)
    op.create_table(
        "proofs",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opening_minor", sa.BigInteger(), nullable=False),
        sa.Column("provider_minor", sa.BigInteger(), nullable=False),
        sa.Column("ledger_minor", sa.BigInteger(), nullable=False),
        sa.Column("not_booked_minor", sa.BigInteger(), nullable=False),
        sa.Column("difference_minor", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "connection_id"],
            ["connections.company_id", "connections.id"],
            name=op.f("fk_proofs_company_id_connection_id"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_proofs_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proofs")),
    )
    op.create_index("ix_proofs_list", "proofs", ["company_id", "connection_id", "currency", "at"], unique=False)
    op.create_table(
        "runs",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=True),
        sa.Column("trigger", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("since", sa.Date(), nullable=True),
        sa.Column("cursor", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("now_doing", sa.String(200), nullable=False),
        sa.Column("message", sa.String(2000), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "connection_id"],
            ["connections.company_id", "connections.id"],
            name=op.f("fk_runs_company_id_connection_id"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_runs_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_runs_company_id_id")),
    )
    op.create_index("ix_runs_list", "runs", ["company_id", "started_at"], unique=False)
    op.create_table(
        "documents",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("booking_date", sa.Date(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("source_ref", sa.String(length=120), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("hold_reason", sa.String(length=40), nullable=False),
        sa.Column("hold_facts", sa.JSON(), nullable=False),
        sa.Column("number", sa.String(length=60), nullable=False),
        sa.Column("invoice_total_minor", sa.BigInteger(), nullable=True),
        sa.Column("invoice_rate", sa.String(length=40), nullable=False),
        sa.Column("clearing_account", sa.String(length=20), nullable=False),
        sa.Column("clearing_currency", sa.String(length=3), nullable=False),
        sa.Column("clearing_minor", sa.BigInteger(), nullable=False),
        sa.Column("clearing_books_minor", sa.BigInteger(), nullable=True),
        sa.Column("vouchers", sa.JSON(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "connection_id"],
            ["connections.company_id", "connections.id"],
            name=op.f("fk_documents_company_id_connection_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "run_id"], ["runs.company_id", "runs.id"], name=op.f("fk_documents_company_id_run_id")
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_documents_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_documents_company_id_id")),
        sa.UniqueConstraint("company_id", "key", name=op.f("uq_documents_company_id_key")),
    )
    op.create_index("ix_documents_source", "documents", ["connection_id", "source_ref"], unique=False)
    op.create_index("ix_documents_state", "documents", ["company_id", "state", "id"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=180), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("alone_on", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("needs_lookup", sa.Boolean(), nullable=False),
        sa.Column("look_first", sa.Boolean(), nullable=False),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("missed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("doubtful", sa.Boolean(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_attempted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("error_code", sa.String(40), nullable=False),
        sa.Column("error_message", sa.String(2000), nullable=False),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "document_id"],
            ["documents.company_id", "documents.id"],
            name=op.f("fk_deliveries_company_id_document_id"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_deliveries_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("company_id", "key", name=op.f("uq_deliveries_company_id_key")),
        sa.UniqueConstraint("document_id", "seq", name=op.f("uq_deliveries_document_id_seq")),
    )
    op.create_index(
        "ix_deliveries_under_way",
        "deliveries",
        ["company_id", "alone_on"],
        unique=False,
        postgresql_where=sa.text("needs_lookup"),
        sqlite_where=sa.text("needs_lookup = 1"),
    )
    op.create_index("ix_deliveries_work", "deliveries", ["company_id", "state", "document_id", "seq"], unique=False)
    op.create_index(
        "uq_deliveries_sending_alone",
        "deliveries",
        ["company_id", "alone_on"],
        unique=True,
        postgresql_where=sa.text("state = 'sending' AND alone_on <> ''"),
        sqlite_where=sa.text("state = 'sending' AND alone_on <> ''"),
    )
    op.create_index(
        "uq_deliveries_sending_document",
        "deliveries",
        ["document_id"],
        unique=True,
        postgresql_where=sa.text("state = 'sending'"),
        sqlite_where=sa.text("state = 'sending'"),
    )
    op.create_table(
        "parts",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("movement_id", ID, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("wait_until", sa.Date(), nullable=True),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("searched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("document_id", ID, nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_aside_by", sa.String(200), nullable=False),
        sa.Column("set_aside_where", sa.String(200), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.CheckConstraint("state <> 'booked' OR document_id IS NOT NULL", name=op.f("ck_parts_booked_by_a_document")),
        sa.ForeignKeyConstraint(
            ["company_id", "connection_id"],
            ["connections.company_id", "connections.id"],
            name=op.f("fk_parts_company_id_connection_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "document_id"],
            ["documents.company_id", "documents.id"],
            name=op.f("fk_parts_company_id_document_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "movement_id"],
            ["movements.company_id", "movements.id"],
            name=op.f("fk_parts_company_id_movement_id"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_parts_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parts")),
        sa.UniqueConstraint("movement_id", "name", name=op.f("uq_parts_movement_id_name")),
    )
    op.create_index(op.f("ix_parts_document_id"), "parts", ["document_id"], unique=False)
    op.create_index(op.f("ix_parts_movement_id"), "parts", ["movement_id"], unique=False)
    op.create_index("ix_parts_state", "parts", ["company_id", "state", "connection_id"], unique=False)
