"""Waiting for what the agent or the sandbox will say, with an end to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from vaguemestre_api.client import Client
from vaguemestre_core.errors import UnexpectedError

PATIENCE_S: Final = 40.0


async def until(client: Client, reached: Callable[[Client], Awaitable[bool]]) -> None:
    """Ask until it is so. Raises UnexpectedError DEMO_ENDED_OTHERWISE (waiting) after 40 s."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await reached(client):  # noqa: ASYNC110 - the agent's and the sandbox's state
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise UnexpectedError("DEMO_ENDED_OTHERWISE", step="waiting") from error
