"""The real services behind the local API, for its contract: a real store, doubles for DMP, proxy and preparation."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.localapi.backend import Backend
from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_api.client import DocumentBody
from vaguemestre_core.orders import OrderEvent, OrderId
from vaguemestre_core.records import AGENT_ACTOR, OrderFilter
from vaguemestre_testkit.practice_kit import STATION, Office, office
from vaguemestre_testkit.scripted_dmp import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesHarness:
    """The services of an agent."""

    practice: Office

    @property
    def backend(self) -> Backend:
        """The real one."""
        return self.practice.backend

    @property
    def station(self) -> str:
        """Name of the station."""
        return STATION

    def document(self, title: str = "Compte rendu") -> DocumentBody:
        """Return a consultation report."""
        return DocumentBody(metadata=metadata(title), body=tiny_pdf(title), media_type="application/pdf")

    @property
    def listeners(self) -> int:
        """How many listen to changes."""
        return self.practice.failing.listening

    async def make_deferred(self, order_id: str) -> None:
        """Prepared."""
        await self.practice.preparation.prepare(await self.practice.store.order(OrderId(order_id)))

    async def make_sent(self, order_id: str) -> None:
        """Sent to the double of the DMP."""
        await self._send(order_id)

    async def make_doubtful(self, order_id: str) -> None:
        """Cut after the first byte."""
        self.practice.dmp.submissions.append(Step(sign=Sign.CUT))
        await self._send(order_id)

    async def _send(self, order_id: str) -> None:
        practice = self.practice
        await self.make_deferred(order_id)
        await practice.store.apply(OrderId(order_id), OrderEvent.SEND_NOW, AGENT_ACTOR)
        order = await practice.store.order(OrderId(order_id))
        owner = next(item for item in await practice.store.clients() if item.client_id == order.client_id)
        await practice.adopt(client=owner)
        claimed = await practice.store.claim("dmp", practice.rights(owner), practice.clock.now())
        assert claimed is not None
        assert claimed.order_id == order_id
        await practice.dispatch.send(claimed)
        for session in practice.sessions.sessions():
            practice.sessions.forget(session)

    async def fingerprint(self) -> str:
        """Digest of everything kept."""
        store = self.practice.store
        orders = await store.orders(OrderFilter(limit=1000))
        kept = (
            orders,
            await store.clients(),
            await store.ledger(0, limit=10_000),
            self.practice.sessions.sessions(),
        )
        return hashlib.sha256(repr(kept).encode()).hexdigest()


@asynccontextmanager
async def services_harness(folder: Path) -> AsyncIterator[ServicesHarness]:
    """Run the services that the routes need; nothing moves by itself."""
    async with office(folder) as practice, asyncio.TaskGroup() as group:
        started = asyncio.Event()
        sessions = group.create_task(practice.sessions.run(started))
        await started.wait()
        try:
            yield ServicesHarness(practice=practice)
        finally:
            sessions.cancel()
