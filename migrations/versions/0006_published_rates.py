"""Exchange rates that banks publish, read once for all companies: they are nobody's secret."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "published_rates",
        sa.Column("id", ID, nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("base", sa.String(length=3), nullable=False),
        sa.Column("quote", sa.String(length=3), nullable=False),
        sa.Column("fixed_on", sa.Date(), nullable=False),
        sa.Column("rate", sa.String(length=40), nullable=False),
        sa.Column("unit", sa.Integer(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_published_rates")),
        sa.UniqueConstraint(
            "source", "fixed_on", "base", "quote", name=op.f("uq_published_rates_source_fixed_on_base_quote")
        ),
    )
    op.create_table(
        "rate_reads",
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("through", sa.Date(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_rate_reads")),
    )


def downgrade() -> None:
    op.drop_table("rate_reads")
    op.drop_table("published_rates")
