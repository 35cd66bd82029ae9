"""Cookies: none before a choice, going on is no yes, a refusal is kept (A8, B1, B2)."""

from imgnom.site.rehearsal.stage import Stage
from imgnom.site.rehearsal.visitor import Visitor


def are_asked_for(stage: Stage) -> None:
    stage.say("twenty pages without answering the banner")
    silent = stage.visitor("Visitor/silent")
    first = silent.get("/").text
    for _ in range(19):
        silent.get("/")
    stage.prove("B1", 'action="/privacy/cookies"' in first, "the banner asks and can be answered without script")
    extra = _names(silent) - _necessary(stage)
    stage.prove(
        "A8.0 A8.1 B1 B2",
        not extra,
        "twenty pages set no optional cookie: going on is no yes",
        f"cookies {sorted(extra)}",
    )
    still = silent.get("/").text
    stage.prove("B2", 'action="/privacy/cookies"' in still, "who goes on reading is still asked")
    refusing = stage.visitor("Visitor/refuses")
    answer = refusing.post("/privacy/cookies", {"choice": "refuse"})
    stage.prove(
        "A8.2",
        answer.status == 303 and "none" in refusing.cookies.values(),
        "a refusal without an account is kept",
    )
    undeclared = _names(refusing) - set(stage.policy.cookies)
    stage.prove("A8.0", not undeclared, "only cookies of the file are set", f"cookies {sorted(undeclared)}")
    refused = [refusing.get(path).status for path in ("/", "/privacy", "/signup", "/login")]
    stage.prove("A8.2", refused == [200] * 4, "who refused reads on", f"answers {refused}")
    page = refusing.get("/privacy/cookies").text
    untold = [key for key, cookie in stage.policy.cookies.items() if cookie.label.ko not in page]
    stage.prove("A8.3", not untold, "the page tells what each cookie is for", f"nothing is told of {untold}")
    told = "로그인" in page
    stage.prove("A8.3", told, "the page tells what a refusal costs")


def _necessary(stage: Stage) -> set[str]:
    return {name for name, cookie in stage.policy.cookies.items() if cookie.category == "necessary"}


def _names(visitor: Visitor) -> set[str]:
    return {name.removeprefix("__Host-") for name in visitor.cookies}
