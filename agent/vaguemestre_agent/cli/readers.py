"""``vaguemestre readers``: the readers of this workstation, and what prevents seeing one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final

from vaguemestre_agent.cli.connection import ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_api import wire_readers

CARDS: Final[Mapping[str, str]] = {
    "cps3": "CPS3",
    "cps3_contactless": "CPS3 sans contact",
    "cps4": "CPS4",
    "vitale1": "Vitale 1",
    "vitale2": "Vitale 2",
    "unknown": "inconnue",
}
_STATES: Final[Mapping[str, str]] = {
    "empty": "vide",
    "card": "carte présente",
    "mute": "carte muette",
    "held": "tenu par un autre programme",
    "failing": "en panne",
}


_SCANNERS: Final[Mapping[str, str]] = {"serial": "série", "keyboard": "clavier", "camera": "caméra"}


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no option of its own."""


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Show the readers."""
    found = ask(arguments, lambda client: client.readers())
    rows = [
        (item.name, _STATES.get(item.state, item.state), kind_in_words(item.card), said(item.situation))
        for item in found.readers
    ]
    rows += [
        (item.name, "prêt" if item.ready else "absent", _SCANNERS.get(item.kind, item.kind), said(item.situation))
        for item in found.scanners
    ]
    nothing = said(found.trouble) or "Aucun lecteur."
    console.give_table(found, ("LECTEUR", "ÉTAT", "CARTE", "À FAIRE"), rows, nothing)
    return Exit.OK


def kind_in_words(kind: str | None) -> str:
    """Return a card's kind as it is shown."""
    return "" if kind is None else CARDS.get(kind, kind)


def said(situation: wire_readers.Situation | None) -> str:
    """Return what is wrong and what to do."""
    return "" if situation is None else f"{situation.title} {situation.action}".strip()
