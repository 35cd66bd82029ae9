"""`./run bench [NAME…] [--json] [--quick] [--out FOLDER]`. Each benchmark runs in a process of its own."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import crowd, custody, fuzz, hostile, pages, pipeline, slow, withdrawal
from benchmarks.figures import QUICK, WHOLE, Figure, Section, Size, machine
from benchmarks.report import as_json, as_markdown, write

BENCHMARKS: dict[str, Callable[[Size], Section]] = {
    "pipeline": pipeline.measure,
    "pages": pages.measure,
    "withdrawal": withdrawal.measure,
    "custody": custody.measure,
    "crowd": crowd.measure,
    "hostile": hostile.measure,
    "slow": slow.measure,
    "fuzz": fuzz.measure,
}
REPORT = Path(__file__).parent / "report"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all without one")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run, roughly what does it cost")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")
    parser.add_argument("--out", type=Path, default=REPORT, metavar="FOLDER", help="where the report goes")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if wrong := [name for name in args.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark is called {wrong[0]}; there are {', '.join(BENCHMARKS)}")
    return args


def _in_a_process_of_its_own(name: str, *, quick: bool) -> Section:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, "--child", *(["--quick"] if quick else [])], stdout=subprocess.PIPE, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"bench: {name} stopped with status {done.returncode}.")
    facts = json.loads(done.stdout.splitlines()[-1])
    return Section(facts["name"], facts["title"], facts["how"], tuple(Figure(**figure) for figure in facts["figures"]))


def main() -> int:
    args = _arguments()
    if args.child:
        found = BENCHMARKS[args.names[0]](QUICK if args.quick else WHOLE)
        print(json.dumps(found.as_json(), ensure_ascii=False))
        return 0
    os.environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    sections = []
    for name in args.names or BENCHMARKS:
        print(f"── {name}", file=sys.stderr, flush=True)
        sections.append(_in_a_process_of_its_own(name, quick=args.quick))
    facts = machine() | ({"size": "quick"} if args.quick else {})
    write(args.out, sections, facts)
    print(as_json(sections, facts) if args.json else as_markdown(sections, facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
