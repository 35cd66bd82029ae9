"""Make the demo's cast and pictures once; a home that already has them is left alone.

Everything goes through the same use cases as a stranger's sign-up and upload: nothing is written around them.
"""

import json
import secrets
import shutil
import sys
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from imgnom.community.comments.public import write_comment
from imgnom.community.images.public import upload_file
from imgnom.community.members.public import MemberCard, create_confirmed_member, create_staff
from imgnom.custody.consent.public import record_consent
from imgnom.custody.in_force import policy_in_force
from imgnom.policy.public import Actor
from imgnom.procedures.moderation.public import record_grant
from imgnom.site.clock import now
from imgnom.site.demo.captions import CAPTIONS, CAST, COMMENTS, STAFF
from imgnom.site.demo.photographs import Photograph, lantern_gif, photographs


def cast_file() -> Path:
    """Logins and passwords of the invented cast; it exists in demo mode only."""
    return Path(settings.IMGNOM.home) / "demo-cast.json"


def read_cast() -> dict[str, dict[str, str]]:
    return dict(json.loads(cast_file().read_text(encoding="utf-8"))) if cast_file().exists() else {}


def _make_cast() -> tuple[dict[str, MemberCard], dict[str, dict[str, str]]]:
    members: dict[str, MemberCard] = {}
    facts: dict[str, dict[str, str]] = {}
    for login, nickname in CAST.items():
        password = f"{login}-{secrets.token_urlsafe(9)}"
        members[nickname] = create_confirmed_member(
            username=login, password=password, nickname=nickname, email=f"{login}@mail.example", now=now()
        )
        for kind in (kind.id for kind in policy_in_force().consents.values() if kind.required):
            subject = members[nickname].subject
            record_consent(subject, kind, given=True, way="signup", by=Actor("member", subject), now=now())
        facts[login] = {"role": "member", "nickname": nickname, "password": password}
    for login, role in STAFF.items():
        made = create_staff(login=login, role=role, now=now())
        record_grant(subject=made.subject, role=role, change="granted", by="demo", now=now())
        facts[login] = {
            "role": role,
            "nickname": made.login,
            "password": made.password,
            "totp_secret": made.totp_secret,
        }
    return members, facts


def _hang(author: MemberCard, file: Photograph, *, title: str, alt: str, tags: str) -> str:
    return upload_file(
        content=file.content,
        title=title,
        description="",
        alt=alt,
        tags=tags,
        visibility="public",
        by_member=author.id,
        now=now(),
    ).public_id


def _unfinished() -> Path:
    """Stands while the cast is being made: whoever was stopped meanwhile begins anew."""
    return Path(settings.IMGNOM.home) / "demo-unfinished"


def clear_unfinished() -> None:
    """What a start that was stopped half-way left is taken away. Nobody has used it: its doors never opened."""
    if not _unfinished().exists():
        return
    for alias in connections:
        if connections[alias].introspection.table_names():
            call_command("flush", database=alias, interactive=False, verbosity=0)
    connections.close_all()
    for key in settings.IMGNOM.keyring.glob("*.key"):
        if key != settings.IMGNOM.secret_key_file:
            key.unlink()
    for folder in ("media", "outbox", "cache"):
        shutil.rmtree(Path(settings.IMGNOM.home) / folder, ignore_errors=True)
    cast_file().unlink(missing_ok=True)
    _unfinished().unlink()


def prepare_demo() -> None:
    if cast_file().exists():
        return
    print("imgnom: making the demo's people and pictures (once) …", file=sys.stderr, flush=True)
    _unfinished().touch()
    members, facts = _make_cast()
    ids: dict[str, str] = {}
    for stem, file in photographs():
        author, title, alt, tags = CAPTIONS[stem]
        ids[stem] = _hang(members[author], file, title=title, alt=alt, tags=tags)
    author, _, alt, tags = CAPTIONS["lanterns"]
    _hang(members[author], lantern_gif(), title="흔들리는 연등", alt=alt, tags=tags)
    for stem, nickname, body in COMMENTS:
        write_comment(image_id=ids[stem], body=body, by_member=members[nickname].id, now=now())
    partial = cast_file().with_suffix(".part")
    partial.write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
    partial.replace(cast_file())
    _unfinished().unlink()
