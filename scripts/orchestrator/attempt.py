"""One attempt under way: what it is waiting for, and what is known of it."""

from __future__ import annotations

import os
from typing import Literal

from orchestrator.clis import claude_output, shell
from orchestrator.core import verdict
from orchestrator.core.report import Report
from orchestrator.core.state import TaskState
from orchestrator.core.verdict import Check, Ending, Evidence, Said
from orchestrator.edges import changes
from orchestrator.edges.listening import Listener


class Attempt:
    """One attempt under way.

    `began` and `heard` are times of the dispatcher's clock; `lasted` is how many seconds an attempt took of
    which nobody saw the end. `lingers`: it had given its result, and did not end. `seen` is
    what the project folder held before it, as long as nothing else is at work there.
    """

    def __init__(self, task: TaskState, marker: str, folder: str, began: float) -> None:
        self.task, self.marker, self.folder, self.began = task, marker, folder, began
        self.number = task.number
        self.key = f"{task.task.id}.{task.number}"
        self.heard = began
        self.size = -1
        self.process = self.key
        self.stopped: Literal["", "timeout", "stalled", "interrupted", "cancelled"] = ""
        self.order = ""
        self.ending: Ending | None = None
        self.said: Said | None = None
        self.reader = claude_output.Reader()
        self.listener = Listener(f"{folder}/stdout")
        self.spoke = False
        self.cost_usd = 0.0
        self.models: dict[str, float] = {}
        self.complaint = ""
        self.artifact_problems: tuple[str, ...] = ()
        self.schema_problem = ""
        self.outside: tuple[str, ...] = ()
        self.report: Report | None = None
        self.checks: list[Check] = []
        self.checking = False
        self.left = 0
        self.lasted: float | None = None
        self.resumes = False
        self.launched = True
        self.lingers = False
        self.seen: changes.Seen | None = None
        self.meanwhile: tuple[str, ...] = ()

    @property
    def undecided(self) -> bool:
        """Whether its work is done, and only its checks were interrupted: the next run can make them again."""
        return self.checking and self.stopped == "interrupted"

    @property
    def blameless(self) -> bool:
        """Whether it ended through nothing that it did: somebody stopped it, or it was never launched."""
        return (
            self.stopped in ("interrupted", "cancelled")
            or not self.launched
            or verdict.session_lost(self.evidence())
        )

    def written_status(self) -> int | None:
        """The exit status that a command left on disk; None where it has not ended, or was killed."""
        try:
            with open(f"{self.folder}/status", "rb") as file:
                known = shell.exit_status(file.read())
        except FileNotFoundError:
            known = None
        if known is None and os.path.isdir(self.folder):
            known = shell.status_in_name(os.listdir(self.folder))
        return known

    def took(self) -> float:
        """Seconds from its first file to the last change of what it wrote; both by the same clock."""
        began = _changed(f"{self.folder}/prompt.md")
        written = [_changed(f"{self.folder}/{name}") for name in ("stdout", "stderr", "status")]
        return max(0.0, max(written) - began) if began else 0.0

    def evidence(self) -> Evidence:
        """All that is known of it so far."""
        return Evidence(
            self.ending or Ending(),
            self.said,
            self.complaint,
            self.artifact_problems,
            tuple(self.checks),
            schema_problem=self.schema_problem,
            outside=self.outside,
            meanwhile=self.meanwhile,
            report=self.report,
            resumed=self.resumes,
            cost_usd=self.cost_usd,
        )


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def own_cost(said: Said, paid: float) -> tuple[float, dict[str, float]]:
    """The dollars of one attempt, and by model, where its session has cost `paid` before.

    A program that tells its own part apart names the total of the session otherwise; an older one names its own.
    """
    if said.own_cost_usd is None or not paid:
        return said.cost_usd, said.models
    # After SIGKILL the program has forgotten what came before, and its total is its own part alone.
    own = said.cost_usd - paid if said.cost_usd >= paid else said.own_cost_usd
    # What was lost with an earlier process was most likely paid for the same models.
    models = said.own_models if any(said.own_models.values()) else said.models
    share = own / (sum(models.values()) or 1.0)
    return own, {model: usd * share for model, usd in models.items()}
