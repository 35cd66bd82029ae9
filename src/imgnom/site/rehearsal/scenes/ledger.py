"""The ledger holds, an outsider's verifier agrees, and whatever was changed is found (A0.1, I6, A4.2)."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from imgnom.site.rehearsal.canaries import Person
from imgnom.site.rehearsal.sabotage import spoilt
from imgnom.site.rehearsal.stage import Stage


def is_noted(stage: Stage) -> None:
    """An auditor keeps the key and a checkpoint of the beginning. Beside the home: the hunt reads what the site writes."""
    stage.work()
    visitor, desk = stage.visitor("Visitor/auditor"), _desk(stage)
    desk.mkdir()
    (desk / "key.txt").write_bytes(visitor.get("/privacy/ledger/key").content)
    (desk / "older.txt").write_bytes(visitor.get("/privacy/ledger/checkpoint").content)


def _desk(stage: Stage) -> Path:
    return stage.old_copy / "auditor"


def is_verified(stage: Stage) -> None:
    from imgnom.custody.ledger.public import export_ledger, verify_ledger

    stage.say("verifying the ledger")
    stage.work()
    result = verify_ledger()
    stage.prove(
        "A0.1", result.ok, f"the ledger holds, {result.size} entries", f"the ledger is broken: {result.problem}"
    )
    for step in (step for step in HARMS if step in stage.sabotage):
        _is_harmed(stage, step)
    visitor = stage.visitor("Visitor/auditor")
    key, older, folder = _desk(stage) / "key.txt", _desk(stage) / "older.txt", _desk(stage) / "export"
    export_ledger(folder)
    stage.prove(
        "A0.1",
        stage.outsider_accepts(key, folder, older),
        "the outsider's verifier accepts the exported ledger, and that it goes on from a checkpoint of the first day",
    )
    went_on = _desk(stage) / "consistency.json"
    went_on.write_bytes(visitor.get(f"/privacy/ledger/consistency/{_size(older)}").content)
    stage.prove(
        "A0.1",
        stage.outsider_accepts(key, went_on, older),
        "whoever kept a checkpoint can prove over the network that nothing before it was rewritten",
    )
    _certificates_are_final(stage)
    stage.say("verifying receipts and certificates")
    with spoilt(_store(stage), CHANGE_A_CERTIFICATE, only="certificate" in stage.sabotage):
        for person in stage.leavers:
            _receipt(stage, person, key)
    stage.say("changing one byte")
    _one_byte_is_found(stage, key, folder)


def _store(stage: Stage) -> Path:
    return stage.home / "db" / "ledger.sqlite3"


def _size(note: Path) -> int:
    return int(note.read_text(encoding="utf-8").split("\n")[1])


def _certificates_are_final(stage: Stage) -> None:
    """Years later every copy that could hold a dead key is gone by the policy's own horizon."""
    horizon = timedelta(days=int(stage.policy.setting("backup_days")))
    statement = "UPDATE ledger_certificate SET grade = 'cryptographic'"
    with spoilt(_store(stage), statement, only="certificate-final" in stage.sabotage):
        grades = stage.certificates(before=stage.at - horizon - timedelta(days=1))
    short = sum(grade != "final" for grade in grades)
    stage.prove(
        "A4.2",
        grades and not short,
        "certificates are final once the horizon of backups has passed",
        f"{short} of {len(grades)} certificates are not final long after the horizon",
    )


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


# ── sabotage ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _is_harmed(stage: Stage, step: str) -> None:
    """One harm, the look at it, and the ledger as it was: so each harm is seen alone."""
    from imgnom.custody.ledger.public import verify_ledger

    with spoilt(_store(stage)):
        HARMS[step](stage)
        result = verify_ledger()
    stage.prove("A0.1", result.ok, f"the ledger holds: {step}", f"the ledger is broken: {result.problem}")


def _say(*statements: str) -> None:
    from django.db import connections

    with connections["ledger"].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _change(_stage: Stage) -> None:
    """One entry is rewritten in place, as somebody with the database's password could."""
    _say("UPDATE ledger_leaf SET payload = replace(payload, 'done', 'gone') WHERE \"index\" = 0")


def _unseal(_stage: Stage) -> None:
    _say("UPDATE ledger_checkpoint SET note = replace(note, '/ledger', '/lodger') WHERE id = 1")


def _edit_certificate(_stage: Stage) -> None:
    _say(CHANGE_A_CERTIFICATE)


def _cut(_stage: Stage) -> None:
    """The last ten entries go, with every hash and every seal above them: only the witness knows."""
    _say(
        'DELETE FROM ledger_checkpoint WHERE size > (SELECT MAX("index") - 9 FROM ledger_leaf)',
        'DELETE FROM ledger_node WHERE (("index" + 1) << level) > (SELECT MAX("index") - 9 FROM ledger_leaf)',
        'DELETE FROM ledger_leaf WHERE "index" > (SELECT MAX("index") - 10 FROM ledger_leaf)',
    )


def _rewrite(stage: Stage) -> None:
    """Another past of the same length, sealed with the site's own key."""
    from imgnom.custody.ledger.public import make_checkpoint, sequence
    from imgnom.custody.outbox.public import record_act
    from imgnom.policy.public import SYSTEM

    length = max(int(file.stem.rpartition("-")[2]) for file in stage.house.witness.glob("checkpoint-*.txt"))
    _say("DELETE FROM ledger_leaf", "DELETE FROM ledger_node", "DELETE FROM ledger_checkpoint")
    for _ in range(length):
        record_act(store="ledger", act="nothing_happened", clause="A0.1", by=SYSTEM, now=stage.at)
    sequence(now=stage.at)
    make_checkpoint(now=stage.at)


CHANGE_A_CERTIFICATE = (
    "UPDATE ledger_certificate SET content = replace(content, 'keys destroyed', 'keys kept') "
    "WHERE id = (SELECT MIN(id) FROM ledger_certificate WHERE reference LIKE 'withdrawal:%')"
)
HARMS: dict[str, Callable[[Stage], None]] = {
    "ledger": _change, "ledger-seal": _unseal, "ledger-certificate": _edit_certificate, "ledger-cut": _cut, "ledger-rewrite": _rewrite,
}  # fmt: skip
