"""The typed environment: every IMGNOM_* variable, read once, with one clear line for a wrong value.

Each variable may also be given as NAME_FILE, a path whose content is the value. Keys never come from here: the
keyring is a folder, named by IMGNOM_KEYRING.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

MODES = ("production", "demo", "rehearsal", "development")
STORES = ("default", "logs", "vault", "archive", "keys", "ledger")
# Modes in which the whole home is a toy: the keyring may lie inside it and time may be moved.
TOY_MODES = ("demo", "rehearsal")


def variable_of_store(store: str) -> str:
    return "IMGNOM_DATABASE_URL" if store == "default" else f"IMGNOM_{store.upper()}_DATABASE_URL"


class EnvironmentError_(Exception):
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
    database_urls: Mapping[str, str]
    media_url: str
    cache_url: str
    mail_url: str
    witness: str

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
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or "localhost"

    @property
    def media_root(self) -> Path:
        return Path(urlsplit(self.media_url).path)

    @property
    def outbox(self) -> Path:
        return self.home / "outbox"


def _value(environ: Mapping[str, str], name: str) -> str:
    plain = environ.get(name, "")
    file = environ.get(f"{name}_FILE", "")
    if plain and file:
        raise EnvironmentError_(f"{name} and {name}_FILE are both set: keep one of them.")
    if not file:
        return plain
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EnvironmentError_(f"{name}_FILE names {file}, which cannot be read ({error.strerror}).") from None


def _url(name: str, value: str, *, allowed: tuple[str, ...]) -> str:
    if value and urlsplit(value).scheme not in allowed:
        raise EnvironmentError_(f"{name} must start with one of {', '.join(s + ':' for s in allowed)}.")
    return value


def mode_file(home: Path) -> Path:
    """Where a home says that it is a toy, so that a command beside a running demo needs no variable."""
    return home / "mode"


def _mode(environ: Mapping[str, str], home: Path) -> str:
    """The mode asked for, else the one the home remembers, else production. A toy and a real site never share a home."""
    asked = _value(environ, "IMGNOM_MODE")
    if asked and asked not in MODES:
        raise EnvironmentError_(f"IMGNOM_MODE must be one of {', '.join(MODES)}.")
    file = mode_file(home)
    remembered = file.read_text(encoding="ascii").strip() if file.is_file() else ""
    if remembered not in TOY_MODES:
        remembered = ""
    mode = asked or remembered or "production"
    if remembered and mode not in TOY_MODES:
        raise EnvironmentError_(f"IMGNOM_HOME: {home} holds a {remembered} site. A real site needs a home of its own.")
    if mode in TOY_MODES and not remembered and (home / "db").exists() and not (home / "keyring").exists():
        raise EnvironmentError_(f"IMGNOM_HOME: {home} holds a real site. A {mode} needs a home of its own.")
    return mode


def read_environment(environ: Mapping[str, str] | None = None) -> Environment:
    """Read and check all variables. Raises EnvironmentError_ with one line that says what is allowed."""
    environ = os.environ if environ is None else environ
    home = Path(_value(environ, "IMGNOM_HOME") or "data").resolve()
    mode = _mode(environ, home)
    toy = mode in TOY_MODES
    keyring_text = _value(environ, "IMGNOM_KEYRING")
    if not keyring_text and not toy:
        raise EnvironmentError_("IMGNOM_KEYRING must name the folder of the keys; it may not lie under IMGNOM_HOME.")
    keyring = Path(keyring_text).resolve() if keyring_text else home / "keyring"
    if not toy and keyring.is_relative_to(home):
        raise EnvironmentError_("IMGNOM_KEYRING lies under IMGNOM_HOME: a copy of the data would carry the keys along.")
    clock_text = _value(environ, "IMGNOM_CLOCK_FILE")
    if clock_text and not toy:
        raise EnvironmentError_("IMGNOM_CLOCK_FILE works in demo and rehearsal only: nobody moves time on a real site.")
    if not clock_text and mode == "demo":
        clock_text = str(home / "clock")  # the one that /demo's buttons turn
    base_url = _value(environ, "IMGNOM_BASE_URL").rstrip("/")
    if not base_url:
        if mode == "production":
            raise EnvironmentError_("IMGNOM_BASE_URL must say where the site is reached, as https://example.org.")
        base_url = "http://127.0.0.1:8000"
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
        raise EnvironmentError_("IMGNOM_BASE_URL must be http(s)://host[:port] and nothing after it.")
    bundled = Path(__file__).resolve().parents[3] / "policies" / "imgnom"
    policy = Path(_value(environ, "IMGNOM_POLICY") or bundled).resolve()
    if not (policy / "policy.toml").is_file():
        raise EnvironmentError_(f"IMGNOM_POLICY: {policy} holds no policy.toml.")
    urls = {
        store: _url(name, _value(environ, name), allowed=("postgresql", "postgres", "sqlite"))
        for store, name in ((store, variable_of_store(store)) for store in STORES)
    }
    secret = _value(environ, "IMGNOM_SECRET_KEY_FILE")
    return Environment(
        mode=mode,
        home=home,
        keyring=keyring,
        policy=policy,
        clock_file=Path(clock_text).resolve() if clock_text else None,
        secret_key_file=Path(secret).resolve() if secret else keyring / "secret.key",
        base_url=base_url,
        trusted_proxies=tuple(p for p in _value(environ, "IMGNOM_TRUSTED_PROXIES").replace(",", " ").split() if p),
        database_urls=urls,
        media_url=_url("IMGNOM_MEDIA_URL", _value(environ, "IMGNOM_MEDIA_URL"), allowed=("file",))
        or (home / "media").as_uri(),
        cache_url=_value(environ, "IMGNOM_CACHE_URL"),
        mail_url=_url("IMGNOM_MAIL_URL", _value(environ, "IMGNOM_MAIL_URL"), allowed=("smtp", "smtps", "file"))
        or (home / "outbox").as_uri(),
        witness=_value(environ, "IMGNOM_WITNESS"),
    )
