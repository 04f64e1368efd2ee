"""The database: tables, sessions bound to one company, secrets."""
