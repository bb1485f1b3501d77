"""Renders what people and workers read from the state; nothing of it is ever read back.

Every text is made harmless before a template sees it, so that a user's own template cannot forget to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Literal

from orchestrator.core import briefing, excerpts, growthtables, summary, tables
from orchestrator.core.agents import agent_name
from orchestrator.core.briefing import NOTHING_ADDED, Addition, Need
from orchestrator.core.events import Call
from orchestrator.core.frontmatter import KEYS, front_matter
from orchestrator.core.history import History
from orchestrator.core.plan import Plan
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.text import duration, markdown, neutralised, one_line, with_code
from orchestrator.core.workers import WorkerType
from orchestrator.edges import gathering
from orchestrator.edges.templates import Templates
from orchestrator.edges.workspace import Workspace, write_whole
from orchestrator.errors import UsageError

FACTS = (*KEYS, "next", "report")
"""The front matter of a result."""

__all__ = ["Merge", "Need", "Views", "banner"]

Merge = Literal["sections", "concatenated"]

Begins = Literal["fresh", "continued", "corrected", "answered"]
"""How an attempt begins: with its whole task, or in a session that knows it."""

_PROMPTS: dict[Begins, str] = {
    "fresh": "agent_task.md.j2",
    "continued": "continue_task.md.j2",
    "corrected": "feedback_task.md.j2",
    "answered": "answer_task.md.j2",
}

ROLE = "worker_prompt.md.j2"

_CALLS: dict[Call, str] = {
    "analysis": "analysis_task.md.j2",
    "replanning": "planning_task.md.j2",
    "synthesis": "synthesis_task.md.j2",
}

REQUEST_CHARACTERS = 10_000
"""How much of the request a view quotes; it is written anew at every change."""

BANNER_AGENTS = 20
"""Agents of one banner: a screenful."""

WORTH_TELLING = 2.0
"""Seconds by which two times may differ without a word: every run takes some to begin and to end."""

PREVIEWS = 200
"""Agents' files that are written before their tasks are launched: more than anybody reads, in 30 ms."""

# Stands for the text while the user's template around it is rendered; no fact contains a NUL as text.
_TEXT = "\0text\0"


