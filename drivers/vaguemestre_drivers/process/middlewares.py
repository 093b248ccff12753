"""The native libraries that the settings may name: the CPS middleware, tried in a child first, and the count of tries.

Owns the choice; the middleware's code never runs in this process before a child has survived it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vaguemestre_core.cps import CpsError, CpsSituation
from vaguemestre_drivers.cps.middleware import search_here
from vaguemestre_drivers.cps.probing import explain_middleware, probe_middleware
from vaguemestre_drivers.cps.token import CpsModule
from vaguemestre_drivers.cps.tries import FileTryBook, MemoryTryBook, TryBook

_KEY_BYTES: Final = 32


def middleware_loader(override: str) -> Callable[[], CpsModule]:
    """Return what loads the middleware: where its installer puts it, or the one place that a setting names."""

    def load() -> CpsModule:
        found = search_here(override=override or None, windir=os.environ.get("WINDIR", r"C:\Windows"))
        report = None if found.chosen is None else probe_middleware(found.chosen.path)
        said = explain_middleware(found, report)
        if said.situation is not None:
            raise CpsError(said.situation)
        if said.path is None:
            raise CpsError(CpsSituation.MIDDLEWARE_ABSENT)
        return CpsModule(said.path)

    return load


def open_try_book(folder: str) -> TryBook:
    """Return the count of tries kept in a folder, made when absent; in memory when it cannot be kept there."""
    if not folder:
        return MemoryTryBook()
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileTryBook(place / "tries.json", _key(place / "tries.key"))
    except OSError:
        return MemoryTryBook()


def _key(path: Path) -> bytes:
    """Return the key of the fingerprints, made at the first call. Raises OSError."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        kept = path.read_bytes()
        if len(kept) == _KEY_BYTES:
            return kept
        handle = os.open(path, os.O_WRONLY | os.O_TRUNC)  # cut by a crash: the counts begin again
    made = secrets.token_bytes(_KEY_BYTES)
    with os.fdopen(handle, "wb") as file:
        file.write(made)
    return made
