"""The scanners of a workstation as its settings name them, and how opaque codes begin there.

Owns the notation of the section ``scanners`` and its validation; opens no device. Each setting is one line of text, so
that the environment can give it as a file does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final
from urllib.parse import unquote_to_bytes

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.scans import OpaqueRule, ScanKind

_USB: Final = re.compile(r"(?P<vendor>[0-9a-f]{4}):(?P<product>[0-9a-f]{4})", re.IGNORECASE)
_LETTERS: Final = re.compile(r"[A-Za-z]*")
_BAUDS: Final = range(300, 1_000_001)
_MOST_DEVICES: Final = 8
_LONGEST_NAME: Final = 200
_LARGEST_CAMERA: Final = 63
NO_CAMERA: Final = -1


@unique
class ScannerKind(StrEnum):
    """What a scanner is for the workstation."""

    SERIAL = "serial"
    KEYBOARD = "keyboard"
    CAMERA = "camera"


@unique
class KeyboardLayout(StrEnum):
    """The keyboard country that was set in a scanner that types."""

    FR = "fr"
    US = "us"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerDevice:
    """One device.

    Attributes:
        name: names it everywhere: its kind and what the settings call it.
        path: of a port or an input device; None when it is looked for by USB numbers.
        vendor_id, product_id: USB numbers; None with a path.
        camera: number of the camera, None for another device.
    """

    name: str
    kind: ScannerKind
    path: str | None = None
    vendor_id: int | None = None
    product_id: int | None = None
    camera: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerSettings:
    """The scanners (docs/scanning.md). None by default: a device that nobody named is never opened.

    Attributes:
        serial: serial scanners, separated by spaces: a port (``COM3``, ``/dev/ttyACM0``) or USB numbers
            (``0c2e:0b61``, hexadecimal).
        serial_baud: of RS-232 lines; without effect over USB.
        keyboards: scanners that type, on Linux: a path (``/dev/input/by-id/…``) or USB numbers.
        keyboard_layout: keyboard country set in them.
        camera: number of a camera; -1: none.
        opaque_rules: how codes begin that are passed on unread, separated by spaces: ``kind:letters:beginning``; kind
            ``ordonnance``, ``apcv`` or ``2d-doc``; letters of the AIM symbologies (``d``, ``Q``; none: all); beginning
            with ``%XX`` for what is not printable. Few of them are public: they are a fact of the practice.
    """

    serial: str = ""
    serial_baud: int = 9600
    keyboards: str = ""
    keyboard_layout: KeyboardLayout = KeyboardLayout.FR
    camera: int = NO_CAMERA
    opaque_rules: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.serial_baud not in _BAUDS:
            raise InvalidInput("SCANNER_BAUD_INVALID")
        if not NO_CAMERA <= self.camera <= _LARGEST_CAMERA:
            raise InvalidInput("SCANNER_CAMERA_INVALID")
        names = [device.name for device in self.devices]
        if (
            len(names) > _MOST_DEVICES
            or len(set(names)) < len(names)
            or any(len(name) > _LONGEST_NAME for name in names)
        ):
            raise InvalidInput("SCANNER_DEVICES_INVALID")
        if any(device.path is not None and not device.path.startswith("/") for device in _named_keyboards(self)):
            raise InvalidInput("SCANNER_KEYBOARD_INVALID")
        _ = self.rules

    @property
    def devices(self) -> tuple[ScannerDevice, ...]:
        """The devices, in the order of the settings."""
        serial = (_device(ScannerKind.SERIAL, word) for word in self.serial.split())
        camera = (
            ()
            if self.camera == NO_CAMERA
            else (ScannerDevice(name=f"camera {self.camera}", kind=ScannerKind.CAMERA, camera=self.camera),)
        )
        return (*serial, *_named_keyboards(self), *camera)

    @property
    def rules(self) -> tuple[OpaqueRule, ...]:
        """The rules, in the order of the settings: the first that fits tells the kind."""
        return tuple(_rule(word) for word in self.opaque_rules.split())


def _named_keyboards(settings: ScannerSettings) -> tuple[ScannerDevice, ...]:
    return tuple(_device(ScannerKind.KEYBOARD, word) for word in settings.keyboards.split())


def _device(kind: ScannerKind, word: str) -> ScannerDevice:
    name = f"{kind.value} {word}"
    numbers = _USB.fullmatch(word)
    if numbers is None:
        return ScannerDevice(name=name, kind=kind, path=word)
    vendor, product = int(numbers["vendor"], 16), int(numbers["product"], 16)
    return ScannerDevice(name=name, kind=kind, vendor_id=vendor, product_id=product)


def _rule(word: str) -> OpaqueRule:
    kind, _, rest = word.partition(":")
    letters, separator, beginning = rest.partition(":")
    if not separator or _LETTERS.fullmatch(letters) is None:
        raise InvalidInput("SCANNER_RULE_INVALID")
    try:
        return OpaqueRule(kind=ScanKind(kind), prefix=unquote_to_bytes(beginning), symbologies=frozenset(letters))
    except (ValueError, InvalidInput):
        raise InvalidInput("SCANNER_RULE_INVALID") from None
