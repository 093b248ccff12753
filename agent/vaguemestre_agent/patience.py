"""Opening the store, however long its bad day lasts: meanwhile the local API answers, and says why nothing is accepted.

Owns the tries and the listening between them. A part of the composition root. Source: docs/bad-days.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from importlib.metadata import version
from typing import Final, cast

from vaguemestre_agent.localapi.backend import Backend
from vaguemestre_agent.localapi.listening import Listening, transport_for
from vaguemestre_agent.localapi.server import LocalApi
from vaguemestre_agent.services.ailing import EXPLAINED, AilingBackend
from vaguemestre_core.errors import StoreError
from vaguemestre_core.ports import ClockPort, RandomPort
from vaguemestre_queue.store import Store

_log = logging.getLogger(__name__)
AGAIN_S: Final = 15.0


async def opened_or_explained(
    stack: AsyncExitStack,
    open_it: Callable[[], AbstractAsyncContextManager[Store]],
    address: str,
    clock: ClockPort,
    random: RandomPort,
) -> Store:
    """Open the store in a stack; as long as that fails for a cause that may end, listen, explain and try again.

    Raises:
        StoreError: a cause that only the person who starts the agent can deal with (keys).
    """
    try:
        return await stack.enter_async_context(open_it())
    except StoreError as error:
        backend = AilingBackend(_explained(error), version("vaguemestre"))
    async with Listening(LocalApi(cast("Backend", backend), random), transport_for(address)):
        while True:
            await clock.sleep(AGAIN_S)
            try:
                return await stack.enter_async_context(open_it())
            except StoreError as error:
                backend.error = _explained(error)


def _explained(error: StoreError) -> StoreError:
    if error.code not in EXPLAINED:
        raise error
    _log.error("store.cannot_open", extra={"code": error.code})
    return error
