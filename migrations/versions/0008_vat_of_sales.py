"""Sales to consumers in other EU countries, for threshold and return; and checks of VAT numbers, the evidence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("oss_amounts", "vat_checks")


def upgrade() -> None:
    op.create_table(
        "oss_amounts",
        sa.Column("id", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("percent", sa.String(length=10), nullable=False),
        sa.Column("abroad", sa.Boolean(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("vat_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_oss_amounts_company_id")),
        sa.ForeignKeyConstraint(
            ["company_id", "document_id"],
            ["documents.company_id", "documents.id"],
            name=op.f("fk_oss_amounts_company_id_document_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oss_amounts")),
    )
    op.create_index("ix_oss_amounts_day", "oss_amounts", ["company_id", "day"])
    op.create_index("ix_oss_amounts_document", "oss_amounts", ["document_id"])
    op.create_table(
        "vat_checks",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("consultation", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=400), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_vat_checks_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vat_checks")),
    )
    op.create_index("ix_vat_checks_number", "vat_checks", ["company_id", "number", "checked_at"])
    if op.get_bind().dialect.name == "postgresql":
        own = "company_id = nullif(current_setting('kvitt.company_id', true), '')::bigint"
        for table in TABLES:
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY own_company ON {table} USING ({own}) WITH CHECK ({own})")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
