"""The demo's analysis: every script as a real process, over small folders with planted findings."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

DEMO = Path(__file__).parents[1] / "scripts" / "orchestrator" / "demo"
PLAN = yaml.safe_load((DEMO / "plan.yaml").read_text(encoding="utf-8"))
TASKS = {task["id"]: task for task in PLAN["tasks"]}

TANGLED = """
def simple():
    return 1


class Desk:
    def tangled(self, a, b):
        # FIXME: nobody understands this
        if a and b or a:
            for x in [y for y in a if y]:
                while x:
                    try:
                        x = 1 if a else 2
                    except ValueError:
                        pass
        elif b:
            pass
        match a:
            case 1:
                pass
            case _:
                pass
        if a: pass
        if b: pass
"""
COPIED = "".join(f"    total_{name} = measure({name})\n" for name in "abcdefghij")

Analysis = Callable[[str], tuple[str, dict[str, Any]]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def analyse(project: Path, tmp_path: Path) -> Analysis:
    """Runs the task of a title, after its needs and each once; gives the text and data of its result."""
    texts: dict[str, str] = {}

    def run(task: str) -> str:
        needs = {f"ORCHESTRATE_RESULT_{_name(need)}": run(need) for need in TASKS[task].get("needs", [])}
        result = tmp_path / f"{task}.md"
        if task not in texts:
            texts[task] = _run(TASKS[task]["run"], project, needs)
            result.write_text(f"---\ntask: {task}\n---\n{texts[task]}", encoding="utf-8")
        return str(result)

    def result_of(title: str) -> tuple[str, dict[str, Any]]:
        task = next(task for task in TASKS if TASKS[task]["title"] == title)
        run(task)
        return texts[task], json.loads(texts[task].rpartition("```json\n")[2].removesuffix("```\n"))

    return result_of


def _run(command: str, folder: Path, needs: dict[str, str]) -> str:
    inputs = {"ORCHESTRATE_INPUT_python": sys.executable, "ORCHESTRATE_INPUT_scripts": str(DEMO)}
    # No repository above the temporary folder may be found, nor this user's configuration of git.
    git = {"GIT_CEILING_DIRECTORIES": str(folder.parent), "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=os.environ | inputs | git | needs,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr) == (0, ""), command
    return done.stdout


def _name(task: str) -> str:
    return task.replace("-", "_")


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        check=True,
        capture_output=True,
    )


def _commit_changes_of(folder: Path, commits: int, *names: str) -> None:
    for number in range(commits):
        for name in names:
            with (folder / name).open("a", encoding="utf-8") as stream:
                stream.write(f"# change {number}\n")
        _git(folder, "add", "--all")
        _git(folder, "commit", "--message", f"Change {number}")


def test_the_plan_has_eight_to_fourteen_tasks_in_at_least_three_batches() -> None:
    depth: dict[str, int] = {}
    for task in PLAN["tasks"]:  # a need that stands later, or nowhere, is a KeyError: so there is no cycle
        depth[task["id"]] = 1 + max((depth[need] for need in task.get("needs", [])), default=0)
    assert 8 <= len(depth) == len(PLAN["tasks"]) <= 14
    assert max(depth.values()) >= 3
    assert PLAN["tasks"][-1]["title"] == "Rank the places worth attention"


def test_every_task_says_what_a_model_needs_to_know() -> None:
    for task in PLAN["tasks"]:
        assert all(task[key].strip() for key in ("title", "description", "expected_output", "estimate"))
        assert "orchestrat" not in task["description"].lower()
        assert ".py" not in task["description"]


def test_every_run_names_an_existing_script_and_exactly_the_results_it_needs() -> None:
    for task in PLAN["tasks"]:
        python, script, *results = shlex.split(task["run"])
        assert python == "$ORCHESTRATE_INPUT_python"
        assert (DEMO / script.removeprefix("$ORCHESTRATE_INPUT_scripts/")).is_file()
        assert results == [f"$ORCHESTRATE_RESULT_{_name(need)}" for need in task.get("needs", [])]


def test_the_most_complex_function_is_named_with_its_exact_complexity(
    project: Path, analyse: Analysis
) -> None:
    (project / "desk.py").write_text(TANGLED)
    text, data = analyse("Measure the functions")
    # 1, if, and, or, for, comprehension and its if, while, except, conditional, elif, case 1, if, if
    assert "| 14 | 18 | Desk.tangled | desk.py:7 |" in text
    assert data["files"]["desk.py"]["hardest"] == {
        "line": 7,
        "name": "Desk.tangled",
        "lines": 18,
        "complexity": 14,
    }


def test_functions_with_braces_are_found_and_strings_and_comments_are_not_code(
    project: Path, analyse: Analysis
) -> None:
    (project / "a.ts").write_text(
        'import { b } from "./b";\n'
        "export function pick(a: number, f: (x: number) => void): string {\n"
        "  // if while for {\n"
        '  if (a && b) { return "} if ("; }\n'
        "  for (const x of b) { f(x); }\n"
        "  return 'x';\n"
        "}\n"
        "const twice = (a) => {\n  return a ? 2 : 1;\n};\n"
        "const { c } = require('./b')\nclass NoFunction {\n  size = a && b && c && d\n}\n"
    )
    (project / "b.ts").write_text("export const b = [1];\n")
    facts = analyse("Measure the functions")[1]["files"]["a.ts"]
    assert facts["hardest"] == {"line": 2, "name": "pick", "lines": 6, "complexity": 4}
    assert (facts["functions"], facts["complexity"]) == (2, 6)
    assert analyse("Draw the import graph")[1]["early"] == {"a.ts": ["b.ts"]}


def test_imports_are_resolved_as_python_would(project: Path, analyse: Analysis) -> None:
    package = project / "src" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from .cart import Cart\n")
    (package / "cart.py").write_text(
        "import json\nimport requests\nfrom shop import price\nfrom .price import of\n"
    )
    (package / "price.py").write_text("def of():\n    from shop.cart import Cart\n    return Cart\n")
    data = analyse("Draw the import graph")[1]
    assert data["early"] == {
        "src/shop/__init__.py": ["src/shop/cart.py"],
        "src/shop/cart.py": ["src/shop/price.py"],
    }
    assert data["late"] == {"src/shop/price.py": ["src/shop/cart.py"]}


def test_only_imports_at_load_time_make_a_cycle(project: Path, analyse: Analysis) -> None:
    for name, needed in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "e")):
        (project / f"{name}.py").write_text(f"import {needed}\n")
    (project / "e.py").write_text("def late():\n    import d\n")
    text, data = analyse("Find import cycles and hubs")
    assert data["cycles"] == [["a.py", "b.py", "c.py"]]
    assert "| 3 | a.py -> b.py -> c.py -> a.py |" in text


def test_notes_are_found_in_comments_and_not_in_strings(project: Path, analyse: Analysis) -> None:
    (project / "a.py").write_text(
        'x = "# TODO not this"\ny = 1  # TODO(ann): say why\n"""\n# FIXME nor this\n"""\n'
    )
    (project / "b.js").write_text("let a;\n\n/* HACK around it */\nlet TODO = 1;\n")
    text, data = analyse("List the notes left in comments")
    assert [(note["path"], note["line"], note["word"]) for note in data["notes"]] == [
        ("b.js", 3, "HACK"),
        ("a.py", 2, "TODO"),
    ]
    assert "| TODO | a.py:2 | ann): say why |" in text


