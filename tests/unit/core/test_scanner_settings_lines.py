"""The section ``scanners``: devices and rules as one line of text each, and what is refused."""

from __future__ import annotations

import pytest

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.scannersettings import ScannerDevice, ScannerKind, ScannerSettings
from vaguemestre_core.scans import OpaqueRule, ScanKind


def test_no_scanner_is_opened_that_nobody_named() -> None:
    assert ScannerSettings().devices == ()
    assert ScannerSettings().rules == ()


def test_devices_are_named_by_path_or_usb_numbers() -> None:
    settings = ScannerSettings(serial="COM3  0C2E:0b61", keyboards="/dev/input/by-id/x 1234:5678", camera=0)
    assert settings.devices == (
        ScannerDevice(name="serial COM3", kind=ScannerKind.SERIAL, path="COM3"),
        ScannerDevice(name="serial 0C2E:0b61", kind=ScannerKind.SERIAL, vendor_id=0x0C2E, product_id=0x0B61),
        ScannerDevice(name="keyboard /dev/input/by-id/x", kind=ScannerKind.KEYBOARD, path="/dev/input/by-id/x"),
        ScannerDevice(name="keyboard 1234:5678", kind=ScannerKind.KEYBOARD, vendor_id=0x1234, product_id=0x5678),
        ScannerDevice(name="camera 0", kind=ScannerKind.CAMERA, camera=0),
    )


def test_rules_hold_any_octet_and_colons() -> None:
    settings = ScannerSettings(opaque_rules="ordonnance:Q:https://x/ apcv::%1d%00A")
    assert settings.rules == (
        OpaqueRule(kind=ScanKind.ORDONNANCE, prefix=b"https://x/", symbologies=frozenset("Q")),
        OpaqueRule(kind=ScanKind.APCV, prefix=b"\x1d\x00A"),
    )


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"serial_baud": 0}, "SCANNER_BAUD_INVALID"),
        ({"camera": -2}, "SCANNER_CAMERA_INVALID"),
        ({"camera": 64}, "SCANNER_CAMERA_INVALID"),
        ({"serial": "COM3 COM3"}, "SCANNER_DEVICES_INVALID"),
        ({"serial": " ".join(f"COM{number}" for number in range(9))}, "SCANNER_DEVICES_INVALID"),
        ({"serial": "x" * 200}, "SCANNER_DEVICES_INVALID"),
        ({"keyboards": "event3"}, "SCANNER_KEYBOARD_INVALID"),
        ({"keyboards": "0c2e:b61"}, "SCANNER_KEYBOARD_INVALID"),
        ({"opaque_rules": "ordonnance:Q"}, "SCANNER_RULE_INVALID"),
        ({"opaque_rules": "ordonnance:Q:"}, "SCANNER_RULE_INVALID"),
        ({"opaque_rules": "ordonnance:1:x"}, "SCANNER_RULE_INVALID"),
        ({"opaque_rules": "ins::IS01"}, "SCANNER_RULE_INVALID"),
        ({"opaque_rules": "unknown::x"}, "SCANNER_RULE_INVALID"),
        ({"opaque_rules": "pigeon::x"}, "SCANNER_RULE_INVALID"),
    ],
)
def test_what_is_wrong_is_refused_with_its_code(values: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ScannerSettings(**values)  # type: ignore[arg-type]
    assert refused.value.code == code
