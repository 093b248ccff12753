"""``vaguemestre ledger``: has the chain recomputed, exports the lines."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from vaguemestre_agent.cli.connection import ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_api.client import Client
from vaguemestre_api.codec import to_json
from vaguemestre_core.errors import InvalidInput

_PAGE = 1000


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="ACTION", required=True)
    verbs.add_parser("verify", parents=[common], help="recalculer la chaîne")
    export = verbs.add_parser("export", parents=[common], help="une ligne JSON par ligne du registre")
    export.add_argument("--after", type=int, default=0, metavar="NUMÉRO")
    export.add_argument("--output", type=Path, metavar="FICHIER", help="défaut : sortie standard")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the action."""
    if arguments.verb == "verify":
        verified = ask(arguments, lambda client: client.verify_ledger())
        console.give(verified, f"Registre intact : {verified.lines} lignes, empreinte {verified.head}.")
        return Exit.OK
    with ExitStack() as stack:
        out = sys.stdout if arguments.output is None else stack.enter_context(_open(arguments.output))
        count = ask(arguments, lambda client: _export(client, arguments.after, out))
    if arguments.output is not None:
        console.give({"lines": count}, f"{count} lignes exportées.")
    return Exit.OK


def _open(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8")
    except OSError:
        raise InvalidInput("FILE_UNWRITABLE") from None


async def _export(client: Client, after: int, out: TextIO) -> int:
    count = 0
    following: int | None = after
    while following is not None:
        page = await client.ledger(after=following, limit=_PAGE)
        for line in page.lines:
            print(json.dumps(to_json(line), ensure_ascii=False, sort_keys=True), file=out)
        count += len(page.lines)
        following = page.next
    return count
