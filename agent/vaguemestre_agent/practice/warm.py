"""A warm process: it has imported the agent and forks a fresh process for each life asked of it, on Unix.

Owns the fork and the reports of ends. Never runs a thread or a loop before a fork, never shares anything but imported
modules: each child is a process of its own, with its own files, sockets and death. Requests come as JSON lines on the
standard input, reports leave on the standard output; when the input ends, every child is killed. A worker of the agent
is forked the same way, for the small program of ``relay.py`` that hands over its standard input and output.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

READY: Final = "ready"
WARM: Final = (
    "vaguemestre_agent.cli.logs",
    "vaguemestre_agent.resident",
    "vaguemestre_agent.selftest.crash.subject",
    "vaguemestre_documents.worker",
)
WORKER: Final = "vaguemestre_documents.worker"
_CHUNK: Final = 65536
_FDS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a child has to do: a module with its arguments, and where its streams go (descriptors)."""

    module: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    streams: tuple[int, int, int]
    keep: socket.socket | None = None


@dataclass(slots=True)
class WarmServer:
    """The parent of all lives."""

    workers_at: Path
    alive: set[int] = field(default_factory=set)
    _rest: bytes = b""
    _listener: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX))
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def serve(self) -> Job | None:
        """Serve until the input ends (then return None); in a child, return its job."""
        self._listener.bind(str(self.workers_at))
        self._listener.listen(64)
        wake, woken = socket.socketpair()
        woken.setblocking(False)
        signal.set_wakeup_fd(woken.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for stream in (0, self._listener, wake):
            self._selector.register(stream, selectors.EVENT_READ)
        _say(READY)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == 0:
                    found = os.read(0, _CHUNK)
                    job = self._requests(found)
                    if not found:
                        return None
                elif key.fileobj is self._listener:
                    job = self._worker()
                else:
                    wake.recv(_CHUNK)
                    self._reap()
                    job = None
                if job is not None:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for opened in (self._selector, self._listener, wake, woken):
                        opened.close()
                    return job

    def kill_all(self) -> None:
        """Kill what is alive."""
        for pid in self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _requests(self, found: bytes) -> Job | None:
        *lines, self._rest = (self._rest + found).split(b"\n")
        for line in lines:
            asked = json.loads(line)
            if "signal" in asked:
                if asked["pid"] in self.alive:  # not reaped yet: the number is still its own
                    os.kill(asked["pid"], asked["signal"])
                continue
            job = self._life(asked)
            if job is not None:
                return job
        return None

    def _life(self, asked: Mapping[str, object]) -> Job | None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        nothing = os.open(os.devnull, os.O_RDONLY)
        output = os.open(str(asked["output"]), flags, 0o600)
        errors = os.open(str(asked["errors"]), flags, 0o600)
        environment, arguments = asked["environment"], asked["arguments"]
        assert isinstance(environment, dict)
        assert isinstance(arguments, list)
        job = Job(
            module=str(asked["module"]),
            arguments=tuple(arguments),
            environment=environment,
            streams=(nothing, output, errors),
        )
        pid = os.fork()
        if pid == 0:
            return job
        for number in job.streams:
            os.close(number)
        self.alive.add(pid)
        _say("started", asked["number"], pid)
        return None

    def _worker(self) -> Job | None:
        connection, _ = self._listener.accept()
        text, descriptors, _, _ = socket.recv_fds(connection, _CHUNK, _FDS)
        if len(descriptors) != _FDS:
            connection.close()  # the one who asked was killed meanwhile
            return None
        nothing = os.open(os.devnull, os.O_WRONLY)
        arguments = json.loads(text)
        job = Job(
            module=WORKER,
            arguments=tuple(arguments),
            environment=dict(os.environ),
            streams=(descriptors[0], descriptors[1], nothing),
            keep=connection,
        )
        pid = os.fork()
        if pid == 0:
            return job
        for number in job.streams:
            os.close(number)
        connection.close()
        self.alive.add(pid)
        return None

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.alive.discard(pid)
            _say("ended", pid, os.waitstatus_to_exitcode(status))


def _say(*words: object) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def become(job: Job) -> int:
    """Be the process that was asked for: its streams, its environment, its arguments, its module's ``main``."""
    for number, stream in enumerate(job.streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(job.environment)
    sys.argv[:] = [job.module, *job.arguments]
    return int(importlib.import_module(job.module).main())


def main() -> int:
    """Warm up, serve, and in each child become what was asked."""
    for name in WARM:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    server = WarmServer(workers_at=Path(sys.argv[1]))
    job = server.serve()
    if job is None:
        server.kill_all()
        return 0
    return become(job)


if __name__ == "__main__":
    sys.exit(main())
