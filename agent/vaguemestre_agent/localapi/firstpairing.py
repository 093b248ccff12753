"""The first pairing: while no program is paired, a code lies in a file that only this user can read.

Owns that file. Whoever reads it can already read everything this user can; every further pairing needs a paired
administrator.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from vaguemestre_agent.localapi.backend import Backend
from vaguemestre_core.ports import ClockPort
from vaguemestre_core.records import AGENT_ACTOR, Scope

logger = logging.getLogger(__name__)

_LOOK_S: Final = 1.0
_RENEW_AT: Final = 0.8  # part of a code's life after which it is replaced


async def keep_first_code(backend: Backend, path: Path, clock: ClockPort) -> None:
    """Keep a fresh code in ``path`` until a program is paired, then remove it and return.

    Cancellation is safe at any await: the file is removed.
    """
    try:
        while not await _is_paired(backend):
            code, life_s = await backend.open_pairing(frozenset(Scope), AGENT_ACTOR)
            write_private(path, code.encode())
            logger.info("pairing.first_code_ready")
            until = clock.boot_s() + life_s * _RENEW_AT
            while clock.boot_s() < until and not await _is_paired(backend):
                await clock.sleep(min(_LOOK_S, life_s * _RENEW_AT))
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _is_paired(backend: Backend) -> bool:
    return any(client.revoked_at is None for client in await backend.clients())


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only this user can read, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    fresh.replace(path)
