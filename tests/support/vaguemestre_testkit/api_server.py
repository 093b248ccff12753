"""Runs the local API on a real Unix socket around any backend, for contract and integration tests."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from vaguemestre_agent.localapi.backend import Backend
from vaguemestre_agent.localapi.limits import ApiLimits
from vaguemestre_agent.localapi.listening import Listening, transport_for
from vaguemestre_agent.localapi.peers import peer_identity
from vaguemestre_agent.localapi.server import LocalApi


class SeededRandom:
    """Randomness of the tests: the same every time."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def bits(self, count: int) -> int:
        """Return an integer of that many bits."""
        return self._random.getrandbits(count)

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return self._random.random()


@asynccontextmanager
async def serving(
    backend: Backend,
    socket: Path,
    limits: ApiLimits | None = None,
    identify: Callable[[asyncio.BaseTransport | None], str | None] = peer_identity,
) -> AsyncIterator[LocalApi]:
    """Serve a backend on a socket for the time of a ``with``."""
    api = LocalApi(backend, SeededRandom(), limits, identify)
    async with Listening(api, transport_for(str(socket))):
        yield api
