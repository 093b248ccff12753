"""``vaguemestre documents``: deposits and follows a document; builds or checks one here, sending nothing.

Owns the reading and writing of files. ``build`` and ``check`` use the same code as the agent, without any agent.
"""

from __future__ import annotations

import argparse
import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vaguemestre_agent.cli.connection import add_actor_options, ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.orders import STATUSES, describe, situation
from vaguemestre_agent.localapi.firstpairing import write_private
from vaguemestre_api import wire_documents
from vaguemestre_api.client import DocumentBody
from vaguemestre_api.client_facts import BatchEntry
from vaguemestre_api.jsontypes import Json, JsonObject, JsonRefused, parse_object
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.ids import oid_under

if TYPE_CHECKING:
    from vaguemestre_documents.metadata_schema import MetadataFinding

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".pdf": "application/pdf",
    ".xml": "text/xml",
    ".rtf": "text/rtf",
    ".txt": "text/plain",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}


# The whole document, in words.
_PRESENCE: Final[Mapping[str, str]] = {
    "none": "Rien au DMP.",
    "there": "Au DMP",
    "deleted": "Supprimé du DMP.",
    "unknown": "On ne sait pas encore ce qui est au DMP",
}
_WISHES: Final[Mapping[str, str]] = {
    "feeding": "Envoi :",
    "correction": "Correction :",
    "deletion": "Suppression :",
    "visibility": "Visibilité :",
}
_PROGRESS: Final[Mapping[str, str]] = {
    "waiting": "en attente",
    "doubtful": "issue pas encore connue",
    "refused": "refusé",
    "stopped": "arrêté",
    "body_needed": "contenu à déposer de nouveau",
}
# What becomes of a deletion or of a change of visibility, in words.
_DELETION: Final[Mapping[str, str]] = {
    "accepted": "La suppression du DMP est demandée ; elle peut être annulée jusqu'à son départ.",
    "waits": "L'issue de l'envoi n'est pas connue : la suppression l'attend. Pas arrivé, le document ne repartira pas.",
    "stopped": "Rien n'était parti : l'envoi est annulé.",
    "done": "Le document est déjà supprimé.",
}
_VISIBILITY: Final[Mapping[str, str]] = {
    "accepted": "Le changement de visibilité au DMP est demandé ; il peut être annulé jusqu'à son départ.",
    "waits": "L'issue de ce qui est parti n'est pas connue : le changement l'attend.",
    "corrected": "La version qui attend partira avec cette visibilité ; celle déjà au DMP garde la sienne jusque-là.",
    "done": "Le document a déjà cette visibilité.",
}


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION", required=True)
    putting = verbs.add_parser("put", parents=[common], help="déposer la version voulue d'un document")
    putting.add_argument("client_ref", metavar="RÉFÉRENCE")
    putting.add_argument("--hold", action="store_true", help="attendre qu'une personne lève le blocage")
    putting.add_argument("--send-now", action="store_true", help="sans différé ; les minutes d'annulation restent")
    putting.add_argument("--key", metavar="CLÉ", help="clé d'idempotence")
    add_actor_options(putting)
    several = verbs.add_parser(
        "put-batch", parents=[common], help="déposer des documents d'épisodes antérieurs (INS qualifiée, sinon aucun)"
    )
    several.add_argument("listing", type=Path, metavar="LOT", help="JSON : client_ref, file, metadata, key de chacun")
    several.add_argument("--hold", action="store_true", help="attendre qu'une personne lève le blocage")
    several.add_argument("--send-now", action="store_true", help="sans différé ; les minutes d'annulation restent")
    add_actor_options(several)
    building = verbs.add_parser("build", parents=[common], help="construire le CDA et ses métadonnées XDS, sans envoi")
    building.add_argument("--oid-root", required=True, metavar="OID", help="branche d'OID du logiciel")
    building.add_argument("--output", type=Path, default=Path(), metavar="DOSSIER", help="défaut : dossier courant")
    for reading in (putting, building):
        reading.add_argument("file", type=Path, metavar="FICHIER")
        reading.add_argument("--metadata", type=Path, required=True, metavar="JSON")
        reading.add_argument("--media-type", help="défaut : d'après l'extension")
    showing = verbs.add_parser("show", parents=[common], help="où en est un document")
    showing.add_argument("client_ref", metavar="RÉFÉRENCE")
    comparing = verbs.add_parser(
        "compare", parents=[common], help="comparer deux CDA par le sens, sans montrer de valeur"
    )
    comparing.add_argument("first", type=Path, metavar="CDA")
    comparing.add_argument("second", type=Path, metavar="CDA")
    deleting = verbs.add_parser("delete", parents=[common], help="supprimer un document, parti ou non")
    deleting.add_argument("client_ref", metavar="RÉFÉRENCE")
    deleting.add_argument(
        "--motive",
        required=True,
        choices=("feeding_error", "patient_request"),
        help="erreur d'alimentation, ou demande du patient ; inscrit au registre",
    )
    showing_to = verbs.add_parser("visibility", parents=[common], help="dire qui voit un document, parti ou non")
    showing_to.add_argument("client_ref", metavar="RÉFÉRENCE")
    showing_to.add_argument(
        "--mask",
        action="append",
        default=[],
        choices=("INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX", "MASQUE_PS"),
        help="code voulu, répétable ; sans aucun, le document est visible à tous",
    )
    for changing in (deleting, showing_to):
        changing.add_argument("--key", metavar="CLÉ", help="clé d'idempotence")
        add_actor_options(changing)
    verbs.add_parser(
        "to-announce", parents=[common], help="documents invisibles au patient, à lui annoncer, le plus ancien d'abord"
    )
    checking = verbs.add_parser("check", parents=[common], help="vérifier un CDA, sans envoi")
    checking.add_argument("file", type=Path, metavar="CDA")
    checking.add_argument("--not-for-dmp", action="store_true", help="sans les règles propres au DMP")
    checking.add_argument("--no-ins", action="store_true", help="l'identité n'est pas qualifiée : aucune INS permise")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    actions = {
        "put": _put,
        "put-batch": _put_batch,
        "show": _show,
        "delete": _delete,
        "visibility": _visibility,
        "to-announce": _to_announce,
        "build": _build,
        "check": _check,
        "compare": _compare,
    }
    return actions[arguments.verb](arguments, console)


