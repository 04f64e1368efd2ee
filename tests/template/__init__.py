"""A connector to begin a new one from (docs/connectors.md): a made-up provider, complete and small.

    payments/   becomes addon/connectors/<name>/
    sandbox/    becomes addon/sandbox/<name>/
    bed.py      becomes tests/connectors/<name>/bed.py

The conformance suite runs against it as it stands here, and mypy reads it.
"""
