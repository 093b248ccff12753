"""What the agent costs when nothing happens: memory and processor, after a document has left and with a session open.

    python bench/idle.py [--json] [--seconds N]

Memory is given three ways: resident (shared libraries counted whole), proportional (shared pages divided among who
shares them), and own. The target (60 MB for the agent alone) is held against the proportional one: it is what the
workstation would have back. The preparation worker, kept between documents, is counted beside. Only the agent's roles
that exist are measured: the session helper and the tray come with theirs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from machine import machine
from practice import document, running

MEMORY_TARGET_MB = 60.0
PROCESSOR_TARGET_PERCENT = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Megabytes (10^6 bytes) of one process."""

    resident_mb: float
    proportional_mb: float
    own_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The agent at rest.

    Attributes:
        agent, worker: memory of the two processes.
        seconds: how long it was watched.
        processor_percent: share of one core that both used.
        memory_met, processor_met: the targets.
    """

    agent: Memory
    worker: Memory | None
    seconds: float
    processor_percent: float
    memory_met: bool
    processor_met: bool


def memory_of(process: psutil.Process) -> Memory:
    """Return the memory of a process; where the system tells no proportional share, its own memory stands for it."""
    full = process.memory_full_info()
    return Memory(
        resident_mb=round(full.rss / 1e6, 1),
        proportional_mb=round(getattr(full, "pss", full.uss) / 1e6, 1),
        own_mb=round(full.uss / 1e6, 1),
    )


def busy_s(processes: list[psutil.Process]) -> float:
    """Return the processor seconds used so far."""
    return float(sum(times.user + times.system for times in (process.cpu_times() for process in processes)))


async def measure(seconds: float) -> Figure:
    """Let a practice come to rest and watch it."""
    with tempfile.TemporaryDirectory(prefix="vaguemestre-bench-") as name_of_folder:
        async with running(Path(name_of_folder)) as here:
            await here.practice.open_session()
            async with here.practice.client() as client:
                await client.put_document("bench", document(1))
                while (await client.health()).counts.get("sent", 0) < 1:  # noqa: ASYNC110 - asked, as a person would
                    await asyncio.sleep(0.05)
            agent = psutil.Process(here.agent.pid)
            workers = agent.children()
            before = busy_s([agent, *workers])
            await asyncio.sleep(seconds)
            used = busy_s([agent, *workers]) - before
            own = memory_of(agent)
            percent = round(100 * used / seconds, 3)
            return Figure(
                agent=own,
                worker=memory_of(workers[0]) if workers else None,
                seconds=seconds,
                processor_percent=percent,
                memory_met=own.proportional_mb <= MEMORY_TARGET_MB,
                processor_met=percent <= PROCESSOR_TARGET_PERCENT,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    figure = asyncio.run(measure(arguments.seconds))
    if arguments.json:
        print(json.dumps({"machine": machine(), "figures": [asdict(figure)]}))
        return
    print(f"agent {figure.agent}\nworker {figure.worker}")
    print(f"{figure.processor_percent} % of a core in {figure.seconds} s")


if __name__ == "__main__":
    main()
