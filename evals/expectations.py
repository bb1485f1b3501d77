"""The sentences that `evals.json` expects of a session, each with the function that checks it.

A function looks at what the session left: its project folder, its calls of tools and its last message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from stage import NAME, Call

from orchestrator.core.plan import Plan
from orchestrator.core.state import RunState
from orchestrator.edges import journal
from orchestrator.edges.planfile import read_plan
from orchestrator.edges.workspace import Workspace
from orchestrator.errors import OrchestratorError

OURS = r"orchestrate(?:\.py)?[\"']?(?: --workspace[ =]\S+)? "
EDITORS = ("Edit", "MultiEdit", "NotebookEdit", "Write")


class Outcome:
    """What is left of a session; `calls` are those of the session itself, not of its workers."""

    def __init__(self, folder: Path, calls: Sequence[Call], last: str) -> None:
        self.folder, self.calls, self.last = folder, calls, last
        self.workspace = Workspace(folder / ".orchestrator")

    @cached_property
    def plan(self) -> Plan | None:
        """The plan that the session wrote, or that it found; None where there is none, or a wrong one."""
        given = self.folder / "plan.yaml"
        try:
            return read_plan(self.workspace.plan_file if self.workspace.plan_file.exists() else given)
        except OrchestratorError:
            return None

    @cached_property
    def state(self) -> RunState:
        """What the journal says."""
        return journal.look(self.workspace.journal)

    def typed(self, command: str, more: str = "") -> list[int]:
        """The places of the calls in which a command of ours was typed, with `more` somewhere after it."""
        wanted = re.compile(rf"{OURS}{command}\b(?=[^\n;&|]*{more})")
        return [n for n, call in enumerate(self.calls) if wanted.search(str(call.input.get("command", "")))]


Holds = Callable[..., object]


class Expectation(NamedTuple):
    """A form of sentence: `holds` is given an outcome and the sentence's own words; `grader` makes those of
    `claude plugin eval` that say the same, front matter without a body, where there is one.
    """

    form: re.Pattern[str]
    holds: Holds
    grader: Callable[..., dict[str, Any]] | None = None


def skill_loaded(outcome: Outcome) -> bool:
    """The model called the Skill tool for it."""
    return any(call.tool == "Skill" and NAME in str(call.input) for call in outcome.calls)


def valid_at_first(outcome: Outcome) -> bool:
    """The first `validate`, or where there is none the first `plan` or `run`, accepted the plan."""
    first = min(
        [*outcome.typed("validate"), *outcome.typed("plan"), *outcome.typed("run"), *outcome.typed("next")]
    )
    return outcome.calls[first].status == 0


def shaped(outcome: Outcome, tasks: str, free: str) -> bool:
    """The plan has that many tasks, and that many that wait for no other."""
    found = outcome.plan.tasks if outcome.plan else ()
    return len(found) >= int(tasks) and sum(not task.needs and not task.after for task in found) >= int(free)


def joined(outcome: Outcome, count: str) -> bool:
    """One task needs that many others."""
    return any(len(task.needs) >= int(count) for task in (outcome.plan.tasks if outcome.plan else ()))


def bounded(outcome: Outcome, dollars: str) -> bool:
    """The plan has a budget that is no larger, or a `run` was given one."""
    in_plan = outcome.plan.limits.budget_usd if outcome.plan else None
    return bool(outcome.typed("run", r"--budget")) or (in_plan is not None and in_plan <= float(dollars))


def all_for(outcome: Outcome, cli: str) -> bool:
    """Every task of the plan is done in this way."""
    return outcome.plan is not None and {task.cli for task in outcome.plan.tasks} == {cli}


def shown_first(outcome: Outcome) -> bool:
    """`plan` was typed before the first `run`."""
    return bool(outcome.typed("plan")) and outcome.typed("plan")[0] < min(
        [*outcome.typed("run"), len(outcome.calls)]
    )


def only_shown(outcome: Outcome) -> bool:
    """`plan` was typed and no run exists."""
    return bool(outcome.typed("plan")) and not outcome.workspace.journal.exists()


def not_in_the_foreground(outcome: Outcome) -> bool:
    """Every `run` was detached, or a background command."""
    aside = {n for n in outcome.typed("run") if outcome.calls[n].input.get("run_in_background")}
    return set(outcome.typed("run")) <= {*outcome.typed("run", r"--(?:detach|dry-run)"), *aside}


def views_untouched(outcome: Outcome) -> bool:
    """The session's editors were used on no file of the workspace but the plan."""
    edited = [str(call.input.get("file_path", "")) for call in outcome.calls if call.tool in EDITORS]
    return all(path.endswith("plan.yaml") for path in edited if ".orchestrator/" in path)


