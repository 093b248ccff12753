"""A camera that shows a made INS code and a box: read once each while in sight, through the real decoders."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from vaguemestre_core.identities import PatientIdentity
from vaguemestre_core.scans import InsScan, RawScan, ScanSource
from vaguemestre_documents.scancodes.ins_writing import ins_symbol
from vaguemestre_documents.scancodes.picture import png
from vaguemestre_documents.scancodes.recognise import recognise
from vaguemestre_drivers.datamatrix.decoding import NativeDecoder
from vaguemestre_drivers.datamatrix.frames import FrameDecoder
from vaguemestre_drivers.scanners.camera import CameraChoice, CameraScanner, codes_of
from vaguemestre_testkit.code_samples import ZOE
from vaguemestre_testkit.scanner_doubles import FrameTape

if TYPE_CHECKING:
    import numpy as typed_numpy
    from numpy.typing import NDArray

np = pytest.importorskip("numpy", reason="numpy is not installed")
image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
pytest.importorskip("cv2", reason="OpenCV is not installed")
pytest.importorskip("zxingcpp", reason="zxing-cpp is not installed")

LEA = replace(ZOE, given_names="LEA", first_given_name="LEA")


def frame(patient: PatientIdentity | None, shift: int) -> NDArray[typed_numpy.uint8]:
    """A noisy desk seen in colour at 720 lines, with a document's code somewhere on it or not."""
    noise = np.random.default_rng(shift)
    desk = noise.integers(120, 150, (720, 1280), dtype=np.uint8)
    if patient is not None:
        code = np.asarray(image.open(io.BytesIO(png(ins_symbol(patient), module_px=6))).convert("L"))
        rows, columns = code.shape
        desk[200 + shift : 200 + shift + rows, 400 + shift : 400 + shift + columns] = np.clip(code, 40, 215)
    coloured: NDArray[typed_numpy.uint8] = np.repeat(desk[:, :, None], 3, axis=2)
    return coloured


def test_what_is_no_picture_says_nothing() -> None:
    decode = codes_of(FrameDecoder(NativeDecoder()))
    assert decode(np.zeros((2, 2), np.uint8)) == ()
    assert [raw.symbology for raw in decode(frame(ZOE, 1))] == ["]d1"]


def test_each_code_is_told_once_while_it_is_in_sight() -> None:
    shown = [None, ZOE, ZOE, ZOE, None, LEA, LEA]
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 0.06
        return now

    tape = FrameTape([frame(patient, shift) for shift, patient in enumerate(shown)])
    frames = FrameDecoder(NativeDecoder(), clock=clock)
    scanner = CameraScanner(tape, codes_of(frames), CameraChoice(every_s=0.0), clock=clock)
    raws: list[RawScan] = [raw for _ in shown for raw in scanner.step()]
    scans = [recognise(raw, today=dt.date(2026, 11, 24)) for raw in raws]
    assert [scan.given_names for scan in scans if isinstance(scan, InsScan)] == ["ZOE", "LEA"]
    assert [raw.source for raw in raws] == [ScanSource.CAMERA] * 2
    assert all(isinstance(scan, InsScan) and not scan.hints for scan in scans)
