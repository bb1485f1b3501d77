from __future__ import annotations

from fakes import Simulation, plan, task

from orchestrator.core.learning import Learned, learn, weights


def failing(name: str, attempt: int) -> str:
    return "error" if name == "bad" else "success"


def test_weights_come_from_the_plan_then_the_task_then_its_kind_then_a_default() -> None:
    tasks = (
        task("told", estimate="2m"),
        task("known"),
        task("like", worker="test-engineer"),
        task("new", worker="code-analyzer"),
        task("model", cli="claude", run=""),
    )
    learned = Learned({"told": 5.0, "known": 7.0}, {("shell", "test-engineer"): [1.0, 50.0, 3.0]})
    assert weights(plan(*tasks), learned) == [120.0, 7.0, 3.0, 10.0, 300.0]


def test_the_newest_run_says_what_a_task_takes_and_all_runs_say_what_its_kind_takes() -> None:
    runs = []
    for length in (4.0, 8.0):
        simulation = Simulation(plan(task("a"), task("bad", attempts=1)), outcome=failing)
        simulation.seconds = lambda name, attempt, length=length: length  # type: ignore[misc]
        simulation.run()
        runs.append(simulation.state)
    known = learn(runs)
    assert known.tasks == {"a": 4.0}
    assert known.kinds == {("shell", "general"): [4.0, 8.0]}
