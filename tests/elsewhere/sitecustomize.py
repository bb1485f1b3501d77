"""Put on PYTHONPATH, makes Python here the Python of macOS: without what only Linux has.

Left out are the functions and constants that Python's documentation calls missing there.
"""

import os
import signal
import sys
import time
import urllib.request  # noqa: F401  (these look at the platform when they are imported)
import uuid  # noqa: F401
import zoneinfo  # noqa: F401

import psutil  # noqa: F401

for module, names in {
    os: "fdatasync pipe2 waitid waitid_result P_PID P_PGID P_ALL P_PIDFD WEXITED WNOWAIT WSTOPPED pidfd_open"
    " sched_getaffinity sched_setaffinity posix_fadvise posix_fallocate copy_file_range eventfd memfd_create"
    " setxattr getxattr splice",
    signal: "pidfd_send_signal sigtimedwait sigwaitinfo SIGPWR SIGSTKFLT SIGRTMIN SIGRTMAX",
    time: "CLOCK_BOOTTIME CLOCK_TAI",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

sys.platform = "darwin"
