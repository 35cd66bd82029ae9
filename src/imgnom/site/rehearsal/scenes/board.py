"""The site's own board: red while nobody worked and looked, green again after one round, every clause on it (A0.1)."""

from imgnom.site.rehearsal.stage import Stage


def _states(stage: Stage) -> dict[str, str]:
    rows = stage.visitor("Visitor/board").get("/privacy/board.json").json()["clauses"]
    return {row["id"]: row["state"] for row in rows}


def is_red(stage: Stage) -> None:
    stage.say("reading the board that nobody looked after")
    states = _states(stage)
    stage.prove("A0.1", set(states) == set(stage.policy.clauses), "the board lists every clause of the file")
    planned = [key for key, clause in stage.policy.clauses.items() if clause.state == "planned"]
    wrong = [key for key in planned if states.get(key) != "planned"]
    stage.prove("A0.1", not wrong, "what is planned is not called kept", f"{wrong} are called something else")
    if "A0.1" not in planned:
        stage.prove("A0.1", states["A0.1"] == "red", "a board that nobody has checked for a day is red")


def is_green(stage: Stage) -> None:
    """After the worker's own round: no clause is red, by the site's own checks."""
    stage.say("reading the board again")
    asks = stage.policy.setting("banner") == "ask"
    stage.prove("B2 A8.1", asks, "silence is a refusal", "the file takes silence for consent")
    by_choice = set() if asks else {"B2", "A8.1"}
    red = sorted(key for key, state in _states(stage).items() if state == "red" and key not in by_choice)
    stage.prove("A0.1", not red, "after one round of the worker no clause is red", f"red is {red}")
