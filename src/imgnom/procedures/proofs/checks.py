"""What the running site checks of itself, each check for the clauses that it is evidence for.

A check counts: how much it looked at, and how many faults it found. It never names whom or what a fault concerns.
Rooms above register theirs; the list is put together when the site starts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import connections

from imgnom.custody.in_force import policy_in_force
from imgnom.custody.keys.public import count_revived, last_turn
from imgnom.custody.ledger.public import verify_ledger
from imgnom.policy.public import Allow, Record, Text, decide, example_contacts
from imgnom.procedures.retention.public import DESTROYERS, count_waiting_withdrawals

# "Without delay" where the policy gives a record no other day.
TURN_LATE_AFTER = timedelta(days=2)
WITHDRAWAL_LATE_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Finding:
    """`seen` things were looked at, `faults` of them break the promise.

    `known` is False where nothing that was looked at could show or deny the promise; its clause is not green then.
    """

    seen: int
    faults: int
    known: bool = True


CANNOT_BE_SHOWN = Text("여기서는 확인할 수 없습니다", "it cannot be shown here")


@dataclass(frozen=True)
class Check:
    """`holds` and `fails` are said with {seen} and {faults}, `unknown` where the promise cannot be shown here."""

    name: str
    clauses: tuple[str, ...]
    holds: Text
    fails: Text
    look: Callable[[datetime], Finding]
    unknown: Text = CANNOT_BE_SHOWN


_registered: dict[str, Check] = {}


def register_check(check: Check) -> None:
    """Add a check of an upper floor. The same name again replaces it."""
    _registered[check.name] = check


def _ledger(now: datetime) -> Finding:
    result = verify_ledger()
    return Finding(result.size, 0 if result.ok else 1)


def _readings(now: datetime) -> Finding:
    """Ask for every item, purpose and role that the file does not declare: all must be refused."""
    policy = policy_in_force()
    declared = {(use.item, use.purpose, role) for use in policy.uses for role in use.roles}
    seen = faults = 0
    for item in policy.items:
        for purpose in policy.purposes:
            for role in policy.roles:
                if (item, purpose, role) not in declared:
                    seen += 1
                    faults += isinstance(decide(policy, item=item, purpose=purpose, role=role, now=now), Allow)
    return Finding(seen, faults)


def _parties(now: datetime) -> Finding:
    """Nobody is listed as a recipient or processor while no consent for that exists; mail is the operator's own."""
    policy = policy_in_force()
    listed = (*policy.recipients.values(), *policy.processors.values())
    return Finding(len(listed), len(listed))


def _officer(now: datetime) -> Finding:
    """Somebody is behind the names and addresses as far as a machine can tell: none is an example, and mail is sent."""
    policy, environment = policy_in_force(), settings.IMGNOM
    words = [*policy.officer.values(), *policy.operator.values()]
    faults = sum(not (text.ko.strip() and text.en.strip()) for text in words) + (not words)
    if not environment.is_toy:
        faults += len(example_contacts(policy)) + (not environment.mail_is_named)
        faults += not environment.is_https and not environment.is_loopback
    sends = not environment.mail_url.startswith("file:")
    return Finding(len(words), faults, known=bool(faults) or (sends and not environment.is_toy))


def _languages(now: datetime) -> Finding:
    policy = policy_in_force()
    texts: list[Text] = [clause.promise for clause in policy.clauses.values()]
    texts += [thing.label for group in (policy.items, policy.purposes, policy.records) for thing in group.values()]
    texts += [text for kind in policy.consents.values() for text in (kind.label, kind.text)]
    return Finding(len(texts), sum(not (text.ko.strip() and text.en.strip()) for text in texts))


def _stores(now: datetime) -> Finding:
    """Six stores, six places."""
    places = {
        (facts["ENGINE"], facts.get("HOST", ""), facts.get("PORT", ""), str(facts["NAME"]), facts.get("USER", ""))
        for facts in (connections[alias].settings_dict for alias in connections)
    }
    return Finding(len(list(connections)), len(list(connections)) - len(places))


def _turn(now: datetime) -> Finding:
    """The key-encryption key was turned lately, so that what was destroyed is dead in older copies too."""
    turned = last_turn()
    return Finding(1, int(turned is None or now - turned > TURN_LATE_AFTER))


def _keyring(now: datetime) -> Finding:
    inside = settings.IMGNOM.keyring.is_relative_to(settings.IMGNOM.home)
    return Finding(1, int(inside and not settings.IMGNOM.is_toy), known=not inside or not settings.IMGNOM.is_toy)


def _withdrawals(now: datetime) -> Finding:
    waiting, late = count_waiting_withdrawals(before=now - WITHDRAWAL_LATE_AFTER)
    return Finding(waiting, late)


def _overdue(record: str, now: datetime) -> Finding:
    """What has been past its day for longer than `without delay` allows."""
    grace = timedelta(days=int(policy_in_force().setting("without_delay_days")))
    late = sum(one.due(now - grace) for one in DESTROYERS if one.record == record)
    return Finding(late, late)


