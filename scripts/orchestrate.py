#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "click>=8.1.7",
#     "jinja2>=3.1.4",
#     "msgspec>=0.19",
#     "psutil>=5.9.8",
#     "pyyaml>=6.0.1",
#     "rich>=13.7",
# ]
# ///
"""The one entry: `python3 scripts/orchestrate.py COMMAND`, from any working directory.

Every Python from 3.6 on can read this file, so that an old one gets a sentence and not a syntax error.
"""

import os
import shutil
import sys


def forget_compiled() -> None:
    """Remove the program's compiled files: one that a full disk cut off would stay in the way for ever."""
    for folder, _, _ in os.walk(os.path.dirname(os.path.abspath(__file__))):
        if os.path.basename(folder) == "__pycache__":
            shutil.rmtree(folder, ignore_errors=True)
    sys.stderr.write(
        "orchestrate: a compiled file of the program was cut off, as by a full disk; all of them are removed."
        " Type the command again.\n"
    )
    sys.exit(5)


def start() -> None:
    """Run the command in an environment that has what it needs."""
    from orchestrator import bootstrap

    bootstrap.ensure_packages()
    from orchestrator.__main__ import main

    try:
        main()
    except ImportError as error:
        bootstrap.blame_environment(error)
        raise


def importing(error: BaseException) -> bool:
    """Whether Python itself ran into the error, reading a module."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step is not None and "importlib" in step.tb_frame.f_code.co_filename


if __name__ == "__main__":
    if getattr(sys.flags, "safe_path", False):
        # PYTHONSAFEPATH, -P or -I: of what they leave out the folder of this file is needed.
        sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
    try:
        start()
    except EOFError as error:
        if importing(error):
            forget_compiled()
        raise
