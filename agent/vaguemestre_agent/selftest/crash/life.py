"""One practice under fire: its agents live, take orders of every kind and die, until the last one is left in peace.

Owns the lives and the kills. What users ask is in ``acts.py``, what is wrong at the end in ``judgement.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Final

from vaguemestre_agent.adapters.system.failpoints import FAILPOINTS, VARIABLE
from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.processes import Child
from vaguemestre_agent.practice.sandbox import RunningSandbox
from vaguemestre_agent.selftest.crash.acts import Act, Office
from vaguemestre_agent.selftest.crash.failures import FAILURES, Visit
from vaguemestre_agent.selftest.crash.journal import Journal
from vaguemestre_agent.selftest.crash.rest import come_to_rest
from vaguemestre_agent.selftest.crash.restoring import SavedState, copied_home
from vaguemestre_agent.selftest.crash.subject import ARMED_VARIABLE, CLOCK_VARIABLE
from vaguemestre_api.failures import AgentNotRunning, AgentSilent, ApiProblem
from vaguemestre_core.errors import ServiceError

AWAY: Final = (AgentNotRunning, AgentSilent)
VISIT_S: Final = 20.0  # longest life of an agent that is led to one failpoint
LIFE_S: Final = 1.0  # how long an agent that meets no failpoint lives before a random kill
LONG_LIFE_S: Final = 5.0  # now and then: long enough for "unknown there" to count
PATIENCE_S: Final = 120.0  # longest time in which no order comes to its end, once nothing is killed any more
JUMPS_S: Final = (-45.0, 45.0)  # within what the services tolerate, far beyond the longest exchange
Told = Callable[[int], None]


class PracticeRun:
    """One practice's run: its agents, its journal, its chance."""

    def __init__(
        self, practice: Practice, sandbox: RunningSandbox, journal: Journal, seed: str, visits: Sequence[Visit]
    ) -> None:
        self._practice = practice
        self._sandbox = sandbox
        self._journal = journal
        self._random = Random(seed)  # noqa: S311 - a test's chance, repeatable
        self._visits = visits
        self._armed = practice.home / "armed"
        self._clock = practice.home / "clock"
        self._clock.write_text("0", "ascii")
        self.kills: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.not_reached: list[str] = []
        self.refusals = 0

    async def kill_many(self, kills: int, told: Told, *, only_visits: bool = False) -> None:
        """Kill where each visit leads, then at chance (or visit again), until that many agents died."""
        to_visit = list(self._visits)
        while self.kills.total() < kills:
            if to_visit:
                await self._visit(to_visit.pop(0))
            elif only_visits:
                to_visit = list(self._visits)
            elif self._random.random() < 0.02:
                await self._restore(self._random.uniform(0.3, 2.0))
            elif self._random.random() < 0.01:
                await self._at_chance(copied=True)
            else:
                await self._at_chance()
            told(self.kills.total())

    async def finish(self) -> Child:
        """Start an agent that nothing kills, repeat what was not acknowledged, and wait for quiet."""
        await self._sandbox.inspection.clear_rules()
        self._set_clock(0.0)
        child = await self._practice.start()
        await self._come_to_work(child, fresh=True)
        async with self.offices() as offices:
            for office in offices:
                await office.repeat()
                await office.release_all()
            await come_to_rest(lambda: _moving(offices), PATIENCE_S)
        return child

    @asynccontextmanager
    async def offices(self, timeout_s: float = 5.0) -> AsyncIterator[Sequence[Office]]:
        """Open the LGCs' connections to the agent."""
        practice = self._practice
        async with practice.client(timeout_s) as first, practice.client(timeout_s, practice.other) as second:
            yield [Office(number, client, self._journal, self._random) for number, client in enumerate((first, second))]

    async def _visit(self, visit: Visit) -> None:
        """Lead an order of a kind to one place and kill there."""
        self._set_clock(0.0)
        self._armed.unlink(missing_ok=True)
        self.refusals += visit.is_refused
        settings = {**visit.settings, ARMED_VARIABLE: str(self._armed)}
        child = await self._practice.start({**settings, CLOCK_VARIABLE: str(self._clock)})
        async with self._killed(child) as died:
            await self._come_to_work(child)
            async with asyncio.timeout(VISIT_S), self.offices() as offices:
                await self._lead(child, offices, visit)
        if visit.point is not None and not died():
            self.not_reached.append(visit.name)
        self.kills[visit.name if visit.point is None or died() else "random"] += 1
        self._armed.unlink(missing_ok=True)
        await self._sandbox.inspection.clear_rules()
        if visit.ends_session:
            self._practice.cookie = None
        if visit.is_restored:
            await self._restore(LIFE_S * 2)

    async def _lead(self, child: Child, offices: Sequence[Office], visit: Visit) -> None:
        """Let everything else come to its end, then arm, and ask for the order."""
        for office in offices:
            await office.repeat()
            await office.release_all()
        await _quiet(offices)
        target = None
        if visit.kind is not Act.SUBMIT:
            await offices[0].submit(hidden=True)
            target = await offices[0].submit(hidden=True)
            await _quiet(offices)
        if visit.rule is not None:
            await self._sandbox.inspection.add_rule(visit.rule)
        if visit.point is not None:
            self._armed.write_text(visit.point, "ascii")
        await offices[0].do(visit.kind, target)
        if visit.clock_s:
            while not await offices[0].is_doubtful():  # noqa: ASYNC110 - the test asks as an LGC would
                await asyncio.sleep(0.05)
            self._set_clock(visit.clock_s)
        await child.wait(VISIT_S if visit.point is not None else LIFE_S)

    async def _at_chance(self, *, copied: bool = False) -> None:
        if copied:
            async with copied_home(self._practice) as copy, self._beside(copy):
                await self._at_chance()
            return
        point, nth = self._choose()
        if self._random.random() < 0.5:
            await self._sandbox.inspection.add_rule(self._random.choice(FAILURES))
        longest_s = LONG_LIFE_S if self._random.random() < 0.08 else LIFE_S
        armed = {VARIABLE: f"{point}:{nth}"} if point else {}
        child = await self._practice.start({**armed, CLOCK_VARIABLE: str(self._clock)})
        async with self._killed(child) as died:
            await self._come_to_work(child)
            await self._work(child, longest_s * self._random.uniform(0.3, 1.0))
            await child.wait(0.3 if point else 0.0)
        self.kills[point if point is not None and died() else "random"] += 1

    async def _work(self, child: Child, life_s: float) -> None:
        jump = self._random.choice((None, *JUMPS_S)) if self._random.random() < 0.15 else 0.0
        async with asyncio.timeout(life_s), self.offices() as offices:
            for office in offices:
                await office.repeat()
            for _ in range(self._random.randint(1, 4)):
                await self._random.choice(offices).something()
            if jump:
                self.counts["clock_jumps"] += 1
                self._set_clock(jump)
            elif jump is None:
                self._set_clock(0.0)
            await child.wait(life_s)

    async def _restore(self, life_s: float) -> None:
        """Copy the state, let one more agent live and die with nobody asking anything, and put the copy back."""
        async with SavedState.of(self._practice) as saved:
            child = await self._practice.start({CLOCK_VARIABLE: str(self._clock)})
            async with self._killed(child):
                await self._come_to_work(child)
                await child.wait(life_s)
            self.kills["random"] += 1
            await saved.put_back()
        self.counts["restores"] += 1

    @asynccontextmanager
    async def _beside(self, copy: Practice) -> AsyncIterator[None]:
        """Let the agent of a copied home live while the block runs, with the sessions of the LGCs."""
        child = await copy.start({CLOCK_VARIABLE: str(self._clock)})
        try:
            with contextlib.suppress(*AWAY, ApiProblem, ServiceError):
                await copy.wait_ready(child)
                await copy.open_session()
            self.counts["copies"] += child.is_alive
            yield
        finally:
            await child.kill()

    @asynccontextmanager
    async def _killed(self, child: Child) -> AsyncIterator[Callable[[], bool]]:
        """Kill the agent at the end of the block, unless a failpoint did; give whether one did."""
        by_itself = False
        try:
            with contextlib.suppress(*AWAY, ApiProblem, ServiceError, TimeoutError):
                yield lambda: by_itself
            by_itself = await child.wait(0.05) is not None
        finally:
            await child.kill()

    async def _come_to_work(self, child: Child, *, fresh: bool = False) -> None:
        """Wait for the agent, pair both LGCs once, and give it their session."""
        practice = self._practice
        await practice.wait_ready(child)
        if practice.credentials is None:
            await practice.pair()
        if practice.other is None:
            await practice.pair_another()
        await practice.open_session(fresh=fresh)

    def _choose(self) -> tuple[str | None, int]:
        if self._random.random() < 0.2:
            return None, 1
        return self._random.choice(FAILPOINTS), self._random.choice((1, 1, 1, 2, 3))

    def _set_clock(self, offset_s: float) -> None:
        new = self._clock.with_suffix(".new")
        new.write_text(str(offset_s), "ascii")
        new.replace(self._clock)


async def _moving(offices: Sequence[Office]) -> frozenset[str]:
    return frozenset[str]().union(*[await office.moving() for office in offices])


async def _quiet(offices: Sequence[Office]) -> None:
    """Wait until no order moves by itself any more."""
    for office in offices:
        while await office.is_moving():  # noqa: ASYNC110 - nothing tells when nothing moves any more
            await asyncio.sleep(0.1)
