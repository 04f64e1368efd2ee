"""Mail by SMTP, with the standard library: `smtps://` is encrypted from the start, `smtp://` where the server can."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final
from urllib.parse import unquote, urlsplit

from addon.ports.errors import Rejected, TryLater
from addon.ports.mail import Letter

_TIMEOUT_S: Final = 20.0
_LEFT_OUT: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Servers on this machine, to which a password may go without encryption."""


class SmtpMailer:
    """Sends through the server of `smtp[s]://user:password@host:port`; `sender` stands as From."""

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        self._implicit = parts.scheme == "smtps"
        self._host = parts.hostname or ""
        self._port = parts.port or (465 if self._implicit else 587)
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")
        self._sender = sender

    def __repr__(self) -> str:
        return f"SmtpMailer({self._host!r})"

    def send(self, address: str, letter: Letter) -> None:
        """Hand a letter over. Raises `TryLater` where no server took it, and `Rejected` where it was refused."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = address
        message["Subject"] = letter.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        try:
            with self._server() as server:
                server.send_message(message)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            raise Rejected("", "the mail server refused the letter") from error
        except (smtplib.SMTPException, OSError) as error:
            raise TryLater("the mail server does not answer") from error

    def _server(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._implicit:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=_TIMEOUT_S, context=context)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=_TIMEOUT_S)
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif self._host not in _LEFT_OUT:
                # A link that signs in is worth a password: it does not travel in the open.
                server.close()
                raise smtplib.SMTPNotSupportedError("the mail server does not encrypt")
        if self._user:
            server.login(self._user, self._password)
        return server
