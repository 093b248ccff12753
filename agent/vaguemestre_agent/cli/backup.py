"""``vaguemestre backup``: makes, checks and brings back encrypted backups.

``create`` and ``verify`` work whether the agent runs or not; ``restore`` wants it stopped; ``now`` and ``list`` ask it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from vaguemestre_agent.adapters.backup.files import FileBackups
from vaguemestre_agent.adapters.backup.restoring import OpenedBackup, open_backup, put_in_place
from vaguemestre_agent.adapters.keystore.recovery import read_recovery_key, restore_keys
from vaguemestre_agent.adapters.keystore.stores import present_keys
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.failpoints import Unarmed
from vaguemestre_agent.cli.connection import add_actor_options, ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.keys import stopped_agent
from vaguemestre_agent.parts import key_store
from vaguemestre_agent.paths import AgentPaths, agent_paths
from vaguemestre_agent.settings import Settings, load_settings
from vaguemestre_core.errors import StoreError
from vaguemestre_core.keeping import BackupFacts
from vaguemestre_queue.sealing import StoreKeys


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION", required=True)
    creating = verbs.add_parser("create", parents=[common], help="écrire une sauvegarde dans un fichier")
    verifying = verbs.add_parser("verify", parents=[common], help="ouvrir une sauvegarde et tout y vérifier")
    restoring = verbs.add_parser("restore", parents=[common], help="remettre la file d'une sauvegarde, agent arrêté")
    for verb in (creating, verifying, restoring):
        verb.add_argument("file", type=Path, metavar="FICHIER")
    for verb in (verifying, restoring):
        verb.add_argument(
            "--recovery-key-file", type=Path, metavar="FICHIER", help="clé de secours ; sinon, les clés de ce poste"
        )
    restoring.add_argument("--replace", action="store_true", help="mettre de côté la file qui est là, et ses clés")
    asking = verbs.add_parser("now", parents=[common], help="faire faire une sauvegarde à l'agent, dans son dossier")
    add_actor_options(asking)
    verbs.add_parser("list", parents=[common], help="sauvegardes du dossier de l'agent")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    if arguments.verb == "now":
        ask(arguments, lambda client: client.make_backup())
        console.give({"asked": True}, "Demandée : « vaguemestre health » dira quand elle est faite.")
        return Exit.OK
    if arguments.verb == "list":
        return _list(arguments, console)
    paths = agent_paths(os.environ)
    settings = load_settings(paths.config, os.environ)
    actions = {"create": _create, "verify": _verify, "restore": _restore}
    return actions[arguments.verb](arguments, console, paths, settings)


def _list(arguments: argparse.Namespace, console: Console) -> int:
    found = ask(arguments, lambda client: client.backups())
    rows = [
        [item.name, f"{item.made_at:%Y-%m-%d %H:%M} UTC", str(item.orders), str(item.open_orders), str(item.size_bytes)]
        for item in found
    ]
    console.give_table(found, ("Fichier", "Faite", "Ordres", "Ouverts", "Octets"), rows, "Aucune sauvegarde.")
    return Exit.OK


def _keys(paths: AgentPaths, settings: Settings) -> StoreKeys:
    keys = present_keys(key_store(settings, paths))
    if keys is None:
        raise StoreError("KEYS_LOST")
    return keys


def _create(arguments: argparse.Namespace, console: Console, paths: AgentPaths, settings: Settings) -> int:
    clock = SystemClock()
    facts = FileBackups(paths.state, _keys(paths, settings), clock, Unarmed()).make(
        arguments.file.absolute(), clock.now()
    )
    lines = [f"Sauvegardé et relu : {_told(facts)}."]
    if not facts.opens_with_recovery_key:
        lines.append("Attention : seules les clés de ce poste l'ouvrent. Faites une clé de secours (keys recovery).")
    console.give(facts_json(facts), "\n".join(lines))
    return Exit.OK


def _open(arguments: argparse.Namespace, work: Path, paths: AgentPaths, settings: Settings) -> OpenedBackup:
    recovery = None if arguments.recovery_key_file is None else read_recovery_key(arguments.recovery_key_file)
    keys = _keys(paths, settings) if recovery is None else None
    return open_backup(arguments.file, work, keys, recovery, SystemClock(), Unarmed())


def _verify(arguments: argparse.Namespace, console: Console, paths: AgentPaths, settings: Settings) -> int:
    """Verify; status 1 when the store that was saved had a fault."""
    with tempfile.TemporaryDirectory(prefix="vaguemestre-verify-") as work:
        opened = _open(arguments, Path(work), paths, settings)
    text = f"Intacte : {_told(opened.facts)}."
    if opened.faults:
        text = f"S'ouvre, mais la file avait des défauts ({', '.join(opened.faults)}) : {_told(opened.facts)}."
    console.give({**facts_json(opened.facts), "faults": list(opened.faults)}, text)
    return Exit.REFUSED if opened.faults else Exit.OK


def _restore(arguments: argparse.Namespace, console: Console, paths: AgentPaths, settings: Settings) -> int:
    with stopped_agent(paths), tempfile.TemporaryDirectory(prefix="restore-work-", dir=paths.state) as work:
        opened = _open(arguments, Path(work), paths, settings)
        if arguments.recovery_key_file is not None:
            restore_keys(key_store(settings, paths), opened.keys, replacing=arguments.replace)
        aside = put_in_place(opened, paths.state, SystemClock().now(), replacing=arguments.replace)
    lines = [
        f"Remise en place : {_told(opened.facts)}.",
        "Au démarrage, ce qui n'était pas terminé sera vérifié au DMP avant tout nouvel envoi.",
        "Sur un autre poste, ou dans un autre dossier, cette file est une copie : rien de ce qu'elle contient ne part",
        "avant « vaguemestre keys adopt », à faire seulement si l'original est hors service pour toujours.",
        "Demandez aux logiciels un rapprochement : ce qu'ils ont déposé depuis n'est pas dans la sauvegarde.",
        "Les effacements de patients demandés depuis sont à refaire.",
    ]
    if aside is not None:
        lines.append(f"L'ancienne file est de côté : {aside}")
    console.give({**facts_json(opened.facts), "aside": None if aside is None else str(aside)}, "\n".join(lines))
    return Exit.OK


def facts_json(facts: BackupFacts) -> dict[str, str | int | bool | list[str]]:
    """Return what a backup says of itself as JSON members."""
    return {
        "name": facts.name,
        "made_at": facts.made_at.isoformat(),
        "size_bytes": facts.size_bytes,
        "orders": facts.orders,
        "open_orders": facts.open_orders,
        "bodies": facts.bodies,
        "ledger_lines": facts.anchor.seq,
        "ledger_head": facts.anchor.digest.hex(),
        "opens_with_recovery_key": facts.opens_with_recovery_key,
        "faults": list(facts.faults),
    }


def _told(facts: BackupFacts) -> str:
    return (
        f"{facts.orders} ordre(s) dont {facts.open_orders} non terminé(s), {facts.bodies} contenu(s), "
        f"{facts.anchor.seq} lignes de registre, du {facts.made_at:%Y-%m-%d %H:%M} UTC"
    )
