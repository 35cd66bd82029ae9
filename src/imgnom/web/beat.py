"""The worker's sign of life, as pages may show it: a small file in the home, replaced in one step.

It tells when the worker was last alive and when it last finished everything that was due, both by the site's clock.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

LATE_AFTER = timedelta(hours=24)


@dataclass(frozen=True)
class Beat:
    alive_at: datetime
    done_at: datetime


def _file() -> Path:
    return Path(settings.IMGNOM.home) / "worker-beat"


def read_beat() -> Beat | None:
    """None where no worker has ever run here, or the file is damaged."""
    try:
        facts = json.loads(_file().read_text(encoding="utf-8"))
        return Beat(datetime.fromisoformat(facts["alive_at"]), datetime.fromisoformat(facts["done_at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_beat(*, alive_at: datetime, done_at: datetime) -> None:
    partial = _file().with_name("worker-beat.part")
    partial.write_text(json.dumps({"alive_at": alive_at.isoformat(), "done_at": done_at.isoformat()}), encoding="utf-8")
    partial.replace(_file())


def is_late(now: datetime) -> bool:
    """True when the work that was due has not been finished for a day (A0.1)."""
    beat = read_beat()
    return beat is not None and now - beat.done_at > LATE_AFTER
