"""What decoding gives: symbols with their content, their identifier, their place and their turn, as values.

Owns these values and how two findings are told to be one symbol. Contents are sealed: an INS code names a person.
Pure. Source of symbology identifiers: AIM, as used by GS1 General Specifications.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from vaguemestre_core.redaction import SecretBytes

Point: TypeAlias = tuple[float, float]


class Reader(StrEnum):
    """Which library read a symbol."""

    ZXING = "zxing"
    LIBDMTX = "libdmtx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quad:
    """Four corners in pixels of the picture, x to the right and y down, clockwise from the symbol's own top left."""

    top_left: Point
    top_right: Point
    bottom_right: Point
    bottom_left: Point

    def corners(self) -> tuple[Point, Point, Point, Point]:
        """Return the corners in order."""
        return (self.top_left, self.top_right, self.bottom_right, self.bottom_left)

    def centre(self) -> Point:
        """Return the mean of the corners."""
        corners = self.corners()
        return (sum(x for x, _ in corners) / 4, sum(y for _, y in corners) / 4)

    def extent(self) -> float:
        """Return half of the longer diagonal: how far from the centre the symbol reaches."""
        a, b, c, d = self.corners()
        return max(math.dist(a, c), math.dist(b, d)) / 2

    def rotation_deg(self) -> float:
        """Return how far the symbol is turned clockwise, in degrees from 0 included to 360 excluded."""
        (x0, y0), (x1, y1) = self.top_left, self.top_right
        turn = math.degrees(math.atan2(y1 - y0, x1 - x0)) % 360.0
        return 0.0 if turn >= 360.0 else turn

    def mapped(self, *, scale: float, offset: Point) -> Quad:
        """Return the place in the picture from which a part was cut at ``offset`` and enlarged by ``scale``."""
        a, b, c, d = ((x / scale + offset[0], y / scale + offset[1]) for x, y in self.corners())
        return Quad(top_left=a, top_right=b, bottom_right=c, bottom_left=d)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSymbol:
    """One symbol of a picture.

    Attributes:
        content: what it holds, GS (0x1D) kept, the FNC1 of GS1 in first position not included.
        symbology: AIM identifier (``]d1``, ``]d2``, ``]Q1``…).
        place: its corners.
        reader: the library that read it.
        found_by: name of the pass of the plan that read it.
    """

    content: SecretBytes
    symbology: str
    place: Quad
    reader: Reader
    found_by: str

    @property
    def rotation_deg(self) -> float:
        """How far it is turned clockwise, 0 to 360."""
        return self.place.rotation_deg()

    def same_as(self, other: FoundSymbol) -> bool:
        """Return whether both are one symbol: the same content, one lying over the other.

        Readers differ on the identifier's modifier (``]d1`` or ``]d7`` for a long rectangle): its letter counts.
        """
        return (
            self.symbology[:2] == other.symbology[:2]
            and self.content == other.content
            and math.dist(self.place.centre(), other.place.centre()) < max(self.place.extent(), other.place.extent())
        )


def merged(known: Iterable[FoundSymbol], found: Iterable[FoundSymbol]) -> tuple[FoundSymbol, ...]:
    """Return the known symbols and those found that are none of them, in order."""
    symbols = list(known)
    for one in found:
        if not any(one.same_as(other) for other in symbols):
            symbols.append(one)
    return tuple(symbols)
