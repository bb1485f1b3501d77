"""A journal read as it grows, for those who watch a run from outside."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO

import click
import msgspec

from orchestrator import exits, progress
from orchestrator.core import rundocument
from orchestrator.core.events import AttemptFinished
from orchestrator.core.redaction import LONGEST_SHAPE, Redactor
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.text import clean, code, one_line
from orchestrator.edges import journal, results
from orchestrator.edges.workspace import Workspace
from orchestrator.errors import UsageError

"""Exit statuses of `wait`: it timed out; the dispatcher is gone without having ended the run."""

LOOK = 0.5
"""Seconds between two looks at a journal that grows."""


class Follower:
    """The state of a run that somebody else dispatches; a run begun anew meanwhile is followed from its start."""

    def __init__(self, workspace: Workspace, *listeners: Callable[[Any], None]) -> None:
        self._workspace = workspace
        self._listeners = listeners
        self._read = 0
        self._file = 0
        self.state = RunState()

    def look(self) -> int | None:
        """Take in what is new; the pid of the living dispatcher, or None."""
        # In this order: what a dispatcher wrote before it ended is read after it was seen to be gone.
        alive = journal.holder(self._workspace.lock_file)
        for event in self._news():
            self.state.apply(event)
            for listen in self._listeners:
                listen(event)
        self.state.project = self._workspace.project_now(self.state.project)
        return alive

    def _news(self) -> Iterator[Any]:
        path = self._workspace.journal
        try:
            known = os.stat(path)
        except FileNotFoundError:
            return
        if known.st_ino != self._file or known.st_size < self._read:
            self.state, self._file, self._read = RunState(), known.st_ino, 0
        for event, end in journal.read_from(path, self._read):
            self._read = end
            yield event


class Discoveries:
    """What came after event `since` that may change the plan; of the whole run, where the journal begins anew."""

    def __init__(self, since: int | None) -> None:
        self.since = since
        self.last = 0
        self.found: list[AttemptFinished] = []

    def hear(self, event: Any) -> None:
        """Take one event in."""
        if event.seq <= self.last:
            # The run was taken back, or begun anew.
            self.found.clear()
        self.last = event.seq
        report = event.report if isinstance(event, AttemptFinished) else None
        if report is not None and (report.discoveries or report.new_tasks or report.questions):
            self.found.append(event)

    def new(self) -> list[AttemptFinished]:
        """Those after `since`; the first time, with none given, none: the wait begins here."""
        if self.since is None:
            self.since = self.last
        since = self.since
        return [event for event in self.found if event.seq > since]


def wait(
    workspace: Workspace, patience: float | None, as_json: bool, discoveries: Discoveries | None = None
) -> int:
    """Wait until a run has ended, needs a person, or a discovery came; at most `patience` seconds.

    The exit status says which; `discoveries` are looked for only if they are given.
    """
    until = None if patience is None else time.monotonic() + patience
    follower = Follower(workspace, *([discoveries.hear] if discoveries else []))
    while True:
        alive = follower.look()
        status = _waited(workspace, follower.state, alive)
        found = discoveries.new() if discoveries else []
        if status is None and (found or (until is not None and time.monotonic() >= until)):
            status = exits.STILL_RUNNING
        if status is not None and discoveries:
            return _tell_discovered(workspace, follower.state, alive, status, as_json, discoveries)
        if status is not None:
            _tell_waited(workspace, follower.state, alive, status, as_json)
            return status
        time.sleep(LOOK)


def _waited(workspace: Workspace, state: RunState, alive: int | None) -> int | None:
    if state.finished is not None:
        return state.finished.exit
    if not state.run:
        raise UsageError(progress.nothing_run(workspace))
    if alive is None:
        return exits.INTERRUPTED
    return exits.WAITS if state.tally["blocked"] or state.replanning.proposed is not None else None


def _tell_waited(
    workspace: Workspace, state: RunState, alive: int | None, status: int, as_json: bool
) -> None:
    if as_json:
        for piece in rundocument.document(state, alive, datetime.now(UTC)):
            click.echo(piece)
    elif status == exits.INTERRUPTED and state.finished is None:
        click.echo(f"the dispatcher of run {state.run} is gone; go on with: {progress.to_run()}")
    elif status == exits.STILL_RUNNING:
        click.echo(progress.summary(state))
    else:
        click.echo("\n".join(progress.ending(state, workspace)))


def _tell_discovered(
    workspace: Workspace,
    state: RunState,
    alive: int | None,
    status: int,
    as_json: bool,
    discoveries: Discoveries,
) -> int:
    """`_tell_waited` with what was discovered; returns the status."""
    found = discoveries.new()
    if as_json:
        document = msgspec.json.decode(b"\n".join(rundocument.document(state, alive, datetime.now(UTC))))
        listed = [{"seq": event.seq, "task": event.task, "report": event.report} for event in found]
        document |= {"exit": status, "since": discoveries.last, "discoveries": listed}
        click.echo(msgspec.json.encode(document))
        return status
    for event in found:
        click.echo("\n".join(_discovered(event)))
    _tell_waited(workspace, state, alive, status, as_json)
    if status == exits.STILL_RUNNING:
        click.echo(f"go on with: {progress.ours(f'wait --discoveries --since {discoveries.last}')}")
    return status


def _discovered(event: AttemptFinished) -> Iterator[str]:
    report = event.report
    assert report is not None
    yield f"{event.seq} {event.task} ({event.outcome}) {one_line(report.summary, 200)}".rstrip()
    yield from (f"  discovery: {one_line(text, 500)}" for text in report.discoveries)
    for task in report.new_tasks:
        why = f": {one_line(task.why, 300)}" if task.why else ""
        yield f"  new task: {one_line(task.title, 200)}{why}"
    yield from (f"  question: {one_line(text, 500)}" for text in report.questions)


def show_journal(workspace: Workspace, follow: bool, as_json: bool) -> None:
    """Every event in a line; with `follow` until the run has ended."""

    def tell(event: Any) -> None:
        if as_json:
            progress.json_lines((event,))
        elif line := progress.line_of(event, follower.state):
            click.echo(f"{event.time.astimezone():%Y-%m-%d %H:%M:%S} {line}")

    follower = Follower(workspace, tell)
    while True:
        alive = follower.look()
        if not follow or alive is None or follower.state.finished or _is_left():
            return
        time.sleep(LOOK)


def show_task(workspace: Workspace, name: str, follow: bool) -> None:
    """What the worker of a task wrote in its last attempt, and what its checks printed, as text for people, without
    the secrets of the environment of whoever looks; on stderr how it ended. Its files stay as it wrote them."""
    state = journal.load(workspace.journal)
    task = state.by_id.get(name)
    if task is None:
        raise UsageError(progress.unknown_task(state, name))
    if not task.number:
        raise UsageError(f"{name} has not been started yet")
    folder = workspace.attempt(name, task.number)
    redactor = Redactor(os.environ)
    first = Transcript if task.task.cli == "claude" else Output
    outputs = (first(f"{folder}/stdout", redactor), Output(f"{folder}/stderr", redactor))
    while True:
        over = not _runs(workspace, name)
        for output in outputs:
            output.show(over)
        if over or not follow or _is_left():
            break
        time.sleep(LOOK)
    for number, command in enumerate(task.task.verify, 1):
        _show_check(f"{folder}/verify-{number}.out", command, redactor)
    progress.say(redactor.text(_standing(journal.load(workspace.journal).by_id.get(name, task))))


def _show_check(path: str, command: str, redactor: Redactor) -> None:
    if os.path.exists(path) and os.path.getsize(path):
        progress.say(f"verify {code(redactor.text(command))}:")
        Output(path, redactor).show(over=True)


def _standing(task: TaskState) -> str:
    """Where a task stands, and how its last attempt ended."""
    words = [f"{task.task.id} {task.status}, attempt {task.number}"]
    if not task.running:
        words += filter(None, (task.outcome, one_line(task.reason, progress.LONGEST_REASON)))
    return ": ".join(words)


def _is_left() -> bool:
    """Whether nobody reads any more what is shown."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in output.poll(0))


