"""What one client, one address and all clients together may take. The figures come from the environment."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
MAX_HEAD_BYTES = 32 * KIB
# A form without files. Django refuses forms above one MiB; the rest is for the frame of multipart.
MAX_FORM_BYTES = MIB + 64 * KIB

# Stores, pictures and the decoder's pipes need descriptors too.
SPARE_FILES = 256


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`client_seconds` bounds three things: a whole header block, silence between requests, and the window in which
    at least `min_rate` bytes a second must move. A slow connection is closed within two windows.
    """

    client_seconds: float = 25.0
    min_rate: int = 4096
    max_connections: int = 1000
    max_connections_per_address: int = 100
    upload_bytes: int = 512 * MIB
    form_bytes: int = 64 * MIB
    max_upload_bytes: int = 193 * MIB
    upload_paths: tuple[str, ...] = ()
    page_threads: int = 4
    # Nearly all of these only wait for their turn at the decoder, which has room for ten (community/images/line.py).
    upload_threads: int = 12
    uploads_per_key: int = 3
    # After an upload thread has worked this long on one request it counts as hung.
    upload_seconds: float = 300.0
    # For a response to a request whose body is not read: the client may still be sending.
    linger_seconds: float = 5.0
    stop_seconds: float = 6.0
