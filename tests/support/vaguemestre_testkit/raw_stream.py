"""Addresses and raw byte streams of the local API for tests: a Unix socket, on Windows a named pipe."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def api_address() -> Iterator[Path]:
    """Give a fresh address: a short path in a private folder (a socket's name holds about a hundred characters)."""
    if sys.platform == "win32":
        yield Path(rf"\\.\pipe\vaguemestre-test-{uuid.uuid4().hex}")
    else:
        with tempfile.TemporaryDirectory(prefix="vg") as folder:
            yield Path(folder) / "run" / "a.sock"


async def connect(address: Path, limit: int = 65536) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to an address as bytes; ``limit`` as asyncio's own."""
    if sys.platform == "win32":
        loop = asyncio.get_running_loop()
        assert isinstance(loop, asyncio.ProactorEventLoop)
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_pipe_connection(lambda: protocol, str(address))
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
    else:  # noqa: RET505 - the type checker reads the branch of one system only
        return await asyncio.open_unix_connection(str(address), limit=limit)