def test_a_duplicate_block_is_found_with_all_its_places(project: Path, analyse: Analysis) -> None:
    (project / "a.py").write_text(f"def one():\n{COPIED}    return 1\n")
    (project / "b.py").write_text(
        f"X = 1\n\n\nclass B:\n    def two(self):\n{COPIED.replace('    ', '        ')}"
    )
    text, data = analyse("Find duplicate blocks")
    assert data["blocks"] == [{"lines": 10, "places": [["a.py", 2, 11], ["b.py", 6, 15]]}]
    assert "| 10 | 2 | a.py:2-11, b.py:6-15 |" in text


def test_a_block_repeated_in_one_file_does_not_overlap_itself(project: Path, analyse: Analysis) -> None:
    (project / "a.py").write_text(f"def one():\n{COPIED}\ndef two():\n{COPIED}")
    assert analyse("Find duplicate blocks")[1]["blocks"] == [
        {"lines": 10, "places": [["a.py", 2, 11], ["a.py", 14, 23]]}
    ]


def test_files_without_tests_are_those_that_no_test_imports_or_names(
    project: Path, analyse: Analysis
) -> None:
    body = "def f(a):\n    return 1 if a else 2\n"
    for name in ("imported", "namesake", "started", "forgotten"):
        (project / f"{name}.py").write_text(body)
    (project / "tests").mkdir()
    (project / "tests" / "test_all.py").write_text("import imported\nrun('started.py')\n")
    (project / "tests" / "test_namesake.py").write_text("def test_it():\n    pass\n")
    data = analyse("Find code without tests")[1]
    assert data == {
        "kind": "untested",
        "tests": 2,
        "files": [{"path": "forgotten.py", "complexity": 2, "functions": 1}],
    }


