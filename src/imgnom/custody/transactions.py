"""What Django's transactions do not say by themselves: not inside any store's, and one at a time on every end.

Six stores share no transaction. An act that must be recorded before it happens (a reading, a turn of the epoch, an
entry into the ledger) would be undone halfway if it stood inside somebody's open transaction, so it refuses to.
"""

from django.db import connections


class InsideTransaction(RuntimeError):
    """The act stands inside an open transaction of the named store and could be half undone."""


def ensure_outermost(what: str) -> None:
    """No store has an open transaction in this thread. Raises InsideTransaction.

    The transaction that a test case puts around each test is no caller's and does not count, as with Django's
    `durable`.
    """
    for alias in connections:
        blocks = connections[alias].atomic_blocks
        if blocks and not getattr(blocks[-1], "_from_testcase", False):
            raise InsideTransaction(f"{what} inside an open transaction of the store {alias}")


def hold_lock(store: str, name: str, *, shared: bool = False) -> None:
    """Wait for a lock that lasts until the transaction of `store` ends; sharers exclude only who does not share.

    PostgreSQL runs transactions side by side. SQLite needs no lock here: its writing transactions begin IMMEDIATE
    and so stand in a row already. Raises InsideTransaction's opposite, RuntimeError, outside a transaction.
    """
    connection = connections[store]
    if not connection.in_atomic_block:
        raise RuntimeError(f"the lock {name!r} needs a transaction of the store {store}")
    if connection.vendor != "postgresql":
        return
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtextextended(%s, 0))", [f"imgnom {name}"])
