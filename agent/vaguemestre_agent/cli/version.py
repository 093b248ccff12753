"""``vaguemestre version``: the version, and what it runs on."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata

from vaguemestre_agent.cli.console import Console, Exit


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add no argument."""


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the version."""
    facts = {
        "version": metadata.version("vaguemestre"),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    console.give(facts, f"Vaguemestre {facts['version']} (Python {facts['python']}, {facts['platform']})")
    return Exit.OK
