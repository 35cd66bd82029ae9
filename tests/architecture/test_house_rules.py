"""The house as it stands keeps every rule of `rules.py`, and speaks two languages, quietly and to nobody else."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture.house import House
from tests.architecture.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "imgnom"
HANGUL = re.compile(r"[가-힣]")


def _templates() -> list[Path]:
    return list(SOURCE.rglob("templates/**/*.html"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule: Callable[[House], list[str]]) -> None:
    assert rule(House(ROOT)) == []


@pytest.mark.clause("I11")
@pytest.mark.parametrize("path", _templates(), ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_every_korean_word_of_a_template_has_its_english_beside_it(path: Path) -> None:
    """Words stand in pairs: `{% say %}…{% en %}…{% endsay %}`; Hangul outside such a pair would reach English readers."""
    text = re.sub(
        r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    outside = re.sub(r"\{% say.*?%\}.*?\{% endsay %\}", "", text, flags=re.DOTALL)
    outside = re.sub(r"<(\w+)[^>]*\blang=\"ko\"[^>]*>.*?</\1>", "", outside, flags=re.DOTALL)
    assert HANGUL.findall(outside) == []
    for pair in re.findall(r"\{% say.*?%\}(.*?)\{% endsay %\}", text, flags=re.DOTALL):
        korean, separator, english = pair.partition("{% en %}")
        assert separator, f"no English beside: {korean.strip()[:60]}"
        assert korean.strip()
        assert english.strip()
        assert HANGUL.findall(re.sub(r"<[^>]*lang=\"ko\"[^>]*>[^<]*", "", english)) == [], english.strip()[:60]


@pytest.mark.clause("A5.0")
@pytest.mark.parametrize("path", _templates(), ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_no_template_carries_style_script_or_a_foreign_host(path: Path) -> None:
    """The site's CSP forbids inline style and script, and nothing is loaded from another host."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=", text)
    assert not re.search(r"\son\w+=\"", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>(?!\s*</script>)", text)
    assert not re.search(r"<(?:script|img|link|iframe|source|video)[^>]+(?:src|href)=\"(?:https?:)?//", text)


def test_a_rehearsal_searches_folders_through_its_stage_alone() -> None:
    """A hunt opens the stores' files; whoever has them open in the same process would lose the locks (SQLite, POSIX)."""
    scenes = (SOURCE / "site" / "rehearsal" / "scenes").glob("*.py")
    assert [file.name for file in scenes if ".files(" in file.read_text(encoding="utf-8")] == []


def test_nothing_in_the_project_names_a_registry_or_a_machine() -> None:
    """A stranger's clone has neither our folders nor our network."""
    names = re.compile(r"/work/|/root/|\bpypi\.org|files\.pythonhosted|registry\.npmjs|deb\.debian\.org|\.\./shared")
    wrong = []
    for path in ROOT.rglob("*"):
        if (
            path.is_file()
            and not any(part.startswith(".") and part != ".ci" for part in path.relative_to(ROOT).parts)
            and path.suffix in {".py", ".md", ".toml", ".txt", ".in", ".lock", ".html", ".css", ".js", ""}
        ):
            if path == Path(__file__) or "data" in path.relative_to(ROOT).parts[:1]:
                continue
            if names.search(path.read_text(encoding="utf-8", errors="ignore")):
                wrong.append(path.relative_to(ROOT).as_posix())
    assert wrong == []
