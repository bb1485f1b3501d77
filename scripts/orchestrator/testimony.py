"""What a model CLI, or a session, said of its attempt: taken in without secrets, and what follows from it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from msgspec.structs import replace

from orchestrator.attempt import Attempt, own_cost
from orchestrator.clis import claude_output
from orchestrator.core import report
from orchestrator.core.overlap import covers
from orchestrator.core.plan import Task
from orchestrator.core.redaction import Redactor
from orchestrator.core.state import RunState
from orchestrator.core.text import clean, one_line
from orchestrator.core.verdict import Said
from orchestrator.edges import artifacts, changes, results
from orchestrator.edges.workspace import Workspace

LONGEST_PATH = 4096
"""Characters of a path that are kept (PATH_MAX of Linux)."""


class Testimony:
    """Fills in the attempts of one run."""

    def __init__(self, state: RunState, workspace: Workspace, redactor: Redactor) -> None:
        self._state = state
        self._workspace = workspace
        self._redactor = redactor

    def take_in(self, attempt: Attempt, said: Said, handed_report: str = "") -> None:
        """What a model CLI or a session said, without secrets; and what follows from it.

        Args:
            handed_report: the text of a report that does not stand in what was said.
        """
        task = attempt.task.task
        paid = self._state.session_costs.get(attempt.task.session or "", 0.0) if attempt.resumes else 0.0
        given, said = said.structured, self._without_secrets(said)
        if task.output_schema is not None and given:
            # What was asked for is the result, whatever words stand beside it.
            said = replace(said, text=said.structured)
        attempt.cost_usd, attempt.models = own_cost(said, paid)
        attempt.said = replace(said, tool_calls=said.tool_calls + self._calls_before(attempt))
        attempt.report, _ = report.parse(self._redactor.text(handed_report) or said.text, self._redactor.text)
        attempt.outside = self._outside(task, said)
        if task.output_schema is not None and given:
            from orchestrator.edges import schemas

            problem = schemas.problem(task.output_schema, given)
            attempt.schema_problem = self._redactor.text(problem)

    def _without_secrets(self, said: Said) -> Said:
        session = said.session if said.session == self._redactor.text(said.session or "") else None
        return replace(
            said,
            models=self._named(said.models),
            own_models=self._named(said.own_models),
            model=self._redactor.text(said.model),
            session=session,
            text=self._redactor.text(clean(said.text)),
            denials=tuple(map(self._redactor.text, said.denials)),
            structured=self._redactor.text(said.structured),
            subtype=self._redactor.text(said.subtype),
            api_error=self._redactor.text(said.api_error),
        )

    def _named(self, models: Mapping[str, float]) -> dict[str, float]:
        named: dict[str, float] = {}
        for name, usd in models.items():
            known = self._redactor.text(name)
            named[known] = named.get(known, 0.0) + usd
        return named

    def note_changes(self, attempt: Attempt) -> None:
        """The files outside of its own that changed while it was alone, whatever it says of them."""
        if attempt.seen is not None:
            found = changes.outside(attempt.seen, self._state.project, attempt.task.task.writes)
            known = map(self._redactor.text, found)
            attempt.meanwhile = tuple(name for name in known if name not in attempt.outside)

    def artifacts(self, task: Task) -> tuple[str, ...]:
        """The paths of a task's artifacts, which a worker may have named as it liked."""
        found = artifacts.matching(self._state.project, task.artifacts)
        return tuple(one_line(self._redactor.text(name), LONGEST_PATH) for name in found)

    def _calls_before(self, attempt: Attempt) -> int:
        """The tool calls that the attempt's session had made before it."""
        if not attempt.resumes:
            return 0
        folders = [self._workspace.attempt(attempt.task.task.id, n) for n in range(1, attempt.number)]
        before = [claude_output.read(results.lines(f"{folder}/stdout")) for folder in folders]
        return sum(said.tool_calls for said in before if said.session == attempt.task.session)

    def _outside(self, task: Task, said: Said) -> tuple[str, ...]:
        """The files that a worker changed although others are its own to change."""
        if not task.writes:
            return ()
        project = os.path.realpath(self._state.project)
        places = (os.path.realpath(os.path.join(project, path)) for path in said.wrote)
        names = dict.fromkeys(os.path.relpath(place, project) for place in places)
        return tuple(self._redactor.text(name) for name in names if not covers(task.writes, name))
