"""Limits shared by all processes: counters in a file of their own, keys HMAC'd, real time, atomic (threat N4)."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from django.conf import settings

from imgnom.custody.keys.public import derive, keyed_digest

TABLE = "CREATE TABLE IF NOT EXISTS hits (key TEXT, slot INTEGER, count INTEGER, PRIMARY KEY (key, slot)) WITHOUT ROWID"
BUMP = "INSERT INTO hits VALUES (?, ?, 1) ON CONFLICT (key, slot) DO UPDATE SET count = count + 1 RETURNING count"


class TooMany(Exception):
    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__("too many requests")


def _open() -> sqlite3.Connection:
    folder = Path(settings.IMGNOM.home) / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / "throttle.sqlite3", timeout=10, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute(TABLE)
    return connection


def hit(scope: str, key: str, *, limit: int, per_seconds: int) -> None:
    """Count one more. Raises TooMany with the seconds to wait when it is one too many."""
    slot = int(time.time()) // per_seconds
    secret = derive(settings.SECRET_KEY.encode(), f"throttle {slot}")
    name = keyed_digest(secret, f"{scope}\0{key}".encode()).hex()
    with closing(_open()) as connection:
        count = connection.execute(BUMP, (name, slot)).fetchone()[0]
        if count == 1:
            connection.execute("DELETE FROM hits WHERE slot < ? AND slot > ?", (slot - 2, slot - 1000))
    if count > limit:
        raise TooMany((slot + 1) * per_seconds - int(time.time()))
