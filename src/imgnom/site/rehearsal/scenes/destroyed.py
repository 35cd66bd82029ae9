"""The steps of a destruction, one look each: list, fence, keys, indexes, values, files, what is kept (A4.0, A4.1, A4.2).

What is looked at is the store itself, beside an old copy that still holds those who left.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from imgnom.policy.public import ends_at
from imgnom.site.rehearsal.sabotage import bring_back, spoilt, take_away
from imgnom.site.rehearsal.stage import Stage


def step_by_step(stage: Stage) -> None:
    dead = _subjects_that_left(stage)
    with _spoilt(stage, "destroy-intent"):
        _was_listed(stage)
    _stay_fenced(stage, dead)
    for step, look in (("destroy-keys", _keys), ("destroy-indexes", _indexes), ("destroy-values", _values)):
        with _brought_back(stage, step):
            look(stage, dead)
    _files(stage)
    with _spoilt(stage, "archive-move"):
        _reached_the_archive(stage)


def _store(stage: Stage, alias: str, *, old: bool = False) -> Path:
    return (stage.old_copy if old else stage.home) / "db" / f"{alias}.sqlite3"


def _ask(file: Path, question: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(file)) as store:
        return [tuple(map(str, row)) for row in store.execute(question)]


def _subjects_that_left(stage: Stage) -> set[str]:
    members = "SELECT subject FROM members_member"
    gone = set(_ask(_store(stage, "default", old=True), members)) - set(_ask(_store(stage, "default"), members))
    return {subject for (subject,) in gone}


# ── sabotage ─────────────────────────────────────────────────────────────────────────────────────────────────────────

COMES_BACK = {
    "destroy-keys": ("keys", "keys_datakey"),
    "destroy-indexes": ("vault", "vault_blindindex"),
    "destroy-values": ("vault", "vault_sealedvalue"),
}


EMPTIED = {"destroy-intent": ("ledger", "ledger_intent"), "archive-move": ("archive", "archive_archivedvalue")}


def _spoilt(stage: Stage, step: str) -> AbstractContextManager[None]:
    """While the block runs a table is empty, if the step is to be broken."""
    alias, table = EMPTIED[step]
    return spoilt(_store(stage, alias), f"DELETE FROM {table}", only=step in stage.sabotage)  # noqa: S608 - one of EMPTIED


@contextmanager
def _brought_back(stage: Stage, step: str) -> Iterator[None]:
    """While the block runs, what that step destroyed is there again, if the step is to be broken."""
    alias, table = COMES_BACK[step]
    if step not in stage.sabotage:
        yield
        return
    rows = bring_back(_store(stage, alias, old=True), _store(stage, alias), table)
    try:
        yield
    finally:
        take_away(_store(stage, alias), table, rows)


# ── the looks ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _was_listed(stage: Stage) -> None:
    """Every key that a certificate of somebody's end names stood on the destruction list before."""
    ledger = _store(stage, "ledger")
    intents = _ask(ledger, "SELECT key_ids, made_at FROM ledger_intent")
    ends = _ask(ledger, "SELECT key_ids, made_at FROM ledger_certificate WHERE reference LIKE 'withdrawal:%'")
    left = 0
    for keys, made_at in ends:
        listed = {key for wanted, at in intents if at <= made_at for key in json.loads(wanted)}
        left += not set(json.loads(keys)) <= listed
    stage.prove(
        "A4.2",
        len(ends) == len(stage.leavers) and not left,
        "whatever was destroyed stood on the destruction list before",
        f"of {len(ends)} destructions {left} was not on the list before",
    )


def _stay_fenced(stage: Stage, dead: set[str]) -> None:
    """A write that comes late, as from a request that was on its way, finds nobody to write about."""
    from imgnom.custody.keys.public import KeysError
    from imgnom.custody.vault.public import VaultError, ensure_subject, seal_value

    vault = _store(stage, "vault")
    fences = _ask(vault, "SELECT subject, fenced_at FROM vault_fence")
    broken = "destroy-fence" in stage.sabotage
    if broken:
        with closing(sqlite3.connect(vault)) as store, store:
            store.execute("DELETE FROM vault_fence")
    revived = 0
    for subject in dead:
        try:
            ensure_subject(subject, now=stage.at)
            seal_value(subject, "email", "late@example.org", now=stage.at)
        except (VaultError, KeysError):
            continue
        revived += 1
    if broken:
        _mend_fences(stage, fences, dead)
    stage.prove(
        "A4.2",
        len(dead) == len(stage.leavers) and not revived,
        "a late write about somebody who left is refused",
        f"a late write revived {revived} of {len(dead)} who left",
    )


