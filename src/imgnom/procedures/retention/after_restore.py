"""After a restore: whoever left stays gone, by the choice they made, and every receipt answers (A4.2, A7.2b, I6).

The ledger and the receipts beside it are newer than the rest. A member who came back with the copy, but whose key is
dead or whose leaving stands in the ledger, is taken through the same steps again from behind the archive: what was
kept apart then cannot be sealed a second time, because its live key is gone.
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from django.db import transaction

from imgnom.community.images.public import keys_of_images
from imgnom.community.members.public import mark_withdrawn, member_by_id, nickname_key, subjects_of_members
from imgnom.custody.archive.public import archived_facts
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import alive_owners
from imgnom.custody.ledger.public import KeptReceipt, kept_receipts, make_number
from imgnom.custody.vault.public import (
    SUBJECT,
    fence_subject,
    hold_digest,
    hold_indexed_name,
    hold_name,
    known_subjects,
    ledger_name,
)
from imgnom.policy.public import Choice, ends_at
from imgnom.procedures.retention.models import Withdrawal
from imgnom.procedures.retention.run_due import end_archive
from imgnom.procedures.retention.withdraw_member import settle_posts

# Behind the archive, before the keys: from here the usual steps run on.
AGAIN = "archived"


def replay_withdrawals(leaves: Iterable[dict[str, Any]], held: Mapping[int, str], *, now: datetime) -> int:
    """Who left after the copy was made is on the way out again; `leaves` are the acts of leaving since. How many.

    `held` are the digests of nicknames that nobody can read any more, by member.

    What is left to do is a withdrawal under way like any other.
    """
    acts = {leaf["subject"]: leaf for leaf in leaves if leaf["subject"]}
    # Leaves name who left by a digest that takes the keyring to make; those of older versions by the subject itself.
    known = {*subjects_of_members(), *known_subjects(), *alive_owners(SUBJECT)}
    said = {who: acts[name] for who in known for name in (who, ledger_name("withdrawal", who)) if name in acts}
    by_leaf = {leaf["id"]: name for name, leaf in acts.items()} | {leaf["id"]: who for who, leaf in said.items()}
    receipts = {receipt.leaves[0]: receipt for receipt in kept_receipts() if receipt.leaves}
    for receipt in receipts.values():
        _go_on_where_it_was(receipt)
    alive, again = alive_owners(SUBJECT), 0
    for subject, member_id in subjects_of_members().items():
        if subject in said or subject not in alive:
            leaf = said.get(subject)
            again += _leave_again(member_id, subject, leaf, receipts.get(leaf["id"]) if leaf else None, held, now)
    for leaf_id, receipt in receipts.items():
        _bring_back(receipt, by_leaf.get(leaf_id))
    _fence_letters(alive, now)
    return again


def _take_over(row: Withdrawal, receipt: KeptReceipt) -> None:
    row.lines, row.leaves, row.certificates = receipt.lines, receipt.leaves, receipt.certificates


def _go_on_where_it_was(receipt: KeptReceipt) -> None:
    """A row that the copy holds says what the newer receipt says; one that was under way goes on behind the archive."""
    row = Withdrawal.objects.filter(number=receipt.number).first()
    if row is None or len(receipt.leaves) < len(row.leaves):
        return
    _take_over(row, receipt)
    if row.state == "accepted" and receipt.state != "accepted":
        _go_behind_the_archive(row)
    row.save()


def _go_behind_the_archive(row: Withdrawal) -> None:
    row.state = AGAIN
    row.file_keys = list(keys_of_images(row.member_id or 0, only_private=row.choice != "delete"))


def _leave_again(
    member_id: int,
    subject: str,
    leaf: dict[str, Any] | None,
    receipt: KeptReceipt | None,
    held: Mapping[int, str],
    now: datetime,
) -> int:
    """0 for somebody whom the copy itself holds as leaving."""
    if Withdrawal.objects.filter(member_id=member_id).exists():
        return 0
    policy, card = policy_in_force(), member_by_id(member_id)
    nickname = card.nickname if card else ""
    choice = cast("Choice", leaf["detail"]["choice"] if leaf else policy.setting("content_without_choice"))
    left_at = receipt.starts_at if receipt else datetime.fromisoformat(leaf["time"]) if leaf else now
    until = ends_at(policy.records["freed_names"], left_at, policy.zone)
    fence_subject(subject, now=now)
    hold_indexed_name(subject, "username", starts_at=left_at, until=until)
    name_until = None if choice == "keep" else until
    if member_id in held:
        hold_digest("nickname", held[member_id], starts_at=left_at, until=name_until)
    else:
        hold_name("nickname", nickname_key(nickname), starts_at=left_at, until=name_until)
    row = Withdrawal(
        number=make_number("R", 5), member_id=member_id, subject=subject, choice=choice, lines=[], leaves=[leaf["id"]] if leaf else [],
        policy_digest=policy.digest, archive_ref=secrets.token_hex(13), letter=secrets.token_hex(13), starts_at=left_at,
    )  # fmt: skip
    if receipt is not None:
        row.number, row.language, row.letter = receipt.number, receipt.language, receipt.letter
        row.policy_digest, row.archive_ref = receipt.policy_digest, receipt.archive_ref
        _take_over(row, receipt)
    with transaction.atomic():
        mark_withdrawn(member_id)
        _go_behind_the_archive(row)
        row.save()
        settle_posts(member_id, nickname, choice, now)
    return 1


def _bring_back(receipt: KeptReceipt, subject: str | None) -> None:
    """The receipt of somebody of whom the copy knows nothing at all.

    Where they were on the way out when the copy was made, the steps run on without them: keys die, and a certificate says
    so. A subject that no act names any more stands for nobody.
    """
    is_done = receipt.state == "done"
    Withdrawal.objects.get_or_create(
        number=receipt.number,
        defaults={
            "choice": receipt.choice, "language": receipt.language, "state": "done" if is_done else AGAIN, "lines": receipt.lines,
            "policy_digest": receipt.policy_digest, "archive_ref": receipt.archive_ref, "letter": receipt.letter, "leaves": receipt.leaves,
            "certificates": receipt.certificates, "starts_at": receipt.starts_at,
            "subject": None if is_done else subject or secrets.token_hex(13), "member_id": None,
        },
    )  # fmt: skip


def subjects_leaving() -> set[str]:
    """Who is on the way out, and the letters that are still to be sealed for them."""
    waiting = Withdrawal.objects.exclude(state="done").values_list("subject", "letter", "state")
    return {
        token
        for subject, letter, state in waiting
        for token in (subject, letter if state == "accepted" else None)
        if token
    }


def _fence_letters(alive: set[str], now: datetime) -> None:
    """A letter with a number went once: its address, and the right to write it again, are gone."""
    for letter in Withdrawal.objects.exclude(state="accepted").values_list("letter", flat=True):
        if letter not in alive:
            fence_subject(letter, now=now)


def end_lost_archives(*, now: datetime) -> int:
    """What a receipt says is kept apart, but the copy does not hold, is over: its key goes and the receipt says so."""
    ended = 0
    for row in Withdrawal.objects.exclude(state="accepted"):
        there = {record for record, _item, _end in archived_facts(row.archive_ref)}
        for line in row.lines:
            if line["outcome"] == "archived" and line["state"] == "held" and line["record"] not in there:
                end_archive(row.archive_ref, line["record"], now)
                ended += 1
    return ended
