"""Letters: queued as tokens, the address revealed only at the moment of sending (A2.2h, F11).

Who asks never waits for a mail server, and whether a letter is for somebody is found out here, after the answer: one
for a decoy, for a subject that is gone, or with a code that no longer works is dropped unread. One that cannot go is
tried again, ever more slowly, until its record ends. A letter keeps its Message-ID through all tries, so that a server
which took it and was cut off before saying so can tell that it has it already.
"""

import logging
import time
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from django.conf import settings
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import translation

from imgnom.community.members.codes import code_of, record_end
from imgnom.community.members.models import CodeRequest, Letter, PendingRegistration
from imgnom.community.members.sending import MailRefused, MailServerAway, forget_half, send
from imgnom.custody.guard.public import mail_domain
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeyDestroyed, KeysError, KeyUnknown, derive, keyed_digest
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
from imgnom.web.dates import in_seoul
from imgnom.web.words import current_language

log = logging.getLogger("imgnom.mail")
# Longer than the time-outs of one conversation together: nobody else takes a letter that is just being sent.
LEASE_SECONDS = 300
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 15, 3600
# Letters to somebody about what another person did: nobody knows the reader's language, and it is not kept for this.
IN_BOTH = ("already", "already_taken", "guessing", "new_device", "removed_picture", "removed_comment")
BOTH, BETWEEN = "", "\n\n* * *\n\n"
# Made by `imgnom staff add` without a mailbox; nothing is sent there.
NO_MAILBOX = "staff.invalid"


class NothingToSend(Exception):
    """The letter is for nobody, or what it would say is over."""


def queue_letter(
    subject: str,
    template_id: str,
    *,
    now: datetime,
    token: str = "",
    facts: dict[str, str | int] | None = None,
    address_row: str = "",
) -> None:
    """A letter waits. `token` names the registration or request whose code it carries."""
    Letter.objects.create(
        subject=subject,
        template_id=template_id,
        language=BOTH if template_id in IN_BOTH else current_language(),
        token=token,
        address_row=address_row,
        facts=facts or {},
        starts_at=now,
        ends_at=record_end("mail_queue", now),
    )


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
    except (ValueMissing, RevealRefused, KeyDestroyed, KeyUnknown):
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


def mail_is_late() -> bool:
    """Whether letters wait that a mail server did not take; said to everybody alike."""
    return Letter.objects.filter(tries__gt=0).exists()


def _code(token: str, *, now: datetime) -> str:
    """The code that works now. Raises NothingToSend when none does."""
    waiting = PendingRegistration.objects.filter(token=token, state="waiting", code_ends_at__gt=now).first()
    if waiting is not None:
        return code_of(token, waiting.turn, waiting.digits)
    asked = CodeRequest.objects.filter(token=token, ends_at__gt=now).first()
    if asked is None:
        raise NothingToSend
    return code_of(token, 0, asked.digits)


def _address(letter: Letter, *, now: datetime) -> str:
    if "email" not in held_items(letter.subject):
        raise NothingToSend
    purpose = "registration" if letter.token else "notices"
    address = reveal(letter.subject, "email", purpose=purpose, by=SYSTEM, now=now, row=letter.address_row).open()
    name, _, domain = address.rpartition("@")
    if domain.casefold() == NO_MAILBOX:
        raise NothingToSend
    return f"{name}@{mail_domain(domain)}"


def _message_id(letter: Letter) -> str:
    key = derive(settings.SECRET_KEY.encode(), "message id")
    named = keyed_digest(key, f"{letter.pk}\0{letter.starts_at.isoformat()}\0{letter.subject}".encode())
    return f"<{named.hex()[:40]}@imgnom.invalid>"


def _file_name(letter: Letter) -> str:
    """Digits that sort by when the letter was queued, and are the same at every try."""
    return f"{int(letter.starts_at.timestamp() * 1000):013d}{letter.pk % 1_000_000:06d}"


def _compose(letter: Letter, *, now: datetime) -> EmailMessage:
    facts = dict(letter.facts) | {"base_url": settings.IMGNOM.base_url, "at": in_seoul(letter.starts_at)}
    if letter.token:
        facts["code"] = _code(letter.token, now=now)
    address = _address(letter, now=now)
    subject, body = _words(letter, facts)
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = f"imgnom <{policy_in_force().operator['contact'].en}>"
    message["To"] = address
    message["Date"] = format_datetime(now)
    message["Message-ID"] = _message_id(letter)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body + "\n")
    return message


def _words(letter: Letter, facts: dict[str, str | int]) -> tuple[str, str]:
    """Subject and body, in the letter's language or in both."""
    subjects, bodies = [], []
    for language in [letter.language] if letter.language != BOTH else [code for code, _ in settings.LANGUAGES]:
        with translation.override(language):
            text = render_to_string(f"members/mail/{letter.template_id}.txt", facts)
        subject, _, body = text.strip().partition("\n")
        subjects.append(subject.strip())
        bodies.append(body.strip())
    return " / ".join([subjects[0], *(one.removeprefix("[imgnom] ") for one in subjects[1:])]), BETWEEN.join(bodies)


def _take(now: datetime) -> Letter | None:
    """The next letter that may be tried, leased to us alone; one past its end is only destroyed (A4.0)."""
    waiting = Letter.objects.filter(leased_until__lt=time.time(), ends_at__gt=now)
    with transaction.atomic():
        letter = waiting.select_for_update().order_by("tries", "id").first()
        if letter is not None:
            Letter.objects.filter(pk=letter.pk).update(leased_until=time.time() + LEASE_SECONDS)
    return letter


def end_letter(letter: Letter, *, now: datetime) -> None:
    """It is gone, and what was sealed for it alone before: a kill in between leaves no address behind."""
    if letter.own:
        destroy_subject(letter.subject, now=now, by=SYSTEM, clause="A2.2h")
    if letter.address_row.startswith("old-"):
        forget_value(letter.subject, "email", row=letter.address_row)
    forget_half(_file_name(letter))
    Letter.objects.filter(pk=letter.pk).delete()


def _try_later(letter: Letter) -> None:
    wait = min(FIRST_WAIT_SECONDS * 2**letter.tries, LONGEST_WAIT_SECONDS)
    Letter.objects.filter(pk=letter.pk).update(tries=letter.tries + 1, leased_until=time.time() + wait)


def deliver_mail(*, now: datetime, limit: int = 50) -> int:
    """Send what waits; returns how many went.

    A server that is away ends the round: the letters behind would only wait for the same time-out.
    """
    sent = 0
    for _ in range(limit):
        letter = _take(now)
        if letter is None:
            break
        try:
            send(_compose(letter, now=now), name=_file_name(letter))
        except (NothingToSend, ValueMissing, RevealRefused, KeyDestroyed, KeyUnknown):
            end_letter(letter, now=now)
        except (VaultError, KeysError):
            _try_later(letter)  # the keyring or the vault is away, not the person
            break
        except MailRefused:
            _try_later(letter)
        except MailServerAway as away:
            log.warning("mail waits, the server did not take it: %s", away)
            _try_later(letter)
            break
        else:
            end_letter(letter, now=now)
            sent += 1
    return sent
