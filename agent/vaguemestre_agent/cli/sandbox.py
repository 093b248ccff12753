"""``vaguemestre sandbox …``: runs the simulated national services in a process of their own, with its own options.

The sandbox shares no code with the agent: it is started as a program, never imported.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys

from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_core.errors import InvalidInput

_MODULE = "vaguemestre_sandbox"


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add nothing: the sandbox reads its own options."""


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run it until it ends."""
    if importlib.util.find_spec(_MODULE) is None:
        raise InvalidInput("COMMAND_UNAVAILABLE", module=_MODULE)
    options = list(arguments.words)
    if console.as_json and "--json" not in options:
        options = ["--json", *options]
    command = [sys.executable, "-m", _MODULE, *options]
    with subprocess.Popen(command) as child:  # noqa: S603 - our own module, no shell
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.wait()  # it has received the same signal
            return Exit.INTERRUPTED
