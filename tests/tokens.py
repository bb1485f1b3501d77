"""About how many tokens each document costs its reader, and how many it may cost: `python3 tests/tokens.py`."""

from __future__ import annotations

from pathlib import Path

CHARACTERS = 3.5
"""For each token: an estimate on the safe side for English with code; no tokenizer is public."""

BUDGETS = {
    "SKILL.md": 3_000,
    "workflow.md": 4_000,
    "templates.md": 7_000,
    "cli-integration.md": 7_500,
    "examples.md": 5_500,
}
OTHERS = 6_000
"""Tokens for a document without a budget of its own."""


def tokens(text: str) -> int:
    """An estimate."""
    return round(len(text) / CHARACTERS)


def budget(page: Path) -> int:
    """Tokens that a document may cost."""
    return BUDGETS.get(page.name, OTHERS)


def main() -> None:
    """One line for each document."""
    for page in sorted(Path(__file__).resolve().parent.parent.glob("*.md")):
        print(f"{page.name:22}{tokens(page.read_text(encoding='utf-8')):7} of {budget(page)}")


if __name__ == "__main__":
    main()
