"""Showing the ledger to a witness that is no folder: the worker's half, with the site's own way of sending mail (P6)."""

from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from imgnom.community.members.public import MailRefused, MailServerAway, send
from imgnom.custody.in_force import policy_in_force
from imgnom.custody.ledger.public import Told, WitnessAway, show_witness


def show_ledger(*, now: datetime, at_once: bool = False) -> Told:
    """The witness has the latest checkpoint, or the failure is written down."""

    def mail(address: str, note: str) -> None:
        origin, size = note.split("\n")[:2]
        message = EmailMessage()
        message["Subject"] = f"{origin}: checkpoint of {size} entries"
        message["From"] = f"imgnom <{policy_in_force().operator['contact'].en}>"
        message["To"] = address
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<checkpoint-{size}@imgnom.invalid>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(WORDS)
        name = f"checkpoint-{int(size):012d}.txt"
        message.add_attachment(
            note.encode(), maintype="text", subtype="plain", filename=name, params={"charset": "utf-8"}
        )
        try:
            send(message, name=f"{int(now.timestamp() * 1000):013d}witness")
        except MailRefused:
            raise WitnessAway("the mail server refused the letter") from None
        except MailServerAway:
            raise WitnessAway("the mail server is away") from None

    return show_witness(send=mail, now=now, at_once=at_once)


WORDS = """\
이 첨부 파일은 처리 기록의 봉인입니다. 지우지 말고 보관해 주십시오. 나중에 기록이 고쳐졌는지 이것으로 알 수 있습니다.

The file attached is a sealed checkpoint of the site's ledger. Keep it. With it anybody can tell later whether the
ledger was rewritten or cut:

    imgnom ledger verify --checkpoint FILE
    python verify_ledger.py --key KEY --checkpoint FILE EXPORT
"""
