"""The typed environment: every IMGNOM_* variable, read once, with one clear line for a wrong value.

Each variable may also be given as NAME_FILE, a path whose content is the value. Keys never come from here: the
keyring is a folder, named by IMGNOM_KEYRING.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from imgnom.web.mail_server import parse_mail_server

MODES = ("production", "demo", "rehearsal", "development")
STORES = ("default", "logs", "vault", "archive", "keys", "ledger")
# Modes in which the whole home is a toy: the keyring may lie inside it and time may be moved.
TOY_MODES = ("demo", "rehearsal")
# A name or an address as a Host header carries it; an internationalised name in its ASCII form.
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+")

SIZE = re.compile(r"([0-9]{1,9}) ?(MiB|GiB|TiB)")
UNITS = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


def variable_of_store(store: str) -> str:
    return "IMGNOM_DATABASE_URL" if store == "default" else f"IMGNOM_{store.upper()}_DATABASE_URL"


class EnvironmentError_(Exception):  # noqa: N801 - Python took the name, and it is the right one
    """A variable is missing or wrong. The text is the one line an operator reads."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    mode: str
    home: Path
    keyring: Path
    policy: Path
    clock_file: Path | None
    secret_key_file: Path
    base_url: str
    trusted_proxies: tuple[str, ...]
    database_urls: Mapping[str, str] = field(repr=False)  # with passwords
    media_url: str
    cache_url: str
    mail_url: str = field(repr=False)  # with a password
    mail_is_named: bool  # False where nothing was said and mail is written to files
    witness: str
    member_storage_bytes: int
    client_seconds: int
    min_rate: int
    max_connections: int
    max_connections_per_address: int
    upload_memory_mib: int

    @property
    def is_toy(self) -> bool:
        """True in demo and rehearsal, where nobody's real data may live."""
        return self.mode in TOY_MODES

    @property
    def may_make_keys(self) -> bool:
        return self.mode != "production"

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def is_loopback(self) -> bool:
        """True where the address can be reached from this machine alone."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or "localhost"

    @property
    def media_root(self) -> Path:
        return Path(urlsplit(self.media_url).path)

    @property
    def outbox(self) -> Path:
        return self.home / "outbox"


def read_value(environ: Mapping[str, str], name: str) -> str:
    """The variable, or the content of the file that NAME_FILE names; empty without both. Raises EnvironmentError_."""
    plain = environ.get(name, "").strip()
    file = environ.get(f"{name}_FILE", "")
    if plain and file:
        raise EnvironmentError_(f"{name} and {name}_FILE are both set: keep one of them.")
    if not file:
        return plain
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EnvironmentError_(f"{name}_FILE names {file}, which cannot be read ({error.strerror}).") from None
    except ValueError:
        raise EnvironmentError_(f"{name}_FILE names {file}, which holds no text.") from None


def _scheme(value: str) -> str:
    """Of a URL; empty for what is none. A value that cannot be parsed is none."""
    try:
        return urlsplit(value).scheme
    except ValueError:
        return ""


def _url(environ: Mapping[str, str], name: str, *, allowed: tuple[str, ...]) -> str:
    value = read_value(environ, name)
    if value and _scheme(value) not in allowed:
        raise EnvironmentError_(f"{name} must start with one of {', '.join(s + ':' for s in allowed)}.")
    return value


def _folder_url(environ: Mapping[str, str], name: str, *, allowed: tuple[str, ...] = ("file",)) -> str:
    value = _url(environ, name, allowed=allowed)
    if _scheme(value) == "file" and (urlsplit(value).netloc or len(urlsplit(value).path) < 2):
        raise EnvironmentError_(
            f"{name} must name an absolute path, as file:///srv/imgnom/{name.split('_')[1].lower()}."
        )
    return value


def mode_file(home: Path) -> Path:
    """Where a toy's home remembers its mode, so that a command beside a running demo needs no variable."""
    return home / "mode"


def address_file(home: Path) -> Path:
    """Where a toy's home remembers its address, so that a command beside it prints links that lead there."""
    return home / "address"


def home_of(environ: Mapping[str, str]) -> Path:
    return Path(read_value(environ, "IMGNOM_HOME") or "data").resolve()


def mode_of(environ: Mapping[str, str]) -> str:
    """The mode that a command in this environment would have. Raises EnvironmentError_."""
    return _mode(environ, home=home_of(environ))


