"""Finds files that change together in the history although neither imports the other."""

from __future__ import annotations

import sys

from common import Record, place, plural, publish, read_results, table
from tree import is_test

FEWEST_SHARED = 4
LEAST_SHARE = 0.5


def main() -> None:
    """Prints the pairs that belong together without saying so."""
    imports, churn = read_results(sys.argv[1:], "imports", "churn")
    pairs = hidden(imports, churn.get("commits_of", {}), churn.get("together", []))
    what = (
        f"{plural(len(pairs), 'pair')} of code files share at least {FEWEST_SHARED} commits and half of the "
        "commits of the one that changed less, though neither imports the other. Tests are left out."
        if churn["commits"]
        else "There is no git history, so nothing is known about files that change together."
    )
    rows = [(pair["commits"], f"{pair['share']:.0%}", place(pair["a"]), place(pair["b"])) for pair in pairs]
    text = ["# Hidden coupling", "", what, "", *table(("commits", "share", "file", "file"), rows)]
    publish("hidden", text, {"pairs": pairs[:1000]})


def hidden(imports: Record, commits: dict[str, int], together: list[list[str | int]]) -> list[Record]:
    """The pairs, most shared commits first; `share` is of the commits of the file that changed less."""
    linked = {
        frozenset((importer, target))
        for kind in ("early", "late")
        for importer, targets in imports[kind].items()
        for target in targets
    }
    pairs = []
    for a, b, count in ((str(a), str(b), int(count)) for a, b, count in together):
        share = count / min(commits[a], commits[b])
        tested = is_test(a) or is_test(b)
        if count >= FEWEST_SHARED and share >= LEAST_SHARE and not tested and frozenset((a, b)) not in linked:
            pairs.append({"a": a, "b": b, "commits": count, "share": round(share, 3)})
    return pairs


if __name__ == "__main__":
    main()
