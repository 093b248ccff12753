"""``vaguemestre keys second-copy``: verifies, lists and extracts the second copy, without the workstation if need be.

Works whether the agent runs or not, on any machine, with the recovery key or the station's keys.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from vaguemestre_agent.adapters.export.writing import write_export
from vaguemestre_agent.adapters.keystore.recovery import read_recovery_key
from vaguemestre_agent.adapters.keystore.stores import present_keys
from vaguemestre_agent.adapters.secondcopy.reading import (
    CopyFate,
    CopyFound,
    OpenedPlace,
    found_in,
    open_places,
    unlisted_in,
)
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.parts import key_store
from vaguemestre_agent.paths import agent_paths
from vaguemestre_agent.settings import load_settings
from vaguemestre_core.errors import Conflict

_WARNING: Final = "Attention : données de santé en clair. Gardez-les chiffrées, détruisez-les après usage."


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="step", metavar="ACTION", required=True)
    verifying = verbs.add_parser("verify", parents=[common], help="ouvrir chaque copie et compter")
    listing = verbs.add_parser("list", parents=[common], help="documents dont le départ n'est pas connu")
    extracting = verbs.add_parser("extract", parents=[common], help="les écrire en clair, avec un manifeste")
    for verb in (verifying, listing, extracting):
        verb.add_argument("--folder", type=Path, metavar="DOSSIER", help="sinon, celui du réglage second_copy.folder")
        verb.add_argument(
            "--recovery-key-file", type=Path, metavar="FICHIER", help="clé de secours ; sinon, les clés de ce poste"
        )
    for verb in (listing, extracting):
        verb.add_argument("--all", action="store_true", help="aussi ce qui est parti, annulé, remplacé ou abandonné")
    extracting.add_argument("--out", type=Path, required=True, metavar="DOSSIER|FICHIER.zip")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action; status 1 when a copy is unreadable or missing, or when there is nothing to give."""
    places = _places(arguments)
    if arguments.step == "verify":
        return _verify(places, console)
    found = (item for place in places for item in found_in(place) if arguments.all or item.never_left)
    if arguments.step == "list":
        return _list(list(found), console)
    return _extract(found, arguments.out, console)


def _places(arguments: argparse.Namespace) -> Sequence[OpenedPlace]:
    paths = agent_paths(os.environ)
    settings = load_settings(paths.config, os.environ)
    folder: Path | None = arguments.folder or (
        Path(settings.second_copy.folder) if settings.second_copy.folder else None
    )
    if folder is None:
        raise Conflict("SECOND_COPY_NOT_SET")
    paper = None if arguments.recovery_key_file is None else read_recovery_key(arguments.recovery_key_file)
    keys = present_keys(key_store(settings, paths)) if paper is None else None
    return open_places(folder.absolute(), paper, keys)


def _verify(places: Sequence[OpenedPlace], console: Console) -> int:
    fates: Counter[CopyFate] = Counter()
    never_left = 0
    for place in places:
        for item in found_in(place):
            fates[item.fate] += 1
            never_left += item.never_left
    unlisted = sum(unlisted_in(place) for place in places)
    counts = {
        "stores": len(places),
        **{fate.value: fates[fate] for fate in CopyFate},
        "unlisted": unlisted,
        "never_left": never_left,
    }
    lines = [
        f"{fates[CopyFate.WHOLE]} document(s) entier(s), {fates[CopyFate.UNREADABLE]} illisible(s), "
        f"{fates[CopyFate.MISSING]} manquant(s), de {len(places)} file(s).",
        f"Dont le départ n'est pas connu : {never_left}.",
    ]
    if unlisted:
        lines.append(f"{unlisted} copie(s) que la liste ne nomme pas : un programme age les ouvre.")
    console.give(counts, "\n".join(lines))
    is_whole = not (fates[CopyFate.UNREADABLE] or fates[CopyFate.MISSING] or unlisted)
    return Exit.OK if is_whole else Exit.REFUSED


def _list(found: Sequence[CopyFound], console: Console) -> int:
    items = [
        {
            "client_ref": item.order.client_ref,
            "type_code": item.order.type_code,
            "accepted_at": item.order.accepted_at.isoformat(),
            "state": item.order.state.value,
            "copy": item.fate.value,
        }
        for item in found
    ]
    console.give_table(
        items,
        ("Référence", "Type", "Accepté", "État", "Copie"),
        [list(item.values()) for item in items],
        "Aucun document dont le départ ne soit pas connu.",
    )
    return Exit.OK if items else Exit.REFUSED


def _extract(found: Iterator[CopyFound], out: Path, console: Console) -> int:
    if not console.as_json:
        console.note(_WARNING)
    now = SystemClock().now()
    counts = write_export(out.absolute(), (item.holding() for item in found), date(1970, 1, 2), now.date(), now)
    text = f"{counts.documents} document(s) extrait(s) dans {out}."
    if counts.missing:
        text += f" {counts.missing} autre(s) dont la copie manque ou ne s'ouvre pas : voir manifest.csv."
    console.give({"documents": counts.documents, "missing": counts.missing, "out": str(out), "warning": _WARNING}, text)
    return Exit.OK if counts.documents else Exit.REFUSED
