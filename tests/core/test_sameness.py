from __future__ import annotations

import msgspec
import pytest
from fakes import task

from orchestrator.core.plan import Task
from orchestrator.core.sameness import changes_work
from orchestrator.core.workers import GENERAL, WorkerType

OWN = WorkerType(name="writer", prompt="Write short sentences.")


def changes(old: Task, new: Task, was: WorkerType = GENERAL, now: WorkerType = GENERAL) -> bool:
    return changes_work(old, new, was, now, asked_anew=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("after", ("b",)), ("priority", "P0"), ("estimate", "1h"), ("timeout", "1h"), ("idle_timeout", None),
        ("attempts", 7), ("on_failure", "stop"), ("budget_usd", 2.0), ("max_turns", 9),
    ],
)  # fmt: skip
def test_order_and_bounds_do_not_change_the_work(field: str, value: object) -> None:
    for one in (task("a"), task("a", cli="claude", run="", description="Do it")):
        assert not changes(one, msgspec.structs.replace(one, **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "x"), ("description", "x"), ("worker", "test-engineer"), ("needs", ("b",)), ("inputs", {"a": "b"}),
        ("expected_output", "x"), ("constraints", ("x",)), ("steps", ("x",)), ("cli", "shell"), ("run", "x"),
        ("model", "opus"), ("tools", ()), ("allow", ("Bash",)), ("permission_mode", "plan"), ("artifacts", ("x",)),
        ("verify", ("x",)), ("output_schema", {"type": "object"}), ("setting_sources", ("user",)),
    ],
)  # fmt: skip
def test_what_reaches_the_worker_or_judges_it_changes_the_work(field: str, value: object) -> None:
    told = task("a", cli="claude", run="", description="Do it")
    assert changes(told, msgspec.structs.replace(told, **{field: value}))


def test_a_command_does_not_run_again_for_words_that_it_never_sees() -> None:
    old = Task(id="A", cli="shell", run="make", inputs={"x": "1"})
    seen = {"run": "make all", "inputs": {"x": "2"}, "needs": ("B",), "verify": ("true",), "cli": "session"}
    unseen = {"title": "Build", "description": "Builds it", "worker": "test-engineer", "model": "opus"}
    for name, value in seen.items():
        assert changes(old, msgspec.structs.replace(old, **{name: value})), name
    for name, value in unseen.items():
        assert not changes(old, msgspec.structs.replace(old, **{name: value})), name


def test_to_write_down_the_model_that_is_taken_anyway_changes_nothing() -> None:
    one = task("a", cli="claude", run="")
    assert not changes(one, msgspec.structs.replace(one, model="sonnet"))
    assert changes(one, msgspec.structs.replace(one, model="opus"))
    dear = WorkerType(name="general", model="opus")
    assert not changes(msgspec.structs.replace(one, model="opus"), one, dear, dear)


def test_a_newer_wording_of_the_programs_own_worker_types_costs_nobody_anything() -> None:
    one = task("a", cli="claude", run="")
    assert not changes(one, one, GENERAL, msgspec.structs.replace(GENERAL, prompt="Better words."))


def test_a_users_own_worker_type_is_part_of_the_work() -> None:
    one = task("a", cli="claude", run="", worker="writer")
    assert not changes(one, one, OWN, msgspec.structs.replace(OWN, description="for people"))
    assert changes(one, one, OWN, msgspec.structs.replace(OWN, prompt="Write long sentences."))
    assert changes(one, one, OWN, msgspec.structs.replace(OWN, tools=("Read",)))
    assert not changes(task("a"), task("a"), OWN, GENERAL), "a command has no worker"


def test_a_changed_request_changes_the_work_of_workers_alone() -> None:
    told = task("a", cli="claude", run="")
    assert changes_work(told, told, GENERAL, GENERAL, asked_anew=True)
    assert not changes_work(task("a"), task("a"), GENERAL, GENERAL, asked_anew=True)
