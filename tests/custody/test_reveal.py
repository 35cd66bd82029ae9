"""The one way to plaintext: decided, recorded first, outermost; and the neutral answers around it."""

import json
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from imgnom.custody.archive.models import ArchivedValue
from imgnom.custody.archive.public import archive_subject, due_archives, open_archive
from imgnom.custody.guard import public as guard
from imgnom.custody.guard.models import GuardEntry
from imgnom.custody.keys.models import DataKey
from imgnom.custody.keys.public import KeyDestroyed, KeyUnknown, SealBroken, destroy_keys, keys_of
from imgnom.custody.outbox.models import Outbox
from imgnom.custody.transactions import InsideTransaction, ensure_outermost, hold_lock
from imgnom.custody.vault import reveal as reveal_module
from imgnom.custody.vault import values
from imgnom.custody.vault.models import BlindIndex, Fence, SealedValue
from imgnom.custody.vault.public import (
    SubjectFenced,
    ValueMissing,
    ValueTaken,
    decoy_subject,
    destroy_subject,
    fence_subject,
    find_subject,
    index_value,
    new_subject,
    restrict,
    seal_value,
)
from imgnom.custody.vault.reveal import RevealRefused, reveal, reveal_items, reveal_many
from imgnom.policy.public import SYSTEM, Actor
from tests.custody.at_once import at_once
from tests.environment import POSTGRES

one_transaction = pytest.mark.django_db(databases="__all__")
many_transactions = pytest.mark.django_db(databases="__all__", transaction=True)
STORES = ("default", "logs", "vault", "archive", "keys", "ledger")
OFFICER = Actor("officer", "o")
VALUE = "canary-22d8@mail.example"


@pytest.fixture
def subject(now: datetime) -> str:
    made = new_subject(now=now)
    seal_value(made, "email", VALUE, now=now)
    return made


@pytest.fixture
def archived(now: datetime) -> str:
    ref = "q" * 26
    archive_subject(
        archive_ref=ref, record="identity_after_leaving", values={"email": VALUE}, starts_at=now, due_at=now + timedelta(days=90), by=SYSTEM, now=now,
    )  # fmt: skip
    return ref


def _leaves(store: str = "vault") -> list[dict[str, object]]:
    return [json.loads(p) for p in Outbox.objects.using(store).order_by("id").values_list("payload", flat=True)]


@one_transaction
@pytest.mark.clause("A2.0")
@pytest.mark.parametrize("store", STORES)
def test_no_reading_inside_any_stores_transaction(subject: str, archived: str, now: datetime, store: str) -> None:
    """Undone later, the reading would have happened and its leaf would not."""
    before = {alias: len(_leaves(alias)) for alias in STORES}
    own = Actor("member", subject)
    with transaction.atomic(using=store):
        for by, purpose in ((SYSTEM, "notices"), (own, "rights"), (SYSTEM, "never heard of")):
            with pytest.raises(InsideTransaction, match=store):
                reveal(subject, "email", purpose=purpose, by=by, now=now)
            with pytest.raises(InsideTransaction, match=store):
                reveal_many([subject], "email", purpose=purpose, by=by, now=now)
        with pytest.raises(InsideTransaction, match=store):
            open_archive(archived, "email", docket="D-1", by=OFFICER, now=now)
    assert {alias: len(_leaves(alias)) for alias in STORES} == before
    assert reveal(subject, "email", purpose="notices", by=SYSTEM, now=now).open() == VALUE


@many_transactions
@pytest.mark.parametrize("store", STORES)
def test_outermost_means_so_with_real_transactions_too(store: str) -> None:
    ensure_outermost("nothing")
    with transaction.atomic(using=store), pytest.raises(InsideTransaction):
        ensure_outermost("something")
    ensure_outermost("nothing")


@many_transactions
def test_a_lock_needs_a_transaction() -> None:
    with pytest.raises(RuntimeError):
        hold_lock("vault", "x")
    with transaction.atomic(using="vault"):
        hold_lock("vault", "x")


@one_transaction
@pytest.mark.clause("A2.0")
def test_a_reading_that_cannot_be_recorded_does_not_happen(
    subject: str, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_more: object) -> str:
        raise OSError("no space left")

    opened: list[str] = []
    monkeypatch.setattr(reveal_module, "record_act", full)
    monkeypatch.setattr(reveal_module, "open_key", opened.append)
    with pytest.raises(OSError, match="no space"):
        reveal(subject, "email", purpose="notices", by=SYSTEM, now=now)
    with pytest.raises(OSError, match="no space"):
        reveal_many([subject], "email", purpose="notices", by=SYSTEM, now=now)
    assert opened == []


