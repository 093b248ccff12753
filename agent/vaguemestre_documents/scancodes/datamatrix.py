"""Make a square ECC 200 symbol from codewords: padding, error correction, placement of the modules.

Owns the symbol; knows neither encodation nor picture. Square sizes from 10 to 72 modules: more than any INS code
needs. Source: ISO/IEC 16022, 5.5 to 5.8 and annexes E and F.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import REDACTED

_PAD: Final = 129
_POLYNOMIAL: Final = 0x12D


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A square symbol: modules a side, regions a side, codewords of data and of correction, blocks of correction."""

    side: int
    regions: int
    data: int
    correction: int
    blocks: int = 1

    @property
    def mapping(self) -> int:
        """Modules a side without finder and timing patterns."""
        return self.side - 2 * self.regions


SIZES: Final = (
    Size(side=10, regions=1, data=3, correction=5),
    Size(side=12, regions=1, data=5, correction=7),
    Size(side=14, regions=1, data=8, correction=10),
    Size(side=16, regions=1, data=12, correction=12),
    Size(side=18, regions=1, data=18, correction=14),
    Size(side=20, regions=1, data=22, correction=18),
    Size(side=22, regions=1, data=30, correction=20),
    Size(side=24, regions=1, data=36, correction=24),
    Size(side=26, regions=1, data=44, correction=28),
    Size(side=32, regions=2, data=62, correction=36),
    Size(side=36, regions=2, data=86, correction=42),
    Size(side=40, regions=2, data=114, correction=48),
    Size(side=44, regions=2, data=144, correction=56),
    Size(side=48, regions=2, data=174, correction=68),
    Size(side=52, regions=2, data=204, correction=84, blocks=2),
    Size(side=64, regions=4, data=280, correction=112, blocks=2),
    Size(side=72, regions=4, data=368, correction=144, blocks=4),
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Symbol:
    """The modules of a square symbol, row by row from the top, dark is true; without quiet zone."""

    rows: tuple[tuple[bool, ...], ...]

    @property
    def side(self) -> int:
        """Modules a side."""
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Symbol({REDACTED}, side={self.side})"


def symbol(codewords: bytes) -> Symbol:
    """Return the smallest square symbol that holds the codewords.

    Raises:
        InvalidInput: ``SCAN_INVALID`` (too_long).
    """
    size = next((size for size in SIZES if size.data >= len(codewords)), None)
    if size is None:
        raise InvalidInput("SCAN_INVALID", reason="too_long")
    data = _padded(codewords, size.data)
    return Symbol(rows=_framed(_placed(data + _correction(data, size), size.mapping), size))


def _padded(codewords: bytes, capacity: int) -> bytes:
    data = bytearray(codewords)
    if len(data) < capacity:
        data.append(_PAD)
    while len(data) < capacity:
        # Positions count from 1: pads after the first are scrambled, so that no pattern appears.
        scrambled = _PAD + (149 * (len(data) + 1)) % 253 + 1
        data.append(scrambled if scrambled <= 254 else scrambled - 254)
    return bytes(data)


def _tables() -> tuple[tuple[int, ...], tuple[int, ...]]:
    powers, logarithms = [0] * 255, [0] * 256
    value = 1
    for exponent in range(255):
        powers[exponent], logarithms[value] = value, exponent
        value <<= 1
        if value > 255:
            value ^= _POLYNOMIAL
    return tuple(powers), tuple(logarithms)


_POWERS, _LOGARITHMS = _tables()


def _times(left: int, right: int) -> int:
    if left == 0 or right == 0:
        return 0
    return _POWERS[(_LOGARITHMS[left] + _LOGARITHMS[right]) % 255]


def _generator(degree: int) -> list[int]:
    """Return the polynomial whose roots are the first powers, highest term first, without its leading 1."""
    polynomial = [1]
    for exponent in range(1, degree + 1):
        shifted = [*polynomial, 0]
        scaled = [0, *(_times(term, _POWERS[exponent]) for term in polynomial)]
        polynomial = [one ^ other for one, other in zip(shifted, scaled, strict=True)]
    return polynomial[1:]


def _correction(data: bytes, size: Size) -> bytes:
    degree = size.correction // size.blocks
    generator = _generator(degree)
    correction = bytearray(size.correction)
    for block in range(size.blocks):
        remainder = [0] * degree
        for codeword in data[block :: size.blocks]:
            factor = codeword ^ remainder[0]
            remainder = [
                term ^ _times(factor, coefficient)
                for term, coefficient in zip([*remainder[1:], 0], generator, strict=True)
            ]
        correction[block :: size.blocks] = bytes(remainder)
    return bytes(correction)


# The eight modules of a codeword, most significant first, as row and column from its last one.
_UTAH: Final = ((-2, -2), (-2, -1), (-1, -2), (-1, -1), (-1, 0), (0, -2), (0, -1), (0, 0))


def _corners(side: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Return the four shapes that codewords take at the corners; negative places count from the far end."""
    last = side - 1
    return (
        ((last, 0), (last, 1), (last, 2), (0, last - 1), (0, last), (1, last), (2, last), (3, last)),
        ((last - 2, 0), (last - 1, 0), (last, 0), (0, last - 3), (0, last - 2), (0, last - 1), (0, last), (1, last)),
        ((last - 2, 0), (last - 1, 0), (last, 0), (0, last - 1), (0, last), (1, last), (2, last), (3, last)),
        ((last, 0), (last, last), (0, last - 2), (0, last - 1), (0, last), (1, last - 2), (1, last - 1), (1, last)),
    )


def _walk(side: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield the eight places of each codeword, in order: diagonals up and down, corners where they fall."""
    taken: set[tuple[int, int]] = set()
    corners = _corners(side)
    row, column = 4, 0
    while row < side or column < side:
        corner = _corner(row, column, side)
        if corner is not None:
            taken.update(corners[corner])
            yield corners[corner]
        for step in (-2, 2):
            while True:
                if 0 <= row < side and 0 <= column < side and (row, column) not in taken:
                    places = tuple(_wrapped(row + down, column + right, side) for down, right in _UTAH)
                    taken.update(places)
                    yield places
                row, column = row + step, column - step
                if (row < 0 or column >= side) if step < 0 else (row >= side or column < 0):
                    break
            row, column = (row + 1, column + 3) if step < 0 else (row + 3, column + 1)


def _corner(row: int, column: int, side: int) -> int | None:
    if row == side and column == 0:
        return 0
    if row == side - 2 and column == 0 and side % 4:
        return 1
    if row == side - 2 and column == 0 and side % 8 == 4:
        return 2
    if row == side + 4 and column == 2 and side % 8 == 0:
        return 3
    return None


def _wrapped(row: int, column: int, side: int) -> tuple[int, int]:
    if row < 0:
        row, column = row + side, column + 4 - (side + 4) % 8
    if column < 0:
        row, column = row + 4 - (side + 4) % 8, column + side
    return row, column


def _placed(codewords: bytes, side: int) -> list[list[bool]]:
    dark = [[False] * side for _ in range(side)]
    for codeword, places in zip(codewords, _walk(side), strict=True):
        for bit, (row, column) in enumerate(places):
            dark[row][column] = bool(codeword & 128 >> bit)
    if side * side % 8:
        # Four modules that no codeword reaches: a fixed pattern.
        dark[side - 1][side - 1] = dark[side - 2][side - 2] = True
    return dark


def _framed(mapping: list[list[bool]], size: Size) -> tuple[tuple[bool, ...], ...]:
    """Cut the mapping into regions, each within its finder (left, bottom) and timing (top, right) patterns."""
    inner = size.mapping // size.regions
    outer = inner + 2

    def module(row: int, column: int) -> bool:
        (down, in_row), (right, in_column) = divmod(row, outer), divmod(column, outer)
        if in_column == 0 or in_row == outer - 1:
            return True
        if in_row == 0:
            return in_column % 2 == 0
        if in_column == outer - 1:
            return in_row % 2 == 1
        return mapping[down * inner + in_row - 1][right * inner + in_column - 1]

    return tuple(tuple(module(row, column) for column in range(size.side)) for row in range(size.side))
