"""`python meter.py RECORD COMMAND...` runs a command and writes what it took to the file RECORD, as JSON.

The kernel counts the memory of a process as at least that of the one it was spawned from: a command started
by the measuring program itself would never be smaller than that one. This program is smaller than any.
"""

import json
import os
import sys
import time


def main() -> None:
    """Exit as the command did; the record has its seconds, CPU seconds, peak memory in kB, exit status."""
    record, command = sys.argv[1], sys.argv[2:]
    begin = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    taken = time.monotonic() - begin
    exit_status = os.waitstatus_to_exitcode(status)
    facts = {
        "seconds": taken,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_kb": usage.ru_maxrss,
        "exit": exit_status,
    }
    with open(record, "w", encoding="utf-8") as file:
        json.dump(facts, file)
    sys.exit(exit_status if exit_status >= 0 else 128 - exit_status)


main()
