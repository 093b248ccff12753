"""One agent per home: a lock file held while the agent lives, so that clients know that it is starting.

Owns the lock only. The system frees it when the process dies, however it dies.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import IO

from vaguemestre_core.errors import Conflict, StoreError


class AgentLock:
    """Holds the lock file of one home; take it before the store is opened, free it last.

    Args:
        path: the lock file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: IO[bytes] | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._handle is not None

    def take(self) -> None:
        """Take the lock. Raises Conflict AGENT_ALREADY_RUNNING, StoreError when it cannot be written."""
        if self._handle is not None:
            return
        handle = self._opened()
        try:
            _lock(handle)
        except OSError:
            handle.close()
            raise Conflict("AGENT_ALREADY_RUNNING") from None
        self._handle = handle

    def _opened(self) -> IO[bytes]:
        try:
            self.path.touch(mode=0o600, exist_ok=True)
            return self.path.open("rb+")
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise StoreError("STORE_FULL") from error
            if error.errno not in {errno.EROFS, errno.EACCES, errno.EPERM} or not self.path.exists():
                raise StoreError("STORE_READ_ONLY") from error
        return self.path.open("rb")  # a lock needs no writing: the agent starts, and says that nothing can be kept

    def free(self) -> None:
        """Free the lock; the file stays, so that nobody locks a file that another one replaced."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def _lock(handle: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
