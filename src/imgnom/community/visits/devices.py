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
