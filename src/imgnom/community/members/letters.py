"""Letters: queued as tokens, the address revealed only at the moment of sending (A2.2h, F11).

Who asks never waits for a mail server, and whether a letter is for somebody is found out here, after the answer: one
for a decoy, for a subject that is gone, or with a code that no longer works is dropped unread. A round first makes sure
that the server can be reached, for decoys as for all others, so that the notice of slow mail tells nothing of whom a
letter is for. It takes one letter of each lane (mailbox) before the second of any, those never tried before the others,
codes before notices. One that cannot go is tried again, ever more slowly, until its record ends, and the others of its
lane and domain wait with it. A letter keeps its Message-ID through all tries, so that a server
which took it and was cut off before saying so can tell that it has it already.
"""

import logging
import time
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, IntegerField, Value, When, Window
from django.db.models.functions import RowNumber
from django.template.loader import render_to_string
from django.utils import translation

from imgnom.community.members.codes import code_of, record_end
from imgnom.community.members.mail_limits import lane_of, take_place
from imgnom.community.members.models import CodeRequest, Letter, PendingRegistration
from imgnom.community.members.sending import MailRefused, MailServerAway, forget_half, mail_server_trouble, send
from imgnom.custody.guard.public import mail_domain
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import KeyDestroyed, KeysError, KeyUnknown, derive, keyed_digest
from imgnom.custody.outbox.public import record_act
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
FULL_WAIT_SECONDS = 300
# Letters to somebody about what another person did: nobody knows the reader's language, and it is not kept for this.
IN_BOTH = ("already", "already_taken", "guessing", "new_device", "removed_picture", "removed_comment")
BOTH, BETWEEN = "", "\n\n* * *\n\n"
# Made by `imgnom staff add` without a mailbox; nothing is sent there.
NO_MAILBOX = "staff.invalid"


CODES = ("confirm", "reset", "email")
ROUND_SECONDS = 20.0
WAITS = "mail waits, the server did not take it: %s"
# A domain over which the mail server took long is left alone for a while, in this process's memory.
SLOW_SECONDS, SLOW_DOMAINS_KEPT = 10.0, 1000
_slow_until: dict[str, float] = {}


class NothingToSend(Exception):
    """The letter is for nobody, or what it would say is over."""


class NobodysAddress(NothingToSend):
    """Nobody has an address here: a decoy, or somebody who is gone."""


class DomainSlow(Exception):
    """The mail server took long over this domain a moment ago: others come first."""


class MailboxFull(Exception):
    """The mailbox got as many messages as it may get for now."""


def queue_letter(
    subject: str,
    template_id: str,
    *,
    now: datetime,
    token: str = "",
    facts: dict[str, str | int] | None = None,
    address_row: str = "",
    lane: str = "",
    source: str = "",
) -> None:
    """A letter waits. `token` names the registration or request whose code it carries.

    `lane` is of the mailbox or name that was typed, `source` of the network or member who asked, see `mail_limits`.
    Without a source the letter has the owner's reserved share.
    """
    Letter.objects.create(
        subject=subject,
        template_id=template_id,
        language=BOTH if template_id in IN_BOTH else current_language(),
        token=token,
        address_row=address_row,
        lane=lane or lane_of(f"subject\0{subject}"),
        source=source,
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
                "own": True, "lane": lane_of(f"subject\0{own}"), "language": language, "facts": facts, "starts_at": now, "ends_at": record_end("mail_queue", now),
            },
        )  # fmt: skip


def mail_is_late() -> bool:
    """Whether letters wait because no mail server can be reached; said to everybody alike.

    A letter that the server refused does not count: that depends on whose mailbox it is for.
    """
    return Letter.objects.filter(tries__gt=0, refused=False).exists()


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
        raise NobodysAddress
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


def _compose(letter: Letter, address: str, *, now: datetime) -> EmailMessage:
    facts = dict(letter.facts) | {"base_url": settings.IMGNOM.base_url, "at": in_seoul(letter.starts_at)}
    if letter.token:
        facts["code"] = _code(letter.token, now=now)
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


def _rank(*partition: str) -> Window:
    return Window(RowNumber(), partition_by=[F(name) for name in partition], order_by="id")


def _next_letters(now: datetime, limit: int) -> list[int]:
    """What may be tried, in a fair order: no lane, and no one who asks, has a second turn before others had their first."""
    waiting = Letter.objects.filter(leased_until__lt=time.time(), ends_at__gt=now)
    ranked = waiting.annotate(
        again=Case(When(tries__gt=0, then=Value(1)), default=Value(0), output_field=IntegerField()),
        in_lane=_rank("lane"),
        of_source=Case(When(source="", then=Value(1)), default=_rank("source"), output_field=IntegerField()),
        notice=Case(When(template_id__in=CODES, then=Value(0)), default=Value(1), output_field=IntegerField()),
    )
    order = ranked.order_by("again", "in_lane", "of_source", "notice", "id")
    return list(order.values_list("pk", flat=True)[:limit])


