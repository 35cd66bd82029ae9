from django.db import models


class Evidence(models.Model):
    """Where a piece of evidence stands in the ledger. What it says is read there and nowhere else.

    A row changed by hand can at most point at older evidence, which is too old, or at nothing.
    """

    kind = models.CharField(max_length=12)
    leaf_id = models.CharField(max_length=32, unique=True)
    at = models.DateTimeField()

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "kind": "checks or rehearsal",
        "leaf_id": "random",
        "at": "when it was written",
    }
