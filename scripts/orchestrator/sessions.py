"""Attempts that a session works on: no process of ours, only what its `start` and `finish` leave in a folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from orchestrator.attempt import Attempt
from orchestrator.attempts import Attempts
from orchestrator.core.events import AttemptStarted
from orchestrator.core.overlap import writes_overlap
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.verdict import Ending, Said
from orchestrator.edges import handedin
from orchestrator.edges.handedin import HandedIn
from orchestrator.edges.inbox import Order
from orchestrator.edges.workspace import Workspace
from orchestrator.recording import Recorder


class Sessions:
    """The session attempts of one dispatcher.

    Args:
        land: judges an attempt and records its end.
        adopt: counts a task as running.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        state: RunState,
        workspace: Workspace,
        attempts: Attempts,
        recorder: Recorder,
        land: Callable[[Attempt], None],
        adopt: Callable[[TaskState], None],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._workspace = workspace
        self._attempts = attempts
        self._recorder = recorder
        self._land = land
        self._adopt = adopt
        self._clock = clock

    @property
    def checking(self) -> bool:
        """Whether something that a session handed in is being checked."""
        return any(attempt.task.task.cli == "session" for attempt in self._attempts.running.values())

    def start(self, order: Order) -> None:
        """Record that a session begins a task, and give it its folder; nothing where it cannot begin."""
        task = self._state.by_id.get(order.task)
        if task is not None and task.running and task.task.cli == "session":
            self._go_on_with(task, order)
            return
        busy = [t.task.writes for t in self._state.running.values()]
        if task is None or any(writes_overlap(writes, task.task.writes) for writes in busy if writes):
            return
        stamp, number = self._recorder.stamp(), task.number + 1
        self._recorder.record(
            AttemptStarted(**stamp, task=order.task, attempt=number, cli=task.task.cli, session=None)
        )
        # The session is told to begin by the end of the order's file: all must be there before.
        self._recorder.commit()
        self._attempts.begin(task, anew=True)
        handedin.note_start(self._workspace.attempt(order.task, number), order.name)
        self._adopt(task)

    def _go_on_with(self, task: TaskState, order: Order) -> None:
        """Give an attempt whose `start` was cut off before its folder was there to the first who asks."""
        folder = self._workspace.attempt(order.task, task.number)
        if not handedin.started_by(folder):
            handedin.note_start(folder, order.name)

    def recover(self, task: TaskState) -> Attempt | None:
        """Go on with an attempt from before; returned with its evidence if it is over."""
        if self._attempts.under_way(task):
            return None
        # Its `start` may have died between the journal and the folder.
        self._attempts.begin(task)
        return self._take_in(task)

    def finish(self, order: Order) -> bool:
        """Judge what was handed in; whether nothing is left to do about it.

        The order stays until the end of the attempt is recorded. What came first counts.
        """
        task = self._state.running.get(order.task)
        if task is None or task.number != order.attempt or task.task.cli != "session":
            return True
        if self._attempts.under_way(task):
            return False
        folder = self._workspace.attempt(order.task, order.attempt)
        if handedin.read(folder) is None:
            handed = HandedIn(order.name, self._clock(), order.failed, order.report)
            handedin.write(folder, handed, order.text)
        if over := self._take_in(task):
            self._land(over)
        return False

    def cancel(self, order: Order) -> bool:
        """End the attempt of a session that will not be finished; whether there was one."""
        task = self._state.running.get(order.task)
        if task is None or task.task.cli != "session":
            return False
        self.give_up(task, "cancelled", order.name)
        return True

    def give_up(self, task: TaskState, why: Literal["interrupted", "cancelled"], order: str = "") -> None:
        """Record the end of an attempt that nobody will finish."""
        attempt = self._attempts.new(task)
        attempt.stopped, attempt.ending, attempt.order = why, Ending(None, why), order
        attempt.lasted = _since_start(task, self._clock())
        self._land(attempt)

    def _take_in(self, task: TaskState) -> Attempt | None:
        """Begin to judge what was handed in; the attempt, if nothing more is to be learned about it."""
        attempt = self._attempts.new(task)
        found = handedin.read(attempt.folder)
        if found is None:
            return None
        handed, text = found
        attempt.lasted = _since_start(task, handed.at)
        structured = text if task.task.output_schema is not None and _is_json(text) else ""
        # Nobody counts the tools of a session: that it handed in a result has to do.
        said = Said(
            started=True, answered=True, ended=True, subtype="a failure" if handed.failed else "success",
            text=handed.failed or text, structured=structured, tool_calls=1,
        )  # fmt: skip
        self._attempts.testimony.take_in(attempt, said, handed.report)
        self._attempts.weigh(attempt, 0)
        return None if self._attempts.check(attempt) else attempt


def _since_start(task: TaskState, moment: float) -> float:
    return max(0.0, moment - task.attempt_at.timestamp()) if task.attempt_at else 0.0


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    return True
