"""Asks a program, bounded, so that nothing of it can hang the doctor. What it says is the caller's to read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from vaguemestre_drivers.bounded_child import bounded_child

COMMAND_S: Final = 5.0
_KILL_WAIT_S: Final = 2.0
_MAX_OUTPUT_BYTES: Final = 262_144
# One language and no window, whatever the session.
_PLAIN: Final[Mapping[str, str]] = {"LC_ALL": "C", "LANG": "C"}


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
    try:
        with bounded_child(command, timeout_s=timeout_s, kill_wait_s=_KILL_WAIT_S, environment=environment) as ended:
            ended.output.seek(0)
            return Heard(
                end=End.SILENT if ended.status is None else End.FINISHED,
                status=ended.status,
                text=ended.output.read(_MAX_OUTPUT_BYTES).decode("utf-8", "replace"),
            )
    except OSError:
        return Heard(end=End.NOT_STARTED)
