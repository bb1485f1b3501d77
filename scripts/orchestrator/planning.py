"""What `plan` shows: the shape of a plan, what it will take, and what of an earlier run it keeps."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestrator import claudeprogram, progress, runs
from orchestrator.core import growth
from orchestrator.core.advice import Outlook, outlook
from orchestrator.core.estimate import ASSUMED, Estimate, estimate
from orchestrator.core.events import PlanAccepted
from orchestrator.core.grants import Grant, grants
from orchestrator.core.history import History
from orchestrator.core.learning import weights
from orchestrator.core.plan import Plan, only
from orchestrator.core.replanning import is_planning
from orchestrator.core.state import RunState
from orchestrator.core.text import counted, duration, one_line
from orchestrator.core.workers import WorkerType
from orchestrator.edges import claudefiles
from orchestrator.edges.claudefiles import Login
from orchestrator.edges.views import PREVIEWS, Views, banner
from orchestrator.edges.workspace import Workspace, explained
from orchestrator.errors import EnvironmentProblem, UsageError, WorkspaceHeld
from orchestrator.options import print_json

MOST_NAMES = 12
MOST_BANNERS = 4
MOST_OWN = 5
"""Names in a line, batch banners, and rules of single tasks, that are shown: a screenful."""


def show(workspace: Workspace, path: Path | None, here: Path, as_json: bool, ascii_only: bool) -> int:
    """Print the outlook of a plan and render its views, unless they are those of a run that it cannot go on with."""
    from orchestrator.edges.planfile import read_plan

    given = read_plan(path or workspace.plan_file)
    state, history = runs.load(workspace)
    learned = runs.learned(workspace, state)
    plan, new_run = _going_on(workspace, state, given, str(path or workspace.plan_file))
    if new_run:
        state, history = RunState(), History()
    shape = only(plan, [task for task in plan.tasks if not is_planning(task)])
    view = outlook(shape, weights(shape, learned), None)
    before = {task.task.id: task.mark for task in state.tasks if task.mark}
    project = runs.project_of(workspace, state, here)
    trusted = claudefiles.trusted(project, os.environ)
    workers = runs.worker_types(workspace, plan, project, trusted)
    preview(state, plan, workers, project)
    again = [name for name, mark in before.items() if name in state.by_id and state.by_id[name].mark != mark]
    left_out = 0 if new_run else _render(workspace, state, Views(workspace, history))
    done = {task.task.id for task in state.tasks if task.mark == "completed"}
    cost = estimate(plan, learned.spent, done)
    login = claudefiles.login(os.environ, project)
    warnings = [*(view.warnings if view.batches else ()), *_login_notes(plan, login)]
    if as_json:
        document = _document(shape, view, state, again, cost, trusted, warnings, new_run)
        print_json(document)
        return 0
    lines = [
        *([f"as a new run: {new_run}"] if new_run else ()),
        *_outlook(shape, view, state, ascii_only),
        *_growth(plan),
        *_costs(plan, cost, login),
        *_permissions(plan, workers, trusted),
        *_notes(workspace, view, state, again, left_out),
        *(f"note: {warning}" for warning in warnings),
        "views: those of the run that is here, left as they are"
        if new_run
        else f"views: {one_line(str(workspace.master_plan), 300)}",
    ]
    click.echo("\n".join(lines))
    return 0


def _going_on(workspace: Workspace, state: RunState, given: Plan, name: str) -> tuple[Plan, str]:
    """The plan to go on with; or the one that is given, and why only a new run can begin with it."""
    try:
        runs.refuse_stranger(state, given, name)
        return runs.with_revisions(state, given, workspace)[0], ""
    except UsageError as error:
        return given, str(error)


def preview(state: RunState, plan: Plan, workers: Mapping[str, WorkerType], project: Path) -> None:
    """Take the plan into a state that is only looked at, never written."""
    state.project = state.project or str(project)
    if state.plan != plan or state.workers != workers:
        for task in list(state.running.values()):
            # A changed plan would stop what it changes; to look at it, take that as done.
            task.running = False
        state.running.clear()
        event = PlanAccepted(
            seq=state.seq + 1, time=datetime.now(UTC), plan=plan, workers=tuple(workers.values())
        )
        state.apply(event)


def _render(workspace: Workspace, state: RunState, views: Views) -> int:
    """The views of a plan that is looked at; 0, or how many agent files were left out."""
    try:
        with runs.held(workspace), explained(f"cannot write to {workspace.root}"):
            views.refresh(state, datetime.now(UTC))
            return views.preview(state, PREVIEWS)
    except WorkspaceHeld:
        click.echo("a dispatcher is at work here: its views were left alone", err=True)
        return 0


def _document(
    plan: Plan,
    view: Outlook,
    state: RunState,
    again: Sequence[str],
    cost: Estimate,
    trusted: bool,
    warnings: Sequence[str],
    new_run: str,
) -> dict[str, Any]:
    return {
        "tasks": len(plan.tasks),
        "planning_calls": len(growth.planning_calls(state)),
        "new_run": new_run or None,
        "batches": view.batches,
        "critical_path": view.critical_path,
        "critical_seconds": round(view.critical_seconds, 3),
        "work_seconds": round(view.work_seconds, 3),
        "expected_seconds": round(view.expected_seconds, 3),
        "parallelism": plan.limits.parallelism,
        "overlaps": view.overlaps,
        "warnings": warnings,
        "completed": _completed(state),
        "again": again,
        "cost": cost,
        "trusted": trusted,
    }


def _completed(state: RunState) -> int:
    return sum(task.mark == "completed" for task in state.tasks_proper)


def _outlook(plan: Plan, view: Outlook, state: RunState, ascii_only: bool) -> Iterator[str]:
    made = len(growth.planning_calls(state))
    calls = f"; beside them {counted(made, 'planning call')}" if made else ""
    if not plan.tasks:
        if made:
            yield f"no tasks yet{calls}"
        return
    more = "..." if ascii_only else "…"
    for number, names in enumerate(view.batches[:MOST_BANNERS], 1):
        tasks = [state.by_id[name] for name in names[:MOST_NAMES]]
        yield banner(state, number, tasks, ascii_only)
        if len(names) > MOST_NAMES:
            yield f"  {more} and {len(names) - MOST_NAMES} more in this batch"
    if len(view.batches) > MOST_BANNERS:
        yield f"{more} and {len(view.batches) - MOST_BANNERS} more batches"
    batches = f"{len(view.batches)} batch{'' if len(view.batches) == 1 else 'es'}"
    yield f"{counted(len(plan.tasks), 'task')} in {batches}, {plan.limits.parallelism} at a time{calls}"
    yield f"critical path: {duration(view.critical_seconds)} through {_named(view.critical_path)}"
    yield (
        f"expected: {duration(view.expected_seconds)} for {duration(view.work_seconds)} of work "
        f"(from {_sources(plan)})"
    )


def _growth(plan: Plan) -> Iterator[str]:
    """What becomes of a plan that its run may change."""
    if plan.replan == "off":
        return
    if not plan.tasks:
        yield "no tasks yet: the run begins with a planning call, which makes the first ones of the request"
    then = "holds at once" if plan.replan == "auto" else "waits for `approve`"
    limits = plan.limits
    yield (
        f"replan {plan.replan}: what workers discover is planned for in further calls, and each change {then}; at "
        f"most {limits.max_tasks} tasks, {limits.max_growth} added at a time, {limits.max_rounds} rounds, "
        f"{limits.max_depth} generations of discovery; deadline: {limits.deadline or 'none'}"
    )


def _notes(
    workspace: Workspace, view: Outlook, state: RunState, again: Sequence[str], left_out: int
) -> Iterator[str]:
    for one, other in view.overlaps:
        yield f"never at the same time, their writes overlap: {one}, {other}"
    if state.run:
        yield f"kept from run {state.run}: {counted(_completed(state), 'completed task')}"
        if again:
            yield f"would run again, unless their inputs come out the same: {_named(again)}"
    if left_out:
        yield f"agent_tasks/ holds the first {PREVIEWS} tasks; {left_out} more are rendered at their launch"


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown}, … {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else shown


def _sources(plan: Plan) -> str:
    given = sum(task.estimate is not None for task in plan.tasks)
    if given == len(plan.tasks):
        return "the plan's estimates"
    rest = "earlier runs here, else 5m a worker and 10s a command"
    return f"estimates of {counted(given, 'task')}, {rest}" if given else rest


def _costs(plan: Plan, cost: Estimate, login: Login) -> Iterator[str]:
    workers = [task for task in plan.tasks if task.cli == "claude"]
    grows = plan.replan != "off"
    if here := [task.id for task in plan.tasks if task.cli == "session"]:
        yield f"for a session, which pays for its own words: {_named(here)}"
    if not workers and not grows:
        yield "cost: none, no task starts a worker"
        return
    if cost.workers:
        yield (
            f"estimate: ${cost.usd:.2f} for {counted(cost.workers, 'worker')}, {_tokens(cost.input_tokens)} tokens in "
            f"and {_tokens(cost.output_tokens)} out ({_basis(cost)})"
        )
    if login.payer != "none":
        yield login.sentence
    bounded = [task.budget_usd * task.attempts for task in workers if task.budget_usd is not None]
    budget = plan.limits.budget_usd
    if budget is not None:
        yield f"cost: at most ${budget:.2f}, the run's budget, and one call of each worker then running"
    elif grows:
        yield "cost: not bounded; what is planned later is not known yet (limits.budget_usd sets a ceiling)"
    elif len(bounded) == len(workers):
        yield f"cost: at most ${sum(bounded):.2f}, the sum of the tasks' budgets"
    else:
        use = "1 worker uses" if len(workers) == 1 else f"{len(workers)} workers use"
        yield f"cost: not bounded; {use} a model (limits.budget_usd sets a ceiling)"


def _login_notes(plan: Plan, login: Login) -> list[str]:
    """What becomes of workers that nobody pays for; nothing where the plan starts none."""
    if login.payer != "none" or (plan.replan == "off" and all(task.cli != "claude" for task in plan.tasks)):
        return []
    return [
        f"{login.sentence}: a run would stop at the second that is refused, with exit 5. Type /login in `claude`, and "
        f"see `{progress.ours('doctor')}`; or give the tasks `cli: session`, and this session does them"
    ]


def _tokens(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{round(count / 1000)} k"


def _basis(cost: Estimate) -> str:
    assumed = f"${ASSUMED.usd:.2f} a worker is an assumption, not a measurement"
    if not cost.known:
        return assumed
    known = f"{cost.known} of worker types that worked here before"
    return known if cost.known == cost.workers else f"{known}; for the others {assumed}"


def _permissions(plan: Plan, workers: Mapping[str, WorkerType], trusted: bool) -> Iterator[str]:
    found = grants((task for task in plan.tasks if task.cli == "claude"), workers)
    for grant in found[:MOST_NAMES]:
        yield from _granted(grant)
    if not found:
        return
    try:
        claudeprogram.find(None)
    except EnvironmentProblem as error:
        yield str(error)
    if trusted:
        yield "this folder is trusted in Claude Code: workers see its CLAUDE.md, settings and hooks as your sessions do"
    else:
        asking = [task.id for task in plan.tasks if "project" in (task.setting_sources or ())]
        but = f", but for {_named(asking)}, whose setting_sources ask for them" if asking else ""
        yield f"this folder is not trusted in Claude Code: its settings, hooks and MCP servers stay off{but}"


def _granted(grant: Grant) -> Iterator[str]:
    kinds = " and ".join(grant.workers[:MOST_NAMES])
    rules = one_line(", ".join(grant.rules) or "none", 300)
    yield f"tools of {_named(grant.tasks)}: {rules} ({kinds}, {grant.model}, {grant.mode})"
    for names, more in grant.more[:MOST_OWN]:
        yield f"    {_named(names)} also: {one_line(', '.join(more), 300)}"
    if left := sum(len(names) for names, _ in grant.more[MOST_OWN:]):
        whose = "its" if left == 1 else "their"
        yield f"    {counted(left, 'more task')} also: what {whose} own `allow` and `verify` name"
