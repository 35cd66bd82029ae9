"""Scenes before anybody has joined: the hunter sees, and the promises are read without an account."""

import base64
import gzip
import json
import re
import unicodedata
import urllib.parse
import zlib

from imgnom.site.rehearsal.canaries import hangul, latin
from imgnom.site.rehearsal.stage import Stage
from imgnom.site.rehearsal.visitor import Visitor

PUBLIC_PAGES = (
    "/",
    "/terms",
    "/privacy",
    "/privacy/versions",
    "/privacy/cookies",
    "/privacy/board",
    "/signup",
    "/login",
)
# What a browser fetches by itself: scripts, pictures, frames, media, and the hrefs of <link>.
FETCHED = re.compile(r'(?:\bsrc|<link\b[^>]*\bhref)="([^"]+)"')


def hunter_is_not_blind(stage: Stage) -> None:
    """Before anything is called clean, one canary in every disguise must be found."""
    stage.say("planting canaries that must be found")
    word, name = latin(20), hangul(9)
    traps = {
        "plain.txt": f"x{word}x".encode(),
        "wide.bin": word.encode("utf-16-le"),
        "hex.txt": word.encode().hex().encode(),
        "url.txt": urllib.parse.quote(name).encode(),
        "json.txt": json.dumps(name).encode(),
        "decomposed.txt": unicodedata.normalize("NFD", name).encode(),
        "packed.gz": gzip.compress(f"…{word}…".encode()),
        "packed.bin": b"\0\1" + zlib.compress(f"…{name}…".encode()),
        **{f"base64-{lead}.txt": base64.b64encode(b"-" * lead + word.encode() + b"--") for lead in range(3)},
    }
    folder = stage.home / "traps"
    folder.mkdir()
    for file, content in traps.items():
        (folder / file).write_bytes(content)
    found = {find.file.removeprefix("traps/") for find in stage.hunt({"word": word, "name": name})}
    for file in traps:
        (folder / file).unlink()
    folder.rmdir()
    missed = sorted(set(traps) - found)
    stage.prove("I12", not missed, f"canaries in {len(traps)} disguises are found", f"the hunt is blind to {missed}")


def pages_without_an_account(stage: Stage) -> None:
    stage.say("reading the promises without an account")
    reader = stage.visitor("Visitor/reader")
    page, facts = reader.get("/privacy"), reader.get("/privacy.json").json()
    date = stage.policy.effective
    ways = (date.isoformat(), f"{date.year}년 {date.month}월 {date.day}일")
    stage.prove(
        "A0.2 S1",
        page.status == 200 and any(way in page.text for way in ways),
        "the policy and its effective date are read without login or cookie",
    )
    stage.prove("A0.2 I1", set(facts["items"]) == set(stage.policy.items), "/privacy.json lists the items of the file")
    unnamed = [item.id for item in stage.policy.items.values() if item.label.ko not in page.text]
    stage.prove("A1.0", not unnamed, "the page names every item of the file", f"the page does not name {unnamed}")
    asked = reader.get("/signup?age_group=14_or_older").text
    wanted = [key for key, item in stage.policy.items.items() if item.collected == "registration"]
    fields = {"password1" if key == "password" else key for key in wanted}
    own = {"csrfmiddlewaretoken", "age_group", "agree_terms", "agree_privacy", "next", "lang", "choice", "q"}
    shown = set(re.findall(r'<(?:input|textarea|select)[^>]*\bname="([^"]+)"', asked)) - own
    optional = {f"consent_{kind.id}" for kind in stage.policy.consents.values() if not kind.required}
    stage.prove(
        "A1.0 A1.1 I1",
        fields <= shown <= fields | optional,
        "the form asks for what the file lists and nothing else",
        f"the form asks {sorted(shown)}, the file lists {sorted(fields)}",
    )
    for path in PUBLIC_PAGES:
        answer = stage.visitor("Visitor/no-cookie").get(path)
        clauses = "A0.1 A8.3" if path == "/privacy/board" else "A8.3"
        stage.prove(
            clauses, answer.status == 200, f"{path} answers without a cookie", f"{path} answers {answer.status}"
        )
        away = [
            url for url in FETCHED.findall(answer.text) if not url.startswith(("/", "data:")) or url.startswith("//")
        ]
        stage.prove("A5.0 A6.1", not away, f"{path} loads nothing from elsewhere", f"{path} loads {away}")
        held = _only_from_here(answer.headers.get("Content-Security-Policy", ""))
        stage.prove("A5.0", held, f"{path} forbids the browser to load from elsewhere")
    stage.prove(
        "A9.1 A9.2 A9.3",
        all(words.ko in page.text for words in stage.policy.officer.values()),
        "the officer's name and address are on the page",
    )
    named = {row.id for row in stage.policy.records.values() if row.article in stage.policy.clauses}
    stage.prove("A3.0b", named == set(stage.policy.records), "every record names the clause that keeps it")
    english = stage.visitor("Visitor/en", language="en").get("/privacy").text
    stage.prove(
        "I11", "Privacy policy" in english and "개인정보처리방침" in page.text, "the policy reads in both languages"
    )
    stage.prove(
        "I10 X4", reader.get("/desk").status == 302, "the desk opens to nobody without an account and second factor"
    )


def cookies_are_asked_for(stage: Stage) -> None:
    stage.say("twenty pages without answering the banner")
    silent = stage.visitor("Visitor/silent")
    for _ in range(20):
        silent.get("/")
    necessary = {name for name, cookie in stage.policy.cookies.items() if cookie.category == "necessary"}
    extra = _names(silent) - necessary
    stage.prove(
        "A8.0 A8.1 B1 B2",
        not extra,
        "twenty pages set no optional cookie: going on is no yes",
        f"cookies {sorted(extra)}",
    )
    refusing = stage.visitor("Visitor/refuses")
    answer = refusing.post("/privacy/cookies", {"choice": "refuse"})
    stage.prove(
        "A8.2",
        answer.status == 303 and "none" in refusing.cookies.values(),
        "a refusal without an account is kept",
    )
    stage.prove("A8.2 A8.3", refusing.get("/").status == 200, "who refused reads on")


def _names(visitor: Visitor) -> set[str]:
    return {name.removeprefix("__Host-") for name in visitor.cookies}


def _only_from_here(csp: str) -> bool:
    """Whether a Content-Security-Policy has a default and lets nothing be fetched from another host."""
    rules = {words[0]: words[1:] for part in csp.split(";") if (words := part.split())}
    sources = {one for name, given in rules.items() if name.endswith("-src") for one in given}
    return "default-src" in rules and sources <= {"'self'", "'none'", "data:", "blob:"}
