"""Letters: queued as tokens, the address revealed only at the moment of sending (A2.2h, F11).

file: writes .eml files; smtp: and smtps: speak to a real server. A letter that cannot go is tried again later.
"""

import smtplib
import time
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import translation

from imgnom.community.members.codes import record_end
from imgnom.community.members.models import Letter
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeysError
from imgnom.custody.vault.public import ValueMissing, VaultError, forget_value, seal_value
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import SYSTEM
from imgnom.web.words import current_language

LEASE_SECONDS = 60
MAX_TRIES = 20


def queue_letter(
    subject: str,
    template_id: str,
    *,
    now: datetime,
    code: str | None = None,
    facts: dict[str, str | int] | None = None,
    address_row: str = "",
) -> None:
    """A letter waits. A code goes into the vault, sealed under the subject's key, until it is sent."""
    letter = Letter(
        subject=subject,
        template_id=template_id,
        language=current_language(),
        facts=dict(facts or {}) | {"address_row": address_row},
        starts_at=now,
        ends_at=record_end("mail_queue", now),
    )
    letter.save()
    if code is not None:
        letter.row = f"letter-{letter.pk}"
        seal_value(subject, "confirmation_code", code, row=letter.row, now=now)
        letter.save(update_fields=["row"])


def _compose(letter: Letter, *, now: datetime) -> EmailMessage:
    purpose = "registration" if letter.row else "notices"
    address = reveal(
        letter.subject, "email", purpose=purpose, by=SYSTEM, now=now, row=str(letter.facts.get("address_row", ""))
    ).open()
    facts = dict(letter.facts) | {"base_url": settings.IMGNOM.base_url}
    if letter.row:
        facts["code"] = reveal(
            letter.subject, "confirmation_code", purpose="registration", by=SYSTEM, now=now, row=letter.row
        ).open()
    with translation.override(letter.language):
        text = render_to_string(f"members/mail/{letter.template_id}.txt", facts)
    subject, _, body = text.strip().partition("\n")
    message = EmailMessage()
    message["Subject"] = subject.strip()
    message["From"] = f"imgnom <{policy_in_force().operator['contact'].en}>"
    message["To"] = address
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain="imgnom.invalid")
    message.set_content(body.strip() + "\n")
    return message


def _send(message: EmailMessage) -> None:
    url = urlsplit(settings.IMGNOM.mail_url)
    if url.scheme == "file":
        folder = Path(url.path)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns()}"
        partial = folder / f"{name}.part"
        partial.write_bytes(bytes(message))
        partial.rename(folder / f"{name}.eml")
        return
    kind = smtplib.SMTP_SSL if url.scheme == "smtps" else smtplib.SMTP
    with kind(url.hostname or "localhost", url.port or 25, timeout=20) as server:
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)


def _take(limit: int) -> list[Letter]:
    with transaction.atomic():
        letters = list(
            Letter.objects.select_for_update()
            .filter(leased_until__lt=time.time(), tries__lt=MAX_TRIES)
            .order_by("id")[:limit]
        )
        Letter.objects.filter(pk__in=[letter.pk for letter in letters]).update(leased_until=time.time() + LEASE_SECONDS)
    return letters


def deliver_mail(*, now: datetime, limit: int = 50) -> int:
    """Send what waits; a subject that is gone takes its letters along."""
    sent = 0
    for letter in _take(limit):
        try:
            message = _compose(letter, now=now)
        except (ValueMissing, VaultError, KeysError):
            letter.delete()
            continue
        try:
            _send(message)
        except (OSError, smtplib.SMTPException):
            Letter.objects.filter(pk=letter.pk).update(
                tries=letter.tries + 1, leased_until=time.time() + 30 * (letter.tries + 1)
            )
            continue
        letter.delete()
        if letter.row:
            with suppress(VaultError):
                forget_value(letter.subject, "confirmation_code", row=letter.row)
        sent += 1
    return sent
