#!/usr/bin/env python3
"""`python3 evals/run.py [NAME...]` tries what SKILL.md promises, with the real claude program and a scripted model.

The checks do what SKILL.md says; the cases play the sessions that are written for them, and hold them to what
evals.json expects. That needs no account and costs nothing. `--live --max-cost USD` plays the cases and the queries of
triggers.json with your account and its model instead, and is paid for. Exit status: 0 all is as expected, 1 something
is not, 2 bad usage, 4 the ceiling was reached, 5 a program or a package is missing, 130 interrupted.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests"))

from claude_program import FOLDER_VARIABLE, NEWEST, VERSIONS, is_there

from orchestrator import bootstrap


def main() -> int:
    """Tries, lists or writes what was asked for."""
    asked = _arguments()
    if asked.write:
        return _write()
    if not asked.live and not asked.list and not is_there(asked.version):
        where = f"run tests/check.py, or name a folder by {FOLDER_VARIABLE}"
        print(f"run: claude {asked.version} is not installed: {where}", file=sys.stderr)
        return bootstrap.EXIT_ENVIRONMENT
    return _try(asked)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Try what SKILL.md promises, with the real claude program.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to try; default: everything")
    parser.add_argument("--list", action="store_true", help="list what there is, and try nothing")
    parser.add_argument(
        "--version", choices=VERSIONS, default=NEWEST, help="of claude, for the scripted model"
    )
    parser.add_argument("--live", action="store_true", help="with your account: costs money")
    parser.add_argument("--max-cost", type=float, metavar="USD", help="what --live may cost in all")
    parser.add_argument("--write", action="store_true", help="write the form of `claude plugin eval` anew")
    asked = parser.parse_args()
    if asked.live and (asked.max_cost is None or not asked.max_cost > 0):
        parser.error("--live needs a ceiling: --max-cost USD")
    if asked.max_cost is not None and not asked.live:
        parser.error("--max-cost is for --live; nothing else costs anything")
    return asked


def _try(asked: argparse.Namespace) -> int:
    import trying

    from orchestrator import claudeprogram, runs
    from orchestrator.errors import OrchestratorError

    try:
        if asked.live:
            found = list(trying.live(Path(claudeprogram.find(None)), runs.worker_environment(os.environ)))
        else:
            found = list(trying.scripted(asked.version))
    except OrchestratorError as error:
        print(f"run: {error}", file=sys.stderr)
        return error.exit_code
    unknown = sorted(set(asked.names) - {trial.name for trial in found})
    if unknown:
        print(f"run: there is no {', '.join(unknown)}; see --list", file=sys.stderr)
        return 2
    chosen = [trial for trial in found if not asked.names or trial.name in asked.names]
    if asked.list:
        print("\n".join(f"{trial.name:32}  {trial.about}" for trial in chosen))
        return 0
    return trying.tried(chosen, asked.max_cost)


def _write() -> int:
    import cases

    for case in cases.all_cases():
        for grader in (case.folder / "graders").glob("*.md"):
            grader.unlink()
        for path, content in cases.rendered(case).items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    bootstrap.ensure_packages()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(bootstrap.EXIT_INTERRUPTED)
