"""Counts files, lines and bytes by language, and names the biggest files."""

from __future__ import annotations

from collections import Counter

from common import place, plural, publish, table
from tree import File, Listing, project_files, text_of, unread_reason


def main() -> None:
    """Prints the inventory of the current folder."""
    listing = project_files()
    lines, unread = counted_lines(listing.files)
    text = [
        "# Files and lines by language",
        "",
        f"{plural(len(listing.files), 'file')}, {plural(sum(lines.values()), 'line')}; "
        f"found by {listing.source}.",
        "",
        *table(("language", "files", "lines", "bytes"), by_language(listing.files, lines)),
        "",
        "## The longest source files",
        "",
        *table(("lines", "file"), longest(listing, lines)),
        "",
        "## The biggest files",
        "",
        *table(("bytes", "file"), biggest(listing.files)),
        "",
        *left_out(listing, unread),
    ]
    sizes = {file.path: lines[file.path] for file in listing.code if file.path in lines}
    publish("inventory", text, {"files": len(listing.files), "lines": sum(lines.values()), "lines_of": sizes})


def counted_lines(files: list[File]) -> tuple[dict[str, int], Counter[str]]:
    """Lines of each file that is text; how many files were not read, by reason."""
    lines: dict[str, int] = {}
    unread: Counter[str] = Counter()
    for file in files:
        text = text_of(file)
        if text is None:
            unread[unread_reason(file) or "changed while it was read"] += 1
        else:
            lines[file.path] = len(text.splitlines())
    return lines, unread


def by_language(files: list[File], lines: dict[str, int]) -> list[tuple[str, int, int, int]]:
    """Language, files, lines, bytes; most lines first."""
    sums: dict[str, tuple[int, int, int]] = {}
    for file in files:
        count, total, size = sums.get(file.language, (0, 0, 0))
        sums[file.language] = (count + 1, total + lines.get(file.path, 0), size + file.size)
    rows = [(language, *numbers) for language, numbers in sums.items()]
    return sorted(rows, key=lambda row: (-row[2], -row[3], row[0]))


def longest(listing: Listing, lines: dict[str, int]) -> list[tuple[int, str]]:
    """The code files with the most lines."""
    rows = [(lines[file.path], place(file.path)) for file in listing.code if file.path in lines]
    return sorted(rows, key=lambda row: (-row[0], row[1]))[:10]


def biggest(files: list[File]) -> list[tuple[int, str]]:
    """The files with the most bytes, of any kind."""
    return [
        (file.size, place(file.path)) for file in sorted(files, key=lambda file: (-file.size, file.path))[:10]
    ]


def left_out(listing: Listing, unread: Counter[str]) -> list[str]:
    """What was met and not counted, as a list for people."""
    reasons = Counter(listing.left_out)
    not_read = [
        f"- {plural(count, 'file')} without a line count: {reason}" for reason, count in unread.items()
    ]
    return (
        ["Not counted:", "", *(f"- {reason}: {count:,}" for reason, count in reasons.items()), *not_read]
        if (reasons or unread)
        else ["Everything was counted."]
    )


if __name__ == "__main__":
    main()
