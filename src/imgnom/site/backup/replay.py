"""After a set took its place and before the doors open: everything that ended since ends again (A4.2, F18).

The newest keys and the newest ledger know more than the rest. Order: keys said to be destroyed → words → entries of the past
(sessions, codes, letters) → pictures and comments → members who left, by their choice → consents taken back → values,
entries and days without a key → what is held of nobody → keys that nothing hangs on → files without a row → retention to
now, the turn of the epoch → the ledger and the stores proven. Every step may be repeated.
"""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from imgnom.community.comments.public import (
    comment_numbers,
    delete_picture,
    discard_comment,
    remove_comment_by_staff,
)
from imgnom.community.images.public import (
    CHANGE_VISIBILITY,
    all_public_ids,
    dead_pictures,
    file_owners,
    remove_by_staff,
    see_again_as,
    sweep_orphans,
)
from imgnom.community.members.public import (
    drop_dead_registrations,
    drop_entries,
    subjects_of_members,
    subjects_of_registrations,
)
from imgnom.community.visits.public import day_keys, drop_dead_days
from imgnom.custody.archive.public import KLASS as ARCHIVE
from imgnom.custody.archive.public import archive_owners, drop_dead_entries
from imgnom.custody.consent.public import consents_of, forget_consents, record_consent, subjects_with_consents
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import (
    KeysError,
    alive_owners,
    check_keyring,
    compact_stores,
    destroy_keys,
    ensure_all_open,
    keys_by_owner,
)
from imgnom.custody.ledger.public import (
    acts_from,
    free_leases,
    held_still,
    keys_said_destroyed,
    make_checkpoint,
    verify_ledger,
)
from imgnom.custody.outbox.public import record_act
from imgnom.custody.vault.public import (
    FILE,
    NAME,
    SUBJECT,
    WORDS,
    destroy_subject,
    drop_dead_values,
    known_subjects,
    ledger_name,
)
from imgnom.policy.public import SYSTEM
from imgnom.procedures.retention.public import end_lost_archives, replay_withdrawals, run_due, subjects_leaving
from imgnom.site.backup.errors import RestoreRefused
from imgnom.site.backup.manifest import Manifest
from imgnom.site.backup.words import bring_words_back
from imgnom.site.invariants import check_invariants
from imgnom.site.models import WorkLease
from imgnom.web.row_order import number_from

type Tell = Callable[[str], None]
REMOVED = "복원한 뒤 다시 적용한 삭제입니다. (Removed again after a restore.)"
DAY_KLASSES = ("day-member", "day-visitor")


@dataclass(frozen=True)
class Replayed:
    """What ended a second time."""

    keys: int
    entries: int
    pictures: int
    hidden: int
    comments: int
    members: int
    consents: int
    rows: int
    strangers: int
    idle_keys: int
    files: int
    archives: int


def replay(manifest: Manifest, destroyed: Collection[str], words_file: Path, *, now: datetime, tell: Tell) -> Replayed:
    """The restored site is as far as the newest keys and ledger are. Raises RestoreRefused when it cannot be proven."""
    tell("opening every key")
    try:
        check_keyring()
        ensure_all_open()
    except KeysError as error:
        raise RestoreRefused(str(error)) from None
    WorkLease.objects.update(held=False)
    free_leases()

    tell("replaying destructions")
    keys = destroy_keys(set(destroyed) | keys_said_destroyed(), now=now, by=SYSTEM, clause="A4.2")
    tell("opening the words of everybody who is still here")
    nicknames = bring_words_back(words_file)
    entries = drop_entries(now=now) + drop_dead_registrations(alive_owners(SUBJECT), now=now)
    pictures, hidden = _pictures(manifest.ledger_from, now), _visibility(manifest.ledger_from)
    comments = _comments(manifest.ledger_from, now)
    members = replay_withdrawals(acts_from(manifest.ledger_from, acts={"withdraw"}), nicknames, now=now)
    consents = _consents(manifest.ledger_from, now)
    rows = drop_dead_values() + drop_dead_entries() + drop_dead_days()
    archives = end_lost_archives(now=now)
    strangers = _strangers(now)
    idle = _idle_keys(now)
    files = sweep_orphans(now=now, older_than=timedelta(0))
    done = Replayed(
        keys, entries, pictures, hidden, comments, members, consents, rows, strangers, idle, files, archives
    )
    compact_stores()

    tell("retention to now, and the turn of the epoch")
    report = run_due(now=now)
    if report.errors:
        what = ", ".join(f"{step} {error}" for step, error in report.errors.items())
        raise RestoreRefused(f"retention could not run to now ({what}); the same command goes on from here.")
    tell("proving")
    _write_leaf(manifest, done, now)
    _prove()
    return done


