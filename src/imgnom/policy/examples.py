"""Names, addresses and telephone numbers that stand for nobody: those that come with imgnom, and those that are made for examples.

A site that shows them tells people to write where nobody reads. Source: RFC 2606 and RFC 6761 (reserved names).
"""

import re
from collections.abc import Iterator

from imgnom.policy.types import Policy, Text

RESERVED_ENDS = ("example", "invalid", "test", "localhost", "localdomain")
# Any domain with this label is an example: example.com, example.co.kr, mail.example.org.
RESERVED_LABEL = "example"
# What policies/imgnom says, what people write before they know, and the John Does of both languages.
NAMES = (
    "imgnom 운영자", "the operator of imgnom", "operator of imgnom", "운영자", "운영 주체", "사이트 운영자", "operator", "the operator",
    "site operator", "관리자", "사이트 관리자", "administrator", "the administrator", "admin", "site administrator", "보호책임자", "개인정보 보호책임자",
    "개인정보 관리책임자", "담당자", "책임자", "officer", "privacy officer", "the privacy officer", "data protection officer", "홍길동",
    "아무개", "김아무개", "이름", "성명", "예시", "회사명", "john doe", "jane doe", "name", "your name", "full name", "company",
    "your company", "company name", "changeme", "change me", "todo", "tbd", "none", "n/a", "미정", "없음", "xxx",
)  # fmt: skip
_NAMES_UNSPACED = frozenset(name.replace(" ", "") for name in NAMES)
# Several may stand in one text, each with a name before it.
MAILBOX = re.compile(r"([^\s,;<>()@]{0,64})@([^\s,;<>()@]{0,255})")
PLACEHOLDER = re.compile(
    r"\bexample\b|예시|예제|change ?me\b|\byour (?:name|company)|\btodo\b|lorem ipsum|\bplaceholder\b|<[^>]*>|\{\{|\[[^\]]*\]|^\W*$|^(.)\1+$"
)
PHONE = re.compile(r"\+?[\d\s().-]{7,}")
# 02-000-0000, 010-1234-5678, 555-0100 and the like.
PHONE_OF_NOBODY = re.compile(r"^(?:82|0)?\d{0,2}(?:0{7,8}|12345678?)$|55501\d\d$")
# No name, address or number is longer; what is longer is not looked at.
MAX_LENGTH = 300


def _plain(text: str) -> str:
    """One spelling of a short text. Policy files are the operator's own, and the text is bounded before it is read."""
    return " ".join(text[:MAX_LENGTH].split()).casefold()


def is_example_host(host: str) -> bool:
    labels = host.casefold().rstrip(".").split(".")
    return labels[-1] in RESERVED_ENDS or RESERVED_LABEL in labels[-3:]


def is_example_address(address: str) -> bool:
    """True where no mailbox is told, or one that nobody can own, or one at a bare IP address or machine name."""
    mailboxes = MAILBOX.findall(address[:MAX_LENGTH])
    return not mailboxes or any(_is_nobodys(local, domain) for local, domain in mailboxes)


def _is_nobodys(local: str, domain: str) -> bool:
    is_number = domain.startswith("[") or domain.replace(".", "").isdigit()
    is_machine = "." not in domain.rstrip(".")
    is_nobody = not local or _plain(local) in ("changeme", "your-name", "yourname")
    return is_nobody or is_number or is_machine or is_example_host(domain)


def is_example_name(name: str) -> bool:
    plain = _plain(name)
    return plain.replace(" ", "") in _NAMES_UNSPACED or bool(PLACEHOLDER.search(plain))


def is_example_number(text: str) -> bool:
    if not PHONE.fullmatch(text.strip()):
        return False
    return bool(PHONE_OF_NOBODY.search(re.sub(r"\D", "", text)))


def _is_example(key: str, value: str) -> bool:
    if "@" in value or key in ("email", "contact"):
        return is_example_address(value.strip())
    return is_example_number(value) or is_example_name(value)


def _of(table: str, told: dict[str, Text]) -> Iterator[tuple[str, str]]:
    for key, text in told.items():
        for value in dict.fromkeys((text.ko, text.en)):
            if _is_example(key, value):
                yield f"{table}.{key}", value


def example_contacts(policy: Policy) -> tuple[tuple[str, str], ...]:
    """(key of the policy file, what it says) for each name, address or number of operator and officer that is an example."""
    return (*_of("operator", dict(policy.operator)), *_of("officer", dict(policy.officer)))
