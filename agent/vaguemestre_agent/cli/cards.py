"""``vaguemestre cards``: the cards now in the readers; reads a carte Vitale; has a professional's PIN asked for.

No PIN passes here: the readers process asks for it in a window of the workstation.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final

from vaguemestre_agent.cli.connection import add_actor_options, ask, make_client
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.readers import kind_in_words, said
from vaguemestre_api import wire_readers
from vaguemestre_api.answers import StreamItem
from vaguemestre_api.blocking import follow

SESSIONS: Final[Mapping[str, str]] = {"closed": "à demander", "asking": "demandé", "open": "ouvert"}


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION")
    verbs.add_parser("list", parents=[common], help="cartes présentes (par défaut)")
    reading = verbs.add_parser("read", parents=[common], help="lire une carte Vitale")
    reading.add_argument("card_id", metavar="CARTE", help="telle que listée")
    opening = verbs.add_parser("login", parents=[common], help="faire demander le code d'une carte de professionnel")
    closing = verbs.add_parser("logout", parents=[common], help="fermer la session d'une carte de professionnel")
    for acting in (opening, closing):
        acting.add_argument("card_id", metavar="CARTE", help="telle que listée")
    for acting in (reading, opening, closing):
        add_actor_options(acting)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    acts = {"read": _read, "login": _log_in, "logout": _log_out}
    return acts.get(arguments.verb, _list)(arguments, console)


def _list(arguments: argparse.Namespace, console: Console) -> int:
    found = ask(arguments, lambda client: client.cards())
    rows = [
        (
            item.card_id,
            kind_in_words(item.kind),
            item.reader,
            _holder(item.professional),
            _session(item.professional),
            said(item.situation or _unread(item.professional)),
        )
        for item in found
    ]
    header = ("CARTE", "NATURE", "LECTEUR", "TITULAIRE", "CODE", "À FAIRE")
    console.give_table(found, header, rows, "Aucune carte dans les lecteurs.")
    return Exit.OK


def _holder(card: wire_readers.ProfessionalCard | None) -> str:
    if card is None or card.holder is None:
        return "non montré" if card is not None and card.withheld else ""
    holder = card.holder
    name = f"{holder.family_name} {holder.given_name or ''}".strip()
    return f"{name} ({holder.national_id}), jusqu'au {holder.valid_until}{', carte de test' if holder.is_test else ''}"


def _unread(card: wire_readers.ProfessionalCard | None) -> wire_readers.Situation | None:
    return None if card is None else card.unread


def _session(card: wire_readers.ProfessionalCard | None) -> str:
    return "" if card is None else SESSIONS.get(card.session, card.session)


def _log_in(arguments: argparse.Namespace, console: Console) -> int:
    """Ask for the window, then wait on the event stream for how it ends."""
    asked = ask(arguments, lambda client: client.log_in_card(arguments.card_id))
    console.note("Répondez à la fenêtre qui s'ouvre sur ce poste.")
    ended: list[wire_readers.Card | None] = []

    def receive(item: StreamItem) -> bool:
        content = item.content
        if isinstance(content, wire_readers.Readers):
            if all(reader.card_id != asked.card_id for reader in content.readers):
                ended.append(None)
        elif isinstance(content, wire_readers.Card) and content.card_id == asked.card_id:
            card = content.professional
            if card is not None and card.attempt >= asked.attempt and card.session != "asking":
                ended.append(content)
        return not ended

    follow(lambda: make_client(arguments), receive)
    card = ended[0]
    professional = None if card is None else card.professional
    if professional is not None and professional.session == "open":
        console.give(card, "Carte ouverte : elle le reste jusqu'à son retrait.")
        return Exit.OK
    failure = None if professional is None else professional.failure
    console.give(card, said(failure) or "La carte a été retirée.")
    return Exit.REFUSED


def _log_out(arguments: argparse.Namespace, console: Console) -> int:
    ask(arguments, lambda client: client.log_out_card(arguments.card_id))
    console.say("Session de la carte fermée.")
    return Exit.OK


def _read(arguments: argparse.Namespace, console: Console) -> int:
    found = ask(arguments, lambda client: client.beneficiaries(arguments.card_id))
    rows = [
        (str(item.position), item.usual_name, item.given_name, item.birth_date or "", item.nir or item.nir_key)
        for item in found.beneficiaries
    ]
    console.give_table(found, ("RANG", "NOM", "PRÉNOM", "NÉ(E) LE", "NIR"), rows, "Personne sur cette carte.")
    return Exit.OK
