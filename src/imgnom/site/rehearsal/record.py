"""What a rehearsal proved stands on the board of the site in whose surroundings it was started, if there is one.

Nothing of the rehearsal opens that site, and no file is ever believed: the site itself starts the rehearsal, reads what
it says from a pipe, and keeps it in its ledger. A demo does so of itself; the board of a real site changes when its
operator says so: `imgnom rehearse --tell`.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any


def wants_to_know(environ: Mapping[str, str], *, asked: bool) -> bool:
    """Whether the outcome belongs on a board: of a demo always, of another site when asked for."""
    home = Path(environ.get("IMGNOM_HOME") or "data")
    try:
        is_demo = (home / "kind-of-site").read_text(encoding="ascii").strip() == "toy"
    except (OSError, ValueError):
        is_demo = False
    return asked or is_demo


def rehearse_apart(arguments: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """The rehearsal in a process of its own: exit status, and what it says. It ends when we are told to end."""
    command = [sys.executable, "-m", "imgnom", "rehearse", "--json", "--alone", *arguments]
    running = subprocess.Popen(command, stdout=subprocess.PIPE)

    def end(number: int, _frame: FrameType | None) -> None:
        running.send_signal(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        said, _ = running.communicate()
    except BaseException:
        running.terminate()
        running.wait()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    try:
        return running.returncode, dict(json.loads(said))
    except ValueError:
        return running.returncode or 1, {}


def keep_for_board(facts: Mapping[str, Any], *, code: str) -> str:
    """Inside the site: the board of a rehearsal of this policy and this code is in the ledger; what to tell people."""
    from imgnom.procedures.proofs.public import record_rehearsal
    from imgnom.site.clock import now

    states = {row["id"]: row["state"] for row in facts["clauses"]}
    if record_rehearsal(states, policy=facts["digest"], code=code, now=now()):
        return "The site's board shows this rehearsal from now on."
    return "The site follows another policy or code; its board does not show this rehearsal."