def _silence(now: datetime) -> Finding:
    """Silence is a refusal, whatever the document's second sentence on the banner says."""
    return Finding(1, int(policy_in_force().setting("banner") == "literal"))


def _dead_keys(now: datetime) -> Finding:
    back = count_revived()
    return Finding(back, back)


def _record_check(record: Record) -> Check:
    return Check(
        name=f"due {record.id}",
        clauses=tuple(dict.fromkeys((record.article, "A4.0"))),
        holds=Text(f"{record.label.ko}: 기한을 넘긴 것이 없습니다", f"{record.label.en}: nothing is overdue"),
        fails=Text(
            f"{record.label.ko}: {{faults}}건이 기한을 넘겼습니다", f"{record.label.en}: {{faults}} are overdue"
        ),
        look=partial(_overdue, record.id),
    )


OWN = (
    Check(
        "ledger",
        ("A0.1", "A4.2"),
        Text("처리 기록 {seen}줄이 처음부터 이어집니다", "all {seen} ledger entries verify"),
        Text("처리 기록이 어긋났습니다", "the ledger does not verify"),
        _ledger,
    ),
    Check(
        "readings",
        ("A2.0", "A2.2"),
        Text("선언하지 않은 읽기 {seen}가지가 모두 거절됩니다", "all {seen} readings that nobody declared are refused"),
        Text("선언하지 않은 읽기 {faults}가지가 허락됩니다", "{faults} undeclared readings are allowed"),
        _readings,
    ),
    Check(
        "parties",
        ("A5.0", "A6.1"),
        Text("제공받거나 맡는 곳이 없습니다", "there is no recipient and no processor"),
        Text("동의 절차 없이 {faults}곳이 적혀 있습니다", "{faults} parties are listed though consent is not built"),
        _parties,
    ),
    Check(
        "officer",
        ("A9.1", "A9.2", "A9.3"),
        Text(
            "운영자와 보호책임자의 이름과 연락처가 있고, 예시가 아닙니다",
            "operator and officer are named with addresses, and none is an example",
        ),
        Text(
            "운영자나 보호책임자의 이름이나 연락처가 비었거나 예시이거나, 메일을 보낼 수 없거나, 주소가 https가 아닙니다",
            "a name or address of operator or officer is empty or an example, or mail cannot be sent, or the site is not on https",
        ),
        _officer,
        Text(
            "연락처가 실제로 닿는지 확인할 수 없습니다. 시연 사이트이거나 메일을 파일로만 저장합니다",
            "it cannot be shown that the contacts reach anybody: this is a demo, or mail is only written to files",
        ),
    ),
    Check(
        "languages",
        ("I11", "A0.2"),
        Text("방침의 글 {seen}개가 두 언어로 있습니다", "{seen} texts of the policy stand in both languages"),
        Text("글 {faults}개가 한 언어뿐입니다", "{faults} texts lack a language"),
        _languages,
    ),
    Check(
        "stores",
        ("I9", "A4.1①"),
        Text("저장소 {seen}곳이 따로 있습니다", "{seen} stores lie apart"),
        Text("저장소 {faults}곳이 겹칩니다", "{faults} stores share a place"),
        _stores,
    ),
    Check(
        "keyring",
        ("I9",),
        Text("열쇠가 데이터와 다른 폴더에 있습니다", "the keys are in another folder than the data"),
        Text("열쇠가 데이터와 함께 있습니다", "the keys lie among the data"),
        _keyring,
        Text("시연 사이트라 열쇠가 데이터와 함께 있습니다", "this is a demo: its keys are kept with its data"),
    ),
    Check(
        "turn",
        ("A4.2",),
        Text("열쇠가 이틀 안에 바뀌었습니다", "the keys were turned within two days"),
        Text("열쇠를 이틀 넘게 바꾸지 못했습니다", "the keys have not been turned for two days"),
        _turn,
    ),
    Check(
        "dead keys",
        ("A4.2", "I9"),
        Text("없앤 열쇠가 되살아나지 않았습니다", "no destroyed key is back"),
        Text("없앤 열쇠 {faults}개가 되살아났습니다", "{faults} destroyed keys are back"),
        _dead_keys,
    ),
    Check(
        "withdrawals",
        ("A7.2b", "A7.2c", "A3.0a"),
        Text("하루 넘게 끝나지 않은 탈퇴가 없습니다", "no withdrawal is unfinished for a day"),
        Text("탈퇴 {faults}건이 하루 넘게 끝나지 않았습니다", "{faults} withdrawals are unfinished for a day"),
        _withdrawals,
    ),
    Check(
        "silence",
        ("B2", "A8.1"),
        Text("침묵은 거절입니다", "silence is a refusal"),
        Text("침묵을 동의로 칩니다", "silence is taken as consent"),
        _silence,
    ),
)


def all_checks() -> Iterator[Check]:
    """The room's own, those of the records of the policy in force, and those that upper floors registered."""
    yield from OWN
    destroyed = {one.record for one in DESTROYERS}
    yield from (_record_check(record) for record in policy_in_force().records.values() if record.id in destroyed)
    yield from _registered.values()
