"""The local API against the store behind it: a document by PUT, beside ``Store.accept`` of the same bytes, in one run.

    python bench/api_accept.py [--json] [--rounds N]

Both sides make the same document durable with synchronous=FULL. The API's side is a real agent process on its socket
and an LGC that waits for each answer: HTTP, authentication, multipart, metadata check, guards. No session is open:
nothing leaves meanwhile. Preparing what was deposited goes on in the worker process and takes its share of the
machine, as in a practice. Beside: one read of an order, and one health, in microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import machine
from practice import document, running
from queue_accept import ACTOR, make_acceptance, make_client, make_keys

from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.failpoints import Unarmed
from vaguemestre_agent.adapters.system.random import SystemRandom
from vaguemestre_queue.opening import open_store

SIZES = ((2_000, 60), (300_000, 20))  # bytes, documents in a round


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Documents per second by the API and by the store, and the median ratio of the rounds."""

    name: str
    api_per_s: float
    store_per_s: float
    ratio: float


async def timed(work: Callable[[], Awaitable[object]], times: int) -> float:
    """Return the median microseconds of one call."""
    seen = []
    for _ in range(times):
        started = time.perf_counter()
        await work()
        seen.append((time.perf_counter() - started) * 1e6)
    return statistics.median(seen)


async def by_store(folder: Path, body: bytes, count: int) -> float:
    """Accept in a store of this process; return documents per second."""
    async with open_store(folder, make_keys(), SystemClock(), SystemRandom(), Unarmed()) as store:
        await store.add_client(make_client(), ACTOR)
        acceptances = [make_acceptance(number, body) for number in range(count)]
        started = time.perf_counter()
        for acceptance in acceptances:
            await store.accept(acceptance)
        return count / (time.perf_counter() - started)


async def measure(rounds: int) -> tuple[list[Figure], dict[str, int]]:
    """Alternate both; return the medians, and the reads."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="vaguemestre-bench-") as name_of_folder:
        root = Path(name_of_folder)
        async with running(root) as here, here.practice.client() as client:
            number = 0
            for size, count in SIZES:
                sides: list[tuple[float, float]] = []
                for index in range(rounds):
                    documents = [document(number + one, size) for one in range(count)]
                    started = time.perf_counter()
                    for one, given in enumerate(documents):
                        await client.put_document(f"bench-{number + one}", given)
                    by_api = count / (time.perf_counter() - started)
                    number += count
                    sides.append((by_api, await by_store(root / f"{size}-{index}", documents[0].body, count)))
                figures.append(
                    Figure(
                        name=f"PUT {size} B",
                        api_per_s=round(statistics.median(side[0] for side in sides), 1),
                        store_per_s=round(statistics.median(side[1] for side in sides), 1),
                        ratio=round(statistics.median(side[0] / side[1] for side in sides), 2),
                    )
                )
            newest = (await client.orders()).orders[0].order_id
            reads = {
                "order_us": round(await timed(lambda: client.order(newest), 100)),
                "health_us": round(await timed(client.health, 100)),
            }
    return figures, reads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    figures, reads = asyncio.run(measure(arguments.rounds))
    if arguments.json:
        print(json.dumps({"machine": machine(), "figures": [asdict(figure) for figure in figures], **reads}))
        return
    for figure in figures:
        print(
            f"{figure.name:<14} API {figure.api_per_s:>7.1f}/s  "
            f"store {figure.store_per_s:>7.1f}/s  ratio {figure.ratio}"
        )
    print(f"one order {reads['order_us']} µs, health {reads['health_us']} µs")


if __name__ == "__main__":
    main()
