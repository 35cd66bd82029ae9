"""The safety measures in force, read off the running settings and stores and never from a text (A0.2).

Each is said as it is, good or bad: a site without https says so here before anybody else does.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import get_hasher
from django.db import connections

from imgnom.community.images.public import missing_walls
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import last_turn
from imgnom.custody.ledger.public import has_seen, latest_checkpoint, witness_trouble
from imgnom.web.dates import in_seoul
from imgnom.web.middleware import CSP
from imgnom.web.words import say


@dataclass(frozen=True)
class Measure:
    """`is_kept` is False where the measure is missing or weaker than it should be."""

    title: str
    words: str
    is_kept: bool = True


def _places() -> list[dict[str, Any]]:
    return [connections[alias].settings_dict for alias in connections]


def _separation() -> Measure:
    """How far apart the stores really lie: one file or one server for all would be no separation."""
    title = str(say(ko="나누어 둠", en="Kept apart"))
    places = _places()
    count = len({(p.get("HOST", ""), str(p.get("PORT", "")), str(p["NAME"]), p.get("USER", "")) for p in places})
    servers = {(p.get("HOST", ""), str(p.get("PORT", ""))) for p in places if "sqlite" not in p["ENGINE"]}
    if servers:
        where = say(ko=f"서버 {len(servers)}대", en=f"{len(servers)} servers" if len(servers) > 1 else "one server")
    else:
        disks = {Path(p["NAME"]).parent.stat().st_dev for p in places if Path(p["NAME"]).parent.is_dir()}
        where = say(
            ko="같은 디스크" if len(disks) < 2 else f"디스크 {len(disks)}개",
            en="one disk" if len(disks) < 2 else f"{len(disks)} disks",
        )
    words = say(
        ko=f"저장소 {len(places)}개를 {count}곳에 나누어 둡니다({where}). 게시판 저장소에는 잠긴 개인 값이 하나도 없습니다.",
        en=f"{len(places)} stores lie in {count} places ({where}). The store of the community holds no sealed personal value.",
    )
    return Measure(title, str(words), count == len(places))


def _sealing() -> Measure:
    words = say(
        ko="개인 값은 사람마다, 접속 기록은 하루마다, 사진 원본은 파일마다 다른 열쇠로 AES-256-GCM으로 잠급니다.",
        en="Values are sealed with AES-256-GCM under a key of each person, access records under one of each day, originals under one of each file.",
    )  # fmt: skip
    return Measure(str(say(ko="암호화", en="Encryption")), str(words))


def _keyring() -> Measure:
    title = str(say(ko="열쇠", en="Keys"))
    if settings.IMGNOM.keyring.is_relative_to(settings.IMGNOM.home):
        words = say(
            ko="열쇠가 데이터와 같은 폴더에 있습니다. 시연이라서 그렇고, 실제 사이트는 이렇게 시작되지 않습니다.",
            en="The keys lie in the same folder as the data. This is a toy; a real site refuses to start like this.",
        )
        return Measure(title, str(words), is_kept=False)
    return Measure(
        title, str(say(ko="열쇠는 데이터와 다른 폴더에 있습니다.", en="The keys lie in another folder than the data."))
    )


def _turn(now: datetime) -> Measure:
    title = str(say(ko="열쇠 바꾸기", en="Turn of keys"))
    turned = last_turn()
    if turned is None:
        words = say(ko="으뜸 열쇠를 아직 바꾼 적이 없습니다.", en="The master key has not been turned yet.")
        return Measure(title, str(words), is_kept=False)
    day = in_seoul(turned).date().isoformat()
    words = say(
        ko=f"으뜸 열쇠를 날마다 새로 만들고 옛것을 없앱니다. 마지막: {day}.",
        en=f"The master key is made anew every day and the old one destroyed. Last: {day}.",
    )
    return Measure(title, str(words), (now - turned).days < 2)


def _passwords() -> Measure:
    hasher: Any = get_hasher("default")
    name, is_strong = getattr(hasher, "algorithm", "?"), "argon2" in getattr(hasher, "algorithm", "")
    memory, rounds = getattr(hasher, "memory_cost", 0), getattr(hasher, "time_cost", 0)
    cost_ko, cost_en = (
        (f" (기억 장치 {memory // 1024} MiB, {rounds}번)", f" ({memory // 1024} MiB, {rounds} rounds)")
        if memory
        else ("", "")
    )
    words = say(
        ko=f"비밀번호는 {'Argon2id' if is_strong else name}로 되돌릴 수 없게 바꿉니다{cost_ko}.",
        en=f"Passwords are kept one-way with {'Argon2id' if is_strong else name}{cost_en}.",
    )
    return Measure(str(say(ko="비밀번호", en="Passwords")), str(words), is_strong)


def _connection() -> Measure:
    title = str(say(ko="연결", en="Connection"))
    if settings.IMGNOM.is_https:
        words = say(
            ko="연결을 암호화합니다(https, 그 밖의 연결은 1년 동안 거절).",
            en="Connections are encrypted (https, and no other for a year).",
        )
        return Measure(title, str(words), bool(settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE))
    words = say(
        ko="이 주소는 연결을 암호화하지 않습니다(http).", en="This address does not encrypt connections (http)."
    )
    return Measure(title, str(words), is_kept=False)


def _durability() -> Measure:
    lite = [p for p in _places() if "sqlite" in p["ENGINE"]]
    overwritten = [p for p in lite if "secure_delete=ON" in p.get("OPTIONS", {}).get("init_command", "")]
    title = str(say(ko="덮어쓰기", en="Overwriting"))
    if not lite:
        words = say(
            ko="지운 행이 있던 표는 하루 안에 새로 씁니다. 되살릴 수 없게 하는 것은 열쇠를 없애는 일입니다.",
            en="Tables with deleted rows are written anew within a day; what makes them unreadable is the destruction of keys.",
        )
        return Measure(title, str(words))
    words = say(
        ko=f"저장소 {len(overwritten)}곳에서 지운 값이 있던 자리를 덮어씁니다.",
        en=f"In {len(overwritten)} stores the place of a deleted value is overwritten.",
    )
    return Measure(title, str(words), len(overwritten) == len(lite))


def _outside() -> Measure:
    own_only = "'self'" in CSP and "http" not in CSP and "*" not in CSP
    words = say(ko="쪽은 바깥 서버에서 아무것도 불러오지 않습니다.", en="Pages load nothing from any other server.")
    return Measure(str(say(ko="바깥 연결", en="Outside")), str(words), own_only)


def _staff() -> Measure:
    words = say(
        ko="운영 계정은 두 번째 인증이 있어야 하고, 개인정보를 본 것과 바꾼 것을 모두 적습니다. 적을 수 없으면 보여 주지 않습니다.",
        en="Staff need a second factor, and every look and act is recorded; what cannot be recorded is not shown.",
    )
    return Measure(str(say(ko="접근 통제", en="Access")), str(words))


def _ledger(now: datetime) -> Measure:
    title = str(say(ko="처리 기록", en="Ledger"))
    sealed = bool(latest_checkpoint().strip())
    trouble = witness_trouble(now=now)
    if not settings.IMGNOM.witness:
        witness_ko, witness_en = "없음", "none"
    elif trouble:
        witness_ko, witness_en = "있으나 하루 넘게 보지 못함", "yes, but it has not seen the ledger for a day"
    elif not has_seen():
        witness_ko, witness_en = "있으나 아직 보지 못함", "yes, but it has not seen the ledger yet"
    else:
        witness_ko, witness_en = "있음", "yes"
    words = say(
        ko=f"개인정보에 한 일을 고칠 수 없는 기록에 남기고 봉인합니다. 바깥의 증인: {witness_ko}.",
        en=f"What was done with personal data goes into a ledger that cannot be rewritten unseen. Outside witness: {witness_en}.",
    )  # fmt: skip
    return Measure(title, str(words), sealed and bool(settings.IMGNOM.witness) and not trouble and has_seen())


def _last_backup_at() -> datetime | None:
    """When this home was copied last, as the backup command wrote it down."""
    try:
        facts = json.loads((Path(settings.IMGNOM.home) / "last-backup.json").read_text(encoding="utf-8"))
        return datetime.fromisoformat(facts["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _backups(now: datetime) -> Measure:
    """Each backup removes the sets that are too old, so the promise holds only while backups go on."""
    title = str(say(ko="백업", en="Backups"))
    made = _last_backup_at()
    if made is None:
        words = say(ko="아직 백업한 적이 없습니다.", en="No backup has been made yet.")
        return Measure(title, str(words), is_kept=False)
    days, last = policy_in_force().setting("backup_days"), in_seoul(made).date().isoformat()
    words = say(
        ko=f"백업할 때마다 {days}일이 지난 백업을 지우고, 열쇠는 백업에 함께 넣지 않습니다. 마지막 백업: {last}.",
        en=f"Each backup removes those older than {days} days, and keys are in none of them. Last backup: {last}.",
    )
    return Measure(title, str(words), (now - made).days < 2)


def picture_reader(missing: tuple[str, ...]) -> Measure:
    """The sandbox in which uploaded files are opened, and what this kernel lacks for it."""
    title = str(say(ko="사진 읽기", en="Reading pictures"))
    if missing:
        lacking = ", ".join(missing)
        words = say(
            ko=f"올린 파일은 따로 떨어진 프로세스에서 자원을 제한해 읽습니다. 이 서버의 커널에는 다음 보호 장치가 없습니다: {lacking}.",
            en=f"Uploaded files are read in a separate process with limited resources. This server's kernel lacks: {lacking}.",
        )
        return Measure(title, str(words), is_kept=False)
    words = say(
        ko="올린 파일은 파일, 네트워크, 다른 프로세스에 접근할 수 없는 격리된 프로세스에서 읽습니다(seccomp, Landlock).",
        en="Uploaded files are read in a sandboxed process that cannot reach files, the network or other processes (seccomp, Landlock).",
    )  # fmt: skip
    return Measure(title, str(words))


def measures_in_force(*, now: datetime) -> tuple[Measure, ...]:
    """What is bad stands first."""

    def each() -> Iterator[Measure]:
        yield from (_connection(), _keyring(), _separation(), _sealing(), _turn(now), _passwords())
        yield from (_durability(), _outside(), _staff(), _ledger(now), _backups(now))
        yield picture_reader(missing_walls())

    return tuple(sorted(each(), key=lambda measure: measure.is_kept))
