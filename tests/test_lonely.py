from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, Done

LONELY = (sys.executable, str(ROOT / "tests" / "lonely.py"))

LOOK = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
open(sys.argv[1], "w").close()
print(os.geteuid(), [name for _, name in socket.if_nameindex()])
"""

NO_MORE_NAMESPACES = """
import os, sys
sys.path.insert(0, sys.argv[1])
import lonely
try:
    user = os.geteuid()
    assert not lonely.ctypes.CDLL(None).unshare(lonely.CLONE_NEWUSER)
    open("/proc/self/uid_map", "w").write(f"0 {user} 1")
    for name in ("net", "user"):
        open(f"/proc/sys/user/max_{name}_namespaces", "w").write("0")
except (AssertionError, OSError):
    sys.exit(77)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def lonely(*command: str, inside: tuple[str, ...] = LONELY) -> Done:
    done = subprocess.run([*inside, *command], capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def test_loopback_is_all_there_is_and_the_user_stays_who_it_is(tmp_path: Path) -> None:
    done = lonely(sys.executable, "-c", LOOK, str(tmp_path / "mine"))

    if "no network namespaces" in done.err:
        pytest.skip("this machine permits no network namespaces")
    assert done == (0, f"{os.geteuid()} ['lo']\n", "")
    assert (tmp_path / "mine").stat().st_uid == os.geteuid()


def test_the_exit_status_is_that_of_the_command() -> None:
    assert lonely("sh", "-c", "exit 7").status == 7
    assert lonely().status == 2


def test_a_command_that_does_not_exist_is_named() -> None:
    done = lonely("no-such-command")

    assert done.status == 127
    assert done.err.splitlines()[-1] == "lonely: no-such-command: No such file or directory"


def test_where_it_is_not_permitted_the_command_runs_as_it_is() -> None:
    forbidding = (sys.executable, "-c", NO_MORE_NAMESPACES, str(ROOT / "tests"), LONELY[1])
    done = lonely("echo", "here", inside=forbidding)

    if done.status == 77:
        pytest.skip("this machine permits no user namespaces")
    assert done == (0, "here\n", "lonely: no network namespaces here; the command runs with the network\n")
