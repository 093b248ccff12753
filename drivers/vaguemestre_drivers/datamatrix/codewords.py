"""The corrected codewords of a Data Matrix ECC200 symbol → its content and its symbology identifier.

Owns the encodations of ECC200. It exists because libdmtx gives text without FNC1 (all of it before 0.7.5, its place
afterwards), so that a lot and a serial number run into each other; its codewords have lost nothing.
Pure. Source: ISO/IEC 16022, encodation schemes; AIM symbology identifiers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FNC1: Final = 0x1D  # how FNC1 is transmitted anywhere but first

# Codewords of a symbol, data and correction → of which data.
DATA_CODEWORDS: Final[Mapping[int, int]] = {
    8: 3, 12: 5, 18: 8, 21: 10, 24: 12, 30: 16, 32: 18, 40: 22, 50: 30, 56: 32, 60: 36, 72: 44, 77: 49, 98: 62,
    128: 86, 162: 114, 200: 144, 242: 174, 288: 204, 392: 280, 512: 368, 648: 456, 800: 576, 968: 696, 1152: 816,
    1458: 1050, 1800: 1304, 2178: 1558,
}  # fmt: skip

_PAD: Final = 129
_LATCH_C40: Final = 230
_LATCH_BASE256: Final = 231
_FNC1: Final = 232
_APPEND: Final = 233
_PROGRAMMING: Final = 234
_UPPER: Final = 235
_MACROS: Final[Mapping[int, bytes]] = {236: b"[)>\x1e05\x1d", 237: b"[)>\x1e06\x1d"}
_MACRO_END: Final = b"\x1e\x04"
_LATCH_X12: Final = 238
_LATCH_TEXT: Final = 239
_LATCH_EDIFACT: Final = 240
_ECI: Final = 241
_UNLATCH: Final = 254

_DIGITS: Final = b"0123456789"
_UPPERCASE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SHIFT_2: Final = b"!\"#$%&'()*+,-./:;<=>?@[\\]^_"
_C40: Final = b" " + _DIGITS + _UPPERCASE  # from value 3
_C40_SHIFT_3: Final = bytes(range(96, 128))
_TEXT: Final = b" " + _DIGITS + _UPPERCASE.lower()
_TEXT_SHIFT_3: Final = b"`" + _UPPERCASE + b"{|}~\x7f"
_X12: Final = b"\r*> " + _DIGITS + _UPPERCASE


class NotDecodable(ValueError):
    """The codewords break the standard; nothing of them is told."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Message:
    """What a symbol holds: content and AIM identifier."""

    content: bytes
    symbology: str


def message(codewords: bytes) -> Message:
    """Read the data codewords of a symbol (correction codewords not included).

    Returns:
        The content, FNC1 as GS except in first position, and ``]d1`` to ``]d6``.

    Raises:
        NotDecodable: a codeword means nothing where it stands.
    """
    return _Reading(codewords).run()


