from __future__ import annotations

from typing import Any

import pytest
from revisions_of import asked, checked, revise, run, statuses, tasks, work
from story import Story

from orchestrator.core.events import TaskAnswered, TaskBlocked, TaskCancelled, TaskRetried
from orchestrator.core.plan import Limits


def failed(**fields: Any) -> Story:
    """A run whose second task has failed, on which the third waits."""
    fields.setdefault("attempts", 1)
    story = run(work("A"), work("B", "A", **fields), work("C", "B"))
    return story.start("A").end("A").start("B").end("B", "error")


def halves(**fields: Any) -> list[dict[str, Any]]:
    return [{"ref": "one", "title": "First half"}, {"title": "Second half", "needs": ["one"], **fields}]


def test_the_parts_of_a_split_task_inherit_what_it_needed() -> None:
    story = failed()
    revise(story, split=[{"task": "B", "reason": "too big", "into": halves()}])
    assert tasks(story)["T-01"].needs == ("A",)
    assert tasks(story)["T-02"].needs == ("A", "T-01")
    assert statuses(story) == {"A": "completed", "C": "waiting", "T-01": "pending", "T-02": "waiting"}


def test_who_waited_for_a_split_task_waits_for_its_last_parts() -> None:
    story = failed()
    into = [*halves(), {"title": "Beside them"}]
    revise(story, split=[{"task": "B", "into": into}])
    assert tasks(story)["C"].needs == ("T-02", "T-03")


def test_the_last_parts_owe_what_the_whole_owed() -> None:
    story = failed(artifacts=("out.txt",), verify=("make check",))
    revise(story, split=[{"task": "B", "into": halves()}])
    assert (tasks(story)["T-01"].artifacts, tasks(story)["T-01"].verify) == ((), ())
    assert tasks(story)["T-02"].artifacts == ("out.txt",)
    assert tasks(story)["T-02"].verify == ("make check",)


def test_what_one_part_says_that_it_makes_the_last_ones_do_not_owe_again() -> None:
    story = failed(artifacts=("out.txt",))
    into = [
        {"ref": "one", "title": "Write it", "artifacts": ["out.txt"]},
        {"title": "Read it", "needs": ["one"]},
    ]
    revise(story, split=[{"task": "B", "into": into}])
    assert tasks(story)["T-02"].artifacts == ()


def test_a_failed_task_that_was_split_does_not_make_the_run_fail_any_more() -> None:
    story = failed(on_failure="stop")
    assert story.state.stoppers == {"B"}
    revise(story, split=[{"task": "B", "into": halves()}])
    assert story.state.stoppers == set()
    assert story.state.tally["failed"] == 0
    assert story.state.retired["B"].reason.startswith("split into T-01, T-02")


def test_a_split_with_a_part_that_cannot_be_is_refused_whole() -> None:
    story = failed()
    found = revise(
        story, split=[{"task": "B", "into": [{"title": "X"}, {"title": "Y", "worker": "plumber"}]}]
    )
    assert found.tasks == ()
    assert found.refused[-1] == "split B: not all of its parts can be"


def test_a_failed_task_goes_to_another_worker_type_and_has_fresh_attempts() -> None:
    story = failed()
    found = revise(story, reassign=[{"task": "B", "worker": "code-developer", "reason": "it has to write"}])
    assert found.changes == ("reassigned B to code-developer: it has to write",)
    assert story.state.by_id["B"].status == "pending"
    assert statuses(story)["C"] == "waiting"


def test_a_task_reassigned_before_it_failed_can_be_reassigned_once_it_has() -> None:
    story = run(work("A"), work("B", "A", attempts=1))
    first = revise(story, reassign=[{"task": "B", "worker": "code-developer"}])
    assert (first.reassigned, first.changes) == ((), ("reassigned B to code-developer",))
    story.start("A").end("A").start("B").end("B", "error")
    found = revise(story, reassign=[{"task": "B", "model": "opus"}])
    assert (found.reassigned, found.refused) == (("B",), ())


