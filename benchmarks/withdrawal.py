"""A member leaves: the request, and the whole until the receipt says done, for few and many posts and each choice.

A post is a picture with its three files and a comment of the member's own on somebody else's picture.
"""

import random
import time
from contextlib import suppress

from benchmarks.figures import Figure, Section, Size, timed
from benchmarks.home import CACHE, NOW, copy_of, say, start_django
from benchmarks.pages import seeded_home, sign_in
from benchmarks.peers import post_beside_gnuboard

CHOICES = ("keep", "anonymise", "delete")
MAX_REQUEST_MS = 200
MAX_WHOLE_S = 20


def _leaver(posts: int, number: int) -> int:
    """A new member with that many pictures and comments."""
    from benchmarks.seed import seed_comments, seed_pictures
    from imgnom.community.images.models import Image
    from imgnom.community.members.public import create_confirmed_member

    dice = random.Random(number)
    card = create_confirmed_member(
        username=f"leaver.{number}", password="no matter which", nickname=f"leaver-{dice.randbytes(4).hex()}", email=f"leaver.{number}@mail.example", now=NOW
    )  # fmt: skip
    others = list(Image.objects.exclude(author_id=card.id).order_by("pk").values_list("pk", flat=True)[:500])
    seed_pictures(posts, [card.id], dice, files=CACHE)
    seed_comments((dice.choice(others) for _ in range(posts)), [card.id], dice)
    return card.id


def leave(member_id: int, choice: str) -> tuple[float, float]:
    """(ms of the request, seconds until done)."""
    from django.test import Client

    from imgnom.procedures.retention.models import Withdrawal
    from imgnom.procedures.retention.public import resume_withdrawals

    client = Client()
    name, _, value = sign_in(member_id).partition("=")
    client.cookies[name] = value
    began = time.perf_counter()
    with timed() as spent:
        answer = client.post("/me/withdraw", {"content": choice, "confirm": "yes"})
    if answer.status_code != 303:
        raise RuntimeError(f"/me/withdraw answered {answer.status_code}")
    while Withdrawal.objects.exclude(state="done").exists():
        resume_withdrawals(now=NOW)
    return 1000 * spent.wall, time.perf_counter() - began


def measure(size: Size) -> Section:
    home = copy_of(
        seeded_home(size, comments=size.comments, popular=size.popular_comments), CACHE / "scratch-withdrawal"
    )
    start_django(home)
    figures = []
    number = 0
    for choice in CHOICES:
        whole: dict[int, float] = {}
        for posts in size.withdrawals:
            number += 1
            say(f"{choice}, {posts} posts")
            member_id = _leaver(posts, number)
            request_ms, whole[posts] = leave(member_id, choice)
            figures.append(
                Figure(
                    f"{choice}, {posts} posts: the request", request_ms, "ms", target=f"≤ {MAX_REQUEST_MS} ms", met=request_ms <= MAX_REQUEST_MS
                )
            )  # fmt: skip
            figures.append(
                Figure(
                    f"{choice}, {posts} posts: until done", whole[posts], "s", target=f"≤ {MAX_WHOLE_S} s", met=whole[posts] <= MAX_WHOLE_S
                )
            )  # fmt: skip
        few, many = size.withdrawals[-2], size.withdrawals[-1]
        with suppress(ZeroDivisionError):
            each = 1000 * whole[many] / many
            ratio = each / (1000 * whole[few] / few)
            figures.append(
                Figure(f"{choice}: a post of {many}", each, "ms", f"a post of {few}", ratio, "≤ 1.2 ×", ratio <= 1.2)
            )
            if choice == "delete":
                figures.append(post_beside_gnuboard(f"{choice}: a post of {many}", each))
    return Section("withdrawal", "Leaving", " ".join((__doc__ or "").split()), tuple(figures))
