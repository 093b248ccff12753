"""From the start of the agent's process to its first answer, against the import of its own dependencies, in one run.

    python bench/start.py [--json] [--rounds N]

The other side is the same interpreter that imports the libraries the agent imports, and nothing of ours: what no design
of ours could avoid as long as they are used. Both alternate; the ratio is the median of the rounds. The store exists.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import machine
from practice import running

TARGET = 2.0
_LEARN = """
import sys
import vaguemestre_agent.cli.main, vaguemestre_agent.composition
ours = ("vaguemestre", "__main__", "__mp_main__")
print("\\n".join(n for n in list(sys.modules) if not n.startswith(ours)))
"""
_IMPORT = """
import importlib, sys
for name in sys.argv[1].split():
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # an alias that another module makes
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Milliseconds of both sides, and the median ratio."""

    ready_ms: float
    imports_ms: float
    ratio: float
    target: float
    met: bool


def foreign_modules() -> str:
    """Return the names of all modules that the agent imports and that are not ours."""
    learned = subprocess.run([sys.executable, "-c", _LEARN], check=True, capture_output=True, text=True)
    return " ".join(learned.stdout.split())


def import_once(names: str) -> float:
    """Return the seconds of one interpreter that imports them."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", _IMPORT, names], check=True)
    return time.perf_counter() - started


async def measure(rounds: int) -> Figure:
    """Alternate both; return the medians."""
    names = await asyncio.to_thread(foreign_modules)
    sides: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="vaguemestre-bench-") as name_of_folder:
        async with running(Path(name_of_folder)) as here:
            await here.agent.stop()
            for _ in range(rounds):
                started = time.perf_counter()
                agent = await here.practice.start()
                await here.practice.wait_ready(agent)
                ready = time.perf_counter() - started
                await agent.stop()
                sides.append((ready, await asyncio.to_thread(import_once, names)))
    ratio = statistics.median(side[0] / side[1] for side in sides)
    return Figure(
        ready_ms=round(1000 * statistics.median(side[0] for side in sides)),
        imports_ms=round(1000 * statistics.median(side[1] for side in sides)),
        ratio=round(ratio, 2),
        target=TARGET,
        met=ratio <= TARGET,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    figure = asyncio.run(measure(arguments.rounds))
    if arguments.json:
        print(json.dumps({"machine": machine(), "figures": [asdict(figure)]}))
        return
    verdict = "met" if figure.met else "NOT met"
    print(
        f"ready {figure.ready_ms} ms, imports {figure.imports_ms} ms, ratio {figure.ratio}, target {TARGET} {verdict}"
    )


if __name__ == "__main__":
    main()
