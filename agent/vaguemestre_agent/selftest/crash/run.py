"""Kill the agent N times, at named failpoints and at random, while orders flow and the services fail; then judge.

The judge is outside the agent: the client's journal says what was acknowledged, the sandbox says what it holds and what
came over the wire. ``lost``, ``sent_twice`` and ``stuck`` must be 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from vaguemestre_agent.adapters.system.failpoints import FAILPOINTS, VARIABLE
from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_agent.practice.home import CRASH_PACE, make_home
from vaguemestre_agent.practice.processes import Child
from vaguemestre_agent.practice.sandbox import Inspection, RunningSandbox, running_sandbox
from vaguemestre_agent.selftest.crash import seeded
from vaguemestre_agent.selftest.crash.journal import Deposit, Journal
from vaguemestre_api.client import Client, DocumentBody
from vaguemestre_api.failures import AgentNotRunning, AgentSilent, ApiProblem

AWAY: Final = (AgentNotRunning, AgentSilent)
LIFE_S: Final = 1.0  # how long an agent that meets no failpoint lives before a random kill
QUIET_S: Final = 60.0  # longest time for everything to come to its end once nothing is killed any more

# What the simulated services do wrong meanwhile, each once.
FAILURES: Final = (
    {"target": "dmp.td21", "action": "cut_in_body", "after_bytes": 3000},
    {"target": "dmp.td21", "action": "cut_after_body"},
    {"target": "dmp.td21", "action": "cut_after_store"},
    {"target": "dmp.td21", "action": "status_after_read", "status": 503},
    {"target": "dmp.td21", "action": "status_after_store", "status": 504},
    {"target": "dmp.td21", "action": "late_store", "seconds": 0.8},
    {"target": "dmp.td21", "action": "html"},
    {"target": "dmp.td31", "action": "status_before_read", "status": 502},
    {"target": "dmp.td02", "action": "status_before_read", "status": 503},
    {"target": "proxy.send", "action": "status_before_read", "status": 503},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashReport:
    """Figures of a run.

    Attributes:
        kills: agents killed.
        at_failpoints: kills by failpoint; ``random`` for those at a random instant.
        acknowledged: documents the client was told are durable.
        sent: of these, documents the DMP holds, once.
        cancelled: documents the client was told are cancelled.
        lost: acknowledged documents that the agent or the DMP does not have.
        sent_twice: complete bodies without an intervening valid "unknown", and documents held under two identifiers.
        sent_after_cancel: documents held although the client was told that they were cancelled.
        stuck: acknowledged documents that came to no end.
        complete_bodies: complete bodies at the wire.
        doubts: times an order was in doubt, from the ledger.
        seconds: duration.
    """

    kills: int
    at_failpoints: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    sent: int = 0
    cancelled: int = 0
    lost: int = 0
    sent_twice: int = 0
    sent_after_cancel: int = 0
    stuck: int = 0
    complete_bodies: int = 0
    doubts: int = 0
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Nothing lost, nothing sent twice, nothing stuck."""
        return not (self.lost or self.sent_twice or self.sent_after_cancel or self.stuck)

    def as_json(self) -> dict[str, object]:
        """Return the figures and the verdict."""
        return {**asdict(self), "clean": self.is_clean}


