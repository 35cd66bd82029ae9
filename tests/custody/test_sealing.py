"""What is sealed opens in its own place only: no byte, row, subject, item, file or day may change."""

import io
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgnom.custody.archive.models import ArchivedValue
from imgnom.custody.archive.public import archive_subject, open_archive
from imgnom.custody.keys import hazmat
from imgnom.custody.keys.models import DataKey
from imgnom.custody.keys.public import KeyringWrong, KeyRowChanged, SealBroken, find_key, open_key
from imgnom.custody.vault.models import SealedValue
from imgnom.custody.vault.public import (
    day_key,
    new_subject,
    open_file,
    open_rows_for_day,
    seal_file,
    seal_rows_for_day,
    seal_value,
)
from imgnom.custody.vault.reveal import reveal
from imgnom.policy.public import SYSTEM, Actor

pytestmark = pytest.mark.django_db(databases="__all__")
OFFICER = Actor("officer", "o")
VALUE = "canary-51c9@mail.example"


def seal_for_day(day: date, klass: str, plain: bytes, *, bound: str, now: datetime) -> tuple[bytes, str]:
    key = day_key(day, klass, now=now)
    return seal_rows_for_day(key, [(plain, bound)])[0], key


def open_for_day(key: str, sealed: bytes, *, bound: str) -> bytes:
    return open_rows_for_day(key, [(sealed, bound)])[0]


def _read(subject: str, now: datetime) -> str:
    return reveal(subject, "email", purpose="notices", by=SYSTEM, now=now).open()


@pytest.fixture
def two(now: datetime) -> tuple[str, str]:
    """Two subjects with a value each."""
    made = new_subject(now=now), new_subject(now=now)
    for subject in made:
        seal_value(subject, "email", VALUE, now=now)
    return made


def _archive(ref: str, now: datetime, record: str = "identity_after_leaving") -> None:
    archive_subject(
        archive_ref=ref, record=record, values={"email": VALUE, "nickname": "이름"}, starts_at=now, due_at=now + timedelta(days=90), by=SYSTEM, now=now,
    )  # fmt: skip


def _open_archive(ref: str, now: datetime) -> str:
    return open_archive(ref, "email", docket="D-1", by=OFFICER, now=now).open()


@pytest.mark.clause("A4.2")
def test_two_rows_that_swap_their_ciphertexts_open_neither(two: tuple[str, str], now: datetime) -> None:
    one, other = (SealedValue.objects.get(subject=subject) for subject in two)
    SealedValue.objects.filter(pk=one.pk).update(sealed=other.sealed)
    SealedValue.objects.filter(pk=other.pk).update(sealed=one.sealed)
    for subject in two:
        with pytest.raises(SealBroken):
            _read(subject, now)


def test_a_ciphertext_that_brings_its_key_along_opens_nowhere_else(two: tuple[str, str], now: datetime) -> None:
    one = SealedValue.objects.get(subject=two[0])
    SealedValue.objects.filter(subject=two[1]).update(sealed=one.sealed, key_id=one.key_id)
    with pytest.raises(SealBroken):
        _read(two[1], now)


def test_two_data_keys_that_swap_places_open_nothing(two: tuple[str, str], now: datetime) -> None:
    one, other = (DataKey.objects.get(owner=subject) for subject in two)
    DataKey.objects.filter(pk=one.pk).update(wrapped=other.wrapped)
    with pytest.raises(KeyRowChanged):
        _read(two[0], now)


@pytest.mark.clause("A4.1①")
def test_archived_values_swap_neither_between_people_nor_items_nor_records(now: datetime) -> None:
    _archive("a" * 26, now)
    _archive("b" * 26, now)
    assert _open_archive("a" * 26, now) == VALUE
    one = ArchivedValue.objects.get(archive_ref="a" * 26, item="email")
    whole = bytes(one.sealed), one.key_id
    other = ArchivedValue.objects.get(archive_ref="b" * 26, item="email")
    sibling = ArchivedValue.objects.get(archive_ref="a" * 26, item="nickname")
    for foreign in (other, sibling):
        ArchivedValue.objects.filter(pk=one.pk).update(sealed=foreign.sealed, key_id=foreign.key_id)
        with pytest.raises(SealBroken):
            _open_archive("a" * 26, now)
    ArchivedValue.objects.filter(pk=one.pk).update(sealed=whole[0], key_id=whole[1], record="something_else")
    with pytest.raises(SealBroken):
        _open_archive("a" * 26, now)


