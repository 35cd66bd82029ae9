"""The secret that signs cookies and tokens: a file in the keyring, made once where the mode allows it."""

import os
import secrets
from pathlib import Path

from imgnom.site.environment import Environment, EnvironmentError_

MIN_CHARACTERS = 50


def write_secret_key(file: Path) -> None:
    """Create-only and private: of two who write at once, one wins and both read its secret."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(secrets.token_urlsafe(64), encoding="ascii")
    try:
        os.link(partial, file)
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def read_secret_key(environment: Environment) -> str:
    """Return the secret. Raises EnvironmentError_ when it is missing on a real site, unreadable or too short."""
    file = environment.secret_key_file
    try:
        if not file.exists():
            if not environment.may_make_keys:
                raise EnvironmentError_(f"{file} is missing. `imgnom keys init` makes a new keyring for a new site.")
            write_secret_key(file)
        text = file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise EnvironmentError_(f"IMGNOM_SECRET_KEY_FILE: {file} cannot be read ({error.strerror}).") from None
    except ValueError:
        raise EnvironmentError_(f"IMGNOM_SECRET_KEY_FILE: {file} holds something else than a secret.") from None
    if len(text) < MIN_CHARACTERS:
        raise EnvironmentError_(f"{file} holds fewer than {MIN_CHARACTERS} characters; it was cut or is not ours.")
    return text
