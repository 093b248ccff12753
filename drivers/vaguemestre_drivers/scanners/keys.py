"""Key events of a scanner that types → the characters it meant, GS and other separators included. Pure.

Owns the state of one keyboard (Shift, Ctrl, Alt, AltGr, Caps Lock, an Alt code being typed). Never blocks, never
keeps a code: characters leave at once. Source: the layouts; scanners type GS as Ctrl+], Alt+029 or F8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from vaguemestre_core.redaction import REDACTED
from vaguemestre_drivers.scanners import layouts
from vaguemestre_drivers.scanners.layouts import KEYPAD, LAYOUTS, Layout

GS: Final = "\x1d"
END: Final = "\r"
_SHIFTS: Final = frozenset({layouts.KEY_LEFTSHIFT, layouts.KEY_RIGHTSHIFT})
_CONTROLS: Final = frozenset({layouts.KEY_LEFTCTRL, layouts.KEY_RIGHTCTRL})
_ENDS: Final = frozenset({layouts.KEY_ENTER, layouts.KEY_KPENTER})
# Ctrl with one of these writes the control character of the same column.
_CONTROLLABLE: Final = frozenset("@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_")
_MOST_ALT_DIGITS: Final = 4


class Move(IntEnum):
    """What happened to a key, in the values of Linux's input events."""

    UP = 0
    DOWN = 1
    REPEAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvent:
    """One key moved. The key is part of what is typed: it does not print."""

    key: int = field(repr=False)
    move: Move
    at: float


class KeyReader:
    """Turns the events of one keyboard into characters; ENTER is CR.

    Args:
        layout: the one set in the scanner.
    """

    def __init__(self, layout: Layout) -> None:
        self._table = LAYOUTS[layout]
        self._down: set[int] = set()
        self._is_caps = False
        self._alt_digits = ""
        self._after_dead = False

    def read(self, event: KeyEvent) -> str:
        """Return what this event writes; mostly nothing or one character."""
        if event.move is Move.UP:
            self._down.discard(event.key)
            return self._alt_code() if event.key == layouts.KEY_LEFTALT else ""
        if event.move is Move.REPEAT:
            return ""  # a scanner holds no key down
        self._down.add(event.key)
        if event.key == layouts.KEY_CAPSLOCK:
            self._is_caps = not self._is_caps
            return ""
        if layouts.KEY_LEFTALT in self._down and event.key in KEYPAD:
            self._alt_digits = (self._alt_digits + KEYPAD[event.key])[:_MOST_ALT_DIGITS]
            return ""
        if event.key == layouts.KEY_F8:
            return GS
        if event.key in _ENDS:
            return END
        if event.key == layouts.KEY_TAB:
            return "\t"
        return self._character(event.key)

    def _character(self, key: int) -> str:
        is_control = bool(self._down & _CONTROLS)
        if is_control and key == layouts.KEY_RIGHTBRACE:
            return GS  # whatever the layout: scanners send the key of a US keyboard
        written = KEYPAD.get(key) or self._level().get(key, "")
        if is_control:
            return chr(ord(written.upper()) & 0x1F) if written and written.upper() in _CONTROLLABLE else ""
        if self._after_dead and written == " ":
            self._after_dead = False
            return ""  # the blank that frees a dead key
        self._after_dead = written in self._table.dead and layouts.KEY_RIGHTALT not in self._down
        if self._is_caps and written.isalpha() and len(written.swapcase()) == 1:
            return written.swapcase()
        return written

    def _level(self) -> Mapping[int, str]:
        if layouts.KEY_RIGHTALT in self._down:
            return self._table.third
        return self._table.shifted if self._down & _SHIFTS else self._table.plain

    def _alt_code(self) -> str:
        digits, self._alt_digits = self._alt_digits, ""
        if not digits.isdecimal() or int(digits) > 255:
            return ""
        code = int(digits)
        if code < 128:
            return chr(code)
        # With a leading zero the page of Windows, without it that of the old console.
        page = "cp1252" if digits.startswith("0") else "cp437"
        return bytes((code,)).decode(page, errors="ignore")

    def __repr__(self) -> str:
        return f"KeyReader({REDACTED})"


def as_bytes(text: str) -> bytes:
    """Return typed text as bytes: Latin-1 where it can, for codes whose octets were typed as letters."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()
