"""What SQLAlchemy has compiled once serves all databases of a test process.

Each test has a database, so an engine, of its own, and an engine's statements are compiled for its own dialect:
some hundred in every test, which takes longer than carrying them out. Here engines of one kind share the dialect,
and what was compiled for it. In production a process has one engine.
"""

from typing import Any

from sqlalchemy import Engine, create_engine

from addon.store import database

_first: dict[str, Engine] = {}


def _create_engine(url: Any, **options: Any) -> Engine:
    engine = create_engine(url, **options)
    first = _first.setdefault(engine.dialect.name, engine)
    engine.dialect = engine.pool._dialect = first.dialect
    engine._compiled_cache = first._compiled_cache
    return engine


def share_what_is_compiled() -> None:
    """From now on, in this process."""
    database.create_engine = _create_engine  # type: ignore[attr-defined]
