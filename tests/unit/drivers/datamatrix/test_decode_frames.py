"""Frames of a camera: the rhythm of cheap and dear looks, and each symbol told once while it is in sight."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_drivers.datamatrix.decoding import NativeDecoder
from vaguemestre_drivers.datamatrix.frames import FrameDecoder, FrameRhythm
from vaguemestre_drivers.datamatrix.plan import FRAME, FRAME_DEAR, STILL, Pass, Wish
from vaguemestre_drivers.datamatrix.port import Decoding
from vaguemestre_drivers.datamatrix.symbols import FoundSymbol, Quad, Reader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vaguemestre_drivers.datamatrix.native import Grey


def symbol(content: bytes) -> FoundSymbol:
    place = Quad(top_left=(0, 0), top_right=(9, 0), bottom_right=(9, 9), bottom_left=(0, 9))
    return FoundSymbol(
        content=SecretBytes(content),
        symbology="]d1",
        place=place,
        reader=Reader.ZXING,
        found_by="direct",
    )


class ScriptedDecoder:
    """Sees what the script says, frame by frame, and remembers which plan it was given."""

    def __init__(self, script: Sequence[bytes | None]) -> None:
        self._script = list(script)
        self.plans: list[Sequence[Pass]] = []

    def decode(
        self, image: Grey, *, budget_s: float, plan: Sequence[Pass] = STILL, wish: Wish = Wish.FIRST
    ) -> Decoding:
        self.plans.append(plan)
        seen = self._script.pop(0)
        symbols = () if seen is None else (symbol(seen),)
        return Decoding(symbols=symbols, passes=(), skipped=())


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def frame(native: None) -> NDArray[np.uint8]:
    import numpy as np

    return np.full((72, 128), 200, np.uint8)


def test_one_frame_in_several_gets_the_dearer_plan(frame: NDArray[np.uint8]) -> None:
    decoder = ScriptedDecoder([None] * 7)
    camera = FrameDecoder(decoder, rhythm=FrameRhythm(every=3))
    for _ in range(7):
        camera.symbols(frame)
    assert decoder.plans == [FRAME, FRAME, FRAME_DEAR, FRAME, FRAME, FRAME_DEAR, FRAME]


def test_while_something_is_read_cheaply_nothing_dearer_runs(frame: NDArray[np.uint8]) -> None:
    decoder = ScriptedDecoder([None, b"A", b"A", b"A", None, None, None])
    camera = FrameDecoder(decoder, rhythm=FrameRhythm(every=3))
    for _ in range(7):
        camera.symbols(frame)
    assert decoder.plans == [FRAME] * 6 + [FRAME_DEAR]


def test_a_symbol_is_told_once_and_again_after_it_was_out_of_sight(frame: NDArray[np.uint8]) -> None:
    clock = Clock()
    decoder = ScriptedDecoder([b"A", b"A", b"B", b"A", b"A", b"A"])
    camera = FrameDecoder(decoder, rhythm=FrameRhythm(forget_after_s=2), clock=clock)
    told = []
    for at in (0.0, 1.5, 1.6, 3.0, 5.5, 6.0):
        clock.now = at
        told.append([one.content.reveal() for one in camera.symbols(frame)])
    assert told == [[b"A"], [], [b"B"], [], [b"A"], []]


@pytest.mark.parametrize("shape", [(7, 200), (50, 50, 4), (2, 3, 4, 5)])
def test_what_is_no_frame_is_refused(native: None, shape: tuple[int, ...]) -> None:
    import numpy as np

    with pytest.raises(InvalidInput, match="PICTURE_UNREADABLE"):
        FrameDecoder(ScriptedDecoder([])).symbols(np.zeros(shape, np.uint8))


def test_a_giant_frame_is_refused(native: None) -> None:
    import numpy as np

    with pytest.raises(InvalidInput, match="PICTURE_TOO_LARGE"):
        FrameDecoder(ScriptedDecoder([])).symbols(np.zeros((4_000, 4_000), np.uint8))


def test_no_rhythm_of_nothing() -> None:
    with pytest.raises(ValueError, match="every"):
        FrameRhythm(every=0)


def test_codes_in_a_cameras_frames_are_read(families: ModuleType) -> None:
    camera = FrameDecoder(NativeDecoder())
    read = 0
    for sample in families.samples("small_720p", count=6):
        import cv2

        frame = cv2.cvtColor(sample.image, cv2.COLOR_GRAY2BGR)  # as a camera gives it
        read += any(one.content.reveal() == sample.content for one in camera.symbols(frame))
    assert read >= 5
