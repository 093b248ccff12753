"""``vaguemestre session``: who may send from here; opens, adopts and closes a session of the Proxy e-santé.

The cookie of an adopted session is read from standard input or a file, never from the arguments.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vaguemestre_agent.cli.connection import add_actor_options, ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.orders import local
from vaguemestre_api import wire
from vaguemestre_core.errors import InvalidInput


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION", required=True)
    verbs.add_parser("show", parents=[common], help="qui peut envoyer d'ici")
    opening = verbs.add_parser("open", parents=[common], help="ouvrir (sollicite le professionnel)")
    opening.add_argument("--channel", choices=["CARD", "MOBILE"], default="CARD", help="CPS ou e-CPS")
    opening.add_argument("--mode", choices=["ciba", "browser"], default="ciba")
    adopting = verbs.add_parser("adopt", parents=[common], help="adopter la session du logiciel")
    adopting.add_argument("--cookie-file", type=Path, metavar="FICHIER", help="défaut : entrée standard")
    adopting.add_argument("--session-state", default="", help="session_state rendu par le proxy")
    adopting.add_argument("--until-s", type=float, help="durée restante, secondes")
    closing = verbs.add_parser("close", parents=[common], help="fermer")
    for acting in (opening, adopting, closing):
        acting.add_argument("national_id", metavar="PS_IDNAT")
        add_actor_options(acting)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    return {"show": _show, "open": _open, "adopt": _adopt, "close": _close}[arguments.verb](arguments, console)


def _show(arguments: argparse.Namespace, console: Console) -> int:
    authorities = ask(arguments, lambda client: client.session())
    rows = [
        (item.professional, item.means, item.service, item.station, item.proxy_client_id, local(item.until))
        for item in authorities
    ]
    header = ("PROFESSIONNEL", "MOYEN", "SERVICE", "POSTE", "LOGICIEL", "JUSQU'À")
    console.give_table(authorities, header, rows, "Personne ne peut envoyer d'ici pour l'instant.")
    return Exit.OK


def _open(arguments: argparse.Namespace, console: Console) -> int:
    offer = ask(
        arguments,
        lambda client: client.open_session(arguments.national_id, channel=arguments.channel, mode=arguments.mode),
    )
    what = f"Ouvrez {offer.url}" if offer.url else f"Comparez le code {offer.binding_code} et confirmez"
    console.give(offer, f"{what} (dans les {round(offer.expires_in_s)} s).")
    return Exit.OK


def _adopt(arguments: argparse.Namespace, console: Console) -> int:
    request = wire.AdoptSessionRequest(
        national_id=arguments.national_id,
        cookie=_cookie(arguments.cookie_file),
        session_state=arguments.session_state,
        until_s=arguments.until_s,
    )
    authority = ask(arguments, lambda client: client.adopt_session(request))
    console.give(authority, f"Session adoptée pour {authority.professional}, jusqu'à {local(authority.until)}.")
    return Exit.OK


def _cookie(path: Path | None) -> str:
    if path is None:
        return sys.stdin.readline().strip()
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        raise InvalidInput("FILE_UNREADABLE") from None


def _close(arguments: argparse.Namespace, console: Console) -> int:
    ask(arguments, lambda client: client.close_session(arguments.national_id))
    console.give({"closed": arguments.national_id}, f"Session fermée pour {arguments.national_id}.")
    return Exit.OK
