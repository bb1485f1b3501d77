from __future__ import annotations

import pytest
from story import Story

from orchestrator.core import summary
from orchestrator.core.events import PlanVerified, RunFinished, TaskBlocked, TaskCancelled
from orchestrator.core.plan import Limits, Task
from orchestrator.core.report import Report


def test_the_figures_are_measured() -> None:
    story = Story(Task(id="A"), Task(id="B"), limits=Limits(parallelism=2))
    story.wait(10).start("A").start("B").wait(20).end("A", cost_usd=0.5).wait(10).end(
        "B", cost_usd=0.25
    ).wait(10)
    story.tell(RunFinished, exit=0, reason="completed")
    totals = summary.totals(story.state, story.wait(1000).now)
    assert (totals.duration, totals.work, totals.places, totals.cost_usd) == (50.0, 50.0, 2, 0.75)
    assert totals.efficiency == 0.5
    assert totals.unfinished == 0


def test_more_at_once_than_the_plan_says_counts_as_places() -> None:
    story = Story(*[Task(id=name) for name in "ABCD"], limits=Limits(parallelism=1))
    for name in "ABCD":
        story.start(name)
    story.wait(10)
    for name in "ABCD":
        story.end(name)
    totals = summary.totals(story.state, story.now)
    assert (totals.places, totals.efficiency) == (4, 1.0)


def test_one_task_right_after_the_other_takes_one_place() -> None:
    story = Story(Task(id="A"), Task(id="B"), limits=Limits(parallelism=1))
    story.start("A").wait(5).end("A").start("B").wait(5).end("B")
    assert summary.totals(story.state, story.now).places == 1


def test_a_chain_could_run_only_one_at_a_time() -> None:
    story = Story(Task(id="A"), Task(id="B", needs=("A",)), limits=Limits(parallelism=4))
    story.start("A").wait(5).end("A").start("B").wait(5).end("B")
    totals = summary.totals(story.state, story.now)
    assert (totals.places, totals.efficiency) == (1, 1.0)


def test_what_a_session_did_one_after_another_is_counted_and_drawn_so() -> None:
    story = Story(*[Task(id=name, cli="session") for name in "ABC"])
    for name in "ABC":
        story.start(name).wait(50).end(name)
    totals = summary.totals(story.state, story.now)
    assert (totals.places, totals.work, totals.duration) == (3, 150.0, 150.0)
    assert totals.efficiency == pytest.approx(1 / 3)
    bars = [line.split("|")[1] for line in summary.timeline(story.state, story.now).drawing.split("\n")[1:-1]]
    covered = [{i for i, stroke in enumerate(bar) if stroke != " "} for bar in bars]
    assert [len(a & b) for a, b in ((covered[0], covered[1]), (covered[1], covered[2]))] == [0, 0]


def test_a_wait_between_attempts_takes_no_place() -> None:
    story = Story(Task(id="A"), Task(id="B"), limits=Limits(parallelism=1))
    story.start("A").wait(5).end("A", "error").wait(1).start("B").wait(5).end("B").start("A").wait(5).end("A")
    assert summary.totals(story.state, story.now).places == 1


def test_work_still_going_on_is_counted_up_to_now() -> None:
    story = Story(Task(id="A")).start("A").wait(7)
    assert summary.totals(story.state, story.now).work == 7.0


def test_without_work_there_is_no_efficiency() -> None:
    assert summary.totals(Story(Task(id="A")).state, Story(Task(id="A")).now).efficiency is None


def test_bars_stand_on_one_axis_in_the_order_of_their_starts() -> None:
    story = Story(Task(id="A"), Task(id="LONG"), Task(id="never"))
    story.start("LONG").wait(50).end("LONG").start("A").wait(50).end("A", "error")
    timeline = summary.timeline(story.state, story.now)
    assert timeline.drawing.split("\n")[1:-1] == [
        f"LONG |{'█' * 25}{' ' * 25}| 50s",
        f"A    |{' ' * 25}{'-' * 25}| 50s",
    ]
    assert (timeline.shown, timeline.left_out, timeline.never_started, timeline.length) == (2, 0, 1, 100.0)


def test_of_many_tasks_those_that_took_longest_are_drawn() -> None:
    story = Story(*[Task(id=f"T-{i}") for i in range(1000)])
    for i in range(1000):
        story.start(f"T-{i}").wait(5 if i % 10 == 3 else 1).end(f"T-{i}")
    timeline = summary.timeline(story.state, story.now)
    drawn = [line.split()[0] for line in timeline.drawing.split("\n")[1:-1]]
    assert drawn == [f"T-{i}" for i in range(3, 1000, 10)]
    assert timeline.left_out == 900


