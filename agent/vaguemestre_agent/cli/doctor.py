"""``vaguemestre doctor``: why a reader, a card or the middleware is not seen, read-only, with or without the agent.

Owns the command line and the page; the judgement is ``vaguemestre_agent.doctor``'s.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_agent.doctor.codes import Weight
from vaguemestre_agent.doctor.examining import examine
from vaguemestre_agent.doctor.facts import Facts
from vaguemestre_agent.doctor.rules import Finding, judge

MARKS = {Weight.FAULT: "✗", Weight.NOTICE: "·"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFinding:
    """One finding as ``--json`` shows it."""

    code: str
    weight: str
    doctor: str
    technician: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownReader:
    """One reader as PC/SC shows it."""

    name: str
    state: str
    card: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What ``--json`` gives: nothing personal."""

    ok: bool
    system: str
    pcsc: str
    service: str
    agent: str
    middleware: str
    readers: tuple[ShownReader, ...]
    findings: tuple[ShownFinding, ...]


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--module", metavar="CHEMIN", help="bibliothèque PKCS#11 à essayer (défaut : celle du système)")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Examine and tell; status 1 when a fault was found."""
    facts = examine(os.environ, module=arguments.module)
    found = judge(facts)
    diagnosis = diagnosis_of(facts, found)
    console.give(diagnosis, page(facts, found))
    return Exit.OK if diagnosis.ok else Exit.REFUSED


def diagnosis_of(facts: Facts, found: Sequence[Finding]) -> Diagnosis:
    """Return what is shown."""
    return Diagnosis(
        ok=not any(one.weight is Weight.FAULT for one in found),
        system=facts.system.system.value,
        pcsc=facts.pcsc.answer.value,
        service=facts.service.state.value,
        agent=facts.agent.answer.value,
        middleware=facts.middleware.explanation.reason.value,
        readers=tuple(
            ShownReader(name=one.name, state=one.state.value, card=None if one.card is None else one.card.value)
            for one in facts.pcsc.readers
        ),
        findings=tuple(
            ShownFinding(
                code=one.code.value,
                weight=one.weight.value,
                doctor=one.doctor,
                technician=one.technician,
                action=one.action,
            )
            for one in found
        ),
    )


def page(facts: Facts, found: Sequence[Finding]) -> str:
    """Return the page for a person: faults first, then what only explains."""
    faults = [one for one in found if one.weight is Weight.FAULT]
    notices = [one for one in found if one.weight is Weight.NOTICE]
    lines = [f"{len(faults)} anomalie(s) sur ce poste :" if faults else "Rien d'anormal n'a été trouvé sur ce poste."]
    for one in [*faults, *notices]:
        lines += [f"{MARKS[one.weight]} {one.doctor} [{one.code.value}]", f"    technicien : {one.technician}"]
        if one.action:
            lines.append(f"    → {one.action}")
    for reader in facts.pcsc.readers:
        card = "" if reader.card is None else f", carte {reader.card.value}"
        lines.append(f"  lecteur « {reader.name} » : {reader.state.value}{card}")
    return "\n".join(lines)
