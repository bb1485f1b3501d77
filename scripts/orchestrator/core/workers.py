"""Worker types: the roles that tasks are written for, and what each may do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from orchestrator.core.hints import Hints, shown
from orchestrator.core.plan import ID_PATTERN, WORKER_TYPES, Task

DEFAULT_MODEL = "sonnet"
DEFAULT_MODE = "acceptEdits"
READERS_MODE = "dontAsk"
DEFAULT_TOOLS = ("Read", "Grep", "Glob", "Edit", "Write")
"""Read and write, no Bash: enough for most tasks, and nothing that runs a program."""

PLANNER = "orchestrator"
"""The worker type by which the program itself plans and joins results."""

BUNDLED = (*WORKER_TYPES, PLANNER)
"""The worker types that come with the program."""

MODES = ("default", "acceptEdits", "plan", "dontAsk", "auto", "bypassPermissions")
"""Permission modes, in the words of the claude program; its newer versions say `manual` for `default`."""

WRITERS = ("Edit", "Write", "NotebookEdit")
READERS = ("Read", "Grep", "Glob", "LS", "LSP", "NotebookRead", "TodoWrite", "WebFetch", "WebSearch")
"""Tools that change no file and run no program; what is not among them may."""

_USUAL = (*READERS, *WRITERS, "Bash", "Skill")
_OTHERS = ("BashOutput", "KillShell", "Monitor", "MultiEdit", "Task", "TaskCreate", "TaskList", "TodoRead")
"""Tools whose names are close to those of others."""

LONGEST_WORD = 1000
"""Characters of a tool, rule or model: a rule that is longer than a few lines of a screen is a slip."""

_LONGEST_NAME = 30
_CLOSE = 0.75
"""Of all letters those that stand in both, in order: two of four may be exchanged."""

_TOOL = re.compile(r"[A-Za-z][A-Za-z0-9_.:*-]*(\(.+\))?")
_MODEL = re.compile(r"[A-Za-z0-9][^\s]*")

Fields = Mapping[str, str | Sequence[str]]
"""The front matter of a worker file: texts, and lists of texts."""


class WorkerType(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One role. `tools` None: the default ones; `denied` are tools that it must not have; `prompt` is what all
    workers of the type are told."""

    name: str
    description: str = ""
    tools: tuple[str, ...] | None = None
    denied: tuple[str, ...] = ()
    model: str | None = None
    permission_mode: str | None = None
    prompt: str = ""
    bundled: bool = False
    """Whether it is one of the program's own, not a user's file."""


GENERAL = WorkerType(name="general", bundled=True)
"""What a task falls back to whose worker type is not known any more."""


def tools_of(task: Task, worker: WorkerType) -> tuple[str, ...]:
    """The tools of a task's worker: the task's own, else its type's, else the default ones."""
    if task.tools is not None:
        return task.tools
    return worker.tools if worker.tools is not None else DEFAULT_TOOLS


def denied_of(task: Task, worker: WorkerType) -> tuple[str, ...]:
    """The tools that a task's worker must not have, whatever its permission mode or the user's settings allow.

    Those that its type denies, and those that write or run programs where neither type nor plan grants them.
    """
    granted = {tool_name(rule) for rule in (*tools_of(task, worker), *task.allow)}
    if task.verify:
        # A worker may run the commands that judge it.
        granted.add("Bash")
    return tuple(
        dict.fromkeys((*worker.denied, *(tool for tool in (*WRITERS, "Bash") if tool not in granted)))
    )


def model_of(task: Task, worker: WorkerType, *, last: bool = False) -> str:
    """The model of an attempt; `last`: of the last one that counts."""
    if last and task.fallback_model:
        return task.fallback_model
    return task.model or worker.model or DEFAULT_MODEL


def mode_of(task: Task, worker: WorkerType) -> str:
    """The permission mode of a task's worker.

    A worker type cannot bypass permissions, only a plan can: see `wants_bypass`. Where a worker may not edit, nobody
    but the plan makes it accept edits: the mode would let `touch` and `rm` through as well.
    """
    if task.permission_mode is not None:
        return task.permission_mode
    mode = DEFAULT_MODE if wants_bypass(task, worker) else worker.permission_mode or DEFAULT_MODE
    return READERS_MODE if mode == DEFAULT_MODE and reads_only(task, worker) else mode


def reads_only(task: Task, worker: WorkerType) -> bool:
    """Whether a task's worker has none of the tools that edit files."""
    denied = denied_of(task, worker)
    return "Edit" in denied and "Write" in denied


