"""Whether the program lists the skill, loads it, and knows its cases."""

from __future__ import annotations

import json
import shutil
import subprocess

import stage
from api_answers import Answer, text, tool
from api_requests import Request
from cases import all_cases
from promises import description, expect, expect_statuses, page
from stage import NAME, ROOT, Leader, Stage, opened

PLUGIN_EVAL = (
    "--trust-plugin",
    "--no-publish",
    "--scaffold",
    "--runs",
    "1",
    "--ablation",
    "none",
    "-j",
    "2",
    "--json",
)


def listed(version: str) -> None:
    """The program lists the skill with all of its description."""
    with opened(text("Hello."), version) as there:
        there.ask(prompt="hello")
        (request,) = there.api.requests
        expect(f"{NAME}: {description()}" in _all_words(request), "the skill is not listed, or cut short")


def loaded_by_name(version: str) -> None:
    """`/distributed-task-orchestrator` loads SKILL.md whole, with the skill's folder put in."""
    with opened(text("Loaded."), version) as there:
        there.ask(prompt=f"/{NAME} sort the attic")
        (request,) = there.api.requests
        _expect_page(there, "\n".join(request.said))
        expect("sort the attic" in "\n".join(request.said), "the request did not come along")


def loaded_by_the_model(version: str) -> None:
    """The model loads SKILL.md by the Skill tool, without being asked for a permission."""
    with opened([("", [tool("Skill", skill=NAME), text("Loaded.")])], version) as there:
        there.ask(prompt="sort the attic, in parallel")
        _expect_page(there, "\n".join(there.api.requests[-1].said))


def installed(version: str) -> None:
    """After `install` a session finds plain `orchestrate` on its PATH, and all of the skill is in order."""
    steps = ("command -v orchestrate", "orchestrate install --check", "orchestrate --version")
    with opened(Leader(*steps, text("done")), version) as there:
        there.lead()
        expect_statuses(there, [0, 0, 0])
        command = there.calls()[0].output.strip()
        expect(command == f"{there.environment['HOME']}/.local/bin/orchestrate", f"it found {command}")


def _expect_page(there: Stage, said: str) -> None:
    expect("${" not in said, "a variable was not put in")
    expect(
        f"`python3 {there.skill}/scripts/orchestrate.py`" in said,
        "the program's path is not that of the skill",
    )
    wanted = page().replace("${CLAUDE_SKILL_DIR}", str(there.skill))
    lost = [line for line in wanted.splitlines() if line not in said]
    expect(not lost, f"lines of SKILL.md did not arrive: {lost[:3]}")


def _all_words(request: Request) -> str:
    return "\n".join(stage.words(message["content"]) for message in request.body["messages"])


def known_to_plugin_eval(version: str) -> None:
    """`claude plugin eval` takes all cases in its own form, and puts the files of a case where its session is."""

    def answer(request: Request) -> Answer:
        if not request.tools:
            return text("PASS" if "Hello Ann" in request.text else "FAIL")
        asked_for = "greeting()" in request.said[0] and not request.turn
        return tool("Read", file_path="src/pages.js") if asked_for else text(_plain("\n".join(request.said)))

    with opened(answer, version) as there:
        plugin = there.folder / "plugin"
        stage.copy(plugin)
        shutil.copytree(ROOT / "evals", plugin / "evals", ignore=shutil.ignore_patterns("__pycache__"))
        (plugin / ".claude-plugin" / "plugin.json").write_text(json.dumps({"name": NAME}))
        done = subprocess.run(
            [there.claude, "plugin", "eval", plugin, *PLUGIN_EVAL], cwd=there.folder, env=there.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        expect("{" in done.stdout, f"it took no case: {done.stderr[-500:]}")
        found = {case["name"]: case for case in json.loads(done.stdout)["cases"]}
        expect(sorted(found) == sorted(case.folder.name for case in all_cases()), f"it took {sorted(found)}")
        (run,) = found["5-quick-question"]["arms"]["with"]
        expect(run["passed"], f"the question was not answered from its file: {json.dumps(run)[:1000]}")


def _plain(said: str) -> str:
    return "It returns <h1>Hello Ann</h1>." if "`<h1>Hello ${name}</h1>`" in said else "I have seen no file."
