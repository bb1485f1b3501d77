"""Attempts as they run: a folder, a process, then the evidence of what it did.

Acts on what the dispatcher decided and gathers what `verdict.judge` needs; it decides nothing itself.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Literal, Protocol

from orchestrator.clis import claude, shell
from orchestrator.core import verdict
from orchestrator.core.events import AttemptFinished
from orchestrator.core.plan import seconds
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.tables import agent_name
from orchestrator.core.text import one_line
from orchestrator.core.verdict import Check, Ending, Evidence, Said
from orchestrator.edges import artifacts, journal, results
from orchestrator.edges.processes import Ended, How
from orchestrator.edges.views import Need, Views
from orchestrator.edges.workspace import Workspace, show_same, write_all, write_whole_bytes

HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Errors at a launch that the next launch would meet too: the dispatcher gives up, the run can be resumed."""

SHORT_RESULT = 4096
"""Bytes of a result that are handed to a dependent as they are; a longer one as path and summary."""

CHECK_OUTPUT = 2000
"""Characters of a check's output that are kept as evidence: its end."""

LOOK_AGAIN_OPEN = 30.0
"""Seconds until a silent worker with an open tool call is looked at again."""


class ProcessTable(Protocol):
    """What is needed of `edges.processes.Processes`."""

    def start(
        self, key: str, marker: str, argv: tuple[str, ...], environment: dict[str, str], stdin: str, stdout: str,
        stderr: str, pid_file: str = "",
    ) -> None: ...  # fmt: skip
    def adopt(self, key: str, marker: str, stdout: str, pid_file: str, *, over: bool = False) -> bool: ...
    def age(self, key: str) -> float: ...
    def stop(self, key: str, how: How) -> None: ...
    def wait(self, timeout: float | None) -> list[Ended]: ...


class Attempt:
    """One attempt under way.

    `began` and `heard` are times of the dispatcher's clock; `lasted` is how many seconds an attempt took of
    which nobody saw the end.
    """

    def __init__(self, task: TaskState, marker: str, folder: str, began: float) -> None:
        self.task, self.marker, self.folder, self.began = task, marker, folder, began
        self.number = task.number
        self.key = f"{task.task.id}.{task.number}"
        self.heard = began
        self.size = -1
        self.process = self.key
        self.stopped: Literal["", "timeout", "stalled", "interrupted", "cancelled"] = ""
        self.order = ""
        self.ending: Ending | None = None
        self.said: Said | None = None
        self.complaint = ""
        self.artifact_problems: tuple[str, ...] = ()
        self.checks: list[Check] = []
        self.checking = False
        self.left = 0
        self.lasted: float | None = None
        self.resumes = False
        self.launched = True

    @property
    def undecided(self) -> bool:
        """Whether its work is done, and only its checks were interrupted: the next run can make them again."""
        return self.checking and self.stopped == "interrupted"

    @property
    def blameless(self) -> bool:
        """Whether it ended through nothing that it did: somebody stopped it, or it was never launched."""
        return self.stopped in ("interrupted", "cancelled") or not self.launched

    def evidence(self) -> Evidence:
        """All that is known of it so far."""
        ending = self.ending or Ending()
        return Evidence(ending, self.said, self.complaint, self.artifact_problems, tuple(self.checks))