def _put(arguments: argparse.Namespace, console: Console) -> int:
    document = DocumentBody(
        metadata=_content(arguments.metadata), body=_content(arguments.file), media_type=_media_type(arguments)
    )
    accepted = ask(
        arguments,
        lambda client: client.put_document(
            arguments.client_ref,
            document,
            hold=arguments.hold,
            send_now=arguments.send_now,
            idempotency_key=arguments.key,
        ),
    )
    head = "Déjà accepté." if accepted.replayed else "Accepté : le document ne peut plus être perdu."
    console.give(accepted, f"{head}\n{describe(accepted.order)}")
    return Exit.OK


def _put_batch(arguments: argparse.Namespace, console: Console) -> int:
    """Deposit a batch; status 1 when a document of it is refused."""
    entries = _batch(arguments.listing)
    outcomes = ask(
        arguments, lambda client: client.put_documents(entries, hold=arguments.hold, send_now=arguments.send_now)
    )
    lines: list[str] = []
    for outcome in outcomes:
        if outcome.accepted is not None:
            lines.append(f"{outcome.client_ref} : accepté, {situation(outcome.accepted.order)}")
        elif outcome.refused is not None:
            lines.append(f"{outcome.client_ref} : refusé. {outcome.refused.title} [{outcome.refused.code}]")
    console.give(outcomes, "\n".join(lines))
    return Exit.OK if all(outcome.accepted is not None for outcome in outcomes) else Exit.REFUSED


def _batch(listing: Path) -> list[BatchEntry]:
    """Return the documents that a file lists; their files are beside it. Raises InvalidInput BATCH_INVALID."""
    try:
        listed = parse_object(_content(listing)).get("documents")
    except JsonRefused:
        raise InvalidInput("BATCH_INVALID") from None
    if not isinstance(listed, list):
        raise InvalidInput("BATCH_INVALID")
    return [_batch_entry(item, listing.parent) for item in listed]


