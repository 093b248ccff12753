"""Damaged and hostile files and pictures end in symbols or in a code, within the time that they were given."""

from __future__ import annotations

import io
import time
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pikepdf import Pdf

from vaguemestre_core.errors import InvalidInput
from vaguemestre_drivers.datamatrix import libdmtx
from vaguemestre_drivers.datamatrix.decoding import NativeDecoder
from vaguemestre_drivers.datamatrix.files import FileReader
from vaguemestre_drivers.datamatrix.plan import Wish

CODES = {
    "PICTURE_TOO_LARGE",
    "PICTURE_TOO_SLOW",
    "PICTURE_UNREADABLE",
    "PICTURE_UNSUPPORTED",
    "PDF_LOCKED",
    "PDF_PAGE_UNREADABLE",
    "PDF_UNREADABLE",
}
BUDGET_S = 0.1
SLACK_S = 8.0  # a loaded machine; the point is that nothing hangs
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = (".png", ".jpg", ".webp", ".bmp", ".tiff", ".pdf")


@pytest.fixture(scope="module", autouse=True)
def _libraries(native: None) -> None:
    pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed (extra readers)")


@cache
def whole(kind: str) -> bytes:
    """Return a small file with a QR code in it."""
    import cv2
    import numpy as np
    import zxingcpp

    made = zxingcpp.create_barcode("nobody", zxingcpp.BarcodeFormat.QRCode)
    picture = np.array(made.to_image(scale=3))
    if kind != ".pdf":
        return bytes(cv2.imencode(kind, picture)[1].tobytes())
    pdf = Pdf.new()
    page = pdf.add_blank_page(page_size=(100, 100))
    image = pdf.make_stream(
        picture.tobytes(),
        Type="/XObject",
        Subtype="/Image",
        Width=picture.shape[1],
        Height=picture.shape[0],
        BitsPerComponent=8,
    )
    from pikepdf import Dictionary, Name

    image.Type, image.Subtype, image.ColorSpace = Name.XObject, Name.Image, Name.DeviceGray
    page.obj.Resources = Dictionary(XObject=Dictionary(I=image))
    page.obj.Contents = pdf.make_stream(b"q 80 0 0 80 10 10 cm /I Do Q")
    held = io.BytesIO()
    pdf.save(held)
    return held.getvalue()


def read(data: bytes) -> None:
    """Read a file; whatever it is, the answer is in time."""
    started = time.perf_counter()
    try:
        reading = FileReader(NativeDecoder()).read_file(data, budget_s=BUDGET_S, wish=Wish.FIRST)
    except InvalidInput as refused:
        assert refused.code in CODES  # noqa: PT017 - a file may also be read
    else:
        assert reading.pages_read >= 1
    assert time.perf_counter() - started < BUDGET_S + SLACK_S


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_file_is_read(kind: str) -> None:
    reading = FileReader(NativeDecoder()).read_file(whole(kind))
    assert [one.symbol.content.reveal() for one in reading.found] == [b"nobody"]


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(data=st.data())
def test_changed_bytes_never_crash(kind: str, data: st.DataObject) -> None:
    held = bytearray(whole(kind))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(held) - 1))
        held[at] = data.draw(st.integers(0, 255))
    read(bytes(held))


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(data=st.data())
def test_cut_and_doubled_files_never_crash(kind: str, data: st.DataObject) -> None:
    held = whole(kind)
    start = data.draw(st.integers(0, len(held)))
    end = data.draw(st.integers(start, len(held)))
    read(held[:end] + held[start:] if data.draw(st.booleans()) else held[:end])


@FEW
@given(
    st.sampled_from([b"", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"BM"]),
    st.binary(max_size=400),
)
def test_any_bytes_never_crash(start: bytes, rest: bytes) -> None:
    read(start + rest)


@FEW
@given(st.integers(0, 2**32 - 1), st.integers(8, 120), st.integers(8, 120), st.integers(1, 6))
def test_pictures_of_noise_never_crash_either_reader(seed: int, width: int, height: int, grain: int) -> None:
    import numpy as np

    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (height, width)).astype(np.uint8)
    picture = np.ascontiguousarray(np.kron(noise, np.ones((grain, grain), np.uint8)))
    started = time.perf_counter()
    NativeDecoder().decode(picture, budget_s=0.05)
    if libdmtx.available():
        libdmtx.decode(picture, limit_s=0.02, found_by="fuzz", at_most=8)
    assert time.perf_counter() - started < SLACK_S
