"""`./run test`: every check and every test, the same for a newcomer and for CI.

    ./run test               all of it
    ./run test --complete    the same, and what this machine lacks is a failure (CI)
    ./run test quick         without the browser and without PostgreSQL
    ./run test postgres      only the tests that run on PostgreSQL too
    ./run test ARGS…         hands ARGS to pytest alone

What is missing on the machine and can be had from apt is installed first; what cannot be had is said at the end.
The last line is pytest's own.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from postgres import PostgresMissing, find_programs, postgres

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
# These ask no store, or start a site of their own.
NOT_ON_POSTGRES = ("journeys", "architecture", "unit", "site")
CLOSING = re.compile(r"^=* ?((?:\d+ \w+(?:, )?)+ in \d+\.\d+s.*?|no tests ran.*?) ?=*$")


@dataclass
class Outcome:
    """What was run and how it went, and what could not be run for want of something."""

    results: dict[str, bool] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    closing: dict[str, str] = field(default_factory=dict)


def say(line: str) -> None:
    print(f"\n── {line}", flush=True)


# ── what the system gives ────────────────────────────────────────────────────────────────────────────────


def find_browser() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return os.environ.get("IMGNOM_TEST_BROWSER") or next(filter(None, map(shutil.which, names)), None)


def find_hangul() -> str | None:
    """A font that can write Korean: without one, pages are looked at in boxes."""
    if shutil.which("fc-list") is None:
        return None
    done = subprocess.run(["fc-list", ":lang=ko", "file"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0] or None


def find_server() -> str | None:
    found = find_programs()
    return str(found) if found else None


# Debian's package -> (how to find what it gives, what goes without it)
WANTED: Mapping[str, tuple[Callable[[], str | None], str]] = {
    "chromium": (find_browser, "the journeys in a browser"),
    "fonts-noto-cjk": (find_hangul, "Korean letters in the journeys' browser"),
    "postgresql": (find_server, "the tests on PostgreSQL"),
}


def may_install() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def bring(*packages: str) -> dict[str, str]:
    """Install what is not here, where that is allowed; what goes without, by package."""
    lacking = [package for package in packages if WANTED[package][0]() is None]
    if lacking and may_install():
        say(f"installing with apt (once): {' '.join(lacking)}")
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *lacking]):
            subprocess.run(["apt-get", *command], env=environ, check=False, stdout=subprocess.DEVNULL)
    return {package: WANTED[package][1] for package in lacking if WANTED[package][0]() is None}


# ── running ──────────────────────────────────────────────────────────────────────────────────────────────


def run(words: str, *command: str) -> bool:
    say(words)
    began = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, check=False, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}).returncode
    return _told(code, began)


def _told(code: int, began: float) -> bool:
    print(f"   {'ok' if code == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s", flush=True)
    return code == 0


def closing_line(line: str) -> str | None:
    """Pytest's summary, if this is it."""
    found = CLOSING.match(re.sub(r"\x1b\[[\d;]*m", "", line).strip())
    return found[1] if found else None


def run_pytest(words: str, outcome: Outcome, *arguments: str) -> None:
    """Everything is shown as it comes; files of the tests are gone afterwards."""
    say(words)
    began, closing = time.monotonic(), ""
    colour = ["--color=yes"] if sys.stdout.isatty() else []
    with tempfile.TemporaryDirectory(prefix="imgnom-tests-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-n", workers(), f"--basetemp={folder}/t", *colour, *arguments]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                closing = closing_line(line) or closing
    outcome.results[words] = _told(process.returncode, began)
    outcome.closing[words] = closing or f"{words}: pytest ended with status {process.returncode} and no summary"


def workers() -> str:
    return str(max(2, min(4, os.cpu_count() or 2)))


def static_checks() -> dict[str, bool]:
    def tool(name: str) -> str:
        return str(BIN / name)

    def imgnom(*words: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "imgnom", *words)

    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="imgnom-check-", ignore_cleanup_errors=True) as toy:
        os.environ |= {"IMGNOM_MODE": "rehearsal", "IMGNOM_HOME": toy}
        step = ("makemigrations", "--check", "--dry-run", "-v", "0")
        results = {
            "format": run("format", tool("ruff"), "format", "--check", "-q", "."),
            "lint": run("lint", tool("ruff"), "check", "-q", "."),
            "imports": run("imports point down", tool("lint-imports"), "--no-cache"),
            "templates": run("templates", tool("djlint"), "--lint", "--quiet", "src/imgnom"),
            "types": run("types, strict", tool("mypy")),
            "migrations": run("migrations in step", *imgnom("manage", *step)),
            "system": run("system checks", *imgnom("manage", "check", "--fail-level", "WARNING")),
            "clauses": run("docs/clauses.md in step", sys.executable, "tools/make_clauses.py", "--check"),
            "policies": run("policies", *imgnom("policy", "check", "imgnom", "imgnom-pipa")),
        }
    os.environ.clear()
    os.environ.update(before)
    return results


def run_on_postgres(outcome: Outcome) -> None:
    """The same tests of the rooms, each worker with databases of its own on a throw-away server."""
    ignored = [f"--ignore=tests/{folder}" for folder in NOT_ON_POSTGRES]
    try:
        with postgres() as pattern:
            os.environ["IMGNOM_TEST_POSTGRES"] = pattern
            try:
                run_pytest("tests on PostgreSQL", outcome, *ignored, "tests")
            finally:
                del os.environ["IMGNOM_TEST_POSTGRES"]
    except PostgresMissing as missing:
        outcome.missing["postgresql"] = f"{WANTED['postgresql'][1]} ({missing})"


def finish(outcome: Outcome, *, complete: bool) -> int:
    """What failed, what could not be run and what would bring it, and pytest's closing lines at the very end."""
    failed = [name for name, ok in outcome.results.items() if not ok]
    if outcome.missing and complete:
        failed += [f"not run: {words}" for words in outcome.missing.values()]
    if failed:
        say(f"not green: {', '.join(failed)}")
    else:
        say("all green" if not outcome.missing else "green, as far as this machine could run it")
    for package, words in outcome.missing.items():
        print(f"   Without {package} this machine could not run: {words}. As root: apt-get install {package}")
    # What a reader looks for first is told last.
    for words, line in sorted(outcome.closing.items(), key=lambda one: one[0] == "tests"):
        print(line if words == "tests" or len(outcome.closing) == 1 else f"{words}: {line}", flush=True)
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    complete = arguments[:1] == ["--complete"]
    arguments = arguments[1:] if complete else arguments
    only = arguments[0] if arguments else ""
    if only not in ("", "quick", "postgres"):
        browser = find_browser()
        environ = os.environ | ({"IMGNOM_TEST_BROWSER": browser} if browser else {})
        return subprocess.run(
            [sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=environ, check=False
        ).returncode
    wanted = {"": tuple(WANTED), "quick": (), "postgres": ("postgresql",)}[only]
    outcome = Outcome(missing=bring(*wanted))
    if only != "postgres":
        outcome.results |= static_checks()
        browser = find_browser() if only == "" else None
        if browser:
            os.environ["IMGNOM_TEST_BROWSER"] = browser
        without = [] if browser else ["--ignore=tests/journeys"]
        run_pytest("tests", outcome, "--durations=20", *without, "tests")
    if only != "quick" and "postgresql" not in outcome.missing:
        run_on_postgres(outcome)
    return finish(outcome, complete=complete)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
