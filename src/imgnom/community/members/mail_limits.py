"""How many messages one mailbox gets, whoever asks for them (threat Q2).

6 an hour and 15 a day by the site's clock. Of these, strangers may cause 5 and 12, and one network or one member 4 and
8, so that one of them alone stops nobody else's codes. The rest is reserved for messages that the owner caused while
signed in or on a known browser, and for notices of what happened to the account. What does not fit is dropped without
a word to whoever asked; a notice waits instead. Counted when a message is sent, after the answer to the request, by
keyed digests that are destroyed after a day.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from imgnom.community.members.codes import mailbox_key
from imgnom.community.members.models import SentMessage
from imgnom.custody.guard.public import canonical_email
from imgnom.custody.keys.public import derive, keyed_digest
from imgnom.web.address import limit_networks

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Share:
    an_hour: int
    a_day: int

    def has_room(self, sent: list[datetime], now: datetime) -> bool:
        return len(sent) < self.a_day and sum(at > now - HOUR for at in sent) < self.an_hour


OF_MAILBOX, OF_STRANGERS, OF_ONE_SOURCE = Share(6, 15), Share(5, 12), Share(4, 8)


def _digest(use: str, text: str) -> str:
    return keyed_digest(derive(settings.SECRET_KEY.encode(), use), text.encode()).hex()


def lane_of(typed: str) -> str:
    """One lane of the queue: a mailbox, or whatever was typed or is known instead of it."""
    return _digest("mail lane", typed)


def network_source(address: str) -> str:
    """The widest network of an address: one customer has no more than that."""
    return _digest("mail source", limit_networks(address)[-1][0])


def member_source(subject: str) -> str:
    return _digest("mail source", subject)


def lane_of_address(address: str) -> str:
    return lane_of(mailbox_key(canonical_email(address)))


def take_place(address: str, source: str, *, now: datetime) -> SentMessage | None:
    """A place among the messages that this mailbox may get; None where there is none left. No `source`: reserved."""
    mailbox = lane_of_address(address)
    rows = list(SentMessage.objects.filter(mailbox=mailbox, sent_at__gt=now - DAY).values_list("source", "sent_at"))
    mark = _digest("mail source of a mailbox", f"{mailbox}\0{source}") if source else ""
    shares = [(OF_MAILBOX, rows)]
    if source:
        shares += [(OF_STRANGERS, [r for r in rows if r[0]]), (OF_ONE_SOURCE, [r for r in rows if r[0] == mark])]
    if not all(share.has_room([at for _, at in counted], now) for share, counted in shares):
        return None
    return SentMessage.objects.create(mailbox=mailbox, source=mark, sent_at=now, ends_at=now + DAY)
