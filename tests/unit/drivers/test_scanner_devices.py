"""Serial scanners and cameras: where a code ends, which port is theirs, and a device that goes and comes back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scans import MAX_CODE_BYTES, RawScan, ScanSource
from vaguemestre_drivers.scanners.attaching import DeviceLost, OpenDevice, keep_attached
from vaguemestre_drivers.scanners.camera import CameraChoice, CameraScanner
from vaguemestre_drivers.scanners.framing import SILENCE_S, Framing
from vaguemestre_drivers.scanners.serialscanner import PortFound, SerialChoice, chosen, open_serial
from vaguemestre_testkit.scanner_doubles import FrameTape, Told, all_of

np = pytest.importorskip("numpy", reason="numpy is not installed")


def test_a_code_ends_at_cr_or_lf_and_empty_lines_are_none() -> None:
    framing = Framing()
    assert framing.feed(b"AB\r\nCD\n\r\rEF", 1.0) == (b"AB", b"CD")
    assert framing.rest(1.0 + SILENCE_S * 0.99) == ()
    assert framing.rest(1.0 + SILENCE_S * 1.01) == (b"EF",)
    assert framing.rest(99.0) == ()


def test_a_silence_between_two_codes_ends_the_first() -> None:
    framing = Framing()
    assert framing.feed(b"AB", 1.0) == ()
    assert framing.feed(b"CD", 1.05) == ()
    assert framing.feed(b"EF\r", 2.0) == (b"ABCD", b"EF")


def test_codes_that_may_hold_line_ends_end_by_silence_only() -> None:
    framing = Framing(endings=b"")
    assert framing.feed(b"A\r\nB", 1.0) == ()
    assert framing.rest(2.0) == (b"A\r\nB",)


def test_what_is_longer_than_any_symbol_is_dropped_whole() -> None:
    framing = Framing()
    assert framing.feed(b"x" * (MAX_CODE_BYTES + 5) + b"\rAB\r", 1.0) == (b"AB",)
    assert framing.feed(b"x" * MAX_CODE_BYTES + b"\r", 1.0) == (b"x" * MAX_CODE_BYTES,)
    assert framing.feed(b"x" * (MAX_CODE_BYTES + 1), 2.0) == ()
    assert framing.rest(3.0) == ()
    assert framing.feed(b"CD\r", 3.0) == (b"CD",)
    assert "CD" not in repr(framing)


@given(st.lists(st.binary(max_size=12), max_size=20), st.lists(st.floats(0, 0.2), min_size=20, max_size=20))
def test_no_octet_is_lost_nor_made(pieces: list[bytes], gaps: list[float]) -> None:
    framing, at, out = Framing(), 0.0, b""
    for piece, gap in zip(pieces, gaps, strict=False):
        at += gap
        out += b"".join(framing.feed(piece, at))
    out += b"".join(framing.rest(at + 1))
    assert out == b"".join(pieces).replace(b"\r", b"").replace(b"\n", b"")


PORTS = [
    PortFound(device="/dev/ttyACM1", vendor_id=0x0C2E, product_id=0x0B61, serial_number="S2"),
    PortFound(device="/dev/ttyACM0", vendor_id=0x0C2E, product_id=0x0B61, serial_number="S1"),
    PortFound(device="/dev/ttyS0"),
]


@pytest.mark.parametrize(
    ("choice", "port"),
    [
        (SerialChoice(port="COM3"), "COM3"),
        (SerialChoice(vendor_id=0x0C2E), "/dev/ttyACM0"),
        (SerialChoice(vendor_id=0x0C2E, product_id=0x0B61, serial_number="S2"), "/dev/ttyACM1"),
        (SerialChoice(vendor_id=0x0C2E, product_id=1), None),
        (SerialChoice(serial_number="S1"), None),
        (SerialChoice(), None),
    ],
)
def test_a_port_is_named_or_found_by_its_usb_numbers(choice: SerialChoice, port: str | None) -> None:
    assert chosen(PORTS, choice) == port


def test_a_port_that_is_not_there_is_a_situation(tmp_path: Path) -> None:
    with pytest.raises(CardTrouble) as trouble:
        open_serial(SerialChoice(port=str(tmp_path / "ttyACM0")))
    assert trouble.value.situation is Situation.SCANNER_ABSENT


class Scripted:
    """A device that gives codes, then is lost or stops the loop."""

    def __init__(self, codes: Sequence[bytes], *, stop: threading.Event | None = None) -> None:
        self._codes = list(codes)
        self._stop = stop
        self.is_closed = False

    def step(self) -> tuple[RawScan, ...]:
        if self._codes:
            return (RawScan(content=SecretBytes(self._codes.pop(0)), source=ScanSource.SERIAL),)
        if self._stop is None:
            raise DeviceLost
        self._stop.set()
        return ()

    def close(self) -> None:
        self.is_closed = True


def test_a_scanner_that_goes_and_comes_back_is_told_once_a_change() -> None:
    stop, told = threading.Event(), Told()
    devices = [Scripted([b"1", b"2"]), Scripted([b"3"], stop=stop)]
    held = Situation.SCANNER_HELD
    script: list[Scripted | Situation] = [
        Situation.SCANNER_ABSENT,
        Situation.SCANNER_ABSENT,
        held,
        devices[0],
        Situation.SCANNER_ABSENT,
        devices[1],
    ]

    def open_device() -> OpenDevice:
        entry = script.pop(0)
        if isinstance(entry, Situation):
            raise CardTrouble(entry)
        return entry

    keep_attached(open_device, told, stop, retry_s=0.0)
    assert told.events == ["SCANNER_ABSENT", "SCANNER_HELD", "attached", "SCANNER_ABSENT", "attached"]
    assert told.contents() == [b"1", b"2", b"3"]
    assert all(device.is_closed for device in devices)


def test_frames_are_looked_at_in_their_rhythm_and_a_dead_camera_is_lost() -> None:
    frames = [np.full((4, 4), shade, np.uint8) for shade in range(5)]
    tape = FrameTape([frames[0], None, *frames[1:]])
    now = iter([0.0, 0.0, 0.05, 0.1, 0.15, 0.25, 9.0])
    looked: list[int] = []

    def decode(frame: object) -> Sequence[RawScan]:
        shade = int(np.asarray(frame)[0, 0])
        looked.append(shade)
        return [RawScan(content=SecretBytes(bytes([65 + shade])), source=ScanSource.CAMERA)]

    scanner = CameraScanner(tape, decode, CameraChoice(every_s=0.1), clock=lambda: next(now))
    assert all_of(scanner, 6) == [b"A", b"C", b"E"]
    assert looked == [0, 2, 4]
    assert all_of(scanner, 9) == []
    with pytest.raises(DeviceLost):
        scanner.step()
    scanner.close()
    assert tape.is_closed
