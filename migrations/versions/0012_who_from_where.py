"""From where something was asked for; and records that are only ever added, also against SQLite's REPLACE."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = ("activity", "erasures")


def upgrade() -> None:
    op.add_column("activity", sa.Column("origin", sa.String(60), nullable=False, server_default=""))
    if op.get_bind().dialect.name == "postgresql":
        # The function is that of the first migration, the triggers are named as there.
        op.execute(
            "CREATE TRIGGER erasures_only_added BEFORE UPDATE OR DELETE ON erasures "
            "FOR EACH ROW EXECUTE FUNCTION kvitt_only_added()"
        )
        op.execute(
            "CREATE TRIGGER erasures_never_emptied BEFORE TRUNCATE ON erasures "
            "FOR EACH STATEMENT EXECUTE FUNCTION kvitt_only_added()"
        )
        return
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER erasures_no_{event.lower()} BEFORE {event} ON erasures "
            "BEGIN SELECT RAISE(ABORT, 'rows of erasures are only ever added'); END"
        )
    for table in TABLES:
        # INSERT OR REPLACE takes the older row away without asking the trigger on DELETE.
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608 - names of ours
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id) "
            f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are only ever added'); END"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER erasures_only_added ON erasures")
        op.execute("DROP TRIGGER erasures_never_emptied ON erasures")
    else:
        for name in ("erasures_no_update", "erasures_no_delete", *(f"{table}_no_replace" for table in TABLES)):
            op.execute(f"DROP TRIGGER {name}")
    op.drop_column("activity", "origin")
