"""The plans of passes, from cheap to thorough, as data; and which pass may start with the time that is left.

Owns the order, the costs and their evidence (docs/scanning.md); runs nothing, imports no native library. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final


class Engine(Enum):
    """Which reader a pass asks, and how hard."""

    ZXING_DIRECT = "zxing_direct"  # as it stands: no turned, reduced or inverted try
    ZXING_AROUND = "zxing_around"  # turned and inverted, not reduced
    ZXING_FULL = "zxing_full"  # turned, inverted and reduced: the library's own defaults
    LIBDMTX = "libdmtx"


class Repair(StrEnum):
    """What is done to the picture before a pass; each undoes one way in which a picture spoils a symbol."""

    NONE = "none"
    INVERTED = "inverted"  # light on dark
    NORMAL = "normal"  # contrast stretched, noise smoothed: faded print
    CLOSED = "closed"  # thin dark marks removed: scratches
    OPENED_CLOSED = "opened_closed"  # spots of both tones removed
    CLOSED_WIDE = "closed_wide"
    SHARP = "sharp"  # unsharp mask on a smoothed picture: light blur
    ENLARGED = "enlarged"  # twice as large: small modules
    ENLARGED_SHARP = "enlarged_sharp"
    DEBLURRED_2 = "deblurred_2"  # Wiener filter for a blur of about 2.5 pixels
    DEBLURRED_3 = "deblurred_3"
    DEBLURRED_4 = "deblurred_4"
    DEBLURRED_5 = "deblurred_5"
    FLAT = "flat"  # local mean and spread evened: glare, shadow


class Kinds(Enum):
    """Which symbologies a pass looks for."""

    DATA_MATRIX = "data_matrix"
    MATRIX = "matrix"  # Data Matrix and QR code
    OTHERS = "others"  # what else is printed on boxes and documents: QR, EAN, Code 128, DataBar


class Scope(Enum):
    """Which part of the picture a pass looks at."""

    WHOLE = "whole"
    PARTS = "parts"  # where symbols may lie, when the picture is large; the whole picture when it is small


class Wish(Enum):
    """When to stop."""

    FIRST = "first"  # at the first pass that reads a symbol
    ALL = "all"  # after the passes that are not repairs, all of them; repairs only while nothing was read


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One try.

    Attributes:
        name: for documentation and diagnostics.
        engine: which reader.
        repair: what is done first.
        kinds: what is looked for.
        scope: where.
        at_most_s: limit given to a reader that has one (libdmtx); the others are limited by the cost.
        min_bytes: shorter contents are not believed: on noise, and more so on repaired noise, readers see
            tiny symbols that are not there. No code we read is that short.
    """

    name: str
    engine: Engine
    repair: Repair = Repair.NONE
    kinds: Kinds = Kinds.DATA_MATRIX
    scope: Scope = Scope.WHOLE
    at_most_s: float = 0.0
    min_bytes: int = 1

    @property
    def is_repair(self) -> bool:
        """Whether the pass is one of those that are tried only while nothing was read."""
        return self.repair is not Repair.NONE or self.engine is Engine.LIBDMTX


# Seconds a megapixel, on the slow side of what was measured on the development machine (a cluttered frame).
COST_S: Final[Mapping[Engine, float]] = {
    Engine.ZXING_DIRECT: 0.010,
    Engine.ZXING_AROUND: 0.030,
    Engine.ZXING_FULL: 0.060,
    Engine.LIBDMTX: 0.0,  # it has a limit of its own
}
OTHERS_COST_S: Final = 0.120
REPAIR_COST_S: Final[Mapping[Repair, float]] = {
    Repair.NONE: 0.0,
    Repair.INVERTED: 0.002,
    Repair.NORMAL: 0.010,
    Repair.CLOSED: 0.005,
    Repair.OPENED_CLOSED: 0.010,
    Repair.CLOSED_WIDE: 0.005,
    Repair.SHARP: 0.040,
    Repair.ENLARGED: 0.120,
    Repair.ENLARGED_SHARP: 0.250,
    Repair.DEBLURRED_2: 0.250,
    Repair.DEBLURRED_3: 0.250,
    Repair.DEBLURRED_4: 0.250,
    Repair.DEBLURRED_5: 0.250,
    Repair.FLAT: 0.060,
}
LIBDMTX_LEAST_S: Final = 0.02  # less is not worth starting

