"""The console script `orchestrate`, and `python -m orchestrator`."""

from __future__ import annotations

import sys

from orchestrator import __version__


def main() -> None:
    """Runs the command line; `--version` alone is answered without importing what the commands need."""
    if sys.argv[1:] == ["--version"]:
        print(f"orchestrate {__version__}")
        return
    from orchestrator.commands import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
