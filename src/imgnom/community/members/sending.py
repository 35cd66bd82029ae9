"""The last step of a letter: a file in the outbox (file:), or a conversation with a mail server (smtp:, smtps:)."""

import os
import re
import smtplib
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings

TIMEOUT_SECONDS = 15
# A letter's file is named by the milliseconds of when it was queued and the last digits of its number.
OURS = re.compile(r"[0-9]{19}\.(eml|part)")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class MailRefused(Exception):
    """The server did not take this letter."""


class MailServerAway(Exception):
    """No server, or it hung up before it had the letter."""


def _write(message: EmailMessage, folder: Path, name: str) -> None:
    """One file a letter, under its own name: a letter that is tried again is the same file, not a second one."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name}.part"
    with partial.open("wb") as file:
        file.write(bytes(message))
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / f"{name}.eml")


def forget_half(name: str) -> None:
    """What a kill left of writing this letter: an address stands in it."""
    url = urlsplit(settings.IMGNOM.mail_url)
    if url.scheme == "file":
        (Path(url.path) / f"{name}.part").unlink(missing_ok=True)


def letters_lying() -> dict[Path, datetime]:
    """Letters that nobody took out of the home's outbox → when each was queued; a folder elsewhere is its reader's."""
    url = urlsplit(settings.IMGNOM.mail_url)
    folder = Path(url.path)
    if url.scheme != "file" or not folder.is_relative_to(settings.IMGNOM.home) or not folder.is_dir():
        return {}
    ours = (file for file in folder.iterdir() if OURS.fullmatch(file.name))
    return {file: datetime.fromtimestamp(int(file.name[:13]) / 1000, UTC) for file in ours}


def _converse(message: EmailMessage, url: str) -> None:
    """Greets, sends, and counts the letter as sent once the server has said so, whatever happens while parting."""
    parts = urlsplit(url)
    host, port = parts.hostname or "localhost", parts.port
    server: smtplib.SMTP
    try:
        if parts.scheme == "smtps":
            server = smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
        else:
            server = smtplib.SMTP(host, port or 25, timeout=TIMEOUT_SECONDS)
        try:
            if parts.username:
                if parts.scheme == "smtp" and host not in LOOPBACK:
                    server.starttls(context=ssl.create_default_context())  # no password goes over an open line
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
        except BaseException:
            server.close()
            raise
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError):
        raise MailRefused from None
    except (OSError, smtplib.SMTPException):
        raise MailServerAway from None
    with suppress(OSError, smtplib.SMTPException):
        server.quit()


def send(message: EmailMessage, *, name: str) -> None:
    """Raises MailRefused, MailServerAway; neither carries an address or what the server said."""
    url = settings.IMGNOM.mail_url
    if urlsplit(url).scheme == "file":
        try:
            _write(message, Path(urlsplit(url).path), name)
        except OSError:
            raise MailServerAway from None
    else:
        _converse(message, url)
