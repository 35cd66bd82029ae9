"""The ledger: no gap, no fork, no leaf of what never was; every change of the past is found and named."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connections, transaction
from django.test import Client

from imgnom.custody.keys import keyring
from imgnom.custody.keys.public import create_key, destroy_keys
from imgnom.custody.ledger import append, merkle, signing
from imgnom.custody.ledger.certificates import make_number
from imgnom.custody.ledger.models import Certificate, Checkpoint, Leaf, Lease, Node, Tally
from imgnom.custody.ledger.public import (
    LeafUnknown,
    SigningKeyMissing,
    certificate,
    consistency,
    export_ledger,
    finalise_certificates,
    intend_destruction,
    issue_certificate,
    latest_checkpoint,
    make_checkpoint,
    proof_of,
    sequence,
    sign_document,
    verifier_key,
    verify_ledger,
)
from imgnom.custody.outbox.models import Outbox
from imgnom.custody.outbox.public import record_act
from imgnom.custody.transactions import InsideTransaction
from imgnom.policy.public import SYSTEM
from tests.custody.at_once import at_once

ROOT = Path(__file__).resolve().parents[2]
STORES = ("default", "logs", "vault", "archive", "keys", "ledger")
one_transaction = pytest.mark.django_db(databases="__all__")
many_transactions = pytest.mark.django_db(databases="__all__", transaction=True)


def _act(store: str, now: datetime, number: int = 0) -> str:
    return record_act(store=store, act="try", clause="A0.1", by=SYSTEM, now=now, detail={"number": number})


def _fill(now: datetime, count: int, *, checkpoint_at: tuple[int, ...] = ()) -> list[str]:
    made = []
    for number in range(count):
        made.append(_act(STORES[number % 6], now, number))
        sequence(now=now)
        if number + 1 in checkpoint_at:
            make_checkpoint(now=now)
    return made


def _verify(path: Path, key: str, *more: str) -> subprocess.CompletedProcess[str]:
    file = path.parent / "trusted-key.txt"
    file.write_text(key, encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(ROOT / "tools/verify_ledger.py"), "--key", str(file), *more, str(path)], capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@many_transactions
@pytest.mark.clause("A0.1")
def test_sequencers_side_by_side_make_no_gap_no_fork_and_no_double(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append, "BATCH", 7)
    ids = [_act(store, now, number) for number in range(20) for store in STORES]

    def drain() -> int:
        return sum(sequence(now=now) for _ in range(6))

    def write() -> int:
        ids.extend(_act("default", now, 100 + number) for number in range(20))
        return 0

    added = sum(at_once(drain, drain, drain, write))
    while more := sequence(now=now):
        added += more
    assert added == len(ids) == 140
    leaves = list(Leaf.objects.order_by("index").values_list("index", "leaf_id"))
    assert [index for index, _ in leaves] == list(range(140))
    assert {leaf_id for _, leaf_id in leaves} == set(ids)
    make_checkpoint(now=now)
    assert verify_ledger().ok
    assert not any(Outbox.objects.using(store).exists() for store in STORES)


@many_transactions
def test_two_checkpoints_at_once_are_one(now: datetime) -> None:
    _fill(now, 3)
    at_once(*[lambda: make_checkpoint(now=now).pk] * 4)
    assert Checkpoint.objects.count() == 1
    assert verify_ledger().ok


@many_transactions
def test_a_sequencer_that_slept_past_its_lease_adds_nothing(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """It wakes with a batch in its hands; the fencing token says that others went on."""
    _act("default", now)
    real = append._append_batch

    def slow(rows: list[Outbox], token: int) -> int:
        Lease.objects.update(until=0)
        monkeypatch.setattr(append, "_append_batch", real)
        assert sequence(now=now) == 1
        return real(rows, token)

    monkeypatch.setattr(append, "_append_batch", slow)
    assert sequence(now=now) == 0
    assert Leaf.objects.count() == 1
    assert verify_ledger().ok


@many_transactions
def test_while_somebody_holds_the_lease_nothing_is_added(now: datetime) -> None:
    _act("default", now)
    token = append.take_lease()
    assert token is not None
    assert append.take_lease() is None
    assert sequence(now=now) == 0
    append.give_back(token)
    assert sequence(now=now) == 1


@many_transactions
@pytest.mark.parametrize("store", STORES)
def test_what_was_rolled_back_never_enters(now: datetime, store: str) -> None:
    with transaction.atomic(using=store):
        _act(store, now)
        with pytest.raises(InsideTransaction):
            sequence(now=now)
        transaction.set_rollback(True, using=store)
    assert sequence(now=now) == 0
    assert not Leaf.objects.exists()


@many_transactions
@pytest.mark.parametrize("store", STORES)
def test_a_kill_between_entry_and_outbox_enters_nothing_twice(
    now: datetime, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf_id = _act(store, now)
    rows = list(Outbox.objects.using(store).all())
    token = append.take_lease()
    assert token is not None
    append._append_batch(rows, token)  # and here the process dies: the row still stands in its outbox
    append.give_back(token)
    assert Outbox.objects.using(store).count() == 1
    assert sequence(now=now) == 0
    assert not Outbox.objects.using(store).exists()
    assert list(Leaf.objects.values_list("leaf_id", flat=True)) == [leaf_id]
    make_checkpoint(now=now)
    assert verify_ledger().ok


@one_transaction
def test_a_batch_is_whole_or_not_at_all(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        _act("default", now, number)

    def killed(_tree: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(append._Tree, "store", killed)
        with pytest.raises(RuntimeError):
            sequence(now=now)
    assert not Leaf.objects.exists()
    assert sequence(now=now) == 5
    assert verify_ledger().ok


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "witness"
    folder.mkdir()
    before = settings.IMGNOM
    settings.IMGNOM = type(before)(
        **{**{n: getattr(before, n) for n in before.__dataclass_fields__}, "witness": str(folder)}
    )
    yield folder
    settings.IMGNOM = before


def _change(index: int) -> Callable[[], object]:
    def act() -> None:
        leaf = Leaf.objects.get(index=index)
        Leaf.objects.filter(pk=leaf.pk).update(payload=leaf.payload.replace("try", "tri"))

    return act


def _flip_node(level: int, index: int) -> Callable[[], object]:
    def act() -> None:
        node = Node.objects.get(level=level, index=index)
        raw = bytes(node.digest)
        Node.objects.filter(pk=node.pk).update(digest=bytes([raw[0] ^ 1]) + raw[1:])

    return act


def _swap_leaves() -> None:
    one, other = Leaf.objects.get(index=2), Leaf.objects.get(index=3)
    Leaf.objects.filter(pk=one.pk).update(index=99)
    Leaf.objects.filter(pk=other.pk).update(index=2)
    Leaf.objects.filter(pk=one.pk).update(index=3)


def _reorder_fields() -> None:
    leaf = Leaf.objects.get(index=4)
    facts = json.loads(leaf.payload)
    Leaf.objects.filter(pk=leaf.pk).update(payload=json.dumps(facts))


def _cut(keep: int) -> Callable[[], object]:
    def act() -> None:
        Leaf.objects.filter(index__gte=keep).delete()
        for node in Node.objects.all():
            if (node.index + 1) << node.level > keep:
                node.delete()

    return act


def _flip_note(place: int) -> Callable[[], object]:
    def act() -> None:
        row = Checkpoint.objects.get(size=5)
        raw = row.note
        Checkpoint.objects.filter(pk=row.pk).update(
            note=raw[:place] + ("A" if raw[place] != "A" else "B") + raw[place + 1 :]
        )

    return act


@one_transaction
@pytest.mark.clause("A0.1")
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_change(0), "entry 0 was changed"), (_change(6), "entry 6 was changed"), (_flip_node(0, 3), "entry 3 was changed"),
        (_flip_node(1, 2), "stored hash above entry 4"), (_flip_node(3, 0), "stored hash above entry 0"),
        (lambda: Leaf.objects.get(index=3).delete(), "entry 3 is missing"), (lambda: Node.objects.get(level=0, index=1).delete(), "entry 1 was changed"),
        (_swap_leaves, "entry 2 was changed"), (_reorder_fields, "entry 4 was changed"), (_cut(7), "entries 7 to 8 were cut off"), (_cut(0), "entries 0 to 4 were cut off"),
        (lambda: Leaf.objects.filter(index__gte=9).delete(), "beyond 9"), (lambda: Leaf.objects.filter(index=5).update(leaf_id="0" * 32), "entry 5 was changed"),
        (lambda: Leaf.objects.filter(index=5).update(payload="{}"), "entry 5 was changed"), (lambda: Checkpoint.objects.filter(size=9).update(size=8), "checkpoint 8: says 9"),
        (_flip_note(3), "checkpoint 5: its signature"), (_flip_note(-4), "checkpoint 5: its signature"),
    ],
)  # fmt: skip
def test_every_harm_to_the_past_is_named(now: datetime, harm: Callable[[], object], said: str) -> None:
    _fill(now, 11, checkpoint_at=(5, 9))
    assert verify_ledger().ok
    harm()
    result = verify_ledger()
    assert not result.ok
    assert said in result.problem


@one_transaction
def test_every_flipped_character_of_a_checkpoint_fails(now: datetime) -> None:
    _fill(now, 3, checkpoint_at=(3,))
    note = latest_checkpoint()
    assert signing.verify_note(note) == note.partition("\n\n")[0] + "\n"
    for place, character in enumerate(note):
        for other in {"x", "y", "A", "B", "="} - {character}:
            with pytest.raises(ValueError):
                signing.verify_note(note[:place] + other + note[place + 1 :])


def test_base64_is_read_in_the_one_way_it_is_written() -> None:
    assert signing.from_base64("QQ==") == b"A"
    for other in ("QR==", "QQ", "QQ=", "Q Q==", "QQ==\n", "QQ==QQ==", "_Q=="):
        with pytest.raises(ValueError):
            signing.from_base64(other)


def _rewrite_history(now: datetime) -> None:
    """The administrator deletes all, writes another past and signs it with the site's own key."""
    for model in (Leaf, Node, Checkpoint, Certificate, Tally):
        model.objects.all().delete()
    _fill(now + timedelta(seconds=1), 12, checkpoint_at=(5, 12))


