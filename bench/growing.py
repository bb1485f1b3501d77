"""Runs of `auto` whose planners mean no good, cut off again and again, and what must hold of them at their end."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from typing import Any

from trials import ROOT, Fault, Trial

SCHEMING = ROOT / "tests" / "scheming.py"

ENDS = {"corrects": 0, "grows": 0, "insists": 0, "misses": 0, "never": 4, "sane": 0, "splits": 4}
"""The planners, by their names in `scheming.py`, and the exit status that a run of each comes to."""

TROUBLES = ("", "", "Plan-01:unreachable", "Plan-02:overloaded")
"""Which planning call the API does not answer at its first attempts, and how; mostly none."""

ASKED = ("auto", "Find it", "--budget", "5", "--max-tasks", "12", "--max-rounds", "4")

EACH = 0.01
"""Dollars that a stand-in says it has cost, when it answers."""


def kill_growing(trial: Trial) -> int:
    """Kind 5: `kill -9` in a run of `auto`; no planning call and no task that had ended is paid for again."""
    planner = trial.random.choice(sorted(ENDS))
    trial.environment |= {
        "ORCHESTRATE_CLAUDE": str(SCHEMING),
        "SCHEME": planner,
        "SCHEME_PAUSE": "0.05",
        "TROUBLE": trial.random.choice(TROUBLES),
    }
    workers_too = trial.random.random() < 0.4
    # A task that was interrupted three times in a row has failed by design.
    wanted = trial.random.randint(1, 2) if workers_too else trial.random.randint(3, 8)
    words: tuple[str, ...] = ASKED
    kills = 0
    while True:
        process = trial.start(*words)
        if kills == wanted:
            break
        try:
            process.wait(trial.random.uniform(0.15, 1.3))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            if workers_too:
                trial.kill_workers()
            process.communicate()
            kills += 1
        if (trial.workspace / "plan.yaml").exists():
            words = ("run",)
    status, output = trial.finish(process)
    if status != ENDS[planner] or "Traceback" in output:
        raise Fault(f"{planner} ended with {status}, not {ENDS[planner]}: {output[-300:]}")
    _check_paid_once(trial, planner)
    _check_over(trial, status)
    return kills


def _check_paid_once(trial: Trial, planner: str) -> None:
    """By the stand-ins' own ledger, and by the program's books.

    Raises:
        Fault: an attempt was begun twice, or something that had ended was done again or counted again.
    """
    begun, ended = _ledger(trial, "start"), _ledger(trial, "end")
    if twice := [attempt for attempt, count in begun.items() if count > 1]:
        raise Fault(f"{planner}: begun twice: {twice}")
    done = Counter(name for name, _ in ended.elements())
    calls = {name: count for name, count in done.items() if not name.startswith("T-")}
    if again := [name for name, count in calls.items() if count > 1]:
        raise Fault(f"{planner}: planning calls that had been answered were made again: {again}")
    succeeded = Counter(
        event["task"] for event in _events(trial, "AttemptFinished") if event["outcome"] == "success"
    )
    if again := [name for name, count in succeeded.items() if count > 1]:
        raise Fault(f"{planner}: tasks that were completed were done again: {again}")
    cost = json.loads(trial.finish(trial.start("status", "--json"))[1])["run"]["cost_usd"]
    if round(cost / EACH) != ended.total():
        raise Fault(f"{planner}: {ended.total()} answers of ${EACH} are counted as ${cost}")


def _check_over(trial: Trial, status: int) -> None:
    """That the run is over, and another `run` begins nothing.

    Raises:
        Fault: it is not.
    """
    if left := trial.living():
        raise Fault(f"left behind: {left}")
    before = trial.ledger.read_text()
    again, output = trial.finish(trial.start("run"))
    if again != status or trial.ledger.read_text() != before:
        raise Fault(f"another run was not the same: {status}, then {again}: {output[-300:]}")


def _ledger(trial: Trial, what: str) -> Counter[tuple[str, int]]:
    """How often each attempt has begun, or ended: task and number of the attempt."""
    lines = (line.split() for line in trial.ledger.read_text().splitlines())
    return Counter((words[1], int(words[2])) for words in lines if words[0] == what)


def _events(trial: Trial, kind: str) -> list[dict[str, Any]]:
    lines = (trial.workspace / "journal.jsonl").read_text().splitlines()[1:]
    return [event for event in map(json.loads, lines) if event["type"] == kind]
