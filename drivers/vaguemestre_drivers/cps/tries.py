"""The count of PIN tries that survives us: written before a PIN is presented, so that a crash has cost one.

Owns a small file of fingerprints and states, without a number of any card in clear; never a PIN. A middleware whose
flags cannot be believed, and a virtual card that never locks, are both covered by this count.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from vaguemestre_core.cps import CardNumber
from vaguemestre_core.cpspin import PinState

_MAX_FILE_BYTES: Final = 65_536
_MAX_CARDS: Final = 256


class TryBook(Protocol):
    """What we counted for each card."""

    def counted(self, number: CardNumber) -> PinState:
        """Return our own count; OK for a card never seen."""
        ...

    def write(self, number: CardNumber, state: PinState) -> bool:
        """Keep a count; False when it could not be made durable: it is then kept in memory only."""
        ...


class MemoryTryBook:
    """A count that lives as long as the process."""

    def __init__(self) -> None:
        self._states: dict[str, PinState] = {}

    def counted(self, number: CardNumber) -> PinState:
        """Return our own count."""
        return self._states.get(number.fingerprint(b""), PinState.OK)

    def write(self, number: CardNumber, state: PinState) -> bool:
        """Keep it."""
        self._states[number.fingerprint(b"")] = state
        return True


class FileTryBook:
    """A count in a file, replaced whole at each write: temporary file, flush to disk, rename.

    Args:
        path: the file; its folder exists and belongs to the user.
        key: 16 to 64 bytes that make fingerprints useless elsewhere.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key
        self._states = dict(_read(path))

    def __repr__(self) -> str:
        return f"FileTryBook({len(self._states)} cards)"

    def counted(self, number: CardNumber) -> PinState:
        """Return our own count."""
        return self._states.get(number.fingerprint(self._key), PinState.OK)

    def write(self, number: CardNumber, state: PinState) -> bool:
        """Keep a count: full cards are not written, the oldest go first beyond 256."""
        fingerprint = number.fingerprint(self._key)
        self._states.pop(fingerprint, None)
        if state is not PinState.OK:
            self._states[fingerprint] = state
            while len(self._states) > _MAX_CARDS:
                del self._states[next(iter(self._states))]
        return self._save()

    def _save(self) -> bool:
        content = json.dumps({name: state.value for name, state in self._states.items()})
        try:
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".tries-")
        except OSError:
            return False
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            return False
        return True


def _read(path: Path) -> Mapping[str, PinState]:
    """Return the counts of a file; a damaged one says nothing, and the card's own counter stays the last guard."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_FILE_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    known = {state.value: state for state in PinState}
    return {name: known[value] for name, value in content.items() if isinstance(value, str) and value in known}
