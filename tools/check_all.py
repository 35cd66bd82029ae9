"""`./run test`: every check and every test, the same for a newcomer and for CI.

`./run test` runs all; `./run test quick` leaves the browser out; `./run test ARGS…` hands ARGS to pytest alone.
What is missing on the machine and can be had from apt is installed first; what cannot be had is said at the end.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
# What the journeys need from the system: a browser and a font with Hangul.
APT = {"chromium": "chromium", "fonts-noto-cjk": None}


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
        "types": run("types of the policy, strict", tool("mypy"), "--follow-imports=silent", "-p", "imgnom.policy"),
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


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] != "quick":
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode
    quick = bool(arguments)
    browser = None if quick else bring_browser()
    results = static_checks()
    tests = ["tests"]
    if browser:
        os.environ["IMGNOM_TEST_BROWSER"] = browser
    else:
        tests += ["--ignore=tests/journeys"]
    workers = str(max(2, min(4, os.cpu_count() or 2)))
    results["tests"] = run("tests", sys.executable, "-m", "pytest", "-q", "-n", workers, "--durations=20", *tests)
    failed = [name for name, ok in results.items() if not ok]
    say("all green" if not failed else f"not green: {', '.join(failed)}")
    if not browser and not quick:
        print(
            "   No browser was found and none could be installed, so the journeys did not run (apt-get install chromium)."
        )
        failed.append("journeys")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
