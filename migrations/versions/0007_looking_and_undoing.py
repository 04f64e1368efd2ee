"""What a run that only looks has found, what undoes a document, and what a person decided of a part."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "run_items",
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=180), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("booking_date", sa.Date(), nullable=True),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("words", sa.String(length=400), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("company_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_run_items_company_id")),
        sa.ForeignKeyConstraint(
            ["company_id", "run_id"], ["runs.company_id", "runs.id"], name=op.f("fk_run_items_company_id_run_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_items")),
    )
    op.create_index("ix_run_items_list", "run_items", ["company_id", "run_id", "what", "id"])
    op.add_column("documents", sa.Column("undone_by", ID, nullable=True))
    op.add_column("parts", sa.Column("decision", sa.String(length=80), server_default="", nullable=False))
    if op.get_bind().dialect.name == "postgresql":
        wall_in("run_items")


def wall_in(table: str) -> None:
    """Rows are seen and written by their own company only; see the first migration."""
    own = "company_id = nullif(current_setting('kvitt.company_id', true), '')::bigint"
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_company ON {table} USING ({own}) WITH CHECK ({own})")


def downgrade() -> None:
    op.drop_column("parts", "decision")
    op.drop_column("documents", "undone_by")
    op.drop_table("run_items")
