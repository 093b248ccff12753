"""``vaguemestre export``: the documents held, in clear, with a structured manifest (PORT/va1.01).

Works whether the agent runs or not, on the home's store or on a backup, with the station's keys or the recovery key.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from vaguemestre_agent.adapters.backup.restoring import open_backup
from vaguemestre_agent.adapters.export.writing import write_export
from vaguemestre_agent.adapters.keystore.recovery import open_escrow, read_recovery_key
from vaguemestre_agent.adapters.keystore.stores import present_keys
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.failpoints import Unarmed
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.parts import key_store
from vaguemestre_agent.paths import AgentPaths, agent_paths
from vaguemestre_agent.settings import Settings, load_settings
from vaguemestre_core.errors import InvalidInput, NotFound, StoreError
from vaguemestre_queue import recovery, snapshot
from vaguemestre_queue.context import Context
from vaguemestre_queue.holdings import held
from vaguemestre_queue.opening import DATABASE_FILE
from vaguemestre_queue.sealing import Sealer, StoreKeys

_WARNING: Final = "Attention : données de santé en clair. Gardez l'export chiffré, détruisez-le après usage."


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    day = "JOUR"
    parser.add_argument("--from", dest="since", type=date.fromisoformat, metavar=day, help="premier jour, AAAA-MM-JJ")
    parser.add_argument("--to", dest="until", type=date.fromisoformat, metavar=day, help="dernier jour, compris")
    parser.add_argument("--out", type=Path, required=True, metavar="DOSSIER|FICHIER.zip")
    parser.add_argument("--recovery-key-file", type=Path, metavar="FICHIER", help="clé de secours du cabinet")
    parser.add_argument("--backup", type=Path, metavar="FICHIER", help="exporter une sauvegarde au lieu de ce poste")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Export; status 1 when nothing in these dates is held."""
    paths = agent_paths(os.environ)
    settings = load_settings(paths.config, os.environ)
    now = SystemClock().now()
    zone = ZoneInfo(settings.deferral.zone)
    since: date = arguments.since or date(1970, 1, 2)
    until: date = arguments.until or now.astimezone(zone).date()
    if until < since:
        raise InvalidInput("EXPORT_DATES_INVALID")
    if not console.as_json:
        console.note(_WARNING)
    with tempfile.TemporaryDirectory(prefix="vaguemestre-export-") as work:
        database, keys = _source(arguments, Path(work), paths, settings)
        context = Context(sealer=Sealer(keys), clock=SystemClock(), failpoints=Unarmed(), incarnation=0)
        with snapshot.opened(database) as connection:
            if recovery.same_keys(connection, context.sealer) is False:
                raise StoreError("KEYS_REPLACED")
            counts = write_export(
                arguments.out.absolute(),
                held(connection, context, _midnight(since, zone), _midnight(until + timedelta(days=1), zone)),
                since,
                until,
                now,
            )
    text = f"{counts.documents} document(s) exporté(s) dans {arguments.out}."
    if counts.missing:
        text += f" {counts.missing} autre(s) dont le contenu n'est plus gardé : voir manifest.csv."
    console.give(
        {"documents": counts.documents, "missing": counts.missing, "out": str(arguments.out), "warning": _WARNING}, text
    )
    return Exit.OK if counts.documents else Exit.REFUSED


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _source(arguments: argparse.Namespace, work: Path, paths: AgentPaths, settings: Settings) -> tuple[Path, StoreKeys]:
    """Return a snapshot to read and the keys that open it."""
    paper = None if arguments.recovery_key_file is None else read_recovery_key(arguments.recovery_key_file)
    if arguments.backup is not None:
        keys = None if paper is not None else present_keys(key_store(settings, paths))
        if paper is None and keys is None:
            raise StoreError("KEYS_LOST")
        opened = open_backup(arguments.backup, work, keys, paper, SystemClock(), Unarmed())
        return opened.database, opened.keys
    if not (paths.state / DATABASE_FILE).exists():
        raise NotFound("STORE_MISSING")
    keys = present_keys(key_store(settings, paths)) if paper is None else open_escrow(paper, paths.state)
    if keys is None:
        raise StoreError("KEYS_LOST")
    database = work / DATABASE_FILE
    snapshot.take(paths.state / DATABASE_FILE, database)
    return database, keys