class Views:
    """The views of one workspace. Times come in as arguments, everything else from the state."""

    def __init__(self, workspace: Workspace, history: History) -> None:
        self._workspace = workspace
        self._history = history
        self._templates = Templates(workspace.templates)
        self.previewed = False

    def prompt(
        self,
        plan: Plan,
        task: TaskState,
        needs: Sequence[Need],
        begins: Begins = "fresh",
        addition: Addition = NOTHING_ADDED,
    ) -> str:
        """What a worker is given.

        Raises:
            UsageError: the user's own template is wrong; so for every method here.
        """
        variables = briefing.variables(plan, task, needs, addition)
        return _prompt(self._templates.render(_PROMPTS[begins], **variables))

    def planning(self, call: Call, variables: Mapping[str, object]) -> str:
        """What a planning call is asked: the description of its task."""
        return self._templates.render(_CALLS[call], **variables).strip("\n")

    def role(self, worker: WorkerType, cli: str = "claude") -> str:
        """What all workers of a type are told, as a part of their system prompt."""
        return self._templates.render(ROLE, **briefing.role_variables(worker, cli))

    def session_beginning(self, worker: WorkerType) -> str:
        """What all prompts of sessions for a worker type begin with: the same bytes, for subagents to share."""
        return neutralised(f"{briefing.SESSION_OPENING}\n\n{self.role(worker, 'session')}\n")

    def session_prompt(
        self, state: RunState, task: TaskState, needs: Sequence[Need], addition: Addition = NOTHING_ADDED
    ) -> str:
        """What a session is given: it has no system prompt of ours, so its role as well."""
        assert state.plan is not None
        variables = briefing.variables(state.plan, task, needs, addition)
        own = neutralised(f"\n{self._templates.render('agent_task.md.j2', **variables)}")[1:]
        return self.session_beginning(state.worker_of(task.task)) + own

    def shell_card(self, plan: Plan, task: TaskState, needs: Sequence[Need]) -> str:
        """The task file of a command, for people."""
        return self._templates.render("shell_task.md.j2", **briefing.card_variables(task, needs))

    def result_frame(self, facts: Mapping[str, object]) -> tuple[str, str]:
        """What stands before and after the text of a result file; the front matter comes first."""
        front = front_matter(facts)
        if not self._templates.overridden("agent_result.md.j2"):
            return front, ""
        harmless = {name: _harmless(value) for name, value in facts.items()}
        around = self._templates.render("agent_result.md.j2", **{**harmless, "text": _TEXT}).split(_TEXT)
        if len(around) != 2:
            path = self._workspace.templates / "agent_result.md.j2"
            raise UsageError(f"{path}: must use {{{{ text }}}} exactly once, and as it is")
        return front + around[0], around[1]

    def preview(self, state: RunState, most: int = PREVIEWS) -> int:
        """Write the agents' files of the first `most` tasks; returns how many tasks there are beyond them.

        The file of a worker that was launched holds what it was given, and stays as it is.
        """
        assert state.plan is not None
        self.previewed = True
        for task in state.tasks[:most]:
            if task.number and task.task.cli != "shell":
                continue
            needs = [self._need(need) for need in state.needs_of(task)]
            write_whole(self._workspace.agent_task(task.agent), self._card(state, task, needs))
        return max(len(state.tasks) - most, 0)

    def _card(self, state: RunState, task: TaskState, needs: Sequence[Need]) -> str:
        assert state.plan is not None
        if task.task.cli == "session":
            return self.session_prompt(state, task, needs)
        render = self.shell_card if task.task.cli == "shell" else self.prompt
        return render(state.plan, task, needs)

    def rehearse(self, state: RunState) -> None:
        """Render what workers of a run will be given, before it spends anything on them."""
        assert state.plan is not None
        worker = next((task for task in state.tasks if task.task.cli == "claude"), None)
        if worker is not None:
            needs = [self._need(need) for need in state.needs_of(worker)]
            for begins in _PROMPTS:
                self.prompt(state.plan, worker, needs, begins)
            self.role(state.worker_of(worker.task))
        self.result_frame(dict.fromkeys(FACTS, ""))

    def refresh(self, state: RunState, now: datetime) -> None:
        """Write master_plan.md."""
        write_whole(self._workspace.master_plan, self.master_plan(state, now))

    def master_plan(self, state: RunState, now: datetime) -> str:
        """The text of master_plan.md."""
        assert state.plan is not None
        tasks = state.tasks_proper
        rows = tables.shown(tasks)
        graph = tables.mermaid(state)
        return self._templates.render(
            "master_plan.md.j2",
            **_head(state, state.plan, now),
            **_errors(state, self._history),
            success_criteria=[excerpts.item(text) for text in state.plan.success_criteria],
            **growthtables.variables(state),
            tasks=[{**tables.task_row(task), "origin": growthtables.origin(state, task)} for task in rows],
            statuses=[tables.status_row(task) for task in rows],
            total=len(tasks),
            left_out=len(tasks) - len(rows),
            progress=tables.progress(state),
            graph=f"```mermaid\n{graph}\n```" if graph else "",
            most_drawn=tables.MOST_DRAWN,
            cost_usd=state.cost_usd,
            log=tables.log_block(self._history),
            log_left_out=self._history.log_left_out,
        )

    def final(
        self, state: RunState, now: datetime, to: Path | None = None, merge: Merge = "sections"
    ) -> None:
        """Write final_output.md, or the same to another file, with its links as seen from there."""
        path = to or self._workspace.final_output
        write_whole(path, self.final_output(state, now, path.parent, merge))

    def final_output(self, state: RunState, now: datetime, folder: Path, merge: Merge = "sections") -> str:
        """The text of final_output.md for a file in `folder`."""
        assert state.plan is not None
        totals = summary.totals(state, now)
        recommended, recommended_left_out = summary.recommended(state, self._history.reports)
        return self._templates.render(
            "final_output.md.j2",
            **_head(state, state.plan, now),
            **_errors(state, self._history),
            **_figures(totals),
            **_timeline(summary.timeline(state, now), totals.duration),
            **growthtables.variables(state),
            **gathering.joined(self._workspace, state, folder),
            shares=growthtables.share_rows(state),
            decisions=growthtables.decisions(state),
            dearest=growthtables.dearest_rows(state),
            models=tables.model_rows(state),
            **gathering.findings(self._workspace, state, self._history.reports),
            **gathering.excerpts_of(self._workspace, state, folder),
            merge=merge,
            plan_checks=tables.plan_check_rows(state),
            **tables.proofs(state),
            recommendations=summary.recommendations(state),
            recommended=recommended,
            recommended_left_out=recommended_left_out,
            links=gathering.links(self._workspace, folder),
        )

    def banner(
        self, state: RunState, batch: int, tasks: Sequence[TaskState], ascii_only: bool = False
    ) -> str:
        """`banner` with the user's own template where there is one."""
        return banner(state, batch, tasks, ascii_only, self._templates)

    def _need(self, need: TaskState) -> Need:
        if need.mark == "completed":
            with suppress(OSError):
                return gathering.need(self._workspace, need)
        return Need(need.task.id, need.task.name, self._workspace.result_name(need.agent), "", False)