def _mend_fences(stage: Stage, fences: list[tuple[str, ...]], dead: set[str]) -> None:
    with closing(sqlite3.connect(_store(stage, "vault"))) as store, store:
        store.executemany("INSERT INTO vault_fence (subject, fenced_at) VALUES (?, ?)", fences)
        store.executemany("DELETE FROM vault_sealedvalue WHERE subject = ?", [(subject,) for subject in dead])
    with closing(sqlite3.connect(_store(stage, "keys"))) as store, store:
        store.executemany("DELETE FROM keys_datakey WHERE owner = ?", [(subject,) for subject in dead])


def _keys(stage: Stage, dead: set[str]) -> None:
    """No data key under which anything of a leaver was sealed before is in the key store any more."""
    before = _ask(_store(stage, "vault", old=True), "SELECT DISTINCT key_id, subject FROM vault_sealedvalue")
    held = {key for (key,) in _ask(_store(stage, "keys"), "SELECT key_id FROM keys_datakey")}
    theirs = {key for key, subject in before if subject in dead}
    stage.prove(
        "A4.2",
        len(theirs) >= len(stage.leavers) and not theirs & held,
        "the keys of those who left are no longer in the key store",
        f"{len(theirs & held)} of {len(theirs)} keys of people who left are still there",
    )


def _indexes(stage: Stage, dead: set[str]) -> None:
    subjects = "SELECT subject FROM vault_blindindex"
    before = [subject for (subject,) in _ask(_store(stage, "vault", old=True), subjects) if subject in dead]
    left = [subject for (subject,) in _ask(_store(stage, "vault"), subjects) if subject in dead]
    stage.prove(
        "A4.2",
        before and not left,
        "no index leads to those who left",
        f"{len(left)} indexes still lead to people who left",
    )


def _values(stage: Stage, dead: set[str]) -> None:
    subjects = "SELECT subject FROM vault_sealedvalue"
    left = [subject for (subject,) in _ask(_store(stage, "vault"), subjects) if subject in dead]
    stage.prove(
        "A4.2",
        not left,
        "no sealed value of those who left is in the vault",
        f"{len(left)} sealed values of people who left are in the vault",
    )


def _files(stage: Stage) -> None:
    """Deleted posts and private pictures: neither the sealed original nor a size is there."""
    rows = _ask(_store(stage, "default", old=True), "SELECT public_id, media_token FROM images_image")
    tokens = {row[0]: row[1] for row in rows}
    went = [person.private_picture for person in stage.leavers if person.private_picture]
    went += [picture for person in stage.leavers if person.choice == "delete" for picture in person.pictures.values()]
    names = {file.name: file for file in (stage.old_copy / "media").rglob("*") if file.is_file()}
    old = [file for name, file in names.items() if any(name.startswith(tokens.get(one, "-")) for one in went)]
    back = [stage.home / "media" / file.relative_to(stage.old_copy / "media") for file in old]
    if "destroy-files" in stage.sabotage:
        back[0].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(old[0], back[0])
    left = [file for file in back if file.exists()]
    stage.prove(
        "A4.0",
        len(old) >= len(went) and not left,
        "no file of a picture that went is there",
        f"{len(left)} of {len(old)} files of pictures that went are there",
    )
    for file in left:
        file.unlink()


def _reached_the_archive(stage: Stage) -> None:
    """What the policy keeps for a while was moved to the separate store for everybody who left, and for nobody else."""
    record = stage.policy.records["identity_after_leaving"]
    kept = record.state != "planned" and record.scope == "everyone" and bool(record.items)
    wanted = {
        person.name
        for person in stage.leavers
        if kept and (ends_at(record, stage.marks[f"{person.name} left"], stage.policy.zone) or stage.at) >= stage.at
    }
    there = {ref for ref, _, _ in stage.archived()}
    stage.prove(
        "A3.1 A4.1①",
        len(there) == len(wanted),
        "what is kept for a while was moved to the separate store",
        f"of {len(wanted)} people {len(there)} reached the separate store",
    )
