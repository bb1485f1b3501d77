"""What is wrong with a plan whose fields have the right types."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.checks import WHOLE_PLAN, Problem, problems, warnings
from orchestrator.core.plan import LONGEST_VARIABLE, Limits, Plan, Task


def of(*tasks: Task, **plan: Any) -> list[Problem]:
    return problems(Plan(request=plan.pop("request", "Do it"), tasks=tasks, **plan))


def task(name: str = "T-01", **fields: Any) -> Task:
    return Task(**{"id": name, "title": "something", **fields})


def shell(name: str = "T-01", **fields: Any) -> Task:
    return Task(**{"id": name, "cli": "shell", "run": "true", **fields})


def only(found: list[Problem]) -> tuple[str, str]:
    (problem,) = found
    return problem.field, problem.message


def test_a_plan_without_tasks_holds_where_it_may_grow_and_is_pointed_out() -> None:
    empty = Plan(request="Do it", tasks=(), replan="ask")
    assert problems(empty) == []
    assert ["there are no tasks: with `replan: ask`" in one for one in warnings(empty)] == [True]
    assert warnings(Plan(request="Do it", tasks=(task(),), replan="ask")) == []


def test_a_good_plan_has_no_problems() -> None:
    assert of(task("A"), task("B", needs=("A",)), shell("C", after=("A", "B"))) == []


def test_a_plan_says_what_it_is_for_and_has_tasks() -> None:
    assert [problem.field for problem in of(request=" ")] == ["request", "tasks"]
    assert all(problem.task == WHOLE_PLAN for problem in of(request=" "))


def test_an_unknown_need_is_told_with_what_was_meant() -> None:
    found = of(task("T-01"), task("T-02", needs=("T-01", "T-1")))
    assert found == [Problem(1, "needs", "there is no task 'T-1'; did you mean 'T-01'?", 1)]


@pytest.mark.parametrize("length", [2, 50])
def test_a_cycle_is_one_problem_that_names_it_whole(length: int) -> None:
    ids = [f"T-{number:02d}" for number in range(length)]
    ring = [task(name, needs=(ids[(at + 1) % length],)) for at, name in enumerate(ids)]
    field, message = only(of(*ring))
    assert field == "needs"
    assert " -> ".join([*ids, ids[0]]) in message


def test_a_cycle_over_needs_and_after_is_found() -> None:
    field, message = only(of(task("A", after=("B",)), task("B", needs=("A",))))
    assert (field, "A -> B -> A" in message) == ("after", True)


def test_a_very_long_cycle_is_cut_in_the_message() -> None:
    ids = [f"T-{number}" for number in range(500)]
    _, message = only(of(*(task(name, needs=(ids[at - 1],)) for at, name in enumerate(ids))))
    assert "(400 more) -> T-0" in message


def test_a_task_cannot_wait_for_itself() -> None:
    assert only(of(task("A", after=("A",)))) == ("after", "a task cannot wait for itself")


def test_a_dependency_stands_once() -> None:
    found = of(task("A"), task("B", needs=("A", "A"), after=("A",)), task("C", after=("A", "A")))
    assert [(one.task, one.field, one.item) for one in found] == [
        (1, "needs", 1),
        (1, "after", 0),
        (2, "after", 1),
    ]


def test_ids_are_unique_letter_case_aside() -> None:
    found = of(task("T-a"), task("T-A"), task("T-a"))
    assert [(one.task, one.field) for one in found] == [(1, "id"), (2, "id")]
    assert "only in upper and lower case" in found[0].message


@pytest.mark.parametrize(
    ("bad", "field", "words"),
    [
        (Task(id="A"), "description", "is missing"),
        (Task(id="A", description=" \n"), "description", "is missing"),
        (Task(id="A", cli="shell"), "run", "needs the command"),
        (Task(id="A", cli="session", title="x", run="ls"), "run", "not with cli session"),
        (task(worker="tester"), "worker", "no worker type 'tester'"),
        (task(title="a\nb"), "title", "one line"),
        (task(title="a\x1b[2Jb"), "title", "one line"),
        (task(model="-p"), "model", "taken for an option"),
        (task(fallback_model="a\0"), "fallback_model", "control character"),
        (task(tools=("Read", " --x")), "tools", "taken for an option"),
        (task(allow=("",)), "allow", "is empty"),
        (task(tools=("bash",)), "tools", "'bash' is no tool; did you mean 'Bash'?"),
        (task(tools=("Raed",)), "tools", "'Raed' is no tool; did you mean 'Read'?"),
        (task(allow=("bash(git *)",)), "allow", "'bash' is no tool; did you mean 'Bash'?"),
        (task(allow=("Bash(git log",)), "allow", "'Bash(git log' has no closing `)`"),
        (task(timeout="0s"), "timeout", "longer than nothing"),
        (task(idle_timeout="0.0m0s"), "idle_timeout", "longer than nothing"),
        (task(estimate="9" * 400 + "d"), "estimate", "ten years"),
        (task(budget_usd=float("inf")), "budget_usd", "not a sum of money"),
        (task(output_schema={}), "output_schema", "type: object"),
        (
            task(output_schema={"type": "object", "format": "uri"}),
            "output_schema",
            "`format` makes older versions",
        ),
        (shell(idle_timeout="5m"), "idle_timeout", "a command, which may be silent"),
        (task(verify=("\t",)), "verify", "empty command"),
        (task(verify=("true\0",)), "verify", "NUL"),
        (task(verify=("true",) * 16_000), "verify", "too much for one command line"),
        (task(allow=tuple(f"Bash(run {n:09})" for n in range(4000))), "allow", "put it into a script"),
        (
            task(steps=("x" * 1_000_000,), inputs={"a": "x" * 1_000_002}),
            "description",
            "too much for a prompt",
        ),
        (shell(run="x" * (LONGEST_VARIABLE + 1)), "run", "longer than one argument"),
        (task(inputs={"a": "\0"}), "inputs", "NUL"),
        (task(inputs={"": "a"}), "inputs", "one line"),
        (shell(inputs={"a": "é" * (LONGEST_VARIABLE // 2)}), "inputs", "too long for a variable"),
        (shell(inputs={"a-b": "", "a.b": ""}), "inputs", "same variable as 'a-b'"),
        (task(artifacts=("/etc/passwd",)), "artifacts", "relative"),
        (task(artifacts=("a/..",)), "artifacts", "`..`"),
        (task(writes=(" ",)), "writes", "is empty"),
        (task(writes=("a\nb",)), "writes", "line break"),
        (task(writes=("./.orchestrator/journal.jsonl",)), "writes", ".orchestrator/"),
        (task(writes=(".Orchestrator",)), "writes", ".orchestrator/"),
    ],
)
def test_one_wrong_field_is_one_problem(bad: Task, field: str, words: str) -> None:
    name, message = only(of(bad))
    assert name == field
    assert words in message


@pytest.mark.parametrize(
    "good",
    [
        Task(id="A", title="the title serves as description"),
        task(permission_mode="bypassPermissions"),
        task(inputs={"a-b": "", "a.b": "only variables collide"}),
        task(writes=(".github/*", "**", "*", "~backup")),
        task(tools=(), allow=("Bash(git -C x *)",)),
        task(output_schema={"type": "object"}),
        task(description="é" * 1_900_000, verify=("test -e " + "x" * 50_000,)),
        task(worker="orchestrator"),
        task(max_turns=5, setting_sources=(), model="opus"),
        shell(idle_timeout=None),
    ],
)
def test_these_are_allowed(good: Task) -> None:
    assert of(good) == []


def test_a_worker_type_is_one_of_those_that_are_known() -> None:
    plan = Plan(request="r", tasks=(task("A", worker="mine"), task("B", worker="mein"), task("C")))
    assert [(one.task, one.message) for one in problems(plan, [f"type{n:02d}" for n in range(20)])][1] == (
        1,
        "there is no worker type 'mein'; known are "
        + "type00, type01, type02, type03, type04, type05, type06, type07, type08, type09, type10, type11, …",
    )
    assert [one.task for one in problems(plan)] == [0, 1]
    assert problems(plan, ("general", "mine")) == [
        Problem(1, "worker", "there is no worker type 'mein'; did you mean 'mine'?")
    ]


def test_each_worker_type_is_looked_for_once() -> None:
    asked = []

    class Known(tuple[str, ...]):
        def __contains__(self, name: object) -> bool:
            asked.append(name)
            return True

    assert (
        problems(Plan(request="r", tasks=tuple(task(f"T{n}", worker="mine") for n in range(9))), Known())
        == []
    )
    assert asked == ["mine"]


def test_all_that_is_wrong_with_a_schema_is_told() -> None:
    found = of(task(output_schema={"type": "object", "properties": {"a": {"type": "x"}, "b": {"enum": []}}}))
    assert [one.field for one in found] == ["output_schema"] * 2


def test_results_of_a_shell_task_need_variables_of_their_own() -> None:
    found = of(task("a.b"), task("a-b"), shell("C", needs=("a.b", "a-b")), task("D", needs=("a.b", "a-b")))
    assert [(one.task, one.field, one.item) for one in found] == [(2, "needs", 1)]


def test_the_whole_plan_is_checked_too() -> None:
    found = of(task(), verify=("true", ""), limits=Limits(deadline="0s"))
    assert {(one.task, one.field) for one in found} == {
        (WHOLE_PLAN, "verify"),
        (WHOLE_PLAN, "limits.deadline"),
    }
