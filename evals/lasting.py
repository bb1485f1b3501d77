"""Runs that outlive the command, the session and the program that began them, and how a session waits for them."""

from __future__ import annotations

import re
import signal
from typing import Any

import stage
from api_answers import stalled, text
from project import HOLD, PATIENCE, alive, shell, until
from promises import PLAN_FILE, expect, expect_statuses, page
from stage import NAME, Leader, Stage, bash, opened

DEFAULT_LIMIT = "120000"
"""The Bash tool's time limit in milliseconds, as its description says it."""

HELD = (shell("T-01", HOLD), shell("T-02", "true"))
"""Tasks of which the first goes on until the stage lets it go."""


def _hold(there: Stage, *more: dict[str, Any]) -> None:
    there.workspace.mkdir()
    there.plan(*HELD, *more, name=PLAN_FILE)


def detached_outlives_the_session(version: str) -> None:
    """A detached run goes on when the session has ended."""
    with opened(Leader("orchestrate run --detach", text("It runs.")), version) as there:
        _hold(there)
        expect(there.lead().status == 0, "the session failed")
        _expect_running_to_its_end(there)


def detached_outlives_a_kill(version: str) -> None:
    """A detached run goes on when the program is ended in the middle of a command: TERM, HUP, KILL."""
    for ending in (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
        with opened(Leader("orchestrate run --detach", f"touch begun; {HOLD}"), version) as there:
            _hold(there)
            session = there.start_claude(stage.ALLOWED, prompt=f"/{NAME} do it")
            until((there.folder / "begun").exists, "the command after it")
            session.send_signal(ending)
            session.communicate(timeout=PATIENCE)
            _expect_running_to_its_end(there)


def _expect_running_to_its_end(there: Stage) -> None:
    begun = there.events("RunStarted")
    expect(len(begun) == 1, f"the run did not begin: {there.calls()}")
    expect(there.do("wait", "--timeout", "0.2s").status == 75, "the run did not go on")
    expect(alive(begun[0]["pid"]), "another process has taken the run over")
    there.go()
    expect(there.do("wait").status == 0, "the run did not come to its end")


def waiting_wakes(version: str) -> None:
    """The end of `orchestrate wait` as a background command wakes the session, and tells it the exit status."""
    steps: list[stage.Step] = [
        "orchestrate run --detach",
        lambda request: bash(request, "orchestrate wait", run_in_background=True),
        text("It runs."),
        text("It has ended."),
    ]
    for last, told in (("true", "exit code 0"), ("false", "exit code 1")):
        with opened(Leader(*steps), version) as there:
            _hold(there, shell("T-03", last))
            session = there.start_claude(stage.ALLOWED, prompt=f"/{NAME} do it")
            until(lambda: len(there.led) > 2, "the session's end of turn")
            there.go()
            done = there.finish(session)
            expect(stage.last_words(done) == "It has ended.", "the session was not called again")
            expect(told in there.led[-1].said[-1], f"the session was not told of {told}")


def short_waits_fit(version: str) -> None:
    """`orchestrate wait --timeout 100s` ends before the Bash tool's limit, and says 75 while the run goes on."""
    with opened(
        Leader("orchestrate run --detach", "orchestrate wait --timeout 1s", text("It runs.")), version
    ) as there:
        _hold(there)
        there.lead()
        expect_statuses(there, [0, 75])
        (described,) = [each["description"] for each in there.led[0].body["tools"] if each["name"] == "Bash"]
        expect(DEFAULT_LIMIT in described, "the limit is another one")
        (asked,) = set(re.findall(r"wait --timeout (\d+)s", page()))
        expect(int(asked) * 1000 < int(DEFAULT_LIMIT), "SKILL.md waits for longer than the limit")
        there.go()
        expect(there.do("wait").status == 0, "the run did not come to its end")


def foreground_is_cut_off(version: str) -> None:
    """A `run` in the foreground meets the Bash tool's limit, as SKILL.md warns; `run --detach` takes its work up."""
    steps: list[stage.Step] = ["orchestrate run", stalled()]
    with opened(Leader(*steps), version, BASH_DEFAULT_TIMEOUT_MS="2000") as there:
        _hold(there)
        session = there.start_claude(stage.ALLOWED, prompt=f"/{NAME} do it")
        until(lambda: len(there.led) > 1, "the limit")
        (call,) = there.calls()
        expect("background" in call.output, f"the limit was not met: {call.output[:200]}")
        there.kill(session)
        there.do("stop")
        there.go()
        # On a busy machine the one that was cut off may still be ending.
        until(lambda: there.do("run", "--detach").status == 0, "the workspace to be free")
        expect(there.do("wait").status == 0, "the run was not taken up")
        expect(there.outcomes("T-02") == ["success"], "finished work was done again")
