"""What a rehearsal proved is told to the site in whose surroundings it was started, if there is one.

Nothing of the rehearsal opens that site: a command of its own does, in the site's own surroundings, and only for a
demo. The board of a real site changes when its operator says so: `imgnom rehearse --tell`.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

CODE_KEY = "code"


def _is_demo(home: Path) -> bool:
    try:
        return (home / "kind-of-site").read_text(encoding="ascii").strip() == "toy"
    except (OSError, ValueError):
        return False


def tell_site(
    facts: Mapping[str, object], environ: Mapping[str, str], *, said: Callable[[str], None], asked: bool
) -> None:
    """Hand the board to the site in `environ`, as a command of that site; without a site nothing happens."""
    home = Path(environ.get("IMGNOM_HOME") or "data")
    if not (asked or _is_demo(home)):
        return
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        from imgnom.procedures.proofs.public import code_digest

        json.dump(dict(facts) | {CODE_KEY: code_digest()}, file, ensure_ascii=False)
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "imgnom", "rehearse", "--record", file.name],
            env=dict(environ),
            check=False,
            capture_output=True,
            text=True,
        )
    for line in (done.stdout or done.stderr).strip().splitlines()[-1:]:
        said(line)


def record_command(file: Path) -> int:
    """Inside the site: keep the board of a rehearsal of this policy and this code in the ledger."""
    from imgnom.procedures.proofs.public import record_rehearsal
    from imgnom.site.clock import now

    facts = json.loads(file.read_text(encoding="utf-8"))
    states = {row["id"]: row["state"] for row in facts["clauses"]}
    kept = record_rehearsal(states, policy=facts["digest"], code=facts[CODE_KEY], now=now())
    print(
        "The site's board shows this rehearsal from now on."
        if kept
        else "The site follows another policy or code; its board does not show this rehearsal."
    )
    return 0
