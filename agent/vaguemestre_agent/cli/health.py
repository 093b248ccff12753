"""``vaguemestre health``: the agent's state, item by item."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final

from vaguemestre_agent.cli.connection import ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.orders import STATES

COUNTED: Final[Mapping[str, str]] = {**STATES, "quarantined": "mis à l'écart (ligne falsifiée)"}


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add no argument."""


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Show the health page; status 1 when the agent cannot accept."""
    health = ask(arguments, lambda client: client.health(), anonymous=True)
    lines = [f"Vaguemestre {health.version} : {'prêt' if health.ready else 'pas prêt'}"]
    for item in health.items:
        lines.append(f"  {'✓' if item.ok else '✗'} {item.title}")
        if not item.ok and item.action:
            lines.append(f"    → {item.action}")
    if health.counts:
        shown = [f"{COUNTED.get(state, state)} : {count}" for state, count in sorted(health.counts.items()) if count]
        lines.append("  " + ", ".join(shown or ["aucun ordre"]))
    console.give(health, "\n".join(lines))
    return Exit.OK if health.ready else Exit.REFUSED