def _runs(workspace: Workspace, name: str) -> bool:
    return name in journal.load(workspace.journal).running and journal.holder(workspace.lock_file) is not None


class Output:
    """A file that grows, shown as plain text, in lines that have ended: half a secret is found by nobody."""

    def __init__(self, path: str, redactor: Redactor) -> None:
        self._path, self._redactor = path, redactor
        self._start = 0
        self._before = ""

    def show(self, over: bool) -> None:
        """Print what is new; `over`: nothing more will come."""
        try:
            file = open(self._path, "rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._start)
            while data := b"".join(_lines(file, over)):
                self._start += len(data)
                if text := self._told(data):
                    click.echo(text)

    def _told(self, data: bytes) -> str:
        text = clean(data.decode("utf-8", "replace"))
        shown = self._redactor.continued(self._before, text)
        self._before = (self._before + text)[-LONGEST_SHAPE:]
        return shown.removesuffix("\n")


class Transcript(Output):
    """A file of stream-json, shown as what the worker said and did."""

    def _told(self, data: bytes) -> str:
        from orchestrator.clis import claude_output

        told = (self._redactor.text(claude_output.told(line)) for line in data.splitlines())
        return "\n".join(filter(None, told))


def _lines(file: BinaryIO, over: bool) -> Iterator[bytes]:
    """Lines that have ended, together about a PIECE; one that has not only if it is too long or the last."""
    size = 0
    while size < results.PIECE and (line := file.readline(results.LONGEST_LINE)):
        if not (over or line.endswith(b"\n") or len(line) == results.LONGEST_LINE):
            file.seek(-len(line), os.SEEK_CUR)
            return
        size += len(line)
        yield line
