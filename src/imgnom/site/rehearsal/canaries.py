"""Random values that stand nowhere else in the world, so that a find is a leak and not a coincidence."""

import secrets
from dataclasses import dataclass, field

import pyvips

from imgnom.policy.public import Policy

_SYLLABLES = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허고노도로모보소오조초코토포호"


def hangul(length: int = 8) -> str:
    return "".join(secrets.choice(_SYLLABLES) for _ in range(length))


def latin(length: int = 14) -> str:
    return "".join(secrets.choice("bcdfghjkmnpqrstvwxz23456789") for _ in range(length))


@dataclass
class Person:
    """One member of the rehearsal and every value that is planted for them."""

    name: str
    choice: str | None
    username: str = field(default_factory=lambda: "u" + latin())
    password: str = field(default_factory=lambda: f"Pw-{latin(18)}")
    nickname: str = field(default_factory=hangul)
    email: str = field(default_factory=lambda: f"{latin()}@{latin(10)}.example")
    agent: str = field(default_factory=lambda: f"Mozilla/5.0 (X11; Linux x86_64) Rehearsal/{latin()}")
    title: str = field(default_factory=lambda: hangul(9))
    description: str = field(default_factory=lambda: hangul(12))
    alt: str = field(default_factory=lambda: hangul(10))
    tag: str = field(default_factory=lambda: latin(12))
    comment: str = field(default_factory=lambda: hangul(14))
    private_title: str = field(default_factory=lambda: hangul(11))
    artist: str = field(default_factory=lambda: latin(16))
    serial: str = field(default_factory=lambda: latin(16))
    xmp: str = field(default_factory=lambda: latin(16))
    file_name: str = field(default_factory=lambda: latin(16))
    extras: dict[str, str] = field(default_factory=dict)
    picture: str = ""
    private_picture: str = ""
    receipt: str = ""

    def sealed(self) -> dict[str, str]:
        """What must never stand in plain anywhere, not even while the account lives."""
        return {f"{self.name}:{n}": getattr(self, n) for n in ("username", "password", "email", "agent")} | {
            f"{self.name}:{n}": value for n, value in self.extras.items()
        }

    def hidden(self) -> dict[str, str]:
        """What came inside the picture and must be gone before the first write."""
        return {f"{self.name}:{n}": getattr(self, n) for n in ("artist", "serial", "xmp", "file_name")}

    def published(self) -> dict[str, str]:
        return {f"{self.name}:{n}": getattr(self, n) for n in ("nickname", "title", "description", "alt", "comment")}

    def everything(self) -> dict[str, str]:
        return self.sealed() | self.hidden() | self.published() | {f"{self.name}:private_title": self.private_title}


def make_person(name: str, choice: str | None, policy: Policy) -> Person:
    """A person with a value for every item that the registration form of this policy asks for."""
    person = Person(name, choice)
    usual = {"username", "password", "nickname", "email"}
    for key, item in policy.items.items():
        if item.collected == "registration" and key not in usual:
            person.extras[key] = latin(12)
    return person


def photograph(person: Person) -> bytes:
    """A JPEG with a place, an artist, a serial number and an XMP packet, all of them canaries."""
    colour = [secrets.randbelow(200) for _ in range(3)]
    image = pyvips.Image.black(640, 480, bands=3).linear([1, 1, 1], colour).cast("uchar").copy(interpretation="srgb")
    text = pyvips.GValue.gstr_type
    image.set_type(text, "exif-ifd0-Artist", person.artist)
    image.set_type(text, "exif-ifd2-BodySerialNumber", person.serial)
    image.set_type(text, "exif-ifd3-GPSLatitudeRef", "N")
    image.set_type(text, "exif-ifd3-GPSLatitude", "37/1 33/1 1234/100")
    packet = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><creator>{person.xmp}</creator></rdf:RDF></x:xmpmeta>'
    image.set_type(pyvips.GValue.blob_type, "xmp-data", packet.encode())
    return bytes(image.write_to_buffer(".jpg", Q=85, keep="all"))
