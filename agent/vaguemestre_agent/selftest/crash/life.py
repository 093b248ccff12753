"""One practice under fire: its agents live, take orders and die, until the last one is left in peace and judged.

The judge is outside the agent: the client's journal says what was acknowledged, the sandbox says what it holds and what
came over the wire. ``lost``, ``sent_twice`` and ``stuck`` must be 0.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from vaguemestre_agent.adapters.system.failpoints import FAILPOINTS, VARIABLE
from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_agent.practice.processes import Child
from vaguemestre_agent.practice.sandbox import Inspection, RunningSandbox
from vaguemestre_agent.selftest.crash.failures import FAILURES, LED_TO, REFUSED, SESSION_ENDED
from vaguemestre_agent.selftest.crash.journal import Deposit, Journal
from vaguemestre_agent.selftest.crash.report import CrashReport
from vaguemestre_api.client import Client, DocumentBody
from vaguemestre_api.failures import AgentNotRunning, AgentSilent, ApiProblem
from vaguemestre_core.errors import ServiceError

AWAY: Final = (AgentNotRunning, AgentSilent)
VISIT_S: Final = 8.0  # longest life of an agent that is led to one failpoint
LIFE_S: Final = 1.0  # how long an agent that meets no failpoint lives before a random kill
QUIET_S: Final = 60.0  # longest time for everything to come to its end once nothing is killed any more


class PracticeRun:
    """One practice's run: its agents, its journal, its chance."""

    def __init__(
        self,
        practice: Practice,
        sandbox: RunningSandbox,
        journal: Journal,
        seed: str,
        visits: Sequence[str],
        points: Sequence[str] | None,
    ) -> None:
        self._points = points
        self._practice = practice
        self._sandbox = sandbox
        self._journal = journal
        self._random = Random(seed)  # noqa: S311 - a test's chance, repeatable
        self._kills: Counter[str] = Counter()
        self._number = 0
        self._to_visit = list(visits)
        self._not_reached: list[str] = []
        self._refusals = 0

    async def kill_many(self, kills: int, told: Callable[[int], None]) -> None:
        """Kill at each failpoint to visit once, then at chance, until that many agents died."""
        while sum(self._kills.values()) < kills:
            if self._to_visit:
                await self._visit(self._to_visit.pop(0))
            else:
                await self._at_chance()
            told(sum(self._kills.values()))

    async def _visit(self, point: str) -> None:
        """Lead an order to one failpoint and kill there."""
        rule, settings = LED_TO.get(point, (None, {}))
        self._refusals += rule is REFUSED
        if await self._one_life(point, 1, VISIT_S, settings, rule) != point:
            self._not_reached.append(point)
        await self._sandbox.inspection.clear_rules()
        if rule is SESSION_ENDED:
            self._practice.cookie = None

    async def _at_chance(self) -> None:
        point, nth = self._choose()
        if self._random.random() < 0.5:
            await self._sandbox.inspection.add_rule(self._random.choice(FAILURES))
        await self._one_life(point, nth, LIFE_S * self._random.uniform(0.3, 1.0), {})

    async def _one_life(
        self,
        point: str | None,
        nth: int,
        life_s: float,
        settings: Mapping[str, str],
        rule: Mapping[str, object] | None = None,
    ) -> str:
        """Start an agent, feed it, and see it die at a failpoint or kill it; return where it died."""
        armed = {VARIABLE: f"{point}:{nth}"} if point else {}
        child = await self._practice.start({**armed, **settings})
        try:
            with contextlib.suppress(*AWAY, ApiProblem, ServiceError, TimeoutError):
                await self._live(child, life_s, rule)
            died = await child.wait(0.3 if point else 0.0)
        finally:
            await child.kill()
        where = point if point and died is not None else "random"
        self._kills[where] += 1
        return where

    def _choose(self) -> tuple[str | None, int]:
        if self._points is not None:
            return self._random.choice(self._points), 1
        if self._random.random() < 0.2:
            return None, 1
        return self._random.choice(FAILPOINTS), self._random.choice((1, 1, 1, 2, 3))

    async def _live(self, child: Child, life_s: float, rule: Mapping[str, object] | None) -> None:
        await self._practice.wait_ready(child)
        if self._practice.credentials is None:
            await self._practice.pair()
        await self._practice.open_session()
        async with asyncio.timeout(life_s), self._practice.client(timeout_s=5.0) as client:
            for deposit in self._journal.pending():
                await self.deposit(client, deposit)
            if rule is not None:
                # What earlier deaths left must not meet the failure meant for the next document.
                await _quiet(client)
                await self._sandbox.inspection.add_rule(rule)
            for _ in range(self._random.randint(1, 3)):
                await self._new_deposit(client, may_cancel=life_s < VISIT_S)
            await child.wait(life_s)

    async def _new_deposit(self, client: Client, *, may_cancel: bool) -> None:
        self._number += 1
        deposit = self._journal.wish(f"doc-{self._number:06d}")
        await self.deposit(client, deposit)
        if may_cancel and self._random.random() < 0.15:
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
        self._journal.cancel_asked(deposit)
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
                    await _quiet(client)
        return child

    async def judge(self) -> CrashReport:
        """Compare what the client was told with what the agent says and what the DMP holds."""
        verdict = await self._sandbox.inspection.verdict()
        held = await _titles(self._sandbox.inspection)
        lost = stuck = sent = after_cancel = refused = 0
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
                elif status == "refused" and refused < self._refusals:
                    refused += 1
                elif status == "stopped":
                    lost += not deposit.cancel_asked  # nobody stopped it
                else:
                    stuck += 1
            doubts = await _doubts(client)
        twice = verdict.sent_twice + sum(count - 1 for count in held.values() if count > 1)
        return CrashReport(
            kills=sum(self._kills.values()),
            at_failpoints=dict(sorted(self._kills.items())),
            acknowledged=sum(deposit.acknowledged for deposit in self._journal.deposits.values()),
            sent=sent,
            cancelled=sum(deposit.cancelled for deposit in self._journal.deposits.values()),
            refused=refused,
            not_reached=tuple(self._not_reached),
            lost=lost,
            sent_twice=twice,
            sent_after_cancel=after_cancel,
            stuck=stuck,
            complete_bodies=verdict.complete_bodies,
            doubts=doubts,
        )


async def _moving(client: Client) -> bool:
    states = ("preparing", "deferred", "ready", "claimed", "sending", "in_doubt")
    return bool((await client.orders(states=states, limit=1)).orders)


async def _quiet(client: Client) -> None:
    """Wait until no order moves by itself any more."""
    while await _moving(client):  # noqa: ASYNC110 - nothing tells when nothing moves any more
        await asyncio.sleep(0.1)


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
