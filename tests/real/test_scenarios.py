"""Every scenario, played with the real program: what the run, the tasks and the attempts came to."""

from __future__ import annotations

import pytest
from claude_program import NEWEST, VERSIONS
from realclaude import MakeReal, play
from scenarios import SCENARIOS

PLAYS = [
    pytest.param(name, version, id=f"{name}-{version}")
    for name, scenario in SCENARIOS.items()
    for version in (VERSIONS if scenario.oldest else (NEWEST,))
]


@pytest.mark.parametrize(("name", "version"), PLAYS)
def test_a_scenario_ends_as_it_says(name: str, real: MakeReal) -> None:
    scenario = SCENARIOS[name]
    project = real(
        scenario.script(),
        login=scenario.login,
        environment=scenario.environment,
        most_at_once=scenario.most_at_once,
        retry_after=scenario.retry_after,
    )

    done = play(scenario, project)

    statuses = project.statuses()
    assert {name: statuses.get(name) for name in scenario.statuses} == scenario.statuses, done.err
    assert tuple(project.outcomes(scenario.tasks[0]["id"])) == scenario.outcomes, done.err
    assert done.status == scenario.exits, done.err
