"""The two bundled policies, and changed copies of them: in memory (quick) or as files in a folder (as an operator has)."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imgnom.policy.public import Policy, PolicyError, load_policy, policy_from_source, render_articles

ROOT = Path(__file__).resolve().parents[2] / "policies"
IMGNOM = load_policy(ROOT / "imgnom")
PIPA = load_policy(ROOT / "imgnom-pipa")
BOTH = {"imgnom": IMGNOM, "imgnom-pipa": PIPA}
LANGUAGES = ("ko", "en")


def edited(policy: Policy, change: Callable[[dict[str, Any]], object]) -> Policy:
    """The policy after an operator's change of its facts. Raises PolicyError where the change is refused."""
    kept = copy.deepcopy(dict(policy.source))
    change(kept["facts"])
    return policy_from_source(kept)


def copied(folder: Path, name: str = "imgnom") -> Path:
    """A bundled policy's own files in a folder that may be changed."""
    shutil.copytree(ROOT / name, folder)
    return folder


def text_of(policy: Policy, lang: str, *clauses: str) -> str:
    """The sentences of the articles that promise these clauses, or all of them."""
    paragraphs = [p for a in render_articles(policy, lang) for p in a.paragraphs]
    return "\n".join(p.text for p in paragraphs if not clauses or set(clauses) & set(p.clauses))


def read_or_refused(kept: dict[str, Any]) -> Policy | PolicyError:
    """What becomes of facts and words that may be anything."""
    try:
        return policy_from_source(kept)
    except PolicyError as refused:
        return refused
