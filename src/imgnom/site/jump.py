"""A far jump of the real clock stops destruction and asks (threat F15). Toy clocks may jump as they like.

The wall clock is compared with the machine's own count of seconds since its start, which nobody can set and which
counts sleep. The first pair of a boot is kept in the home, so that small steps add up and a restarted process still
sees them. Across boots only the wall clock is there: it may not go back, and after a pause of weeks it is asked about.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

FAR_SECONDS = 24 * 3600
LONG_PAUSE_SECONDS = 30 * 24 * 3600
COMMAND = "imgnom retention run --clock-is-right"


@dataclass(frozen=True)
class Seen:
    """Seconds: wall clock since 1970, own count since the boot; the wall clock when last looked."""

    boot: str
    wall: float
    count: float
    last: float


def _count() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _file() -> Path:
    return Path(settings.IMGNOM.home) / "clock-seen"


def _mark() -> Path:
    return Path(settings.IMGNOM.home) / "clock-jumped"


def _read() -> Seen | None:
    try:
        return Seen(**json.loads(_file().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _drift(seen: Seen, wall: float, count: float, boot: str) -> float:
    """Seconds that the wall clock moved without time passing; 0 where all is well."""
    if boot == seen.boot:
        drift = (wall - seen.wall) - (count - seen.count)
        return drift if abs(drift) > FAR_SECONDS else 0.0
    pause = wall - seen.last
    return pause if pause < -FAR_SECONDS or pause > LONG_PAUSE_SECONDS else 0.0


def watch_for_jump(
    *, wall: Callable[[], float] = time.time, count: Callable[[], float] = _count, boot: Callable[[], str] = _boot
) -> bool:
    """Look at the clocks; True while a jump waits for an answer."""
    if settings.IMGNOM.is_toy:
        return False
    here, there, name = wall(), count(), boot()
    seen = _read()
    if seen is not None and (drift := _drift(seen, here, there, name)):
        _write(_mark(), f"{drift / 3600:+.0f}")
        seen = None
    if seen is None or seen.boot != name:
        seen = Seen(name, here, there, here)
    _write(_file(), json.dumps(asdict(seen) | {"last": here}))
    return jumped()


def jumped() -> bool:
    return _mark().exists()


def clear_jump() -> None:
    """The operator says that the clock is right as it is now."""
    _mark().unlink(missing_ok=True)


def jump_line() -> str:
    try:
        hours = _mark().read_text(encoding="utf-8")
    except OSError:
        hours = "?"
    return f"the clock of this machine jumped by {hours} hours. Nothing is destroyed until you say: {COMMAND}"