@pytest.mark.parametrize(("kind", "more"), [("cancel", {}), ("accept", {}), ("rewire", {"needs": []})])
def test_a_planner_does_not_do_away_with_a_failed_task_about_which_a_person_is_to_be_asked(
    kind: str, more: dict[str, Any]
) -> None:
    story = failed(on_failure="escalate")
    asks: dict[str, Any] = {kind: [{"task": "B", **more}]}
    assert revise(story, **asks).refused == (
        f"{kind} B: a person decides about it, as its on_failure says; reassign or split it, or ask",
    )
    story.tell(TaskBlocked, task="B", question="what now?")
    assert revise(story, **asks).changes == ()
    assert revise(story, by="person", cancel=[{"task": "B"}, {"task": "C"}]).refused == ()


def test_a_task_that_failed_again_is_not_reassigned_a_second_time() -> None:
    story = failed()
    revise(story, reassign=[{"task": "B", "model": "opus"}])
    story.start("B").end("B", "error")
    found = revise(story, reassign=[{"task": "B", "worker": "code-developer"}])
    assert found.changes == ()
    assert found.refused == (
        "reassign B: it was reassigned before and failed again; split it, accept it, or ask",
    )
    assert revise(story, split=[{"task": "B", "into": halves()}]).refused == ()


def test_to_accept_a_failed_task_lets_its_dependents_go_on_without_it() -> None:
    story = failed()
    found = revise(story, accept=[{"task": "B", "reason": "nice to have"}])
    assert found.changes == ("goes on without B: nice to have",)
    assert (tasks(story)["C"].needs, tasks(story)["C"].after) == ((), ("B",))
    assert statuses(story) == {"A": "completed", "B": "failed", "C": "pending"}


def test_a_task_that_waits_for_a_person_cannot_be_accepted() -> None:
    story = run(work("A"), work("B", "A")).start("A").end("A", "denied")
    found = checked(story, asked(accept=[{"task": "A"}]))
    assert found.refused == ("accept A: it is blocked: there is nothing to go on without",)


def test_a_planner_cannot_make_a_discovery_less_deep_by_naming_an_older_task() -> None:
    story = run(work("A"), limits=Limits(max_depth=1)).start("A").end("A")
    revise(story, considered=("A",), add=[{"title": "Found by A", "of": "A"}])
    story.start("T-01").end("T-01")
    found = checked(story, asked(add=[{"title": "Found by T-01", "of": "A"}]), considered=("T-01",))
    assert found.deferred == {"T-02": "deferred: deeper than max_depth of 1"}


def test_a_retried_task_brings_back_no_dependent_that_was_put_off() -> None:
    story = run(work("A", attempts=1), limits=Limits(max_tasks=1)).start("A").end("A", "ceiling")
    revise(
        story, reassign=[{"task": "A", "worker": "code-developer"}], add=[{"title": "More", "needs": ["A"]}]
    )
    assert statuses(story)["T-01"] == "skipped"
    story.tell(TaskRetried, task="A")
    assert statuses(story) == {"A": "pending", "T-01": "skipped"}


def test_what_must_come_before_a_running_task_holds_up_its_dependents() -> None:
    story = run(work("A"), work("B", "A"), work("C", "B")).start("A")
    revise(story, add=[{"title": "Migrate first", "before": ["A"]}])
    assert tasks(story)["A"].needs == ()
    assert tasks(story)["B"].needs == ("A", "T-01")
    assert tasks(story)["C"].needs == ("B",)
    story.end("A")
    assert statuses(story)["B"] == "waiting"
    assert statuses(story.start("T-01").end("T-01"))["B"] == "pending"


def test_what_must_come_before_a_task_that_has_not_begun_is_needed_by_it() -> None:
    story = run(work("A"), work("B"))
    revise(story, add=[{"title": "Migrate first", "before": ["B"]}])
    assert tasks(story)["B"].needs == ("T-01",)


def test_a_task_that_others_need_is_not_cancelled_without_them() -> None:
    story = run(work("A"), work("B", "A"))
    found = revise(story, cancel=[{"task": "A"}])
    assert found.refused == ("cancel A: B needs it; cancel or rewire that too",)
    assert list(tasks(story)) == ["A", "B"]


