"""`./run test`: every check and every test, the same for a newcomer and for CI.

`./run test` runs all; `./run test quick` leaves browser and PostgreSQL out; `./run test postgres` runs only the tests
that run on PostgreSQL too; `./run test ARGS…` hands ARGS to pytest alone.
What is missing on the machine and can be had from apt is installed first; what cannot be had is said at the end.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from postgres import PostgresMissing, postgres

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
# What the journeys need from the system: a browser and a font with Hangul.
APT = {"chromium": "chromium", "fonts-noto-cjk": None}
# These ask no store, or start a site of their own.
NOT_ON_POSTGRES = ("journeys", "architecture", "unit", "site")


def say(line: str) -> None:
    print(f"\n── {line}", flush=True)


def may_install() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def find_browser() -> str | None:
    return os.environ.get("IMGNOM_TEST_BROWSER") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


def bring_browser() -> str | None:
    browser = find_browser()
    if browser is None and may_install():
        say("installing a browser and Hangul fonts with apt (once)")
        quiet = {
            "env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            "check": False,
            "stdout": subprocess.DEVNULL,
        }
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *APT], **quiet)
        browser = find_browser()
    return browser


def run(words: str, *command: str) -> bool:
    say(words)
    began = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, check=False, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}).returncode
    print(f"   {'ok' if code == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s", flush=True)
    return code == 0


def static_checks() -> dict[str, bool]:
    tool = lambda name: str(BIN / name)  # noqa: E731
    toy = ROOT / ".venv" / "check-home"
    os.environ.setdefault("IMGNOM_MODE", "rehearsal")
    os.environ["IMGNOM_HOME"] = str(toy)
    results = {
        "format": run("format", tool("ruff"), "format", "--check", "-q", "."),
        "lint": run("lint", tool("ruff"), "check", "-q", "."),
        "imports": run("imports point down", tool("lint-imports"), "--no-cache"),
        "templates": run("templates", tool("djlint"), "--lint", "--quiet", "src/imgnom"),
        "types": run("types, strict", tool("mypy")),
        "migrations": run(
            "migrations in step",
            sys.executable,
            "-m",
            "imgnom",
            "manage",
            "makemigrations",
            "--check",
            "--dry-run",
            "-v",
            "0",
        ),
        "system": run("system checks", sys.executable, "-m", "imgnom", "manage", "check", "--fail-level", "WARNING"),
        "clauses": run("docs/clauses.md in step", sys.executable, "tools/make_clauses.py", "--check"),
        "policies": run("policies", sys.executable, "-m", "imgnom", "policy", "check", "imgnom", "imgnom-pipa"),
    }
    shutil.rmtree(toy, ignore_errors=True)
    del os.environ["IMGNOM_HOME"]
    return results


def workers() -> str:
    return str(max(2, min(4, os.cpu_count() or 2)))


def run_tests(browser: str | None) -> bool:
    tests = ["tests"]
    if browser:
        os.environ["IMGNOM_TEST_BROWSER"] = browser
    else:
        tests += ["--ignore=tests/journeys"]
    return run("tests", sys.executable, "-m", "pytest", "-q", "-n", workers(), "--durations=20", *tests)


def run_on_postgres() -> bool | None:
    """The same tests of the rooms, each worker with databases of its own on a throw-away server; None without one."""
    ignored = [f"--ignore=tests/{folder}" for folder in NOT_ON_POSTGRES]
    try:
        with postgres() as pattern:
            os.environ["IMGNOM_TEST_POSTGRES"] = pattern
            try:
                return run(
                    "tests on PostgreSQL", sys.executable, "-m", "pytest", "-q", "-n", workers(), *ignored, "tests"
                )
            finally:
                del os.environ["IMGNOM_TEST_POSTGRES"]
    except PostgresMissing as missing:
        print(f"   {missing}")
        return None


def finish(results: dict[str, bool], missing: list[str]) -> int:
    failed = [name for name, ok in results.items() if not ok] + missing
    say("all green" if not failed else f"not green: {', '.join(failed)}")
    if "journeys" in missing:
        print(
            "   No browser was found and none could be installed, so the journeys did not run: apt-get install chromium."
        )
    if "postgres" in missing:
        print("   No PostgreSQL could be had, so its tests did not run: apt-get install postgresql.")
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] not in ("quick", "postgres"):
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode
    only = arguments[0] if arguments else ""
    results: dict[str, bool] = {}
    missing: list[str] = []
    if only != "postgres":
        browser = None if only == "quick" else bring_browser()
        results |= static_checks()
        results["tests"] = run_tests(browser)
        if browser is None and not only:
            missing.append("journeys")
    if only != "quick":
        kept = run_on_postgres()
        if kept is None:
            missing.append("postgres")
        else:
            results["tests on PostgreSQL"] = kept
    return finish(results, missing)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
