"""The upload path against bare libvips and the peers, which make the same two sizes with the same encoder effort.

Ours: type by content, metadata out, decoding in the jailed child, sealing, files, rows. Bare: one decode with
shrink-on-load, the small size from the large one, a hash, nothing written. Once in the formats of the site (stills as AVIF
and WebP at their least effort), once at what the peers do (WebP alone, effort 4, a thumbnail half as wide), which is what the
target was set for, with JPEG photographs of 12 megapixels. All on one processor; CPU time counts children; rounds alternate,
and the median one counts.
"""

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

from benchmarks.corpus import photographs
from benchmarks.figures import Figure, Section, Size, timed
from benchmarks.home import CACHE, NOW, empty_home, say, start_django
from benchmarks.picture_peers import EFFORT, Peer, Way, Work, bare_libvips, installed_peers

# One cost of a whole 12-megapixel upload: half of what the cheapest peer needs for the thumbnail alone.
MAX_UPLOAD_MS = 400
# 0.95 of what bare libvips gets done with the same processor time.
MOST = 1 / 0.95


@contextmanager
def on_one_processor() -> Iterator[None]:
    """As the peers' figures were taken: nobody waits for anybody, so that a second one would only cool its caches."""
    from imgnom.community.images.decode import NURSERY

    all_of_them = os.sched_getaffinity(0)
    NURSERY.close()
    os.sched_setaffinity(0, {max(all_of_them)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_of_them)
        NURSERY.close()


@contextmanager
def as_the_peers() -> Iterator[None]:
    """The site's own path, its decoder told to write what the peers write."""
    from imgnom.community.images import decode, take_in
    from imgnom.community.images.jail import WEBP

    told = decode.JAIL.read_text(encoding="utf-8")
    for here, there in (
        (f'"effort": {WEBP["effort"]}, "keep"', f'"effort": {EFFORT}, "keep"'),
        ('thumb = SIZES["thumbnail"] * 2', 'thumb = SIZES["thumbnail"]'),
    ):
        if told.count(here) != 1:
            raise RuntimeError("the decoder's settings are written in another way now")
        told = told.replace(here, there)
    copy = CACHE / "jail-as-peers.py"
    copy.write_text(told, encoding="utf-8")
    decode.NURSERY.close()
    with patch.object(decode, "JAIL", copy), patch.object(take_in, "decode", partial(decode.decode, formats=("webp",))):
        yield
    decode.NURSERY.close()


def _whole(upload: Callable[[Path], None]) -> Way:
    def run(paths: Sequence[Path]) -> float:
        with timed() as took:
            for path in paths:
                upload(path)
        return took.cpu

    return run


def _each(ways: Sequence[Way], paths: Sequence[Path], *, rounds: int) -> list[float]:
    """CPU milliseconds a picture of each way in its median round, after one round that only warms up."""
    spent: list[list[float]] = [[] for _ in ways]
    with on_one_processor():
        for number in range(rounds + 1):
            # Whoever comes second finds the machine as the first has left it.
            for place in sorted(range(len(ways)), reverse=number % 2 == 1):
                took = ways[place](paths)
                if number:
                    spent[place].append(1000 * took / len(paths))
    return [statistics.median(each) for each in spent]


def _beside_bare(what: str, bare_ms: float, our_ms: float, *, is_the_target: bool) -> list[Figure]:
    ratio = our_ms / bare_ms
    target, met = ("≤ 1.053 ×", ratio <= MOST) if is_the_target else ("", None)
    return [
        Figure(f"{what}: bare libvips, both sizes and a hash", bare_ms, "CPU ms"),
        Figure(f"{what}: our whole upload", our_ms, "CPU ms", "bare libvips", ratio, target, met),
    ]  # fmt: skip


def _beside_peer(what: str, peer: Peer, peer_ms: float, our_ms: float) -> list[Figure]:
    ratio = our_ms / peer_ms
    return [
        Figure(f"{what}: {peer.name}", peer_ms, "CPU ms"),
        Figure(f"{what}: our whole upload", our_ms, "CPU ms", peer.name, ratio, f"≤ 1/{peer.least:g} ×", ratio <= 1 / peer.least),
    ]  # fmt: skip


def measure(size: Size) -> Section:
    start_django(empty_home("scratch-pipeline"))
    from imgnom.community.images.jail import FORMATS, SIZES, WEBP
    from imgnom.community.images.public import upload_file
    from imgnom.community.members.public import create_confirmed_member

    author = create_confirmed_member(
        username="bench.one", password="no matter which", nickname="재는이", email="bench@mail.example", now=NOW
    )

    def ours(path: Path) -> None:
        upload_file(
            content=path.read_bytes(), title="재기", description="", alt="", tags="", visibility="public", by_member=author.id,
            now=NOW,
        )  # fmt: skip

    whole, rounds = _whole(ours), 2 * size.rounds + 1
    as_site = Work(SIZES["preview"], 2 * SIZES["thumbnail"], int(str(WEBP["effort"])), FORMATS)
    as_peer = Work(SIZES["preview"], SIZES["thumbnail"])
    peers, missing = installed_peers(as_peer)
    for what in missing:
        say(f"not installed, so not measured: {what}")
    figures = []
    for kind, paths in photographs(size.photos).items():
        figures += _beside_bare(kind, *_each((bare_libvips(as_site), whole), paths, rounds=rounds), is_the_target=False)
        with timed() as spent:
            whole(paths)
        each = 1000 * spent.wall / len(paths)
        figures.append(Figure(f"{kind}: our whole upload, one at a time", 1000 / each, "items/s"))
        if kind == "jpeg":
            figures.append(
                Figure(f"{kind}: from bytes to both sizes", each, "ms", target=f"≤ {MAX_UPLOAD_MS} ms", met=each <= MAX_UPLOAD_MS)
            )  # fmt: skip
        what = f"{kind} as the peers"
        with as_the_peers():
            bare_ms, our_ms = _each((bare_libvips(as_peer), whole), paths, rounds=rounds)
            figures += _beside_bare(what, bare_ms, our_ms, is_the_target=kind == "jpeg")
            for peer in peers if kind == "jpeg" else ():
                peer_ms, our_ms = _each((peer.run, whole), paths, rounds=size.rounds)
                figures += _beside_peer(what, peer, peer_ms, our_ms)
    return Section("pipeline", "Uploads", " ".join((__doc__ or "").split()), tuple(figures))
