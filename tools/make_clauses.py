"""Write docs/clauses.md: clause → the code that carries it out → what proves it. `--check` fails when it is out of step.

A clause that no code names, or that nothing proves, fails both ways of calling it, unless the policy file says
`state = "planned"`: that is the list of what is not built yet. A proof is a test that carries the clause's mark, or a
step of the rehearsal that puts it on the board; what only reports (the board's own checks) is neither code nor proof.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLAUSE = re.compile(r"(?<![\w.])[ABISX]\d+(?:\.\d+)*[a-h]?[①②③④]?(?![\w①②③④])")
COMMON_RULE = re.compile(r"C[1-8]")  # rules that hold for every clause
REHEARSAL = "src/imgnom/site/rehearsal/"
REPORTS = (REHEARSAL, "src/imgnom/procedures/proofs/checks.py", "src/imgnom/site/promises.py")
SHOWN = 6
TITLES = {
    "A0": "Preamble",
    **{f"A{number}": f"Article {number}" for number in range(1, 10)},
    "S": "Supplement",
    "B": "Banner",
    "I": "What the document implies",
    "X": "What the law adds",
}


@dataclass
class Traces:
    """Where a clause is named."""

    code: list[str] = field(default_factory=list)
    tests: list[tuple[str, str]] = field(default_factory=list)  # (file, test)
    rehearsal: list[str] = field(default_factory=list)


def _named(text: str) -> list[str]:
    """Clause ids in a text; `A2.3a-c` and `A4.1①②` stand for each of theirs."""
    spread = re.sub(r"([ABISX]\d+(?:\.\d+)*)([a-h])-([a-h])", _from_to, text)
    spread = re.sub(r"([ABISX]\d+(?:\.\d+)*)([①②③④]{2,})", lambda m: " ".join(m[1] + one for one in m[2]), spread)
    return list(dict.fromkeys(CLAUSE.findall(spread)))


def _from_to(match: re.Match[str]) -> str:
    return " ".join(match[1] + chr(letter) for letter in range(ord(match[2]), ord(match[3]) + 1))


def _marked(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(clause, test) for each clause mark of a test module, of its classes and of the module as a whole."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            yield from ((clause, "") for clause in _clauses_of(node.value))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for mark in node.decorator_list:
                yield from ((clause, node.name) for clause in _clauses_of(mark))


def _clauses_of(mark: ast.AST) -> list[str]:
    return [
        str(argument.value)
        for call in ast.walk(mark)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.clause"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    ]


def read_traces(root: Path) -> dict[str, Traces]:
    found: dict[str, Traces] = {}
    for path in sorted([*(root / "src").rglob("*.py"), *(root / "src").rglob("*.html")]):
        name = path.relative_to(root).as_posix()
        for clause in _named(path.read_text(encoding="utf-8")):
            traces = found.setdefault(clause, Traces())
            if name.startswith(REHEARSAL):
                traces.rehearsal.append(name)
            elif name not in REPORTS:
                traces.code.append(name)
    for path in sorted((root / "tests").rglob("test_*.py")):
        for clause, test in _marked(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(clause, Traces()).tests.append((path.relative_to(root).as_posix(), test))
    return found


def find_gaps(clauses: Mapping[str, Mapping[str, object]], traces: Mapping[str, Traces]) -> list[str]:
    """One line for each clause that is promised as built without code or proof, and for each mark of no clause."""
    gaps = []
    for key, clause in clauses.items():
        known = traces.get(key, Traces())
        if clause["state"] == "planned":
            continue
        if not known.code:
            gaps.append(f"{key} is built, but no code names it")
        if not known.tests and not known.rehearsal:
            gaps.append(f"{key} is built, but nothing proves it")
    for key, known in traces.items():
        if key not in clauses and not COMMON_RULE.fullmatch(key):
            gaps.extend(f"{file}::{test} proves {key}, which is no clause" for file, test in known.tests)
    return gaps


def _title(key: str) -> str:
    return next(words for lead, words in TITLES.items() if re.match(rf"{lead}(?!\d)" if lead[1:] else lead, key))


def _links(lines: list[str]) -> str:
    more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return " · ".join(lines[:SHOWN]) + more


def table(clauses: Mapping[str, Mapping[str, object]], traces: Mapping[str, Traces]) -> str:
    built = sum(clause["state"] == "built" for clause in clauses.values())
    lines = [
        "# Clauses: what is promised, which code carries it out, what proves it",
        "",
        f"{built} of {len(clauses)} are carried out; the others are marked *not built yet*.",
        "",
        "Made by `python tools/make_clauses.py`; do not edit.",
    ]
    section = ""
    for key, clause in clauses.items():
        if _title(key) != section:
            section = _title(key)
            lines += ["", f"## {section}"]
        known = traces.get(key, Traces())
        promise: Mapping[str, str] = clause["promise"]  # type: ignore[assignment]
        lines += ["", f"**{key}** {promise['en']}" + (" *Not built yet.*" if clause["state"] == "planned" else ""), ""]
        if known.code:
            files = [f"[{file.removeprefix('src/imgnom/')}](../{file})" for file in known.code]
            lines.append(f"- code: {_links(files)}")
        if known.tests:
            tests = [f"[{_words(test, file)}](../{file})" for file, test in known.tests]
            lines.append(f"- proof: {_links(tests)}")
        if known.rehearsal:
            lines.append("- rehearsal: " + _links([f"[{Path(file).stem}](../{file})" for file in known.rehearsal]))
    return "\n".join(lines) + "\n"


def _words(test: str, file: str) -> str:
    return test.removeprefix("test_").replace("_", " ") or Path(file).stem


def promised() -> dict[str, dict[str, object]]:
    """The clauses as the policy promises them, every figure filled in from its facts."""
    sys.path.insert(0, str(ROOT / "src"))
    from imgnom.policy.public import load_policy

    return {
        key: {"promise": {"ko": clause.promise.ko, "en": clause.promise.en}, "state": clause.state}
        for key, clause in load_policy(ROOT / "policies/imgnom").clauses.items()
    }


def main(arguments: list[str]) -> int:
    clauses = promised()
    traces = read_traces(ROOT)
    file = ROOT / "docs/clauses.md"
    if "--check" not in arguments:
        file.write_text(table(clauses, traces), encoding="utf-8")
    gaps = find_gaps(clauses, traces)
    if file.read_text(encoding="utf-8") != table(clauses, traces):
        gaps.append("docs/clauses.md is out of step: python tools/make_clauses.py")
    for gap in gaps:
        print(gap, file=sys.stderr)
    return 1 if gaps else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
