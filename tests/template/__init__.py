"""Connectors to begin new ones from (docs/connectors.md): a made-up provider and made-up books, complete and small.

    payments/          becomes addon/connectors/<name>/          of a payment provider
    sandbox/           becomes addon/sandbox/<name>/
    bed.py             becomes tests/connectors/<name>/bed.py

    accounting/        becomes addon/connectors/<name>/          of an accounting system
    ledger/            becomes addon/sandbox/<name>/
    accounting_bed.py  becomes tests/connectors/<name>/bed.py

The conformance suites run against them as they stand here, and mypy reads them.
"""
