"""``vaguemestre store``: checks the stopped agent's file, and saves what can be read of a damaged one.

``check`` only reads. Works under the home's lock; what was lost is told by order ids, which say nothing of a patient.
"""

from __future__ import annotations

import argparse
import os

from vaguemestre_agent.adapters.keystore.stores import load_keys
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.random import SystemRandom
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.keys import stopped_agent
from vaguemestre_agent.parts import key_store
from vaguemestre_agent.paths import agent_paths
from vaguemestre_agent.settings import load_settings
from vaguemestre_queue.salvage import check, salvage


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION", required=True)
    verbs.add_parser("check", parents=[common], help="vérifier le fichier, sans y toucher")
    verbs.add_parser("salvage", parents=[common], help="sauver ce qui se lit dans un fichier neuf ; l'ancien est gardé")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action; status 1 when the file is damaged."""
    paths = agent_paths(os.environ)
    settings = load_settings(paths.config, os.environ)
    with stopped_agent(paths):
        if arguments.verb == "check":
            found = check(paths.state)
            text = "Le fichier est sain." if not found else "\n".join(["Le fichier est endommagé :", *found])
            console.give({"sound": not found, "faults": found}, text)
            return Exit.REFUSED if found else Exit.OK
        keys = load_keys(key_store(settings, paths), SystemRandom(), store_exists=True)
        made = salvage(paths.state, keys, SystemClock().now())
    lines = [
        f"{made.orders} ordre(s) et {made.bodies} contenu(s) sauvés.",
        f"{made.altered} ordre(s) modifiés hors de l'agent : ils ne partiront pas.",
        f"{made.ledger} ligne(s) du registre sauvée(s), {made.ledger_missing} illisible(s).",
        f"{len(made.lost)} ordre(s) perdu(s)" + (" : " + ", ".join(made.lost) if made.lost else "."),
        f"Le fichier endommagé est gardé dans {made.aside}.",
    ]
    console.give(made, "\n".join(lines))
    return Exit.OK
