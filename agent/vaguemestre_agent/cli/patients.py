"""``vaguemestre patients``: erases what is kept about a patient; what the patient said is in ``patient_facts``.

Who the patient is comes from a file or the standard input, never from the arguments, which every process can read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vaguemestre_agent.cli import patient_facts
from vaguemestre_agent.cli.connection import add_actor_options, ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_api import wire_facts
from vaguemestre_api.codec import WireError, from_json
from vaguemestre_api.jsontypes import JsonRefused, parse_object
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.keeping import ErasureReason


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION", required=True)
    patient_facts.configure(verbs, common)
    erasing = verbs.add_parser("erase", parents=[common], help="effacer ce qui est gardé d'un patient")
    erasing.add_argument(
        "--patient",
        type=Path,
        metavar="JSON",
        help='fichier {"ins": {"matricule", "oid"}, "local_id": {"value", "oid"}}, l\'un ou les deux ; '
        "défaut : entrée standard",
    )
    erasing.add_argument("--reason", required=True, choices=[reason.value for reason in ErasureReason])
    erasing.add_argument(
        "--cancel-waiting",
        action="store_true",
        help="annuler ce qui attend ; sinon, refuser tant que quelque chose attend",
    )
    add_actor_options(erasing)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    return _erase(arguments, console) if arguments.verb == "erase" else patient_facts.run(arguments, console)


def _erase(arguments: argparse.Namespace, console: Console) -> int:
    """Erase; status 1 when something on its way had to be left."""
    asked = _request(arguments.patient, arguments.reason, "cancel" if arguments.cancel_waiting else "refuse")
    report = ask(
        arguments,
        lambda client: client.erase_patient(
            ins=asked.ins, local_id=asked.local_id, reason=asked.reason, waiting=asked.waiting
        ),
    )
    lines = [
        f"Effacé : {report.documents} document(s), {report.bodies} contenu(s) ; {report.cancelled} envoi(s) annulé(s).",
        "Les lignes du registre restent et ne nomment personne. Les sauvegardes faites avant gardent ces contenus.",
    ]
    if report.on_their_way:
        lines.append(
            f"{report.on_their_way} document(s) en chemin : arrêt demandé ; recommencez quand ils seront fixés."
        )
    console.give(report, "\n".join(lines))
    return Exit.REFUSED if report.on_their_way else Exit.OK


def _request(path: Path | None, reason: str, waiting: str) -> wire_facts.ErasureRequest:
    try:
        content = sys.stdin.read().encode() if path is None else path.read_bytes()
    except OSError:
        raise InvalidInput("FILE_UNREADABLE") from None
    try:
        return from_json(wire_facts.ErasureRequest, {**parse_object(content), "reason": reason, "waiting": waiting})
    except (JsonRefused, WireError):
        raise InvalidInput("PATIENT_FILE_INVALID") from None
