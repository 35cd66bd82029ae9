"""Before anything is called clean, planted canaries must be found: in plain first, then in every disguise (I12)."""

import base64
import bz2
import gzip
import html
import io
import json
import lzma
import quopri
import sqlite3
import urllib.parse
import zipfile
import zlib
from contextlib import closing
from pathlib import Path

from imgnom.policy.text import normalized
from imgnom.site.rehearsal.canaries import hangul, latin
from imgnom.site.rehearsal.stage import Stage


def _zip(word: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("inside.txt", f"{word} " * 5)
    return packed.getvalue()


def _disguises(word: str, name: str) -> dict[str, bytes]:
    """File name -> content. `word` is Latin, `name` Hangul; each disguise hides one of them."""
    apart = normalized("NFD", name, max_chars=100)
    return {
        "hangul.txt": f"…{name}…".encode(),
        "hangul-apart.txt": f"…{apart}…".encode(),
        "utf-16-le.bin": word.encode("utf-16-le"),
        "utf-16-be.bin": name.encode("utf-16-be"),
        "hex.txt": word.encode().hex().encode(),
        "hex-large.txt": name.encode().hex().upper().encode(),
        "url.txt": urllib.parse.quote(name).encode(),
        "url-apart.txt": urllib.parse.quote(apart).lower().encode(),
        "json.txt": json.dumps(name).encode(),
        "html.txt": html.escape(name).encode("ascii", "xmlcharrefreplace"),
        "mail.txt": quopri.encodestring(name.encode()).replace(b"=\n", b""),
        **{
            f"base64-{lead}.txt": base64.b64encode(b"-" * lead + word.encode() + b"--")
            for lead in range(3)
        },
        **{
            f"base64-url-{lead}.txt": base64.urlsafe_b64encode(b"-" * lead + name.encode() + b"--")
            for lead in range(3)
        },
        "packed.gz": gzip.compress(f"…{word}…".encode()),
        "packed.zlib": b"\0\1" + zlib.compress(f"…{name}…".encode()),
        "packed-lightly.zlib": b"\0" + zlib.compress(f"…{word}…".encode(), 1),
        "packed.zip": _zip(word),
        "packed.bz2": bz2.compress(name.encode()),
        "packed.xz": lzma.compress(word.encode()),
        "packed-twice.bin": gzip.compress(b"--" + zlib.compress(base64.b64encode(name.encode()))),
    }  # fmt: skip


def _in_stores(folder: Path, word: str, name: str) -> None:
    """A packed value torn over pages; a value that stands in the log of a store only; one that was deleted."""
    # Bytes that do not compress, so that the packed value is longer than a page.
    noise = b"".join(base64.b85encode(zlib.compress(str(n).encode())) for n in range(4000))
    with closing(sqlite3.connect(folder / "torn.sqlite3")) as store, store:
        store.execute("CREATE TABLE t (v BLOB)")
        store.execute("INSERT INTO t VALUES (?)", (zlib.compress(noise + name.encode() + noise),))
    with closing(sqlite3.connect(folder / "deleted.sqlite3")) as store:
        store.execute("PRAGMA secure_delete=OFF")
        store.execute("CREATE TABLE t (v TEXT)")
        with store:
            store.execute("INSERT INTO t VALUES (?)", (word,))
        with store:
            store.execute("DELETE FROM t")


def is_not_blind(stage: Stage) -> None:
    stage.say("planting canaries that must be found")
    word, name = latin(20), hangul(9)
    folder = stage.home / "traps"
    folder.mkdir()
    plain = folder / "plain.txt"
    plain.write_bytes(f"x{word}x".encode())
    first = {(find.file, find.form) for find in stage.hunt({"word": word, "name": name})}
    stage.prove("I12", first == {("traps/plain.txt", "plain")}, "a planted canary is found", f"found {sorted(first)}")
    traps = _disguises(word, name)
    for file, content in traps.items():
        (folder / file).write_bytes(content)
    (folder / f"{word}.txt").touch()
    _in_stores(folder, word, name)
    with closing(sqlite3.connect(folder / "logged.sqlite3")) as logged:
        logged.execute("PRAGMA journal_mode=WAL")
        logged.execute("CREATE TABLE t (v TEXT)")
        with logged:
            logged.execute("INSERT INTO t VALUES (?)", (word,))
        found = {find.file.removeprefix("traps/") for find in stage.hunt({"word": word, "name": name})}
    wanted = {*traps, f"{word}.txt", "torn.sqlite3", "deleted.sqlite3", "logged.sqlite3-wal"}
    missed = sorted(wanted - found)
    for trap in folder.iterdir():
        trap.unlink()
    folder.rmdir()
    stage.prove("I12", not missed, f"canaries in {len(wanted)} disguises are found", f"the hunt is blind to {missed}")
