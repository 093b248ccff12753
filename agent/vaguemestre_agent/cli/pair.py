"""``vaguemestre pair``: pairs this command line, opens a code for a program, lists and revokes.

The code of the first pairing lies in a file of the agent that only its user can read. A code is read from standard
input or from that file, never from the arguments.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from vaguemestre_agent.cli.connection import add_actor_options, ask, keep_credentials
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.paths import agent_paths
from vaguemestre_api import wire
from vaguemestre_api.blocking import call
from vaguemestre_api.client import Client, Credentials
from vaguemestre_api.codec import WireError, from_json
from vaguemestre_api.jsontypes import JsonRefused, parse_json
from vaguemestre_core.errors import Forbidden, InvalidInput
from vaguemestre_core.records import Scope

_SCOPES = [scope.value for scope in Scope]


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands; without one, this command line is paired."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION")
    join = verbs.add_parser("join", parents=[common], help="jumeler cette commande (action par défaut)")
    for target in (parser, join):
        target.add_argument("--code-stdin", action="store_true", help="lire le code sur l'entrée standard")
        target.add_argument("--name", default="vaguemestre (ligne de commande)", help="nom montré dans la liste")
        target.add_argument("--product", type=Path, metavar="JSON", help="profil produit, nécessaire pour déposer")
    opening = verbs.add_parser("open", parents=[common], help="ouvrir un code pour un logiciel")
    opening.add_argument("--scope", action="append", choices=_SCOPES, help="droit donné (répétable ; défaut : LGC)")
    add_actor_options(opening)
    verbs.add_parser("list", parents=[common], help="logiciels jumelés")
    revoking = verbs.add_parser("revoke", parents=[common], help="révoquer un logiciel")
    revoking.add_argument("client_id", metavar="IDENTIFIANT")
    add_actor_options(revoking)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    actions = {"open": _open, "list": _list, "revoke": _revoke}
    return actions.get(arguments.verb, _join)(arguments, console)


def _join(arguments: argparse.Namespace, console: Console) -> int:
    paths = agent_paths(os.environ)
    code = _code(arguments, paths.first_code)
    product = None if arguments.product is None else read_product(arguments.product)
    paired = call(lambda: Client(paths.endpoint), lambda client: client.pair(code, arguments.name, product))
    where = keep_credentials(paths, Credentials(client_id=paired.client.client_id, secret=paired.secret))
    place = "le trousseau du système" if where == "key_store" else str(paths.credentials)
    console.give(paired.client, f"Jumelé : {paired.client.client_id}. Le secret est gardé dans {place}.")
    return Exit.OK


def _code(arguments: argparse.Namespace, first_code: Path) -> str:
    if arguments.code_stdin or not first_code.exists():
        if sys.stdin.isatty():
            print("Code de jumelage : ", end="", file=sys.stderr, flush=True)
        elif not arguments.code_stdin:
            raise Forbidden("PAIRING_CODE_NEEDED")
        return sys.stdin.readline().strip()
    try:
        return first_code.read_text("utf-8").strip()
    except OSError:
        raise Forbidden("PAIRING_CODE_NEEDED") from None


def read_product(path: Path) -> wire.Product:
    """Return the product profile of a JSON file. Raises InvalidInput FILE_UNREADABLE, PRODUCT_FILE_INVALID."""
    try:
        return from_json(wire.Product, parse_json(path.read_bytes()))
    except OSError:
        raise InvalidInput("FILE_UNREADABLE") from None
    except WireError as unfit:
        raise InvalidInput("PRODUCT_FILE_INVALID", pointer=unfit.where) from None
    except JsonRefused:
        raise InvalidInput("PRODUCT_FILE_INVALID", pointer="") from None


def _open(arguments: argparse.Namespace, console: Console) -> int:
    scopes = arguments.scope or ["read", "enqueue", "control"]
    code = ask(arguments, lambda client: client.open_pairing(scopes))
    console.give(code, f"Code : {code.code}\nValable {round(code.expires_in_s / 60)} min, une seule fois.")
    return Exit.OK


def _list(arguments: argparse.Namespace, console: Console) -> int:
    clients = ask(arguments, lambda client: client.clients())
    rows = [
        (
            item.client_id,
            item.name,
            ",".join(item.scopes),
            item.os_identity or "-",
            "révoqué" if item.revoked_at else "actif",
        )
        for item in clients
    ]
    console.give_table(clients, ("IDENTIFIANT", "NOM", "DROITS", "UTILISATEUR", "ÉTAT"), rows, "Aucun logiciel jumelé.")
    return Exit.OK


def _revoke(arguments: argparse.Namespace, console: Console) -> int:
    ask(arguments, lambda client: client.revoke_client(arguments.client_id))
    console.give({"revoked": arguments.client_id}, f"Révoqué : {arguments.client_id}.")
    return Exit.OK