@one_transaction
@pytest.mark.clause("A2.0")
def test_a_refusal_leaves_its_clause_and_no_value(subject: str, now: datetime) -> None:
    with pytest.raises(RevealRefused) as refused:
        reveal(subject, "email", purpose="statistics", by=Actor("moderator", "m"), now=now)
    leaf = _leaves()[-1]
    assert (leaf["act"], leaf["outcome"], leaf["subject"]) == ("reveal", "refused", subject)
    assert leaf["clause"] == refused.value.decision.clause
    assert VALUE not in json.dumps(leaf)


@one_transaction
@pytest.mark.clause("A7.3a")
def test_what_rests_for_a_correction_is_refused_but_to_its_owner(subject: str, now: datetime) -> None:
    restrict(subject, "email")
    with pytest.raises(RevealRefused, match=r"A7\.3a"):
        reveal(subject, "email", purpose="notices", by=SYSTEM, now=now)
    assert reveal(subject, "email", purpose="rights", by=Actor("member", subject), now=now).open() == VALUE


@one_transaction
def test_nobody_reads_another_members_value_as_their_own(subject: str, now: datetime) -> None:
    """The own page is the only reading without a leaf: somebody else's is recorded."""
    before = len(_leaves())
    reveal(subject, "email", purpose="rights", by=Actor("member", "somebody else"), now=now)
    assert len(_leaves()) == before + 1


@one_transaction
@pytest.mark.clause("A2.0")
def test_reading_many_records_all_and_leaves_out_refused_and_missing(
    subject: str, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = new_subject(now=now)
    resting = new_subject(now=now)
    seal_value(resting, "email", "resting@mail.example", now=now)
    restrict(resting, "email")
    last = new_subject(now=now)
    seal_value(last, "email", "last@mail.example", now=now)
    before = len(_leaves())
    found = reveal_many([last, subject, silent, resting, subject], "email", purpose="notices", by=SYSTEM, now=now)
    assert {key: value.open() for key, value in found.items()} == {last: "last@mail.example", subject: VALUE}
    assert list(found) == [last, subject]
    leaves = _leaves()[before:]
    assert {str(leaf["subject"]): leaf["outcome"] for leaf in leaves} == {
        last: "revealed", subject: "revealed", silent: "revealed", resting: "refused",
    }  # fmt: skip
    assert len(leaves) == 4


@one_transaction
@pytest.mark.clause("A2.0")
def test_several_items_of_one_subject_are_recorded_first_and_read_together(subject: str, now: datetime) -> None:
    seal_value(subject, "username", "kite.2208", now=now)
    before = len(_leaves())
    asked = ("username", "email", "second_factor")
    found = reveal_items(subject, asked[:2], purpose="retention", by=SYSTEM, now=now)
    assert {item: value.open() for item, value in found.items()} == {"username": "kite.2208", "email": VALUE}
    leaves = _leaves()[before:]
    assert [(leaf["items"], leaf["outcome"], leaf["subject"]) for leaf in leaves] == [
        (["username"], "revealed", subject), (["email"], "revealed", subject),
    ]  # fmt: skip
    silent = new_subject(now=now)
    assert reveal_items(silent, asked[:2], purpose="retention", by=SYSTEM, now=now) == {}


@one_transaction
@pytest.mark.clause("A2.0")
def test_one_refused_item_opens_none_of_them_and_all_are_recorded(
    subject: str, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(reveal_module, "open_key", opened.append)
    before = len(_leaves())
    with pytest.raises(RevealRefused):
        reveal_items(subject, ("email", "password"), purpose="notices", by=SYSTEM, now=now)
    assert [leaf["outcome"] for leaf in _leaves()[before:]] == ["revealed", "refused"]
    assert opened == []
    with transaction.atomic(using="keys"), pytest.raises(InsideTransaction, match="keys"):
        reveal_items(subject, ("email",), purpose="notices", by=SYSTEM, now=now)


@one_transaction
def test_a_reading_asks_little_of_the_stores(subject: str, now: datetime) -> None:
    """One question for what is held and whether it rests, one for the key; a leaf and a note of the use."""
    for by, purpose, most in ((SYSTEM, "notices", 4), (Actor("member", subject), "rights", 3)):
        reveal(subject, "email", purpose=purpose, by=by, now=now)
        with ExitStack() as stack:
            asked = [stack.enter_context(CaptureQueriesContext(connections[alias])) for alias in STORES]
            assert reveal(subject, "email", purpose=purpose, by=by, now=now).open() == VALUE
        statements = [query["sql"] for capture in asked for query in capture.captured_queries]
        own = [
            sql for sql in statements if not sql.startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "SELECT pg_"))
        ]
        assert len(own) <= most, own


