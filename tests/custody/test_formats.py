"""The published forms that outsiders read: signed notes and checkpoints (C2SP), canonical JSON (RFC 8785), AES-KW (RFC 3394)."""

import base64
import hashlib
import hmac
import json
import sys
from pathlib import Path

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from imgnom.custody.keys import hazmat
from imgnom.custody.keys.errors import KeyRowChanged
from imgnom.custody.ledger import signing
from imgnom.custody.ledger.public import make_checkpoint, verifier_key

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import verify_ledger as outsider

# The example of the signed-note package and specification.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"


def test_the_published_note_verifies_and_is_made_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    assert signing.verify_note(f"{TEXT}\n{LINE}", key=NEUMANN) == TEXT
    monkeypatch.setattr(signing, "_signer", lambda: Ed25519PrivateKey.from_private_bytes(SEED))
    monkeypatch.setattr(signing, "origin", lambda: "PeterNeumann")
    assert verifier_key() == f"{NEUMANN}\n"
    assert signing.sign_note(TEXT) == f"{TEXT}\n{LINE}"


def test_other_signers_are_passed_over_and_a_forged_line_is_not() -> None:
    stranger = "— somebody.example/else " + base64.b64encode(bytes(68)).decode() + "\n"
    same_name = "— PeterNeumann " + base64.b64encode(b"\1\2\3\4" + bytes(64)).decode() + "\n"
    assert signing.verify_note(f"{TEXT}\n{stranger}{same_name}{LINE}", key=NEUMANN) == TEXT
    forged = "— PeterNeumann " + base64.b64encode(bytes.fromhex("c74f20a3") + bytes(64)).decode() + "\n"
    with pytest.raises(ValueError, match="not signed"):
        signing.verify_note(f"{TEXT}\n{forged}{LINE}", key=NEUMANN)


@pytest.mark.parametrize(
    "note",
    [
        TEXT, f"{TEXT}\n", f"{TEXT}{LINE}", f"{TEXT}\n{LINE.rstrip()}", f"{TEXT}\n{LINE[2:]}", f"{TEXT}\n-{LINE[1:]}", f"{TEXT}\n{LINE}junk\n",
        f"{TEXT[:-1]}\n{LINE}", f"{TEXT}more\n\n{LINE}", f"{TEXT.replace('problem', 'p\x01roblem', 1)}\n{LINE}", f"{TEXT}\n— PeterNeumann !!!!\n", f"{TEXT}\n— PeterNeumann \n", "",
    ],
)  # fmt: skip
def test_what_is_no_signed_note_is_refused(note: str) -> None:
    with pytest.raises(ValueError):
        signing.verify_note(note, key=NEUMANN)


@pytest.mark.parametrize(
    "key",
    ["", "PeterNeumann", NEUMANN.replace("c74f20a3", "c74f20a4"), NEUMANN.replace("Peter", "Petra"), NEUMANN.replace("+AR", "+AX"), NEUMANN[:-4], NEUMANN.replace("ARpc", "ARpd")],
)  # fmt: skip
def test_what_is_no_verifier_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError):
        signing.verify_note(f"{TEXT}\n{LINE}", key=key)
    with pytest.raises(outsider.Broken):
        outsider.Key(key)


@pytest.mark.django_db(databases="__all__")
@pytest.mark.clause("A0.1")
def test_a_checkpoint_is_origin_size_and_root(now: object) -> None:
    note = make_checkpoint(now=now).note  # type: ignore[arg-type]
    text, _, signatures = note.partition("\n\n")
    lines = text.split("\n")
    assert lines[0] == signing.origin()
    assert lines[1] == "0"
    assert base64.b64decode(lines[2]) == hashlib.sha256(b"").digest()
    assert len(lines) == 3
    assert signatures.startswith(f"— {signing.origin()} ")
    assert signatures.endswith("\n")
    assert outsider.Key(verifier_key()).checkpoint(note)[:2] == (0, hashlib.sha256(b"").digest())


# RFC 8785, 3.2.2 and 3.2.3: the whole example, and the sorting of keys by UTF-16 code units.
SAMPLE = r"""{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"""
CANONICAL = r"""{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"""
SORTED = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_canonical_json_is_the_published_one() -> None:
    assert rfc8785.dumps(json.loads(SAMPLE)).decode() == CANONICAL
    found = json.loads(rfc8785.dumps(dict.fromkeys(reversed(SORTED), "x")))
    assert list(found) == SORTED


@pytest.mark.parametrize(
    "value",
    [
        {}, [], None, True, False, 0, -1, 2**53 - 1, "", "€$\x0f\nA'B\"\\\\\"/", "\u2028\u2029</script>", "\x7f\x80", "한글 이모지 😀", dict.fromkeys(reversed(SORTED), 1),
        {"b": [{"z": 1, "a": None}], "a": {"d": "", "c": [[], {}]}},
    ],
)  # fmt: skip
def test_the_outsiders_canonical_form_is_ours(value: object) -> None:
    assert outsider.canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


def test_the_outsider_takes_no_fractions() -> None:
    with pytest.raises(outsider.Broken):
        outsider.canonical({"n": 1.5})


def test_keys_are_wrapped_as_rfc_3394_says() -> None:
    """RFC 3394, 4.6: 256 bits of key data with a 256-bit KEK."""
    kek = bytes(range(32))
    key = bytes.fromhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
    wrapped = bytes.fromhex("28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21")
    assert hazmat.unwrap(kek, wrapped, b"", unbound=True) == key
    with pytest.raises(KeyRowChanged):
        hazmat.unwrap(kek, wrapped, b"", unbound=False)
    # RFC 5869, 2.3: one block of HKDF-Expand.
    use = hazmat.use_of_key("a", "b", "c", 1)
    derived = hmac.digest(kek, use + b"\x01", "sha256")
    assert hazmat.wrap(kek, key, use) == b"\x02" + aes_key_wrap(derived, key)
