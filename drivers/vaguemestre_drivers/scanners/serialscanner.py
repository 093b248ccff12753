"""A scanner on a serial line (USB-COM, CDC-ACM or RS-232): found by port or by USB numbers, read until CR or silence.

Owns the choice of the port, the way pyserial fails folded into situations, and the reading; pyserial is loaded at the
first use. Bytes are exact here: GS and AIM identifier come raw.
"""

from __future__ import annotations

import errno
import importlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Final, Protocol

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scans import RawScan, ScanSource
from vaguemestre_drivers.scanners.attaching import DeviceLost, OpenDevice
from vaguemestre_drivers.scanners.framing import ENDINGS, SILENCE_S, Framing

DEFAULT_BAUD: Final = 9600  # without effect over USB
_READ_S: Final = 0.04  # half the silence: a pause is seen soon after it is one
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM})
_HELD: Final = frozenset({errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK})


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialChoice:
    """Which port, and how it talks.

    Attributes:
        port: name of the port (``/dev/ttyACM0``, ``COM3``), or empty to look by USB numbers.
        vendor_id, product_id, serial_number: USB numbers; absent ones do not matter.
        baud: of an RS-232 line, 8 bits without parity and one stop bit.
        silence_s, endings: see ``Framing``.
    """

    port: str = ""
    vendor_id: int | None = None
    product_id: int | None = None
    serial_number: str | None = None
    baud: int = DEFAULT_BAUD
    silence_s: float = SILENCE_S
    endings: bytes = ENDINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFound:
    """A serial port of this machine."""

    device: str
    vendor_id: int | None = None
    product_id: int | None = None
    serial_number: str | None = None


def chosen(ports: Iterable[PortFound], choice: SerialChoice) -> str | None:
    """Return the port to open: the named one, else the first whose USB numbers agree; none without any criterion."""
    if choice.port:
        return choice.port
    if choice.vendor_id is None:
        return None
    for port in sorted(ports, key=lambda each: each.device):
        wanted = (
            (choice.vendor_id, port.vendor_id),
            (choice.product_id, port.product_id),
            (choice.serial_number, port.serial_number),
        )
        if all(want is None or want == have for want, have in wanted):
            return port.device
    return None


class SerialLine(Protocol):
    """An open serial line."""

    def read(self, timeout_s: float) -> bytes:
        """Return what came within the time, as soon as something did; nothing after it. Raises DeviceLost."""
        ...

    def close(self) -> None:
        """Close it. Raises nothing."""
        ...


class SerialScanner:
    """An open serial scanner."""

    def __init__(self, line: SerialLine, choice: SerialChoice, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._line = line
        self._clock = clock
        self._framing = Framing(silence_s=choice.silence_s, endings=choice.endings)

    def step(self) -> tuple[RawScan, ...]:
        """Read for a moment. Raises DeviceLost."""
        data = self._line.read(_READ_S)
        at = self._clock()
        codes = self._framing.feed(data, at) if data else self._framing.rest(at)
        return tuple(RawScan(content=SecretBytes(code), source=ScanSource.SERIAL) for code in codes)

    def close(self) -> None:
        """Let the line go."""
        self._line.close()


def open_serial(choice: SerialChoice) -> OpenDevice:
    """Open the scanner of this choice.

    Raises:
        CardTrouble: SCANNER_ABSENT (no such port, or pyserial is not installed), SCANNER_DENIED, SCANNER_HELD.
    """
    library = _library()
    port = chosen(() if choice.port else ports_found(), choice)
    if port is None:
        raise CardTrouble(Situation.SCANNER_ABSENT)
    try:
        # Exclusive where the system can: two readers of one line get half a code each.
        line = library.Serial(port=port, baudrate=choice.baud, timeout=_READ_S, exclusive=True)
    except (OSError, ValueError) as cause:
        raise CardTrouble(_situation(cause)) from None
    return SerialScanner(_PyserialLine(line), choice)


def ports_found() -> tuple[PortFound, ...]:
    """Return the serial ports of this machine.

    Raises:
        CardTrouble: SCANNER_ABSENT: pyserial is not installed.
    """
    _library()
    listing = importlib.import_module("serial.tools.list_ports")
    return tuple(
        PortFound(device=port.device, vendor_id=port.vid, product_id=port.pid, serial_number=port.serial_number)
        for port in listing.comports()
    )


def _library() -> ModuleType:
    try:
        return importlib.import_module("serial")
    except ImportError:
        raise CardTrouble(Situation.SCANNER_ABSENT, library="pyserial") from None


def _situation(cause: BaseException) -> Situation:
    number = getattr(cause, "errno", None)
    if number in _REFUSED:
        # Windows refuses with the same number a port that another program holds.
        return Situation.SCANNER_DENIED
    return Situation.SCANNER_HELD if number in _HELD else Situation.SCANNER_ABSENT


class _Port(Protocol):
    """What we use of pyserial's object."""

    timeout: float | None
    in_waiting: int

    def read(self, size: int) -> bytes: ...

    def close(self) -> None: ...


class _PyserialLine:
    """A line of pyserial: its errors are all one thing, the device is gone."""

    def __init__(self, port: _Port) -> None:
        self._port = port

    def read(self, timeout_s: float) -> bytes:
        try:
            if self._port.timeout != timeout_s:
                self._port.timeout = timeout_s
            first = self._port.read(1)
            return first + self._port.read(self._port.in_waiting) if first else b""
        except (OSError, TypeError, AttributeError):
            # SerialException is an OSError; a port closed under a read fails with the other two.
            raise DeviceLost from None

    def close(self) -> None:
        try:
            self._port.close()
        except OSError:
            return
