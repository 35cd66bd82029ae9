from django.db import models


class Withdrawal(models.Model):
    """A recorded state machine: whatever a kill left is resumed from `state`. Nothing here says who."""

    number = models.CharField(max_length=32, unique=True)
    member_id = models.BigIntegerField(null=True, unique=True)
    subject = models.CharField(max_length=32, null=True)  # noqa: DJ001 - gone when the work is done
    choice = models.CharField(max_length=12)
    state = models.CharField(max_length=16, db_index=True)
    lines = models.JSONField()
    policy_digest = models.CharField(max_length=64)
    archive_ref = models.CharField(max_length=32)
    leaves = models.JSONField(default=list)
    certificates = models.JSONField(default=list)
    starts_at = models.DateTimeField()

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row", "number": "random; whoever holds it may ask", "member_id": "emptied when the work is done",
        "subject": "random; emptied when the work is done", "choice": "keep, anonymise or delete", "state": "how far it is", "lines": "record names and dates",
        "policy_digest": "which policy", "archive_ref": "random", "leaves": "random ids", "certificates": "numbers", "starts_at": "when",
    }  # fmt: skip
