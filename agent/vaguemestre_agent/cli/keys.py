"""``vaguemestre keys``: makes and prints the recovery key, shows fingerprints, puts lost keys back.

Works on the stopped agent's home, under its lock. The private part of the recovery key goes to standard output once and
nowhere else.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vaguemestre_agent.adapters.keystore.recovery import (
    adopt_recovery_key,
    fingerprints,
    new_recovery_key,
    open_escrow,
    page,
    read_recovery_key,
    restore_keys,
)
from vaguemestre_agent.adapters.keystore.rotation import rotate_station_key
from vaguemestre_agent.adapters.keystore.stores import KeyStore, load_keys
from vaguemestre_agent.adapters.system.failpoints import from_environment
from vaguemestre_agent.adapters.system.random import SystemRandom
from vaguemestre_agent.adapters.system.storelock import only_living_copy
from vaguemestre_agent.cli import second_copy
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.localapi.lock import AgentLock
from vaguemestre_agent.parts import Parts, key_store, surroundings
from vaguemestre_agent.paths import AgentPaths, agent_paths
from vaguemestre_agent.settings import Settings, load_settings
from vaguemestre_queue.opening import DATABASE_FILE, adopt_copy, require_keys_of
from vaguemestre_queue.sealing import StoreKeys


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION", required=True)
    verbs.add_parser("show", parents=[common], help="empreintes des clés, rien qui ouvre")
    recovery = verbs.add_parser("recovery", parents=[common], help="faire la clé de secours du cabinet")
    recovery.add_argument("--print", action="store_true", required=True, help="l'afficher, une seule fois")
    recovery.add_argument("--replace", action="store_true", help="en faire une autre : l'ancienne page ne servira plus")
    verbs.add_parser("rotate", parents=[common], help="changer la clé du poste")
    verbs.add_parser(
        "adopt", parents=[common], help="dire que cette copie de la file remplace l'original, hors service"
    )
    copying = verbs.add_parser("second-copy", help="seconde copie des documents : vérifier, lister, extraire")
    second_copy.configure(copying, common)
    restore = verbs.add_parser("restore", parents=[common], help="remettre des clés perdues")
    restore.add_argument("--recovery-key-file", type=Path, required=True, metavar="FICHIER")
    restore.add_argument("--replace", action="store_true", help="même si d'autres clés sont dans le trousseau")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    if arguments.verb == "second-copy":
        return second_copy.run(arguments, console)
    paths = agent_paths(os.environ)
    settings = load_settings(paths.config, os.environ)
    with stopped_agent(paths):
        keystore = key_store(settings, paths)
        if arguments.verb == "restore":
            return _restore(arguments, paths, keystore, console)
        keys = load_keys(keystore, SystemRandom(), store_exists=(paths.state / DATABASE_FILE).exists())
        require_keys_of(paths.state, keys)
        if arguments.verb == "adopt":
            return _adopt(paths, settings, keys, console)
        if arguments.verb == "rotate":
            hit = from_environment(os.environ).hit
            shown = fingerprints(rotate_station_key(keystore, keys, paths.state, hit))
            console.give(
                shown, f"La clé du poste est changée : {shown['station']}. L'ancienne reste tant qu'elle sert."
            )
            return Exit.OK
        if arguments.verb == "show":
            shown = fingerprints(keys)
            lines = [
                f"{name.ljust(10)}{value or 'aucune : « vaguemestre keys recovery --print »'}"
                for name, value in shown.items()
            ]
            console.give(shown, "\n".join(lines))
            return Exit.OK
        made = new_recovery_key()
        adopt_recovery_key(keystore, keys, made, paths.state, replacing=arguments.replace)
    console.give({"page": page(made)}, page(made))
    return Exit.OK


def _restore(arguments: argparse.Namespace, paths: AgentPaths, keystore: KeyStore, console: Console) -> int:
    keys = open_escrow(read_recovery_key(arguments.recovery_key_file), paths.state)
    require_keys_of(paths.state, keys)
    changed = restore_keys(keystore, keys, replacing=arguments.replace)
    text = "Les clés sont remises : relancez l'agent." if changed else "Les clés étaient déjà là : rien n'a été changé."
    console.give({"restored": changed}, text)
    return Exit.OK


def _adopt(paths: AgentPaths, settings: Settings, keys: StoreKeys, console: Console) -> int:
    parts = Parts()
    adopted = adopt_copy(
        paths.state, keys, parts.clock, parts.failpoints, surroundings(settings, paths, parts), only_living_copy
    )
    text = (
        "Cette copie est maintenant la file d'envoi. Ne relancez jamais l'original."
        if adopted
        else "Cette file n'est pas une copie : rien n'a été changé."
    )
    console.give({"adopted": adopted}, text)
    return Exit.OK


@contextmanager
def stopped_agent(paths: AgentPaths) -> Iterator[None]:
    """Hold the home's lock while the block runs. Raises Conflict AGENT_ALREADY_RUNNING."""
    paths.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = AgentLock(paths.lock)
    lock.take()
    try:
        yield
    finally:
        lock.free()
