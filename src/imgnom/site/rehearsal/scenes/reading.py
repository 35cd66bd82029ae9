"""The promises are read without an account and without a cookie, in both languages."""

import re

from imgnom.site.rehearsal.stage import Stage

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
FIELD = re.compile(r'<(?:input|textarea|select)[^>]*\bname="([^"]+)"')
OWN_FIELDS = {"csrfmiddlewaretoken", "age_group", "agree_terms", "agree_privacy", "next", "lang", "choice", "q"}
HANGUL = re.compile("[가-힣]+")


def reads_without_an_account(stage: Stage) -> None:
    stage.say("reading the promises without an account")
    _the_policy(stage)
    _the_form(stage)
    for path in PUBLIC_PAGES:
        _one_page(stage, path)
    stage.say("reading every page in both languages")
    _both_languages(stage)


def _the_policy(stage: Stage) -> None:
    reader, policy = stage.visitor("Visitor/reader"), stage.policy
    page, facts = reader.get("/privacy"), reader.get("/privacy.json").json()
    date = policy.effective
    ways = (date.isoformat(), f"{date.year}년 {date.month}월 {date.day}일")
    stage.prove(
        "A0.2 S1",
        page.status == 200 and any(way in page.text for way in ways),
        "the policy and its effective date are read without login or cookie",
    )
    stage.prove("A0.2 I1", set(facts["items"]) == set(policy.items), "/privacy.json lists the items of the file")
    unnamed = [item.id for item in policy.items.values() if item.label.ko not in page.text]
    stage.prove("A1.0", not unnamed, "the page names every item of the file", f"the page does not name {unnamed}")
    stage.prove(
        "A9.1 A9.2 A9.3",
        all(words.ko in page.text for words in policy.officer.values()),
        "the officer's name and address are on the page",
    )
    unfounded = [row.id for row in policy.records.values() if row.article not in policy.clauses]
    stage.prove("A3.0b", not unfounded, "every record names the clause that keeps it", f"no clause keeps {unfounded}")
    unsaid = [row.id for row in policy.records.values() if row.label.ko not in page.text]
    stage.prove("A3.0b", not unsaid, "the page tells of every record that is kept", f"the page is silent on {unsaid}")
    kinds = [item.label.ko for item in policy.items.values() if item.collected == "automatic"]
    stage.prove("A1.2", all(kind in page.text for kind in kinds), "what arises by itself is named on the page")
    outside = [party.name.ko for party in (*policy.recipients.values(), *policy.processors.values())]
    stage.prove("A5.0 A6.1", not outside, "nobody outside is on the list of recipients and processors", f"{outside}")


def _the_form(stage: Stage) -> None:
    wanted = [key for key, item in stage.policy.items.items() if item.collected == "registration"]
    asked = stage.visitor("Visitor/form").get("/signup?age_group=14_or_older").text
    fields = {"password1" if key == "password" else key for key in wanted}
    shown = set(FIELD.findall(asked)) - OWN_FIELDS
    optional = {f"consent_{kind.id}" for kind in stage.policy.consents.values() if not kind.required}
    ticked = re.findall(r'name="consent_[^>]*checked', asked)
    stage.prove(
        "A1.0 A1.1 I1",
        fields <= shown <= fields | optional,
        "the form asks for what the file lists and nothing else",
        f"the form asks {sorted(shown)}, the file lists {sorted(fields)}",
    )
    stage.prove("A2.0", not ticked, "no box of consent is ticked beforehand", f"{ticked}")


def _one_page(stage: Stage, path: str) -> None:
    answer = stage.visitor("Visitor/no-cookie").get(path)
    clauses = "A0.1" if path == "/privacy/board" else "A0.2"
    stage.prove(
        clauses, answer.status == 200, "the promises are read without a cookie", f"{path} answers {answer.status}"
    )
    away = [url for url in FETCHED.findall(answer.text) if not url.startswith(("/", "data:")) or url.startswith("//")]
    stage.prove("A5.0 A6.1", not away, "no page loads anything from elsewhere", f"{path} loads {away}")
    held = _only_from_here(answer.headers.get("Content-Security-Policy", ""))
    stage.prove("A5.0", held, "every page forbids the browser to load from elsewhere", f"{path} allows other hosts")
    linked = 'href="/privacy"' in answer.text
    stage.prove("A0.2", linked, "the policy is linked from every page", f"{path} does not lead to the policy")


def _only_from_here(csp: str) -> bool:
    """Whether a Content-Security-Policy has a default and lets nothing be fetched from another host."""
    rules = {words[0]: words[1:] for part in csp.split(";") if (words := part.split())}
    sources = {one for name, given in rules.items() if name.endswith("-src") for one in given}
    return "default-src" in rules and sources <= {"'self'", "'none'", "data:", "blob:"}


def _both_languages(stage: Stage) -> None:
    for path in PUBLIC_PAGES:
        korean = stage.visitor("Visitor/ko", language="ko").get(path).text
        english = stage.visitor("Visitor/en", language="en").get(path).text
        both = '<html lang="ko"' in korean and '<html lang="en"' in english
        left = sorted(set(HANGUL.findall(_seen(english))) - {"한국어"})
        stage.prove(
            "I11", both and not left, "every page reads in both languages", f"{path} in English says {left[:5]}"
        )
        stage.prove("I11", HANGUL.search(_seen(korean)), "every page has its Korean words", f"{path} has no Korean")


def _seen(page: str) -> str:
    """What people read of a page: without tags, styles and what belongs to the document's own words in Korean."""
    body = page[page.find("<body") :]
    body = re.sub(r'<(\w+)[^>]*\blang="ko"[^>]*>.*?</\1>', " ", body, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", " ", body)
