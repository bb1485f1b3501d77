"""The evals are well formed, say one thing once, and what they expect can both hold and fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import checks
import promises
import pytest
import sessions
import stories
import trying
import yaml
from cases import HERE, Case, all_cases, all_triggers, rendered
from claude_program import FOLDER_VARIABLE, VERSIONS
from expectations import EXPECTATIONS, Outcome, disappointed, meaning
from stage import NAME, Call, Leader
from trying import Found, Trial

from orchestrator.edges.planfile import parse_plan

RUN = HERE / "run.py"
PLAN = """request: x
limits: {budget_usd: 2}
tasks:
  - {id: T-01, description: a}
  - {id: T-02, description: b}
  - {id: T-03, description: c, needs: [T-01, T-02]}
"""


def name_of(case: Case) -> str:
    return case.folder.name


def direct(case: Case) -> bool:
    return "Nothing was orchestrated" in case.expectations


def session_of(case: Case) -> list[Any]:
    found: list[Any] = yaml.safe_load((case.folder / "session.yaml").read_text(encoding="utf-8"))
    return found


def bash(command: str, output: str = "", failed: bool = False, **more: Any) -> Call:
    return Call(
        "Bash", {"command": f"python3 /skill/scripts/orchestrate.py {command}", **more}, output, failed
    )


def edit(path: str) -> Call:
    return Call("Edit", {"file_path": path}, "", False)


# the forms


def test_there_are_enough_cases_and_queries_of_both_kinds_and_none_twice() -> None:
    cases, triggers = all_cases(), all_triggers()

    assert [case.id for case in cases] == list(range(1, len(cases) + 1))
    assert sum(map(direct, cases)) >= 2
    assert sum(not direct(case) for case in cases) >= 6
    assert len(triggers) >= 20
    assert sum(trigger.should_trigger for trigger in triggers) * 2 == len(triggers)
    texts = [case.prompt for case in cases] + [trigger.query for trigger in triggers]
    assert len({text.casefold() for text in texts}) == len(texts)


def test_the_cases_are_about_the_skill_in_this_repository() -> None:
    assert f'"skill_name": "{NAME}"' in (HERE / "evals.json").read_text(encoding="utf-8")
    assert f"\nname: {NAME}\n" in (HERE.parent / "SKILL.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", all_cases(), ids=name_of)
def test_a_case_names_all_the_files_that_it_has(case: Case) -> None:
    files = sorted(path for path in (case.folder / "files").rglob("*") if path.is_file())

    assert sorted(case.files) == [path.relative_to(HERE.parent).as_posix() for path in files]


@pytest.mark.parametrize("case", all_cases(), ids=name_of)
def test_a_program_can_check_everything_that_a_case_expects(case: Case) -> None:
    assert [meaning(sentence)[0].holds for sentence in case.expectations]
    assert len(set(case.expectations)) == len(case.expectations)


@pytest.mark.parametrize("case", all_cases(), ids=name_of)
def test_the_form_of_plugin_eval_says_the_same(case: Case) -> None:
    wanted = rendered(case)
    there = [*case.folder.glob("*.md"), *case.folder.glob("graders/*"), *case.folder.glob("*.sh")]

    assert {*there, case.folder / "case.yaml"} == set(wanted)
    assert {path: path.read_text(encoding="utf-8") for path in wanted} == wanted, (
        "python3 evals/run.py --write"
    )


@pytest.mark.parametrize("case", [case for case in all_cases() if not direct(case)], ids=name_of)
def test_every_plan_of_a_case_is_valid(case: Case) -> None:
    written = [step["write"]["content"] for step in session_of(case) if "write" in step]
    plans = [text for text in written if "tasks:" in text]
    plans += [path.read_text(encoding="utf-8") for path in case.folder.glob("files/plan.yaml")]

    assert len(plans) == 1
    assert parse_plan(plans[0].encode(), name_of(case)).tasks


@pytest.mark.parametrize("case", all_cases(), ids=name_of)
def test_every_step_of_a_session_is_one_that_can_be_played(case: Case) -> None:
    assert isinstance(sessions.leader(case), Leader)


def test_a_step_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="no step"):
        sessions.step({"dance": "waltz"})


# what SKILL.md says


def test_every_command_line_of_the_skill_page_is_typed_by_a_check() -> None:
    typed = [step for step, _ in (*stories.STORY, *stories.GROWING) if isinstance(step, str)]
    shown = set(re.findall(r"`(orchestrate [a-z][^`]*)`", promises.page()))
    for line in shown:
        form = re.escape(line).replace("ID", r"T-\d+").replace("FILE", r"\S+")
        form = form.replace(re.escape("THE USER'S WORDS"), '[^"]+')
        assert any(re.match(form, command) for command in typed), line


def test_every_remedy_in_the_table_of_exit_statuses_is_typed_by_a_check() -> None:
    (row,) = re.findall(r"^\| 3 \| .*$", promises.page(), re.M)
    typed = " ".join(step for step, _ in (*stories.STORY, *stories.GROWING) if isinstance(step, str))
    (remedies,) = re.findall(r"\((`.*`)\)", row)
    for remedy in re.findall(r"`([a-z]+)", remedies):
        assert f"orchestrate {remedy}" in typed


def test_every_check_says_what_it_is_about_and_runs_with_a_version_there_is() -> None:
    assert all(check.__doc__ for check in checks.CHECKS.values())
    assert all(set(checks.VERSIONS[name]) <= set(VERSIONS) for name in checks.CHECKS)


# expectations


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    """A session that did what can be done without a run."""
    (tmp_path / ".orchestrator" / "results").mkdir(parents=True)
    (tmp_path / ".orchestrator" / "plan.yaml").write_text(PLAN)
    (tmp_path / "here.md").write_text("some words")
    for number in (1, 2, 3):
        (tmp_path / ".orchestrator" / "results" / f"agent-0{number}-result.md").touch()
    called = [Call("Skill", {"skill": NAME}, "", False), bash("validate"), bash("plan"), bash("run --detach")]
    return Outcome(tmp_path, called, "It is in de/. Shall I?")


HOLD = (
    "The skill was loaded",
    "The plan was valid when it was first checked",
    "The plan has at least 3 tasks, of which at least 2 wait for nothing",
    "A task of the plan needs the results of at least 2 others",
    "The plan spends at most 2 dollars",
    "All tasks of the plan are for `claude`",
    "The plan was shown before anything was run",
    "The plan was shown, and nothing was run",
    "No run was waited for in the foreground",
    "No file of the workspace was edited but the plan",
    "The record has a result for each task",
    "The file `here.md` exists",
    "The file `there.md` does not exist",
    "The file `here.md` says `some words`",
    "The last message names `de/`",
    "The last message asks something",
)
FAIL = (
    "The skill was not loaded",
    "Nothing was orchestrated",
    "The plan has at least 4 tasks, of which at least 2 wait for nothing",
    "The plan has at least 3 tasks, of which at least 3 wait for nothing",
    "A task of the plan needs the results of at least 3 others",
    "The plan spends at most 1 dollars",
    "All tasks of the plan are for `shell`",
    "The run ended with exit status 0",
    "The file `there.md` exists",
    "The file `here.md` does not exist",
    "The file `here.md` says `other words`",
    "The file `there.md` says `some words`",
    "The last message names `fr/`",
)


def test_what_holds_is_not_disappointed(outcome: Outcome) -> None:
    assert disappointed(outcome, HOLD) == []


def test_what_does_not_hold_is_named(outcome: Outcome) -> None:
    assert disappointed(outcome, FAIL) == list(FAIL)


def test_a_session_that_did_nothing_meets_no_case_about_orchestrating(tmp_path: Path) -> None:
    idle = Outcome(tmp_path, [], "")

    for case in all_cases():
        assert disappointed(idle, case.expectations), name_of(case)
    assert disappointed(idle, ["Nothing was orchestrated", "The skill was not loaded"]) == []


@pytest.mark.parametrize(
    ("sentence", "call"),
    [
        ("The plan was valid when it was first checked", bash("validate", "Exit code 2\nno", failed=True)),
        ("The plan was shown before anything was run", bash("run --detach")),
        ("No run was waited for in the foreground", bash("run; orchestrate status --detach")),
        ("No file of the workspace was edited but the plan", edit("a/.orchestrator/b.md")),
    ],
)  # fmt: skip
def test_a_wrong_call_disappoints(outcome: Outcome, sentence: str, call: Call) -> None:
    assert disappointed(Outcome(outcome.folder, [call, *outcome.calls], ""), [sentence]) == [sentence]


def test_a_run_in_a_background_command_is_not_waited_for(outcome: Outcome) -> None:
    aside = Outcome(outcome.folder, [bash("run", run_in_background=True)], "")

    assert disappointed(aside, ["No run was waited for in the foreground"]) == []


def test_every_form_of_sentence_is_needed_by_a_case() -> None:
    used = {meaning(sentence)[0].form for case in all_cases() for sentence in case.expectations}

    assert used == {expectation.form for expectation in EXPECTATIONS}


def test_a_sentence_that_no_program_can_check_is_refused() -> None:
    with pytest.raises(KeyError, match="elegant"):
        meaning("The plan is elegant")


# the command


def trial(name: str, *wrong: str, cost: float = 0.0) -> Trial:
    return Trial(name, "", lambda left: Found(wrong, min(cost, left)))


def test_what_failed_is_said_with_its_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert trying.tried([trial("good"), trial("bad", "this", "that")], None) == 1

    out = capsys.readouterr().out
    assert re.search(r"^ok +good .*\nFAILED +bad .*\n +this\n +that\n1 of 2 as expected$", out, re.M)


def test_nothing_further_is_begun_at_the_ceiling(capsys: pytest.CaptureFixture[str]) -> None:
    assert trying.tried([trial("one", cost=2), trial("two", cost=9), trial("three")], 3.0) == 4

    assert "$3.00 of $3 are spent: three and what comes after it was not tried" in capsys.readouterr().out


def test_a_live_run_below_its_ceiling_says_what_it_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert trying.tried([trial("one", cost=0.5)], 3.0) == 0

    assert capsys.readouterr().out.endswith("1 of 1 as expected, $0.50\n")


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RUN), *words]
    known = {**os.environ, **environment}
    return subprocess.run(
        command, env=known, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_the_command_lists_all_checks_and_cases() -> None:
    done = run("--list")

    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        *checks.CHECKS,
        *map(name_of, all_cases()),
    ]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--live",), 2, "--live needs a ceiling"),
        (("--live", "--max-cost", "0"), 2, "--live needs a ceiling"),
        (("--live", "--max-cost", "nan"), 2, "--live needs a ceiling"),
        (("--max-cost", "1"), 2, "--max-cost is for --live"),
        (("--list", "nothing-of-that-name"), 2, "there is no nothing-of-that-name"),
        ((), 5, "is not installed"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(
    words: tuple[str, ...], status: int, told: str, tmp_path: Path
) -> None:
    done = run(*words, **{FOLDER_VARIABLE: str(tmp_path)})

    assert (done.returncode, told in done.stderr) == (status, True), done