@pytest.mark.clause("A4.1①")
def test_every_flipped_byte_of_an_archived_value_fails(now: datetime) -> None:
    _archive("a" * 26, now)
    row = ArchivedValue.objects.get(archive_ref="a" * 26, item="email")
    whole = bytes(row.sealed)
    for broken in _each_flip(whole):
        ArchivedValue.objects.filter(pk=row.pk).update(sealed=broken)
        with pytest.raises(SealBroken):
            _open_archive("a" * 26, now)


def _each_flip(whole: bytes) -> list[bytes]:
    return [whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in range(len(whole))]


def test_every_flipped_byte_and_every_cut_of_a_wrapped_key_is_a_wrong_keyring(now: datetime) -> None:
    subject = new_subject(now=now)
    row = DataKey.objects.get(owner=subject)
    whole = bytes(row.wrapped)
    for broken in [*_each_flip(whole), whole[:-1], whole[:-8], whole[:8], b"", whole + b"\0" * 8]:
        DataKey.objects.filter(pk=row.pk).update(wrapped=broken)
        with pytest.raises(KeyringWrong):
            open_key(row.key_id)


def test_every_flipped_byte_of_a_days_record_fails_and_days_do_not_mix(now: datetime) -> None:
    sealed, key = seal_for_day(date(2026, 11, 22), "member", b"203.0.113.9", bound="row-1", now=now)
    assert open_for_day(key, sealed, bound="row-1") == b"203.0.113.9"
    for broken in _each_flip(sealed):
        with pytest.raises(SealBroken):
            open_for_day(key, broken, bound="row-1")
    with pytest.raises(SealBroken):
        open_for_day(key, sealed, bound="row-2")
    _, later = seal_for_day(date(2026, 11, 23), "member", b"203.0.113.9", bound="row-1", now=now)
    _, visitor = seal_for_day(date(2026, 11, 22), "visitor", b"203.0.113.9", bound="row-1", now=now)
    for foreign in (later, visitor):
        with pytest.raises(SealBroken):
            open_for_day(foreign, sealed, bound="row-1")


def test_one_day_and_class_has_one_key(now: datetime) -> None:
    keys = {seal_for_day(date(2026, 11, 22), "member", b"x", bound=str(n), now=now)[1] for n in range(5)}
    assert len(keys) == 1


# Three chunks of a small size, so that each byte of a whole file can be tried.
CHUNK = 16
BLOCK = hazmat.NONCE_BYTES + CHUNK + hazmat.TAG_BYTES
HEAD = len(hazmat.STREAM_MAGIC)
CONTENT = bytes(range(40))


@pytest.fixture
def sealed_file(now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hazmat, "CHUNK_BYTES", CHUNK)
    path = tmp_path / "picture"
    with path.open("wb") as target:
        seal_file("picture-token", [CONTENT], target, now=now)
    return path


def _open(path: Path, token: str = "picture-token") -> bytes:
    return b"".join(open_file(token, path))


@pytest.mark.clause("A2.1")
def test_a_sealed_file_gives_its_content_and_shows_none_of_it(sealed_file: Path) -> None:
    assert _open(sealed_file) == CONTENT
    assert CONTENT[:8] not in sealed_file.read_bytes()


def test_every_flipped_byte_of_a_file_fails(sealed_file: Path) -> None:
    for broken in _each_flip(sealed_file.read_bytes()):
        sealed_file.write_bytes(broken)
        with pytest.raises(SealBroken):
            _open(sealed_file)


