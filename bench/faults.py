#!/usr/bin/env python3
"""`python3 bench/faults.py` breaks runs of random plans in every way that design and kernel allow, and counts.

Every worker writes to a ledger outside the workspace, one line at its start and one as its last act, so what ran
and how often is known without believing the program's own books. One line per kind of fault on stdout, with the
seeds of its failures; `--seed N --times 1 --kind K` repeats one. Exit status 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = (sys.executable, str(ROOT / "scripts" / "orchestrate.py"))
CLAUDE = ROOT / "tests" / "standin.py"

SLACK = 0.02
"""Seconds before a kill of everything: what ended in them may not have reached the disk, and may run again."""

LONGEST = 60.0
"""Seconds after which a run counts as hanging; the plans here take two or three."""

KILLS_OF_ALL = 2
"""A task that was interrupted three times in a row has failed by design, so no run is broken more often."""


class Fault(Exception):
    """Something that must not happen, in words."""


class Entry(NamedTuple):
    """One line of the ledger; `what` is start, end, fail (the end of an attempt meant to fail) or bad."""

    what: str
    task: str
    attempt: int
    pid: int
    time: float


class Trial:
    """A random plan in a folder of its own."""

    def __init__(self, seed: int, folder: Path, shape: tuple[int, int] = (5, 12)) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.project = folder / "project"
        self.workspace = self.project / ".orchestrator"
        self.ledger = folder / "ledger"
        self.project.mkdir(parents=True)
        self.ledger.touch()
        self.environment = {
            **os.environ,
            "ORCHESTRATE_CLAUDE": str(CLAUDE),
            "STANDIN_LEDGER": str(self.ledger),
            "STANDIN_PAUSE": f"{self.random.uniform(0.005, 0.06):.3f}",
            "LEDGER": str(self.ledger),
        }
        self.tasks = [self._task(number) for number in range(self.random.randint(*shape))]
        self.flaky = {task["id"] for task in self.tasks if "fail" in task.get("run", "")}
        parallelism = self.random.choice((1, 2, 4, 8))
        plan = {"request": "survive", "limits": {"parallelism": parallelism}, "tasks": self.tasks}
        (self.project / "plan.yaml").write_text(json.dumps(plan))

    def _task(self, number: int) -> dict[str, Any]:
        name = f"T-{number:02d}"
        earlier = self.random.sample([f"T-{n:02d}" for n in range(number)], min(number, self.random.randint(0, 3)))
        cut = self.random.randint(0, len(earlier))
        task: dict[str, Any] = {"id": name, "needs": earlier[:cut], "after": earlier[cut:]}
        if self.random.random() < 0.2:
            words = ["slow", "answer"] if self.random.random() < 0.7 else ["children", "slow", "answer"]
            return {**task, "title": name, "cli": "claude", "model": "+".join(words), "idle_timeout": None}
        task["cli"] = "shell"
        task["run"] = self._script(name, task["needs"], f"out/{name}.txt")
        if self.random.random() < 0.3:
            task["artifacts"] = [f"out/{name}.txt"]
        if self.random.random() < 0.3:
            task["verify"] = [f"grep -q 'second half' out/{name}.txt", "sleep 0.02"]
        return task

    def _script(self, name: str, needs: list[str], output: str) -> str:
        note = f'echo "%s {name} ${{ORCHESTRATE_ATTEMPT##*.}} $$ $(date +%%s.%%N)" >> "$LEDGER"'
        half = self.random.choice((0, 0, 0.01, 0.05, 0.1, 0.3)) * self.random.random()
        lines = [note % "start", "mkdir -p out"]
        for need in needs:
            path = f"$ORCHESTRATE_RESULT_{need.replace('-', '_')}"
            lines.append(f"grep -q 'second half of {need}' \"{path}\" || {{ {note % 'bad'}; }}")
        if self.random.random() < 0.15:
            # Fails at its first attempt, as the ledger knows it: attempt numbers tell less.
            lines.append(f'grep -q "^fail {name} " "$LEDGER" || {{ sleep {half:.3f}; {note % "fail"}; exit 7; }}')
        if self.random.random() < 0.15:
            lines.append(self.random.choice(_LEFTOVERS))
        lines += [f"echo first half of {name} | tee {output}", f"sleep {half:.3f}"]
        lines += [f"echo second half of {name} | tee -a {output}", note % "end"]
        return "\n".join(lines)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The program with these words, in the project folder."""
        return subprocess.Popen(
            [*PROGRAM, *words], cwd=self.project, env=self.environment, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Wait for the end of a run; its exit status and output.

        Raises:
            Fault: it hangs.
        """
        try:
            output, _ = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Fault(f"the run hangs: {process.communicate()[0][-300:]}") from None
        return process.returncode, output

    def entries(self) -> list[Entry]:
        """The ledger so far."""
        lines = [line.split() for line in self.ledger.read_text().splitlines()]
        # Without a time: the `date` of that line was the process that was killed.
        return [Entry(what, task, int(n), int(pid), float(at[0]) if at else 0.0) for what, task, n, pid, *at in lines]

    def living(self) -> dict[int, str]:
        """Every process that carries the mark of this trial's runs, or its ledger; pid to command line."""
        wanted = f"LEDGER={self.ledger}\0".encode()
        return {pid: command for pid, environ, command in _processes() if wanted in environ}

    def kill_workers(self) -> None:
        """SIGKILL everything that the trial started, until nothing is left."""
        until = time.monotonic() + 10
        while living := self.living():
            for pid in living:
                _send(pid, signal.SIGKILL)
            if time.monotonic() > until:
                raise Fault(f"cannot be killed: {living}")


_LEFTOVERS = (
    "sleep 600 &",
    "setsid sleep 600 &",
    "setsid sh -c 'sleep 600 & exec >/dev/null 2>&1; sleep 600' >/dev/null 2>&1 < /dev/null &",
    "(trap '' TERM; setsid sleep 600 > /dev/null 2>&1 &)",
)


def _processes() -> Iterator[tuple[int, bytes, str]]:
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            environ = Path(f"/proc/{name}/environ").read_bytes()
            state = Path(f"/proc/{name}/stat").read_bytes().rsplit(b")", 1)[1].split()[0]
            command = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except (OSError, IndexError):
            continue
        if state not in b"ZX":
            yield int(name), environ, command


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def check_end(trial: Trial, status: int, output: str) -> None:
    """What must hold whatever was done to the run, once it has ended.

    Raises:
        Fault: it does not.
    """
    document = json.loads(trial.finish(trial.start("status", "--json"))[1])
    open_tasks = {t["id"]: t["status"] for t in document["tasks"] if t["status"] != "completed"}
    if status != 0 or open_tasks:
        raise Fault(f"ended with {status}, not completed: {open_tasks}; {output[-300:]}")
    for task in document["tasks"]:
        result = (trial.workspace / task["result"]).read_text()
        if f"second half of {task['id']}" not in result:
            raise Fault(f"half a result was taken for {task['id']}")
    if "second half" not in (trial.workspace / "final_output.md").read_text():
        raise Fault("final_output.md holds no results")
    if left := trial.living():
        raise Fault(f"left behind: {left}")
    if bad := [entry for entry in trial.entries() if entry.what == "bad"]:
        raise Fault(f"started before its needs had their results: {bad}")


def check_once(trial: Trial, excused: Callable[[Entry, Entry | None], bool]) -> int:
    """That no work was repeated: `excused` is asked about each start that followed another of the same task.

    Returns how many starts were excused.

    Raises:
        Fault: a start while an earlier attempt was alive, or after it had ended well.
    """
    repeated = 0
    for task in trial.tasks:
        mine = [entry for entry in trial.entries() if entry.task == task["id"]]
        before: Entry | None = None
        for entry in mine:
            if entry.what == "start" and before is not None and before.what != "fail":
                if not excused(before, entry):
                    raise Fault(f"{task['id']} was started again: {mine}")
                repeated += 1
            before = entry
        if [entry.what for entry in mine].count("fail") != (task["id"] in trial.flaky):
            raise Fault(f"{task['id']} failed more often than it was meant to: {mine}")
    return repeated


def kill_dispatcher(trial: Trial) -> int:
    """Kind 1: `kill -9` of the dispatcher, up to eight times; nothing at all may be repeated."""
    kills = 0
    wanted = trial.random.randint(3, 8)
    while True:
        process = trial.start("run", "plan.yaml")
        if kills == wanted:
            break
        early = trial.random.random() < 0.5
        try:
            process.wait(trial.random.uniform(0.1, 0.45) if early else trial.random.uniform(0.1, 1.6))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
        if trial.random.random() < 0.3:
            time.sleep(trial.random.uniform(0, 0.4))
    status, output = trial.finish(process)
    check_end(trial, status, output)
    check_once(trial, lambda before, after: False)
    return kills


def kill_all(trial: Trial) -> int:
    """Kind 2: dispatcher and workers together; only what ran, or ended in the last moment, may be repeated."""
    spans: list[tuple[float, float]] = []
    wanted = trial.random.randint(1, KILLS_OF_ALL)
    while True:
        process = trial.start("run", "plan.yaml")
        if len(spans) == wanted:
            break
        try:
            process.wait(trial.random.uniform(0.15, 1.6))
            break
        except subprocess.TimeoutExpired:
            began = time.time()
            process.kill()
            trial.kill_workers()
            process.communicate()
            spans.append((began, time.time()))
    status, output = trial.finish(process)
    check_end(trial, status, output)

    def excused(before: Entry, after: Entry) -> bool:
        ended = before.time if before.what == "end" else None
        return any(
            before.time < until < after.time and (ended is None or ended > since - SLACK) for since, until in spans
        )

    check_once(trial, excused)
    return len(spans)


def kill_worker(trial: Trial) -> int:
    """Kind 3a: `kill -9` of one process of one worker while the dispatcher goes on."""
    process = trial.start("run", "plan.yaml")
    hit: list[tuple[str, float]] = []
    until = time.monotonic() + trial.random.uniform(0.2, 1.5)
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    victims = [pid for pid in trial.living() if os.path.exists(f"/proc/{pid}") and _attempt_of(pid)]
    if victims and process.poll() is None:
        victim = trial.random.choice(victims)
        hit.append((_attempt_of(victim), time.time()))
        _send(victim, signal.SIGKILL)
    status, output = trial.finish(process)
    check_end(trial, status, output)
    names = {name.rpartition("/")[2].rpartition(".")[0] for name, _ in hit}
    check_once(trial, lambda before, after: before.task in names)
    return len(hit)


def _attempt_of(pid: int) -> str:
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    return next((v.partition(b"=")[2].decode() for v in environ if v.startswith(b"ORCHESTRATE_ATTEMPT=")), "")


def signal_dispatcher(trial: Trial) -> int:
    """Kind 3b: Ctrl-C once or twice, SIGTERM or SIGHUP: exit 130, nothing left; then `run` goes on."""
    process = trial.start("run", "plan.yaml")
    try:
        process.wait(trial.random.uniform(0.2, 1.5))
    except subprocess.TimeoutExpired:
        pass
    numbers = trial.random.choice(_SIGNALS)
    since = time.time()
    begun = "started" in _journal(trial).lower()
    for number in numbers if process.poll() is None else ():
        process.send_signal(number)
        time.sleep(trial.random.uniform(0, 0.3))
    status, output = trial.finish(process)
    until = time.time()
    if begun and status == 130 and (left := trial.living()):
        raise Fault(f"left behind after {numbers}: {left}")
    if status == 0 and numbers:
        numbers = ()
    elif status != 130 and status != -numbers[0]:
        raise Fault(f"{numbers} ended it with {status}: {output[-300:]}")
    status, output = trial.finish(trial.start("run", "plan.yaml"))
    check_end(trial, status, output)

    def excused(before: Entry, after: Entry) -> bool:
        running = before.what == "start" or before.time > since - SLACK
        return bool(numbers) and before.time < until < after.time and running

    check_once(trial, excused)
    return len(numbers) > 0


_SIGNALS = (
    (signal.SIGINT,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM,), (signal.SIGHUP,),
)  # fmt: skip


def _journal(trial: Trial) -> str:
    try:
        return (trial.workspace / "journal.jsonl").read_text()
    except OSError:
        return ""


def truncate_journal(trial: Trial) -> int:
    """Kind 4a: the journal of a finished run, cut at every byte, resumes and repeats nothing."""
    whole, kept, ledger = _finished_run(trial)
    for size in range(len(whole) + 1):
        _restore(trial, kept)
        (trial.workspace / "journal.jsonl").write_bytes(whole[:size])
        status, output = _fork(trial, "run", "plan.yaml")
        try:
            if trial.ledger.read_text() != ledger:
                raise Fault("work was repeated")
            check_end_quickly(trial, status, output)
        except Fault as fault:
            raise Fault(f"cut after {size} of {len(whole)} bytes: {fault}") from None
    return len(whole) + 1


def check_end_quickly(trial: Trial, status: int, output: str) -> None:
    """`check_end` from the files alone.

    Raises:
        Fault: not all tasks are completed.
    """
    views = (trial.workspace / "final_output.md").exists()
    if status != 0 or not views:
        raise Fault(f"ended with {status}, final_output.md {'exists' if views else 'is missing'}: {output[-300:]}")
    for number, task in enumerate(trial.tasks, 1):
        result = (trial.workspace / "results" / f"agent-{number:02d}-result.md").read_text()
        if f"second half of {task['id']}" not in result:
            raise Fault(f"the result of {task['id']} is not whole")


def break_journal(trial: Trial) -> int:
    """Kind 4b: each line of a journal broken in turn is refused by its number, and nothing changes."""
    whole, kept, ledger = _finished_run(trial)
    lines = whole.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        for broken in (line[:-2] + b"\n", b"\0" * 20 + b"\n", b'{"type":"Nothing","seq":1}\n', b"\n", b"\xff\n"):
            _restore(trial, kept)
            (trial.workspace / "journal.jsonl").write_bytes(
                b"".join([*lines[: number - 1], broken, *lines[number:]])
            )
            before = _tree(trial.workspace)
            status, output = _fork(trial, "run", "plan.yaml")
            if status != 2 or f"journal.jsonl:{number}:" not in output or "Traceback" in output:
                raise Fault(f"line {number} as {broken[:30]!r}: status {status}: {output[-300:]}")
            if _tree(trial.workspace) != before or trial.ledger.read_text() != ledger:
                raise Fault(f"line {number} as {broken[:30]!r}: something was changed")
    return len(lines) * 5


def _finished_run(trial: Trial) -> tuple[bytes, Path, str]:
    status, output = trial.finish(trial.start("run", "plan.yaml"))
    check_end(trial, status, output)
    kept = trial.folder / "kept"
    shutil.copytree(trial.workspace, kept)
    return (kept / "journal.jsonl").read_bytes(), kept, trial.ledger.read_text()


def _restore(trial: Trial, kept: Path) -> None:
    shutil.rmtree(trial.workspace)
    shutil.copytree(kept, trial.workspace)
    (trial.workspace / "final_output.md").unlink()


def _tree(folder: Path) -> dict[str, bytes]:
    # The lock file names whoever held it last; that is all it says.
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "dispatcher.lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _fork(trial: Trial, *words: str) -> tuple[int, str]:
    """The command in a fork of this process, which has its packages loaded: ten times as many a minute."""
    output = trial.folder / "output"
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        _in_fork(trial, words, output)
    until = time.monotonic() + LONGEST
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), output.read_text("utf-8", "replace")
        if time.monotonic() > until:
            _send(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise Fault("the run hangs")
        time.sleep(0.002)


def _in_fork(trial: Trial, words: tuple[str, ...], output: Path) -> None:
    status = 70
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.chdir(trial.project)
        os.environ.update(trial.environment)
        sys.argv = ["orchestrate", *words]
        from orchestrator import commands

        status = commands.main()
        sys.stdout.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


class Kind(NamedTuple):
    """A kind of fault; `share` of `--times` is how many faults of it are wanted."""

    act: Callable[[Trial], int]
    name: str
    share: float
    shape: tuple[int, int] = (5, 12)
    forks: bool = False


KINDS = {
    "1": Kind(kill_dispatcher, "kill -9 of the dispatcher", 1.0),
    "2": Kind(kill_all, "kill -9 of dispatcher and workers", 0.5),
    "3a": Kind(kill_worker, "kill -9 of one worker", 0.2),
    "3b": Kind(signal_dispatcher, "SIGINT once, twice, SIGTERM, SIGHUP", 0.2),
    "4a": Kind(truncate_journal, "journal cut at every byte", 0.0, (3, 4), forks=True),
    "4b": Kind(break_journal, "journal with one broken line", 0.0, (3, 4), forks=True),
}


class Tally:
    """Runs, faults and failures of one kind."""

    def __init__(self) -> None:
        self.runs = self.faults = 0
        self.failures: list[tuple[int, str]] = []
        self.lock = threading.Lock()


def campaign(kind: Kind, seed: int, wanted: int, jobs: int, keep: bool) -> Tally:
    """Runs of random plans until `wanted` faults were made; the seeds count up from `seed`."""
    tally, seeds = Tally(), iter(range(seed, seed + 1_000_000))

    def work() -> None:
        while True:
            with tally.lock:
                if tally.faults >= wanted and tally.runs:
                    return
                tally.runs += 1
                number = next(seeds)
            made, failure = one(kind, number, keep)
            with tally.lock:
                tally.faults += made
                if failure:
                    tally.failures.append((number, failure))

    # A fork beside other threads could copy a lock that one of them holds.
    with ThreadPoolExecutor(1 if kind.forks else jobs) as pool:
        for done in [pool.submit(work) for _ in range(1 if kind.forks else jobs)]:
            done.result()
    return tally


def one(kind: Kind, seed: int, keep: bool) -> tuple[int, str]:
    """One trial: how many faults were made, and what went wrong, if anything did."""
    folder = Path(tempfile.mkdtemp(prefix=f"faults-{seed}-"))
    trial = Trial(seed, folder, kind.shape)
    try:
        return kind.act(trial), ""
    except (Fault, OSError, ValueError) as fault:
        return 1, f"{type(fault).__name__}: {fault}" + (f" (kept: {folder})" if keep else "")
    finally:
        trial.kill_workers()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """All kinds, or the one asked for; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200, help="kills of kind 1; the others take their share")
    parser.add_argument("--seed", type=int, default=None, help="of the first plan (default: random)")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this kind; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time (default: 2)")
    parser.add_argument("--keep", action="store_true", help="keep the folders of all trials")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "scripts"))
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    failed = False
    for key in options.kind or KINDS:
        began = time.monotonic()
        kind = KINDS[key]
        # A share of nothing is one run, whose every byte or line is a fault of its own.
        tally = campaign(kind, seed, round(options.times * kind.share), options.jobs, options.keep)
        failed = failed or bool(tally.failures)
        print(
            f"{key:3} {kind.name}: {tally.faults} faults in {tally.runs} runs, {len(tally.failures)} failures "
            f"(seeds from {seed}, {time.monotonic() - began:.0f} s)",
            flush=True,
        )
        for number, failure in tally.failures:
            print(f"    seed {number}: {failure}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
