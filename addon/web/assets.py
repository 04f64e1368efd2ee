"""Styles, our small script, and htmx out of its package: served by us, named by their content."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from flask import Flask, url_for

STATIC: Final = Path(__file__).resolve().parent / "static"


@cache
def htmx_folder() -> Path:
    """Where the package django_htmx keeps its script; it is installed without Django and never imported."""
    spec = find_spec("django_htmx")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package django-htmx, which carries htmx, is not installed")
    return Path(spec.origin).parent / "static" / "django_htmx"


HTMX_FILE: Final = "htmx-2.min.js"


@cache
def _version(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def asset(name: str) -> str:
    """The address of one of our static files; another content has another address."""
    return url_for("static", filename=name, v=_version(STATIC / name))


def htmx() -> str:
    """The address of htmx."""
    return url_for("operations.htmx", v=_version(htmx_folder() / HTMX_FILE))


def install(app: Flask) -> None:
    """Give templates the addresses."""
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 31_536_000
    app.jinja_env.globals.update(asset=asset, htmx=htmx)
