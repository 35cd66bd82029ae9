"""One file of the keyring: 32 secret bytes, the name that they are for, and a check over both.

    imgnom-key-2 NAME KEY CHECK

in hexadecimal, on one line. A file under another name is refused, so that two files cannot change places. Earlier
versions wrote the key alone: such a file is read too, and told apart.
"""

import hmac

KEY_BYTES = 32
FORM = "imgnom-key-2"


class WrongKeyFile(ValueError):
    """What is wrong with the file, without anything of the key."""


def _check(name: str, raw: bytes) -> str:
    return hmac.digest(raw, f"{FORM} {name}".encode(), "sha256").hex()[:32]


def render(name: str, raw: bytes) -> str:
    return f"{FORM} {name} {raw.hex()} {_check(name, raw)}\n"


def parse(name: str, text: str) -> tuple[bytes, bool]:
    """The key, and whether the file says what it is for. Raises WrongKeyFile."""
    parts = text.split()
    is_named = parts[:1] == [FORM]
    if len(parts) != (4 if is_named else 1):
        raise WrongKeyFile("cannot be read or is no key")
    try:
        raw = bytes.fromhex(parts[2] if is_named else parts[0])
    except ValueError:
        raise WrongKeyFile("cannot be read or is no key") from None
    if len(raw) != KEY_BYTES:
        raise WrongKeyFile(f"was cut: it holds {len(raw)} bytes instead of {KEY_BYTES}")
    if not is_named:
        return raw, False
    if parts[1] != name:
        raise WrongKeyFile(f"was swapped: it is the file of {parts[1][:40]}")
    if not hmac.compare_digest(parts[3].encode(), _check(name, raw).encode()):
        raise WrongKeyFile("was changed or belongs to another site")
    return raw, True
