"""What happens in a rehearsal, in order: join, upload, look, leave in each way, and every due date up to five years on.

The site runs for real beside this process; the story visits it over HTTP, moves its clock, does the worker's rounds
itself (so that it can also look while no worker ran) and searches every byte under the home after each step.
"""

from imgnom.site.rehearsal import calendar, joining, leaving, living, outsiders, strangers
from imgnom.site.rehearsal.stage import Stage

# step -> what is broken on purpose; each must turn a clause red
SABOTAGES = {
    "destroy-keys": "keys stay after a withdrawal",
    "archive-deadline": "the archive is not emptied on its day",
    "access-records": "access records stay past their day",
    "ledger": "one entry of the ledger is changed",
    "strip": "a canary is written beside the pictures",
}
CAST = (("keeper", "keep"), ("nameless", "anonymise"), ("eraser", "delete"), ("stayer", None))
STEPS = 31


def tell(stage: Stage) -> None:
    stage.bar.expect(STEPS)
    strangers.hunter_is_not_blind(stage)
    strangers.pages_without_an_account(stage)
    strangers.cookies_are_asked_for(stage)
    for name, choice in CAST:
        joining.joins(stage, name, choice)
    for name, _ in CAST:
        living.uploads_and_comments(stage, stage.people[name])
    joining.wanders_off(stage)
    joining.is_too_young(stage)
    living.hidden_values_stay_hidden(stage)
    living.the_desk(stage)
    stage.copy_stores()
    living.reads_and_corrects(stage)
    for person in stage.leavers:
        leaving.leaves(stage, person)
    leaving.is_looked_for(stage)
    calendar.due_dates(stage)
    joining.comes_twice(stage)
    outsiders.old_copies_stay_shut(stage)
    outsiders.board(stage)
    outsiders.ledger(stage)
