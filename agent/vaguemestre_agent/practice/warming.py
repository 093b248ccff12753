"""The way to a warm process (``warm.py``): lives asked for, ended and waited for as those of any child process.

Owns the pipes to it and what it reported; the fork itself is over there.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from vaguemestre_agent.practice import relay
from vaguemestre_agent.practice.processes import STOP_S, Child
from vaguemestre_agent.practice.warm import READY
from vaguemestre_core.errors import ServiceError

WARM_S: Final = 60.0
WORKERS_VARIABLE: Final = "VAGUEMESTRE_SELFTEST_WORKERS"  # where an agent finds its worker
_KILL: Final = 9  # SIGKILL, which Windows' Python does not name
_MODULE: Final = "vaguemestre_agent.practice.warm"


class WarmLife:
    """One process that a warm process forked."""

    def __init__(self, pid: int, parent: WarmProcess) -> None:
        self._pid = pid
        self._parent = parent
        self._returncode: int | None = None
        self._ended = asyncio.Event()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, minus the signal that killed it, or None while it runs."""
        return self._returncode

    async def wait(self) -> int:
        """Wait for its end; return its exit status. Raises ServiceError CHILD_ENDED when its parent ended first."""
        await self._ended.wait()
        if self._returncode is None:
            raise ServiceError("CHILD_ENDED")
        return self._returncode

    def send_signal(self, signal: int) -> None:
        """Send it a signal; nothing happens when it has ended."""
        self._parent.send({"pid": self._pid, "signal": signal})

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.send_signal(_KILL)

    def ended(self, returncode: int | None) -> None:
        """Hear that it ended; None: nobody knows how."""
        self._returncode = returncode
        self._ended.set()


class WarmProcess:
    """A warm process and the lives it forked."""

    def __init__(self, process: asyncio.subprocess.Process, workers_at: Path) -> None:
        self._process = process
        self._workers_at = workers_at
        self._numbers = 0
        self._starting: dict[int, asyncio.Future[WarmLife]] = {}
        self._alive: dict[int, WarmLife] = {}

    async def start(
        self, module: str, arguments: Sequence[str], folder: Path, name: str, environment: Mapping[str, str]
    ) -> Child:
        """Start a life with its output in files of a folder.

        Raises:
            ServiceError: CHILD_ENDED, CHILD_SILENT.
        """
        output, errors = folder / f"{name}.out", folder / f"{name}.err"
        self._numbers += 1
        future: asyncio.Future[WarmLife] = asyncio.get_running_loop().create_future()
        self._starting[self._numbers] = future
        workers = {WORKERS_VARIABLE: str(self._workers_at)}
        self.send(
            {
                "number": self._numbers,
                "module": module,
                "arguments": list(arguments),
                "environment": {**os.environ, **environment, **workers},
                "output": str(output),
                "errors": str(errors),
            }
        )
        try:
            async with asyncio.timeout(WARM_S):
                return Child(await future, output, errors)
        except TimeoutError as error:
            raise ServiceError("CHILD_SILENT") from error

    def send(self, message: Mapping[str, object]) -> None:
        """Ask something of the warm process."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def listen(self) -> None:
        """Hear its reports until it ends."""
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                self._hear(json.loads(line))
        finally:
            for future in self._starting.values():
                if not future.done():
                    future.set_exception(ServiceError("CHILD_ENDED"))
            for life in self._alive.values():
                life.ended(None)

    def _hear(self, report: list[object]) -> None:
        match report:
            case ["started", int(number), int(pid)]:
                life = WarmLife(pid, self)
                self._alive[pid] = life
                future = self._starting.pop(number)
                if not future.done():
                    future.set_result(life)
            case ["ended", int(pid), int(returncode)]:
                ended = self._alive.pop(pid, None)  # a worker's end interests nobody here
                if ended is not None:
                    ended.ended(returncode)
            case _:
                raise ServiceError("CHILD_SILENT")


def worker_command(environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return how an agent born of a warm process starts its worker; None: as always."""
    at = environment.get(WORKERS_VARIABLE)
    return None if at is None else (sys.executable, "-I", "-S", relay.__file__, at)


@asynccontextmanager
async def warm_process(folder: Path) -> AsyncIterator[WarmProcess | None]:
    """Run a warm process while the block runs, where processes can be forked; all its children end with it.

    Args:
        folder: where its log is appended.

    Raises:
        ServiceError: CHILD_ENDED, CHILD_SILENT.
    """
    if sys.platform == "win32":
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="vaguemestre-warm-") as place, (folder / "warm.err").open("ab") as errors:
        workers_at = Path(place) / "workers.sock"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _MODULE,
            str(workers_at),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            await _warmed(process, process.stdout)
            warm = WarmProcess(process, workers_at)
            async with asyncio.TaskGroup() as group:
                group.create_task(warm.listen(), name="warm")
                try:
                    yield warm
                finally:
                    process.stdin.close()
        finally:
            process.stdin.close()
            await _end(process)


async def _warmed(process: asyncio.subprocess.Process, reports: asyncio.StreamReader) -> None:
    try:
        async with asyncio.timeout(WARM_S):
            first = await reports.readline()
    except TimeoutError as error:
        raise ServiceError("CHILD_SILENT") from error
    if first.strip() != json.dumps([READY]).encode():
        raise ServiceError("CHILD_ENDED", status=process.returncode)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let it kill its children when its input ends, and only then insist."""
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
