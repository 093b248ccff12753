"""The event stream: full state, numbered changes, resuming, and what a slow or lost reader costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path

from vaguemestre_agent.localapi.limits import ApiLimits
from vaguemestre_api import wire
from vaguemestre_api.answers import StreamItem
from vaguemestre_api.client import Client
from vaguemestre_core.orders import OrderId
from vaguemestre_core.records import Actor
from vaguemestre_testkit.api_harness import ApiHarness, MemoryHarness, paired
from vaguemestre_testkit.api_server import serving
from vaguemestre_testkit.raw_stream import connect


async def take(client: Client, count: int, after: int | None = None) -> list[StreamItem]:
    found: list[StreamItem] = []
    async with asyncio.timeout(10), aclosing(client.events(after)) as stream:
        async for item in stream:
            found.append(item)
            if len(found) == count:
                break
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds; the caller bounds it."""
    while not condition():  # noqa: ASYNC110 - what is watched belongs to the server, which offers no event for tests
        await asyncio.sleep(0)


async def gone(writer: asyncio.StreamWriter) -> None:
    """Close, whether or not the other end already did."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_the_state_comes_first_then_changes(lgc: Client, harness: ApiHarness) -> None:
    first = await lgc.put_document("cr-1", harness.document("Un"))
    found: list[StreamItem] = []
    async with asyncio.timeout(10), aclosing(lgc.events()) as stream:
        async for item in stream:
            found.append(item)
            if len(found) == 1:
                await lgc.cancel(first.order.order_id)
            if len(found) == 2:
                break

    snapshot, change = found[0].content, found[1].content
    assert isinstance(snapshot, wire.Snapshot)
    assert isinstance(change, wire.Change)
    assert [order.order_id for order in snapshot.orders] == [first.order.order_id]
    assert (change.line.before, change.line.after) == ("preparing", "cancelled")
    assert change.order is not None
    assert change.order.state == "cancelled"
    assert found[1].resume_after == change.line.seq


async def test_settled_orders_are_not_in_the_state(lgc: Client, harness: ApiHarness) -> None:
    sent = await lgc.put_document("cr-1", harness.document("Un"))
    doubtful = await lgc.put_document("cr-2", harness.document("Deux"))
    await harness.make_sent(sent.order.order_id)
    await harness.make_doubtful(doubtful.order.order_id)

    snapshot = (await take(lgc, 1))[0].content

    assert isinstance(snapshot, wire.Snapshot)
    assert [order.order_id for order in snapshot.orders] == [doubtful.order.order_id]


async def test_resuming_gives_exactly_what_was_missed(lgc: Client, harness: ApiHarness) -> None:
    state = (await take(lgc, 1))[0]
    for n in range(3):
        await lgc.put_document(f"cr-{n}", harness.document(str(n)))

    missed = await take(lgc, 3, after=state.resume_after)

    refs = [item.content.line.client_ref for item in missed if isinstance(item.content, wire.Change)]
    assert refs == ["cr-0", "cr-1", "cr-2"]


async def test_a_number_from_another_life_gets_a_full_state(lgc: Client, harness: ApiHarness) -> None:
    await lgc.put_document("cr-1", harness.document())

    resync, snapshot = await take(lgc, 2, after=1_000_000)

    assert resync.content == wire.Resync(reason="ahead")
    assert isinstance(snapshot.content, wire.Snapshot)
    assert len(snapshot.content.orders) == 1


async def test_a_large_state_comes_in_parts(harness: ApiHarness, socket: Path) -> None:
    async with serving(harness.backend, socket, ApiLimits(page=2)), await paired(harness, socket) as client:
        for n in range(5):
            await client.put_document(f"cr-{n}", harness.document(str(n)))
        parts = await take(client, 3)

    sizes = [(len(item.content.orders), item.content.last) for item in parts if isinstance(item.content, wire.Snapshot)]
    assert sizes == [(2, False), (2, False), (1, True)]
    assert [item.resume_after is None for item in parts] == [True, True, False]


async def test_a_client_follows_across_a_restart_without_losing_or_repeating(harness: ApiHarness, socket: Path) -> None:
    client = await paired(harness, socket)
    seen: list[StreamItem] = []
    reached = {1: asyncio.Event(), 2: asyncio.Event(), 4: asyncio.Event()}

    async def follow() -> None:
        async with aclosing(client.follow()) as stream:
            async for item in stream:
                seen.append(item)
                if len(seen) in reached:
                    reached[len(seen)].set()
                if len(seen) == 4:
                    return

    async with client, asyncio.timeout(20), asyncio.TaskGroup() as group:
        async with serving(harness.backend, socket):
            group.create_task(follow())
            await reached[1].wait()
            await client.put_document("before", harness.document("Un"))
            await reached[2].wait()
        async with serving(harness.backend, socket):
            # The stream may still be away: these are committed without a reader, and must be read on return.
            await client.put_document("after-1", harness.document("Deux"))
            await client.put_document("after-2", harness.document("Trois"))
            await reached[4].wait()

    refs = [item.content.line.client_ref for item in seen if isinstance(item.content, wire.Change)]
    assert refs == ["before", "after-1", "after-2"]


async def test_forgotten_changes_give_a_resync(socket: Path) -> None:
    harness = MemoryHarness()
    async with serving(harness.backend, socket), await paired(harness, socket) as client:
        for n in range(4):
            await client.put_document(f"cr-{n}", harness.document(str(n)))
        harness.backend.kept_from = 4
        first, second = await take(client, 2, after=1)
        resumed = await take(client, 2, after=3)

    assert first.content == wire.Resync(reason="gap")
    assert isinstance(second.content, wire.Snapshot)
    assert all(isinstance(item.content, wire.Change) for item in resumed)


async def test_heartbeats_move_the_number_over_what_others_did(socket: Path) -> None:
    harness = MemoryHarness()
    limits = ApiLimits(heartbeat_s=0.05)
    async with serving(harness.backend, socket, limits), await paired(harness, socket) as mine:
        async with await paired(harness, socket, name="Autre") as other:
            await other.put_document("theirs", harness.document())
        _, writer_last = await _raw_stream(mine, socket, wanted=b": ping")

    assert writer_last == await harness.backend.last_change()


async def _raw_stream(client: Client, socket: Path, wanted: bytes) -> tuple[bytes, int]:
    credentials = client._credentials
    assert credentials is not None
    reader, writer = await connect(socket)
    writer.write(
        b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n"
        + f"Authorization: Vaguemestre {credentials.client_id}:{credentials.secret}\r\n\r\n".encode()
    )
    async with asyncio.timeout(10):
        received = b""
        while wanted not in received or not received.endswith(b"\n\n\r\n"):
            received += await reader.read(4096)
    await gone(writer)
    last = int(received.rpartition(b"id: ")[2].split(b"\n")[0])
    return received, last


async def test_a_reader_that_does_not_read_is_disconnected(socket: Path) -> None:
    harness = MemoryHarness()
    limits = ApiLimits(stream_write_s=0.3, page=50)
    async with serving(harness.backend, socket, limits) as api, await paired(harness, socket) as client:
        credentials = client._credentials
        assert credentials is not None
        order_id = OrderId((await client.put_document("cr-1", harness.document())).order.order_id)
        known = next(iter(await harness.backend.clients()))
        for n in range(1500):  # some megabytes of changes: more than the buffers on the way hold
            act = harness.backend.hold if n % 2 else harness.backend.release
            await act(known, order_id, Actor(user=f"u{n}"))
        _, writer = await connect(socket, limit=1024)
        writer.write(
            b"GET /v1/events?after=0 HTTP/1.1\r\nHost: localhost\r\n"
            + f"Authorization: Vaguemestre {credentials.client_id}:{credentials.secret}\r\n\r\n".encode()
        )
        async with asyncio.timeout(10):
            await until(lambda: api.open_streams > 0)
            await until(lambda: api.open_streams == 0)
        await gone(writer)
        assert harness.backend.listeners == []


async def test_a_reader_that_leaves_frees_its_place_at_once(lgc: Client, harness: ApiHarness) -> None:
    await take(lgc, 1)

    async with asyncio.timeout(5):
        await until(lambda: harness.listeners == 0)
