from django.db import models


class WorkLease(models.Model):
    """Who may do the timed work just now. The token fences: whoever holds an older one is refused."""

    name = models.CharField(max_length=24, primary_key=True)
    token = models.BigIntegerField(default=0)
    beat = models.BigIntegerField(default=0)
    held = models.BooleanField(default=False)

    personal: dict[str, str] = {}
    not_personal = {
        "name": "which work",
        "token": "counts the holders",
        "beat": "counts the holder's signs of life",
        "held": "whether somebody is at it",
    }
