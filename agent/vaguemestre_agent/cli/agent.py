"""``vaguemestre agent``: runs the agent of this workstation until it is told to stop.

Owns the process's edge: the lock, held from before the store is opened until after it is closed (clients then know that
an agent is starting), and the log's form. What runs is ``vaguemestre_agent.resident``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator

from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.logs import set_up_logging
from vaguemestre_agent.localapi.lock import AgentLock
from vaguemestre_agent.paths import AgentPaths, agent_paths

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
    with _locked(agent_paths(os.environ)), contextlib.suppress(KeyboardInterrupt):
        run_agent()
    return Exit.OK


@contextlib.contextmanager
def _locked(paths: AgentPaths) -> Iterator[None]:
    paths.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = AgentLock(paths.lock)
    lock.take()
    try:
        yield
    finally:
        lock.free()
