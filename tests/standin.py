#!/usr/bin/env python3
"""A stand-in for the claude program: takes its options, writes its stream-json, and fails in the ways it can.

What it does is named by the task's `model`: words joined by `+`, done from left to right, for example
`slow+children+answer`. With `STANDIN_LEDGER` set, each start and each answer is one line of that file:
`start|end TASK ATTEMPT PID SECONDS`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

PAUSE = float(os.environ.get("STANDIN_PAUSE", "0.05"))
"""Seconds between two lines of a slow worker."""


def main() -> None:
    """Reads the prompt, then does what the model's name says."""
    if sys.argv[1:] in (["--version"], ["--help"]):
        from fakeclaude import ABOUT

        print(ABOUT[sys.argv[1]])
        return
    options = dict(word[2:].partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
    prompt = sys.stdin.read()
    task, _, attempt = os.environ.get("ORCHESTRATE_ATTEMPT", "/T-0.1").rpartition("/")[2].rpartition(".")
    worker = Worker(options, prompt, task, int(attempt))
    worker.note("start")
    for word in options.get("model", "answer").split("+"):
        WORDS[word](worker)


class Worker:
    """One run of the program."""

    def __init__(self, options: dict[str, str], prompt: str, task: str, attempt: int) -> None:
        self.options, self.prompt, self.task, self.attempt = options, prompt, task, attempt
        self.session = options.get("resume") or options.get("session-id", "")

    def note(self, what: str) -> None:
        """One line in the ledger, in one write."""
        if path := os.environ.get("STANDIN_LEDGER"):
            line = f"{what} {self.task} {self.attempt} {os.getpid()} {time.time():.6f}\n"
            ledger = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(ledger, line.encode())
            os.close(ledger)

    def say(self, **line: object) -> None:
        """One line of stream-json."""
        print(json.dumps({**line, "session_id": self.session}), flush=True)

    def begin(self) -> None:
        """What the program writes first."""
        self.say(type="system", subtype="init", model="stand-in")

    def result(self, text: str, **more: object) -> None:
        """What the program writes last."""
        known = {"subtype": "success", "is_error": False, "num_turns": 2, "total_cost_usd": 0.01}
        usage = {"input_tokens": 100, "output_tokens": 10}
        self.say(**{"type": "result", **known, "usage": usage, "result": text, **more})

    def use_tool(self, number: int, pause: float = 0.0) -> None:
        """A tool call and its end."""
        name = f"tool-{number}"
        call = {"type": "tool_use", "id": name, "name": "Read", "input": {}}
        self.say(type="assistant", message={"content": [call]})
        time.sleep(pause)
        self.say(type="user", message={"content": [{"type": "tool_result", "tool_use_id": name}]})


def answer(worker: Worker) -> None:
    """Works and succeeds."""
    worker.begin()
    worker.use_tool(1)
    worker.result(f"first half of {worker.task}\nsecond half of {worker.task}")
    worker.note("end")


def slow(worker: Worker) -> None:
    """Works for a while, a line at a time."""
    worker.begin()
    for number in range(6):
        worker.use_tool(number, PAUSE)


def again(worker: Worker) -> None:
    """Says whether it goes on with an earlier session."""
    worker.begin()
    worker.result(f"{'resumed' if 'resume' in worker.options else 'new'} session {worker.session}")


def echo(worker: Worker) -> None:
    """Answers with its prompt."""
    worker.begin()
    worker.result(worker.prompt)


def hang(worker: Worker) -> None:
    """Never ends, unless it is interrupted."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    worker.begin()
    while True:
        time.sleep(60)


def linger(worker: Worker) -> None:
    """Answers, and does not end."""
    answer(worker)
    while True:
        time.sleep(60)


def hang_once(worker: Worker) -> None:
    """Never ends at the first attempt; then goes on."""
    if worker.attempt == 1:
        hang(worker)


def stubborn(worker: Worker) -> None:
    """From here on heeds neither SIGINT nor SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def polite(worker: Worker) -> None:
    """Works until it is interrupted, then hands in what it has as a success."""

    def hand_in(_number: int, _frame: object) -> None:
        worker.result("finished early")
        worker.note("end")
        os._exit(0)

    signal.signal(signal.SIGINT, hand_in)
    worker.begin()
    while True:
        time.sleep(60)


def children(worker: Worker) -> None:
    """Leaves a child in the group and one in a session of its own.

    Only the first has our stdout: the real program gives its own to none of the commands that it runs.
    """
    import subprocess

    for session, output in ((False, None), (True, subprocess.DEVNULL)):
        subprocess.Popen(
            ["sleep", "600"], start_new_session=session, stdout=output, stderr=subprocess.DEVNULL
        )


def nothing(worker: Worker) -> None:
    """Ends well without a word."""


def garbage(worker: Worker) -> None:
    """Writes what is no JSON at all, then half a line of it."""
    os.write(1, b'\xff\xfe\0\0{"type":\n[1,2\n{"type":"result","subtype":"succ')


def failed(worker: Worker) -> None:
    """Says itself that it failed."""
    worker.begin()
    worker.result("something broke", is_error=True)
    sys.exit(1)


def limited(worker: Worker) -> None:
    """Is refused with 429 at its first attempt."""
    if worker.attempt == 1:
        worker.begin()
        worker.result("rate limited", is_error=True, api_error_status=429)
        sys.exit(1)


def logged_out(worker: Worker) -> None:
    """Has no account."""
    worker.result("Not logged in · Please run /login", is_error=True, total_cost_usd=0)
    sys.exit(1)


def denied(worker: Worker) -> None:
    """Was refused a tool."""
    worker.begin()
    worker.result("I was not allowed to", permission_denials=[{"tool_name": "Bash", "tool_input": {}}])


def joined(worker: Worker) -> None:
    """Joins results, as the form of a synthesis wants it; or does what the environment says instead."""
    if other := os.environ.get("STANDIN_JOINS"):
        WORDS[other](worker)
        return
    quality = {"score": 4, "reasons": ["both were read"]}
    whole: dict[str, object] = {
        "deliverable": "# All of it\n\nOne and two.",
        "integration": ["one meets two"],
    }
    whole |= {"consistent": True, "conflicts": [], "missing": ["three"], "quality": quality}
    worker.begin()
    worker.result(json.dumps(whole), structured_output=whole)
    worker.note("end")


def killed(worker: Worker) -> None:
    """Dies of SIGKILL in the middle of its first attempt."""
    if worker.attempt == 1:
        worker.begin()
        os.kill(os.getpid(), signal.SIGKILL)


WORDS = {
    word.__name__.replace("_", "-"): word
    for word in (
        again, answer, children, denied, echo, failed, garbage, hang, hang_once, joined, killed, limited, linger,
        logged_out, nothing, polite, slow, stubborn,
    )
}  # fmt: skip

if __name__ == "__main__":
    main()
