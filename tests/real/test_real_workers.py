"""Real workers through the orchestrator: ends from outside, sessions that go on, what stays forbidden."""

from __future__ import annotations

import json
import os
import signal
from threading import Event
from typing import Any

import pytest
from api_answers import Answer, error, stalled, text, tool
from api_requests import Request, Script
from project import until
from realclaude import MakeReal, RealProject

DONE = text("All of it is done.")


def task(name: str = "T-01", **more: Any) -> dict[str, Any]:
    return {"id": name, "title": f"work on {name}", "description": f"Do the work of {name}.", **more}


def turns(*answers: Answer) -> Script:
    """By the number of the request, whatever the session; the last one again and again."""
    return lambda request: answers[min(request.number, len(answers)) - 1]


def worker_of(project: RealProject, key: str = "T-01.1") -> int:
    """The pid of the worker of an attempt, once it is known."""
    path = project.workspace / "attempts" / "pids"

    def noted() -> list[str]:
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split()[2] for line in lines if line.partition(" ")[0].endswith(f"/{key}")]

    return int(until(noted, "the pid")[-1])


def reasons(project: RealProject, name: str = "T-01") -> list[str]:
    return [event.get("reason", "") for event in project.events("AttemptFinished", name)]


def resumed(project: RealProject, key: str) -> bool:
    first, second = project.events("AttemptStarted", key.partition(".")[0])[-2:]
    return bool(first["session"] == second["session"])


def transcript(project: RealProject) -> str:
    """What the program has on disk of the only session; it writes a moment after it has asked."""
    session = project.events("AttemptStarted")[0]["session"]
    found = list(project.folder.parent.rglob(f"{session}.jsonl"))
    return found[0].read_text() if found else ""


@pytest.mark.oldest
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_worker_that_is_killed_from_outside_has_failed_and_is_started_again(
    real: MakeReal, number: signal.Signals
) -> None:
    project = real(turns(stalled(), DONE))
    project.plan(task())
    run = project.start("run", "plan.yaml")
    until(lambda: project.api.requests, "the request")

    os.kill(worker_of(project), number)

    assert project.finish(run).status == 0
    assert project.outcomes("T-01") == ["error", "success"]
    assert reasons(project)[0] == f"killed by {number.name} before it had a result"


@pytest.mark.oldest
def test_a_worker_that_is_interrupted_while_it_waits_looks_like_a_success_and_is_none(real: MakeReal) -> None:
    project = real(turns(DONE.but(gate=Event()), DONE))
    project.plan(task())
    run = project.start("run", "plan.yaml")
    until(lambda: project.api.requests, "the request")

    os.kill(worker_of(project), signal.SIGINT)

    assert project.finish(run).status == 0
    first = project.events("AttemptFinished")[0]
    assert first["exit"] == 0
    assert first["outcome"] in ("empty", "error"), (
        "whether it still writes a last line is a matter of moments"
    )


@pytest.mark.oldest
def test_after_kill_9_of_both_the_session_goes_on_with_what_it_had_done(real: MakeReal) -> None:
    project = real(turns(tool("Read", file_path="notes.txt"), stalled(), DONE))
    (project.folder / "notes.txt").write_text("the notes")
    project.plan(task())
    run = project.start("run", "plan.yaml")
    until(lambda: len(project.api.requests) == 2, "the second request")
    until(lambda: "the notes" in transcript(project), "the transcript of what it had read")

    project.kill(run)
    os.kill(worker_of(project), signal.SIGKILL)

    assert project.run().status == 0
    assert project.outcomes("T-01") == ["interrupted", "success"]
    assert resumed(project, "T-01.2")
    assert len(project.api.requests) == 3, "what was done was not asked for again"
    last = project.api.requests[-1]
    assert "the notes" in last.text
    assert "was interrupted from outside" in last.said[-1]


@pytest.mark.oldest
def test_a_run_that_is_stopped_goes_on_and_each_dollar_counts_once(real: MakeReal) -> None:
    project = real(turns(tool("Read", file_path="notes.txt"), stalled(), DONE))
    (project.folder / "notes.txt").write_text("the notes")
    project.plan(task())
    run = project.start("run", "plan.yaml")
    until(lambda: len(project.api.requests) == 2, "the second request")

    project.do("stop")
    assert project.finish(run).status == 130

    assert project.run().status == 0
    assert project.outcomes("T-01") == ["interrupted", "success"]
    costs = [event.get("cost_usd", 0.0) for event in project.events("AttemptFinished")]
    (last,) = [line for line in project.said("T-01", 2) if line["type"] == "result"]
    whole = last["total_cost_usd"] if "model_usage_since_last_result" in last else sum(costs)
    assert sum(costs) == pytest.approx(whole)
    assert costs[1] > 0


def test_what_was_answered_before_a_refusal_is_not_asked_for_again(real: MakeReal) -> None:
    write = tool("Write", file_path="out.txt", content="words")
    project = real(turns(write, *[error(429, "slow down")] * 3, DONE))
    project.plan(task(attempts=1, artifacts=["out.txt"]))

    assert project.run().status == 0

    assert project.outcomes("T-01") == ["rate limited", "success"]
    assert resumed(project, "T-01.2")
    assert len(project.api.requests) == 5, "one to begin with, three that were refused, and one to end with"
    assert "was interrupted from outside" in project.api.requests[-1].text