SMALL_PIXELS: Final = 500_000  # up to here repairs take the whole picture
PART_PIXELS: Final = 500_000  # a part is never larger than this

BELIEVED_BYTES: Final = 8

_DIRECT: Final = Pass(name="direct", engine=Engine.ZXING_DIRECT)
_INVERTED: Final = Pass(name="inverted", engine=Engine.ZXING_DIRECT, repair=Repair.INVERTED)
_FULL: Final = Pass(name="full", engine=Engine.ZXING_FULL)
_OTHERS: Final = Pass(name="others", engine=Engine.ZXING_AROUND, kinds=Kinds.OTHERS)


def _repaired(repair: Repair, engine: Engine = Engine.ZXING_AROUND) -> Pass:
    return Pass(
        name=str(repair), engine=engine, repair=repair, kinds=Kinds.MATRIX, scope=Scope.PARTS, min_bytes=BELIEVED_BYTES
    )


def _second_chance(name: str, repair: Repair, scope: Scope, at_most_s: float) -> Pass:
    return Pass(
        name=name, engine=Engine.LIBDMTX, repair=repair, scope=scope, at_most_s=at_most_s, min_bytes=BELIEVED_BYTES
    )


STILL: Final[tuple[Pass, ...]] = (
    _DIRECT,
    _INVERTED,
    _FULL,
    _OTHERS,
    _repaired(Repair.NORMAL),
    _repaired(Repair.CLOSED),
    _repaired(Repair.OPENED_CLOSED),
    _repaired(Repair.SHARP),
    _repaired(Repair.ENLARGED),
    _repaired(Repair.DEBLURRED_3),
    _repaired(Repair.DEBLURRED_2),
    _repaired(Repair.DEBLURRED_4),
    _repaired(Repair.DEBLURRED_5),
    _repaired(Repair.CLOSED_WIDE),
    _repaired(Repair.FLAT),
    _repaired(Repair.ENLARGED_SHARP),
    _second_chance("second_parts", Repair.NONE, Scope.PARTS, 0.2),
    _second_chance("second_whole", Repair.NONE, Scope.WHOLE, 0.5),
    _second_chance("second_sharp", Repair.SHARP, Scope.PARTS, 0.2),
    _second_chance("second_flat", Repair.FLAT, Scope.PARTS, 0.2),
    _second_chance("second_normal", Repair.NORMAL, Scope.PARTS, 0.2),
)
"""For an image or a page that somebody gives: worth a second or two."""

FRAME: Final[tuple[Pass, ...]] = (_DIRECT,)
"""For every frame of a camera: a few milliseconds, the next frame is a new chance."""

FRAME_DEAR: Final[tuple[Pass, ...]] = (
    _DIRECT,
    _INVERTED,
    _repaired(Repair.NORMAL),
    _repaired(Repair.SHARP),
    _repaired(Repair.CLOSED),
    Pass(name="full", engine=Engine.ZXING_FULL, kinds=Kinds.MATRIX),
    _second_chance("second_parts", Repair.NONE, Scope.PARTS, 0.06),
)
"""For one frame in several."""


def cost_s(one: Pass, pixels: int) -> float:
    """Return the longest a pass should take on that many pixels, in seconds; its own limit for libdmtx comes on top."""
    enlarged = 4 if one.repair in (Repair.ENLARGED, Repair.ENLARGED_SHARP) else 1
    engine = OTHERS_COST_S if one.kinds is Kinds.OTHERS else COST_S[one.engine]
    return (engine * enlarged + REPAIR_COST_S[one.repair]) * pixels / 1e6


def may_start(one: Pass, *, pixels: int, left_s: float, slowness: float = 1.0) -> bool:
    """Return whether a pass can be over within the time that is left.

    ``slowness`` is how many times longer than their cost the passes took on this picture so far: the workstation is
    busy, or the picture is noise made to cost much.
    """
    least = LIBDMTX_LEAST_S if one.engine is Engine.LIBDMTX else 0.0
    return cost_s(one, pixels) * max(1.0, slowness) + least <= left_s


def limit_s(one: Pass, *, pixels: int, left_s: float) -> float:
    """Return the limit to give to a reader that has one."""
    return max(0.0, min(one.at_most_s, left_s - cost_s(one, pixels)))
