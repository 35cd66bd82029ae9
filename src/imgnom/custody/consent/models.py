from django.db import models


class Consent(models.Model):
    """One act of consent or of taking it back. Rows are added, never changed."""

    subject = models.CharField(max_length=32, db_index=True)
    kind = models.CharField(max_length=40)
    given = models.BooleanField()
    text_digest = models.CharField(max_length=64)
    policy_digest = models.CharField(max_length=64)
    way = models.CharField(max_length=24)
    at = models.DateTimeField()
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True, db_index=True)

    personal = {"kind": "consent_record", "given": "consent_record", "at": "consent_record", "way": "consent_record"}
    not_personal = {
        "id": "a number of the row",
        "subject": "random; a fresh one after leaving",
        "text_digest": "which text",
        "policy_digest": "which policy",
        "starts_at": "when its period began",
        "ends_at": "when the row is destroyed",
    }


class PolicyVersion(models.Model):
    """One time that a policy came into force. Rows are added, never changed; a policy that returns gets a new row."""

    number = models.PositiveIntegerField(unique=True)
    digest = models.CharField(max_length=64, db_index=True)
    policy_id = models.CharField(max_length=64)
    version = models.CharField(max_length=32)
    effective = models.DateField()
    adopted_at = models.DateTimeField()
    carried_out = models.BooleanField(default=False)
    source = models.JSONField()
    facts = models.JSONField()
    words = models.JSONField()

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "number": "which in the row of versions",
        "digest": "of the policy",
        "policy_id": "of the policy",
        "version": "of the policy",
        "effective": "of the policy",
        "adopted_at": "when the site took it",
        "carried_out": "whether stored due dates follow it yet",
        "source": "the policy file as it was; public",
        "facts": "what the policy declares; public",
        "words": "the articles as people read them; public",
    }