def _pictures(begin: int, now: datetime) -> int:
    """Pictures whose key is gone: removed by staff keep their place and a reason, all others go whole."""
    removed = {leaf["detail"].get("picture") for leaf in acts_from(begin, acts={"remove_picture"})}
    dead = dead_pictures()
    for image in dead:
        if {image.public_id, ledger_name("picture", image.public_id)} & removed:
            remove_by_staff(image.public_id, reason=REMOVED, by=SYSTEM, now=now)
        else:
            delete_picture(image, now=now, by=SYSTEM)
    return len(dead)


def _visibility(begin: int) -> int:
    """What an owner hid since is not shown by a copy; what was shown since is shown."""
    said = {
        leaf["detail"]["picture"]: leaf["detail"]["visibility"] for leaf in acts_from(begin, acts={CHANGE_VISIBILITY})
    }
    if not said:
        return 0
    names = {ledger_name("picture", public_id): public_id for public_id in all_public_ids()}
    return sum(see_again_as(names.get(picture, picture), visibility) for picture, visibility in said.items())


def _comments(begin: int, now: datetime) -> int:
    """Comments have no key of their own: the ledger says their number, under a name that only we can read."""
    acts = list(acts_from(begin, acts={"destroy_comments", "remove_comment"}))
    said = [(leaf["act"], leaf["detail"]["comment"]) for leaf in acts if "comment" in leaf["detail"]]
    names = {ledger_name("comment", number): number for number in (comment_numbers() if said else ())}
    count = 0
    for act, name in said:
        # A plain number is of a version that numbered comments in order.
        number = number_from("comment", name) if isinstance(name, int) else names.get(name)
        if number is None:
            continue
        if act == "destroy_comments":
            count += discard_comment(number, now=now, by=SYSTEM)
        else:
            count += remove_comment_by_staff(number, reason=REMOVED, by=SYSTEM, now=now)
    return count


def _consents(begin: int, now: datetime) -> int:
    """A consent that was taken back is not given again by a copy."""
    latest = {
        (leaf["subject"], leaf["purpose"]): leaf["act"]
        for leaf in acts_from(begin, acts={"give_consent", "withdraw_consent"})
    }
    count, kinds, members = 0, policy_in_force().consents, subjects_of_members()
    for (subject, kind), act in latest.items():
        if act == "withdraw_consent" and kind in kinds and subject in members and kind in consents_of(subject):
            record_consent(subject, kind, given=False, way="restore", by=SYSTEM, now=now)
            count += 1
    return count


def _strangers(now: datetime) -> int:
    """Values and consents of people, and of letters, that came while the set was being made: of them the first store
    copied knows nothing, so that nobody could ever see, correct or end what the others hold.
    """
    here = set(subjects_of_members()) | subjects_of_registrations() | subjects_leaving()
    strangers = sorted((known_subjects() | subjects_with_consents()) - here)
    for subject in strangers:
        forget_consents(subject)
        destroy_subject(subject, now=now, by=SYSTEM, clause="A4.2")
    return len(strangers)


def _idle_keys(now: datetime) -> int:
    """Keys of people, pictures, days and entries that came after the copy, and of which nothing is here."""
    subjects = set(subjects_of_members()) | subjects_of_registrations() | subjects_leaving()
    wanted = {SUBJECT: subjects, WORDS: subjects, NAME: subjects, FILE: file_owners(), ARCHIVE: archive_owners()}
    idle = [
        key_id
        for klass, owners in wanted.items()
        for owner, key_ids in keys_by_owner(klass).items()
        if owner not in owners
        for key_id in key_ids
    ]
    days = day_keys()
    for klass in DAY_KLASSES:
        idle += [key_id for key_ids in keys_by_owner(klass).values() for key_id in key_ids if key_id not in days]
    return destroy_keys(idle, now=now, by=SYSTEM, clause="A4.2")


def _write_leaf(manifest: Manifest, done: Replayed, now: datetime) -> None:
    detail: dict[str, str | int | bool | None] = {"set": manifest.set_id, "made_at": manifest.made_at.isoformat()}
    record_act(store="default", act="restore", clause="A4.2", by=SYSTEM, now=now, detail=detail | asdict(done))
    with held_still(now=now):
        make_checkpoint(now=now)


def _prove() -> None:
    result = verify_ledger()
    if not result.ok:
        raise RestoreRefused(f"the ledger does not hold: {result.problem}. Nothing is served.")
    report = check_invariants()
    failed = [row for row in report["invariants"] if not row["ok"]]
    if failed:
        raise RestoreRefused(f"{failed[0]['id']}: {failed[0]['words']}. Nothing is served; the same command goes on.")
    if report["withdrawals_under_way"]:
        raise RestoreRefused("I4: a withdrawal is under way. Nothing is served; the same command goes on.")
