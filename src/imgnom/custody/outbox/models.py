from django.db import models


class Outbox(models.Model):
    """An act that waits to enter the ledger. The same table stands in every store."""

    leaf_id = models.CharField(max_length=32, unique=True)
    payload = models.TextField()
    created_at = models.DateTimeField()

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "leaf_id": "random",
        "payload": "an act in random tokens, clause and item names; never a value",
        "created_at": "when the act happened",
    }
