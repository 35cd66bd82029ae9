"""VaultError: RevealRefused, ValueTaken, SubjectFenced, ValueMissing."""

from imgnom.policy.public import CannotTell, Deny


class VaultError(Exception):
    """Base of this room's errors."""


class RevealRefused(VaultError):
    """The policy does not allow this reading; carries the decision."""

    def __init__(self, decision: Deny | CannotTell) -> None:
        self.decision = decision
        super().__init__(f"refused under {decision.clause}: {decision.reason.en}")


class ValueTaken(VaultError):
    """Another subject holds this confirmed value."""


class SubjectFenced(VaultError):
    """The subject is being destroyed; nothing may be written for it any more."""


class ValueMissing(VaultError):
    """No such value is held."""


class PersonalNotOpened(TypeError):
    """Somebody tried to print, copy or store a personal value without opening it on purpose."""
