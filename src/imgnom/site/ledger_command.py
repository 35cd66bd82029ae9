"""`imgnom ledger verify|export|checkpoint`. Verifying an exported path is the work of tools/verify_ledger.py."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from imgnom.custody.ledger.public import (
    export_ledger,
    latest_checkpoint,
    make_checkpoint,
    sequence,
    verifier_key,
    verify_ledger,
)
from imgnom.site.clock import now

VERIFIER = Path(__file__).resolve().parents[3] / "tools" / "verify_ledger.py"


def _verify_path(args: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        key = args.key
        if key is None:
            key = str(Path(folder, "key.txt"))
            Path(key).write_text(verifier_key(), encoding="utf-8")
        return subprocess.run([sys.executable, str(VERIFIER), "--key", key, args.path], check=False).returncode


def ledger_command(args: argparse.Namespace) -> int:
    if args.act == "verify" and args.path:
        return _verify_path(args)
    sequence(now=now())
    if args.act == "checkpoint":
        make_checkpoint(now=now())
        print(latest_checkpoint(), end="")
        return 0
    if args.act == "export":
        if not args.path:
            print("imgnom: ledger export needs a folder.", file=sys.stderr)
            return 2
        make_checkpoint(now=now())
        export_ledger(Path(args.path))
        print(json.dumps({"folder": args.path}) if args.json else f"The ledger stands in {args.path}.")
        return 0
    key = Path(args.key).read_text(encoding="utf-8") if args.key else None
    result = verify_ledger(key=key)
    facts = {"ok": result.ok, "size": result.size, "problem": result.problem}
    print(
        json.dumps(facts, ensure_ascii=False)
        if args.json
        else (f"The ledger holds: {result.size} entries." if result.ok else f"The ledger is broken: {result.problem}")
    )
    return 0 if result.ok else 1