@one_transaction
@pytest.mark.clause("A4.2")
def test_a_key_that_any_process_destroyed_opens_nothing_from_then_on(subject: str, now: datetime) -> None:
    """Nothing of a reading is kept that would outlive the key."""
    assert reveal(subject, "email", purpose="notices", by=SYSTEM, now=now).open() == VALUE
    with connections["keys"].cursor() as another:  # not through our own functions, as another process would
        another.execute("DELETE FROM keys_datakey WHERE owner = %s", [subject])
    with pytest.raises(KeyUnknown):
        reveal(subject, "email", purpose="notices", by=SYSTEM, now=now)


@one_transaction
def test_reading_many_never_leaves_out_what_is_broken(subject: str, now: datetime) -> None:
    other = new_subject(now=now)
    seal_value(other, "email", "other@mail.example", now=now)
    SealedValue.objects.filter(subject=other).update(sealed=b"\x01" + b"\0" * 40)
    with pytest.raises(SealBroken):
        reveal_many([subject, other], "email", purpose="notices", by=SYSTEM, now=now)
    DataKey.objects.filter(owner=other).delete()
    with pytest.raises(KeyUnknown):
        reveal_many([subject, other], "email", purpose="notices", by=SYSTEM, now=now)


@one_transaction
@pytest.mark.clause("A4.1②")
def test_the_archive_opens_to_the_officer_with_a_docket_until_its_day(archived: str, now: datetime) -> None:
    assert (
        open_archive(archived, "email", docket="D-1", by=OFFICER, now=now + timedelta(days=90, seconds=-1)).open()
        == VALUE
    )
    for late in (timedelta(days=90), timedelta(days=4000)):
        with pytest.raises(RevealRefused, match=r"A4\.0"):
            open_archive(archived, "email", docket="D-1", by=OFFICER, now=now + late)
    for docket, by in (
        ("", OFFICER),
        ("D-1", Actor("moderator", "m")),
        ("D-1", Actor("member", archived)),
        ("D-1", SYSTEM),
    ):
        with pytest.raises(RevealRefused):
            open_archive(archived, "email", docket=docket, by=by, now=now)
    with pytest.raises(RevealRefused):
        open_archive("z" * 26, "email", docket="D-1", by=OFFICER, now=now)
    outcomes = [leaf["outcome"] for leaf in _leaves("archive") if leaf["act"] == "open_archive"]
    assert outcomes == ["revealed"] + ["refused"] * 7


@one_transaction
@pytest.mark.clause("A4.1①")
def test_a_value_without_a_day_in_the_archive_stays_shut(archived: str, now: datetime) -> None:
    ArchivedValue.objects.update(ends_at=None)
    with pytest.raises(RevealRefused):
        open_archive(archived, "email", docket="D-1", by=OFFICER, now=now)


@one_transaction
@pytest.mark.clause("A4.1①", "I2")
def test_moving_into_the_archive_twice_moves_once(archived: str, now: datetime) -> None:
    before = list(ArchivedValue.objects.values_list("sealed", "key_id", "ends_at"))
    acts = len(_leaves("archive"))
    archive_subject(
        archive_ref=archived, record="identity_after_leaving", values={"email": "other@mail.example"}, starts_at=now, due_at=now, by=SYSTEM, now=now,
    )  # fmt: skip
    assert list(ArchivedValue.objects.values_list("sealed", "key_id", "ends_at")) == before
    assert len(_leaves("archive")) == acts
    assert due_archives(now=now) == ()


