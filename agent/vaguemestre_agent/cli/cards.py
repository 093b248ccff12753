"""``vaguemestre cards``: the cards now in the readers; reads a carte Vitale, for who has the right to identities."""

from __future__ import annotations

import argparse

from vaguemestre_agent.cli.connection import add_actor_options, ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.readers import kind_in_words, said


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION")
    verbs.add_parser("list", parents=[common], help="cartes présentes (par défaut)")
    reading = verbs.add_parser("read", parents=[common], help="lire une carte Vitale")
    reading.add_argument("card_id", metavar="CARTE", help="telle que listée")
    add_actor_options(reading)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    return _read(arguments, console) if arguments.verb == "read" else _list(arguments, console)


def _list(arguments: argparse.Namespace, console: Console) -> int:
    found = ask(arguments, lambda client: client.cards())
    rows = [(item.card_id, kind_in_words(item.kind), item.reader, said(item.situation)) for item in found]
    console.give_table(found, ("CARTE", "NATURE", "LECTEUR", "À FAIRE"), rows, "Aucune carte dans les lecteurs.")
    return Exit.OK


def _read(arguments: argparse.Namespace, console: Console) -> int:
    found = ask(arguments, lambda client: client.beneficiaries(arguments.card_id))
    rows = [
        (str(item.position), item.usual_name, item.given_name, item.birth_date or "", item.nir or item.nir_key)
        for item in found.beneficiaries
    ]
    console.give_table(found, ("RANG", "NOM", "PRÉNOM", "NÉ(E) LE", "NIR"), rows, "Personne sur cette carte.")
    return Exit.OK