def _first_two_swapped(raw: bytes) -> bytes:
    return raw[:HEAD] + raw[HEAD + BLOCK : HEAD + 2 * BLOCK] + raw[HEAD : HEAD + BLOCK] + raw[HEAD + 2 * BLOCK :]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[: HEAD + 2 * BLOCK],
        lambda raw: raw[: HEAD + BLOCK],
        lambda raw: raw[:HEAD],
        lambda _raw: b"",
        lambda raw: raw + b"\0",
        lambda raw: raw + raw[HEAD : HEAD + BLOCK],
        lambda raw: raw + raw[HEAD + 2 * BLOCK :],
        lambda raw: raw[:HEAD] + raw[HEAD + BLOCK :],
        lambda raw: raw[: HEAD + BLOCK] + raw[HEAD:],
        _first_two_swapped,
    ],
    ids=[
        "cut by a byte", "last chunk gone", "two chunks gone", "all chunks gone", "empty", "a byte more", "first chunk appended", "last chunk doubled",
        "first chunk gone", "first chunk doubled", "two chunks swapped",
    ],
)  # fmt: skip
def test_a_cut_lengthened_or_reordered_file_fails(sealed_file: Path, change: Callable[[bytes], bytes]) -> None:
    sealed_file.write_bytes(change(sealed_file.read_bytes()))
    with pytest.raises(SealBroken):
        _open(sealed_file)


def test_a_chunk_of_another_file_under_the_same_key_fails(sealed_file: Path, now: datetime, tmp_path: Path) -> None:
    """The key is the file's; the token bound into every chunk is the second wall."""
    key_id = find_key("picture-token", "file")
    assert key_id
    other = tmp_path / "other"
    with other.open("wb") as target:
        open_key(key_id).seal_stream([CONTENT], target, bound_to=hazmat.context("file", "another-token"))
    raw, foreign = sealed_file.read_bytes(), other.read_bytes()
    sealed_file.write_bytes(raw[: HEAD + BLOCK] + foreign[HEAD + BLOCK :])
    with pytest.raises(SealBroken):
        _open(sealed_file)


def test_two_files_that_swap_their_keys_open_neither(sealed_file: Path, now: datetime, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with other.open("wb") as target:
        seal_file("other-token", [CONTENT], target, now=now)
    DataKey.objects.filter(owner="picture-token").update(owner="parked")
    DataKey.objects.filter(owner="other-token").update(owner="picture-token")
    with pytest.raises(SealBroken):
        _open(sealed_file)


def test_an_empty_file_and_a_file_of_whole_chunks_come_back(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hazmat, "CHUNK_BYTES", CHUNK)
    key = hazmat.DataKey(hazmat.new_key())
    for content in (b"", b"x" * CHUNK, b"x" * 2 * CHUNK):
        target = io.BytesIO()
        key.seal_stream([content], target, bound_to=b"place")
        target.seek(0)
        assert b"".join(key.open_stream(target, bound_to=b"place")) == content


@given(st.lists(st.binary(max_size=3 * CHUNK), max_size=6))
def test_however_a_file_is_cut_into_pieces_it_is_sealed_whole(pieces: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hazmat, "CHUNK_BYTES", CHUNK)
        key, target = hazmat.DataKey(hazmat.new_key()), io.BytesIO()
        key.seal_stream([*pieces[:1], *map(memoryview, pieces[1:])], target, bound_to=b"place")
        content = b"".join(pieces)
        assert len(target.getvalue()) == hazmat.sealed_size(len(content))
        target.seek(0)
        chunks = list(key.open_stream(target, bound_to=b"place"))
    assert b"".join(chunks) == content
    assert {len(chunk) for chunk in chunks[:-1]} <= {CHUNK}


def test_the_same_value_never_seals_to_the_same_bytes(two: tuple[str, str]) -> None:
    one, other = (bytes(SealedValue.objects.get(subject=subject).sealed) for subject in two)
    assert one != other
    assert one[: 1 + hazmat.NONCE_BYTES] != other[: 1 + hazmat.NONCE_BYTES]


def test_no_two_lists_of_parts_bind_alike() -> None:
    assert hazmat.context("ab", "c") != hazmat.context("a", "bc")
    assert hazmat.context("a", "") != hazmat.context("a")
