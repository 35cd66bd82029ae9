"""Sessions by the site's clock and the policy's period, not by the machine's time.

Django's own store asks the machine when a session ends. With a clock file the two differ by years, and a policy with a
longer or shorter period would go unheard. The row and the cookie end with the record `session` of the policy.
"""

from datetime import datetime
from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session

from imgnom.custody.in_force import policy_in_force
from imgnom.custody.prepared import Prepared, as_row, columns_of
from imgnom.policy.public import ends_at
from imgnom.site.clock import stamped

_ROW = columns_of(Session)
_ALIVE = Prepared(
    lambda key, now: Session.objects.filter(session_key=key, expire_date__gt=now).values_list(*_ROW), str, datetime
)


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def _get_session_from_db(self) -> Session | None:
        found = _ALIVE.first(self.session_key or "", stamped())
        if found is None:
            self._session_key = None
            return None
        return as_row(Session, found)

    def get_expiry_date(self, **_kwargs: Any) -> datetime:
        at, policy = stamped(), policy_in_force()
        return ends_at(policy.records["session"], at, policy.zone) or at

    def get_expiry_age(self, **_kwargs: Any) -> int:
        return max(0, int((self.get_expiry_date() - stamped()).total_seconds()))

    @classmethod
    def clear_expired(cls) -> None:
        Session.objects.filter(expire_date__lte=stamped()).delete()
