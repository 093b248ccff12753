"""Kill agents N times, at named failpoints and at random, while orders flow and the services fail; then judge.

Owns the practices that run side by side, each with its own sandbox, store, journal and chance (seed and its number).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.home import CRASH_PACE, make_home
from vaguemestre_agent.practice.processes import Child
from vaguemestre_agent.practice.sandbox import running_sandbox
from vaguemestre_agent.practice.warming import WarmProcess, warm_process
from vaguemestre_agent.selftest.crash import seeded, subject
from vaguemestre_agent.selftest.crash.examination import report_of
from vaguemestre_agent.selftest.crash.failures import VISITS, Visit
from vaguemestre_agent.selftest.crash.journal import Journal
from vaguemestre_agent.selftest.crash.life import PracticeRun
from vaguemestre_agent.selftest.crash.report import CrashReport, together


async def run_crash(
    kills: int,
    seed: int,
    folder: Path,
    told: Callable[[int], None] = lambda _: None,
    bug: str | None = None,
    shards: int = 1,
) -> CrashReport:
    """Run the crash self-test in an empty folder; return its figures.

    Args:
        kills: how many agents to kill.
        seed: chance; the same seed and shards make the same choices.
        folder: an empty folder for the practices.
        told: called with the number of kills so far.
        bug: a bug put in the agent on purpose (``seeded.BUGS``), killed only where it shows; None for the real agent.
        shards: practices that run side by side and share the kills.
    """
    started = time.monotonic()
    so_far = [0] * shards

    def hear(number: int, count: int) -> None:
        so_far[number] = count
        told(sum(so_far))

    async with warm_process(folder) as warm, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                _practice(number, share, f"{seed}.{number}", folder, warm, hear, bug, VISITS[number::shards])
            )
            for number, share in enumerate(_shares(kills, shards))
        ]
    return together([task.result() for task in tasks], time.monotonic() - started)


def _shares(kills: int, shards: int) -> Sequence[int]:
    return [kills // shards + (number < kills % shards) for number in range(shards)]


async def _practice(
    number: int,
    kills: int,
    seed: str,
    folder: Path,
    warm: WarmProcess | None,
    told: Callable[[int, int], None],
    bug: str | None,
    visits: Sequence[Visit],
) -> CrashReport:
    own = folder / f"practice-{number}"
    async with running_sandbox(own / "sandbox", ["--no-bodies", "--backend-timeout", "5"]) as sandbox:
        home = own / "agent"
        environment = dict(make_home(home, sandbox.facts, CRASH_PACE))
        practice = Practice(home, environment, sandbox.facts, module=subject.__name__, warm=warm)
        if bug is not None:
            visits = seeded.BUGS[bug].visits
            environment[seeded.VARIABLE] = bug
        journal = Journal(own / "client-journal.jsonl")
        run = PracticeRun(practice, sandbox, journal, seed, visits)
        child: Child | None = None
        try:
            await run.kill_many(kills, lambda count: told(number, count), only_visits=bug is not None)
            child = await run.finish()
            return await report_of(run, sandbox, journal)
        finally:
            journal.close()
            if child is not None:
                await child.stop()
