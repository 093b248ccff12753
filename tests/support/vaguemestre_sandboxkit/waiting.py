"""Waiting for something that another task does, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LIMIT_S = 5.0


async def until(condition: Callable[[], object]) -> None:
    """Return once `condition` is true; TimeoutError after LIMIT_S."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - the condition is a plain reading, nobody signals it
            await asyncio.sleep(0.001)
