"""Listening sockets of the sandbox: accept, refuse or close at will, then hand the connection to aiohttp.

Owns the accept loop. A listener can be closed (connection refused) and opened again on the same port.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from typing import Final

from aiohttp import web

from vaguemestre_sandbox.failures import RuleBook, Stage, Target
from vaguemestre_sandbox.intake import reset

_LOGGER = logging.getLogger(__name__)
_HANDSHAKE_S: Final = 10.0
_HOST: Final = "127.0.0.1"


class Listener:
    """One port of the loopback interface."""

    def __init__(
        self,
        *,
        name: str,
        application: web.Application,
        port: int,
        context: ssl.SSLContext | None,
        book: RuleBook,
        target: Target | None,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.name = name
        self.port = port
        self._context = context
        self._book = book
        self._target = target
        self._tasks = tasks
        self._runner = web.AppRunner(application, shutdown_timeout=0.2, access_log=None)
        self._loop: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    async def start(self) -> None:
        """Open the port (0 becomes the port chosen by the system) and accept from now on."""
        await self._runner.setup()
        await self.open()

    @property
    def url(self) -> str:
        """Base URL without a final slash."""
        return f"{'http' if self._context is None else 'https'}://{_HOST}:{self.port}"

    @property
    def is_open(self) -> bool:
        """True while the port accepts."""
        return self._socket is not None

    async def open(self) -> None:
        """Listen (again) on the port; nothing when it already does."""
        if self._socket is not None:
            return
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setblocking(False)
        listening.bind((_HOST, self.port))
        listening.listen(256)
        self.port = int(listening.getsockname()[1])
        self._socket = listening
        self._loop = self._tasks.create_task(self._accept(listening), name=f"{self.name}.accept")

    async def close(self) -> None:
        """Stop listening: new connections are refused by the system. Open ones go on."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.cancel()
            await asyncio.wait([loop])
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def stop(self) -> None:
        """Stop listening and end the open connections."""
        await self.close()
        await self._runner.cleanup()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError:
                # A connection given up before we took it, or no descriptor left: the next may be good.
                await asyncio.sleep(0.01)
                continue
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._target is not None and self._book.take(self._target, Stage.ACCEPT) is not None:
                reset(accepted)
                accepted.close()
                continue
            self._tasks.create_task(self._serve(accepted), name=f"{self.name}.handshake")

    async def _serve(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        server = self._runner.server
        assert server is not None
        try:
            if self._context is None:
                await loop.connect_accepted_socket(server, accepted)
            else:
                await loop.connect_accepted_socket(
                    server, accepted, ssl=self._context, ssl_handshake_timeout=_HANDSHAKE_S
                )
        except (OSError, ConnectionError):
            # ssl.SSLError is an OSError: a caller that does not speak TLS, or refuses our certificate.
            _LOGGER.info("listener.handshake.failed", extra={"listener": self.name})
            accepted.close()
