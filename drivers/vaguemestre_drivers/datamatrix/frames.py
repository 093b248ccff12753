"""A camera's frames → new symbols: a cheap pass on each, a dearer one on every n-th, each symbol told once.

Owns the rhythm and the memory of what was just told; never opens a camera (``scanners``), never keeps a frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_drivers.datamatrix.images import LEAST_SIDE, LIMITS
from vaguemestre_drivers.datamatrix.native import numpy, opencv
from vaguemestre_drivers.datamatrix.plan import FRAME, FRAME_DEAR
from vaguemestre_drivers.datamatrix.port import SymbolDecoder
from vaguemestre_drivers.datamatrix.symbols import FoundSymbol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vaguemestre_drivers.datamatrix.native import Grey


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRhythm:
    """How much is spent on frames.

    Attributes:
        every: one frame in this many gets the dearer plan, as long as nothing is read.
        cheap_budget_s: for the others.
        dear_budget_s: for that one.
        forget_after_s: a symbol out of sight that long is told again when it comes back.
    """

    every: int = 10
    cheap_budget_s: float = 0.05
    dear_budget_s: float = 0.12
    forget_after_s: float = 2.0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError("every frame at most")


RHYTHM: Final = FrameRhythm()


class FrameDecoder:
    """Reads the frames of one camera, in order.

    Not to be shared between cameras. A frame given late costs nothing but itself: nothing is queued here.

    Args:
        decoder: the port.
        rhythm: see ``FrameRhythm``.
        clock: monotonic seconds.
    """

    def __init__(
        self, decoder: SymbolDecoder, *, rhythm: FrameRhythm = RHYTHM, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._decoder = decoder
        self._rhythm = rhythm
        self._clock = clock
        self._since_dear = 0
        self._seen: dict[tuple[str, int], float] = {}

    def symbols(self, frame: NDArray[np.uint8]) -> tuple[FoundSymbol, ...]:
        """Return the symbols of a frame that were not told a moment ago.

        Args:
            frame: grey (rows × columns) or colour as OpenCV gives it (rows × columns × 3, BGR).

        Raises:
            InvalidInput: ``PICTURE_UNREADABLE`` (not a frame), ``PICTURE_TOO_LARGE``.
            DecoderMissing: DECODER_MISSING.
        """
        image = _grey(frame)
        self._since_dear += 1
        dear = self._since_dear >= self._rhythm.every
        decoding = self._decoder.decode(
            image,
            budget_s=self._rhythm.dear_budget_s if dear else self._rhythm.cheap_budget_s,
            plan=FRAME_DEAR if dear else FRAME,
        )
        if dear or decoding.symbols:
            self._since_dear = 0  # what is read cheaply needs no dearer look
        return tuple(symbol for symbol in decoding.symbols if self._is_new(symbol))

    def _is_new(self, symbol: FoundSymbol) -> bool:
        """Remember a symbol by a number, not by its content; say whether it had been out of sight."""
        now = self._clock()
        self._seen = {key: at for key, at in self._seen.items() if now - at < self._rhythm.forget_after_s}
        key = (symbol.symbology[:2], hash(symbol.content))
        new = key not in self._seen
        self._seen[key] = now
        return new


def _grey(frame: NDArray[np.uint8]) -> Grey:
    np, cv2 = numpy(), opencv()
    if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or min(frame.shape[:2]) < LEAST_SIDE:
        raise InvalidInput("PICTURE_UNREADABLE")
    if frame.shape[0] * frame.shape[1] > LIMITS.working_pixels:
        raise InvalidInput("PICTURE_TOO_LARGE", limit=LIMITS.working_pixels, unit="pixels")
    if frame.ndim == 3 and frame.shape[2] != 3:
        raise InvalidInput("PICTURE_UNREADABLE")
    grey: Grey = np.ascontiguousarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) if frame.ndim == 3 else frame)
    return grey
