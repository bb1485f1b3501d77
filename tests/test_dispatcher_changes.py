"""A dispatcher and what workers change outside of their `writes`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dispatched import given, worker
from fakes import Act, Stage, plan, stream, task

from orchestrator.clis import claude
from orchestrator.core.events import AttemptFinished


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_files_changed_outside_of_writes_are_told_of(stage: Stage) -> None:
    def wrote(name: str, path: str) -> bytes:
        call = f'{{"type":"tool_use","id":"w","name":"Write","input":{{"file_path":"{path}"}}}}'
        done = '{"type":"tool_result","tool_use_id":"w"}'
        head = (
            f'{{"type":"assistant","message":{{"content":[{call}]}}}}\n'
            f'{{"type":"user","message":{{"content":[{done}]}}}}\n'
        )
        return head.encode() + stream(session_id=claude.session_id("r-1", name, 1))

    stage.processes.script = {
        "a": Act(stdout=wrote("a", f"{stage.project}/docs/a.md")),
        "b.1": Act(stdout=wrote("b", f"{stage.project}/src/x.py")),
    }  # fmt: skip
    assert stage.play(plan(worker("a", writes=("docs/**",)), worker("b", writes=("notes/**",)))) == 0
    reasons = {f"{e.task}.{e.attempt}": (e.outcome, e.reason) for e in stage.happened(AttemptFinished)}
    assert reasons["a.1"] == ("success", "")
    assert reasons["b.1"][0] == "unverified"
    assert "src/x.py" in reasons["b.1"][1]
    assert reasons["b.2"][0] == "success"
    assert "src/x.py" in given(stage, "b.2")


def test_what_a_command_changed_outside_of_writes_is_said(stage: Stage) -> None:
    saves = {"keep.txt": "after", "docs.md": "mine"}
    act = Act(stdout=stream(tools=1), saves=saves)
    stage.processes.script = {"a": act, "b": act}
    (stage.project / "keep.txt").write_text("before")
    bash: dict[str, Any] = {"tools": ("Read", "Bash"), "writes": ("docs.md",)}
    tasks = worker("a", **bash), worker("b", "a", tools=("Read", "Write"), writes=("docs.md",))
    assert stage.play(plan(*tasks)) == 0
    reasons = {event.task: event.reason for event in stage.happened(AttemptFinished)}
    assert reasons == {"a": "although keep.txt changed meanwhile, outside of its writes", "b": ""}


def test_nothing_is_said_of_changes_that_may_be_those_of_another(stage: Stage) -> None:
    stage.processes.script = {
        "a": Act(seconds=2, stdout=stream(tools=1)), "b": Act(seconds=1, saves={"keep.txt": "by b"}),
    }  # fmt: skip
    bash: dict[str, Any] = {"tools": ("Read", "Bash"), "writes": ("docs.md",)}
    assert stage.play(plan(worker("a", **bash), task("b"))) == 0
    assert {event.reason for event in stage.happened(AttemptFinished)} == {""}