def _batch_entry(item: Json, folder: Path) -> BatchEntry:
    given: JsonObject = item if isinstance(item, Mapping) else {}
    reference, name, metadata = given.get("client_ref"), given.get("file"), given.get("metadata")
    key, media_type = given.get("key"), given.get("media_type")
    if not isinstance(reference, str) or not isinstance(name, str) or not isinstance(metadata, Mapping):
        raise InvalidInput("BATCH_INVALID")
    return BatchEntry(
        client_ref=reference,
        metadata=metadata,
        body=_content(folder / name),
        media_type=media_type if isinstance(media_type, str) else _media_type_of(folder / name),
        idempotency_key=key if isinstance(key, str) else None,
    )


def _show(arguments: argparse.Namespace, console: Console) -> int:
    document = ask(arguments, lambda client: client.document(arguments.client_ref))
    lines = [f"{document.client_ref} : {STATUSES.get(document.status, document.status)}"]
    lines.append(f"  {_PRESENCE.get(document.presence, document.presence)}{_version(document.there)}")
    lines += [
        f"  {_WISHES.get(item.wish, item.wish)} {_PROGRESS.get(item.progress, item.progress)}"
        for item in document.under_way
    ]
    lines += [f"  {order.order_id}  version {order.version}  {situation(order)}" for order in document.orders]
    console.give(document, "\n".join(lines))
    return Exit.OK


def _to_announce(arguments: argparse.Namespace, console: Console) -> int:
    found = ask(arguments, lambda client: client.to_announce())
    rows = [
        (
            item.client_ref,
            f"{item.age_days} j",
            item.announce_due + (" (passé)" if item.is_announce_due else ""),
            item.visible_due + (" (passé)" if item.is_visible_due else ""),
            ", ".join(f"{_WISHES.get(u.wish, u.wish)} {_PROGRESS.get(u.progress, u.progress)}" for u in item.under_way),
        )
        for item in found.documents
    ]
    headers = ("DOCUMENT", "ÂGE", "PATIENT PRÉVENU LE", "VISIBLE LE", "DEMANDÉ")
    console.give_table(found, headers, rows, "Aucun document invisible à annoncer.")
    return Exit.OK


def _version(there: wire_documents.DocumentThere | None) -> str:
    if there is None:
        return ""
    seen = "changement de visibilité en doute" if there.visibility is None else ", ".join(there.visibility)
    return f" : version {there.version}, {there.unique_id}" + (f", {seen}" if seen else "")


def _delete(arguments: argparse.Namespace, console: Console) -> int:
    accepted = ask(
        arguments,
        lambda client: client.delete_document(arguments.client_ref, arguments.motive, idempotency_key=arguments.key),
    )
    console.give(accepted, f"{_DELETION[accepted.answer]}\n{describe(accepted.order)}")
    return Exit.OK


def _visibility(arguments: argparse.Namespace, console: Console) -> int:
    accepted = ask(
        arguments,
        lambda client: client.set_visibility(arguments.client_ref, arguments.mask, idempotency_key=arguments.key),
    )
    console.give(accepted, f"{_VISIBILITY[accepted.answer]}\n{describe(accepted.order)}")
    return Exit.OK