class CrashRun:
    """One run: its practice, its journal, its chance."""

    def __init__(
        self,
        practice: Practice,
        sandbox: RunningSandbox,
        journal: Journal,
        seed: int,
        points: tuple[str, ...] | None,
    ) -> None:
        self._points = points
        self._practice = practice
        self._sandbox = sandbox
        self._journal = journal
        self._random = Random(seed)  # noqa: S311 - a test's chance, repeatable
        self._kills: Counter[str] = Counter()
        self._number = 0

    async def kill_many(self, kills: int, told: Callable[[int], None]) -> None:
        """Start, feed and kill agents until that many died."""
        while sum(self._kills.values()) < kills:
            await self._one_life()
            told(sum(self._kills.values()))

    async def _one_life(self) -> None:
        point, nth = self._choose()
        armed = {VARIABLE: f"{point}:{nth}"} if point else {}
        if self._random.random() < 0.5:
            await self._sandbox.inspection.add_rule(self._random.choice(FAILURES))
        child = await self._practice.start(armed)
        life_s = LIFE_S * self._random.uniform(0.3, 1.0)
        try:
            with contextlib.suppress(*AWAY, ApiProblem, TimeoutError):
                await self._live(child, life_s)
            died = await child.wait(0.3 if point else 0.0)
        finally:
            await child.kill()
        self._kills[point if point and died is not None else "random"] += 1

    def _choose(self) -> tuple[str | None, int]:
        if self._points is not None:
            return self._random.choice(self._points), 1
        if self._random.random() < 0.2:
            return None, 1
        return self._random.choice(FAILPOINTS), self._random.choice((1, 1, 1, 2, 3))

    async def _live(self, child: Child, life_s: float) -> None:
        await self._practice.wait_ready(child)
        if self._practice.credentials is None:
            await self._practice.pair()
        await self._practice.open_session()
        async with asyncio.timeout(life_s), self._practice.client(timeout_s=5.0) as client:
            for deposit in self._journal.pending():
                await self.deposit(client, deposit)
            for _ in range(self._random.randint(1, 3)):
                await self._new_deposit(client)
            await child.wait(life_s)

    async def _new_deposit(self, client: Client) -> None:
        self._number += 1
        deposit = self._journal.wish(f"doc-{self._number:06d}")
        await self.deposit(client, deposit)
        if self._random.random() < 0.15:
            await self._cancel(client, deposit)

    async def deposit(self, client: Client, deposit: Deposit) -> None:
        """Deposit, or repeat a deposit whose answer never came: same reference, same key."""
        body = DocumentBody(
            metadata=metadata(deposit.client_ref, int(deposit.client_ref[-1]) % 2),
            body=tiny_pdf(deposit.client_ref),
            media_type="application/pdf",
        )
        await client.put_document(deposit.client_ref, body, idempotency_key=deposit.client_ref)
        self._journal.acknowledged(deposit)

    async def _cancel(self, client: Client, deposit: Deposit) -> None:
        document = await client.document(deposit.client_ref)
        answer = await client.cancel(document.orders[0].order_id)
        if answer.answer == "cancelled":
            self._journal.cancelled(deposit)

    async def finish(self) -> Child:
        """Start an agent that nothing kills, repeat what was not acknowledged, and wait for quiet."""
        await self._sandbox.inspection.clear_rules()
        child = await self._practice.start()
        await self._practice.wait_ready(child)
        if self._practice.credentials is None:
            await self._practice.pair()
        await self._practice.open_session(fresh=True)
        async with self._practice.client() as client:
            for deposit in self._journal.pending():
                await self.deposit(client, deposit)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(QUIET_S):
                    while await _moving(client):  # noqa: ASYNC110 - nothing tells when nothing moves any more
                        await asyncio.sleep(0.2)
        return child

    async def judge(self, seconds: float) -> CrashReport:
        """Compare what the client was told with what the agent says and what the DMP holds."""
        verdict = await self._sandbox.inspection.verdict()
        held = await _titles(self._sandbox.inspection)
        lost = stuck = sent = after_cancel = 0
        async with self._practice.client() as client:
            for deposit in self._journal.deposits.values():
                in_dmp = held[deposit.client_ref]
                status = await _status(client, deposit.client_ref)
                if deposit.cancelled:
                    after_cancel += in_dmp > 0
                elif status == "sent":
                    sent += in_dmp > 0
                    lost += in_dmp == 0
                elif status is None:
                    lost += deposit.acknowledged
                elif status != "stopped":
                    stuck += 1
            doubts = await _doubts(client)
        twice = verdict.sent_twice + sum(count - 1 for count in held.values() if count > 1)
        return CrashReport(
            kills=sum(self._kills.values()),
            at_failpoints=dict(sorted(self._kills.items())),
            acknowledged=sum(deposit.acknowledged for deposit in self._journal.deposits.values()),
            sent=sent,
            cancelled=sum(deposit.cancelled for deposit in self._journal.deposits.values()),
            lost=lost,
            sent_twice=twice,
            sent_after_cancel=after_cancel,
            stuck=stuck,
            complete_bodies=verdict.complete_bodies,
            doubts=doubts,
            seconds=round(seconds, 1),
        )


async def _moving(client: Client) -> bool:
    states = ("preparing", "deferred", "ready", "claimed", "sending", "in_doubt")
    return bool((await client.orders(states=states, limit=1)).orders)


async def _status(client: Client, client_ref: str) -> str | None:
    try:
        return (await client.document(client_ref)).status
    except ApiProblem as problem:
        if problem.code == "DOCUMENT_UNKNOWN":
            return None
        raise


async def _doubts(client: Client) -> int:
    after = doubts = 0
    while True:
        page = await client.ledger(after=after, limit=1000)
        doubts += sum(line.after == "in_doubt" and line.before != "in_doubt" for line in page.lines)
        if page.next is None:
            return doubts
        after = page.next


async def _titles(inspection: Inspection) -> Counter[str]:
    found = await inspection.call("GET", "/api/documents")
    assert isinstance(found, dict)
    return Counter(str(document["title"]) for document in found["documents"])


async def run_crash(
    kills: int,
    seed: int,
    folder: Path,
    told: Callable[[int], None] = lambda _: None,
    bug: str | None = None,
) -> CrashReport:
    """Run the crash self-test in an empty folder; return its figures.

    Args:
        kills: how many agents to kill.
        seed: chance; the same seed makes the same choices.
        folder: an empty folder for the practice.
        told: called with the number of kills so far.
        bug: a bug put in the agent on purpose (``seeded.BUGS``), killed only where it shows; None for the real agent.
    """
    started = time.monotonic()
    async with running_sandbox(folder / "sandbox", ["--no-bodies", "--backend-timeout", "5"]) as sandbox:
        home = folder / "agent"
        environment = dict(make_home(home, sandbox.facts, CRASH_PACE))
        practice = Practice(home, environment, sandbox.facts)
        points: tuple[str, ...] | None = None
        if bug is not None:
            points = seeded.BUGS[bug][1]
            environment[seeded.VARIABLE] = bug
            practice.module = seeded.__name__
        journal = Journal(folder / "client-journal.jsonl")
        run = CrashRun(practice, sandbox, journal, seed, points)
        child: Child | None = None
        try:
            await run.kill_many(kills, told)
            child = await run.finish()
            return await run.judge(time.monotonic() - started)
        finally:
            journal.close()
            if child is not None:
                await child.stop()
