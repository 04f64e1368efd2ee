"""Having e-conomic tell us: a webhook for each event, under an address that only we can make.

There is one webhook for an event in an agreement, and an app sees its own only: where another app holds the event, it
stays theirs, and Kvitt looks once a day as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from addon.connectors.economic import translate
from addon.connectors.economic.client import EconomicClient, NotThere
from addon.connectors.economic.translate import Row
from addon.connectors.economic.webhooks import webhook_bodies
from addon.core.books import Nudges
from addon.ports.errors import Rejected

WEBHOOKS: Final = "webhooksapi/v1.0.0"


def standing(client: EconomicClient, url: str) -> Nudges:
    """Whether every event that we want to hear of is told to this address. One that is not decides."""
    if not url:
        return Nudges.NONE
    for body in webhook_bodies(url):
        try:
            found = _find(client, body["eventType"])
        except Rejected:
            # No right to it, or no such service any more: it is of use, and not of need.
            return Nudges.OFF
        if found is None:
            return Nudges.OFF
        if translate.text(found, "url") != url:
            return Nudges.ELSEWHERE
        if found.get("isDisabled") is True:
            return Nudges.DISABLED
    return Nudges.ON


def begin(client: EconomicClient, url: str, at: datetime) -> None:
    """Register, or set right what is registered. Raises `Rejected` where another app has the event."""
    for body in webhook_bodies(url):
        found = _find(client, body["eventType"])
        # What was made and taken away within the hour would be answered out of their memory: hence the instant.
        key = f"webhook/{body['eventType']}/{at.isoformat()}"
        if found is None:
            client.tell("POST", f"{WEBHOOKS}/webhooks", body, key)
            continue
        version = translate.text(found, "objectVersion")
        client.tell("PUT", f"{WEBHOOKS}/webhooks", {**body, "isDisabled": False, "objectVersion": version}, key)


def end(client: EconomicClient, url: str, at: datetime) -> None:
    """Take back what tells us; a webhook that tells somebody else is not ours to take away."""
    for body in webhook_bodies(url):
        found = _find(client, body["eventType"])
        if found is not None and translate.text(found, "url") == url:
            path = f"{WEBHOOKS}/webhooks/{body['eventType']}"
            client.tell("DELETE", path, None, f"webhook/{body['eventType']}/end/{at.isoformat()}")


def _find(client: EconomicClient, event: str) -> Row | None:
    try:
        found = client.ask(f"{WEBHOOKS}/webhooks/{event}")
    except NotThere:
        return None
    return found if isinstance(found, Mapping) else None