def _take(pk: int) -> Letter | None:
    """The letter, leased to us alone."""
    at = time.time()
    taken = Letter.objects.filter(pk=pk, leased_until__lt=at).update(leased_until=at + LEASE_SECONDS)
    return Letter.objects.filter(pk=pk).first() if taken else None


def end_letter(letter: Letter, *, now: datetime) -> None:
    """It is gone, and what was sealed for it alone before: a kill in between leaves no address behind."""
    if letter.own:
        destroy_subject(letter.subject, now=now, by=SYSTEM, clause="A2.2h")
    if letter.address_row.startswith("old-"):
        forget_value(letter.subject, "email", row=letter.address_row)
    forget_half(_file_name(letter))
    Letter.objects.filter(pk=letter.pk).delete()


def _try_later(letter: Letter, *, refused: bool) -> None:
    """Ever more slowly. Where it failed for this mailbox, the others of its lane wait as long."""
    wait = min(FIRST_WAIT_SECONDS * 2**letter.tries, LONGEST_WAIT_SECONDS)
    until = time.time() + wait
    Letter.objects.filter(pk=letter.pk).update(tries=letter.tries + 1, leased_until=until, refused=refused)
    if refused:
        Letter.objects.filter(lane=letter.lane, leased_until__lt=until).update(leased_until=until)


def _wait_for_room(letter: Letter, *, now: datetime) -> None:
    """The mailbox has had its share: a notice of the owner's waits for room, anything else is over by then."""
    if letter.source or letter.token:
        end_letter(letter, now=now)
    else:
        Letter.objects.filter(pk=letter.pk).update(leased_until=time.time() + FULL_WAIT_SECONDS)


def _note_slow(domain: str, seconds: float) -> None:
    """A domain that takes long has at most a fifth of the time for itself."""
    if seconds >= SLOW_SECONDS:
        if len(_slow_until) >= SLOW_DOMAINS_KEPT:
            _slow_until.clear()
        _slow_until[domain] = time.monotonic() + 4 * seconds


def _send(letter: Letter, *, now: datetime) -> None:
    """Raises what `send` and `reveal` raise, NothingToSend, MailboxFull."""
    if letter.token:
        _code(letter.token, now=now)
    address = _address(letter, now=now)
    domain = address.rpartition("@")[2]
    if _slow_until.get(domain, 0.0) > time.monotonic():
        raise DomainSlow
    message = _compose(letter, address, now=now)
    place = take_place(address, letter.source, now=now)
    if place is None:
        raise MailboxFull
    begun = time.monotonic()
    try:
        send(message, name=_file_name(letter))
    except MailRefused:
        place.delete()
        raise
    finally:
        _note_slow(domain, time.monotonic() - begun)


def _count_nobody(letter: Letter, *, now: datetime) -> None:
    """The leaf that reading an address would have left: the size of the ledger does not tell who has an account."""
    with transaction.atomic(using="vault"):
        record_act(
            store="vault", act="reveal", clause="A2.2h", by=SYSTEM, now=now, subject=letter.subject, items=["email"],
            purpose="notices", outcome="missing", policy=policy_in_force().digest,
        )  # fmt: skip


def deliver_mail(*, now: datetime, limit: int = 50) -> int:
    """Send what waits; returns how many went. A round is bounded in letters and time.

    A server that is away ends the round: the letters behind would only wait for the same time-out.
    """
    sent, begun = 0, time.monotonic()
    numbers = _next_letters(now, limit)
    away = mail_server_trouble() if numbers else ""
    if away:
        log.warning(WAITS, away)
    for pk in numbers:
        letter = _take(pk)
        if letter is None:
            continue
        if away:
            _try_later(letter, refused=False)
            break
        try:
            _send(letter, now=now)
        except MailboxFull:
            _wait_for_room(letter, now=now)
        except DomainSlow:
            Letter.objects.filter(pk=pk).update(leased_until=time.time() + SLOW_SECONDS)
        except NobodysAddress:
            _count_nobody(letter, now=now)
            end_letter(letter, now=now)
        except (NothingToSend, ValueMissing, RevealRefused, KeyDestroyed, KeyUnknown):
            end_letter(letter, now=now)
        except (VaultError, KeysError):
            _try_later(letter, refused=False)  # the keyring or the vault is away, not the person
            break
        except MailRefused:
            _try_later(letter, refused=True)
        except MailServerAway as error:
            log.warning(WAITS, error)
            _try_later(letter, refused=True)
            break
        else:
            end_letter(letter, now=now)
            sent += 1
        if time.monotonic() - begun > ROUND_SECONDS:
            break
    return sent