def banner(
    state: RunState,
    batch: int,
    tasks: Sequence[TaskState],
    ascii_only: bool = False,
    templates: Templates | None = None,
) -> str:
    """What a terminal shows when `tasks` of a batch (numbered from 1) start together."""
    text = (templates or _program_templates()).render(
        "batch_banner.txt.j2",
        heavy=("=" if ascii_only else "═") * 50,
        light=("-" if ascii_only else "─") * 50,
        signs=dict.fromkeys(_SIGNS, "") if ascii_only else _SIGNS,
        batch=batch,
        agents=[_banner_agent(state, task, ascii_only) for task in tasks[:BANNER_AGENTS]],
        left_out=max(len(tasks) - BANNER_AGENTS, 0),
    )
    return text.encode("ascii", "replace").decode() if ascii_only else text


_SIGNS = {"batch": "🚀 ", "agent": "🤖 ", "input": "📥 ", "work": "⚙️ ", "output": "📤 "}


def _banner_agent(state: RunState, task: TaskState, ascii_only: bool) -> dict[str, object]:
    names = [*task.task.inputs, *(f"result of {need.task.id}" for need in state.needs_of(task))]
    return {
        "name": agent_name(task.agent),
        "task": task.task.id,
        "title": one_line(task.task.name, 60),
        "worker": one_line(task.task.worker, 40),
        "cli": task.task.cli,
        "inputs": one_line(", ".join(names), 100),
        "steps": [one_line(step, 100) for step in task.task.steps[:10]],
        "expected_output": one_line(task.task.expected_output, 100),
        "status": tables.labelled(task.status, ascii_only),
    }


@cache
def _program_templates() -> Templates:
    return Templates(None)


def _harmless(value: object) -> object:
    if isinstance(value, str):
        return markdown(value)
    return [_harmless(part) for part in value] if isinstance(value, list | tuple) else value


def _prompt(text: str) -> str:
    # Again, over the whole: a user's own template can put an `@` and a word together.
    return neutralised(f"{briefing.OPENING}\n\n{text}")


def _head(state: RunState, plan: Plan, now: datetime) -> dict[str, object]:
    request, whole = excerpts.cut(plan.request, REQUEST_CHARACTERS)
    return {
        "run": markdown(state.run) or "not started",
        "state": with_code(tables.run_word(state)),
        "holding": with_code(tables.holding(state), 300),
        "updated": tables.clock(now),
        "request": excerpts.quote(request.strip("\n")),
        "request_cut": not whole,
    }


def _errors(state: RunState, history: History) -> dict[str, object]:
    return {"errors": tables.error_rows(state, history), "errors_left_out": history.errors_left_out}


def _figures(totals: summary.Totals) -> dict[str, object]:
    return {
        "total": totals.total,
        "counts": totals.counts,
        "unfinished": totals.unfinished,
        "duration": duration(totals.duration),
        "last_part": "" if totals.last_part is None else duration(totals.last_part),
        "work": duration(totals.work),
        "places": totals.places,
        "efficiency": None if totals.efficiency is None else round(100 * totals.efficiency),
        "cost_usd": totals.cost_usd,
    }


def _timeline(timeline: summary.Timeline, whole: float) -> dict[str, object]:
    outside = whole - timeline.length
    return {
        "timeline": timeline.drawing,
        "bars": timeline.shown,
        "bars_left_out": timeline.left_out,
        "never_started": timeline.never_started,
        "axis": duration(timeline.length),
        "outside": duration(outside) if outside >= max(WORTH_TELLING, whole / 50) else "",
    }
