"""Child processes of a practice: started, waited for, stopped or killed, never orphaned.

Their output goes to files: a pipe nobody reads would block them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from vaguemestre_core.errors import ServiceError

STOP_S: Final = 15.0


class Running(Protocol):
    """A process under way, ours or a warm process's (``asyncio.subprocess.Process`` is one)."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def returncode(self) -> int | None:
        """Its exit status, minus the signal that killed it, or None while it runs."""

    async def wait(self) -> int:
        """Wait for its end; return its exit status."""

    def send_signal(self, signal: int) -> None:
        """Send it a signal."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it at once."""


@dataclass(slots=True)
class Child:
    """One child process.

    Attributes:
        process: the process.
        output: file that receives what it prints.
        errors: file that receives its log.
    """

    process: Running
    output: Path
    errors: Path
    _ended: bool = field(default=False)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        """It has not ended."""
        return self.process.returncode is None

    async def wait(self, timeout_s: float) -> int | None:
        """Return the exit status, or None when it is still running after that time."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self.process.wait()
        except TimeoutError:
            return None

    async def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.is_alive:
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """Ask it to end, then insist."""
        if self.is_alive:
            if sys.platform == "win32":
                self.process.terminate()
            else:
                self.process.send_signal(signal.SIGTERM)
            if await self.wait(STOP_S) is None:
                self.process.kill()
        await self.process.wait()


async def start_module(
    module: str,
    arguments: Sequence[str],
    folder: Path,
    name: str,
    environment: Mapping[str, str] | None = None,
    *,
    detached: bool = False,
) -> Child:
    """Start ``python -m module arguments`` with its output in files of a folder.

    Args:
        module: module to run.
        arguments: its arguments, without any secret.
        folder: where ``<name>.out`` and ``<name>.err`` are appended.
        name: name of the child.
        environment: variables added to ours.
        detached: it outlives us and our terminal.
    """
    output, errors = folder / f"{name}.out", folder / f"{name}.err"
    with output.open("ab") as out, errors.open("ab") as err:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, **(environment or {})},
            start_new_session=detached,
        )
    return Child(process, output, errors)


async def wait_for_line(child: Child, line: str, timeout_s: float, *, start: int = 0) -> str:
    """Wait until the child printed that line; return what it printed from ``start``.

    Raises:
        ServiceError: CHILD_ENDED, CHILD_SILENT.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                text = child.output.read_bytes()[start:].decode(errors="replace").replace("\r\n", "\n")
                if f"{line}\n" in text:
                    return text
                if not child.is_alive:
                    raise ServiceError("CHILD_ENDED", status=child.process.returncode)
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise ServiceError("CHILD_SILENT") from error


@asynccontextmanager
async def stopped_at_the_end(child: Child) -> AsyncIterator[Child]:
    """Stop the child when the block ends, whatever happens in it."""
    try:
        yield child
    finally:
        await asyncio.shield(child.stop())
