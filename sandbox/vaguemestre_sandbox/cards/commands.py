"""Commands to a running sandbox about its cards: `cards`, `insert`, `remove`, over its inspection port.

vaguemestre sandbox cards  --inspection URL
vaguemestre sandbox insert --inspection URL CARD [--reader N] [--pulled-at N]
vaguemestre sandbox remove --inspection URL [--reader N]
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

COMMANDS: Final = ("cards", "insert", "remove")
ANSWER_S: Final = 15.0
"""A reader takes a card at its next look, at most a few seconds later."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of these commands."""
    parser = argparse.ArgumentParser(prog="vaguemestre sandbox", description="Cartes et lecteurs d'un bac à sable.")
    kinds = parser.add_subparsers(dest="command", required=True, metavar="COMMANDE")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--inspection", required=True, metavar="URL", help="page d'inspection du bac à sable")
    common.add_argument("--json", action="store_true")
    kinds.add_parser("cards", parents=[common], help="lecteurs et cartes disponibles")
    insert = kinds.add_parser("insert", parents=[common], help="met une carte dans un lecteur")
    insert.add_argument("card", metavar="CARTE")
    insert.add_argument("--pulled-at", type=int, metavar="N", help="arrachée à sa N-ième commande")
    remove = kinds.add_parser("remove", parents=[common], help="retire la carte d'un lecteur")
    for one in (insert, remove):
        one.add_argument("--reader", type=int, default=0, metavar="N", help="0 : le premier")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run one command; return 0 when done, 1 when the sandbox refuses, 2 when it does not answer."""
    options = build_parser().parse_args(arguments)
    body: dict[str, object] | None = None
    method, path = "GET", "/api/cards"
    if options.command != "cards":
        method, path = "DELETE", f"/api/readers/{options.reader}/card"
    if options.command == "insert":
        method, body = "PUT", {"card": options.card, "pulled_at": options.pulled_at}
    try:
        status, answer = _ask(options.inspection, method, path, body)
    except (OSError, http.client.HTTPException, ValueError):
        sys.stderr.write("le bac à sable ne répond pas à cette adresse\n")
        return 2
    if options.json or status != http.HTTPStatus.OK:
        (sys.stdout if status == http.HTTPStatus.OK else sys.stderr).write(answer.strip() + "\n")
    else:
        for line in _lines(json.loads(answer)):
            sys.stdout.write(line + "\n")
    return 0 if status == http.HTTPStatus.OK else 1


def _ask(url: str, method: str, path: str, body: dict[str, object] | None) -> tuple[int, str]:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise ValueError(url)
    line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER_S)
    try:
        content = None if body is None else json.dumps(body)
        line.request(method, path, content, {} if body is None else {"Content-Type": "application/json"})
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    finally:
        line.close()


def _lines(answer: dict[str, object]) -> list[str]:
    lines = []
    readers, cards = answer.get("readers"), answer.get("cards")
    for row in readers if isinstance(readers, list) else []:
        lines.append(f"lecteur {row['slot']} (port {row['port']}) : {row['card'] or 'vide'}")
    for row in cards if isinstance(cards, list) else []:
        lines.append(f"{row['name']} : {row['title']}")
    if "slot" in answer:
        lines.append(f"lecteur {answer['slot']} : {answer['card'] or 'vide'}")
    if "removed" in answer:
        lines.append("retirée" if answer["removed"] else "le lecteur était vide")
    return lines
