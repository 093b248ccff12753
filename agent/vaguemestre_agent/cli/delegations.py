"""``vaguemestre delegations``: which station may send which document type under a professional's name."""

from __future__ import annotations

import argparse

from vaguemestre_agent.cli.connection import add_actor_options, ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.orders import local
from vaguemestre_agent.cli.patient_facts import describe_effect
from vaguemestre_api import wire_facts


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION", required=True)
    listing = verbs.add_parser("list", parents=[common], help="délégations d'un professionnel")
    listing.add_argument("professional", metavar="PS_IDNAT")
    for name, text in (("grant", "accorder"), ("withdraw", "retirer : ce qui a été accepté ainsi est bloqué")):
        acting = verbs.add_parser(name, parents=[common], help=text)
        acting.add_argument("professional", metavar="PS_IDNAT")
        acting.add_argument("station", metavar="POSTE")
        acting.add_argument("--type", dest="type_code", metavar="CODE", help="type de document ; défaut : tous")
        add_actor_options(acting)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    if arguments.verb == "list":
        found = ask(arguments, lambda client: client.delegations(arguments.professional))
        rows = [
            (item.station, item.type_code or "tous", "accordée" if item.granted else "retirée", local(item.at))
            for item in found
        ]
        console.give_table(found, ("POSTE", "TYPE", "ÉTAT", "DEPUIS"), rows, "Aucune délégation.")
        return Exit.OK
    request = wire_facts.DelegationRequest(
        professional=arguments.professional,
        station=arguments.station,
        granted=arguments.verb == "grant",
        type_code=arguments.type_code,
    )
    recorded = ask(arguments, lambda client: client.delegate(request))
    console.give(recorded, describe_effect(recorded))
    return Exit.OK
