"""The scanners of a workstation: what the settings name, each in a thread of its own from start to stop.

Owns the reading of their settings and the threads; who is told, and who watches over the threads, is given. A scanner
that hangs in its library stops no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, assert_never

from vaguemestre_core.cards import Situation
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.scans import RawScan
from vaguemestre_drivers.datamatrix.decoding import NativeDecoder
from vaguemestre_drivers.datamatrix.frames import FrameDecoder
from vaguemestre_drivers.scanners.attaching import OpenDevice, StopSignal, keep_attached
from vaguemestre_drivers.scanners.camera import CameraChoice, codes_of, open_camera
from vaguemestre_drivers.scanners.keyboard import KeyboardChoice, open_keyboard
from vaguemestre_drivers.scanners.layouts import Layout
from vaguemestre_drivers.scanners.serialscanner import DEFAULT_BAUD, SerialChoice, open_serial

ALLOWED_S: Final = 15.0  # a camera takes its time to be switched on

Choice: TypeAlias = SerialChoice | KeyboardChoice | CameraChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedScanner:
    """A scanner of the settings: the name that the practice gave it, and which device it is."""

    name: str
    choice: Choice


class ScannerTeller(Protocol):
    """Who is told of all scanners. Called from their threads; raises nothing."""

    def state(self, scanner: str, situation: Situation | None) -> None:
        """Say that a scanner is there (nothing) or why it is not."""
        ...

    def scanned(self, scanner: str, raw: RawScan) -> None:
        """Give one code."""
        ...


class Life(Protocol):
    """The signs of life of one thread (``process.pulses.Pulse`` is one)."""

    def work(self, allowed_s: float) -> None:
        """Say that native code may now be silent for so long."""
        ...

    def beat(self) -> None:
        """Say that the thread is alive."""
        ...

    def rest(self) -> None:
        """Say that nothing native is going on."""
        ...


def scanners_of(settings: object) -> tuple[NamedScanner, ...]:
    """Return the scanners that a list of settings names.

    Each is an object with ``name`` and ``kind``: ``serial`` (``port``, ``vendor_id``, ``product_id``,
    ``serial_number``, ``baud``), ``keyboard`` (``path``, ``vendor_id``, ``product_id``, ``layout``) or ``camera``
    (``number``).

    Raises:
        InvalidInput: ``SCANNER_SETTINGS_INVALID`` with the pointer of what is wrong.
    """
    if not isinstance(settings, Sequence) or isinstance(settings, str | bytes):
        raise InvalidInput("SCANNER_SETTINGS_INVALID", pointer="")
    found = tuple(_scanner(value, f"/{place}") for place, value in enumerate(settings))
    names = [scanner.name for scanner in found]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InvalidInput("SCANNER_SETTINGS_INVALID", pointer=f"/{place}/name")
    return found


def start_scanners(
    scanners: Sequence[NamedScanner], teller: ScannerTeller, stop: StopSignal, life_of: Callable[[str], Life]
) -> tuple[threading.Thread, ...]:
    """Start a thread for each scanner; they end soon after ``stop``.

    Args:
        scanners: see ``scanners_of``.
        teller: whom to tell.
        stop: when to end.
        life_of: the signs of life of the thread with this name (``scanner:NAME``).
    """
    threads = tuple(
        threading.Thread(
            target=_run,
            args=(scanner, teller, stop, life_of(f"scanner:{scanner.name}")),
            name=f"scanner:{scanner.name}",
            daemon=True,
        )
        for scanner in scanners
    )
    for thread in threads:
        thread.start()
    return threads


def _run(scanner: NamedScanner, teller: ScannerTeller, stop: StopSignal, life: Life) -> None:
    life.work(ALLOWED_S)
    try:
        keep_attached(_opener(scanner.choice), _Named(scanner.name, teller), stop, alive=life.beat)
    finally:
        life.rest()


def _opener(choice: Choice) -> Callable[[], OpenDevice]:
    match choice:
        case SerialChoice():
            return lambda: open_serial(choice)
        case KeyboardChoice():
            return lambda: open_keyboard(choice)
        case CameraChoice():
            return lambda: open_camera(choice, codes_of(FrameDecoder(NativeDecoder())))
        case never:
            assert_never(never)


class _Named:
    """Tells of one scanner by its name."""

    def __init__(self, name: str, teller: ScannerTeller) -> None:
        self._name = name
        self._teller = teller

    def attached(self) -> None:
        self._teller.state(self._name, None)

    def detached(self, situation: Situation) -> None:
        self._teller.state(self._name, situation)

    def scanned(self, raw: RawScan) -> None:
        self._teller.scanned(self._name, raw)


class _Members:
    """Members of one scanner's settings, each read once; what nobody reads is a mistake."""

    def __init__(self, value: object, pointer: str) -> None:
        if not isinstance(value, Mapping):
            raise InvalidInput("SCANNER_SETTINGS_INVALID", pointer=pointer)
        self._left = dict(value)
        self._pointer = pointer

    def text(self, name: str, default: str | None = None) -> str:
        value = self._left.pop(name, default)
        if not isinstance(value, str):
            raise self._wrong(name)
        return value

    def optional_text(self, name: str) -> str | None:
        return self.text(name) if name in self._left else None

    def number(self, name: str, default: int) -> int:
        value = self._left.pop(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(name)
        return value

    def optional_number(self, name: str) -> int | None:
        return self.number(name, 0) if name in self._left else None

    def layout(self) -> Layout:
        try:
            return Layout(self.text("layout", Layout.FR.value))
        except ValueError:
            raise self._wrong("layout") from None

    def end(self) -> None:
        for name in self._left:
            raise self._wrong(str(name))

    def _wrong(self, name: str) -> InvalidInput:
        return InvalidInput("SCANNER_SETTINGS_INVALID", pointer=f"{self._pointer}/{name}")


def _scanner(value: object, pointer: str) -> NamedScanner:
    members = _Members(value, pointer)
    name, kind = members.text("name"), members.text("kind")
    choice: Choice
    match kind:
        case "serial":
            choice = SerialChoice(
                port=members.text("port", ""),
                vendor_id=members.optional_number("vendor_id"),
                product_id=members.optional_number("product_id"),
                serial_number=members.optional_text("serial_number"),
                baud=members.number("baud", DEFAULT_BAUD),
            )
            is_named = bool(choice.port) or choice.vendor_id is not None
        case "keyboard":
            choice = KeyboardChoice(
                path=members.text("path", ""),
                vendor_id=members.optional_number("vendor_id"),
                product_id=members.optional_number("product_id"),
                layout=members.layout(),
            )
            is_named = bool(choice.path) or None not in (choice.vendor_id, choice.product_id)
        case "camera":
            choice = CameraChoice(number=members.number("number", 0))
            is_named = True
        case _:
            raise InvalidInput("SCANNER_SETTINGS_INVALID", pointer=f"{pointer}/kind")
    members.end()
    if not name or not is_named:
        raise InvalidInput("SCANNER_SETTINGS_INVALID", pointer=pointer)
    return NamedScanner(name=name, choice=choice)
