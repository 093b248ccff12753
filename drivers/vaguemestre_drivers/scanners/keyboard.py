"""A scanner that types, held by us alone on Linux: grabbed, so that its keystrokes reach no window.

Owns the choice of the device, the way evdev fails folded into situations, and the reading; evdev is loaded at the
first use and exists on Linux only. Needs the right to read the device (group ``input`` or an udev rule).
"""

from __future__ import annotations

import errno
import importlib
import select
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Final, Protocol

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scans import RawScan, ScanSource
from vaguemestre_drivers.scanners.attaching import DeviceLost, OpenDevice
from vaguemestre_drivers.scanners.framing import Framing
from vaguemestre_drivers.scanners.keys import KeyEvent, KeyReader, Move, as_bytes
from vaguemestre_drivers.scanners.layouts import KEY_ENTER, Layout

SILENCE_S: Final = 0.3  # typing is slower than a serial line
_READ_S: Final = 0.1
_EV_KEY: Final = 1
_KEY_A: Final = 30
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyboardChoice:
    """Which keyboard is the scanner, and its layout.

    Attributes:
        path: device (``/dev/input/by-id/…-event-kbd``), or empty to look by USB numbers.
        vendor_id, product_id: USB numbers; without them and without path no keyboard is ever taken.
        layout: set in the scanner.
        silence_s: a longer pause ends a code, seconds.
    """

    path: str = ""
    vendor_id: int | None = None
    product_id: int | None = None
    layout: Layout = Layout.FR
    silence_s: float = SILENCE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyboardFound:
    """An input device of this machine."""

    path: str
    vendor_id: int
    product_id: int
    types: bool  # it has letters and ENTER


def chosen(keyboards: Iterable[KeyboardFound], choice: KeyboardChoice) -> str | None:
    """Return the device to grab. A keyboard that nobody named is never taken: it may be the person's own."""
    if choice.path:
        return choice.path
    if choice.vendor_id is None or choice.product_id is None:
        return None
    for keyboard in sorted(keyboards, key=lambda each: each.path):
        if keyboard.types and (keyboard.vendor_id, keyboard.product_id) == (choice.vendor_id, choice.product_id):
            return keyboard.path
    return None


class KeySource(Protocol):
    """A keyboard that is held."""

    def read(self, timeout_s: float) -> tuple[KeyEvent, ...]:
        """Return the events that came within the time, as soon as some did; none after it. Raises DeviceLost."""
        ...

    def close(self) -> None:
        """Give it back. Raises nothing."""
        ...


class KeyboardScanner:
    """An open scanner that types."""

    def __init__(
        self, source: KeySource, choice: KeyboardChoice, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._clock = clock
        self._keys = KeyReader(choice.layout)
        self._framing = Framing(silence_s=choice.silence_s)

    def step(self) -> tuple[RawScan, ...]:
        """Read for a moment. Raises DeviceLost."""
        events = self._source.read(_READ_S)
        codes: list[bytes] = []
        for event in events:
            codes += self._framing.feed(as_bytes(self._keys.read(event)), event.at)
        if not events:
            codes += self._framing.rest(self._clock())
        return tuple(RawScan(content=SecretBytes(code), source=ScanSource.KEYBOARD) for code in codes)

    def close(self) -> None:
        """Give the keyboard back."""
        self._source.close()


def open_keyboard(choice: KeyboardChoice) -> OpenDevice:
    """Grab the scanner of this choice.

    Raises:
        CardTrouble: SCANNER_ABSENT (no such device, or not on this system), SCANNER_DENIED (no right to read it),
            SCANNER_HELD (another program has grabbed it).
    """
    library = _library()
    path = chosen(() if choice.path else keyboards_found(), choice)
    if path is None:
        raise CardTrouble(Situation.SCANNER_ABSENT)
    try:
        device = library.InputDevice(path)
    except OSError as cause:
        denied = cause.errno in _REFUSED
        raise CardTrouble(Situation.SCANNER_DENIED if denied else Situation.SCANNER_ABSENT) from None
    try:
        device.grab()
    except OSError as cause:
        device.close()
        held = cause.errno == errno.EBUSY
        raise CardTrouble(Situation.SCANNER_HELD if held else Situation.SCANNER_ABSENT) from None
    return KeyboardScanner(_EvdevSource(device), choice)


def keyboards_found() -> tuple[KeyboardFound, ...]:
    """Return the input devices that we may read.

    Raises:
        CardTrouble: SCANNER_ABSENT: evdev is not installed or not for this system.
    """
    library = _library()
    found: list[KeyboardFound] = []
    for path in library.list_devices():
        try:
            device = library.InputDevice(path)
        except OSError:
            continue  # unplugged between the list and here
        keys = device.capabilities().get(_EV_KEY, [])
        found.append(
            KeyboardFound(
                path=path,
                vendor_id=device.info.vendor,
                product_id=device.info.product,
                types=KEY_ENTER in keys and _KEY_A in keys,
            )
        )
        device.close()
    return tuple(found)


def _library() -> ModuleType:
    try:
        return importlib.import_module("evdev")
    except ImportError:
        raise CardTrouble(Situation.SCANNER_ABSENT, library="evdev") from None


class _InputEvent(Protocol):
    type: int
    code: int
    value: int


class _Device(Protocol):
    """What we use of evdev's object."""

    fd: int

    def read(self) -> Iterable[_InputEvent]: ...

    def ungrab(self) -> None: ...

    def close(self) -> None: ...


class _EvdevSource:
    def __init__(self, device: _Device, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._device = device
        self._clock = clock

    def read(self, timeout_s: float) -> tuple[KeyEvent, ...]:
        try:
            ready, _, _ = select.select([self._device.fd], [], [], timeout_s)
            events = tuple(self._device.read()) if ready else ()
        except (OSError, ValueError):
            raise DeviceLost from None
        at = self._clock()
        return tuple(
            KeyEvent(key=event.code, move=Move(event.value), at=at) for event in events if event.type == _EV_KEY
        )

    def close(self) -> None:
        for give_back in (self._device.ungrab, self._device.close):
            try:
                give_back()
            except OSError:
                continue  # it is gone already
