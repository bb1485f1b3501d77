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

from orchestrator import bootstrap

if __name__ == "__main__":
    bootstrap.ensure_packages()
    from orchestrator.__main__ import main

    try:
        main()
    except ImportError as error:
        bootstrap.blame_environment(error)
        raise
