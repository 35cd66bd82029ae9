"""Scenes for those who believe nobody: old copies, the ledger, an outsider's verifier."""

import shutil
import sqlite3
from pathlib import Path

from imgnom.site.rehearsal.hunt import Hunt
from imgnom.site.rehearsal.stage import Stage


def old_copies_stay_shut(stage: Stage) -> None:
    """A thief has yesterday's stores and today's keyring: nothing of who left may open."""
    from imgnom.custody.keys.public import opens_today

    stage.say("trying an old copy of the stores with today's keys")
    with sqlite3.connect(stage.old_copy / "db" / "keys.sqlite3") as keys:
        wrapped = [bytes(row[0]) for row in keys.execute("SELECT wrapped FROM keys_datakey")]
    keys.close()
    opened = sum(opens_today(key) for key in wrapped)
    stage.prove(
        "A4.2 I9",
        wrapped and not opened,
        f"none of the {len(wrapped)} data keys in an old copy opens with today's keyring",
        f"{opened} data keys of an old copy open with today's keyring",
    )
    sealed: dict[str, str] = {}
    for person in stage.people.values():
        sealed |= person.sealed() | person.hidden()
    found = Hunt(sealed).files(stage.old_copy)
    stage.prove("A4.2 A1.1", not found, "an old copy of the stores shows no sealed value", f"found {found[:3]}")


def board(stage: Stage) -> None:
    """No worker has run for years here: the page says so. After one round of checks it turns green again."""
    from imgnom.procedures.proofs.public import check_promises

    stage.say("reading the board")
    visitor = stage.visitor("Visitor/board")

    def states() -> dict[str, str]:
        rows = visitor.get("/privacy/board.json").json()["clauses"]
        return {row["id"]: row["state"] for row in rows}

    before = states()
    stage.prove("A0.1", set(before) == set(stage.policy.clauses), "the board lists every clause of the file")
    stage.prove("A0.1 I12", before["A0.1"] == "red", "a board that nobody has checked for a day is red")
    failed = check_promises(now=stage.at)
    after = states()
    red = sorted(key for key, state in after.items() if state == "red")
    stage.prove("A0.1", not failed and not red, "checked again, no clause is red", f"failed {failed}, red {red}")


def ledger(stage: Stage) -> None:
    stage.say("verifying the ledger")
    from imgnom.custody.ledger.public import export_ledger, verify_ledger

    stage.work()
    if stage.sabotage == "ledger":
        _spoil(stage)
    result = verify_ledger()
    stage.prove(
        "A0.1 A4.2",
        result.ok,
        f"the ledger holds, {result.size} entries",
        f"the ledger is broken: {result.problem}",
    )
    visitor = stage.visitor("Visitor/auditor")
    # Beside the home, not in it: the hunt searches what the site writes, not what an auditor keeps.
    desk = stage.old_copy / "auditor"
    desk.mkdir()
    key, folder = desk / "key.txt", desk / "export"
    key.write_bytes(visitor.get("/privacy/ledger/key").content)
    export_ledger(folder)
    stage.prove("A0.1", stage.outsider_accepts(key, folder), "the outsider's verifier accepts the exported ledger")
    for person in stage.leavers:
        file = desk / f"{person.name}.json"
        file.write_bytes(visitor.get(f"/receipt/{person.receipt}.json").content)
        stage.prove("I6 A4.2", stage.outsider_accepts(key, file), "the receipt's proof holds for an outsider")
        spoiled = desk / "spoiled.json"
        spoiled.write_bytes(file.read_bytes().replace(b'"act"', b'"axt"', 1).replace(b'\\"act\\"', b'\\"axt\\"', 1))
        changed = spoiled.read_bytes() != file.read_bytes()
        stage.prove("I6", changed and not stage.outsider_accepts(key, spoiled), "a changed receipt is refused")
    _one_byte_is_found(stage, key, folder)
    shutil.rmtree(desk)


def _one_byte_is_found(stage: Stage, key: Path, folder: Path) -> None:
    leaves = folder / "leaves.jsonl"
    before = leaves.read_bytes()
    after = before.replace(b'"outcome":"done"', b'"outcome":"gone"', 1)
    leaves.write_bytes(after)
    stage.prove("A0.1", before != after and not stage.outsider_accepts(key, folder), "one changed byte is found")


def _spoil(stage: Stage) -> None:
    """Sabotage: one entry is rewritten in place, as somebody with the database's password could."""
    from django.db import connections

    with connections["ledger"].cursor() as cursor:
        cursor.execute(
            "UPDATE ledger_leaf SET payload = replace(payload, 'done', 'gone') WHERE id = (SELECT MIN(id) FROM ledger_leaf)"
        )
