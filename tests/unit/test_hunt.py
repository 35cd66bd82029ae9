"""The hunt finds what is hidden, says where and how, and does not cry wolf."""

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import sqlite3
import unicodedata
import urllib.parse
import zipfile
import zlib
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imgnom.policy.public import load_policy
from imgnom.site.rehearsal.bar import Bar
from imgnom.site.rehearsal.board import Board
from imgnom.site.rehearsal.hunt import Hunt

WORD, NAME, RAW = "kq7wzrtbncanary", "각난달람밤상정찬", bytes(range(200, 216))
APART = unicodedata.normalize("NFD", NAME)
WANTED = {"word": WORD, "name": NAME, "raw": RAW}


def found_in(content: bytes) -> set[tuple[str, str]]:
    return {(find.canary, find.form) for find in Hunt(WANTED).bytes_of(content, "x")}


@pytest.mark.parametrize(
    ("content", "canary", "form"),
    [
        (f"<{WORD}>".encode(), "word", "plain"),
        (NAME.encode(), "name", "plain"),
        (APART.encode(), "name", "plain NFD"),
        (b"\0" + RAW + b"\0", "raw", "plain"),
        (RAW.hex().encode(), "raw", "hex"),
        (b"x" + base64.b64encode(b"__" + RAW), "raw", "base64"),
        (NAME.encode("utf-16"), "name", "UTF-16-LE"),
        (WORD.encode("utf-16-be"), "word", "UTF-16-BE"),
        (APART.encode("utf-16-le"), "name", "UTF-16-LE NFD"),
        (WORD.encode("utf-32"), "word", "UTF-32-LE"),
        (WORD.encode().hex().encode(), "word", "hex"),
        (NAME.encode().hex().upper().encode(), "name", "HEX"),
        (urllib.parse.quote(NAME).encode(), "name", "URL"),
        (urllib.parse.quote(NAME).lower().encode(), "name", "URL"),
        (json.dumps({"a": NAME}).encode(), "name", "JSON"),
        (NAME.encode("ascii", "xmlcharrefreplace"), "name", "HTML"),
        *((base64.b64encode(b"-" * lead + WORD.encode() + b"!"), "word", "base64") for lead in range(3)),
        *((base64.urlsafe_b64encode(b"-" * lead + NAME.encode() + b"!"), "name", "base64") for lead in range(3)),
        (b"--" + gzip.compress(WORD.encode(), mtime=0) + b"--", "word", "plain in gzip"),
        *((b"-" + zlib.compress(NAME.encode(), level), "name", "plain in zlib") for level in (0, 1, 6, 9)),
        (bz2.compress(WORD.encode()), "word", "plain in bzip2"),
        (lzma.compress(WORD.encode()), "word", "plain in xz"),
        (gzip.compress(b"-" + zlib.compress(WORD.encode()), mtime=0), "word", "plain in gzip in zlib"),
        (gzip.compress(base64.b64encode(NAME.encode() * 2), mtime=0), "name", "base64 in gzip"),
    ],
)
def test_every_form_is_found_and_named(content: bytes, canary: str, form: str) -> None:
    assert (canary, form) in found_in(content)


def test_a_cut_stream_still_tells_what_can_be_read() -> None:
    packed = zlib.compress(WORD.encode() + os.urandom(4000))
    assert ("word", "plain in zlib") in found_in(packed[:3000])
    assert ("word", "plain in zlib") in found_in(packed[:3000] + b"\xff" * 5000)


def test_a_packed_member_of_a_zip_is_found() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/file.txt", WORD * 9)
    assert ("word", "plain in zip") in found_in(made.getvalue())


def test_noise_is_no_find() -> None:
    assert found_in(os.urandom(400_000)) == set()
    assert found_in(WORD[:-3].encode() + NAME[:-2].encode()) == set()


def test_files_of_stores_are_read_raw_and_value_by_value(tmp_path: Path) -> None:
    noise = os.urandom(20_000)
    with closing(sqlite3.connect(tmp_path / "torn.sqlite3")) as store, store:
        store.execute("CREATE TABLE t (v BLOB)")
        store.execute("INSERT INTO t VALUES (?)", (zlib.compress(noise + WORD.encode() + noise),))
    with closing(sqlite3.connect(tmp_path / "logged.sqlite3")) as store:
        store.execute("PRAGMA journal_mode=WAL")
        store.execute("CREATE TABLE t (v TEXT)")
        with store:
            store.execute("INSERT INTO t VALUES (?)", (NAME,))
        (tmp_path / WORD).mkdir()
        found = {(find.file, find.canary, find.form) for find in Hunt(WANTED).files(tmp_path)}
    assert ("torn.sqlite3", "word", "plain in zlib in a row") in found
    assert ("logged.sqlite3-wal", "name", "plain") in found
    assert (WORD, "word", "plain in the name") in found


def test_thousands_of_canaries_that_begin_alike_are_told_apart() -> None:
    many = {f"number {n}": f"{WORD}{n:05}" for n in range(3000)}
    content = b"\n".join(base64.b64encode(b"-" + many[f"number {n}"].encode()) for n in (7, 2999))
    assert {find.canary for find in Hunt(many).bytes_of(content, "x")} == {"number 7", "number 2999"}


# ── the board and the bar ────────────────────────────────────────────────────────────────────────────────────────────


def test_planned_stays_planned_unlooked_is_red_and_one_broken_look_outweighs_all() -> None:
    policy = load_policy(Path("policies/imgnom"))
    said: list[str] = []
    board = Board(policy, lang="en", said=said.append)
    at = datetime(2027, 1, 1, tzinfo=UTC)
    assert board.rows["A1.1"].state == "red"
    assert board.rows["A1.1"].words == "nothing looked at it"
    assert board.prove("A1.1 A0.3", ok=True, words="seen", at=at)
    board.prove("A1.1", ok=True, words="seen", at=at)
    assert (board.rows["A1.1"].state, board.rows["A1.1"].words) == ("green", "seen (×2)")
    assert (board.rows["A0.3"].state, board.rows["A0.3"].words) == ("planned", "not built yet")
    assert not board.prove("A1.1 A0.3", ok=False, words="broken", at=at)
    assert (board.rows["A1.1"].state, board.rows["A1.1"].words) == ("red", "broken")
    assert board.rows["A0.3"].state == "red"
    assert said == ["RED A1.1 A0.3: broken"]
    assert not board.is_green


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_keeps_to_one_line_of_a_terminal_and_says_whole_lines_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    live, plain = Terminal(), io.StringIO()
    for stream in (live, plain):
        bar = Bar(stream)
        bar.expect(2)
        bar.say("가나다라 " * 30)
        bar.say("done")
        bar.end()
    assert "\n" not in live.getvalue()
    assert all(len(part) < 60 for part in live.getvalue().split("\r\x1b[K"))
    assert plain.getvalue().count("\n") == 2
    assert "100% done" in plain.getvalue()
    assert "\x1b" not in plain.getvalue()
