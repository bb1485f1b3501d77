"""Stand-ins for the outside world: a clock, a journal, processes; and runs that take no time on them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from msgspec import Struct

from orchestrator.assignments import Assignments
from orchestrator.attempts import Attempts
from orchestrator.clis import shell
from orchestrator.clis.claude_features import Program
from orchestrator.core import events
from orchestrator.core.events import Event
from orchestrator.core.history import History
from orchestrator.core.overlap import writes_overlap
from orchestrator.core.plan import Plan, Task
from orchestrator.core.redaction import Redactor
from orchestrator.core.scheduler import Finish, Launch, Scheduler, Skip, Stop, Verify
from orchestrator.core.state import ENDED, RunState, fold
from orchestrator.core.workers import BUNDLED, WorkerType
from orchestrator.dispatcher import Dispatcher
from orchestrator.dynamic import Planner
from orchestrator.edges.inbox import Order, hand_in
from orchestrator.edges.processes import Ended, How
from orchestrator.edges.views import Views
from orchestrator.edges.workspace import Workspace
from orchestrator.resultfiles import ResultFiles

START = datetime(2025, 3, 1, 10, 0, 0, tzinfo=UTC)
SIGNALS = {"interrupt": 2, "terminate": 15, "kill": 9}


def task(name: str, needs: str = "", after: str = "", **fields: Any) -> Task:
    """A shell task; `needs` and `after` as words."""
    fields.setdefault("cli", "shell")
    fields.setdefault("run", f"make {name}")
    return Task(id=name, needs=tuple(needs.split()), after=tuple(after.split()), **fields)


def plan(*tasks: Task, **fields: Any) -> Plan:
    return Plan(request=fields.pop("request", "Find out why"), tasks=tasks, **fields)


class FakeClock:
    """Stands still until it is set."""

    def __init__(self, now: float = START.timestamp()) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)


class Simulation:
    """A run of state and scheduler alone: every attempt takes as long, and ends, as the test says.

    All that must hold at every launch is asserted at every launch.
    """

    def __init__(
        self,
        accepted: Plan,
        seconds: Callable[[str, int], float] = lambda name, attempt: 1.0,
        outcome: Callable[[str, int], str] = lambda name, attempt: "success",
        result: Callable[[str, int], str] = lambda name, attempt: f"result of {name}",
        verified: bool = True,
        told: Sequence[Event] = (),
        **options: Any,
    ) -> None:
        self.clock = FakeClock(told[-1].time.timestamp() if told else START.timestamp())
        self.seconds, self.outcome, self.result, self.verified = seconds, outcome, result, verified
        self.options = options
        self.events = list(told)
        self.state = fold(told)
        self.launched: list[str] = []
        self.most = 0
        self._ends: list[tuple[float, str, int]] = []
        if not told:
            self.tell(events.RunStarted, run="r-1", project="/project", pid=1, version="0")
        if self.state.plan is None or self.state.plan != accepted:
            self.tell(events.PlanAccepted, plan=accepted)
        self.scheduler = Scheduler(self.state, **options)
        for name, running in self.state.running.items():
            heappush(self._ends, (self.clock.now + seconds(name, running.number), name, running.number))

    def tell(self, kind: Any, **facts: Any) -> None:
        event = kind(seq=self.state.seq + 1, time=self.clock.time, **facts)
        self.state.apply(event)
        self.events.append(event)

    def accept(self, other: Plan) -> None:
        self.tell(events.PlanAccepted, plan=other)
        self.scheduler = Scheduler(self.state, **self.options)

    def run(self, turns: int = 10_000) -> Finish:
        """Play until the end; fails where nothing would ever happen again."""
        for _ in range(turns):
            if (finish := self.turn()) is not None:
                return finish
        raise AssertionError("the run does not end")

    def turn(self) -> Finish | None:
        actions = self.scheduler.decide(self.clock.now)
        for action in actions:
            if isinstance(action, Finish):
                self.tell(events.RunFinished, exit=action.exit, reason=action.reason)
                return action
            self._act(action)
        if not any(isinstance(action, Skip | Verify | Stop) for action in actions):
            self.wait()
        return None

    def wait(self) -> None:
        """Let time pass until something happens, and let it happen."""
        wake = self.scheduler.next_time()
        times = [self._ends[0][0]] if self._ends else []
        times += [wake] if wake is not None else []
        assert times, f"nothing will ever happen again: {self.state.counts()}"
        self.clock.now = max(self.clock.now, min(times))
        while self._ends and self._ends[0][0] <= self.clock.now:
            self.end(*heappop(self._ends)[1:])

    def end(self, name: str, attempt: int, outcome: str = "", **facts: Any) -> None:
        self._ends = sorted(entry for entry in self._ends if entry[1:] != (name, attempt))
        outcome = outcome or self.outcome(name, attempt)
        result = self.result(name, attempt) if outcome == "success" else ""
        self.tell(
            events.AttemptFinished, task=name, attempt=attempt, outcome=outcome, result=result,
            seconds=self.seconds(name, attempt), **facts,
        )  # fmt: skip

    def _act(self, action: Launch | Skip | Stop | Verify | Finish) -> None:
        match action:
            case Launch(task=name, attempt=attempt):
                self.launch(name, attempt)
            case Skip(task=name, reason=reason):
                self.tell(events.TaskSkipped, task=name, reason=reason)
            case Stop():
                for _, name, attempt in sorted(self._ends):
                    self.end(name, attempt, "interrupted", ordered=True)
            case Verify():
                self.tell(events.PlanVerified, passed=self.verified, reason="" if self.verified else "no")

    def launch(self, name: str, attempt: int) -> None:
        state = self.state.by_id[name]
        assert all(self.state.by_id[need].mark == "completed" for need in state.task.needs)
        assert all(self.state.by_id[other].mark in ENDED for other in state.task.after)
        for other in self.state.running.values():
            assert not writes_overlap(other.task.writes, state.task.writes), (name, other.task.id)
        assert self.clock.now >= state.trouble.retry_at or state.trouble.retry_at - self.clock.now > 60
        self.tell(events.AttemptStarted, task=name, attempt=attempt, cli=state.task.cli)
        self.launched.append(name)
        self.most = max(self.most, len(self.state.running))
        assert self.most <= self.scheduler.parallelism
        heappush(self._ends, (self.clock.now + self.seconds(name, attempt), name, attempt))


class MemoryJournal:
    """Keeps what a journal file would hold, in the form in which it would."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def append(self, written: Sequence[Event]) -> None:
        self.lines += [events.encode(event) for event in written]

    @property
    def events(self) -> list[Event]:
        return [events.decode(line) for line in self.lines]


