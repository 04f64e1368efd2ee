"""The template of a payment provider: a list of rows, a balance, and one key to read both with."""
