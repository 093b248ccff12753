"""The table of commands: name → module and one French line. Adding a command is one line here and one module.

A command's module defines ``configure(parser, common)`` and ``run(arguments, console) -> int`` (see ``Command``). A
line whose module is not installed (a part that a workstation leaves out) is not shown.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Final, Protocol, cast

from vaguemestre_agent.cli.console import Console


class Command(Protocol):
    """What a command's module offers."""

    def configure(self, parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
        """Add the command's arguments; sub-commands take ``common`` as a parent."""

    def run(self, arguments: argparse.Namespace, console: Console) -> int:
        """Do it; return the exit status. Raises VaguemestreError, ClientFailure: ``main`` tells them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the table."""

    module: str
    summary: str
    passes_through: bool = False  # its words go unread to another program

    def is_installed(self) -> bool:
        """Say whether the module is there, without importing it."""
        return importlib.util.find_spec(self.module) is not None

    def load(self) -> Command:
        """Import the module."""
        module: ModuleType = importlib.import_module(self.module)
        return cast("Command", module)


_PACKAGE: Final = "vaguemestre_agent.cli"

COMMANDS: Final[Mapping[str, Entry]] = {
    "agent": Entry(module=f"{_PACKAGE}.agent", summary="lancer l'agent de ce poste"),
    "health": Entry(module=f"{_PACKAGE}.health", summary="état de l'agent"),
    "doctor": Entry(module=f"{_PACKAGE}.doctor", summary="dire pourquoi un lecteur ou une carte n'est pas vu"),
    "pair": Entry(module=f"{_PACKAGE}.pair", summary="jumeler un logiciel, lister, révoquer"),
    "documents": Entry(module=f"{_PACKAGE}.documents", summary="déposer, suivre, construire ou vérifier un document"),
    "orders": Entry(module=f"{_PACKAGE}.orders", summary="ordres d'envoi : voir, bloquer, annuler, envoyer"),
    "delegations": Entry(module=f"{_PACKAGE}.delegations", summary="postes qui peuvent envoyer sous un nom"),
    "events": Entry(module=f"{_PACKAGE}.events", summary="suivre les changements"),
    "session": Entry(module=f"{_PACKAGE}.session", summary="session du Proxy e-santé"),
    "readers": Entry(module=f"{_PACKAGE}.readers", summary="lecteurs de cartes de ce poste"),
    "cards": Entry(module=f"{_PACKAGE}.cards", summary="cartes présentes dans les lecteurs"),
    "scan": Entry(module=f"{_PACKAGE}.scan", summary="lire les codes d'une image, d'un PDF ou d'un texte"),
    "patients": Entry(module=f"{_PACKAGE}.patients", summary="patients : ce qu'ils ont dit, identité, effacement"),
    "ins-code": Entry(module=f"{_PACKAGE}.ins_code", summary="faire un Datamatrix INS, en image ou sur un PDF"),
    "backup": Entry(module=f"{_PACKAGE}.backup", summary="sauvegardes chiffrées : faire, vérifier, remettre"),
    "export": Entry(module=f"{_PACKAGE}.export", summary="exporter les documents gardés, avec leur manifeste"),
    "indicators": Entry(module=f"{_PACKAGE}.indicators", summary="indicateurs d'alimentation du DMP (tableau, CSV)"),
    "ledger": Entry(module=f"{_PACKAGE}.ledger", summary="registre : vérifier, exporter"),
    "store": Entry(module=f"{_PACKAGE}.store", summary="fichier de la file d'envoi : vérifier, sauver ce qui se lit"),
    "keys": Entry(
        module=f"{_PACKAGE}.keys", summary="clés de la file d'envoi : clé de secours, empreintes, restauration"
    ),
    "requirements": Entry(module=f"{_PACKAGE}.requirements", summary="exigences, tests et preuves"),
    "sandbox": Entry(
        module=f"{_PACKAGE}.sandbox", summary="services nationaux simulés, sur ce poste", passes_through=True
    ),
    "selftest": Entry(module=f"{_PACKAGE}.selftest", summary="contrôle de l'installation"),
    "bench": Entry(module=f"{_PACKAGE}.bench", summary="mesures"),
    "demo": Entry(module=f"{_PACKAGE}.demo", summary="démonstration complète"),
    "openapi": Entry(module=f"{_PACKAGE}.openapi", summary="document OpenAPI de l'API locale"),
    "version": Entry(module=f"{_PACKAGE}.version", summary="version"),
}
