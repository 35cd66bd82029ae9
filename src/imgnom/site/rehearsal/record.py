"""What a rehearsal proved is told to the site from whose environment it was started, if there is one."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

CODE_KEY = "code"


def tell_site(facts: Mapping[str, object], environ: Mapping[str, str]) -> None:
    """Hand the board to the site in `environ`, as a command of that site; without a site nothing happens."""
    home = Path(environ.get("IMGNOM_HOME") or "data")
    if not (home / "db").is_dir():
        return
    from imgnom.procedures.proofs.public import code_digest

    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(dict(facts) | {CODE_KEY: code_digest()}, file, ensure_ascii=False)
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "imgnom", "rehearse", "--record", file.name],
            env=dict(environ),
            check=False,
            capture_output=True,
            text=True,
        )
    words = (done.stdout or done.stderr).strip()
    if words:
        print(words, file=sys.stderr)


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
