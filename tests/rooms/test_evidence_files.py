"""The files an outsider gets: nothing but the site's exact bytes verifies, and a key holder cannot make them contradict.

`evidence_1` holds what the version before wrote: genuine documents of it verify for ever.
"""

import ast
import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgnom.custody.keys.public import turn_epoch
from imgnom.custody.ledger.public import export_ledger, make_checkpoint, sequence, verify_ledger
from imgnom.custody.ledger.signing import _signer
from imgnom.procedures.retention.public import run_due
from imgnom.site.clock import set_clock
from tests.conftest import make_keyring
from tests.rooms.test_withdrawal import ROOT, leave, post, somebody

sys.path.insert(0, str(ROOT / "tools"))
import verify_ledger as outsider

BEFORE = ROOT / "tests/custody/evidence_1"
TOOL = ROOT / "tools/verify_ledger.py"
IN_DATABASE = pytest.mark.django_db(databases="__all__", transaction=True)
QUICK = settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)


@dataclass(frozen=True)
class Site:
    """What a site published, what somebody kept, and the site's key in the hands of whoever runs it."""

    key: Any
    signer: Ed25519PrivateKey
    receipt: bytes
    certificate: bytes
    other: bytes  # of somebody else's receipt
    consistency: bytes
    older: str
    export: Path

    def sign(self, content: object) -> str:
        return base64.b64encode(self.signer.sign(rfc8785.dumps(content))).decode()

    def note(self, text: str) -> str:
        signature = base64.b64encode(self.key.mark + self.signer.sign(text.encode())).decode()
        return f"{text}\n— {self.key.name} {signature}\n"

    def signed_again(self, document: dict[str, Any]) -> bytes:
        """As whoever holds the site's key would sign whatever they like."""
        body = {name: value for name, value in document.items() if name != "signed"}
        for found in body.get("certificates", [body] if "signature" in body else []):
            if isinstance(found, dict) and isinstance(found.get("certificate"), dict):
                found["signature"] = self.sign(found["certificate"])
        return rfc8785.dumps(body | {"signed": self.sign(body)})


