"""Mutated files against every parser of pictures: no error that is not an answer, and no file that costs much.

Lengths, counts and offsets are set to boundaries, pieces repeated, moved, removed and put inside each other, the same at
every run. Each parser (five containers, colour profiles, EXIF with XMP) is called as the sandboxed reader calls it.
"""

from pathlib import Path

from benchmarks.figures import Figure, Section, Size
from benchmarks.home import CACHE, say

MUTANTS, MUTANTS_QUICK = 100_000, 2_000
# The samples are a few kilobytes, and the largest mutants 400.
MAX_CPU_MS = 250


def _keep(name: str, number: int, words: str, data: bytes) -> None:
    """A mutant that was not answered, for whoever mends it."""
    folder: Path = CACHE / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-{number}").write_bytes(data)
    say(f"{name}: {words} ({folder / f'{name}-{number}'})")


def measure(size: Size) -> Section:
    from tests.mutations import TARGETS, fuzz

    count = MUTANTS if size.requests > 100 else MUTANTS_QUICK
    figures = []
    for name in TARGETS:
        found = fuzz(name, count)
        for number, (words, data) in enumerate(found.uncaught[:10]):
            _keep(name, number, words, data)
        uncaught, cost = len(found.uncaught), 1000 * found.most_cpu_seconds
        figures += [
            Figure(f"{name}: errors let out, of {count:,} mutants ({found.taken:,} parsed)", uncaught, "", "", None, "0", uncaught == 0),
            Figure(f"{name}: the costliest mutant", cost, "CPU ms", "", None, f"≤ {MAX_CPU_MS}", cost <= MAX_CPU_MS),
        ]  # fmt: skip
    return Section("fuzz", "Mutated pictures", " ".join((__doc__ or "").split()), tuple(figures))
