"""The rules of the house that no linter knows, each with a sentence of why."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "imgnom"
FLOORS = ("policy", "custody", "web", "community", "procedures", "site")
HANGUL = re.compile(r"[가-힣]")


def _modules() -> list[Path]:
    return [path for path in SOURCE.rglob("*.py") if "/migrations/" not in path.as_posix()]


def _templates() -> list[Path]:
    return list(SOURCE.rglob("templates/**/*.html"))


def _room(path: Path) -> tuple[str, str] | None:
    parts = path.relative_to(SOURCE).parts
    return (parts[0], parts[1]) if len(parts) > 2 and parts[0] in ("custody", "community", "procedures") else None


def _imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.extend(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
    return found


def _crosses_wall(path: Path, name: str) -> bool:
    parts = name.split(".")
    if len(parts) < 3 or parts[0] != "imgnom" or parts[1] not in ("custody", "community", "procedures"):
        return False
    if _room(path) == (parts[1], parts[2]) or not (SOURCE / parts[1] / parts[2]).is_dir():
        return False
    return len(parts) < 4 or parts[3] not in ("public", "reveal")


@pytest.mark.parametrize("path", _modules(), ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_rooms_meet_only_at_their_doors(path: Path) -> None:
    """A room's inside may change without asking anybody; its `public` may not."""
    looks_behind_walls = {
        "site/invariants.py": "it checks the stores from below",
        "custody/ledger/append.py": "the sequencer drains the outbox's table, which is made for it",
    }
    if path.relative_to(SOURCE).as_posix() in looks_behind_walls:
        return
    allowed = {"imgnom.community.visits.middleware", "imgnom.community.members.middleware"}
    wrong = [name for name in _imports(path) if _crosses_wall(path, name) and name not in allowed]
    assert wrong == []


def test_no_cascade_crosses_rooms_and_nothing_is_loaded_around_the_floors() -> None:
    """A forgotten table must fail loudly (PROTECT), and string imports would walk around the import rules."""
    wrong = []
    for path in _modules():
        text = path.read_text(encoding="utf-8")
        if path.name == "models.py" and "CASCADE" in text:
            for line in text.splitlines():
                match = re.search(r"""ForeignKey\(\s*["'](\w+)\.""", line)
                if match and "CASCADE" in line and _room(path) and match[1] != _room(path)[1]:  # type: ignore[index]
                    wrong.append((path.name, line.strip()))
        if "import_module(" in text or "__import__(" in text:
            wrong.append((path.as_posix(), "loads by string"))
    assert wrong == []


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


def test_templates_of_a_room_extend_only_their_own_and_the_webs() -> None:
    """String references obey the same floors as imports."""
    wrong = []
    for path in _templates():
        own = path.relative_to(SOURCE).parts[:-1]
        label = own[own.index("templates") + 1] if len(own) > own.index("templates") + 1 else ""
        for name in re.findall(r"\{% (?:extends|include) \"(\w+)/", path.read_text(encoding="utf-8")):
            if name not in (label, "web"):
                wrong.append((path.name, name))
    assert wrong == []


def test_dangerous_words_have_an_owner() -> None:
    """Marking text as safe, raw SQL and shells are where injections live; each use is named here with its reason."""
    allowed = {
        "web": "the tag library escapes and joins",
        "custody": "pragmas and vacuums take no input",
        "site": "pragmas and health look-ups take no input",
    }
    wrong = []
    for path in _modules():
        text = path.read_text(encoding="utf-8")
        if (
            re.search(r"\bmark_safe\(|\|safe\b|\.raw\(|\.extra\(|shell=True|pickle\.loads", text)
            and path.relative_to(SOURCE).parts[0] not in allowed
        ):
            wrong.append(path.relative_to(SOURCE).as_posix())
    assert wrong == []


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
