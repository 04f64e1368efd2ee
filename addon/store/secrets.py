"""Grants and other secrets, sealed for the database. Keys can be changed while everything runs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from addon.core.grants import Grant
from addon.store.codec import Undecodable, decode, encode


class SecretUnreadable(RuntimeError):
    """None of our keys opens this, or what it held is not what was asked for."""


class SealedBox:
    """Seals with the first of its Fernet keys, opens with any. Raises `ValueError` for none or a malformed key."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("a sealed box needs at least one key")
        self._box = MultiFernet([Fernet(key) for key in keys])
        self._count = len(keys)

    def __repr__(self) -> str:
        return f"SealedBox({self._count} key{'s' if self._count > 1 else ''})"

    def seal(self, secret: str) -> bytes:
        """Seal a text."""
        return self._box.encrypt(secret.encode("utf-8"))

    def open(self, sealed: bytes) -> str:
        """Open what `seal` made. Raises `SecretUnreadable`."""
        try:
            return self._box.decrypt(sealed).decode("utf-8")
        except (InvalidToken, UnicodeDecodeError):
            raise SecretUnreadable("none of the keys opens this secret") from None

    def seal_grant(self, grant: Grant) -> bytes:
        """Seal what a consent gave us."""
        return self.seal(json.dumps(encode(grant)))

    def open_grant(self, sealed: bytes) -> Grant:
        """Open what `seal_grant` made. Raises `SecretUnreadable`."""
        try:
            return decode(Grant, json.loads(self.open(sealed)))
        except (Undecodable, json.JSONDecodeError, AttributeError):
            # Without the cause: its message could quote the secret.
            raise SecretUnreadable("this secret is no grant") from None

    def rotate(self, sealed: bytes) -> bytes:
        """The same secret under the first key. Raises `SecretUnreadable`."""
        try:
            return self._box.rotate(sealed)
        except InvalidToken:
            raise SecretUnreadable("none of the keys opens this secret") from None
