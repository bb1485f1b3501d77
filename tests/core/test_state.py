from __future__ import annotations

import copy
from typing import Any

import pytest
from accounts import counted, recount, snapshot
from fakes import START, task
from story import Story

from orchestrator.core import events, verdict
from orchestrator.core.plan import Plan
from orchestrator.core.state import STATUSES, RunState
from orchestrator.errors import ImpossibleEvent


def statuses(told: Story) -> dict[str, str]:
    return {name: one.status for name, one in told.state.by_id.items()}


def diamond() -> Story:
    return Story(task("a"), task("b", "a"), task("c", "a"), task("d", "b c"))


def complete(told: Story, *names: str, **facts: Any) -> Story:
    for name in names:
        told.start(name).wait(1).end(name, **facts)
    return told


def test_statuses_follow_from_what_happened() -> None:
    told = diamond()
    assert statuses(told) == {"a": "pending", "b": "waiting", "c": "waiting", "d": "waiting"}
    complete(told, "a").start("b")
    assert statuses(told) == {"a": "completed", "b": "running", "c": "pending", "d": "waiting"}
    told.end("b", "error")
    assert told.state.by_id["b"].status == "retrying"
    assert list(told.state.counts()) == list(STATUSES)
    assert sum(told.state.counts().values()) == 4


def test_agents_are_numbered_in_the_order_of_the_plan() -> None:
    assert [one.agent for one in diamond().state.tasks] == [1, 2, 3, 4]


def test_an_agent_is_never_changed_or_given_away() -> None:
    told = diamond()
    told.tell_plan(task("new"), task("d"))
    assert {name: one.agent for name, one in told.state.by_id.items()} == {"new": 5, "d": 4}
    told.tell_plan(task("b"), task("newer"))
    assert {name: one.agent for name, one in told.state.by_id.items()} == {"b": 2, "newer": 6}


def test_a_task_that_comes_back_numbers_its_attempts_on() -> None:
    told = complete(Story(task("a"), task("b")), "a")
    told.tell_plan(task("b"))
    told.tell_plan(task("a", run="other"), task("b"))
    with pytest.raises(ImpossibleEvent):
        told.tell(events.AttemptStarted, task="a", attempt=1, cli="shell")
    assert told.start("a").state.by_id["a"].number == 2


def test_a_completed_task_that_is_removed_and_comes_back_unchanged_is_still_completed() -> None:
    told = complete(Story(task("a"), task("b")), "a")
    told.tell_plan(task("b"))
    told.tell_plan(task("b"), task("a"))
    assert statuses(told) == {"b": "pending", "a": "completed"}


def test_a_changed_plan_keeps_what_is_unchanged() -> None:
    told = complete(diamond(), "a", "b", "c", "d")
    told.tell_plan(task("a"), task("b", "a", run="other"), task("c", "a", estimate="1h"), task("d", "b c"))
    assert statuses(told) == {"a": "completed", "b": "pending", "c": "completed", "d": "waiting"}
    assert told.state.tally["completed"] == 2


def test_a_dependent_is_kept_when_its_input_comes_out_the_same_and_made_again_when_not() -> None:
    for result, status in (("hash of b", "completed"), ("another", "pending")):
        told = complete(diamond(), "a", "b", "c", "d")
        told.tell_plan(task("a"), task("b", "a", run="other"), task("c", "a"), task("d", "b c"))
        complete(told, "b", result=result)
        assert told.state.by_id["d"].status == status


def test_what_is_kept_lets_its_own_dependents_be_kept() -> None:
    chain = [task("a"), task("b", "a"), task("c", "b"), task("e", after="c")]
    told = complete(Story(*chain), "a", "b", "c", "e")
    told.tell_plan(task("a", run="other"), *chain[1:])
    assert statuses(told) == {"a": "pending", "b": "waiting", "c": "waiting", "e": "completed"}
    complete(told, "a")
    assert set(statuses(told).values()) == {"completed"}
    assert counted(told.state) == recount(told.state)


