"""What `revise`, `approve` and `reject` do: show what a revision would change, hand it in, tell what came of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from orchestrator import exits, progress, runs, steering
from orchestrator.core import plandiff
from orchestrator.core.events import PlanRevised, RevisionProposed, RevisionRejected
from orchestrator.core.plandiff import PlanDiff
from orchestrator.core.revising import Revised, revised
from orchestrator.core.revision import By, Revision
from orchestrator.core.state import RunState
from orchestrator.edges import claudefiles, inbox, journal
from orchestrator.edges.inbox import Order
from orchestrator.edges.revisionfile import read_revision
from orchestrator.edges.workspace import Workspace, explained
from orchestrator.errors import OrchestratorError, UsageError
from orchestrator.options import print_json

LOOK = 0.05
"""Seconds between two looks whether an order was taken."""

Outcome = PlanRevised | RevisionProposed | RevisionRejected


class Checked(Struct, frozen=True):
    """A revision held against the run as it stands; `diff` is None where nothing of it holds."""

    found: Revised
    diff: PlanDiff | None


def revise(
    workspace: Workspace, file: Path, here: Path, *, dry_run: bool, as_json: bool, patience: float
) -> int:
    """Check a revision, show what it would change, and hand it in; the exit status.

    Raises:
        PlanError: what is wrong with the file.
        UsageError: there is no run, another revision waits, or nothing of this one holds; nothing was changed.
    """
    revision = read_revision(file)
    state = _loaded(workspace)
    if (waiting := state.replanning.proposed) is not None and not dry_run:
        raise UsageError(
            f"a revision waits already{_because(waiting.revision.reason)}; "
            f"first say {progress.ours('approve')} or {progress.ours('reject')}"
        )
    checked = _checked(workspace, state, revision, "person", (), here)
    if checked.diff is None:
        raise UsageError(
            "\n".join(("nothing of it holds, and nothing was changed:", *_refused(checked.found)))
        )
    if dry_run:
        _tell(checked, "dry run", "nothing was changed", as_json)
        return 0
    order = Order("revise", revision=revision)
    return _carried(workspace, order, checked, as_json, patience)


def approve(workspace: Workspace, here: Path, as_json: bool, patience: float) -> int:
    """Show what the revision that waits would change, and let it hold; the exit status.

    Raises:
        UsageError: no revision waits, or nothing of it holds any more.
    """
    waiting = _waiting(workspace)
    state = _loaded(workspace)
    checked = _checked(workspace, state, waiting.revision, waiting.by, waiting.considered, here)
    return _carried(workspace, Order("approve", about=waiting.seq), checked, as_json, patience)


def reject(workspace: Workspace, reason: str, as_json: bool, patience: float) -> int:
    """Refuse the revision that waits; the exit status.

    Raises:
        UsageError: no revision waits.
    """
    order = Order("reject", text=reason, about=_waiting(workspace).seq)
    return _carried(workspace, order, None, as_json, patience)


def refused_as_json(error: OrchestratorError) -> int:
    """Say in JSON why nothing was changed; the exit status."""
    lines = str(error).splitlines()
    document = {
        "outcome": "refused",
        "text": lines[0] if lines else "",
        "event": None,
        "refused": [line.removeprefix("refused: ") for line in lines[1:]],
    }
    print_json(document)
    return error.exit_code


def _loaded(workspace: Workspace) -> RunState:
    with explained(f"cannot read {workspace.journal}"):
        state = journal.load(workspace.journal)
    if state.plan is None:
        raise UsageError(progress.nothing_run(workspace))
    return state


def _waiting(workspace: Workspace) -> RevisionProposed:
    proposed = _loaded(workspace).replanning.proposed
    if proposed is None:
        raise UsageError(
            "no revision waits for approval; hand one in with "
            f"{progress.ours('revise FILE')}, or see {progress.ours('status')}"
        )
    return proposed


def _checked(
    workspace: Workspace, state: RunState, revision: Revision, by: By, considered: Sequence[str], here: Path
) -> Checked:
    """What holds of a revision, and what that changes; `state` is the plan with it afterwards."""
    project = runs.project_of(workspace, state, here)
    types = runs.all_worker_types(workspace, project, claudefiles.trusted(project, os.environ))
    first = state.replanning.first is None
    found = revised(state, revision, types, by, considered, first=first)
    if not (found.changes or revision.finish or revision.context or revision.analysis):
        return Checked(found, None)
    learned, before = runs.learned(workspace, state), state.plan
    assert before is not None
    ahead = plandiff.ahead(state, learned)
    state.apply(plandiff.as_event(state, revision, found, by, types, datetime.now(UTC)))
    assert state.plan is not None
    tasks = plandiff.changed_tasks(before, state.plan, found)
    return Checked(found, PlanDiff(tasks, ahead, plandiff.ahead(state, learned)))


def _carried(
    workspace: Workspace, order: Order, checked: Checked | None, as_json: bool, patience: float
) -> int:
    """Hand an order in, and tell what the journal says came of it."""
    if checked is not None and checked.diff is not None and not as_json:
        click.echo("\n".join(plandiff.told(checked.diff)))
    outcome = _handed_in(workspace, order, patience)
    alive = journal.holder(workspace.lock_file) is not None
    go_on = "the run goes on with it" if alive else f"go on with: {progress.to_run()}"
    status, name, words = _came_of(outcome, order, go_on)
    if as_json:
        _print(checked, name, words, outcome)
    else:
        refused = getattr(outcome, "refused", ()) or (checked.found.refused if checked else ())
        lines = [f"refused: {line}" for line in refused] if order.order != "reject" else []
        near = [f"note: {line}" for line in getattr(outcome, "near", ())]
        click.echo("\n".join((*lines, *near, words)))
    return status


def _handed_in(workspace: Workspace, order: Order, patience: float) -> Outcome | None:
    """What came of an order; None while a living dispatcher has not taken it."""
    with explained(f"cannot write to {workspace.root}"):
        workspace.create()
        file = inbox.hand_in(workspace.inbox, order)
        until = time.monotonic() + patience
        while file.exists() and time.monotonic() <= until:
            if not steering.carry_out(workspace):
                time.sleep(LOOK)
    return _outcome(workspace, file.name)


def _outcome(workspace: Workspace, order: str) -> Outcome | None:
    kinds = (PlanRevised, RevisionProposed, RevisionRejected)
    found = (event for event in journal.read_events(workspace.journal) if isinstance(event, kinds))
    return next((event for event in found if event.order == order), None)


def _came_of(outcome: Outcome | None, order: Order, go_on: str) -> tuple[int, str, str]:
    """The exit status, a word and a sentence for what came of an order."""
    if isinstance(outcome, PlanRevised):
        return exits.COMPLETED, "applied", f"applied as event {outcome.seq}; {go_on}"
    if isinstance(outcome, RevisionProposed):
        choice = f"{progress.ours('approve')}, or {progress.ours('reject')}"
        return exits.WAITS, "proposed", f"it waits, for the plan says `replan: ask`: {choice}"
    if isinstance(outcome, RevisionRejected):
        if order.order == "reject":
            how = f"rejected as event {outcome.seq}; the plan is as it was; {go_on}"
            return exits.COMPLETED, "rejected", how
        how = f"nothing of it held when it was taken, and nothing was changed: {outcome.reason}"
        return exits.USAGE, "rejected", how
    return exits.COMPLETED, "handed in", f"handed in; see what comes of it: {progress.ours('log')}"


def _tell(checked: Checked, name: str, words: str, as_json: bool) -> None:
    if as_json:
        _print(checked, name, words, None)
        return
    assert checked.diff is not None
    click.echo("\n".join((*plandiff.told(checked.diff), *_refused(checked.found), words)))


def _refused(found: Revised) -> Iterator[str]:
    yield from (f"refused: {line}" for line in found.refused)
    yield from (f"note: {line}" for line in found.near)


def _print(checked: Checked | None, name: str, words: str, outcome: Outcome | None) -> None:
    document: dict[str, Any] = {"outcome": name, "text": words}
    document["event"] = outcome.seq if outcome is not None else None
    if checked is not None:
        document |= {
            "diff": checked.diff,
            "changes": checked.found.changes,
            "refused": getattr(outcome, "refused", ()) or checked.found.refused,
            "near": checked.found.near,
        }
    print_json(document)


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""
