"""Starting without keys, and going on by itself when they are back, without a restart.

Owns the watch over the key store. It never makes the system ask: a locked key store is looked at, not opened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final, cast

from vaguemestre_agent.localapi.backend import Backend
from vaguemestre_agent.localapi.server import LocalApi
from vaguemestre_agent.locked.backend import LockedBackend
from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.ports import ClockPort
from vaguemestre_queue.sealing import StoreKeys

_log = logging.getLogger(__name__)
OUT_OF_REACH: Final = frozenset({"KEYRING_LOCKED", "KEYRING_UNAVAILABLE"})
LOOK_S: Final = 2.0  # between two looks at the key store


@asynccontextmanager
async def watching_keys(
    api: LocalApi,
    locked: LockedBackend,
    clock: ClockPort,
    load: Callable[[], StoreKeys],
    with_keys: Callable[[StoreKeys], AbstractAsyncContextManager[Backend]],
) -> AsyncIterator[None]:
    """Watch the key store while the block runs, and give the API the services as soon as they can run.

    Args:
        api: answers with ``locked`` until then.
        locked: the services without keys.
        clock: time.
        load: returns the keys; raises StoreError.
        with_keys: runs the services.
    """
    stop = asyncio.Event()

    async def watch() -> None:
        async with AsyncExitStack() as stack:
            backend = await _reached(stack)
            if backend is None:
                return
            api.use(backend)
            _log.info("agent.unlocked")
            await stop.wait()

    async def _reached(stack: AsyncExitStack) -> Backend | None:
        while not stop.is_set():
            try:
                keys = await asyncio.to_thread(load)
                await locked.close()
                return await stack.enter_async_context(with_keys(keys))
            except (StoreError, Conflict) as error:
                if error.code != locked.trouble:
                    _log.warning("agent.still_locked", extra={"code": error.code})
                locked.reopen(error.code)
            await _either(clock, stop)
        return None

    async with asyncio.TaskGroup() as group:
        group.create_task(watch(), name="keys")
        try:
            yield
        finally:
            stop.set()


async def _either(clock: ClockPort, stop: asyncio.Event) -> None:
    """Wait until the next look, or the stop."""
    async with asyncio.TaskGroup() as group:
        sleeper = group.create_task(clock.sleep(LOOK_S))
        stopper = group.create_task(stop.wait())
        sleeper.add_done_callback(lambda _: stopper.cancel())
        stopper.add_done_callback(lambda _: sleeper.cancel())


def as_backend(locked: LockedBackend) -> Backend:
    """Return it as the API sees it: what it has not is refused by name."""
    return cast("Backend", locked)
