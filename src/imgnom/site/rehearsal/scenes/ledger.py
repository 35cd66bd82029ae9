"""The ledger holds, an outsider's verifier agrees, and whatever was changed is found (A0.1, I6, A4.2)."""

from pathlib import Path

from imgnom.site.rehearsal.canaries import Person
from imgnom.site.rehearsal.stage import Stage


def is_verified(stage: Stage) -> None:
    from imgnom.custody.ledger.public import export_ledger, verify_ledger

    stage.say("verifying the ledger")
    stage.work()
    if "ledger" in stage.sabotage:
        _spoil()
    result = verify_ledger()
    stage.prove(
        "A0.1", result.ok, f"the ledger holds, {result.size} entries", f"the ledger is broken: {result.problem}"
    )
    visitor = stage.visitor("Visitor/auditor")
    # Beside the home, not in it: the hunt searches what the site writes, not what an auditor keeps.
    desk = stage.old_copy / "auditor"
    desk.mkdir()
    key, folder = desk / "key.txt", desk / "export"
    key.write_bytes(visitor.get("/privacy/ledger/key").content)
    export_ledger(folder)
    stage.prove("A0.1", stage.outsider_accepts(key, folder), "the outsider's verifier accepts the exported ledger")
    stage.say("verifying receipts and certificates")
    for person in stage.leavers:
        _receipt(stage, person, key)
    stage.say("changing one byte")
    _one_byte_is_found(stage, key, folder)


def _receipt(stage: Stage, person: Person, key: Path) -> None:
    visitor, desk = stage.visitor("Visitor/auditor"), key.parent
    file = desk / f"{person.name}.json"
    answer = visitor.get(f"/receipt/{person.receipt}.json")
    file.write_bytes(answer.content)
    stage.prove("I6 A4.2", stage.outsider_accepts(key, file), "the receipt's proof holds for an outsider")
    held = [line["record"] for line in answer.json()["lines"] if line["state"] in ("held", "refused", "going")]
    stage.prove("I6 A4.2", not held, "the receipt says destroyed at the end", f"the receipt still holds {held}")
    for signed_by in answer.json()["certificates"]:
        number = signed_by["certificate"]["certificate"]
        signed = desk / f"{number}.json"
        signed.write_bytes(visitor.get(f"/receipt/{person.receipt}/certificate/{number}.json").content)
        stage.prove("A4.2 I6", stage.outsider_accepts(key, signed), "each certificate's proof holds for an outsider")
    spoiled = desk / "spoiled.json"
    spoiled.write_bytes(file.read_bytes().replace(b'"act"', b'"axt"', 1).replace(b'\\"act\\"', b'\\"axt\\"', 1))
    changed = spoiled.read_bytes() != file.read_bytes()
    stage.prove("I6", changed and not stage.outsider_accepts(key, spoiled), "a changed receipt is refused")


def _one_byte_is_found(stage: Stage, key: Path, folder: Path) -> None:
    leaves = folder / "leaves.jsonl"
    before = leaves.read_bytes()
    after = before.replace(b'"outcome":"done"', b'"outcome":"gone"', 1)
    leaves.write_bytes(after)
    stage.prove("A0.1", before != after and not stage.outsider_accepts(key, folder), "one changed byte is found")


def _spoil() -> None:
    """Sabotage: one entry is rewritten in place, as somebody with the database's password could."""
    from django.db import connections

    with connections["ledger"].cursor() as cursor:
        cursor.execute(
            "UPDATE ledger_leaf SET payload = replace(payload, 'done', 'gone') WHERE id = (SELECT MIN(id) FROM ledger_leaf)"
        )
