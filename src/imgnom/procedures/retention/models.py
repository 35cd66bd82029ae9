from django.db import models


class Withdrawal(models.Model):
    """A recorded state machine: whatever a kill left is resumed from `state`. Nothing here says who."""

    number = models.CharField(max_length=32, unique=True)
    press = models.CharField(max_length=48, null=True, unique=True)  # noqa: DJ001 - none where no page was pressed
    member_id = models.BigIntegerField(null=True, unique=True)
    subject = models.CharField(max_length=32, null=True)  # noqa: DJ001 - gone when the work is done
    choice = models.CharField(max_length=12)
    language = models.CharField(max_length=2, default="ko")
    state = models.CharField(max_length=16, db_index=True)
    lines = models.JSONField()
    policy_digest = models.CharField(max_length=64)
    archive_ref = models.CharField(max_length=32)
    letter = models.CharField(max_length=32)
    file_keys = models.JSONField(default=list)
    leaves = models.JSONField(default=list)
    certificates = models.JSONField(default=list)
    starts_at = models.DateTimeField()
    lease_token = models.BigIntegerField(default=0)
    leased_until = models.FloatField(default=0)

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row", "number": "random; whoever holds it may ask", "press": "random, of the page on which the button stood",
        "member_id": "emptied when the work is done", "subject": "random; emptied when the work is done", "choice": "keep, anonymise or delete",
        "language": "ko or en", "state": "how far it is", "lines": "record names and dates", "policy_digest": "which policy", "archive_ref": "random",
        "letter": "random, of the letter with the number", "file_keys": "random ids of keys; emptied when the work is done", "leaves": "random ids",
        "certificates": "numbers", "starts_at": "when", "lease_token": "fencing token", "leased_until": "real time, seconds",
    }  # fmt: skip
