"""What happens in a rehearsal, in order: join, upload, look, leave in each way, and every due date of the policy.

The site runs for real beside this process; the story visits it over HTTP, moves its clock, does the worker's rounds
itself (so that it can also look while no worker ran) and searches every byte under the home after each step.
"""

from imgnom.site.rehearsal.sabotage import SABOTAGES
from imgnom.site.rehearsal.scenes import (
    board,
    calendar,
    cookies,
    correcting,
    desk,
    guessing,
    hunter,
    joining,
    leaving,
    ledger,
    looking_for,
    old_copies,
    reading,
    restoring,
    twins,
    uploading,
    worker,
)
from imgnom.site.rehearsal.stage import Stage

# name, choice at leaving, with private pictures
CAST = (
    ("keeper", "keep", True),
    ("nameless", "anonymise", True),
    ("eraser", "delete", True),
    ("lightfoot", "keep", False),
    ("stayer", None, True),
)
STEPS_BESIDE_THE_CALENDAR = 35


def tell(stage: Stage) -> None:
    stage.marks["first"] = stage.at
    stage.bar.expect(STEPS_BESIDE_THE_CALENDAR + calendar.count_looks(stage.policy))
    hunter.is_not_blind(stage)
    ledger.is_noted(stage)
    reading.reads_without_an_account(stage)
    cookies.are_asked_for(stage)
    for name, choice, _ in CAST:
        joining.joins(stage, name, choice)
    joining.wanders_off(stage)
    joining.is_too_young(stage)
    joining.waits_with_the_code(stage)
    for name, _, with_private in CAST:
        uploading.uploads_and_comments(stage, stage.people[name], with_private=with_private)
    uploading.stays_hidden(stage)
    desk.staff_look(stage)
    guessing.guesses(stage)
    calendar.begin(stage)
    stage.copy_stores()
    correcting.reads_and_corrects(stage)
    calendar.sign_in_to_wait(stage)
    leaving.in_the_evening(stage)
    restoring.backs_up(stage)
    leaving.in_the_morning(stage)
    looking_for.those_who_left(stage)
    restoring.comes_back_elsewhere(stage)
    stage.forgotten = tuple(record for step in stage.sabotage for record in SABOTAGES[step].forgotten)
    calendar.due_dates(stage)
    stage.forgotten = ()
    twins.come(stage)
    old_copies.stay_shut(stage)
    worker.sleeps(stage)
    board.is_red(stage)
    worker.makes_good(stage)
    board.is_green(stage)
    ledger.is_verified(stage)
