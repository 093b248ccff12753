"""Our store beside huey, persist-queue and litequeue at equal durability (WAL, synchronous=FULL), in the same run.

    python bench/queue_peers.py [--json] [--rounds N] [--orders N ...]

Putting: one caller, one commit an item, 500 B and 300 kB. Taking: one item taken and marked done (ours: claim, first
byte, delivered: three commits where the others have one or two), from a queue of a thousand, a hundred thousand and a
million items. Each library is set to FULL and asked whether it is. They seal nothing, authenticate nothing and
keep no ledger: the ratio says what those cost, and how each grows with its queue.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from huey.storage import SqliteStorage
from litequeue import LiteQueue
from machine import machine
from persistqueue import SQLiteAckQueue
from queue_accept import ACTOR, make_acceptance, make_client, make_keys
from queue_claim import RIGHTS, fill

from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.failpoints import Unarmed
from vaguemestre_agent.adapters.system.random import SystemRandom
from vaguemestre_core.orders import OrderEvent
from vaguemestre_queue.opening import open_store
from vaguemestre_queue.sealing import StoreKeys
from vaguemestre_queue.store import Store

PUTS = ((500, 300), (300_000, 40))  # bytes, items in a round
QUEUES = (1_000, 100_000, 1_000_000)
BATCH, BATCHES = 8, 9
FULL = 2


class Peer(Protocol):
    """A queue library, set to flush at each commit."""

    def put(self, item: bytes) -> None: ...

    def take(self) -> None: ...

    def grow(self, count: int) -> None: ...

    def close(self) -> None: ...


def _require_full(connection: sqlite3.Connection) -> None:
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    if (synchronous, journal) != (FULL, "wal"):
        raise SystemExit(f"not at equal durability: synchronous={synchronous}, journal_mode={journal}")


class Huey:
    """The storage of huey: taking is deleting, one commit."""

    def __init__(self, folder: Path) -> None:
        self._storage = SqliteStorage("bench", str(folder / "huey.db"), fsync=True)
        _require_full(self._storage.conn)

    def put(self, item: bytes) -> None:
        self._storage.enqueue(item)

    def take(self) -> None:
        assert self._storage.dequeue() is not None

    def grow(self, count: int) -> None:
        _copy_rows(self._storage.conn, "task", count, {})

    def close(self) -> None:
        self._storage.close()


class PersistQueue:
    """SQLiteAckQueue: taking marks, acknowledging marks, two commits."""

    def __init__(self, folder: Path) -> None:
        self._queue = SQLiteAckQueue(str(folder / "persist"), multithreading=True)
        # It offers no setting for this: its two connections are its own.
        connections: list[sqlite3.Connection] = [getattr(self._queue, name) for name in ("_putter", "_getter")]
        for connection in connections:
            connection.execute("PRAGMA synchronous = FULL")
            _require_full(connection)
        self._connection = connections[0]

    def put(self, item: bytes) -> None:
        self._queue.put(item)

    def take(self) -> None:
        self._queue.ack(self._queue.get(block=False))

    def grow(self, count: int) -> None:
        _copy_rows(self._connection, "ack_queue_default", count, {})
        self._queue.total = count

    def close(self) -> None:
        self._queue.close()


class Lite:
    """litequeue: taking locks, done marks, two commits. Its own setting is NORMAL."""

    def __init__(self, folder: Path) -> None:
        self._queue = LiteQueue(str(folder / "lite.db"))
        self._queue.conn.execute("PRAGMA synchronous = FULL")
        _require_full(self._queue.conn)

    def put(self, item: bytes) -> None:
        self._queue.put(item.hex()[: len(item)])  # it takes texts: as many letters as the others take bytes

    def take(self) -> None:
        message = self._queue.pop()
        assert message is not None
        self._queue.done(message.message_id)

    def grow(self, count: int) -> None:
        _copy_rows(self._queue.conn, self._queue.table, count, {"message_id": "hex(randomblob(16))"})

    def close(self) -> None:
        self._queue.close()


PEERS: dict[str, Callable[[Path], Peer]] = {"huey": Huey, "persist-queue": PersistQueue, "litequeue": Lite}


def _copy_rows(connection: sqlite3.Connection, table: str, count: int, fresh: dict[str, str]) -> None:
    """Fill a queue to that many rows by copying the first one, without its key."""
    named = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if not row[5] or row[1] in fresh]
    chosen = ", ".join(fresh.get(name, f"one.{name}") for name in named)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1}) "
        f"INSERT INTO {table} ({', '.join(named)}) SELECT {chosen} FROM n, (SELECT * FROM {table} LIMIT 1) AS one"
    )
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA synchronous = FULL")
    _require_full(connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Putting: items per second of each library, and ours to it (median of the rounds)."""

    name: str
    size: int
    per_s: float
    ours_per_s: float
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Taking from a queue of ``orders`` items: median microseconds, and the ratio to its own smallest queue."""

    name: str
    orders: int
    take_us: float
    ratio: float


def put_all(peer: Peer, item: bytes, count: int) -> float:
    """Return items per second."""
    started = time.perf_counter()
    for _ in range(count):
        peer.put(item)
    elapsed = time.perf_counter() - started
    peer.close()
    return count / elapsed


async def put_ours(folder: Path, keys: StoreKeys, item: bytes, count: int) -> float:
    """Return orders per second of our store."""
    async with open_store(folder, keys, SystemClock(), SystemRandom(), Unarmed()) as store:
        await store.add_client(make_client(), ACTOR)
        acceptances = [make_acceptance(number, item) for number in range(count)]
        started = time.perf_counter()
        for acceptance in acceptances:
            await store.accept(acceptance)
        return count / (time.perf_counter() - started)


def measure_puts(rounds: int, keys: StoreKeys) -> list[Put]:
    """Alternate the libraries; return the medians."""
    figures: list[Put] = []
    for size, count in PUTS:
        item = os.urandom(size)
        seen: dict[str, list[float]] = {name: [] for name in PEERS}
        ours: list[float] = []
        with tempfile.TemporaryDirectory(prefix="vaguemestre-bench-") as name_of_folder:
            for index in range(rounds):
                folder = Path(name_of_folder) / str(index)
                folder.mkdir()
                ours.append(asyncio.run(put_ours(folder / "store", keys, item, count)))
                for name, make in PEERS.items():
                    seen[name].append(put_all(make(folder), item, count))
        for name, speeds in seen.items():
            ratio = statistics.median(mine / other for mine, other in zip(ours, speeds, strict=True))
            figures.append(
                Put(
                    name=name,
                    size=size,
                    per_s=round(statistics.median(speeds), 1),
                    ours_per_s=round(statistics.median(ours), 1),
                    ratio=round(ratio, 2),
                )
            )
    return figures


async def take_ours(store: Store) -> None:
    """Take one order through all it goes through: claimed, about to leave, delivered."""
    order = await store.claim("dmp", RIGHTS, SystemClock().now())
    assert order is not None
    await store.first_byte(order.order_id, None)
    await store.apply(order.order_id, OrderEvent.DELIVERED, ACTOR)


def _microseconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e6


class Ours:
    """Our store behind the same verbs, on a loop of its own."""

    def __init__(self, folder: Path, keys: StoreKeys, size: int) -> None:
        fill(folder, keys, size)
        self._loop = asyncio.Runner()
        self._open = open_store(folder, keys, SystemClock(), SystemRandom(), Unarmed())
        self._store = self._loop.run(self._open.__aenter__())

    def take(self) -> None:
        self._loop.run(take_ours(self._store))

    def close(self) -> None:
        self._loop.run(self._open.__aexit__(None, None, None))
        self._loop.close()


def measure_takes(sizes: tuple[int, ...], keys: StoreKeys) -> list[Take]:
    """Fill every queue, then take from each in turn, because a disk's flushes vary; return the medians."""
    with tempfile.TemporaryDirectory(prefix="vaguemestre-bench-") as name_of_folder:
        queues: dict[tuple[str, int], Ours | Peer] = {}
        for size in sizes:
            folder = Path(name_of_folder) / str(size)
            folder.mkdir()
            queues["vaguemestre", size] = Ours(folder / "store", keys, size)
            for name, make in PEERS.items():
                peer = make(folder)
                peer.put(os.urandom(200))
                peer.grow(size)
                queues[name, size] = peer
        times: dict[tuple[str, int], list[float]] = {key: [] for key in queues}
        for batch in range(BATCHES):
            for key, queue in queues.items():
                each = [_microseconds(queue.take) for _ in range(BATCH)]
                times[key] += each if batch else []  # pages of a queue that was just filled are not in memory yet
        for queue in queues.values():
            queue.close()
    middle = {key: statistics.median(each) for key, each in times.items()}
    return [
        Take(name=name, orders=size, take_us=round(us), ratio=round(us / middle[name, sizes[0]], 2))
        for (name, size), us in middle.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", type=int, nargs="+", default=list(QUEUES))
    arguments = parser.parse_args()
    keys = make_keys()
    puts = measure_puts(arguments.rounds, keys)
    takes = measure_takes(tuple(sorted(arguments.orders)), keys)
    if arguments.json:
        found = {"machine": machine(), "puts": [asdict(one) for one in puts], "takes": [asdict(one) for one in takes]}
        print(json.dumps(found))
        return
    for put in puts:
        print(
            f"put {put.size:>7} B  {put.name:<14} {put.per_s:>8.1f}/s  ours {put.ours_per_s:>8.1f}/s  {put.ratio:.2f}"
        )
    for take in takes:
        print(f"take of {take.orders:>8}  {take.name:<14} {take.take_us:>9.0f} µs  {take.ratio:.2f} of its smallest")


if __name__ == "__main__":
    main()
