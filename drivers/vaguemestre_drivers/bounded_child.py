"""A child process that is asked one thing: it ends by its own, or is ended by its handle, and nothing of it hangs us.

Owns the child's life. What it wrote is the caller's to read; what it says on its standard error is thrown away.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Final

_NO_WINDOW: Final = getattr(subprocess, "CREATE_NO_WINDOW", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A child that is over.

    Attributes:
        status: its exit status, negative for a signal; None: it was silent for too long and was ended by us.
        output: what it wrote on its standard output, open for reading while the block runs.
    """

    status: int | None
    output: IO[bytes] = field(repr=False)


@contextmanager
def bounded_child(
    command: Sequence[str], *, timeout_s: float, kill_wait_s: float, environment: Mapping[str, str] | None = None
) -> Iterator[Ended]:
    """Run a program to its end and give what it left; blocks for ``timeout_s`` + ``kill_wait_s`` seconds at most.

    Args:
        command: the program and its arguments, nothing personal.
        timeout_s: its longest life, seconds.
        kill_wait_s: how long a killed child is waited for, seconds; one stuck in the kernel is left to the system.
        environment: its environment; None for ours.

    Raises:
        OSError: it could not be started.
    """
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(  # noqa: S603 - a program of the system or a module of ours
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            env=environment,
            creationflags=_NO_WINDOW,
        )
        try:
            status: int | None = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _stop(child, kill_wait_s)
        yield Ended(status=status, output=output)


def _stop(child: subprocess.Popen[bytes], kill_wait_s: float) -> None:
    if child.poll() is None:
        child.kill()
        try:
            child.wait(kill_wait_s)
        except subprocess.TimeoutExpired:
            return  # stuck in the kernel: the system ends it when its call returns
