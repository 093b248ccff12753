"""The resident process: an agent that runs until it is told to stop, and says why when it cannot start."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from vaguemestre_agent.adapters.system.failpoints import from_environment
from vaguemestre_agent.composition import running_agent
from vaguemestre_agent.parts import Parts
from vaguemestre_agent.paths import AgentPaths, agent_paths
from vaguemestre_agent.settings import Settings, load_settings

_log = logging.getLogger(__name__)


def run_agent(parts: Parts | None = None) -> None:
    """Run an agent of this environment's home until SIGTERM, SIGINT or Ctrl-C.

    Args:
        parts: what to replace in it; by default only the failpoints that the environment arms.

    Raises:
        VaguemestreError: what prevents the start, with its code.
    """
    paths = agent_paths(os.environ)
    settings = load_settings(paths.config, os.environ)
    set_log_level(settings)
    asyncio.run(_serve(settings, paths, parts or Parts(failpoints=from_environment(os.environ))))


def set_log_level(settings: Settings) -> None:
    """Let our own loggers say as much as the settings ask; libraries speak only when something is wrong."""
    for name in ("vaguemestre_agent", "vaguemestre_queue", "vaguemestre_core", "vaguemestre_documents"):
        logging.getLogger(name).setLevel(settings.agent.log_level)


async def _serve(settings: Settings, paths: AgentPaths, parts: Parts) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    starting = asyncio.current_task()

    def asked() -> None:
        stop.set()
        if starting is not None:  # its store may not open for hours: nobody waits for that
            starting.cancel()

    if sys.platform != "win32":
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked)
    try:
        async with running_agent(settings, paths, parts):
            starting = None
            await stop.wait()
            _log.info("agent.stopping")
    except asyncio.CancelledError:
        if starting is None or not stop.is_set():
            raise
        _log.info("agent.stopped_while_starting")