class Attempts:
    """The attempts of one dispatcher, by the key of the process that each is waiting for."""

    def __init__(
        self,
        state: RunState,
        workspace: Workspace,
        processes: ProcessTable,
        views: Views,
        program: str,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._workspace = workspace
        self._processes = processes
        self._views = views
        self._program = program
        self._clock = clock
        self.running: dict[str, Attempt] = {}

    def start(self, task: TaskState) -> Attempt | None:
        """Launch what `AttemptStarted` announced; an attempt that is over at once is returned.

        Raises:
            OSError: nothing could be launched here, now (a full disk, a read-only one).
        """
        attempt = self._new(task, self._clock())
        try:
            given = self._given(attempt)
            if os.path.isdir(attempt.folder):
                # The journal lost its last lines, but the attempt was made. If it was given the same, its evidence
                # is worth more than another attempt.
                if _read(f"{attempt.folder}/prompt.md") == given:
                    return self.recover(task)
                self._workspace.set_aside(attempt.folder)
            os.mkdir(attempt.folder, 0o700)
            self._prepare(attempt, given)
            self._spawn(attempt)
        except OSError as error:
            if error.errno in HOPELESS:
                raise
            attempt.ending = Ending(127)
            attempt.complaint = f"cannot be started: {error.strerror}"
            attempt.said = Said() if task.task.cli == "claude" else None
            return attempt
        self.running[attempt.process] = attempt
        return None

    def recover(self, task: TaskState) -> Attempt | None:
        """Take over an attempt of a dispatcher that is gone; returned with its evidence if it is over."""
        if any(attempt.task is task for attempt in self.running.values()):
            return None
        attempt = self._new(task, self._clock())
        folder = attempt.folder
        over = task.task.cli == "shell" and shell.exit_status(_read(f"{folder}/status") or b"") is not None
        if self._processes.adopt(attempt.key, attempt.marker, f"{folder}/stdout", f"{folder}/pid", over=over):
            attempt.began -= self._processes.age(attempt.key)
            self.running[attempt.process] = attempt
            return None
        attempt.lasted = _lasted(folder)
        attempt.launched = os.path.exists(f"{folder}/stdout")
        self._gather(attempt, None)
        return attempt if not self.check(attempt) else None

    def ended(self, ended: Ended) -> Attempt | None:
        """Take in the end of a process; the attempt, if nothing more is to be learned about it."""
        attempt = self.running.pop(ended.key)
        attempt.left += ended.left
        if attempt.checking:
            self._note_check(attempt, ended)
        else:
            self._gather(attempt, ended.exit)
        return None if self.check(attempt) else attempt

    def check(self, attempt: Attempt) -> bool:
        """Start the next `verify` command of an attempt that is worth it; whether there was one."""
        task = attempt.task.task
        done = len(attempt.checks)
        if (
            done >= len(task.verify)
            or attempt.stopped
            or not verdict.worth_checking(task, attempt.evidence())
        ):
            return False
        attempt.checking = True
        attempt.process = f"{attempt.key}/verify-{done + 1}"
        output = f"{attempt.folder}/verify-{done + 1}.out"
        self.run_check(attempt.process, attempt.marker, task.verify[done], output)
        self.running[attempt.process] = attempt
        return True

    def run_check(self, key: str, marker: str, command: str, output: str) -> None:
        """Start one `verify` command in the project folder; what it prints goes to `output`, anew each time."""
        if os.path.exists(output):
            os.unlink(output)
        self._processes.start(key, marker, (shell.SHELL, "-c", command), {}, os.devnull, output, output)

    def stop(self, attempt: Attempt, why: Literal["timeout", "stalled", "interrupted", "cancelled"]) -> None:
        """Begin to stop an attempt and all it started."""
        if attempt.stopped and why != "interrupted":
            return
        attempt.stopped = why
        gently: How = (
            "interrupt" if attempt.task.task.cli == "claude" and not attempt.checking else "terminate"
        )
        self._processes.stop(attempt.process, gently)

    def kill(self) -> None:
        """Stop everything at once."""
        for attempt in self.running.values():
            attempt.stopped = attempt.stopped or "interrupted"
            self._processes.stop(attempt.process, "kill")

    def watch(self) -> None:
        """Stop the attempts that are over their time, or silent for too long."""
        now = self._clock()
        for attempt in list(self.running.values()):
            task = attempt.task.task
            if attempt.stopped:
                continue
            if now >= attempt.began + seconds(task.timeout):
                self.stop(attempt, "timeout")
            elif (
                task.idle_timeout
                and task.cli != "shell"
                and not attempt.checking
                and self._is_stalled(attempt)
            ):
                self.stop(attempt, "stalled")

    def next_time(self) -> float | None:
        """When the next attempt is over its time."""
        return min(
            (a.began + seconds(a.task.task.timeout) for a in self.running.values() if not a.stopped),
            default=None,
        )

    def result_text(self, task: TaskState, said: Said | None) -> Callable[[], Any]:
        """A function that yields the text of the task's last attempt, piece by piece, as often as called."""
        folder = self._workspace.attempt(task.task.id, task.number)
        if said is not None:
            return lambda: [said.text]
        return lambda: results.pieces(f"{folder}/stdout") if os.path.exists(f"{folder}/stdout") else []

    def write_result(self, event: AttemptFinished, text: Callable[[], Any]) -> None:
        """The result file of a task whose attempt was judged; synced unless the journal holds all of it."""
        task = self._state.by_id[event.task]
        before, after = self._views.result_frame(facts(task, event))
        path = self._workspace.result(task.agent)
        results.write_result(path, (before, after), text(), durable=not event.whole)

    def restore(self, task: TaskState) -> None:
        """Write a result file again that somebody removed, from the attempt's output or else the journal."""
        event = journal.last_finish(self._workspace.journal, task.task.id)
        if event is None:
            return
        folder = self._workspace.attempt(event.task, event.attempt)
        if not os.path.exists(f"{folder}/stdout"):
            note = "" if event.whole else "\n\n(the rest was removed by hand)\n"
            self.write_result(event, lambda: [event.summary + note])
        elif task.task.cli == "claude":
            said = claude.read(results.lines(f"{folder}/stdout"))
            self.write_result(event, lambda: [said.text])
        else:
            self.write_result(event, lambda: results.pieces(f"{folder}/stdout"))

    def _new(self, task: TaskState, began: float) -> Attempt:
        marker = f"{self._state.run}/{task.task.id}.{task.number}"
        return Attempt(task, marker, self._workspace.attempt(task.task.id, task.number), began)

    def _given(self, attempt: Attempt) -> bytes:
        """What the worker of an attempt reads: its prompt, or its commands."""
        task = attempt.task.task
        for need in self._state.needs_of(attempt.task):
            if not self._workspace.result(need.agent).exists():
                self.restore(need)
        if task.cli == "shell":
            return f"{task.run}\n".encode()
        attempt.resumes = self._resumes(attempt.task)
        return self._prompt(attempt).encode("utf-8", "replace")

    def _prepare(self, attempt: Attempt, given: bytes) -> None:
        task = attempt.task.task
        if task.artifacts and self._seen_before(attempt) is None:
            seen = artifacts.look(self._state.project, task.artifacts)
            write_whole_bytes(f"{attempt.folder}/artifacts.json", artifacts.dump(task.artifacts, seen))
        _write_new(f"{attempt.folder}/prompt.md", given)
        if task.cli != "shell":
            show_same(f"{attempt.folder}/prompt.md", str(self._workspace.agent_task(attempt.task.agent)))

    def _prompt(self, attempt: Attempt) -> str:
        plan = self._state.plan
        assert plan is not None
        if attempt.resumes:
            return self._views.continuation(plan, attempt.task)
        return self._views.prompt(
            plan, attempt.task, [self.need(n) for n in self._state.needs_of(attempt.task)]
        )

    def need(self, task: TaskState) -> Need:
        """What a dependent is told of a result: where it is, and its beginning, or all of a short one."""
        path = self._workspace.result(task.agent)
        text = ""
        for piece in results.body(path):
            text += piece
            if len(text.encode()) > SHORT_RESULT:
                break
        whole = len(text.encode()) <= SHORT_RESULT
        return Need(task.task.id, task.task.name, str(path), text if whole else text[:500], whole)

    def session(self, task: TaskState, number: int) -> str | None:
        """The session for the attempt to come: the one before it, if that was interrupted and can go on."""
        if task.task.cli != "claude":
            return None
        before = self._workspace.attempt(task.task.id, task.number)
        if (
            task.outcome == "interrupted"
            and task.session
            and claude.read(results.lines(f"{before}/stdout")).started
        ):
            return task.session
        return claude.session_id(self._state.run, task.task.id, number)

    def _resumes(self, task: TaskState) -> bool:
        own = claude.session_id(self._state.run, task.task.id, task.number)
        return task.session is not None and task.session != own

    def _spawn(self, attempt: Attempt) -> None:
        task, folder = attempt.task.task, attempt.folder
        prompt = f"{folder}/prompt.md"
        if task.cli == "shell":
            needs = {
                n.task.id: str(self._workspace.result(n.agent)) for n in self._state.needs_of(attempt.task)
            }
            argv = shell.command(prompt, f"{folder}/status")
            environment, stdin = shell.environment(task, needs), os.devnull
        else:
            last = 0 < attempt.task.used == task.attempts - 1
            argv = claude.command(
                self._program, task, attempt.task.session or "", resume=attempt.resumes, last=last
            )
            if not self._program:
                raise FileNotFoundError(errno.ENOENT, "no claude program was found when the run began")
            environment, stdin = dict(claude.ENVIRONMENT), prompt
        self._processes.start(
            attempt.key,
            attempt.marker,
            argv,
            environment,
            stdin,
            f"{folder}/stdout",
            f"{folder}/stderr",
            f"{folder}/pid",
        )

    def _gather(self, attempt: Attempt, exit_status: int | None) -> None:
        task, folder = attempt.task.task, attempt.folder
        if task.cli == "shell":
            written = _read(f"{folder}/status")
            known = shell.exit_status(written) if written is not None else None
            exit_status = known if known is not None else exit_status
        else:
            attempt.said = claude.read(results.lines(f"{folder}/stdout"))
        attempt.ending = Ending(exit_status, attempt.stopped)
        if exit_status != 0 or (
            attempt.said is not None and (attempt.said.is_error or not attempt.said.ended)
        ):
            attempt.complaint = results.last_line(f"{folder}/stderr")
        if task.artifacts and verdict.worth_checking(task, attempt.evidence()):
            before = self._seen_before(attempt) or {}
            attempt.artifact_problems = artifacts.problems(self._state.project, task.artifacts, before)

    def _note_check(self, attempt: Attempt, ended: Ended) -> None:
        command = attempt.task.task.verify[len(attempt.checks)]
        output = results.tail(f"{attempt.folder}/verify-{len(attempt.checks) + 1}.out", CHECK_OUTPUT)
        attempt.checks.append(Check(command, None if attempt.stopped else ended.exit, output))
        if attempt.stopped in ("interrupted", "cancelled"):
            attempt.ending = Ending(attempt.ending.exit if attempt.ending else None, attempt.stopped)

    def _seen_before(self, attempt: Attempt) -> artifacts.Seen | None:
        """What matched the task's artifacts before the first attempt that declared them."""
        for number in range(1, attempt.number + 1):
            data = _read(f"{self._workspace.attempt(attempt.task.task.id, number)}/artifacts.json")
            if data and (seen := artifacts.load(data, attempt.task.task.artifacts)) is not None:
                return seen
        return None

    def _is_stalled(self, attempt: Attempt) -> bool:
        now, idle = self._clock(), seconds(attempt.task.task.idle_timeout or "0s")
        size = _size(f"{attempt.folder}/stdout") + _size(f"{attempt.folder}/stderr")
        if size != attempt.size:
            attempt.size, attempt.heard = size, now
        if now < attempt.heard + idle:
            return False
        if claude.read(results.lines(f"{attempt.folder}/stdout")).open_tool_call:
            attempt.heard = now - idle + LOOK_AGAIN_OPEN
            return False
        return True


def facts(task: TaskState, event: AttemptFinished) -> dict[str, Any]:
    """The front matter of a result, in the order in which it is written."""
    return {
        "task": event.task,
        "agent": agent_name(task.agent),
        "title": one_line(task.task.name),
        "worker": task.task.worker,
        "status": task.status,
        "outcome": event.outcome,
        "reason": event.reason,
        "attempt": event.attempt,
        "session_id": event.session,
        "model": event.model,
        "cost_usd": round(event.cost_usd, 6),
        "input_tokens": event.input_tokens,
        "output_tokens": event.output_tokens,
        "started": task.attempt_at,
        "ended": event.time,
        "artifacts": event.artifacts,
    }


def _write_new(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _lasted(folder: str) -> float:
    """From the first file of an attempt to the last change of what it wrote; both by the same clock."""
    written = [_changed(f"{folder}/{name}") for name in ("stdout", "stderr", "status")]
    return max(0.0, max(written) - _changed(f"{folder}/prompt.md")) if any(written) else 0.0


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
