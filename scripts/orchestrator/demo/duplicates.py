"""Finds blocks of code that stand in more than one place."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

from common import Record, place, plural, publish, table
from tree import File, is_minified, project_files, text_of

# Shorter runs are mostly idiom: the same imports, the same argument lists.
WINDOW = 8
FEWEST_DISTINCT = 6
# Above this many places all pairs are too many: each place is compared with the first one alone.
ALL_PAIRS = 4
# Boilerplate that stands everywhere would otherwise take memory without bound.
MOST_PLACES = 50
MOST_LINES = 1_000_000
MOST_BLOCKS = 200
# Blank lines, comments, imports, closing brackets and rows of data say nothing about copied code.
INSIGNIFICANT = re.compile(
    r"^(?:$|#(?!include)|//|/?\*|import\b|from\b.*\bimport\b|use\b|using\b|#include|[-+]?[\d.]|[\"'\\]|[^A-Za-z]*$)"
)


@dataclass(frozen=True)
class Source:
    """The significant lines of a file: a number for each text, and the line where it stands."""

    path: str
    texts: list[int]
    lines: list[int]


@dataclass(frozen=True, order=True)
class Run:
    """Equal lines in two sources: their indexes, where the runs start, how many lines."""

    length: int
    left: tuple[int, int]
    right: tuple[int, int]


def main() -> None:
    """Prints the duplicate blocks of the current folder."""
    sources = read(project_files().code)
    blocks = [_block(group, sources) for group in groups(runs(sources), sources)]
    blocks.sort(key=lambda block: (-block["lines"] * (len(block["places"]) - 1), str(block["places"])))
    copied = copies(blocks)
    text = [
        "# Duplicate blocks",
        "",
        f"{plural(len(blocks), 'block')} of at least {WINDOW} significant lines, equal but for indentation, "
        f"in {plural(len(copied), 'file')}. Comments, imports and rows of data were not compared.",
        "",
        *table(("lines", "places", "where"), [_row(block) for block in blocks]),
    ]
    publish("duplicates", text, {"blocks": blocks[:MOST_BLOCKS], "copied": copied})


def read(files: list[File]) -> list[Source]:
    """The significant lines of all files that a person wrote."""
    numbers: dict[str, int] = {}
    sources = []
    read_lines = 0
    for file in files:
        text = text_of(file)
        if text is None or is_minified(text) or read_lines > MOST_LINES:
            continue
        stripped = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
        kept = [(number, line) for number, line in stripped if not INSIGNIFICANT.match(line)]
        texts = [numbers.setdefault(line, len(numbers)) for _, line in kept]
        read_lines += len(kept)
        sources.append(Source(file.path, texts, [number for number, _ in kept]))
    return sources


def runs(sources: list[Source]) -> list[Run]:
    """The longest equal runs of two places each, overlaps of a run with itself left out."""
    diagonals: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for spots in windows(sources):
        all_pairs = (
            combinations(spots, 2) if len(spots) <= ALL_PAIRS else ((spots[0], spot) for spot in spots[1:])
        )
        for (left, i), (right, j) in all_pairs:
            if left != right or j - i >= WINDOW:
                diagonals[left, right, j - i].append(i)
    found = []
    for (left, right, shift), starts in diagonals.items():
        for first, last in _stretches(sorted(starts)):
            length = last - first + WINDOW
            length = min(length, shift) if left == right else length
            found.append(Run(length, (left, first), (right, first + shift)))
    return found


def windows(sources: list[Source]) -> Iterator[list[tuple[int, int]]]:
    """Yields the places (source, index) of every window of lines that stands in several."""
    first: dict[int, tuple[int, int]] = {}
    repeated: dict[int, list[tuple[int, int]]] = {}
    for number, source in enumerate(sources):
        for start in range(len(source.texts) - WINDOW + 1):
            window = tuple(source.texts[start : start + WINDOW])
            spot = (number, start)
            if (
                len(set(window)) >= FEWEST_DISTINCT
                and (before := first.setdefault(hash(window), spot)) != spot
            ):
                repeated.setdefault(hash(window), [before]).append(spot)
    return (spots[:MOST_PLACES] for spots in repeated.values())


def groups(found: list[Run], sources: list[Source]) -> list[list[tuple[int, int, int]]]:
    """Places (source, index, length) of equal content, together; content inside larger content is dropped."""
    by_content: dict[tuple[int, ...], set[tuple[int, int, int]]] = defaultdict(set)
    for run in sorted(found, reverse=True):
        for number, start in (run.left, run.right):
            content = tuple(sources[number].texts[start : start + run.length])
            by_content[content].add((number, start, run.length))
    kept: list[list[tuple[int, int, int]]] = []
    covered: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for places in sorted(by_content.values(), key=lambda each: -next(iter(each))[2]):
        new = [(n, i, length) for n, i, length in places if not _inside(covered[n], i, i + length)]
        if len(places) > 1 and new:
            kept.append(sorted(places))
            for number, start, length in places:
                covered[number].append((start, start + length))
    return kept


def copies(blocks: list[Record]) -> dict[str, Record]:
    """For each file the number of lines that stand elsewhere too, the largest block and where else it is."""
    lines: dict[str, set[int]] = defaultdict(set)
    largest: dict[str, tuple[int, list[object], list[object]]] = {}
    for block in blocks:
        first, second = block["places"][:2]
        for here in block["places"]:
            lines[here[0]].update(range(here[1], here[2] + 1))
            if block["lines"] > largest.get(here[0], (0,))[0]:
                largest[here[0]] = (block["lines"], here[1:], second if here == first else first)
    return {
        path: {"lines": len(numbers), "largest": largest[path][1], "also": largest[path][2]}
        for path, numbers in sorted(lines.items(), key=lambda each: (-len(each[1]), each[0]))
    }


def _stretches(starts: list[int]) -> Iterator[tuple[int, int]]:
    first = starts[0]
    for before, after in pairwise(starts):
        if after > before + 1:
            yield first, before
            first = after
    yield first, starts[-1]


def _inside(stretches: list[tuple[int, int]], start: int, end: int) -> bool:
    return any(first <= start and end <= last for first, last in stretches)


def _block(group: list[tuple[int, int, int]], sources: list[Source]) -> Record:
    places = [
        [sources[number].path, sources[number].lines[start], sources[number].lines[start + length - 1]]
        for number, start, length in group
    ]
    return {"lines": group[0][2], "places": places}


def _row(block: Record) -> tuple[int, int, str]:
    spots = [f"{place(path, first)}-{last}" for path, first, last in block["places"]]
    rest = f" and {len(spots) - 4} more" if len(spots) > 4 else ""
    return block["lines"], len(spots), ", ".join(spots[:4]) + rest


if __name__ == "__main__":
    main()
