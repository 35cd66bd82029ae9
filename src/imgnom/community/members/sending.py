"""The last step of a letter: a file in the outbox (file:), or a conversation with a mail server (smtp:, smtps:)."""

import os
import re
import smtplib
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from imgnom.web.mail_server import MailServer, parse_mail_server

TIMEOUT_SECONDS = 15
# A letter's file is named by the milliseconds of when it was queued and the last digits of its number.
OURS = re.compile(r"[0-9]{19}\.(eml|part)")
NO_STARTTLS = "it offers no STARTTLS, and IMGNOM_MAIL_URL does not allow mail in clear"


class MailRefused(Exception):
    """The server did not take this letter."""


class MailServerAway(Exception):
    """No server, or it hung up before it had the letter; the text says why, in words of ours."""


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


def _connect(server: MailServer) -> smtplib.SMTP:
    """A conversation that is encrypted, or may be in clear. Raises MailServerAway; OSError, SMTPException.

    A server that offers STARTTLS and fails at it is away: mail never falls back to clear text. What a server sent in clear before
    it, its list of abilities too, is forgotten by smtplib.
    """
    if server.implicit_tls:
        return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
    connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.ehlo_or_helo_if_needed()
        if connection.has_extn("starttls"):
            connection.starttls(context=_context(server))
        elif not server.may_be_clear:
            raise MailServerAway(NO_STARTTLS)
    except BaseException:
        connection.close()
        raise
    return connection


def _context(server: MailServer) -> ssl.SSLContext:
    """The system's authorities and the host's name decide; where clear text is allowed, any certificate is as good."""
    context = ssl.create_default_context()
    if server.may_be_clear:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _converse(message: EmailMessage, server: MailServer) -> None:
    """Greets, sends, and counts the letter as sent once the server has said so, whatever happens while parting."""
    try:
        connection = _connect(server)
        try:
            if server.username:
                connection.login(server.username, server.password)
            connection.send_message(message)
        except BaseException:
            connection.close()
            raise
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError):
        raise MailRefused from None
    except (OSError, smtplib.SMTPException) as error:
        raise MailServerAway(_reason(error)) from None
    with suppress(OSError, smtplib.SMTPException):
        connection.quit()


def _reason(error: Exception) -> str:
    """In words of ours: what a server says may carry an address or what it was sent."""
    match error:
        case ssl.SSLCertVerificationError():
            return "its certificate is not valid for its name"
        case ssl.SSLError():
            return "encryption with it fails"
        case smtplib.SMTPAuthenticationError() | smtplib.SMTPNotSupportedError():
            return "it does not take the username and password"
        case smtplib.SMTPResponseException():
            return "it answers with an error"
        case _:
            return "it cannot be reached or hangs up"


def mail_server_trouble() -> str:
    """Why the mail server cannot be spoken to just now; empty where it can be, or where mail goes into files."""
    url = settings.IMGNOM.mail_url
    if urlsplit(url).scheme == "file":
        return ""
    server = parse_mail_server(url)
    try:
        connection = _connect(server)
        try:
            if server.username:
                connection.login(server.username, server.password)
        except BaseException:
            connection.close()
            raise
    except MailServerAway as away:
        return str(away)
    except (OSError, smtplib.SMTPException) as error:
        return _reason(error)
    with suppress(OSError, smtplib.SMTPException):
        connection.quit()
    return ""


def send(message: EmailMessage, *, name: str) -> None:
    """Raises MailRefused, MailServerAway; neither carries an address or what the server said."""
    url = settings.IMGNOM.mail_url
    if urlsplit(url).scheme == "file":
        try:
            _write(message, Path(urlsplit(url).path), name)
        except OSError:
            raise MailServerAway("the folder of IMGNOM_MAIL_URL cannot be written") from None
    else:
        _converse(message, parse_mail_server(url))
