"""Keep a scanner attached: open it when it is there, read it, let it go when it is unplugged, wait until it comes back.

Owns the loop that all devices share and what is told of it; each device says how it is opened and read. One thread a
device: every wait is bounded, so that stopping takes no longer than a moment. Never logs what a code holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.scans import RawScan

RETRY_S: Final = 1.0


class DeviceLost(Exception):
    """The device is gone, or does not answer any more: unplugged, switched off."""


class ScannerSink(Protocol):
    """What is told of one scanner. Called from the scanner's thread; raises nothing."""

    def attached(self) -> None:
        """Say that the scanner is there and held."""
        ...

    def detached(self, situation: Situation) -> None:
        """Say that it is not, and why; told once a situation."""
        ...

    def scanned(self, raw: RawScan) -> None:
        """Give one code."""
        ...


class OpenDevice(Protocol):
    """A device that is open."""

    def step(self) -> tuple[RawScan, ...]:
        """Wait a moment at most, and return what was read in it. Raises DeviceLost."""
        ...

    def close(self) -> None:
        """Let it go. Raises nothing."""
        ...


class StopSignal(Protocol):
    """When to stop: ``threading.Event`` is one."""

    def is_set(self) -> bool:
        """Return whether to stop."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it at most that long, seconds; return whether it came."""
        ...


def keep_attached(
    open_device: Callable[[], OpenDevice],
    sink: ScannerSink,
    stop: StopSignal,
    *,
    retry_s: float = RETRY_S,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Hold a scanner until told to stop, however often it goes and comes back.

    Args:
        open_device: opens it, or raises CardTrouble (SCANNER_ABSENT, SCANNER_DENIED, SCANNER_HELD, CAMERA_ABSENT,
            DECODER_ABSENT).
        sink: whom to tell.
        stop: looked at between moments.
        retry_s: between two tries to open.
        alive: called at least every moment and every try.
    """
    told: Situation | None = None
    while not stop.is_set():
        alive()
        try:
            device = open_device()
        except CardTrouble as trouble:
            if trouble.situation is not told:
                told = trouble.situation
                sink.detached(told)
            stop.wait(retry_s)
            continue
        told = None
        sink.attached()
        try:
            while not stop.is_set():
                alive()
                for raw in device.step():
                    sink.scanned(raw)
        except DeviceLost:
            told = Situation.SCANNER_ABSENT
            sink.detached(told)
        finally:
            device.close()
        if told is not None:
            stop.wait(retry_s)
