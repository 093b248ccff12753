"""Puts the local API on its transport, a Unix socket or a Windows named pipe, and takes it off again.

Owns the order of opening and closing: requests under way may end, within a bound.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from aiohttp import web

from vaguemestre_agent.localapi.server import LocalApi

logger = logging.getLogger(__name__)


class Transport(Protocol):
    """One way to be reached."""

    async def open(self, runner: web.ServerRunner) -> None:
        """Listen. Raises Conflict AGENT_ALREADY_RUNNING, StoreError ENDPOINT_UNAVAILABLE."""

    async def close(self) -> None:
        """Stop accepting and leave nothing behind."""


def transport_for(address: str) -> Transport:
    """Return the transport of an address: a pipe's name on Windows, else a socket's path."""
    if sys.platform == "win32":
        from vaguemestre_agent.localapi.windowspipe import PipeTransport

        return PipeTransport(address)
    else:  # noqa: RET505 - the type checker reads the branch of one system only
        from vaguemestre_agent.localapi.unixsocket import UnixTransport

        return UnixTransport(Path(address))


class Listening:
    """The API while it can be reached: an async context manager.

    Args:
        api: the API.
        transport: where.
    """

    def __init__(self, api: LocalApi, transport: Transport) -> None:
        self._api = api
        self._transport = transport
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        runner = web.ServerRunner(self._api.connections(), shutdown_timeout=self._api.limits.stop_s)
        await runner.setup()
        try:
            await self._transport.open(runner)
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        logger.info("api.listening")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.stop()
        # Shielded and bounded: what is under way ends, whatever is happening to us.
        async with asyncio.timeout(self._api.limits.stop_s * 3):
            await asyncio.shield(self._stop())

    async def _stop(self) -> None:
        await self._transport.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        logger.info("api.closed")
