"""Addresses that may ask for a link to sign in with, and the links that are on their way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "members",
        sa.Column("id", number, nullable=False),
        sa.Column("company_id", number, nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("who", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_members_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
        sa.UniqueConstraint("company_id", "email", name=op.f("uq_members_company_id_email")),
    )
    op.create_index(op.f("ix_members_email"), "members", ["email"])
    op.create_table(
        "sign_in_links",
        sa.Column("id", number, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sign_in_links_token_hash")),
    )
    op.create_index(op.f("ix_sign_in_links_email"), "sign_in_links", ["email"])


def downgrade() -> None:
    op.drop_table("sign_in_links")
    op.drop_table("members")