def test_a_session_that_is_gone_is_followed_by_a_fresh_one_that_says_so(real: MakeReal) -> None:
    project = real(turns(stalled(), DONE))
    project.plan(task(attempts=1))
    run = project.start("run", "plan.yaml")
    until(lambda: project.api.requests, "the request")
    project.kill(run)
    os.kill(worker_of(project), signal.SIGKILL)
    for transcript in (project.folder.parent / "config" / "projects").rglob("*.jsonl"):
        transcript.unlink()
    for transcript in (project.folder / "config" / "projects").rglob("*.jsonl"):
        transcript.unlink()

    assert project.run().status == 0
    assert project.outcomes("T-01") == ["interrupted", "interrupted", "success"]
    assert "session could not be continued" in reasons(project)[1]
    assert "Do the work of T-01." in project.api.requests[-1].text


@pytest.mark.oldest
def test_what_a_check_printed_reaches_the_session_that_failed_it(real: MakeReal) -> None:
    project = real(turns(DONE, tool("Write", file_path="out.txt", content="words"), DONE))
    project.plan(task(verify=["test -s out.txt || { echo 'out.txt has 0 of 3 rows'; exit 1; }"]))

    assert project.run().status == 0

    assert project.outcomes("T-01") == ["unverified", "success"]
    assert resumed(project, "T-01.2")
    told = project.api.requests[1].said[-1]
    assert "out.txt has 0 of 3 rows" in told
    assert "Do the work of T-01." in project.api.requests[1].text


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"verify": ["sleep 60"], "timeout": "4s"}, "4s"),
        ({"verify": ["no-such-program --check"]}, "the command was not found (exit status 127)"),
        ({"artifacts": ["old.txt"]}, "artifact old.txt is as it was before the first attempt"),
        ({"artifacts": ["empty.txt"]}, "artifact empty.txt is empty"),
    ],
)
def test_a_check_that_does_not_hold_is_named(real: MakeReal, more: dict[str, Any], reason: str) -> None:
    project = real(DONE)
    (project.folder / "old.txt").write_text("old")
    (project.folder / "empty.txt").touch()
    project.plan(task(attempts=1, **more))

    assert project.run().status == 1
    assert reason in reasons(project)[0]
    assert reason in project.do("status").out
    assert reason in project.result()


@pytest.mark.oldest
def test_a_file_changed_outside_of_writes_is_named_and_the_session_told(real: MakeReal) -> None:
    project = real(turns(tool("Write", file_path="other.txt", content="x"), DONE, DONE))
    project.plan(task(writes=["docs/**"]))

    assert project.run().status == 0
    assert project.outcomes("T-01") == ["unverified", "success"]
    assert "it changed other.txt outside of its writes" in reasons(project)[0]
    assert "other.txt" in project.api.requests[-1].said[-1]


@pytest.mark.oldest
def test_a_denied_worker_goes_on_with_the_rule_that_a_person_adds(real: MakeReal) -> None:
    call = tool("Bash", command="touch made.txt")
    project = real(turns(call, text("I was not allowed to."), call, DONE))
    project.plan(task(tools=["Read", "Bash(ls *)"], permission_mode="dontAsk"))

    assert project.run().status == 3
    assert project.outcomes("T-01") == ["denied"]
    assert not (project.folder / "made.txt").exists()
    assert "retry T-01 --allow 'Bash(touch made.txt)'" in project.do("status").out

    assert project.do("retry", "T-01", "--allow", "Bash(touch made.txt)").status == 0
    assert project.run().status == 0
    assert (project.folder / "made.txt").exists()
    assert resumed(project, "T-01.2")
    assert "I was not allowed to." in project.api.requests[-1].text


def test_a_worker_that_asks_goes_on_with_the_answer(real: MakeReal) -> None:
    report = {"status": "blocked", "questions": ["Which of the two tables?"]}
    asks = text(f"I need to know.\n\n```json\n{json.dumps(report)}\n```")
    project = real(turns(asks, DONE))
    project.plan(task(), task("T-02", needs=["T-01"]))

    assert project.run().status == 3
    assert "Which of the two tables?" in project.do("status").out

    assert project.do("answer", "T-01", "The second one.").status == 0
    assert project.run().status == 0
    assert "The second one." in project.api.requests[1].said[-1]
    assert project.statuses() == {"T-01": "completed", "T-02": "completed"}


def test_the_others_of_a_kind_wait_until_the_first_was_answered(real: MakeReal) -> None:
    gate = Event()

    def script(request: Request) -> Answer:
        return DONE.but(gate=gate) if request.number == 1 else DONE

    project = real(script)
    project.plan(*(task(f"T-0{number}") for number in range(1, 5)))
    run = project.start("run", "plan.yaml", "--parallelism=4")
    until(lambda: project.api.requests, "the first request")
    held = until(lambda: project.document()["run"]["holding"], "the journal to say why")
    assert "first worker of its kind" in held["reason"]
    assert len(project.api.requests) == 1
    gate.set()

    assert project.finish(run).status == 0
    first, *others = project.api.requests
    assert first.ended is not None
    assert all(other.time >= first.ended for other in others)


@pytest.mark.oldest
@pytest.mark.parametrize("mode", ["acceptEdits", "bypassPermissions"])
def test_no_worker_writes_under_the_workspace(real: MakeReal, mode: str) -> None:
    plan = tool("Write", file_path=".orchestrator/plan.yaml", content="mine")
    project = real(turns(plan, text("done")), environment={"IS_SANDBOX": "1"})
    project.plan(task(attempts=1, permission_mode=mode, tools=["Read", "Write"]))
    before = (
        (project.workspace / "plan.yaml").read_text() if (project.workspace / "plan.yaml").exists() else ""
    )

    project.run("--allow-bypass")

    after = (
        (project.workspace / "plan.yaml").read_text() if (project.workspace / "plan.yaml").exists() else ""
    )
    assert "mine" not in (before, after)
