"""The sequencer: drains every store's outbox into the tree, one holder of the lease at a time.

A leaf is appended in one transaction of the ledger store and only then deleted from its outbox; a kill between the
two finds the leaf by its id next time, so nothing is lost and nothing enters twice.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime

import rfc8785
from django.db import connections, transaction

from imgnom.custody.ledger.merkle import leaf_hash, node_hash
from imgnom.custody.ledger.models import Leaf, Lease, Node
from imgnom.custody.outbox.models import Outbox
from imgnom.custody.owners import owns_store
from imgnom.custody.prepared import Prepared
from imgnom.custody.transactions import ensure_outermost

LEASE_SECONDS = 30.0
BATCH = 500
WAIT_SECONDS = 0.02
NAME = "sequencer"


class _LeaseLost(Exception):
    """The holder slept past its lease and somebody else goes on."""


def take_lease() -> int | None:
    """The fencing token of a fresh lease, or None while somebody else holds it. Real time, never the site's clock."""
    with transaction.atomic(using="ledger"):
        Lease.objects.get_or_create(name=NAME)
        taken = Lease.objects.filter(name=NAME, until__lt=time.time())
        row = taken.select_for_update().first()
        if row is None:
            return None
        row.token += 1
        row.until = time.time() + LEASE_SECONDS
        row.save(update_fields=["token", "until"])
        return int(row.token)


def give_back(token: int) -> None:
    Lease.objects.using("ledger").filter(name=NAME, token=token).update(until=0)


def free_leases() -> None:
    """After a restore: whoever held one when the copy was made is not here."""
    Lease.objects.update(until=0)


def canonical(payload: str) -> bytes:
    return rfc8785.dumps(json.loads(payload))


_LAST = Prepared(lambda: Leaf.objects.order_by("-index").values_list("index")[:1])
_NODE = Prepared(lambda level, index: Node.objects.filter(level=level, index=index).values_list("digest"), int, int)


def tree_size() -> int:
    last = _LAST.first()
    return last[0] + 1 if last else 0


def node_at(level: int, index: int) -> bytes:
    """The root of a complete subtree. Raises Node.DoesNotExist."""
    found = _NODE.first(level, index)
    if found is None:
        raise Node.DoesNotExist
    return bytes(found[0])


class _Tree:
    """Appends leaves, keeping the hash of every complete subtree."""

    def __init__(self) -> None:
        self.size = tree_size()
        self._fresh: dict[tuple[int, int], bytes] = {}

    def _node(self, level: int, index: int) -> bytes:
        found = self._fresh.get((level, index))
        return found if found is not None else node_at(level, index)

    def append(self, entry: bytes) -> int:
        index = place = self.size
        self._fresh[0, index] = leaf_hash(entry)
        level = 0
        while place & 1:
            self._fresh[level + 1, place >> 1] = node_hash(self._node(level, place - 1), self._node(level, place))
            place >>= 1
            level += 1
        self.size += 1
        return index

    def store(self) -> None:
        Node.objects.bulk_create(
            [Node(level=level, index=index, digest=digest) for (level, index), digest in self._fresh.items()]
        )


def _append_batch(rows: list[Outbox], token: int) -> int:
    with transaction.atomic(using="ledger"):
        lease = Lease.objects.select_for_update().filter(name=NAME, token=token).first()
        if lease is None:
            raise _LeaseLost
        lease.until = time.time() + LEASE_SECONDS
        lease.save(update_fields=["until"])
        known = set(Leaf.objects.filter(leaf_id__in=[row.leaf_id for row in rows]).values_list("leaf_id", flat=True))
        tree = _Tree()
        leaves = []
        for row in rows:
            if row.leaf_id not in known:
                entry = canonical(row.payload)
                leaves.append(Leaf(index=tree.append(entry), leaf_id=row.leaf_id, payload=entry.decode()))
        Leaf.objects.bulk_create(leaves)
        tree.store()
        return len(leaves)


def sequence(*, now: datetime) -> int:
    """Append all that waits in any store; returns how many leaves were added. Somebody else at it, or not ours to do: 0.

    Raises InsideTransaction: what is not committed yet may still be undone, and the ledger forgets nothing.
    """
    ensure_outermost("an entry into the ledger")
    if not owns_store("ledger"):
        return 0
    waiting = [alias for alias in connections if Outbox.objects.using(alias).exists()]
    if not waiting:
        return 0
    token = take_lease()
    if token is None:
        return 0
    try:
        return _drain(waiting, token)
    finally:
        give_back(token)


def _drain(waiting: Iterable[str], token: int) -> int:
    """What waits in these stores is in the tree, or as much of it as the lease allowed."""
    stores, added = list(waiting), 0
    with suppress(_LeaseLost):
        while stores:
            found = {alias: list(Outbox.objects.using(alias).order_by("id")[:BATCH]) for alias in stores}
            rows = [row for of_one in found.values() for row in of_one]
            added += _append_batch(rows, token) if rows else 0
            for alias, of_one in found.items():
                if of_one:
                    _take_out(alias, [row.id for row in of_one])
            stores = [alias for alias, of_one in found.items() if len(of_one) == BATCH]
    return added


def waiting_payloads(leaf_ids: Sequence[str]) -> list[tuple[str, str]]:
    """(id, payload) of those of these acts that wait in any store."""
    return [
        row
        for alias in connections
        for row in Outbox.objects.using(alias).filter(leaf_id__in=leaf_ids).values_list("leaf_id", "payload")
    ]


def waiting_in_ledger() -> Iterator[tuple[str, str]]:
    """(id, payload) of every act that waits in the ledger's own store."""
    waiting = Outbox.objects.using("ledger").order_by("pk")
    yield from waiting.values_list("leaf_id", "payload").iterator(chunk_size=BATCH)


def _take_out(alias: str, numbers: list[int]) -> None:
    """Written out: nothing hangs on an act that waits, and the ORM would look for it each time."""
    places = ", ".join(["%s"] * len(numbers))
    with connections[alias].cursor() as cursor:
        cursor.execute(f"DELETE FROM {Outbox._meta.db_table} WHERE id IN ({places})", numbers)  # noqa: S608 - a name of ours


@contextmanager
def held_still(*, now: datetime) -> Iterator[None]:
    """Every act up to now is in the tree, and none enters while the block begins: the moment to copy the ledger.

    Waits for whoever holds the lease. Raises InsideTransaction.
    """
    ensure_outermost("a copy of the ledger")
    while (token := take_lease()) is None:
        time.sleep(WAIT_SECONDS)
    try:
        _drain(connections, token)
        yield
    finally:
        give_back(token)
