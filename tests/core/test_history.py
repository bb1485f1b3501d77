from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from story import Story

from orchestrator.core import events
from orchestrator.core.history import FAILURES, LOG_ENTRIES, REPORTS, SKIPS, why
from orchestrator.core.plan import Plan, Task
from orchestrator.core.report import Report


def strategies(story: Story) -> list[str]:
    return [entry.strategy for entry in story.history.errors()]


def fail(story: Story, outcome: str, times: int = 1, **facts: Any) -> Story:
    for _ in range(times):
        story.wait(1).start("T-01").wait(1).end("T-01", outcome, **facts)
    return story


def test_a_retry_says_which_of_how_many_and_the_last_one_says_what_followed() -> None:
    story = fail(Story(Task(id="T-01", attempts=3)), "error", 3)
    assert strategies(story) == ["retry 2 of 3", "retry 3 of 3", "give up; no task needs it"]


@pytest.mark.parametrize(
    ("on_failure", "expected"),
    [
        ("skip", "skip dependents"),
        ("stop", "stop the run"),
        ("escalate", "escalate: waits for a person"),
    ],
)
def test_the_last_failure_is_followed_by_what_the_plan_says(on_failure: Any, expected: str) -> None:
    needs_it = Task(id="T-02", needs=("T-01",))
    story = fail(Story(Task(id="T-01", attempts=1, on_failure=on_failure), needs_it), "timeout")
    assert strategies(story) == [expected]


def test_a_failed_task_that_only_comes_before_others_skips_none_of_them() -> None:
    story = fail(Story(Task(id="T-01", attempts=1), Task(id="T-02", after=("T-01",))), "timeout")
    assert strategies(story) == ["give up; no task needs it"]


def test_what_a_revision_makes_others_need_is_known_to_skip_them() -> None:
    story = Story(Task(id="T-01", attempts=1))
    story.tell(events.PlanRevised, tasks=(Task(id="T-02", needs=("T-01",)),), by="person")
    assert strategies(fail(story, "timeout")) == ["skip dependents"]


def test_where_the_plan_may_change_dependents_are_skipped_only_if_it_does_not() -> None:
    story = Story(Task(id="T-01", attempts=1), Task(id="T-02", needs=("T-01",)), replan="auto")
    assert strategies(fail(story, "timeout")) == ["replan, else skip dependents"]


def test_the_last_attempt_names_the_fallback_model() -> None:
    story = fail(Story(Task(id="T-01", attempts=3, fallback_model="opus")), "error", 2)
    assert strategies(story) == ["retry 2 of 3", "retry 3 of 3, with opus"]


@pytest.mark.parametrize(
    ("outcome", "facts", "expected"),
    [
        ("rate limited", {}, "wait, no attempt used"),
        (
            "usage limited",
            {"until": datetime(2025, 3, 1, 12, 30, tzinfo=UTC)},
            "wait until 2025-03-01 12:30 UTC, no attempt used",
        ),
        ("interrupted", {}, "continue, no attempt used"),
        ("authentication", {}, "ask once more, then launch nothing more; no attempt used"),
        ("no credit", {}, "launch nothing more, no attempt used"),
        ("denied", {}, "escalate: waits for a person"),
        ("ceiling", {}, "give up; no task needs it"),
    ],
)
def test_what_uses_up_no_attempt_says_so(outcome: str, facts: dict[str, Any], expected: str) -> None:
    assert strategies(fail(Story(Task(id="T-01")), outcome, **facts)) == [expected]


def test_a_task_that_dies_with_its_dispatcher_for_the_third_time_has_failed() -> None:
    story = fail(Story(Task(id="T-01")), "interrupted", 3)
    assert strategies(story)[-1] == "give up; no task needs it"
    assert story.state.by_id["T-01"].status == "failed"


def test_fresh_attempts_are_counted_from_one_again() -> None:
    story = fail(Story(Task(id="T-01", attempts=2)), "error", 1)
    story.tell(events.TaskRetried, task="T-01")
    assert strategies(fail(story, "error")) == ["retry 2 of 2", "retry 2 of 2"]


