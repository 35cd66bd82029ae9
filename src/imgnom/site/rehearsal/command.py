"""`imgnom rehearse`: the throw-away home, the server started for real, the bar, the board, the exit status."""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from imgnom.policy.public import Policy, PolicyError, load_policy
from imgnom.site.policy_command import find_policy
from imgnom.site.rehearsal.board import Board
from imgnom.site.rehearsal.record import tell_site

# The first morning of every rehearsal: a fixed date, so that two runs tell the same story.
FIRST_MORNING = datetime(2027, 3, 2, 9, 0, tzinfo=ZoneInfo("Asia/Seoul"))
START_SECONDS = 90


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Bar:
    """One line of progress on the terminal; whole lines where it is no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._steps = 1

    def expect(self, steps: int) -> None:
        self._steps = max(1, steps)

    def step(self, number: int, words: str) -> None:
        if self._quiet:
            return
        share = min(1.0, number / self._steps)
        bar = "━" * round(share * 24) + "╌" * (24 - round(share * 24))
        print(
            f"{'\r\x1b[K' if self._live else ''}{bar} {words}",
            end="" if self._live else "\n",
            file=sys.stderr,
            flush=True,
        )

    def line(self, words: str) -> None:
        if not self._quiet:
            print(f"{'\r\x1b[K' if self._live else ''}{words}", file=sys.stderr, flush=True)


def _environment(home: Path, policy: Path, port: int) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("IMGNOM_")}
    return mine | {
        "IMGNOM_MODE": "rehearsal",
        "IMGNOM_HOME": str(home),
        "IMGNOM_POLICY": str(policy),
        "IMGNOM_CLOCK_FILE": str(home / "clock"),
        "IMGNOM_BASE_URL": f"http://127.0.0.1:{port}",
        "DJANGO_SETTINGS_MODULE": "imgnom.site.settings",
    }


def _wait_until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError("the site stopped while starting")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the site did not become ready")


def _list(policy: Policy, *, as_json: bool) -> int:
    from imgnom.site.rehearsal.story import SABOTAGES

    clauses = [
        {"id": key, "state": clause.state, "promise": clause.promise.get("en")}
        for key, clause in policy.clauses.items()
    ]
    if as_json:
        print(json.dumps({"clauses": clauses, "steps": sorted(SABOTAGES)}, ensure_ascii=False, indent=1))
        return 0
    for row in clauses:
        print(f"{row['id']:8} {row['state']:8} {row['promise']}")
    print("\nsteps to sabotage: " + ", ".join(sorted(SABOTAGES)))
    return 0


def _print_board(board: Board) -> None:
    marks = {"green": "✓", "red": "✗", "planned": "◌"}
    for row in board.rows.values():
        words = "; ".join(row.broken or row.evidence[:2])
        print(f"{marks[row.state]} {row.id:8} {row.promise}{'  — ' + words if words else ''}")
    states = [row.state for row in board.rows.values()]
    print(f"\n{states.count('green')} hold, {states.count('red')} broken, {states.count('planned')} not built yet.")


def rehearse_command(args: argparse.Namespace) -> int:
    """Live through the policy. Exit status 0 only if no clause is red."""
    try:
        folder = find_policy(args.policy).resolve()
        policy = load_policy(folder)
    except PolicyError as error:
        print(f"imgnom: {error}", file=sys.stderr)
        return 1
    if args.list:
        return _list(policy, as_json=args.json)
    from imgnom.site.rehearsal.story import SABOTAGES

    if args.sabotage and args.sabotage not in SABOTAGES:
        print(f"imgnom: --sabotage must be one of {', '.join(sorted(SABOTAGES))}.", file=sys.stderr)
        return 2
    outside = dict(os.environ)
    home = Path(tempfile.mkdtemp(prefix="imgnom-rehearsal-"))
    old_copy = Path(tempfile.mkdtemp(prefix="imgnom-rehearsal-old-"))
    port = _free_port()
    os.environ.update(_environment(home, folder, port))
    for name in [n for n in os.environ if n.startswith("IMGNOM_") and n not in _environment(home, folder, port)]:
        del os.environ[name]
    Path(home, "clock").write_text(FIRST_MORNING.isoformat(), encoding="ascii")
    bar = Bar(quiet=args.json)
    board = Board(policy, lang="en", said=bar.line)
    server_log = (home.parent / f"{home.name}.log").open("wb")
    bar.step(0, "starting the real site in a throw-away home")
    web = subprocess.Popen(
        [sys.executable, "-m", "imgnom", "serve", "--no-worker", "--port", str(port)],
        env=dict(os.environ),
        stdout=server_log,
        stderr=server_log,
    )
    try:
        _wait_until_ready(port, web)
        import django

        django.setup()
        from imgnom.site.rehearsal.stage import Stage
        from imgnom.site.rehearsal.story import tell

        tell(
            Stage(
                policy=policy,
                home=home,
                port=port,
                board=board,
                bar=bar,
                at=FIRST_MORNING.astimezone(UTC),
                sabotage=args.sabotage,
                old_copy=old_copy,
            )
        )
    except Exception as error:
        board.prove("I12", ok=False, words=f"the rehearsal stopped: {type(error).__name__}: {error}", at=FIRST_MORNING)
        if os.environ.get("IMGNOM_REHEARSE_TRACE"):
            raise
    finally:
        web.terminate()
        try:
            web.wait(timeout=15)
        except subprocess.TimeoutExpired:
            web.kill()
        server_log.close()
        shutil.rmtree(old_copy, ignore_errors=True)
        if args.keep:
            print(f"kept: {home}", file=sys.stderr)
        else:
            shutil.rmtree(home, ignore_errors=True)
            Path(server_log.name).unlink(missing_ok=True)
    bar.line("")
    facts = board.as_json() | {"policy": policy.id, "digest": policy.digest, "green": board.is_green}
    if not args.sabotage:
        tell_site(facts, outside)
    if args.json:
        print(json.dumps(facts, ensure_ascii=False, indent=1))
    else:
        _print_board(board)
    return 0 if board.is_green else 1
