"""`python -m benchmarks.faults [NAME…] [--every N] [--from N]`: a kill at every change of every workflow, and the worker after it.

Each point is a life of its own in one throw-away home: prepared, killed, made good by the worker's next round, and looked
at with `imgnom check`. It prints what failed where and ends with 1 if anything did.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from datetime import timedelta
from pathlib import Path


def _arguments() -> argparse.Namespace:
    from tests.fault_lives import LIVES

    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(LIVES)}; all without one")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th point")
    parser.add_argument("--from", type=int, default=1, metavar="N", dest="first", help="begin at that point")
    args = parser.parse_args()
    if wrong := [name for name in args.names if name not in LIVES]:
        parser.error(f"nothing is called {wrong[0]}; there are {', '.join(LIVES)}")
    args.names = args.names or list(LIVES)
    return args


def _sweep(name: str, first: int, every: int) -> tuple[int, list[str]]:
    """(points tried, what failed)."""
    from tests.fault_lives import live

    from imgnom.site.clock import now

    failed: list[str] = []
    tried, number = 0, first
    while True:
        at = now() + timedelta(minutes=1)
        try:
            died, _ = live(name, number, at)
        except Exception as error:  # noqa: BLE001 - told, and the next point is tried
            where = traceback.extract_tb(error.__traceback__)[-1]
            failed.append(
                f"{name} at change {number}: {type(error).__name__} {error} ({Path(where.filename).name}:{where.lineno})"
            )
            print(f"  FAILED {failed[-1]}", file=sys.stderr, flush=True)
            died = "?"
            if len(failed) > 5:
                return tried, failed
        tried += 1
        if died is None:
            return tried, failed
        number += every


def main() -> int:
    args = _arguments()
    home = Path(tempfile.mkdtemp(prefix="imgnom-faults-"))
    from benchmarks.home import start_django

    try:
        start_django(home)
        from django.contrib.auth.hashers import Argon2PasswordHasher

        Argon2PasswordHasher.memory_cost, Argon2PasswordHasher.time_cost = 1024, 1  # whoever is killed has no attacker
        failed: list[str] = []
        for name in args.names:
            began = time.perf_counter()
            tried, wrong = _sweep(name, args.first, args.every)
            failed += wrong
            print(f"{name}: {tried} points, {len(wrong)} failed, {time.perf_counter() - began:.0f} s", flush=True)
        return 1 if failed else 0
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.stdout.flush()
    status = main()
    sys.stdout.flush()
    os._exit(status)