def test_another_request_makes_model_tasks_again_and_commands_not() -> None:
    told = complete(Story(task("a"), task("b", cli="claude", run="", description="x")), "a", "b")
    told.tell(events.PlanAccepted, plan=Plan(request="Another", tasks=told.plan.tasks))
    assert statuses(told) == {"a": "completed", "b": "pending"}


def test_a_task_that_was_away_while_the_request_changed_is_made_again() -> None:
    asked = task("b", cli="claude", run="", description="x")
    told = complete(Story(task("a"), asked), "a", "b")
    told.tell(events.PlanAccepted, plan=Plan(request="Another", tasks=(task("a"),)))
    told.tell(events.PlanAccepted, plan=Plan(request="Another", tasks=(task("a"), asked)))
    assert statuses(told) == {"a": "completed", "b": "pending"}


def test_a_plan_that_changes_a_running_task_is_refused() -> None:
    for tasks in ((task("a", run="other"), task("b")), (task("b"),)):
        told = Story(task("a"), task("b")).start("a")
        before = copy.deepcopy(snapshot(told.state))
        with pytest.raises(ImpossibleEvent, match="the plan changes a, which is running"):
            told.tell_plan(*tasks)
        assert snapshot(told.state) == before


def test_a_plan_that_waits_for_unknown_tasks_is_refused_whole() -> None:
    told = diamond().start("a")
    before = copy.deepcopy(snapshot(told.state))
    for tasks in ((task("a"), task("x", "nobody")), (task("a"), task("x", after="nobody")), (task("a"),) * 2):
        with pytest.raises(ImpossibleEvent, match="twice, or waits for one"):
            told.tell_plan(*tasks)
        assert snapshot(told.state) == before


def test_a_running_task_whose_order_changed_waits_with_its_retry() -> None:
    told = Story(task("a"), task("b")).start("a")
    told.tell_plan(task("a", after="b"), task("b")).end("a", "error")
    assert told.state.by_id["a"].status == "waiting"
    complete(told, "b")
    assert told.state.by_id["a"].status == "retrying"
    assert told.state.by_id["a"] in told.state.opened


def replaced_input() -> Story:
    """`b` runs on a result of `a` that a changed plan has taken back."""
    told = complete(Story(task("a"), task("b", "a"), task("c", "b")), "a").start("b")
    return told.tell_plan(task("a", run="other"), task("b", "a"), task("c", "b"))


@pytest.mark.parametrize("outcome", ["success", "error", "ceiling", "denied", "interrupted"])
def test_a_result_made_from_a_replaced_input_counts_only_if_the_input_comes_out_the_same(
    outcome: str,
) -> None:
    told = replaced_input().end("b", outcome)
    assert told.state.by_id["b"].status == "waiting"
    assert counted(told.state) == recount(told.state)
    complete(told, "a", result="another")
    assert told.state.by_id["b"].startable
    assert told.state.by_id["b"] in told.state.opened


def test_a_result_whose_replaced_input_came_out_the_same_is_kept() -> None:
    told = replaced_input().end("b")
    complete(told, "a")
    assert statuses(told) == {"a": "completed", "b": "completed", "c": "pending"}
    told = complete(replaced_input(), "a").end("b")
    assert statuses(told) == {"a": "completed", "b": "completed", "c": "pending"}
    assert counted(told.state) == recount(told.state)


def test_a_result_that_comes_after_its_replaced_input_failed_is_not_used() -> None:
    told = replaced_input()
    told.start("a").end("a", "ceiling").end("b")
    assert told.state.by_id["b"].status == "waiting"
    assert told.state.by_id["b"] in told.state.doomed


def test_a_result_file_written_over_by_a_failure_is_not_taken_for_the_one_before() -> None:
    told = complete(Story(task("a"), task("b", "a")), "a", "b")
    told.tell_plan(task("a", run="other"), task("b", "a"))
    complete(told, "a", result="another").start("b").end("b", "ceiling")
    told.tell_plan(task("a"), task("b", "a"))
    complete(told, "a", result="hash of a")
    assert told.state.by_id["b"].status == "pending"


