"""Where the agent listens: a Unix socket or a Windows named pipe, and the lock that says that an agent lives.

Owns the two forms of the address and the reading of the lock; never takes it. Importable on every system.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PIPE_PREFIX: Final = "\\\\.\\pipe\\"
# The host that clients write: a name that no browser page can reach on this transport.
HOST: Final = "vaguemestre.local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    r"""Address of an agent.

    Attributes:
        address: path of the Unix socket, or name of the pipe (``\\.\pipe\…``).
        lock: file that a living agent keeps locked, or None.
    """

    address: str
    lock: Path | None = None

    @property
    def is_pipe(self) -> bool:
        """The address is a Windows named pipe."""
        return self.address.startswith(PIPE_PREFIX)

    def agent_lives(self) -> bool:
        """Say whether an agent holds the lock: it runs, or is starting. Without a lock file, False."""
        return self.lock is not None and is_locked(self.lock)


def is_locked(path: Path) -> bool:
    """Say whether another holder has the lock file locked; the lock is not kept."""
    try:
        handle = path.open("rb+")
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    with handle:
        if sys.platform == "win32":
            import msvcrt

            try:
                msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError:
                return True
            msvcrt.locking(handle.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False
