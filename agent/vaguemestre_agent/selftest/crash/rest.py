"""The wait at the end of a run: as long as it takes, as long as something comes to its end.

Knows neither agents nor LGCs. A limit on the whole wait would take a long queue for a stuck one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def come_to_rest(
    moving: Callable[[], Awaitable[frozenset[str]]],
    patience_s: float,
    pause_s: float = 0.2,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Wait as long as orders come to their end, however many there are; give up on those that do not.

    Args:
        moving: asks which orders still move by themselves.
        patience_s: how long the same orders may move before they are left alone, seconds.
        pause_s: time between two questions, seconds.
        clock: seconds that only grow.

    Returns:
        Whether nothing moves any more.
    """
    before, since = await moving(), clock()
    while before:
        await asyncio.sleep(pause_s)
        now = await moving()
        if now != before:
            before, since = now, clock()
        elif clock() - since > patience_s:
            return False
    return True
