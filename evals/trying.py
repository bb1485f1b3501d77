"""Everything that can be tried, with a scripted model or with a live one, one after the other and under a ceiling."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import checks
import sessions
from cases import Case, Trigger, all_cases, all_triggers
from claude_program import NEWEST
from expectations import disappointed, skill_loaded
from stage import NAME, copy, opened

CEILING_REACHED = 4
UNPAID = 5.0
"""USD that a scripted session may seem to cost."""

LEAST = 0.05
"""USD below which no further session can say anything."""


class Found(NamedTuple):
    """What came of a trial: what is wrong, and its cost in USD."""

    wrong: Sequence[str]
    cost: float = 0.0


class Trial(NamedTuple):
    """Something to try; `do` is given the USD that are left."""

    name: str
    about: str
    do: Callable[[float], Found]


def scripted(version: str) -> Iterator[Trial]:
    """The checks of SKILL.md and the sessions written for the cases, which the newest version alone can play."""
    for name, check in checks.CHECKS.items():
        if version in checks.VERSIONS[name]:
            yield Trial(name, (check.__doc__ or "").strip(), partial(_check, check, version))
    for case in all_cases() if version == NEWEST else ():
        yield Trial(case.folder.name, case.prompt, partial(_play_script, case))


def live(claude: Path, environment: Mapping[str, str]) -> Iterator[Trial]:
    """The cases and the queries, with the account that this claude program has in this environment."""
    for case in all_cases():
        yield Trial(case.folder.name, case.prompt, partial(_play_live, case, claude, environment))
    for number, trigger in enumerate(all_triggers(), 1):
        yield Trial(f"query-{number:02d}", trigger.query, partial(_ask_live, trigger, claude, environment))


def tried(trials: Sequence[Trial], ceiling: float | None) -> int:
    """Try one after the other and say what came of it; the exit status. With a `ceiling` (USD) no further one is begun
    once it is reached.
    """
    failed, cost = 0, 0.0
    for trial in trials:
        if ceiling is not None and ceiling - cost < LEAST:
            print(
                f"${cost:.2f} of ${ceiling:g} are spent: {trial.name} and what comes after it was not tried"
            )
            return CEILING_REACHED
        begun = time.monotonic()
        found = trial.do(UNPAID if ceiling is None else ceiling - cost)
        cost += found.cost
        failed += bool(found.wrong)
        paid = "" if ceiling is None else f"  ${found.cost:.2f}"
        print(f"{'FAILED' if found.wrong else 'ok':6}  {trial.name}  {time.monotonic() - begun:.1f} s{paid}")
        print("".join(f"        {line}\n" for line in found.wrong), end="", flush=True)
    print(
        f"{len(trials) - failed} of {len(trials)} as expected" + ("" if ceiling is None else f", ${cost:.2f}")
    )
    return 1 if failed else 0


def _check(check: checks.Check, version: str, _: float) -> Found:
    try:
        check(version)
    except (checks.Fault, AssertionError) as fault:
        return Found([str(fault)])
    return Found([])


def _play_script(case: Case, ceiling: float) -> Found:
    with opened(sessions.leader(case)) as there:
        played = sessions.play(case, there.claude, there.folder, there.environment, ceiling)
        return Found(disappointed(played.outcome, case.expectations), played.cost)


def _play_live(case: Case, claude: Path, environment: Mapping[str, str], left: float) -> Found:
    with _project() as folder:
        played = sessions.play(case, claude, folder, environment, left)
        return Found(disappointed(played.outcome, case.expectations), played.cost)


def _ask_live(trigger: Trigger, claude: Path, environment: Mapping[str, str], left: float) -> Found:
    with _project() as folder:
        played = sessions.loads(trigger.query, claude, folder, environment, left)
    as_wanted = skill_loaded(played.outcome) == trigger.should_trigger
    return Found(
        [] if as_wanted else [f"loads the skill or not against what is wanted: {trigger.query}"], played.cost
    )


@contextmanager
def _project() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="orchestrate-eval-", ignore_cleanup_errors=True) as folder:
        copy(Path(folder) / ".claude" / "skills" / NAME)
        yield Path(folder)
