"""``vaguemestre bench queue``: the queue's measures, run from a checkout (``bench/`` is not shipped to practices).

Each measure is a process of its own, so that none warms another's caches. Prints ratios of one run, never bare times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_api.jsontypes import Json

SCRIPTS: Final = {"queue": ("queue_accept.py", "queue_claim.py")}
LONGEST_S: Final = 1800.0


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Declare what can be measured."""
    kinds = parser.add_subparsers(dest="subject", required=True, metavar="SUJET")
    queue = kinds.add_parser("queue", parents=[common], help="acceptation et prise en charge, en rapports")
    queue.add_argument("--quick", action="store_true", help="un tour, sans le million d'ordres")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the scripts of a subject; return 0 when all targets are met, 1 when one is not."""
    folder = bench_folder()
    if folder is None:
        console.fail("COMMAND_UNAVAILABLE", {"module": "bench"})
        return Exit.UNAVAILABLE
    results: dict[str, Json] = {}
    met = True
    for script in SCRIPTS[arguments.subject]:
        result = measure(folder / script, quick=arguments.quick)
        results[script.removesuffix(".py")] = result
        figures = result["figures"] if isinstance(result, dict) else []
        for figure in figures if isinstance(figures, list) else []:
            if isinstance(figure, dict):
                met = met and figure["met"] is True
                verdict = "atteint" if figure["met"] else "non atteint"
                name = figure.get("name") or f"claim, {figure.get('orders')} ordres"
                console.say(f"{name} : rapport {figure['ratio']}, objectif {figure['target']} {verdict}")
    if console.as_json:
        console.give_json(results)
    return Exit.OK if met else Exit.REFUSED


def bench_folder() -> Path | None:
    """Return the folder of the measures beside this checkout, or None in an installed program."""
    folder = Path(__file__).resolve().parents[3] / "bench"
    return folder if (folder / SCRIPTS["queue"][0]).is_file() else None


def measure(script: Path, *, quick: bool) -> Json:
    """Run one script in another process; return its JSON."""
    words = [sys.executable, str(script), "--json"]
    if quick:
        words += ["--rounds", "1"] if script.name == "queue_accept.py" else ["--orders", "1000", "20000"]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, timeout=LONGEST_S)  # noqa: S603 - our own script
    result: Json = json.loads(done.stdout)
    return result