@one_transaction
@pytest.mark.clause("A0.1")
def test_a_rewritten_history_is_found_by_the_witness_only(now: datetime, witness: Path) -> None:
    _fill(now, 9, checkpoint_at=(5, 9))
    assert sorted(file.name for file in witness.iterdir()) == [
        "checkpoint-000000000005.txt",
        "checkpoint-000000000009.txt",
    ]
    assert verify_ledger().ok
    _rewrite_history(now)
    assert "the witness saw another root" in verify_ledger().problem
    for file in witness.iterdir():
        file.unlink()
    assert verify_ledger().ok, "without a witness nobody can tell: that is why there is one"


@one_transaction
def test_a_history_cut_below_the_witness_is_found(now: datetime, witness: Path) -> None:
    _fill(now, 9, checkpoint_at=(5, 9))
    _cut(6)()
    Checkpoint.objects.filter(size=9).delete()
    assert "entries 6 to 8 were cut off" in verify_ledger().problem
    (witness / "checkpoint-000000000009.txt").write_text("something else", encoding="utf-8")
    assert "witness checkpoint-000000000009.txt" in verify_ledger().problem


@one_transaction
@pytest.mark.clause("A0.1")
def test_an_outsider_with_an_older_checkpoint_finds_a_rewritten_history(now: datetime, tmp_path: Path) -> None:
    _fill(now, 9, checkpoint_at=(5, 9))
    older = tmp_path / "older.txt"
    older.write_text(Checkpoint.objects.get(size=5).note, encoding="utf-8")
    export_ledger(tmp_path / "first")
    assert _verify(tmp_path / "first", verifier_key(), "--checkpoint", str(older)).returncode == 0
    _rewrite_history(now)
    export_ledger(tmp_path / "second")
    assert _verify(tmp_path / "second", verifier_key()).returncode == 0
    done = _verify(tmp_path / "second", verifier_key(), "--checkpoint", str(older))
    assert done.returncode == 1
    assert "another one than the older checkpoint saw" in done.stderr


