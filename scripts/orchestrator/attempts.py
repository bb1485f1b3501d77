"""Attempts as they run: a folder, a process, then the evidence of what it did.

Acts on what the dispatcher decided and gathers what `verdict.judge` needs; it decides nothing itself.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

from orchestrator.assignments import FEEDBACK, Assignments
from orchestrator.attempt import Attempt
from orchestrator.clis import claude_output, shell
from orchestrator.core import feedback, verdict
from orchestrator.core.governor import Sign
from orchestrator.core.plan import seconds
from orchestrator.core.redaction import LONGEST_SHAPE, Redactor
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.text import last_line
from orchestrator.core.verdict import Check, Ending, Said
from orchestrator.edges import artifacts, changes, results
from orchestrator.edges.processes import Ended, How
from orchestrator.edges.workspace import Workspace, show_same, write_all, write_whole_bytes
from orchestrator.resultfiles import ResultFiles
from orchestrator.testimony import Testimony

HOPELESS = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE,
)  # fmt: skip
"""Errors at a launch that the next launch would meet too: the dispatcher gives up, the run can be resumed."""

_TELLING = {
    errno.E2BIG: "its inputs, and the paths of the results it needs, are more than a process can be given as variables;"
    " give fewer, or write them to a file"
}

CHECK_OUTPUT = 2000
"""Characters of a check's output that are kept as evidence: its end."""

SHORTEST_SLEEP = 1.0
"""Seconds: less is the difference between two looks at two clocks."""

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