def wants_bypass(task: Task, worker: WorkerType) -> bool:
    """Whether the worker type would bypass permissions where the task says nothing of it."""
    return task.permission_mode is None and worker.permission_mode == "bypassPermissions"


def tool_name(rule: str) -> str:
    """`Bash` for `Bash(git *)`."""
    return rule.partition("(")[0].strip()


def wrong_tool(rule: str) -> str:
    """What is wrong with a tool or rule; nothing where it can be right.

    The claude program gives the model no tool for a name that it does not know, and says nothing of it. A name
    that is like none of the usual ones can be that of a later version.
    """
    if "(" in rule and not rule.rstrip().endswith(")"):
        return f"{shown(rule)} has no closing `)`"
    name = tool_name(rule)
    if name in _USUAL or name in _OTHERS or len(name) > _LONGEST_NAME:
        return ""
    # Imported here: it takes longer than checking a plan in which nothing is wrong.
    from difflib import get_close_matches

    same = (tool for tool in _USUAL if tool.casefold() == name.casefold())
    guess = next(same, "") or next(iter(get_close_matches(name, _USUAL, n=1, cutoff=_CLOSE)), "")
    return f"{shown(name)} is no tool; did you mean {shown(guess)}?" if guess else ""


def tool_list(value: str | Sequence[str]) -> tuple[str, ...]:
    """The tools in a text (commas or spaces between them) or a list of such texts, each once.

    What stands in parentheses stays together: `Read, Bash(git log *, git diff *)` are two.
    """
    texts = [value] if isinstance(value, str) else value
    return tuple(dict.fromkeys(tool for text in texts for tool in _split(text)))


def _split(text: str) -> Iterator[str]:
    word, depth = "", 0
    for sign in text:
        if depth == 0 and (sign == "," or sign.isspace()):
            if word:
                yield word
            word = ""
            continue
        depth = max(depth + {"(": 1, ")": -1}.get(sign, 0), 0)
        word += sign
    if word:
        yield word.strip()


def wrong_fields(fields: Fields) -> Iterator[tuple[str, str]]:
    """The key and a sentence for all that is wrong with the front matter of a worker file."""
    name = fields.get("name", "")
    if not isinstance(name, str) or not re.search(ID_PATTERN, name):
        yield (
            "name",
            f"{_seen(name)} cannot be one: letters, digits, `_`, `.`, `-`, first a letter, at most 64",
        )
    for key in ("tools", "disallowedTools"):
        for tool in tool_list(fields.get(key, "")):
            if not _is_tool(tool):
                yield key, f"{shown(tool)} is not a tool or a rule such as Read or Bash(git *)"
            elif wrong := wrong_tool(tool):
                yield key, wrong
    model = fields.get("model", "")
    if not isinstance(model, str) or (model and not _is_word(_MODEL, model)):
        yield "model", f"{_seen(model)} is not the name of a model"
    mode = fields.get("permissionMode", "")
    if not isinstance(mode, str) or (mode and _mode(mode) not in MODES):
        question = Hints(MODES).question(mode) if isinstance(mode, str) else ""
        yield "permissionMode", f"{_seen(mode)} is not one of {', '.join(MODES)}{question}"


def worker_type(fields: Fields, prompt: str, *, bundled: bool = False) -> WorkerType:
    """The worker type of a file with nothing wrong in its front matter.

    A file without `tools`, or with `*` among them, gets the default ones, not all of the claude program's.
    """
    tools = tool_list(fields.get("tools", ""))
    model = str(fields.get("model", ""))
    return WorkerType(
        name=str(fields["name"]),
        description=str(fields.get("description", "")),
        tools=tools if "tools" in fields and "*" not in tools else None,
        denied=tool_list(fields.get("disallowedTools", "")),
        model=model if model not in ("", "inherit") else None,
        permission_mode=_mode(str(fields.get("permissionMode", ""))) or None,
        prompt=prompt,
        bundled=bundled,
    )


def _mode(text: str) -> str:
    return "default" if text == "manual" else text


def _is_tool(text: str) -> bool:
    return text == "*" or (_is_word(_TOOL, text) and text.count("(") == text.count(")"))


def _is_word(pattern: re.Pattern[str], text: str) -> bool:
    return len(text) <= LONGEST_WORD and text.isprintable() and pattern.fullmatch(text) is not None


def _seen(value: object) -> str:
    return shown(value) if isinstance(value, str) else "a list"
