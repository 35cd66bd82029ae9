"""A far jump of the real clock stops destruction and asks (threat F15). Toy clocks may jump as they like."""

import time
from pathlib import Path

from django.conf import settings

FAR_SECONDS = 24 * 3600
_start_wall = time.time()
_start_monotonic = time.monotonic()


def _mark() -> Path:
    return Path(settings.IMGNOM.home) / "clock-jumped"


def watch_for_jump() -> bool:
    """Compare the wall clock with the monotonic one since the last look; True while a jump waits for an answer."""
    global _start_monotonic, _start_wall
    if settings.IMGNOM.is_toy:
        return False
    wall, monotonic = time.time(), time.monotonic()
    drift = abs((wall - _start_wall) - (monotonic - _start_monotonic))
    _start_wall, _start_monotonic = wall, monotonic
    if drift > FAR_SECONDS:
        _mark().write_text(f"{drift:.0f}", encoding="ascii")
    return jumped()


def jumped() -> bool:
    return _mark().exists()


def clear_jump() -> None:
    _mark().unlink(missing_ok=True)


def jump_line() -> str:
    return "the clock of this machine jumped by more than a day. Nothing is destroyed until you say: imgnom retention run --clock-is-right"
