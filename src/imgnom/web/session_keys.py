"""Session keys are bearer secrets, so the stores hold a digest of each and never the key (threats N2, A3).

A key is 32 random letters and digits (165 bits), so a plain SHA-256 cannot be searched; 160 bits of it fit the column
of Django's session table. A digest that is sent as a cookie is digested once more and names no row.
"""

import hashlib
import re

SESSION_KEY_LENGTH = 32
SESSION_KEY_FORM = re.compile(f"[0-9a-z]{{{SESSION_KEY_LENGTH}}}")
_LABEL = b"imgnom session key\0"


def stored_session_key(session_key: str) -> str:
    """What is stored in place of this key: 40 hexadecimal digits."""
    return hashlib.sha256(_LABEL + session_key.encode()).hexdigest()[:40]
