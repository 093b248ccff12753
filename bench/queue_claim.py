"""Claiming the next order when the store holds a thousand, a hundred thousand or a million, in the same run.

    python bench/queue_claim.py [--json] [--orders N ...]

Each store is filled by direct inserts of rows made and authenticated by the store's own functions, then opened by the
store's own code. One order in ten is READY, the others SENT, as after years of work with a long evening queue. A claim
is a whole ``Store.claim``: search, row checked, transition, ledger line, commit with synchronous=FULL. The stores are
claimed from in turn, a batch at a time, because a disk's flushes vary; the figure is the median of all claims.
The time of the rest of a dispatcher's round (due, waiting, next instant) is printed beside.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import machine
from queue_accept import ACTOR, make_acceptance, make_client, make_keys

from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.failpoints import Unarmed
from vaguemestre_agent.adapters.system.random import SystemRandom
from vaguemestre_core.orders import ClientId, OrderState
from vaguemestre_core.turns import SendingRight
from vaguemestre_queue import relations, rows
from vaguemestre_queue.connection import Value
from vaguemestre_queue.context import Context
from vaguemestre_queue.database import open_database
from vaguemestre_queue.opening import DATABASE_FILE, open_store
from vaguemestre_queue.rows import Row
from vaguemestre_queue.sealing import Sealer, StoreKeys
from vaguemestre_queue.store import Store

SIZES = (1_000, 100_000, 1_000_000)
READY_ONE_IN = 10
BATCH, BATCHES = 10, 8
RIGHTS = (SendingRight(professional="899700000012", clients=frozenset({ClientId("bench")})),)
TARGET = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One size: medians in microseconds, and the ratio of its claim to the smallest store's."""

    orders: int
    ready: int
    claim_us: float
    round_us: float
    counts_us: float
    ratio: float
    target: float
    met: bool


async def begin(folder: Path, keys: StoreKeys) -> Row:
    """Make a store with one order, by its own hands: without what it leaves beside the database it would be a restored
    one, and look everything up before anything leaves. Return the order's row."""
    first = make_acceptance(0, b"x")
    async with open_store(folder, keys, SystemClock(), SystemRandom(), Unarmed()) as store:
        await store.add_client(make_client(), ACTOR)
        await store.accept(first)
    connection = open_database(folder / DATABASE_FILE, synchronous=0)
    row, _ = rows.row_of(connection.run(f"{rows.SELECT} WHERE order_id = ?", [first.order_id])[0])
    connection.close()
    return row


def fill(folder: Path, keys: StoreKeys, count: int) -> None:
    """Write a store of that many orders."""
    folder.mkdir(parents=True)
    context = Context(sealer=Sealer(keys), clock=SystemClock(), failpoints=Unarmed(), incarnation=1)
    template = asyncio.run(begin(folder, keys))
    raw = sqlite3.connect(folder / DATABASE_FILE, isolation_level=None)
    raw.execute("PRAGMA synchronous = OFF")
    raw.execute("PRAGMA cache_size = -400000")
    raw.execute("BEGIN")
    sent = rows.mac_of(context.sealer, template | {"state": OrderState.SENT.value})
    raw.execute("UPDATE orders SET state = 'sent', mac = ?", [sent])

    cursor = raw.execute("SELECT * FROM documents")
    names = [column[0] for column in cursor.description]
    document = dict(zip(names, cursor.fetchone(), strict=True))

    def own(number: int) -> dict[str, Value]:
        """Return what an order has of its own, its document too: a claim looks at all orders of a document."""
        return {
            "document_id": f"d_{number:030d}",
            "client_ref": f"compte-rendu-{number:08d}",
            "set_id": f"1.2.250.1.999.1.2.{10**20 + number}",
        }

    def made() -> Iterator[list[Value]]:
        for number in range(1, count):
            state = OrderState.READY if number % READY_ONE_IN == 0 else OrderState.SENT
            row = template | own(number)
            row |= {
                "order_id": f"o_{number:030d}",
                "unique_id": f"1.2.250.1.999.1.3.{10**20 + number}",
                "lane": relations.lane_of(context, str(document["patient"]), str(row["set_id"])),
                "state": state.value,
            }
            yield [*(row[column] for column in rows.COLUMNS), rows.mac_of(context.sealer, row)]

    raw.executemany(
        f"INSERT INTO documents ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)})",
        ([(document | own(number))[name] for name in names] for number in range(1, count)),
    )
    raw.executemany(rows.INSERT, made())
    raw.execute("COMMIT")
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Return the microseconds of one call."""
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1e6


async def one_round(store: Store) -> None:
    """Do what the dispatcher does between two claims."""
    clock = SystemClock()
    await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 100)
    await store.wait_for_authority("dmp", RIGHTS)
    await store.doubtful("dmp", RIGHTS, clock.now())
    await store.next_instant()


async def measure(root: Path, keys: StoreKeys, sizes: tuple[int, ...]) -> list[Figure]:
    """Claim from each store in turn; return the medians."""
    claims: dict[int, list[float]] = {size: [] for size in sizes}
    others: dict[int, list[float]] = {size: [] for size in sizes}
    counting: dict[int, list[float]] = {size: [] for size in sizes}
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        stores = {
            size: await stack.enter_async_context(open_store(root / str(size), keys, clock, SystemRandom(), Unarmed()))
            for size in sizes
        }
        for _ in range(BATCHES):
            for size, store in stores.items():
                for _ in range(BATCH):
                    claims[size].append(await timed(lambda store=store: must_claim(store)))  # type: ignore[misc]
                others[size].append(await timed(lambda store=store: one_round(store)))  # type: ignore[misc]
                counting[size].append(await timed(store.counts))
    smallest = statistics.median(claims[sizes[0]])
    figures = []
    for size in sizes:
        middle = statistics.median(claims[size])
        ratio = middle / smallest
        figures.append(
            Figure(
                orders=size,
                ready=(size - 1) // READY_ONE_IN,
                claim_us=round(middle),
                round_us=round(statistics.median(others[size])),
                counts_us=round(statistics.median(counting[size])),
                ratio=round(ratio, 2),
                target=TARGET,
                met=ratio <= TARGET,
            )
        )
    return figures


async def must_claim(store: Store) -> None:
    """Claim, and see that something was claimed."""
    assert await store.claim("dmp", RIGHTS, SystemClock().now()) is not None


def run(sizes: tuple[int, ...] = SIZES) -> list[Figure]:
    """Fill and measure everything."""
    keys = make_keys()
    with tempfile.TemporaryDirectory(prefix="vaguemestre-bench-") as name:
        for size in sizes:
            fill(Path(name) / str(size), keys, size)
        return asyncio.run(measure(Path(name), keys, sizes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--orders", type=int, nargs="+", default=list(SIZES))
    arguments = parser.parse_args()
    figures = run(tuple(sorted(arguments.orders)))
    if arguments.json:
        print(json.dumps({"machine": machine(), "figures": [asdict(figure) for figure in figures]}))
        return
    for figure in figures:
        verdict = "met" if figure.met else "NOT met"
        print(
            f"{figure.orders:>9} orders ({figure.ready} ready)  claim {figure.claim_us:>7.0f} µs  "
            f"ratio {figure.ratio:>5.2f}  target {figure.target} {verdict}   "
            f"dispatcher's round {figure.round_us:.0f} µs   counts {figure.counts_us:.0f} µs"
        )


if __name__ == "__main__":
    main()
