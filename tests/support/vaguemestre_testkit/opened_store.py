"""A store opened for a test: the keys and the clock of who asks, chance from a seed, and one paired client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vaguemestre_queue.opening import open_store
from vaguemestre_queue.sealing import StoreKeys
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, a_client


@asynccontextmanager
async def opened(folder: Path, keys: StoreKeys, clock: FakeClock, *, seed: int = 1) -> AsyncIterator[Store]:
    """Open the store of a folder, making it at the first call; its client is paired once."""
    async with open_store(folder, keys, clock, SeededRandom(seed), NoFailpoints()) as store:
        if not await store.clients():
            await store.add_client(a_client(), DOCTOR)
        yield store
