"""An event stream outlives no pairing: whoever is revoked is told nothing more, even on a stream already open."""

from __future__ import annotations

import asyncio
from pathlib import Path

from vaguemestre_agent.localapi.events import EventStream
from vaguemestre_agent.localapi.limits import ApiLimits
from vaguemestre_core.records import Scope
from vaguemestre_testkit.orders import PRODUCT
from vaguemestre_testkit.practice_kit import PATIENCE_S, SECRETARY, office


async def test_a_stream_ends_when_its_client_is_revoked(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        spy = (await practice.backend.pair("Espion", frozenset(Scope), PRODUCT, None, SECRETARY)).client
        written: list[bytes] = []
        started = asyncio.Event()

        async def write(data: bytes) -> None:
            written.append(data)
            started.set()

        stream = EventStream(practice.backend, spy, write, ApiLimits(), lambda: False)
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            running = group.create_task(stream.run(None))
            await started.wait()
            await practice.backend.revoke(spy.client_id, SECRETARY)
            order = await practice.deposit("secret-ref")
            await running

    assert not any(order.order_id.encode() in piece for piece in written)


async def test_a_stream_of_a_client_revoked_before_it_began_says_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        spy = (await practice.backend.pair("Espion", frozenset(Scope), PRODUCT, None, SECRETARY)).client
        await practice.deposit("secret-ref")
        await practice.backend.revoke(spy.client_id, SECRETARY)
        written: list[bytes] = []

        async def write(data: bytes) -> None:
            written.append(data)

        async with asyncio.timeout(PATIENCE_S):
            await EventStream(practice.backend, spy, write, ApiLimits(), lambda: False).run(None)

    assert written == []
