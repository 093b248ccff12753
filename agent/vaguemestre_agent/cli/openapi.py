"""``vaguemestre openapi``: prints the OpenAPI document of this version, or of the running agent."""

from __future__ import annotations

import argparse

from vaguemestre_agent.cli.connection import ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_api import openapi


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--running", action="store_true", help="celui de l'agent qui tourne")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the document."""
    if arguments.running:
        content = ask(arguments, lambda client: client.openapi(), anonymous=True)
    else:
        content = openapi.document_bytes()
    console.print_text(content.decode())
    return Exit.OK
