"""Attempts as real processes: how they end, what they leave, and what decides over them."""

from __future__ import annotations

import pytest
from project import HOLD, Project, attempt_file, begun, claude, note, shell, until

pytestmark = pytest.mark.real


def test_a_timeout_stops_a_worker_and_all_it_started(project: Project) -> None:
    project.plan(shell("A", "sleep 600 & echo up; sleep 600", timeout="300ms", attempts=1))
    assert project.run().status == 1
    assert (project.outcomes("A"), project.living()) == (["timeout"], [])


def test_a_worker_that_ignores_every_signal_is_killed_in_the_end(project: Project) -> None:
    project.plan(
        shell("A", "trap '' TERM INT; while :; do sleep 0.05; done", timeout="300ms", attempts=1),
        claude("C", "stubborn+hang", timeout="500ms", attempts=1),
    )
    assert project.run().status == 1
    assert (project.outcomes("A"), project.outcomes("C")) == (["timeout"], ["timeout"])
    assert project.living() == []


@pytest.mark.parametrize(("check", "outcome"), [("true", "success"), ("false", "unverified")])
def test_a_worker_that_does_not_end_after_its_result_is_judged_by_its_work(
    project: Project, check: str, outcome: str
) -> None:
    project.plan(claude("A", "linger", idle_timeout="400ms", attempts=1, verify=[check]))

    project.run()

    assert project.outcomes("A") == [outcome]
    assert "it did not end after its result" in project.events("AttemptFinished")[0]["reason"]
    assert len(project.noted("start A")) == 1, "it is not paid for again"
    assert project.living() == []


def test_a_silent_claude_worker_is_stopped_as_stalled(project: Project) -> None:
    project.plan(claude("A", "hang", idle_timeout="400ms", attempts=1))
    project.run()
    assert project.outcomes("A") == ["stalled"]


@pytest.mark.parametrize(
    "line",
    [
        "sleep 600 &",
        "setsid sleep 600 &",
        "(setsid sleep 600 > /dev/null 2>&1 < /dev/null &)",
        "nohup sh -c 'sleep 600; :' > /dev/null 2>&1 &",
    ],
)
def test_nothing_that_a_worker_started_is_left_after_the_run(project: Project, line: str) -> None:
    project.plan(shell("A", line, "echo done"))
    assert project.run().status == 0
    assert project.living() == []


def test_the_children_of_a_claude_worker_are_stopped_too(project: Project) -> None:
    project.plan(claude("A", "children+answer"))
    assert project.run().status == 0
    assert project.living() == []


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["exit 7"], 7),
        (["exec sh -c 'exit 8'"], 8),
        (["trap 'exit 9' EXIT", "true"], 9),
        (["if then"], 2),
        (["false", "true"], 0),
        (["set -e", "false", "true"], 1),
        (["no-such-program"], 127),
        (["echo x", "exec true"], 0),
    ],
    ids=["exit", "exec", "trap", "syntax", "last", "set-e", "missing", "exec-true"],
)
def test_the_exit_status_of_a_command_is_not_lost(project: Project, lines: list[str], status: int) -> None:
    project.plan(shell("A", *lines, attempts=1))
    assert project.run().status == (1 if status else 0)
    assert project.events("AttemptFinished")[0]["exit"] == status


@pytest.mark.parametrize("lines", [["exec true"], ["exit 0", "exit 1"]])
def test_the_exit_status_is_known_without_a_dispatcher(project: Project, lines: list[str]) -> None:
    project.plan(shell("A", note("start A"), HOLD, *lines))
    project.kill(begun(project))
    project.go()
    until(lambda: attempt_file(project, "A.1/status"), "the end of the worker")
    assert project.run().status == 0
    assert project.outcomes("A") == ["success"]


def test_a_command_that_is_given_too_much_says_so(project: Project) -> None:
    project.plan(shell("A", "true", inputs={f"x{n}": "y" * 130_000 for n in range(50)}, attempts=1))
    done = project.run()
    assert done.status == 1
    assert (
        "more than a process can be given as variables; give fewer, or write them to a file"
        in project.result()
    )


def test_inputs_and_results_reach_a_command_through_its_environment(project: Project) -> None:
    project.plan(
        shell("A-1", "echo from A"),
        shell("B", "pwd", 'echo "$ORCHESTRATE_INPUT_some_word"', 'cat "$ORCHESTRATE_RESULT_A_1"',
              needs=["A-1"], inputs={"some-word": "$HOME `x` \"é\""}),
    )  # fmt: skip
    assert project.run().status == 0
    assert '$HOME `x` "é"' in project.result(2)
    assert f"{project.folder}\n" in project.result(2)
    assert "from A" in project.result(2)


def test_whatever_a_worker_writes_its_result_is_text_and_the_terminal_is_safe(project: Project) -> None:
    write = r"printf '\377\376\000\033[31mred\033]0;title\007\n'; head -c 10000 /dev/zero | tr '\0' x; echo"
    project.plan(shell("A", write, "echo end"), shell("B", f"({write}) >&2; exit 1", attempts=1))
    done = project.run()
    assert done.status == 1
    assert "\x1b" not in done.out + done.err + project.do("log", "A").out + project.do("status").out
    text = project.result()
    assert "\x1b" not in text
    assert "\0" not in text
    assert "x" * 10_000 + "\nend" in text
    assert all("\x1b" not in path.read_text() for path in project.workspace.glob("*.md"))


def test_artifacts_and_verify_decide_over_an_exit_status(project: Project) -> None:
    project.plan(
        shell("A", "echo x > out", artifacts=["out"], verify=["grep x out", "true"]),
        shell("B", "true", artifacts=["missing"], attempts=1),
        shell("C", "true", verify=["echo no such luck; exit 3"], attempts=1),
    )
    assert project.run().status == 1
    assert project.statuses() == {"A": "completed", "B": "failed", "C": "failed"}
    assert "missing" in project.events("AttemptFinished", "B")[0]["reason"]
    assert "no such luck" in project.events("AttemptFinished", "C")[0]["reason"]


@pytest.mark.parametrize(
    ("model", "outcomes", "status"),
    [
        ("answer", ["success"], 0),
        ("nothing", ["empty"], 1),
        ("failed", ["error"], 1),
        ("garbage", ["empty"], 1),
        ("limited+answer", ["rate limited", "success"], 0),
        ("killed+answer", ["error"], 1),
        ("denied", ["denied"], 3),
        ("logged-out", ["authentication"] * 2, 5),
    ],
)
def test_what_a_claude_worker_says_of_itself_is_believed_only_so_far(
    project: Project, model: str, outcomes: list[str], status: int
) -> None:
    project.plan(claude("A", model, attempts=1))
    assert project.run().status == status
    assert project.outcomes("A") == outcomes


def test_a_claude_program_that_is_missing_is_an_error_of_the_machine(project: Project) -> None:
    project.plan(claude("A", "answer"))
    project.environment["ORCHESTRATE_CLAUDE"] = "/no/such/claude"
    done = project.run()
    assert done.status == 5
    assert "/no/such/claude is not a program" in done.err
    assert project.events() == []