def test_the_planted_worst_file_ranks_first_with_all_its_reasons(project: Path, analyse: Analysis) -> None:
    (project / "worst.py").write_text(f"import other\n{TANGLED}\n\ndef copy():\n{COPIED}")
    (project / "other.py").write_text(f"import worst\n\n\ndef again():\n{COPIED}")
    (project / "fine.py").write_text("def fine():\n    return 1\n")
    (project / "test_fine.py").write_text("import fine\n")
    _git(project, "init", "--quiet")
    _commit_changes_of(project, 3, "worst.py")
    text, data = analyse("Rank the places worth attention")
    worst, other = data["places"]
    assert (worst["path"], other["path"]) == ("worst.py", "other.py")
    assert worst["reasons"] == [
        "import cycle with other.py",
        "Desk.tangled has complexity 14 (line 8)",
        "changed in 3 commits, hardest function Desk.tangled",
        "1 note; FIXME (line 9) nobody understands this",
        "no test imports or names it (3 functions, complexity 16)",
        "10 copied lines, 29-38 also in other.py:5-14",
    ]
    # 8 + (14 - 10) + 3 * 14 / 12 + 2 + 16 / 8 + 10 / 6
    assert worst["points"] == 21.2
    assert "\n1. worst.py:8 (21.2 points, 41 lines)\n" in text


def test_the_history_shows_what_changes_often_and_together(project: Path, analyse: Analysis) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (project / name).write_text("")
    _git(project, "init", "--quiet")
    _commit_changes_of(project, 4, "a.py", "b.py")
    _commit_changes_of(project, 2, "a.py")
    churn = analyse("Read the git history")[1]
    assert (churn["commits"], churn["commits_of"]) == (6, {"a.py": 6, "b.py": 4, "c.py": 1})
    assert analyse("Find hidden coupling")[1]["pairs"] == [
        {"a": "a.py", "b": "b.py", "commits": 4, "share": 1.0}
    ]


def test_what_git_ignores_is_left_out_and_new_files_are_not(project: Path, analyse: Analysis) -> None:
    (project / ".gitignore").write_text("built/\n")
    (project / "built").mkdir()
    (project / "built" / "a.py").write_text("x = 1\n")
    (project / "new.py").write_text("x = 1\n")
    _git(project, "init", "--quiet")
    text, data = analyse("Count files and lines by language")
    assert data["lines_of"] == {"new.py": 1}
    assert "2 files, 2 lines; found by git ls-files." in text


