"""Results as final_output.md shows them: read from their files, cut to size, made harmless."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote as percent_encoded

from orchestrator.core import deliverable, excerpts, summary, tables
from orchestrator.core.agents import agent_name, result_file
from orchestrator.core.briefing import INLINE_BYTES, Need
from orchestrator.core.events import SUMMARY_CHARACTERS
from orchestrator.core.growth import last_synthesis
from orchestrator.core.replanning import is_planning
from orchestrator.core.report import LONGEST_ENTRY, Report, split
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.text import code, markdown
from orchestrator.edges import results
from orchestrator.edges.workspace import Workspace

MOST_RESULTS = 1000
"""Results that are shown; the others are files in a folder."""

ALL_CHARACTERS, FEWEST_CHARACTERS, MOST_CHARACTERS = 2_000_000, 500, 8000
"""Characters of results: in all, and of each at least and at most."""

MOST_FINDINGS = 20
"""Tasks of which the findings are shown: those of more are read in their results."""

MOST_CHECKS = 5
"""Checks of one task that are named."""

DELIVERABLE_CHARACTERS = 100_000
"""Of the deliverable: some fifty pages; the result file has all of it."""


def need(workspace: Workspace, task: TaskState) -> Need:
    """What a dependent is told of a result: where it is, and its beginning, or all of a short one.

    Raises:
        OSError: the result cannot be read.
    """
    path = workspace.result_name(task.agent)
    text = ""
    for piece in results.body(path):
        text += piece
        if len(text.encode()) > INLINE_BYTES:
            break
    whole = len(text.encode()) <= INLINE_BYTES
    return Need(task.task.id, task.task.name, path, text if whole else text[:SUMMARY_CHARACTERS], whole)


def _answer(workspace: Workspace, task: TaskState, characters: int) -> tuple[str, bool] | None:
    """The beginning of a result, and whether that is all; None where there is no file.

    The block of the report is not part of it: it is shown in another way.
    """
    if not task.number:
        return None
    try:
        text = next(iter(results.body(workspace.result_name(task.agent))), "")
    except OSError:
        return None
    whole = len(text) < results.PIECE
    if whole and task.task.cli != "shell" and task.task.output_schema is None:
        said, report = split(text.strip("\n"))
        text = said or (report.summary if report else "")
    shown, all_shown = excerpts.cut(text.strip("\n"), characters)
    return shown.strip("\n"), whole and all_shown


def joined(workspace: Workspace, state: RunState, folder: Path) -> dict[str, object]:
    """What the last completed synthesis answered, if there is one."""
    task = last_synthesis(state)
    if task is None:
        return {"synthesis": None}
    file = workspace.result(task.agent)
    found = deliverable.read(_whole(file))
    known = {"task": markdown(task.task.id), "file": file.name, "link": _link(file, folder)}
    if found is None:
        return {"synthesis": {**known, "readable": False}}
    text, whole = excerpts.cut(found.text, DELIVERABLE_CHARACTERS)
    return {
        "synthesis": {
            **known,
            "readable": True,
            "text": excerpts.quote(text.strip("\n")) if text.strip() else "",
            "whole": whole,
            "consistent": found.consistent,
            "score": found.score,
            "best": deliverable.BEST,
            **{
                name: [excerpts.item(text, 500) for text in getattr(found, name)]
                for name in ("integration", "conflicts", "missing", "reasons")
            },
        }
    }


def _whole(file: Path) -> str:
    """The text of a result, or as much of it as tells that it is too long to be an answer."""
    text = ""
    try:
        for piece in results.body(file):
            text += piece
            if len(text) > deliverable.LARGEST:
                return ""
    except OSError:
        return ""
    return text


def findings(workspace: Workspace, state: RunState, reports: Mapping[str, Report]) -> dict[str, object]:
    """What those tasks report to have found that nothing else builds on, or else how their results begin."""
    done = [task for task in summary.sinks(state) if task.mark == "completed"]
    found = []
    for task in done[:MOST_FINDINGS]:
        report = reports.get(task.task.id)
        points = [excerpts.item(text, LONGEST_ENTRY) for text in report.findings] if report else []
        text, whole = ("", True) if points else _answer(workspace, task, SUMMARY_CHARACTERS) or ("", True)
        shown = excerpts.block(text if whole else f"{text.rstrip()} …", task.task.cli) if text.strip() else ""
        if points or shown:
            known = {"task": markdown(task.task.id), "title": markdown(task.task.name, 80)}
            found.append({**known, "points": points, "text": shown})
    return {"findings": found, "findings_left_out": max(len(done) - MOST_FINDINGS, 0)}


def excerpts_of(workspace: Workspace, state: RunState, folder: Path) -> dict[str, object]:
    """The beginning of every result in dependency order, with links as seen from `folder`."""
    tasks = _telling(state)
    characters = max(FEWEST_CHARACTERS, min(MOST_CHARACTERS, ALL_CHARACTERS // max(len(tasks), 1)))
    place = _link(workspace.result(1).parent, folder)
    return {
        "results": [_excerpt(workspace, task, place, characters) for task in tasks],
        "results_left_out": len(state.tasks_proper) - len(tasks),
        "characters": characters,
    }


def links(workspace: Workspace, folder: Path) -> list[dict[str, str]]:
    """Links to the files and folders of the workspace, as seen from `folder`."""
    files = (workspace.plan_file, workspace.master_plan, workspace.journal)
    folders = (workspace.result(1).parent, workspace.agent_task(1).parent)
    return [{"name": path.name, "target": _link(path, folder)} for path in (*files, *folders)]


def _excerpt(workspace: Workspace, task: TaskState, place: str, characters: int) -> dict[str, object]:
    file = result_file(task.agent)
    read = _answer(workspace, task, characters)
    text, whole = read or ("", True)
    return {
        "agent": agent_name(task.agent),
        "task": markdown(task.task.id),
        "title": markdown(task.task.name, 120),
        "status": tables.labelled(task.status),
        "proof": tables.proof(task) if task.mark == "completed" else "",
        "checks": [code(command, 120) for command in task.task.verify[:MOST_CHECKS]],
        "file": file,
        "link": f"{place}/{file}",
        "missing": read is None,
        "text": excerpts.block(text, task.task.cli) if text.strip() else "",
        "whole": whole,
    }


def _telling(state: RunState) -> list[TaskState]:
    """The tasks to show, in dependency order; of too many those go first that others only built on."""
    tasks = [task for task in summary.in_order(state) if not is_planning(task.task)]
    if len(tasks) <= MOST_RESULTS:
        return tasks
    built_on = [task.mark == "completed" and bool(task.needed_by or task.after_of) for task in tasks]
    # Of two that are built on, the later one says more about the outcome.
    chosen = sorted(range(len(tasks)), key=lambda place: (built_on[place], -place))[:MOST_RESULTS]
    return [tasks[place] for place in sorted(chosen)]


def _link(path: Path, folder: Path) -> str:
    return percent_encoded(Path(os.path.relpath(path, folder)).as_posix())
