"""A private stream that serves once: who was told its address connects, and the address is gone.

Owns the listening end. Where there are Unix sockets: one in a folder that only this user enters, mode 0600, removed as
soon as it is used. Elsewhere: a port of the loopback interface, whose first bytes must be a secret told with it.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Final

_SECRET_BYTES: Final = 32
HAS_UNIX_SOCKETS: Final = sys.platform != "win32"


class OneUse:
    """A listening stream for one connection.

    Args:
        folder: private folder of this process.
        unix: a Unix socket, or a port of the loopback interface.
    """

    def __init__(self, folder: Path, *, unix: bool = HAS_UNIX_SOCKETS) -> None:
        self._path: Path | None = None
        self._secret = b""
        if unix:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path = folder / secrets.token_hex(8)
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            mask = os.umask(0o177)
            try:
                self._socket.bind(str(self._path))
            finally:
                os.umask(mask)
            self.address = f"unix:{self._path}"
        else:
            self._secret = secrets.token_bytes(_SECRET_BYTES)
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._socket.bind(("127.0.0.1", 0))
            self.address = f"loopback:{self._socket.getsockname()[1]}:{self._secret.hex()}"
        self._socket.listen(1)

    def accept(self, within_s: float) -> socket.socket | None:
        """Return the one connection, or None when nobody came in time or it did not know the secret."""
        self._socket.settimeout(within_s)
        try:
            found, _ = self._socket.accept()
        except OSError:
            return None
        finally:
            self.close()
        found.settimeout(within_s)
        if self._secret and not hmac.compare_digest(_read(found), self._secret):
            found.close()
            return None
        return found

    def close(self) -> None:
        """Stop listening and remove the address."""
        self._socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _read(found: socket.socket) -> bytes:
    content = b""
    try:
        while len(content) < _SECRET_BYTES and (piece := found.recv(_SECRET_BYTES - len(content))):
            content += piece
    except OSError:
        return b""
    return content