_published: list[Site] = []


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Published once for all tests of this file."""
    if not _published:
        request.applymarker(IN_DATABASE)
        request.getfixturevalue("transactional_db")
        make_keyring()
        _published.append(_publish(request.getfixturevalue("now"), tmp_path_factory.mktemp("published")))
    return _published[0]


def _publish(now: datetime, folder: Path) -> Site:
    set_clock(now)
    card = somebody(now)
    post(card, now)
    number, theirs = leave(card, now), leave(somebody(now, "other", "강바람"), now)
    sequence(now=now)
    older = make_checkpoint(now=now)
    turn_epoch(now=now + timedelta(days=1))
    late = now + timedelta(days=120)
    set_clock(late)
    assert run_due(now=late).errors == {}
    sequence(now=late)
    make_checkpoint(now=late)
    assert verify_ledger().problem == ""
    client = Client()
    receipt = client.get(f"/receipt/{number}.json").content
    listed = json.loads(receipt)["certificates"][0]["certificate"]["certificate"]
    export_ledger(folder / "export")
    return Site(
        outsider.Key(client.get("/privacy/ledger/key").content.decode()), _signer(), receipt,
        client.get(f"/receipt/{number}/certificate/{listed}.json").content, client.get(f"/receipt/{theirs}.json").content,
        client.get(f"/privacy/ledger/consistency/{older.size}").content, older.note, folder / "export",
    )  # fmt: skip


def _refused(key: Any, raw: bytes, older: str | None = None) -> str:
    """The one-line reason. Fails if the bytes verify, or if anything but a reason comes out."""
    with pytest.raises(outsider.Broken) as broken:
        outsider.verify_document(key, raw, older)
    assert str(broken.value).strip()
    return str(broken.value)


def _genuine(site: Site) -> tuple[tuple[bytes, str | None], ...]:
    return (site.receipt, None), (site.certificate, None), (site.other, None), (site.consistency, site.older)


@pytest.mark.clause("A0.1", "A4.2", "I6")
def test_every_published_file_verifies(site: Site) -> None:
    for raw, older in _genuine(site):
        assert outsider.verify_document(site.key, raw, older).words
    assert "hold" in outsider.verify_export(site.key, site.export, site.older).words
    shown = outsider.verify_document(site.key, site.receipt, None).attested
    assert any("grade final" in line for line in shown)
    assert "not attested by the ledger, only said by the site: as_of, lines, state" in shown


@pytest.mark.clause("I6")
def test_no_byte_of_a_published_file_can_change(site: Site) -> None:
    for genuine in _genuine(site):
        _ensure_no_byte_can_change(site.key, *genuine)


def _ensure_no_byte_can_change(key: Any, raw: bytes, older: str | None) -> None:
    for place in range(0, len(raw), 23):
        _refused(key, raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :], older)

    @QUICK
    @given(st.integers(0, len(raw)), st.integers(0, 40), st.binary(max_size=8))
    def spliced(place: int, cut: int, put: bytes) -> None:
        changed = raw[:place] + put + raw[place + cut :]
        if changed != raw:
            _refused(key, changed, older)

    spliced()
    for put in (b" ", b"\n", b"\r\n", b"\t", b"\xef\xbb\xbf", b"\x00"):
        _refused(key, raw + put, older)
        _refused(key, put + raw, older)
    _refused(key, raw.replace(b":", b": ", 1), older)
    _refused(key, json.dumps(json.loads(raw), ensure_ascii=True, indent=1).encode(), older)


def _paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if here:
        yield here
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from _paths(inner, (*here, name))


def _at(document: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> None:
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = change(document[path[-1]])


def _another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return ("b" if value[:1] == "a" else "a") + value[1:] if value else "a"
        case None:
            return "x"
        case list():
            return value[1:] if value else ["x"]
        case _:
            return {name: value[name] for name in list(value)[1:]} if value else {"x": 1}


@pytest.mark.clause("A0.1", "A4.2")
def test_key_holder_cannot_make_a_field_differ_from_its_entry(site: Site) -> None:
    """Each field of a receipt and a certificate, changed and signed anew: only what is listed as not attested may be."""
    for raw in (site.receipt, site.certificate):
        document = json.loads(raw)
        free = tuple(document.get("not_attested", ()))
        for path in _paths(document):
            if path[0] == "signed" or path[-1] == "signature" or path[0] in free:
                continue
            forged = json.loads(raw)
            _at(forged, path, _another)
            _refused(site.key, site.signed_again(forged))
        for name in set(document) - {"signed"}:
            _refused(site.key, site.signed_again({key: value for key, value in json.loads(raw).items() if key != name}))
        _refused(site.key, site.signed_again(json.loads(raw) | {"note": "x"}))


@pytest.mark.clause("A4.2")
def test_certificate_beside_an_unrelated_entry_is_refused(site: Site) -> None:
    mine, theirs = json.loads(site.certificate), json.loads(site.other)
    foreign = theirs["ledger"][1]
    for content in (mine["certificate"], mine["certificate"] | {"leaf": foreign["leaf"]["id"]}):
        forged = mine | {"certificate": dict(content), "leaf_id": foreign["leaf"]["id"], "ledger": [foreign]}
        _refused(site.key, site.signed_again(forged))
    both = json.loads(site.certificate)
    both["ledger"].append(foreign)
    assert "nothing to do with" in _refused(site.key, site.signed_again(both))
    bare = json.loads(site.certificate)
    bare["ledger"] = bare["ledger"][:1]
    assert "grade" in _refused(site.key, site.signed_again(bare)), "final without the act that raised it"


@pytest.mark.clause("A0.1")
def test_anothers_certificate_on_a_receipt_is_not_called_attested(site: Site) -> None:
    """No entry joins a destruction to who left, so the site's key can show a genuine certificate of somebody else."""
    unattested = "not attested by the ledger: that these certificates are of this leaving and of no other"
    own, other = json.loads(site.receipt), json.loads(site.other)
    one = other["certificates"][0]
    proofs = [proof for proof in own["ledger"] if proof["leaf"]["act"] == "withdraw"]
    if other["ledger"][0]["checkpoint"] == own["ledger"][0]["checkpoint"]:
        numbers = {found["certificate"]["certificate"] for found in other["certificates"]}
        proofs += [p for p in other["ledger"] if p["leaf"]["detail"].get("certificate") in numbers]
        shown = outsider.verify_document(
            site.key, site.signed_again(own | {"certificates": other["certificates"], "ledger": proofs}), None
        ).attested
        assert any(one["certificate"]["certificate"] in line for line in shown)
        assert unattested in shown
    assert unattested in outsider.verify_document(site.key, site.receipt, None).attested
    assert unattested not in outsider.verify_document(site.key, site.certificate, None).attested


