"""What SKILL.md promises and what the cases expect, with the real program: the checks of `evals/run.py`, one by one."""

from __future__ import annotations

import checks
import pytest
import sessions
import stage
import trying
from api_answers import Answer, text, tool
from api_requests import Request
from cases import Case, all_cases, all_triggers
from claude_program import FOLDER_VARIABLE, NEWEST, is_there
from expectations import disappointed
from project import HOLD, shell, until
from stage import NAME, Leader, Stage, opened

SHORTER = "commands-work"
"""The longest check; with the oldest version `growing-plans-work` shows what commands of a session come to."""
WITH_VERSION = [
    (version, name)
    for name in checks.CHECKS
    for version in checks.VERSIONS[name]
    if version == NEWEST or name != SHORTER
]


def need(version: str) -> None:
    if not is_there(version):
        pytest.skip(f"claude {version} is not installed: run tests/check.py, or set {FOLDER_VARIABLE}")


@pytest.mark.parametrize(("version", "name"), WITH_VERSION)
def test_the_skill_page_is_right(version: str, name: str) -> None:
    need(version)

    checks.CHECKS[name](version)


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.folder.name)
def test_the_session_of_a_case_meets_what_is_expected(case: Case) -> None:
    need(NEWEST)
    with opened(sessions.leader(case)) as there:
        played = sessions.play(case, there.claude, there.folder, there.environment, trying.UNPAID)

        assert disappointed(played.outcome, case.expectations) == []
        assert 0 < played.cost < trying.UNPAID


def test_what_a_session_leaves_running_is_stopped() -> None:
    need(NEWEST)
    case = next(case for case in all_cases() if case.id == 8)
    steps = (tool("Skill", skill=NAME), "orchestrate run --detach", text("It runs."))
    with opened(Leader(*steps)) as there:
        there.workspace.mkdir()
        there.plan(shell("T-01", HOLD), name=".orchestrator/plan.yaml")
        sessions.play(case, there.claude, there.folder, there.environment, trying.UNPAID)

        until(lambda: there.events("RunFinished"), "the end of the run")
        until(lambda: not there.living(), "the end of the task")


def test_a_live_session_is_cut_off_at_its_ceiling() -> None:
    need(NEWEST)
    case = all_cases()[0]
    with opened(sessions.leader(case)) as there:
        played = sessions.play(case, there.claude, there.folder, there.environment, 0.02)

        assert "The run ended with exit status 0" in disappointed(played.outcome, case.expectations)
        assert len(there.led) < 3


def test_a_run_whose_workers_have_cost_their_half_is_stopped() -> None:
    need(NEWEST)
    case = next(case for case in all_cases() if case.id == 8)
    costly = stage.DONE.but(usage={"output_tokens": 1_000_000})
    ending: list[stage.Step] = [
        lambda request: stage.bash(request, "orchestrate wait", run_in_background=True)
    ]
    leader = Leader(
        *(
            tool("Skill", skill=NAME),
            "orchestrate run --detach",
            *ending,
            text("It runs."),
            text("It ended."),
        ),
        worker=costly,
    )
    with opened(leader) as there:
        there.workspace.mkdir()
        tasks = ({"id": "T-01", "description": "cost much"}, shell("T-02", HOLD, after=["T-01"]))
        there.plan(*tasks, name=".orchestrator/plan.yaml")
        played = sessions.play(case, there.claude, there.folder, there.environment, 10.0)

        assert played.cost > 5
        assert there.statuses()["T-02"] != "completed"
        assert played.outcome.last == "It ended."
        assert not there.living()


@pytest.mark.parametrize(("as_wanted", "wrong"), [(True, 0), (False, 1)])
def test_a_query_is_held_to_whether_the_skill_is_loaded(as_wanted: bool, wrong: int) -> None:
    need(NEWEST)
    first = all_triggers()[0].should_trigger

    def answer(request: Request) -> Answer:
        loads = first == as_wanted and not request.turn
        return tool("Skill", skill=NAME) if loads else text("Done.")

    with opened(answer) as there:
        trials = {trial.name: trial for trial in trying.live(there.claude, own_skills_away(there))}
        found = trials["query-01"].do(trying.UNPAID)

        assert len(found.wrong) == wrong
        assert found.cost > 0
        assert all_triggers()[0].query in there.api.requests[0].said[0]
        assert f"- {NAME}: " in there.api.requests[0].text


def own_skills_away(there: Stage) -> dict[str, str]:
    """The stage's environment with settings in which no skill is installed."""
    folder = there.folder / "other"
    folder.mkdir()
    return {**there.environment, "CLAUDE_CONFIG_DIR": str(folder)}
