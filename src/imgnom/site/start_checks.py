"""What keeps a real site from starting: contacts that are examples, no way to send mail, a public address without TLS.

Demo, rehearsal and development start without these. Commands beside a site (backup, retention, doctor …) work all the
same: an operator mends a site with them.
"""

from collections.abc import Iterator

from imgnom.policy.public import Policy, example_contacts
from imgnom.site.environment import Environment, EnvironmentError_

HOW = "docs/operating.md, A site of your own"


def start_faults(environment: Environment, policy: Policy) -> Iterator[str]:
    """One line for each reason, each with what to set and where."""
    if environment.mode != "production":
        return
    for key, value in example_contacts(policy):
        table, _, name = key.partition(".")
        yield (
            f"{environment.policy}: {key} is {value!r}, an example that stands for nobody. Set `{name}` under [{table}] in "
            f"the policy.toml of a policy of your own ({HOW})."
        )
    if not environment.mail_is_named:
        yield (
            "IMGNOM_MAIL_URL must say how mail is sent, as smtp://user:password@mail.example:587; "
            "file:///folder only where mail shall reach nobody."
        )
    if not environment.is_https and not environment.is_loopback:
        yield (
            f"IMGNOM_BASE_URL is {environment.base_url}: set it to the https:// address that visitors use; http: is for "
            "this machine alone (http://127.0.0.1:8000)."
        )


def ensure_may_start(environment: Environment, policy: Policy) -> None:
    """Raises EnvironmentError_ with the first reason why this site may not be served."""
    for fault in start_faults(environment, policy):
        raise EnvironmentError_(fault)
