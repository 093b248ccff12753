"""Where a code ends in what a scanner sends: at CR or LF, or after a silence. Pure: times are given.

Owns the buffer of one code and its bound; knows no device. A code longer than any symbol is dropped whole.
"""

from __future__ import annotations

from typing import Final

from vaguemestre_core.redaction import REDACTED
from vaguemestre_core.scans import MAX_CODE_BYTES

SILENCE_S: Final = 0.08
ENDINGS: Final = b"\r\n"
# Room for an AIM identifier in front of the longest code.
_MOST_BYTES: Final = MAX_CODE_BYTES


class Framing:
    """Collects bytes until a code is complete.

    Args:
        silence_s: a longer pause ends a code, seconds.
        endings: octets that end a code; empty for scanners whose codes may hold them: then only silence ends one.
    """

    def __init__(self, *, silence_s: float = SILENCE_S, endings: bytes = ENDINGS) -> None:
        self._silence_s = silence_s
        self._endings = frozenset(endings)
        self._held = bytearray()
        self._overflows = False
        self._last_at = 0.0

    def feed(self, data: bytes, at: float) -> tuple[bytes, ...]:
        """Return the codes that these bytes, which came at that monotonic instant, complete."""
        complete = list(self.rest(at))
        for octet in data:
            if octet in self._endings:
                complete += self._taken()
            elif len(self._held) < _MOST_BYTES:
                self._held.append(octet)
            else:
                self._overflows = True
        if data:
            self._last_at = at
        return tuple(complete)

    def rest(self, at: float) -> tuple[bytes, ...]:
        """Return the code that a silence until that instant completes."""
        if (self._held or self._overflows) and at - self._last_at > self._silence_s:
            return tuple(self._taken())
        return ()

    def _taken(self) -> list[bytes]:
        code, overflows = bytes(self._held), self._overflows
        self._held.clear()
        self._overflows = False
        return [] if overflows or not code else [code]

    def __repr__(self) -> str:
        return f"Framing({REDACTED})"