@one_transaction
@pytest.mark.clause("A4.1①", "I2")
@pytest.mark.parametrize("step", ["open_key", "record_act"])
def test_a_move_killed_halfway_is_wholly_repeated(now: datetime, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    from imgnom.custody.archive import public as archive

    def killed(*_args: object, **_more: object) -> None:
        raise RuntimeError("killed")

    facts = {
        "archive_ref": "k" * 26,
        "record": "identity_after_leaving",
        "values": {"email": VALUE, "nickname": "이름"},
        "starts_at": now,
    }
    with monkeypatch.context() as patch:
        patch.setattr(archive, step, killed)
        with pytest.raises(RuntimeError):
            archive_subject(**facts, due_at=now + timedelta(days=90), by=SYSTEM, now=now)  # type: ignore[arg-type]
    assert not ArchivedValue.objects.exists()
    archive_subject(**facts, due_at=now + timedelta(days=90), by=SYSTEM, now=now)  # type: ignore[arg-type]
    assert open_archive("k" * 26, "email", docket="D-1", by=OFFICER, now=now).open() == VALUE
    assert DataKey.objects.filter(klass="archive").count() == 1


@one_transaction
@pytest.mark.clause("A2.2f")
def test_a_decoy_cannot_be_told_from_a_subject(now: datetime) -> None:
    subjects = [new_subject(now=now) for _ in range(40)]
    decoys = [decoy_subject("email", f"{n}@mail.example", now=now) for n in range(40)]
    assert {len(s) for s in subjects} == {len(s) for s in decoys}
    alphabet = set("abcdefghijklmnopqrstuvwxyz234567")
    assert set("".join(subjects)) <= alphabet
    assert set("".join(decoys)) <= alphabet
    # 128 bits in 26 letters: the last one carries three bits, in both.
    assert {s[-1] for s in subjects} <= set("aeimquy4")
    assert {s[-1] for s in decoys} <= set("aeimquy4")
    assert len({*decoys, *subjects}) == 80
    assert not DataKey.objects.filter(owner__in=decoys).exists()
    assert decoy_subject("email", "x", now=now) != decoy_subject("username", "x", now=now)


@one_transaction
def test_each_item_has_an_index_key_of_its_own(now: datetime) -> None:
    digests = {values.blind_digest(item, "the same text") for item in ("email", "username", "nickname")}
    assert len(digests) == 3
    one = new_subject(now=now)
    index_value(one, "email", "the same text")
    index_value(new_subject(now=now), "username", "the same text")
    assert find_subject("email", "the same text") == one
    assert find_subject("nickname", "the same text") is None
    assert "the same text" not in str(list(BlindIndex.objects.values()))


@one_transaction
def test_an_index_depends_on_the_keyring(now: datetime, home: object) -> None:
    from imgnom.custody.keys import keyring

    before = values.blind_digest("email", VALUE)
    keyring.destroy_key_file("index")
    keyring.write_key("index")
    assert values.blind_digest("email", VALUE) != before


@one_transaction
@pytest.mark.clause("A3.2③")
def test_the_guard_takes_the_same_steps_for_known_and_unknown(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    guard.add_to_guard("held@mail.example", case="case-1", now=now)
    guard.add_to_guard("held@mail.example", case="case-1", now=now)
    assert GuardEntry.objects.count() == 1
    real, calls = guard.hash_secret_raw, []

    def counted(*args: object, **more: object) -> bytes:
        calls.append(more)
        return real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(guard, "hash_secret_raw", counted)
    assert guard.is_guarded("held@mail.example")
    assert not guard.is_guarded("free@mail.example")
    assert len(calls) == 2
    assert calls[0] == calls[1]
    assert "held" not in str(list(GuardEntry.objects.values()))
    assert guard.remove_from_guard("case-1") == 1
    assert not guard.is_guarded("held@mail.example")


@pytest.mark.clause("A3.2③")
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Held.Name+shop@GMAIL.com", "heldname@gmail.com"), ("heldname@googlemail.com", "heldname@gmail.com"), ("A.B@mail.example", "a.b@mail.example"),
        ("ｈｅｌｄ@mail.example.", "held@mail.example"), ("held@한국.example", "held@xn--3e0b707e.example"), ("x@hanmail.net", "x@daum.net"), ("+x@mail.example", "+x@mail.example"),
    ],
)  # fmt: skip
def test_one_mailbox_has_one_canonical_form(written: str, meant: str) -> None:
    assert guard.canonical_email(written) == meant


