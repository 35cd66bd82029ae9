"""Sessions by the site's clock and the policy's period, not by the machine's time; only digests of keys are stored.

Django's own store asks the machine when a session ends. With a clock file the two differ by years, and a policy with a
longer or shorter period would go unheard. The row and the cookie end with the record `session` of the policy.

A session key is renewed while other requests with the old one are under way. Such a request may neither bring the old
row back (`save` updates only a row that exists) nor take the new cookie from the browser (a cookie is deleted only by
the request that ended its session).
"""

import time
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, CreateError, SessionBase, UpdateError
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.crypto import get_random_string
from django.utils.http import http_date

from imgnom.custody.in_force import policy_in_force
from imgnom.custody.prepared import Prepared
from imgnom.policy.public import ends_at
from imgnom.site.clock import stamped
from imgnom.web.session_keys import SESSION_KEY_FORM, SESSION_KEY_LENGTH, stored_session_key

_ALIVE = Prepared(
    lambda key, now: Session.objects.filter(session_key=key, expire_date__gt=now).values_list("session_data"),
    str,
    datetime,
)


class SessionStore(SessionBase):
    """Rows of Django's session table under digests of their keys."""

    was_flushed = False

    def _validate_session_key(self, key: str | None) -> bool:
        return bool(key) and SESSION_KEY_FORM.fullmatch(str(key)) is not None

    def load(self) -> dict[str, Any]:
        key = self.session_key
        found = _ALIVE.first(stored_session_key(key), stamped()) if key else None
        if found is None:
            self._session_key = None
            return {}
        return self.decode(found[0])

    def exists(self, session_key: str) -> bool:
        return Session.objects.filter(session_key=stored_session_key(session_key)).exists()

    def create(self) -> None:
        self._session_key = get_random_string(SESSION_KEY_LENGTH, VALID_KEY_CHARS)
        self.save(must_create=True)
        self.modified = True

    def save(self, must_create: bool = False) -> None:  # noqa: FBT002 - Django's signature
        """Raises UpdateError when the row has gone meanwhile: it is never written anew."""
        if self.session_key is None:
            self.create()
            return
        key = stored_session_key(self.session_key)
        row = {
            "session_data": self.encode(self._content(new=must_create)),
            "expire_date": self.get_expiry_date(),
        }
        if not must_create:
            if not Session.objects.filter(session_key=key).update(**row):
                raise UpdateError
            return
        try:
            with transaction.atomic():
                Session.objects.create(session_key=key, **row)
        except IntegrityError:
            raise CreateError from None

    def _content(self, *, new: bool) -> dict[str, Any]:
        if new and not hasattr(self, "_session_cache"):
            self._session_cache: dict[str, Any] = {}
        return dict(self.items())

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            Session.objects.filter(session_key=stored_session_key(key)).delete()

    def flush(self) -> None:
        super().flush()
        self.was_flushed = True

    def get_expiry_date(self, **_kwargs: Any) -> datetime:
        at, policy = stamped(), policy_in_force()
        return ends_at(policy.records["session"], at, policy.zone) or at

    def get_expiry_age(self, **_kwargs: Any) -> int:
        return max(0, int((self.get_expiry_date() - stamped()).total_seconds()))

    @classmethod
    def clear_expired(cls) -> None:
        Session.objects.filter(expire_date__lte=stamped()).delete()


class SessionMiddleware(DjangoSessionMiddleware):
    """Django's, but for what happens to a cookie whose session is no more."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        session = request.session
        if session.accessed:
            patch_vary_headers(response, ("Cookie",))
        if session.is_empty():
            if getattr(session, "was_flushed", False) and settings.SESSION_COOKIE_NAME in request.COOKIES:
                response.delete_cookie(
                    settings.SESSION_COOKIE_NAME,
                    path=settings.SESSION_COOKIE_PATH,
                    domain=settings.SESSION_COOKIE_DOMAIN,
                    samesite="Lax",
                )
                patch_vary_headers(response, ("Cookie",))
        elif session.modified and response.status_code < 500:
            self._save(request, response)
        return response

    def _save(self, request: HttpRequest, response: HttpResponse) -> None:
        session = request.session
        try:
            session.save()
        except UpdateError:
            return  # renewed or ended by another request; this one was answered by what was true when it began
        max_age = None if session.get_expire_at_browser_close() else session.get_expiry_age()
        response.set_cookie(
            settings.SESSION_COOKIE_NAME,
            session.session_key or "",
            max_age=max_age,
            expires=None if max_age is None else http_date(time.time() + max_age),
            domain=settings.SESSION_COOKIE_DOMAIN,
            path=settings.SESSION_COOKIE_PATH,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=settings.SESSION_COOKIE_HTTPONLY,
            samesite="Lax",
        )
        patch_vary_headers(response, ("Cookie",))
