"""WSGI entry: `gunicorn app:app`."""

from addon.web import create_app

app = create_app()