def _build(arguments: argparse.Namespace, console: Console) -> int:
    from vaguemestre_documents.preparation import (
        FrozenIdentifiers,
        PreparationFailure,
        PreparationRequest,
        prepare,
    )
    from vaguemestre_documents.xds.entry_json import entry_to_json

    outcome = prepare(
        PreparationRequest(
            media_type=_media_type(arguments),
            body=_content(arguments.file),
            metadata=_content(arguments.metadata),
            identifiers=FrozenIdentifiers(
                document_id=oid_under(arguments.oid_root, secrets.randbits(100)),
                set_id=oid_under(arguments.oid_root, secrets.randbits(100)),
                version=1,
            ),
            now=datetime.now().astimezone(),
            for_dmp=True,
        )
    )
    if isinstance(outcome, PreparationFailure):
        return _tell_findings(console, outcome.findings)
    name = arguments.file.stem
    cda, entry = arguments.output / f"{name}.cda.xml", arguments.output / f"{name}.xds.json"
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
        write_private(cda, outcome.document.cda)
        text = json.dumps(entry_to_json(outcome.document.entry), ensure_ascii=False, indent=2, sort_keys=True)
        write_private(entry, text.encode())
    except OSError:
        raise InvalidInput("FILE_UNWRITABLE") from None
    warnings = [{"code": item.code, "pointer": item.pointer, "sentence": item.sentence} for item in outcome.warnings]
    lines = [f"Construit : {cda}, {entry}. Rien n'a été envoyé."]
    lines += [f"  attention, {item.pointer or '/'} : {item.sentence}" for item in outcome.warnings]
    console.give({"cda": str(cda), "xds": str(entry), "warnings": warnings}, "\n".join(lines))
    return Exit.OK


def _check(arguments: argparse.Namespace, console: Console) -> int:
    """Check; status 1 when a rule is broken, 0 when there are warnings only."""
    from vaguemestre_documents.cda.check import check_cda

    findings = check_cda(
        _content(arguments.file), for_dmp=not arguments.not_for_dmp, is_ins_allowed=not arguments.no_ins
    )
    errors = [item for item in findings if item.is_error]
    shown = [
        {
            "code": item.rule.code,
            "severity": item.rule.severity.value,
            "path": item.path,
            "sentence": item.rule.sentence,
        }
        for item in findings
    ]
    lines = [f"  {'✗' if item.is_error else '!'} {item.path or '/'} : {item.rule.sentence}" for item in findings]
    lines.insert(0, f"Non conforme : {len(errors)} erreur(s)." if errors else "Conforme aux règles vérifiées ici.")
    console.give({"conforming": not errors, "findings": shown}, "\n".join(lines))
    return Exit.REFUSED if errors else Exit.OK


_KINDS: Final[Mapping[str, str]] = {
    "value": "ne dit pas la même chose",
    "label": "même code, autre libellé",
    "first_only": "dans le premier seulement",
    "second_only": "dans le second seulement",
}


def _compare(arguments: argparse.Namespace, console: Console) -> int:
    """Compare; status 1 when something differs that two makers of one document should have the same."""
    from vaguemestre_documents.cda.comparison import compare
    from vaguemestre_documents.cda.parse import parse_xml

    found = compare(parse_xml(_content(arguments.first)), parse_xml(_content(arguments.second)))
    unexpected = [item for item in found if not item.expected]
    shown = [
        {"path": item.path, "part": item.name, "kind": item.kind.value, "expected": item.expected} for item in found
    ]
    lines = [f"Écarts : {len(unexpected)}, et {len(found) - len(unexpected)} attendu(s)."]
    lines += [
        f"  {'-' if item.expected else '✗'} {item.path} ({item.name}) : {_KINDS[item.kind.value]}"
        for item in sorted(found, key=lambda item: item.expected)
    ]
    console.give({"same": not unexpected, "differences": shown}, "\n".join(lines))
    return Exit.REFUSED if unexpected else Exit.OK


def _tell_findings(console: Console, findings: tuple[MetadataFinding, ...]) -> int:
    places = [(item.pointer, item.sentence) for item in findings]
    console.fail("DOCUMENT_CHECK_FAILED", {"count": len(findings)}, errors=places)
    return Exit.REFUSED


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise InvalidInput("FILE_UNREADABLE") from None


def _media_type(arguments: argparse.Namespace) -> str:
    if arguments.media_type:
        return str(arguments.media_type)
    return _media_type_of(arguments.file)


def _media_type_of(path: Path) -> str:
    found = _MEDIA_TYPES.get(path.suffix.lower())
    if found is None:
        raise InvalidInput("MEDIA_TYPE_UNKNOWN")
    return found
