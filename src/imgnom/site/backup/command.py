"""`imgnom backup DIR --keys DIR2` and `imgnom restore DIR [--keys DIR2]`."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from imgnom.site.backup.errors import RestoreRefused
from imgnom.site.backup.last import remember_backup
from imgnom.site.backup.restore import Restored, restore_site
from imgnom.site.backup.take import Taken, take_backup
from imgnom.site.clock import now
from imgnom.site.jump import jump_line, watch_for_jump


def _tell(*, quiet: bool) -> Callable[[str], None]:
    def tell(line: str) -> None:
        if not quiet:
            print(f"  {line}", file=sys.stderr, flush=True)

    return tell


def backup_command(args: argparse.Namespace) -> int:
    at = now()
    taken = take_backup(folder=Path(args.folder), keys_folder=Path(args.keys), now=at, tell=_tell(quiet=args.json))
    remember_backup(taken.folder, at=at)
    print(json.dumps(_facts(taken), ensure_ascii=False, indent=1) if args.json else _words(taken))
    return 0


def _facts(taken: Taken) -> dict[str, object]:
    return {
        "ok": True, "set": str(taken.folder), "set_id": taken.set_id, "made_at": taken.made_at.isoformat(), "files": taken.files,
        "bytes": taken.bytes, "linked": taken.linked, "removed": list(taken.removed), "keys": str(taken.keys_folder), "same_disk": taken.same_disk,
    }  # fmt: skip


def _words(taken: Taken) -> str:
    lines = [
        f"{taken.folder}",
        f"{taken.files} files, {taken.bytes} bytes, read back and sound ({taken.linked} shared with an older set)",
        f"keys, apart: {taken.keys_folder}",
        *(f"removed, beyond the horizon: {name}" for name in taken.removed),
    ]
    if taken.same_disk:
        lines.append("Data and keys lie on one disk: whoever takes it holds both. Bring one of them elsewhere.")
    return "\n".join(lines)


def restore_command(args: argparse.Namespace) -> int:
    if watch_for_jump():
        raise RestoreRefused(jump_line())
    keys = Path(args.keys) if args.keys else None
    restored = restore_site(
        folder=Path(args.folder), keys_folder=keys, without_witness=args.without_witness, now=now(), tell=_tell(quiet=args.json)
    )  # fmt: skip
    print(json.dumps(_told(restored), ensure_ascii=False, indent=1) if args.json else _restored_words(restored))
    return 0


def _told(restored: Restored) -> dict[str, object]:
    plan = restored.plan
    return {
        "ok": True, "set": plan.folder, "set_id": plan.set_id, "made_at": restored.made_at.isoformat(), "keys": plan.keys,
        "ledger": plan.ledger, "risk": plan.risk, "since": restored.since, "replayed": asdict(restored.replayed),
    }  # fmt: skip


def _counted(since: dict[str, int]) -> str:
    return ", ".join(f"{count} {act.replace('_', ' ')}" for act, count in sorted(since.items()))


def _restored_words(restored: Restored) -> str:
    plan = restored.plan
    ended = [f"{count} {what.replace('_', ' ')}" for what, count in asdict(restored.replayed).items() if count]
    lines = [
        f"Restored from {plan.folder}, made at {restored.made_at.isoformat()}.",
        f"Ended a second time: {', '.join(ended) or 'nothing'}.",
        f"By the ledger, since then: {_counted(restored.since) or 'nothing'}. What people wrote since is not here.",
        "The ledger is this home's own and went on." if plan.ledger == "kept" else "The ledger is the set's.",
    ]
    if plan.risk:
        lines.append(f"At your word: {plan.risk}")
    lines.append("Everybody is signed out. Start the site: imgnom serve")
    return "\n".join(lines)
