"""Scanners between the settings, the readers process and its picture: what is told to it, and what it tells.

Owns the reading of the events ``scanner`` and ``scanned``; a malformed one raises, and its reader then changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vaguemestre_core.cards import Situation
from vaguemestre_core.frames import Frame
from vaguemestre_core.readerports import ScannedCode, Scanner
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scannersettings import ScannerDevice, ScannerKind, ScannerSettings
from vaguemestre_core.scans import RawScan, ScanSource


def told_scanners(settings: ScannerSettings) -> list[Mapping[str, object]]:
    """Return the scanners of the settings as the readers process reads them."""
    return [_told(device, settings) for device in settings.devices]


def scanners_at_first(settings: ScannerSettings) -> tuple[Scanner, ...]:
    """Return what is known of scanners at the beginning of each life of the process: which they are."""
    return tuple(Scanner(name=device.name, kind=device.kind) for device in settings.devices)


def scanners_after(known: tuple[Scanner, ...], told: Mapping[str, object]) -> tuple[Scanner, ...]:
    """Return the scanners after an event ``scanner``. Raises KeyError, ValueError."""
    name, situation = told["name"], told["situation"]
    found = None if situation is None else Situation(str(situation))
    return tuple(
        replace(scanner, is_ready=found is None, situation=found) if scanner.name == name else scanner
        for scanner in known
    )


def scanned_code(frame: Frame) -> ScannedCode:
    """Return the code of an event ``scanned``. Raises KeyError, ValueError, InvalidInput."""
    symbology = frame.header["symbology"]
    raw = RawScan(
        content=SecretBytes(frame.content),
        source=ScanSource(str(frame.header["source"])),
        symbology=None if symbology is None else str(symbology),
    )
    return ScannedCode(scanner=str(frame.header["scanner"]), raw=raw)


def _told(device: ScannerDevice, settings: ScannerSettings) -> Mapping[str, object]:
    told: dict[str, object] = {"name": device.name, "kind": device.kind.value}
    if device.kind is ScannerKind.CAMERA:
        return told | {"number": device.camera}
    told |= {"vendor_id": device.vendor_id, "product_id": device.product_id}
    if device.kind is ScannerKind.SERIAL:
        told |= {"port": device.path, "baud": settings.serial_baud}
    else:
        told |= {"path": device.path, "layout": settings.keyboard_layout.value}
    return {member: value for member, value in told.items() if value is not None}
