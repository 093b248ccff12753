"""``vaguemestre doctor``: why a reader or the CPS middleware is not seen. Looks only: changes nothing, stops nobody.

Each finding has one sentence for the practice and one for the technician, both from the catalogue by their codes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vaguemestre_agent.cli.connection import ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_api import wire_readers
from vaguemestre_api.failures import ClientFailure
from vaguemestre_api.messages import fill, message
from vaguemestre_drivers.cps.middleware import search_here
from vaguemestre_drivers.cps.probing import MiddlewareExplanation, explain_middleware, probe_middleware


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the system shows around readers."""

    has_galss: bool
    is_remote: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found: what the practice reads, what the technician reads."""

    code: str
    practice: str
    technician: str


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--module", metavar="CHEMIN", help="bibliothèque PKCS#11 à essayer (défaut : celle du système)")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Look and tell."""
    seen: wire_readers.Readers | str
    try:
        seen = ask(arguments, lambda client: client.readers())
    except ClientFailure as failure:
        seen = failure.code
    found = search_here(override=arguments.module)
    report = None if found.chosen is None else probe_middleware(found.chosen.path)
    findings = tuple(diagnosis(seen, explain_middleware(found, report), surroundings()))
    rows = [(item.code, item.practice, item.technician) for item in findings]
    console.give_table(findings, ("CODE", "AU CABINET", "AU TECHNICIEN"), rows, "Rien à signaler.")
    return Exit.OK


def diagnosis(
    seen: wire_readers.Readers | str, middleware: MiddlewareExplanation, around: Surroundings
) -> Iterator[Finding]:
    """Yield what is found, from what was seen alone.

    Args:
        seen: the agent's readers, or the code of why it did not answer.
        middleware: what was found of the CPS middleware.
        around: what the system shows.
    """
    if isinstance(seen, str):
        yield _finding(seen, {})
    else:
        if seen.state == "off":
            yield _finding("READERS_OFF", {})
        elif seen.trouble is not None:
            yield _finding(seen.trouble.code, {})
        elif not seen.readers:
            yield _finding("READERS_NONE", {})
        for reader in seen.readers:
            if reader.situation is not None:
                yield _finding(reader.situation.code, {"reader": reader.name})
    if middleware.situation is not None:
        said = message(middleware.reason.value)
        practice = fill(_sentence(middleware.situation.value), middleware.params)
        yield Finding(
            code=middleware.situation.value, practice=practice, technician=fill(said.title, middleware.params)
        )
    if around.has_galss:
        yield _finding("GALSS_LEFT", {})
    if around.is_remote:
        yield _finding("REMOTE_SESSION", {})


def surroundings(system: str = sys.platform) -> Surroundings:
    """Look at the system around; changes nothing."""
    if system != "win32":
        return Surroundings(has_galss=False, is_remote="SSH_CONNECTION" in os.environ)
    windows = Path(os.environ.get("WINDIR", r"C:\Windows"))
    is_remote = os.environ.get("SESSIONNAME", "").upper().startswith("RDP-")
    return Surroundings(has_galss=(windows / "galss.ini").exists(), is_remote=is_remote)


def _finding(code: str, params: Mapping[str, str]) -> Finding:
    said = message(code)
    place = "".join(f" ({value})" for value in params.values())
    return Finding(
        code=code,
        practice=fill(_sentence(code), params),
        technician=f"{fill(said.detail, params) or fill(said.title, params)}{place}",
    )


def _sentence(code: str) -> str:
    said = message(code)
    return f"{said.title} {said.action}".strip()
