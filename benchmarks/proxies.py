"""nginx and Caddy with the very configuration that docs/operating.md prints, on free ports of this machine."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server import free_port

OPERATING = Path(__file__).resolve().parents[1] / "docs" / "operating.md"
START_SECONDS = 30
PROXIES = ("nginx", "caddy")


def is_here(proxy: str) -> bool:
    return _program(proxy) is not None and _program("openssl") is not None


def _program(proxy: str) -> str | None:
    return shutil.which(proxy) or shutil.which(proxy, path="/usr/sbin:/usr/local/sbin")


def documented(kind: str) -> str:
    """The text of the one block of that kind."""
    [text] = re.findall(
        rf"^```{kind}\n(.*?)^```$", OPERATING.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return str(text)


def _replaced(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        if old not in text:
            raise ValueError(f"the documented configuration no longer says {old!r}")
        text = text.replace(old, new)
    return text


def _certificate(folder: Path) -> None:
    subprocess.run(
        [
            str(_program("openssl")), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem"),
        ],
        check=True, capture_output=True,
    )  # fmt: skip


def _nginx(folder: Path, site_port: int, port: int) -> list[str]:
    text = _replaced(
        documented("nginx"),
        ("server 127.0.0.1:8000;", f"server 127.0.0.1:{site_port};"), ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl http2;"), ("/etc/ssl/imgnom", str(folder)), ("gallery.example", "localhost"),
    )  # fmt: skip
    temporary = "".join(
        f"    {kind}_temp_path {folder / 'tmp' / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    frame = f"daemon off;\nuser root;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{ }}\nhttp {{\n{temporary}{text}}}\n"
    (folder / "nginx.conf").write_text(frame, encoding="utf-8")
    return [str(_program("nginx")), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]


def _caddy(folder: Path, site_port: int, port: int) -> list[str]:
    text = _replaced(
        documented("caddyfile"), ("127.0.0.1:8000", f"127.0.0.1:{site_port}"),
        ("gallery.example {", f"https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {folder}/fullchain.pem {folder}/privkey.pem"),
        ("\tservers {", "\tadmin off\n\tauto_https disable_redirects\n\tservers {"),
    )  # fmt: skip
    (folder / "Caddyfile").write_text(text, encoding="utf-8")
    return [str(_program("caddy")), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@contextmanager
def proxied(proxy: str, folder: Path, *, site_port: int, port: int) -> Iterator[None]:
    """Run the proxy in front of a local site; it writes only below `folder`, temporary files in `tmp`."""
    (folder / "tmp").mkdir(parents=True)
    _certificate(folder)
    command = (_nginx if proxy == "nginx" else _caddy)(folder, site_port, port)
    environ = {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
    }
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                connect(port).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "proxy.log").read_text(errors="replace")[-2000:]) from None
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def connect(port: int, address: str = "127.0.0.1") -> ssl.SSLSocket:
    """A connection with TLS from an address of this machine."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(
        socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(address, 0)),
        server_hostname="localhost",
    )