class Act(Struct, frozen=True):
    """What one process will do: how long, how it ends, what it says; `grace`: how long it resists a stop.

    `saves` are files of the project folder that it writes as its last act.
    """

    seconds: float = 1.0
    exit: int = 0
    stdout: bytes = b""
    grace: float = 0.0
    stubborn: bool = False
    saves: Mapping[str, str] = {}


class _Running:
    def __init__(self, act: Act, end: float, stdout: str, status: str) -> None:
        self.act, self.end, self.stdout, self.status = act, end, stdout, status
        self.exit: int | None = act.exit
        self.adopted = self.over = False


class FakeProcesses:
    """An `attempts.ProcessTable` on a fake clock; a script says what each process does, by key or task id."""

    def __init__(self, clock: FakeClock, script: Mapping[str, Act], project: Path) -> None:
        self.clock, self.script, self.project = clock, script, project
        self.started: list[str] = []
        self.commands: dict[str, tuple[str, ...]] = {}
        self.environments: dict[str, dict[str, str]] = {}
        self.stopped: list[tuple[str, How]] = []
        self.agenda: list[tuple[float, Callable[[], object]]] = []
        self.most = 0
        self._living: dict[str, _Running] = {}
        self._idle_turns = 0

    def start(
        self, key: str, marker: str, argv: tuple[str, ...], environment: dict[str, str], stdin: str, stdout: str,
        stderr: str, pid_file: str = "",
    ) -> None:  # fmt: skip
        usual = Act(stdout=stream()) if "-p" in argv else Act()
        act = self.script.get(key) or self.script.get(key.split(".")[0]) or usual
        os.close(os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        status = argv[-1] if shell.WRAPPER in argv else ""
        self._living[key] = _Running(act, self.clock.now + act.seconds, stdout, status)
        self.started.append(key)
        self.commands[key], self.environments[key] = argv, environment
        self.most = max(self.most, len(self._living))

    def adopt(self, key: str, marker: str, stdout: str, pid_file: str, *, over: bool = False) -> bool:
        self._let_end()
        process = self._living.get(key)
        if process is None or process.over:
            self._living.pop(key, None)
            return False
        process.adopted = True
        return True

    def age(self, key: str) -> float:
        """For how long an adopted process has lived: as if it had just begun."""
        return 0.0

    def vanish(self) -> None:
        """All processes are killed from outside, and leave no word."""
        self._living.clear()

    def stop(self, key: str, how: How) -> None:
        self.stopped.append((key, how))
        process = self._living[key]
        grace = 0.0 if how == "kill" else process.act.grace
        process.end = min(process.end, self.clock.now + grace)
        if not process.act.stubborn:
            process.exit, process.status = -SIGNALS[how], ""

    def wait(self, timeout: float | None) -> list[Ended]:
        """The next ends; the clock jumps to them, or to the end of the wait."""
        ends = [process.end for process in self._living.values()]
        until = min([*ends, *([self.clock.now + timeout] if timeout is not None else [])])
        self._idle_turns = 0 if until > self.clock.now else self._idle_turns + 1
        assert self._idle_turns < 20, "the dispatcher spins"
        self.clock.now = max(self.clock.now, until)
        while self.agenda and self.agenda[0][0] <= self.clock.now:
            self.agenda.pop(0)[1]()
        self._let_end()
        over = [key for key, process in self._living.items() if process.over]
        return [self._forget(key) for key in over]

    def _forget(self, key: str) -> Ended:
        process = self._living.pop(key)
        return Ended(key, None if process.adopted else process.exit, 0)

    def _let_end(self) -> None:
        for process in self._living.values():
            if process.end <= self.clock.now and not process.over:
                process.over = True
                self._leave_files(process)

    def _leave_files(self, process: _Running) -> None:
        if not process.exit or process.act.stubborn:
            for name, text in process.act.saves.items():
                (self.project / name).write_text(text)
        with open(process.stdout, "ab") as file:
            file.write(process.act.stdout)
        if process.status:
            Path(process.status).write_text(f"{process.exit}\n")


class NoViews:
    """Where the views of a run would be rendered."""

    def __init__(self) -> None:
        self.refreshed = 0
        self.previewed = 0

    def preview(self, state: RunState) -> int:
        self.previewed += 1
        return 0

    def refresh(self, state: RunState, now: datetime) -> None:
        self.refreshed += 1


class Stage:
    """A workspace, fake processes and a clock, on which a dispatcher plays a plan."""

    def __init__(self, folder: Path, script: Mapping[str, Act] | None = None) -> None:
        self.clock = FakeClock()
        self.project = folder
        self.workspace = Workspace(folder / ".orchestrator")
        self.workspace.create()
        self.processes = FakeProcesses(self.clock, script or {}, folder)
        self.journal = MemoryJournal()
        self.views = NoViews()
        self.program = Program(path="/bin/claude")
        self.environment: dict[str, str] = {}
        self.slept = 0.0

    def dispatcher(self, accepted: Plan | None = None, **options: Any) -> Dispatcher:
        """A dispatcher that goes on from the journal as it stands."""
        state = fold(self.journal.events)
        views = Views(self.workspace, History())
        redactor = Redactor(self.environment)
        files = ResultFiles(state, self.workspace, views, redactor)
        assignments = Assignments(state, self.workspace, views, self.program)
        attempts = Attempts(
            state,
            self.workspace,
            self.processes,
            assignments,
            files,
            self.clock,
            redactor,
            lambda: self.slept,
        )
        made = Dispatcher(
            state,
            self.journal,
            self.workspace,
            self.processes,
            attempts,
            files,
            self.views,
            self.clock,
            **options,
        )
        types = {name: WorkerType(name=name, bundled=True) for name in BUNDLED}
        planner = Planner(made, self.workspace, views, files, types)
        made.conductor = lambda: planner
        facts: dict[str, Any] = {"pid": 1, "version": "0"}
        if state.run:
            made.record(events.RunResumed(**made.stamp(), **facts))
        else:
            made.record(events.RunStarted(**made.stamp(), run="r-1", project=str(self.project), **facts))
        if accepted is not None:
            made.accept(accepted)
        return made

    def play(self, accepted: Plan, **options: Any) -> int:
        """The exit status of a run of `accepted`."""
        return self.dispatcher(accepted, **options).run()

    def order(self, seconds: float, **order: Any) -> None:
        """Let an order lie in the inbox `seconds` from now."""
        self.at(seconds, lambda: hand_in(self.workspace.inbox, Order(**order)))

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        self.processes.agenda.append((self.clock.now + seconds, act))
        self.processes.agenda.sort(key=lambda entry: entry[0])

    @property
    def state(self) -> RunState:
        return fold(self.journal.events)

    def statuses(self) -> dict[str, str]:
        return {one.task.id: one.status for one in self.state.tasks}

    def happened(self, kind: type) -> list[Any]:
        return [event for event in self.journal.events if isinstance(event, kind)]


def stream(text: str = "Done.", tools: int = 0, **fields: Any) -> bytes:
    """What the claude program writes in a run that goes well; `fields` change its last line."""
    used = [{"type": "tool_use", "id": f"t{number}", "name": "Edit"} for number in range(tools)]
    closed = [{"type": "tool_result", "tool_use_id": f"t{number}"} for number in range(tools)]
    last = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "result": text}
    lines = [
        {"type": "system", "subtype": "init"},
        {"type": "assistant", "message": {"content": used}},
        {"type": "user", "message": {"content": closed}},
        last | fields,
    ]
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
