"""The client without asyncio: for the CLI, scripts and vendors whose code is synchronous.

Owns one event loop per call; never call it from a running loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from vaguemestre_api.answers import StreamItem
from vaguemestre_api.client import Client

T = TypeVar("T")


def call(make: Callable[[], Client], work: Callable[[Client], Awaitable[T]]) -> T:
    """Return what ``work`` returns with a client that lives for this call.

    Example: ``call(lambda: Client(endpoint, credentials), lambda client: client.health())``.

    Raises:
        ClientFailure: as the client's methods.
    """

    async def run() -> T:
        async with make() as client:
            return await work(client)

    return asyncio.run(run())


def follow(make: Callable[[], Client], receive: Callable[[StreamItem], bool], after: int | None = None) -> None:
    """Give every event to ``receive`` until it returns False, reconnecting across restarts of the agent.

    Raises:
        ClientFailure: as the client's methods.
    """

    async def run(client: Client) -> None:
        stream = client.follow(after)
        try:
            async for item in stream:
                if not receive(item):
                    return
        finally:
            await stream.aclose()

    call(make, run)
