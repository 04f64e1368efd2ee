"""A company's account rules, the article numbers in its books, and when each was last looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("account_rules", "articles")
READ_AT = ("articles_read_at", "watched_at")


def upgrade() -> None:
    op.create_table(
        "account_rules",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("changed_by", sa.String(200), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_account_rules_company_id")),
        sa.ForeignKeyConstraint(
            ["company_id", "connection_id"],
            ["connections.company_id", "connections.id"],
            name=op.f("fk_account_rules_company_id_connection_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_rules")),
    )
    op.create_index("ix_account_rules_order", "account_rules", ["company_id", "position"])
    op.create_table(
        "articles",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.String(50), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_articles_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_articles")),
        sa.UniqueConstraint("company_id", "number", name=op.f("uq_articles_company_id_number")),
    )
    for name in READ_AT:
        op.add_column("accounting_connections", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            wall_in(table)


def wall_in(table: str) -> None:
    """Rows are seen and written by their own company only; see the first migration."""
    own = "company_id = nullif(current_setting('kvitt.company_id', true), '')::bigint"
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_company ON {table} USING ({own}) WITH CHECK ({own})")


def downgrade() -> None:
    with op.batch_alter_table("accounting_connections") as table:
        for name in READ_AT:
            table.drop_column(name)
    op.drop_table("articles")
    op.drop_table("account_rules")
