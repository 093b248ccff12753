"""One living agent per store on a machine, wherever the folders are: a lock named after the store.

The home's own lock is copied with the home; this one is not. Owns the lock file in the system's temporary folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vaguemestre_agent.localapi.lock import AgentLock
from vaguemestre_core.errors import Conflict


def store_lock_path(store_id: str) -> Path:
    """Return the lock file of a store for this user."""
    user = "" if sys.platform == "win32" else f"{os.getuid()}-"
    mark = hashlib.sha256(store_id.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"vaguemestre-{user}store-{mark}.lock"


@contextmanager
def only_living_copy(store_id: str) -> Iterator[None]:
    """Hold a store's lock while the block runs. Raises Conflict STORE_RUNS_ELSEWHERE when another copy lives here."""
    lock = AgentLock(store_lock_path(store_id))
    try:
        lock.take()
    except Conflict:
        raise Conflict("STORE_RUNS_ELSEWHERE") from None
    try:
        yield
    finally:
        lock.free()
