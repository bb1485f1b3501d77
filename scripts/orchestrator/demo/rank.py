"""Joins everything into one ranked list of places worth attention, each with its reasons.

The points have fixed scales, not relative ones: where nothing is wrong the list is short or empty.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from common import TOP, Record, place, plural, publish, read_results, shown
from tree import is_test

KINDS = ("inventory", "functions", "todos", "duplicates", "coupling", "untested", "risk", "hidden")
SCALES = (
    "Points: does not parse 25; complexity of the hardest function above 10, one each up to 30; lines "
    "of the longest above 60, one per 20 up to 10; commits x complexity (above 10, three commits or "
    "more), one per 12 up to 25; no test, one per 8 of the file's complexity up to 15; copied lines, "
    "one per 6 up to 15; import cycle 8; importers from 10 on, one per 5 up to 8; each unrelated file "
    "that changes with it 4, up to 8; FIXME, BUG, HACK, XXX 2 each and TODO 1 each, up to 8. Tests "
    "count half."
)


@dataclass(frozen=True)
class Reason:
    """Why a file is worth attention; `line` where the reader should look first."""

    path: str
    points: float
    text: str
    line: int | None = None


def main() -> None:
    """Prints the ranked list."""
    inventory, *others = read_results(sys.argv[1:], *KINDS)
    ranked = rank([reason for data in others for reason in REASONS[data["kind"]](data)])
    looked = f"{plural(inventory['files'], 'file')}, {plural(inventory['lines'], 'line')} were looked at"
    found = f"{plural(len(ranked), 'place')} worth attention." if ranked else "nothing stands out."
    text = ["# Places worth attention", "", f"{looked}: {found}", "", SCALES]
    for number, (path, reasons) in enumerate(ranked[:TOP], 1):
        text += ["", *_entry(number, path, reasons, inventory["lines_of"].get(path))]
    if len(ranked) > TOP:
        text += ["", f"... and {plural(len(ranked) - TOP, 'more file')} with fewer points."]
    records = [
        {"path": path, "points": _total(reasons), "reasons": [reason.text for reason in reasons]}
        for path, reasons in ranked
    ]
    publish("ranking", text, {"places": records[:100]})


def rank(reasons: list[Reason]) -> list[tuple[str, list[Reason]]]:
    """Files with their reasons, most points first; less than 3 points is not worth a line."""
    by_path: dict[str, list[Reason]] = {}
    for reason in reasons:
        if reason.points > 0:
            by_path.setdefault(reason.path, []).append(reason)
    for group in by_path.values():
        group.sort(key=lambda reason: (-reason.points, reason.text))
    ranked = [(path, group) for path, group in by_path.items() if _total(group) >= 3]
    return sorted(ranked, key=lambda entry: (-_total(entry[1]), entry[0]))


def from_functions(data: Record) -> Iterator[Reason]:
    """Files that do not parse, and functions that are too complex or too long."""
    for broken in data["broken"]:
        yield Reason(
            broken["path"],
            25,
            f"does not parse (line {broken['line']}): {shown(broken['error'])}",
            broken["line"],
        )
    for path, facts in data["files"].items():
        hard, long = facts["hardest"], facts["longest"]
        text = f"{shown(hard['name'])} has complexity {hard['complexity']} (line {hard['line']})"
        yield Reason(path, min(30, hard["complexity"] - 10), text, hard["line"])
        text = f"{shown(long['name'])} is {long['lines']} lines long (line {long['line']})"
        yield Reason(path, min(10, (long["lines"] - 60) / 20), text, long["line"])


def from_todos(data: Record) -> Iterator[Reason]:
    """Files with notes; a note that says "wrong" weighs more than one that says "missing"."""
    notes: dict[str, list[Record]] = {}
    for note in data["notes"]:
        notes.setdefault(note["path"], []).append(note)
    for path, group in notes.items():
        points = sum(1 if note["word"] == "TODO" else 2 for note in group)
        first = f"{group[0]['word']} (line {group[0]['line']}) {group[0]['text']}"
        yield Reason(path, min(8, points), f"{plural(len(group), 'note')}; {first}", group[0]["line"])


def from_duplicates(data: Record) -> Iterator[Reason]:
    """Files with lines that stand elsewhere too, with the place of the largest copy."""
    for path, facts in data["copied"].items():
        (first, last), (other, start, end) = facts["largest"], facts["also"]
        text = f"{plural(facts['lines'], 'copied line')}, {first}-{last} also in {place(other, start)}-{end}"
        yield Reason(path, min(15, facts["lines"] / 6), text, first)


def from_coupling(data: Record) -> Iterator[Reason]:
    """Members of import cycles, and hubs."""
    for knot in data["cycles"]:
        for path in knot:
            others = ", ".join(place(each) for each in knot if each != path)
            text = (
                f"import cycle with {others}"
                if len(knot) <= 4
                else f"in an import cycle of {len(knot)} files"
            )
            yield Reason(path, 8, text)
    for path, count in data["importers"].items():
        if count >= 10:
            yield Reason(path, min(8, count / 5), f"a change reaches {count} importers")


def from_untested(data: Record) -> Iterator[Reason]:
    """Code without tests; where there are none at all, that is no reason for one place before another."""
    for file in data["files"] if data["tests"] else ():
        size = f"{plural(file['functions'], 'function')}, complexity {file['complexity']}"
        yield Reason(file["path"], min(15, file["complexity"] / 8), f"no test imports or names it ({size})")


def from_risk(data: Record) -> Iterator[Reason]:
    """Complex code that changes often."""
    for file in data["files"]:
        if file["complexity"] > 10 and file["commits"] >= 3:
            text = f"changed in {file['commits']} commits, hardest function {shown(file['name'])}"
            yield Reason(file["path"], min(25, file["risk"] / 12), text, file["line"])


def from_hidden(data: Record) -> Iterator[Reason]:
    """Files that change with others that they have no visible relation to."""
    partners: dict[str, list[str]] = {}
    for pair in data["pairs"]:
        for path, other in ((pair["a"], pair["b"]), (pair["b"], pair["a"])):
            partners.setdefault(path, []).append(f"{place(other)} ({pair['commits']} commits)")
    for path, others in partners.items():
        yield Reason(
            path, min(8, 4 * len(others)), f"changes together with {', '.join(others[:3])}, no import between"
        )


REASONS = {
    "functions": from_functions,
    "todos": from_todos,
    "duplicates": from_duplicates,
    "coupling": from_coupling,
    "untested": from_untested,
    "risk": from_risk,
    "hidden": from_hidden,
}


def _total(reasons: list[Reason]) -> float:
    points = sum(reason.points for reason in reasons)
    return round(points / 2 if is_test(reasons[0].path) else points, 1)


def _entry(number: int, path: str, reasons: list[Reason], lines: int | None) -> list[str]:
    line = next((reason.line for reason in reasons if reason.line), None)
    size = f", {plural(lines, 'line')}" if lines else ""
    half = ", a test: half" if is_test(path) else ""
    head = f"{number}. {place(path, line)} ({_total(reasons):.1f} points{half}{size})"
    return [head, *(f"   - {reason.text} [{reason.points:.1f}]" for reason in reasons)]


if __name__ == "__main__":
    main()
