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
from imgnom.custody.vault.public import (
    RevealRefused,
    SubjectFenced,
    ValueMissing,
    VaultError,
    destroy_subject,
    ensure_subject,
    forget_value,
    held_items,
    seal_value,
)
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import SYSTEM
from imgnom.web.words import current_language

LEASE_SECONDS = 60
# Until its end: after the first tries one every half hour.
MAX_TRIES = 400
LONGEST_WAIT_SECONDS = 1800


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


def queue_parting_letter(
    subject: str, *, template_id: str, own: str, now: datetime, language: str, facts: dict[str, str | int]
) -> None:
    """A letter to somebody whose key dies next: the address is sealed once more, under a key of this letter alone.

    That key dies when the letter has gone or is given up. `own` is the letter's random token, noted by the caller
    before; repeated after a kill it is one letter.
    """
    try:
        ensure_subject(own, now=now)
        if "email" not in held_items(own):
            address = reveal(subject, "email", purpose="notices", by=SYSTEM, now=now).open()
            seal_value(own, "email", address, now=now)
    except SubjectFenced:
        return  # it went before
    except (ValueMissing, RevealRefused, KeysError):
        destroy_subject(own, now=now, by=SYSTEM, clause="A2.2h")  # there is no address to write to
        return
    with transaction.atomic():
        Letter.objects.get_or_create(
            subject=own,
            template_id=template_id,
            defaults={
                "own": True, "language": language, "facts": facts, "starts_at": now, "ends_at": record_end("mail_queue", now),
            },
        )  # fmt: skip


def end_letter(letter: Letter, *, now: datetime) -> None:
    """It is gone, and what was sealed for it alone before."""
    if letter.own:
        destroy_subject(letter.subject, now=now, by=SYSTEM, clause="A2.2h")
    if letter.row:
        with suppress(VaultError):
            forget_value(letter.subject, "confirmation_code", row=letter.row)
    Letter.objects.filter(pk=letter.pk).delete()


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


def _take(limit: int, now: datetime) -> list[Letter]:
    """Letters that may go now, for a while ours alone; one past its end is not sent any more, only destroyed (A4.0)."""
    with transaction.atomic():
        letters = list(
            Letter.objects.select_for_update()
            .filter(leased_until__lt=time.time(), tries__lt=MAX_TRIES, ends_at__gt=now)
            .order_by("id")[:limit]
        )
        Letter.objects.filter(pk__in=[letter.pk for letter in letters]).update(leased_until=time.time() + LEASE_SECONDS)
    return letters


def deliver_mail(*, now: datetime, limit: int = 50) -> int:
    """Send what waits; a subject that is gone takes its letters along."""
    sent = 0
    for letter in _take(limit, now):
        try:
            message = _compose(letter, now=now)
        except (ValueMissing, VaultError, KeysError):
            end_letter(letter, now=now)
            continue
        try:
            _send(message)
        except (OSError, smtplib.SMTPException):
            Letter.objects.filter(pk=letter.pk).update(
                tries=letter.tries + 1, leased_until=time.time() + min(30 * (letter.tries + 1), LONGEST_WAIT_SECONDS)
            )
            continue
        end_letter(letter, now=now)
        sent += 1
    return sent
