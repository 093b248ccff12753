"""``vaguemestre scan``: the codes of an image or a PDF, what a code already read says, or codes as scanners read them.

A code's text comes from a file or standard input, never from the arguments: others can read those.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vaguemestre_agent.cli.connection import ask, make_client
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.cli.orders import local
from vaguemestre_agent.cli.readers import said
from vaguemestre_api import wire_readers
from vaguemestre_api.answers import StreamItem
from vaguemestre_api.blocking import follow
from vaguemestre_api.codec import to_json
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.scans import ScanKind

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
}


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the options."""
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "path", type=Path, nargs="?", metavar="FICHIER", help="image, PDF ou texte ; - : texte lu sur l'entrée"
    )
    given.add_argument("--watch", action="store_true", help="montrer les codes que les lecteurs de ce poste lisent")
    parser.add_argument("--count", type=int, metavar="N", help="avec --watch : s'arrêter après N codes")
    parser.add_argument("--expected", choices=[kind.value for kind in ScanKind], help="nature attendue du code")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Read and show."""
    if arguments.watch:
        return _watch(arguments, console)
    content, media_type = _given(arguments.path)
    found = ask(arguments, lambda client: client.scan(content, media_type, expected=arguments.expected))
    rows = [(str(item.page + 1), item.kind or "?", _in_words(item)) for item in found.codes]
    console.give_table(found, ("PAGE", "NATURE", "CONTENU"), rows, "Aucun code lu.")
    return Exit.OK


def _watch(arguments: argparse.Namespace, console: Console) -> int:
    """Show codes as they are read, until interrupted or the count is reached; codes read before are not shown."""
    left: int | None = arguments.count

    def receive(item: StreamItem) -> bool:
        nonlocal left
        event = item.content
        if not isinstance(event, wire_readers.ScanEvent):
            return True
        if console.as_json:
            console.give_json(to_json(event))
        else:
            console.say(f"{local(event.at)}  {event.scanner}  {event.code.kind or '?'}  {_in_words(event.code)}")
        if left is not None:
            left -= 1
        return left is None or left > 0

    follow(lambda: make_client(arguments), receive)
    return Exit.OK


def _given(path: Path) -> tuple[bytes, str]:
    if str(path) == "-":
        return sys.stdin.buffer.read().rstrip(b"\r\n"), "text/plain"
    media_type = _MEDIA_TYPES.get(path.suffix.lower())
    if media_type is None:
        raise InvalidInput("MEDIA_TYPE_UNSUPPORTED", expected=", ".join(_MEDIA_TYPES))
    try:
        return path.read_bytes(), media_type
    except OSError:
        raise InvalidInput("FILE_UNREADABLE") from None


def _in_words(code: wire_readers.Code) -> str:
    if code.failure is not None:
        return said(code.failure)
    if code.withheld:
        return "réservé aux logiciels jumelés avec le droit identity"
    if code.ins is not None:
        return f"{code.ins.birth_name} {code.ins.given_names}, {code.ins.birth_date}, {code.ins.matricule}"
    if code.box is not None:
        box = code.box
        parts = [box.cip13 or box.gtin, f"lot {box.lot}" if box.lot else "", f"exp. {box.expiry}" if box.expiry else ""]
        return ", ".join(part for part in parts if part)
    return "transmis tel quel"