@pytest.mark.clause("A0.1")
def test_two_roots_in_one_document_are_refused(site: Site) -> None:
    document = json.loads(site.receipt)
    size = document["ledger"][0]["size"]
    entry = rfc8785.dumps(document["ledger"][1]["leaf"] | {"outcome": "done"})
    root = base64.b64encode(outsider.leaf_hash(entry)).decode()
    fork = site.note(f"{site.key.name}\n{size}\n{root}\n")
    for change in (
        {"checkpoint": fork},
        {"checkpoint": site.note(f"{site.key.name}\n1\n{root}\n"), "size": 1, "index": 0, "hashes": []},
    ):
        forged = json.loads(site.receipt)
        forged["ledger"][1] |= change
        assert "one checkpoint" in _refused(site.key, site.signed_again(forged))
    other_name = site.note("somebody.else/ledger\n1\n" + root + "\n")
    with pytest.raises(outsider.Broken, match="another ledger"):
        site.key.checkpoint(other_name)


@pytest.mark.clause("A0.1")
def test_json_that_two_readers_read_differently_is_refused(site: Site) -> None:
    raw = site.certificate
    grade = b'"grade":"final"'
    assert grade in raw
    for put in (
        b'"grade":"cryptographic",' + grade,
        grade + b"," + grade,
        grade + b',"a":1.0',
        grade + b',"a":NaN',
        grade + b',"a":1e5',
    ):
        _refused(site.key, raw.replace(grade, put, 1))
    for whole in (
        b"", b"null", b"[]", b"{}", b"1", b'"x"', b"{" * 50_000, b"[" * 200_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"9" * 5_000_000,
        b'{"a":' + b"9" * 1_000_000 + b"}", b'{"a":"\\ud800"}', b'{"a":"\xff"}', raw + raw, raw[:-1], b"\xff\xfe" + raw,
    ):  # fmt: skip
        _refused(site.key, whole)
    forged = json.loads(raw)
    forged["ledger"][0]["hashes"] = [forged["ledger"][0]["hashes"][0]] * 65
    assert "at most 64" in _refused(site.key, site.signed_again(forged))
    for name, value in (("index", True), ("size", "1"), ("index", -1), ("size", 2**60)):
        forged = json.loads(raw)
        forged["ledger"][0][name] = value
        if value == 2**60:
            _refused(site.key, json.dumps(forged, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
        else:
            _refused(site.key, site.signed_again(forged))


@pytest.mark.clause("A0.1")
def test_parts_of_two_valid_documents_make_no_third(site: Site) -> None:
    mine, theirs = json.loads(site.receipt), json.loads(site.other)
    for name in set(mine) & set(theirs) - {"not_attested", "format"}:
        if mine[name] != theirs[name]:
            _refused(site.key, rfc8785.dumps(mine | {name: theirs[name]}))
            if name not in (*mine["not_attested"], "signed", "choice", "policy", "withdrawn_at"):
                _refused(site.key, site.signed_again(json.loads(site.receipt) | {name: json.loads(site.other)[name]}))
    for change in (list.reverse, lambda found: found.append(found[0]), lambda found: found.pop()):
        for part in ("ledger", "certificates"):
            forged = json.loads(site.receipt)
            before = json.dumps(forged[part])
            change(forged[part])
            if json.dumps(forged[part]) != before:
                _refused(site.key, rfc8785.dumps(forged))
    swapped = json.loads(site.receipt)
    one, other = swapped["ledger"][0], swapped["ledger"][1]
    one["hashes"], other["hashes"] = other["hashes"], one["hashes"]
    _refused(site.key, site.signed_again(swapped))


@pytest.mark.clause("A0.1")
def test_no_changed_export_verifies(site: Site, tmp_path: Path) -> None:
    def refused(change: Callable[[Path], object]) -> str:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(site.export, copy)
        change(copy)
        with pytest.raises(outsider.Broken) as broken:
            outsider.verify_export(site.key, copy, None)
        return str(broken.value)

    def lines(name: str, change: Callable[[list[bytes]], object]) -> Callable[[Path], object]:
        def act(folder: Path) -> None:
            found = (folder / name).read_bytes().split(b"\n")[:-1]
            change(found)
            (folder / name).write_bytes(b"\n".join(found) + b"\n")

        return act

    for name in ("leaves.jsonl", "certificates.jsonl"):
        refused(lines(name, lambda found: found.pop()))
        refused(lines(name, lambda found: found.pop(0)))
        refused(lines(name, list.reverse))
        refused(lines(name, lambda found: found.append(found[0])))
        refused(lines(name, lambda found: found.__setitem__(0, found[1])))
        refused(lines(name, lambda found: found.append(b"")))
    for name in ("leaves.jsonl", "checkpoints.txt", "certificates.jsonl", "key.txt", "export.json"):
        refused(lambda folder, name=name: (folder / name).unlink())
        raw = (site.export / name).read_bytes()
        for place in range(0, len(raw), max(1, len(raw) // 40)):
            changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
            refused(lambda folder, name=name, changed=changed: (folder / name).write_bytes(changed))
        for put in (b"\n", b" ", b"\r"):
            refused(lambda folder, name=name, raw=raw, put=put: (folder / name).write_bytes(raw + put))
        for put_there in (Path.mkdir, os.mkfifo):

            def replace(folder: Path, name: str = name, put_there: Callable[[Path], object] = put_there) -> None:
                (folder / name).unlink()
                put_there(folder / name)

            assert refused(replace) == f"{name} is not a file"
    assert "no part of one" in refused(lambda folder: (folder / "more.txt").write_text("x"))

    notes = (site.export / "checkpoints.txt").read_text(encoding="utf-8")
    fork = site.note(f"{site.key.name}\n3\n{base64.b64encode(bytes(32)).decode()}\n")
    last = outsider.split_notes(notes)[-1]
    same = site.note(f"{site.key.name}\n{last.split()[1]}\n{base64.b64encode(bytes(32)).decode()}\n")
    for text in (
        fork + "\n" + notes,
        notes + "\n" + same,
        same + "\n" + notes,
        notes + "\n" + last,
        "\n".join(reversed(outsider.split_notes(notes))),
    ):
        assert refused(lambda folder, text=text: (folder / "checkpoints.txt").write_text(text, encoding="utf-8"))


@pytest.mark.clause("A0.1")
def test_checkpoint_and_key_files_are_read_strictly(site: Site) -> None:
    note, key = site.older, site.key
    assert key.checkpoint(note).size
    cosigned = note + "— witness.example/w " + base64.b64encode(bytes(76)).decode() + "\n"
    assert key.checkpoint(cosigned, cosigned=True).size
    head, signature = note.split("\n\n")
    size = head.split("\n")[1]
    for other in (
        cosigned, note + signature, note.replace("\n", "\r\n"), note[:-1], note + "\n", " " + note, note.replace("— ", "- "), note.replace("— ", "—  "),
        head + "\n\n", head + "\n", note.replace(f"\n{size}\n", f"\n0{size}\n"), note.replace(f"\n{size}\n", f"\n+{size}\n"),
        head + "\nextension\n\n" + signature, site.note(head + "\nextension\n"), head + "\n\n\n" + signature, note.replace("=", "", 1), "", "x",
    ):  # fmt: skip
        with pytest.raises(outsider.Broken):
            key.checkpoint(other)
    text = key.text + "\n"
    for wrong in (
        text + "\n", " " + text, text + text, text.replace("\n", "\r\n"), text[:-2], "\ufeff" + text, text.replace("+", "++", 1), text.upper(), "x", "",
        text.replace("+", " +", 1),
    ):  # fmt: skip
        with pytest.raises(outsider.Broken):
            outsider.Key(wrong)
    for path in _paths(json.loads(site.consistency)):
        forged = json.loads(site.consistency)
        _at(forged, path, _another)
        _refused(key, rfc8785.dumps(forged), site.older)


def test_the_command_gives_one_line_and_no_traceback(site: Site, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(site.key.text, encoding="utf-8")
    (tmp_path / "deep").write_bytes(b"[" * 100_000)
    (tmp_path / "bytes").write_bytes(bytes(range(256)) * 100)
    (tmp_path / "folder").mkdir()
    (tmp_path / "receipt.json").write_bytes(site.receipt)
    for path, code in (("deep", 1), ("bytes", 1), ("folder", 1), ("nothing", 1), ("receipt.json", 0)):
        done = subprocess.run(
            [sys.executable, "-I", str(TOOL), "--key", "key", path], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        if code:
            assert done.stderr.startswith("does not hold: ")
            assert done.stderr.count("\n") == 1


@pytest.mark.clause("A0.1", "I6")
def test_genuine_files_of_the_version_before_still_verify() -> None:
    key = outsider.Key((BEFORE / "key.txt").read_text(encoding="utf-8"))
    older = (BEFORE / "older.txt").read_text(encoding="utf-8")
    for name, saved in (
        ("receipt.json", None),
        ("receipt-early.json", older),
        ("certificate.json", None),
        ("consistency.json", older),
    ):
        raw = (BEFORE / name).read_bytes()
        assert outsider.verify_document(key, raw, saved).words
        for place in range(0, len(raw), 41):
            _refused(key, raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :], saved)
    assert "33 entries" in outsider.verify_export(key, BEFORE / "export", older).words


def test_the_verifier_is_written_for_python_3_9() -> None:
    ast.parse(TOOL.read_text(encoding="utf-8"), feature_version=(3, 9))


def _older_pythons() -> list[Path]:
    """Interpreters between 3.9 and ours, wherever this machine keeps them."""
    named = [shutil.which(f"python3.{minor}") for minor in (9, 10, 11)]
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/3.*/bin/python")
    found = [Path(one) for one in named if one] + [
        one for one in kept if one.parts[-3].split(".")[1] in ("9", "10", "11")
    ]
    return sorted(
        one for one in found if subprocess.run([str(one), "-c", ""], check=False, capture_output=True).returncode == 0
    )


@pytest.mark.parametrize("python", _older_pythons() or [None], ids=lambda one: one.parts[-3] if one else "none here")
def test_older_pythons_compile_and_run_the_verifier(python: Path | None) -> None:
    if python is None:
        pytest.skip("no older Python here")
    compiled = subprocess.run(
        [str(python), "-I", "-c", "import ast, sys; ast.parse(open(sys.argv[1], encoding='utf-8').read())", str(TOOL)], check=False, capture_output=True
    )  # fmt: skip
    assert compiled.returncode == 0
    has_library = subprocess.run([str(python), "-I", "-c", "import cryptography"], check=False, capture_output=True)
    if has_library.returncode:
        return
    for path in ("receipt.json", "export"):
        ran = subprocess.run(
            [str(python), "-I", str(TOOL), "--key", str(BEFORE / "key.txt"), str(BEFORE / path)], check=False, capture_output=True, text=True, timeout=60
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
