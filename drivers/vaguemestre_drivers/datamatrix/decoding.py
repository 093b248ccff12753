"""Reading a picture: the passes of a plan one after the other, within a budget, findings put together.

Owns the run; never chooses passes (``plan``), never opens a file (``images``, ``pages``). Contents are never logged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vaguemestre_drivers.datamatrix import libdmtx, zxing
from vaguemestre_drivers.datamatrix.plan import STILL, Engine, Pass, Scope, Wish, cost_s, limit_s, may_start
from vaguemestre_drivers.datamatrix.port import Decoding
from vaguemestre_drivers.datamatrix.regions import Part, parts
from vaguemestre_drivers.datamatrix.repairs import repaired
from vaguemestre_drivers.datamatrix.symbols import FoundSymbol, merged

if TYPE_CHECKING:
    from vaguemestre_drivers.datamatrix.native import Grey

STILL_BUDGET_S: Final = 2.0
"""For an image that somebody gives; a readable one takes milliseconds (docs/scanning.md)."""

_MOST_SLOWNESS: Final = 20.0
_MOST_SYMBOLS: Final = 16  # asked of libdmtx when all are wanted


class NativeDecoder:
    """The port ``SymbolDecoder`` over zxing-cpp, OpenCV and libdmtx.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock

    def decode(
        self,
        image: Grey,
        *,
        budget_s: float = STILL_BUDGET_S,
        plan: Sequence[Pass] = STILL,
        wish: Wish = Wish.FIRST,
    ) -> Decoding:
        """Run the passes; see ``SymbolDecoder``."""
        run = _Run(image, until=self._clock() + budget_s, clock=self._clock, wish=wish)
        for one in plan:
            if not run.symbols or (wish is Wish.ALL and not one.is_repair):
                run.attempt(one)
        return Decoding(symbols=run.symbols, passes=tuple(run.passes), skipped=tuple(run.skipped))


class _Run:
    """One picture being read."""

    def __init__(self, image: Grey, *, until: float, clock: Callable[[], float], wish: Wish) -> None:
        self._image = image
        self._until = until
        self._clock = clock
        self._spent_s = 0.0
        self._planned_s = 0.0
        self._wish = wish
        self._parts: tuple[Part, ...] | None = None
        self.symbols: tuple[FoundSymbol, ...] = ()
        self.passes: list[str] = []
        self.skipped: list[str] = []

    def attempt(self, one: Pass) -> None:
        """Run a pass on each part it looks at, as long as there is time."""
        if one.engine is Engine.LIBDMTX and not libdmtx.available():
            self.skipped.append(one.name)
            return
        ran = False
        for part in self._where(one):
            left = self._until - self._clock()
            if not may_start(one, pixels=part.image.size, left_s=left, slowness=self._slowness()):
                break
            ran = True
            self.symbols = merged(self.symbols, self._read(one, part, left))
            if one.engine is not Engine.LIBDMTX:  # it keeps to a limit of its own
                self._planned_s += cost_s(one, part.image.size)
                self._spent_s += max(0.0, left - (self._until - self._clock()))
            if self.symbols and self._wish is Wish.FIRST:
                break
        (self.passes if ran else self.skipped).append(one.name)

    def _slowness(self) -> float:
        """How many times longer than planned the passes took; a first hiccup is not believed altogether."""
        return min(_MOST_SLOWNESS, self._spent_s / self._planned_s) if self._planned_s else 1.0

    def _where(self, one: Pass) -> tuple[Part, ...]:
        if one.scope is Scope.WHOLE:
            return (Part(x=0, y=0, image=self._image),)
        if self._parts is None:
            self._parts = parts(self._image)
        return self._parts

    def _read(self, one: Pass, part: Part, left_s: float) -> list[FoundSymbol]:
        image, scale = repaired(part.image, one.repair)
        if one.engine is Engine.LIBDMTX:
            limit = limit_s(one, pixels=part.image.size, left_s=left_s)
            at_most = 1 if self._wish is Wish.FIRST else _MOST_SYMBOLS
            found = libdmtx.decode(image, limit_s=limit, found_by=one.name, at_most=at_most)
        else:
            found = zxing.decode(image, engine=one.engine, kinds=one.kinds, found_by=one.name)
        moved = part.x != 0 or part.y != 0 or scale != 1.0
        return [
            _mapped(symbol, part, scale) if moved else symbol
            for symbol in found
            if len(symbol.content.reveal()) >= one.min_bytes
        ]


def _mapped(symbol: FoundSymbol, part: Part, scale: float) -> FoundSymbol:
    return replace(symbol, place=symbol.place.mapped(scale=scale, offset=(float(part.x), float(part.y))))