class Attempts:
    """The attempts of one dispatcher, by the key of the process that each is waiting for."""

    def __init__(
        self,
        state: RunState,
        workspace: Workspace,
        processes: ProcessTable,
        assignments: Assignments,
        result_files: ResultFiles,
        clock: Callable[[], float],
        redactor: Redactor,
        slept: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Keep what is needed of a dispatcher.

        Args:
            clock: seconds since the epoch, those that the machine sleeps included.
            slept: seconds that the machine has slept so far.
        """
        self._state = state
        self._workspace = workspace
        self._processes = processes
        self._assignments = assignments
        self._results = result_files
        self._clock = clock
        self._redactor = redactor
        self._slept = slept
        self._known_sleep = slept()
        self.testimony = Testimony(state, workspace, redactor)
        self.running: dict[str, Attempt] = {}

    def start(self, task: TaskState, ceiling: float | None = None) -> Attempt | None:
        """Launch what `AttemptStarted` announced, for at most `ceiling` dollars; returned if it is over at once.

        Raises:
            OSError: nothing could be launched here, now (a full disk, a read-only one).
        """
        attempt = self.new(task)
        try:
            given = self._given(task)
            try:
                os.mkdir(attempt.folder, 0o700)
            except FileExistsError:
                # The journal lost its last lines, but the attempt was made. If it was given the same, its evidence
                # is worth more than another attempt.
                if _read(f"{attempt.folder}/prompt.md") == given:
                    return self.recover(task)
                self._workspace.set_aside(attempt.folder)
                os.mkdir(attempt.folder, 0o700)
            self._prepare(attempt, given)
            self._look_around(attempt)
            self._spawn(attempt, ceiling)
        except OSError as error:
            if error.errno in HOPELESS:
                raise
            attempt.ending = Ending(127)
            attempt.complaint = f"cannot be started: {_TELLING.get(error.errno or 0, error.strerror)}"
            attempt.said = Said() if task.task.cli == "claude" else None
            return attempt
        self.running[attempt.process] = attempt
        return None

    def _look_around(self, attempt: Attempt) -> None:
        """See what an attempt finds whose commands may write anywhere, where it is alone in the project folder."""
        for other in self.running.values():
            other.seen = None
        if len(self._state.running) == 1 and self._assignments.may_write_unseen(attempt.task.task):
            attempt.seen = changes.look(self._state.project)

    def recover(self, task: TaskState) -> Attempt | None:
        """Take over an attempt of a dispatcher that is gone; returned with its evidence if it is over."""
        if self.under_way(task):
            return None
        attempt = self.new(task)
        folder = attempt.folder
        over = task.task.cli == "shell" and attempt.written_status() is not None
        pids = self._workspace.pids
        if self._processes.adopt(attempt.key, attempt.marker, f"{folder}/stdout", pids, over=over):
            attempt.began -= self._processes.age(attempt.key)
            self.running[attempt.process] = attempt
            return None
        attempt.lasted = attempt.took()
        attempt.launched = os.path.exists(f"{folder}/stdout")
        self._gather(attempt, None)
        return attempt if not self.check(attempt) else None

    def begin(self, task: TaskState, *, anew: bool = False) -> None:
        """Make the folder of an attempt that needs no process; again where a crash came between.

        Args:
            anew: nothing that is there belongs to this attempt.
        """
        attempt = self.new(task)
        if anew and os.path.isdir(attempt.folder):
            # The journal lost its last lines: what is there belongs to another attempt of this number.
            self._workspace.set_aside(attempt.folder)
        if not os.path.exists(f"{attempt.folder}/prompt.md"):
            os.makedirs(attempt.folder, 0o700, exist_ok=True)
            self._prepare(attempt, self._given(task))
        self._look_around(attempt)

    def under_way(self, task: TaskState) -> bool:
        """Whether a process of the task's attempt, its work or a check of it, is being waited for."""
        return any(attempt.task is task for attempt in self.running.values())

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

    def check_output(self, path: str) -> str:
        """The end of what was printed to a file, without secrets: also without the end of one that would be cut."""
        return self._redactor.text(results.tail(path, CHECK_OUTPUT + LONGEST_SHAPE))[-CHECK_OUTPUT:]

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

    def watch(self) -> list[tuple[str, Sign]]:
        """Stop the attempts that are over their time, or silent for too long; what the others tell, by task."""
        self._allow_for_sleep()
        now = self._clock()
        told: list[tuple[str, Sign]] = []
        for attempt in list(self.running.values()):
            task = attempt.task.task
            if attempt.stopped:
                continue
            works = task.cli != "shell" and not attempt.checking
            if task.cli != "shell":
                # Also while its checks run: the others wait for what it was answered, not for those.
                told += [(task.id, sign) for sign in self._listen(attempt, now)]
            if now >= attempt.began + seconds(task.timeout):
                self.stop(attempt, "timeout")
            elif works and task.idle_timeout and self._is_stalled(attempt, seconds(task.idle_timeout)):
                attempt.lingers = attempt.reader.finished
                self.stop(attempt, "stalled")
        return told

    def _allow_for_sleep(self) -> None:
        """What a closed lid takes from a worker is not its own time."""
        more = self._slept() - self._known_sleep
        if more < SHORTEST_SLEEP:
            return
        self._known_sleep += more
        for attempt in self.running.values():
            attempt.began += more
            attempt.heard += more

    def _listen(self, attempt: Attempt, now: float) -> Iterator[Sign]:
        before = attempt.listener.offset
        for line in attempt.listener.lines():
            if not attempt.spoke:
                attempt.spoke = True
                yield Sign("spoke")
            if sign := attempt.reader.feed(line):
                yield sign
        if attempt.listener.offset > before:
            attempt.heard = now

    def next_time(self) -> float | None:
        """When the next attempt is over its time."""
        return min(
            (a.began + seconds(a.task.task.timeout) for a in self.running.values() if not a.stopped),
            default=None,
        )

    def new(self, task: TaskState) -> Attempt:
        """The attempt that was announced for a task, with nothing known of it yet."""
        marker = f"{self._state.run}/{task.task.id}.{task.number}"
        attempt = Attempt(task, marker, self._workspace.attempt(task.task.id, task.number), self._clock())
        attempt.resumes = self._assignments.resumes(task)
        return attempt

    def _given(self, task: TaskState) -> bytes:
        """What the worker of an attempt reads: its prompt, or its commands."""
        for need in self._state.needs_of(task):
            self._results.restore_lost(need)
        return self._assignments.given(task)

    def _prepare(self, attempt: Attempt, given: bytes) -> None:
        task = attempt.task.task
        if task.artifacts and self._seen_before(attempt) is None:
            seen = artifacts.look(self._state.project, task.artifacts)
            write_whole_bytes(f"{attempt.folder}/artifacts.json", artifacts.dump(task.artifacts, seen))
        _write_new(f"{attempt.folder}/prompt.md", given)
        if task.cli != "shell":
            show_same(f"{attempt.folder}/prompt.md", self._workspace.agent_task_name(attempt.task.agent))

    def session(self, task: TaskState, number: int) -> str | None:
        """The session for the attempt to come."""
        return self._assignments.session(task, number)

    def _spawn(self, attempt: Attempt, ceiling: float | None) -> None:
        folder = attempt.folder
        argv, environment, stdin = self._assignments.command_line(attempt.task, folder, ceiling)
        self._processes.start(
            attempt.key,
            attempt.marker,
            argv,
            environment,
            stdin,
            f"{folder}/stdout",
            f"{folder}/stderr",
            self._workspace.pids,
        )

    def _gather(self, attempt: Attempt, exit_status: int | None) -> None:
        task, folder = attempt.task.task, attempt.folder
        if attempt.lingers and attempt.stopped == "stalled":
            # How it would have ended is not known; what it did is judged by its result and its work.
            attempt.stopped, exit_status = "", None
        if task.cli == "shell":
            known = attempt.written_status()
            exit_status = known if known is not None else exit_status
        else:
            self.testimony.take_in(
                attempt, claude_output.read(results.lines(f"{folder}/stdout"), self._redactor.text)
            )
        self.weigh(attempt, exit_status)

    def weigh(self, attempt: Attempt, exit_status: int | None) -> None:
        """Take in how an attempt ended, what it complained of, and the artifacts that it left."""
        task, folder = attempt.task.task, attempt.folder
        attempt.ending = Ending(exit_status, attempt.stopped)
        if exit_status != 0 or (
            attempt.said is not None and (attempt.said.is_error or not attempt.said.ended)
        ):
            attempt.complaint = last_line(self.check_output(f"{folder}/stderr"))
        if task.artifacts and verdict.worth_checking(task, attempt.evidence()):
            before = self._seen_before(attempt) or {}
            attempt.artifact_problems = artifacts.problems(self._state.project, task.artifacts, before)
        self.testimony.note_changes(attempt)

    def _note_check(self, attempt: Attempt, ended: Ended) -> None:
        command = attempt.task.task.verify[len(attempt.checks)]
        path = f"{attempt.folder}/verify-{len(attempt.checks) + 1}.out"
        output = self.check_output(path)
        attempt.checks.append(Check(command, None if attempt.stopped else ended.exit, output))
        if attempt.stopped in ("interrupted", "cancelled"):
            attempt.ending = Ending(attempt.ending.exit if attempt.ending else None, attempt.stopped)

    def _seen_before(self, attempt: Attempt) -> artifacts.Seen | None:
        """What matched the task's artifacts before the first attempt that declared them; 0: one that was taken back."""
        for number in range(attempt.number + 1):
            data = _read(f"{self._workspace.attempt(attempt.task.task.id, number)}/artifacts.json")
            if data and (seen := artifacts.load(data, attempt.task.task.artifacts)) is not None:
                return seen
        return None

    def _is_stalled(self, attempt: Attempt, idle: float) -> bool:
        now = self._clock()
        complained = _size(f"{attempt.folder}/stderr")
        if complained != attempt.size:
            attempt.size, attempt.heard = complained, now
        if now < attempt.heard + idle:
            return False
        if attempt.reader.said().open_tool_call:
            attempt.heard = now - idle + LOOK_AGAIN_OPEN
            return False
        return True

    def leave_feedback(self, attempt: Attempt, outcome: str) -> None:
        """Keep what the checks found wrong, for the attempt to come."""
        if outcome in ("unverified", "invalid output"):
            told = feedback.feedback(attempt.task.task, attempt.evidence())
            _write_new(f"{attempt.folder}/{FEEDBACK}", told.encode("utf-8", "replace"))


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


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
