"""What every request carries once the middleware has looked at it: who, when, in which language."""

from datetime import datetime
from typing import Protocol

from django.http import HttpRequest, QueryDict

from imgnom.policy.public import Actor


class SignedIn(Protocol):
    """A member as pages may know one. The row behind it belongs to the members' room."""

    pk: int
    subject: str
    nickname: str
    role: str
    joined_at: datetime

    def check_password(self, raw_password: str) -> bool: ...


class Request(HttpRequest):
    """Annotations only: the middleware sets these on Django's own request."""

    member: SignedIn | None
    actor: Actor
    access_note: tuple[str, str | None]
    half_subject: str  # whose password was right while the second factor is owed
    now: datetime
    lang: str
    known_browser_cookie: str  # set by the members app, written by its middleware
    is_asked_about: bool  # the server asks whether it may read the body, and nothing else happens


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: a form that was sent empty is wrong input, not a look at the form."""
    return request.POST if request.method == "POST" else None


class MemberRequest(Request):
    """A request behind `login_required_page`: somebody is signed in."""

    member: SignedIn
