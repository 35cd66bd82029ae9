"""The policy in force: the folder that IMGNOM_POLICY names, read again when one of its files changed."""

import threading
from pathlib import Path

from django.conf import settings

from imgnom.policy.public import Policy, load_policy

_lock = threading.Lock()
_held: tuple[Path, tuple[int, ...], Policy] | None = None


def _stamps(folder: Path) -> tuple[int, ...]:
    return tuple(file.stat().st_mtime_ns for file in sorted(folder.glob("*.*")) if file.suffix in (".toml", ".md"))


def policy_in_force() -> Policy:
    """The parsed policy. Raises PolicyError if the files no longer hold together."""
    global _held  # noqa: PLW0603 - one policy per process
    folder = Path(settings.IMGNOM.policy)
    stamps = _stamps(folder)
    held = _held
    if held is not None and held[:2] == (folder, stamps):
        return held[2]
    with _lock:
        policy = load_policy(folder)
        _held = (folder, stamps, policy)
    return policy
