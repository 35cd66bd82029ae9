from django.db import models


class Leaf(models.Model):
    """One act. Its place in the tree is `index`, from 0 without a gap."""

    index = models.BigIntegerField(unique=True)
    leaf_id = models.CharField(max_length=32, unique=True)
    payload = models.TextField()

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "index": "its place in the tree",
        "leaf_id": "random",
        "payload": "an act in random tokens, clause and item names; never a value",
    }


class Node(models.Model):
    """The hash of a complete subtree of 2**level leaves."""

    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    digest = models.BinaryField()

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "level": "height of the subtree",
        "index": "place of the subtree",
        "digest": "a hash of leaves",
    }

    class Meta:
        constraints = [models.UniqueConstraint(fields=["level", "index"], name="ledger_one_node_per_place")]


class Checkpoint(models.Model):
    """A signed statement of size and root."""

    size = models.BigIntegerField(unique=True)
    note = models.TextField()
    made_at = models.DateTimeField()
    seal = models.CharField(max_length=64)

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "size": "leaves covered",
        "note": "size, root, signature",
        "made_at": "when it was signed",
        "seal": "over the row",
    }


class Lease(models.Model):
    """Who may append just now; the token fences off a holder that slept past its lease."""

    name = models.CharField(max_length=32, unique=True)
    token = models.BigIntegerField(default=0)
    until = models.FloatField(default=0)

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "name": "what is leased",
        "token": "fencing token",
        "until": "real time, seconds",
    }


class Certificate(models.Model):
    """What was destroyed, how and when; of no person."""

    number = models.CharField(max_length=32, unique=True)
    reference = models.CharField(max_length=96, unique=True, null=True)  # noqa: DJ001 - none where nothing repeats
    content = models.TextField()
    signature = models.TextField()
    grade = models.CharField(max_length=16)
    leaf_id = models.CharField(max_length=32)
    key_ids = models.TextField()
    made_at = models.DateTimeField()
    final_leaf_id = models.CharField(max_length=32, default="")
    seal = models.CharField(max_length=64)

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "number": "random",
        "reference": "which destruction, in random tokens: repeated after a kill it gets the same certificate",
        "content": "items, counts, method, clause: no person",
        "signature": "over the content",
        "grade": "cryptographic or final",
        "leaf_id": "the ledger's entry of it",
        "key_ids": "random ids of keys that no longer exist",
        "made_at": "when it was issued",
        "final_leaf_id": "the ledger's entry of its final grade",
        "seal": "over the row",
    }


class Intent(models.Model):
    """The destruction list: what was meant to be destroyed, before anything was; replayed after a restore."""

    intent_id = models.CharField(max_length=32, unique=True)
    reference = models.CharField(max_length=96, unique=True, null=True)  # noqa: DJ001 - none where nothing repeats
    what = models.CharField(max_length=64)
    key_ids = models.TextField()
    clause = models.CharField(max_length=16)
    made_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    seal = models.CharField(max_length=64)

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "intent_id": "random",
        "reference": "which destruction, in random tokens: repeated after a kill it is the same intent",
        "what": "the kind of record",
        "key_ids": "random ids of keys",
        "clause": "why",
        "made_at": "when",
        "done_at": "when its certificate stood, where somebody waits for one",
        "seal": "over the row",
    }


class Receipt(models.Model):
    """What a receipt says, kept beside the acts: the site may come back from a copy that is older than the receipt."""

    number = models.CharField(max_length=32, unique=True)
    choice = models.CharField(max_length=12)
    language = models.CharField(max_length=2)
    state = models.CharField(max_length=16)
    lines = models.JSONField()
    policy_digest = models.CharField(max_length=64)
    archive_ref = models.CharField(max_length=32)
    letter = models.CharField(max_length=32)
    leaves = models.JSONField()
    certificates = models.JSONField()
    starts_at = models.DateTimeField()
    seal = models.CharField(max_length=64)

    personal: dict[str, str] = {}
    not_personal = {
        "id": "a number of the row",
        "number": "random; whoever holds it may ask",
        "choice": "keep, anonymise or delete",
        "language": "ko or en",
        "state": "how far the withdrawal was",
        "lines": "record names and dates",
        "policy_digest": "which policy",
        "archive_ref": "random",
        "letter": "random, of the letter with the number",
        "leaves": "random ids",
        "certificates": "numbers",
        "starts_at": "when",
        "seal": "over the row",
    }


class Tally(models.Model):
    """How many rows a table has: of a table whose rows no entry of the ledger counts, a deleted one is missed by this."""

    table = models.CharField(max_length=64, unique=True)
    rows = models.BigIntegerField()
    seal = models.CharField(max_length=64)

    personal: dict[str, str] = {}
    not_personal = {"id": "a number of the row", "table": "a name", "rows": "a count", "seal": "over the row"}
