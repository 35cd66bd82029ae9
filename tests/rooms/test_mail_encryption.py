"""Mail goes to a server encrypted or not at all, unless the setting allows clear text; seen by real servers on loopback."""

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.test import Client

from imgnom.community.members.models import Letter
from imgnom.community.members.public import deliver_mail
from imgnom.site.clock import set_clock
from imgnom.site.doctor import examine
from tests.rooms.test_letters_over_smtp import FIELDS, USER, Postman, _mail_to, _server

pytestmark = [
    pytest.mark.django_db(databases="__all__", transaction=True),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS"),
    # The library leaves its streams to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
LOGIN, SECRET = "letters:p%40ss%3Aword%2Fwith%3Fsigns", "p@ss:word/with?signs"


@pytest.fixture(autouse=True)
def _one_mail_waits(now: datetime) -> None:
    set_clock(now)
    assert Client().post("/signup", FIELDS).status_code == 303


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and one for another name, each its own authority, and both names' keys."""
    folder = tmp_path_factory.mktemp("certificates")
    for file, name in (("ours", x509.IPAddress(ip_address("127.0.0.1"))), ("foreign", x509.DNSName("mail.example"))):
        key, at = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)  # noqa: TID251 - TLS goes by the machine's time
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file)])
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - timedelta(days=1))
            .not_valid_after(at + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{file}.pem").write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return folder


def _tls(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@contextmanager
def _talking_server(answers: dict[bytes, bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that says what it is told to, and what it heard: the first word of a line chooses the answer."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve() -> None:
            with suppress(OSError), listening.accept()[0] as peer, peer.makefile("rb") as lines:
                peer.sendall(b"220 here\r\n")
                for line in lines:
                    heard.append(line)
                    answer = answers.get(line.split()[0].upper() if line.split() else b"", b"250 yes\r\n")
                    if answer == b"":
                        return
                    peer.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1], heard
        thread.join(10)


EHLO = b"250-here\r\n250-AUTH PLAIN LOGIN\r\n"


def _doctor_row() -> tuple[bool, str]:
    return next((row["ok"], row["words"]) for row in examine()["findings"] if row["what"] == "mail server")


def test_mail_uses_starttls_when_the_certificate_is_valid(
    now: datetime, monkeypatch: pytest.MonkeyPatch, certificates: Path
) -> None:
    postman = Postman()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ours.pem"))
    more = {"authenticator": postman.check, "auth_required": True, "require_starttls": True}
    with _server(postman, tls_context=_tls(certificates / "ours.pem"), **more) as port:
        _mail_to(monkeypatch, f"smtp://{LOGIN}@127.0.0.1:{port}")
        assert deliver_mail(now=now) == 1
        assert _doctor_row() == (True, f"127.0.0.1:{port}: encrypted, certificate verified")
    assert set(postman.users) == {USER}
    assert len(postman.taken) == 1


@pytest.mark.parametrize("login", ["", f"{LOGIN}@"])
def test_mail_waits_when_the_certificate_is_of_another_name(
    now: datetime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, certificates: Path, login: str
) -> None:
    postman = Postman()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "foreign.pem"))
    with caplog.at_level(logging.DEBUG), _server(postman, tls_context=_tls(certificates / "foreign.pem")) as port:
        _mail_to(monkeypatch, f"smtp://{login}127.0.0.1:{port}")
        assert deliver_mail(now=now) == 0
        ok, words = _doctor_row()
    assert not postman.taken
    assert not ok
    assert "certificate" in words
    assert "certificate" in caplog.text
    assert SECRET not in caplog.text + words
    assert FIELDS["email"] not in caplog.text
    assert Letter.objects.get().tries == 1


@pytest.mark.parametrize("login", ["", f"{LOGIN}@"])
def test_nothing_goes_in_clear_when_starttls_is_not_offered(
    now: datetime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, login: str
) -> None:
    with caplog.at_level(logging.DEBUG), _talking_server({b"EHLO": EHLO + b"250 HELP\r\n"}) as (port, heard):
        _mail_to(monkeypatch, f"smtp://{login}127.0.0.1:{port}")
        assert deliver_mail(now=now) == 0
    assert [line.split()[0].upper() for line in heard] == [b"EHLO"]
    assert "STARTTLS" in caplog.text
    assert SECRET not in caplog.text
    with _talking_server({b"EHLO": EHLO + b"250 HELP\r\n"}) as (port, heard):
        _mail_to(monkeypatch, f"smtp://{login}127.0.0.1:{port}")
        assert _doctor_row()[0] is False


@pytest.mark.parametrize("option", ["", "?tls=optional"])
@pytest.mark.parametrize("answer", [b"454 not now\r\n", b"220 go\r\n250 no encryption here\r\n", b""])
def test_failed_starttls_never_falls_back_to_clear(
    now: datetime, monkeypatch: pytest.MonkeyPatch, option: str, answer: bytes
) -> None:
    with _talking_server({b"EHLO": EHLO + b"250 STARTTLS\r\n", b"STARTTLS": answer}) as (port, heard):
        _mail_to(monkeypatch, f"smtp://{LOGIN}@127.0.0.1:{port}{option}")
        assert deliver_mail(now=now) == 0
    assert not [line for line in heard if line.upper().startswith((b"MAIL", b"AUTH", b"DATA"))]
    assert FIELDS["email"].encode() not in b"".join(heard)
    assert Letter.objects.get().tries == 1


def test_optional_tls_is_used_where_offered_and_clear_elsewhere(
    now: datetime, monkeypatch: pytest.MonkeyPatch, certificates: Path
) -> None:
    encrypted, plain = Postman(), Postman()
    with _server(encrypted, tls_context=_tls(certificates / "foreign.pem"), require_starttls=True) as port:
        _mail_to(monkeypatch, f"smtp://127.0.0.1:{port}?tls=optional")
        assert deliver_mail(now=now) == 1
    assert len(encrypted.taken) == 1
    more = {"username": "other.l", "nickname": "다른사람", "email": "other@mail.example"}
    assert Client().post("/signup", FIELDS | more).status_code == 303
    with _server(plain, authenticator=plain.check, auth_required=True, auth_require_tls=False) as port:
        _mail_to(monkeypatch, f"smtp://{LOGIN}@127.0.0.1:{port}?tls=optional")
        assert deliver_mail(now=now) == 1
        assert _doctor_row() == (False, f"127.0.0.1:{port}: mail may go in clear (tls=optional)")
    assert set(plain.users) == {USER}


def test_smtps_needs_a_valid_certificate(now: datetime, monkeypatch: pytest.MonkeyPatch, certificates: Path) -> None:
    postman = Postman()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ours.pem"))
    with _server(postman, ssl_context=_tls(certificates / "foreign.pem")) as port:
        _mail_to(monkeypatch, f"smtps://127.0.0.1:{port}")
        assert deliver_mail(now=now) == 0
    Letter.objects.update(leased_until=0)
    with _server(postman, ssl_context=_tls(certificates / "ours.pem")) as port:
        _mail_to(monkeypatch, f"smtps://127.0.0.1:{port}")
        assert deliver_mail(now=now) == 1
    assert len(postman.taken) == 1
