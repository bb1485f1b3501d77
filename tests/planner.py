#!/usr/bin/env python3
"""A stand-in for the claude program that answers each task as a file says: `PLANNER_ANSWERS` names it.

The file is JSON: by the task's id a text, or a map, which is a structured answer. A text that begins with `hold` waits
until `go` is in the project folder.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from fakeclaude import ABOUT


def main() -> None:
    """Answers what it is asked."""
    if sys.argv[1:] in (["--version"], ["--help"]):
        print(ABOUT[sys.argv[1]])
        return
    sys.stdin.read()
    task = os.environ["ORCHESTRATE_ATTEMPT"].rpartition("/")[2].rpartition(".")[0]
    with open(os.environ["STANDIN_LEDGER"], "a", encoding="utf-8") as ledger:
        ledger.write(f"start {task}\n")
    answer = json.loads(Path(os.environ["PLANNER_ANSWERS"]).read_text(encoding="utf-8"))[task]
    while isinstance(answer, str) and answer.startswith("hold") and not Path("go").exists():
        time.sleep(0.02)
    text = answer if isinstance(answer, str) else json.dumps(answer)
    structured = {"structured_output": answer} if isinstance(answer, dict) else {}
    say(type="system", subtype="init", model="planner")
    usage = {"input_tokens": 100, "output_tokens": 10}
    facts = {"subtype": "success", "is_error": False, "num_turns": 1, "total_cost_usd": 0.25, "usage": usage}
    say(**{"type": "result", **facts, "result": text, **structured})


def say(**line: object) -> None:
    """One line of stream-json."""
    session = next((w.partition("=")[2] for w in sys.argv if w.startswith("--session-id=")), "")
    print(json.dumps({**line, "session_id": session}), flush=True)


if __name__ == "__main__":
    main()
