from imgnom.community.members.models import Member


class MemberBackend:
    """Only what Django's session middleware asks for; passwords are proven in `enter.prove_login`."""

    def get_user(self, user_id: int) -> Member | None:
        return Member.objects.filter(pk=user_id).exclude(state="withdrawn").first()
