"""``vaguemestre selftest power``: the arguments, the run, and what is printed.

The recording file system needs ``apsw``, which practices do not install: its absence is said, and is no failure.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vaguemestre_agent.selftest.power.run import PowerReport

EXIT_CLEAN: Final = 0
EXIT_FAULTY: Final = 1
EXIT_UNAVAILABLE: Final = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--cuts", type=int, default=1000, metavar="N", help="nombre de coupures de courant simulées")
    parser.add_argument("--seed", type=int, default=1, help="graine : même graine, mêmes coupures")
    parser.add_argument("--folder", type=Path, default=None, help="dossier des images provisoires")
    parser.add_argument("--json", action="store_true", help="résultat en JSON")


def run(arguments: argparse.Namespace, write: Callable[[str], object] = sys.stdout.write) -> int:
    """Run the self-test; return 0 when nothing was lost, 1 when something was, 6 when apsw is missing."""
    if importlib.util.find_spec("apsw") is None:
        write("L'auto-test de coupure a besoin du module « apsw » (extra « dev »).\n")
        return EXIT_UNAVAILABLE
    from vaguemestre_agent.selftest.power.run import run_power

    report = run_power(arguments.cuts, arguments.seed, folder=arguments.folder)
    write(as_json(report) if arguments.json else as_text(report))
    return EXIT_CLEAN if report.clean else EXIT_FAULTY


def as_json(report: PowerReport) -> str:
    """Return the report as one JSON document."""
    return json.dumps({**asdict(report), "clean": report.clean}, ensure_ascii=False, indent=2) + "\n"


def as_text(report: PowerReport) -> str:
    """Return the report for a person."""
    lines = [
        f"{report.cuts} coupures (graine {report.seed}, {report.seconds:.1f} s) sur {report.operations} écritures, "
        f"{report.flushes} synchronisations, {report.orders} ordres, {report.acknowledgements} accusés",
        f"perdus : {report.lost} · état impossible : {report.wrong_state} · base abîmée : {report.corrupt}",
        *(f"  {count.kind:<12} {count.cuts:>6} coupures, {count.faulty:>6} en faute" for count in report.by_kind),
        *(f"  ! {finding}" for finding in report.findings),
        "Rien n'a été perdu." if report.clean else "Des pertes ont été constatées.",
    ]
    return "\n".join(lines) + "\n"
