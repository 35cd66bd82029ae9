"""`python -m benchmarks.corpora FOLDER…`: every file of these folders is uploaded; what is wrong is told.

For collections of pictures and of files that broke other decoders, which are not in the repository. Each file goes through
the upload page of a throw-away site. It has to be taken, or refused with a reason; whatever is handed out again has to be
free of the texts that travelled in the file, and is taken itself when it is sent again; no file may cost more than ten
seconds of CPU. Ends with 1 if one did not hold.
"""

import argparse
import io
import os
import resource
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from benchmarks.home import NOW, start_django

MOST_CPU_SECONDS, UPLOADS_EACH = 10.0, 200
TOO_LARGE, WRONG_TYPE, NO_PICTURE = 413, 415, 422
ANSWERS = {HTTPStatus.CREATED, TOO_LARGE, WRONG_TYPE, NO_PICTURE}
# Shorter ones, and those of few letters, stand in pictures by chance.
SHORTEST, LETTERS = 8, 6
EXIF_DIRECTORIES = (0x8769, 0x8825, 0xA005)
SIZES = ("thumbnail", "preview", "original")


def _texts(content: bytes) -> set[bytes]:
    """What a library of others reads of the file's words."""
    from PIL import Image

    found: set[Any] = set()
    try:
        with Image.open(io.BytesIO(content)) as picture:
            found.update(value for name, value in picture.info.items() if name != "icc_profile")
            exif = picture.getexif()
            for directory in (exif, *(exif.get_ifd(tag) for tag in EXIF_DIRECTORIES)):
                found.update(value for value in directory.values() if isinstance(value, str))
    except Exception:  # noqa: BLE001 - it reads what it can; files that break libraries are what this is for
        return set()
    texts = {
        one.encode("latin-1", "replace") if isinstance(one, str) else one
        for one in found
        if isinstance(one, str | bytes)
    }
    plain = {one.strip(b"\0 \r\n")[:200] for one in texts}
    return {
        one for one in plain if len(one) >= SHORTEST and len(set(one)) >= LETTERS and one.isascii() and b"\0" not in one
    }


class _Site:
    """The upload page of a throw-away site, and members who send."""

    def __init__(self) -> None:
        from django.test import Client

        self.client = Client(raise_request_exception=False)
        self.sent = 0

    def _another_member(self) -> None:
        """Nobody may send without end."""
        from django.conf import settings

        from benchmarks.pages import sign_in
        from imgnom.community.members.public import create_confirmed_member

        name = f"collector{self.sent}"
        member = create_confirmed_member(
            username=name, password="a long walk by the river", nickname=name, email=f"{name}@mail.example", now=NOW
        )
        self.client.cookies[settings.SESSION_COOKIE_NAME] = sign_in(member.id).partition("=")[2]

    def send(self, content: bytes) -> tuple[int, str]:
        """The status, and the reason or the picture's number."""
        if self.sent % UPLOADS_EACH == 0:
            self._another_member()
        self.sent += 1
        answer: Any = self.client.post(
            "/upload", {"file": io.BytesIO(content), "visibility": "private"}, headers={"accept": "application/json"}
        )
        if not answer["Content-Type"].startswith("application/json"):
            return answer.status_code, "no answer for programs"
        [told] = answer.json()["files"]
        return answer.status_code, told["id"] if answer.status_code == HTTPStatus.CREATED else str(told["error"])

    def handed_out(self, picture: str) -> dict[str, bytes]:
        return {size: b"".join(self.client.get(f"/media/{picture}/{size}")) for size in SIZES}


def _spent() -> float:
    """CPU seconds of this process and of the decoder with all its children that ended."""
    from imgnom.community.images.decode import NURSERY

    own = resource.getrusage(resource.RUSAGE_SELF)
    theirs = 0.0
    if number := NURSERY.process_id():
        fields = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        theirs = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own.ru_utime + own.ru_stime + theirs


def _files(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (one for one in sorted(folder.rglob("*")) if one.is_file() and one.stat().st_size)


def _wrong(site: _Site, content: bytes, told: Counter[str]) -> Iterator[str]:
    before = _spent()
    status, words = site.send(content)
    told[f"{status}" if status == HTTPStatus.CREATED else f"{status} {words}"] += 1
    if status not in ANSWERS:
        yield f"was answered with {status}"
    if (cost := _spent() - before) > MOST_CPU_SECONDS:
        yield f"cost {cost:.1f} seconds of CPU"
    if status == HTTPStatus.CREATED:
        out = site.handed_out(words)
        for text in _texts(content):
            for size in [size for size, given in out.items() if text in given]:
                yield f"still says {text[:60]!r} in its {size}"
        if (again := site.send(out["original"]))[0] != HTTPStatus.CREATED:
            yield f"is not taken a second time: {again}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpora", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    folders = parser.parse_args().folders
    if missing := [str(one) for one in folders if not one.is_dir()]:
        parser.error(f"there is no folder {missing[0]}")
    home = Path(tempfile.mkdtemp(prefix="imgnom-corpora-"))
    warnings.simplefilter("ignore")
    told: Counter[str] = Counter()
    failed = 0
    try:
        start_django(home)
        site = _Site()
        for file in _files(folders):
            for words in _wrong(site, file.read_bytes(), told):
                failed += 1
                print(f"{file} {words}", flush=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for answer, count in told.most_common():
        print(f"{count:6} {answer}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
