"""`imgnom retention due|run`: what is due, and doing all of it, beside a live server."""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from imgnom.custody.keys.public import clear_residue
from imgnom.procedures.proofs.public import check_promises
from imgnom.procedures.retention.public import list_due, run_due
from imgnom.site.clock import now
from imgnom.site.jump import clear_jump, jump_line, watch_for_jump
from imgnom.site.lease import Lease
from imgnom.site.witness import show_ledger
from imgnom.site.worker import LEASE
from imgnom.web.beat import write_beat

LOOK_SECONDS = 0.05


def retention_command(args: argparse.Namespace) -> int:
    if args.act == "due":
        due = list_due(now=now())
        print(json.dumps(due, ensure_ascii=False, indent=1) if args.json else _due_words(due))
        return 0
    jumped = watch_for_jump()
    if jumped and args.clock_is_right:
        clear_jump()
    elif jumped:
        if args.json:
            print(json.dumps({"ok": False, "problem": jump_line()}))
        print(f"imgnom: {jump_line()}", file=sys.stderr)
        return 1
    facts = _run(quiet=args.json)
    print(json.dumps(facts, ensure_ascii=False, indent=1, default=str) if args.json else _run_words(facts))
    return 0 if not facts["errors"] else 1


def _run(*, quiet: bool) -> dict[str, Any]:
    """All that is due, one at a time with the worker of a live server."""
    now()  # a wrong clock is told before anybody waits
    lease = Lease(LEASE)
    told = quiet
    while not lease.try_take():
        if not told:
            print("  the worker is at it; waiting for its turn to end …", file=sys.stderr)
            told = True
        time.sleep(LOOK_SECONDS)

    def step(name: str) -> None:
        lease.beat()
        if not quiet:
            print(f"  {name}", file=sys.stderr)

    with lease.kept():
        at = now()
        facts = run_due(now=at, on_progress=step).as_json()
        if not facts["errors"]:
            write_beat(alive_at=at, done_at=at)
        show_ledger(now=at)
        step("upkeep")
        facts["residue"] = clear_residue().left
        facts["failed_checks"] = list(check_promises(now=at))
    return facts


def _due_words(due: Mapping[str, int]) -> str:
    waiting = [f"{record}: {count}" for record, count in due.items() if count]
    return "\n".join(waiting) or "Nothing is due."


def _run_words(facts: Mapping[str, Any]) -> str:
    lines = [f"{record}: {count} destroyed" for record, count in facts["destroyed"].items()]
    lines += [f"certificate {number}" for number in facts["certificates"]]
    lines += [f"{step}: failed ({error}); it is tried again" for step, error in facts["errors"].items()]
    lines += [f"check failed: {name}; the board is red" for name in facts["failed_checks"]]
    lines += [f"old bytes may be left in {place}: {why}" for place, why in facts["residue"].items()]
    if facts["copy_problem"]:
        lines.append(f"{facts['copy_problem']}; the key-encryption key before this turn had to stay")
    if facts["epoch"] is not None:
        lines.append(f"keys stand in epoch {facts['epoch']}")
    return "\n".join(lines) or "Nothing was due."
