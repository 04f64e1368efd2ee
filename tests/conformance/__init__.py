"""One suite per port: what Kvitt relies on, asked of every connector with its sandbox behind real HTTP.

A connector's part is a bed (`tests/connectors/<name>/bed.py`), which says how its simulated company is made to act.
"""