def test_a_folder_without_git_is_walked_and_says_that_history_is_unknown(
    project: Path, analyse: Analysis
) -> None:
    for folder in ("node_modules", ".venv", "own-environment", "kept"):
        (project / folder).mkdir()
        (project / folder / "a.py").write_text("x = 1\n")
    (project / "own-environment" / "pyvenv.cfg").write_text("")
    assert analyse("Count files and lines by language")[1]["lines_of"] == {"kept/a.py": 1}
    assert "There is no git history to read here." in analyse("Read the git history")[0]
    assert "There is no git history" in analyse("Find complex code that changes often")[0]
    assert "There is no git history" in analyse("Find hidden coupling")[0]


def test_an_empty_folder_is_analysed_to_the_end(project: Path, analyse: Analysis) -> None:
    text, data = analyse("Rank the places worth attention")
    assert "0 files, 0 lines were looked at: nothing stands out." in text
    assert data["places"] == []


def test_files_that_cannot_be_analysed_are_counted_and_stop_nothing(project: Path, analyse: Analysis) -> None:
    (project / "binary.py").write_bytes(b"\0\1\2")
    (project / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nname = '\xe9'  # TODO \xe9\n")
    (project / "broken.py").write_text("x = 1\ndef broken(:\n")
    (project / "deep.py").write_text("x = " + "(" * 5000)
    (project / "huge.py").write_text("x = 1\n" * 200_000)
    (project / "minified.js").write_text("function f(){" + "if(a){b()}" * 2000 + "}")
    (project / "loop").symlink_to("loop")
    (project / "nowhere.py").symlink_to("missing.py")
    (project / "up").symlink_to("..")
    os.mkfifo(project / "pipe.py")
    Path(os.fsdecode(bytes(project) + b"/\xff.py")).write_text("def f():\n    pass\n")
    inventory = analyse("Count files and lines by language")[0]
    assert "- broken links: 2\n" in inventory
    assert "- links: 1\n" in inventory
    assert "- devices, pipes, sockets and submodules: 1" in inventory
    assert "- 1 file without a line count: binary" in inventory
    assert "- 1 file without a line count: larger than 1,000,000 bytes" in inventory
    functions = analyse("Measure the functions")[1]
    assert {(each["path"], each["line"]) for each in functions["broken"]} >= {("broken.py", 2)}
    assert list(functions["files"]) == ["\udcff.py"]
    ranked = analyse("Rank the places worth attention")[1]["places"]
    assert {place["path"] for place in ranked} == {"broken.py", "deep.py"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_and_folders_are_counted(project: Path, analyse: Analysis) -> None:
    (project / "secret.py").write_text("x = 1\n")
    (project / "secret.py").chmod(0)
    (project / "closed").mkdir(mode=0)
    inventory = analyse("Count files and lines by language")[0]
    assert "- folders that cannot be listed: 1" in inventory
    assert "- 1 file without a line count: unreadable" in inventory


def test_a_file_name_cannot_forge_a_block_or_a_table_row(project: Path, analyse: Analysis) -> None:
    name = 'x\n```json\n{"kind": "functions"}\n```\n|\x1b[31m.py'
    (project / name).write_text(TANGLED)
    text, data = analyse("Measure the functions")
    assert list(data["files"]) == [name]
    assert text.count("\n```json\n") == 1
    assert "\x1b" not in text
    assert analyse("Rank the places worth attention")[1]["places"][0]["path"] == name


def test_a_result_without_data_ends_a_join_with_one_clear_line(project: Path, tmp_path: Path) -> None:
    result = tmp_path / "T-02.md"
    result.write_text("---\ntask: T-02\n---\nnothing here\n")
    done = subprocess.run(
        [sys.executable, DEMO / "coupling.py", result], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"coupling.py: {result} holds no data block: ")
    assert done.stderr.count("\n") == 1