@pytest.mark.parametrize("back", [0, -3600])
def test_every_bar_fits_its_line_also_when_the_clock_jumps_back(back: int) -> None:
    story = Story(*[Task(id=f"T-{i}") for i in range(9)])
    for i in range(9):
        story.start(f"T-{i}").wait(back if i == 4 else i).end(f"T-{i}")
    lines = summary.timeline(story.state, story.now).drawing.split("\n")[1:-1]
    assert all(line.index("|", 5) - line.index("|") == summary.BAR_WIDTH + 1 for line in lines)


def test_recommendations_give_the_exact_line_to_type() -> None:
    story = Story(Task(id="A", attempts=1), Task(id="B"), Task(id="C"), Task(id="D"), Task(id="E"))
    story.start("A").end("A", "error", "exit status 2: <x>")
    story.start("B").end("B", "denied", "denied: Bash").tell(TaskBlocked, task="C", question="which *one*?")
    story.tell(TaskCancelled, task="D").start("E").end("E", "success", "although denied: WebFetch")
    assert summary.recommendations(story.state) == [
        "`A` failed (error: exit status 2: \\<x\\>)."
        " `orchestrate retry A` gives it, and what it held up, fresh attempts.",
        "`B` was not permitted to use what it asked for (denied: Bash). `orchestrate retry B --allow RULE`"
        " lets it go on with that; if it should do without: `orchestrate retry B`.",
        "`C` waits for a person; `orchestrate answer C TEXT` lets it go on: which \\*one\\*?",
        "`D` was cancelled. `orchestrate retry D` gives it, and what it held up, fresh attempts.",
        "`E` was completed, but look at it: although denied: WebFetch.",
    ]


def test_what_has_not_run_is_pointed_out_with_the_line_that_goes_on() -> None:
    story = Story(Task(id="A"), Task(id="B")).start("A").end("A", "authentication", "not logged in")
    story.start("A").end("A", "authentication", "not logged in")
    story.tell(RunFinished, exit=5, reason="authentication")
    assert summary.recommendations(story.state) == [
        "The run was held up (authentication). When that is settled: `orchestrate run --detach`."
    ]
    other = Story(Task(id="A"), Task(id="B")).start("A").end("A").tell(RunFinished, exit=4, reason="deadline")
    assert summary.recommendations(other.state) == [
        "1 task has not run. To go on: `orchestrate run --detach`."
    ]


def test_a_plan_whose_checks_failed_says_so() -> None:
    story = Story(Task(id="A")).start("A").end("A").tell(PlanVerified, passed=False, reason="make test: 1")
    assert summary.recommendations(story.state) == ["The checks of the whole plan did not pass: make test: 1"]


def test_a_thousand_failures_are_not_spelled_out_one_by_one() -> None:
    story = Story(*[Task(id=f"T-{i}", attempts=1) for i in range(1000)])
    for i in range(1000):
        story.start(f"T-{i}").end(f"T-{i}", "error")
    lines = summary.recommendations(story.state)
    assert len(lines) == summary.RETRIES + 1
    assert lines[-1] == "950 more: `orchestrate status` lists them."


def test_sinks_are_the_tasks_that_nothing_depends_on() -> None:
    story = Story(Task(id="C", needs=("A",)), Task(id="A"), Task(id="B"))
    assert [task.task.id for task in summary.sinks(story.state)] == ["B", "C"]


def test_what_reports_recommend_is_listed_once_each_the_ends_of_the_plan_first() -> None:
    tasks = [Task(id="T-01"), Task(id="T-02", needs=("T-01",)), Task(id="T-03", needs=("T-01",))]
    story = Story(*tasks).start("T-01").end("T-01", report=Report("complete", recommendations=("a", "b")))
    story.start("T-02").end("T-02", report=Report("complete", recommendations=("b", "# c")))
    rows, more = summary.recommended(story.state, story.history.reports)
    assert [(row["task"], row["text"]) for row in rows] == [("T-02", "b"), ("T-02", "\\# c"), ("T-01", "a")]
    assert more == 0


def test_of_many_recommendations_the_rest_is_counted() -> None:
    story = Story(*(Task(id=f"T-{i}") for i in range(20)))
    for i in range(20):
        story.start(f"T-{i}").end(f"T-{i}", report=Report("complete", recommendations=(f"a{i}", f"b{i}")))
    rows, more = summary.recommended(story.state, story.history.reports)
    assert (len(rows), more) == (summary.RECOMMENDED, 40 - summary.RECOMMENDED)
