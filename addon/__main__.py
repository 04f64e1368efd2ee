"""`python -m addon` is `kvitt`."""

from addon.cli import main

main(prog_name="kvitt")
