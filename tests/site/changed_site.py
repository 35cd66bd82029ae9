"""Run by test_contributing.py inside a changed copy of the project: what its site does, a line each."""

import io
import os
import re
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "imgnom.site.settings"
django.setup()

from django.core.management import call_command  # noqa: E402 - Django is started first
from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402

from imgnom.community.members.public import deliver_mail  # noqa: E402
from imgnom.custody.in_force import policy_in_force  # noqa: E402
from imgnom.custody.keys.public import ensure_keyring  # noqa: E402
from imgnom.custody.vault.models import SealedValue  # noqa: E402
from imgnom.policy.public import ends_at, render_articles  # noqa: E402
from imgnom.procedures.retention.public import list_due, run_due  # noqa: E402
from imgnom.site.clock import set_clock  # noqa: E402

HOME = Path(os.environ["IMGNOM_HOME"])
NOON = datetime(2026, 11, 22, 3, tzinfo=UTC)
PHONE = "010-2600-7734"


def open_site() -> None:
    for alias in connections:
        call_command("migrate", database=alias, verbosity=0)
    set_clock(NOON)
    ensure_keyring(now=NOON)


def period() -> None:
    policy = policy_in_force()
    record = policy.records["identity_after_leaving"]
    print(ends_at(record, datetime(2026, 8, 31, 3, tzinfo=UTC), policy.zone))
    for lang in ("ko", "en"):
        articles = render_articles(policy, lang)
        print("".join(part.text for article in articles for words in article.paragraphs for part in words.segments))


def _post(client: Client, path: str, fields: dict[str, str]) -> None:
    answer = client.post(path, fields)
    assert answer.status_code == 303, (path, answer.status_code, re.findall(r"errorlist.*", answer.content.decode()))


def _lies_plain() -> bool:
    return any(PHONE.encode() in file.read_bytes() for file in HOME.rglob("*") if file.is_file())


def item() -> None:
    open_site()
    client = Client(headers={"accept-language": "en"})
    form = client.get("/signup").content.decode()
    print("asked:", 'name="phone"' in form and "telephone" in form)
    _post(
        client,
        "/signup",
        {
            "age_group": "14_or_older", "username": "seonwoo.l", "password1": "kite over the river", "nickname": "하늘바라기",
            "email": "seonwoo@mail.example", "phone": PHONE, "agree_terms": "on", "agree_privacy": "on",
        },
    )  # fmt: skip
    deliver_mail(now=NOON)
    letter = next((HOME / "outbox").glob("*.eml")).read_text(encoding="utf-8", errors="replace")
    code = re.search(r"\b\d{6}\b", letter.partition("\n\n")[0])
    assert code
    _post(client, "/signup/confirm", {"code": code[0]})
    print("sealed:", SealedValue.objects.filter(item="phone").exists() and not _lies_plain())
    print("shown to its owner:", PHONE in client.get("/me/privacy").content.decode())
    export = client.get("/me/export")
    content = b"".join(export.streaming_content) if export.streaming else export.content
    with zipfile.ZipFile(io.BytesIO(content)) as files:
        print("exported:", any(PHONE.encode() in files.read(name) for name in files.namelist()))
    public = "".join(Client().get(path).content.decode() for path in ("/", "/@하늘바라기", "/privacy.json"))
    print("shown to nobody else:", PHONE not in public)
    _post(client, "/me/withdraw", {"content": "keep", "confirm": "yes"})
    print("destroyed at leaving:", not SealedValue.objects.filter(item="phone").exists() and not _lies_plain())


def record() -> None:
    from imgnom.procedures.moderation.models import DeskNote
    from imgnom.procedures.moderation.public import write_desk_note

    open_site()
    write_desk_note(words="the kettle is broken", now=NOON)
    for days in (30, 31):
        print(f"due after {days} days:", list_due(now=NOON + timedelta(days=days))["desk_notes"])
    report = run_due(now=NOON + timedelta(days=31))
    print(f"destroyed: {report.destroyed['desk_notes']}, left: {DeskNote.objects.count()}, {report.errors}")


if __name__ == "__main__":
    {"period": period, "item": item, "record": record}[sys.argv[1]]()
