"""Disputes as they stand at the provider, and documents that touch two clearing accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "disputes",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("ref", sa.String(120), nullable=False),
        sa.Column("original_ref", sa.String(120), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("raw", sa.JSON(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "connection_id"],
            ["connections.company_id", "connections.id"],
            name=op.f("fk_disputes_company_id_connection_id"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_disputes_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disputes")),
        sa.UniqueConstraint("connection_id", "ref", name=op.f("uq_disputes_connection_id_ref")),
    )
    op.create_index("ix_disputes_list", "disputes", ["company_id", "opened_at"])
    if op.get_bind().dialect.name == "postgresql":
        own = "company_id = nullif(current_setting('kvitt.company_id', true), '')::bigint"
        op.execute("ALTER TABLE disputes ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE disputes FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_company ON disputes USING ({own}) WITH CHECK ({own})")
    op.add_column("documents", sa.Column("other_clearing_account", sa.String(20), nullable=False, server_default=""))
    op.add_column("documents", sa.Column("other_clearing_currency", sa.String(3), nullable=False, server_default=""))
    op.add_column("documents", sa.Column("other_clearing_minor", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("documents", sa.Column("other_clearing_books_minor", sa.BigInteger(), nullable=True))
    op.create_index("ix_documents_kind", "documents", ["connection_id", "kind"])


def downgrade() -> None:
    op.drop_index("ix_documents_kind", "documents")
    for name in ("account", "currency", "minor", "books_minor"):
        op.drop_column("documents", f"other_clearing_{name}")
    op.drop_table("disputes")