@one_transaction
@pytest.mark.clause("A4.2")
def test_a_destroyed_subject_reads_as_destroyed_and_takes_nothing(subject: str, now: datetime) -> None:
    row = SealedValue.objects.get(subject=subject)
    index_value(subject, "email", VALUE)
    destroy_subject(subject, now=now, by=SYSTEM, clause="A4.2")
    with pytest.raises(ValueMissing):
        reveal(subject, "email", purpose="notices", by=SYSTEM, now=now)
    row.pk = None
    row.save()  # as a restore of an older copy of the vault would bring it back
    with pytest.raises(KeyDestroyed):
        reveal(subject, "email", purpose="notices", by=SYSTEM, now=now)
    for write in (lambda: seal_value(subject, "email", VALUE, now=now), lambda: index_value(subject, "email", VALUE)):
        with pytest.raises(SubjectFenced):
            write()


@one_transaction
@pytest.mark.clause("A4.2", "I2")
@pytest.mark.parametrize("step", ["fence_subject", "destroy_keys", "record_act", "compact"])
def test_a_destruction_killed_anywhere_ends_the_same(
    subject: str, now: datetime, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    index_value(subject, "email", VALUE)
    keys = keys_of(subject)

    def killed(*_args: object, **_more: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(values, step, killed)
        with pytest.raises(RuntimeError):
            destroy_subject(subject, now=now, by=SYSTEM, clause="A4.2")
    destroy_subject(subject, now=now, by=SYSTEM, clause="A4.2")
    assert not SealedValue.objects.filter(subject=subject).exists()
    assert not BlindIndex.objects.filter(subject=subject).exists()
    assert not DataKey.objects.filter(key_id__in=keys).exists()
    assert Fence.objects.filter(subject=subject).count() == 1


@many_transactions
@pytest.mark.clause("A4.2")
def test_nothing_is_written_behind_a_fence_however_close_the_race(now: datetime) -> None:
    for number in range(6):
        subject = new_subject(now=now)
        text = f"race-{number}@mail.example"

        def write(subject: str = subject, text: str = text) -> None:
            try:
                seal_value(subject, "email", text, now=now)
                index_value(subject, "email", text)
            except (SubjectFenced, KeyDestroyed):
                return

        def end(subject: str = subject) -> None:
            destroy_subject(subject, now=now, by=SYSTEM, clause="A4.2")

        at_once(write, end)
        assert not SealedValue.objects.filter(subject=subject).exists()
        assert not BlindIndex.objects.filter(subject=subject).exists()


@many_transactions
@pytest.mark.skipif(not POSTGRES, reason="SQLite's writers stand in a row anyway")
def test_a_fence_waits_for_who_is_writing(now: datetime) -> None:
    """The writer has looked and found no fence; the fence comes down only after the write is committed."""
    from threading import Event

    subject, looked, fenced = new_subject(now=now), Event(), Event()

    def write() -> None:
        with transaction.atomic(using="vault"):
            values.ensure_not_fenced(subject)
            looked.set()
            assert not fenced.wait(0.3)

    def fence() -> None:
        assert looked.wait(10)
        fence_subject(subject, now=now)
        fenced.set()

    at_once(write, fence)
    assert fenced.is_set()


@many_transactions
def test_one_confirmed_value_goes_to_one_of_many_who_come_at_once(now: datetime) -> None:
    subjects = [new_subject(now=now) for _ in range(5)]

    def claim(subject: str) -> str:
        try:
            index_value(subject, "email", "wanted@mail.example")
        except ValueTaken:
            return ""
        return subject

    won = at_once(*[lambda s=s: claim(s) for s in subjects])
    assert len([w for w in won if w]) == 1
    assert find_subject("email", "wanted@mail.example") == max(won)


@one_transaction
def test_a_reading_is_refused_however_many_transactions_are_open(subject: str, now: datetime) -> None:
    with ExitStack() as stack:
        for alias in connections:
            stack.enter_context(transaction.atomic(using=alias))
        with pytest.raises(InsideTransaction):
            reveal(subject, "email", purpose="notices", by=SYSTEM, now=now)


@one_transaction
def test_a_destroyed_key_is_a_destroyed_value(subject: str, now: datetime) -> None:
    destroy_keys(keys_of(subject), now=now, by=SYSTEM, clause="A4.2")
    with pytest.raises(KeyDestroyed):
        reveal(subject, "email", purpose="notices", by=SYSTEM, now=now)
