"""Connections that others open: the HTTP client speaks plain HTTP over a stream whose other end already speaks TLS.

Owns the joining of such a stream to the HTTP library; the only other module that names it. The stream exists only once
the service has accepted the card's key, so "not connected" stays a certainty.
Source: docs/cards.md, "TLS with the card's key".
"""

from __future__ import annotations

import asyncio
import ssl
import typing
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import httpcore
import httpx

from vaguemestre_agent.adapters.http import StreamRefused, Symptom
from vaguemestre_core.errors import ServiceError

Opened = Callable[[float], Awaitable[str]]
_LONGEST_S: Final = 30.0
_CLOSING_S: Final = 1.0


class _Stream(httpcore.AsyncNetworkStream):
    """One stream, as the library wants it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the library's
        """Read what comes."""
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)
        except TimeoutError:
            raise httpcore.ReadTimeout from None
        except OSError:
            raise httpcore.ReadError from None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the library's
        """Write all."""
        try:
            async with asyncio.timeout(timeout):
                self._writer.write(buffer)
                await self._writer.drain()
        except TimeoutError:
            raise httpcore.WriteTimeout from None
        except OSError:
            raise httpcore.WriteError from None

    async def aclose(self) -> None:
        """Close."""
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            return

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: TLS is spoken at the other end."""
        raise httpcore.UnsupportedProtocol

    def get_extra_info(self, info: str) -> typing.Any:
        """Tell nothing."""
        return None


class _Backend(httpcore.AsyncNetworkBackend):
    """Opens a stream for each connection."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Let the stream be opened and connect to it; the address is the opener's business."""
        within_s = _LONGEST_S if timeout is None else timeout
        try:
            async with asyncio.timeout(2 * within_s):  # connection and handshake have this time each
                return await self._stream(within_s)
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except StreamRefused as refused:
            # The library takes the cause away and leaves the context: the symptom is found there.
            raise httpcore.ConnectError from refused

    async def _stream(self, within_s: float) -> _Stream:
        try:
            return await _connected(await self._opened(within_s))
        except ServiceError as error:
            raise StreamRefused(_symptom(error)) from error
        except TimeoutError:
            raise
        except OSError as error:
            raise StreamRefused(Symptom.UNREACHABLE) from error


def _symptom(error: ServiceError) -> Symptom:
    found = error.params.get("failure")
    return Symptom(found) if isinstance(found, str) and found in set(Symptom) else Symptom.KEY


async def _connected(address: str) -> _Stream:
    kind, _, rest = address.partition(":")
    if kind == "unix":
        return _Stream(*await asyncio.open_unix_connection(rest))
    port, _, secret = rest.partition(":")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(bytes.fromhex(secret))
    return _Stream(reader, writer)


class StreamTransport(httpx.AsyncHTTPTransport):
    """A transport whose connections others open.

    Args:
        opened: given the seconds it may take, returns the address of a stream (``CardKeysPort.open_tls``).
    """

    def __init__(self, opened: Opened) -> None:
        super().__init__(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=8, max_keepalive_connections=0, keepalive_expiry=0.0, network_backend=_Backend(opened)
        )
