"""``vaguemestre selftest crash``: the arguments, the run, and what is printed."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vaguemestre_agent.selftest.crash.report import CrashReport
from vaguemestre_agent.selftest.crash.run import run_crash

EXIT_CLEAN: Final = 0
EXIT_FAULTY: Final = 1
EXIT_UNAVAILABLE: Final = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--kills", type=int, default=40, metavar="N", help="nombre d'arrêts brutaux de l'agent")
    parser.add_argument("--seed", type=int, default=1, help="graine : même graine, mêmes choix")
    parser.add_argument("--shards", type=int, default=1, metavar="N", help="cabinets menés de front, qui se partagent")
    parser.add_argument("--folder", type=Path, default=None, help="dossier vide où garder la base et les journaux")
    parser.add_argument("--json", action="store_true", help="résultat en JSON")


def run(arguments: argparse.Namespace, write: Callable[[str], object] = sys.stdout.write) -> int:
    """Run the self-test; return 0 when it is clean, 1 when not, 3 when the sandbox is not installed."""
    if importlib.util.find_spec("vaguemestre_sandbox") is None:
        write("L'auto-test d'arrêts a besoin du bac à sable (extra « sandbox »).\n")
        return EXIT_UNAVAILABLE

    def told(kills: int) -> None:
        if kills % 10 == 0:  # apart from the result, which a program may read
            sys.stderr.write(f"{kills} arrêts\n")
            sys.stderr.flush()

    with tempfile.TemporaryDirectory(prefix="vaguemestre-crash-") as temporary:
        folder = Path(temporary) if arguments.folder is None else arguments.folder
        folder.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(run_crash(arguments.kills, arguments.seed, folder, told, shards=arguments.shards))
    if arguments.json:
        write(json.dumps(report.as_json(), ensure_ascii=False, indent=2) + "\n")
    else:
        write(as_text(report))
    return EXIT_CLEAN if report.is_clean else EXIT_FAULTY


def as_text(report: CrashReport) -> str:
    """Return the report for a person."""
    points = ", ".join(f"{name} {count}" for name, count in report.at_failpoints.items())
    faults = "".join(f"  {finding}\n" for finding in report.findings)
    return (
        f"{report.kills} arrêts brutaux en {report.seconds:.0f} s ({points})\n"
        f"{report.restores} dossiers restaurés, {report.copies} copies vivantes, {report.clock_jumps} sauts d'horloge\n"
        f"{report.acknowledged} versions accusées ; {report.sent} documents dans le DMP, dont {report.replaced} "
        f"remplacés et {report.changed} de visibilité changée ; {report.deleted} supprimés, "
        f"{report.cancelled} versions annulées, {report.complete_bodies} envois complets, {report.doubts} doutes\n"
        f"perdus : {report.lost} · envoyés deux fois : {report.sent_twice} · "
        f"envoyés malgré l'annulation : {report.sent_after_cancel} · "
        f"supprimés sans demande : {report.deleted_without_wish} · "
        f"rendus visibles sans demande : {report.visible_without_wish} · bloqués : {report.stuck}\n{faults}"
    )
