#!/usr/bin/env python3
"""`python3 bench/faults.py` breaks runs of random plans in every way that design and kernel allow, and counts.

Every worker writes to a ledger outside the workspace, one line at its start and one as its last act, so what ran
and how often is known without believing the program's own books. One line per kind of fault on stdout, with the
seeds of its failures; `--seed N --times 1 --kind K` repeats one. Exit status 1 if anything failed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from growing import kill_growing
from trials import LONGEST, ROOT, Entry, Fault, Trial, attempt_of, check_end, check_once, send

SLACK = 0.02
"""Seconds before a kill of everything: what ended in them may not have reached the disk, and may run again."""

KILLS_OF_ALL = 2
"""A task that was interrupted three times in a row has failed by design, so no run is broken more often."""


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
            before.time < until < after.time and (ended is None or ended > since - SLACK)
            for since, until in spans
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
    victims = [pid for pid in trial.living() if os.path.exists(f"/proc/{pid}") and attempt_of(pid)]
    if victims and process.poll() is None:
        victim = trial.random.choice(victims)
        hit.append((attempt_of(victim), time.time()))
        send(victim, signal.SIGKILL)
    status, output = trial.finish(process)
    check_end(trial, status, output)
    names = {name.rpartition("/")[2].rpartition(".")[0] for name, _ in hit}
    check_once(trial, lambda before, after: before.task in names)
    return len(hit)


def signal_dispatcher(trial: Trial) -> int:
    """Kind 3b: Ctrl-C once or twice, SIGTERM or SIGHUP: exit 130, nothing left; then `run` goes on."""
    process = trial.start("run", "plan.yaml")
    with suppress(subprocess.TimeoutExpired):
        process.wait(trial.random.uniform(0.2, 1.5))
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


_SIGNALS: tuple[tuple[signal.Signals, ...], ...] = (
    (signal.SIGINT,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM,), (signal.SIGHUP,),
)  # fmt: skip


def _journal(trial: Trial) -> str:
    try:
        return (trial.workspace / "journal.jsonl").read_text()
    except OSError:
        return ""


def truncate_journal(trial: Trial) -> int:
    """Kind 4a: the journal of a finished run, cut at every byte, resumes and repeats nothing.

    What a run makes of the file is looked at for every byte: what it has read, and what it leaves of it, is that of
    the last whole line. So whole runs are made where lines begin, in their middle and just before their ends.
    """
    whole, kept, ledger = _finished_run(trial)
    begins = [0, *(at + 1 for at, byte in enumerate(whole) if byte == ord("\n"))]
    for line, (begin, end) in enumerate(pairwise(begins)):
        for size in range(begin, end):
            _check_cut(trial.folder / "cut.jsonl", whole, size, begin, line)
        for size in sorted({begin, begin + 1, (begin + end) // 2, end - 1}):
            _run_cut(trial, kept, whole[:size], len(whole), ledger)
    _run_cut(trial, kept, whole, len(whole), ledger)
    return len(whole) + 1


def _check_cut(path: Path, whole: bytes, size: int, begin: int, line: int) -> None:
    from orchestrator.edges import journal

    path.write_bytes(whole[:size])
    known = journal.load(path).seq
    journal.Journal(path).close()
    left = path.read_bytes()
    if left != (whole[:begin] or journal.HEADER) or known != max(0, line - 1):
        raise Fault(f"cut after {size} of {len(whole)} bytes: event {known} and {len(left)} bytes are left")


def _run_cut(trial: Trial, kept: Path, left: bytes, size: int, ledger: str) -> None:
    _restore(trial, kept)
    (trial.workspace / "journal.jsonl").write_bytes(left)
    status, output = _fork(trial, "run", "plan.yaml")
    try:
        if trial.ledger.read_text() != ledger:
            raise Fault("work was repeated")
        check_end_quickly(trial, status, output)
    except Fault as fault:
        raise Fault(f"cut after {len(left)} of {size} bytes: {fault}") from None


def check_end_quickly(trial: Trial, status: int, output: str) -> None:
    """`check_end` from the files alone.

    Raises:
        Fault: not all tasks are completed.
    """
    views = (trial.workspace / "final_output.md").exists()
    if status != 0 or not views:
        raise Fault(
            f"ended with {status}, final_output.md {'exists' if views else 'is missing'}: {output[-300:]}"
        )
    for number, task in enumerate(trial.tasks, 1):
        result = (trial.workspace / "results" / f"agent-{number:02d}-result.md").read_text()
        if f"second half of {task['id']}" not in result:
            raise Fault(f"the result of {task['id']} is not whole")


def break_journal(trial: Trial) -> int:
    """Kind 4b: each line of a journal broken in turn is refused by its number, and nothing changes."""
    whole, kept, ledger = _finished_run(trial)
    lines = whole.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        for broken in (
            line[:-2] + b"\n",
            b"\0" * 20 + b"\n",
            b'{"type":"Nothing","seq":1}\n',
            b"\n",
            b"\xff\n",
        ):
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
    """The command in a fork of this process, which has most of its modules loaded."""
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
            send(pid, signal.SIGKILL)
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
    "4a": Kind(truncate_journal, "journal cut at every byte", 0.0, (2, 2), forks=True),
    "4b": Kind(break_journal, "journal with one broken line", 0.0, (3, 4), forks=True),
    "5": Kind(kill_growing, "kill -9 in runs of auto", 0.2),
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=200, help="kills of kind 1; the others take their share")
    parser.add_argument("--seed", type=int, default=None, help="of the first plan (default: random)")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this kind; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time (default: 2)")
    parser.add_argument("--keep", action="store_true", help="keep the folders of all trials")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "scripts"))
    for module in ("commands", "running", "dispatcher", "attempts", "dynamic", "edges.planfile"):
        import_module(f"orchestrator.{module}")
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