def test_a_changed_task_is_counted_from_one_again_and_an_unchanged_one_is_not() -> None:
    story = fail(Story(Task(id="T-01", attempts=3)), "error")
    story.tell(
        events.PlanAccepted, plan=Plan(request=story.plan.request, tasks=(Task(id="T-01", priority="P0"),))
    )
    fail(story, "error")
    changed = Task(id="T-01", description="another")
    story.tell(events.PlanAccepted, plan=Plan(request=story.plan.request, tasks=(changed,)))
    fail(story, "error")
    assert strategies(story) == ["retry 2 of 3", "retry 3 of 3", "retry 2 of 3"]


def test_stopping_on_an_order_is_no_error() -> None:
    story = fail(Story(Task(id="T-01")), "interrupted", ordered=True)
    assert story.history.errors() == []
    assert story.history.log()[-1].text == "attempt 1 ended after 1.0s, interrupted"


def test_a_flood_of_skips_leaves_the_failure_that_caused_them_in_sight() -> None:
    tasks = [Task(id=f"S-{i}", needs=("T-01",)) for i in range(500)]
    story = fail(Story(Task(id="T-01", attempts=1), *tasks), "error", reason="the cause")
    for task in tasks:
        story.skip(task.id, "dependency failed")
    errors = story.history.errors()
    assert (errors[0].task, errors[0].error) == ("T-01", "error: the cause")
    assert len(errors) == 1 + SKIPS
    assert story.history.errors_left_out == 500 - SKIPS


def test_memory_is_bounded_and_what_was_left_out_is_counted() -> None:
    story = Story(Task(id="T-01"))
    for _ in range(300):
        story.tell(events.RunResumed, pid=1, version="1")
        story.tell(events.PlanVerified, passed=False, reason="no")
    assert len(story.history.log()) == LOG_ENTRIES
    assert story.history.log_left_out == 602 - LOG_ENTRIES
    assert len(story.history.errors()) == FAILURES
    assert story.history.errors_left_out == 300 - FAILURES


def test_every_kind_of_event_is_told_in_words() -> None:
    story = Story(Task(id="T-01"), Task(id="T-02", needs=("T-01",)), Task(id="T-03"))
    story.start("T-01").wait(2).end("T-01", "denied", "denied: Bash")
    story.tell(events.TaskBlocked, task="T-01", question="may it?")
    story.tell(events.TaskRetried, task="T-01").tell(events.TaskCancelled, task="T-01").skip("T-02", "dead")
    story.start("T-03").end("T-03")
    story.tell(events.PlanVerified, passed=True).tell(events.RunFinished, exit=1, reason="not all")
    story.tell(events.RunResumed, pid=7, version="1")
    assert [(entry.task, entry.text) for entry in story.history.log()] == [
        ("", "run r-1 started by pid 4242"),
        ("", "plan of 3 tasks accepted"),
        ("T-01", "attempt 1 started (claude)"),
        ("T-01", "attempt 1 ended after 2.0s, denied: Bash"),
        ("T-01", "blocked: may it?"),
        ("T-01", "given fresh attempts"),
        ("T-01", "cancelled"),
        ("T-02", "skipped: dead"),
        ("T-03", "attempt 1 started (claude)"),
        ("T-03", "attempt 1 ended after 0.0s, success"),
        ("", "plan verified"),
        ("", "run ended with exit status 1: not all"),
        ("", "run taken on by pid 7"),
    ]


def test_an_outcome_is_not_said_twice() -> None:
    assert why("denied", "denied: Bash") == "denied: Bash"
    assert why("error", "exit status 1") == "error: exit status 1"
    assert why("stalled", "") == "stalled"


def test_the_last_report_of_a_task_is_kept_and_of_many_the_latest() -> None:
    story = Story(*(Task(id=f"T-{i}") for i in range(REPORTS + 5)))
    for i in range(REPORTS + 5):
        story.start(f"T-{i}").end(f"T-{i}", report=Report("complete", f"{i}"))
    assert list(story.history.reports) == [f"T-{i}" for i in range(5, REPORTS + 5)]
    story = Story(Task(id="T-01")).start("T-01").end("T-01", "error", report=Report("partial"))
    story.start("T-01").end("T-01", report=Report("complete"))
    assert story.history.reports == {"T-01": Report("complete")}
