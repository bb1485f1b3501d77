"""The result files of a run: written when an attempt was judged, and again where somebody removed one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.clis import claude_output
from orchestrator.core.agents import agent_name
from orchestrator.core.consequences import next_step
from orchestrator.core.events import AttemptFinished
from orchestrator.core.redaction import LONGEST_SHAPE, Redactor
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.text import clean, code, fenced, one_line
from orchestrator.core.verdict import Said
from orchestrator.edges import journal, results
from orchestrator.edges.views import Views
from orchestrator.edges.workspace import Workspace

LONGEST_END = 3000
"""Characters of each output of a command that failed: its last forty lines or so."""


class ResultFiles:
    """Writes `results/agent-NN-result.md`, without the secrets of the environment."""

    def __init__(self, state: RunState, workspace: Workspace, views: Views, redactor: Redactor) -> None:
        self._state = state
        self._workspace = workspace
        self._views = views
        self._redactor = redactor

    def text(self, task: TaskState, said: Said | None, outcome: str) -> Callable[[], Any]:
        """A function that yields the text of the task's last attempt, piece by piece, as often as called."""
        if said is not None:
            return lambda: [said.text]
        return self._printed(task, self._workspace.attempt(task.task.id, task.number), outcome)

    def _printed(self, task: TaskState, folder: str, outcome: str) -> Callable[[], Any]:
        """What a command printed; of one that failed the end of all that tells why, since nothing builds on it."""
        if outcome == "success":
            return self._output(f"{folder}/stdout")
        return lambda: ["\n".join(self._ends(task, folder)) or "It printed nothing.\n"]

    def _ends(self, task: TaskState, folder: str) -> Iterator[str]:
        checks = enumerate(task.task.verify, 1)
        files = {"stdout": "stdout", "stderr": "stderr"}
        files |= {f"verify-{n}.out": f"verify {code(self._redactor.text(line))}" for n, line in checks}
        for file, name in files.items():
            text, whole = self._end(f"{folder}/{file}")
            if text.strip():
                cut = "" if whole else f", its end (all of it: {folder}/{file})"
                yield f"{name}{cut}:\n\n{fenced(text)}\n"

    def _end(self, path: str) -> tuple[str, bool]:
        """The last whole lines of a file, and whether they are all of it."""
        # More than is shown: a secret that the cut goes through is found by nobody.
        read = results.tail(path, LONGEST_END + LONGEST_SHAPE)
        text = self._redactor.text(read)
        if len(read) < LONGEST_END + LONGEST_SHAPE and len(text) <= LONGEST_END:
            return text, True
        shown = text[-LONGEST_END:]
        line = shown.find("\n", 0, LONGEST_END // 2)
        return shown[line + 1 :], False

    def _output(self, path: str) -> Callable[[], Any]:
        return lambda: self._redactor.pieces(results.pieces(path)) if os.path.exists(path) else []

    def write(self, event: AttemptFinished, text: Callable[[], Any]) -> None:
        """The result file of a task whose attempt was judged; synced unless the journal holds all of it."""
        task = self._state.by_id[event.task]
        before, after = self._views.result_frame(facts(task, event, self._skips(task)))
        path = self._workspace.result_name(task.agent)
        results.write_result(path, (before, after), text(), durable=not event.whole)

    def _skips(self, task: TaskState) -> bool:
        """Whether what needs the task is skipped if it failed; a plan that changes may still rescue that."""
        return task.skips or (bool(task.needed_by) and not self._state.replans)

    def restore_lost(self, task: TaskState) -> None:
        """`restore` where the file is gone, or empty, as a power loss leaves what was not synced."""
        try:
            lost = not os.stat(self._workspace.result_name(task.agent)).st_size
        except FileNotFoundError:
            lost = True
        if lost:
            self.restore(task)

    def restore(self, task: TaskState) -> None:
        """Write a result file again that somebody removed, from the attempt's output or else the journal."""
        event = journal.last_finish(self._workspace.journal, task.task.id)
        if event is None:
            return
        folder = self._workspace.attempt(event.task, event.attempt)
        if not os.path.exists(f"{folder}/stdout"):
            note = "" if event.whole else "\n\n(the rest was removed by hand)\n"
            self.write(event, lambda: [event.summary + note])
        elif task.task.cli == "claude":
            text = self._redactor.text(clean(claude_output.read(results.lines(f"{folder}/stdout")).text))
            self.write(event, lambda: [text])
        else:
            self.write(event, self._printed(task, folder, event.outcome))


def facts(task: TaskState, event: AttemptFinished, skips: bool) -> dict[str, Any]:
    """The front matter of a result; `skips`: as `next_step` takes it."""
    return {
        "task": event.task,
        "agent": agent_name(task.agent),
        "title": one_line(task.task.name),
        "worker": task.task.worker,
        "status": task.status,
        "outcome": event.outcome,
        "reason": event.reason,
        "next": next_step(task.task, event.outcome, task.mark or "again", denials=event.denials, skips=skips),
        "attempt": event.attempt,
        "session_id": event.session,
        "model": event.model,
        "cost_usd": round(event.cost_usd, 6),
        "input_tokens": event.input_tokens,
        "output_tokens": event.output_tokens,
        "started": task.attempt_at,
        "ended": event.time,
        "artifacts": event.artifacts,
        "report": _report(task, event),
    }


def _report(task: TaskState, event: AttemptFinished) -> str:
    """What the worker says of its work in its report, or that there is none; nothing where none was asked for."""
    if task.task.cli == "shell" or task.task.output_schema is not None:
        return ""
    return event.report.status if event.report else "absent"
