"""``vaguemestre selftest crash|power``: the figures of durability, on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final, Protocol

from vaguemestre_agent.cli.console import Console
from vaguemestre_agent.selftest.crash import command as crash
from vaguemestre_agent.selftest.power import command as power


class SelfTest(Protocol):
    """What a self-test's command module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Run; return the exit status."""


_TESTS: Final[Mapping[str, tuple[SelfTest, str]]] = {
    "crash": (crash, "l'agent est tué N fois pendant que des ordres partent"),
    "power": (power, "le courant est coupé N fois dans l'enregistrement d'une journée"),
}


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add one sub-command a test; each declares ``--json`` itself."""
    kinds = parser.add_subparsers(dest="test", required=True, metavar="TEST")
    for name, (module, summary) in _TESTS.items():
        module.add_arguments(kinds.add_parser(name, help=summary, description=summary))


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the test that was chosen; return its exit status."""
    module, _ = _TESTS[arguments.test]
    arguments.json = arguments.json or console.as_json  # wherever on the line it was asked
    return module.run(arguments)
