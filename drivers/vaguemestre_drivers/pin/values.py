"""A PIN once typed, and why there may be none.

Owns the only buffer that holds a PIN on our side: wiped after use, it shows nothing and is not copied by accident.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final, NoReturn, Self

from vaguemestre_core.redaction import REDACTED

PIN_MAX_BYTES: Final = 12


class Pin:
    """The digits, in a buffer that ``wipe`` fills with zeros; ``with`` wipes at the end.

    Raises:
        ValueError: more than 12 bytes, or something else than ASCII digits; the buffer given is wiped then too.
    """

    __slots__ = ("_buffer",)

    def __init__(self, buffer: bytearray) -> None:
        self._buffer = buffer
        if not 0 < len(buffer) <= PIN_MAX_BYTES or any(not 0x30 <= byte <= 0x39 for byte in buffer):
            self.wipe()
            raise ValueError("a PIN is made of digits")

    def reveal(self) -> bytearray:
        """Return the buffer itself, not a copy: the caller, or ``wipe``, clears it."""
        return self._buffer

    def wipe(self) -> None:
        """Fill the buffer with zeros: it then holds no PIN any more."""
        wipe(self._buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return f"Pin({REDACTED})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a PIN is never serialised")

    def __copy__(self) -> NoReturn:
        raise TypeError("a PIN is never copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a PIN is never copied")


@unique
class PinNotGiven(StrEnum):
    """Why no PIN came."""

    REFUSED = "refused"  # the person closed the window or cancelled
    EXPIRED = "expired"  # nobody answered in time
    WITHDRAWN = "withdrawn"  # the question was taken back: card out, stop
    BUSY = "busy"  # another question is open: one at a time
    LOST = "lost"  # the child died or answered nonsense
    NO_WAY = "no_way"  # neither a display nor a terminal


def wipe(buffer: bytearray) -> None:
    """Fill a buffer with zeros, in place."""
    for index in range(len(buffer)):
        buffer[index] = 0
