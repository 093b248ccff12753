"""``vaguemestre patients show, consent, identity-event``: wishes of patients, changes of identity.

A patient is named by the software's opaque reference. Identifiers are read from a file or standard input, never from
the arguments; no reason of a wish is asked.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from vaguemestre_agent.cli.connection import add_actor_options, ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.orders import local
from vaguemestre_api import wire_facts
from vaguemestre_api.codec import WireError, from_json
from vaguemestre_api.jsontypes import JsonRefused, parse_object
from vaguemestre_core.errors import InvalidInput

ABOUT: Final = {
    "feeding": "alimenter le DMP",
    "consultation": "consulter le DMP",
    "mss_patient": "écrire au patient (MSSanté)",
    "mss_professionals": "écrire aux professionnels (MSSanté)",
}
EVENTS: Final = ("trait_changed", "matricule_changed", "merged", "status_changed")
IDENTITY: Final = ("provisoire", "validée", "récupérée", "qualifiée")


def configure(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    """Add the sub-commands."""
    showing = verbs.add_parser("show", parents=[common], help="ce que le patient a dit, et ce qui est permis")
    consenting = verbs.add_parser("consent", parents=[common], help="enregistrer un consentement ou une opposition")
    changing = verbs.add_parser("identity-event", parents=[common], help="dire qu'une identité a changé")
    for verb in (showing, consenting, changing):
        verb.add_argument("patient_ref", metavar="RÉFÉRENCE", help="référence opaque chez le logiciel")
    consenting.add_argument("about", choices=tuple(ABOUT), metavar="OBJET", help=", ".join(ABOUT))
    answer = consenting.add_mutually_exclusive_group(required=True)
    answer.add_argument("--granted", action="store_true", help="accordé (opposition retirée)")
    answer.add_argument("--refused", action="store_true", help="refusé (opposition)")
    for verb in (showing, consenting):
        verb.add_argument("--episode", metavar="ÉPISODE", help="défaut : tous")
        verb.add_argument("--care-team", metavar="STRUCT_IDNAT", help="équipe de soins ; défaut : toutes")
    changing.add_argument("event", choices=EVENTS, metavar="ÉVÈNEMENT", help=", ".join(EVENTS))
    changing.add_argument("--former", type=Path, metavar="FICHIER", help="identifiants d'avant, ou de l'autre dossier")
    changing.add_argument("--status", choices=IDENTITY, metavar="STATUT", help=", ".join(IDENTITY))
    for verb in (consenting, changing):
        verb.add_argument("--identifiers", type=Path, metavar="FICHIER", help="JSON ; - : entrée standard")
        add_actor_options(verb)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    return {"show": _show, "consent": _consent, "identity-event": _event}[arguments.verb](arguments, console)


def describe_effect(recorded: wire_facts.FactsRecorded) -> str:
    """Return what a fact did, in lines."""
    lines = [f"Enregistré. Bloqués : {len(recorded.held)} ; libérés : {len(recorded.freed)}."]
    lines += [f"  bloqué  {order_id}" for order_id in recorded.held]
    lines += [f"  libéré  {order_id}" for order_id in recorded.freed]
    if recorded.deletions:
        lines.append("Documents qui sont au DMP, ou peuvent y être : leur suppression est proposée.")
        lines += [f"  {item.client_ref}  {item.order_id}" for item in recorded.deletions]
    return "\n".join(lines)


def _show(arguments: argparse.Namespace, console: Console) -> int:
    said = ask(
        arguments,
        lambda client: client.consents(arguments.patient_ref, episode=arguments.episode, care_team=arguments.care_team),
    )
    lines = [f"{'✓' if getattr(said, about) else '✗'} {words}" for about, words in ABOUT.items()]
    for wish in said.wishes:
        where = " ".join(item for item in (wish.episode, wish.care_team) if item) or "tout"
        word = "accordé" if wish.granted else "refusé"
        lines.append(f"  {local(wish.at)}  {ABOUT.get(wish.about, wish.about)} : {word} ({where}, {wish.actor.user})")
    console.give(said, "\n".join(lines))
    return Exit.OK


def _consent(arguments: argparse.Namespace, console: Console) -> int:
    wish = wire_facts.NewWish(
        about=arguments.about,
        granted=arguments.granted,
        episode=arguments.episode,
        care_team=arguments.care_team,
    )
    identifiers = _identifiers(arguments.identifiers)
    recorded = ask(
        arguments, lambda client: client.record_consents(arguments.patient_ref, [wish], identifiers=identifiers)
    )
    console.give(recorded, describe_effect(recorded))
    return Exit.OK


def _event(arguments: argparse.Namespace, console: Console) -> int:
    request = wire_facts.IdentityEventRequest(
        event=arguments.event,
        identifiers=_identifiers(arguments.identifiers),
        former=_identifiers(arguments.former),
        identity_status=arguments.status,
    )
    recorded = ask(arguments, lambda client: client.record_identity_event(arguments.patient_ref, request))
    console.give(recorded, describe_effect(recorded))
    return Exit.OK


def _identifiers(path: Path | None) -> wire_facts.PatientIdentifiers | None:
    if path is None:
        return None
    try:
        content = sys.stdin.read().encode() if str(path) == "-" else path.read_bytes()
    except OSError:
        raise InvalidInput("FILE_UNREADABLE") from None
    try:
        return from_json(wire_facts.PatientIdentifiers, parse_object(content))
    except (JsonRefused, WireError):
        raise InvalidInput("IDENTIFIERS_INVALID") from None
