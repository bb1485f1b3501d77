"""What the worker of an attempt is given: its session, its prompt, its role, its command line."""

from __future__ import annotations

import errno
import os
from functools import cached_property
from typing import NamedTuple

from msgspec.structs import replace

from orchestrator.clis import claude, claude_output, shell
from orchestrator.clis.claude_features import Program
from orchestrator.core.briefing import Addition
from orchestrator.core.plan import Task
from orchestrator.core.replanning import is_planning
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.workers import WorkerType
from orchestrator.edges import gathering, results
from orchestrator.edges.views import Begins, Views
from orchestrator.edges.workspace import Workspace, write_whole_bytes

FEEDBACK = "feedback.md"
"""Name of the file in an attempt's folder that says what its checks found wrong."""

CONTINUING = ("interrupted", "unverified", "invalid output", "out of budget")
"""Outcomes after which the same session goes on."""

REFUSED = ("rate limited", "overloaded", "unreachable", "usage limited", "authentication", "no credit")
"""Outcomes of a request that was not answered: what was answered before it is paid, and stands in the session."""

MOST_REFUSALS = 10
"""Attempts in a row without an answer, after which a fresh session is tried: the old one may be too long for any."""


class CommandLine(NamedTuple):
    """How a process is started: `stdin` is the path of a file."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    stdin: str


class Assignments:
    """Makes what workers are given from the state of a run."""

    def __init__(self, state: RunState, workspace: Workspace, views: Views, program: Program | None) -> None:
        self._state = state
        self._workspace = workspace
        self._views = views
        self._program = program
        self._roles: dict[WorkerType, str] = {}

    def session(self, task: TaskState, number: int) -> str | None:
        """The session for the attempt to come: that of the attempt before it, if it can go on."""
        if task.task.cli != "claude":
            return None
        if task.session and self._goes_on(task):
            return task.session
        return claude.session_id(self._state.run, task.task.id, number)

    def _goes_on(self, task: TaskState) -> bool:
        """Whether the session of the last attempt can go on, and holds something that would be paid for again."""
        can = task.outcome in CONTINUING or task.task.id in self._state.told
        if not can and task.outcome not in REFUSED:
            return False
        folder = self._workspace.attempt(task.task.id, task.number)
        said = claude_output.read(results.lines(f"{folder}/stdout"))
        patient = task.trouble.in_a_row < MOST_REFUSALS
        return said.started and (can or said.answered or (patient and self.resumes(task)))

    def resumes(self, task: TaskState) -> bool:
        """Whether the attempt that was announced continues an earlier session."""
        return task.session is not None and task.session != claude.session_id(
            self._state.run, task.task.id, task.number
        )

    def may_write_unseen(self, task: Task) -> bool:
        """Whether a worker has files of its own, and commands that may change others."""
        known = task.cli == "claude" and bool(task.writes)
        return known and "Bash" in claude.tools_sent(task, self._state.worker_of(task))

    def begins(self, task: TaskState) -> Begins:
        """How the attempt that was announced begins."""
        if not self.resumes(task):
            return "fresh"
        if task.outcome in ("unverified", "invalid output"):
            return "corrected"
        return "answered" if not task.outcome and task.task.id in self._state.told else "continued"

    def given(self, task: TaskState) -> bytes:
        """What the worker reads: its prompt, or its commands."""
        if task.task.cli == "shell":
            return f"{task.task.run}\n".encode()
        return self._prompt(task).encode("utf-8", "replace")

    def _prompt(self, task: TaskState) -> str:
        plan = self._state.plan
        assert plan is not None
        begins = self.begins(task)
        needs = (
            []
            if begins != "fresh"
            else [gathering.need(self._workspace, n) for n in self._state.needs_of(task)]
        )
        told = self._state.told.get(task.task.id)
        addition = Addition(
            context="" if is_planning(task.task) else self._state.replanning.context,
            feedback=self.feedback(task),
            answer=told.text if told else "",
            allowed=self._state.allowed.get(task.task.id, ()),
        )
        if task.task.cli == "session":
            return self._views.session_prompt(self._state, task, needs, addition)
        return self._views.prompt(plan, task, needs, begins, addition)

    def feedback(self, task: TaskState) -> str:
        """What the checks of the attempt before found wrong."""
        if task.outcome not in ("unverified", "invalid output"):
            return ""
        last = task.number - 1 if task.running else task.number
        for number in range(last, 0, -1):
            path = f"{self._workspace.attempt(task.task.id, number)}/{FEEDBACK}"
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    return file.read()
        return task.reason

    def command_line(self, task: TaskState, folder: str, ceiling: float | None) -> CommandLine:
        """How the process of an attempt is started.

        Args:
            ceiling: dollars that the attempt may cost.

        Raises:
            FileNotFoundError: there is no claude program.
        """
        if task.task.cli == "shell":
            needs = {n.task.id: self._workspace.result_name(n.agent) for n in self._state.needs_of(task)}
            argv = shell.command(f"{folder}/prompt.md", f"{folder}/status")
            return CommandLine(argv, shell.environment(task.task, needs), os.devnull)
        if self._program is None:
            raise FileNotFoundError(errno.ENOENT, "no claude program was found when the run began")
        worker = self._state.worker_of(task.task)
        argv = claude.command(
            self._program,
            self._with_additions(task.task, ceiling),
            worker,
            task.session or "",
            prompt_file=self._role(worker),
            workspace=self._elsewhere,
            resume=self.resumes(task),
            last=0 < task.used == task.task.attempts - 1,
        )
        return CommandLine(argv, claude.environment(), f"{folder}/prompt.md")

    @cached_property
    def _elsewhere(self) -> str:
        return self._workspace.elsewhere(self._state.project)

    def _with_additions(self, task: Task, ceiling: float | None) -> Task:
        allowed = self._state.allowed.get(task.id, ())
        if not allowed and ceiling == task.budget_usd:
            return task
        return replace(task, allow=(*task.allow, *allowed), budget_usd=ceiling)

    def _role(self, worker: WorkerType) -> str:
        """The file with what all workers of a type are told; the same bytes for each of them."""
        path = self._roles.get(worker)
        if path is None:
            path = self._workspace.role(worker.name)
            write_whole_bytes(path, self._views.role(worker).encode("utf-8", "replace"))
            self._roles[worker] = path
        return path
