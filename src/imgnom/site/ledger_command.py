"""`imgnom ledger verify|export|checkpoint`. Verifying an exported path is the work of tools/verify_ledger.py."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from imgnom.custody.ledger.public import (
    LedgerError,
    export_ledger,
    latest_checkpoint,
    make_checkpoint,
    sequence,
    verifier_key,
    verify_ledger,
)
from imgnom.site.clock import now
from imgnom.site.witness import show_ledger

VERIFIER = Path(__file__).resolve().parents[3] / "tools" / "verify_ledger.py"


def _verify_path(args: argparse.Namespace) -> int:
    """The outsider's tool does the work; its last line says what it found."""
    with tempfile.TemporaryDirectory() as folder:
        key = args.key
        if key is None:
            key = str(Path(folder, "key.txt"))
            Path(key).write_text(verifier_key(), encoding="utf-8")
        command = [sys.executable, str(VERIFIER), "--key", key, args.path]
        command += ["--checkpoint", args.checkpoint] if args.checkpoint else []
        if not args.json:
            return subprocess.run(command, check=False).returncode
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        said = (done.stdout + done.stderr).strip().splitlines()
        print(
            json.dumps(
                {"ok": done.returncode == 0, "problem": "" if done.returncode == 0 else said[-1] if said else "?"}
            )
        )
        return done.returncode


def _given(option: str, file: str | None) -> str | None:
    """The text of a file that was given, or none. Raises LedgerError."""
    try:
        return Path(file).read_text(encoding="utf-8") if file else None
    except (OSError, UnicodeDecodeError):
        raise LedgerError(f"The file given with {option} cannot be read.") from None


def ledger_command(args: argparse.Namespace) -> int:
    if args.act == "verify" and args.path:
        return _verify_path(args)
    sequence(now=now())
    if args.act == "checkpoint":
        made = make_checkpoint(now=now())
        note = latest_checkpoint()
        shown = show_ledger(now=now(), at_once=True)
        if shown.problem:
            print(f"imgnom: the witness could not be told: {shown.problem}", file=sys.stderr)
        print(json.dumps({"size": made.size, "checkpoint": note}) if args.json else note, end="\n" if args.json else "")
        return 0
    if args.act == "export":
        if not args.path:
            print("imgnom: ledger export needs a folder.", file=sys.stderr)
            return 2
        make_checkpoint(now=now())
        export_ledger(Path(args.path))
        print(json.dumps({"folder": args.path}) if args.json else f"The ledger stands in {args.path}.")
        return 0
    result = verify_ledger(key=_given("--key", args.key), saved=_given("--checkpoint", args.checkpoint))
    facts = {"ok": result.ok, "size": result.size, "problem": result.problem}
    print(
        json.dumps(facts, ensure_ascii=False)
        if args.json
        else (f"The ledger holds: {result.size} entries." if result.ok else f"The ledger is broken: {result.problem}")
    )
    return 0 if result.ok else 1
