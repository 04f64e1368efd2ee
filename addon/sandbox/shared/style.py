"""One look for the pages of simulated companies, which differ in a few colours: no relation to anybody's brand."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flask import Flask, Response, send_from_directory

_FOLDER: Final = Path(__file__).resolve().parent / "static"


def share_style(app: Flask) -> None:
    """Serve the shared style sheets beside the app's own."""

    def style(name: str) -> Response:
        return send_from_directory(_FOLDER, f"{name}.css")

    for name in ("system", "consent"):
        app.add_url_rule(f"/sandbox-static/{name}.css", f"shared_{name}", style, defaults={"name": name})
