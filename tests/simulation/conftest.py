"""The database's template, as the tests of whole flows have it."""

from tests.flow.conftest import sqlite_template

__all__ = ["sqlite_template"]
