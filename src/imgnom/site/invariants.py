"""`imgnom check`: what must be true of the stores at any moment (invariants I1, I2, I4, I5, I6, I8 of the threats)."""

import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from imgnom.community.images.models import Image
from imgnom.community.images.take_in import media_path
from imgnom.custody.keys.models import DataKey, DestroyedKey
from imgnom.custody.ledger.public import verify_ledger
from imgnom.procedures.retention.models import Withdrawal

STALE_SECONDS = 3600


def _integrity() -> str:
    for alias in connections:
        if connections[alias].vendor == "sqlite":
            with connections[alias].cursor() as cursor:
                cursor.execute("PRAGMA integrity_check")
                answer = cursor.fetchone()[0]
                if answer != "ok":
                    return f"{alias}: {answer}"
                cursor.execute("PRAGMA foreign_key_check")
                if cursor.fetchone() is not None:
                    return f"{alias}: a reference leads nowhere"
    return ""


def _files() -> str:
    """Display sizes are made again at need; the sealed original is the one that must be there."""
    for token, public_id in Image.objects.filter(removed_reason="").values_list("media_token", "public_id").iterator():
        if not media_path("originals", token).exists():
            return f"picture {public_id} lacks its file"
    return ""


def _withdrawals() -> str:
    waiting = Withdrawal.objects.exclude(state="done").count()
    return f"{waiting} withdrawals are under way; the worker resumes them" if waiting else ""


def _keys() -> str:
    back = DataKey.objects.filter(key_id__in=DestroyedKey.objects.values("key_id")).count()
    return f"{back} destroyed keys are back in the key store" if back else ""


def _ledger() -> str:
    result = verify_ledger()
    return "" if result.ok else result.problem


def _temporary() -> str:
    folder = Path(settings.IMGNOM.home) / "tmp"
    old = [f for f in folder.rglob("*") if f.is_file() and time.time() - f.stat().st_mtime > STALE_SECONDS]
    return f"{len(old)} temporary files are older than an hour" if old else ""


INVARIANTS = (
    ("I1", "every store is whole", _integrity),
    ("I2", "every picture has its file", _files),
    ("I4", "nobody is partly withdrawn", _withdrawals),
    ("I5", "destroyed keys stay destroyed", _keys),
    ("I6", "the ledger verifies", _ledger),
    ("I8", "no old temporary files", _temporary),
)


def check_invariants() -> dict[str, Any]:
    rows = []
    for name, words, look in INVARIANTS:
        problem = look()
        rows.append({"id": name, "ok": not problem, "words": problem or words})
    return {"ok": all(row["ok"] for row in rows), "invariants": rows}
