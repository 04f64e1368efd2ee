"""The template of an accounting system: books that one key opens."""
