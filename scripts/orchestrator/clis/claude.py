"""`cli: claude`: the command line of a worker and its environment; pure.

What is said of the program was measured with its versions 2.1.197 and 2.1.329.
"""

from __future__ import annotations

import hashlib
import uuid
from functools import lru_cache

import msgspec

from orchestrator.clis.claude_features import Program
from orchestrator.clis.claude_rules import path_rule, shell_rules, tool_names
from orchestrator.core.plan import Mode, Task
from orchestrator.core.workers import (
    WorkerType,
    denied_of,
    mode_of,
    model_of,
    reads_only,
    tool_name,
    tools_of,
)

DENIED = ("Agent", "Task", "Workflow", "SendMessage", "ListAgents", "Edit(.orchestrator/**)")
"""Workers start no agents of their own, do not talk to each other and leave the workspace alone."""

DENIED_TO_READERS = "Edit(//**)"
"""For a worker that may not write: where only the tools Edit and Write are denied, `acceptEdits` lets Bash
write by `>`, `touch` or `rm` none the less. This rule is held against what Bash writes, too."""

SESSION_VARIABLES = (
    "AI_AGENT",
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_MESSAGING_SOCKET",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_EFFORT",
    "CLAUDE_PID",
    "CLAUDE_PLUGIN_ROOT",
    "CLAUDE_PROJECT_DIR",
    "CLAUDE_SESSION_ID",
)
"""Variables of a surrounding Claude Code session, which must not reach a worker; the login stays."""


def environment() -> dict[str, str]:
    """What every worker gets beside the inherited environment."""
    return {
        # Waiting is the dispatcher's business, which sees all workers: few retries inside each, and never the
        # watchdog, which retries for ever.
        "CLAUDE_CODE_MAX_RETRIES": "2",
        "CLAUDE_CODE_RETRY_WATCHDOG": "0",
        # No worker replaces the program under the others.
        "DISABLE_AUTOUPDATER": "1",
        # A worker's answer is its end: nothing goes on behind it, nothing is cut off five seconds after it.
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
        # So a command has to end in its call. Milliseconds; the task's timeout stands above them. They are
        # the same for all, for the model is told them.
        "BASH_DEFAULT_TIMEOUT_MS": "600000",
        "BASH_MAX_TIMEOUT_MS": "3600000",
        # Both would tell each worker something of its own before its prompt, and so end what requests share;
        # and no worker writes into the user's memory.
        "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
        "CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS": "1",
    }


@lru_cache(maxsize=256)
def session_id(run: str, task: str, attempt: int) -> str:
    """The session of an attempt, known before it starts and the same at every replay."""
    digest = hashlib.sha256(f"{run}/{task}.{attempt}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def command(
    program: Program,
    task: Task,
    worker: WorkerType,
    session: str,
    *,
    prompt_file: str = "",
    workspace: str = "",
    resume: bool = False,
    last: bool = False,
) -> tuple[str, ...]:
    """The command line of an attempt; the prompt comes on stdin.

    Each option is one argument (`--name=value`), so that no value can be read as another option. Rules go
    through `--settings`: the lists of `--allowedTools` cannot carry every text.

    Args:
        prompt_file: what all workers of the type are told; appended to the system prompt.
        workspace: the real path of `.orchestrator`, where that is not in the project folder.
        resume: continue `session` instead of beginning it.
        last: the last attempt that counts, made with the task's `fallback_model`.
    """
    tools, mode, settings = _granted(
        task.tools, task.allow, task.verify, task.permission_mode, worker, workspace
    )
    options = [
        "--output-format=stream-json",
        "--verbose",
        f"--{'resume' if resume else 'session-id'}={session}",
        f"--model={model_of(task, worker, last=last)}",
        f"--permission-mode={mode}",
        f"--tools={','.join(tools)}",
        f"--settings={settings}",
        *_sources(program, task),
    ]
    if prompt_file:
        options.append(f"--append-system-prompt-file={prompt_file}")
    if task.max_turns is not None:
        options.append(f"--max-turns={task.max_turns}")
    if task.budget_usd is not None:
        options.append(f"--max-budget-usd={task.budget_usd}")
    if task.output_schema is not None:
        options.append(f"--json-schema={_json(task.output_schema)}")
    if "exclude-dynamic-system-prompt-sections" in program.options:
        options.append("--exclude-dynamic-system-prompt-sections")
    if "permission-prompts" in program.options:
        options.append("--permission-prompts=none")
    return (program.path, "-p", *options)


def rules(task: Task, worker: WorkerType) -> tuple[str, ...]:
    """What the worker of a task may do: its tools, what the plan adds, and the commands that judge it."""
    checks = (rule for line in task.verify for rule in shell_rules(line))
    return tuple(dict.fromkeys((*tools_of(task, worker), *task.allow, *checks)))


def denied(task: Task, worker: WorkerType, workspace: str = "") -> tuple[str, ...]:
    """What a worker may never do, whatever else is allowed; `workspace` as in `command`."""
    protected = (path_rule("Edit", workspace, "/**"),) if workspace else ()
    writing = (
        (DENIED_TO_READERS,) if reads_only(task, worker) and not _writes_by_command(task, worker) else ()
    )
    return (*DENIED, *protected, *denied_of(task, worker), *writing)


def _writes_by_command(task: Task, worker: WorkerType) -> bool:
    """Whether commands may write: any command is allowed, or somebody allowed one beside what its type has."""
    if any(rule in ("Bash", "Bash(*)", "Bash()") for rule in rules(task, worker)):
        return True
    return mode_of(task, worker) != "acceptEdits" and any(tool_name(rule) == "Bash" for rule in task.allow)


def tools_sent(task: Task, worker: WorkerType) -> tuple[str, ...]:
    """The built-in tools that the model is told of, in a fixed order.

    Tools of MCP servers come beside them, whatever `--tools` says; skills come with the tool `Skill` only.
    """
    unwanted = denied(task, worker)
    return tuple(sorted(name for name in tool_names(rules(task, worker)) if name not in unwanted))


def prefix(task: Task, worker: WorkerType, *, last: bool = False) -> str:
    """What requests with a common, cacheable beginning share: model, worker type, tools and output schema."""
    schema = "" if task.output_schema is None else _json(task.output_schema)
    tools, _, _ = _granted(task.tools, task.allow, task.verify, task.permission_mode, worker, "")
    return _json((model_of(task, worker, last=last), worker.name, tools, schema))


@lru_cache(maxsize=256)
def _granted(
    tools: tuple[str, ...] | None,
    allow: tuple[str, ...],
    verify: tuple[str, ...],
    permission_mode: Mode | None,
    worker: WorkerType,
    workspace: str,
) -> tuple[tuple[str, ...], str, str]:
    """The tools that the model is told of, the permission mode, and the permissions beside those of the user's own
    settings, which stay.

    Worked out once for all tasks that are granted the same.
    """
    task = Task(id="T", tools=tools, allow=allow, verify=verify, permission_mode=permission_mode)
    permissions = {"allow": rules(task, worker), "deny": denied(task, worker, workspace)}
    return tools_sent(task, worker), mode_of(task, worker), _json({"permissions": permissions})


def _sources(program: Program, task: Task) -> list[str]:
    """Hooks, MCP servers and CLAUDE.md of a folder that nobody trusts stay out unless the plan says so."""
    asked = task.setting_sources
    if asked is None and program.trusted:
        return []
    named = ("user",) if asked is None else asked
    strict = [] if program.trusted or "project" in named else ["--strict-mcp-config"]
    return [f"--setting-sources={','.join(named)}", *strict]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