def _mode(environ: Mapping[str, str], *, home: Path) -> str:
    """The mode that is asked for, else the one that the home remembers, else production."""
    asked = read_value(environ, "IMGNOM_MODE")
    if asked:
        if asked not in MODES:
            raise EnvironmentError_(f"IMGNOM_MODE must be one of {', '.join(MODES)}.")
        return asked
    try:
        remembered = mode_file(home).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return "production"
    return remembered if remembered in TOY_MODES else "production"


def _keyring(environ: Mapping[str, str], *, home: Path, toy: bool) -> Path:
    text = read_value(environ, "IMGNOM_KEYRING")
    if not text and not toy:
        raise EnvironmentError_("IMGNOM_KEYRING must name the folder of the keys; it may not lie under IMGNOM_HOME.")
    keyring = Path(text).resolve() if text else home / "keyring"
    if not toy and (keyring.is_relative_to(home) or home.is_relative_to(keyring)):
        raise EnvironmentError_(
            "IMGNOM_KEYRING and IMGNOM_HOME lie inside each other: a copy of the data would carry the keys along."
        )
    return keyring


def _clock_file(environ: Mapping[str, str], *, home: Path, mode: str, toy: bool) -> Path | None:
    text = read_value(environ, "IMGNOM_CLOCK_FILE")
    if text and not toy:
        raise EnvironmentError_("IMGNOM_CLOCK_FILE works in demo and rehearsal only: nobody moves time on a real site.")
    if not text:
        # The clock that the demo's buttons turn is every command's clock beside it.
        return home / "clock" if mode == "demo" else None
    return Path(text).resolve()


def _base_url(environ: Mapping[str, str], *, home: Path, mode: str) -> str:
    text = read_value(environ, "IMGNOM_BASE_URL").rstrip("/")
    if not text and mode == "production":
        raise EnvironmentError_("IMGNOM_BASE_URL must say where the site is reached, as https://example.org.")
    if not text and mode in TOY_MODES:
        try:
            text = address_file(home).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            text = ""
    if not text:
        return "http://127.0.0.1:8000"
    wrong = EnvironmentError_("IMGNOM_BASE_URL must be http(s)://host[:port] and nothing after it.")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise wrong from None
    beyond = parts.path or parts.query or parts.fragment or "@" in parts.netloc or parts.netloc.endswith(":")
    if parts.scheme not in ("http", "https") or beyond or not HOST.fullmatch(parts.hostname or ""):
        raise wrong
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _policy(environ: Mapping[str, str]) -> Path:
    """A folder, or the name of a bundled policy."""
    bundled = Path(__file__).resolve().parents[3] / "policies"
    named = read_value(environ, "IMGNOM_POLICY") or "imgnom"
    places = [Path(named).resolve()] if named != "imgnom" else []
    if re.fullmatch(r"[a-z][a-z0-9-]*", named):
        places.append(bundled / named)
    found = next((place for place in places if (place / "policy.toml").is_file()), None)
    if found is None:
        raise EnvironmentError_(f"IMGNOM_POLICY: {places[0]} holds no policy.toml.")
    return found


