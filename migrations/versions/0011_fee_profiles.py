"""What each fee is for, and what the provider's tax invoices say of a month's fees."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OWN = "company_id = nullif(current_setting('kvitt.company_id', true), '')::bigint"


def upgrade() -> None:
    op.add_column("parts", sa.Column("service", sa.String(length=20), nullable=False, server_default="payment"))
    op.create_table(
        "fee_invoices",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("vat_minor", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.String(80), nullable=False),
        sa.Column("entered_by", sa.String(200), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "connection_id"],
            ["connections.company_id", "connections.id"],
            name=op.f("fk_fee_invoices_company_id_connection_id"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_fee_invoices_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fee_invoices")),
        sa.UniqueConstraint(
            "company_id",
            "connection_id",
            "month",
            "currency",
            name=op.f("uq_fee_invoices_company_id_connection_id_month_currency"),
        ),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE fee_invoices ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE fee_invoices FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_company ON fee_invoices USING ({OWN}) WITH CHECK ({OWN})")


def downgrade() -> None:
    op.drop_table("fee_invoices")
    op.drop_column("parts", "service")
