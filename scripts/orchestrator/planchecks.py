"""The plan's own `verify` commands, run one after another when all tasks are completed."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.attempts import Attempts, ProcessTable
from orchestrator.core import verdict
from orchestrator.core.plan import seconds
from orchestrator.core.state import RunState
from orchestrator.core.verdict import Check, Ending, Evidence
from orchestrator.edges.processes import Ended, How
from orchestrator.edges.workspace import Workspace

TIMEOUT = "30m"
"""What one of the commands may take: the default timeout of a task."""

PREFIX = "/plan-"
"""Begins the key of their processes; no task's id begins so."""


class PlanChecks:
    """One pass over the commands; `under_way` while one of them runs."""

    def __init__(
        self,
        state: RunState,
        workspace: Workspace,
        processes: ProcessTable,
        attempts: Attempts,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._workspace = workspace
        self._processes = processes
        self._attempts = attempts
        self._clock = clock
        self._done: list[Check] = []
        self._until = 0.0
        self._stopped = False
        self.under_way = False

    def begin(self) -> None:
        """Start the first command."""
        self._done = []
        self._start_next()

    def note(self, ended: Ended) -> Evidence | None:
        """Take in the end of a command and start the next; after the last one, what they all showed."""
        self.under_way = False
        overdue = self._clock() > self._until
        output = self._attempts.check_output(self._output())
        self._done.append(Check(self._commands[len(self._done)], None if overdue else ended.exit, output))
        if len(self._done) < len(self._commands):
            self._start_next()
            return None
        return Evidence(Ending(0), checks=tuple(self._done))

    def watch(self) -> None:
        """Stop a command that is over its time."""
        if self.under_way and self._clock() > self._until:
            self.stop()

    def stop(self, how: How = "terminate") -> None:
        """Begin to stop the command that runs; a second time only to kill it."""
        if self.under_way and (how == "kill" or not self._stopped):
            self._stopped = True
            self._processes.stop(self._key(), how)

    def abandon(self) -> None:
        """The command that ran was stopped, and what it showed does not count."""
        self.under_way = False

    def _start_next(self) -> None:
        self.under_way, self._stopped = True, False
        self._until = self._clock() + seconds(TIMEOUT)
        command = self._commands[len(self._done)]
        self._attempts.run_check(self._key(), f"{self._state.run}/plan", command, self._output())

    @property
    def _commands(self) -> tuple[str, ...]:
        assert self._state.plan is not None
        return self._state.plan.verify

    def _key(self) -> str:
        return f"{PREFIX}{len(self._done) + 1}"

    def _output(self) -> str:
        return self._workspace.plan_check_output(len(self._done) + 1)


def passed(evidence: Evidence) -> tuple[bool, str]:
    """Whether the checks hold, and why not."""
    found = verdict.proof(evidence, TIMEOUT)
    return found is None, found.reason if found else ""