@one_transaction
@pytest.mark.clause("A0.1")
def test_whoever_kept_a_checkpoint_finds_fork_cut_and_rewriting_over_the_network(
    now: datetime, tmp_path: Path, client: Client
) -> None:
    """Nobody has to be given the ledger: key, checkpoint and proof of consistency are pages of the site."""

    def fetched(path: str, name: str) -> Path:
        answer = client.get(path)
        assert answer.status_code == 200
        file = tmp_path / name
        file.write_bytes(answer.content)
        return file

    def verify(proof: Path, kept: Path) -> tuple[int, str]:
        done = _verify(proof, key, "--checkpoint", str(kept))
        return done.returncode, done.stdout + done.stderr

    _fill(now, 9, checkpoint_at=(9,))
    key = client.get("/privacy/ledger/key").content.decode()
    old = fetched("/privacy/ledger/checkpoint", "old.txt")
    _fill(now, 13, checkpoint_at=(4, 13))
    proof = fetched("/privacy/ledger/consistency/9", "proof.json")
    assert verify(proof, old) == (0, "holds: 22 entries go on from the 9 of the older checkpoint\n")
    new = fetched("/privacy/ledger/checkpoint", "new.txt")
    assert "begins at 9" in verify(proof, new)[1]
    assert _verify(proof, key).returncode == 1, "without a checkpoint of one's own it proves nothing"
    for sizes in ("0", "23", "-1", "x", "99999999999999999999"):
        assert client.get(f"/privacy/ledger/consistency/{sizes}").status_code == 404
    spoilt = json.loads(proof.read_text(encoding="utf-8"))
    spoilt["hashes"][0], spoilt["hashes"][1] = spoilt["hashes"][1], spoilt["hashes"][0]
    proof.write_bytes(rfc8785.dumps(spoilt))
    assert "does not go on" in verify(proof, old)[1]
    _rewrite_history(now)  # and sealed anew: 12 entries now
    proof = fetched("/privacy/ledger/consistency/9", "rewritten.json")
    assert "does not go on from the one of 9 entries" in verify(proof, old)[1]
    proof = fetched("/privacy/ledger/consistency/12", "shorter.json")
    assert "entries 12 to 21 were cut off" in verify(proof, new)[1]


