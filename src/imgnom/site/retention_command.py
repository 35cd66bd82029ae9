"""`imgnom retention due|run`: what is due, and doing all of it, beside a live server."""

import argparse
import json
import sys

from imgnom.procedures.proofs.public import check_promises
from imgnom.procedures.retention.public import list_due, run_due
from imgnom.site.clock import now
from imgnom.site.jump import clear_jump, jump_line, jumped


def retention_command(args: argparse.Namespace) -> int:
    if args.act == "due":
        due = list_due(now=now())
        print(json.dumps(due, ensure_ascii=False, indent=1, default=str) if args.json else _words(due))
        return 0
    if args.clock_is_right:
        clear_jump()
    if jumped():
        print(f"imgnom: {jump_line()}", file=sys.stderr)
        return 1
    report = run_due(now=now(), on_progress=None if args.json else _progress)
    facts = report.as_json() | {"failed_checks": list(check_promises(now=now()))}
    print(json.dumps(facts, ensure_ascii=False, indent=1, default=str) if args.json else _run_words(facts))
    return 0 if not facts.get("errors") else 1


def _progress(line: str) -> None:
    print(f"  {line}", file=sys.stderr)


def _words(due: object) -> str:
    return json.dumps(due, ensure_ascii=False, indent=1, default=str)


def _run_words(facts: object) -> str:
    return json.dumps(facts, ensure_ascii=False, indent=1, default=str)
