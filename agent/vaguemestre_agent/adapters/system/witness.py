"""WitnessPort over TCP: is another host reached? Only connects and closes: nothing is sent, nothing is asked.

Which hosts is a setting (``services.witness``); with none, nobody knows whether the Internet or the proxy is away.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from vaguemestre_core.errors import InvalidInput

CONNECT_S: Final = 3.0


def parse_hosts(text: str) -> Sequence[tuple[str, int]]:
    """Return the hosts of ``host:port host:port``. Raises InvalidInput SETTING_INVALID (key)."""
    found: list[tuple[str, int]] = []
    for item in text.split():
        host, separator, port = item.rpartition(":")
        if not separator or not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
            raise InvalidInput("SETTING_INVALID", key="services.witness")
        found.append((host.strip("[]"), int(port)))
    return found


class TcpWitness:
    """Reaches the first of some hosts that answers."""

    def __init__(self, hosts: Sequence[tuple[str, int]], connect_s: float = CONNECT_S) -> None:
        self._hosts = hosts
        self._connect_s = connect_s

    async def is_reached(self) -> bool | None:
        """Say whether one host accepts a connection; None when there is none to ask. Cancellation: safe."""
        for host, port in self._hosts:
            try:
                async with asyncio.timeout(self._connect_s):
                    _, writer = await asyncio.open_connection(host, port)
            except (OSError, TimeoutError):
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return True
        return False if self._hosts else None