def test_a_task_is_cancelled_together_with_those_that_need_it() -> None:
    story = run(work("A"), work("B", "A"), work("C", after="A"))
    found = revise(story, cancel=[{"task": "A", "reason": "done elsewhere"}, {"task": "B"}])
    assert found.refused == ()
    assert tasks(story) == {"C": work("C")}
    assert story.state.retired["A"].reason == "cancelled by a revision: done elsewhere"


def test_what_looks_like_a_task_that_is_there_is_told_and_not_guessed_away() -> None:
    story = run(work("A", title="Add the login page"))
    found = revise(story, add=[{"title": "Add login page"}])
    assert found.near == ("T-01 Add login page looks like A Add the login page",)
    assert found.refused == ()
    assert list(tasks(story)) == ["A", "T-01"]


def test_of_more_new_tasks_than_there_is_room_for_the_least_important_are_put_off() -> None:
    story = run(work("A"), work("B"), limits=Limits(max_tasks=3))
    found = revise(story, add=[{"title": "Nice", "priority": "P3"}, {"title": "Vital", "priority": "P0"}])
    assert found.deferred == {"T-01": "deferred: max_tasks of 3 is reached"}
    assert statuses(story) == {"A": "pending", "B": "pending", "T-01": "skipped", "T-02": "pending"}


def test_a_vital_task_displaces_a_nice_one_that_was_found_on_the_way_and_nobody_began() -> None:
    story = run(work("A"), limits=Limits(max_tasks=2)).start("A").end("A")
    revise(story, considered=("A",), add=[{"title": "Nice", "priority": "P3"}])
    found = revise(story, considered=("A",), add=[{"title": "Vital", "priority": "P0"}])
    assert found.deferred == {"T-01": "makes room for what is more important (max_tasks of 2 is reached)"}
    assert statuses(story) == {"A": "completed", "T-01": "skipped", "T-02": "pending"}


