"""Asks a program, bounded: it ends by its own, or is ended by its handle, and nothing of it can hang the doctor.

Owns the child's life. What it says is the caller's to read; what it writes elsewhere is thrown away.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

COMMAND_S: Final = 5.0
_KILL_WAIT_S: Final = 2.0
_MAX_OUTPUT_BYTES: Final = 262_144
# One language and no window, whatever the session.
_PLAIN: Final[Mapping[str, str]] = {"LC_ALL": "C", "LANG": "C"}
_NO_WINDOW: Final = getattr(subprocess, "CREATE_NO_WINDOW", 0)


@unique
class End(StrEnum):
    """How the program ended."""

    FINISHED = "finished"
    SILENT = "silent"  # ended by us
    NOT_STARTED = "not_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the program said; ``status`` is negative for a signal, None when it did not finish."""

    end: End
    status: int | None = None
    text: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether it ended well."""
        return self.end is End.FINISHED and self.status == 0


def ask_program(command: Sequence[str], *, timeout_s: float = COMMAND_S, is_plain: bool = True) -> Heard:
    """Run a program and return what it said on its standard output; never raises for what it does.

    Args:
        command: the program and its arguments, nothing personal.
        timeout_s: longest life, seconds.
        is_plain: ask for the language in which its words are known.
    """
    environment = {**os.environ, **_PLAIN} if is_plain else None
    with tempfile.TemporaryFile() as output:
        try:
            child = subprocess.Popen(  # noqa: S603 - a program of the system or a module of ours
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                env=environment,
                creationflags=_NO_WINDOW,
            )
        except OSError:
            return Heard(end=End.NOT_STARTED)
        try:
            status: int | None = child.wait(timeout_s)
            end = End.FINISHED
        except subprocess.TimeoutExpired:
            status, end = None, End.SILENT
        finally:
            _stop(child)
        output.seek(0)
        return Heard(end=end, status=status, text=output.read(_MAX_OUTPUT_BYTES).decode("utf-8", "replace"))


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
        try:
            child.wait(_KILL_WAIT_S)
        except subprocess.TimeoutExpired:
            return  # stuck in the kernel: the system ends it when its call returns
