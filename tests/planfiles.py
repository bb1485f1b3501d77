"""A plan file, for tests of how plan files are read."""

from __future__ import annotations

from orchestrator.core.plan import Plan
from orchestrator.edges.planfile import parse_plan

GOOD = """\
request: Find out why the export is slow
success_criteria: [it is fast]
defaults: {model: haiku, inputs: {path: src, mode: quick}}
limits: {parallelism: 2, budget_usd: 2.5, deadline: 1h30m}
replan: off
tasks:
  - id: T-01
    title: Profile it
    description: |
      Profile the export.
    inputs: {mode: 1.10}
    writes: ["src/*.py"]
  - {id: T-02, title: Fix it, needs: [T-01], attempts: 2, idle_timeout: none, output_schema: {type: object}}
  - {id: T-03, cli: shell, run: "make test", after: [T-02], priority: P0}
"""


def parsed(text: str) -> Plan:
    """The plan in a file with this text."""
    return parse_plan(text.encode(), "plan.yaml")
