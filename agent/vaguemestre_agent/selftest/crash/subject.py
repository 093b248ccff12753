"""The agent under test: the product's composition, with what the crash self-test moves from outside.

That is: armed failpoints, a wall clock set by a file, a worker forked by a warm process, and at most one bug put in on
purpose. Run as ``python -m vaguemestre_agent.selftest.crash.subject agent``; never part of the agent itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.failpoints import from_environment, kill_ourselves
from vaguemestre_agent.cli.logs import set_up_logging
from vaguemestre_agent.parts import Parts
from vaguemestre_agent.practice.warming import worker_command
from vaguemestre_agent.resident import run_agent
from vaguemestre_agent.selftest.crash import seeded

ARMED_VARIABLE: Final = "VAGUEMESTRE_SELFTEST_ARMED"  # a file that names a failpoint once somebody armed it
CLOCK_VARIABLE: Final = "VAGUEMESTRE_SELFTEST_CLOCK"  # a file that holds how far the wall clock is wrong, seconds


class SetClock(SystemClock):
    """The machine's clocks, the wall clock wrong by what a file says now: it can be set while the agent runs."""

    def __init__(self, offset_file: Path) -> None:
        self._offset_file = offset_file

    def now(self) -> datetime:
        """Return the wall clock as somebody set it, aware UTC."""
        return super().now() + timedelta(seconds=float(self._offset_file.read_text("ascii") or "0"))


class ArmedLater:
    """Kills this process at the failpoint that a file names, once the file is there."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def hit(self, name: str) -> None:
        """Pass; does not return at the armed one."""
        if self._file.exists() and self._file.read_text("ascii") == name:
            kill_ourselves()


def parts_of(environment: Mapping[str, str]) -> Parts:
    """Return what an environment replaces in the agent."""
    bug, clock = environment.get(seeded.VARIABLE), environment.get(CLOCK_VARIABLE)
    parts = Parts() if bug is None else seeded.BUGS[bug].parts()
    if clock is not None:
        parts = replace(parts, clock=SetClock(Path(clock)))
    armed = environment.get(ARMED_VARIABLE)
    failpoints = from_environment(environment) if armed is None else ArmedLater(Path(armed))
    return replace(parts, failpoints=failpoints, worker=worker_command(environment))


def main() -> int:
    """Run the agent that the environment describes."""
    set_up_logging()
    run_agent(parts_of(os.environ))
    return 0


if __name__ == "__main__":
    sys.exit(main())
