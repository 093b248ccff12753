"""A camera as a scanner: frames in, codes out; which codes a frame holds is another's work.

Owns the rhythm and when a camera is given up; OpenCV is loaded at the first use, for frames only. Never keeps a frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.scans import RawScan, ScanSource
from vaguemestre_drivers.datamatrix.frames import FrameDecoder
from vaguemestre_drivers.datamatrix.native import DecoderMissing, opencv, zxing
from vaguemestre_drivers.scanners.attaching import DeviceLost, OpenDevice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_MOST_FAILURES: Final = 10  # frames in a row that a camera may miss


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraChoice:
    """Which camera, and how often it is looked at.

    Attributes:
        number: as the system counts them.
        width, height: asked for, pixels; the camera gives what it can.
        every_s: between two frames that are looked at, seconds.
    """

    number: int = 0
    width: int = 1280
    height: int = 720
    every_s: float = 0.1


class FrameSource(Protocol):
    """An open camera."""

    def read(self) -> NDArray[np.uint8] | None:
        """Wait for the next frame and return it: rows, columns, and three colours or none; nothing when it failed."""
        ...

    def close(self) -> None:
        """Switch it off. Raises nothing."""
        ...


class CameraScanner:
    """An open camera.

    Args:
        source: its frames.
        decode: returns the codes of a frame that were not there a moment ago.
        choice: its rhythm.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        source: FrameSource,
        decode: Callable[[NDArray[np.uint8]], Sequence[RawScan]],
        choice: CameraChoice,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._decode = decode
        self._every_s = choice.every_s
        self._clock = clock
        self._next_at = clock()
        self._failures = 0

    def step(self) -> tuple[RawScan, ...]:
        """Take one frame, and look at it when it is time. Raises DeviceLost after ten frames that failed."""
        frame = self._source.read()
        if frame is None:
            self._failures += 1
            if self._failures >= _MOST_FAILURES:
                raise DeviceLost
            return ()
        self._failures = 0
        now = self._clock()
        if now < self._next_at:
            return ()  # the frames between are taken all the same: an old one waits in no buffer
        self._next_at = now + self._every_s
        return tuple(self._decode(frame))

    def close(self) -> None:
        """Switch the camera off."""
        self._source.close()


def codes_of(frames: FrameDecoder) -> Callable[[NDArray[np.uint8]], Sequence[RawScan]]:
    """Return what ``CameraScanner`` asks for, from the decoder of one camera's frames."""

    def decode(frame: NDArray[np.uint8]) -> Sequence[RawScan]:
        try:
            symbols = frames.symbols(frame)
        except InvalidInput:
            return ()  # what the camera gave is no picture: the next one may be
        return tuple(
            RawScan(content=symbol.content, source=ScanSource.CAMERA, symbology=symbol.symbology) for symbol in symbols
        )

    return decode


def open_camera(choice: CameraChoice, decode: Callable[[NDArray[np.uint8]], Sequence[RawScan]]) -> OpenDevice:
    """Switch a camera on.

    Raises:
        CardTrouble: CAMERA_ABSENT (none, or held by another program), DECODER_ABSENT (OpenCV or zxing-cpp is not
            installed).
    """
    try:
        cv2 = opencv()
        zxing()  # without it no frame says anything: told now, not at each frame
    except DecoderMissing as missing:
        raise CardTrouble(Situation.DECODER_ABSENT, **missing.params) from None
    capture = cv2.VideoCapture(choice.number)
    if not capture.isOpened():
        capture.release()
        raise CardTrouble(Situation.CAMERA_ABSENT)
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, choice.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, choice.height)
    return CameraScanner(_CaptureSource(capture), decode, choice)


class _Capture(Protocol):
    """What we use of OpenCV's object."""

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]: ...

    def release(self) -> None: ...


class _CaptureSource:
    def __init__(self, capture: _Capture) -> None:
        self._capture = capture

    def read(self) -> NDArray[np.uint8] | None:
        succeeded, frame = self._capture.read()
        return frame if succeeded else None

    def close(self) -> None:
        self._capture.release()
