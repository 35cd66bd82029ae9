"""What a policy file may say but a reader should know: where it departs from the published document, or from the law.

Refused is what contradicts the machine (`load.py`); warned about is what the machine carries out all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from imgnom.policy.examples import is_example_address
from imgnom.policy.types import Period, Policy, Text

THREE_MONTHS = (0, 3, 0, 0)


@dataclass(frozen=True)
class Notice:
    clause: str
    text: Text


def _length(period: object) -> tuple[int, int, int, int] | None:
    return (period.years, period.months, period.days, period.seconds) if isinstance(period, Period) else None


def _identity(policy: Policy) -> Iterator[Notice]:
    record = policy.records["identity_after_leaving"]
    if record.scope != "nobody" and _length(record.period) != THREE_MONTHS:
        yield Notice(
            "A3.1",
            Text(
                f"탈퇴 뒤의 신원 정보를 {record.period} 동안 둡니다. 발표된 방침은 석 달까지라고 했습니다.",
                f"identity after leaving is kept for {record.period}; the document as published says up to three months",
            ),
        )


def _visitors(policy: Policy) -> Iterator[Notice]:
    for name in ("access_records_member", "access_records_visitor"):
        record = policy.records[name]
        length = _length(record.period)
        if length is not None and length[0] * 12 + length[1] + length[2] / 31 < 3:
            yield Notice(
                record.article,
                Text(
                    f"{record.label.ko}: 석 달보다 짧습니다. 통신사실확인자료를 석 달 두어야 하는 사이트라면 어긋납니다.",
                    f"{record.label.en} live less than three months, which a site bound to keep log data may not do",
                ),
            )


def _addresses(policy: Policy) -> Iterator[Notice]:
    for clause, words in (("A9.3", policy.officer["email"]), ("A0.1", policy.operator["contact"])):
        if is_example_address(words.en) or is_example_address(words.ko):
            yield Notice(
                clause,
                Text(
                    f"{words.ko}: 보기로 적은 주소라 아무도 읽지 않습니다.",
                    f"{words.en} is an example; nobody reads it",
                ),
            )


def _readings(policy: Policy) -> Iterator[Notice]:
    if policy.setting("banner") == "literal":
        yield Notice(
            "B2", Text("계속 보는 것은 동의가 되지 않습니다.", "going on reading is no consent before the law")
        )
    if policy.setting("processor_consent") != "each_member":
        yield Notice(
            "A6.1",
            Text("발표된 방침은 회원의 동의 없이 맡기지 않는다고 했습니다.", "the document as published entrusts nothing without the member's consent"),
        )  # fmt: skip
    if policy.effective.year < 2024 or (policy.effective.year, policy.effective.month, policy.effective.day) < (
        2024,
        3,
        4,
    ):
        yield Notice(
            "S1", Text("발표된 방침보다 먼저 시행할 수는 없습니다.", "it would apply before the document was published")
        )


def notices_of(policy: Policy) -> tuple[Notice, ...]:
    """In the order of the document's articles."""
    return tuple(
        sorted(
            (*_identity(policy), *_visitors(policy), *_addresses(policy), *_readings(policy)), key=lambda w: w.clause
        )
    )
