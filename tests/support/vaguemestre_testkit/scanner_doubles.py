"""Scanners that are none: a serial one behind a pseudo-terminal, one that types, a camera that shows given frames."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vaguemestre_core.cards import Situation
from vaguemestre_core.scans import RawScan
from vaguemestre_drivers.scanners import layouts
from vaguemestre_drivers.scanners.attaching import DeviceLost, OpenDevice
from vaguemestre_drivers.scanners.keys import KeyEvent, Move
from vaguemestre_drivers.scanners.layouts import LAYOUTS, Layout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WAIT_S = 10.0


@dataclass
class Told:
    """A sink that remembers, and that a test can wait for."""

    events: list[str] = field(default_factory=list)
    scans: list[RawScan] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def attached(self) -> None:
        self._note("attached")

    def detached(self, situation: Situation) -> None:
        self._note(situation.value)

    def scanned(self, raw: RawScan) -> None:
        with self.changed:
            self.scans.append(raw)
            self.changed.notify_all()

    def _note(self, event: str) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds; fail after ten seconds."""
        with self.changed:
            assert self.changed.wait_for(condition, WAIT_S), (self.events, len(self.scans))

    def contents(self) -> list[bytes]:
        """Return what was read."""
        return [raw.content.reveal() for raw in self.scans]


class PtyScanner:
    """A serial scanner: its port is a link to a pseudo-terminal, which goes when it is unplugged."""

    def __init__(self, port: Path) -> None:
        self.port = port
        self._ends: tuple[int, int] | None = None

    def plug(self) -> None:
        """Give it a port, a new one each time, as the system does."""
        self._ends = os.openpty()
        self.port.symlink_to(os.ttyname(self._ends[1]))

    def send(self, data: bytes) -> None:
        """Send what it read, suffix included."""
        assert self._ends is not None
        os.write(self._ends[0], data)

    def unplug(self) -> None:
        """Take it away, whoever reads it."""
        assert self._ends is not None
        self.port.unlink()
        for end in self._ends:
            os.close(end)
        self._ends = None


def typed(text: str, layout: Layout, *, at: float = 0.0, gap_s: float = 0.004, gs: str = "ctrl") -> list[KeyEvent]:
    """Return what a scanner types for a text and ENTER: GS as Ctrl+], as an Alt code or as F8."""
    table = LAYOUTS[layout]
    keys: list[tuple[int, Move]] = []
    for character in text:
        if character == "\x1d":
            keys += _gs(gs)
            continue
        for level, modifier in ((table.plain, 0), (table.shifted, layouts.KEY_LEFTSHIFT), (table.third, 100)):
            key = next((key for key, written in level.items() if written == character), None)
            if key is not None:
                keys += _pressed(modifier, key) if modifier else [(key, Move.DOWN), (key, Move.UP)]
                break
        else:
            raise AssertionError("the layout has no such character")
        if character in table.dead and modifier != layouts.KEY_RIGHTALT:
            keys += [(layouts.KEY_SPACE, Move.DOWN), (layouts.KEY_SPACE, Move.UP)]
    keys += [(layouts.KEY_ENTER, Move.DOWN), (layouts.KEY_ENTER, Move.UP)]
    return [KeyEvent(key=key, move=move, at=at + place * gap_s) for place, (key, move) in enumerate(keys)]


def _pressed(modifier: int, *pressed: int) -> list[tuple[int, Move]]:
    inner = [(key, move) for key in pressed for move in (Move.DOWN, Move.UP)]
    return [(modifier, Move.DOWN), *inner, (modifier, Move.UP)]


def _gs(way: str) -> list[tuple[int, Move]]:
    match way:
        case "ctrl":
            return _pressed(layouts.KEY_LEFTCTRL, layouts.KEY_RIGHTBRACE)
        case "alt":
            return _pressed(layouts.KEY_LEFTALT, 82, 80, 73)  # 0, 2, 9 of the keypad
        case _:
            return [(layouts.KEY_F8, Move.DOWN), (layouts.KEY_F8, Move.UP)]


class RecordedKeys:
    """A keyboard that plays recorded events, a batch a read, and is then lost when told so."""

    def __init__(self, batches: Iterable[Sequence[KeyEvent]], *, is_lost_after: bool = False) -> None:
        self._batches = [tuple(batch) for batch in batches]
        self._is_lost_after = is_lost_after
        self.is_closed = False

    def read(self, timeout_s: float) -> tuple[KeyEvent, ...]:
        if self._batches:
            return self._batches.pop(0)
        if self._is_lost_after:
            raise DeviceLost
        return ()

    def close(self) -> None:
        self.is_closed = True


class FrameTape:
    """A camera that shows given frames; nothing stands for a frame that failed."""

    def __init__(self, frames: Iterable[NDArray[np.uint8] | None]) -> None:
        self._frames = list(frames)
        self.is_closed = False

    def read(self) -> NDArray[np.uint8] | None:
        return self._frames.pop(0) if self._frames else None

    def close(self) -> None:
        self.is_closed = True


def all_of(device: OpenDevice, steps: int) -> list[bytes]:
    """Return what a device reads in so many moments."""
    return [raw.content.reveal() for _ in range(steps) for raw in device.step()]
