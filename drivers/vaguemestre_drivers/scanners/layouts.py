"""What each key of a scanner that types means: the scanner's own layout, never the desktop's. Tables only.

Key numbers are those of Linux's input events. Source: linux/input-event-codes.h; French (AZERTY) and US layouts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

KEY_TAB: Final = 15
KEY_ENTER: Final = 28
KEY_LEFTCTRL: Final = 29
KEY_LEFTSHIFT: Final = 42
KEY_RIGHTSHIFT: Final = 54
KEY_LEFTALT: Final = 56
KEY_SPACE: Final = 57
KEY_CAPSLOCK: Final = 58
KEY_F8: Final = 66
KEY_KPENTER: Final = 96
KEY_RIGHTCTRL: Final = 97
KEY_RIGHTALT: Final = 100
KEY_RIGHTBRACE: Final = 27

# The rows of a keyboard from the left: digits, upper letters, home letters, the key beside ENTER, lower letters, the
# key that the US layout has not.
_ROWS: Final = (*range(2, 14), *range(16, 28), *range(30, 42), 43, *range(44, 54), 86)

KEYPAD: Final[Mapping[int, str]] = MappingProxyType(
    dict(zip((82, 79, 80, 81, 75, 76, 77, 71, 72, 73, 83, 55, 74, 78, 98), "0123456789.*-+/", strict=True))
)


class Layout(StrEnum):
    """The layout that is set in the scanner."""

    US = "us"
    FR = "fr"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutTable:
    """What keys write alone, with Shift, with AltGr; and which of these wait for the next key (dead keys)."""

    plain: Mapping[int, str]
    shifted: Mapping[int, str]
    third: Mapping[int, str]
    dead: frozenset[str]


def _level(characters: str) -> Mapping[int, str]:
    """Return a level: one character a key in the order of the rows, a blank where there is none, and the space bar."""
    level = {key: character for key, character in zip(_ROWS, characters, strict=True) if character != " "}
    return MappingProxyType({**level, KEY_SPACE: " "})


LAYOUTS: Final[Mapping[Layout, LayoutTable]] = MappingProxyType(
    {
        Layout.US: LayoutTable(
            plain=_level("1234567890-=qwertyuiop[]asdfghjkl;'`\\zxcvbnm,./ "),
            shifted=_level('!@#$%^&*()_+QWERTYUIOP{}ASDFGHJKL:"~|ZXCVBNM<>? '),
            third=_level(" " * 48),
            dead=frozenset(),
        ),
        Layout.FR: LayoutTable(
            plain=_level("&é\"'(-è_çà)=azertyuiop^$qsdfghjklmù²*wxcvbn,;:!<"),
            shifted=_level("1234567890°+AZERTYUIOP¨£QSDFGHJKLM% µWXCVBN?./§>"),
            third=_level(" ~#{[|`\\^@]}  €        ¤                        "),
            dead=frozenset("^¨"),
        ),
    }
)
