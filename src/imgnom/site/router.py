"""Which store each room's tables live in. The outbox exists in every store; nothing else crosses."""

from typing import Any

from django.db.models import Model

STORE_OF_ROOM = {
    "keys": "keys",
    "vault": "vault",
    "consent": "vault",
    "guard": "vault",
    "archive": "archive",
    "ledger": "ledger",
    "visits": "logs",
}
EVERYWHERE = "outbox"


class StoreRouter:
    def db_for_read(self, model: type[Model], **_hints: Any) -> str | None:
        if model._meta.app_label == EVERYWHERE:
            return None
        return STORE_OF_ROOM.get(model._meta.app_label, "default")

    db_for_write = db_for_read

    def allow_relation(self, a: Model, b: Model, **_hints: Any) -> bool:
        return self.db_for_read(type(a)) == self.db_for_read(type(b))

    def allow_migrate(self, db: str, app_label: str, **_hints: Any) -> bool:
        return app_label == EVERYWHERE or STORE_OF_ROOM.get(app_label, "default") == db