@one_transaction
@pytest.mark.clause("A0.1", "I6")
def test_a_certificate_shows_no_more_of_an_older_ledger_than_it_can(now: datetime, tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    import verify_ledger as outsider

    _fill(now, 3, checkpoint_at=(3,))
    older, number = latest_checkpoint(), _certificate(now)
    sequence(now=now)
    make_checkpoint(now=now)
    found = certificate(number)
    proofs = [proof_of(found["leaf_id"])]
    del found["final_leaf_id"]
    document = sign_document(found | {"format": "imgnom certificate file 2", "ledger": proofs})
    key = outsider.Key(verifier_key())
    assert "hold" in outsider.verify_document(key, document, None).words
    assert "hold" in outsider.verify_document(key, document, latest_checkpoint()).words
    with pytest.raises(outsider.Broken, match="consistency/3"):
        outsider.verify_document(key, document, older)
    forked = latest_checkpoint()
    _rewrite_history(now)
    Checkpoint.objects.all().delete()
    Leaf.objects.filter(index__gte=4).delete()
    make_checkpoint(now=now)
    assert forked != latest_checkpoint()
    with pytest.raises(outsider.Broken, match="another one"):
        outsider.verify_document(key, document, latest_checkpoint())


@one_transaction
def test_another_sites_key_verifies_nothing(now: datetime, tmp_path: Path) -> None:
    _fill(now, 3, checkpoint_at=(3,))
    foreign = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    name = signing.origin()
    key = f"{name}+{signing._key_hash(name, foreign).hex()}+{base64.b64encode(bytes([1]) + foreign).decode()}\n"
    assert verify_ledger(key=verifier_key()).ok
    assert "signature" in verify_ledger(key=key).problem
    assert "signature" in verify_ledger(key="no key at all").problem
    export_ledger(tmp_path / "export")
    assert _verify(tmp_path / "export", key).returncode == 1


@one_transaction
def test_without_its_key_the_ledger_signs_nothing(now: datetime) -> None:
    _fill(now, 2)
    keyring.path_of("ledger-signing").write_text("cut", encoding="ascii")
    with pytest.raises(SigningKeyMissing):
        make_checkpoint(now=now)
    keyring.path_of("ledger-signing").unlink()
    with pytest.raises(SigningKeyMissing):
        issue_certificate(
            items=["email"],
            what="account",
            method="key",
            key_ids=[],
            clause="A4.2",
            policy_digest="d",
            by=SYSTEM,
            now=now,
        )
    assert not Certificate.objects.exists()


@one_transaction
@pytest.mark.clause("A4.2")
def test_every_leaf_proves_its_place_and_growth_keeps_the_past(now: datetime) -> None:
    ids = _fill(now, 13, checkpoint_at=(6, 13))
    roots = {row.size: base64.b64decode(row.note.split("\n")[2]) for row in Checkpoint.objects.all()}
    for index, leaf_id in enumerate(ids):
        proof = proof_of(leaf_id)
        assert proof["index"] == index
        hashes = [base64.b64decode(h) for h in proof["hashes"]]
        assert merkle.verify_inclusion(merkle.leaf_hash(rfc8785.dumps(proof["leaf"])), index, 13, hashes, roots[13])
    steps = [base64.b64decode(h) for h in consistency(6, 13)]
    assert merkle.verify_consistency(6, 13, roots[6], roots[13], steps)
    for unknown in ("0" * 32, _act("default", now)):
        with pytest.raises(LeafUnknown):
            proof_of(unknown)


def _certificate(now: datetime, **changes: object) -> str:
    facts: dict[str, object] = {
        "items": ["email", "nickname"],
        "what": "account",
        "method": "keys destroyed",
        "key_ids": ["a" * 32],
        "clause": "A4.2",
        "policy_digest": "d",
    }
    return issue_certificate(**(facts | changes), by=SYSTEM, now=now).number  # type: ignore[arg-type]


@one_transaction
@pytest.mark.clause("A4.2")
def test_every_flipped_byte_of_a_certificate_fails(now: datetime, tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    import verify_ledger as outsider

    number = _certificate(now)
    sequence(now=now)
    make_checkpoint(now=now)
    found = certificate(number)
    key = outsider.Key(verifier_key())
    outsider.read_certificate(key, found["certificate"], found["signature"])
    whole = rfc8785.dumps(found["certificate"])
    assert outsider.canonical(found["certificate"]) == whole
    for place in range(len(whole)):
        with pytest.raises(outsider.Broken):
            key.verify(found["signature"], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :], "it")
    mark = base64.b64decode(found["signature"])
    for place in range(len(mark)):
        broken = base64.b64encode(mark[:place] + bytes([mark[place] ^ 1]) + mark[place + 1 :]).decode()
        with pytest.raises(outsider.Broken):
            key.verify(broken, whole, "it")
    assert proof_of(found["leaf_id"])["leaf"]["detail"]["certificate"] == number


@one_transaction
@pytest.mark.clause("A4.2")
def test_a_certificate_is_final_after_a_turn_and_the_backups_horizon(now: datetime) -> None:
    number = _certificate(now)

    def grade(at: timedelta, turned: timedelta | None) -> str:
        finalise_certificates(now=now + at, horizon_days=30, turned_at=None if turned is None else now + turned)
        return str(certificate(number)["grade"])

    assert certificate(number)["grade"] == "cryptographic"
    assert grade(timedelta(days=400), None) == "cryptographic"
    assert grade(timedelta(days=400), timedelta(days=-1)) == "cryptographic"
    assert grade(timedelta(days=400), timedelta(0)) == "cryptographic"
    assert grade(timedelta(days=30), timedelta(days=1)) == "cryptographic"
    assert grade(timedelta(days=30, seconds=1), timedelta(days=1)) == "final"
    with pytest.raises(LeafUnknown):
        certificate("C-AAAA-AAAA-AAAA-AAAA")


@one_transaction
def test_an_intent_and_its_leaf_are_one(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    from imgnom.custody.ledger import certificates
    from imgnom.custody.ledger.models import Intent

    leaf = intend_destruction(what="account", key_ids=["a" * 32], clause="A4.2", by=SYSTEM, now=now)
    assert Intent.objects.get(intent_id=leaf).made_at == now
    monkeypatch.setattr(certificates, "insert_sealed", _dies)
    with pytest.raises(RuntimeError):
        intend_destruction(what="account", key_ids=[], clause="A4.2", by=SYSTEM, now=now)
    assert sequence(now=now) == 1


def _dies(*_rows: object) -> None:
    raise RuntimeError("killed")


def test_numbers_can_be_read_aloud() -> None:
    made = {make_number("C") for _ in range(200)}
    assert len(made) == 200
    for number in made:
        assert len(number) == 21
        assert not set(number) - set("-23456789ABCDEFGHJKMNPQRSTVWXYZ")


@one_transaction
def test_a_leaf_holds_names_and_tokens_only(now: datetime) -> None:
    key_id = create_key(owner="o", klass="k", now=now)
    destroy_keys([key_id], now=now, by=SYSTEM, clause="A4.2")
    sequence(now=now)
    leaf = json.loads(Leaf.objects.get().payload)
    assert set(leaf) == {
        "id",
        "time",
        "act",
        "clause",
        "policy",
        "actor",
        "subject",
        "items",
        "purpose",
        "outcome",
        "detail",
    }
    assert leaf["time"] == now.astimezone(UTC).isoformat(timespec="seconds")
    assert key_id not in json.dumps(leaf)


@one_transaction
def test_every_store_has_its_outbox(now: datetime) -> None:
    assert set(connections) == set(STORES)
    for number, store in enumerate(STORES):
        _act(store, now, number)
    assert sequence(now=now) == 6
