#!/usr/bin/env python3
"""`python3 tests/lonely.py COMMAND...` runs it with loopback as its only network, where this machine permits that.

Elsewhere it runs as it is, after one line on stderr. The user stays who it is and files stay owned as they are:
root needs no user namespace, and anybody else is mapped to himself in his.
"""

import ctypes
import os
import socket
import struct
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
"""Flags of unshare(2), from <linux/sched.h>."""

SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
"""The request that sets the flags of an interface, and one of them; netdevice(7)."""


def main() -> int:
    """Becomes the command."""
    command = sys.argv[1:]
    if not command:
        print("usage: lonely.py COMMAND...", file=sys.stderr)
        return 2
    if not leave_the_network():
        print("lonely: no network namespaces here; the command runs with the network", file=sys.stderr)
    try:
        os.execvp(command[0], command)
    except OSError as problem:
        print(f"lonely: {command[0]}: {problem.strerror}", file=sys.stderr)
        return 127


def leave_the_network() -> bool:
    """Whether this process now has loopback alone; nothing has changed where not."""
    for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET):
        if sys.platform == "linux" and _succeeds(flags):
            _unshare(flags)
            return True
    return False


def _succeeds(flags: int) -> bool:
    """Whether all of it works, tried in a child: half of it would leave a process without any network."""
    child = os.fork()
    if not child:
        try:
            _unshare(flags)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def _unshare(flags: int) -> None:
    user, group = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")
    if flags & CLONE_NEWUSER:
        for name, words in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(words)
    _raise_loopback()


def _raise_loopback() -> None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


if __name__ == "__main__":
    sys.exit(main())
