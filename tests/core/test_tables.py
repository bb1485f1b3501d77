from __future__ import annotations

from story import Story

from orchestrator.core import tables
from orchestrator.core.events import RunFinished
from orchestrator.core.plan import Task
from orchestrator.core.state import STATUSES


def test_every_status_has_an_icon_of_each_kind_and_a_style() -> None:
    assert set(tables.ICONS) == set(tables.ASCII_ICONS) == set(tables._STYLES) == set(STATUSES)
    assert all(icon.isascii() for icon in tables.ASCII_ICONS.values())
    assert len(set(tables.ASCII_ICONS.values())) == len(STATUSES)


def test_the_bar_is_full_only_when_all_tasks_have_ended() -> None:
    story = Story(*[Task(id=f"T-{i}") for i in range(300)])
    for i in range(299):
        story.start(f"T-{i}").end(f"T-{i}")
    assert tables.progress(story.state) == f"[{'█' * 29}░] 99% (299 of 300 ended: 299 completed, 1 pending)"
    story.start("T-299").end("T-299")
    assert (
        tables.progress(story.state, 10, ascii_only=True)
        == "[##########] 100% (300 of 300 ended: 300 completed)"
    )


def test_up_to_a_thousand_tasks_are_all_shown() -> None:
    story = Story(*[Task(id=f"T-{i}") for i in range(1000)])
    assert len(tables.shown(story.state.tasks)) == 1000


def test_of_more_only_those_are_shown_that_somebody_may_have_to_look_at() -> None:
    first = Task(id="T-0")
    story = Story(first, *[Task(id=f"T-{i}", needs=("T-0",)) for i in range(1, 2000)])
    assert [task.task.id for task in tables.shown(story.state.tasks)] == ["T-0"]
    story.start("T-0").end("T-0")
    assert len(tables.shown(story.state.tasks)) == tables.MOST_ROWS


def test_the_graph_is_drawn_up_to_a_hundred_tasks() -> None:
    story = Story(*[Task(id=f"T-{i}") for i in range(101)])
    assert tables.mermaid(story.state) == ""


def test_needs_are_arrows_and_order_is_dotted() -> None:
    story = Story(Task(id="A"), Task(id="B", needs=("A",)), Task(id="C", title='say "hi"', after=("B",)))
    assert tables.mermaid(story.state).split("\n")[:6] == [
        "flowchart LR",
        '    n0["A"]:::pending',
        '    n1["B"]:::waiting',
        '    n2["C say #34;hi#34;"]:::waiting',
        "    n0 --> n1",
        "    n1 -.-> n2",
    ]


def test_the_state_of_the_run_is_one_word_until_it_ends() -> None:
    story = Story(Task(id="A"))
    assert tables.run_word(story.state) == "under way"
    assert tables.run_word(story.start("A").state) == "running"
    story.end("A").tell(RunFinished, exit=0, reason="completed")
    assert tables.run_word(story.state) == "ended with exit status 0: completed"


def test_a_run_that_a_session_works_on_has_not_ended() -> None:
    story = Story(Task(id="A", cli="session"), Task(id="B", cli="session"))
    story.tell(RunFinished, exit=3, reason="waiting for a session")
    assert tables.run_word(story.state) == "waiting for a session (to be started: A, B)"
    story.start("A").tell(RunFinished, exit=3, reason="waiting for a session")
    assert tables.run_word(story.state).startswith("a session is at work on A (since ")
    story.tell(RunFinished, exit=4, reason="deadline")
    assert tables.run_word(story.state).startswith(
        "ended with exit status 4: deadline; a session is at work on "
    )


def test_a_running_task_has_no_end_although_an_earlier_attempt_had() -> None:
    story = Story(Task(id="A")).start("A").wait(5).end("A", "error").wait(9).start("A")
    row = tables.status_row(story.state.tasks[0])
    assert (row["start"], row["end"], row["attempts"]) == ("2025-03-01 10:00:00", "–", 2)


def test_an_error_of_a_task_that_left_the_plan_still_names_its_agent() -> None:
    story = Story(Task(id="A"), Task(id="B")).start("B").end("B", "error")
    story.tell_plan(Task(id="A"))
    assert [(row["agent"], row["task"]) for row in tables.error_rows(story.state, story.history)] == [
        ("Agent-02", "B")
    ]


def test_the_log_stands_in_a_fence_that_no_text_can_end() -> None:
    story = Story(Task(id="A")).start("A").end("A", "error", "```\n# gone")
    log = tables.log_block(story.history)
    assert log.startswith("````text\n")
    assert log.endswith("error: ``` # gone\n````")


def test_what_a_completion_rests_on_is_what_was_asked_of_the_task() -> None:
    tasks = [
        Task(id="A", verify=("make test", "make lint"), artifacts=("a.md",)),
        Task(id="B", output_schema={"type": "object"}, verify=("make test",)),
        Task(id="C", cli="shell", run="true"),
        Task(id="D"),
        Task(id="E", verify=("make test",)),
    ]
    story = Story(*tasks, success_criteria=("It is fast", "# it holds"))
    for name in "ABCD":
        story.start(name).end(name)

    found = tables.proofs(story.state)

    assert [row["proof"] for row in found["proofs"]] == [  # type: ignore[attr-defined]
        "2 checks, 1 artifact", "1 check, schema", "exit status 0", "none", "–",
    ]  # fmt: skip
    assert (found["proven"], found["unproven"], found["proofs_left_out"]) == (3, 1, 0)
    assert found["success_criteria"] == ["It is fast", "\\# it holds"]


def test_of_a_thousand_tasks_those_without_proof_are_shown() -> None:
    story = Story(*(Task(id=f"T-{i}", verify=("make",) if i % 50 else ()) for i in range(1000)))
    for i in range(1000):
        story.start(f"T-{i}").end(f"T-{i}")
    found = tables.proofs(story.state)
    assert (found["proven"], found["unproven"], found["proofs_left_out"]) == (980, 20, 980)