def test_what_a_person_planned_is_never_displaced() -> None:
    story = run(work("A", priority="P3"), limits=Limits(max_tasks=1))
    found = revise(story, add=[{"title": "Vital", "priority": "P0"}])
    assert found.deferred == {"T-01": "deferred: max_tasks of 1 is reached"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cancel": [{"task": "R"}]}, "cancel R: it is running; what runs is not changed"),
        ({"split": [{"task": "D", "into": halves()}]}, "split D: it is completed"),
        ({"reorder": [{"task": "X1"}]}, "reorder X1: there is no task 'X1'"),
        ({"cancel": [{"task": "f"}]}, "cancel f: there is no task 'f'; did you mean 'F'?"),
        ({"cancel": [{"task": "F"}]}, "cancel F: it has failed, which cannot be undone; "
         "reassign, split or accept it, or ask"),
        ({"accept": [{"task": "P"}]}, "accept P: it is pending: there is nothing to go on without"),
        ({"rewire": [{"task": "F", "needs": []}]}, "rewire F: it has failed; reassign, split or accept it, or ask"),
        ({"rewire": [{"task": "P"}]}, "rewire P: it says neither what the task needs nor what it comes after"),
        ({"rewire": [{"task": "P", "needs": ["F"]}]}, "rewire P: it needs F, which is failed"),
        ({"rewire": [{"task": "P", "needs": ["P"]}]}, "rewire P: a task cannot wait for itself"),
        ({"rewire": [{"task": "P", "needs": ["Q"]}]}, "rewire P: it waits for 'Q', which there is not"),
        ({"reorder": [{"task": "P", "priority": "P9"}]}, "reorder P: 'P9' is not one of P0, P1, P2, P3"),
        ({"ask": [{"task": "P"}]}, "ask P: it asks nothing"),
        ({"ask": [{}]}, "ask: it asks nothing"),
        ({"reassign": [{"task": "P"}]}, "reassign P: it names no other worker type, model or description"),
        ({"reassign": [{"task": "P", "worker": "general"}]}, "reassign P: that is what it is already"),
        ({"reassign": [{"task": "S", "worker": "test-engineer"}]}, "reassign S: it is a command, not a worker's task"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_the_plan_stays_as_it_was(change: dict[str, Any], why: str) -> None:
    story = run(work("R"), work("D"), work("F", attempts=1), work("P"), work("S", cli="shell", run="make"))
    story.start("R").start("D").end("D").start("F").end("F", "error")
    before = tasks(story)
    assert revise(story, **change).refused == (why,)
    assert tasks(story) == before


def test_a_part_that_is_refused_does_not_keep_the_others_from_being() -> None:
    story = run(work("A"))
    found = revise(story, add=[{"title": "Good"}, {"title": "Bad", "needs": ["Z"]}], cancel=[{"task": "Z"}])
    assert list(tasks(story)) == ["A", "T-01"]
    assert found.changes == ("added T-01 Good (general, P2)",)
    assert len(found.refused) == 2


def test_a_new_task_that_would_close_a_cycle_is_refused() -> None:
    story = run(work("A"), work("B", "A"))
    found = revise(story, add=[{"title": "Both ways", "needs": ["B"], "before": ["A"]}])
    assert found.tasks == ()
    assert found.refused[0].startswith("add 'Both ways': it would close a cycle: ")


def test_a_question_about_a_task_blocks_it_until_a_person_answers() -> None:
    story = failed()
    found = revise(story, ask=[{"task": "B", "question": "Which database?"}])
    assert found.asked == {"B": "Which database?"}
    assert story.state.by_id["B"].reason == "Which database?"
    assert statuses(story)["B"] == "blocked"
    assert statuses(story.tell(TaskAnswered, task="B", text="sqlite"))["B"] == "pending"


def test_a_question_about_the_whole_belongs_to_no_task() -> None:
    story = run(work("A"))
    assert checked(story, asked(ask=[{"question": "For whom?"}])).asked == {"": "For whom?"}


def test_a_number_is_not_given_to_a_second_task() -> None:
    story = run(work("A"), work("t-07"))
    revise(story, add=[{"title": "New"}])
    revise(story, cancel=[{"task": "T-08"}])
    revise(story, add=[{"title": "Newer"}])
    assert list(tasks(story)) == ["A", "t-07", "T-09"]


def test_a_blocked_task_is_told_from_one_that_is_done() -> None:
    story = run(work("A"), work("B")).tell(TaskBlocked, task="A", question="Which?")
    story.tell(TaskCancelled, task="B")
    found = revise(story, split=[{"task": "A", "into": halves()}], reorder=[{"task": "B", "priority": "P0"}])
    assert found.refused == ("reorder B: it is cancelled",)
    assert list(tasks(story)) == ["B", "T-01", "T-02"]


def test_a_task_that_a_person_cancelled_is_not_revived_by_a_split_before_it() -> None:
    story = run(work("A"), work("B", "A")).tell(TaskCancelled, task="B")
    revise(story, split=[{"task": "A", "into": halves()}])
    assert tasks(story)["B"].needs == ("T-02",)
    assert statuses(story)["B"] == "cancelled"


def test_a_new_task_before_a_failed_one_does_not_give_it_fresh_attempts() -> None:
    story = failed()
    found = revise(story, add=[{"title": "Repair it", "before": ["B"]}])
    assert found.refused == ("add 'Repair it': it is to come before B, which is failed",)
    assert statuses(story)["B"] == "failed"


def test_a_wrong_order_is_blamed_on_what_made_it() -> None:
    story = run(work("A"), work("B", "A"))
    found = revise(story, rewire=[{"task": "A", "needs": ["B"]}], reorder=[{"task": "A", "priority": "P0"}])
    assert found.changes == ("A has priority P0 now",)
    assert found.refused[0].startswith("rewire A: it would close a cycle: ")


def test_a_part_before_another_part_is_not_a_last_one() -> None:
    story = failed(artifacts=("out.txt",))
    revise(
        story, split=[{"task": "B", "into": [{"title": "X", "before": ["y"]}, {"title": "Y", "ref": "y"}]}]
    )
    assert tasks(story)["C"].needs == ("T-02",)
    assert tasks(story)["T-01"].artifacts == ()


def test_a_planner_does_not_multiply_a_command_by_splitting_it() -> None:
    story = run(work("S", cli="shell", run="make"))
    found = revise(story, split=[{"task": "S", "into": halves()}])
    assert found.refused == ("split S: it is a command, not a worker's task",)
