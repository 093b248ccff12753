"""Digits as they are typed, in one buffer of fixed size that never moves: nothing of it is left behind by growing.

Owns the typing, for the window and for the terminal alike; knows neither.
"""

from __future__ import annotations

from typing import Final

from vaguemestre_core.cpspin import PIN_LENGTH
from vaguemestre_core.redaction import REDACTED
from vaguemestre_drivers.pin.values import wipe

_ZERO: Final = ord("0")


class TypedDigits:
    """At most ``PIN_LENGTH`` digits; whatever else is typed changes nothing."""

    __slots__ = ("_buffer", "_count")

    def __init__(self) -> None:
        self._buffer = bytearray(PIN_LENGTH)
        self._count = 0

    @property
    def count(self) -> int:
        """How many digits are typed."""
        return self._count

    @property
    def is_complete(self) -> bool:
        """Whether the code has its length."""
        return self._count == PIN_LENGTH

    def add(self, code_point: int) -> bool:
        """Type one character; return whether it was a digit with room for it."""
        if not _ZERO <= code_point <= _ZERO + 9 or self.is_complete:
            return False
        self._buffer[self._count] = code_point
        self._count += 1
        return True

    def erase_last(self) -> None:
        """Forget the last digit, if any."""
        if self._count:
            self._count -= 1
            self._buffer[self._count] = 0

    def answer(self, mark: int) -> bytearray:
        """Return the mark and the digits in a new buffer, which the caller wipes; the typing is wiped here."""
        answer = bytearray(1 + PIN_LENGTH)
        answer[0] = mark
        answer[1:] = self._buffer
        self.wipe()
        return answer

    def wipe(self) -> None:
        """Forget everything."""
        wipe(self._buffer)
        self._count = 0

    def __repr__(self) -> str:
        return f"TypedDigits({REDACTED})"