def _proxies(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Addresses and networks, in one form. A proxy that is misspelt would make every visitor look like one."""
    found = []
    for text in read_value(environ, "IMGNOM_TRUSTED_PROXIES").replace(",", " ").split():
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise EnvironmentError_(f"IMGNOM_TRUSTED_PROXIES: {text} is neither an address nor a network.") from None
        if network.prefixlen == 0:
            raise EnvironmentError_(f"IMGNOM_TRUSTED_PROXIES: {text} is everybody; name your own proxies only.")
        found.append(str(network))
    return tuple(found)


def _witness(environ: Mapping[str, str], *, home: Path, toy: bool) -> str:
    text = read_value(environ, "IMGNOM_WITNESS")
    if not text:
        return ""
    if _scheme(text) in ("http", "https", "mailto"):
        return _witness_elsewhere(text)
    folder = Path(text)
    if _scheme(text) or not folder.is_dir():
        raise EnvironmentError_(
            "IMGNOM_WITNESS must name a folder that exists, best on another machine, an address as"
            " https://witness.example/imgnom, or a mailbox as mailto:witness@example.org."
        )
    if not toy and folder.resolve().is_relative_to(home):
        raise EnvironmentError_(
            "IMGNOM_WITNESS lies under IMGNOM_HOME: whoever rewrites the ledger would rewrite it too."
        )
    return str(folder.resolve())


def _witness_elsewhere(text: str) -> str:
    """A second host or a mailbox, whole enough to be written to."""
    parts = urlsplit(text)
    if parts.scheme == "mailto":
        if not MAILBOX.fullmatch(parts.path) or parts.query or parts.fragment:
            raise EnvironmentError_("IMGNOM_WITNESS must name one mailbox, as mailto:witness@example.org.")
        return f"mailto:{parts.path}"
    try:
        named = HOST.fullmatch(parts.hostname or "") and (parts.port is None or parts.port)
    except ValueError:
        named = False
    if not named or parts.fragment:
        raise EnvironmentError_("IMGNOM_WITNESS must name an address, as https://witness.example/imgnom.")
    return text


def _mail_url(environ: Mapping[str, str]) -> str:
    value = _folder_url(environ, "IMGNOM_MAIL_URL", allowed=("smtp", "smtps", "file"))
    if _scheme(value) in ("smtp", "smtps"):
        try:
            parse_mail_server(value)
        except ValueError:
            raise EnvironmentError_(
                "IMGNOM_MAIL_URL must name a mail server, as smtp://user:password@mail.example:587 or smtps://…;"
                " ?tls=optional after smtp: lets mail go without encryption."
            ) from None
    return value


def _bytes(environ: Mapping[str, str], name: str, *, default: str, least: int) -> int:
    """A number with its unit, as 500MiB."""
    found = SIZE.fullmatch(read_value(environ, name) or default)
    size = int(found[1]) * UNITS[found[2]] if found else 0
    if not least <= size < 2**62:
        raise EnvironmentError_(f"{name} must be a whole number of MiB, GiB or TiB, as {default}.")
    return size


def _cache_url(environ: Mapping[str, str]) -> str:
    if read_value(environ, "IMGNOM_CACHE_URL"):
        raise EnvironmentError_("IMGNOM_CACHE_URL: this version asks no cache server; leave it out.")
    return ""


def _number(environ: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    text = read_value(environ, name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
        raise EnvironmentError_(f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def read_environment(environ: Mapping[str, str] | None = None) -> Environment:
    """Read and check all variables. Raises EnvironmentError_ with one line that says what is allowed."""
    environ = os.environ if environ is None else environ
    home = home_of(environ)
    mode = _mode(environ, home=home)
    toy = mode in TOY_MODES
    keyring = _keyring(environ, home=home, toy=toy)
    secret = environ.get("IMGNOM_SECRET_KEY_FILE", "").strip()
    postgres_or_sqlite = ("postgresql", "postgres", "sqlite")
    return Environment(
        mode=mode,
        home=home,
        keyring=keyring,
        policy=_policy(environ),
        clock_file=_clock_file(environ, home=home, mode=mode, toy=toy),
        secret_key_file=Path(secret).resolve() if secret else keyring / "secret.key",
        base_url=_base_url(environ, home=home, mode=mode),
        trusted_proxies=_proxies(environ),
        database_urls={store: _url(environ, variable_of_store(store), allowed=postgres_or_sqlite) for store in STORES},
        media_url=_folder_url(environ, "IMGNOM_MEDIA_URL") or (home / "media").as_uri(),
        cache_url=_cache_url(environ),
        mail_url=_mail_url(environ) or (home / "outbox").as_uri(),
        mail_is_named=bool(_mail_url(environ)),
        witness=_witness(environ, home=home, toy=toy),
        member_storage_bytes=_bytes(environ, "IMGNOM_MEMBER_STORAGE", default="2GiB", least=2**20),
        # Not above 29: a connection that falls below the rate is closed after two of these windows, within a minute.
        client_seconds=_number(environ, "IMGNOM_CLIENT_SECONDS", default=25, least=1, most=29),
        min_rate=_number(environ, "IMGNOM_MIN_RATE", default=4096, least=1, most=10_000_000),
        max_connections=_number(environ, "IMGNOM_MAX_CONNECTIONS", default=1000, least=16, most=100_000),
        max_connections_per_address=_number(
            environ, "IMGNOM_MAX_CONNECTIONS_PER_ADDRESS", default=100, least=4, most=100_000
        ),
        upload_memory_mib=_number(environ, "IMGNOM_UPLOAD_MEMORY", default=512, least=200, most=1_000_000),
    )
