"""A thief has yesterday's stores and today's keyring, or today's stores and no keyring (A4.2, I9)."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from imgnom.site.rehearsal.hunt import Canary
from imgnom.site.rehearsal.sabotage import spoilt
from imgnom.site.rehearsal.stage import Stage


def stay_shut(stage: Stage) -> None:
    from imgnom.custody.keys.public import opens_today

    stage.say("trying an old copy of the stores with today's keys")
    kept = _keep_old_kek(stage)
    with closing(sqlite3.connect(stage.old_copy / "db" / "keys.sqlite3")) as keys:
        wrapped = list(keys.execute("SELECT key_id, owner, klass, wrapped FROM keys_datakey"))
    opened = sum(opens_today(key) for key in wrapped)
    stage.prove(
        "A4.2 I9",
        wrapped and not opened,
        f"none of the {len(wrapped)} data keys in an old copy opens with today's keyring",
        f"{opened} data keys of an old copy open with today's keyring",
    )
    for file in kept:
        file.unlink()
    sealed: dict[str, Canary] = {}
    for person in stage.people.values():
        sealed |= person.sealed() | person.hidden()
    found = stage.hunt(sealed, under=stage.old_copy)
    stage.prove("A4.2 A1.1", not found, "an old copy of the stores shows no sealed value", f"found {found[:3]}")
    _keys_are_apart(stage)


def _keys_are_apart(stage: Stage) -> None:
    """No byte of the keyring lies in a store, and today's data keys do open, so that the look is no empty one."""
    from imgnom.custody.keys.public import opens_today

    ring = {file.name: file.read_bytes().strip() for file in sorted((stage.home / "keyring").glob("*.key"))}
    # Of each file its longest run of characters: the key itself, whatever stands around it.
    secrets: dict[str, Canary] = {name: max(content.split(), key=len) for name, content in ring.items() if content}
    found = stage.hunt(secrets, under=stage.home / "db")
    stage.prove("I9", ring and not found, "no key of the keyring lies in a store", f"found {found[:3]}")
    place = stage.home / "db" / "keys.sqlite3"
    with (
        spoilt(place, *_old_wrapping(stage), only="turn-rewrap" in stage.sabotage),
        closing(sqlite3.connect(place)) as keys,
    ):
        wrapped = list(keys.execute("SELECT key_id, owner, klass, wrapped FROM keys_datakey"))
    stage.prove("I9", all(map(opens_today, wrapped)), "today's data keys open with the keyring alone")


def _keep_old_kek(stage: Stage) -> list[Path]:
    """Sabotage: the key-encryption key of the day of the copy lies in the keyring again."""
    if "turn" not in stage.sabotage:
        return []
    back = []
    for file in sorted((stage.old_copy / "keks").glob("kek-*.key")):
        place = stage.home / "keyring" / file.name
        if not place.exists():
            shutil.copy(file, place)
            back.append(place)
    return back


def _old_wrapping(stage: Stage) -> list[str]:
    """Sabotage: one key of today is as the old copy has a key: wrapped under the key-encryption key of before."""
    with closing(sqlite3.connect(stage.old_copy / "db" / "keys.sqlite3")) as keys:
        (old,) = keys.execute("SELECT hex(wrapped) FROM keys_datakey").fetchone()
    return [f"UPDATE keys_datakey SET wrapped = x'{old}' WHERE rowid = (SELECT MIN(rowid) FROM keys_datakey)"]  # noqa: S608 - hex
