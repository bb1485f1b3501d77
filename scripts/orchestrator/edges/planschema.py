"""The JSON Schema of a plan file, for editors: what the structs say, with what only the file may say."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator.core.plan import ID_PATTERN, Plan
from orchestrator.core.workers import BUNDLED, DEFAULT_MODEL
from orchestrator.edges.forms import NOT_IN_DEFAULTS

_MEANINGS = {
    "request": "the user's words",
    "tasks": "what there is to do; at least one task where replan is off",
    "success_criteria": "what must be true at the end",
    "defaults": "any field of a task but id, needs and after: applies to all tasks that do not set it",
    "limits": "the bounds of the run",
    "replan": "whether workers' discoveries may change the plan: not at all, after asking, or by themselves",
    "id": "unique, also ignoring case",
    "title": "one line; the id where there is none",
    "description": "what the worker is told, line for line",
    "worker": "the worker type, the role the task is written for: one of the program's own, or one of yours, a file "
    "in .claude/agents/ or .orchestrator/templates/workers/",
    "needs": "tasks whose results are inputs of this one; if one fails, this one is skipped",
    "after": "tasks that must have ended before, however they ended",
    "inputs": "texts by name",
    "expected_output": "what the result should look like",
    "constraints": "what the worker must keep to",
    "steps": "what to do, in order",
    "priority": "P0 first, P3 last",
    "cli": "what does the work",
    "run": "the command, where cli is shell",
    "model": "the model of a model CLI; default: the worker type's, else sonnet",
    "fallback_model": "the model of the last attempt that counts",
    "tools": "replaces the worker type's tools",
    "allow": "permission rules beside the worker type's",
    "permission_mode": "replaces the worker type's permission mode",
    "timeout": "of one attempt, verify included",
    "idle_timeout": "an attempt that writes nothing for this long, with no tool call open, is stopped",
    "attempts": "how many attempts count before the task has failed",
    "on_failure": "after the last attempt: skip the dependents, stop the run, or ask a person",
    "budget_usd": "a ceiling in US dollars",
    "max_turns": "a ceiling of turns of one attempt",
    "setting_sources": "which Claude Code settings the worker loads: user, project, local; default: all in a folder "
    "that is trusted in Claude Code, else user alone; with project its hooks and MCP servers run",
    "estimate": "how long one attempt will take",
    "isolation": "where the worker works: the project folder, shared with the others",
    "writes": "globs; two tasks whose writes overlap never run at the same time",
    "artifacts": "globs of files that must exist, changed and not empty, when the task is done",
    "verify": "shell commands that must each exit with 0",
    "output_schema": "the JSON Schema of a structured result",
    "parallelism": "the most attempts at the same time",
    "deadline": "of the run",
    "max_tasks": "the most tasks that revisions may make of the plan",
    "max_rounds": "the most rounds of replanning",
    "max_depth": "generations of discovery",
    "max_growth": "the most tasks that one revision may add",
}


def schema() -> dict[str, Any]:
    """The JSON Schema of `plan.yaml`."""
    _, parts = msgspec.json.schema_components([Plan], ref_template="#/$defs/{name}")
    for part in parts.values():
        del part["description"]
        for name, place in part["properties"].items():
            _widen(place)
            form = f" ({place['description']})" if "description" in place else ""
            place["description"] = _MEANINGS[name] + form
    task, plan = parts["Task"], parts.pop("Plan")
    # A number is taken as the text that was written.
    task["properties"]["inputs"]["additionalProperties"] = {"type": ["string", "number", "boolean"]}
    # No closed list: whoever adds a file adds a worker type.
    task["properties"]["worker"] |= {"pattern": ID_PATTERN, "examples": list(BUNDLED)}
    task["properties"]["model"]["default"] = DEFAULT_MODEL
    defaults = {name: place for name, place in task["properties"].items() if name not in NOT_IN_DEFAULTS}
    parts["Defaults"] = {**task, "title": "Defaults", "required": [], "properties": defaults}
    # Where the plan may change, the run itself plans the first tasks.
    grows = {"properties": {"replan": {"enum": ["ask", "auto"]}}, "required": ["replan"]}
    plan |= {"if": grows, "else": {"properties": {"tasks": {"minItems": 1}}}}
    plan["properties"]["defaults"] = {"$ref": "#/$defs/Defaults", "description": _MEANINGS["defaults"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **plan, "$defs": parts}


def _widen(place: dict[str, Any]) -> None:
    """Where nothing may stand, the word `none` may stand too."""
    for other in place.get("anyOf", ()):
        if other == {"type": "null"}:
            place["anyOf"] = [*place["anyOf"], {"const": "none"}]
            return
