"""Write docs/clauses.md: clause → code that names it → tests that prove it. `--check` fails when it is out of step."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _places(pattern: str, folder: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for match in re.findall(pattern, text):
            for clause in re.findall(r"[ABISX]\d+(?:\.\d+)*[a-h]?[①②③④]?", match):
                name = path.relative_to(ROOT).as_posix()
                if name not in found.setdefault(clause, []):
                    found[clause].append(name)
    return found


def table() -> str:
    clauses = tomllib.loads((ROOT / "policies/imgnom/policy.toml").read_text(encoding="utf-8"))["clauses"]
    code = _places(r"[ABISX]\d[^\s\"'`]*", "src/imgnom")
    proof = _places(r"mark\.clause\(([^)]*)\)", "tests")
    lines = [
        "# Clauses",
        "",
        "Made by `python tools/make_clauses.py`; do not edit.",
        "",
        "| clause | promise | state | code | proof |",
        "|---|---|---|---|---|",
    ]
    for key, clause in clauses.items():
        proofs = [f"`{p}`" for p in proof.get(key, [])] or (
            ["rehearsal"] if clause["state"] == "built" else ["not yet"]
        )
        places = [f"`{p.removeprefix('src/imgnom/')}`" for p in code.get(key, [])[:4]]
        lines.append(
            f"| {key} | {clause['promise']['en']} | {clause['state']} | {', '.join(places)} | {', '.join(proofs)} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    file = ROOT / "docs/clauses.md"
    if "--check" in sys.argv:
        raise SystemExit(file.read_text(encoding="utf-8") != table())
    file.write_text(table(), encoding="utf-8")
