"""What `auto` does: writes a plan that has no tasks yet, only bounds, and runs it."""

from __future__ import annotations

import math

import click
from msgspec import Struct

from orchestrator import claudeprogram, progress, running, runs
from orchestrator.core.estimate import ASSUMED
from orchestrator.core.plan import Limits, seconds
from orchestrator.core.rounds import TOGETHER
from orchestrator.core.state import RunState
from orchestrator.edges import journal
from orchestrator.edges.planfile import parse_plan
from orchestrator.edges.workspace import Workspace, explained, write_whole
from orchestrator.edges.yamltext import yaml_text
from orchestrator.errors import OrchestratorError, UsageError

DEADLINE = "8h"
"""Of a run that nobody watches: a night's work."""

_PLAN = """\
# Written by `orchestrate auto`: the tasks are planned by the run itself, within these bounds.
# `orchestrate run --detach` takes the run up again, `orchestrate status` shows where it stands.

request: {request}

# off: the plan stays as it is; ask: each change waits for `orchestrate approve`; auto: changes hold at once
replan: {replan}

limits:
  budget_usd: {budget}
  deadline: {deadline}
  max_tasks: {tasks}        # tasks that revisions may make of the plan
  max_rounds: {rounds}      # planning calls
  max_depth: {depth}        # generations of discovery

# Commands that must exit with 0 once all tasks are completed:
verify:{verify}

tasks: []
"""


class Wish(Struct, frozen=True):
    """What the command line of `auto` says; money in USD."""

    request: str
    budget: float | None
    ask: bool = False
    max_tasks: int = Limits().max_tasks
    max_rounds: int = Limits().max_rounds
    max_depth: int = Limits().max_depth
    deadline: str = DEADLINE
    verify: tuple[str, ...] = ()
    claude: str | None = None
    new: bool = False


def plan_text(wish: Wish) -> str:
    """The commented plan.yaml.

    Raises:
        UsageError: a word of the command line that no plan can hold.
    """
    if not wish.request.strip():
        raise UsageError("say what is to be done: `auto REQUEST`")
    if wish.budget is None or not math.isfinite(wish.budget):
        raise UsageError(_which_budget(wish.max_tasks))
    try:
        seconds(wish.deadline)
    except ValueError as error:
        raise UsageError(f"--deadline: {error}") from error
    text = _PLAN.format(
        request=yaml_text(wish.request),
        replan="ask" if wish.ask else "auto",
        budget=f"{wish.budget:.6f}".rstrip("0").rstrip("."),
        deadline=wish.deadline,
        tasks=wish.max_tasks,
        rounds=wish.max_rounds,
        depth=wish.max_depth,
        verify="".join(f"\n  - {yaml_text(line, 2)}" for line in wish.verify) or " []",
    )
    try:
        parse_plan(text.encode(), "this plan")
    except OrchestratorError as error:
        raise UsageError(str(error)) from error
    return text


def _which_budget(tasks: int) -> str:
    enough = math.ceil(tasks * (1 + 1 / TOGETHER) * ASSUMED.usd)
    return (
        f"say what it may cost at most, in USD: `--budget {enough}` is enough for {tasks} tasks and their planning "
        f"at about ${ASSUMED.usd:.2f} each, which is an assumption, not a measurement"
    )


def prepare(workspace: Workspace, wish: Wish) -> None:
    """Write the plan, where no unfinished run is in the way.

    Raises:
        UsageError: a run is unfinished, or there is a plan that was never run, and `new` was not said.
        EnvironmentProblem: there is no claude program.
    """
    text = plan_text(wish)
    claudeprogram.find(wish.claude)
    with runs.held(workspace), explained(f"cannot write to {workspace.root}"):
        state = _present(workspace, wish.new)
        written = workspace.plan_file.exists()
        if not wish.new and (why := _in_the_way(workspace, state, written)):
            raise UsageError(f"{why}; `auto --new` archives it and begins anew")
        if state is not None and (state.run or written):
            running.put_away(workspace, state, wish.budget)
        write_whole(workspace.plan_file, text, durable=True)


def _present(workspace: Workspace, new: bool) -> RunState | None:
    """The run in the workspace; None for one that could not be read and was archived."""
    try:
        return journal.load(workspace.journal)
    except OrchestratorError:
        if not new:
            raise
        click.echo(f"archived to {workspace.archive_run('unreadable')}", err=True)
        return None


def _in_the_way(workspace: Workspace, state: RunState | None, written: bool) -> str:
    if state is None or not state.run:
        return f"{workspace.plan_file} is there already" if written else ""
    begun = state.plan is not None and state.finished is None
    if not (begun or runs.unfinished(state) or state.replanning.proposed is not None):
        return ""
    return f"run {state.run} is unfinished; {progress.to_run()} takes it up again"
