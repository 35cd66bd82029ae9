"""The mail server of IMGNOM_MAIL_URL, and when mail may go there without encryption: only where the URL says so.

`smtps:` encrypts from the first byte. `smtp:` needs STARTTLS and a certificate that fits the host's name. With
`?tls=optional` STARTTLS is used where it is offered, the certificate is not verified, and a server that offers none is
spoken to in clear: for a relay on the same machine or in a network of one's own. Loopback is no exception, because a
port there may be a tunnel to anywhere.
"""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

SMTP_PORT, SMTPS_PORT = 25, 465
OPTIONS = {"": False, "tls=optional": True}


@dataclass(frozen=True)
class MailServer:
    host: str
    port: int
    username: str = field(repr=False)
    password: str = field(repr=False)
    implicit_tls: bool
    may_be_clear: bool

    @property
    def shown(self) -> str:
        """For people: never the username or the password."""
        return f"{self.host}:{self.port}"


def parse_mail_server(url: str) -> MailServer:
    """Raises ValueError, which never carries the URL: a password may stand in it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("not a URL") from None
    implicit = parts.scheme == "smtps"
    if not host or port == 0 or parts.path not in ("", "/") or parts.fragment or parts.scheme not in ("smtp", "smtps"):
        raise ValueError("not the URL of a mail server")
    if parts.query not in OPTIONS or (implicit and OPTIONS[parts.query]):
        raise ValueError("an option that there is not")
    return MailServer(
        host,
        port or (SMTPS_PORT if implicit else SMTP_PORT),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        implicit,
        OPTIONS[parts.query],
    )
