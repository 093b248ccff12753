"""``vaguemestre agent``: runs the agent of this workstation until it is told to stop.

Owns the process's edge only: the form of the log. What runs is ``vaguemestre_agent.resident``, which takes the lock of
its home before it opens anything.
"""

from __future__ import annotations

import argparse
import contextlib
import os

from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.logs import set_up_logging

_LEVEL_VARIABLE = "VAGUEMESTRE_AGENT__LOG_LEVEL"


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--log-level", choices=["DEBUG", "INFO", "WARNING", "ERROR"], help="détail du journal")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the agent; an interruption is the ordinary way to stop it."""
    from vaguemestre_agent.resident import run_agent

    if arguments.log_level:
        os.environ[_LEVEL_VARIABLE] = arguments.log_level
    set_up_logging()
    with contextlib.suppress(KeyboardInterrupt):
        run_agent()
    return Exit.OK