def test_a_retry_gives_fresh_attempts_to_a_task_and_all_that_failed_behind_it() -> None:
    told = Story(task("a", attempts=1), task("b", "a"), task("c", "b"), task("other"))
    complete(told, "other").start("a").end("a", "error").skip("b").skip("c")
    told.tell(events.TaskRetried, task="a", order="o-1")
    assert statuses(told) == {"a": "pending", "b": "waiting", "c": "waiting", "other": "completed"}
    assert told.state.by_id["a"].used == 0
    assert told.state.orders == {"o-1"}
    assert counted(told.state) == recount(told.state)


def test_a_retried_success_is_made_again_and_its_dependents_only_if_it_differs() -> None:
    for result, status in (("hash of a", "completed"), ("another", "pending")):
        told = complete(Story(task("a"), task("b", "a")), "a", "b")
        told.tell(events.TaskRetried, task="a")
        assert statuses(told) == {"a": "pending", "b": "waiting"}
        complete(told, "a", result=result)
        assert told.state.by_id["b"].status == status


def test_a_skipped_task_whose_need_is_replaced_may_run_again() -> None:
    told = Story(task("a", attempts=1), task("b", "a")).start("a").end("a", "error").skip("b")
    told.tell_plan(task("a", attempts=1, run="other"), task("b", "a"))
    assert statuses(told) == {"a": "pending", "b": "waiting"}


def test_a_failed_task_stays_failed_when_an_unchanged_plan_goes_on() -> None:
    told = Story(task("a", attempts=1), task("b")).start("a").end("a", "error")
    told.tell_plan(task("a", attempts=9), task("b"))
    assert statuses(told) == {"a": "failed", "b": "pending"}


def test_three_interruptions_in_a_row_fail_a_task_and_others_do_not_count_among_them() -> None:
    told = Story(task("a"))
    for outcome in ("rate limited",) * 5 + ("interrupted",) * 2 + ("rate limited",) + ("interrupted",) * 2:
        told.start("a").end("a", outcome)
        assert told.state.by_id["a"].status == "retrying"
    told.start("a").end("a", "interrupted")
    assert told.state.by_id["a"].mark == "failed"


def test_an_attempt_that_counts_begins_the_row_anew() -> None:
    told = Story(task("a", attempts=2))
    for outcome in ("interrupted", "interrupted", "error", "interrupted", "interrupted"):
        told.start("a").end("a", outcome)
    assert told.state.by_id["a"].status == "retrying"


def test_interruptions_that_were_ordered_are_not_counted() -> None:
    told = Story(task("a"))
    for _ in range(10):
        told.start("a").end("a", "interrupted", ordered=True)
    assert told.state.by_id["a"].status == "retrying"
    assert told.state.by_id["a"].used == 0


def test_work_that_was_done_when_the_order_to_stop_came_is_done() -> None:
    told = Story(task("a"), task("b", "a")).start("a").end("a", "success", ordered=True)
    assert statuses(told) == {"a": "completed", "b": "pending"}


def test_twenty_attempts_in_a_row_that_use_up_none_fail_a_task() -> None:
    told = Story(task("a", on_failure="stop"))
    for _ in range(verdict.IN_A_ROW):
        assert not told.state.by_id["a"].mark
        told.start("a").end("a", "overloaded")
    assert told.state.by_id["a"].mark == "failed"
    assert told.state.stoppers == {"a"}


def test_a_usage_limit_is_waited_for_until_it_resets() -> None:
    reset = START.replace(hour=18)
    told = Story(task("a", attempts=1)).start("a").end("a", "usage limited", until=reset)
    assert told.state.by_id["a"].trouble.retry_at == reset.timestamp()


def test_costs_and_times_add_up_over_attempts() -> None:
    told = Story(task("a"))
    told.start("a").wait(3).end("a", "error", cost_usd=0.25).wait(10)
    told.start("a").wait(4).end("a", cost_usd=0.5)
    one = told.state.by_id["a"]
    assert (one.cost_usd, one.work, one.seconds, told.state.cost_usd) == (0.75, 7.0, 4.0, 0.75)
    assert one.started == START


