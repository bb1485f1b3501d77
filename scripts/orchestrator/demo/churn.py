"""Reads the git history: which files change most, and which change together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

from common import place, plural, publish, table
from tree import git, project_files

COMMITS = 1000
# A commit over more files is a rename or a reformat and says nothing about what belongs together.
WIDEST_COMMIT = 20
FEWEST_TOGETHER = 3
MOST_PAIRS = 5000


@dataclass(frozen=True)
class Commit:
    """When (seconds since 1970), by whom, which files."""

    time: int
    author: str
    paths: tuple[str, ...]


def main() -> None:
    """Prints the hot spots of the current folder's history."""
    # Names alone: for line counts git would compare, and in a partial clone download, every version.
    log = git(
        "log", f"--max-count={COMMITS}", "--no-merges", "--no-renames", "--name-only", "--relative", "-z",
        "--format=%x01%at%x02%ae", "--", ".",
    )  # fmt: skip
    listing = project_files()
    commits = list(parse(log or ""))
    if not commits:
        publish(
            "churn",
            ["# Git history", "", f"{_no_history(log)} Nothing is known about churn."],
            {"commits": 0},
        )
        return
    present = {file.path for file in listing.files}
    code = {file.path for file in listing.code}
    counts = Counter(path for commit in commits for path in commit.paths if path in present)
    pairs = together(commits, code)
    text = [
        "# Git history",
        "",
        f"The last {plural(len(commits), 'commit')} without merges, {_day(commits[-1].time)} to "
        f"{_day(commits[0].time)}. A rename starts a new count.",
        "",
        "## Files that change most",
        "",
        *table(("commits", "authors", "last change", "file"), hot_spots(commits, counts)),
        "",
        "## Files that change together",
        "",
        f"Pairs of code files in commits of at most {WIDEST_COMMIT} files.",
        "",
        *table(("commits", "file", "file"), [(count, place(a), place(b)) for a, b, count in pairs]),
    ]
    publish(
        "churn",
        text,
        {"commits": len(commits), "commits_of": dict(counts.most_common()), "together": pairs[:MOST_PAIRS]},
    )


def parse(log: str) -> Iterator[Commit]:
    """Yields the commits of `git log -z --name-only`, newest first."""
    for record in log.split("\x01")[1:]:
        head, *paths = record.replace("\n", "\0", 1).split("\0")
        time, _, author = head.partition("\x02")
        if time.isdigit():
            yield Commit(int(time), author, tuple(path.lstrip("\n") for path in paths if path.strip("\n")))


def hot_spots(commits: list[Commit], counts: Counter[str]) -> list[tuple[int, int, str, str]]:
    """Commits, authors, day of the last change and name of the files that change most."""
    rows = []
    for path, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:15]:
        touching = [commit for commit in commits if path in commit.paths]
        authors = len({commit.author for commit in touching})
        rows.append((count, authors, _day(max(commit.time for commit in touching)), place(path)))
    return rows


def together(commits: list[Commit], code: set[str]) -> list[tuple[str, str, int]]:
    """Pairs of code files and the number of commits that changed both, most first."""
    counts: Counter[tuple[str, str]] = Counter()
    for commit in commits:
        if len(commit.paths) <= WIDEST_COMMIT:
            counts.update(combinations(sorted(set(commit.paths) & code), 2))
    kept = [(a, b, count) for (a, b), count in counts.items() if count >= FEWEST_TOGETHER]
    return sorted(kept, key=lambda pair: (-pair[2], pair[0], pair[1]))


def _no_history(log: str | None) -> str:
    return "There is no git history to read here." if log is None else "No commit touches this folder."


def _day(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


if __name__ == "__main__":
    main()
