"""What three peers cost, measured once elsewhere, scaled to this machine by a floor that both share.

The peers ran with 20,000 pictures, 200,000 comments and 5,000 members each (Gnuboard 5.6.34 and Piwigo 17.0 beta on nginx, PHP
8.2 and MariaDB; szurubooru of May 2026 on waitress and PostgreSQL), on a machine where the floor of `benchmarks.floor` costs
FLOOR_THERE_MS. Figures are CPU milliseconds a request of all their server processes. A ratio here is ours, in floors of this
run, divided by theirs, in floors of that one: it says how many times dearer or cheaper, not how fast either machine is.
"""

from dataclasses import dataclass

from benchmarks.figures import Figure

FLOOR_THERE_MS = 0.12


@dataclass(frozen=True)
class Peer:
    """`least` is how many times cheaper than it we mean to be."""

    name: str
    cpu_ms: float
    least: float


# Our page → what a visitor of the peer would look at instead.
PAGES: dict[str, tuple[Peer, ...]] = {
    "gallery, a visitor": (
        Peer("Gnuboard's gallery list", 10.5, 4),
        Peer("szurubooru's list from its own cache", 6.5, 3),
        Peer("Piwigo's album of 526", 13, 4),
    ),
    "gallery, a member": (
        Peer("Gnuboard's list, signed in", 11, 3),
        Peer("Piwigo's album of 10,000, signed in", 36, 3),
    ),
    "picture with 10 comments, a visitor": (
        Peer("Gnuboard's post with 10 comments", 78, 20),
        Peer("Piwigo's picture with 10 comments", 48, 12),
        Peer("szurubooru's post", 36, 6),
    ),
}
# Removing a member with everything: the peer that removes posts at all, a post.
GNUBOARD_DELETES_POST_MS, LEAST_POST = 266, 100


def beside_peers(what: str, ms: float, floor_ms: float) -> list[Figure]:
    """One line a peer: our page, theirs, how many times cheaper."""
    found = []
    for peer in PAGES.get(what, ()):
        ratio = (ms / floor_ms) / (peer.cpu_ms / FLOOR_THERE_MS)
        found.append(
            Figure(
                f"{what}: {peer.cpu_ms / FLOOR_THERE_MS / (ms / floor_ms):.1f} times cheaper", ms, "CPU ms", peer.name, ratio, f"≤ 1/{peer.least:g} ×",
                ratio <= 1 / peer.least,
            )
        )  # fmt: skip
    return found


def post_beside_gnuboard(what: str, ms: float) -> Figure:
    """Milliseconds of this machine beside milliseconds of that one, which was the faster of the two or no slower."""
    ratio = ms / GNUBOARD_DELETES_POST_MS
    return Figure(what, ms, "ms", "a post deleted by Gnuboard", ratio, f"≤ 1/{LEAST_POST} ×", ratio <= 1 / LEAST_POST)
