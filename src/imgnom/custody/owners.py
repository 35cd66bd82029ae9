"""Whether this process reaches a store as its owner, or as the web server's role that may do less (design §4).

The owner migrates, upkeeps, seals the ledger and moves people into the archive; where the web server has roles of its
own, it leaves all of that to the worker. On SQLite whoever opens the file owns it.
"""

from django.db import connections

_known: dict[tuple[str, str, str], bool] = {}


def owns_store(alias: str) -> bool:
    """Asked once for each role: a change of owner is a restart."""
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return True
    facts = connection.settings_dict
    key = (alias, str(facts["USER"]), str(facts["NAME"]))
    if key not in _known:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class"
                " WHERE relname = 'outbox_outbox' AND relnamespace = current_schema()::regnamespace"
            )
            row = cursor.fetchone()
        if row is None:  # not migrated yet: nothing to own
            return True
        _known[key] = bool(row[0])
    return _known[key]
