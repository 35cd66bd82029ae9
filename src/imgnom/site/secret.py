"""The secret that signs cookies and tokens: a file in the keyring, made once where the mode allows it."""

import os
import secrets

from imgnom.site.environment import Environment, EnvironmentError_

MIN_CHARACTERS = 50


def read_secret_key(environment: Environment) -> str:
    """Return the secret. Raises EnvironmentError_ when it is missing on a real site, or too short."""
    file = environment.secret_key_file
    if not file.exists():
        if not environment.may_make_keys:
            raise EnvironmentError_(f"{file} is missing. `imgnom keys init` makes a new keyring for a new site.")
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = file.with_name(f"{file.name}.{os.getpid()}")
        partial.write_text(secrets.token_urlsafe(64), encoding="ascii")
        partial.chmod(0o600)
        try:
            os.link(partial, file)  # create-only: of two first starts, one wins and both read its secret
        except FileExistsError:
            pass
        finally:
            partial.unlink()
    text = file.read_text(encoding="ascii").strip()
    if len(text) < MIN_CHARACTERS:
        raise EnvironmentError_(f"{file} holds fewer than {MIN_CHARACTERS} characters; it was cut or is not ours.")
    return text
