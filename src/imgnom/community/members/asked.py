"""What joining really asks for, read off the form as it is built."""

from imgnom.community.members.forms import SignupForm
from imgnom.custody.in_force import policy_in_force


def registration_fields() -> frozenset[str]:
    """The items of the policy that the registration form asks for; the age question and the consents are no items."""
    kinds = policy_in_force().consents.values()
    other = {kind.id if kind.required else f"consent_{kind.id}" for kind in kinds} | {"age_group"}
    return frozenset("password" if name == "password1" else name for name in SignupForm().fields if name not in other)
