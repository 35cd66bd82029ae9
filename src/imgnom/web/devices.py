"""Browser family, system and class of a device, read coarsely from the User-Agent: no fingerprint (A1.2 d)."""

_BROWSERS = (
    ("Edg/", "Edge"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Whale/", "Whale"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def describe(agent: str) -> str:
    browser = next((name for mark, name in _BROWSERS if mark in agent), "—")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "—")
    kind = "phone" if "Mobile" in agent or system in ("Android", "iOS") else "computer"
    return f"{browser} · {system} · {kind}"


def device_words(label: str, lang: str) -> str:
    """The same in the reader's language."""
    named = {"phone": "휴대전화", "computer": "컴퓨터"} if lang == "ko" else {}
    return " · ".join(named.get(part, part) for part in label.split(" · "))