class _Reading:
    """One reading: a place in the codewords and what was read so far."""

    def __init__(self, codewords: bytes) -> None:
        self._words = codewords
        self._at = 0
        self._out = bytearray()
        self._upper = False
        self._fnc1: int | None = None  # how many characters stood before the FNC1 that marks the whole symbol
        self._eci = False
        self._end = b""

    def run(self) -> Message:
        while self._at < len(self._words):
            word = self._next()
            if word == _PAD:
                break
            self._ascii(word)
        return Message(content=bytes(self._out) + self._end, symbology=self._symbology())

    def _symbology(self) -> str:
        if self._fnc1 is None:
            return "]d4" if self._eci else "]d1"
        if self._fnc1 == 0:
            return "]d5" if self._eci else "]d2"
        return "]d6" if self._eci else "]d3"

    def _next(self) -> int:
        if self._at >= len(self._words):
            raise NotDecodable
        self._at += 1
        return self._words[self._at - 1]

    def _left(self) -> int:
        return len(self._words) - self._at

    def _emit(self, value: int) -> None:
        value += 128 if self._upper else 0
        self._upper = False
        if value > 255:
            raise NotDecodable
        self._out.append(value)

    def _function(self) -> None:
        """FNC1: the mark of the whole symbol when nothing, or one character, stands before it; else a separator."""
        length = len(self._out)
        if self._fnc1 is None and self._at == 1:
            self._fnc1 = 0
        elif self._fnc1 is None and self._at == 2 and length in (1, 2):  # a letter, or two digits
            self._fnc1 = length
        else:
            self._out.append(FNC1)

    def _ascii(self, word: int) -> None:
        if 1 <= word <= 128:
            self._emit(word - 1)
        elif 130 <= word <= 229:
            self._out += b"%02d" % (word - 130)
        elif word == _UPPER:
            self._upper = True
        elif word == _FNC1:
            self._function()
        elif word in (_LATCH_C40, _LATCH_TEXT):
            self._triples(_C40 if word == _LATCH_C40 else _TEXT, _C40_SHIFT_3 if word == _LATCH_C40 else _TEXT_SHIFT_3)
        elif word == _LATCH_X12:
            self._x12()
        elif word == _LATCH_EDIFACT:
            self._edifact()
        elif word == _LATCH_BASE256:
            self._base256()
        else:
            self._control(word)

    def _control(self, word: int) -> None:
        if word in _MACROS and self._at == 1:
            self._out += _MACROS[word]
            self._end = _MACRO_END
        elif word == _ECI:
            first = self._next()
            for _ in range(0 if first <= 127 else 1 if first <= 191 else 2):
                self._next()
            self._eci = True
        elif word == _APPEND and self._at == 1:
            for _ in range(3):
                self._next()
        elif word not in (_PROGRAMMING, _UNLATCH) or (word == _UNLATCH and self._left()):
            raise NotDecodable

    def _pair(self) -> tuple[int, int, int] | None:
        """Three values from two codewords; None at the end of the scheme."""
        if self._left() < 2:
            return None
        if self._words[self._at] == _UNLATCH:
            self._at += 1
            return None
        packed = (self._next() << 8) + self._next() - 1
        if packed >= 64000 or packed < 0:
            raise NotDecodable
        return packed // 1600, packed // 40 % 40, packed % 40

    def _triples(self, basic: bytes, shift_3: bytes) -> None:
        shift = 0
        while (values := self._pair()) is not None:
            for value in values:
                if shift == 0 and value < 3:
                    shift = value + 1
                    continue
                self._shifted(shift, value, basic, shift_3)
                shift = 0

    def _shifted(self, shift: int, value: int, basic: bytes, shift_3: bytes) -> None:
        if shift == 0:
            self._emit(basic[value - 3])
        elif shift == 1 and value < 32:
            self._emit(value)
        elif shift == 2 and value < len(_SHIFT_2):
            self._emit(_SHIFT_2[value])
        elif shift == 2 and value == 27:
            self._out.append(FNC1)
        elif shift == 2 and value == 30:
            self._upper = True
        elif shift == 3 and value < 32:
            self._emit(shift_3[value])
        else:
            raise NotDecodable

    def _x12(self) -> None:
        while (values := self._pair()) is not None:
            for value in values:
                self._emit(_X12[value])

    def _edifact(self) -> None:
        while self._left() > 2:
            packed = (self._next() << 16) + (self._next() << 8) + self._next()
            for place in range(4):
                value = packed >> (18 - 6 * place) & 0x3F
                if value == 0x1F:  # back to ASCII at the next whole codeword
                    self._at -= 3 - min(3, place + 1)
                    return
                self._emit(value if value & 0x20 else value + 0x40)

    def _base256(self) -> None:
        first = self._random()
        length = self._left() if first == 0 else first if first < 250 else 250 * (first - 249) + self._random()
        if length > self._left():
            raise NotDecodable
        for _ in range(length):
            self._emit(self._random())

    def _random(self) -> int:
        word = self._next()
        return (word - (149 * self._at % 255 + 1)) % 256
