"""Joins complexity with churn: what is hard to understand and changed all the time costs most."""

from __future__ import annotations

import sys

from common import Record, place, publish, read_results, shown, table


def main() -> None:
    """Prints the files by commits x complexity of their hardest function."""
    functions, churn = read_results(sys.argv[1:], "functions", "churn")
    commits: dict[str, int] = churn.get("commits_of", {})
    risks = sorted(_risks(functions["files"], commits), key=lambda risk: (-risk["risk"], risk["path"]))
    known = (
        "Risk is commits x complexity of the hardest function."
        if commits
        else "There is no git history, so nothing is known about how often the code changes."
    )
    head = ("risk", "commits", "complexity", "hardest function", "where")
    text = ["# Complex code that changes often", "", known, "", *table(head, [_row(risk) for risk in risks])]
    publish("risk", text, {"files": risks[:1000]})


def _risks(files: Record, commits: dict[str, int]) -> list[Record]:
    joined = [(path, facts["hardest"], commits.get(path, 0)) for path, facts in files.items()]
    return [
        {"path": path, "commits": count, "risk": count * hardest["complexity"], **hardest}
        for path, hardest, count in joined
        if count
    ]


def _row(risk: Record) -> tuple[int, int, int, str, str]:
    where = place(risk["path"], risk["line"])
    return risk["risk"], risk["commits"], risk["complexity"], shown(risk["name"]), where


if __name__ == "__main__":
    main()
