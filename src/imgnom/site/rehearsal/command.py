"""`imgnom rehearse`: what is asked for, the board as people and programs read it, the exit status."""

import argparse
import json
import os
import shutil
import signal
import sys
import textwrap
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

from imgnom.policy.public import Policy, load_policy
from imgnom.site.policy_command import find_policy
from imgnom.site.rehearsal.bar import Bar
from imgnom.site.rehearsal.board import Board
from imgnom.site.rehearsal.house import House, HouseError, environment_of, opened
from imgnom.site.rehearsal.record import keep_for_board, rehearse_apart, wants_to_know

# The first morning of every rehearsal, in the policy's zone: two nights before the last day of a November, so that
# months are counted into a leap February.
FIRST_MORNING = datetime(2027, 11, 28, 9, 0)
MARKS = {"green": "✓", "red": "✗", "planned": "◌"}
COLOURS = {"green": "32", "red": "1;31", "planned": "2"}


def _list(policy: Policy, *, as_json: bool) -> int:
    from imgnom.site.rehearsal.sabotage import SABOTAGES

    clauses = [
        {"id": key, "state": clause.state, "promise": clause.promise.get("en")}
        for key, clause in policy.clauses.items()
    ]
    steps = [{"step": name, "breaks": step.words, "turns_red": list(step.clauses)} for name, step in SABOTAGES.items()]
    if as_json:
        _print_json({"clauses": clauses, "steps": steps})
        return 0
    for row in clauses:
        print(f"{row['id']:8} {row['state']:8} {row['promise']}")
    print("\n--sabotage breaks one step:")
    for name, step in SABOTAGES.items():
        print(f"  {name:18} {step.words}: {' '.join(step.clauses)} turns red")
    return 0


def _print_json(facts: object) -> None:
    readable = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(facts, ensure_ascii=not readable, indent=1))


def _paint(words: str, state: str) -> str:
    return f"\x1b[{COLOURS[state]}m{words}\x1b[0m" if sys.stdout.isatty() else words


def _print_board(facts: Mapping[str, Any]) -> None:
    columns = min(shutil.get_terminal_size((110, 24)).columns, 120)
    print(f"The promises of {facts['policy']}, version {facts['digest'][:12]}:\n")
    for row in facts["clauses"]:
        print(_paint(f"{MARKS[row['state']]} {row['id']:7}", row["state"]) + f" {row['promise']}")
        if row["state"] != "planned":
            print(textwrap.fill(row["evidence"], columns, initial_indent=" " * 10, subsequent_indent=" " * 10))
    green, red, planned = (
        sum(row["state"] == state for row in facts["clauses"]) for state in ("green", "red", "planned")
    )
    print(f"\n{green} hold, {red} broken, {planned} not built yet.")


def _live_through(board: Board, bar: Bar, policy: Policy, house: House, sabotage: tuple[str, ...]) -> None:
    """The whole story in a house that is open. A scene that fails by itself is a red clause."""
    import django

    django.setup()
    from imgnom.site.databases import close_stores
    from imgnom.site.rehearsal.stage import Stage
    from imgnom.site.rehearsal.story import tell

    at = _first_morning(policy).astimezone(UTC)
    stage = Stage(policy=policy, house=house, board=board, bar=bar, at=at, sabotage=sabotage)
    try:
        tell(stage)
    except Exception as error:  # noqa: BLE001 - told on the board, with where it happened
        where = traceback.extract_tb(error.__traceback__)[-1]
        words = f"the rehearsal stopped: {type(error).__name__}: {error} ({where.name}, line {where.lineno})"
        board.prove("I12", ok=False, words=words, at=stage.at)
    finally:
        close_stores()


def _first_morning(policy: Policy) -> datetime:
    return FIRST_MORNING.replace(tzinfo=ZoneInfo(policy.zone))


def _end_on_signals() -> None:
    """SIGTERM and SIGHUP end a rehearsal as Ctrl-C does: everything is cleared away."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def rehearse_command(args: argparse.Namespace) -> int:
    """Live through the policy. Exit status 0 only if no clause is red. Raises PolicyError, HouseError."""
    folder = find_policy(args.policy).resolve()
    policy = load_policy(folder)
    if args.list:
        return _list(policy, as_json=args.json)
    from imgnom.site.rehearsal.sabotage import SABOTAGES

    if unknown := [step for step in args.sabotage if step not in SABOTAGES]:
        raise HouseError(f"--sabotage {unknown[0]}: there is no such step; the steps are {', '.join(SABOTAGES)}")
    _end_on_signals()
    bar, outside = Bar(), dict(os.environ)
    board = Board(policy, lang="en", said=bar.line)
    bar.line("starting the real site in a throw-away home")
    with opened(folder, at=_first_morning(policy), outside=outside, keep=args.keep) as house:
        os.environ.clear()
        os.environ.update(environment_of(house, folder, outside))
        _live_through(board, bar, policy, house, tuple(args.sabotage))
    bar.end()
    if args.keep:
        bar.line(f"kept: {house.home}")
    facts = board.as_json() | {"policy": policy.id, "digest": policy.digest, "green": board.is_green}
    _print_json(facts) if args.json else _print_board(facts)
    return 0 if board.is_green else 1


def is_for_a_board(args: argparse.Namespace) -> bool:
    """Whether the site of these surroundings wants to know how this rehearsal ends."""
    plain = not (args.list or args.sabotage or args.alone)
    return plain and wants_to_know(os.environ, asked=args.tell)


def rehearse_for_board(args: argparse.Namespace) -> int:
    """As the site, which is open: have the policy lived through apart, and keep what was seen for the board."""
    from imgnom.procedures.proofs.public import code_digest

    arguments = [*(["--policy", args.policy] if args.policy else []), *(["--keep"] if args.keep else [])]
    code = code_digest()  # of what is about to be rehearsed
    status, facts = rehearse_apart(arguments)
    if "clauses" not in facts:
        if args.json and facts:
            _print_json(facts)
        return status
    print(keep_for_board(facts, code=code), file=sys.stderr)
    _print_json(facts) if args.json else _print_board(facts)
    return status
