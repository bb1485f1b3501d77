from __future__ import annotations

from typing import Any

from orchestrator.core.grants import Grant, grants
from orchestrator.core.plan import Task
from orchestrator.core.workers import WorkerType

WORKERS = {
    "writer": WorkerType(name="writer", tools=("Read", "Write")),
    "tester": WorkerType(name="tester", tools=("Read", "Write")),
    "reader": WorkerType(name="reader", tools=("Read",), permission_mode="plan"),
}


def work(name: str, worker: str = "writer", **more: Any) -> Task:
    return Task(id=name, worker=worker, **more)


def test_tasks_that_may_use_the_same_are_told_once() -> None:
    (grant,) = grants([work("A"), work("B"), work("C", "tester")], WORKERS)
    assert grant == Grant(
        ["A", "B", "C"], ["writer", "tester"], "sonnet", "acceptEdits", ("Read", "Write"), []
    )


def test_the_order_in_which_tools_are_named_makes_no_difference() -> None:
    (grant,) = grants([work("A"), work("B", tools=("Write", "Read"))], WORKERS)
    assert (grant.tasks, grant.rules) == (["A", "B"], ("Read", "Write"))


def test_another_model_mode_or_list_of_tools_is_told_apart() -> None:
    tasks = [
        work("A"),
        work("B", model="opus"),
        work("C", "reader"),
        work("D", tools=("Read", "Write", "Web")),
    ]
    assert [grant.tasks for grant in grants(tasks, WORKERS)] == [["A"], ["B"], ["C"], ["D"]]


def test_what_all_of_them_add_is_told_with_the_tools_and_the_rest_by_task() -> None:
    tasks = [
        work("A", verify=("make all", "make a"), allow=("Read",)),
        work("B", verify=("make all",), allow=("Bash(ls *)",)),
        work("C", verify=("make all",)),
        work("D", verify=("make a", "make all")),
    ]
    (grant,) = grants(tasks, WORKERS)
    assert grant.rules == ("Read", "Write", "Bash(make all)")
    assert grant.more == [(["A", "D"], ("Bash(make a)",)), (["B"], ("Bash(ls *)",))]


def test_one_task_alone_is_one_grant_with_all_that_it_adds() -> None:
    (grant,) = grants([work("A", allow=("Read", "Bash(ls *)"), verify=("make a",))], WORKERS)
    assert (grant.rules, grant.more) == (("Read", "Write", "Bash(ls *)", "Bash(make a)"), [])


def test_what_a_worker_type_denies_is_not_told_as_allowed() -> None:
    careful = WorkerType(name="careful", tools=("Read", "Write"), denied=("Write",))
    assert grants([work("A", "careful")], {"careful": careful})[0].rules == ("Read",)


def test_no_tasks_have_no_grants() -> None:
    assert grants([], WORKERS) == []
