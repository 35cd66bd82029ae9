"""The report: Markdown for people, JSON for programs."""

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure, Section

MARKS = {True: "✓", False: "✗", None: ""}


def number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 1 else f"{value:.4g}"


def _line(figure: Figure) -> str:
    held = f"{number(figure.ratio)} × {figure.against}" if figure.ratio is not None else ""
    return f"| {figure.what} | {number(figure.value)} {figure.unit} | {held} | {figure.target} | {MARKS[figure.met]} |"


def as_markdown(sections: Sequence[Section], machine: dict[str, object]) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    parts = [
        "# Measured",
        "",
        f"Machine: {facts}. Ratios are of pairs measured in this run; only they compare across machines.",
        "",
    ]
    for section in sections:
        parts += [
            f"## {section.title}",
            "",
            section.how,
            "",
            "| what | figure | held against | target | |",
            "|---|---|---|---|---|",
        ]
        parts += [_line(figure) for figure in section.figures]
        parts.append("")
    return "\n".join(parts)  # fmt: skip


def as_json(sections: Sequence[Section], machine: dict[str, object]) -> str:
    return json.dumps({"machine": machine, "sections": [s.as_json() for s in sections]}, ensure_ascii=False, indent=1)


def write(folder: Path, sections: Sequence[Section], machine: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(as_markdown(sections, machine) + "\n", encoding="utf-8")
    (folder / "report.json").write_text(as_json(sections, machine) + "\n", encoding="utf-8")
