"""Progress of a rehearsal on standard error: one living line on a terminal, whole lines elsewhere."""

import shutil
import sys
import unicodedata
from typing import TextIO

WIDTH = 24


def _fit(words: str, columns: int) -> str:
    """As much of the words as fits; a wide letter takes two columns."""
    used = 0
    for at, letter in enumerate(words):
        used += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if used > columns:
            return words[:at]
    return words


class Bar:
    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._steps, self._step = 1, 0

    def expect(self, steps: int) -> None:
        """How many steps there will be."""
        self._steps = max(1, steps)

    def say(self, words: str) -> None:
        """One step further."""
        self._step += 1
        share = min(1.0, self._step / self._steps)
        done = round(share * WIDTH)
        text = f"{'━' * done}{'╌' * (WIDTH - done)} {share:4.0%} {words}"
        if self._live:
            columns = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{_fit(text, columns)}", end="", file=self._stream, flush=True)
        else:
            print(text, file=self._stream, flush=True)

    def line(self, words: str) -> None:
        """A line that stays."""
        print(f"{'\r\x1b[K' if self._live else ''}{words}", file=self._stream, flush=True)

    def end(self) -> None:
        if self._live:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
