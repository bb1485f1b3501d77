"""The cases of `evals.json`, and the same cases in the form of `claude plugin eval`, which is made of them.

A case has a folder that begins with its id: `files/` is what the project folder holds at first, `session.yaml` what a
session does that meets all expectations, and the rest is written by `python3 evals/run.py --write`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from expectations import meaning
from msgspec import Struct

HERE = Path(__file__).resolve().parent
SCAFFOLD = """#!/bin/sh
# Puts the files of the case into the folder of the run: `claude plugin eval --scaffold`.
cp -R "$(dirname "$0")/files/." .
"""
LONGEST = 3600
"""Seconds: the longest that `claude plugin eval` allows a run."""


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    """A request, and what must come of it; `files` are paths from the folder of the skill."""

    id: int
    prompt: str
    expected_output: str
    files: list[str]
    expectations: list[str]

    @property
    def folder(self) -> Path:
        """Where the case keeps what is its own."""
        (folder,) = HERE.glob(f"{self.id}-*")
        return folder


class Evals(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `evals.json`."""

    skill_name: str
    evals: list[Case]


class Trigger(Struct, frozen=True, forbid_unknown_fields=True):
    """A query, and whether the skill is what should be loaded for it."""

    query: str
    should_trigger: bool


def all_cases() -> list[Case]:
    """The cases in their order."""
    return msgspec.json.decode((HERE / "evals.json").read_bytes(), type=Evals).evals


def all_triggers() -> list[Trigger]:
    """The queries in their order."""
    return msgspec.json.decode((HERE / "triggers.json").read_bytes(), type=list[Trigger])


def rendered(case: Case) -> dict[Path, str]:
    """The files by which `claude plugin eval` knows a case."""
    known = {
        "tags": ["orchestrated" if "The skill was loaded" in case.expectations else "direct"],
        "max_turns": 60,
        "timeout_seconds": LONGEST,
        "allowed_tools": ["Bash", "Edit", "Glob", "Grep", "Read", "Skill", "Write"],
    }
    setting = {
        "schema_version": "1.0",
        "name": case.folder.name,
        "context": {"scaffold_script": "scaffold.sh"},
    }
    graders = case.folder / "graders"
    return {
        case.folder / "prompt.md": _page(known, case.prompt),
        case.folder / "case.yaml": _yaml(setting),
        case.folder / "scaffold.sh": SCAFFOLD,
        graders / "expectations.md": _page({"type": "llm", "focus": "trace"}, _criteria(case)),
        **{graders / f"{name}.md": _page(grader, "") for name, grader in _graders(case).items()},
    }


def _criteria(case: Case) -> str:
    lines = "\n".join(f"- {sentence}." for sentence in case.expectations)
    return f"{case.expected_output}\n\nAll of this holds:\n\n{lines}"


def _graders(case: Case) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for number, sentence in enumerate(case.expectations, 1):
        expectation, own = meaning(sentence)
        if expectation.grader:
            found[f"{number:02d}"] = expectation.grader(*own)
    return found


def _page(front: dict[str, Any], body: str) -> str:
    return f"---\n{_yaml(front)}---\n" + (f"\n{body}\n" if body else "")


def _yaml(front: dict[str, Any]) -> str:
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in front.items())
