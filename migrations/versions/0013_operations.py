"""What an operator counts: tallies of all processes, and for each company how much waits and since when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tallies",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("labels", sa.String(length=200), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name=op.f("pk_tallies")),
    )
    op.add_column("company_work", sa.Column("gauges", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("company_work", "gauges")
    op.drop_table("tallies")
