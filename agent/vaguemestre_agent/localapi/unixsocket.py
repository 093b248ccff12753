"""The local API on a Unix socket that only its owner may use: folder 0700, socket 0600.

Owns the socket file: one left by a dead agent is replaced, a living one is never disturbed. Importable everywhere; the
class exists on POSIX systems only.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import sys
from pathlib import Path
from typing import Final

from aiohttp import web

from vaguemestre_core.errors import Conflict, StoreError

logger = logging.getLogger(__name__)

# sun_path, its final zero excluded.
_LONGEST_PATH: Final = 103 if sys.platform == "darwin" else 107
_PROBE_S: Final = 2.0

if sys.platform != "win32":

    class UnixTransport:
        """A Unix socket that only its owner may use.

        Args:
            path: where the socket is made; its folder is made too, and must belong to this user.
        """

        def __init__(self, path: Path) -> None:
            self._path = path
            self._inode: int | None = None
            self._site: web.SockSite | None = None

        async def open(self, runner: web.ServerRunner) -> None:
            """Listen."""
            self._prepare_folder()
            self._clear_stale()
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                listening.setblocking(False)
                listening.bind(os.fspath(self._path))
                self._path.chmod(0o600)
                self._inode = self._path.stat().st_ino
                self._site = web.SockSite(runner, listening, backlog=256)
                await self._site.start()
            except OSError as failed:
                listening.close()
                raise StoreError("ENDPOINT_UNAVAILABLE", errno=failed.errno) from failed

        async def close(self) -> None:
            """Stop listening; the socket is removed only when it is still ours."""
            if self._site is not None:
                await self._site.stop()
                self._site = None
            try:
                if self._inode is not None and self._path.lstat().st_ino == self._inode:
                    self._path.unlink()
            except FileNotFoundError:
                logger.debug("api.socket_already_gone")
            self._inode = None

        def _prepare_folder(self) -> None:
            if len(os.fsencode(self._path)) > _LONGEST_PATH:
                raise StoreError("ENDPOINT_UNAVAILABLE", reason="path_too_long", max_chars=_LONGEST_PATH)
            folder = self._path.parent
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            state = folder.lstat()
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
                raise StoreError("ENDPOINT_UNAVAILABLE", reason="folder_not_ours")
            folder.chmod(0o700)

        def _clear_stale(self) -> None:
            """Remove the socket of a dead agent. Raises when a living one answers or when it is no socket."""
            try:
                mode = self._path.lstat().st_mode
            except FileNotFoundError:
                return
            if not stat.S_ISSOCK(mode):
                raise StoreError("ENDPOINT_UNAVAILABLE", reason="not_a_socket")
            probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            probe.settimeout(_PROBE_S)
            try:
                probe.connect(os.fspath(self._path))
            except ConnectionRefusedError:
                logger.info("api.stale_socket_removed")
                self._path.unlink()
            except OSError as failed:  # busy, or not ours: something lives there
                raise Conflict("AGENT_ALREADY_RUNNING") from failed
            else:
                raise Conflict("AGENT_ALREADY_RUNNING")
            finally:
                probe.close()
