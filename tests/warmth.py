"""Commands of the program that need not import it: each is a fork of a Python that has.

A command is a process like any other, with its own folder, variables, streams and session, and it runs the entry
script from its first line. What a fork cannot show, how the interpreter itself starts, has its own tests: those of
`bootstrap`, `packaging` and `installing`, and whatever is begun `inside` another program.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "orchestrate.py"
FOR_PYTHON = "PYTHON"
AT_START = (FOR_PYTHON, "LC_", "LANG")
"""How variables begin that an interpreter reads once."""

LARGEST = 100_000
"""Bytes of a request; a socket takes twice as much in one piece."""


class _Server(NamedTuple):
    process: subprocess.Popen[bytes]
    channel: socket.socket


class Command(subprocess.Popen[str]):
    """A command under way; to whoever holds it, what `subprocess.Popen` would have begun."""

    def __init__(self, words: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> None:
        self.args, self.stdin, self.returncode = words, None, None
        # Pid and exit status stay two messages, also where both are there before the first is read.
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, err = os.pipe(), os.pipe()
        request = json.dumps({"words": words, "folder": str(folder), "environment": dict(environment)})
        server = _server(_read_at_start(environment))
        socket.send_fds(server.channel, [request.encode()], [theirs.fileno(), out[1], err[1]])
        for handed in (out[1], err[1]):
            os.close(handed)
        theirs.close()
        self.stdout, self.stderr = (open(end, encoding="utf-8") for end in (out[0], err[0]))
        self._texts: dict[IO[str], str] = {}
        self._readers: list[threading.Thread] = []
        self._server = server.process
        self.pid = self._told()

    def poll(self) -> int | None:
        """The exit status, if it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once it has ended."""
        if self.returncode is None:
            self._control.settimeout(timeout)
            try:
                self.returncode = self._told()
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._control.close()
        return self.returncode

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:  # noqa: A002
        """All it says, and its end."""
        assert input is None
        if not self._readers:
            open_ones = [stream for stream in (self.stdout, self.stderr) if stream and not stream.closed]
            self._readers = [threading.Thread(target=self._read, args=(s,), daemon=True) for s in open_ones]
            for reader in self._readers:
                reader.start()
        for reader in self._readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(timeout)
        assert self.stdout is not None
        assert self.stderr is not None
        return self._texts.get(self.stdout, ""), self._texts.get(self.stderr, "")

    def send_signal(self, sig: int) -> None:
        """As long as it lives."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            self._texts[stream] = stream.read()

    def _told(self) -> int:
        told = self._control.recv(64)
        assert told, (
            "it did not tell the end" if self._server.poll() is None else self._server.communicate()[1]
        )
        return int(told)


def can_begin(words: tuple[str, ...], environment: Mapping[str, str]) -> bool:
    """Whether a fork can be this command: one that is to have another Python than the tests starts it itself."""
    foreign = {item for item in _read_at_start(environment) if item[0].startswith(FOR_PYTHON)}
    size = sum(map(len, words)) + sum(len(name) + len(value) for name, value in environment.items())
    return sys.platform == "linux" and foreign <= set(os.environ.items()) and size < LARGEST // 6


def _read_at_start(environment: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in environment.items() if name.startswith(AT_START))


@functools.cache
def _server(read_at_start: frozenset[tuple[str, str]]) -> _Server:
    """A Python that was started with these variables; it ends with this process.

    Its output is a pipe, as that of the commands: Python looks once whether it can seek there.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()],
            env={"PATH": os.environ.get("PATH", os.defpath), **dict(read_at_start)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    return _Server(process, ours)


def serve(channel: socket.socket) -> dict[str, Any]:
    """Forks for each request; returns only in the forks, with what is to be run."""
    ends: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as looked_at:
        looked_at.register(channel, selectors.EVENT_READ)
        while True:
            for key, _ in looked_at.select():
                if key.fileobj is not channel:
                    looked_at.unregister(key.fd)
                    _tell_the_end(key.fd, *ends.pop(key.fd))
                    continue
                request, handed, *_ = socket.recv_fds(channel, LARGEST, 3)
                if not request:
                    os._exit(0)
                control = socket.socket(fileno=handed[0])
                pid = os.fork()
                if not pid:
                    looked_at.close()
                    for closed in (channel, control, *(told for _, told in ends.values())):
                        closed.close()
                    for pidfd in ends:
                        os.close(pidfd)
                    return _become(json.loads(request), *handed[1:])
                for end in handed[1:]:
                    os.close(end)
                pidfd = os.pidfd_open(pid)
                ends[pidfd] = pid, control
                looked_at.register(pidfd, selectors.EVENT_READ)
                control.send(str(pid).encode())


def _tell_the_end(pidfd: int, pid: int, control: socket.socket) -> None:
    os.close(pidfd)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with control, contextlib.suppress(BrokenPipeError):
        control.send(str(status).encode())


def _become(request: dict[str, Any], out: int, err: int) -> dict[str, Any]:
    os.setsid()
    for end, number in ((out, 1), (err, 2)):
        os.dup2(end, number)
        os.close(end)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    return request


def _warm_up() -> None:
    """Imports and compiles all that commands do themselves where they need it."""
    import pkgutil
    import zoneinfo  # noqa: F401

    import orchestrator

    for module in pkgutil.walk_packages(orchestrator.__path__, "orchestrator."):
        if not module.name.startswith("orchestrator.demo."):
            importlib.import_module(module.name)
    templates = importlib.import_module("orchestrator.edges.templates")
    folder = templates.templates_folder()
    for path in folder.rglob("*.j2"):
        # Without its variables it cannot be rendered, but it has been compiled then.
        with contextlib.suppress(Exception):
            templates.Templates(None).render(path.relative_to(folder).as_posix())


def main() -> NoReturn:
    """Serves until whoever asked for it has gone; each fork then is the program."""
    sys.path[0] = str(SCRIPT.parent)
    _warm_up()
    gc.collect()
    gc.freeze()
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    sys.argv = [str(SCRIPT), *asked["words"]]
    runpy.run_path(str(SCRIPT), run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    main()
