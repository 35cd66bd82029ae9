"""The policy commands that need a site: what is on disk against what was approved, and the act of approving (A0.3).

Approving names the version by its first signs, so that nothing is approved but what was looked at. A running site goes
on with its version; the approved one comes into force when the site is started the next time.
"""

from typing import Any

from django.conf import settings

from imgnom.custody.consent.public import adopt_policy
from imgnom.custody.in_force import approved_policy
from imgnom.policy.public import Actor, Policy, difference, load_policy
from imgnom.site.clock import now

LEAST_SIGNS = 12


def policy_on_disk() -> Policy:
    return load_policy(settings.IMGNOM.policy)


def approve_policy(versions: list[str]) -> dict[str, Any]:
    """Approve the policy on disk if it is the version named. Raises PolicyError where it does not hold together."""
    policy, approved = policy_on_disk(), approved_policy()
    facts = {"digest": policy.digest, "id": policy.id, "version": policy.version}
    named = versions[0] if len(versions) == 1 else ""
    if len(named) < LEAST_SIGNS or not policy.digest.startswith(named):
        return facts | {
            "ok": False, "changes": len(difference(approved, policy)) if approved else 0,
            "words": f"The policy on disk is version {policy.digest[:LEAST_SIGNS]}. Look at it (`imgnom policy diff`, `imgnom policy show`), then: "
            f"imgnom policy approve {policy.digest[:LEAST_SIGNS]}",
        }  # fmt: skip
    is_new = adopt_policy(policy, now=now(), by=Actor("administrator", None))
    words = (
        "is approved. It comes into force when the site is started the next time."
        if is_new
        else "was approved already."
    )
    return facts | {"ok": True, "new": is_new, "words": f"{policy.id} version {policy.digest[:LEAST_SIGNS]} {words}"}