def ended_with(outcome: Outcome, status: str) -> bool:
    """The last run of the workspace has ended so."""
    ended = outcome.state.finished if outcome.workspace.journal.exists() else None
    return ended is not None and ended.exit == int(status)


def recorded(outcome: Outcome) -> bool:
    """As many results as tasks."""
    tasks = len(outcome.plan.tasks) if outcome.plan else 0
    return 0 < tasks == len(list((outcome.workspace.root / "results").glob("agent-*-result.md")))


def says(outcome: Outcome, path: str, words: str) -> bool:
    """A file has these words in it."""
    file = outcome.folder / path
    return file.is_file() and words in file.read_text(encoding="utf-8", errors="replace")


def of_file(path: str, exists: bool = True) -> dict[str, Any]:
    """The grader of a file that must, or must not, be there."""
    return {"type": "file_exists", "path": path, "exists": exists}


def of_words(words: str) -> dict[str, Any]:
    """The grader of words of the last message."""
    return {"type": "regex", "target": "last_message", "pattern": re.escape(words)}


def of_skill(most: int | None = None) -> dict[str, Any]:
    """The grader of the Skill tool: called at least once, or not."""
    return {
        "type": "tool_used",
        "tool": "Skill",
        "input_match": NAME,
        **({"min": 1} if most is None else {"min": 0, "max": most}),
    }


def form(sentence: str) -> re.Pattern[str]:
    """The form of a sentence: `FILE` and `TEXT` stand for what is in its backquotes, `N` for a number."""
    escaped = re.escape(sentence).replace("FILE", "([^`]+)").replace("TEXT", "([^`]+)")
    return re.compile(re.sub(r"\bN\b", r"(\\d+)", escaped))


EXPECTATIONS = (
    Expectation(form("The skill was loaded"), skill_loaded, of_skill),
    Expectation(
        form("The skill was not loaded"), lambda outcome: not skill_loaded(outcome), lambda: of_skill(0)
    ),
    Expectation(
        form("Nothing was orchestrated"),
        lambda outcome: not outcome.workspace.root.exists(),
        lambda: of_file(".orchestrator/**", exists=False),
    ),
    Expectation(form("The plan was valid when it was first checked"), valid_at_first),
    Expectation(form("The plan has at least N tasks, of which at least N wait for nothing"), shaped),
    Expectation(form("A task of the plan needs the results of at least N others"), joined),
    Expectation(form("The plan spends at most N dollars"), bounded),
    Expectation(form("All tasks of the plan are for `TEXT`"), all_for),
    Expectation(form("The plan was shown before anything was run"), shown_first),
    Expectation(form("The plan was shown, and nothing was run"), only_shown),
    Expectation(form("No run was waited for in the foreground"), not_in_the_foreground),
    Expectation(form("No file of the workspace was edited but the plan"), views_untouched),
    Expectation(form("The run ended with exit status N"), ended_with),
    Expectation(form("The record has a result for each task"), recorded),
    Expectation(
        form("The file `FILE` exists"), lambda outcome, path: (outcome.folder / path).exists(), of_file
    ),
    Expectation(
        form("The file `FILE` does not exist"),
        lambda outcome, path: not (outcome.folder / path).exists(),
        lambda path: of_file(path, exists=False),
    ),
    Expectation(form("The file `FILE` says `TEXT`"), says),
    Expectation(form("The last message names `TEXT`"), lambda outcome, text: text in outcome.last, of_words),
    Expectation(
        form("The last message asks something"), lambda outcome: "?" in outcome.last, lambda: of_words("?")
    ),
)


def meaning(sentence: str) -> tuple[Expectation, tuple[str, ...]]:
    """The expectation that a sentence states, and its own words.

    Raises:
        KeyError: it is none that a program can check.
    """
    for expectation in EXPECTATIONS:
        if found := expectation.form.fullmatch(sentence):
            return expectation, found.groups()
    raise KeyError(sentence)


def disappointed(outcome: Outcome, sentences: Sequence[str]) -> list[str]:
    """The sentences that do not hold."""
    found = [(sentence, *meaning(sentence)) for sentence in sentences]
    return [sentence for sentence, expectation, own in found if not _holds(expectation, outcome, own)]


def _holds(expectation: Expectation, outcome: Outcome, own: tuple[str, ...]) -> bool:
    try:
        return bool(expectation.holds(outcome, *own))
    except ValueError:
        return False
