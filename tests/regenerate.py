"""Write anew what the documents show of the program: help texts, variables and samples of templates.

python3 tests/regenerate.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent / "scripts")]


def main() -> None:
    """Write both documents; says which have changed."""
    from pages import COMMANDS, TEMPLATES, with_helps, with_lists, with_samples
    from samples import samples

    for page, text in (
        (COMMANDS, with_lists(with_helps(COMMANDS.read_text(encoding="utf-8")))),
        (TEMPLATES, with_samples(TEMPLATES.read_text(encoding="utf-8"), samples())),
    ):
        if page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
            print(f"{page.name}: written anew")


if __name__ == "__main__":
    main()
