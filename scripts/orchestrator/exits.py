"""The exit statuses of our commands. `errors.py` gives every error one of them; a run ends with one as well."""

from __future__ import annotations

COMPLETED = 0
"""All that was asked for is done, or answered."""

FAILED = 1
"""A run ended without having completed all tasks; a command, with an error that is none of the others."""

USAGE = 2
"""A wrong word on the command line, a plan or journal that is none."""

WAITS = 3
"""A person has to say or do something."""

LIMIT = 4
"""A limit of the run stopped it: its budget, its deadline, its rounds, its growth."""

ENVIRONMENT = 5
"""Something of this machine stands in the way."""

HELD = 6
"""Another dispatcher writes the workspace."""

STILL_RUNNING = 75
"""What was waited for has not come yet; EX_TEMPFAIL of <sysexits.h>."""

INTERRUPTED = 130
"""A person stopped it, or its dispatcher is gone; what a shell says of SIGINT: 128 + 2."""