def test_a_dispatcher_that_takes_over_clears_what_halted_the_last_one() -> None:
    told = Story(task("a")).start("a").end("a", "no credit")
    assert told.state.halted == "no credit"
    told.tell(events.PlanVerified, passed=False).tell(events.RunFinished, exit=5, reason="no credit")
    told.tell(events.RunResumed, pid=77, version="0")
    assert (told.state.halted, told.state.finished, told.state.verified) == ("", None, None)
    assert told.state.pid == 77


IMPOSSIBLE: list[tuple[str, type, dict[str, Any]]] = [
    ("a second start of the run", events.RunStarted, {"run": "x", "project": "/", "pid": 1, "version": "0"}),
    ("an attempt of a waiting task", events.AttemptStarted, {"task": "d", "attempt": 1, "cli": "shell"}),
    ("an attempt of a running task", events.AttemptStarted, {"task": "b", "attempt": 2, "cli": "shell"}),
    ("an attempt of a completed task", events.AttemptStarted, {"task": "a", "attempt": 2, "cli": "shell"}),
    ("an attempt of an unknown task", events.AttemptStarted, {"task": "x", "attempt": 1, "cli": "shell"}),
    ("an attempt number used before", events.AttemptStarted, {"task": "c", "attempt": 0, "cli": "shell"}),
    (
        "the end of what did not start",
        events.AttemptFinished,
        {"task": "c", "attempt": 1, "outcome": "success"},
    ),
    ("the end of another attempt", events.AttemptFinished, {"task": "b", "attempt": 2, "outcome": "success"}),
    ("the end of an unknown task", events.AttemptFinished, {"task": "x", "attempt": 1, "outcome": "success"}),
    ("the skip of a running task", events.TaskSkipped, {"task": "b", "reason": "r"}),
    ("the skip of a completed task", events.TaskSkipped, {"task": "a", "reason": "r"}),
    ("the skip of an unknown task", events.TaskSkipped, {"task": "x", "reason": "r"}),
    ("the cancelling of a running task", events.TaskCancelled, {"task": "b"}),
    ("the cancelling of a completed task", events.TaskCancelled, {"task": "a"}),
    ("a question about a running task", events.TaskBlocked, {"task": "b", "question": "q"}),
    ("a question about a completed task", events.TaskBlocked, {"task": "a", "question": "q"}),
    ("a question about an unknown task", events.TaskBlocked, {"task": "x", "question": "q"}),
    ("a retry of a running task", events.TaskRetried, {"task": "b"}),
    ("a retry under a running dependent", events.TaskRetried, {"task": "a"}),
    ("a retry of an unknown task", events.TaskRetried, {"task": "x"}),
    ("an end while something runs", events.RunFinished, {"exit": 0, "reason": "completed"}),
]


@pytest.mark.parametrize(
    ("kind", "facts"), [row[1:] for row in IMPOSSIBLE], ids=[row[0] for row in IMPOSSIBLE]
)
def test_an_impossible_event_is_refused_and_changes_nothing(kind: type, facts: dict[str, Any]) -> None:
    told = complete(diamond(), "a").start("b")
    before = copy.deepcopy(snapshot(told.state))
    with pytest.raises(ImpossibleEvent):
        told.tell(kind, **facts)
    assert snapshot(told.state) == before


def test_nothing_goes_on_that_has_not_started() -> None:
    state = RunState()
    with pytest.raises(ImpossibleEvent):
        state.apply(events.RunResumed(seq=1, time=START, pid=1, version="0"))
    with pytest.raises(ImpossibleEvent):
        state.apply(events.AttemptStarted(seq=1, time=START, task="a", attempt=1, cli="shell"))
    assert snapshot(state) == snapshot(RunState())


def test_the_refusal_tells_the_tasks_story() -> None:
    told = Story(task("a", attempts=1)).start("a").end("a", "timeout")
    with pytest.raises(ImpossibleEvent, match="a is failed after 1 attempts, last outcome: timeout"):
        told.start("a")
