"""Indexes for what the pages search and filter by, so that they answer at a million movements."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


SUMMED = ["booking_date", "kind", "currency", "amount_minor", "net_minor"]


def upgrade() -> None:
    op.drop_index("ix_movements_list", "movements")
    # With what the overview adds up, so that it needs no row itself.
    op.create_index("ix_movements_list", "movements", ["company_id", "occurred_at", "id"], postgresql_include=SUMMED)
    op.create_index("ix_movements_original", "movements", ["connection_id", "original_ref"])
    op.create_index("ix_movements_kind", "movements", ["company_id", "kind", "occurred_at", "id"])
    op.create_index("ix_movements_currency", "movements", ["company_id", "currency", "occurred_at", "id"])
    op.create_index("ix_movements_amount", "movements", ["company_id", "amount_minor"])
    # text_pattern_ops: a text's beginning is found by the index whatever the database's collation. The pages ask
    # with that class's own operators, for under row-level security LIKE may not use an index: it is not leakproof.
    for name, column in (("ix_movements_order", "order_number"), ("ix_movements_buyer", "buyer")):
        op.create_index(name, "movements", ["company_id", column], postgresql_ops={column: "text_pattern_ops"})
    op.create_index("ix_documents_number", "documents", ["company_id", "number"])


def downgrade() -> None:
    op.drop_index("ix_movements_list", "movements")
    op.create_index("ix_movements_list", "movements", ["company_id", "occurred_at", "id"])
    op.drop_index("ix_documents_number", "documents")
    for name in ("buyer", "order", "amount", "currency", "kind", "original"):
        op.drop_index(f"ix_movements_{name}", "movements")
